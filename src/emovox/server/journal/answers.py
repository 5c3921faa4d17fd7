"""Schemas of what is asked of a journal, and of its answers."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ...journal.records import CONSENT_VERSION, FEELINGS, MAX_DAYS, MAX_TEXT
from ..answers import Prosody

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Days = Annotated[int, Field(ge=1, le=MAX_DAYS)]
_MAX_WORDS, _MAX_TAGS = len(FEELINGS), 50


class Asked(BaseModel):
    """What is asked of a journal, with exactly these keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Switches(Asked):
    """What the person agrees to; measuring the voice is always part of it."""

    emotion: bool = Field(description="infer which emotion the voice sounded like")
    sound: bool = Field(description="keep the sound of the speech")
    retention_days: Days | None = Field(None, description="null: as long as the person likes")
    version: int = Field(description="of the consent's text, as the person has read it")
    agreed: bool = Field(description="whether the person has read the text and agrees")


class NewJournal(Switches):
    """A person who begins a journal."""

    name: Text = Field(min_length=1)
    passphrase: Text | None = Field(None, description="seals every entry")


class Passphrase(Asked):
    """The passphrase of a journal."""

    passphrase: Text


class Annotation(Asked):
    """Note and tags of a session, which replace those before."""

    note: Text
    tags: list[Text] = Field(max_length=_MAX_TAGS)


class Feeling(Asked):
    """What the person says of their own mood, in the words of HealthKit's state of mind."""

    at: AwareDatetime | None = Field(None, description="with its offset from UTC; null: now")
    kind: Literal["momentary", "daily"]
    valence: float = Field(ge=-1, le=1)
    labels: list[str] = Field([], max_length=_MAX_WORDS)
    note: Text = ""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Person(_Answer):
    """A journal that the request may reach."""

    id: str
    name: str | None = Field(description="null where the journal has a passphrase")
    locked: bool
    problem: str = Field(description="why the journal cannot be read; empty if it can")


class Word(_Answer):
    """The text of the consent."""

    version: Literal[CONSENT_VERSION]  # type: ignore[valid-type]
    text: str


class State(_Answer):
    """Whether there are journals, and whose."""

    offered: bool = Field(description="whether this service keeps journals, for this token")
    on: bool
    why: str = Field(description="why there are none; empty if there are")
    people: list[Person]
    can_begin: bool
    consent: Word
    kinds: list[str]
    feelings: list[str]
    formats: list[str]


class Begun(_Answer):
    """A journal that was begun."""

    id: str
    key: str = Field(description="of a journal with a passphrase: for the header Emovox-Key")


class Unlocked(_Answer):
    """The key of a journal with a passphrase, for the header Emovox-Key."""

    key: str


class Consent(_Answer):
    """What the person agreed to."""

    at: str
    measure: bool
    emotion: bool
    sound: bool
    retention_days: int | None
    text: str
    version: int


class Session(_Answer):
    """A session, with what its segments come to."""

    id: int
    began: str
    source: str
    device: str
    seconds: float
    speech_s: float
    snr_db: float | None
    band_hz: float | None
    model: str | None
    version: str
    note: str
    tags: list[str]
    digest: str | None
    is_whole: bool
    segments: int
    sounded: dict[str, float] | None = Field(description="share of each label in the speech")
    uncertain: float | None
    measured: dict[str, float]


class Inferred(_Answer):
    """What a segment sounded like."""

    label: str
    score: float
    certain: bool
    scores: list[float] = Field(description="in the order of the session's labels")


class Segment(_Answer):
    """A segment of a session."""

    start: float
    end: float
    prosody: Prosody
    inferred: Inferred | None


class WholeSession(_Answer):
    """A session with its segments."""

    session: Session
    labels: list[str]
    segments: list[Segment]
    sounds: list[int] = Field(description="segments whose sound is kept, counted from 0")


class CheckIn(_Answer):
    """What the person said of their own mood."""

    id: int
    at: str
    kind: str
    valence: float
    labels: list[str]
    note: str


class Practised(_Answer):
    """A session of practice: its target, and how close the takes came to it."""

    id: int
    at: str
    target: str
    inferred: bool = Field(description="whether a model judged the takes as well")
    n_takes: int = Field(description="takes that counted")
    n_untold: int = Field(description="takes that could not be told")
    best: list[float] = Field(description="how close the best take of each sentence came, 0 to 1")


class Forgotten(_Answer):
    """That something was deleted; not what."""

    at: str
    entries: int


class Overview(_Answer):
    """All entries of a journal."""

    id: str
    name: str
    created: str
    locked: bool = Field(description="whether it has a passphrase")
    consent: Consent
    sessions: list[Session]
    check_ins: list[CheckIn]
    practised: list[Practised]
    due: int = Field(description="entries older than the retention")
    forgotten: list[Forgotten]


class AddedSession(_Answer):
    """The session of a recording."""

    session: Session
    is_new: bool
    resumed_s: float
    warning: str = Field(description="where the recording breaks off, if it does")


class Point(_Answer):
    """A week's value of one measure, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    is_change: bool


class Week(_Answer):
    """A week of sessions."""

    monday: str
    n_sessions: int
    n_too_little: int
    n_apart: int
    is_apart: bool
    apart: list[str]
    speech_s: float
    points: dict[str, Point]
    n_check_ins: int
    valence: float | None = Field(description="mean of the check-ins")
    marks: list[str] = Field(description="what keeps the week from being compared, in words")


class Usual(_Answer):
    """The person's first sessions."""

    sessions: list[int]
    values: dict[str, float]
    devices: list[str]
    models: list[str]
    snr_db: float | None
    band_hz: float | None


class Measure(_Answer):
    """A measure's title, its unit, and whether it is a share."""

    title: str
    unit: str
    is_share: bool


class Trend(_Answer):
    """Weeks against the person's own first sessions."""

    usual: Usual
    weeks: list[Week]
    measures: dict[str, Measure]
    told: list[str] = Field(description="the changes in words")


class Difference(_Answer):
    """A measure in two sessions."""

    before: float | None
    after: float | None
    margin: float | None
    beyond_chance: bool


class Comparison(_Answer):
    """Two sessions side by side."""

    before: int
    after: int
    apart: list[str]
    too_little: list[int]
    measures: dict[str, Difference]
    titles: dict[str, Measure]
    cautions: list[str]


class Done(_Answer):
    """How many entries were deleted."""

    sessions: int
    check_ins: int
    practised: int = Field(description="sessions of practice")
