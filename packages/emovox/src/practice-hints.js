// How close a take came to an aim, and the one hint that it gets.

import { missing, reached } from "./practice-aims.js";
import { roundTo } from "./prosody.js";

/** @type {Record<string, number>} */
const ROUNDED = { tempo: 5, pauses: 5 }; // percent that amounts are rounded to in words; else 1

/**
 * How a take differs from the usual voice, by dimension; null where it could not be measured.
 * @typedef {Record<string, number | null>} Changes
 */

/**
 * What to change, by how much: `by` in the unit of the dimension, below 0 for less of it.
 * @typedef {{dimension: string, by: number, unit: string, text: string}} Hint
 */

/** @typedef {import("./prosody.js").Prosody} Prosody */

/**
 * Return how a take differs from the usual voice.
 * @param {Prosody} take
 * @param {Prosody} usual
 * @returns {Changes}
 */
export function changesOf(take, usual) {
  const { rate_hz: now } = take;
  const { rate_hz: before } = usual;
  return {
    pitch: less(take.pitch_st, usual.pitch_st),
    range: less(take.pitch_range_st, usual.pitch_range_st),
    loudness: take.level_db - usual.level_db,
    tempo: now !== null && before ? 100 * (now / before - 1) : null,
    pauses: 100 * (take.pause_share - usual.pause_share),
  };
}

/**
 * @param {number | null} now
 * @param {number | null} before
 */
const less = (now, before) => (now === null || before === null ? null : now - before);

/**
 * Return how close a take came: 0 as the person's usual voice, 1 all the way; null where nothing
 * that the aim names could be measured.
 * @param {Changes} changes
 * @param {import("./practice-aims.js").Aim} aim
 */
export function closeness(changes, { wanted }) {
  let [sum, weights] = [0, 0];
  for (const [name, one] of Object.entries(wanted)) {
    const change = changes[name] ?? null;
    if (change === null) continue;
    const weight = Math.abs(one.by) / one.spread;
    sum += reached(one, change) * weight;
    weights += weight;
  }
  return weights ? sum / weights : null;
}

/**
 * Return how close a take came by both: the mean of what was measured and the model's score.
 * @param {number | null} measured
 * @param {number} score
 */
export const blended = (measured, score) => (measured === null ? score : (measured + score) / 2);

/**
 * Return the hint for a take: the dimension in which most of its spreads are missing; null where
 * nothing is missing that would be noticed.
 * @param {Changes} changes
 * @param {import("./practice-aims.js").Aim} aim
 * @param {import("./practice-aims.js").Choices["hints"]} dimensions
 * @returns {Hint | null}
 */
export function hintOf(changes, { wanted }, dimensions) {
  let [most, found] = [-1, /** @type {Hint | null} */ (null)];
  for (const [name, one] of Object.entries(wanted)) {
    const change = changes[name] ?? null;
    if (change === null) continue;
    const by = missing(one, change);
    const spreads = Math.abs(by) / one.spread;
    if (Math.abs(by) < dimensions[name].step || spreads <= most) continue;
    [most, found] = [spreads, hint(name, by, dimensions[name])];
  }
  return found;
}

/**
 * @param {string} name
 * @param {number} by
 * @param {{unit: string, more: string, less: string}} dimension
 * @returns {Hint}
 */
function hint(name, by, { unit, more, less }) {
  const step = ROUNDED[name] ?? 1;
  const amount = Math.max(1, nearest(Math.abs(by) / step)) * step;
  const text = `${by > 0 ? more : less}, by about ${amount} ${unit}`;
  return { dimension: name, by: roundTo(by, 2), unit, text };
}

/**
 * Round as Python does: halves go to the even number.
 * @param {number} value
 */
function nearest(value) {
  const upper = Math.round(value);
  return upper - value === 0.5 && upper % 2 ? upper - 1 : upper;
}
