// A speaker's own usual voice: a running mean of embeddings, learned without labels.

import { checkKeys, isNumber, oneLine, parsed, shown } from "./checks.js";
import { BaselineError } from "./errors.js";

const SCHEMA = 1;
const MAX_EMBEDDING = 1e6;
const MAX_SECONDS = 1e9; // seconds: 30 years
const ROUNDING = 1e-6; // share by which sums of many clips may be off
const KEYS = ["schema", "model", "name", "seconds", "total"];

/**
 * What a model heard in a window of a clip.
 * @typedef {{embedding: ArrayLike<number>, seconds: number}} Window
 */

/** What was heard of one speaker. Nothing changes it: `learned` returns another. It holds no audio. */
export class Baseline {
  /**
   * @param {string} model Fingerprint of the model file, the only one it is good for.
   * @param {ArrayLike<number>} total The sum of the embeddings heard, each times its seconds.
   * @param {number} seconds Seconds of sound heard.
   * @param {string} [name] Of the speaker; for people alone.
   */
  constructor(model, total, seconds, name = "") {
    expect(typeof model === "string", "model", model);
    expect(typeof name === "string", "name", name);
    expect(isNumber(seconds) && 0 <= seconds && seconds <= MAX_SECONDS, "seconds", seconds);
    const numbers = Array.from(total);
    expect(numbers.length > 0 && numbers.every(isNumber), "total", total);
    const most = seconds * MAX_EMBEDDING * (1 + ROUNDING);
    if (!numbers.every((one) => Math.abs(one) <= most))
      throw new BaselineError(`the total of a baseline does not fit its ${seconds} s of sound`);
    this.model = model;
    this.total = Object.freeze(numbers);
    this.seconds = seconds;
    this.name = name;
    Object.freeze(this);
  }

  /**
   * Return a baseline that has heard one clip more.
   * @param {ArrayLike<number>} embedding What the model's graph gave for the clip.
   * @param {number} seconds Seconds of sound in it, above 0.
   */
  learned(embedding, seconds) {
    const { total } = this;
    const fits = Array.from(embedding).every((one) => Math.abs(one) <= MAX_EMBEDDING);
    if (embedding.length !== total.length || !fits)
      throw new BaselineError(
        `expected an embedding of ${total.length} numbers up to ${MAX_EMBEDDING}, got ` +
          `${embedding.length}`,
      );
    if (!(isNumber(seconds) && seconds > 0))
      throw new BaselineError(`expected more than 0 seconds of sound, got ${shown(seconds)}`);
    const sum = total.map((one, k) => one + seconds * embedding[k]);
    return new Baseline(this.model, sum, this.seconds + seconds, this.name);
  }

  /**
   * Return a baseline that has heard the windows of one clip more.
   * @param {Window[]} windows
   */
  after(windows) {
    /** @type {Baseline} */
    let baseline = this;
    for (const { embedding, seconds } of windows) baseline = baseline.learned(embedding, seconds);
    return baseline;
  }

  /**
   * Return what the graph is fed: (k m + sum of s e) / (k + sum of s).
   * @param {readonly number[]} mean m, the card's `baseline`.
   * @param {number} priorSeconds k, the card's `baseline_seconds`.
   */
  vector(mean, priorSeconds) {
    const weight = priorSeconds + this.seconds;
    return Float32Array.from(
      this.total,
      (one, k) => (priorSeconds / weight) * mean[k] + one / weight,
    );
  }

  /** Return the baseline as JSON carries it; Python reads the same. */
  toJSON() {
    const { model, name, seconds, total } = this;
    return { schema: SCHEMA, model, name, seconds, total };
  }

  /**
   * Read a baseline, as JSON text or as the object in it.
   * @param {unknown} data
   */
  static from(data) {
    if (data instanceof Baseline) return data;
    const object = typeof data === "string" ? parsed(data, "baseline", BaselineError) : data;
    const fields = checkKeys(object, KEYS, "baseline", BaselineError);
    if (fields.schema !== SCHEMA)
      throw new BaselineError(
        `expected a baseline of schema ${SCHEMA}, got ${shown(fields.schema)}; ` +
          "it was made by another version of emovox",
      );
    expect(Array.isArray(fields.total), "total", fields.total);
    return new Baseline(fields.model, fields.total, fields.seconds, fields.name);
  }

  /** Return the speaker's name for messages. */
  get whose() {
    return oneLine(this.name) || "a speaker";
  }
}

/**
 * @param {boolean} fits
 * @param {string} key
 * @param {unknown} value
 */
function expect(fits, key, value) {
  if (!fits) throw new BaselineError(`the baseline's ${key} is of a wrong kind: ${shown(value)}`);
}
