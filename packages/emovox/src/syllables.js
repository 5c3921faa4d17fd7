// Syllables, counted by their nuclei: peaks of loudness that are voiced.

import { HOP } from "./pitch.js";

const DIP_DB = 2; // that the level has to fall before another nucleus
export const FAINT_DB = 25; // below the loudest frames: no nucleus is as faint
export const LOUDEST = 99; // percentile of the frames that counts as the loudest
const REACH = 3; // frames on both sides that a level is smoothed with
const SMOOTHING = Array.from(
  { length: 2 * REACH + 1 }, // Hann's window; it sums to 1
  (_, k) => (1 - Math.cos((Math.PI * (k + 1)) / (REACH + 1))) / (2 * REACH + 2),
);

/**
 * Return the smoothed level every 10 ms in dB of full scale, as many as pitch is tracked.
 * @param {Float32Array} clip Mono at 16 kHz.
 */
export function levelsDb(clip) {
  const powers = new Float64Array(Math.floor(clip.length / HOP) + 1);
  for (let k = 0; k < clip.length; k++) {
    const frame = Math.floor((k + HOP / 2) / HOP);
    if (frame < powers.length) powers[frame] += (clip[k] * clip[k]) / HOP;
  }
  const last = powers.length - 1;
  return powers.map((_, frame) => {
    const smooth = SMOOTHING.reduce(
      (sum, share, k) => sum + share * powers[Math.min(last, Math.max(0, frame + k - REACH))],
      0,
    );
    return 10 * Math.log10(Math.max(smooth, 1e-12));
  });
}

/**
 * Return the number of syllable nuclei (de Jong & Wempe 2009).
 * @param {Float64Array} levels
 * @param {Float64Array} pitchHz As many.
 */
export function countNuclei(levels, pitchHz) {
  if (levels.length < 3) return 0;
  const floor = percentile(levels, LOUDEST) - FAINT_DB;
  /** @type {number[]} */
  const found = [];
  for (let k = 1; k < levels.length - 1; k++) {
    if (!(levels[k] > levels[k - 1] && levels[k] >= levels[k + 1] && levels[k] > floor)) continue;
    const before = found.length - 1;
    if (before < 0 || dip(levels, found[before], k) >= DIP_DB) found.push(k);
    else if (levels[k] > levels[found[before]]) found[before] = k;
  }
  return found.filter((frame) => !Number.isNaN(pitchHz[frame])).length;
}

/**
 * Return by how much the level falls between two peaks, below the lower one.
 * @param {Float64Array} levels
 * @param {number} before
 * @param {number} after
 */
function dip(levels, before, after) {
  const lowest = levels.subarray(before, after + 1).reduce((least, one) => Math.min(least, one));
  return Math.min(levels[before], levels[after]) - lowest;
}

/**
 * Return a percentile, between two values by a straight line.
 * @param {Float64Array} values At least one.
 * @param {number} percent
 */
export function percentile(values, percent) {
  const sorted = values.slice().sort();
  const place = (percent / 100) * (sorted.length - 1);
  const at = Math.floor(place);
  const next = sorted[Math.min(at + 1, sorted.length - 1)];
  return sorted[at] + (place - at) * (next - sorted[at]);
}
