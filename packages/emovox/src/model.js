// The model file, opened: a clip in, its prediction and what was heard in its windows out.

import { RATE, checkAudible } from "./audio.js";
import { Baseline } from "./baseline.js";
import { readCard } from "./card.js";
import { rounded } from "./checks.js";
import { BaselineError, ModelError } from "./errors.js";
import { judgeLevel, levelled, speechLevelDb, withoutEdges } from "./loudness.js";
import { metadata } from "./metadata.js";
import { Network, contentOf, reason } from "./network.js";
import { best } from "./prediction.js";

const METADATA_KEY = "emovox_card";

/** @typedef {import("./prediction.js").Prediction} Prediction */

export class Model {
  /**
   * @param {Network} network
   * @param {import("./card.js").Card} card
   * @param {string} fingerprint
   */
  constructor(network, card, fingerprint) {
    this.network = network;
    this.card = card;
    this.fingerprint = fingerprint;
  }

  /**
   * Open a model file.
   * @param {import("./network.js").Runtime} ort
   * @param {import("./network.js").Source} source
   */
  static async open(ort, source) {
    const content = await contentOf(source);
    const card = metadata(content).get(METADATA_KEY);
    if (card === undefined)
      throw new ModelError("not a model of emovox: the file holds no model card");
    const checked = readCard(card);
    return new Model(await Network.open(ort, content), checked, await fingerprint(content));
  }

  /**
   * Return the baseline of a speaker of whom nothing was heard yet.
   * @param {string} [name]
   */
  newBaseline(name = "") {
    return new Baseline(this.fingerprint, this.card.baseline.map(() => 0), 0, name);
  }

  /**
   * Refuse a baseline that this model cannot use.
   * @param {Baseline} baseline
   */
  checkBaseline(baseline) {
    const { card, fingerprint } = this;
    if (baseline.model !== fingerprint)
      throw new BaselineError(
        `the baseline of ${baseline.whose} was learned with another model, this is ${card.name} ` +
          `(${fingerprint}); learn it again with this model, or use the other`,
      );
    if (baseline.total.length !== card.baseline.length)
      throw new BaselineError(
        `expected a baseline of ${card.baseline.length} numbers, got ${baseline.total.length}`,
      );
  }

  /**
   * Recognise a clip, in which somebody speaks, and return what to learn from it.
   * @param {Float32Array} clip Mono at 16 kHz, cleaned, and the speech alone.
   * @param {Baseline | null} baseline
   * @returns {Promise<{prediction: Prediction, windows: import("./baseline.js").Window[]}>}
   */
  async hear(clip, baseline) {
    checkAudible(clip);
    const levelDb = speechLevelDb(clip);
    const heard = [];
    for (const window of this.windows(levelled(clip, levelDb)))
      heard.push({ ...(await this.infer(window, baseline)), seconds: window.length / RATE });
    const prediction = {
      ...this.decide(heard.map(({ logits }) => logits), clip.length / RATE),
      level_db: Math.round(levelDb * 10) / 10,
      level: judgeLevel(clip, levelDb),
    };
    // @ts-ignore: the level is one of three words
    return { prediction, windows: heard.map(({ embedding, seconds }) => ({ embedding, seconds })) };
  }

  /**
   * Run the network once, on the whole of a clip.
   * @param {Float32Array} clip
   * @param {Baseline | null} baseline
   */
  async infer(clip, baseline) {
    const { card, network } = this;
    const { Tensor } = network;
    if (baseline) this.checkBaseline(baseline);
    const vector = baseline
      ? baseline.vector(card.baseline, card.baseline_seconds)
      : Float32Array.from(card.baseline);
    const feeds = {
      audio: new Tensor("float32", clip, [1, clip.length]),
      lengths: new Tensor("int64", BigInt64Array.of(BigInt(clip.length)), [1]),
      baseline: new Tensor("float32", vector, [1, vector.length]),
    };
    const { logits, embedding } = await network.run(feeds).catch((error) => {
      const seconds = (clip.length / RATE).toFixed(1);
      throw new ModelError(`the model ${card.name} fails on ${seconds} s of sound: ${reason(error)}`);
    });
    const answer = {
      logits: /** @type {Float32Array} */ (logits.data).slice(),
      embedding: /** @type {Float32Array} */ (embedding.data).slice(),
    };
    if (!answer.logits.every(Number.isFinite) || !answer.embedding.every(Number.isFinite))
      throw new ModelError(`the model ${card.name} does not give finite numbers: it is damaged`);
    return answer;
  }

  /**
   * Return the answer to a clip from the logits of its windows, whose probabilities are averaged.
   * @param {Float32Array[]} windows
   * @param {number} seconds
   */
  decide(windows, seconds) {
    const { labels, temperature, threshold } = this.card;
    const shares = windows.map((logits) => softmax(logits, temperature));
    const scores = Object.fromEntries(
      labels.map((label, k) => [
        label,
        shares.reduce((sum, one) => sum + one[k], 0) / windows.length,
      ]),
    );
    const label = best(scores);
    const score = scores[label];
    const end = rounded(seconds);
    return { label, score, scores, start: 0, end, certain: score >= threshold, final: true };
  }

  /**
   * Cut a clip into equal windows; silence around and in them is left out.
   * @param {Float32Array} clip
   */
  windows(clip) {
    const sound = withoutEdges(clip);
    const n = Math.ceil(sound.length / (this.card.window_s * RATE));
    const [size, nLonger] = [Math.floor(sound.length / n), sound.length % n];
    const borders = Array.from({ length: n + 1 }, (_, k) => k * size + Math.min(k, nLonger));
    return borders
      .slice(1)
      .map((end, k) => withoutEdges(sound.subarray(borders[k], end)))
      .filter((window) => window.length);
  }
}

/**
 * @param {Float32Array} logits
 * @param {number} temperature
 */
function softmax(logits, temperature) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (one) => Math.exp((one - most) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @param {Uint8Array} content */
async function fingerprint(content) {
  if (!globalThis.crypto?.subtle)
    throw new ModelError("browsers open a model only on pages from HTTPS or localhost");
  // @ts-ignore: TypeScript takes its memory for shared
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
