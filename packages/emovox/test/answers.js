// Answers to a recording, as `answer` of benchmarks/web.py gives them; and what they cost.

import { Recognizer, readWav, summarise } from "../src/index.js";
import { meanOf } from "../src/wav.js";

export const open = ({ model, voice, ort }) => Recognizer.load(model, { voice, ort });

export function answer(recognizer, job, bytes) {
  if (job.kind === "measured") return measured(recognizer, job, bytes);
  if (job.kind === "timed") return timed(recognizer, bytes);
  if (job.kind === "segments") return segments(recognizer, bytes);
  if (job.kind === "long") return long(recognizer, job, bytes);
  return decisions(recognizer, job, bytes);
}

const refused = (error) => ({ refused: error.name });

async function measured(recognizer, { name }, bytes) {
  return { name, prosody: await recognizer.measure(bytes).catch(refused) };
}

async function decisions(recognizer, { name, kind }, bytes) {
  const { rate, blocks } = blocksOf(bytes);
  const stream = recognizer.stream(rate, { interval_s: kind === "stream" ? 0.5 : null });
  const found = [];
  for (const block of blocks()) found.push(...(await stream.feed(block)));
  found.push(...(await stream.flush()));
  const turn = await stream.turn();
  const whole = kind === "recording" ? await recognizer.predict(bytes).catch(refused) : null;
  const { baseline } = stream;
  const answers = { name, whole, decisions: found, summary: summarise(found), turn, baseline };
  return JSON.parse(JSON.stringify(answers)); // as JSON carries it
}

// What is told of a practice, and every so many blocks what is seen of the moment.
export async function practised(recognizer, { name, asked, emotion, choices, every, takes = 20 }, bytes) {
  const { rate, blocks } = blocksOf(bytes);
  const practice = recognizer.practice(rate, { asked, emotion, choices, takes });
  const told = [];
  const moments = [];
  let n = 0;
  for (const block of blocks()) {
    const { usual } = practice;
    const found = await practice.feed(block);
    told.push(...found.filter(({ type }) => type !== "practice.moment"));
    if (n++ % every === 0) moments.push({ ...found.at(-1), usual: usual?.prosody });
  }
  return { name, aim: practice.about, told, moments };
}

// Blocks of 100 ms.
function blocksOf(bytes) {
  const { rate, channels } = readWav(new Uint8Array(bytes));
  const samples = meanOf(channels);
  const size = Math.floor(rate / 10);
  const blocks = function* () {
    for (let at = 0; at < samples.length; at += size) yield samples.subarray(at, at + size);
  };
  return { rate, blocks };
}

async function timed(recognizer, bytes) {
  const { rate, blocks } = blocksOf(bytes);
  const stream = recognizer.stream(rate);
  const costs = [];
  for (const block of blocks()) {
    const began = performance.now();
    const found = await stream.feed(block);
    if (found.length) costs.push((performance.now() - began) / found.length);
  }
  return { ms_per_decision: costs };
}

async function segments(recognizer, bytes) {
  const began = performance.now();
  let n = 0;
  for await (const _ of recognizer.segments(bytes)) n += 1;
  return { n, seconds: (performance.now() - began) / 1000 };
}

// Goes on with a stream until it has so many minutes; the recording is repeated.
async function long(recognizer, { minutes }, bytes) {
  const { rate, blocks } = blocksOf(bytes);
  const stream = (recognizer.long ??= recognizer.stream(rate));
  while (stream.seconds < 60 * minutes) for (const block of blocks()) await stream.feed(block);
  return { seconds: stream.seconds };
}
