// Practice in Node: what Python tells of the same takes, and what is refused.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ConfigError } from "../src/index.js";
import { practised } from "./answers.js";
import { REPOSITORY, nearProsody, prepared, skip } from "./prepared.js";

const { recognizer, bytes, practices, choices } = prepared;
const EVERY = 7; // blocks between the moments in the golden file
const CHANGE = { pitch: 0.1, range: 0.3, loudness: 0.21, tempo: 2, pauses: 2 };
const near = (mine, python, difference) =>
  mine === python || (mine !== null && python !== null && Math.abs(mine - python) <= difference);

function nearAttempt(mine, python) {
  assert.equal(mine.told, python.told);
  assert.equal(mine.why_untold, python.why_untold);
  assert.ok(near(mine.closeness, python.closeness, 0.02), `${mine.closeness}, ${python.closeness}`);
  assert.equal(mine.hint?.text, python.hint?.text);
  assert.equal(mine.hint?.dimension, python.hint?.dimension);
  assert.equal(mine.emotion?.label, python.emotion?.label);
  assert.equal(mine.changes === null, python.changes === null);
  for (const [name, change] of Object.entries(python.changes ?? {}))
    assert.ok(near(mine.changes[name], change, CHANGE[name]), `${name}: ${mine.changes[name]}, ${change}`);
  if (python.prosody) nearProsody(mine.prosody, python.prosody);
  assert.deepEqual(Object.keys(mine).slice(1, 7), Object.keys(python).slice(0, 6));
}

// Pitch and loudness are told of the moment only against the usual voice.
function isNear({ speaking, speech_seconds, pitch_st, loudness_db, usual }, python) {
  if (speaking !== python.speaking || !near(speech_seconds, python.speech_s, 0.2)) return false;
  if (!usual || !speaking) return pitch_st === null && loudness_db === null;
  const higher = python.pitch_st === null ? null : python.pitch_st - usual.pitch_st;
  return near(loudness_db, python.level_db - usual.level_db, 1) && near(pitch_st, higher, 0.5);
}

const golden = JSON.parse(readFileSync(new URL("tests/web_golden_practice.json", REPOSITORY), "utf8"));
for (const python of golden)
  test(`${python.name} is told as Python tells it`, { skip }, async () => {
    const job = practices.find(({ name }) => name === python.name);
    const mine = await practised(recognizer, { ...job, choices, every: EVERY }, bytes(python.name));
    assert.deepEqual(mine.aim, { type: "practice.aim", ...python.aim, takes: 20 });
    const [usual, ...attempts] = mine.told;
    assert.equal(usual.type, "practice.usual");
    assert.ok(near(usual.speech_seconds, python.usual.speech_seconds, 0.3));
    nearProsody(usual.prosody, python.usual.prosody);
    assert.equal(attempts.length, python.attempts.length);
    python.attempts.forEach((one, k) => nearAttempt(attempts[k], one));
    assert.equal(mine.moments.length, python.moments.length);
    const nNear = python.moments.filter((one, k) => isNear(mine.moments[k], one)).length;
    // Python's resampler holds back some blocks, at other rates than 16 kHz.
    assert.ok(nNear >= 0.9 * python.moments.length, `${nNear} of ${python.moments.length} moments`);
    const closes = python.attempts.filter(({ told }) => told).map(({ closeness }) => closeness);
    const last = attempts.at(-1);
    assert.equal(last.take, closes.length);
    assert.equal(last.best, closes.length ? closes.indexOf(Math.max(...closes)) + 1 : null);
  });

test("an exercise is over after its takes; another one begins with the next", { skip }, async () => {
  const job = { ...practices.find(({ name }) => name === "practice-angry"), choices, every: EVERY };
  const { told } = await practised(recognizer, { ...job, takes: 2 }, bytes("practice-angry"));
  const facts = told.slice(1).map(({ take, takes, best, over }) => [take, takes, best, over]);
  assert.deepEqual(facts, [[1, 2, 1, false], [2, 2, 2, true], [1, 2, 1, false]]);
});

test("a usual voice that cannot be used is asked for again", { skip }, async () => {
  const practice = recognizer.practice(16000, { choices, asked: { pitch: "up" } });
  const said = new Float32Array(14 * 16000);
  const { decoded } = prepared;
  const sentence = decoded("even").map((one) => 1e-3 * one); // far below a microphone's own noise
  for (let at = 0; at + sentence.length < said.length; at += sentence.length) said.set(sentence, at);
  const heard = [];
  for (const sound of [said, said, new Float32Array(32000)])
    for (let at = 0; at < sound.length; at += 1600)
      heard.push(...(await practice.feed(sound.subarray(at, at + 1600))));
  const again = heard.filter(({ type }) => type === "practice.again");
  assert.match(again[0].message, /too quiet; move closer/);
  assert.equal(practice.usual, null);
});

test("what cannot be practised is refused in one line", { skip }, async () => {
  const refused = (options, words) =>
    assert.throws(
      () => recognizer.practice(16000, { choices, ...options }),
      (error) => error instanceof ConfigError && error.message.includes(words),
    );
  refused({ asked: { target: "joyful" } }, "expected a target of angry");
  refused({ asked: { target: "sad" }, emotion: false }, "people do not agree");
  refused({ asked: { target: "calm" } }, "the model does not know 'calm'");
  refused({ asked: { loudness: "1dB" } }, "more than 2 and at most 20 dB");
  refused({ asked: { pitch: "3 dB" } }, "such as +3st");
  for (const asked of [undefined, {}, { target: 3 }, { pitch: "up", loudness: "6dB" }, { constructor: "up" }])
    refused({ asked }, "expected one of target, loudness, pitch");
  for (const takes of [0, 21, 1.5, "3"]) refused({ asked: { pitch: "up" }, takes }, "1 to 20 takes");
  const practice = recognizer.practice(16000, { choices, asked: { pitch: "down" } });
  await assert.rejects(practice.practise({ target: "none" }), ConfigError);
  assert.equal((await practice.practise({ loudness: " -6 DB" })).wanted.loudness.by, -6);
});
