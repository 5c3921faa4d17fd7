"""`emovox listen`: recognise emotion live, from a microphone or from a file played as one."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import one_line
from .console import as_json as json_text
from .console import counted, print_table, results, say, say_json, warn
from .naming import listed
from .outputs import check_outputs
from .predict import LabelsOption, ModelOption
from .tracks import label

if TYPE_CHECKING:
    from ..live.keeper import Keeper
    from ..live.listener import ListeningThread
    from ..live.session import Decision
    from ..live.source import LiveSource
    from ..recognizer import Recognizer

Show = Callable[[Sequence["Decision"]], None]


@dataclass(frozen=True)
class _Options:
    """The options of a session."""

    speaker: str | None
    learn: bool
    record: Path | None
    log: Path | None
    as_json: bool


def listen(
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The microphone's number, name or part of its name."),
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the microphones and exit.")
    ] = False,
    model: ModelOption = None,
    labels: LabelsOption = None,
    speaker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use and update this speaker's saved baseline."),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the saved baselines of --speaker and exit.")
    ] = False,
    no_learn: Annotated[
        bool, typer.Option("--no-learn", help="Do not update the baseline.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(metavar="OUT.wav", help="Record the sound to a new file.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write the decisions to a new file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per line.")
    ] = False,
    wav: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play a recording instead of a microphone."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0, help="Speed of --wav; 0: as fast as possible."),
    ] = None,
) -> None:
    """Recognise emotion live, from a microphone, until Ctrl-C."""
    _check_usage(device, speaker, forget, wav, speed)
    if forget:
        _forget(str(speaker))
    elif list_devices:
        _show_devices(as_json)
    else:
        from ..live.microphone import Microphone
        from ..live.playback import Playback
        from ..model import find_model
        from ..recognizer import Recognizer

        check_outputs({"--record": record, "--log": log}, [wav, find_model(model)])
        recognizer = Recognizer.load(model).among(listed(labels))
        source = Playback(wav, 1.0 if speed is None else speed) if wav else Microphone(device)
        _listen(recognizer, source, _Options(speaker, not no_learn, record, log, as_json))


def _check_usage(
    device: str | None, speaker: str | None, forget: bool, wav: Path | None, speed: float | None
) -> None:
    if forget and not speaker:
        raise typer.BadParameter("--forget needs --speaker NAME")
    if speaker is not None and not speaker.strip():
        raise typer.BadParameter("expected a name, got an empty --speaker")
    if wav and device is not None:
        raise typer.BadParameter("expected --wav or --device, got both")
    if speed is not None and not wav:
        raise typer.BadParameter("--speed needs --wav FILE")


def _forget(speaker: str) -> None:
    from ..live.speakers import forget, plain_name

    name = plain_name(speaker)
    say(f"forgot {name}" if forget(name) else f"no baseline of {name} is saved")


def _show_devices(as_json: bool) -> None:
    from ..live.microphone import devices, find_device

    inputs = devices()
    if as_json:
        say_json([asdict(device) for device in inputs])
        return
    default = find_device()  # an error if there are no microphones
    rows = [
        (d.name, str(d.index), d.host, str(d.channels), f"{d.rate} Hz", "*" * (d == default))
        for d in inputs
    ]
    print_table("", ("name", "number", "system", "channels", "rate", "default"), rows)


def _listen(recognizer: "Recognizer", source: "LiveSource", options: _Options) -> None:
    from ..live.keeper import Keeper
    from ..live.listener import ListeningThread, follow
    from ..live.session import LiveSession
    from ..live.speakers import recall, speaker_file

    name = options.speaker
    with ExitStack() as ends:
        ends.callback(source.close)
        baseline = recall(name, recognizer) if name else recognizer.new_baseline()
        kept_in = speaker_file(name, recognizer.fingerprint) if name and options.learn else None
        keeper = Keeper(options.record, options.log, kept_in, _json_line, ends)
        session = LiveSession(recognizer, baseline, learn=options.learn)
        listener = ListeningThread(source, session, keeper.record)
        ends.callback(listener.close)
        with _display(listener, keeper, recognizer.labels, options.as_json) as show:
            follow(listener, keeper.keep, show)
    for path in keeper.written:
        warn(f"wrote {path}")
    _print_summary(keeper, listener, options.as_json)
    if keeper.incomplete:
        raise typer.Exit(1)


@contextmanager
def _display(
    listener: "ListeningThread[Decision]", keeper: "Keeper", labels: Sequence[str], as_json: bool
) -> Iterator[Show]:
    """Yield a function that shows decisions: in the view on a terminal, else line by line."""
    if as_json or not sys.stdout.isatty():
        yield _LineByLine(listener, keeper, _json_line if as_json else _text_line)
        return
    from rich.console import Console

    from ..live.view import Status, View

    with View(labels, Console()) as view:

        def show(decisions: Sequence["Decision"]) -> None:
            for decision in decisions:
                view.add(decision.prediction)
            note = listener.problem or "; ".join(map(str, keeper.incomplete))
            name = one_line(listener.source.name)
            view.show(Status(name, listener.now, listener.losses, one_line(note)))

        yield show


class _LineByLine:
    """Prints decisions on stdout as they come, and each problem on stderr, once."""

    def __init__(
        self,
        listener: "ListeningThread[Decision]",
        keeper: "Keeper",
        line: Callable[["Decision"], str],
    ) -> None:
        from ..live.keeper import SessionOutput

        self._listener = listener
        self._keeper = keeper
        self._line = line
        self._out = SessionOutput("standard output", self._print)
        keeper.outputs.append(self._out)
        self._problem = ""
        self._reported: set[str] = set()

    def __call__(self, decisions: Sequence["Decision"]) -> None:
        self._out.write(self._listener.now.seconds, decisions)
        if (problem := self._listener.problem) != self._problem:
            warn(f"emovox: {problem or 'sound is coming in again'}")
            self._problem = problem
        for incomplete in self._keeper.incomplete:
            if incomplete.file not in self._reported:
                warn(f"emovox: {incomplete}; still listening")
                self._reported.add(incomplete.file)

    def _print(self, decisions: Sequence["Decision"]) -> None:
        with results() as out:
            for decision in decisions:
                out.write(self._line(decision))
            out.flush()


def _json_line(decision: "Decision") -> str:
    return json_text(decision.prediction.to_dict()) + "\n"


def _text_line(decision: "Decision") -> str:
    """Return a line to read; interim decisions would be too many."""
    p = decision.prediction
    if not p.final:
        return ""
    from ..loudness import advice

    told = "".join(f"; {line}" for line in advice([p.level]))
    return f"{p.start:8.2f} - {p.end:8.2f} s  {one_line(label(p))} {p.score:.0%}{told}\n"


def _print_summary(keeper: "Keeper", listener: "ListeningThread[Decision]", as_json: bool) -> None:
    totals, source = keeper.totals, listener.source
    if as_json:
        summary: dict[str, Any] = {
            "seconds": round(listener.now.seconds, 3),
            "speech_seconds": round(totals.speech_s, 3),
            "emotions": {label: round(s, 3) for label, s in totals.seconds.items()},
            "segments": totals.n_segments,
            "decisions": totals.n_decisions,
            "dropped_seconds": round(source.dropped_s, 3),
            "overflows": source.n_overflows,
            "gone_seconds": round(source.gone_s, 3),
            "incomplete": [asdict(incomplete) for incomplete in keeper.incomplete],
        }
        say_json({"summary": summary}, indent=None)
        return
    rows = [
        (label, f"{s:.1f}", f"{s / totals.speech_s:.0%}")
        for label, s in sorted(totals.seconds.items(), key=lambda item: -item[1])
    ]
    if rows:
        print_table("", ("emotion", "seconds", "share"), rows)
    say(
        f"listened {listener.now.seconds:.1f} s, speech {totals.speech_s:.1f} s in "
        f"{counted(totals.n_segments, 'segment')}, {counted(totals.n_decisions, 'decision')}, "
        f"{listener.losses or 'nothing dropped'}"
    )
    for incomplete in keeper.incomplete:
        say(f"incomplete: {incomplete}")
