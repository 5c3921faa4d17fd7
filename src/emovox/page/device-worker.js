// The engine in a worker: recordings and live sound in, answers out; the page stays free to draw.

import { Baseline } from "./engine/baseline.js";
import { contentOf } from "./engine/network.js";
import { summarise } from "./engine/prediction.js";
import { Recognizer } from "./engine/recognizer.js";
import { meanOf, wavBlocks } from "./engine/wav.js";

const INTERVAL_S = 0.5;
const BEHIND = 10; // blocks (a second) that wait: then interim decisions are left out
const file = (name) => new URL(`../device/${name}`, import.meta.url).href;

const sessions = new Map();
const cancelled = new Set();
let recognizer;
let choices;

const calls = { open, begin, feed, flush, forget, end, practise, practised, hear, cancel };

onmessage = async ({ data: { id, call, args } }) => {
  try {
    postMessage({ id, value: await calls[call](args, id) });
  } catch (error) {
    postMessage({ id, problem: error.message });
  }
};

async function open() {
  const ort = await import(file("onnxruntime.js"));
  // More threads than one need a page that its host isolates from other origins by headers.
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmBinary = await contentOf(file("onnxruntime.wasm.gz"));
  recognizer = await Recognizer.load(file("model.onnx.gz"), { voice: file("voice.onnx.gz"), ort });
}

const known = (baseline) => (baseline ? Baseline.from(baseline) : null);

// Live sessions, by the name that the page gives them.

function begin({ session, rate, baseline }) {
  const stream = recognizer.stream(rate, { interval_s: INTERVAL_S, baseline: known(baseline) });
  sessions.set(session, { stream, waiting: 0 });
}

async function feed({ session, samples }) {
  const one = sessions.get(session);
  const began = performance.now();
  one.waiting += 1;
  one.stream.decideEvery(one.waiting > BEHIND ? null : INTERVAL_S);
  try {
    return told(one, await one.stream.feed(samples), began);
  } finally {
    one.waiting -= 1;
  }
}

async function flush({ session }) {
  const one = sessions.get(session);
  const began = performance.now();
  return told(one, await one.stream.flush(), began);
}

function told({ stream: { baseline } }, predictions, began) {
  const learned = predictions.some(({ final }) => final) ? baseline.toJSON() : undefined;
  const latency_ms = performance.now() - began;
  return { predictions, latency_ms, baseline_seconds: baseline.seconds, baseline: learned };
}

async function forget({ session }) {
  const { stream } = sessions.get(session);
  await stream.alone(async () => stream.setBaseline(recognizer.newBaseline()));
}

// Sessions of practice: begun with a rate, then other aims may come.

async function practise({ session, rate, emotion, asked: { takes, ...asked } }) {
  const known = sessions.get(session);
  if (known) return [await known.practice.practise(asked, takes)];
  choices ??= JSON.parse(new TextDecoder().decode(await contentOf(file("practice.json"))));
  const practice = recognizer.practice(rate, { choices, asked, takes, emotion });
  sessions.set(session, { practice });
  return [practice.about];
}

function practised({ session, samples }) {
  return sessions.get(session).practice.feed(samples);
}

function end({ session }) {
  sessions.delete(session);
}

// Recordings: `wav` is a file that is read block by block; others come decoded, as channels.

async function hear({ wav, rate, channels, baseline, separate }, id) {
  const began = performance.now();
  const found = [];
  let streams;
  let heard = 0;
  for await (const block of wav ? wavBlocks(wav) : cut(channels, rate)) {
    if (cancelled.delete(id)) throw new Error("cancelled");
    const voices = separate ? block.channels : [meanOf(block.channels)];
    const options = { interval_s: null, baseline: known(baseline) };
    streams ??= voices.map(() => recognizer.stream(block.rate, options));
    for (const [k, voice] of voices.entries()) found.push([k, await streams[k].feed(voice)]);
    heard += block.channels[0].length / block.rate;
    postMessage({ id, share: heard / block.seconds });
  }
  for (const [k, stream] of streams.entries()) found.push([k, await stream.flush()]);
  const compute_ms = performance.now() - began;
  return { compute_ms, ...answer(found, streams.length, heard, separate) };
}

function* cut(channels, rate) {
  const seconds = channels[0].length / rate;
  for (let at = 0; at < channels[0].length; at += rate)
    yield { rate, seconds, channels: channels.map((one) => one.subarray(at, at + rate)) };
}

// As the service answers a recording.
function answer(found, n, heard, separate) {
  const of = (k) => found.flatMap(([channel, ones]) => (channel === k ? ones : []));
  const voices = Array.from({ length: n }, (_, k) => of(k));
  const all = summarise(voices.flat());
  const seconds = Math.round(1e4 * heard) / 1e4;
  const model = recognizer.fingerprint;
  if (!separate) return { model, seconds, segments: voices[0], summary: all };
  const { turning_points, ...summary } = all; // one speaker does not take up where another stopped
  const segments = voices.flatMap((ones, channel) => ones.map((one) => ({ ...one, channel })));
  const summaries = voices.map((ones, channel) => ({ channel, ...summarise(ones) }));
  return { model, seconds, segments, summary, summaries };
}

function cancel({ of }) {
  cancelled.add(of);
}
