// A session of practice: the person's usual voice, then takes, each told how close it came.

import { RATE, asFloats, checkAudible, checkRate } from "./audio.js";
import { isNumber, shown } from "./checks.js";
import { AudioError, ConfigError, SilenceError } from "./errors.js";
import { ADVICE, judgeLevel, speechLevelDb } from "./loudness.js";
import { aimOf, checkAim } from "./practice-aims.js";
import { Cutter } from "./practice-cutter.js";
import { blended, changesOf, closeness, hintOf } from "./practice-hints.js";
import { measure, roundTo } from "./prosody.js";
import { percentile } from "./syllables.js";
import { findSpeech, pausesS } from "./vad.js";

const MOST_USUAL_S = 90; // of sound, in a usual voice
const MOST_TAKE_S = 30; // of sound, of a take
const LEAST_USUAL_S = 10; // of speech in a person's usual voice
const LEAST_TAKE_S = 0.8; // of speech, in which a melody can be told
const LEAST_SEGMENT_S = 1;
const [N_TAKES, MOST_TAKES] = [3, 20];
const TRIES = 3; // times as many attempts as takes end an exercise

/** @typedef {import("./prosody.js").Prosody} Prosody */
/** @typedef {import("./practice-aims.js").Aim} Aim */

/**
 * How a person usually sounds.
 * @typedef {{prosody: Prosody, speech_s: number, baseline: import("./baseline.js").Baseline | null}} Usual
 */

/**
 * What a take came to, as Python tells it; null is what is not known.
 * @typedef {object} Attempt
 * @property {boolean} told Whether it counts; if not, `why_untold` says why.
 * @property {string | null} why_untold
 * @property {number | null} closeness 0 for the usual voice, 1 for the aim.
 * @property {import("./practice-hints.js").Changes | null} changes
 * @property {import("./practice-hints.js").Hint | null} hint
 * @property {Prosody | null} prosody
 * @property {Pick<import("./prediction.js").Prediction, "label" | "score" | "scores" | "certain">} [emotion]
 */

/**
 * @typedef {object} PracticeOptions
 * @property {import("./practice-aims.js").Choices} choices The content of `device/practice.json`.
 * @property {import("./practice-aims.js").Asked} asked
 * @property {number} [takes] Of each sentence, 1 to 20.
 * @property {boolean} [emotion] Whether the model judges, too; if not, it is not asked.
 */

/**
 * The sound of one speaker who practises; calls wait for one another. The first recording is their
 * usual voice, those after it are takes. Messages have the types of the service: `practice.aim`,
 * `practice.moment`, `practice.usual`, `practice.again` and `practice.attempt`.
 */
export class Practice {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./network.js").Network} voice Silero's.
   * @param {number | undefined} rate Of what is fed, Hz.
   * @param {PracticeOptions} options
   */
  constructor(model, voice, rate, { choices, asked, takes = N_TAKES, emotion = true }) {
    this.model = emotion ? model : null;
    this.voice = voice;
    this.rate = checkRate(rate);
    this.choices = choices;
    /** @type {Promise<unknown>} */
    this.working = Promise.resolve();
    this.nWaiting = 0;
    this.nFed = 0; // samples
    /** @type {Usual | null} */
    this.usual = null;
    this.aim = this.checked(asked, takes);
    this.takes = takes;
    /** @type {Attempt[]} */
    this.attempts = [];
    this.cutter = this.newCutter();
  }

  /** The message about the aim. */
  get about() {
    return { type: "practice.aim", ...this.aim, takes: this.takes };
  }

  /**
   * Begin another sentence, of the same aim or of another; return the message about it.
   * @param {import("./practice-aims.js").Asked} asked
   * @param {number} [takes]
   */
  practise(asked, takes = N_TAKES) {
    return this.alone(async () => {
      this.aim = this.checked(asked, takes);
      this.takes = takes;
      this.attempts = [];
      this.cutter = this.newCutter();
      return this.about;
    });
  }

  /**
   * Take in audio and return the messages that it leads to, in order.
   * @param {Parameters<typeof asFloats>[0]} samples Mono.
   * @returns {Promise<({type: string} & Record<string, any>)[]>}
   */
  feed(samples) {
    const block = asFloats(samples);
    return this.alone(async () => {
      this.nFed += block.length;
      const sound = await this.cutter.feed(block);
      const messages = sound ? [await this.heard(sound)] : [];
      return this.nWaiting > 1 ? messages : [...messages, this.moment()]; // it is for the eye
    });
  }

