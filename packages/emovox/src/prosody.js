// Prosody: pitch, loudness, tempo and pauses, measured; nothing is inferred from them.

import { NOISE_FLOOR, RATE, asFloats } from "./audio.js";
import { AudioError } from "./errors.js";
import { speechLevelDb } from "./loudness.js";
import { HOP, trackPitch } from "./pitch.js";
import { FAINT_DB, LOUDEST, countNuclei, levelsDb, percentile } from "./syllables.js";

const REFERENCE_HZ = 27.5; // of semitones, A0
const LEAST_VOICED = 10; // frames (0.1 s), fewer of which tell no pitch
const LEAST_SPEECH_S = 0.5; // which tells a rate
const PAUSE = 25; // frames (0.25 s) of it are a pause, fewer a stop consonant
const [QUIETEST, ABOVE_DB, BELOW_DB] = [5, 4, 8]; // percentile; above it is sound; below the loudest
const NOISE_DB = 20 * Math.log10(NOISE_FLOOR); // of full scale: silence, too
const HOP_S = HOP / RATE;

/**
 * Measurements of a stretch of speech: of the voice, not of an emotion.
 * @typedef {object} Prosody
 * @property {number | null} pitch_st Median, in semitones above 27.5 Hz; null for less than 0.1 s of voice.
 * @property {number | null} pitch_range_st From the 10th to the 90th percentile.
 * @property {number} level_db Of the speech as it was recorded, in dB of full scale.
 * @property {number | null} rate_hz Syllables a second, pauses left out; null for less than 0.5 s.
 * @property {number} pause_share Share of pauses of 0.25 s and more, 0 to 1.
 * @property {number} voiced_share Share of the speech that has a pitch, 0 to 1.
 */

/**
 * Measure the prosody of a stretch of speech.
 * @param {Parameters<typeof asFloats>[0]} audio Mono at 16 kHz, as recorded: a segment, from one
 *   pause to the next.
 * @param {number} [pausesS] Seconds of pauses that were cut out of it, and count as such.
 * @returns {Prosody}
 */
export function measure(audio, pausesS = 0) {
  const samples = asFloats(audio);
  if (!samples.length) throw new AudioError("expected audio, got zero samples");
  const levels = levelsDb(samples);
  const { first, paused } = stretch(levels);
  const end = first + paused.length;
  const pitchHz = trackPitch(samples).subarray(first, end);
  const nSpeech = paused.filter((one) => !one).length;
  const [speechS, wholeS] = [nSpeech * HOP_S, paused.length * HOP_S + pausesS];
  const nVoiced = paused.filter((one, k) => !one && !Number.isNaN(pitchHz[k])).length;
  const nSyllables = countNuclei(levels.subarray(first, end), pitchHz);
  return {
    ...pitchOf(pitchHz.filter((hertz) => !Number.isNaN(hertz))),
    level_db: roundTo(speechLevelDb(samples), 1),
    rate_hz: speechS >= LEAST_SPEECH_S ? roundTo(nSyllables / speechS, 3) : null,
    pause_share: wholeS ? roundTo(1 - speechS / wholeS, 4) : 1,
    voiced_share: roundTo(nSpeech ? nVoiced / nSpeech : 0, 4),
  };
}

/**
 * Return how far a pitch lies above 27.5 Hz, in semitones.
 * @param {number} hertz
 */
export const semitones = (hertz) => 12 * Math.log2(hertz / REFERENCE_HZ);

/**
 * Round the number as it is, not ten times it, as Python does.
 * @param {number} value
 * @param {number} nDigits
 */
export const roundTo = (value, nDigits) => Number(value.toFixed(nDigits)) + 0;

/** @param {Float64Array} hertz Of the voiced frames. */
function pitchOf(hertz) {
  if (hertz.length < LEAST_VOICED) return { pitch_st: null, pitch_range_st: null };
  const [low, median, high] = [10, 50, 90].map((percent) => percentile(hertz.map(semitones), percent));
  return { pitch_st: roundTo(median, 3), pitch_range_st: roundTo(high - low, 3) };
}

/**
 * Return the first frame that is not silent, and for each from there to the last whether it is in
 * a pause.
 * @param {Float64Array} levels
 * @returns {{first: number, paused: boolean[]}}
 */
function stretch(levels) {
  const [noise, loudest] = [QUIETEST, LOUDEST].map((percent) => percentile(levels, percent));
  const floor = Math.max(loudest - FAINT_DB, Math.min(noise + ABOVE_DB, loudest - BELOW_DB));
  const isSound = (/** @type {number} */ level) => level >= floor;
  if (!levels.some((level) => level >= NOISE_DB)) return { first: 0, paused: [] };
  const [first, last] = [levels.findIndex(isSound), levels.findLastIndex(isSound)];
  /** @type {boolean[]} */
  const paused = new Array(last + 1 - first).fill(false);
  for (let k = first, sounded = first; k <= last; k++) {
    if (!isSound(levels[k])) continue;
    if (k - sounded > PAUSE) paused.fill(true, sounded + 1 - first, k - first);
    sounded = k;
  }
  return { first, paused };
}
