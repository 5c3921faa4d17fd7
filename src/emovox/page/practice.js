// The practice tab: the usual voice, then a sentence and takes, which the server or this device judges.

import { hearsHere } from "./device.js";
import { DevicePractice, deviceChoices } from "./device-practice.js";
import { Meter } from "./meter.js";
import { microphoneProblem, openMicrophone } from "./microphone.js";
import { Keeping } from "./practice-keeping.js";
import { $, element, notice, percent } from "./results.js";
import { Session } from "./session.js";
import { VoiceLine } from "./voiceline.js";

const PING_MS = 3000; // while a sentence is over and no sound is sent
const EXACT = {
  Loudness: { "louder, by 6 dB": { loudness: "6dB" }, "softer, by 6 dB": { loudness: "-6dB" } },
  Pitch: { "higher, by 3 semitones": { pitch: "up" }, "lower, by 3 semitones": { pitch: "down" } },
};
const INFERS = "Also let the model judge which emotion it hears. Off: only pitch, loudness, tempo and pauses are measured.";
const MEASURES = "Off while progress is kept: the journal allows no inference of emotions.";
const CLOSED = "The journal is closed, so practice has stopped. Press Start to go on.";
const STATES = {
  connecting: "Connecting…",
  waiting: "Waiting for the server.",
  closed: "The microphone is off.",
};

export class Practice {
  constructor(client, model, token, journal) {
    Object.assign(this, { client, model, token, phase: "off", place: 0, wished: true });
    this.line = new VoiceLine($("practice-line"));
    this.meter = new Meter($("practice-level"));
    this.keeping = new Keeping(journal, { chosen: () => this.choose(), followed: () => this.follow() });
    $("practice-start").addEventListener("click", () => this.press());
    $("practice-next").addEventListener("click", () => this.next());
    $("practice-target").addEventListener("change", () => this.choose());
    $("practice-emotion").addEventListener("change", ({ target }) => {
      this.wished = target.checked;
      this.choose();
    });
    this.load();
  }

  async load() {
    const facts = await (this.client ? this.client.ask("v1/practice") : deviceChoices()).catch((error) => error);
    if (facts instanceof Error) return notice("practice-problem", facts.message);
    this.facts = facts;
    const emotions = facts.targets.filter(({ recognised, measured }) => recognised || measured);
    const named = Object.fromEntries(emotions.map((one) => [one.target, { ...one, asked: { target: one.target } }]));
    this.choices = [];
    this.offer("An emotion", named);
    for (const [group, exact] of Object.entries(EXACT)) {
      const entries = Object.entries(exact).map(([name, asked]) => [name, { asked, measured: true }]);
      this.offer(group, Object.fromEntries(entries));
    }
    this.choose();
    $("practice-start").disabled = false;
  }

  offer(label, choices) {
    const group = Object.assign(element("optgroup"), { label });
    for (const [name, choice] of Object.entries(choices)) {
      group.append(Object.assign(element("option", "", name), { value: this.choices.length }));
      this.choices.push(choice);
    }
    $("practice-target").append(group);
  }

  get choice() {
    return this.choices[$("practice-target").value];
  }

  // Whether the model judges: as is wished, where there is a choice.
  get infers() {
    const { recognised = false, measured } = this.choice;
    return recognised && (!measured || (this.wished && this.keeping.mayInfer(this.choice)));
  }

  describe() {
    const { recognised = false, measured } = this.choice;
    const mayInfer = this.keeping.mayInfer(this.choice);
    Object.assign($("practice-emotion"), { disabled: !(recognised && measured && mayInfer), checked: this.infers });
    $("practice-switch").textContent = !recognised
      ? "Only pitch, loudness, tempo and pauses are measured; nothing infers an emotion."
      : !measured ? "People do not agree in how they change their voice for it, so the model has to judge."
        : mayInfer ? INFERS : MEASURES;
    this.keeping.describe(this.choice);
  }

