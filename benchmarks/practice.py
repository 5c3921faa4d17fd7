"""Whether practice hints point the right way, and which measure of closeness tells takes apart.

Run with ``python benchmarks/practice.py --cache FOLDER`` (half an hour the first time: it measures
some 7,000 recordings of six corpora). Writes benchmarks/results/practice.json and, with
``--table``, src/emovox/practice/changes.json, the table of what people change for an emotion,
which is learned from TESS and from RAVDESS. The corpora are looked for in EMOVOX_DATA.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict

from emovox.practice.learn import Spoken, learn
from machine import REPOSITORY
from practice_takes import Measured

LEARNED_FROM = ("tess", "ravdess")
TABLE = REPOSITORY / "src" / "emovox" / "practice" / "changes.json"
SOURCE = (
    "TESS (Pichora-Fuller and Dupuis 2010, doi:10.5683/SP2/E8H2MF) and RAVDESS, normal intensity "
    "(Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391); made by benchmarks/practice.py"
)


def spoken(take: Measured) -> Spoken:
    """Return a recording as the table is learned from it."""
    speaker = f"{take.corpus} {take.speaker}"
    return Spoken(speaker, take.sentence, take.emotion, take.prosody)


def is_normal(take: Measured) -> bool:
    """Whether a recording is of normal intensity; RAVDESS has strong ones as well."""
    return take.corpus != "ravdess" or take.file.split("-")[3] == "01"


def write_table(takes: Iterable[Measured]) -> None:
    """Write the table that comes with emovox."""
    changes = learn([spoken(take) for take in takes if is_normal(take)])
    emotions = {
        emotion: {name: asdict(change) for name, change in by_name.items()}
        for emotion, by_name in changes.items()
    }
    TABLE.write_text(json.dumps({"source": SOURCE, "emotions": emotions}, indent=1) + "\n")
