"""Picture of runs beside one another: accuracy and UAR with intervals, recall of each label."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import ACCENT, INK, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = ("o", "s")
_NAME = 32  # characters of a run's name


def comparison(
    names: Sequence[str],
    figures: Mapping[str, Sequence[tuple[float, float, float]]],
    recalls: Sequence[Mapping[str, float]],
) -> "Figure":
    """Draw runs beside one another.

    Parameters
    ----------
    names : sequence of str
        Of the runs.
    figures : mapping of str to sequence of tuples
        By name, such as "UAR": value, and low and high end of the interval, of each run, 0 to 1.
    recalls : sequence of mappings
        The recall of each label, 0 to 1, of each run.
    """
    labels = sorted({label for one in recalls for label in one})
    names = [shortened(name, _NAME) for name in names]
    with drawing() as new_figure:
        height = 1.6 + 0.5 * len(names)
        figure = new_figure(figsize=(11, height))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.4))
        _draw_figures(left, figures)
        _draw_recalls(right, labels, recalls)
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.5, -0.5)
        return figure


def _draw_figures(
    axes: "Axes", figures: Mapping[str, Sequence[tuple[float, float, float]]]
) -> None:
    for index, (name, values) in enumerate(figures.items()):
        place = np.arange(len(values)) + 0.3 * (index - (len(figures) - 1) / 2)
        value, low, high = 100 * np.array(values).T
        colour = (ACCENT, INK)[index % 2]
        axes.hlines(place, low, high, color=colour, linewidth=1.5)
        axes.plot(value, place, _MARKS[index % 2], color=colour, label=name)
    axes.set(title="With 95 % intervals", xlabel="%", xlim=(0, 102))
    axes.legend(loc="lower left", fontsize=8)


def _draw_recalls(
    axes: "Axes", labels: Sequence[str], recalls: Sequence[Mapping[str, float]]
) -> None:
    shares = np.array([[100 * one.get(label, np.nan) for label in labels] for one in recalls])
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=200, aspect="auto")  # light enough to read on
    axes.grid(visible=False)
    for row, column in np.ndindex(*shares.shape):
        share = shares[row, column]
        text = "" if np.isnan(share) else f"{share:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=INK)
    axes.set_xticks(range(len(labels)), [shortened(one, 14) for one in labels], rotation=30)
    axes.set_title("Recall of each label (%)")