  /**
   * @template T
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  alone(call) {
    this.nWaiting += 1;
    const work = this.working.then(call).finally(() => (this.nWaiting -= 1));
    this.working = work.catch(() => {});
    return work;
  }

  /**
   * @param {import("./practice-aims.js").Asked} asked
   * @param {number} takes
   */
  checked(asked, takes) {
    if (!isNumber(takes) || !Number.isInteger(takes) || takes < 1 || takes > MOST_TAKES)
      throw new ConfigError(`expected 1 to ${MOST_TAKES} takes, got ${shown(takes)}`);
    const aim = aimOf(asked, this.choices);
    checkAim(aim, this.model && this.model.card.labels);
    return aim;
  }

  /** @param {Float32Array} sound A recording. */
  async heard(sound) {
    try {
      return await (this.usual ? this.judged(sound, this.usual) : this.learned(sound));
    } finally {
      this.cutter = this.newCutter();
    }
  }

  newCutter() {
    const limits = this.usual ? [0, MOST_TAKE_S] : [this.choices.usual_seconds, MOST_USUAL_S];
    return new Cutter(this.voice, this.rate, limits[0], limits[1]);
  }

  /**
   * Hear the usual voice; what cannot be used has to be said again.
   * @param {Float32Array} sound
   */
  async learned(sound) {
    try {
      this.usual = await hearUsual(this.voice, sound, this.model);
    } catch (error) {
      if (!(error instanceof AudioError)) throw error;
      return { type: "practice.again", message: error.message };
    }
    const { speech_s, prosody } = this.usual;
    return { type: "practice.usual", speech_seconds: roundTo(speech_s, 2), prosody };
  }

  /**
   * Tell how close a take came, and which one of its sentence was the best so far.
   * @param {Float32Array} sound
   * @param {Usual} usual
   */
  async judged(sound, usual) {
    const isOver = () => nTold(this.attempts) >= this.takes || this.attempts.length >= TRIES * this.takes;
    if (isOver()) this.attempts = [];
    const { voice, model, aim, choices, takes } = this;
    const attempt = await judge(voice, sound, { aim, usual, model, dimensions: choices.hints });
    this.attempts.push(attempt);
    const facts = { take: nTold(this.attempts), takes, best: best(this.attempts), over: isOver() };
    return { type: "practice.attempt", ...attempt, ...facts };
  }

  /** Return the latest moment; pitch and loudness against the usual voice, once known. */
  moment() {
    const { speaking, speech_s, level_db, pitch_st } = this.cutter.moment();
    const usual = speaking && this.usual ? this.usual.prosody : null;
    const isPitched = usual !== null && usual.pitch_st !== null && pitch_st !== null;
    return {
      type: "practice.moment",
      seconds: roundTo(this.nFed / this.rate, 3),
      speaking,
      speech_seconds: roundTo(speech_s, 2),
      // @ts-ignore: it is pitched
      pitch_st: isPitched ? roundTo(pitch_st - usual.pitch_st, 2) : null,
      loudness_db: usual ? roundTo(level_db - usual.level_db, 1) : null,
    };
  }
}

/** @param {Attempt[]} attempts */
const nTold = (attempts) => attempts.filter(({ told }) => told).length;

/**
 * Return the number of the closest take, counted from 1; null before the first that counts.
 * @param {Attempt[]} attempts
 */
function best(attempts) {
  const closes = attempts.filter(({ told }) => told).map((one) => one.closeness ?? 0);
  return closes.length ? 1 + closes.indexOf(Math.max(...closes)) : null;
}

/**
 * Tell how close a take came, and give at most one hint. Without a model no emotion is looked for.
 * @param {import("./network.js").Network} voice
 * @param {Float32Array} clip Mono at 16 kHz.
 * @param {object} how
 * @param {Aim} how.aim
 * @param {Usual} how.usual
 * @param {import("./model.js").Model | null} how.model
 * @param {import("./practice-aims.js").Choices["hints"]} how.dimensions
 * @returns {Promise<Attempt>}
 */
async function judge(voice, clip, { aim, usual, model, dimensions }) {
  const speech = await speechIn(voice, clip).catch((error) => {
    if (error instanceof SilenceError) return null;
    throw error;
  });
  if (!speech) return attempt({ why_untold: "no speech was found" });
  const prosody = measure(speech.samples, pausesS(speech));
  const why_untold = untold(speech.samples, prosody);
  if (why_untold) return attempt({ why_untold, prosody });
  const exact = changesOf(prosody, usual.prosody);
  const close = closeness(exact, aim);
  const told = { changes: roundedChanges(exact), hint: hintOf(exact, aim, dimensions), prosody };
  if (!model || aim.emotion === null) return attempt({ ...told, closeness: close });
  const { prediction } = await model.hear(speech.samples, usual.baseline);
  const { label, score, scores, certain } = prediction;
  const emotion = { label, score, scores, certain };
  if (!certain) return attempt({ ...told, emotion, why_untold: "the emotion was uncertain" });
  return attempt({ ...told, emotion, closeness: blended(close, scores[aim.emotion]) });
}

