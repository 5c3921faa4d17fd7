"""What a journal holds: a person's consent, sessions, segments, and what they say of themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import JournalError
from ..prosody import Prosody

CONSENT_VERSION = 1
CONSENT = (
    "emovox keeps a journal of your voice on this machine, and sends nothing anywhere. It measures "
    "your voice (pitch, loudness, tempo, pauses) and keeps the measurements with their times. Only "
    "if you agree to emotion, a model guesses which emotion your voice sounded like; it is often "
    "wrong, and it is no diagnosis. Only if you agree to sound, the sound of your speech is kept. "
    "You may see, export and delete all of it at any time, and withdraw your consent."
)
KINDS = ("momentary", "daily")  # HealthKit's momentaryEmotion and dailyMood
# The labels of HealthKit's HKStateOfMind.Label, in its order.
FEELINGS = (
    "amazed", "amused", "angry", "anxious", "ashamed", "brave", "calm", "content", "disappointed",
    "discouraged", "disgusted", "embarrassed", "excited", "frustrated", "grateful", "guilty",
    "happy", "hopeless", "irritated", "jealous", "joyful", "lonely", "passionate", "peaceful",
    "proud", "relieved", "sad", "scared", "stressed", "surprised", "worried", "annoyed",
    "confident", "drained", "hopeful", "indifferent", "overwhelmed", "satisfied",
)  # fmt: skip
MAX_TEXT = 10_000  # characters of a name, a note or a tag
MAX_DAYS = 36_500  # of retention


@dataclass(frozen=True)
class Consent:
    """What a person agreed to, when, and in which words.

    `measure` is for measurements of the voice, `emotion` for inferring emotions, `sound` for
    keeping the sound; `retention_days` is how long sessions and check-ins are kept, None for as
    long as the person likes.
    """

    at: datetime
    measure: bool = True
    emotion: bool = False
    sound: bool = False
    retention_days: int | None = None
    text: str = CONSENT
    version: int = CONSENT_VERSION

    def __post_init__(self) -> None:
        """Refuse a retention that is no number of days."""
        days = self.retention_days
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise JournalError(f"expected a retention of 1 to {MAX_DAYS:,} days, got {days}")
        if not self.measure:
            raise JournalError("a journal needs consent to measure the voice, at least")


@dataclass(frozen=True)
class Conditions:
    """How a session was recorded, as far as the sound tells.

    `speech_s` are the seconds of its segments; `snr_db` is how far their level lies above that of
    the quietest tenth, at most 60 dB; `band_hz` is the frequency up to which the speech reaches.
    Both are None without speech.
    """

    seconds: float = 0.0
    speech_s: float = 0.0
    snr_db: float | None = None
    band_hz: float | None = None


@dataclass(frozen=True)
class Session:
    """A stretch of listening, or a recording: when it began, and how it was recorded.

    `source` is "microphone" or "recording"; `model` is the fingerprint of the model that inferred,
    None where nothing was inferred; `labels` are the model's, in the order of the scores; `digest`
    tells a recording from others; `is_whole` is False until its end was heard.
    """

    began: datetime
    source: str
    device: str = ""
    conditions: Conditions = field(default_factory=Conditions)
    model: str | None = None
    labels: tuple[str, ...] = ()
    version: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    digest: str | None = None
    is_whole: bool = False
    id: int = 0


@dataclass(frozen=True)
class Inferred:
    """What a segment sounded like, as a model guesses; `scores` in the order of its labels."""

    label: str
    score: float
    certain: bool
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Segment:
    """A segment of speech: `start` and `end` in seconds of the session, measured, and inferred."""

    start: float
    end: float
    prosody: Prosody
    inferred: Inferred | None = None

    @property
    def seconds(self) -> float:
        """Length of the segment."""
        return self.end - self.start


@dataclass(frozen=True)
class CheckIn:
    """What a person says of their own mood, in the words of HealthKit's state of mind.

    `kind` is "momentary" or "daily"; `valence` goes from -1, very unpleasant, to 1.
    """

    at: datetime
    kind: str
    valence: float
    labels: tuple[str, ...] = ()
    note: str = ""
    id: int = 0

    def __post_init__(self) -> None:
        """Refuse words and numbers that HealthKit does not have."""
        if self.kind not in KINDS:
            raise JournalError(f"expected a check-in {' or '.join(KINDS)}, got {self.kind!r}")
        if not -1 <= self.valence <= 1:
            raise JournalError(f"expected a valence of -1 to 1, got {self.valence:g}")
        if unknown := [label for label in self.labels if label not in FEELINGS]:
            raise JournalError(
                f"{unknown[0]!r} is not one of the words for a mood: {', '.join(FEELINGS)}"
            )


@dataclass(frozen=True)
class Practised:
    """A session of practice: its target, and how close the takes came to it.

    `is_inferred` says whether a model judged them as well; `best` holds how close the best take of
    each sentence came, from 0 to 1.
    """

    at: datetime
    target: str
    is_inferred: bool
    n_takes: int = 0
    n_untold: int = 0
    best: tuple[float, ...] = ()
    id: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that no session of practice has."""
        if min(self.n_takes, self.n_untold) < 0 or not all(0 <= one <= 1 for one in self.best):
            raise JournalError("expected counts of takes, and closeness of 0 to 1")


def checked_text(what: str, text: str) -> str:
    """Return a text that fits into a journal.

    Raises
    ------
    JournalError
        If it is too long, or no Unicode.
    """
    try:
        text.encode()
    except UnicodeError:
        raise JournalError(f"expected a {what} in UTF-8, got {text!a}") from None
    if len(text) > MAX_TEXT:
        raise JournalError(f"expected a {what} of at most {MAX_TEXT:,} characters")
    if "\0" in text:
        raise JournalError(f"expected a {what} without zero bytes")
    return text


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, each once, as a session has them."""
    return tuple(dict.fromkeys(checked_text("tag", tag.strip()) for tag in tags if tag.strip()))


def check_moment(moment: datetime) -> datetime:
    """Return a time that has an offset from UTC.

    Raises
    ------
    JournalError
        If it has none: which day it was could not be told later.
    """
    if moment.utcoffset() is None:
        raise JournalError(f"expected a time with its offset from UTC, got {moment.isoformat()}")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def speech_of(segments: Sequence[Segment]) -> float:
    """Return the seconds of speech in segments."""
    return sum(segment.seconds for segment in segments)
