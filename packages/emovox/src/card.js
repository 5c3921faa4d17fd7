// The model card: what a model file says of itself, strictly checked.

import { checkKeys, isNumber, parsed, shown } from "./checks.js";
import { ModelError } from "./errors.js";

const SCHEMA = 2;
const RATE = 16000; // Hz
const MAX_LABEL = 40; // characters
const LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{N} .'+]*[\p{L}\p{N}])?$/u;
const MAX_EMBEDDING = 1e6;
const RANGES = { temperature: [0.01, 100], threshold: [0, 1], window_s: [0.1, 3600] };
const KEYS = [
  "schema", "name", "labels", "features", "rate", "window_s", "temperature", "threshold",
  "baseline", "baseline_seconds", "corpora", "protocol", "figures", "notes", "licence",
  "emovox_version", "code_revision",
];
const OPTIONAL = ["merged"]; // older cards have no such key
const TEXTS = ["name", "protocol", "notes", "licence", "emovox_version", "code_revision"];

/**
 * @typedef {object} Card
 * @property {number} schema
 * @property {string} name
 * @property {string[]} labels What the columns of the logits mean.
 * @property {Record<string, unknown>} features For the record: they are in the graph.
 * @property {number} rate Hz; always 16,000.
 * @property {number} window_s A longer clip is cut into equal windows no longer than this.
 * @property {number} temperature The logits are divided by it before the softmax.
 * @property {number} threshold Below this score a prediction is not certain.
 * @property {number[]} baseline The baseline of an unknown speaker.
 * @property {number} baseline_seconds Seconds of a voice that weigh as much as `baseline`.
 * @property {{name: string, title: string, licence: string, utterances: number, speakers: number}[]} corpora
 * @property {string} protocol
 * @property {Record<string, number>} figures
 * @property {string} notes
 * @property {string} licence
 * @property {string} emovox_version
 * @property {string} code_revision
 * @property {Record<string, string>} [merged] The label that each of some words counted as.
 */

/**
 * Read a card.
 * @param {string} text
 * @returns {Card}
 */
export function readCard(text) {
  const data = parsed(text, "model card", ModelError);
  const card = checkKeys(data, KEYS, "model card", ModelError, OPTIONAL);
  if (card.schema !== SCHEMA)
    throw new ModelError(
      `expected a card of schema ${SCHEMA}, got ${shown(card.schema)}; ` +
        "the model was made by another version of emovox",
    );
  for (const name of TEXTS) expect(card, name, typeof card[name] === "string");
  const { labels, baseline, baseline_seconds, merged = {} } = card;
  expect(card, "labels", Array.isArray(labels) && new Set(labels).size === labels.length);
  expect(card, "labels", labels.length > 1 && labels.every(isLabel));
  const words = merged !== null && typeof merged === "object" && !Array.isArray(merged);
  expect(card, "merged", words && Object.values(merged).every((one) => typeof one === "string"));
  expect(card, "rate", card.rate === RATE);
  for (const [name, [least, most]] of Object.entries(RANGES))
    expect(card, name, isNumber(card[name]) && least <= card[name] && card[name] <= most);
  expect(card, "baseline_seconds", isNumber(baseline_seconds) && baseline_seconds > 0);
  expect(card, "baseline", Array.isArray(baseline) && baseline.every(isEmbedded));
  return Object.freeze(/** @type {Card} */ (card));
}

/** @param {unknown} one */
const isLabel = (one) =>
  typeof one === "string" && [...one].length <= MAX_LABEL && one === one.toLowerCase() &&
  !one.includes("  ") && LABEL.test(one);

/** @param {unknown} value */
const isEmbedded = (value) => isNumber(value) && Math.abs(value) <= MAX_EMBEDDING;

/**
 * @param {Record<string, unknown>} card
 * @param {string} name
 * @param {boolean} fits
 */
function expect(card, name, fits) {
  if (!fits)
    throw new ModelError(`the model card's ${name} is not as expected: ${shown(card[name])}`);
}
