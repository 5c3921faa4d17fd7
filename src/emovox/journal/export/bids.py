"""A journal as a folder of the Brain Imaging Data Structure, the person by a number alone."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...files import write_text
from ...version import __version__
from ..store import Journal
from .tables import Table, tables_of

_PERSON = "sub-01"
_MEANINGS = {
    "onset": "Start of a segment of speech, in seconds of the session",
    "duration": "Its length in seconds",
    "pitch_st": "Median pitch in semitones above 27.5 Hz",
    "pitch_range_st": "10th to 90th percentile of the pitch in semitones",
    "level_db": "Level of the speech in dB of full scale",
    "rate_hz": "Syllables a second of speech",
    "pause_share": "Share of pauses in the segment, 0 to 1",
    "voiced_share": "Share of the speech that has a pitch, 0 to 1",
    "label": "Emotion that the voice sounded like, as a model guessed",
    "score": "Calibrated probability of the label",
    "certain": "Whether the model does not abstain",
}


def write_bids(journal: Journal, folder: Path) -> None:
    """Write sub-01/ses-NNNN/beh/*_events.tsv for each session, and the check-ins as a phenotype."""
    tables = tables_of(journal)
    _write_json(
        folder / "dataset_description.json",
        {
            "Name": "Voice journal",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "emovox", "Version": __version__}],
        },
    )
    _write(folder / "README", "A voice journal of one person, exported by emovox.\n")
    _write_tsv(folder / "participants.tsv", ["participant_id"], [[_PERSON]])
    _write_sessions(folder, tables["sessions"])
    _write_events(folder, tables["segments"], [session.id for session in journal.sessions()])
    _write_check_ins(folder, tables["check_ins"])


def _write_sessions(folder: Path, table: Table) -> None:
    names = ["session_id", "acq_time", *list(table.columns)[2:]]
    rows = [[_session(number), began, *rest] for number, began, *rest in table.rows()]
    if rows:
        _write_tsv(folder / _PERSON / f"{_PERSON}_sessions.tsv", names, rows)


def _write_events(folder: Path, table: Table, sessions: Sequence[int]) -> None:
    """Write the segments of each session as events: onset, duration, and what there is of them."""
    names = ["onset", "duration", *list(table.columns)[4:]]
    events: dict[int, list[list[object]]] = {number: [] for number in sessions}
    for number, _, start, end, *rest in table.rows():
        events[number].append([start, round(end - start, 4), *rest])
    meanings = {name: {"Description": _MEANINGS.get(name, "Score of a label")} for name in names}
    for number, rows in events.items():
        stem = f"{_PERSON}_{_session(number)}_task-journal_events"
        place = folder / _PERSON / _session(number) / "beh" / stem
        _write_tsv(place.with_suffix(".tsv"), names, rows)
        _write_json(place.with_suffix(".json"), meanings)


def _write_check_ins(folder: Path, table: Table) -> None:
    rows = [[_PERSON, *row] for row in table.rows()]
    if not rows:
        return
    _write_tsv(folder / "phenotype" / "checkin.tsv", ["participant_id", *table.columns], rows)
    _write_json(
        folder / "phenotype" / "checkin.json",
        {
            "MeasurementToolMetadata": {"Description": "State of mind, in the words of HealthKit"},
            "valence": {"Description": "-1 very unpleasant, 1 very pleasant"},
        },
    )


def _session(number: int) -> str:
    return f"ses-{number:04}"


def _write_tsv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    lines = ["\t".join(names), *("\t".join(map(_cell, row)) for row in rows)]
    _write(path, "\n".join(lines) + "\n")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "n/a" if value in (None, "") else " ".join(str(value).split())


def _write_json(path: Path, value: object) -> None:
    _write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    write_text(path, text, private=True)
