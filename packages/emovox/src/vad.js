// Voice activity: where speech begins, pauses and ends, for files and streams alike.

import { largest, NOISE_FLOOR, RATE, resampled } from "./audio.js";
import { checkSeconds } from "./checks.js";
import { cleaned, RunningOffset } from "./cleaning.js";
import { NoSpeechError } from "./errors.js";

export const CHUNK = 512; // samples, 32 ms: what Silero judges at a time
const [ONSET, RELEASE] = [0.5, 0.35]; // probability at which speech begins, and may have ended
const MIN_SPEECH = 6; // chunks (0.19 s): what holds less speech is a click or a cough
const PAD = 6; // chunks (0.19 s) kept before and after speech, whose edges are soft
const PAUSE = 16; // chunks (0.51 s) without speech that end an utterance
const FIRST_DECISION = 14; // chunks (0.45 s) of speech before the first interim decision
const [STEADY, STEADY_DB] = [6, 1]; // a level within 1 dB for 6 chunks is a hum or a tone
const WINDOW = Math.ceil((4 * RATE) / CHUNK); // chunks (4 s) that an interim decision looks back on
export const SEGMENT_S = 6; // default of the longest segment
const TURN = 60 * RATE; // samples of speech that a turn is judged by, the last ones
const SLOWDOWNS = [1, 1.5, 1.75]; // times, at which a clip is searched for speech
const [FAINT, FAINTEST] = [0.025, 2.5e-4]; // amplitude: what is lower is heard louder, to a limit
const CONTEXT = 64; // samples of the chunk before, which Silero is shown again
const MIN_POWER = 1e-12; // so that silence has a level
const FADING = 0.5 ** (CHUNK / RATE / 2); // a chunk: the loudest level halves in 2 s

/**
 * Speech that a decision is due on: mono at 16 kHz, samples from the beginning.
 * @typedef {{audio: Float32Array, start: number, end: number, first: boolean, final: boolean}} Segment
 */

/**
 * The speech in a clip, pauses left out and cleaned, and the seconds of the clip.
 * @typedef {{samples: Float32Array, seconds: number}} Speech
 */

/**
 * Speech, and the first sample of each stretch of it in the clip and the one behind its last.
 * @typedef {Speech & {spans: [number, number][]}} FoundSpeech
 */

/** How likely each chunk of a recording holds speech: Silero's network and its memory. */
class Voice {
  /** @param {import("./network.js").Network} network */
  constructor(network) {
    const { Tensor } = network;
    this.network = network;
    /** @type {import("onnxruntime-web").Tensor} */
    this.rate = new Tensor("int64", BigInt64Array.of(BigInt(RATE)), []);
    /** @type {import("onnxruntime-web").Tensor} */
    this.memory = new Tensor("float32", new Float32Array(256), [2, 1, 128]);
    this.context = new Float32Array(CONTEXT);
    /** @type {number[]} */
    this.levels = [];
    this.offset = new RunningOffset();
    this.loudest = 0; // level of the loudest chunk of late, an amplitude
  }

  copy() {
    const { levels, offset } = this;
    const fields = { levels: [...levels], offset: offset.copy() };
    return Object.assign(Object.create(Voice.prototype), this, fields);
  }

  /** @param {Float32Array} raw 512 samples. */
  async probability(raw) {
    const chunk = this.offset.without(raw);
    const { context, levels, network, rate, memory } = this;
    this.context = chunk.slice(-CONTEXT);
    const power = chunk.reduce((sum, value) => sum + value * value, 0) / CHUNK;
    const level = 10 * Math.log10(power + MIN_POWER);
    levels.push(level);
    if (levels.length > STEADY) levels.shift();
    this.loudest = Math.max(10 ** (level / 20), this.loudest * FADING);
    if (largest(chunk) < NOISE_FLOOR) return 0;
    const gain = Math.fround(Math.max(1, FAINT / Math.max(this.loudest, FAINTEST)));
    const input = new Float32Array(CONTEXT + CHUNK);
    input.set(context);
    input.set(chunk, CONTEXT);
    for (let k = 0; k < input.length; k++) input[k] *= gain;
    const feeds = { input: new network.Tensor("float32", input, [1, input.length]), state: memory, sr: rate };
    const { output, stateN } = await network.run(feeds);
    this.memory = stateN;
    const isSteady = Math.max(...levels) - Math.min(...levels) < STEADY_DB;
    if (levels.length === STEADY && isSteady) return 0;
    return /** @type {Float32Array} */ (output.data)[0];
  }
}

