"""What people change in their voice for an emotion: learned speaker by speaker."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from ..prosody import Prosody
from .aims import Change
from .changes import DIMENSIONS, changes

_LEAST_SPEAKERS = 3  # below that there is no spread to speak of
Differences = Mapping[str, float | None]


@dataclass(frozen=True)
class Spoken:
    """A sentence that a speaker said with an emotion; `left_out` are dimensions that tell nothing.

    Such as loudness, where a corpus brought all recordings to one level.
    """

    speaker: str
    sentence: str
    emotion: str
    prosody: Prosody
    left_out: frozenset[str] = frozenset()


def learn(spoken: Sequence[Spoken]) -> dict[str, dict[str, Change]]:
    """Return what people change, by emotion and dimension.

    Each emotional recording is compared with the same speaker's neutral ones of the same sentence.
    A speaker's change is the median of theirs; the change of all is the median over speakers.
    """
    by_emotion: dict[str, dict[str, list[Differences]]] = defaultdict(lambda: defaultdict(list))
    for speaker, emotion, differences in paired(spoken):
        by_emotion[emotion][speaker].append(differences)
    return {
        emotion: {
            name: change
            for name in DIMENSIONS
            if (change := _change(by_speaker.values(), name)) is not None
        }
        for emotion, by_speaker in sorted(by_emotion.items())
    }


def paired(spoken: Iterable[Spoken]) -> Iterable[tuple[str, str, Differences]]:
    """Yield speaker, emotion and changes of each pair of an emotional and a neutral recording."""
    said: dict[tuple[str, str], list[Spoken]] = defaultdict(list)
    for one in spoken:
        said[one.speaker, one.sentence].append(one)
    for (speaker, _), all_of_it in sorted(said.items()):
        neutral = [one for one in all_of_it if one.emotion == "neutral"]
        for one in all_of_it:
            for usual in neutral if one.emotion != "neutral" else []:
                differences = changes(one.prosody, usual.prosody)
                told = {name: differences[name] for name in differences.keys() - one.left_out}
                yield speaker, one.emotion, told


def _change(speakers: Iterable[Sequence[Differences]], name: str) -> Change | None:
    """Sum up a dimension over speakers; None where too few tell of it."""
    found = [[value for one in pairs if (value := one.get(name)) is not None] for pairs in speakers]
    found = [values for values in found if values]
    if len(found) < _LEAST_SPEAKERS:
        return None
    medians = [median(values) for values in found]
    by = median(medians)
    within = [fmean((value - by) ** 2 for value in values) for values in found]
    return Change(
        by=round(by, 2),
        spread=round(stdev(medians), 2),
        take_spread=round(fmean(within) ** 0.5, 2),
        agree=round(fmean(value * by > 0 for value in medians), 3),
        n_speakers=len(medians),
    )
