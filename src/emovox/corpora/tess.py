"""TESS, the Toronto Emotional Speech Set: 2 women, 200 words, 7 emotions, English."""

import re
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Download, Parsed

_SPEAKERS = ("OAF", "YAF")
_LABELS = MappingProxyType(
    {
        "angry": "angry",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happy",
        "neutral": "neutral",
        "ps": "surprise",  # "pleasant surprise"
        "sad": "sad",
    }
)
# One file as published is named OA_bite_neutral: without the F to be optional, a third speaker.
_NAME = re.compile(r"(OA|YA)F?_([^_]+)_(.+)", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    speaker, word, label = match[1].upper() + "F", match[2].lower(), match[3].lower()
    if "surprise" in label:
        label = "ps"
    return Parsed(label, speaker, word, "female", key=f"{speaker}_{word}_{label}")


def _expected(_root: Path, keys: frozenset[str]) -> frozenset[str]:
    words = {key.split("_")[1] for key in keys}
    return frozenset(
        f"{who}_{word}_{label}" for who in _SPEAKERS for word in words for label in _LABELS
    )


SPEC = CorpusSpec(
    name="tess",
    title="Toronto Emotional Speech Set (TESS)",
    language="en",
    labels=_LABELS,
    parse=_parse,
    licence="CC BY-NC-ND 4.0",
    citation="Pichora-Fuller and Dupuis 2010, doi:10.5683/SP2/E8H2MF",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    n_expected=2_800,
    expected=_expected,
    # Dataverse makes this archive anew for each request: it has no checksum.
    download=Download(
        "https://borealisdata.ca/api/access/dataset/:persistentId/"
        "?persistentId=doi:10.5683/SP2/E8H2MF"
    ),
)
