"""Groups of speakers or corpora, each left out and tested in turn."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from ..corpora.utterance import Utterance
from ..errors import SplitError
from .fold import Block, corpus_of, join, speaker_of

Groups = dict[str, frozenset[Hashable]]  # name -> the keys of its clips


def _named(groups: Iterable[tuple[str, frozenset[Hashable]]]) -> Groups:
    """Give each group a name that can also be a folder's."""
    named: Groups = {}
    for name, keys in groups:
        safe = re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "group"
        while safe in named:
            safe += "_"
        named[safe] = keys
    return named


def corpus_groups(clips: Sequence[Utterance]) -> Groups:
    """Make a group of each corpus; corpora that share recordings are one."""
    blocks = join(clips, corpus_of)
    groups = [sorted({corpus_of(clip) for clip in block}) for block in blocks]
    if len(groups) < 2:
        names = " and ".join(groups[0]) + ", which share recordings" * (len(groups[0]) > 1)
        raise SplitError(f"protocol corpus needs at least two corpora, got only {names}")
    return _named(("+".join(group), frozenset(group)) for group in groups)


def speaker_groups(
    clips: Sequence[Utterance],
    rng: np.random.Generator,
    groups: Mapping[str, Sequence[str]] | None,
    n_groups: int | None,
) -> Groups:
    """Make a group of each speaker, or `n_groups` groups of several, or the given ones.

    Speakers who share recordings stay together.
    """
    if groups is not None:
        return _given_groups(clips, groups)
    blocks = join(clips, speaker_of)
    speakers = [sorted({speaker_of(clip) for clip in block}) for block in blocks]
    if len(blocks) < 2:
        names = ", ".join(_label(speaker, many=False) for speaker in speakers[0])
        raise SplitError(f"protocol speaker needs at least two speakers, got only {names}")
    if n_groups is not None:
        return _balanced_groups(blocks, n_groups, rng)
    many = len({clip.corpus for clip in clips}) > 1
    return _named(
        ("+".join(_label(speaker, many=many) for speaker in together), frozenset(together))
        for together in speakers
    )


def _label(speaker: tuple[str, str], *, many: bool) -> str:
    return "-".join(speaker) if many else speaker[1]


def _balanced_groups(blocks: Sequence[Block], n_groups: int, rng: np.random.Generator) -> Groups:
    """Deal speakers out, those with the most clips first, to the groups with the fewest.

    Among the groups about as small as the smallest, the one with the fewest of the speaker's sex
    gets them.
    """
    if not 2 <= n_groups <= len(blocks):
        raise SplitError(f"expected 2 to {len(blocks)} groups of speakers, got {n_groups}")
    groups: list[list[Block]] = [[] for _ in range(n_groups)]
    turn = rng.permutation(len(blocks))
    order = sorted(range(len(blocks)), key=lambda i: (-len(blocks[i]), blocks[i][0].sex, turn[i]))
    for block in (blocks[index] for index in order):
        sizes = [sum(map(len, group)) for group in groups]
        alike = [sum(other[0].sex == block[0].sex for other in group) for group in groups]
        limit = min(sizes) + len(block) / 2
        short = [index for index in range(n_groups) if sizes[index] <= limit]
        groups[min(short, key=lambda i: (alike[i], sizes[i]))].append(block)
    return {
        f"group-{number}": frozenset(speaker_of(clip) for block in group for clip in block)
        for number, group in enumerate(groups, start=1)
    }


def _given_groups(clips: Sequence[Utterance], groups: Mapping[str, Sequence[str]]) -> Groups:
    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for speaker in {speaker_of(clip) for clip in clips}:
        known[speaker[1]].add(speaker)
        known[":".join(speaker)].add(speaker)
    group_of: dict[tuple[str, str], str] = {}
    for group, words in groups.items():
        for word in words:
            speaker = _find_speaker(known, group, word)
            if speaker in group_of:
                raise SplitError(
                    f"speaker {word} is listed twice: in group {group_of[speaker]} and in group "
                    f"{group}"
                )
            group_of[speaker] = group
    for group in groups:
        if group not in group_of.values():
            raise SplitError(f"group {group} has no speaker")
    if not groups:
        raise SplitError("expected at least one group of speakers, got none")
    return _named(
        (group, frozenset(speaker for speaker, own in group_of.items() if own == group))
        for group in groups
    )


def _find_speaker(
    known: Mapping[str, set[tuple[str, str]]], group: str, word: str
) -> tuple[str, str]:
    speakers = known.get(word, set())
    if not speakers:
        names = sorted(name for name in known if ":" in name)
        raise SplitError(
            f'unknown speaker "{word}" in group {group}; expected one of {", ".join(names[:30])}'
        )
    if len(speakers) > 1:
        names = [":".join(speaker) for speaker in sorted(speakers)]
        raise SplitError(
            f'speaker "{word}" of group {group} is ambiguous; use one of {", ".join(names)}'
        )
    return next(iter(speakers))
