"""`emovox listen`: recognise emotion live, from a microphone or from a file played as one."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import as_json as json_text
from .console import counted, print_table, results, say, say_json, shown, warn
from .outputs import check_outputs
from .predict import ModelOption

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..live.microphone import Chunk
    from ..live.recorder import Incomplete
    from ..live.session import Decision, Listener, Source
    from ..recognizer import Prediction, Recognizer

_WAIT_S = 0.2  # the longest time between two looks at level, clock and device
_DIGITAL_SILENCE_S = 5.0  # nothing but zeros for so long: no microphone is as quiet as that

Show = Callable[[Sequence["Decision"]], None]


@dataclass(frozen=True)
class _Wishes:
    """What is to be done with what is heard."""

    speaker: str | None
    learn: bool
    record: Path | None
    log: Path | None
    as_json: bool


@dataclass
class Totals:
    """What a session came to."""

    seconds: dict[str, float] = field(default_factory=dict)  # of final decisions, by emotion
    n_parts: int = 0  # final decisions
    n_decisions: int = 0

    def add(self, prediction: "Prediction") -> None:
        """Count a decision; only final ones have a time of their own."""
        self.n_decisions += 1
        if prediction.final:
            self.n_parts += 1
            label = prediction.label if prediction.certain else "uncertain"
            length = prediction.end - prediction.start
            self.seconds[label] = self.seconds.get(label, 0.0) + length


def listen(
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Number, name, or part of it.")
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the microphones, and end.")
    ] = False,
    model: ModelOption = None,
    speaker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Keep the baseline of this speaker between runs."),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete what is kept of --speaker, and end.")
    ] = False,
    no_learn: Annotated[
        bool, typer.Option("--no-learn", help="Leave the baseline as it is.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(metavar="OUT.wav", help="Write what is heard to a new file.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write decisions to a new file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    wav: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Play a recording instead of a microphone.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, help="Of --wav; 0: as fast as it can be recognised.")
    ] = None,
) -> None:
    """Recognise emotion live, from a microphone, until Ctrl-C."""
    _check_usage(device, speaker, forget, wav, speed)
    wishes = _Wishes(speaker, not no_learn, record, log, as_json)
    if forget:
        _forget(str(speaker))
    elif list_devices:
        _show_devices(as_json)
    else:
        from ..live.microphone import Microphone, Playback
        from ..model import find_model
        from ..recognizer import Recognizer

        check_outputs({"--record": record, "--log": log}, [wav, find_model(model)])
        recognizer = Recognizer.load(model)
        if wav:
            played = Playback(wav, 1.0 if speed is None else speed)
            _listen(recognizer, played, wishes)
        else:
            with _quiet_libraries():
                _listen(recognizer, Microphone(device), wishes)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep Python's stderr, and silence that of PortAudio and ALSA, which write into the view."""
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):  # it is no file, or closed: nothing reaches a terminal
        yield
        return
    number, before = sys.stderr.fileno(), sys.stderr
    with open(own, "w", 1, encoding=before.encoding, errors=before.errors) as sys.stderr:  # noqa: PTH123
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, number)
        os.close(silent)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(own, number)
            sys.stderr = before


def _check_usage(
    device: str | None, speaker: str | None, forget: bool, wav: Path | None, speed: float | None
) -> None:
    if forget and not speaker:
        raise typer.BadParameter("--forget needs --speaker NAME")
    if speaker is not None and not speaker.strip():
        raise typer.BadParameter("expected a name, got an empty --speaker")
    if wav and device is not None:
        raise typer.BadParameter("sound comes from --wav or from --device, not from both")
    if speed is not None and not wav:
        raise typer.BadParameter("--speed goes with --wav; a microphone has its own")


def _forget(speaker: str) -> None:
    from ..live.speakers import forget, plain_name

    name = plain_name(speaker)
    say(f"forgot {name}" if forget(name) else f"nothing is kept of {name}")


def _show_devices(as_json: bool) -> None:
    from ..live.microphone import devices, find_device

    found = devices()
    if as_json:
        say_json([device.to_dict() for device in found])
        return
    default = find_device()  # an error where there is none
    rows = [
        (d.name, str(d.index), d.host, str(d.n_channels), f"{d.rate} Hz", "*" * (d == default))
        for d in found
    ]
    print_table("", ("name", "number", "system", "channels", "rate", "default"), rows)


