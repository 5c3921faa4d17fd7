"""EMOVO: 6 speakers, 14 sentences, 7 emotions, Italian."""

import re
from pathlib import Path
from types import MappingProxyType

from .utterance import CorpusSpec, Parsed

_LABELS = MappingProxyType(
    {
        "dis": "disgust",  # disgusto
        "gio": "happy",  # gioia
        "neu": "neutral",  # neutrale
        "pau": "fear",  # paura
        "rab": "angry",  # rabbia
        "sor": "surprise",  # sorpresa
        "tri": "sad",  # tristezza
    }
)
_SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
_NAME = re.compile(r"([a-z]{3})-([fm][1-3])-([a-z]\d)", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    label, speaker, sentence = (part.lower() for part in match.groups())
    sex = "female" if speaker.startswith("f") else "male"
    return Parsed(label, speaker, sentence, sex, key=f"{label}-{speaker}-{sentence}")


def _expected(_root: Path, keys: frozenset[str]) -> frozenset[str]:
    sentences = {key.split("-")[2] for key in keys}
    return frozenset(
        f"{label}-{speaker}-{sentence}"
        for label in _LABELS
        for speaker in _SPEAKERS
        for sentence in sentences
    )


SPEC = CorpusSpec(
    name="emovo",
    title="EMOVO, an Italian emotional speech database",
    language="it",
    labels=_LABELS,
    parse=_parse,
    licence="free for research; cite the publication",
    citation="Costantini et al. 2014, EMOVO Corpus: an Italian Emotional Speech Database, LREC",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    n_expected=588,
    expected=_expected,
    by_hand="download the archive from its page and unpack it",
)
