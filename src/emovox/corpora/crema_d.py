"""CREMA-D: 91 actors, 12 sentences, 6 emotions, English."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Parsed

_LABELS = MappingProxyType(
    {
        "ang": "angry",
        "dis": "disgust",
        "fea": "fear",
        "hap": "happy",
        "neu": "neutral",
        "sad": "sad",
    }
)
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    return Parsed(match[3].upper(), match[1], match[2].upper(), key=path.stem.upper())


def _sexes(root: Path) -> Mapping[str, str]:
    for table in sorted(root.rglob("VideoDemographics.csv"))[:1]:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            return {
                (row.get("ActorID") or "").strip(): (row.get("Sex") or "").strip().lower()
                for row in csv.DictReader(lines)
            }
    return {}


SPEC = CorpusSpec(
    name="crema-d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D)",
    language="en",
    labels=_LABELS,
    parse=_parse,
    licence="Open Database License (ODbL) 1.0",
    citation="Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    n_expected=7_442,
    sexes=_sexes,
    by_hand="its archive holds Git LFS pointers in place of audio; install git-lfs, then run "
    "`git clone https://github.com/CheyneyComputerScience/CREMA-D`",
)
