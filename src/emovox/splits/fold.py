"""A fold: three parts of the clips, and the check that it keeps its protocol's promise."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..corpora.utterance import Utterance
from ..errors import SplitError

PROTOCOLS = ("random", "sentence", "speaker", "corpus", "table", "all")
PARTS = ("train", "val", "test")
OTHER_SPEAKERS = "other speakers"
SAME_SPEAKERS = "clips of the training speakers"
OWN_TABLE = "as the table says"

Block = tuple[Utterance, ...]  # clips that must stay together
Key = Callable[[Utterance], Hashable]  # what must not stand on two sides


@dataclass(frozen=True)
class Fold:
    """One division of the clips into three parts, each sorted by corpus and file.

    `protocol` is of `PROTOCOLS`; `validation` says in words what the validation part is; `test`
    is empty for protocol "all" alone.
    """

    name: str
    protocol: str
    train: tuple[Utterance, ...]
    val: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    validation: str


def check_fold(fold: Fold) -> None:
    """Refuse a fold that breaks its protocol's promise.

    Raises
    ------
    SplitError
        If a part is empty (or "all" has a test part), a recording stands on two sides, or so does
        a sentence ("sentence"), or a tested speaker ("speaker") or corpus ("corpus") is trained on.
    """
    where = f"{fold.protocol} split {fold.name}"
    if fold.protocol not in PROTOCOLS:
        raise unknown_protocol(fold.protocol)
    for part in PARTS:
        if bool(getattr(fold, part)) == (part == "test" and fold.protocol == "all"):
            what = "may have no test part" if fold.protocol == "all" else f"has no {part} part"
            raise SplitError(f"{where} {what}")
    sides = {part: getattr(fold, part) for part in PARTS}
    _check_apart(where, "file", sides, lambda one: one.file)
    _check_apart(where, "recording", sides, lambda one: one.digest or one.file)
    learning = {"train or val": fold.train + fold.val, "test": fold.test}
    if fold.protocol == "sentence":
        _check_apart(where, "sentence", sides, sentence_of)
    elif fold.protocol == "speaker":
        _check_apart(where, "speaker", learning, speaker_of)
    elif fold.protocol == "corpus":
        _check_apart(where, "corpus", learning, corpus_of)
    if fold.validation == OTHER_SPEAKERS:
        _check_apart(where, "speaker", {"train": fold.train, "val": fold.val}, speaker_of)


def place(one: Utterance) -> tuple[str, str]:
    """Say where a clip stands in any list."""
    return one.corpus, one.file.as_posix()


def speaker_of(one: Utterance) -> tuple[str, str]:
    """Name a speaker; two corpora's speakers are never the same person."""
    return one.corpus, one.speaker


def sentence_of(one: Utterance) -> tuple[str, str]:
    """Name a sentence; sentences are compared within a corpus."""
    return one.corpus, one.sentence


def corpus_of(one: Utterance) -> str:
    """Name a clip's corpus."""
    return one.corpus


def join(clips: Sequence[Utterance], key: Key) -> list[Block]:
    """Join clips with an equal key or an equal digest, also over several steps (union-find)."""
    parent = list(range(len(clips)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[Hashable, int] = {}
    for index, clip in enumerate(clips):
        marks = [("key", key(clip))] + ([("digest", clip.digest)] if clip.digest else [])
        for mark in marks:
            ours, theirs = root(index), root(first.setdefault(mark, index))
            parent[max(ours, theirs)] = min(ours, theirs)
    blocks = defaultdict(list)
    for index, clip in enumerate(clips):
        blocks[root(index)].append(clip)
    return [tuple(block) for block in blocks.values()]


def _check_apart(where: str, what: str, sides: Mapping[str, Sequence[Utterance]], key: Key) -> None:
    seen: dict[Hashable, tuple[str, Utterance]] = {}
    for side, clips in sides.items():
        for clip in clips:
            first_side, first = seen.setdefault(key(clip), (side, clip))
            if first_side != side:
                raise SplitError(
                    f"{where} has the same {what} in {first_side} and in {side}: "
                    f"{first.file} and {clip.file}"
                )


def unknown_protocol(protocol: str) -> SplitError:
    """Make the error that lists the protocols there are."""
    return SplitError(f'unknown protocol "{protocol}"; expected one of {", ".join(PROTOCOLS)}')
