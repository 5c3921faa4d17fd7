// Recognising: samples and live sound in, predictions and baselines out.

import { asFloats, checkAudible, checkRate, resampled } from "./audio.js";
import { AudioError, ConfigError } from "./errors.js";
import { Model } from "./model.js";
import { Network, contentOf } from "./network.js";
import { Practice } from "./practice.js";
import { measure } from "./prosody.js";
import { Stream } from "./stream.js";
import { findSpeech, pausesS } from "./vad.js";
import { meanOf, readWav } from "./wav.js";

/**
 * Samples, one array or one a channel, which come with their rate; or the bytes of a WAV file.
 * @typedef {Parameters<typeof asFloats>[0] | Float32Array[] | Uint8Array | ArrayBuffer} Audio
 */

/** @typedef {import("./baseline.js").Baseline} Baseline */
/** @typedef {import("./prediction.js").Prediction} Prediction */

export class Recognizer {
  /**
   * @param {Model} model
   * @param {Network} voice
   */
  constructor(model, voice) {
    this.model = model;
    this.voice = voice;
  }

  /**
   * Open a model of emovox, and Silero's voice activity detection.
   * @param {import("./network.js").Source} model
   * @param {object} options
   * @param {import("./network.js").Source} options.voice Silero's ONNX file.
   * @param {import("./network.js").Runtime} options.ort onnxruntime-web.
   */
  static async load(model, { voice, ort }) {
    if (!ort || !voice) throw new ConfigError("expected `ort`, onnxruntime-web, and `voice`, Silero's file");
    const opened = await Model.open(ort, model);
    return new Recognizer(opened, await Network.open(ort, await contentOf(voice)));
  }

  get card() {
    return this.model.card;
  }

  get labels() {
    return this.model.card.labels;
  }

  get fingerprint() {
    return this.model.fingerprint;
  }

  /** @param {string} [name] */
  newBaseline(name) {
    return this.model.newBaseline(name);
  }

  /**
   * Recognise the emotion of one recording as a whole.
   * @param {Audio} audio
   * @param {number} [rate] Hz; needed with samples, and only then.
   * @param {{baseline?: Baseline | null}} [options]
   * @returns {Promise<Prediction>}
   */
  async predict(audio, rate, { baseline = null } = {}) {
    return (await this.hear(audio, rate, baseline)).prediction;
  }

  /**
   * Recognise a recording as `predict` does, and learn it.
   * @param {Audio} audio
   * @param {number | undefined} rate
   * @param {{baseline: Baseline}} options
   * @returns {Promise<{prediction: Prediction, baseline: Baseline}>}
   */
  async predictAndLearn(audio, rate, { baseline }) {
    const { prediction, windows } = await this.hear(audio, rate, baseline);
    return { prediction, baseline: baseline.after(windows) };
  }

  /**
   * Learn a new speaker's baseline from recordings.
   * @param {string} name
   * @param {Iterable<Audio>} recordings
   * @param {number} [rate]
   */
  async enrol(name, recordings, rate) {
    let baseline = this.newBaseline(name);
    for (const one of recordings)
      ({ baseline } = await this.predictAndLearn(one, rate, { baseline }));
    return baseline;
  }

  /**
   * Recognise each segment of speech in a recording.
   * @param {Audio} audio
   * @param {number} [rate]
   * @param {Omit<import("./stream.js").StreamOptions, "interval_s">} [options]
   * @returns {AsyncGenerator<Prediction>}
   */
  async *segments(audio, rate, options = {}) {
    const { samples, rate: of } = read(audio, rate);
    const stream = this.stream(of, { ...options, interval_s: null });
    for (let at = 0; at < samples.length; at += of)
      yield* await stream.feed(samples.subarray(at, at + of));
    yield* await stream.flush();
  }

  /**
   * Measure the voice in one recording as a whole: pitch, loudness, tempo and pauses. Nothing is
   * inferred from them.
   * @param {Audio} audio
   * @param {number} [rate] Hz; needed with samples, and only then.
   * @returns {Promise<import("./prosody.js").Prosody>}
   */
  async measure(audio, rate) {
    const speech = await this.speech(audio, rate);
    return measure(speech.samples, pausesS(speech));
  }

  /**
   * Begin a live session.
   * @param {number} [rate] Hz.
   * @param {import("./stream.js").StreamOptions} [options]
   */
  stream(rate, options) {
    return new Stream(this.model, this.voice, rate, options);
  }

  /**
   * Begin a session of practice.
   * @param {number | undefined} rate Hz.
   * @param {import("./practice.js").PracticeOptions} options
   */
  practice(rate, options) {
    return new Practice(this.model, this.voice, rate, options);
  }

  /** Give back the memory of both networks. */
  async close() {
    await Promise.all([this.model.network.close(), this.voice.close()]);
  }

  /**
   * @param {Audio} audio
   * @param {number | undefined} rate
   * @param {Baseline | null} baseline
   */
  async hear(audio, rate, baseline) {
    const { samples, seconds } = await this.speech(audio, rate);
    const { prediction, windows } = await this.model.hear(samples, baseline);
    return { prediction: { ...prediction, end: Math.round(seconds * 1e4) / 1e4 }, windows };
  }

  /**
   * @param {Audio} audio
   * @param {number | undefined} rate
   */
  async speech(audio, rate) {
    const { samples, rate: of } = read(audio, rate);
    const clip = resampled(samples, of);
    checkAudible(clip);
    return await findSpeech(this.voice, clip);
  }
}

/**
 * Return the mean of the channels, and the rate.
 * @param {Audio} audio
 * @param {number | undefined} rate
 */
function read(audio, rate) {
  if (audio instanceof ArrayBuffer) return read(new Uint8Array(audio), rate);
  if (audio instanceof Uint8Array) {
    if (rate !== undefined) throw new AudioError("a WAV file has a rate of its own: leave it out");
    const { channels, rate: own } = readWav(audio);
    return { samples: asFloats(meanOf(channels)), rate: checkRate(own) };
  }
  const of = checkRate(rate);
  const isChannels = Array.isArray(audio) && audio[0] instanceof Float32Array;
  // @ts-ignore: an array of arrays is of channels
  const samples = isChannels ? meanOf(audio.map(asFloats)) : asFloats(audio);
  if (!samples.length) throw new AudioError("expected audio, got zero samples");
  return { samples, rate: of };
}
