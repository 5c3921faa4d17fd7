// The trend: weeks against the person's own first sessions, and beside it what the person says.

import { card, choice, dayWords, field, make, signed, soft, spoken, table, valueWords } from "./journal-parts.js";
import { percent, tint } from "./results.js";

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [230, 46, 14, 22, 34]; // pixels, as all here
const SAID_HEIGHT = 110;
const LABEL = 62; // pixels for a week's name
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const WEEK_MS = 7 * 86400000;

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export class TrendView {
  constructor(journal) {
    Object.assign(this, { journal, place: make("div"), measure: "" });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.place);
  }

  leave() {
    this.observer.disconnect();
  }

  async show() {
    this.trend = await this.journal.client.ask("trend");
    const { measures, weeks, usual } = this.trend;
    const names = Object.keys(measures);
    if (!names.includes(this.measure)) [this.measure] = names;
    this.chart = make("div", { id: "journal-chart" });
    this.rows = make("div");
    const select = choice(names.map((name) => [name, measures[name].title]), { id: "journal-measure" });
    select.value = this.measure ?? "";
    select.addEventListener("change", () => {
      this.measure = select.value;
      this.draw();
    });
    const few = make("p", {}, "Too little: no session holds 60 s of speech yet.");
    if (!weeks.length) return this.place.replaceChildren(card("Week by week", few));
    const lines = this.trend.told.map((line) => make("li", {}, line));
    this.place.replaceChildren(
      card("Week by week",
        usual.sessions.length ? field("What to show", select) : few,
        this.chart,
        soft("A dot is the mean over the sessions of a week, the line through it its 95 % interval, the dashed line your first " +
          "sessions. A hollow dot was recorded otherwise (device, noise, band or model) and is not compared; × is too little speech."),
        lines.length ? make("ul", { id: "journal-told" }, lines) : "", this.rows),
      weeks.some(({ valence }) => valence !== null) ? this.saidCard() : "");
    this.draw();
  }

  saidCard() {
    this.said = make("div");
    return card("What you said", this.said, soft("The mean of your check-ins in a week, from -1 (very unpleasant) to 1 (very pleasant). It stands beside how you sounded, and is never merged with it."));
  }

  draw() {
    if (!this.trend?.weeks.length || !this.place.clientWidth) return;
    this.drawMeasure();
    if (this.said) this.drawSaid();
    const of = this.trend.measures[this.measure];
    const rows = this.trend.weeks.map((week) => {
      const point = week.points[this.measure];
      const span = point?.low === null || !point ? "" : ` (${valueWords(of, point.low)} to ${valueWords(of, point.high)})`;
      const change = point?.is_change ? (point.difference > 0 ? "more ↑" : "less ↓") : "";
      const said = week.valence === null ? "" : `${signed(week.valence)} (${week.n_check_ins})`;
      return [dayWords(week.monday), String(week.n_sessions), week.n_sessions ? spoken(week.speech_s) : "",
        point ? `${valueWords(of, point.value)}${span}` : "", change, said, week.marks.join("; ")];
    });
    const head = ["Week of", "Sessions", "Speech", of?.title ?? "", "Change", "You said", "Remarks"];
    this.rows.replaceChildren(table("The trend as a table", head, rows));
  }

  // Where a week stands: weeks without an entry keep their place.
  axis() {
    const weeks = this.trend.weeks.map(({ monday }) => Date.parse(monday) / WEEK_MS);
    const [first, last] = [weeks[0], weeks.at(-1)];
    const width = Math.max(240, this.chart.clientWidth);
    const step = (width - LEFT - RIGHT) / (last - first + 1);
    return { width, step, x: (week) => LEFT + (Date.parse(week.monday) / WEEK_MS - first + 0.5) * step };
  }

  frame(width, height, title) {
    return drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title, class: "trend" });
  }

  addGrid(svg, values, y, words, { width }) {
    for (const value of values) {
      svg.append(drawn("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
      svg.append(drawn("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, words(value)));
    }
  }

  addWeeks(svg, { x, step }, bottom) {
    const every = Math.ceil(LABEL / step);
    this.trend.weeks.forEach((week, place) => {
      if (place % every) return;
      svg.append(drawn("text", { x: x(week), y: bottom + 18, "text-anchor": "middle" }, SHORT.format(new Date(`${week.monday}T12:00`))));
    });
  }

  drawMeasure() {
    const { weeks, measures, usual } = this.trend;
    const of = measures[this.measure];
    this.chart.replaceChildren();
    if (!of || !weeks.length) return;
    const axis = this.axis();
    const points = weeks.map((week) => ({ week, point: week.points[this.measure] })).filter(({ point }) => point);
    const usually = usual.values[this.measure];
    const ends = points.flatMap(({ point }) => [point.value, point.low ?? point.value, point.high ?? point.value]);
    if (usually !== undefined) ends.push(usually);
    const [low, high] = range(of.is_share, ends);
    const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const svg = this.frame(axis.width, HEIGHT, `${of.title} week by week; the table below holds the same.`);
    this.addGrid(svg, [low, (low + high) / 2, high], y, (value) => (of.is_share ? percent(value) : value.toFixed(1)), axis);
    this.addWeeks(svg, axis, HEIGHT - BOTTOM);
    if (usually !== undefined)
      svg.append(drawn("line", { x1: LEFT, x2: axis.width - RIGHT, y1: y(usually), y2: y(usually), class: "usual" }));
    const label = this.measure.startsWith("sounded.") ? this.measure.slice(8) : "";
    for (const { week, point } of points) svg.append(...this.mark(axis.x(week), y, week, point, label));
    for (const week of weeks.filter((one) => one.n_too_little && !one.n_sessions))
      svg.append(drawn("text", { x: axis.x(week), y: HEIGHT - BOTTOM - 6, "text-anchor": "middle", class: "few" }, "×"));
    this.chart.append(svg);
  }

  mark(x, y, week, point, label) {
    const marks = [];
    if (point.low !== null) {
      marks.push(drawn("line", { x1: x, x2: x, y1: y(point.low), y2: y(point.high), class: "interval" }));
      for (const end of [point.low, point.high]) marks.push(drawn("line", { x1: x - 5, x2: x + 5, y1: y(end), y2: y(end), class: "interval" }));
    }
    const dot = drawn("circle", { cx: x, cy: y(point.value), r: 6, class: week.is_apart ? "dot apart" : "dot" });
    if (!week.is_apart) dot.style.fill = label ? `var(--${tint(label)}, var(--accent))` : "var(--accent)";
    marks.push(dot);
    if (point.is_change)
      marks.push(drawn("text", { x: x + 10, y: y(point.value) + 5, class: "change" }, point.difference > 0 ? "↑" : "↓"));
    return marks;
  }

  drawSaid() {
    const axis = this.axis();
    const y = (value) => 12 + (1 - (value + 1) / 2) * (SAID_HEIGHT - 12 - BOTTOM);
    const svg = this.frame(axis.width, SAID_HEIGHT, "What you said week by week; the table above holds the same.");
    this.addGrid(svg, [-1, 0, 1], y, signed0, axis);
    this.addWeeks(svg, axis, SAID_HEIGHT - BOTTOM);
    for (const week of this.trend.weeks.filter(({ valence }) => valence !== null))
      svg.append(drawn("rect", { x: axis.x(week) - 5, y: y(week.valence) - 5, width: 10, height: 10, class: "word" }));
    this.said.replaceChildren(svg);
  }
}

const signed0 = (value) => (value > 0 ? "+1" : String(value));

// Shares begin at 0, and end at a round number; others have room around them.
function range(is_share, ends) {
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  if (is_share) return [0, Math.min(1, Math.max(0.1, Math.ceil(high * 10) / 10))];
  const room = Math.max(0.5, (high - low) * 0.15);
  return [low - room, high + room];
}
