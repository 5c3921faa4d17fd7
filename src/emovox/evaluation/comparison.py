"""Runs beside one another: their figures and settings, and whether these can be compared."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from ..errors import EmovoxError, counted
from .report import FIGURES, flat

_KEPT_APART = ("corpora", "labels", "columns", "map", "protocol", "groups", "n_groups", "split")


@dataclass(frozen=True)
class TestedRun:
    """The folder of a training run, or of an evaluation, and its report."""

    path: Path
    report: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The numbers of all answers: over all folds, where there are several."""
        numbers: Mapping[str, Any] = self.report.get("pooled", self.report)
        return numbers

    @property
    def protocol(self) -> str:
        """How training and test were kept apart."""
        return str(self.report["protocol"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that were answered."""
        return tuple(self.numbers["confusion"]["labels"])

    @property
    def recalls(self) -> dict[str, float]:
        """The recall of each label, over all answers."""
        found = self.numbers["per_emotion"].items()
        return {label: row["recall"] for label, row in found if row["support"]}

    @property
    def n_parameters(self) -> int | None:
        """The numbers that the network learned; None where that is not told."""
        return (self.report.get("model") or {}).get("n_parameters")

    @property
    def settings(self) -> dict[str, str]:
        """The settings, as texts, by their dotted names."""
        return flat(self.report.get("settings") or {})

    @cached_property
    def answered(self) -> dict[str, str]:
        """The label of each recording of the test, by its file."""
        return {row["file"]: row["truth"] for at in self._folds for row in _rows(at, "predictions")}

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digest of each recording, by its file; none where the run made no split."""
        return {row["file"]: row["digest"] for at in self._folds for row in _rows(at, "split")}

    @property
    def _folds(self) -> list[Path]:
        return [self.path / name for name in self.report.get("folds", [""])]

    def tested(self, *, by_content: bool) -> set[tuple[str, str]]:
        """Return the recordings of the test, each with its label."""
        names = self.digests if by_content else {}
        return {(names.get(file, file), truth) for file, truth in self.answered.items()}


def read_run(path: Path) -> TestedRun:
    """Read the report of a run.

    Raises
    ------
    EmovoxError
        If the folder holds no report, or a damaged one.
    """
    file = path / "report.json"
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        run = TestedRun(path, report)
        _ = run.protocol, run.labels, run.recalls, [report[name] for name in FIGURES]
        _ = run.numbers["intervals"]["uar"]["low"], run.numbers["n"], run.settings
    except FileNotFoundError:
        raise EmovoxError(
            f"{path}: expected the folder of a run or an evaluation, found no report.json; "
            "an unfinished run has none"
        ) from None
    except OSError as error:
        raise EmovoxError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise EmovoxError(f"{file}: not a report of emovox, or a damaged one") from None
    return run


def _rows(folder: Path, table: str) -> list[dict[str, str]]:
    path = folder / f"{table}.csv"
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EmovoxError(f"{path}: cannot be read: {error}") from None


def differences(runs: Sequence[TestedRun]) -> list[str]:
    """Say, a line each, why figures of two of the runs cannot be compared; none if they all can."""
    found = []
    for one, other in combinations(runs, 2):
        if reasons := list(_reasons(one, other)):
            found.append(f"{one.path} and {other.path} cannot be compared: {'; '.join(reasons)}")
    return found


def _reasons(one: TestedRun, other: TestedRun) -> list[str]:
    reasons = []
    if one.protocol != other.protocol:
        reasons.append(f"the protocol is {one.protocol} and {other.protocol}")
    if one.labels != other.labels:
        apart = sorted(set(one.labels) ^ set(other.labels))
        reasons.append(f"only one has the labels {', '.join(apart)}")
    by_content = bool(one.digests and other.digests)
    mine, theirs = one.tested(by_content=by_content), other.tested(by_content=by_content)
    if mine != theirs:
        n_common, n_all = len(mine & theirs), len(mine | theirs)
        reasons.append(
            f"of {counted(n_all, 'test recording')} {n_common:,} are in the test of both, with "
            "the same label"
        )
    return reasons


def changed_settings(runs: Sequence[TestedRun]) -> dict[str, list[str]]:
    """Return the settings in which the runs differ, with the value in each; "" where it has none.

    Those that say what is tested come first. Others count among the runs that have them: a model
    of the other kind has none of a kind's settings, and an evaluation none at all.
    """
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: [run.settings.get(name, "") for run in runs] for name in names}
    differing = {
        name: row
        for name, row in values.items()
        if len(set(row if name.startswith(_KEPT_APART) else filter(None, row))) > 1
    }
    return dict(sorted(differing.items(), key=lambda row: not row[0].startswith(_KEPT_APART)))
