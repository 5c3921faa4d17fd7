// Sound as it comes, live or from a long recording: speech found, and answered.

import { RATE, Resampler, asFloats, checkRate } from "./audio.js";
import { rounded } from "./checks.js";
import { cleaned } from "./cleaning.js";
import { placed, smoothed } from "./prediction.js";
import { Activity, SEGMENT_S, Said } from "./vad.js";

const INTERVAL_S = 0.5; // default of the seconds of speech between decisions
const HALF_LIFE_S = 0.5; // of speech, in which the say of an interim decision in later ones halves
const BLOCK_S = 1; // at most, that is taken in at a time: memory does not grow with what is fed

/** @typedef {import("./baseline.js").Baseline} Baseline */
/** @typedef {import("./prediction.js").Prediction} Prediction */

/**
 * @typedef {object} StreamOptions
 * @property {number | null} [interval_s] Seconds of speech between interim decisions, 0.1 to 10;
 *   null for final ones alone.
 * @property {Baseline | null} [baseline] What was heard of this speaker before.
 * @property {boolean} [learn] Whether the baseline learns from each final segment.
 * @property {number} [max_segment_s] The longest segment, 1 to 60 s.
 */

/** One live session: what was said so far, and the speaker's baseline. Calls wait for one another. */
export class Stream {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./network.js").Network} voice Silero's.
   * @param {number} [rate] Of what is fed, 1,000 to 768,000 Hz.
   * @param {StreamOptions} [options]
   */
  constructor(model, voice, rate = RATE, options = {}) {
    const { interval_s = INTERVAL_S, baseline, learn = true, max_segment_s = SEGMENT_S } = options;
    this.model = model;
    this.voice = voice;
    this.rate = checkRate(rate);
    this.learn = learn;
    /** @type {{interval_s: number | null, max_segment_s: number}} */
    this.options = { interval_s, max_segment_s };
    /** @type {Promise<unknown>} */
    this.working = Promise.resolve();
    this.nFed = 0; // samples at the rate of what is fed
    /** @type {[number, number | null] | null} */
    this.latest = null; // speech, before the last flush
    this.said = new Said();
    /** @type {Baseline} */
    this.learned = baseline ?? model.newBaseline();
    model.checkBaseline(this.learned);
    this.beforeTurn = this.learned;
    this.originS = 0; // second at which the utterances since the last flush began
    this.resampler = new Resampler(rate);
    this.activity = new Activity(voice, this.options);
    /** @type {Prediction | null} */
    this.before = null; // the latest interim decision
  }

  /** What was heard of the speaker so far. */
  get baseline() {
    return this.learned;
  }

  /** @param {Baseline} baseline */
  setBaseline(baseline) {
    this.model.checkBaseline(baseline);
    this.learned = this.beforeTurn = baseline;
  }

  /**
   * Set the seconds of speech between interim decisions from now on; null: make none.
   * @param {number | null} interval_s
   */
  decideEvery(interval_s) {
    this.activity.decideEvery(interval_s);
    this.options.interval_s = interval_s;
  }

  /** Seconds of audio fed so far. */
  get seconds() {
    return this.nFed / this.rate;
  }

  /** Whether somebody is speaking. */
  get speaking() {
    return this.activity.speaking;
  }

  /** Second at which the current or latest utterance began; null before the first. */
  get speechStart() {
    return this.speech()?.[0] ?? null;
  }

  /** Second at which the latest utterance ended; null while somebody speaks. */
  get speechEnd() {
    return this.speech()?.[1] ?? null;
  }

  /**
   * Take in more audio; return the predictions that it completes, in the order spoken.
   * @param {Parameters<typeof asFloats>[0]} samples Mono at the stream's rate.
   * @returns {Promise<Prediction[]>}
   */
  async feed(samples) {
    const block = asFloats(samples);
    return await this.alone(async () => {
      const answers = [];
      for (let at = 0; at < block.length; at += BLOCK_S * this.rate) {
        const second = block.subarray(at, at + BLOCK_S * this.rate);
        answers.push(...(await this.answers(await this.cut(second))));
      }
      return answers;
    });
  }

  /**
   * End the utterance and return what is left; what is fed next begins a new one.
   * @returns {Promise<Prediction[]>}
   */
  flush() {
    return this.alone(async () => {
      const segments = await this.cut(new Float32Array(0), true);
      const answers = await this.answers([...segments, ...(await this.activity.flush())]);
      this.latest = this.speech();
      this.originS = this.seconds;
      this.resampler = new Resampler(this.rate);
      this.activity = new Activity(this.voice, this.options);
      this.before = null;
      return answers;
    });
  }

  /**
   * Return the answer to all that was said since the last call, as to one recording; null if
   * nobody has spoken.
   * @returns {Promise<Prediction | null>}
   */
  turn() {
    return this.alone(async () => {
      const said = this.said.speech(await this.activity.pending(), this.origin);
      this.said.begin(this.origin + this.activity.nSamples);
      if (said === null) return null;
      const { speech, first } = said;
      // With the baseline from before the turn, whose segments have been learned by now.
      const baseline = this.beforeTurn;
      this.beforeTurn = this.learned;
      const { prediction } = await this.model.hear(speech.samples, baseline);
      return placed(prediction, 0, speech.seconds, first / RATE);
    });
  }

  /**
   * Run a call when those before it are done.
   * @template T
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  alone(call) {
    const work = this.working.then(call);
    this.working = work.catch(() => {});
    return work;
  }

  /** The sample at 16 kHz with which the activity's own count begins. */
  get origin() {
    return Math.round(this.originS * RATE);
  }

  /**
   * Take in a block; return the segments that an answer is due on.
   * @param {Float32Array} block
   * @param {boolean} [last]
   */
  cut(block, last = false) {
    this.nFed += block.length;
    return this.activity.feed(this.resampler.take(block, last));
  }

  /** @returns {[number, number | null] | null} */
  speech() {
    const { latest } = this.activity;
    if (latest === null) return this.latest;
    const [start, end] = latest;
    const at = (/** @type {number} */ sample) => rounded(this.originS + sample / RATE);
    return [at(start), end === null ? null : at(end)];
  }

  /** @param {import("./vad.js").Segment[]} segments */
  async answers(segments) {
    const answers = [];
    for (const segment of segments)
      answers.push(await (segment.final ? this.final(segment) : this.interim(segment)));
    return answers;
  }

  /** @param {import("./vad.js").Segment} segment */
  async final(segment) {
    this.said.add(segment, this.origin);
    const { prediction, windows } = await this.model.hear(cleaned(segment.audio), this.learned);
    if (this.learn) this.learned = this.learned.after(windows);
    if (this.origin + segment.start < this.said.start) this.beforeTurn = this.learned;
    return placed(prediction, segment.start / RATE, segment.end / RATE, this.originS);
  }

  /** @param {import("./vad.js").Segment} segment */
  async interim(segment) {
    const { prediction } = await this.model.hear(cleaned(segment.audio), this.learned);
    const now = { ...placed(prediction, segment.start / RATE, segment.end / RATE, this.originS), final: false };
    const kept = 0.5 ** ((this.options.interval_s ?? INTERVAL_S) / HALF_LIFE_S);
    const { threshold } = this.model.card;
    const { before } = this;
    this.before = before && !segment.first ? smoothed(now, before, kept, threshold) : now;
    return this.before;
  }
}
