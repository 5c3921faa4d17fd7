// What comes into a journal: a session through the microphone, recordings, and what the person says.

import { Adding } from "./journal-adding.js";
import { card, check, field, make, pleasant, signed, soft, spoken, stamp, swatch, table } from "./journal-parts.js";
import { microphoneProblem, openMicrophone } from "./microphone.js";
import { emotion, percent } from "./results.js";
import { Session } from "./session.js";

const ROWS = 8; // of the segments that were kept last
const STATES = {
  connecting: "Connecting…",
  live: "Recording. Each sentence is kept as soon as it ends.",
  waiting: "Waiting for the server. What was kept is kept.",
  paused: "The microphone is off.",
  closing: "Finishing…",
  closed: "The microphone is off.",
};

export class NowView {
  constructor(journal) {
    Object.assign(this, { journal, segments: [] });
    this.button = make("button", { className: "main", id: "journal-start", onclick: () => this.press() }, "Start");
    this.state = make("p", { className: "soft small", id: "journal-state", role: "status" }, STATES.closed);
    this.level = make("span");
    this.total = make("p", { id: "journal-total" });
    this.latest = make("div");
    this.adding = new Adding(journal);
    const meter = make("div", { className: "level", "aria-hidden": "true" }, this.level);
    this.place = make("div", {},
      card("Record", make("div", { className: "buttons" }, this.button), meter, this.state, this.total, this.latest),
      this.feelingCard(), this.adding.place);
    this.warn = (event) => this.session && event.preventDefault();
    addEventListener("beforeunload", this.warn);
  }

  show() {
    this.adding.show();
  }

  leave() {
    removeEventListener("beforeunload", this.warn);
    this.left = true;
    this.stop();
  }

  async press() {
    this.button.disabled = true;
    try {
      await (this.session ? this.stop() : this.start());
    } finally {
      this.button.disabled = false;
      this.button.focus();
    }
  }

  async start() {
    const { journal } = this;
    const known = await journal.attempt(() => journal.load().then(() => true));
    if (!known) return; // locked, gone, or the server does not answer
    try {
      this.microphone = await openMicrophone((frame) => this.feed(frame), () => this.stop());
    } catch (error) {
      return journal.tell(microphoneProblem(error));
    }
    this.segments = [];
    this.latest.replaceChildren();
    const { rate, device = "" } = this.microphone;
    this.session = new Session({
      url: document.baseURI,
      token: journal.token,
      ...journal.client.stream(device),
      options: { rate },
      on: {
        state: (state, problem) => this.tell(state, problem),
        result: (answer) => this.keep(answer),
        gap: () => {},
        baseline: () => {},
      },
    });
    this.session.connect();
    this.button.textContent = "Stop";
  }

  async stop() {
    const { microphone } = this;
    this.microphone = undefined;
    await microphone?.close(); // its last samples still go to the session
    this.session?.close();
    this.level.style.width = "0";
  }

  feed({ samples, db }) {
    this.level.style.width = `${Math.max(0, Math.min(100, (db + 70) * 1.6))}%`;
    this.session?.feed(samples);
    this.tellTotal();
  }

  tell(state, problem) {
    this.state.textContent = STATES[state];
    if (state !== "connecting") this.journal.tell(problem);
    if (state !== "closed") return;
    const { session } = this;
    this.session = undefined;
    this.button.textContent = "Start again";
    this.tellTotal(session.seconds);
    if (!this.left) this.stop().then(() => this.journal.attempt(() => this.journal.refresh())).then(() => problem && this.journal.tell(problem));
  }

  keep(answer) {
    if (this.left || answer.final === false) return; // which may still change
    this.segments.push(answer);
    const rows = this.segments.slice(-ROWS).reverse().map((one) => [
      `${one.start.toFixed(1)} to ${one.end.toFixed(1)} s`,
      one.label ? make("span", {}, one.certain ? swatch(one.label) : "", `${emotion(one)}, ${percent(one.score)}`) : measured(one),
    ]);
    this.latest.replaceChildren(table("Kept, latest first", ["When", this.journal.overview.consent.emotion ? "Sounded" : "Measured"], rows));
    this.tellTotal();
  }

  tellTotal(seconds = this.session?.seconds ?? 0) {
    const speech = this.segments.reduce((sum, { start, end }) => sum + end - start, 0);
    const short = speech < 60 ? " Under 60 s of speech is too little for the trend." : "";
    this.total.textContent = `${spoken(seconds)} heard, ${spoken(speech)} of speech kept.${short}`;
  }

  feelingCard() {
    const { kinds, feelings } = this.journal.state;
    const words = { momentary: "Right now", daily: "The day as a whole" };
    const kind = kinds.map((value, place) => make("input", { type: "radio", name: "journal-kind", value, defaultChecked: !place }));
    const valence = make("input", { type: "range", min: -1, max: 1, step: 0.05, value: 0, id: "journal-valence" });
    const told = make("output", {}, pleasant(0));
    valence.addEventListener("input", () => {
      told.textContent = `${pleasant(Number(valence.value))} (${signed(Number(valence.value))})`;
      valence.setAttribute("aria-valuetext", told.textContent);
    });
    const labels = feelings.map((value) => check(value, { value }));
    const note = make("textarea", { rows: 2, maxLength: 10000, id: "journal-note" });
    const form = make("form", { className: "form" },
      make("fieldset", {}, make("legend", {}, "About"), make("p", { className: "choices" },
        kind.map((box) => make("label", {}, box, words[box.value] ?? box.value)))),
      field("From very unpleasant to very pleasant", valence), make("p", {}, told),
      make("details", {}, make("summary", {}, "Words for it"), make("div", { className: "chips" }, labels.map(({ line }) => line.firstChild))),
      field("Note", note), make("div", { className: "buttons" }, make("button", { className: "main" }, "Keep")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const json = {
        at: stamp(new Date()),
        kind: kind.find(({ checked }) => checked).value,
        valence: Number(valence.value),
        labels: labels.filter(({ box }) => box.checked).map(({ box }) => box.value),
        note: note.value,
      };
      this.journal.attempt(async () => {
        await this.journal.client.ask("checkins", { method: "POST", json });
        form.reset();
        told.textContent = pleasant(0);
        await this.journal.refresh();
        done.textContent = `Kept: ${pleasant(json.valence)} (${signed(json.valence)}).`;
      });
    });
    const done = make("p", { role: "status", id: "journal-said" });
    return card("How do you feel?", soft("This stands beside how your voice sounded; neither changes the other."), form, done);
  }
}

function measured({ prosody: { pitch_st, level_db, rate_hz } }) {
  const parts = [[pitch_st, "st"], [level_db, "dB"], [rate_hz, "syllables a second"]];
  return parts.filter(([value]) => value !== null).map(([value, unit]) => `${value.toFixed(1)} ${unit}`).join(", ");
}
