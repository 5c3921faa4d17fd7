"""What every corpus yields: utterances, and the problems found on the way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Utterance:
    """One labelled recording of one speaker.

    `file` is an absolute path; `emotion` is of `emovox.emotions.EMOTIONS`; `speaker` and
    `sentence` are unique within the corpus ("" where the corpus does not tell); `corpus` is the
    corpus's name; `language` is an ISO 639-1 code or ""; `sex` is "female", "male" or "";
    `digest` is the sha256 of the file's bytes: equal digests are the same recording; `subset` is
    "train", "val" or "test" where a user's table says so, else "".
    """

    file: Path
    emotion: str
    speaker: str
    sentence: str
    corpus: str
    language: str
    sex: str
    digest: str
    subset: str = ""


@dataclass(frozen=True)
class Problem:
    """Something about a corpus its user should know: `kind` is a short code, `text` a sentence.

    Kinds: "copy" (a second copy was left out), "missing" (a file the corpus should hold is not
    there), "unmapped" (labels outside the vocabulary), "foreign" (audio files that do not belong),
    "identical" (two utterances are one recording; both are kept), "unreadable".
    """

    kind: str
    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A loaded corpus: its utterances in a stable order, and what was wrong with it."""

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Download:
    """One archive of a corpus as its publisher offers it; `sha256` and `md5` may be unknown ("").

    `size` is in bytes, 0 where unknown.
    """

    url: str
    file_name: str
    checksum: str  # "md5:…" or "sha256:…", "" where the publisher gives none
    size: int = 0


@dataclass(frozen=True)
class Parsed:
    """What a file's name tells: its label is the corpus's own, not yet mapped."""

    label: str
    speaker: str
    sentence: str
    sex: str = ""
    key: str = ""  # equal keys are the same utterance, whatever the folder


@dataclass(frozen=True)
class CorpusSpec:
    """The facts about a published corpus and how its file names are read."""

    name: str
    title: str
    language: str
    licence: str
    citation: str
    homepage: str
    labels: Mapping[str, str | None]  # the corpus's own label -> emotion; None: left out, counted
    parse: Callable[[Path], Parsed | None]  # a path below the root -> what it tells, None: foreign
    expected: Callable[[frozenset[str]], frozenset[str]] | None = None  # found keys -> all keys
    n_expected: int = 0  # utterances as published, 0 where not known
    downloads: tuple[Download, ...] = field(default=())
