// A timeline on a canvas: a lane for each emotion, seconds along the bottom, a waveform on top.

import { tint } from "./results.js";

const LANE = 20; // pixels, as all here
const WAVE = 84;
const AXIS = 24;
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400];

export class Chart {
  // `view` holds from, to (seconds) and segments, and may hold gaps, waveform (peaks from 0 to 1
  // of `to` seconds) and playhead; `onPick` gets the segment that was clicked.
  constructor(canvas, labels, onPick) {
    Object.assign(this, { canvas, labels, view: { from: 0, to: 60, segments: [] } });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("click", ({ offsetX }) => {
      const at = this.timeAt(offsetX);
      const segment = this.view.segments.find(({ start, end }) => start <= at && at <= end);
      if (segment) onPick?.(segment);
    });
  }

  // A copy on the page's own ground: a canvas is transparent, and a picture may be seen anywhere.
  static async picture(charts) {
    const canvases = charts.map(({ canvas }) => canvas);
    const picture = document.createElement("canvas");
    const edge = 12 * devicePixelRatio;
    picture.width = Math.max(...canvases.map(({ width }) => width)) + 2 * edge;
    picture.height = canvases.reduce((sum, { height }) => sum + height, 2 * edge);
    const pen = picture.getContext("2d");
    pen.fillStyle = charts[0].colour("card");
    pen.fillRect(0, 0, picture.width, picture.height);
    let top = edge;
    for (const canvas of canvases) {
      pen.drawImage(canvas, edge, top);
      top += canvas.height;
    }
    return new Promise((resolve) => picture.toBlob(resolve, "image/png"));
  }

  show(view) {
    Object.assign(this.view, view);
    this.draw();
  }

  x(seconds) {
    const { from, to } = this.view;
    return this.left + ((seconds - from) / (to - from)) * (this.width - this.left - 1);
  }

  timeAt(x) {
    const { from, to } = this.view;
    return from + ((x - this.left) / (this.width - this.left - 1)) * (to - from);
  }

  draw() {
    const { canvas, view } = this;
    this.width = canvas.clientWidth;
    if (!this.width) return; // hidden
    const style = getComputedStyle(canvas);
    this.colour = (name) => style.getPropertyValue(`--${name}`) || style.color;
    this.top = view.waveform ? WAVE : 4;
    this.bottom = this.top + LANE * this.labels.length;
    canvas.style.height = `${this.bottom + AXIS}px`;
    canvas.width = Math.round(this.width * devicePixelRatio);
    canvas.height = Math.round((this.bottom + AXIS) * devicePixelRatio);
    const pen = (this.pen = canvas.getContext("2d"));
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    this.left = Math.max(...this.labels.map((label) => pen.measureText(label).width)) + 12;
    this.drawAxes();
    pen.beginPath();
    pen.rect(this.left, 0, this.width - this.left, this.bottom);
    pen.clip();
    view.gaps?.forEach((gap) => this.drawGap(gap));
    view.segments.forEach((segment) => this.drawSegment(segment));
    if (view.waveform) this.drawWaveform(view.waveform);
    if (view.playhead !== undefined) this.fill("accent", this.x(view.playhead), 0, 2, this.bottom);
  }

  fill(colour, x, y, width, height) {
    this.pen.fillStyle = this.colour(colour);
    this.pen.fillRect(x, y, width, height);
  }

  write(words, x, y) {
    this.pen.fillStyle = this.colour("soft");
    this.pen.fillText(words, x, y);
  }

  drawAxes() {
    this.labels.forEach((label, lane) => {
      this.fill("line", this.left, this.top + lane * LANE, this.width, 1);
      this.write(label, 0, this.top + (lane + 0.5) * LANE);
    });
    const { from, to } = this.view;
    const step = STEPS.find((one) => (to - from) / one <= (this.width - this.left) / 64) ?? 86400;
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      this.fill("line", Math.round(this.x(at)), 0, 1, this.bottom + 4);
      const words = clock(at, to);
      const { width } = this.pen.measureText(words);
      const x = Math.max(this.left, Math.min(this.width - width, this.x(at) - width / 2));
      this.write(words, x, this.bottom + AXIS / 2 + 2);
    }
  }

  drawGap({ start, end }) {
    const [x, width] = [this.x(start), Math.max(3, this.x(end) - this.x(start))];
    this.fill("warn-line", x, this.top, width, this.bottom);
    this.fill("warn", x + 1, this.top, width - 2, this.bottom);
    if (width > 26) this.write("gap", x + 4, this.bottom - 10);
  }

  drawSegment({ label, start, end, certain, final }) {
    const { pen, view } = this;
    const [x, width] = [this.x(start), Math.max(3, this.x(end) - this.x(start) - 1)];
    pen.globalAlpha = certain ? 0.45 : 0.15;
    if (view.waveform) this.fill(tint(label), x, 0, width, WAVE - 6);
    pen.globalAlpha = final ? 1 : 0.55;
    pen.beginPath();
    pen.roundRect(x, this.top + this.labels.indexOf(label) * LANE + 4, width, LANE - 7, 3);
    pen.fillStyle = this.colour(tint(label));
    pen.strokeStyle = this.colour("ink");
    pen.setLineDash(certain ? [] : [3, 2]);
    if (certain) pen.fill(); // uncertain: an outline alone
    pen.stroke();
    pen.globalAlpha = 1;
  }

  drawWaveform(peaks) {
    const middle = (WAVE - 6) / 2;
    const place = (x) => Math.max(0, (this.timeAt(x) / this.view.to) * peaks.length);
    for (let x = Math.ceil(this.left); x < this.width; x++) {
      const high = middle * Math.max(...peaks.slice(place(x), Math.ceil(place(x + 1))), 0.01);
      this.fill("ink", x, middle - high, 1, 2 * high);
    }
  }
}

function clock(seconds, longest) {
  if (longest < 600) return `${seconds} s`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
