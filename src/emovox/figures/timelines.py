"""Picture of a stream's decisions along a recording, with loudness and pitch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..audio import RATE, Samples
from ..errors import counted
from ..prediction import Prediction
from .measurements import ACTIVE_DB, PITCH_HZ, Floats, tracks
from .recordings import draw_waveform
from .style import ACCENT, colours_of, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_HATCH = "////"
_UNCERTAIN = MappingProxyType({"facecolor": "white", "edgecolor": "#59616c", "hatch": _HATCH})
_FAINT = "#c3c8cf"
_LONG_S = 300.0  # above it, shares of steps are drawn instead of single scores
_STEPS_S = (10, 20, 30, 60, 120)  # of a long recording
_MAX_STEPS = 60
_TICKS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800)
_LEAST_SCORE = 0.1  # in a segment, of a label that is drawn
_LEAST_BAR = 1 / 1_500  # of the picture's width, so that short segments are seen


@dataclass(frozen=True)
class Heard:
    """One speaker: mono sound at 16 kHz, and a stream's decisions, interim ones and final ones.

    If the final ones have moments, a strip explains them.
    """

    audio: Samples
    predictions: Sequence[Prediction]

    @property
    def final(self) -> list[Prediction]:
        """The decisions about whole segments."""
        return [prediction for prediction in self.predictions if prediction.final]

    @property
    def is_explained(self) -> bool:
        """Whether the decisions have moments."""
        return any(prediction.moments for prediction in self.final)


def timeline(channels: Sequence[Heard], title: str) -> "Figure":
    """Draw a stream's decisions along a recording.

    Parameters
    ----------
    channels : sequence of Heard
        One, or one for each speaker, drawn one below the other.
    title : str
        The figure's title, such as the file's name.

    Notes
    -----
    Above five minutes single scores are too narrow to be seen. Instead of them, the share of the
    speech that each label has is drawn, in steps of 10 s to 2 min.
    """
    final = [prediction for heard in channels for prediction in heard.final]
    colours = _colours(final)
    seconds = max(len(heard.audio) for heard in channels) / RATE
    heights = [sum(_heights(heard, len(colours))) for heard in channels]
    voices = [tracks(heard.audio) for heard in channels]
    with drawing() as new_figure:
        figure = new_figure(figsize=(12, 1.0 + sum(heights)))
        parts = figure.subfigures(len(channels), 1, squeeze=False, height_ratios=heights)
        for index, (part, heard) in enumerate(zip(parts[:, 0], channels, strict=True)):
            name = f"Channel {index}: " if len(channels) > 1 else ""
            _draw_speaker(part, heard, voices[index], colours, seconds, name)
        segments = counted(len(final), "segment")
        figure.suptitle(f"{shortened(title, 80)}  ·  {_length(seconds)}, {segments} of speech")
        _draw_legend(figure, colours, any(not prediction.certain for prediction in final))
        return figure


def _heights(heard: Heard, n_labels: int) -> tuple[float, ...]:
    """Return the heights of a speaker's panels, in inches."""
    lanes = 0.6 + 0.22 * max(1, n_labels)
    return (1.1, lanes, 1.9, 1.3, 1.5, *([0.9] if heard.is_explained else []))


def _draw_speaker(
    part: "SubFigure",
    heard: Heard,
    voice: tuple[Floats, Floats, Floats],
    colours: Mapping[str, str],
    seconds: float,
    name: str,
) -> None:
    heights = _heights(heard, len(colours))
    panels = part.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    draw_waveform(panels[0], heard.audio)
    panels[0].set_title(f"{name}Waveform")
    _draw_lanes(panels[1], heard.final, colours, seconds)
    if seconds > _LONG_S:
        _draw_shares(panels[2], heard.final, colours, seconds)
    else:
        _draw_scores(panels[2], heard.predictions, colours)
    _draw_voice(panels[3], panels[4], heard, voice)
    if heard.is_explained:
        _draw_moments(panels[5], heard.final)
    _draw_clock(panels[-1], seconds)
    part.align_ylabels(panels)


def _colours(final: Sequence[Prediction]) -> dict[str, str]:
    return colours_of(final[0].scores if final else ())


def _draw_lanes(
    axes: "Axes", final: Sequence[Prediction], colours: Mapping[str, str], seconds: float
) -> None:
    """Draw a bar for each segment in the lane of its label; hatched where uncertain."""
    axes.set(title="Segments", ylim=(max(1, len(colours)) - 0.5, -0.5))
    axes.set_yticks(range(len(colours)), list(colours))
    axes.grid(visible=False)
    for lane, (label, colour) in enumerate(colours.items()):
        axes.axhline(lane, color=_FAINT, linewidth=0.4, zorder=0)
        for is_certain in (True, False):
            spans = [
                (one.start, max(one.end - one.start, _LEAST_BAR * seconds))
                for one in final
                if one.label == label and one.certain is is_certain
            ]
            bars = axes.broken_barh(spans, (lane - 0.38, 0.76), linewidth=0.8, edgecolor=colour)
            bars.set(
                facecolor=colour if is_certain else "white", hatch="" if is_certain else _HATCH
            )


