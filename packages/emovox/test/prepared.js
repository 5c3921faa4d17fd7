// What the tests need: recordings and Silero's network by way of Python, and the engine, opened.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Recognizer, readWav } from "../src/index.js";

export const REPOSITORY = new URL("../../../", import.meta.url);
const place = (name) => fileURLToPath(new URL(name, REPOSITORY));
export const MODEL = place("src/emovox/models/speech.onnx");

// The recordings and what is done with them; or why there are none.
async function prepare() {
  const pythons = [process.env.PYTHON, place(".venv/bin/python"), "python3"];
  const folder = await mkdtemp(join(tmpdir(), "emovox-"));
  const script = place("benchmarks/web.py");
  for (const python of pythons.filter(Boolean)) {
    const done = spawnSync(python, [script, "--examples", folder], { encoding: "utf8" });
    if (done.status === 0) return { folder, ...JSON.parse(done.stdout) };
  }
  return { missing: "no Python with emovox, which decodes the examples" };
}

export const ort = await import("onnxruntime-web").catch(() => null);
const found = ort ? await prepare() : { missing: "onnxruntime-web is not installed: npm install" };
export const skip = found.missing ?? !existsSync(MODEL);

async function open() {
  if (skip) return undefined;
  ort.env.wasm.numThreads = 1;
  return await Recognizer.load(readFileSync(MODEL), { voice: readFileSync(found.voice), ort });
}

const bytes = (name) => readFileSync(join(found.folder, `${name}.wav`));
const decoded = (name) => readWav(bytes(name)).channels[0];
export const prepared = { ...found, recognizer: await open(), bytes, decoded };

const PROSODY = {
  pitch_st: 0.1, pitch_range_st: 0.3, level_db: 0.11, rate_hz: 0.1, pause_share: 0.02,
  voiced_share: 0.02,
};

export function nearProsody(mine, python) {
  assert.deepEqual(Object.keys(mine), Object.keys(python));
  for (const [name, difference] of Object.entries(PROSODY)) {
    const isNear = mine[name] === python[name] || Math.abs(mine[name] - python[name]) <= difference;
    assert.ok(isNear, `${name}: ${mine[name]}, ${python[name]}`);
  }
}