class _Keeper:
    """Counts what was decided, and keeps what is wished for in files.

    Parameters
    ----------
    wishes : _Wishes
    speaker : Path or None
        Where the baseline is kept.
    ends : ExitStack
        Closes the files.
    """

    def __init__(self, wishes: _Wishes, speaker: Path | None, ends: ExitStack) -> None:
        from ..live.recorder import Kept, Record, append, create_log

        self.totals = Totals()
        self.recording = Record(wishes.record) if wishes.record else None
        self.log_path = wishes.log
        self.files: list[Kept] = []
        self._log = self._record = self._speaker = None
        if self.recording:
            self._record = Kept(str(wishes.record), self.recording.write, self.recording.close)
            ends.callback(self._record.close)
            self.files.append(self._record)
        if wishes.log:
            log = ends.enter_context(create_log(wishes.log))
            self._log = Kept(str(wishes.log), partial(append, log))
            self.files.append(self._log)
        if speaker:
            self._speaker = Kept(str(speaker), partial(_save, path=speaker), again=True)
            self.files.append(self._speaker)

    def record(self, chunk: "Chunk") -> None:
        """Keep a chunk of sound; called from the recogniser's thread."""
        if self._record:
            self._record.write(chunk.end, chunk)

    def keep(self, decision: "Decision") -> None:
        """Count and keep a decision."""
        prediction = decision.prediction
        self.totals.add(prediction)
        if self._log:
            self._log.write(prediction.end, _json_line(decision).encode())
        if self._speaker and prediction.final:
            self._speaker.write(prediction.end, decision.baseline)

    @property
    def written(self) -> list[Path]:
        """The files written, but for the baseline."""
        return [*([self.log_path] if self.log_path else []),
                *(self.recording.paths if self.recording else [])]  # fmt: skip

    @property
    def incomplete(self) -> "list[Incomplete]":
        """What could not be written."""
        return [one.incomplete for one in self.files if one.incomplete]


def _save(baseline: "Baseline", path: Path) -> None:
    baseline.save(path)


def _listen(recognizer: "Recognizer", source: "Source", wishes: _Wishes) -> None:
    from ..live.session import Listener, Session
    from ..live.speakers import recall, speaker_file

    name = wishes.speaker
    with ExitStack() as ends:
        ends.callback(source.close)
        baseline = recall(name, recognizer) if name else recognizer.new_baseline()
        speaker = speaker_file(name, recognizer.fingerprint) if name and wishes.learn else None
        keeper = _Keeper(wishes, speaker, ends)
        session = Session(recognizer, baseline, learn=wishes.learn)
        listener = Listener(source, session, keeper.record)
        ends.callback(listener.close)
        with (
            _ended_by_signals(listener.stop),
            _shown(listener, keeper, recognizer.labels, wishes.as_json) as show,
        ):
            listener.start()
            _follow(listener, keeper.keep, show)
    for path in keeper.written:
        warn(f"wrote {path}")
    _print_summary(keeper, listener, wishes.as_json)
    if keeper.incomplete:
        raise typer.Exit(1)


def _follow(listener: "Listener", keep: Callable[["Decision"], None], show: Show) -> None:
    """Keep and show decisions until the last one."""
    try:
        while (decisions := listener.take(_WAIT_S)) is not None:
            for decision in decisions:
                keep(decision)
            show(decisions)
    except BrokenPipeError:  # nobody reads any more, but what is kept shall be whole
        listener.stop()
        while (decisions := listener.take(_WAIT_S)) is not None:
            for decision in decisions:
                keep(decision)
        raise


