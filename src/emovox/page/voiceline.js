// Pitch as a line and loudness as a bar on a canvas, against the usual voice, with a target's bands.

const HEIGHT = 190; // pixels, as all here
const SHOWN = 80; // moments, about eight seconds
const [SPAN_ST, SPAN_DB] = [12, 20]; // on both sides of the usual
const [MARGIN, BAR, GAP] = [46, 26, 58];

export class VoiceLine {
  constructor(canvas) {
    Object.assign(this, { canvas, moments: [], wanted: {} });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // What is wanted, by dimension: {low, high}, null where there is no bound.
  aim(wanted) {
    Object.assign(this, { wanted, moments: [] });
    this.draw();
  }

  // Semitones and dB above the usual voice, or null.
  add(pitch, loudness) {
    this.moments.push({ pitch, loudness });
    if (this.moments.length > SHOWN) this.moments.shift();
    this.draw();
  }

  draw() {
    const { canvas } = this;
    this.width = canvas.clientWidth;
    if (!this.width) return; // hidden
    const style = getComputedStyle(canvas);
    this.colour = (name) => style.getPropertyValue(`--${name}`);
    canvas.style.height = `${HEIGHT}px`;
    canvas.width = Math.round(this.width * devicePixelRatio);
    canvas.height = Math.round(HEIGHT * devicePixelRatio);
    const pen = (this.pen = canvas.getContext("2d"));
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    const right = this.width - GAP - BAR;
    this.ground("pitch", "st", SPAN_ST, MARGIN, right - MARGIN);
    this.ground("loudness", "dB", SPAN_DB, this.width - BAR, BAR);
    this.line(right);
    this.bar();
  }

  y(value, span) {
    const held = Math.max(-span, Math.min(span, value));
    return 18 + (1 - (held + span) / (2 * span)) * (HEIGHT - 24);
  }

  // The frame of one dimension: its name, its band, the line of the usual voice.
  ground(name, unit, span, left, width) {
    const { pen } = this;
    pen.fillStyle = this.colour("paper");
    pen.fillRect(left, this.y(span, span), width, this.y(-span, span) - this.y(span, span));
    const band = this.wanted[name];
    if (band) {
      const [top, bottom] = [band.high ?? span, band.low ?? -span].map((one) => this.y(one, span));
      pen.globalAlpha = 0.28;
      pen.fillStyle = this.colour("accent");
      pen.fillRect(left, top, width, bottom - top);
      pen.globalAlpha = 1;
      pen.strokeStyle = this.colour("accent");
      pen.strokeRect(left + 0.5, top + 0.5, width - 1, bottom - top - 1);
    }
    pen.fillStyle = this.colour("edge");
    pen.fillRect(left, this.y(0, span), width, 1);
    pen.fillStyle = this.colour("soft");
    pen.textAlign = "right";
    const steps = [span / 2, -span / 2].map((step) => [step, `${step > 0 ? "+" : "−"}${span / 2} ${unit}`]);
    for (const [at, words] of [...steps, [0, "usual"]]) pen.fillText(words, left - 5, this.y(at, span));
    pen.textAlign = "left";
    pen.fillText(name, Math.min(left, this.width - pen.measureText(name).width), 8);
  }

  line(right) {
    const { pen, moments } = this;
    pen.strokeStyle = pen.fillStyle = this.colour("ink");
    pen.lineWidth = 2.5;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    let isDown = false;
    moments.forEach(({ pitch }, place) => {
      if (pitch === null) return (isDown = false);
      const x = MARGIN + ((place + 0.5) / SHOWN) * (right - MARGIN);
      if (isDown) pen.lineTo(x, this.y(pitch, SPAN_ST));
      else pen.moveTo(x - 0.1, this.y(pitch, SPAN_ST)); // a point alone is seen, too
      pen.lineTo(x, this.y(pitch, SPAN_ST));
      isDown = true;
    });
    pen.stroke();
  }

  bar() {
    const { loudness = null } = this.moments.at(-1) ?? {};
    if (loudness === null) return;
    const [usual, here] = [this.y(0, SPAN_DB), this.y(loudness, SPAN_DB)];
    this.pen.fillStyle = this.colour("ink");
    this.pen.fillRect(this.width - BAR + 7, Math.min(usual, here), BAR - 14, Math.max(2, Math.abs(here - usual)));
  }
}
