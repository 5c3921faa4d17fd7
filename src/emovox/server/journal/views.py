"""What a journal comes to: weeks against the usual, and two sessions side by side."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query

from ...journal import as_json
from ...journal.comparison import compare
from ...journal.trend import is_share
from ...journal.trend import trend as trend_of
from ...journal.words import cautions, change_lines, marks, name_of, unit_of
from ..refusals import Json, RefusedError
from . import answers
from .asking import TOLD, Reached, session_of

_Session = Annotated[int, Query(ge=1, le=2**53)]


def add_views(app: FastAPI) -> None:
    """Add the routes of trends and comparisons."""

    @app.get("/v1/journal/{person}/trend", response_model=answers.Trend, **TOLD)
    def trend(reach: Reached, since: Annotated[str, Query(max_length=40)] = "") -> Json:
        """Compare each week with the person's own first sessions, from a time on if given."""
        with reach.journal() as journal:
            pairs, check_ins = journal.sessions_with_totals(), journal.check_ins()
        found = trend_of(pairs, check_ins, _since(since))
        answer = as_json.trend_json(found)
        for week, of in zip(answer["weeks"], found.weeks, strict=True):
            week["marks"] = marks(of)
        titles = {name: _measure(name) for name in found.measures}
        return Json({**answer, "measures": titles, "told": change_lines(found)})

    @app.get("/v1/journal/{person}/comparison", response_model=answers.Comparison, **TOLD)
    def comparison(
        reach: Reached,
        before: _Session,
        after: _Session,
    ) -> Json:
        """Put two sessions side by side."""
        with reach.journal() as journal:
            for number in (before, after):
                session_of(journal, number)
            found = compare(journal.sessions_with_totals(), before, after)
        titles = {name: _measure(name) for name in found.differences}
        answer = as_json.comparison_json(found)
        return Json({**answer, "titles": titles, "cautions": cautions(found)})


def _since(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
        return moment.astimezone() if moment and moment.utcoffset() is None else moment
    except (ValueError, OverflowError):  # the latter for the first and last days of the calendar
        raise RefusedError(422, "parameter", "since: expected a time in ISO 8601") from None


def _measure(name: str) -> dict[str, Any]:
    return {"title": name_of(name), "unit": unit_of(name), "is_share": is_share(name)}