/** Cuts audio into segments of speech as it comes in; how it is chunked makes no difference. */
export class Activity {
  /**
   * @param {import("./network.js").Network} network Silero's.
   * @param {{max_segment_s?: number, interval_s?: number | null}} [options]
   */
  constructor(network, { max_segment_s = SEGMENT_S, interval_s = null } = {}) {
    this.maxChunks = toChunks(checkSeconds("max_segment_s", max_segment_s, 1, 60));
    this.interval = null;
    this.decideEvery(interval_s);
    this.voice = new Voice(network);
    this.rest = new Float32Array(0); // of a chunk that is not full yet
    /** @type {Float32Array[]} */
    this.kept = []; // the last chunks
    /** @type {number[]} */
    this.probabilities = []; // of the chunks kept
    this.nChunks = 0; // chunks so far
    /** @type {number | null} */
    this.utterance = null; // chunk at which it began; null: nobody speaks
    this.segmentFrom = 0; // chunk at which the segment began
    this.voicedUntil = 0; // chunk after the last with speech
    this.silentFrom = 0; // chunk after the latest utterance
    this.nVoiced = 0; // chunks with speech in this utterance
    this.nAnswered = 0; // of these, at the last interim decision
    /** @type {[number, number | null] | null} */
    this.latestChunks = null; // the latest utterance
  }

  /** Whether somebody is speaking, as far as was heard. */
  get speaking() {
    return this.utterance !== null && this.nVoiced >= MIN_SPEECH;
  }

  /** Samples taken in so far. */
  get nSamples() {
    return this.nChunks * CHUNK + this.rest.length;
  }

  /**
   * First sample and end (null while speaking) of the current or latest utterance.
   * @returns {[number, number | null] | null}
   */
  get latest() {
    if (this.latestChunks === null) return null;
    const [start, end] = this.latestChunks;
    return [start * CHUNK, end === null ? null : end * CHUNK];
  }

  /**
   * Set the seconds of speech between interim decisions from now on; null: make none.
   * @param {number | null} seconds
   */
  decideEvery(seconds) {
    this.interval = seconds === null ? null : toChunks(checkSeconds("interval_s", seconds, 0.1, 10));
  }

  /**
   * Take in more audio; return the segments that a decision is due on.
   * @param {Float32Array} samples Mono at 16 kHz.
   * @returns {Promise<Segment[]>}
   */
  async feed(samples) {
    const audio = joined([this.rest, samples]);
    const nWhole = audio.length - (audio.length % CHUNK);
    this.rest = audio.slice(nWhole);
    const segments = [];
    for (let at = 0; at < nWhole; at += CHUNK)
      segments.push(...(await this.hear(audio.subarray(at, at + CHUNK))));
    return segments;
  }

  /** Return what is left at the end of the audio; nothing can be fed after that. */
  async flush() {
    const { nSamples } = this;
    const filled = this.rest.length ? new Float32Array(CHUNK - this.rest.length) : this.rest;
    const segments = await this.feed(filled);
    if (this.utterance !== null) segments.push(...this.end());
    return segments.map((segment) => shortened(nSamples, segment));
  }

  /** Return the segment that `flush` would end, and go on as if nothing had happened. */
  async pending() {
    const { voice, kept, probabilities } = this;
    const fields = { voice: voice.copy(), kept: [...kept], probabilities: [...probabilities] };
    /** @type {Activity} */
    const other = Object.assign(Object.create(Activity.prototype), this, fields);
    return (await other.flush()).filter(({ final }) => final);
  }

