"""Segments of a recording as CSV, and times as people read them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import MissingExtraError
from .files import spreadsheet_safe

if TYPE_CHECKING:
    import pandas

    from .prediction import Prediction
    from .prosody import Prosody
    from .turns.turn import TurnAnswer

JUDGED_COLUMNS = ("certain", "level_db", "level")
PROSODY = ("pitch_st", "pitch_range_st", "level_db", "rate_hz", "pause_share", "voiced_share")
PROSODY_COLUMNS = tuple(f"prosody.{name}" for name in PROSODY)


def timestamp(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds: 00:01:02.345."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def score_columns(labels: Sequence[str]) -> list[str]:
    """Return the names of the score columns."""
    return [f"scores.{label}" for label in labels]


def score_cells(labels: Sequence[str], prediction: "Prediction") -> list[str]:
    """Return the cells of the score columns."""
    return [f"{prediction.scores[label]:.6f}" for label in labels]


def judged_cells(prediction: "Prediction") -> tuple[object, ...]:
    """Return the cells of `JUDGED_COLUMNS`."""
    return str(prediction.certain).lower(), prediction.level_db, prediction.level


def prosody_cells(prosody: "Prosody | None") -> tuple[object, ...]:
    """Return the cells of `PROSODY_COLUMNS`; empty for what was not measured."""
    return tuple(getattr(prosody, name, None) for name in PROSODY)


def segments_table(
    labels: Sequence[str],
    recordings: "Iterable[tuple[Path, Sequence[tuple[int, Prediction]]]]",
    *,
    prosody: bool = False,
) -> str:
    """Return CSV with a row for each segment of each recording; with its prosody, if asked for."""
    header = ("file", "channel", "start", "end", "label", "score", *score_columns(labels))
    rows: list[tuple[object, ...]] = []
    for file, segments in recordings:
        for channel, segment in segments:
            about = (
                str(file),
                channel,
                segment.start,
                segment.end,
                segment.label,
                f"{segment.score:.6f}",
            )
            measured = prosody_cells(segment.prosody) if prosody else ()
            cells = (*score_cells(labels, segment), *judged_cells(segment), *measured)
            rows.append((*about, *cells))
    return csv_table((*header, *JUDGED_COLUMNS, *(PROSODY_COLUMNS if prosody else ())), rows)


def to_frame(answers: "Iterable[Prediction | TurnAnswer]", **columns: Any) -> "pandas.DataFrame":
    """Return predictions, segments or turns as a data frame with a row for each.

    Parameters
    ----------
    answers : iterable of Prediction or TurnAnswer
        `Recognizer.segments` and `Recognizer.turns` can be given as they are.
    **columns
        Further columns, put first: a value for all rows, or one for each, such as `file=files`.

    Returns
    -------
    frame : pandas.DataFrame
        start, end, label, score, certain, final, level_db, level, scores.LABEL for each label, and
        prosody.NAME where it was measured; for turns speaker, text and reason as well. A turn
        without an answer has none of the others but its times.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError:
        raise MissingExtraError("this needs pandas; install it with: pip install pandas") from None
    frame = pandas.DataFrame([_frame_row(answer) for answer in answers])
    for place, (name, values) in enumerate(columns.items()):
        frame.insert(place, name, values)
    return frame


def _frame_row(answer: "Prediction | TurnAnswer") -> dict[str, Any]:
    """Return the cells of a data frame by column; nested ones as `scores.sad`."""
    row: dict[str, Any] = {}
    for name, value in answer.to_dict().items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name != "moments":
            row[name] = value
    return row


def csv_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV in which no spreadsheet mistakes a text for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([spreadsheet_safe(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()
