// How loud the speech in a clip is, and one level for all that a model hears.

import { RATE } from "./audio.js";

const LEVEL_DB = -26; // of full scale, the level of all speech that a model hears
const QUIET_DB = -55; // below it a microphone's own noise is heard more than the voice
/** @type {Record<string, string>} */
export const ADVICE = {
  "too quiet": "move closer or raise the microphone's level",
  "too loud": "move away or lower it",
};
const EDGE = Math.fround(0.025); // amplitude at that level: the first sample as loud begins the speech
const MARGIN = RATE / 10; // samples (0.1 s) kept on both sides
const FRAME = RATE / 100; // samples, 10 ms
const ACTIVE = 10 ** -1.6; // a frame 16 dB below the level of the speech is a pause
const STEPS = 4; // of the fixed point
const LEAST = 1e-12; // of power, so that silence has a level
const [FULL, CUT_OFF] = [0.98, 1e-3]; // more samples than this share above it sound distorted

/**
 * Return the mean level of the frames that hold speech, in dB of full scale.
 * @param {Float32Array} clip Mono at 16 kHz.
 */
export function speechLevelDb(clip) {
  const powers = new Float64Array(Math.ceil(clip.length / FRAME));
  clip.forEach((value, k) => (powers[Math.floor(k / FRAME)] += (value * value) / FRAME));
  let level = mean(powers);
  for (let step = 0; step < STEPS; step++)
    level = mean(powers.filter((power) => power >= level * ACTIVE));
  return 10 * Math.log10(Math.max(level, LEAST));
}

/** @param {Float64Array} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Return a clip with its speech at -26 dB of full scale.
 * @param {Float32Array} clip
 * @param {number} levelDb Of its speech.
 */
export function levelled(clip, levelDb) {
  const gain = Math.fround(10 ** ((LEVEL_DB - levelDb) / 20));
  return clip.map((value) => value * gain);
}

/**
 * Cut a clip a tenth of a second before its first and after its last loud sample.
 * @param {Float32Array} clip At one level.
 */
export function withoutEdges(clip) {
  const first = clip.findIndex(isLoud);
  if (first < 0) return clip.subarray(0, 0);
  return clip.subarray(Math.max(0, first - MARGIN), clip.findLastIndex(isLoud) + 1 + MARGIN);
}

/** @param {number} value */
const isLoud = (value) => Math.abs(value) >= EDGE;

/**
 * Tell whether speech is "too quiet" or "too loud" to be judged well, else "good".
 * @param {Float32Array} clip
 * @param {number} levelDb
 */
export function judgeLevel(clip, levelDb) {
  if (levelDb < QUIET_DB) return "too quiet";
  let nCutOff = 0;
  for (const value of clip) if (Math.abs(value) >= FULL) nCutOff += 1;
  return nCutOff / clip.length > CUT_OFF ? "too loud" : "good";
}
