// A client of the service for browsers and Node 22: recordings, and live sessions.
//
//   const client = new Client(url, { token }); // of the service
//   const prediction = await client.predict(await readFile("talk.wav"));
//   const live = await client.live({ encoding: "mulaw", rate: 8000 });
//   live.send(bytes); ... live.finish();
//   for await (const event of live) console.log(event);

import { Session } from "./session.js";

const MESSAGE = 16_000; // bytes at most, of audio: far less than the service takes

// The service cannot be reached, is busy, or refuses what it was asked: `code` is its own word for
// the reason, `status` that of its answer; "" and 0 if it gave none.
export class ServiceError extends Error {
  constructor(message, code = "", status = 0) {
    super(message);
    Object.assign(this, { name: "ServiceError", code, status });
  }
}

export class Client {
  constructor(url, { token = "" } = {}) {
    Object.assign(this, { url, token });
  }

  model() {
    return this.ask("v1/model");
  }

  // A recording is a Blob (such as a File), or the bytes of a file. Options: baseline, explain,
  // prosody. The answer is a prediction: label, score, scores, start, end, certain, ...
  async predict(recording, options = {}) {
    return (await this.ask("v1/predict", this.form({ file: recording }, options))).prediction;
  }

  // The answer holds segments, seconds, and a summary; `channels: "separate"`: each is a speaker.
  segments(recording, options = {}) {
    return this.ask("v1/predict", this.form({ file: recording }, { ...options, segments: true }));
  }

  async measure(recording) {
    return (await this.ask("v1/measure", this.form({ file: recording }))).measurement;
  }

  // The baseline of a speaker, from recordings.
  enrol(name, recordings) {
    return this.ask("v1/baselines", this.form({ files: recordings, name }));
  }

  // A live session that has begun. Options: those of session.update, and retry_s, the seconds after
  // which a lost connection is given up.
  async live(options = {}) {
    return await new Live(this, options).begin();
  }

  form(fields, { baseline, ...params } = {}) {
    const form = new FormData();
    for (const [name, value] of Object.entries({ ...fields, baseline: baseline ?? [] }))
      for (const one of [value].flat())
        if (typeof one === "string") form.append(name, one);
        else if (name === "baseline") form.append(name, JSON.stringify(one));
        else form.append(name, one instanceof Blob ? one : new Blob([one]), name);
    return { form, params };
  }

  async ask(path, { form, params = {} } = {}) {
    const address = new URL(path, `${this.url}`.replace(/\/?$/, "/"));
    for (const [name, value] of Object.entries(params)) address.searchParams.set(name, value);
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const how = { method: form ? "POST" : "GET", body: form, headers, cache: "no-store" };
    const answer = await fetch(address, how).catch((error) => {
      throw new ServiceError(`no answer from ${this.url}: ${error.cause?.message ?? error.message}`);
    });
    const data = await answer.json().catch(() => null);
    if (answer.ok && data) return data;
    const { code = "", message = `status ${answer.status}` } = data?.error ?? {};
    throw new ServiceError(message, code, answer.status);
  }
}

// Events are objects with a type: result (prediction or measurement, channel, latency_ms,
// baseline_seconds), turn (the same, or neither if nobody has spoken), speech (at, began, channel),
// gap (start, end). Times are seconds of what you have sent, also after a lost connection, which comes back with the baselines learned so far.
export class Live {
  constructor(client, { retry_s = 60, baselines, ...options }) {
    const { encoding, channels = 1 } = options;
    options.rate ??= encoding === "mulaw" || encoding === "alaw" ? 8000 : 16000;
    Object.assign(this, { client, retry_s, events: [], over: false });
    this.session = new Session({
      url: `${client.url}`.replace(/\/?$/, "/"),
      token: client.token,
      options,
      baselines: baselines ?? Array(channels).fill(null),
      on: {
        state: (state, problem) => this.state(state, problem),
        result: (answer, facts) => this.add({ type: "result", ...named(answer), ...facts }),
        turn: (answer, facts) => this.add({ type: "turn", ...(answer && named(answer)), ...facts }),
        speech: (speech) => this.add({ type: "speech", ...speech }),
        gap: (gap) => this.add({ type: "gap", ...gap }),
        baseline: () => {},
      },
    });
  }

  get baselines() {
    return this.session.baselines;
  }

  begin() {
    return new Promise((resolve, reject) => {
      this.begun = { resolve, reject };
      this.session.connect();
    });
  }

  // Bytes of the encoding, of any length, but for opus one packet; for linear16 also an Int16Array,
  // or floats in [-1, 1].
  send(audio) {
    if (this.problem) throw new ServiceError(this.problem);
    const { buffer, byteOffset, byteLength } =
      audio instanceof Float32Array ? Int16Array.from(audio, sample) : audio;
    const size = MESSAGE - (MESSAGE % (2 * (this.session.options.channels ?? 1)));
    for (let at = 0; at < byteLength; at += size)
      this.session.feed(new Uint8Array(buffer, byteOffset + at, Math.min(size, byteLength - at)));
  }

  flush() {
    this.session.tell({ type: "flush" });
  }

  // Ask for the answer to all that was said since the last turn, on each channel or on this one.
  // An event of the type turn brings it; after a gap, ask again.
  turn(channel) {
    this.session.tell({ type: "turn", channel });
  }

  // Send no more; what is left of the answers still comes.
  finish() {
    if (!this.over) this.session.close();
  }

  async *[Symbol.asyncIterator]() {
    while (true) {
      while (this.events.length) yield this.events.shift();
      if (this.over) break;
      await new Promise((resolve) => (this.wake = resolve));
    }
    if (this.problem) throw new ServiceError(this.problem);
  }

  add(event) {
    this.events.push(event);
    this.wake?.();
  }

  state(state, problem) {
    if (state === "live") {
      clearTimeout(this.patience);
      this.patience = undefined;
      this.begun.resolve(this);
      this.live = true;
    } else if (state === "waiting" && !this.live) this.refuse(problem);
    else if (state === "waiting")
      this.patience ??= setTimeout(() => this.session.end("The connection is lost."), 1000 * this.retry_s);
    else if (state === "closed") this.end(problem);
  }

  // Of a refused handshake a WebSocket tells nothing; another request does.
  async refuse(problem) {
    const words = "no session: the service is busy, or nobody answers there";
    const error = await this.client.model().then(() => new ServiceError(words, "busy"), (one) => one);
    this.begun.reject(error);
    this.session.end(problem);
  }

  end(problem) {
    clearTimeout(this.patience);
    Object.assign(this, { over: true, problem });
    this.begun.reject(new ServiceError(problem));
    this.wake?.();
  }
}

const named = (answer) => ("label" in answer ? { prediction: answer } : { measurement: answer });
const sample = (x) => Math.round(32767 * Math.max(-1, Math.min(1, x)));
