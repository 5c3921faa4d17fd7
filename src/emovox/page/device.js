// Recognition on this device: the engine's worker, and sessions and recordings like the server's.

import { decoded } from "./decode.js";
import { $ } from "./results.js";

export const FILES = new URL("../device/", import.meta.url);

// Where the sound goes.
const ALONE = "Sound stays on this device and is not stored.";
const HERE = "Live, File and Practice: sound stays on this device and is not stored. Journal, and practice kept in it: it goes only to this server.";
const THERE = $("where").textContent;

// Whether there is no server behind the page: `emovox page` wrote it.
export const isAlone = document.documentElement.dataset.device === "only";

// Whether the next recording or session is heard here.
export const hearsHere = () => isAlone || $("here").checked;

class Device {
  constructor() {
    this.asked = new Map();
    this.n = 0;
  }

  // Loads the engine, the first time that it is asked.
  open() {
    this.opened ??= this.load().catch((error) => {
      this.opened = undefined; // it may go better the next time
      throw error;
    });
    return this.opened;
  }

  async load() {
    if (isAlone) await kept();
    this.worker = new Worker(new URL("device-worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => this.fail(event);
    await this.ask("open");
  }

  ask(call, args = {}, { onProgress, transfer = [] } = {}) {
    const id = (this.n += 1);
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject, onProgress });
      args.onId?.(id);
      this.worker.postMessage({ id, call, args: { ...args, onId: undefined } }, transfer);
    });
  }

  hear({ id, value, problem, share }) {
    const { resolve, reject, onProgress } = this.asked.get(id);
    if (share !== undefined) return onProgress?.(share);
    this.asked.delete(id);
    if (problem === undefined) resolve(value);
    else reject(new Error(problem));
  }

  fail({ message = "its files cannot be loaded" }) {
    const error = new Error(`this browser cannot run the engine: ${message}`);
    this.asked.forEach(({ reject }) => reject(error));
    this.asked.clear();
    this.opened = undefined;
  }
}

export const device = new Device();

// Waits until all files are kept, so that each is fetched once; where that cannot be, goes on.
async function kept() {
  const registration = await navigator.serviceWorker?.register("service-worker.js").catch(() => null);
  if (!registration || registration.active) return;
  const worker = registration.installing ?? registration.waiting;
  const over = ["activated", "redundant"];
  await new Promise((resolve) => {
    worker.addEventListener("statechange", () => over.includes(worker.state) && resolve());
    if (over.includes(worker.state)) resolve();
  });
}

// The card of the model on this device, and its fingerprint; null where there is none.
export async function deviceModel() {
  const answer = await fetch(new URL("model.json", FILES)).catch(() => null);
  return answer?.status === 200 ? await answer.json() : null;
}

// Offers the switch beside a server that has the same model; else it stays hidden.
export async function offerDevice({ fingerprint }) {
  $("switch").hidden = (await deviceModel())?.fingerprint !== fingerprint;
  $("here").addEventListener("change", () => tellWhere());
}

// Says where the sound goes, and begins to load what is needed here.
export function tellWhere() {
  const here = hearsHere();
  $("where").textContent = isAlone ? ALONE : here ? HERE : THERE;
  for (const one of document.querySelectorAll("[data-server]")) one.hidden = isAlone;
  $("here-words").textContent = here ? "Loading the model…" : "";
  if (!here) return;
  const say = (words) => ($("here-words").textContent = hearsHere() ? words : "");
  device.open().then(() => say("The model is loaded."), (error) => say(`${error.message}.`));
}

// A session of the shape of `Session`: the same calls, the same states, on this device.
export class DeviceSession {
  constructor({ options, baselines = [null], on }) {
    Object.assign(this, { options, on, baselines, seconds: 0, began: 0 });
  }

  async connect() {
    this.set("connecting");
    this.ready ??= device.open().then(() => this.begin());
    try {
      await this.ready;
    } catch (error) {
      return this.end(`Not on this device: ${error.message}.`);
    }
    if (this.state === "connecting") this.set("live");
  }

  // Begins anew in the worker; without the baseline, if that is damaged or of another model.
  async begin() {
    if (this.session) device.ask("end", { session: this.session });
    this.session = crypto.randomUUID();
    this.began = this.seconds;
    const { session, options: { rate } } = this;
    await device.ask("begin", { session, rate, baseline: this.baselines[0] }).catch((error) => {
      if (!this.baselines[0]) throw error;
      this.learn(null);
      return device.ask("begin", { session, rate });
    });
  }

  set(state, problem = "") {
    this.state = state;
    this.on.state(state, problem);
  }

  // Takes 16-bit samples.
  feed(samples) {
    if (this.state !== "live") return; // nothing began yet
    this.seconds = Math.round(1e5 * (this.seconds + samples.length / this.options.rate)) / 1e5;
    this.tell("feed", { samples });
  }

  async tell(call, args = {}) {
    const { session, began } = this;
    try {
      this.hear(await device.ask(call, { session, ...args }), began);
    } catch (error) {
      this.end(`The session ended: ${error.message}.`);
    }
  }

  hear(answer, began) {
    for (const prediction of answer?.predictions ?? []) {
      const [start, end] = [prediction.start, prediction.end].map((at) => at + began);
      const { latency_ms, baseline_seconds } = answer;
      this.on.result({ ...prediction, start, end }, { latency_ms, baseline_seconds, channel: 0 });
    }
    if (answer?.baseline) this.learn(answer.baseline);
  }

  learn(baseline) {
    this.baselines[0] = baseline?.seconds ? baseline : null;
    this.on.baseline(this.baselines[0], 0);
  }

  async forget() {
    this.learn(null);
    await this.tell("forget");
    this.learn(null); // what was on its way may have brought it back
  }

  pause() {
    if (this.state === "live") this.tell("flush");
    this.set("paused");
  }

  async resume(rate) {
    const isOther = rate !== this.options.rate; // another microphone: a session keeps its rate
    this.options.rate = rate;
    if (isOther) this.ready = this.ready.then(() => this.begin());
    await this.connect();
  }

  async close() {
    this.state = "closing";
    if (this.session) await this.tell("flush");
    if (this.state === "closing") this.end("");
  }

  end(problem) {
    if (this.state === "closed") return;
    if (this.session) device.ask("end", { session: this.session });
    this.set("closed", problem);
  }
}

// A recording, with the fields of the XMLHttpRequest that would send it to the server.
export class DeviceRequest {
  constructor(file, { baseline, separate, onProgress }) {
    this.done = this.hear(file, { baseline, separate }, onProgress).then(
      (answer) => this.end(200, answer),
      (error) => this.end(422, { error: { message: error.message } }),
    );
  }

  async hear(file, options, onProgress) {
    const [recording] = await Promise.all([decoded(file), device.open()]);
    const transfer = recording.channels?.map(({ buffer }) => buffer) ?? [];
    const onId = (id) => (this.id = id);
    if (this.aborted) throw new Error("cancelled");
    return await device.ask("hear", { ...recording, ...options, onId }, { onProgress, transfer });
  }

  end(status, answer) {
    return Object.assign(this, { status, responseText: JSON.stringify(answer), id: undefined });
  }

  abort() {
    this.aborted = true;
    if (this.id) device.ask("cancel", { of: this.id });
  }
}
