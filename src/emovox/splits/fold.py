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
Key = Callable[[Utterance], Hashable]  # equal keys must stay on one side


@dataclass(frozen=True)
class Fold:
    """One division of the clips into three parts, each sorted by corpus and file.

    `protocol` is of `PROTOCOLS`; `validation` describes the validation part in words; `test` is
    empty only for protocol "all".
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
    for part in PARTS:
        if bool(getattr(fold, part)) == (part == "test" and fold.protocol == "all"):
            fault = "may have no test part" if fold.protocol == "all" else f"has no {part} part"
            raise SplitError(f"{where} {fault}")
    sides = {part: getattr(fold, part) for part in PARTS}
    _check_apart(where, "file", sides, lambda clip: clip.file)
    _check_apart(where, "recording", sides, lambda clip: clip.digest or clip.file)
    trained = {"train or val": fold.train + fold.val, "test": fold.test}
    if fold.protocol == "sentence":
        _check_apart(where, "sentence", sides, sentence_of)
    elif fold.protocol == "speaker":
        _check_apart(where, "speaker", trained, speaker_of)
    elif fold.protocol == "corpus":
        _check_apart(where, "corpus", trained, corpus_of)
    if fold.validation == OTHER_SPEAKERS:
        _check_apart(where, "speaker", {"train": fold.train, "val": fold.val}, speaker_of)


def place(clip: Utterance) -> tuple[str, str]:
    """Return the sort key of a clip: corpus and file."""
    return clip.corpus, clip.file.as_posix()


def speaker_of(clip: Utterance) -> tuple[str, str]:
    """Return corpus and speaker; equal names in two corpora are different people."""
    return clip.corpus, clip.speaker


def sentence_of(clip: Utterance) -> tuple[str, str]:
    """Return corpus and sentence; sentences are compared within a corpus."""
    return clip.corpus, clip.sentence


def corpus_of(clip: Utterance) -> str:
    """Return a clip's corpus."""
    return clip.corpus


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
            low, high = sorted((root(index), root(first.setdefault(mark, index))))
            parent[high] = low
    blocks = defaultdict(list)
    for index, clip in enumerate(clips):
        blocks[root(index)].append(clip)
    return [tuple(block) for block in blocks.values()]


def _check_apart(
    where: str, thing: str, sides: Mapping[str, Sequence[Utterance]], key: Key
) -> None:
    seen: dict[Hashable, tuple[str, Utterance]] = {}
    for side, clips in sides.items():
        for clip in clips:
            first_side, first = seen.setdefault(key(clip), (side, clip))
            if first_side != side:
                raise SplitError(
                    f"{where} has the same {thing} in {first_side} and in {side}: "
                    f"{first.file} and {clip.file}"
                )
