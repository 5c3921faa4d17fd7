"""Make README's picture: one sentence said in two ways, on one time axis.

Run with ``python docs/images/make.py``. Both recordings are synthetic and ship in examples/.
"""

from pathlib import Path

import numpy as np

from emovox.audio import RATE, load_audio
from emovox.figures.measurements import frames
from emovox.figures.style import ACCENT, drawing, rendered, write_file

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("slow-and-low", "fast-and-high")
PITCH_CLASSES = ("C", "", "D", "", "E", "F", "", "G", "", "A", "", "B")


def main() -> None:
    """Draw waveform, mel spectrogram, MFCC and chroma of both recordings side by side."""
    clips = [load_audio(REPOSITORY / "examples" / f"{name}.flac") for name in NAMES]
    seconds = max(map(len, clips)) / RATE
    with drawing() as new_figure:
        figure = new_figure(figsize=(9, 6.2))
        axes = figure.subplots(4, 2, sharex=True, sharey="row", height_ratios=(1, 1.4, 1.1, 1.1))
        for column, (name, clip) in enumerate(zip(NAMES, clips, strict=True)):
            features = frames(clip)
            waveform, *pictures = axes[:, column]
            waveform.plot(np.arange(len(clip)) / RATE, clip, color=ACCENT, linewidth=0.4)
            waveform.set_title(f"examples/{name}.flac")
            panels = (
                (features.mel, "magma", (-80, 0)),
                (features.mfcc, "RdBu_r", (-60, 60)),
                (features.chroma, "viridis", (0, 1)),
            )
            for picture, (values, colours, (low, high)) in zip(pictures, panels, strict=True):
                end = (values.shape[1] - 0.5) * features.hop / RATE
                extent = (-0.5 * features.hop / RATE, end, -0.5, len(values) - 0.5)
                picture.imshow(
                    values, origin="lower", aspect="auto", interpolation="nearest",
                    extent=extent, cmap=colours, vmin=low, vmax=high,
                )  # fmt: skip
                picture.grid(visible=False)
            pictures[-1].set(xlabel="time (s)", xlim=(0, seconds))
        for row, label in enumerate(("amplitude", "mel band", "MFCC 1 to 39", "chroma")):
            axes[row, 0].set_ylabel(label)
        axes[3, 0].set_yticks(range(12), PITCH_CLASSES, fontsize=7)
        figure.align_ylabels(axes[:, 0])
        figure.suptitle("“Say the word boat”, said by a synthesiser in two ways")
        write_file(REPOSITORY / "docs" / "images" / "two-ways.png", rendered(figure, "png"))


if __name__ == "__main__":
    main()
