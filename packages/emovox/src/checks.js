// JSON and numbers from outside, checked before anything is made of them.

import { ConfigError } from "./errors.js";

/**
 * Return an object that has these keys and no other, or throw an error of this kind. Those that are
 * optional may be missing.
 * @param {unknown} data
 * @param {readonly string[]} names
 * @param {string} what
 * @param {new (message: string) => Error} Kind
 * @param {readonly string[]} optional
 * @returns {Record<string, any>}
 */
export function checkKeys(data, names, what, Kind, optional = []) {
  if (typeof data !== "object" || data === null || Array.isArray(data))
    throw new Kind(`expected a ${what} with keys, got ${kindOf(data)}`);
  const missing = names.filter((name) => !Object.hasOwn(data, name));
  if (missing.length) throw new Kind(`the ${what} lacks ${missing.sort().join(", ")}`);
  const known = [...names, ...optional];
  const unknown = Object.keys(data).filter((name) => !known.includes(name));
  if (unknown.length)
    throw new Kind(
      `the ${what} has unknown keys: ${oneLine(unknown.sort().join(", ")).slice(0, 200)}; ` +
        "it may need a newer version of emovox",
    );
  return data;
}

/**
 * Return what JSON text holds, or throw an error of this kind.
 * @param {string} text
 * @param {string} what
 * @param {new (message: string) => Error} Kind
 * @returns {unknown}
 */
export function parsed(text, what, Kind) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Kind(`the ${what} is not JSON: ${oneLine(String(error)).slice(0, 200)}`);
  }
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * Refuse a setting in seconds that is out of range.
 * @param {string} name
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 * @returns {number}
 */
export function checkSeconds(name, value, least, most) {
  if (isNumber(value) && least <= value && value <= most) return value;
  throw new ConfigError(`expected ${name} of ${least} to ${most} seconds, got ${shown(value)}`);
}

/** @param {unknown} value */
export function kindOf(value) {
  if (value === null || value === undefined) return `${value}`;
  return /** @type {object} */ (value).constructor?.name ?? typeof value;
}

/** @param {unknown} value */
export const shown = (value) => oneLine(JSON.stringify(value) ?? String(value)).slice(0, 60);

/** @param {string} text */
export const oneLine = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");

/**
 * Round a time, as JSON carries it.
 * @param {number} seconds
 */
export const rounded = (seconds) => Math.round(seconds * 1e4) / 1e4;
