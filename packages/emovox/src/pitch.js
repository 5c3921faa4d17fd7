// Pitch: how high a voice is every 10 ms, by the method of Boersma (1993).

import { NOISE_FLOOR, RATE, largest, resampled } from "./audio.js";

export const HOP = RATE / 100; // samples between frames, 10 ms
const [LOW_HZ, HIGH_HZ] = [70, 620]; // the lowest and the highest pitch found
const SLOWER = 8000; // Hz, at which pitch is found
const STEP = (SLOWER * HOP) / RATE;
const FRAME = SLOWER / 25; // samples, 40 ms
const N_FFT = 512; // a frame and the longest period, and nothing wraps around
const N_BINS = N_FFT / 2 + 1;
const FINER = 2; // times: the autocorrelation between the samples
const PERIODS_HZ = FINER * SLOWER;
const FIRST = Math.trunc(PERIODS_HZ / HIGH_HZ) - 1; // of its periods
const N_PERIODS = Math.trunc(PERIODS_HZ / LOW_HZ) + 2 - FIRST;
const N_CANDIDATES = 4; // pitches of a frame that are weighed against each other
const [VOICED, SILENT, OCTAVE, JUMP, CHANGE] = [0.45, 0.03, 0.01, 0.35, 0.14]; // Boersma's weights
const BLOCK = 60 * RATE; // samples tracked at a time

/** @typedef {{hertz: number, octaves: number, strength: number}} Candidate */

/**
 * Return the pitch of a voice every 10 ms, 70 to 620 Hz; NaN where it has none.
 * @param {Float32Array} clip Mono at 16 kHz.
 * @returns {Float64Array} One more than whole frames of 10 ms.
 */
export function trackPitch(clip) {
  const tracked = new Float64Array(Math.floor(clip.length / HOP) + 1).fill(NaN);
  for (let at = 0; at < clip.length; at += BLOCK)
    tracked.set(track(clip.subarray(at, at + BLOCK)).subarray(0, BLOCK / HOP), at / HOP);
  return tracked;
}

/** @param {Float32Array} clip At most a minute. */
function track(clip) {
  const nFrames = Math.floor(clip.length / HOP) + 1;
  if (largest(clip) < NOISE_FLOOR) return new Float64Array(nFrames).fill(NaN);
  const sound = padded(resampled(clip, RATE, SLOWER), nFrames);
  const tables = (made ??= makeTables());
  const alike = new Float64Array(N_PERIODS);
  const powers = new Float64Array(nFrames);
  /** @type {Candidate[][]} */
  const candidates = [];
  for (let frame = 0; frame < nFrames; frame++) {
    powers[frame] = autocorrelate(sound.subarray(frame * STEP), tables, alike);
    candidates.push(peaks(alike));
  }
  return bestPath(candidates, unvoiced(powers));
}

/**
 * Return a sound with silence around it, so that each frame is whole.
 * @param {Float32Array} sound
 * @param {number} nFrames
 */
function padded(sound, nFrames) {
  const whole = new Float32Array((nFrames - 1) * STEP + FRAME);
  whole.set(sound.subarray(0, whole.length - FRAME / 2), FRAME / 2);
  return whole;
}

/**
 * The window, and what makes autocorrelations of squared spectra: a row for each period.
 * @typedef {{window: Float64Array, cosines: Float64Array[]}} Tables
 */

/** @type {Tables | undefined} */
let made;

/** @returns {Tables} */
function makeTables() {
  const window = Float64Array.from(
    { length: FRAME },
    (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (k + 1)) / (FRAME + 1)),
  );
  const own = squaredSpectrum(window);
  const power = weigh(own);
  const cosines = Array.from({ length: N_PERIODS }, (_, k) => {
    const period = (FIRST + k) / FINER;
    const row = Float64Array.from(
      { length: N_BINS },
      (_, bin) => weight(bin) * Math.cos((2 * Math.PI * bin * period) / N_FFT),
    );
    const scale = power / dot(own, row); // by the autocorrelation of the window
    return row.map((value) => value * scale);
  });
  return { window, cosines };
}

/** @param {number} bin Which stands for two, but for the first and the last. */
const weight = (bin) => (bin === 0 || bin === N_BINS - 1 ? 1 : 2);

/** @param {Float64Array} squares */
const weigh = (squares) => squares.reduce((sum, value, bin) => sum + weight(bin) * value, 0);

/**
 * @param {Float64Array} a
 * @param {Float64Array} b
 */
function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

/**
 * Tell how alike a frame is to itself each period later, 1 at most; return its power.
 * @param {Float32Array} sound From the frame on.
 * @param {Tables} tables
 * @param {Float64Array} alike Is filled.
 */
function autocorrelate(sound, { window, cosines }, alike) {
  const frame = Float64Array.from(sound.subarray(0, FRAME));
  const mean = frame.reduce((sum, value) => sum + value, 0) / FRAME;
  const squares = squaredSpectrum(frame.map((value, k) => (value - mean) * window[k]));
  const power = Math.max(weigh(squares), 1e-20);
  for (let k = 0; k < N_PERIODS; k++) alike[k] = dot(squares, cosines[k]) / power;
  return power;
}

