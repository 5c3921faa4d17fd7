"""Picture of a corpus: clips by emotion and speaker, duration, loudness, pitch, mean spectrum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import counted
from .measurements import Measurements
from .style import EMOTION_MARKERS, INK, colours_of, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SEX_HATCHES = {"female": "", "male": "////", "": ""}
_OTHER_HATCH = ".."
_MAX_SPEAKERS = 40  # shown one by one
_MAX_COUNTED = 24  # speakers; with more of them a colour scale replaces the numbers


def corpus(measurements: Measurements, title: str) -> "Figure":
    """Draw a corpus: its clips by emotion and speaker, their length, level, pitch and spectrum."""
    n_emotions = len(measurements.emotions)
    with drawing() as new_figure:
        figure = new_figure(figsize=(11, 7.5 + 0.7 * n_emotions))
        ratios = (0.9 + 0.3 * n_emotions, 0.9 + 0.4 * n_emotions, 4.2)
        grid = figure.add_gridspec(3, 3, height_ratios=ratios)
        _draw_counts(figure.add_subplot(grid[0, :]), measurements)
        _draw_spreads([figure.add_subplot(grid[1, column]) for column in range(3)], measurements)
        _draw_spectra(figure.add_subplot(grid[2, :]), measurements)
        figure.suptitle(f"{shortened(title, 50)}  ·  {_numbers(measurements)}")
        return figure


def _numbers(measurements: Measurements) -> str:
    """Return the numbers of clips and speakers, and how many clips were measured."""
    n_clips, n_measured = int(measurements.counts.sum()), len(measurements.emotion)
    note = "all clips measured" if n_measured == n_clips else f"{n_measured:,} clips measured"
    if measurements.n_unreadable:
        note += f", {measurements.n_unreadable:,} unreadable"
    speakers = counted(len(measurements.speakers), "speaker")
    return f"{counted(n_clips, 'clip')}, {speakers} ({note})"


def _draw_counts(axes: "Axes", measurements: Measurements) -> None:
    """Draw the clips of each emotion and speaker; of many speakers, those with the most clips."""
    counts, speakers = measurements.counts, measurements.speakers
    shown = np.sort(np.argsort(-counts.sum(axis=0), kind="stable")[:_MAX_SPEAKERS])
    _draw_cells(axes, counts[:, shown])
    names = [shortened(speakers[index] or "unknown", 12) for index in shown]
    turn = 90 if len(names) > 16 or max(map(len, names)) > 60 / len(names) else 0
    axes.set_xticks(range(len(names)), names, rotation=turn)
    axes.set_yticks(range(len(counts)), measurements.emotions)
    few = f" (the {_MAX_SPEAKERS} with most clips)" if len(speakers) > _MAX_SPEAKERS else ""
    axes.set(title=f"Clips by emotion and speaker{few}", xlabel="speaker")
    axes.grid(visible=False)
    axes.tick_params(length=0)


def _draw_cells(axes: "Axes", counts: NDArray[np.int64]) -> None:
    """Colour a cell for each count, and write the counts or draw a colour scale."""
    n_rows, n_columns = counts.shape
    edges = np.arange(n_columns + 1) - 0.5, np.arange(n_rows + 1) - 0.5
    darkest = max(1, 1.6 * counts.max())  # keeps the ground light enough for dark numbers
    image = axes.pcolormesh(
        *edges, counts, cmap="Blues", vmin=0, vmax=darkest, edgecolors="white", linewidth=1
    )
    axes.invert_yaxis()
    if n_columns > _MAX_COUNTED:
        bar = axes.figure.colorbar(image, ax=axes, label="clips", pad=0.01, fraction=0.03)
        bar.ax.set_ylim(0, max(1, counts.max()))
        return
    for row, column in np.ndindex(counts.shape):
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=INK)


def _draw_spreads(all_axes: "Sequence[Axes]", measurements: Measurements) -> None:
    """Draw duration, loudness and, by sex, pitch."""
    columns = (
        ("Duration", "seconds", measurements.seconds),
        ("Loudness while speaking", "dB of full scale", measurements.loudness_db),
        ("Median pitch", "Hz", measurements.pitch_hz),
    )
    for axes, (name, unit, values) in zip(all_axes, columns, strict=True):
        _draw_spread(axes, measurements, values, by_sex=name == "Median pitch")
        axes.set(title=name, xlabel=unit)
    for axes in all_axes[1:]:
        axes.tick_params(labelleft=False)


def _draw_spread(
    axes: "Axes", measurements: Measurements, values: NDArray[np.float64], *, by_sex: bool
) -> None:
    """Draw a box for each emotion, or for each emotion and sex."""
    emotions = np.array(measurements.emotion)
    sexes = np.array(measurements.sex if by_sex else [""] * len(emotions))
    kinds = sorted(set(sexes.tolist()))
    height = 0.7 / len(kinds)
    for row, (emotion, colour) in enumerate(colours_of(measurements.emotions).items()):
        for index, sex in enumerate(kinds):
            chosen = values[(emotions == emotion) & (sexes == sex) & np.isfinite(values)]
            y = row + (index - (len(kinds) - 1) / 2) * height
            if len(chosen):
                _draw_box(axes, chosen, y, 0.9 * height, colour, _hatch(sex))
    axes.set_yticks(range(len(measurements.emotions)), measurements.emotions)
    axes.set_ylim(len(measurements.emotions) - 0.4, -0.6)
    if len(kinds) > 1:
        _explain_sexes(axes, kinds)


def _draw_box(
    axes: "Axes", values: NDArray[np.float64], y: float, height: float, colour: str, hatch: str
) -> None:
    """Draw the middle half of the values, the median, and whiskers over the middle 90 %."""
    low, q1, median, q3, high = np.percentile(values, [5, 25, 50, 75, 95])
    axes.hlines(y, low, high, color=INK, linewidth=1, zorder=2)
    (box,) = axes.barh(y, q3 - q1, height, left=q1, color=colour, hatch=hatch, zorder=3)
    box.set(edgecolor=INK, linewidth=0.7)
    axes.plot(median, y, "o", color="white", markeredgecolor=INK, zorder=4)


def _explain_sexes(axes: "Axes", sexes: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    keys = [
        Patch(facecolor="white", edgecolor=INK, hatch=_hatch(sex), label=sex or "unknown")
        for sex in sexes
    ]
    # Beside the title, where it hides no box.
    axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1.02, 0.985), ncols=3, fontsize=8)


def _draw_spectra(axes: "Axes", measurements: Measurements) -> None:
    """Draw the mean spectrum of each emotion, over its clips that hold sound."""
    emotions = np.array(measurements.emotion)
    audible = np.isfinite(measurements.loudness_db)
    for index, (emotion, colour) in enumerate(colours_of(measurements.emotions).items()):
        chosen = measurements.spectra_db[(emotions == emotion) & audible]
        if len(chosen):
            (line,) = axes.plot(measurements.band_hz, chosen.mean(axis=0), label=emotion)
            line.set(color=colour, marker=EMOTION_MARKERS.get(emotion, "."))
            line.set(markevery=(index % 4, 4), markeredgecolor=INK, markeredgewidth=0.5)
    axes.set_xscale("log")
    ticks = (100, 200, 500, 1_000, 2_000, 4_000, 8_000)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set(title="Mean spectrum while speaking", ylabel="level (dB of full scale)")
    axes.set(xlabel="frequency (Hz)", xlim=(70, 8_000))
    axes.legend(ncols=3, loc="upper right", fontsize=9)


def _hatch(sex: str) -> str:
    return _SEX_HATCHES.get(sex, _OTHER_HATCH)
