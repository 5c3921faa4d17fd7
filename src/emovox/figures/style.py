"""The style of all pictures: colours, markers, fonts; and writing figures to files."""

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..emotions import EMOTIONS
from ..errors import EmovoxError, one_line, optional
from ..files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EMOTION_COLOURS = MappingProxyType(
    {
        "angry": "#da2200",
        "boredom": "#652801",
        "calm": "#77d7d6",
        "disgust": "#86b26f",
        "fear": "#7800cc",
        "happy": "#e3d215",
        "neutral": "#6b7075",
        "sad": "#243d73",
        "surprise": "#e657ce",
    }
)
"""One colour an emotion, the same everywhere; chosen by search so that any two stay apart under
deuteranopia and protanopia (simulated as in Machado et al. 2009)."""
OTHER_COLOURS = (
    "#eb8c00", "#b233eb", "#8c3333", "#8cb2b2", "#cc33b2", "#cccc8c", "#eb8ceb", "#8c8c8c"
)  # fmt: skip
"""Colours of a user's own labels, in their order; chosen as the above were, and unlike them."""
DARK_COLOURS = MappingProxyType({**EMOTION_COLOURS, "fear": "#a20aff", "sad": "#1a9fff"})
"""The same on a dark page, where two of them would hardly be seen; at least 3:1 of contrast but for
boredom, whose outline shows it."""
EMOTION_MARKERS = MappingProxyType(dict(zip(EMOTIONS, "ovsD^PX*h", strict=True)))
"""One marker an emotion, so that colour is never alone."""

ACCENT = "#0b5cad"
INK = "#14171c"
_HEAD = 4096  # bytes of a file in which its description stands


def colours_of(labels: Iterable[str], *, dark: bool = False) -> dict[str, str]:
    """Return a colour for each label: an emotion's, or the next of those for other labels."""
    others, own = cycle(OTHER_COLOURS), DARK_COLOURS if dark else EMOTION_COLOURS
    return {label: own.get(label) or next(others) for label in labels}


def save(
    figure: "Figure", path: Path, formats: Sequence[str] = ("png", "svg"), *, kind: str = ""
) -> list[Path]:
    """Write a figure as `path`.png (150 dpi) and `path`.svg; the same figure, the same bytes.

    `kind` is written into the file for `is_of_kind`.

    Raises
    ------
    EmovoxError
        If a file cannot be written; an older one is then left as it was.
    """
    written = []
    for suffix in formats:
        target = path.with_name(f"{path.name}.{suffix}")
        write_file(target, rendered(figure, suffix, kind=kind))
        written.append(target)
    return written


def is_of_kind(path: Path, kind: str) -> bool:
    """Tell whether a file is a figure that was saved with this kind.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return _description(kind).encode() in file.read(_HEAD)


def _description(kind: str) -> str:
    return f"emovox figure: {kind}."


def rendered(figure: "Figure", suffix: str, *, kind: str = "") -> bytes:
    """Render a figure as "png" (150 dpi) or "svg"; nothing in it tells the time."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    metadata: dict[str, str | None] = {"Description": _description(kind)} if kind else {}
    metadata |= {"Software": None} if suffix == "png" else {"Date": None, "Creator": None}
    quiet = warnings.catch_warnings()
    with rc_context({"svg.hashsalt": "emovox", "svg.fonttype": "path"}), quiet:
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing", UserWarning)  # it draws a box
        figure.savefig(buffer, format=suffix, dpi=150, metadata=metadata)
    return buffer.getvalue()


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, making its folder.

    Raises
    ------
    EmovoxError
        If it cannot be written; an older file is then left as it was.
    """
    try:
        with written_whole(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise EmovoxError(f"{path}: cannot be written: {error.strerror}") from None


def check_drawing() -> None:
    """Raise a MissingExtraError where nothing can be drawn, before long work begins."""
    with drawing():
        pass


@contextmanager
def drawing(dark: bool = False) -> Iterator[Callable[..., "Figure"]]:
    """Return a function that makes a figure; the style holds until the block ends."""
    with optional():
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    with rc_context(_style(dark)):
        yield lambda **options: Figure(layout="constrained", **options)


def _style(dark: bool) -> dict[Any, Any]:
    """Return matplotlib's settings for a light or a dark page."""
    ink, faint, paper = (
        ("#e6e8eb", "#3a404b", "#1b1e24") if dark else ("#14171c", "#dde1e6", "white")
    )
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "figure.titlesize": 12,
        "figure.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": faint,
        "axes.edgecolor": ink,
        "legend.frameon": False,
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "savefig.facecolor": "auto",
        "text.color": ink,
        "axes.labelcolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
    }


def shortened(text: str, limit: int) -> str:
    """Cut a name that is too long, and keep `$` from being read as a formula.

    Unprintable characters, such as bytes in another encoding, are escaped: no font has them.
    """
    text = one_line(text)
    cut = text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit // 2) :]}"
    return cut.replace("$", r"\$")
