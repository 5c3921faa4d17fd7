// Two sessions side by side, and how far two of this person's sessions lie apart by chance.

import { card, choice, field, make, soft, table, valueWords, whenWords } from "./journal-parts.js";
import { tint } from "./results.js";

export class CompareView {
  constructor(journal) {
    Object.assign(this, { journal, place: make("div") });
  }

  async show() {
    const { sessions } = this.journal.overview;
    if (sessions.length < 2) {
      this.place.replaceChildren(card("Compare", make("p", {}, "Two sessions are needed; there are not so many yet.")));
      return;
    }
    const options = sessions.map(({ id, began }) => [id, `${id}: ${whenWords(began)}`]);
    const [one, other] = ["journal-before", "journal-after"].map((id) => choice(options, { id }));
    const known = (number, fallback) => (sessions.some(({ id }) => id === number) ? number : fallback);
    one.value = known(this.before, sessions[0].id);
    other.value = known(this.after, sessions.at(-1).id);
    const answer = make("div", { id: "journal-comparison" });
    const compare = () => this.journal.attempt(() => this.compare(Number(one.value), Number(other.value), answer));
    one.addEventListener("change", compare);
    other.addEventListener("change", compare);
    this.place.replaceChildren(card("Compare", make("div", { className: "pair" }, field("One session", one), field("Another", other)), answer));
    await compare();
  }

  async compare(before, after, place) {
    Object.assign(this, { before, after });
    const found = await this.journal.client.ask(`comparison?before=${before}&after=${after}`);
    if (this.before !== before || this.after !== after) return; // chosen anew meanwhile
    const rows = Object.entries(found.measures).map(([name, one]) => this.row(name, found.titles[name], one));
    const cautions = found.cautions.map((line) => make("p", { className: "notice" }, `${line[0].toUpperCase()}${line.slice(1)}.`));
    place.replaceChildren(...cautions,
      table("The two sessions", ["Measure", `Session ${before}`, `Session ${after}`, "By chance", "More than that"], rows),
      soft("By chance: how far two of your sessions lie apart in 95 of 100 cases, if nothing has changed."));
  }

  row(name, of, { before, after, margin, beyond_chance }) {
    const cell = (value) => {
      if (!of.is_share || value === null) return valueWords(of, value);
      const fill = make("span", { className: "fill" });
      fill.style.width = `${100 * value}%`;
      fill.style.background = `var(--${tint(name.replace("sounded.", ""))}, var(--accent))`;
      return make("span", { className: "share" }, valueWords(of, value), make("span", { className: "track", "aria-hidden": "true" }, fill));
    };
    const by = margin === null ? "unknown" : `±${valueWords(of, margin)}`;
    return [of.title, cell(before), cell(after), by, beyond_chance ? "yes" : ""];
  }
}
