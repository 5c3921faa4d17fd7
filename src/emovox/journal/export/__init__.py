"""A journal given away in the formats of others, and taken back from its own."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ...errors import JournalError
from ...files import make_folder, write_text, written_whole
from ..store import Journal
from .annotations import write_eafs, write_textgrids
from .bids import write_bids
from .fhir import bundle_of
from .lines import lines_of
from .tables import write_csv, write_parquet

__all__ = ["FILES", "FOLDERS", "export"]


def _write_lines(journal: Journal, path: Path) -> None:
    with written_whole(path, private=True) as part, part.open("w", encoding="utf-8") as out:
        out.writelines(lines_of(journal))


def _write_fhir(journal: Journal, path: Path) -> None:
    text = json.dumps(bundle_of(journal), indent=2, ensure_ascii=False)
    write_text(path, text + "\n", private=True)


FILES: Mapping[str, Callable[[Journal, Path], None]] = MappingProxyType(
    {"jsonl": _write_lines, "fhir": _write_fhir}
)
FOLDERS: Mapping[str, Callable[[Journal, Path], None]] = MappingProxyType(
    {
        "csv": write_csv,
        "parquet": write_parquet,
        "textgrid": write_textgrids,
        "eaf": write_eafs,
        "bids": write_bids,
    }
)


def export(journal: Journal, kind: str, out: Path) -> None:
    """Write a journal to a new file (jsonl, fhir) or folder (all others), for its owner alone.

    Raises
    ------
    JournalError
        If there is something under that name.
    OSError
        If it cannot be written.
    MissingExtraError
        If Parquet is asked for and pyarrow is not installed.
    """
    if out.exists() and not (kind in FOLDERS and out.is_dir() and not any(out.iterdir())):
        raise JournalError(f"{out}: exists already; choose another name")
    if kind in FILES:
        FILES[kind](journal, out)
    else:
        make_folder(out, private=True)
        FOLDERS[kind](journal, out)
