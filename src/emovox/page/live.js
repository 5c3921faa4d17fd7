// The live tab: microphone to session to what is seen.

import { Chart } from "./chart.js";
import { DeviceSession, hearsHere } from "./device.js";
import { Meter } from "./meter.js";
import { microphoneProblem, openMicrophone } from "./microphone.js";
import { $, Bars, colour, emotion, notice, offerDownloads, offerPicture, percent, resultRow } from "./results.js";
import { Session } from "./session.js";
import { keepVoice, keptVoice } from "./voice.js";

const [SHOWN_S, NARROW] = [60, 450]; // below so many pixels half of it
const ROWS = 200; // in the table; the downloads hold all
// As the command line says it (loudness.ADVICE), where so many answers in a row agree on the level.
const ADVICE = {
  "too quiet": "move closer or raise the microphone's level",
  "too loud": "move away or lower it",
};
const AGREED = 2;
const KNOWN = 0.8; // of the weight, the rest is the mean voice of the training data
// What the button does, how it stands, and what is said until somebody was heard.
const STATES = {
  connecting: ["Pause", "Connecting…", "Wait for the connection, then talk."],
  live: ["Pause", "Listening, nothing heard yet.", "Talk for a few seconds."],
  waiting: ["Pause", "Waiting for the server.", "Wait for the connection, then talk."],
  paused: ["Go on", "Paused. The microphone is off.", "Press Go on and talk for a few seconds."],
  closed: ["Start again", "Finished. The microphone is off.", "Nobody was heard."],
};

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Live {
  constructor(model, token) {
    Object.assign(this, { model, token, finals: [], gaps: [] });
    this.bars = new Bars($("live-bars"), model.labels);
    this.chart = new Chart($("timeline"), model.labels);
    this.meter = new Meter($("level"));
    this.rows = $("live-results").querySelector("tbody");
    $("start").addEventListener("click", () => this.press());
    $("finish").addEventListener("click", () => this.release().then(() => this.session?.close()));
    $("keep").addEventListener("click", () => this.keep());
    $("forget").addEventListener("click", () => this.forget());
    offerDownloads($("live-results"), () => this.download());
    const picture = () => ({ name: this.stamp(), picture: Chart.picture([this.chart]) });
    offerPicture($("timeline").closest(".card"), picture);
    addEventListener("beforeunload", (event) => this.session && event.preventDefault());
    this.learn(keptVoice(model.fingerprint));
  }

  async press() {
    $("start").disabled = true;
    try {
      await (this.microphone ? this.pause() : this.listen());
    } finally {
      $("start").disabled = false;
      $("start").focus();
    }
  }

  async listen() {
    notice("live-problem", "");
    const { session } = this;
    try {
      const gone = () => this.pause("The microphone was unplugged. Plug it in, then press Go on.");
      this.microphone = await openMicrophone((frame) => this.feed(frame), gone);
    } catch (error) {
      return notice("live-problem", microphoneProblem(error));
    }
    const { rate } = this.microphone;
    if (session !== this.session) return this.release(); // Finish was pressed meanwhile
    if (session) return session.resume(rate);
    this.clear();
    this.session = new (hearsHere() ? DeviceSession : Session)({
      url: document.baseURI,
      token: this.token,
      model: this.model.fingerprint,
      options: { rate },
      baselines: [this.baseline],
      forgiving: true,
      on: {
        state: (state, problem) => this.state(state, problem),
        result: (prediction, facts) => this.show(prediction, facts),
        speech: () => this.hear(),
        gap: (gap) => this.gaps.push(gap),
        baseline: (baseline) => this.learn(baseline),
      },
    });
    this.session.connect();
  }

  clear() {
    Object.assign(this, { finals: [], gaps: [], began: new Date(), latest: undefined, heard: false });
    this.rows.replaceChildren();
    $("live-results").hidden = true;
    this.bars.show({});
    this.name("none", "nothing yet");
    this.advise([]);
    $("latency").textContent = "";
  }

  name(colour, words) {
    const [swatch, word] = $("emotion").children;
    swatch.style.background = colour;
    word.textContent = words;
  }

  async pause(problem = "") {
    await this.release();
    this.session?.pause();
    notice("live-problem", problem);
  }

  async release() {
    const { microphone } = this;
    this.microphone = undefined;
    await microphone?.close(); // its last samples still go to the session
    this.meter.clear();
  }

  feed({ samples, db, peak }) {
    this.meter.show(db, peak);
    this.session?.feed(samples);
    this.draw();
  }

  state(state, problem) {
    const [button, words, hint] = STATES[state];
    $("start").textContent = button;
    $("state").textContent = state === "live" && this.heard ? "Listening." : words;
    if (!this.heard) $("certainty").textContent = hint;
    $("finish").hidden = state === "closed";
    $("heard").textContent = state === "closed" ? "Heard last" : "Heard now";
    if (state !== "connecting") notice("live-problem", problem);
    if (state !== "closed") return;
    this.advise([]);
    this.release();
    this.latest = undefined;
    this.draw(true);
    this.session = undefined;
  }

  // Somebody spoke: what the page asked for has been done.
  hear() {
    if (this.heard) return;
    this.heard = true;
    $("state").textContent = "Listening.";
    this.name("none", "hearing you");
    $("certainty").textContent = "No emotion is clear yet.";
  }

  show(prediction, { latency_ms, baseline_seconds }) {
    const { label, certain, score, scores, final, level } = prediction;
    this.hear();
    this.bars.show(scores, label);
    if (certain || final) {
      this.name(colour(prediction), certain ? label : "uncertain"); // else the last word stays
      $("certainty").textContent = `${certain ? "" : `perhaps ${label}, `}score ${percent(score)}`;
    }
    $("latency").textContent = `The last answer took ${Math.round(latency_ms)} ms.`;
    this.tellVoice(baseline_seconds);
    this.advise([...this.levels, level].slice(-AGREED));
    this.latest = final ? undefined : prediction;
    if (final) {
      this.finals.push(prediction);
      $("spoken").textContent = `${emotion(prediction)}, ${percent(score)}`;
      $("live-results").hidden = false;
      this.rows.prepend(resultRow(prediction));
      if (this.rows.children.length > ROWS) this.rows.lastChild.remove();
    }
    this.draw();
  }

  advise(levels) {
    this.levels = levels;
    const [level] = levels;
    const agreed = levels.length === AGREED && levels.every((one) => one === level);
    const words = agreed && ADVICE[level];
    this.meter.judge(agreed && level === "too quiet");
    notice("level-advice", words ? `${level}: ${words}` : "");
  }

  draw(whole = false) {
    if (!this.session) return;
    const { seconds, gap } = this.session;
    const now = calm.matches ? Math.ceil(seconds / 5) * 5 : seconds;
    const shown = this.chart.width < NARROW ? SHOWN_S / 2 : SHOWN_S;
    const to = whole ? Math.max(seconds, 1) : Math.max(now, shown);
    const segments = this.latest ? [...this.finals, this.latest] : this.finals;
    const gaps = gap ? [...this.gaps, { ...gap, end: seconds }] : this.gaps;
    this.chart.show({ from: whole ? 0 : to - shown, to, segments, gaps });
  }

  learn(baseline) {
    this.baseline = baseline;
    this.kept = keptVoice(this.model.fingerprint) !== null && baseline !== null;
    if (this.kept || !baseline) keepVoice(baseline); // nothing stays that is of no use
    $("with-voice").hidden = !this.kept; // in the other tab
    $("keep").disabled = !baseline || this.kept;
    $("keep").textContent = this.kept ? "Kept" : "Keep";
    this.tellVoice(baseline?.seconds ?? 0);
  }

  tellVoice(heard) {
    const share = heard / (heard + this.model.baseline_seconds);
    const learning = share < KNOWN ? "Getting to know your voice" : "Your voice is known";
    $("voice-title").textContent = heard ? learning : "Your voice";
    $("voice-words").textContent = heard
      ? `${Math.round(heard)} s heard: your own baseline counts ${percent(share)}, the average voice ` +
        `the rest.${this.kept ? " Kept in this browser." : ""}`
      : "Your voice is compared with how it usually sounds, which is learned as you talk.";
    $("voice-share").value = share;
    $("forget").disabled = !heard;
  }

  keep() {
    if (!keepVoice(this.baseline)) notice("live-problem", "This browser does not let pages store data.");
    this.learn(this.baseline);
  }

  forget() {
    this.session ? this.session.forget() : this.learn(null);
    $("spoken").textContent = "The voice is forgotten.";
  }

  download() {
    const { name, fingerprint, labels } = this.model;
    const facts = { name, model: fingerprint, labels, began: this.began, gaps: this.gaps };
    return { name: this.stamp(), predictions: this.finals, facts };
  }

  stamp() {
    return `emovox-${(this.began ?? new Date()).toISOString().slice(0, 19).replaceAll(":", "-")}`;
  }
}