  /** @param {Float32Array} chunk */
  async hear(chunk) {
    const probability = await this.voice.probability(chunk);
    this.kept.push(chunk);
    this.probabilities.push(probability);
    this.nChunks += 1;
    const segments = this.due(probability);
    this.forgetOld();
    return segments;
  }

  /**
   * Move on by a chunk; return the segments that a decision is due on then.
   * @param {number} probability
   * @returns {Segment[]}
   */
  due(probability) {
    if (this.utterance === null) {
      if (probability >= ONSET) this.begin();
      return [];
    }
    if (probability >= RELEASE) {
      this.voicedUntil = this.nChunks;
      this.nVoiced += 1;
      if (this.nVoiced === MIN_SPEECH) this.latestChunks = [this.utterance, null];
    }
    if (this.nChunks - this.voicedUntil >= PAUSE) return this.end();
    if (this.nChunks - this.segmentFrom >= this.maxChunks) return this.cut();
    if (probability >= RELEASE && this.isDue()) return this.interim(this.utterance);
    return [];
  }

  begin() {
    this.utterance = this.segmentFrom = Math.max(this.silentFrom, this.nChunks - 1 - PAD);
    this.voicedUntil = this.nChunks;
    this.nVoiced = 1;
    this.nAnswered = 0;
  }

  /** Drop chunks that no later decision needs. */
  forgetOld() {
    const { nChunks } = this;
    const needed =
      this.utterance === null ? nChunks - PAD : Math.min(this.segmentFrom, nChunks - WINDOW);
    const nOld = Math.max(0, this.kept.length - (nChunks - needed));
    this.kept.splice(0, nOld);
    this.probabilities.splice(0, nOld);
  }

  isDue() {
    if (this.interval === null) return false;
    return this.nVoiced - this.nAnswered >= (this.nAnswered ? this.interval : FIRST_DECISION);
  }

  /** @param {number} utterance */
  interim(utterance) {
    const first = this.nAnswered === 0;
    this.nAnswered = this.nVoiced;
    const start = Math.max(utterance, this.nChunks - WINDOW);
    return [this.segment(start, this.nChunks, first, false)];
  }

  /** End the utterance: the pause was long enough, or the audio is over. */
  end() {
    const end = Math.min(this.voicedUntil + PAD, this.nChunks);
    const segments = this.segmentUntil(end);
    if (this.speaking) this.latestChunks = [/** @type {number} */ (this.utterance), end];
    this.utterance = null;
    this.silentFrom = end;
    return segments;
  }

  /** Cut a segment that grew too long where it is quietest; the utterance goes on. */
  cut() {
    const first = this.segmentFrom + Math.floor(this.maxChunks / 2);
    const powers = this.chunks(first - 1, Math.max(first + 1, this.nChunks - PAUSE + 1)).map(variance);
    const pairs = powers.slice(1).map((power, k) => power + powers[k]);
    const at = first + pairs.indexOf(Math.min(...pairs));
    const segments = this.segmentUntil(at);
    this.segmentFrom = at;
    return segments;
  }

  /**
   * Return the segment up to a chunk, if it holds enough speech.
   * @param {number} end
   */
  segmentUntil(end) {
    const offset = this.nChunks - this.kept.length;
    const probabilities = this.probabilities.slice(this.segmentFrom - offset, end - offset);
    if (probabilities.filter((one) => one >= RELEASE).length < MIN_SPEECH) return [];
    return [this.segment(this.segmentFrom, end, false, true)];
  }

  /**
   * @param {number} start
   * @param {number} end
   * @param {boolean} first Whether it is the first decision of an utterance.
   * @param {boolean} final Whether the segment is over.
   * @returns {Segment}
   */
  segment(start, end, first, final) {
    const audio = joined(this.chunks(start, end));
    return { audio, start: start * CHUNK, end: end * CHUNK, first, final };
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  chunks(start, end) {
    const offset = this.nChunks - this.kept.length;
    return this.kept.slice(start - offset, end - offset);
  }
}

/** The speech of a stream since its last turn: at most the last minute of it is kept. */
export class Said {
  start = 0; // sample of the stream with which the turn begins
  tail = -1; // sample with which a segment goes on that the turn before began
  /** @type {[number, Float32Array][]} */
  parts = []; // first samples, and what was said

