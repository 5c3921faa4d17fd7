"""The values of a corpus: utterances, problems, and the facts about published corpora."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Utterance:
    """One labelled recording of one speaker.

    `file` is an absolute path; `emotion` is of `emovox.emotions.EMOTIONS`, or a label of the
    user's own; `speaker` and `sentence` are unique within the corpus ("" if unknown); `corpus` is
    the corpus's name; `language` is an ISO 639-1 code or ""; `sex` is "female", "male" or "";
    `digest` is the sha256 of the file's bytes, or of those of the first file with the same
    samples: equal digests are the same recording; `subset` is "train", "val" or "test" where a
    user's table says so, else ""; `age` is the speaker's, in years, None if unknown.
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
    age: int | None = None


@dataclass(frozen=True)
class Problem:
    """A peculiarity of a corpus that you should know: `kind` is a short code, `text` a sentence.

    Kinds: "copy" (a second copy was left out), "missing" (a file the corpus should hold is not
    there), "unmapped" (labels outside the vocabulary), "foreign" (audio files that do not belong),
    "identical" (two utterances are one recording; both are kept), "unreadable".
    """

    kind: str
    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A loaded corpus: its utterances in a stable order, and its problems.

    `root` is the folder of the recordings, or of the table that names them. `n_expected` is the
    number of utterances the corpus was published with, 0 if unknown.
    """

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    n_expected: int = 0


@dataclass(frozen=True)
class Download:
    """The zip archive of a corpus as its publisher offers it; `size` in bytes, 0 if unknown."""

    url: str
    checksum: str = ""  # "md5:…" or "sha256:…", "" where the publisher gives none
    size: int = 0


@dataclass(frozen=True)
class Parsed:
    """The parts of a file's name; the label is the corpus's own, not yet mapped."""

    label: str
    speaker: str
    sentence: str = ""
    sex: str = ""
    key: str = (
        ""  # equal keys are the same utterance, whatever the folder; "": only equal bytes are
    )


@dataclass(frozen=True)
class CorpusSpec:
    """The facts about a corpus and how its file names are read.

    `labels` holds the corpus's own labels in lower case; other labels are left out and counted.
    `parse` reads a path below the root, None if the file does not belong.
    `expected` gets the root and the keys found and gives the keys a complete corpus holds. `sexes`
    and `ages` give what is known of each speaker, from a file of the corpus below the root or from
    its publication. `by_hand` tells you how to get a corpus that cannot be downloaded.
    """

    name: str
    title: str
    language: str
    labels: Mapping[str, str]
    parse: Callable[[Path], Parsed | None]
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    n_expected: int = 0
    expected: Callable[[Path, frozenset[str]], frozenset[str]] | None = None
    sexes: Callable[[Path], Mapping[str, str]] | None = None
    ages: Callable[[Path], Mapping[str, int]] | None = None
    download: Download | None = None
    by_hand: str = ""
