// Aims of an exercise: an emotion, by what people change for it; a loudness; a pitch.

import { shown } from "./checks.js";
import { ConfigError } from "./errors.js";

/** @type {Record<string, {unit: string, tolerance: number, largest: number}>} */
const EXACT = {
  loudness: { unit: "dB", tolerance: 2, largest: 20 },
  pitch: { unit: "st", tolerance: 1, largest: 12 },
};
/** @type {Record<string, string>} */
const DIRECTIONS = { up: "+3st", down: "-3st" };

/**
 * A change that is aimed at, in the dimension's unit: `low` to `high` count as reached; null is
 * no bound.
 * @typedef {{by: number, low: number | null, high: number | null, spread: number}} Wanted
 */

/** @typedef {{target: string, emotion: string | null, wanted: Record<string, Wanted>}} Aim */

/**
 * What can be practised: `device/practice.json`, which `emovox page` writes.
 * @typedef {object} Choices
 * @property {(Aim & {recognised: boolean, measured: boolean})[]} targets
 * @property {Record<string, string>} dimensions Their units.
 * @property {string[]} sentences
 * @property {number} usual_seconds Of speech in a usual voice.
 * @property {Record<string, {unit: string, step: number, more: string, less: string}>} hints
 */

/** @typedef {{target: string} | {loudness: string} | {pitch: string}} Asked */

/**
 * Return the aim that is asked for: `{ target: "happy" }`, `{ loudness: "6dB" }`, `{ pitch: "up" }`.
 * @param {Asked} asked
 * @param {Choices} choices
 * @returns {Aim}
 */
export function aimOf(asked, { targets }) {
  const entries = Object.entries(asked ?? {});
  const [kind, word] = entries[0] ?? [];
  if (entries.length !== 1 || !["target", ...Object.keys(EXACT)].includes(kind) || typeof word !== "string")
    throw new ConfigError(`expected one of target, loudness, pitch, got ${shown(asked)}`);
  if (kind !== "target") return exact(kind, word);
  const found = targets.find(({ target }) => target === word.trim().toLowerCase());
  const known = targets.map(({ target }) => target).join(", ");
  if (!found) throw new ConfigError(`expected a target of ${known}; got ${shown(word)}`);
  const { target, emotion, wanted } = found;
  return { target, emotion, wanted };
}

/**
 * Aim at a change of one dimension, within a tolerance.
 * @param {string} name
 * @param {string} given
 * @returns {Aim}
 */
function exact(name, given) {
  const { unit, tolerance, largest } = EXACT[name];
  const word = given.trim().toLowerCase();
  const text = name === "pitch" ? (DIRECTIONS[word] ?? word) : word;
  const match = new RegExp(`^([+-]?\\d+(?:\\.\\d+)?)\\s*${unit}$`, "i").exec(text);
  const by = Number(match?.[1] ?? 0);
  if (!(tolerance < Math.abs(by) && Math.abs(by) <= largest))
    throw new ConfigError(
      `expected a ${name} of more than ${tolerance} and at most ${largest} ${unit} above or ` +
        `below your usual, such as +3${unit}; got ${shown(given)}`,
    );
  const wanted = { by, low: by - tolerance, high: by + tolerance, spread: tolerance };
  return { target: `${name} ${by > 0 ? "+" : ""}${by} ${unit}`, emotion: null, wanted: { [name]: wanted } };
}

/**
 * Refuse an aim that neither measurements nor the model can judge.
 * @param {Aim} aim
 * @param {string[] | null} labels That the model knows; null where it is not asked.
 */
export function checkAim({ target, emotion, wanted }, labels) {
  if (labels === null && !Object.keys(wanted).length)
    throw new ConfigError(
      `people do not agree in how they change their voice for '${target}', so it cannot be ` +
        "measured; practise it with emotion recognition",
    );
  if (labels && emotion && !labels.includes(emotion))
    throw new ConfigError(
      `the model does not know '${emotion}', only ${labels.join(", ")}; ` +
        "without emotion recognition it can be practised if people agree in it",
    );
}

/**
 * Return how far a change goes: 1 within the bounds, 0 at none and at twice too much.
 * @param {Wanted} wanted
 * @param {number} change
 */
export function reached(wanted, change) {
  const { by, low, high } = bounds(wanted);
  if (low <= change && change <= high) return 1;
  const [near, far] = by > 0 ? [low, high] : [high, low];
  const isTooMuch = by > 0 ? change > high : change < low;
  const share = isTooMuch ? 1 - Math.abs(change - far) / Math.abs(by) : change / near;
  return Math.min(1, Math.max(0, share));
}

/**
 * Return by how much a change has to be greater (or smaller, below 0) to be the one wanted.
 * @param {Wanted} wanted
 * @param {number} change
 */
export function missing(wanted, change) {
  const { by, low, high } = bounds(wanted);
  return low <= change && change <= high ? 0 : by - change;
}

/** @param {Wanted} wanted */
const bounds = ({ by, low, high }) => ({ by, low: low ?? -Infinity, high: high ?? Infinity });
