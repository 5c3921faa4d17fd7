// What the views of the journal are made of: elements, times, tables, and words.

import { percent, tint } from "./results.js";

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });

// An element with properties, attributes (aria-…, for) and functions for events (onclick).
export function make(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

export const card = (title, ...children) => make("div", { className: "card" }, make("h2", {}, title), ...children);
export const soft = (...words) => make("p", { className: "soft small" }, ...words);

export function field(words, input, hint = "") {
  return make("label", { className: "field" }, make("span", {}, words), input, hint && make("small", { className: "soft" }, hint));
}

export function check(words, props = {}) {
  const box = make("input", { type: "checkbox", ...props });
  return { box, line: make("p", {}, make("label", {}, box, words)) };
}

export function choice(options, props = {}) {
  const made = options.map(([value, words]) => make("option", { value }, words));
  return make("select", props, ...made);
}

// A table that scrolls by itself; a row's cells are words or elements.
export function table(name, head, rows) {
  const line = (kind, cells) => make("tr", {}, cells.map((cell) => make(kind, kind === "th" ? { scope: "col" } : {}, cell)));
  const made = make("table", {}, make("thead", {}, line("th", head)), make("tbody", {}, rows.map((cells) => line("td", cells))));
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": name }, made);
}

export function swatch(label) {
  const made = make("span", { className: "swatch" });
  made.style.background = label ? `var(--${tint(label)}, var(--accent))` : "var(--accent)";
  return made;
}

// The clock of the place where it was said, which is in the time itself.
export const dayOf = (time) => time.slice(0, 10);
export const clockOf = (time) => time.slice(11, 16);
export const dayWords = (day) => DAY.format(new Date(`${day}T12:00`));
export const whenWords = (time) => `${dayWords(dayOf(time))}, ${clockOf(time)}`;

// A time with this place's offset from UTC, as ISO 8601 has it.
export function stamp(date) {
  const two = (number) => String(number).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${localStamp(date)}:${two(date.getSeconds())}${zone}`;
}

// As an input of a date and a time has it.
export function localStamp(date) {
  const shifted = new Date(date.getTime() - 60000 * date.getTimezoneOffset());
  return shifted.toISOString().slice(0, 16);
}

export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function spoken(seconds) {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export function sounded(session, most = 2) {
  if (!session.sounded) return "not inferred";
  const best = Object.entries(session.sounded).sort((a, b) => b[1] - a[1]).slice(0, most);
  return best.map(([label, share]) => `${label} ${percent(share)}`).join(", ");
}

export function mostly(session) {
  return Object.entries(session.sounded ?? {}).sort((a, b) => b[1] - a[1])[0]?.[0];
}

// A measure's value: a share in percent, others with their unit.
export function valueWords({ is_share, unit }, value) {
  if (value === null || value === undefined) return "";
  return is_share ? percent(value) : `${value.toFixed(1)}${unit}`;
}

// How close practice came: the mean of the best takes of each sentence.
export function bestWords({ best }) {
  return best.length ? percent(best.reduce((sum, one) => sum + one, 0) / best.length) : "";
}

export const judgedWords = ({ inferred }) => (inferred ? "judged by the model as well" : "measured alone");

// What there is of each kind, as the service counts it.
export function entriesWords({ sessions, check_ins, practised }) {
  return [counted(sessions, "session"), counted(check_ins, "check-in"), `${counted(practised, "session")} of practice`].join(", ");
}

const PLEASANT = ["very unpleasant", "unpleasant", "slightly unpleasant", "neutral", "slightly pleasant", "pleasant", "very pleasant"];

export function pleasant(valence) {
  return PLEASANT[Math.round((valence + 1) * 3)];
}

export function signed(valence) {
  return `${valence > 0 ? "+" : ""}${valence.toFixed(2)}`;
}

export function save(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
}
