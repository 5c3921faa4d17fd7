"""Whether practice's hints point the right way, and which measure of closeness tells takes apart.

Run with ``python benchmarks/practice.py --cache FOLDER`` (half an hour the first time: it measures
some 6,000 recordings of six corpora). Writes benchmarks/results/practice.json and, with
``--table``, src/emovox/practice/changes.json: what people change for an emotion, learned from TESS
and RAVDESS. Here no speaker is judged by a table that was made with them. The corpora are looked
for in EMOVOX_DATA.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pstdev
from types import MappingProxyType
from typing import Any

import numpy as np

from emovox.practice.aims import Aim, Change, emotion_aim
from emovox.practice.changes import DIMENSIONS, changes
from emovox.practice.hints import blended, closeness, hint
from emovox.practice.learn import Spoken, learn
from emovox.practice.session import typical
from machine import REPOSITORY, write_result
from practice_takes import Measured, measured

LEARNED_FROM = ("tess", "ravdess")
CORPORA = ("tess", "ravdess", "emodb", "nemo", "turev", "ased")
# Loudness tells nothing there: EmoDB's recordings all peak at full scale; nEMO's are about as loud
# in every emotion, shouts included, as recordings are that were brought to one level.
LEVELLED = ("emodb", "nemo")
OTHER_SENTENCES = ("ased",)  # each emotion has its own
TABLE = REPOSITORY / "src" / "emovox" / "practice" / "changes.json"
SOURCE = (
    "TESS (Pichora-Fuller and Dupuis 2010, doi:10.5683/SP2/E8H2MF) and RAVDESS, normal intensity "
    "(Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391); made by benchmarks/practice.py"
)
Table = Mapping[str, Mapping[str, Change]]


@dataclass(frozen=True)
class Judged:
    """A take towards an aim: how close, by what was measured and by the model's score."""

    emotion: str  # that the speaker meant
    measured: float
    score: float

    @property
    def mean(self) -> float:
        """Return what practice says with emotion recognition on."""
        return blended(self.measured, self.score)


def spoken(take: Measured) -> Spoken:
    """Return a recording as the table is learned from it."""
    return Spoken(name(take), take.sentence, take.emotion, take.prosody)


def name(take: Measured) -> str:
    """Return a speaker's name, of all corpora."""
    return f"{take.corpus} {take.speaker}"


def is_normal(take: Measured) -> bool:
    """Whether a recording is of normal intensity; RAVDESS has strong ones as well."""
    return take.corpus != "ravdess" or take.file.split("-")[3] == "01"


def tables(takes: Sequence[Measured], speakers: Iterable[str]) -> dict[str, Table]:
    """Return for each speaker the table that was made without them; the whole one under ""."""
    said = [spoken(take) for take in takes if is_normal(take)]
    known = {one.speaker for one in said}
    whole = learn(said)
    return {"": whole} | {
        speaker: learn([one for one in said if one.speaker != speaker])
        if speaker in known
        else whole
        for speaker in speakers
    }


def without(aim: Aim, left_out: Iterable[str]) -> Aim:
    """Return an aim without some dimensions."""
    kept = {key: one for key, one in aim.wanted.items() if key not in set(left_out)}
    return Aim(aim.name, MappingProxyType(kept), aim.emotion)


def by_speaker(takes: Iterable[Measured]) -> dict[str, list[Measured]]:
    """Group recordings by speaker; without neutral ones there is nothing to compare with."""
    groups: dict[str, list[Measured]] = defaultdict(list)
    for take in takes:
        groups[name(take)].append(take)
    return {who: own for who, own in groups.items() if any(take.usual for take in own)}


def hints(takes: Sequence[Measured], of: Mapping[str, Table], left_out: Sequence[str]) -> Any:
    """Yield for each pair the hint's dimension, None without one, and what was really changed.

    The hint is for the neutral take, as an attempt at the emotion of the other.
    """
    for speaker, own in by_speaker(takes).items():
        usual = typical([take.prosody for take in own if take.usual])
        for neutral, other in pairs(own):
            if other.emotion not in of[speaker]:
                continue
            aim = without(emotion_aim(other.emotion, of[speaker]), left_out)
            given = hint(changes(neutral.prosody, usual), aim)
            if given is None:
                yield other, None, 0.0
                continue
            made = changes(other.prosody, neutral.prosody)[given.dimension]
            yield other, given.dimension, None if made is None else made * np.sign(given.by)


def pairs(own: Sequence[Measured]) -> Iterator[tuple[Measured, Measured]]:
    """Yield each neutral take of a speaker with each emotional one of the same sentence."""
    for neutral in own:
        if neutral.emotion != "neutral" or neutral.usual:
            continue
        for other in own:
            is_same = other.sentence == neutral.sentence or other.corpus in OTHER_SENTENCES
            if other.emotion != "neutral" and is_same:
                yield neutral, other


