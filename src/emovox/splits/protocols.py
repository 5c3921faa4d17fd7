"""The protocols: how clips are divided into training, validation and test."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..corpora.utterance import Utterance
from ..errors import SplitError
from .fold import (
    OTHER_SPEAKERS,
    OWN_TABLE,
    PARTS,
    PROTOCOLS,
    SAME_SPEAKERS,
    Block,
    Fold,
    Key,
    check_fold,
    corpus_of,
    join,
    place,
    sentence_of,
    speaker_of,
)
from .groups import Groups, corpus_groups, speaker_groups

MIN_CLIPS = 10  # for a split into tenths
MIN_SPEAKERS = 4  # training speakers, from which on some of them can be spared for validation
MIN_SENTENCES = 5  # the same for sentences


def make_folds(
    utterances: Iterable[Utterance],
    protocol: str,
    *,
    seed: int = 0,
    groups: Mapping[str, Sequence[str]] | None = None,
    n_groups: int | None = None,
) -> list[Fold]:
    """Divide utterances into training, validation and test parts.

    Parameters
    ----------
    utterances : iterable of Utterance
        Their order does not matter.
    protocol : str
        - "random": 80/10/10 % of the clips, stratified by emotion and speaker;
        - "sentence": no sentence on two sides, about 80/10/10 % of the clips;
        - "speaker": each speaker is tested once, by a model that never heard them;
        - "corpus": each corpus is tested once, by a model that never heard it;
        - "table": as the utterances' `subset` says;
        - "all": nothing is tested, 90/10 % train and val, to make a model for use.
    seed : int >= 0
        The same seed gives the same folds.
    groups : mapping of group name to speakers, optional
        For "speaker": test these groups in turn. A speaker is "NAME" or "CORPUS:NAME". Speakers
        in no group are never tested.
    n_groups : int >= 2, optional
        For "speaker": test this many groups of speakers in turn, about equal in clips, sexes mixed.

    Returns
    -------
    folds : list of Fold
        One for "random", "sentence", "table" and "all"; else one for each group. For "speaker"
        and "corpus" the validation part is about a tenth of the clips, of speakers of its own if
        at least four are there to train on.

    Raises
    ------
    SplitError
        If the utterances do not allow the protocol.
    """
    clips = tuple(sorted(utterances, key=place))
    _check_request(clips, protocol, seed, groups, n_groups)
    rng = np.random.default_rng(seed)
    if protocol == "speaker":
        named = speaker_groups(clips, rng, groups, n_groups)
        folds = _leave_out(clips, protocol, speaker_of, named, seed)
    elif protocol == "corpus":
        folds = _leave_out(clips, protocol, corpus_of, corpus_groups(clips), seed)
    else:
        make = {"random": _random, "sentence": _sentence, "table": _table, "all": _all}[protocol]
        folds = [make(clips, rng)]
    for fold in folds:
        check_fold(fold)
    return folds


def _check_request(
    clips: Sequence[Utterance],
    protocol: str,
    seed: int,
    groups: Mapping[str, Sequence[str]] | None,
    n_groups: int | None,
) -> None:
    if protocol not in PROTOCOLS:
        raise SplitError(f'unknown protocol "{protocol}"; expected one of {", ".join(PROTOCOLS)}')
    if seed < 0:
        raise SplitError(f"expected a seed of 0 or more, got {seed}")
    if (groups is not None or n_groups is not None) and protocol != "speaker":
        raise SplitError(f"groups of speakers belong to protocol speaker, not to {protocol}")
    if groups is not None and n_groups is not None:
        raise SplitError("expected either groups of speakers or their number, got both")
    emotions = sorted({clip.emotion for clip in clips})
    if len(emotions) < 2:
        got = ", ".join(emotions) or "no clips"
        raise SplitError(f"expected clips of at least two emotions, got {got}")
    n_recordings = len({clip.digest or clip.file for clip in clips})
    if protocol in ("random", "all") and n_recordings < MIN_CLIPS:
        raise SplitError(
            f"too few clips: {protocol} needs at least {MIN_CLIPS} recordings, got {n_recordings}"
        )
    needed = "subset" if protocol == "table" else protocol
    without = [clip for clip in clips if not getattr(clip, needed, True)]
    if without:
        thing = "split (train, val or test)" if protocol == "table" else protocol
        raise SplitError(
            f"protocol {protocol} needs a {thing} for each clip; {len(without):,} of "
            f"{len(clips):,} have none, for example {without[0].file}"
        )


def _by_strata(clips: Sequence[Utterance], rng: np.random.Generator) -> list[Block]:
    """Order single clips at random, but all of an emotion, and in it of a speaker, in a row.

    Every tenth of such a list is a stratified sample: no stratum is off its share by a whole clip.
    """
    blocks = join(clips, place)
    emotions = _shuffled_ranks({(block[0].emotion,) for block in blocks}, rng)
    speakers = _shuffled_ranks({speaker_of(block[0]) for block in blocks}, rng)
    turn = rng.permutation(len(blocks))

    def rank(index: int) -> tuple[int, int, int]:
        first = blocks[index][0]
        return emotions[(first.emotion,)], speakers[speaker_of(first)], int(turn[index])

    return [blocks[index] for index in sorted(range(len(blocks)), key=rank)]


def _shuffled_ranks(
    things: set[tuple[str, ...]], rng: np.random.Generator
) -> dict[tuple[str, ...], int]:
    return dict(zip(sorted(things), rng.permutation(len(things)).tolist(), strict=True))


def _take(
    blocks: Sequence[Block], n_clips: float, rng: np.random.Generator
) -> tuple[list[Block], list[Block]]:
    """Choose at least one block, about `n_clips` clips in all; return them and the rest."""
    chosen: set[int] = set()
    size = 0
    for index in rng.permutation(len(blocks)).tolist():
        larger = size + len(blocks[index])
        if abs(larger - n_clips) < abs(size - n_clips):
            chosen.add(index)
            size = larger
    if not chosen:
        chosen = {min(range(len(blocks)), key=lambda index: len(blocks[index]))}
    rest = [block for index, block in enumerate(blocks) if index not in chosen]
    return [blocks[index] for index in sorted(chosen)], rest


def _clips(blocks: Iterable[Block]) -> tuple[Utterance, ...]:
    return tuple(sorted((clip for block in blocks for clip in block), key=place))


def _random(clips: Sequence[Utterance], rng: np.random.Generator) -> Fold:
    order = _by_strata(clips, rng)
    # Half a period apart, so that the training share of a stratum is exact to a clip as well.
    val, test = order[2::10], order[7::10]
    train = [block for index, block in enumerate(order) if index % 10 not in (2, 7)]
    return Fold("random", "random", _clips(train), _clips(val), _clips(test), SAME_SPEAKERS)


def _sentence(clips: Sequence[Utterance], rng: np.random.Generator) -> Fold:
    blocks = join(clips, sentence_of)
    if len(blocks) < 3:
        raise SplitError(f"protocol sentence needs at least 3 sentences, got {len(blocks)}")
    test, rest = _take(blocks, len(clips) / 10, rng)
    val, train = _take(rest, len(clips) / 10, rng)
    return Fold("sentence", "sentence", _clips(train), _clips(val), _clips(test), SAME_SPEAKERS)


def _all(clips: Sequence[Utterance], rng: np.random.Generator) -> Fold:
    train, val = _tenth_of_clips(clips, rng)
    return Fold("all", "all", train, val, (), SAME_SPEAKERS)


def _table(clips: Sequence[Utterance], rng: np.random.Generator) -> Fold:
    train, val, test = (tuple(clip for clip in clips if clip.subset == part) for part in PARTS)
    if val or not train:
        return Fold("table", "table", train, val, test, OWN_TABLE)
    train, val, words = _hold_out(train, rng)
    return Fold("table", "table", train, val, test, words)


def _tenth_of_clips(
    clips: Sequence[Utterance], rng: np.random.Generator
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    order = _by_strata(clips, rng)
    start = min(5, len(order) - 1)
    train = [block for index, block in enumerate(order) if (index - start) % 10]
    return _clips(train), _clips(order[start::10])


def _hold_out(
    clips: Sequence[Utterance], rng: np.random.Generator
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...], str]:
    """Divide training clips into train and val: by speakers, else by sentences, else by clips."""
    by_speaker = join(clips, speaker_of)
    if all(clip.speaker for clip in clips) and len(by_speaker) >= MIN_SPEAKERS:
        val, train = _take(by_speaker, len(clips) / 10, rng)
        return _clips(train), _clips(val), OTHER_SPEAKERS
    by_sentence = join(clips, sentence_of)
    if all(clip.sentence for clip in clips) and len(by_sentence) >= MIN_SENTENCES:
        val, train = _take(by_sentence, len(clips) / 10, rng)
        return _clips(train), _clips(val), SAME_SPEAKERS
    return *_tenth_of_clips(clips, rng), SAME_SPEAKERS


def _leave_out(
    clips: Sequence[Utterance],
    protocol: str,
    key: Key,
    groups: Groups,
    seed: int,
) -> list[Fold]:
    """Test each group of keys once; each fold draws its validation part with its own seed."""
    folds = []
    for index, (name, keys) in enumerate(groups.items()):
        test = tuple(clip for clip in clips if key(clip) in keys)
        rest = tuple(clip for clip in clips if key(clip) not in keys)
        if not rest:
            raise SplitError(f"group {name} holds every {protocol}; nothing is left to train on")
        train, val, words = _hold_out(rest, np.random.default_rng([seed, index]))
        folds.append(Fold(name, protocol, train, val, test, words))
    return folds
