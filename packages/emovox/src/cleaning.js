// Clicks and a constant offset taken out of a clip, which say nothing of the voice.

import { largest, NOISE_FLOOR, RATE } from "./audio.js";

const CLICK = RATE / 1000; // samples (1 ms) that a click lasts at most
const AROUND = RATE / 100; // samples (10 ms) on both sides that a click is compared with
const STEEPER = 6; // times as steep as all around; glottal pulses and plosives are less
const MIN_STEP = 0.05; // a step from one sample to the next below this is no click
const MIN_OFFSET = 5e-3; // of the loudest point: a smaller offset may be the mean of a voice
const MIN_OFFSET_SAMPLES = RATE / 10; // samples; of less nobody can tell an offset from a voice
const BLOCK = 1 << 18; // samples searched at a time
const MIN_WEIGHT = 1 / 64; // of the say of a new chunk in the running offset: 2 s of memory

/**
 * Return a clip without clicks and without a constant offset; a clean one as it is.
 * @param {Float32Array} clip Mono at 16 kHz.
 * @returns {Float32Array}
 */
export function cleaned(clip) {
  const first = clip.findIndex(isSound);
  if (first < 0) return clip;
  const last = clip.findLastIndex(isSound) + 1;
  const middle = clip.subarray(first, last);
  const sound = withoutClicks(middle);
  const mean = sound.reduce((sum, value) => sum + value, 0) / sound.length;
  const offset = sound.length >= MIN_OFFSET_SAMPLES ? mean : 0;
  const isOff = Math.abs(offset) >= Math.max(NOISE_FLOOR, MIN_OFFSET * largest(sound));
  if (!isOff && sound === middle) return clip;
  const clean = clip.slice();
  const taken = isOff ? Math.fround(offset) : 0;
  for (let k = 0; k < sound.length; k++) clean[first + k] = sound[k] - taken;
  return clean;
}

/** @param {number} value */
const isSound = (value) => Math.abs(value) >= NOISE_FLOOR;

/** The offset of a recording that is still coming in, from its chunks so far. */
export class RunningOffset {
  nChunks = 0;
  offset = 0;

  /**
   * Learn from the next chunk, a multiple of a millisecond, and return it without the offset.
   * @param {Float32Array} chunk
   */
  without(chunk) {
    const sums = new Float32Array(chunk.length / CLICK);
    chunk.forEach((value, k) => (sums[Math.floor(k / CLICK)] += value));
    const middle = sums.sort().subarray(2, -2); // a click may lie in the others
    const mean = middle.reduce((sum, one) => sum + one, 0) / (CLICK * middle.length);
    this.nChunks += 1;
    this.offset += Math.max(1 / this.nChunks, MIN_WEIGHT) * (mean - this.offset);
    if (Math.abs(this.offset) < NOISE_FLOOR) return chunk;
    const offset = Math.fround(this.offset);
    return chunk.map((value) => value - offset);
  }

  copy() {
    return Object.assign(new RunningOffset(), this);
  }
}

/**
 * Put a straight line in the place of each click; return the same array if there is none.
 * @param {Float32Array} sound
 */
function withoutClicks(sound) {
  const found = [];
  for (let at = 0; at < sound.length; at += BLOCK) found.push(...clicks(sound, at));
  if (!found.length) return sound;
  const clean = sound.slice();
  for (const [first, last] of found) {
    let after = clean[Math.min(last, clean.length - 1)];
    const before = first ? clean[first - 1] : after;
    after = last < clean.length ? after : before;
    for (let k = first; k < last; k++)
      clean[k] = before + ((after - before) * (k - first + 1)) / (last - first + 1);
  }
  return clean;
}

/**
 * Yield the first sample of each click in the block from `at` on, and the one behind it.
 * @param {Float32Array} sound
 * @param {number} at
 * @returns {Generator<[number, number]>}
 */
function* clicks(sound, at) {
  const margin = CLICK + AROUND;
  const start = Math.max(0, at - margin);
  const stop = Math.min(sound.length, at + BLOCK + margin);
  const steps = new Float32Array(stop - start);
  for (let k = 0; k < steps.length; k++)
    steps[k] = Math.abs(sound[start + k] - sound[Math.max(0, start + k - 1)]);
  if (largest(steps) <= MIN_STEP) return;
  const around = largestAround(steps, CLICK + 1, AROUND);
  let done = at - 1;
  for (let index = 0; index < steps.length; index++) {
    if (steps[index] <= Math.max(STEEPER * around[index], MIN_STEP)) continue;
    if (start + index <= done || start + index >= at + BLOCK) continue;
    done = start + index + CLICK;
    const near = Math.max(0, index - CLICK);
    const steep = steps.subarray(near, index + CLICK + 1);
    /** @param {number} step */
    const isEdge = (step) => step > 2 * around[index];
    const edges = [steep.findIndex(isEdge), steep.findLastIndex(isEdge)];
    yield* spans(start + near + edges[0], start + near + edges[1], sound.length);
  }
}

/**
 * Yield what lies between two edges; one alone is a click at either end, else a step.
 * @param {number} first
 * @param {number} last
 * @param {number} nSamples
 * @returns {Generator<[number, number]>}
 */
function* spans(first, last, nSamples) {
  if (first < last) yield [first, last];
  else if (first <= CLICK) yield [0, first];
  else if (nSamples - first <= CLICK) yield [first, nSamples];
}

/**
 * Return the largest of so many values on either side of each, from a distance on.
 * @param {Float32Array} values
 * @param {number} distance
 * @param {number} nValues
 */
function largestAround(values, distance, nValues) {
  const before = largestOfLast(values, nValues);
  const after = largestOfLast(values.slice().reverse(), nValues).reverse();
  return values.map((_, k) =>
    Math.max(before[k - distance] ?? 0, after[k + distance] ?? 0),
  );
}

/**
 * Return the maximum of each value and those before it, so many in all.
 * @param {Float32Array} values
 * @param {number} nValues
 */
function largestOfLast(values, nValues) {
  const found = values.slice();
  for (let nSeen = 1; nSeen < nValues; ) {
    const further = Math.min(nSeen, nValues - nSeen);
    for (let k = found.length - 1; k >= further; k--)
      if (found[k - further] > found[k]) found[k] = found[k - further];
    nSeen += further;
  }
  return found;
}
