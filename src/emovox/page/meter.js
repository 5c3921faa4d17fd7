// The microphone's level, with a band at each end: too quiet, and too loud.

export const QUIET_DB = -55; // loudness.QUIET_DB: below it speech is too quiet to be judged
export const FULL = 0.98; // loudness._FULL: above it a converter cuts off
const LOWEST_DB = -75; // where the meter begins; it ends at full scale
const QUIET = (QUIET_DB - LOWEST_DB) / -LOWEST_DB; // share of the meter, as in page.css
const LOUD = 0.92;
const HELD_MS = 1000; // that the loud band stays lit: a peak is short

export class Meter {
  constructor(meter) {
    this.meter = meter;
    this.bar = meter.querySelector("span");
    this.meter.style.setProperty("--quiet", `${100 * QUIET}%`);
    this.cutOff = -HELD_MS;
  }

  // The level in dB of full scale, and the peak from 0 to 1.
  show(db, peak) {
    const now = performance.now();
    if (peak >= FULL) this.cutOff = now;
    const isLoud = now - this.cutOff < HELD_MS;
    const share = isLoud ? 1 : Math.max(0, Math.min(LOUD, 1 - db / LOWEST_DB));
    this.bar.style.width = `${100 * share}%`;
    this.meter.dataset.level = isLoud ? "loud" : this.isQuiet ? "quiet" : "good";
  }

  // Whether the speech was found too quiet: a pause between words is not.
  judge(isQuiet) {
    this.isQuiet = isQuiet;
  }

  clear() {
    this.bar.style.width = "0";
    delete this.meter.dataset.level;
    this.isQuiet = false;
  }
}
