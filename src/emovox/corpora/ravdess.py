"""RAVDESS, the Ryerson audio-visual database, its speech recordings: 24 actors, English."""

import re
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Download, Parsed

_LABELS = MappingProxyType(
    {
        "01": "neutral",
        "02": "calm",
        "03": "happy",
        "04": "sad",
        "05": "angry",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    }
)
# Modality 03 is audio alone, vocal channel 01 is speech: song (02) and film (01, 02) do not belong.
_NAME = re.compile(r"03-01-(\d\d)-(0[12])-(0[12])-(0[12])-(\d\d)")


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    label, _intensity, statement, _repetition, actor = match.groups()
    sex = "male" if int(actor) % 2 else "female"
    return Parsed(label, actor, statement, sex, key=path.stem)


def _expected(_root: Path, _keys: frozenset[str]) -> frozenset[str]:
    return frozenset(
        f"03-01-{label}-{intensity}-{statement}-{repetition}-{actor:02}"
        for label in _LABELS
        for intensity in (("01",) if label == "01" else ("01", "02"))  # neutral is never strong
        for statement in ("01", "02")
        for repetition in ("01", "02")
        for actor in range(1, 25)
    )


SPEC = CorpusSpec(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech",
    language="en",
    labels=_LABELS,
    parse=_parse,
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391",
    homepage="https://doi.org/10.5281/zenodo.1188976",
    n_expected=1_440,
    expected=_expected,
    download=Download(
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        "md5:bc696df654c87fed845eb13823edef8a",
        208_468_073,
    ),
)
