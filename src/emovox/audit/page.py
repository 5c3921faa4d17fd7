"""The page: every test with its threshold and its figures, pictures, the worst recordings."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..evaluation.calibration import expected_calibration_error, reliability
from ..evaluation.report import picture, render
from ..figures import confusion, write_file
from ..figures import reliability as reliability_figure
from . import suite
from .examples import Sounds
from .findings import Finding, Heard
from .words import MEASURES, bar_bounds, lead, table_of, threshold_text, value_text


def write_page(
    path: Path,
    report: Mapping[str, Any],
    found: Sequence[Finding],
    heard: Sequence[Heard],
    sounds: Sounds,
) -> None:
    """Write the page, and its pictures into the folder `figures` beside it.

    Raises
    ------
    EmovoxError
        If a file cannot be written, or the extra for drawing is not installed.
    """
    groups = {
        group: {
            "meaning": suite.MEANINGS[group],
            "changing": group in (*suite.ROBUSTNESS, "doors"),
            "corpora": list(dict.fromkeys(one.corpus for one in found if one.group == group)),
            "rows": [_row(row, sounds) for row in table_of(found) if row[0].group == group],
        }
        for group in report["summary"]
    }
    content = {
        "title": f"Behaviour tests of the model {report['model']['name']}",
        "lead": lead(report["model"]["name"], found),
        "report": report,
        "groups": groups,
        "pictures": _pictures(path.parent, heard, groups),
    }
    write_file(path, render("audit.html", content).encode())


def _row(row: Sequence[Finding], sounds: Sounds) -> dict[str, Any]:
    limit = row[0].limit
    return {
        "test": row[0].test,
        "measure": MEASURES[limit.measure],
        "threshold": threshold_text(limit),
        "source": limit.source,
        "cells": {one.corpus: _cell(one) for one in row},
        "worst": [
            {
                **vars(case),
                "corpus": one.corpus,
                "name": "/".join(Path(case.file).parts[-2:]),
                "sound": sounds.get((case.file, "")),
                "changed_sound": sounds.get((case.file, one.test)),
            }
            for one in row
            for case in one.worst
        ],
    }


def _cell(finding: Finding) -> dict[str, Any]:
    bar, mark = bar_bounds(finding)
    return {
        "text": value_text(finding.limit.measure, finding.value),
        "outcome": finding.outcome,
        "n": finding.n,
        "note": finding.note,
        "bar": bar,
        "mark": mark,
    }


def _pictures(
    folder: Path, heard: Sequence[Heard], groups: Mapping[str, Any]
) -> dict[str, list[dict[str, str]]]:
    """Draw what is taken for what, and how far the scores can be believed, for each corpus."""
    pictures: dict[str, list[dict[str, str]]] = {group: [] for group in groups}
    for one in heard:
        results = one.results()
        if results is None:
            continue
        if "correctness" in groups:
            counts = one.answers.confusion[:, :-1]
            pictures["correctness"].append(
                picture(
                    folder,
                    f"confusion-{one.corpus}",
                    f"Confusion matrix of {one.corpus}: a row for each true emotion.",
                    partial(confusion, one.labels, counts),
                )
                | {"corpus": one.corpus}
            )
        if "certainty" in groups:
            error = expected_calibration_error(results)
            pictures["certainty"].append(
                picture(
                    folder,
                    f"reliability-{one.corpus}",
                    f"Reliability diagram of {one.corpus}: mean score against share of right "
                    f"answers; calibration error {100 * error:.1f} points.",
                    partial(reliability_figure, reliability(results), error),
                )
                | {"corpus": one.corpus}
            )
    return pictures
