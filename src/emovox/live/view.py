"""The live view of `emovox listen`: level, emotions as bars, a timeline that scrolls."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.console import Console, Group
from rich.live import Live
from rich.style import Style
from rich.text import Text

from ..figures.style import colours_of
from ..loudness import advice

if TYPE_CHECKING:
    from ..recognizer import Prediction
    from .session import Now

CELL_S = 0.5  # seconds per character of the timeline
_MAX_WIDTH = 100
_KEPT_CELLS = 2 * _MAX_WIDTH
_BAR = 30  # characters
_NAME, _LONGEST = 11, 20  # characters of a name beside a bar: room for it, and at most
_MARK_CELLS = 20  # characters between two times below the timeline
_LOWEST_DB = -60.0
_AGREED = 2  # decisions in a row on the level, before the view tells what to do about it
_LOUD_DB, _CLIPPED_DB = -12.0, -1.0  # above these the meter turns yellow, and red


@dataclass(frozen=True)
class Signs:
    """Characters of bars and timeline; some terminals have only ASCII."""

    full: str
    empty: str
    silence: str

    @classmethod
    def of(cls, console: Console) -> "Signs":
        """Choose them by the terminal's encoding."""
        is_unicode = console.encoding.lower().startswith("utf")
        return cls("━", "─", "·") if is_unicode else cls("#", "-", ".")


@dataclass(frozen=True)
class Status:
    """Contents of the view besides decisions."""

    source: str
    now: "Now"
    lost: str  # "" if nothing was dropped
    note: str  # a problem, such as a device that is gone


class View:
    """Draws on a terminal, only when `show` is called; the labels in the order given."""

    def __init__(self, labels: Sequence[str], console: Console) -> None:
        self._colours = colours_of(labels)
        self._width = 1 + max(_NAME, *(min(len(label), _LONGEST) for label in labels), 0)
        self._signs = Signs.of(console)
        self._console = console
        self._latest: Prediction | None = None
        self._levels: deque[str] = deque(maxlen=_AGREED)
        self._cells: dict[int, tuple[str, bool]] = {}
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> "View":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def add(self, prediction: "Prediction") -> None:
        """Add a decision; a final one replaces the interim ones of its time."""
        self._latest = prediction
        self._levels.append(prediction.level)
        last = max(0, int((prediction.end - 1e-6) / CELL_S))
        first = int(prediction.start / CELL_S) if prediction.final else last
        for cell in range(first, last + 1):
            self._cells[cell] = prediction.label, prediction.certain
        for cell in [cell for cell in self._cells if cell < last - _KEPT_CELLS]:
            del self._cells[cell]

    def show(self, status: Status) -> None:
        """Redraw everything."""
        self._live.update(self.drawn(status), refresh=True)

    def drawn(self, status: Status) -> Group:
        """Return the contents of the view."""
        width = min(self._console.width, _MAX_WIDTH)
        lines = [
            self._head(status, width),
            self._level(status.now),
            Text(),
            self._verdict(status.now),
            *self._bars(),
            Text(),
            *self._timeline(status.now.seconds, width),
            self._foot(status),
        ]
        for line in lines:
            line.truncate(width)
        return Group(*lines)

    def _foot(self, status: Status) -> Text:
        """Tell a problem, or what to do about the level where the last decisions agree on it."""
        is_agreed = len(self._levels) == _AGREED and len(set(self._levels)) == 1
        note = status.note or "".join(advice(self._levels) if is_agreed else [])
        if note:
            return Text(note, "bold yellow")
        return Text(f"{status.now.heard_s:.0f} s of this voice heard; Ctrl-C ends", "dim")

    def _head(self, status: Status, width: int) -> Text:
        right = Text(status.lost or "nothing dropped", "bold red" if status.lost else "dim")
        left = Text.assemble((clock(status.now.seconds), "bold"), "  ", status.source)
        left.truncate(max(1, width - len(right) - 2))
        left.pad_right(max(0, width - len(left) - len(right)))
        return left + right

    def _level(self, now: "Now") -> Text:
        db = max(_LOWEST_DB, now.level_db)
        colour = "red" if db > _CLIPPED_DB else "yellow" if db > _LOUD_DB else "green"
        figure = f"{now.level_db:4.0f} dB" if now.level_db > _LOWEST_DB else " silent"
        state = "speech" if now.speaking else ""
        return self._line("level", 1 - db / _LOWEST_DB, colour, figure, state)

    def _verdict(self, now: "Now") -> Text:
        latest = self._latest
        if latest is None:
            return Text("listening for speech", "dim")
        text = f"{latest.label} {latest.score:.0%}"
        if not latest.certain:
            text = f"uncertain (perhaps {latest.label}, {latest.score:.0%})"
        style = Style(bold=latest.certain, italic=not latest.certain, dim=not now.speaking)
        return Text(text if now.speaking else f"{text}, until {clock(latest.end)}", style)

    def _bars(self) -> Iterator[Text]:
        scores = self._latest.scores if self._latest else {}
        for label, colour in self._colours.items():
            score = scores.get(label, 0.0)
            yield self._line(label, score, colour, f"{score:4.0%}" if scores else "")

    def _line(self, name: str, share: float, colour: str, figure: str, state: str = "") -> Text:
        n_full = round(_BAR * share)
        return Text.assemble(
            f"{name[:_LONGEST]:<{self._width}}",
            (self._signs.full * n_full, colour),
            (self._signs.empty * (_BAR - n_full), "dim"),
            f" {figure}  {state}",
        )

    def _timeline(self, seconds: float, width: int) -> Iterator[Text]:
        """Yield two lines: the emotions, each name written over its time, and the clock."""
        n_past = int(seconds / CELL_S) + 1
        first = max(0, n_past - width)
        line = Text()
        cells = range(first, n_past)
        for decided, run in groupby(cells, self._cells.get):
            n_cells = len(list(run))
            if decided is None:
                line.append(self._signs.silence * n_cells, "dim")
            else:
                label, certain = decided
                word = label if certain else f"?{label}"
                style = (
                    on_colour(self._colours[label]) if certain else Style(dim=True, underline=True)
                )
                line.append(f"{word[:n_cells]:<{n_cells}}", style)
        yield line
        marks = Text()
        for cell in range(first + -first % _MARK_CELLS, n_past, _MARK_CELLS):
            marks.pad_right(cell - first - len(marks))
            marks.append(clock(cell * CELL_S), "dim")
        yield marks


def on_colour(colour: str) -> Style:
    """Return a style with a colour behind black or white, the more readable one."""
    red, green, blue = Color.parse(colour).get_truecolor()
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 128  # luma of ITU-R BT.601
    return Style(color="black" if is_light else "white", bgcolor=colour)


def clock(seconds: float) -> str:
    """Return seconds as a clock shows them: 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