  // Whether the session can go on: the model learns the usual voice, too, or must not.
  get fits() {
    const { options, keeps } = this.session;
    return this.infers === options.emotion && this.keeping.keeps(this.choice) === keeps;
  }

  choose() {
    this.describe();
    if (this.phase === "off") return;
    if (this.fits && this.phase !== "usual") return this.next();
    this.restart();
  }

  // The person's journal was opened, closed or changed.
  follow() {
    if (!this.choices) return; // not known yet
    this.describe();
    if (this.phase === "off" || this.fits) return;
    if (this.session.keeps && !this.keeping.isOpen) this.stop(CLOSED);
    else this.restart();
  }

  restart() {
    const keeps = this.keeping.keeps(this.choice); // before the wait, in which the journal may close
    this.stop().then(() => this.listen(keeps));
  }

  async press() {
    $("practice-start").disabled = true;
    try {
      await (this.phase === "off" ? this.listen() : this.stop());
    } finally {
      $("practice-start").disabled = false;
      $("practice-start").focus();
    }
  }

  async listen(wanted = this.keeping.keeps(this.choice)) {
    notice("practice-problem", "");
    try {
      const gone = () => this.stop("The microphone was unplugged. Plug it in, then press Start.");
      this.microphone = await openMicrophone((frame) => this.feed(frame), gone);
    } catch (error) {
      return notice("practice-problem", microphoneProblem(error));
    }
    const keeps = this.keeping.keeps(this.choice);
    if (wanted && !this.keeping.isOpen) return this.stop(CLOSED);
    this.phase = "usual";
    this.session = new (hearsHere() && !keeps ? DevicePractice : Session)({
      url: document.baseURI,
      token: this.token,
      model: this.model.fingerprint,
      ...(keeps ? this.keeping.stream(this.microphone.device ?? "") : {}),
      options: { rate: this.microphone.rate, emotion: this.infers, practice: this.choice.asked },
      on: {
        state: (state, problem) => this.state(state, problem),
        practice: (message) => this.hear(message),
        gap: () => {},
        baseline: () => {},
      },
    });
    this.session.keeps = keeps;
    this.session.connect();
    $("practice-start").textContent = "Stop";
  }

  async stop(problem = "") {
    const { microphone, session } = this;
    this.microphone = this.session = undefined;
    this.show("off");
    await microphone?.close();
    session?.close();
    this.meter.clear();
    notice("practice-problem", problem);
  }

  feed({ samples, db, peak }) {
    this.meter.show(db, peak);
    if (this.phase !== "over") return this.session?.feed(samples);
    if (performance.now() - (this.pinged ?? 0) < PING_MS) return;
    this.pinged = performance.now();
    this.session.tell({ type: "ping" });
  }

  state(state, problem) {
    if (!this.session) return;
    if (state === "live") this.show("usual"); // after a lost connection, too: the server kept nothing
    else $("practice-state").textContent = STATES[state] ?? "";
    if (state !== "connecting") notice("practice-problem", problem);
    if (state === "closed") this.stop(problem);
  }

  // What the person is asked to do now.
  show(phase) {
    this.phase = phase;
    $("practice-stage").hidden = phase === "off";
    $("practice-start").textContent = phase === "off" ? "Start" : "Stop";
    $("practice-next").hidden = phase !== "over";
    $("practice-usual").hidden = phase !== "usual";
    $("practice-voice").hidden = phase === "usual";
    const sentence = this.facts.sentences[this.place % this.facts.sentences.length];
    const [step, words] = {
      off: ["", ""],
      usual: ["First your usual voice", "Tell about your day in your everyday voice, for about 15 seconds, then stop for a second."],
      take: [`Say it ${this.named()}, then stop for a second`, sentence],
      over: ["This sentence is done", sentence],
    }[phase];
    [$("practice-step").textContent, $("practice-words").textContent] = [step, words];
    $("practice-state").textContent = phase === "off" ? STATES.closed : phase === "over" ? "Paused." : "Listening.";
    if (phase !== "usual") return;
    this.clear();
    $("practice-stage").scrollIntoView({ block: "nearest" }); // below the fold on a phone
  }