  /**
   * Take in a segment that is over.
   * @param {Segment} segment
   * @param {number} origin The sample that its own count begins at.
   */
  add(segment, origin) {
    const start = origin + segment.start;
    const late = Math.max(0, this.start - start); // samples that belong to the turn before
    if (late < segment.audio.length) {
      this.parts.push([start + late, segment.audio.subarray(late)]);
      if (late) this.tail = start + late;
    }
    const length = () => this.parts.reduce((sum, [, audio]) => sum + audio.length, 0);
    while (this.parts.length > 1 && length() > TURN) this.parts.shift();
  }

  /**
   * Return what was said, and the sample of the stream that it begins with; null for nothing.
   * @param {Segment[]} pending
   * @param {number} origin
   * @returns {{speech: Speech, first: number} | null}
   */
  speech(pending, origin) {
    const said = Object.assign(new Said(), this, { parts: [...this.parts] });
    pending.forEach((segment) => said.add(segment, origin));
    said.dropTail();
    if (!said.parts.length) return null;
    const [[first]] = said.parts;
    const [start, audio] = said.parts[said.parts.length - 1];
    const samples = cleaned(joined(said.parts.map(([, part]) => part)));
    return { speech: { samples, seconds: (start - first + audio.length) / RATE }, first };
  }

  /** Leave out the soft end of the turn before, which holds no speech of its own. */
  dropTail() {
    const [start, audio] = this.parts[0] ?? [];
    if (start !== this.tail || !audio) return;
    const goesOn = this.parts[1]?.[0] === start + audio.length;
    if (!goesOn && audio.length < (MIN_SPEECH + PAD) * CHUNK) this.parts.shift();
  }

  /**
   * Begin another turn at a sample of the stream.
   * @param {number} sample
   */
  begin(sample) {
    this.start = sample;
    this.parts = [];
  }
}

/**
 * Return the speech in a clip; refuse a clip in which nobody speaks.
 * @param {import("./network.js").Network} network Silero's.
 * @param {Float32Array} clip Mono at 16 kHz.
 * @returns {Promise<FoundSpeech>}
 */
export async function findSpeech(network, clip) {
  const seconds = clip.length / RATE;
  for (const slowdown of SLOWDOWNS) {
    const activity = new Activity(network);
    const slowed = resampled(clip, RATE, slowdown * RATE);
    const segments = [...(await activity.feed(slowed)), ...(await activity.flush())];
    /** @type {[number, number][]} */
    const spans = segments.map(({ start, end }) => [
      Math.floor(start / slowdown),
      Math.min(Math.floor(end / slowdown), clip.length),
    ]);
    const parts = spans.map(([start, end]) => clip.subarray(start, end));
    if (parts.length) return { samples: cleaned(joined(parts)), spans, seconds };
  }
  throw new NoSpeechError(
    `no speech in ${seconds.toFixed(1)} s of audio; is it the right recording, and the right channel?`,
  );
}

/**
 * Return the seconds that were left out between the first stretch of speech and the last.
 * @param {FoundSpeech} speech
 */
export function pausesS({ samples, spans }) {
  return (spans[spans.length - 1][1] - spans[0][0] - samples.length) / RATE;
}

/**
 * Take away what the last chunk was filled up with.
 * @param {number} nSamples
 * @param {Segment} segment
 */
function shortened(nSamples, segment) {
  const end = Math.min(segment.end, nSamples);
  return { ...segment, end, audio: segment.audio.subarray(0, end - segment.start) };
}

/** @param {Float32Array} chunk */
function variance(chunk) {
  const mean = chunk.reduce((sum, value) => sum + value, 0) / chunk.length;
  return chunk.reduce((sum, value) => sum + (value - mean) ** 2, 0) / chunk.length;
}

/** @param {number} seconds */
const toChunks = (seconds) => Math.round((seconds * RATE) / CHUNK);

/**
 * @param {Float32Array[]} parts
 * @returns {Float32Array}
 */
export function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
