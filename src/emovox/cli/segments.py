"""`emovox predict --segments`: recordings of any length, part by part."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import print_table, progress_bar, say, warn
from .tracks import audacity, clock, csv_table, vtt

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer


@dataclass(frozen=True)
class Listening:
    """How recordings are listened to: `channel` is None for the mean of all."""

    baseline: "Baseline | None"
    separate: bool
    explain: bool
    max_seconds: float


@dataclass(frozen=True)
class Outputs:
    """Where results go: files where a path is given; JSON or tables on standard output."""

    as_json: bool
    csv: Path | None
    vtt: Path | None
    audacity: Path | None


@dataclass
class Heard:
    """A recording and the parts found in it so far; why it is not whole, where it is not."""

    file: Path
    n_channels: int = 1
    parts: "list[tuple[int, Prediction]]" = field(default_factory=list)  # with their channels
    seconds: float = 0.0
    problem: str = ""
    interrupted: bool = False


def predict_segments(
    recognizer: "Recognizer", files: Sequence[Path], listening: Listening, outputs: Outputs
) -> int:
    """Recognise the parts of recordings, write them as asked, and return the exit code.

    Ctrl-C ends it: what was recognised until then is written.
    """
    heard: list[Heard] = []
    for file in files:
        heard.append(_listen(recognizer, file, listening))
        if heard[-1].interrupted:
            break
    _write(outputs, recognizer.labels, heard)
    if outputs.as_json:
        found = [_row(one, listening.separate) for one in heard]
        say(json.dumps(found, ensure_ascii=False, indent=2))
    elif not (outputs.csv or outputs.vtt or outputs.audacity):
        for one in heard:
            _print(one, listening.separate)
    return _report(heard, len(files))


def _listen(recognizer: "Recognizer", file: Path, listening: Listening) -> Heard:
    """Recognise the parts of one recording; whatever goes wrong, what was found is kept."""
    from ..blocks import n_channels
    from ..errors import AudioError

    heard = Heard(file)
    try:
        if listening.separate:
            heard = replace(heard, n_channels=n_channels(file))
        for channel in range(heard.n_channels):
            _listen_to_channel(recognizer, heard, channel, listening)
    except AudioError as error:
        text = str(error)
        heard.problem = text if text.startswith(str(file)) else f"{file}: {text}"
    except KeyboardInterrupt:
        heard.interrupted = True
    heard.parts.sort(key=lambda part: (part[1].start, part[0]))
    return heard


def _listen_to_channel(
    recognizer: "Recognizer", heard: Heard, channel: int, listening: Listening
) -> None:
    name = heard.file.name + (f", channel {channel}" if heard.n_channels > 1 else "")

    with progress_bar(name) as show:

        def on_progress(done: float, whole: float) -> None:
            heard.seconds = max(heard.seconds, done)
            show(int(done), int(whole))

        def on_broken(problem: str) -> None:
            heard.problem = f"{problem}; what comes before is answered"

        parts = recognizer.iter_segments(
            heard.file,
            baseline=listening.baseline,
            channel=channel if listening.separate else None,
            explain=listening.explain,
            max_seconds=listening.max_seconds,
            on_progress=on_progress,
            on_broken=on_broken,
        )
        for part in parts:
            heard.parts.append((channel, part))


def _by_channel(heard: Heard) -> "Iterator[tuple[int, list[Prediction]]]":
    for channel in range(heard.n_channels):
        yield channel, [part for one, part in heard.parts if one == channel]


def _row(heard: Heard, separate: bool) -> dict[str, Any]:
    from ..summary import summary_fields

    segments = [
        {**part.to_dict(), "channel": channel} if separate else part.to_dict()
        for channel, part in heard.parts
    ]
    row: dict[str, Any] = {
        "file": str(heard.file),
        "seconds": round(heard.seconds, 4),
        "complete": not heard.problem and not heard.interrupted,
        "segments": segments,
    }
    return row | summary_fields(heard.parts, heard.n_channels if separate else None)


def _write(outputs: Outputs, labels: Sequence[str], heard: Sequence[Heard]) -> None:
    from ..files import write_text

    texts: dict[Path, str] = {}
    if outputs.csv:
        texts[outputs.csv] = csv_table(labels, [(one.file, one.parts) for one in heard])
    if outputs.vtt:
        texts[outputs.vtt] = vtt(heard[0].parts, heard[0].n_channels)
    if outputs.audacity:
        texts[outputs.audacity] = audacity(heard[0].parts, heard[0].n_channels)
    for path, text in texts.items():
        write_text(path, text)
        warn(f"wrote {path}")


def _print(heard: Heard, separate: bool) -> None:
    """Print the parts and what they come to."""
    header = ("from", "to", *(["channel"] if separate else []), "emotion", "score")
    rows = [
        (
            clock(part.start),
            clock(part.end),
            *([str(channel)] if separate else []),
            part.label if part.certain else f"{part.label} (uncertain)",
            f"{part.score:.0%}",
        )
        for channel, part in heard.parts
    ]
    print_table(str(heard.file), header, rows)
    for channel, parts in _by_channel(heard):
        who = f"channel {channel}: " if separate else ""
        for line in _summary_lines(parts):
            say(f"{who}{line}")


def _summary_lines(parts: "Sequence[Prediction]") -> list[str]:
    from ..summary import summarise

    if not parts:
        return ["no speech found"]
    summary = summarise(parts)
    best = sorted(summary.shares.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{label} {share:.0%}" for label, share in best if share > 0)
    turns = [
        f"{turn.before} to {turn.after} at {clock(turn.at)}" for turn in summary.turning_points
    ]
    return [
        f"{summary.speech_seconds:.1f} s of speech: {shares}; uncertain {summary.uncertain:.0%}",
        f"turning points: {', '.join(turns) or 'none'}",
    ]


def _report(heard: Sequence[Heard], n_files: int) -> int:
    """Say what is not whole, and return the exit code."""
    for one in heard:
        if one.problem:
            warn(f"emovox: {one.problem}")
    if heard and heard[-1].interrupted:
        last = heard[-1]
        left = n_files - len(heard)
        rest = f"; {left} more recordings were not begun" if left else ""
        warn(
            f"emovox: interrupted; {last.file} was heard up to {clock(last.seconds)}, and its "
            f"{len(last.parts)} parts until there are kept{rest}"
        )
        return 130
    return 1 if any(one.problem for one in heard) else 0
