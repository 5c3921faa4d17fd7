"""EmoDB, the Berlin database of emotional speech: 10 speakers, 10 sentences, German."""

import re
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Download, Parsed

_LABELS = MappingProxyType(
    {
        "w": "angry",  # Wut
        "l": "boredom",  # Langeweile
        "e": "disgust",  # Ekel
        "a": "fear",  # Angst
        "f": "happy",  # Freude
        "t": "sad",  # Trauer
        "n": "neutral",
    }
)
_FEMALE = frozenset({"08", "09", "13", "14", "16"})
_MALE = frozenset({"03", "10", "11", "12", "15"})
_NAME = re.compile(r"(\d\d)([ab]\d\d)([a-z])([a-z]?)", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    speaker, sentence, label = match[1], match[2].lower(), match[3].upper()
    sex = "female" if speaker in _FEMALE else "male" if speaker in _MALE else ""
    return Parsed(label, speaker, sentence, sex, key=path.stem.lower())


SPEC = CorpusSpec(
    name="emodb",
    title="Berlin Database of Emotional Speech (EmoDB)",
    language="de",
    labels=_LABELS,
    parse=_parse,
    licence="free to use; cite the publication",
    citation="Burkhardt et al. 2005, doi:10.21437/Interspeech.2005-446",
    homepage="http://emodb.bilderbar.info",
    n_expected=535,
    download=Download("http://emodb.bilderbar.info/download/download.zip"),
)
