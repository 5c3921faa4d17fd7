"""Which recordings of a corpus are tested: a few, of all emotions and speakers alike."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from ..corpora import Utterance


def selected(
    utterances: Sequence[Utterance], limit: int | None, seed: int = 0
) -> tuple[Utterance, ...]:
    """Choose recordings, so that each emotion, and within it each speaker, has its share.

    Parameters
    ----------
    utterances : sequence of Utterance
        Of one corpus.
    limit : int or None
        How many to choose; None for all.
    seed : int
        The same seed chooses the same ones, and a larger limit adds to them.
    """
    if limit is None or limit >= len(utterances):
        return tuple(utterances)
    waiting: dict[str, list[Utterance]] = defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(utterances)):
        waiting[utterances[index].emotion].append(utterances[index])
    emotions, speakers = Counter[str](), Counter[str]()  # how often each was chosen
    chosen: list[Utterance] = []
    while len(chosen) < limit:
        emotion = min((one for one in sorted(waiting) if waiting[one]), key=emotions.__getitem__)
        rarest = min(waiting[emotion], key=lambda one: speakers[one.speaker])
        waiting[emotion].remove(rarest)
        emotions[emotion] += 1
        speakers[rarest.speaker] += 1
        chosen.append(rarest)
    return tuple(sorted(chosen, key=lambda one: one.file))
