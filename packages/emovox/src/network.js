// An ONNX graph, opened with onnxruntime-web: one run at a time.

import { oneLine } from "./checks.js";
import { ModelError } from "./errors.js";

const GZIP = [0x1f, 0x8b];

/**
 * What this package needs of onnxruntime-web.
 * @typedef {Pick<typeof import("onnxruntime-web"), "InferenceSession" | "Tensor">} Runtime
 */

/** @typedef {string | URL | Blob | ArrayBuffer | Uint8Array} Source A URL, or the content. */

export class Network {
  /**
   * @param {import("onnxruntime-web").InferenceSession} session
   * @param {Runtime["Tensor"]} Tensor
   */
  constructor(session, Tensor) {
    this.session = session;
    this.Tensor = Tensor;
    /** @type {Promise<unknown>} */
    this.running = Promise.resolve();
  }

  /**
   * @param {Runtime} ort
   * @param {Uint8Array} content
   */
  static async open(ort, content) {
    const options = { executionProviders: ["wasm"], enableMemPattern: false, logSeverityLevel: 4 };
    try {
      // @ts-ignore: the level is one of five numbers
      return new Network(await ort.InferenceSession.create(content, options), ort.Tensor);
    } catch (error) {
      throw new ModelError(`not a readable ONNX model: ${reason(error)}`);
    }
  }

  /**
   * Run the graph, after those that asked before.
   * @param {Record<string, import("onnxruntime-web").Tensor>} feeds
   */
  run(feeds) {
    const run = this.running.then(() => this.session.run(feeds));
    this.running = run.catch(() => {});
    return run;
  }

  async close() {
    await this.running;
    await this.session.release();
  }
}

/**
 * Return the content of a file, unpacked where it is gzipped.
 * @param {Source} source
 * @returns {Promise<Uint8Array>}
 */
export async function contentOf(source) {
  const packed = await bytesOf(source);
  if (!GZIP.every((byte, k) => packed[k] === byte)) return packed;
  // @ts-ignore: TypeScript takes its memory for shared
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {Source} source
 * @returns {Promise<Uint8Array>}
 */
async function bytesOf(source) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  const answer = await fetch(source).catch((error) => {
    throw new ModelError(`${source}: cannot load the model: ${reason(error)}`);
  });
  if (!answer.ok) throw new ModelError(`${source}: cannot load the model: status ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** @param {unknown} error */
export function reason(error) {
  const text = error instanceof Error ? error.message : String(error);
  return oneLine(text.trim().split("\n")[0]).slice(0, 200);
}
