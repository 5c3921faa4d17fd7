// Results as people and programs read them: bars, rows of a table, words, CSV and JSON.

export const $ = (id) => document.getElementById(id);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const seconds = (value) => `${value.toFixed(1)} s`;
export const emotion = ({ label, certain }) => (certain ? label : `uncertain, perhaps ${label}`);
export const colour = ({ label, certain }) => (certain ? `var(--${tint(label)})` : "none");

// The name of a label's colour, which is a variable of the style.
export const tint = (label) => `emotion-${label.replaceAll(/[^\p{L}\p{N}]/gu, "-")}`;

// Labels that the style does not know get colours as the figures have them.
const OTHERS = ["#eb8c00", "#b233eb", "#8c3333", "#8cb2b2", "#cc33b2", "#cccc8c", "#eb8ceb", "#8c8c8c"];
export function paint(labels) {
  const { style } = document.documentElement;
  const known = getComputedStyle(document.documentElement);
  labels
    .filter((label) => !known.getPropertyValue(`--${tint(label)}`))
    .forEach((label, k) => style.setProperty(`--${tint(label)}`, OTHERS[k % OTHERS.length]));
}

export function element(name, className = "", text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

export function notice(id, text) {
  if ($(id).textContent === text) return; // an alert is read out at every change
  $(id).textContent = text;
  $(id).hidden = !text;
}

export class Bars {
  // Always in the model's order: a bar that changes place cannot be followed.
  constructor(list, labels) {
    this.rows = labels.map((label) => {
      const [row, track, fill] = [element("li"), element("span", "track"), element("span", "fill")];
      const number = element("span", "number", percent(0));
      fill.style.background = `var(--${tint(label)})`;
      track.append(fill);
      row.append(element("span", "name", label), track, number);
      return { label, row, fill, number };
    });
    list.replaceChildren(...this.rows.map(({ row }) => row));
  }

  show(scores, best) {
    for (const { label, row, fill, number } of this.rows) {
      fill.style.width = `${100 * (scores[label] ?? 0)}%`;
      number.textContent = percent(scores[label] ?? 0);
      row.classList.toggle("best", label === best);
    }
  }
}

export function resultRow(prediction, onPlay) {
  const { start, end, score, channel, level } = prediction;
  const [row, what, swatch] = [element("tr"), element("td"), element("span", "swatch")];
  const when = `${start.toFixed(1)} to ${seconds(end)}`;
  swatch.style.background = colour(prediction);
  what.append(swatch, emotion(prediction), level === "good" ? "" : ` (${level})`);
  row.append(element("td", "", when), what, element("td", "", percent(score)));
  if (!onPlay) return row;
  const play = element("button", "small", "Play");
  play.ariaLabel = `Play ${when}, ${emotion(prediction)}`;
  play.addEventListener("click", () => onPlay(prediction));
  row.append(element("td", "", channel === undefined ? "" : `channel ${channel + 1} `));
  row.lastChild.append(play);
  return row;
}

function csv(predictions, labels) {
  const channel = predictions.some((one) => one.channel !== undefined) ? ["channel"] : [];
  const head = [...channel, "start", "end", "label", "score", "certain", "level_db", "level"];
  const values = (one) => [...head.map((key) => one[key]), ...labels.map((key) => one.scores[key])];
  const scores = labels.map((label) => `scores.${label}`);
  return [[...head, ...scores], ...predictions.map(values)].map((row) => `${row}\r\n`).join("");
}

function save(name, parts) {
  const href = URL.createObjectURL(parts instanceof Blob ? parts : new Blob([parts]));
  Object.assign(element("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
}

// Adds a button to a card that saves its picture; `what()` gives a name and a promise of a Blob.
export function offerPicture(card, what) {
  const button = element("button", "small", "Save picture");
  card.querySelector(".row").append(button);
  button.addEventListener("click", async () => {
    const { name, picture } = what();
    save(`${name}.png`, await picture);
  });
}

// Adds two buttons to a card; `what()` gives name, predictions and facts.
export function offerDownloads(card, what) {
  for (const kind of ["csv", "json"]) {
    const button = element("button", "", kind.toUpperCase());
    button.ariaLabel = `Save as ${button.textContent}`;
    card.querySelector(".row").append(button);
    button.addEventListener("click", () => {
      const { name, predictions, facts } = what();
      const whole = { ...facts, segments: predictions };
      const text = kind === "csv" ? csv(predictions, facts.labels) : JSON.stringify(whole, null, 2);
      save(`${name}.${kind}`, text);
    });
  }
}
