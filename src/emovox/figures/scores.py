"""Pictures of a model's scores: their reliability, and the accuracy when it may abstain."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .style import ACCENT, INK, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Bins = Sequence[Mapping[str, float | int | None]]

READ_OUT = 0.8  # the coverage that is marked


def reliability(bins: _Bins, error: float, *, dark: bool = False) -> "Figure":
    """Draw mean score against accuracy in each bin, and below that the bin's number of answers.

    Parameters
    ----------
    bins : sequence of mappings
        From `metrics.reliability`.
    error : float
        Expected calibration error, 0 to 1.
    dark : bool
        Draw for a dark page.
    """
    with drawing(dark) as new_figure:
        figure = new_figure(figsize=(6.4, 6))
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_reliability(top, bins, dark)
        top.set_title(f"Reliability (calibration error {100 * error:.1f} points)")
        _draw_counts(below, bins, dark)
        return figure


def _draw_reliability(axes: "Axes", bins: _Bins, dark: bool) -> None:
    accent, ink = _colours(dark)
    filled = [row for row in bins if row["n"]]
    scores = [100 * (row["score"] or 0) for row in filled]
    shares = [100 * (row["accuracy"] or 0) for row in filled]
    axes.plot([0, 100], [0, 100], "--", color=ink, label="score = chance of being right")
    axes.vlines(scores, scores, shares, color=accent, alpha=0.5)
    label = "recordings with such a score"
    axes.plot(scores, shares, "-o", color=accent, label=label, clip_on=False)
    axes.set(ylabel="right answers (%)", ylim=(-3, 103), xlim=(0, 100))
    axes.legend(loc="best")


def _draw_counts(axes: "Axes", bins: _Bins, dark: bool) -> None:
    accent, _ = _colours(dark)
    lows = [100 * (row["low"] or 0) for row in bins]
    counts = [row["n"] or 0 for row in bins]
    paper = axes.get_facecolor()
    bars = axes.bar(lows, counts, 100 / len(bins), align="edge", color=accent, edgecolor=paper)
    axes.bar_label(bars, [f"{n:,}" if n else "" for n in counts], fontsize=7, padding=1)
    axes.margins(y=0.2)
    axes.set(xlabel="score of the answer (%)", ylabel="recordings")
    axes.locator_params(axis="y", integer=True, nbins=4)


def coverage(
    curve: Sequence[Mapping[str, float]],
    own: tuple[float, float] | None = None,
    *,
    dark: bool = False,
) -> "Figure":
    """Draw the accuracy over the share of recordings answered, the surest first.

    Parameters
    ----------
    curve : sequence of mappings
        From `metrics.coverage_curve`.
    own : tuple of float, optional
        Coverage and accuracy at the model's own threshold.
    dark : bool
        Draw for a dark page.
    """
    _, ink = _colours(dark)
    with drawing(dark) as new_figure:
        figure = new_figure(figsize=(6.4, 4.2))
        axes = figure.subplots()
        _draw_curve(axes, curve, dark)
        if own is not None:
            covered, right = 100 * own[0], 100 * own[1]
            label = f"its own threshold: {covered:.1f} % answered, {right:.1f} % right"
            axes.plot(covered, right, "*", color=ink, markersize=12, zorder=3, label=label)
        axes.margins(y=0.12)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -3), min(high, 103))
        axes.invert_xaxis()
        axes.set(xlabel="recordings answered (%)", ylabel="right among these (%)")
        axes.set_title("Accuracy where the least certain are left unanswered")
        axes.legend(loc="best")
        return figure


def _draw_curve(axes: "Axes", curve: Sequence[Mapping[str, float]], dark: bool) -> None:
    accent, ink = _colours(dark)
    shares = [100 * point["coverage"] for point in curve]
    accuracies = [100 * point["accuracy"] for point in curve]
    axes.plot(shares, accuracies, "-o", color=accent, markersize=3.5)
    axes.axhline(accuracies[0], linestyle=":", color=ink, label="everything answered")
    at = [point["coverage"] for point in curve].index(READ_OUT)
    label = f"surest {shares[at]:.0f} %: {accuracies[at]:.1f} % right"
    axes.plot(shares[at], accuracies[at], "o", color=accent, markersize=9, label=label)


def _colours(dark: bool) -> tuple[str, str]:
    """Colour of what is shown, and of what it is compared with."""
    return ("#6cb2ff", "#e6e8eb") if dark else (ACCENT, INK)
