"""SAVEE, Surrey Audio-Visual Expressed Emotion: 4 men, 7 emotions, English."""

import re
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Parsed

_LABELS = MappingProxyType(
    {
        "a": "angry",
        "d": "disgust",
        "f": "fear",
        "h": "happy",
        "n": "neutral",
        "sa": "sad",
        "su": "surprise",
    }
)
_SPEAKERS = ("DC", "JE", "JK", "KL")
_NAME = re.compile(r"(?:(DC|JE|JK|KL)_?)?([a-z]{1,2})(\d\d)", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    """Read `DC_a01` anywhere, or `a01` in a folder named for the speaker."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    speaker = (match[1] or path.parent.name).upper()
    if speaker not in _SPEAKERS:
        return None
    label, number = match[2].lower(), match[3]
    # The first three sentences are the same for every emotion. The neutral ones beyond repeat
    # some that belong to the other emotions, but their names do not tell which.
    sentence = number if int(number) <= 3 else f"{label}{number}"
    return Parsed(label, speaker, sentence, "male", key=f"{speaker}_{label}{number}")


def _expected(_root: Path, _keys: frozenset[str]) -> frozenset[str]:
    return frozenset(
        f"{speaker}_{label}{number:02}"
        for speaker in _SPEAKERS
        for label in _LABELS
        for number in range(1, 31 if label == "n" else 16)
    )


SPEC = CorpusSpec(
    name="savee",
    title="Surrey Audio-Visual Expressed Emotion (SAVEE)",
    language="en",
    labels=_LABELS,
    parse=_parse,
    licence="free for research; registration with the University of Surrey",
    citation="Haq and Jackson 2010, Multimodal Emotion Recognition",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    n_expected=480,
    expected=_expected,
    by_hand="its publisher asks for a registration; register on its page and unpack what you get",
)
