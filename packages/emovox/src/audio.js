// Samples: what a clip must be, resampling to 16 kHz, and WAV files.

import { isNumber, kindOf, shown } from "./checks.js";
import { AudioError, SilenceError } from "./errors.js";

export const RATE = 16000; // Hz; what every model hears
export const NOISE_FLOOR = Math.fround(1e-4); // amplitude, -80 dB of full scale: what lies below is silence
const [MIN_RATE, MAX_RATE] = [1000, 768000]; // Hz
const MAX_AMPLITUDE = 32; // +30 dB of full scale: what lies above is not scaled to [-1, 1]
// The low-pass of the resampler is that of soxr's HQ, which Python uses: measured with tones, the
// two differ by less than 0.5 dB wherever they pass more than -50 dB.
const [PASSBAND, ATTENUATION_DB] = [0.9138, 128]; // shares of the lower Nyquist rate, and beyond it
const BETA = 0.1102 * (ATTENUATION_DB - 8.7); // Kaiser & Schafer 1980, as is the width below

/**
 * Return samples as float32: floats as they are, integers by their full range.
 * @param {Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | number[]} samples
 * @returns {Float32Array}
 */
export function asFloats(samples) {
  if (samples instanceof Float32Array) return checkRange(samples);
  if (samples instanceof Float64Array || Array.isArray(samples))
    return checkRange(Float32Array.from(samples));
  for (const [kind, scale] of /** @type {const} */ ([[Int8Array, 128], [Int16Array, 32768], [Int32Array, 2147483648]]))
    if (samples instanceof kind) return Float32Array.from(samples, (one) => one / scale);
  throw new AudioError(
    `expected samples as floats or as int8, int16 or int32, got ${kindOf(samples)}`,
  );
}

/** @param {Float32Array} samples */
function checkRange(samples) {
  const peak = largest(samples);
  if (peak <= MAX_AMPLITUDE) return samples;
  if (!Number.isFinite(peak)) throw new AudioError("expected finite samples, got NaN or infinity");
  throw new AudioError(
    `expected samples in [-1, 1], got up to ${peak.toPrecision(4)}; divide floats that hold ` +
      "16-bit values by 32768, or give them as an Int16Array",
  );
}

/**
 * Return the largest amplitude; NaN if there is one.
 * @param {Float32Array} samples
 */
export function largest(samples) {
  let peak = 0;
  for (let k = 0; k < samples.length; k++) {
    const value = Math.abs(samples[k]);
    if (!(value <= peak)) peak = value;
    if (value !== value) return NaN;
  }
  return peak;
}

/**
 * Refuse a recording that never rises above the noise floor.
 * @param {Float32Array} samples
 */
export function checkAudible(samples) {
  const peak = largest(samples);
  if (peak >= NOISE_FLOOR) return;
  const level = peak > 0 ? `${Math.round(20 * Math.log10(peak))} dB` : "digital silence";
  throw new SilenceError(
    `no sound above the noise floor (loudest sample: ${level}, floor: -80 dB of full scale); ` +
      "is the microphone muted?",
  );
}

/**
 * Refuse a rate that is not a whole number of Hz in range.
 * @param {unknown} rate
 * @returns {number}
 */
export function checkRate(rate) {
  if (isNumber(rate) && Number.isInteger(rate) && MIN_RATE <= rate && rate <= MAX_RATE) return rate;
  throw new AudioError(
    `expected a sample rate of ${MIN_RATE} to ${MAX_RATE} Hz, a whole number, got ${shown(rate)}`,
  );
}

/**
 * Resample a whole clip.
 * @param {Float32Array} clip
 * @param {number} from Hz.
 * @param {number} [to] Hz.
 * @returns {Float32Array}
 */
export function resampled(clip, from, to = RATE) {
  return from === to ? clip : new Resampler(from, to).take(clip, true);
}

/** Resamples blocks as they come: together they give what resampling the whole at once would. */
export class Resampler {
  /**
   * @param {number} from Whole Hz.
   * @param {number} [to] Whole Hz.
   */
  constructor(from, to = RATE) {
    const shared = divisor(from, to);
    this.up = to / shared; // of so many phases of the filter
    this.down = from / shared;
    const nyquist = Math.min(1, to / from); // the lower one, as a share of that of the input
    this.cutoff = (nyquist * (1 + PASSBAND)) / 2;
    const width = Math.PI * nyquist * (1 - PASSBAND);
    this.half = Math.ceil((ATTENUATION_DB - 8) / (2.285 * width) / 2); // samples on either side
    /** @type {Map<number, Float64Array>} */
    this.phases = new Map();
    this.kept = new Float32Array(this.half); // silence before the first sample
    this.first = -this.half; // index of the first sample kept
    this.nIn = this.nOut = 0;
  }

  /**
   * Take in a block; return what can be computed of the output so far, or all that is left of it.
   * @param {Float32Array} block
   * @param {boolean} last
   * @returns {Float32Array}
   */
  take(block, last) {
    const { half, up, down } = this;
    if (up === down) return block;
    const input = new Float32Array(this.kept.length + block.length + (last ? half + 1 : 0));
    input.set(this.kept);
    input.set(block, this.kept.length);
    this.nIn += block.length;
    const available = last
      ? Math.round((this.nIn * up) / down)
      : Math.ceil(((this.nIn - half - 1) * up) / down); // with all samples on the right side
    const output = new Float32Array(Math.max(0, available - this.nOut));
    for (let k = 0; k < output.length; k++, this.nOut++) {
      const position = this.nOut * down;
      const at = Math.floor(position / up) - half + 1 - this.first;
      const taps = this.taps(position % up);
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap++) sum += taps[tap] * input[at + tap];
      output[k] = sum;
    }
    const needed = Math.floor((this.nOut * down) / up) - half + 1;
    this.kept = input.slice(Math.max(0, needed - this.first), this.kept.length + block.length);
    this.first = Math.max(needed, this.first);
    return output;
  }

  /**
   * Return the filter of a phase: a windowed sinc that is moved by a part of a sample.
   * @param {number} phase
   */
  taps(phase) {
    const known = this.phases.get(phase);
    if (known) return known;
    const { half, cutoff, up } = this;
    const taps = Float64Array.from({ length: 2 * half }, (_, tap) => {
      const at = tap - half + 1 - phase / up;
      const place = at / half;
      const window = Math.abs(place) < 1 ? bessel(BETA * Math.sqrt(1 - place * place)) : 0;
      const x = Math.PI * cutoff * at;
      return cutoff * (x === 0 ? 1 : Math.sin(x) / x) * window;
    });
    const sum = taps.reduce((total, tap) => total + tap, 0);
    taps.forEach((tap, k) => (taps[k] = tap / sum)); // a constant stays as it is
    this.phases.set(phase, taps);
    return taps;
  }
}

/**
 * The modified Bessel function of order 0, which Kaiser's window is made of.
 * @param {number} x
 */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
const divisor = (a, b) => (b ? divisor(b, a % b) : a);
