"""RTTM and Audacity's labels, with a turn in each line, and tables of turns."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from ..errors import TurnsError
from ..files import spreadsheet_plain
from .fields import damaged, of_recording, read_clock, read_number
from .turn import Turn, one_spaced

# NIST's Rich Transcription Meeting Recognition Evaluation plan (RT-09), appendix A.
_OTHER_TYPES = (
    "SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT IP SU CB A/P SPKR-INFO"
)
_N_FIELDS = 8  # up to the speaker's name; what follows may be missing
_NOTHING = "<NA>"


def read_rttm(text: str, recording: str = "") -> list[Turn]:
    """Read the SPEAKER lines of an RTTM file.

    Raises
    ------
    TurnsError
        If a line is damaged, or the file has several recordings and none is this one.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        if fields[0] == "SPEAKER":
            found.append((fields[1] if len(fields) > 1 else "", _of_fields(number, fields)))
        elif fields[0] not in _OTHER_TYPES.split():
            raise damaged(number, "a type such as SPEAKER", fields[0])
    return of_recording(found, recording)


def _of_fields(number: int, fields: Sequence[str]) -> Turn:
    if len(fields) < _N_FIELDS:
        wanted = "SPEAKER, file, channel, start, duration, <NA>, <NA>, name"
        raise damaged(number, wanted, " ".join(fields))
    start, duration = (read_number(field) for field in fields[3:5])
    if start is None or duration is None:
        raise damaged(number, "a start and a duration in seconds", " ".join(fields[3:5]))
    text, speaker = ("" if one == _NOTHING else one_spaced(one) for one in (fields[5], fields[7]))
    return Turn(start, round(start + duration, 6), speaker, text)


def write_rttm(turns: Sequence[Turn], recording: str) -> str:
    """Return RTTM: the speaker is the name, the text the orthography, with _ for each space."""
    file = _word(recording)
    return "".join(
        f"SPEAKER {file} 1 {turn.start:.4f} {turn.end - turn.start:.4f} {_word(turn.text)} "
        f"<NA> {_word(turn.speaker)} <NA> <NA>\n"
        for turn in turns
    )


def _word(text: str) -> str:
    return "_".join(one_spaced(text).split()) or _NOTHING


def write_audacity(turns: Sequence[Turn]) -> str:
    """Return a label track for Audacity: start, end and label, separated by tabs."""
    lines = []
    for turn in turns:
        voice = f"{turn.speaker}: " if turn.speaker else ""
        lines.append(f"{turn.start:.6f}\t{turn.end:.6f}\t{one_spaced(voice + turn.text)}\n")
    return "".join(lines)


def read_csv(text: str, recording: str = "") -> list[Turn]:
    """Read a table with columns start and end, and perhaps speaker, text and file.

    Commas, semicolons or tabs are between the cells; times are seconds, or hours, minutes and
    seconds; other columns are ignored.

    Raises
    ------
    TurnsError
        If a line is damaged, a column is missing, or the table has several recordings and none is
        this one.
    """
    rows = _rows(text)
    _, header = next(rows, (1, []))
    columns = [cell.strip().lower() for cell in header]
    for wanted in ("start", "end"):
        if columns.count(wanted) != 1:
            raise damaged(1, f"one column {wanted!r}", ",".join(columns))
    found = []
    for number, cells in rows:
        if len(cells) != len(columns):
            raise TurnsError(f"line {number}: expected {len(columns)} cells, got {len(cells)}")
        row = {name: spreadsheet_plain(cell) for name, cell in zip(columns, cells, strict=True)}
        start, end = (_seconds(number, row[name]) for name in ("start", "end"))
        speaker, words = (one_spaced(row.get(name, "")) for name in ("speaker", "text"))
        found.append((row.get("file", ""), Turn(start, end, speaker, words)))
    return of_recording(found, recording)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with the numbers of the lines in which they end."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(StringIO(text), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise TurnsError(f"line {reader.line_num}: expected a row of a table: {error}") from None


def _seconds(number: int, cell: str) -> float:
    seconds = read_number(cell.strip())
    if seconds is None:
        seconds = read_clock(cell.strip())
    if seconds is None:
        raise damaged(number, "a time in seconds", cell)
    return seconds
