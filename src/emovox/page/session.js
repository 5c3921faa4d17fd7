// A session with the server: one timeline, however often the connection is lost and found again.

const SILENT_MS = 8000; // the server tells the level five times a second: silent for long is gone
const FOR_GOOD = [1003, 1007, 1008, 1009]; // trying again would end the same way
const NO_TOKEN = "The server no longer accepts this access token. Reload the page.";
const BAD_TOKEN = "The access token holds characters that a browser cannot send to a live session, " +
  "such as / or =. Ask for a token of letters and digits.";

export class Session {
  // `on` holds functions: state(state, problem), result(prediction, facts), gap({start, end}),
  // baseline(baseline | null). States: connecting, live, waiting, paused, closing, closed.
  constructor(model, token, rate, baseline, on) {
    Object.assign(this, { model, token, rate, baseline, on, seconds: 0, tries: 0 });
  }

  connect() {
    this.set("connecting");
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    try {
      this.socket = new WebSocket(address, this.token ? [`bearer.${this.token}`] : []);
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

  feed(samples) {
    if (this.state !== "live" && !this.gap) return; // nothing began yet
    if (!this.open) this.gap ??= { start: this.seconds };
    this.seconds = Math.round(1e5 * (this.seconds + samples.length / this.rate)) / 1e5;
    if (this.state !== "live" || !this.open) return;
    this.socket.send(samples.buffer);
    if (performance.now() - this.heard > SILENT_MS) this.lose(1006);
  }

  hear(message) {
    this.heard = performance.now();
    if (message.type === "session.created") this.greet(message);
    else if (message.type === "session.updated") this.start();
    else if (message.type === "result") this.result(message);
    else if (message.type === "baseline") this.learn(message.baseline);
    else if (message.type === "error") this.error(message);
    else if (message.type === "session.closed") this.reason ??= message.reason;
  }

  greet({ model }) {
    this.greeted = true;
    if (model !== this.model) return this.end("The server has another model now. Reload the page.");
    this.tell({ type: "session.update", rate: this.rate, baseline: this.baseline, learn: true });
  }

  start() {
    if (this.state !== "connecting") return;
    if (this.gap) this.on.gap({ start: this.gap.start, end: this.seconds });
    this.gap = this.reason = undefined;
    this.tries = 0;
    this.began = this.seconds; // on the timeline, where the server's own clock is 0
    this.set("live");
  }

  result({ prediction, latency_ms, baseline_seconds }) {
    const [start, end] = [prediction.start, prediction.end].map((at) => at + this.began);
    this.on.result({ ...prediction, start, end }, { latency_ms, baseline_seconds });
    if (prediction.final) this.tell({ type: "baseline.get" });
  }

  error({ code, message, fatal }) {
    this.reason = message;
    if (!fatal) this.on.state(this.state, message);
    if (code !== "baseline") return;
    this.learn(null); // it is damaged: go on without
    this.drop();
    this.connect();
  }

  learn(baseline) {
    this.baseline = baseline?.seconds ? baseline : null;
    this.on.baseline(this.baseline);
  }

  forget() {
    this.learn(null);
    this.tell({ type: "baseline.reset" });
  }

  async lose(code) {
    const refused = !this.greeted;
    this.drop();
    if (this.state === "paused") return;
    if (this.state === "closing") return this.set("closed");
    if (this.state === "live") this.gap ??= { start: this.seconds };
    if (FOR_GOOD.includes(code)) return this.end(`The server ended it: ${this.reason ?? code}.`);
    this.set("waiting", "The connection to the server is lost. Trying again…");
    this.retry = setTimeout(() => this.connect(), Math.min(5000, 500 * 2 ** this.tries++));
    if (!refused) return;
    // A refused handshake looks like a server that is gone; another request tells them apart.
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch("v1/model", { headers, cache: "no-store" }).catch(() => null);
    if (!answer || this.state !== "waiting") return;
    if (answer.status === 401) return this.end(NO_TOKEN);
    this.set("waiting", "The server is busy: it has no free place. Trying again…");
  }

  end(problem) {
    clearTimeout(this.retry);
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
    if (rate !== this.rate) this.drop(); // another microphone: a session keeps its rate
    this.rate = rate;
    if (this.open) return this.set("live");
    this.gap ??= { start: this.seconds };
    this.connect();
  }

  close() {
    clearTimeout(this.retry);
    this.state = "closing";
    if (!this.open) return this.lose();
    this.tell({ type: "session.close" }); // answered by what is left of the results, then closed
    setTimeout(() => this.state === "closing" && this.lose(), 4000);
  }

  drop() {
    this.socket?.close();
    this.socket = undefined;
    this.greeted = false;
  }
}
