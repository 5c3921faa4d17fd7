// Every mistake a user can make ends in one of these; the text says it in one line.

export class EmovoxError extends Error {
  /** @param {string} message What was expected, what came, and what to do. */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** Unusable audio: unreadable, empty, not finite, of a wrong rate. */
export class AudioError extends EmovoxError {}

/** The recording holds no sound above the noise floor. */
export class SilenceError extends AudioError {}

/** The recording holds sound, but nobody speaks. */
export class NoSpeechError extends SilenceError {}

/** A setting is of the wrong type or out of range. */
export class ConfigError extends EmovoxError {}

/** A model file is missing, corrupt, foreign or of another version. */
export class ModelError extends EmovoxError {}

/** A speaker's baseline is corrupt, or of another model. */
export class BaselineError extends EmovoxError {}
