// WAV files, whole or block by block: integers of 8 to 32 bits, and floats.

import { AudioError } from "./errors.js";

const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe];
const HEAD = 1 << 20; // bytes that are read to find the samples; other chunks may come before
const BLOCK_S = 1;

/** @type {Record<string, [number, (view: DataView, at: number) => number]>} */
const READERS = {
  "1/8": [1, (view, at) => (view.getUint8(at) - 128) / 128],
  "1/16": [2, (view, at) => view.getInt16(at, true) / 32768],
  "1/24": [3, (view, at) => (view.getInt32(at - 1, true) >> 8) / 8388608],
  "1/32": [4, (view, at) => view.getInt32(at, true) / 2147483648],
  "3/32": [4, (view, at) => view.getFloat32(at, true)],
  "3/64": [8, (view, at) => view.getFloat64(at, true)],
};

/**
 * @typedef {object} Format
 * @property {number} rate Hz.
 * @property {number} nChannels
 * @property {number} nSamples On each channel.
 * @property {number} first Byte with which the samples begin.
 * @property {string} reader
 */

/**
 * Return the samples of a WAV file.
 * @param {Uint8Array} bytes
 * @returns {{rate: number, channels: Float32Array[]}} One array a channel.
 */
export function readWav(bytes) {
  const format = wavFormat(bytes, bytes.length);
  const size = format.nSamples * frameBytes(format);
  const data = bytes.subarray(format.first, format.first + size);
  return { rate: format.rate, channels: unpacked(data, format) };
}

/**
 * Yield a WAV file second by second: memory does not grow with its length.
 * @param {Blob} file
 * @returns {AsyncGenerator<{rate: number, channels: Float32Array[], seconds: number}>}
 */
export async function* wavBlocks(file) {
  const format = wavFormat(await bytesOf(file.slice(0, HEAD)), file.size);
  const { rate, nSamples, first } = format;
  const size = frameBytes(format);
  for (let at = 0; at < nSamples; at += BLOCK_S * rate) {
    const end = Math.min(nSamples, at + BLOCK_S * rate);
    const data = await bytesOf(file.slice(first + at * size, first + end * size));
    yield { rate, channels: unpacked(data, format), seconds: nSamples / rate };
  }
}

/** @param {Blob} blob */
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

/** @param {Uint8Array} head */
export const isWav = (head) => text(head, 0) === "RIFF" && text(head, 8) === "WAVE";

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
const text = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

/** @param {Format} format */
const frameBytes = ({ nChannels, reader }) => READERS[reader][0] * nChannels;

/**
 * @param {Uint8Array} head
 * @param {number} size Bytes of the whole file.
 * @returns {Format}
 */
function wavFormat(head, size) {
  if (!isWav(head)) throw new AudioError("expected a WAV file, got other bytes");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  let format;
  for (let at = 12; at + 8 <= head.length; ) {
    const [name, length] = [text(head, at), view.getUint32(at + 4, true)];
    at += 8;
    if (name === "fmt " && at + 16 <= head.length) format = readFormat(view, at, length);
    if (name === "data" && format) {
      const there = Math.min(length, size - at); // a header's length is not to be trusted
      const nSamples = Math.floor(there / frameBytes(format));
      if (nSamples === 0) throw new AudioError("expected audio, got zero samples");
      return { ...format, first: at, nSamples };
    }
    at += length + (length % 2);
  }
  throw new AudioError("the WAV file holds no samples: it is cut off or damaged");
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} length
 * @returns {Format}
 */
function readFormat(view, at, length) {
  let kind = view.getUint16(at, true);
  const [nChannels, rate] = [view.getUint16(at + 2, true), view.getUint32(at + 4, true)];
  const bits = view.getUint16(at + 14, true);
  if (kind === EXTENSIBLE && length >= 26) kind = view.getUint16(at + 24, true);
  const reader = `${kind}/${bits}`;
  if (!READERS[reader] || nChannels === 0)
    throw new AudioError(
      `expected a WAV file of ${PCM === kind || FLOAT === kind ? "8 to 64 bits" : "PCM"}, got ` +
        `format ${kind} with ${bits} bits; convert the recording to 16-bit PCM`,
    );
  return { rate, nChannels, reader, first: 0, nSamples: 0 };
}

/**
 * @param {Uint8Array} data
 * @param {Format} format
 */
function unpacked(data, { nChannels, reader }) {
  const [size, read] = READERS[reader];
  const padded = new Uint8Array(data.length + 1); // 24 bits are read with the byte before them
  padded.set(data, 1);
  const view = new DataView(padded.buffer);
  const nSamples = Math.floor(data.length / (size * nChannels));
  return Array.from({ length: nChannels }, (_, channel) => {
    const samples = new Float32Array(nSamples);
    for (let k = 0; k < nSamples; k++) samples[k] = read(view, 1 + (k * nChannels + channel) * size);
    return samples;
  });
}

/**
 * Return the mean of channels.
 * @param {Float32Array[]} channels
 * @returns {Float32Array}
 */
export function meanOf(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, k) => channels.reduce((sum, one) => sum + one[k], 0) / channels.length);
}
