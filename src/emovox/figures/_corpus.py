"""Picture of a corpus: how many clips of what, how long, how loud, how high."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .measurements import Measurements
from .style import EMOTION_COLOURS, EMOTION_MARKERS, INK, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SEX_HATCHES = {"female": "", "male": "////", "": ""}
_MAX_SPEAKERS = 40  # shown one by one


def corpus(measurements: Measurements, title: str) -> "Figure":
    """Draw a corpus: its clips by emotion and speaker, their length, level, pitch and spectrum."""
    n_clips, n_measured = int(measurements.counts.sum()), len(measurements.emotion)
    note = "all clips measured" if n_measured == n_clips else f"{n_measured:,} clips measured"
    if measurements.n_unreadable:
        note += f", {measurements.n_unreadable:,} unreadable"
    n_emotions = len(measurements.emotions)
    with drawing() as new_figure:
        figure = new_figure(figsize=(11, 7.5 + 0.7 * n_emotions))
        ratios = (0.9 + 0.3 * n_emotions, 0.9 + 0.4 * n_emotions, 4.2)
        grid = figure.add_gridspec(3, 3, height_ratios=ratios)
        _draw_counts(figure.add_subplot(grid[0, :]), measurements)
        columns = (
            ("Duration", "seconds", measurements.seconds),
            ("Loudness while speaking", "dB of full scale", measurements.loudness_db),
            ("Median pitch", "Hz", measurements.pitch_hz),
        )
        for column, (name, unit, values) in enumerate(columns):
            axes = figure.add_subplot(grid[1, column])
            _draw_spread(axes, measurements, values, by_sex=column == 2)
            axes.set(title=name, xlabel=unit)
            if column:
                axes.tick_params(labelleft=False)
        _draw_spectra(figure.add_subplot(grid[2, :]), measurements)
        speakers = len(measurements.speakers)
        figure.suptitle(
            f"{shortened(title, 50)}  ·  {n_clips:,} clip{'s' * (n_clips != 1)}, {speakers} "
            f"speaker{'s' * (speakers != 1)} ({note})"
        )
        return figure


def _draw_counts(axes: "Axes", measurements: Measurements) -> None:
    """Draw the clips of each emotion and speaker; of many speakers those with most clips."""
    counts, speakers = measurements.counts, measurements.speakers
    shown = np.sort(np.argsort(-counts.sum(axis=0), kind="stable")[:_MAX_SPEAKERS])
    counts = counts[:, shown]
    image = axes.pcolormesh(
        np.arange(len(shown) + 1) - 0.5,
        np.arange(len(counts) + 1) - 0.5,
        counts,
        cmap="Blues",
        vmin=0,
        vmax=max(1, 1.6 * counts.max()),  # light enough for dark figures on it
        edgecolors="white",
        linewidth=1,
    )
    axes.invert_yaxis()
    if len(shown) <= 24:
        for row, column in np.ndindex(counts.shape):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=8,
                color=INK,
            )
    else:
        bar = axes.figure.colorbar(image, ax=axes, label="clips", pad=0.01, fraction=0.03)
        bar.ax.set_ylim(0, max(1, counts.max()))
    names = [shortened(speakers[index] or "unknown", 12) for index in shown]
    turn = 90 if len(names) > 16 or max(map(len, names)) > 60 / len(names) else 0
    axes.set_xticks(range(len(names)), names, rotation=turn)
    axes.set_yticks(range(len(counts)), measurements.emotions)
    few = f" (the {_MAX_SPEAKERS} with most clips)" if len(speakers) > _MAX_SPEAKERS else ""
    axes.set(title=f"Clips by emotion and speaker{few}", xlabel="speaker")
    axes.grid(visible=False)
    axes.tick_params(length=0)


def _draw_spread(
    axes: "Axes", measurements: Measurements, values: NDArray[np.float64], *, by_sex: bool
) -> None:
    """Draw boxes: the middle half, the median, and whiskers over the middle 90 %."""
    emotions = np.array(measurements.emotion)
    sexes = np.array(measurements.sex if by_sex else [""] * len(emotions))
    kinds = sorted(set(sexes.tolist()))
    height = 0.7 / len(kinds)
    for row, emotion in enumerate(measurements.emotions):
        for index, sex in enumerate(kinds):
            chosen = values[(emotions == emotion) & (sexes == sex) & np.isfinite(values)]
            if not len(chosen):
                continue
            y = row + (index - (len(kinds) - 1) / 2) * height
            low, q1, median, q3, high = np.percentile(chosen, [5, 25, 50, 75, 95])
            axes.hlines(y, low, high, color=INK, linewidth=1, zorder=2)
            axes.barh(
                y,
                q3 - q1,
                0.9 * height,
                left=q1,
                color=EMOTION_COLOURS.get(emotion, "#9aa0a8"),
                edgecolor=INK,
                linewidth=0.7,
                hatch=_SEX_HATCHES.get(sex, ".."),
                zorder=3,
            )
            axes.plot(median, y, "o", color="white", markeredgecolor=INK, zorder=4)
    axes.set_yticks(range(len(measurements.emotions)), measurements.emotions)
    axes.set_ylim(len(measurements.emotions) - 0.4, -0.6)
    if len(kinds) > 1:
        _explain_sexes(axes, kinds)


def _explain_sexes(axes: "Axes", sexes: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    keys = [
        Patch(
            facecolor="white",
            edgecolor=INK,
            hatch=_SEX_HATCHES.get(sex, ".."),
            label=sex or "unknown",
        )
        for sex in sexes
    ]
    # Beside the title, where it hides no box.
    axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1.02, 0.985), ncols=3, fontsize=8)


def _draw_spectra(axes: "Axes", measurements: Measurements) -> None:
    """Draw the mean spectrum of each emotion, over its clips that hold sound."""
    emotions = np.array(measurements.emotion)
    audible = np.isfinite(measurements.loudness_db)
    for index, emotion in enumerate(measurements.emotions):
        chosen = measurements.spectra_db[(emotions == emotion) & audible]
        if not len(chosen):
            continue
        axes.plot(
            measurements.band_hz,
            chosen.mean(axis=0),
            marker=EMOTION_MARKERS.get(emotion, "."),
            markevery=(index % 4, 4),
            color=EMOTION_COLOURS.get(emotion, "#9aa0a8"),
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=emotion,
        )
    axes.set_xscale("log")
    ticks = (100, 200, 500, 1_000, 2_000, 4_000, 8_000)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set(
        title="Mean spectrum while speaking",
        xlabel="frequency (Hz)",
        ylabel="level (dB of full scale)",
        xlim=(70, 8_000),
    )
    axes.legend(ncols=3, loc="upper right", fontsize=9)
