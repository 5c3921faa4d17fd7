// The engine in Node: Python's answers to the examples, and what it refuses.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  AudioError, Baseline, BaselineError, ConfigError, ModelError, NoSpeechError, Recognizer,
  SilenceError, measure, readWav, resampled,
} from "../src/index.js";
import { Resampler } from "../src/audio.js";
import { cleaned } from "../src/cleaning.js";
import { answer } from "./answers.js";
import { MODEL, REPOSITORY, nearProsody, ort, prepared, skip } from "./prepared.js";

const SCORE = 0.02;
const BORDER_S = 0.032;
const EMBEDDING = 0.25; // of numbers that reach 10

const { recognizer, bytes, jobs, voice } = prepared;

function near(mine, python) {
  assert.equal(mine.label, python.label);
  assert.equal(mine.certain, python.certain);
  assert.equal(mine.final, python.final);
  assert.equal(mine.level, python.level);
  assert.ok(Math.abs(mine.level_db - python.level_db) <= 0.11);
  assert.deepEqual(Object.keys(mine.scores), Object.keys(python.scores));
  for (const label of Object.keys(mine.scores))
    assert.ok(Math.abs(mine.scores[label] - python.scores[label]) <= SCORE, label);
  for (const end of ["start", "end"])
    assert.ok(Math.abs(mine[end] - python[end]) <= BORDER_S, `${end}: ${mine[end]}, ${python[end]}`);
}

const golden = JSON.parse(readFileSync(new URL("tests/web_golden.json", REPOSITORY), "utf8"));
for (const python of golden)
  test(`the answers to ${python.name} are Python's`, { skip }, async () => {
    const job = jobs.find(({ name }) => name === python.name);
    const mine = await answer(recognizer, job, bytes(python.name));
    if (python.whole) near(mine.whole, python.whole);
    assert.equal(mine.decisions.length, python.decisions.length);
    python.decisions.forEach((one, k) => near(mine.decisions[k], one));
    near(mine.turn, python.turn);
    assert.deepEqual(mine.summary.turning_points, python.summary.turning_points);
    const { total, ...rest } = python.baseline;
    assert.deepEqual({ ...mine.baseline, total: rest.total }, { ...rest, total: rest.total });
    const isNear = (one, k) => Math.abs(mine.baseline.total[k] - one) < EMBEDDING * rest.seconds;
    assert.ok(total.every(isNear));
    if (python.prosody) nearProsody(await recognizer.measure(bytes(python.name)), python.prosody);
    recognizer.stream(16000, { baseline: Baseline.from(python.baseline) });
  });

test("what cannot be measured of a voice is null, and no sound is refused", () => {
  const hum = Float32Array.from({ length: 480 }, (_, k) => 0.1 * Math.sin(k / 10));
  const { pitch_st, pitch_range_st, rate_hz, pause_share } = measure(hum);
  assert.deepEqual([pitch_st, pitch_range_st, rate_hz, pause_share], [null, null, null, 0]);
  assert.equal(measure(new Float32Array(16000)).pause_share, 1);
  assert.equal(measure(new Float32Array(1)).level_db, -120);
  for (const bad of [new Float32Array(0), Float32Array.of(NaN), "sound"])
    assert.throws(() => measure(bad), AudioError);
});

test("a tone has its pitch, whatever its level, longer than a minute, too", () => {
  for (const [hertz, level] of [[110, 0.3], [220, 0.003], [440, 0.3]]) {
    const tone = Float32Array.from({ length: 65 * 16000 }, (_, k) => level * Math.sin((2 * Math.PI * hertz * k) / 16000));
    const found = measure(tone);
    assert.ok(Math.abs(found.pitch_st - 12 * Math.log2(hertz / 27.5)) < 0.01);
    assert.ok(found.pitch_range_st < 0.01 && found.voiced_share > 0.99);
  }
});

test("segments of a recording are the final decisions of a stream", { skip }, async () => {
  const found = [];
  for await (const one of recognizer.segments(bytes("talk"))) found.push(one);
  const { decisions } = golden.find(({ name }) => name === "talk");
  const finals = decisions.filter(({ final }) => final);
  assert.equal(found.length, finals.length);
  finals.forEach((one, k) => near(found[k], one));
});

test("calls of a stream wait for one another", { skip }, async () => {
  const [samples] = readWav(bytes("talk")).channels;
  const stream = recognizer.stream(16000, { interval_s: null });
  const calls = [];
  for (let at = 0; at < samples.length; at += 16000)
    calls.push(stream.feed(samples.subarray(at, at + 16000)));
  calls.push(stream.flush());
  const found = (await Promise.all(calls)).flat();
  const { decisions } = golden.find(({ name }) => name === "talk");
  assert.equal(found.length, decisions.filter(({ final }) => final).length);
});