def _draw_scores(
    axes: "Axes", predictions: Sequence[Prediction], colours: Mapping[str, str]
) -> None:
    """Draw each segment's final scores as bars over its span, then its interim ones as thin lines.

    The bar of its label is thick, and dashed where the model is uncertain. Labels that never reach
    a tenth in a segment are left out of it.
    """
    axes.set(title="Scores of each segment; thin: while it was spoken", ylabel="score")
    axes.set(ylim=(0, 1.03))
    waiting: list[Prediction] = []
    for prediction in predictions:
        if not prediction.final:
            waiting.append(prediction)
            continue
        steps = [one for one in waiting if prediction.start < one.end < prediction.end]
        for label, colour in colours.items():
            points = [(one.end, one.scores[label]) for one in (*steps, prediction)]
            if max(score for _, score in points) >= _LEAST_SCORE:
                _draw_score(axes, prediction, label, colour)
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.7)
        waiting = [one for one in waiting if one.end > prediction.end]


def _draw_score(axes: "Axes", prediction: Prediction, label: str, colour: str) -> None:
    is_best = label == prediction.label
    axes.hlines(
        prediction.scores[label],
        prediction.start,
        prediction.end,
        color=colour,
        linewidth=4 if is_best else 1.5,
        linestyle="solid" if prediction.certain or not is_best else (0, (1.2, 0.8)),
    )


def _draw_shares(
    axes: "Axes", final: Sequence[Prediction], colours: Mapping[str, str], seconds: float
) -> None:
    """Draw the share of the speech that each label has, in steps, and that of uncertain ones."""
    edges = _steps(seconds)
    step = edges[1]
    rows = {label: _seconds_in(edges, final, label) for label in colours}
    rows["uncertain"] = _seconds_in(edges, final, None)
    spoken = np.maximum(np.sum(list(rows.values()), axis=0), 1e-9)
    below = np.zeros(len(spoken))
    for label, held in rows.items():
        bars = axes.bar(edges[:-1], held / spoken, step, below, align="edge", linewidth=0.4)
        for bar in bars:
            bar.set(**_UNCERTAIN if label == "uncertain" else {"facecolor": colours[label]})
        below += held / spoken
    axes.set(title=f"Share of the speech in each {step:g} s", ylabel="share", ylim=(0, 1))


def _steps(seconds: float) -> NDArray[np.float64]:
    """Return the edges of the steps of a long recording, in seconds."""
    step = next((s for s in _STEPS_S if seconds / s <= _MAX_STEPS), _STEPS_S[-1])
    return np.arange(0.0, seconds + step, step)


def _seconds_in(
    edges: NDArray[np.float64], final: Sequence[Prediction], label: str | None
) -> NDArray[np.float64]:
    """Return the seconds of a label in each step; None: of uncertain segments."""
    held = np.zeros(len(edges) - 1)
    for one in final:
        if (one.label if one.certain else None) == label:
            held += np.maximum(
                0, np.minimum(edges[1:], one.end) - np.maximum(edges[:-1], one.start)
            )
    return held


def _draw_voice(
    loudness_axes: "Axes", pitch_axes: "Axes", heard: Heard, voice: tuple[Floats, Floats, Floats]
) -> None:
    seconds, loudness, pitch = voice
    spoken = _spoken(seconds, loudness, heard.final)
    pitch[~spoken] = np.nan
    loudness_axes.set(title="Loudness", ylabel="dB of full scale")
    pitch_axes.set(title="Pitch", ylabel="Hz", yscale="log", ylim=PITCH_HZ)
    pitch_axes.set_yticks([75, 100, 150, 200, 300, 450], ["75", "100", "150", "200", "300", "450"])
    pitch_axes.minorticks_off()
    if len(heard.audio) / RATE > _LONG_S:
        _draw_course(loudness_axes, seconds, np.where(spoken, loudness, np.nan))
        _draw_course(pitch_axes, seconds, pitch)
    else:
        loudness_axes.plot(seconds, np.maximum(loudness, -80), color=ACCENT, linewidth=0.9)
        pitch_axes.plot(seconds, pitch, ".", color=ACCENT, markersize=2)


def _draw_course(axes: "Axes", seconds: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Draw the median of the speech in each step, and its 10th to 90th percentile."""
    edges = _steps(seconds[-1])
    places = np.digitize(seconds, edges) - 1
    rows = np.full((len(edges) - 1, 3), np.nan)
    for step in range(len(rows)):
        held = values[(places == step) & ~np.isnan(values)]
        if len(held):
            rows[step] = np.percentile(held, (10, 50, 90))
    middle = edges[:-1] + edges[1] / 2
    axes.fill_between(middle, rows[:, 0], rows[:, 2], color=ACCENT, alpha=0.2, linewidth=0)
    axes.plot(middle, rows[:, 1], color=ACCENT, marker=".", linewidth=1.1)
    axes.set_title(f"{axes.get_title('left')} of the speech: median, and from 10 to 90 %")


def _spoken(
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


def _draw_clock(axes: "Axes", seconds: float) -> None:
    """Mark the time: in seconds up to two minutes, then as a clock shows it."""
    step = next((s for s in _TICKS_S if seconds / s <= 13), _TICKS_S[-1])
    ticks = np.arange(0, seconds + 1e-6, step)
    is_clock = seconds > 120
    axes.set_xticks(ticks, [_clock(tick) if is_clock else f"{tick:g}" for tick in ticks])
    axes.set(xlabel="time" if is_clock else "time (s)", xlim=(0, seconds))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _length(seconds: float) -> str:
    return f"{_clock(seconds)} min" if seconds > 120 else f"{seconds:.1f} s"


def _draw_legend(figure: "Figure", colours: Mapping[str, str], uncertain: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    if uncertain:
        handles.append(Patch(label="uncertain"))
        handles[-1].set(**_UNCERTAIN)
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