def hint_figures(found: Sequence[Any]) -> dict[str, Any]:
    """Return how many hints there were, and in how many the emotional take made the change."""
    told = [(one, made) for _, one, made in found if one is not None and made is not None]
    return {
        "pairs": len(found),
        "hints": len(told),
        "right": round(fmean(made > 0 for _, made in told), 4) if told else None,
        "noticed": round(fmean(made >= DIMENSIONS[one].step for one, made in told), 4)
        if told
        else None,
        "dimensions": {key: sum(one == key for one, _ in told) for key in DIMENSIONS if told},
    }


def judged(
    takes: Sequence[Measured], emotion: str, of: Mapping[str, Table], left_out: Sequence[str]
) -> list[Judged]:
    """Judge all takes of the target and all neutral ones as attempts at it."""
    found = []
    for speaker, own in by_speaker(takes).items():
        usual = typical([take.prosody for take in own if take.usual])
        aim = without(emotion_aim(emotion, of[speaker]), left_out)
        for take in own:
            if not take.usual:
                close = closeness(changes(take.prosody, usual), aim) or 0.0  # None: no pitch
                found.append(Judged(take.emotion, close, take.scores.get(emotion, 0.0)))
    return found


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return how often a positive lies above a negative, ties by half."""
    above = np.subtract.outer(np.asarray(positive), np.asarray(negative))
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def separation(found: Sequence[Judged], emotion: str) -> dict[str, dict[str, float]]:
    """Return how well each measure tells takes of the target from others."""
    ways = {
        "prosody": lambda one: one.measured,
        "score": lambda one: one.score,
        "mean": lambda one: one.mean,
    }
    others = {
        "neutral": [one for one in found if one.emotion == "neutral"],
        "other": [one for one in found if one.emotion not in ("neutral", emotion)],
    }
    right = [one for one in found if one.emotion == emotion]
    return {
        f"{way} against {against}": auc([value(one) for one in right], [value(one) for one in rest])
        for way, value in ways.items()
        for against, rest in others.items()
        if right and rest
    }


def of_corpus(corpus: str, takes: Sequence[Measured], of: Mapping[str, Table]) -> dict[str, Any]:
    """Return the figures of one corpus."""
    level_sd_db = fmean(map(level_sd, by_speaker(takes).values()))
    left_out = ("loudness",) if corpus in LEVELLED else ()
    found = list(hints(takes, of, left_out))
    emotions = sorted({take.emotion for take in takes} & {*of[""]})
    by_emotion = {
        emotion: hint_figures([one for one in found if one[0].emotion == emotion])
        for emotion in emotions
    }
    tells = {
        emotion: separation(judged(takes, emotion, of, left_out), emotion)
        for emotion in emotions
        if without(emotion_aim(emotion, of[""]), left_out).wanted
    }
    told = {key: one for key, one in tells.items() if key in takes[0].scores}
    means = {
        way: round(fmean(one[way] for one in told.values()), 4) for way in next(iter(told.values()))
    }
    return {
        "speakers": len(by_speaker(takes)),
        "takes": sum(not take.usual for take in takes),
        "level_sd_db": round(level_sd_db, 2),
        "left_out": left_out,
        "hints": hint_figures(found) | {"emotions": by_emotion},
        "auc": means | {"emotions": {key: rounded(one) for key, one in tells.items()}},
    }


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Return figures with four digits."""
    return {key: round(figure, 4) for key, figure in figures.items()}


def level_sd(own: Sequence[Measured]) -> float:
    """Return how much a speaker's level varies, in dB."""
    return pstdev(take.prosody.level_db for take in own)


def shown(table: Table) -> dict[str, dict[str, dict[str, float]]]:
    """Return a table as JSON carries it."""
    return {
        emotion: {key: asdict(change) for key, change in by_name.items()}
        for emotion, by_name in table.items()
    }


def write_table(table: Table) -> None:
    """Write the table that comes with emovox."""
    TABLE.write_text(json.dumps({"source": SOURCE, "emotions": shown(table)}, indent=1) + "\n")
    print(f"wrote {TABLE.relative_to(REPOSITORY)}")


def main() -> None:
    """Measure, learn, judge, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for what is measured")
    parser.add_argument("--table", action="store_true", help="write the shipped table, too")
    options = parser.parse_args()
    takes = {corpus: measured(corpus, options.cache) for corpus in CORPORA}
    learned_from = [take for corpus in LEARNED_FROM for take in takes[corpus]]
    everybody = {name(take) for own in takes.values() for take in own}
    of = tables(learned_from, everybody)
    if options.table:
        write_table(of[""])
    corpora = {corpus: of_corpus(corpus, own, of) for corpus, own in takes.items()}
    for corpus, figures in corpora.items():
        told, auc = figures["hints"], figures["auc"]
        print(corpus, told["right"], told["hints"], {k: v for k, v in auc.items() if " " in k})
    result = {
        "changes": shown(of[""]),
        "wanted": {emotion: list(emotion_aim(emotion, of[""]).wanted) for emotion in of[""]},
        "corpora": corpora,
    }
    write_result("practice", result)


if __name__ == "__main__":
    main()
