"""Pictures of a training run: its curves and its confusion matrix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .style import INK, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_History = Sequence[Mapping[str, float]]

_SUBSETS = {  # name, style, colours on a light and on a dark page
    "train": ("training", "--s", ("#b35900", "#ffb366")),
    "val": ("validation", "-o", ("#0b5cad", "#6cb2ff")),
}
_SCALES = {"loss": 1, "accuracy": 100}


def training_curves(history: _History, *, chosen: bool = True, dark: bool = False) -> "Figure":
    """Draw loss and accuracy over the epochs, and mark the epoch of lowest validation loss.

    Parameters
    ----------
    history : sequence of mappings
        One or more epochs, with epoch, train_loss, train_accuracy, val_loss and val_accuracy.
    chosen : bool
        Whether the best epoch's weights are used; if the last epoch's are, none is marked.
    dark : bool
        Draw for a dark page.
    """
    with drawing(dark) as new_figure:
        figure = new_figure(figsize=(9, 3.8))
        for axes, kind in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            _draw_subsets(axes, history, kind, dark)
            if chosen:
                _mark_best(axes, history, kind, dark)
            axes.set(xlabel="epoch", title=kind.capitalize())
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(loc="best")
        losses = [row[f"{subset}_loss"] for row in history for subset in _SUBSETS]
        if 0 < 50 * min(losses) < max(losses):
            figure.axes[0].set_yscale("log")
        figure.axes[0].set_ylabel("cross-entropy (nats)")
        figure.axes[1].set_ylabel("right answers (%)")
        return figure


def _draw_subsets(axes: "Axes", history: _History, kind: str, dark: bool) -> None:
    epochs = [row["epoch"] for row in history]
    for subset, (name, style, colours) in _SUBSETS.items():
        values = [_SCALES[kind] * row[f"{subset}_{kind}"] for row in history]
        axes.plot(epochs, values, style, color=colours[dark], label=name, markersize=3.5)


def _mark_best(axes: "Axes", history: _History, kind: str, dark: bool) -> None:
    best = min(history, key=lambda row: row["val_loss"])
    ink = "#e6e8eb" if dark else INK
    label = f"best epoch: {best['epoch']:.0f}"
    axes.axvline(best["epoch"], linestyle=":", color=ink, label=label)
    height = _SCALES[kind] * best[f"val_{kind}"]
    axes.plot(best["epoch"], height, "*", color=ink, markersize=12, zorder=3)


def confusion(
    labels: Sequence[str], matrix: NDArray[Any] | Sequence[Sequence[int]], *, dark: bool = False
) -> "Figure":
    """Draw a confusion matrix: a row for each truth, with counts and shares of the row.

    Parameters
    ----------
    labels : sequence of str, length n_labels
    matrix : array-like of int, shape=(n_labels, n_labels)
        Counts, rows are the truth.
    dark : bool
        Draw for a dark page.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(labels)
    with drawing(dark) as new_figure:
        from matplotlib.colors import LinearSegmentedColormap

        figure = new_figure(figsize=(2.2 + 0.72 * n, 1.5 + 0.62 * n))
        axes = figure.subplots()
        ends = ("#22262e", "#8cc4ff") if dark else ("#f7fafd", "#084a91")
        colours = LinearSegmentedColormap.from_list("share", ends)
        image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
        _write_cells(axes, counts, shares, dark)
        axes.set_xticks(range(n), labels, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(n), labels)
        axes.set(xlabel="answer", ylabel="true emotion", title="Confusion matrix")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        bar = figure.colorbar(image, ax=axes, label="share of the row (%)", pad=0.02)
        ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
        bar.set_ticks(ticks, labels=[f"{100 * tick:.0f}" for tick in ticks])
        return figure


def _write_cells(axes: "Axes", counts: NDArray[Any], shares: NDArray[Any], dark: bool) -> None:
    """Write each cell's share and count in a colour that its ground lets you read."""
    for row, column in np.ndindex(counts.shape):
        share, count = shares[row, column], counts[row, column]
        text = axes.text(column, row, f"{100 * share:.1f} %\n{count}" if count else "·")
        text.set(ha="center", va="center", fontsize=9, alpha=1 if count else 0.5)
        text.set_color("#ffffff" if (share > 0.5) != dark else "#14171c")
