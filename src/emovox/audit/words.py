"""Words: figures, thresholds and findings as they are read."""

from collections.abc import Sequence

from ..errors import counted
from ..evaluation.words import percent
from .findings import Finding
from .suite import Limit

MEASURES = {
    "unchanged": "labels unchanged",
    "uar_loss": "loss of UAR",
    "certain_wrong_rise": "rise of certain but wrong",
    "refused": "refused",
    "uar": "UAR",
    "mean_precision": "mean precision (UAP)",
    "recall": "recall",
    "precision": "precision",
    "share_error": "share of the answers, off by",
    "rank_correlation": "rank correlation of speakers",
    "calibration_error": "calibration error (ECE)",
    "certain_wrong": "certain but wrong",
    "certain": "certain",
    "recall_gap": "largest gap of a recall",
    "precision_gap": "largest gap of a precision",
    "uar_gap": "gap of UAR",
    "share_shift": "largest shift of a share",
}
"""The words for each measure."""

_DIFFERENCES = frozenset(
    {"uar_loss", "certain_wrong_rise", "share_error", "calibration_error", "recall_gap",
     "precision_gap", "uar_gap", "share_shift"}
)  # fmt: skip
_PLAIN = frozenset({"rank_correlation"})


def value_text(measure: str, value: float | None) -> str:
    """Write a figure as it is read: a share in percent, a difference of shares in points."""
    if value is None:
        return "–"
    if measure in _PLAIN:
        return f"{value:.2f}"
    if measure in _DIFFERENCES:
        return f"{round(100 * value, 1) + 0.0:.1f} points"  # never -0.0
    return percent(value)


def threshold_text(limit: Limit) -> str:
    """Write a threshold with its source; "" where there is none."""
    if limit.bound is None:
        return ""
    sign = "≥" if limit.at_least else "≤"
    if limit.measure in _PLAIN:
        bound = f"{limit.bound:g}"
    else:
        bound = f"{100 * limit.bound:g} {'points' if limit.measure in _DIFFERENCES else '%'}"
    return f"{sign} {bound}"


def table_of(found: Sequence[Finding]) -> list[list[Finding]]:
    """Put findings of one figure in one row, a finding for each corpus, in the order found."""
    rows: dict[tuple[str, str, Limit], list[Finding]] = {}
    for finding in found:
        rows.setdefault((finding.group, finding.test, finding.limit), []).append(finding)
    return [*rows.values()]


def lead(name: str, found: Sequence[Finding]) -> list[str]:
    """Sum up the findings in two sentences."""
    n_passed, n_failed = (sum(one.passed is kept for one in found) for kept in (True, False))
    sentences = [
        f"The model {name} keeps {n_passed:,} of {counted(n_passed + n_failed, 'threshold')}."
        if n_passed + n_failed
        else f"Nothing of the model {name} was judged by a threshold."
    ]
    if missing := sum(one.value is None for one in found):
        sentences.append(f"{counted(missing, 'figure')} could not be measured; each row says why.")
    return sentences


def bar_bounds(finding: Finding) -> tuple[float | None, float | None]:
    """Return where a bar ends and where its threshold is marked, in percent; None without one."""
    limit, value = finding.limit, finding.value
    if value is None or limit.measure in _PLAIN | _DIFFERENCES:
        return None, None
    return 100 * value, None if limit.bound is None else 100 * limit.bound
