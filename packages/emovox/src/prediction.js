// The answer that every method gives, and the summary of the answers to a recording.

import { rounded } from "./checks.js";

/**
 * What was heard in one piece of audio.
 * @typedef {object} Prediction
 * @property {string} label The one with the highest score.
 * @property {number} score
 * @property {Record<string, number>} scores A calibrated probability of every label; they sum to 1.
 * @property {number} start Seconds from the beginning of the recording.
 * @property {number} end
 * @property {boolean} certain Where it is false the model abstains: the label is its best guess.
 * @property {boolean} final False in interim decisions of a stream, which later ones replace.
 * @property {number} level_db How loud the speech was, in dB of full scale.
 * @property {"good" | "too quiet" | "too loud"} level
 */

/**
 * @typedef {object} Summary
 * @property {number} speech_seconds
 * @property {Record<string, number>} shares Share of the speech time of each label.
 * @property {number} uncertain Share in which the model abstains.
 * @property {{at: number, before: string, after: string}[]} turning_points
 */

/**
 * Return the label with the highest score.
 * @param {Record<string, number>} scores
 */
export const best = (scores) =>
  Object.keys(scores).reduce((one, label) => (scores[label] > scores[one] ? label : one));

/**
 * Say where in the recording a prediction belongs.
 * @param {Prediction} prediction
 * @param {number} start Seconds.
 * @param {number} end
 * @param {number} origin Second of the recording with which these begin.
 * @returns {Prediction}
 */
export function placed(prediction, start, end, origin) {
  return { ...prediction, start: rounded(origin + start), end: rounded(origin + end) };
}

/**
 * Mix the scores of a decision with those of the one before: (1 - kept) now + kept before.
 * @param {Prediction} now
 * @param {Prediction} before
 * @param {number} kept
 * @param {number} threshold
 * @returns {Prediction}
 */
export function smoothed(now, before, kept, threshold) {
  const scores = Object.fromEntries(
    Object.entries(now.scores).map(([label, score]) => [
      label,
      (1 - kept) * score + kept * before.scores[label],
    ]),
  );
  const label = best(scores);
  const score = scores[label];
  return { ...now, label, score, scores, certain: score >= threshold };
}

/**
 * Sum up the final predictions of one speaker, in the order spoken.
 * @param {Prediction[]} predictions
 * @returns {Summary}
 */
export function summarise(predictions) {
  const segments = predictions.filter(({ final }) => final);
  /** @param {Prediction[]} ones */
  const length = (ones) => ones.reduce((sum, { start, end }) => sum + end - start, 0);
  const seconds = length(segments);
  const labels = Object.keys(segments[0]?.scores ?? {});
  const share = (/** @type {string} */ label) =>
    length(segments.filter((one) => one.label === label)) / seconds;
  const certain = segments.filter((one) => one.certain);
  const points = certain.flatMap((after, k) => {
    const before = certain[k - 1]?.label ?? after.label;
    return before === after.label ? [] : [{ at: after.start, before, after: after.label }];
  });
  return {
    speech_seconds: rounded(seconds),
    shares: Object.fromEntries(labels.map((label) => [label, share(label)])),
    uncertain: segments.length ? 1 - length(certain) / seconds : 0,
    turning_points: points,
  };
}
