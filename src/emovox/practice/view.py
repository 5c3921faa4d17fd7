"""The live view of `emovox practice`: a pitch line and a loudness bar, with the target's bands."""

import math
from collections import deque
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ..prosody import Prosody
from .aims import Aim, Wanted
from .cutter import Moment

_SPAN_ST, _STEP_ST = 12, 2  # the pitch plot: semitones around the usual, and in a row
_SPAN_DB = 20.0  # dB around the usual, of the loudness bar
_MAX_WIDTH = 72
_MARGIN = 9  # characters left of plot and bar


class View:
    """Draws on a terminal; what is told stays above what moves."""

    def __init__(self, console: Console) -> None:
        is_unicode = console.encoding.lower().startswith("utf")
        self._dot, self._band, self._bar = "●░━" if is_unicode else "o:#"
        self._console = console
        self._width = min(console.width, _MAX_WIDTH) - _MARGIN
        self._pitches: deque[float | None] = deque(maxlen=max(1, self._width))
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> "View":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, text: str) -> None:
        """Print a line above."""
        self._console.print(Text(text))

    def show(
        self, moment: Moment, task: str, usual: Prosody | None = None, aim: Aim | None = None
    ) -> None:
        """Redraw: without a usual voice, only its making; with it, pitch and loudness."""
        self._live.update(self.drawn(moment, task, usual, aim), refresh=True)

    def drawn(
        self, moment: Moment, task: str, usual: Prosody | None = None, aim: Aim | None = None
    ) -> Group:
        """Return the contents of the view."""
        state = "speaking" if moment.speaking else "listening"
        head = [Text(task, "bold"), Text(f"{state}; {moment.speech_s:.0f} s of speech", "dim")]
        if usual is None or aim is None or usual.pitch_st is None:
            return Group(*head)
        pitch = moment.pitch_st if moment.speaking else None
        self._pitches.append(None if pitch is None else pitch - usual.pitch_st)
        louder = moment.level_db - usual.level_db if moment.speaking else None
        return Group(
            *head,
            *self._plot(aim.wanted.get("pitch")),
            self._loudness(louder, aim.wanted.get("loudness")),
        )

    def _plot(self, wanted: Wanted | None) -> Sequence[Text]:
        """Draw how high the voice was of late, a row for every two semitones."""
        return [self._row(row, wanted) for row in range(_SPAN_ST, -_SPAN_ST - 1, -_STEP_ST)]

    def _row(self, row: int, wanted: Wanted | None) -> Text:
        name = "pitch" if row == _SPAN_ST else "usual" if row == 0 else f"{row:+d} st"
        line = Text(f"{name:>{_MARGIN - 2}}  ")
        is_band = wanted is not None and wanted.low <= row <= wanted.high
        empty = self._band if is_band else "-" if row == 0 else " "
        for pitch in self._padded():
            is_here = pitch is not None and _nearest_row(pitch) == row
            line.append(self._dot if is_here else empty, "bold cyan" if is_here else "dim")
        return line

    def _padded(self) -> Sequence[float | None]:
        """Return the pitches of late, as many as the plot is wide."""
        return [*self._pitches, *[None] * (self._width - len(self._pitches))]

    def _loudness(self, louder: float | None, wanted: Wanted | None) -> Text:
        """Draw how loud the voice is, from 20 dB below the usual to 20 dB above."""
        line = Text(f"{'loudness':>{_MARGIN - 1}} ")
        last = max(1, self._width - 8)
        for cell in range(last + 1):
            db = _SPAN_DB * (2 * cell / last - 1)
            is_full = louder is not None and min(0.0, louder) <= db <= max(0.0, louder)
            is_band = wanted is not None and wanted.low <= db <= wanted.high
            style = ("green" if is_band else "cyan") if is_full else "dim"
            line.append(self._bar if is_full else self._band if is_band else " ", style)
        return line.append("" if louder is None else f" {louder:+.0f} dB", "bold")


def _nearest_row(pitch: float) -> int:
    """Return the row of the plot that a pitch belongs to."""
    row = _STEP_ST * math.floor(pitch / _STEP_ST + 0.5)
    return max(-_SPAN_ST, min(_SPAN_ST, row))
