"""nEMO: 9 speakers, 90 sentences, 6 emotions, Polish."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from .table import enclosed_table
from .utterance import CorpusSpec, Download, Parsed

_LABELS = MappingProxyType(
    {
        "anger": "angry",
        "fear": "fear",
        "happiness": "happy",
        "neutral": "neutral",
        "sadness": "sad",
        "surprised": "surprise",
    }
)
_NAME = re.compile(r"([A-Z]{2}\d)_([a-z]+)_(\d+)", re.IGNORECASE)


def _parse(path: Path) -> Parsed | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    speaker, label, sentence = match[1].upper(), match[2].lower(), match[3]
    return Parsed(label, speaker, sentence, key=f"{speaker}_{label}_{sentence}")


def _rows(root: Path) -> Iterator[dict[str, str]]:
    return enclosed_table(root, "data.tsv", ("file_id", "speaker_id", "gender"), delimiter="\t")


def _sexes(root: Path) -> Mapping[str, str]:
    return {row["speaker_id"].upper(): row["gender"].lower() for row in _rows(root)}


def _expected(root: Path, _keys: frozenset[str]) -> frozenset[str]:
    # The table says .wav whatever the files were stored as: names are compared without a suffix.
    paths = (_parse(Path(PurePosixPath(row["file_id"]).name)) for row in _rows(root))
    return frozenset(parsed.key for parsed in paths if parsed)


SPEC = CorpusSpec(
    name="nemo",
    title="nEMO, a dataset of emotional speech in Polish",
    language="pl",
    labels=_LABELS,
    parse=_parse,
    licence="CC BY-NC-SA 4.0",
    citation="Christop 2024, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING",
    homepage="https://github.com/amu-cai/nEMO",
    n_expected=4_481,
    expected=_expected,
    sexes=_sexes,
    download=Download("https://github.com/amu-cai/nEMO/archive/refs/heads/main.zip"),
)
