"""Exceptions: every mistake a user can make ends in one of these."""


class EmovoxError(Exception):
    """Root of all errors; its text says what was expected, what came and what to do."""


def one_line(text: str) -> str:
    """Return a text from outside as an error shows it: escaped, where it cannot be printed."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class AudioError(EmovoxError):
    """The input is no usable recording: unreadable, empty, not finite, too long."""


class SilenceError(AudioError):
    """The recording holds no sound above the noise floor."""


class NoSpeechError(SilenceError):
    """The recording holds sound, but nobody speaks."""


class CorpusError(EmovoxError):
    """A corpus folder or table is missing, empty or malformed."""


class SplitError(EmovoxError):
    """A split cannot be made as asked, or breaks its own promise."""


class ConfigError(EmovoxError):
    """A setting is unknown, of the wrong type or out of range."""


class TrainingError(EmovoxError):
    """Training cannot start, go on or be resumed."""


class ModelError(EmovoxError):
    """A model file is missing, corrupt, foreign or of another version."""


class BaselineError(EmovoxError):
    """A speaker's baseline is missing, corrupt, or of another model."""


class MicrophoneError(EmovoxError):
    """There is no microphone, or it cannot be used."""


class ArchiveError(EmovoxError):
    """A run over an archive cannot start, go on or be resumed."""


class MissingExtraError(EmovoxError):
    """A part of emovox needs an optional dependency that is not installed."""
