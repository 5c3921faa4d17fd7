"""Pictures of a journal: a session along its time, and two sessions side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .style import ACCENT, colours_of, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNCERTAIN = 0.35  # opacity of what the model is not certain of
_MINUTES_FROM_S = 300.0  # seconds of a session from which the axis is in minutes


class Stretch(NamedTuple):
    """A segment to be drawn, in seconds; `label` is "" where nothing was inferred."""

    start: float
    end: float
    label: str
    certain: bool
    pitch_st: float | None
    level_db: float | None


def session(stretches: Sequence[Stretch], seconds: float, *, dark: bool = False) -> "Figure":
    """Draw a session: a lane for each label that was heard, then pitch and level.

    Parameters
    ----------
    stretches : sequence of Stretch
    seconds : float > 0
        Length of the session.
    dark : bool
        Whether the picture is for a dark page.
    """
    labels = sorted({one.label for one in stretches if one.label})
    unit = 60.0 if seconds > _MINUTES_FROM_S else 1.0
    with drawing(dark) as new_figure:
        heights = [0.4 + 0.32 * len(labels), 1.3, 1.3] if labels else [1.3, 1.3]
        figure = new_figure(figsize=(11, 1.2 + sum(heights)))
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        if labels:
            _draw_lanes(panels[0], stretches, colours_of(labels, dark=dark), unit)
        _draw_values(panels[-2], stretches, "pitch_st", unit)
        panels[-2].set(title="Pitch of each segment", ylabel="semitones")
        _draw_values(panels[-1], stretches, "level_db", unit)
        panels[-1].set(title="Level of each segment", ylabel="dB of full scale")
        panels[-1].set(xlabel="minutes" if unit > 1 else "seconds", xlim=(0, seconds / unit))
        figure.align_ylabels(panels)
        return figure


def _draw_lanes(
    axes: "Axes", stretches: Sequence[Stretch], colours: Mapping[str, str], unit: float
) -> None:
    for lane, (label, colour) in enumerate(colours.items()):
        for is_certain, opacity in ((True, 1.0), (False, _UNCERTAIN)):
            spans = [
                (one.start / unit, (one.end - one.start) / unit)
                for one in stretches
                if one.label == label and one.certain == is_certain
            ]
            axes.broken_barh(spans, (lane - 0.4, 0.8), facecolor=colour, alpha=opacity)
    axes.set(title="Sounded (pale: uncertain)", ylim=(len(colours) - 0.4, -0.6))
    axes.set_yticks(range(len(colours)), list(colours))


def _draw_values(axes: "Axes", stretches: Sequence[Stretch], name: str, unit: float) -> None:
    held = [(one, getattr(one, name)) for one in stretches]
    times = [(one.start + one.end) / 2 / unit for one, value in held if value is not None]
    values = [value for _, value in held if value is not None]
    axes.plot(times, values, ".", color=ACCENT, markersize=4)


def sessions_beside(
    shares: Mapping[str, tuple[float, float]], names: tuple[str, str], *, dark: bool = False
) -> "Figure":
    """Draw the shares of labels in two sessions as pairs of bars.

    Parameters
    ----------
    shares : mapping of label to (before, after)
        Each 0 to 1.
    names : (str, str)
        Of the sessions.
    dark : bool
        Whether the picture is for a dark page.
    """
    places = np.arange(len(shares))
    with drawing(dark) as new_figure:
        figure = new_figure(figsize=(9, 1.4 + 0.5 * len(shares)))
        axes = figure.subplots()
        for side, (name, colour) in enumerate(zip(names, ("#9aa0a8", ACCENT), strict=True)):
            values = [100 * pair[side] for pair in shares.values()]
            axes.barh(places + 0.4 * side - 0.2, values, 0.38, color=colour, label=name)
        axes.set_yticks(places, list(shares))
        axes.set(xlabel="% of the speech", xlim=(0, 100))
        axes.invert_yaxis()
        axes.legend(loc="lower right")
        return figure