/**
 * @param {Partial<Attempt>} known
 * @returns {Attempt}
 */
function attempt(known) {
  const { why_untold = null, changes = null, hint = null, prosody = null, emotion } = known;
  const close = known.closeness ?? null;
  const fields = {
    told: why_untold === null,
    why_untold,
    closeness: close === null ? null : roundTo(close, 4),
    changes,
    hint,
    prosody,
  };
  return emotion ? { ...fields, emotion } : fields;
}

/** @param {import("./practice-hints.js").Changes} changes */
function roundedChanges(changes) {
  return Object.fromEntries(
    Object.entries(changes).map(([name, one]) => [name, one === null ? null : roundTo(one, 2)]),
  );
}

/**
 * Return why a take cannot be told; null where it can.
 * @param {Float32Array} samples Its speech.
 * @param {Prosody} prosody
 */
function untold(samples, prosody) {
  const seconds = samples.length / RATE;
  const level = judgeLevel(samples, prosody.level_db);
  if (level !== "good") return `it was ${level}: ${ADVICE[level]}`;
  if (seconds < LEAST_TAKE_S)
    return `it was too short: ${seconds.toFixed(1)} s of speech, and ${LEAST_TAKE_S} s are needed`;
  return prosody.pitch_st === null ? "no pitch was found: speak with your voice, do not whisper" : null;
}

/**
 * Learn how a person usually sounds from a recording in their everyday, neutral voice.
 * @param {import("./network.js").Network} voice
 * @param {Float32Array} clip Mono at 16 kHz.
 * @param {import("./model.js").Model | null} model Learns a baseline as well.
 * @returns {Promise<Usual>}
 */
async function hearUsual(voice, clip, model) {
  const speech = await speechIn(voice, clip);
  const { samples } = speech;
  const level = judgeLevel(samples, speechLevelDb(samples));
  if (level !== "good") throw new AudioError(`your usual voice was recorded ${level}; ${ADVICE[level]}`);
  const speech_s = samples.length / RATE;
  if (speech_s < LEAST_USUAL_S)
    throw new AudioError(
      `expected ${LEAST_USUAL_S} s of your usual voice or more, heard ${speech_s.toFixed(1)} s of ` +
        "speech; record a longer text",
    );
  const prosody = usualOf(segmentsOf(speech));
  if (!model) return { prosody, speech_s, baseline: null };
  const { windows } = await model.hear(samples, model.newBaseline());
  return { prosody, speech_s, baseline: model.newBaseline().after(windows) };
}

/**
 * @param {import("./network.js").Network} voice
 * @param {Float32Array} clip
 */
async function speechIn(voice, clip) {
  checkAudible(clip);
  return await findSpeech(voice, clip);
}

/**
 * Return the segments that the speech was put together from.
 * @param {import("./vad.js").FoundSpeech} speech
 */
function segmentsOf({ samples, spans }) {
  let first = 0;
  return spans.map(([start, end]) => samples.subarray(first, (first += end - start)));
}

/**
 * Measure a usual voice by its segments; short ones do not count.
 * @param {Float32Array[]} segments
 * @returns {Prosody}
 */
function usualOf(segments) {
  const least = Math.min(LEAST_SEGMENT_S * RATE, Math.max(...segments.map(({ length }) => length)));
  const measured = segments.filter(({ length }) => length >= least).map((one) => measure(one));
  const usual = {
    pitch_st: median(measured.map((one) => one.pitch_st), 3),
    pitch_range_st: median(measured.map((one) => one.pitch_range_st), 3),
    level_db: /** @type {number} */ (median(measured.map((one) => one.level_db), 1)),
    rate_hz: median(measured.map((one) => one.rate_hz), 3),
    pause_share: mean(measured.map((one) => one.pause_share)),
    voiced_share: mean(measured.map((one) => one.voiced_share)),
  };
  if (usual.pitch_st !== null) return usual;
  throw new AudioError("no pitch was found in your usual voice; speak, do not whisper");
}

/**
 * @param {(number | null)[]} values
 * @param {number} nDigits
 */
function median(values, nDigits) {
  const known = Float64Array.from(values.filter((value) => value !== null));
  return known.length ? roundTo(percentile(known, 50), nDigits) : null;
}

/** @param {number[]} values */
const mean = (values) => roundTo(values.reduce((sum, value) => sum + value, 0) / values.length, 4);
