// The calendar: a month of sessions, check-ins and practice, the entries of a day, and one session.

import { SessionCard } from "./journal-session.js";
import { bestWords, card, clockOf, counted, dayOf, dayWords, judgedWords, make, mostly, pleasant, signed, sounded, spoken, swatch, table, whenWords } from "./journal-parts.js";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric" });
const MARKS = 3; // swatches in a day

export class CalendarView {
  constructor(journal) {
    Object.assign(this, { journal, place: make("div"), month: "", day: "" });
    this.session = new SessionCard(journal, () => this.show());
  }

  leave() {
    this.session.leave();
  }

  async show(number) {
    const { sessions, check_ins, practised } = this.journal.overview;
    this.days = new Map();
    const note = (time, kind, entry) => {
      const day = this.days.get(dayOf(time)) ?? { sessions: [], check_ins: [], practised: [] };
      day[kind].push(entry);
      this.days.set(dayOf(time), day);
    };
    sessions.forEach((one) => note(one.began, "sessions", one));
    check_ins.forEach((one) => note(one.at, "check_ins", one));
    practised.forEach((one) => note(one.at, "practised", one));
    const latest = [...this.days.keys()].sort().at(-1) ?? new Date().toISOString();
    this.month ||= latest.slice(0, 7);
    if (number) this.session.number = number;
    if (!sessions.some(({ id }) => id === this.session.number)) this.session.leave();
    this.draw();
    if (this.session.number) await this.session.show();
  }

  draw() {
    this.place.replaceChildren(this.monthCard(), this.entriesCard(), this.session.place);
  }

  turn(by) {
    const [year, month] = this.month.split("-").map(Number);
    this.month = new Date(Date.UTC(year, month - 1 + by, 15)).toISOString().slice(0, 7);
    this.day = "";
    this.draw();
    this.place.querySelector(`button[data-turn="${by}"]`).focus();
  }

  monthCard() {
    const [year, month] = this.month.split("-").map(Number);
    const title = MONTH.format(new Date(year, month - 1, 15));
    const first = (new Date(year, month - 1, 1).getDay() + 6) % 7; // Monday is 0
    const n_days = new Date(year, month, 0).getDate();
    const cells = [...Array(first).fill(null), ...Array.from({ length: n_days }, (_, place) => place + 1)];
    while (cells.length % 7) cells.push(null);
    const weeks = Array.from({ length: cells.length / 7 }, (_, place) => cells.slice(7 * place, 7 * place + 7));
    const head = DAYS.map((day) => make("th", { scope: "col" }, day));
    const body = weeks.map((week) => make("tr", {}, week.map((day) => make("td", {}, day ? this.dayCell(day) : ""))));
    const turn = (by, words, sign) => make("button", { className: "small", "aria-label": words, "data-turn": by, onclick: () => this.turn(by) }, sign);
    const bar = make("div", { className: "row" }, make("h2", { id: "journal-month" }, title), turn(-1, "Month before", "‹"), turn(1, "Month after", "›"));
    const grid = make("table", { className: "month", "aria-labelledby": "journal-month" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body));
    return make("div", { className: "card" }, bar, grid);
  }

  dayCell(number) {
    const day = `${this.month}-${String(number).padStart(2, "0")}`;
    const { sessions = [], check_ins = [], practised = [] } = this.days.get(day) ?? {};
    if (!sessions.length && !check_ins.length && !practised.length) return make("span", { className: "soft" }, String(number));
    const marks = sessions.slice(0, MARKS).map((one) => swatch(mostly(one)));
    if (check_ins.length) marks.push(make("span", { className: "said" }, "●"));
    if (practised.length) marks.push(make("span", { className: "said" }, "▲"));
    const words = [
      sessions.length && counted(sessions.length, "session"), check_ins.length && counted(check_ins.length, "check-in"),
      practised.length && `${counted(practised.length, "session")} of practice`,
    ];
    return make("button", {
      "aria-label": `${dayWords(day)}: ${words.filter(Boolean).join(", ")}`,
      "aria-pressed": String(day === this.day),
      onclick: () => this.pick(day),
    }, String(number), make("span", { className: "marks", "aria-hidden": "true" }, marks));
  }

  pick(day) {
    this.day = this.day === day ? "" : day;
    this.draw();
    this.place.querySelector(`[aria-label^="${dayWords(day)}"]`).focus();
  }

  entriesCard() {
    const days = [...this.days.keys()].sort().reverse().filter((day) => (this.day ? day === this.day : day.startsWith(this.month)));
    const rows = days.flatMap((day) => this.days.get(day).sessions.toReversed().map((one) => this.sessionRow(one)));
    const said = days.flatMap((day) => this.days.get(day).check_ins.toReversed().map((one) => this.saidRow(one)));
    const practised = days.flatMap((day) => this.days.get(day).practised.toReversed().map((one) => this.practisedRow(one)));
    const title = this.day ? dayWords(this.day) : "This month";
    return card(title,
      rows.length ? table("Sessions", ["Session", "Speech", "Sounded", "Device", "Note"], rows) : make("p", { className: "soft" }, "No session."),
      said.length ? make("h3", {}, "What you said") : "",
      said.length ? table("Check-ins", ["When", "About", "You said", "Note", "Delete"], said) : "",
      practised.length ? make("h3", {}, "What you practised") : "",
      practised.length ? table("Practice", ["When", "Target", "Best", "Takes", "Delete"], practised) : "");
  }

  sessionRow(one) {
    const open = make("button", { className: "small", "aria-label": `Open session ${one.id}, ${whenWords(one.began)}`, onclick: () => this.open(one.id) },
      `${one.id}: ${whenWords(one.began)}`);
    const label = mostly(one);
    const short = one.speech_s < 60 ? " (too little)" : "";
    const cut = one.is_whole ? "" : ", cut short";
    return [
      open, `${spoken(one.speech_s)}${short}${cut}`,
      make("span", {}, label ? swatch(label) : "", sounded(one)), one.device || one.source,
      [one.note, ...one.tags.map((tag) => `#${tag}`)].join(" ").trim(),
    ];
  }

  saidRow(one) {
    const words = `${pleasant(one.valence)} (${signed(one.valence)})${one.labels.length ? `: ${one.labels.join(", ")}` : ""}`;
    const remove = make("button", { className: "small", "aria-label": `Delete the check-in of ${whenWords(one.at)}`, onclick: () => this.unsay(one.id) }, "Delete");
    return [`${dayWords(dayOf(one.at))}, ${clockOf(one.at)}`, one.kind === "daily" ? "the day" : "the moment", words, one.note, remove];
  }

  practisedRow(one) {
    const takes = `${counted(one.n_takes, "take")} counted, ${judgedWords(one)}`;
    const remove = make("button", { className: "small", "aria-label": `Delete the practice of ${whenWords(one.at)}`, onclick: () => this.unpractise(one.id) }, "Delete");
    return [`${dayWords(dayOf(one.at))}, ${clockOf(one.at)}`, one.target, bestWords(one), takes, remove];
  }

  async open(number) {
    this.session.number = number;
    await this.journal.attempt(() => this.session.show());
    this.session.place.querySelector("h2")?.focus();
  }

  unsay(number) {
    return this.remove("check-in", `checkins/${number}`);
  }

  unpractise(number) {
    return this.remove("session of practice", `practice/${number}`);
  }

  remove(what, path) {
    if (!confirm(`Delete this ${what} for good?`)) return undefined;
    return this.journal.attempt(async () => {
      await this.journal.client.ask(path, { method: "DELETE" });
      await this.journal.refresh();
    });
  }
}