test("a speaker is enrolled, and the baseline used", { skip }, async () => {
  const baseline = await recognizer.enrol("Anna", [bytes("even"), bytes("slow-and-low")]);
  assert.equal(baseline.name, "Anna");
  assert.ok(baseline.seconds > 1);
  const alone = await recognizer.predict(bytes("even"));
  const known = await recognizer.predict(bytes("even"), undefined, { baseline });
  assert.notDeepEqual(alone.scores, known.scores);
  assert.deepEqual(Baseline.from(JSON.stringify(baseline)), baseline);
});

test("what is no speech is refused in one line", { skip }, async () => {
  const refused = (call, Kind) =>
    assert.rejects(call, (error) => error instanceof Kind && !error.message.includes("\n"));
  const noise = Float32Array.from({ length: 16000 }, (_, k) => 0.01 * Math.sin(k * k));
  await refused(recognizer.predict(new Float32Array(16000), 16000), SilenceError);
  await refused(recognizer.predict(noise, 16000), NoSpeechError);
  await refused(recognizer.predict(noise), AudioError);
  await refused(recognizer.predict(noise, 12.5), AudioError);
  await refused(recognizer.predict(new Float32Array(0), 16000), AudioError);
  await refused(recognizer.predict(Float32Array.of(NaN), 16000), AudioError);
  await refused(recognizer.predict(Float32Array.of(1000), 16000), AudioError);
  await refused(recognizer.predict(new TextEncoder().encode("RIFF no audio at all")), AudioError);
  await refused(recognizer.predict(bytes("even").subarray(0, 40)), AudioError);
});

test("a wrong model, baseline or setting is refused in one line", { skip }, async () => {
  const other = { ort, voice: new Uint8Array(9) };
  await assert.rejects(Recognizer.load(new Uint8Array(9), other), ModelError);
  await assert.rejects(Recognizer.load(readFileSync(voice), other), /no model card/);
  await assert.rejects(Recognizer.load(readFileSync(MODEL), {}), ConfigError);
  const foreign = new Baseline("0123456789abcdef", new Array(16).fill(0), 0, "Anna");
  assert.throws(() => recognizer.stream(16000, { baseline: foreign }), BaselineError);
  assert.throws(() => recognizer.stream(16000, { interval_s: 0 }), ConfigError);
  assert.throws(() => recognizer.stream(16000, { max_segment_s: 61 }), ConfigError);
  const newer = { schema: 2, model: "", name: "", seconds: 0, total: [0] };
  for (const damaged of ["{", "[]", "{}", newer, { ...newer, schema: 1, total: [1] }])
    assert.throws(() => Baseline.from(damaged), BaselineError);
});

test("resampling keeps a tone and leaves nothing above the new limit", () => {
  const tone = (hz, rate) =>
    Float32Array.from({ length: rate }, (_, k) => Math.sin((2 * Math.PI * hz * k) / rate));
  const middle = (samples) => samples.slice(400, -400);
  const expected = middle(tone(1000, 16000));
  for (const rate of [8000, 22050, 24414, 44100, 48000, 96000]) {
    const found = resampled(tone(1000, rate), rate);
    assert.equal(found.length, 16000);
    middle(found).forEach((one, k) => assert.ok(Math.abs(one - expected[k]) < 1e-4, `${rate} Hz`));
  }
  const left = middle(resampled(tone(10000, 48000), 48000));
  assert.ok(left.every((one) => Math.abs(one) < 1e-4));
});

test("resampling in blocks gives what resampling at once does", () => {
  const noise = Float32Array.from({ length: 5000 }, (_, k) => Math.sin(k * k));
  for (const rate of [11025, 16000, 44100]) {
    const stream = new Resampler(rate);
    const parts = [];
    for (let at = 0; at < noise.length; at += 777)
      parts.push(...stream.take(noise.subarray(at, at + 777), false));
    parts.push(...stream.take(new Float32Array(0), true));
    assert.deepEqual(Float32Array.from(parts), resampled(noise, rate));
  }
});

test("a click and an offset are taken out", () => {
  const voice = Float32Array.from({ length: 16000 }, (_, k) => 0.1 * Math.sin(k / 20));
  const clicked = voice.map((one) => one + 0.02);
  clicked[8000] = 0.9;
  const clean = cleaned(clicked);
  assert.ok(Math.abs(clean[8000] - voice[8000]) < 0.01);
  assert.ok(Math.abs(clean.reduce((sum, one) => sum + one, 0) / 16000) < 1e-3);
});