@contextmanager
def _ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM; a second one interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _shown(
    listener: "Listener", keeper: _Keeper, labels: Sequence[str], as_json: bool
) -> Iterator[Show]:
    """Give what shows decisions: the view on a terminal, else a line each."""
    if as_json or not sys.stdout.isatty():
        yield _LineByLine(listener, keeper, _json_line if as_json else _text_line)
        return
    from rich.console import Console

    from ..live.view import Status, View

    with View(labels, Console()) as view:

        def show(decisions: Sequence["Decision"]) -> None:
            for decision in decisions:
                view.add(decision.prediction)
            note = _note(listener) or "; ".join(map(str, keeper.incomplete))
            name = shown(listener.source.name)
            view.show(Status(name, listener.now, _lost(listener), shown(note)))

        yield show


class _LineByLine:
    """Prints decisions as they come; what the user should know goes to stderr, once."""

    def __init__(
        self, listener: "Listener", keeper: _Keeper, line: Callable[["Decision"], str]
    ) -> None:
        from ..live.recorder import Kept

        self._listener = listener
        self._keeper = keeper
        self._line = line
        self._out = Kept("standard output", self._print)
        keeper.files.append(self._out)
        self._note = ""
        self._told: set[str] = set()

    def __call__(self, decisions: Sequence["Decision"]) -> None:
        self._out.write(self._listener.now.seconds, decisions)
        if (note := _note(self._listener)) != self._note:
            warn(f"emovox: {note or 'it is back'}")
            self._note = note
        for one in self._keeper.incomplete:
            if one.file not in self._told:
                warn(f"emovox: {one}; listening goes on")
                self._told.add(one.file)

    def _print(self, decisions: Sequence["Decision"]) -> None:
        with results() as out:
            for decision in decisions:
                out.write(self._line(decision))
            out.flush()


def _json_line(decision: "Decision") -> str:
    return json_text(decision.prediction.to_dict()) + "\n"


def _text_line(decision: "Decision") -> str:
    """Return a line for a person; interim decisions would be too many."""
    p = decision.prediction
    if not p.final:
        return ""
    label = p.label if p.certain else f"{p.label} (uncertain)"
    return f"{p.start:8.2f} - {p.end:8.2f} s  {shown(label)} {p.score:.0%}\n"


def _note(listener: "Listener") -> str:
    if listener.source.waiting:
        return listener.source.waiting
    if listener.now.silent_s >= _DIGITAL_SILENCE_S:
        return (
            f"only digital silence comes from {listener.source.name}: "
            "is it muted, or may this program not use it?"
        )
    return ""


def _lost(listener: "Listener") -> str:
    """Say how much sound was lost; "" where none was."""
    dropped_s, n_overflows = listener.source.dropped_s, listener.source.n_overflows
    parts = [f"{dropped_s:.1f} s dropped"] if dropped_s else []
    if n_overflows:
        losses = "loss" if n_overflows == 1 else "losses"
        parts.append(f"{n_overflows:,} {losses} in the sound card")
    if listener.source.gone_s:
        parts.append(f"{listener.source.gone_s:.1f} s without the device")
    return ", ".join(parts)


def _print_summary(keeper: _Keeper, listener: "Listener", as_json: bool) -> None:
    totals = keeper.totals
    speech_s = sum(totals.seconds.values())
    if as_json:
        summary: dict[str, Any] = {
            "seconds": round(listener.now.seconds, 3),
            "speech_seconds": round(speech_s, 3),
            "emotions": {label: round(s, 3) for label, s in totals.seconds.items()},
            "parts": totals.n_parts,
            "decisions": totals.n_decisions,
            "dropped_seconds": round(listener.source.dropped_s, 3),
            "overflows": listener.source.n_overflows,
            "gone_seconds": round(listener.source.gone_s, 3),
            "incomplete": [one.to_dict() for one in keeper.incomplete],
        }
        say_json({"summary": summary}, indent=None)
        return
    rows = [
        (label, f"{s:.1f}", f"{s / speech_s:.0%}")
        for label, s in sorted(totals.seconds.items(), key=lambda item: -item[1])
    ]
    if rows:
        print_table("", ("emotion", "seconds", "share"), rows)
    told = f"{counted(totals.n_parts, 'part')}, {counted(totals.n_decisions, 'decision')}"
    lost = _lost(listener) or "nothing dropped"
    say(f"listened {listener.now.seconds:.1f} s, speech {speech_s:.1f} s in {told}, {lost}")
    for one in keeper.incomplete:
        say(f"incomplete: {one}")
