// One session: its segments over time, their sound where that is kept, its note and tags.

import { Chart } from "./chart.js";
import { field, make, soft, sounded, spoken, swatch, table, whenWords } from "./journal-parts.js";
import { emotion, percent } from "./results.js";

const figure = (value, unit) => (value === null ? "" : `${value.toFixed(1)} ${unit}`);

export class SessionCard {
  constructor(journal, onChange) {
    Object.assign(this, { journal, onChange, place: make("div"), number: 0 });
  }

  leave() {
    this.number = 0;
    URL.revokeObjectURL(this.player?.src);
    this.player = undefined;
    this.place.replaceChildren();
  }

  async show() {
    const { number } = this;
    const whole = await this.journal.client.ask(`sessions/${number}`);
    if (number !== this.number) return; // another one was opened meanwhile
    this.whole = whole;
    const { session, segments, sounds } = whole;
    const kept = new Set(sounds);
    this.player = make("audio", { controls: true, hidden: !sounds.length, "aria-label": `Sound of session ${number}` });
    this.player.addEventListener("ended", () => this.playAfter(this.playing));
    this.player.addEventListener("timeupdate", () => this.follow());
    const inferred = segments.some((one) => one.inferred);
    const canvas = make("canvas", { role: "img", "aria-label": "Segments over time; the table below holds the same." });
    const parts = [
      make("div", { className: "row" }, make("h2", { tabIndex: -1 }, `Session ${number}, ${whenWords(session.began)}`),
        make("button", { onclick: () => this.close() }, "Close")),
      make("p", {}, this.facts(session)),
      inferred ? canvas : "", this.player,
      sounds.length ? make("div", { className: "buttons" }, make("button", { onclick: () => this.play(sounds[0]) }, "Play all")) : soft("No sound of this session is kept."),
      table(`Segments of session ${number}`, this.head(inferred, sounds.length), segments.map((one, place) => this.row(one, place, inferred, sounds.length, kept))),
      this.noteForm(session),
    ];
    this.place.replaceChildren(make("div", { className: "card", id: "journal-session" }, parts));
    this.chart = inferred ? this.drawn(canvas) : undefined;
  }

  drawn(canvas) {
    const { session, segments, labels } = this.whole;
    const { sounds } = this.whole;
    const chart = new Chart(canvas, labels, ({ place }) => sounds.includes(place) && this.play(place));
    const shown = segments.map(({ start, end, inferred }, place) => ({ start, end, place, final: true, ...inferred }));
    chart.show({ from: 0, to: Math.max(session.seconds, segments.at(-1).end, 1), segments: shown });
    return chart;
  }

  facts(session) {
    const snr = session.snr_db === null ? "" : ` Signal to noise ${session.snr_db.toFixed(0)} dB.`;
    const how = session.sounded === null ? "" : ` Sounded: ${sounded(session, 9)}.`;
    const few = session.speech_s < 60 ? " That is too little to tell anything." : "";
    const cut = session.is_whole ? "" : " It was cut short.";
    const device = session.device ? ` Recorded with ${session.device}.` : "";
    return `${spoken(session.speech_s)} of speech in ${spoken(session.seconds)}.${few}${cut}${how}${snr}${device}`;
  }

  head(inferred, sounds) {
    return [...(sounds ? ["Listen"] : []), "When", ...(inferred ? ["Sounded", "Score"] : []), "Pitch", "Level", "Tempo", "Pauses"];
  }

  row(one, place, inferred, sounds, kept) {
    const { start, end, prosody } = one;
    const when = `${start.toFixed(1)} to ${end.toFixed(1)} s`;
    const told = one.inferred;
    const heard = told
      ? [make("span", {}, told.certain ? swatch(told.label) : "", emotion(told)), percent(told.score)]
      : ["", ""];
    const play = kept.has(place)
      ? make("button", { className: "small", "aria-label": `Play ${when}`, onclick: () => this.play(place) }, "Play") : "";
    return [
      ...(sounds ? [play] : []), when, ...(inferred ? heard : []), figure(prosody.pitch_st, "st"), figure(prosody.level_db, "dB"),
      figure(prosody.rate_hz, "/s"), percent(prosody.pause_share),
    ];
  }

  play(place) {
    return this.journal.attempt(async () => {
      const answer = await this.journal.client.ask(`sessions/${this.number}/sounds/${place}`, { raw: true });
      const sound = await answer.blob();
      if (!this.player) return;
      URL.revokeObjectURL(this.player.src);
      this.playing = place;
      this.player.src = URL.createObjectURL(sound);
      await this.player.play();
    });
  }

  playAfter(place) {
    const next = this.whole.sounds.find((one) => one > place);
    if (next !== undefined) this.play(next);
  }

  follow() {
    const segment = this.whole.segments[this.playing];
    if (segment) this.chart?.show({ playhead: segment.start + this.player.currentTime });
  }

  noteForm({ note, tags }) {
    const text = make("textarea", { rows: 2, maxLength: 10000, value: note, id: "journal-session-note" });
    const words = make("input", { type: "text", value: tags.join(", "), id: "journal-session-tags" });
    const form = make("form", { className: "form" }, field("Note", text), field("Tags, with commas", words),
      make("div", { className: "buttons" }, make("button", {}, "Save"),
        make("button", { type: "button", className: "danger", onclick: () => this.remove() }, "Delete this session")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const json = { note: text.value, tags: words.value.split(",").map((tag) => tag.trim()).filter(Boolean) };
      this.journal.attempt(async () => {
        await this.journal.client.ask(`sessions/${this.number}`, { method: "PATCH", json });
        await this.journal.refresh();
        this.journal.say("Saved.");
      });
    });
    return form;
  }

  remove() {
    if (!confirm(`Delete session ${this.number} for good? This cannot be undone.`)) return undefined;
    return this.journal.attempt(async () => {
      await this.journal.client.ask(`sessions/${this.number}`, { method: "DELETE" });
      this.leave();
      await this.journal.refresh();
    });
  }

  close() {
    this.leave();
    this.onChange();
  }
}
