"""CREMA-D: 91 actors, 12 sentences, 6 emotions, English."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from .table import enclosed_table
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
    rows = enclosed_table(root, "VideoDemographics.csv", ("ActorID", "Sex"))
    return {row["ActorID"]: row["Sex"].lower() for row in rows}


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
