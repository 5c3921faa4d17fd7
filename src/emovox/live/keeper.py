"""The outcome of a live session: totals, and outputs that a full disk cannot take down."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EmovoxError
from ..tracks import timestamp
from .recorder import WavRecorder, append, create

if TYPE_CHECKING:
    from ..prediction import Prediction
    from .session import Decision
    from .source import LiveBlock


@dataclass(frozen=True)
class Incomplete:
    """An output that lacks everything after second `since` of the session, and the reason."""

    file: str
    since: float
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}; everything after {timestamp(self.since)} is missing"


class SessionOutput:
    """An output of a session. When it fails, the failure is noted and the session continues.

    A failure is an OSError or EmovoxError of `write` or `close`. An output that grows ends with its
    first failure; where each call of `write` replaces the output, a later one makes up for it.
    """

    def __init__(
        self,
        name: str,
        write: Callable[..., object],
        close: Callable[[], object] = lambda: None,
        *,
        replaces: bool = False,
    ) -> None:
        self.name = name
        self.incomplete: Incomplete | None = None
        self._write, self._close, self._replaces = write, close, replaces
        self._since = 0.0

    def write(self, until: float, *arguments: object) -> None:
        """Write the results up to second `until` of the session."""
        if self.incomplete is None or self._replaces:
            self._attempt(self._write, *arguments)
        if self.incomplete is None:
            self._since = round(until, 3)

    def close(self) -> None:
        """End the output."""
        self._attempt(self._close)

    def _attempt(self, action: Callable[..., object], *arguments: object) -> None:
        try:
            action(*arguments)
        except BrokenPipeError:  # the reader has gone, which is not a failure of the output
            raise
        except (OSError, EmovoxError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.incomplete = self.incomplete or Incomplete(self.name, self._since, reason)
        else:
            self.incomplete = None if self._replaces else self.incomplete


@dataclass
class Totals:
    """Counts of a session."""

    seconds: dict[str, float] = field(default_factory=dict)  # of final decisions, by emotion
    n_segments: int = 0  # final decisions
    n_decisions: int = 0

    @property
    def speech_s(self) -> float:
        """Seconds of speech with a final decision."""
        return sum(self.seconds.values())

    def add(self, prediction: "Prediction") -> None:
        """Count a decision; the time of an interim one counts with its final one."""
        self.n_decisions += 1
        if prediction.final:
            self.n_segments += 1
            label = prediction.label if prediction.certain else "uncertain"
            length = prediction.end - prediction.start
            self.seconds[label] = self.seconds.get(label, 0.0) + length


class Keeper:
    """Counts the decisions of a session and writes its files, which `ends` closes.

    The sound goes to a new WAV file `record`, and the `line` of each decision to a new file `log`.
    The file `baseline` of the speaker is replaced after each final decision.

    Raises
    ------
    EmovoxError
        If `record` or `log` exists.
    OSError
        If one of them cannot be created.
    """

    def __init__(
        self,
        record: Path | None,
        log: Path | None,
        baseline: Path | None,
        line: "Callable[[Decision], str]",
        ends: ExitStack,
    ) -> None:
        self.totals = Totals()
        self.outputs: list[SessionOutput] = []
        self._line = line
        self._recorder = self._record = self._log = self._baseline = None
        self._log_path = log
        if record:
            self._recorder = WavRecorder(record)
            self._record = self._output(record, self._recorder.write, self._recorder.close)
            ends.callback(self._record.close)
        if log:
            self._log = self._output(log, partial(append, ends.enter_context(create(log))))
        if baseline:
            self._baseline = self._output(
                baseline, lambda learned: learned.save(baseline), replaces=True
            )

    def record(self, block: "LiveBlock") -> None:
        """Keep a block of sound; called from the recognizer's thread."""
        if self._record:
            self._record.write(block.end, block)

    def keep(self, decision: "Decision") -> None:
        """Count and keep a decision."""
        prediction = decision.prediction
        self.totals.add(prediction)
        if self._log:
            self._log.write(prediction.end, self._line(decision).encode())
        if self._baseline and prediction.final:
            self._baseline.write(prediction.end, decision.baseline)

    @property
    def written(self) -> list[Path]:
        """The log and the recordings."""
        recordings = self._recorder.paths if self._recorder else []
        return [*([self._log_path] if self._log_path else []), *recordings]

    @property
    def incomplete(self) -> list[Incomplete]:
        """The outputs that could not be written to the end."""
        return [output.incomplete for output in self.outputs if output.incomplete]

    def _output(self, path: Path, *actions: Any, **options: Any) -> SessionOutput:
        self.outputs.append(SessionOutput(str(path), *actions, **options))
        return self.outputs[-1]