  named() {
    const { selectedOptions } = $("practice-target");
    return selectedOptions[0].textContent.split(",")[0];
  }

  clear() {
    this.closes = [];
    $("practice-results").hidden = true;
    $("practice-takes").replaceChildren(element("li", "soft", "none counted yet"));
  }

  next() {
    this.place += this.phase === "over";
    this.clear();
    this.show("take");
    this.session.tell({ type: "practice", ...this.choice.asked });
    $("practice-words").focus();
  }

  hear(message) {
    if (!this.session) return;
    const { type } = message;
    if (type === "practice.aim") this.aim(message);
    else if (type === "practice.moment") this.moment(message);
    else if (type === "practice.again") notice("practice-problem", `${message.message}. Once more, please.`);
    else if (type === "practice.usual") {
      this.show("take");
      notice("practice-problem", "");
      this.say(`Your usual voice is known. ${$("practice-step").textContent}: ${$("practice-words").textContent}`);
    } else if (type === "practice.attempt") this.judge(message);
  }

  aim({ target, emotion, wanted }) {
    this.line.aim(wanted);
    this.kind = [target, this.session.options.emotion && emotion !== null];
    if (this.session.keeps) this.keeping.show(...this.kind);
  }

  say(words) {
    $("spoken").textContent = words;
  }

  moment({ speaking, speech_seconds, pitch_st, loudness_db }) {
    if (this.phase === "over") return; // of sound that was on its way
    if (this.phase === "usual") {
      $("practice-heard").value = speech_seconds / this.facts.usual_seconds;
      $("practice-heard-words").textContent = `${Math.round(speech_seconds)} of ${this.facts.usual_seconds} s heard`;
    } else this.line.add(pitch_st, loudness_db);
    $("practice-state").textContent = speaking ? "Listening: you are heard." : "Listening.";
  }

  judge({ told, why_untold, closeness, changes, hint, emotion, take, takes, best, over }) {
    const score = told ? percent(closeness) : "not counted";
    const advice = hint ? `Hint: ${hint.text}.` : told ? "Nothing is missing that would be noticed." : "";
    this.meter.judge(!told && why_untold.includes("too quiet"));
    $("practice-results").hidden = false;
    $("practice-close").textContent = score;
    $("practice-of").textContent = told ? `of the way to the target, take ${take} of ${takes}` : `${why_untold}; it costs no take.`;
    $("practice-hint").textContent = advice;
    $("practice-changes").textContent = [...changed(changes ?? {}, this.facts.dimensions), ...sounded(emotion)].join(", ");
    if (told) this.closes.push(score);
    if (told && this.session.keeps) this.keeping.show(...this.kind);
    const rows = this.closes.map((close, place) => {
      const isBest = place + 1 === best;
      return element("li", isBest ? "best" : "", `take ${place + 1}: ${close}${isBest ? ", the best" : ""}`);
    });
    if (rows.length) $("practice-takes").replaceChildren(...rows);
    const which = told ? `Take ${take} of ${takes}: ${score}.` : `Not counted: ${why_untold}.`;
    this.show(over ? "over" : "take");
    this.say(`${which} ${advice}${over && best ? ` The best was take ${best}.` : ""}`);
    if (over) $("practice-next").focus();
  }
}

// What changed from the usual voice, with its sign and unit.
function changed(changes, units) {
  return Object.entries(changes)
    .filter(([, change]) => change !== null)
    .map(([name, change]) => {
      const size = Math.abs(change).toFixed(units[name].startsWith("%") ? 0 : 1);
      return `${name} ${Number(size) && change < 0 ? "−" : "+"}${size} ${units[name]}`;
    });
}

function sounded(emotion) {
  if (!emotion) return [];
  const { label, score, certain } = emotion;
  return [certain ? `sounded ${label}, score ${percent(score)}` : `emotion uncertain, perhaps ${label}`];
}