/**
 * Return the squared spectrum of at most 512 real samples, by the fast Fourier transform.
 * @param {Float64Array} samples
 */
function squaredSpectrum(samples) {
  const real = new Float64Array(N_FFT);
  const imaginary = new Float64Array(N_FFT);
  const nBits = Math.log2(N_FFT);
  for (let k = 0; k < samples.length; k++) real[reversed(k, nBits)] = samples[k];
  for (let size = 2; size <= N_FFT; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const [c, s] = [Math.cos((2 * Math.PI * k) / size), -Math.sin((2 * Math.PI * k) / size)];
      for (let a = k; a < N_FFT; a += size) {
        const b = a + size / 2;
        const re = c * real[b] - s * imaginary[b];
        const im = c * imaginary[b] + s * real[b];
        [real[b], imaginary[b]] = [real[a] - re, imaginary[a] - im];
        [real[a], imaginary[a]] = [real[a] + re, imaginary[a] + im];
      }
    }
  }
  return Float64Array.from({ length: N_BINS }, (_, k) => real[k] ** 2 + imaginary[k] ** 2);
}

/**
 * Return a number with its lowest bits in reverse order.
 * @param {number} value
 * @param {number} nBits
 */
function reversed(value, nBits) {
  let found = 0;
  for (let bit = 0; bit < nBits; bit++) found |= ((value >> bit) & 1) << (nBits - 1 - bit);
  return found;
}

/**
 * Return the strongest peaks of a frame, at most four, between the samples by a parabola.
 * @param {Float64Array} alike
 */
function peaks(alike) {
  const found = [];
  for (let k = 1; k < N_PERIODS - 1; k++) {
    const [left, top, right] = [alike[k - 1], alike[k], alike[k + 1]];
    if (top < left || top <= right) continue;
    const worth = top - OCTAVE * Math.log2(((FIRST + k) * LOW_HZ) / PERIODS_HZ);
    if (worth > 0) found.push({ k, worth });
  }
  found.sort((a, b) => b.worth - a.worth);
  return found.slice(0, N_CANDIDATES).map(({ k }) => candidate(alike, k));
}

/**
 * @param {Float64Array} alike
 * @param {number} k
 * @returns {Candidate}
 */
function candidate(alike, k) {
  const [left, top, right] = [alike[k - 1], alike[k], alike[k + 1]];
  const bend = Math.max(2 * top - left - right, 1e-9);
  const shift = within((0.5 * (right - left)) / bend, -0.5, 0.5);
  const hertz = within(PERIODS_HZ / (FIRST + k + shift), LOW_HZ, HIGH_HZ);
  const height = Math.min(top + 0.25 * (right - left) * shift, 1);
  return { hertz, octaves: Math.log2(hertz), strength: height + OCTAVE * Math.log2(hertz / LOW_HZ) };
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
const within = (value, least, most) => Math.min(most, Math.max(least, value));

/**
 * Return the strength of "unvoiced" in each frame: great where it is silent beside others.
 * @param {Float64Array} powers
 */
function unvoiced(powers) {
  const loudest = powers.reduce((most, power) => Math.max(most, power), 0);
  return powers.map((power) => {
    const relative = Math.sqrt(power / loudest);
    return VOICED + Math.max(0, 2 - (relative * (1 + VOICED)) / SILENT);
  });
}

/**
 * Return the pitches of the path through all frames that costs least; NaN where it is unvoiced.
 * @param {Candidate[][]} candidates
 * @param {Float64Array} silence Strength of "unvoiced".
 */
function bestPath(candidates, silence) {
  /** @type {{hertz: number, octaves: number, strength: number}[]} */
  let before = [];
  /** @type {number[]} */
  let totals = [];
  const origins = candidates.map((ones, frame) => {
    const choices = [{ hertz: NaN, octaves: NaN, strength: silence[frame] }, ...ones];
    const from = choices.map((choice) => cheapest(totals, before, choice));
    totals = choices.map(({ strength }, k) => from[k].cost - strength);
    before = choices;
    return from.map(({ origin }, k) => ({ origin, hertz: choices[k].hertz }));
  });
  const path = new Float64Array(candidates.length);
  let choice = totals.indexOf(Math.min(...totals));
  for (let frame = path.length - 1; frame >= 0; frame--) {
    const { origin, hertz } = origins[frame][choice];
    path[frame] = hertz;
    choice = origin;
  }
  return path;
}

/**
 * Return the choice of the frame before from which this one is reached at the least cost.
 * @param {number[]} totals
 * @param {Candidate[]} before
 * @param {Candidate} now
 */
function cheapest(totals, before, now) {
  let [origin, cost] = [0, totals.length ? Infinity : 0];
  for (let k = 0; k < totals.length; k++) {
    const reached = totals[k] + transition(before[k].octaves, now.octaves);
    if (reached < cost) [origin, cost] = [k, reached];
  }
  return { origin, cost };
}

/**
 * @param {number} before Octaves; NaN for unvoiced.
 * @param {number} now
 */
function transition(before, now) {
  if (Number.isNaN(before) !== Number.isNaN(now)) return CHANGE;
  return Number.isNaN(now) ? 0 : JUMP * Math.abs(before - now);
}
