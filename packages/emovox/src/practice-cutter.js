// One recording cut from live sound: from when somebody speaks until they have been quiet.

import { RATE, Resampler } from "./audio.js";
import { speechLevelDb } from "./loudness.js";
import { trackPitch } from "./pitch.js";
import { semitones } from "./prosody.js";
import { percentile } from "./syllables.js";
import { Activity, joined } from "./vad.js";

const QUIET_S = 1; // after which a take is over
const BEFORE_S = 1; // of sound kept from before the speech
const LATEST = 0.3 * RATE; // samples that pitch and level of a moment are measured in
const LEAST_VOICED = 5; // frames of 10 ms

/**
 * The latest 0.3 s of sound: `pitch_st` above 27.5 Hz, null where there is no voice; `speech_s`
 * are seconds of speech heard in this recording so far.
 * @typedef {{speaking: boolean, speech_s: number, level_db: number, pitch_st: number | null}} Moment
 */

/** Takes in live sound, and returns one recording when it is over; then another one is needed. */
export class Cutter {
  /**
   * @param {import("./network.js").Network} voice Silero's.
   * @param {number} rate Hz.
   * @param {number} leastS Seconds of speech that a recording needs before quiet ends it.
   * @param {number} mostS Seconds after which it ends in any case.
   */
  constructor(voice, rate, leastS, mostS) {
    this.least = leastS * RATE;
    this.most = mostS * RATE;
    this.resampler = new Resampler(rate);
    this.activity = new Activity(voice);
    /** @type {Float32Array[]} */
    this.sound = [];
    this.nFed = 0; // samples at 16 kHz
    this.nSpoken = 0; // of these, in segments that are over
    /** @type {number | null} */
    this.first = null; // sample at which the speech began
  }

  /**
   * Take in a block; return the recording, mono at 16 kHz, if it ends here.
   * @param {Float32Array} block
   * @returns {Promise<Float32Array | null>}
   */
  async feed(block) {
    const sound = this.resampler.take(block, false);
    this.sound.push(sound);
    this.nFed += sound.length;
    for (const { start, end } of await this.activity.feed(sound)) this.nSpoken += end - start;
    return this.isOver() ? joined(this.sound) : null;
  }

  /**
   * Measure the latest moment, for the eye.
   * @returns {Moment}
   */
  moment() {
    const latest = joined([new Float32Array(1), ...this.sound.slice(-20)]).slice(-LATEST);
    const voiced = trackPitch(latest).filter((hertz) => !Number.isNaN(hertz));
    return {
      speaking: this.activity.speaking,
      speech_s: this.nSpoken / RATE,
      level_db: Math.max(-120, speechLevelDb(latest)),
      pitch_st: voiced.length >= LEAST_VOICED ? percentile(voiced.map(semitones), 50) : null,
    };
  }

  isOver() {
    const { latest } = this.activity;
    if (latest === null) {
      this.forget();
      return false;
    }
    const [start, end] = latest;
    this.first ??= start;
    const isQuiet = end !== null && this.nFed - end >= QUIET_S * RATE;
    return (isQuiet && this.nSpoken >= this.least) || this.nFed - this.first >= this.most;
  }

  /** Drop old sound in which nobody spoke. */
  forget() {
    const length = () => this.sound.reduce((sum, one) => sum + one.length, 0);
    while (length() - this.sound[0].length >= BEFORE_S * RATE) this.sound.shift();
  }
}
