// A session with the server: one timeline, however often the connection is lost and found again.

const SILENT_MS = 8000; // the server tells the level five times a second: silent for long is gone
const FOR_GOOD = [1003, 1007, 1008, 1009]; // trying again would end the same way
const NO_TOKEN = "The server no longer accepts this access token. Reload the page.";
const BAD_TOKEN = "The access token holds characters that a browser cannot send to a live session, " +
  "such as / or =. Ask for a token of letters and digits.";

export class Session {
  // `url` is the service's, `options` are those of session.update without baselines, of which there
  // is one or null for each channel. `on` holds functions: state(state, problem), result(answer,
  // facts), gap({start, end}), baseline(baseline | null, channel); and, if wanted, speech({at, began,
  // channel}), turn(answer | null, facts), and practice(message) with that option. States: connecting, live, waiting, paused, closing, closed. With `model`, another one
  // is refused; with `forgiving`, the session goes on without a baseline that the service refuses.
  // A session that is kept has a `path`, `protocols` and `check()` of its own, which tells why it
  // was refused for good, if it was.
  constructor({ url, path = "v1/stream", protocols = [], check, token, model, options, baselines = [null], forgiving = false, on }) {
    const fixed = { url, path, protocols, check, token, model, forgiving, on };
    Object.assign(this, fixed, { options, baselines, seconds: 0, tries: 0 });
  }

  connect() {
    this.set("connecting");
    const address = new URL(this.path, this.url);
    address.protocol = address.protocol.replace("http", "ws");
    try {
      this.socket = new WebSocket(address, [...(this.token ? [`bearer.${this.token}`] : []), ...this.protocols]);
    } catch {
      return this.end(BAD_TOKEN); // nothing else here can be wrong for it
    }
    const { socket } = this;
    socket.onmessage = ({ data }) => socket === this.socket && this.hear(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lose(code);
  }

  set(state, problem = "") {
    this.state = state;
    this.on.state(state, problem);
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  tell(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  // Takes a typed array: bytes of the encoding, or 16-bit samples; channels are interleaved.
  feed(audio) {
    if (this.state !== "live" && !this.gap) return; // nothing began yet
    if (!this.open) this.gap ??= { start: this.seconds };
    this.seconds = Math.round(1e5 * this.after(audio.byteLength)) / 1e5;
    if (this.state !== "live" || !this.open) return;
    this.socket.send(audio);
    if (performance.now() - this.heard > SILENT_MS) this.lose(1006);
  }

  after(bytes) {
    const { encoding = "linear16", rate, channels = 1 } = this.options;
    if (encoding === "opus") return (performance.now() - (this.first ??= performance.now())) / 1000;
    return this.seconds + bytes / ((encoding === "linear16" ? 2 : 1) * channels * rate);
  }

  hear(message) {
    this.heard = performance.now();
    if (message.type === "session.created") this.greet(message);
    else if (message.type === "session.updated") this.start(message);
    else if (message.type === "result") this.result(message.prediction, message);
    else if (message.type === "measurement") this.result(message.measurement, message);
    else if (message.type === "turn") this.turn(message);
    else if (message.type === "baseline") this.learn(message.baseline, message.channel);
    else if (message.type.startsWith("speech.")) this.speech(message);
    else if (message.type.startsWith("practice.")) this.on.practice(message);
    else if (message.type === "error") this.error(message);
    else if (message.type === "session.closed") this.reason ??= message.reason;
  }

  greet({ model }) {
    this.greeted = true;
    if (this.model && model !== this.model)
      return this.end("The server has another model now. Reload the page.");
    this.tell({ type: "session.update", ...this.options, baselines: this.baselines });
  }

  start({ practice }) {
    if (this.state !== "connecting") return;
    if (this.gap) this.on.gap({ start: this.gap.start, end: this.seconds });
    this.gap = this.reason = undefined;
    this.tries = 0;
    this.began = this.seconds; // on the timeline, where the server's own clock is 0
    this.set("live");
    if (practice) this.on.practice({ type: "practice.aim", ...practice });
  }

  placed(answer) {
    return { ...answer, start: answer.start + this.began, end: answer.end + this.began };
  }

  turn({ prediction, measurement, latency_ms, channel = 0 }) {
    const answer = prediction ?? measurement;
    this.on.turn?.(answer ? this.placed(answer) : null, { latency_ms, channel });
  }

  result(answer, { latency_ms, baseline_seconds, channel = 0 }) {
    this.on.result(this.placed(answer), { latency_ms, baseline_seconds, channel });
    if (answer.final) this.tell({ type: "baseline.get", channel });
  }

  speech({ type, at, channel = 0 }) {
    this.on.speech?.({ at: at + this.began, began: type === "speech.start", channel });
  }

  error({ code, message, fatal }) {
    this.reason = message;
    if (!fatal) this.on.state(this.state, message);
    if (code !== "baseline" || !this.forgiving) return;
    this.learn(null); // it is damaged: go on without
    this.drop();
    this.connect();
  }

  learn(baseline, channel = 0) {
    this.baselines[channel] = baseline?.seconds ? baseline : null;
    this.on.baseline(this.baselines[channel], channel);
  }

  forget() {
    this.learn(null);
    this.tell({ type: "baseline.reset" });
  }

  async lose(code) {
    const refused = !this.greeted;
    this.drop();
    if (this.state === "paused") return;
    clearTimeout(this.closer);
    if (this.state === "closing") return this.set("closed");
    if (this.state === "live") this.gap ??= { start: this.seconds };
    if (FOR_GOOD.includes(code)) return this.end(`The server ended it: ${this.reason ?? code}.`);
    this.set("waiting", "The connection to the server is lost. Trying again…");
    this.retry = setTimeout(() => this.connect(), Math.min(5000, 500 * 2 ** this.tries++));
    if (!refused) return;
    // A refused handshake looks like a server that is gone; another request tells them apart.
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch(new URL("v1/model", this.url), { headers, cache: "no-store" }).catch(() => null);
    if (!answer || this.state !== "waiting") return;
    if (answer.status === 401) return this.end(NO_TOKEN);
    const why = await this.check?.();
    if (why) return this.end(why);
    this.set("waiting", "The server is busy: it has no free place. Trying again…");
  }

  end(problem) {
    clearTimeout(this.retry);
    clearTimeout(this.closer);
    this.drop();
    this.set("closed", problem);
  }

  pause() {
    clearTimeout(this.retry);
    this.tell({ type: "flush" });
    if (this.state !== "live") this.drop();
    this.set("paused");
  }

  resume(rate) {
    this.heard = performance.now();
    if (rate !== this.options.rate) this.drop(); // another microphone: a session keeps its rate
    this.options.rate = rate;
    if (this.open) return this.set("live");
    this.gap ??= { start: this.seconds };
    this.connect();
  }

  close() {
    clearTimeout(this.retry);
    this.state = "closing";
    if (!this.open) return this.lose();
    // Answered by what is left of the results and the baselines, then closed.
    const last = this.options.practice ? [] : ["flush", "baseline.get"];
    for (const type of [...last, "session.close"]) this.tell({ type });
    this.closer = setTimeout(() => this.state === "closing" && this.lose(), 4000);
  }

  drop() {
    this.socket?.close();
    this.socket = undefined;
    this.greeted = false;
  }
}
