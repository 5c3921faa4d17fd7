"""Picture of a stream's decisions along a recording, with loudness and pitch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..audio import RATE, Samples
from ..errors import counted
from ..prediction import Prediction
from .measurements import ACTIVE_DB, PITCH_HZ, tracks
from .recordings import draw_waveform
from .style import ACCENT, INK, colours_of, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HATCH = "////"


def timeline(audio: Samples, predictions: Sequence[Prediction], title: str) -> "Figure":
    """Draw a stream's decisions along a recording.

    Parameters
    ----------
    audio : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz.
    predictions : sequence of Prediction
        Interim ones, for the course of the probabilities, and final ones. If these have moments,
        a strip explains them.
    title : str
        The figure's title, such as the file's name.
    """
    final = [prediction for prediction in predictions if prediction.final]
    explained = any(prediction.moments for prediction in final)
    colours = _colours(final)
    seconds, loudness, pitch = tracks(audio)
    pitch[~_voiced(seconds, loudness, final)] = np.nan
    with drawing() as new_figure:
        figure = new_figure(figsize=(12, 9.6 if explained else 8.8))
        heights = (1.1, 2.2, 0.55, 1, 1, *([0.4] if explained else []))
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        draw_waveform(panels[0], audio)
        _draw_probabilities(panels[1], predictions, colours)
        _draw_labels(panels[2], final, colours, len(audio) / RATE)
        panels[3].plot(seconds, np.maximum(loudness, -80), color=ACCENT, linewidth=0.9)
        panels[3].set(title="Loudness", ylabel="dB of full scale")
        _draw_pitch(panels[4], seconds, pitch)
        if explained:
            _draw_moments(panels[5], final)
        panels[-1].set(xlabel="time (s)", xlim=(0, len(audio) / RATE))
        figure.align_ylabels(panels)
        segments = counted(len(final), "segment")
        figure.suptitle(
            f"{shortened(title, 80)}  ·  {len(audio) / RATE:.1f} s, {segments} of speech"
        )
        _draw_legend(figure, colours, any(not prediction.certain for prediction in final))
        return figure


def _colours(final: Sequence[Prediction]) -> dict[str, str]:
    return colours_of(final[0].scores if final else ())


def _draw_probabilities(
    axes: "Axes", predictions: Sequence[Prediction], colours: Mapping[str, str]
) -> None:
    """Stack the scores of each segment: those of its interim decisions, then the final ones."""
    axes.set(title="Emotions", ylabel="score", ylim=(0, 1))
    waiting: list[Prediction] = []
    for prediction in predictions:
        if not prediction.final:
            waiting.append(prediction)
            continue
        steps = [step for step in waiting if prediction.start < step.end < prediction.end]
        points = [*steps, prediction]
        times = [prediction.start, *(point.end for point in points)]
        scores = np.array([[point.scores[label] for label in colours] for point in points])
        scores = np.concatenate([scores[:1], scores]).T
        axes.stackplot(times, scores, colors=list(colours.values()), linewidth=0)
        if not prediction.certain:
            _hatch(axes, prediction)
        waiting = [step for step in waiting if step.end > prediction.end]


def _hatch(axes: "Axes", prediction: Prediction) -> None:
    span = (prediction.start, prediction.end - prediction.start)
    bar = axes.broken_barh([span], (0, 1), facecolor="none", edgecolor="white")
    bar.set(hatch=_HATCH, linewidth=0, zorder=3)


def _draw_labels(
    axes: "Axes", final: Sequence[Prediction], colours: Mapping[str, str], seconds: float
) -> None:
    """Draw a bar for each segment, with its label where there is room."""
    axes.set(title="Label of each segment", ylim=(0, 1), yticks=[])
    axes.grid(visible=False)
    for prediction in final:
        width = prediction.end - prediction.start
        axes.broken_barh([(prediction.start, width)], (0, 1), facecolor=colours[prediction.label])
        if not prediction.certain:
            _hatch(axes, prediction)
        text = prediction.label if prediction.certain else f"{prediction.label}?"
        if width / seconds > 0.0054 * len(text):  # of the picture's width
            _write_label(axes, prediction, text, colours[prediction.label])


def _write_label(axes: "Axes", prediction: Prediction, text: str, ground: str) -> None:
    middle = (prediction.start + prediction.end) / 2
    written = axes.text(middle, 0.5, text, ha="center", va="center", fontsize=7, zorder=4)
    written.set_color(_readable(ground))
    if not prediction.certain:  # keep the hatching out of the letters
        written.set_bbox({"facecolor": ground, "edgecolor": "none", "pad": 1.5})


def _readable(colour: str) -> str:
    """Choose dark or light letters for a background."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _draw_pitch(axes: "Axes", seconds: NDArray[np.float64], pitch: NDArray[np.float64]) -> None:
    axes.plot(seconds, pitch, ".", color=ACCENT, markersize=2)
    axes.set(title="Pitch", ylabel="Hz", yscale="log", ylim=PITCH_HZ)
    axes.set_yticks([75, 100, 150, 200, 300, 450], ["75", "100", "150", "200", "300", "450"])
    axes.minorticks_off()


def _voiced(
    seconds: NDArray[np.float64], loudness: NDArray[np.float64], final: Sequence[Prediction]
) -> NDArray[np.bool_]:
    """Mark the frames of segments that are not much softer than the loudest of the segment."""
    marked = np.zeros(len(seconds), np.bool_)
    for prediction in final:
        inside = (seconds >= prediction.start) & (seconds <= prediction.end)
        if inside.any():
            marked |= inside & (loudness >= loudness[inside].max() - ACTIVE_DB)
    return marked


def _draw_moments(axes: "Axes", final: Sequence[Prediction]) -> None:
    """Draw how far the winning score falls without each quarter second."""
    moments = [moment for prediction in final for moment in prediction.moments or ()]
    limit = max(0.05, *(abs(moment.weight) for moment in moments))
    image = None
    for prediction in final:
        if not prediction.moments:
            continue
        edges = [moment.start for moment in prediction.moments] + [prediction.moments[-1].end]
        weights = np.array([[moment.weight for moment in prediction.moments]])
        image = axes.pcolormesh(
            edges, [0, 1], weights, cmap="PuOr_r", vmin=-limit, vmax=limit, rasterized=True
        )
    axes.set(title="What carried the label: fall of its score without the moment", yticks=[])
    axes.grid(visible=False)
    if image is not None:
        axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=5)


def _draw_legend(figure: "Figure", colours: Mapping[str, str], uncertain: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    if uncertain:
        handles.append(
            Patch(facecolor="#9aa0a8", edgecolor="white", hatch=_HATCH, label="uncertain")
        )
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
