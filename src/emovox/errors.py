"""Exceptions: every mistake a user can make ends in one of these."""

from collections.abc import Iterator
from contextlib import contextmanager
from unicodedata import category

_CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's categories of characters without a shape
_JOINERS = "\u200c\u200d"  # which join letters and emoji


class EmovoxError(Exception):
    """Root of all errors; its text says what was expected, what came and what to do."""


def one_line(text: str) -> str:
    r"""Return a text as one line in which nothing moves the cursor or the letters.

    Examples
    --------
    >>> one_line("two\nlines, \x1b[31mred")
    'two\\nlines, \\x1b[31mred'
    """
    return "".join(ascii(char)[1:-1] if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return category(char) in _CONTROLS and char not in _JOINERS


class AudioError(EmovoxError):
    """Unusable audio: unreadable, empty, not finite, too long.

    Parameters
    ----------
    reason : str
        One line, without the recording's name.
    kind : str, optional
        One of `AUDIO_KINDS`, for programs; the reason's words may change.
    file : str
        Name of the recording; "" where it has none, or nobody has added it yet.
    """

    kind = "other"

    def __init__(self, reason: str, kind: str | None = None, file: str = "") -> None:
        super().__init__(reason)
        self.reason, self.file = reason, file
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}" if self.file else self.reason


AUDIO_KINDS = (
    "missing",
    "no permission",
    "not a file",
    "not fetched",
    "empty",
    "not audio",
    "cut off",
    "too long",
    "no speech",
    "other",
)


class SilenceError(AudioError):
    """The recording holds no sound above the noise floor."""

    kind = "no speech"


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


class TurnsError(EmovoxError):
    """A file of turns is missing, damaged, empty or of an unknown format."""


class MicrophoneError(EmovoxError):
    """There is no microphone, or it cannot be used."""


class ArchiveError(EmovoxError):
    """A run over an archive cannot start, go on or be resumed."""


class JournalError(EmovoxError):
    """A journal is missing, locked, damaged or in use, or an entry does not fit into it."""


class ServiceError(EmovoxError):
    """The network service cannot be reached, is busy, or refuses what it was asked.

    Parameters
    ----------
    reason : str
    code : str
        The service's own word for the reason, for programs; "" if it said none.
    status : int
        Of its HTTP answer; 0 if there was none.
    """

    def __init__(self, reason: str, code: str = "", status: int = 0) -> None:
        super().__init__(reason)
        self.code, self.status = code, status


class MissingExtraError(EmovoxError):
    """A part of emovox needs an optional dependency that is not installed."""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, for messages: 1 clip, 2 clips, 1,000 clips."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


_LIBRARIES = {
    "report": ("jinja2", "matplotlib"),
    "train": ("torch", "librosa", "onnx", "safetensors", "scipy", "pooch", "requests"),
    "serve": ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client"),
    "archive": ("dask", "distributed", "cryptography", "pyarrow", "fsspec"),
    "live": ("platformdirs", "sounddevice"),
    "journal": ("platformdirs", "cryptography", "scipy"),
    "transcripts": ("praatio", "pympi"),
    "opus": ("av",),
    "client": ("httpx", "websockets"),
    "sklearn": ("sklearn",),
    "pipecat": ("pipecat",),
    "livekit": ("livekit",),
    "mcp": ("mcp",),
}


@contextmanager
def optional(extra: str = "") -> Iterator[None]:
    """Import optional libraries inside this block.

    Parameters
    ----------
    extra : str
        The extra that needs them, where several bring the same library.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra(error, extra) from None


def missing_extra(error: ModuleNotFoundError, wanted: str = "") -> MissingExtraError:
    """Return an error that names the extra to install: `wanted`, if that brings the module.

    Raises
    ------
    ModuleNotFoundError
        `error` itself, if no extra installs its module.
    """
    library = (error.name or "").partition(".")[0]
    extras = {wanted: _LIBRARIES[wanted], **_LIBRARIES} if wanted else _LIBRARIES
    for extra, libraries in extras.items():
        if library in libraries:
            return MissingExtraError(
                f"this needs {error.name}; install it with: pip install 'emovox[{extra}]'"
            )
    raise error
