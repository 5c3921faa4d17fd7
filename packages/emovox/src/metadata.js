// The metadata of an ONNX file, read from its bytes: a protocol buffer.

import { ModelError } from "./errors.js";

const METADATA = 14; // field of ONNX's ModelProto; its entries have a key (1) and a value (2)
const [VARINT, FIXED_64, BYTES, FIXED_32] = [0, 1, 2, 5]; // kinds of fields

/**
 * Return the metadata of a model file by key.
 * @param {Uint8Array} content
 * @returns {Map<string, string>}
 */
export function metadata(content) {
  const found = new Map();
  for (const [field, entry] of fields(content)) {
    if (field !== METADATA) continue;
    const texts = new Map(fields(entry));
    const [key, value] = [1, 2].map((one) => new TextDecoder().decode(texts.get(one)));
    found.set(key, value);
  }
  return found;
}

/**
 * Yield number and content of the fields that hold bytes.
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array]>}
 */
function* fields(message) {
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; place < message.length; factor *= 128) {
      const byte = message[place++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw damaged();
  };
  while (place < message.length) {
    const key = varint();
    const kind = key % 8;
    if (kind === BYTES) {
      const size = varint();
      if (place + size > message.length) throw damaged();
      yield [Math.floor(key / 8), message.subarray(place, place + size)];
      place += size;
    } else if (kind === VARINT) varint();
    else if (kind === FIXED_64) place += 8;
    else if (kind === FIXED_32) place += 4;
    else throw damaged();
  }
}

const damaged = () => new ModelError("not a readable ONNX model: its bytes are damaged");
