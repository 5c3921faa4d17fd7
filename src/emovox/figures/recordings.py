"""Picture of one recording: its features on one time axis."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..audio import NOISE_FLOOR, RATE, Samples
from .measurements import Frames, frames, mel_row
from .style import ACCENT, drawing, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def recording(audio: Samples, title: str) -> "Figure":
    """Draw a recording's waveform, mel spectrogram, MFCC, chroma and spectral contrast.

    Parameters
    ----------
    audio : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz.
    title : str
        The figure's title, such as the file's name.

    Notes
    -----
    Computed by librosa with frames of 1,024 samples (64 ms), a step of 256 (16 ms; larger for
    recordings over a minute) and `tuning=0.0`. The first MFCC, which is loudness, is left out.
    """
    features = frames(audio)
    with drawing() as new_figure:
        figure = new_figure(figsize=(10, 11.5))
        all_axes = figure.subplots(5, 1, sharex=True, height_ratios=(1, 1.5, 1.3, 1.2, 1.1))
        draw_waveform(all_axes[0], audio)
        for axes, panel in zip(all_axes[1:], _PANELS, strict=True):
            _draw_panel(axes, features, panel)
        all_axes[-1].set(xlabel="time (s)", xlim=(0, len(audio) / RATE))
        figure.align_ylabels(all_axes)
        seconds = len(audio) / RATE
        figure.suptitle(f"{shortened(title, 80)}  ·  {seconds:.2f} s at {RATE // 1000} kHz")
        return figure


@dataclass(frozen=True)
class _Panel:
    """How one kind of frame features is drawn; `ticks` maps values on the y axis to names."""

    field: str
    title: str
    y_label: str
    unit: str
    colours: str
    ticks: Mapping[float, str]
    limits: tuple[float, float] | None = None  # None: the 99th percentile, to both sides of zero
    row_of: Callable[[float], float] = float  # of a tick


_PANELS = (
    _Panel(
        "mel",
        "Mel spectrogram",
        "frequency (kHz)",
        "dB, loudest is 0",
        "magma",
        {1000 * khz: f"{khz:g}" for khz in (0.25, 0.5, 1, 2, 4, 8)},
        (-80, 0),
        mel_row,
    ),
    _Panel(
        "mfcc",
        "MFCC (1 to 39; 0, which is loudness, is left out)",
        "coefficient",
        "value",
        "RdBu_r",
        {row - 1: str(row) for row in (1, 10, 20, 30, 39)},
    ),
    _Panel(
        "chroma",
        "Chroma",
        "pitch class",
        "share of the strongest",
        "viridis",
        dict(enumerate(("C", "", "D", "", "E", "F", "", "G", "", "A", "", "B"))),
        (0, 1),
    ),
    _Panel(
        "contrast",
        "Spectral contrast",
        "band (kHz)",
        "peak to valley (dB)",
        "cividis",
        dict(enumerate(("0–0.2", "0.2–0.4", "0.4–0.8", "0.8–1.6", "1.6–3.2", "3.2–6.4", "6.4–8"))),
        (0, 45),
    ),
)


def _draw_panel(axes: "Axes", features: Frames, panel: _Panel) -> None:
    values = getattr(features, panel.field)
    n_rows, n_frames = values.shape
    half = features.hop / RATE / 2
    limit = float(np.percentile(np.abs(values), 99)) or 1.0
    low, high = panel.limits or (-limit, limit)
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-half, (2 * n_frames - 1) * half, -0.5, n_rows - 0.5),
        cmap=panel.colours,
        vmin=low,
        vmax=high,
    )
    axes.set(title=panel.title, ylabel=panel.y_label)
    axes.set_yticks([panel.row_of(tick) for tick in panel.ticks], list(panel.ticks.values()))
    axes.grid(visible=False)
    axes.figure.colorbar(image, ax=axes, label=panel.unit, pad=0.01, fraction=0.05, aspect=12)


def draw_waveform(axes: "Axes", audio: Samples) -> None:
    """Draw the lowest and the highest sample of some 2,000 blocks of equal length."""
    length = max(1, len(audio) // 2_000)
    blocks = audio[: len(audio) // length * length].reshape(-1, length)
    times = (np.arange(len(blocks)) + 0.5) * length / RATE
    low, high = blocks.min(axis=1), blocks.max(axis=1)
    axes.fill_between(times, low, high, color=ACCENT, linewidth=0.4)
    top = max(float(np.abs(audio).max()), NOISE_FLOOR) * 1.05
    axes.set(title="Waveform", ylabel="amplitude", ylim=(-top, top))
