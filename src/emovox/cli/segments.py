"""`emovox predict --segments`: recordings of any length, segment by segment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tracks import audacity, segments_table, timestamp, vtt
from .console import counted, print_table, progress_bar, say, say_json, warn
from .inputs import Interruptible, told_apart
from .outputs import write

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer

_MOST_TURNS = 10  # turning points told to a person


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

    def files(self) -> dict[str, Path | None]:
        """Return the files to be written, by their options."""
        return {"--csv": self.csv, "--vtt": self.vtt, "--audacity": self.audacity}


@dataclass
class Heard:
    """A recording and the segments found in it so far; why it is not whole, where it is not."""

    file: Path
    n_channels: int = 1
    segments: "list[tuple[int, Prediction]]" = field(default_factory=list)  # with their channels
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the recording was heard to its end."""
        return not self.problems and not self.interrupted


def predict_segments(
    recognizer: "Recognizer", files: Sequence[Path], listening: Listening, outputs: Outputs
) -> int:
    """Recognise the segments of recordings, write them as asked, and return the exit code.

    Ctrl-C ends it: what was recognised until then is written.
    """
    heard: list[Heard] = []
    for file in files:
        heard.append(_listen(recognizer, file, listening))
        if heard[-1].interrupted:
            break
    is_written = _write(outputs, recognizer.labels, heard)
    answered = [one for one in heard if one.segments or one.is_whole]
    if outputs.as_json:
        say_json([_row(one, listening.separate) for one in heard])
    elif is_written and any(outputs.files().values()):
        for one in answered:
            for line in _summary_lines(one, listening.separate):
                warn(f"{one.file}: {line}")
    else:
        for one in answered:
            _print(one, listening.separate)
    return max(_report(heard, len(files)), 0 if is_written else 1)


def _listen(recognizer: "Recognizer", file: Path, listening: Listening) -> Heard:
    """Recognise the segments of one recording; whatever goes wrong, what was found is kept."""
    from ..decoding import n_channels

    heard = Heard(file)
    with Interruptible() as work, told_apart(file, heard.problems):
        if listening.separate:
            heard = replace(heard, n_channels=n_channels(file))
        for channel in range(heard.n_channels):
            _listen_to_channel(recognizer, heard, channel, listening)
    heard.interrupted = work.interrupted
    heard.segments.sort(key=lambda segment: (segment[1].start, segment[0]))
    return heard


def _listen_to_channel(
    recognizer: "Recognizer", heard: Heard, channel: int, listening: Listening
) -> None:
    name = heard.file.name + (f", channel {channel}" if heard.n_channels > 1 else "")

    segments = recognizer.segments(
        heard.file,
        baseline=listening.baseline,
        channel=channel if listening.separate else None,
        explain=listening.explain,
        max_seconds=listening.max_seconds,
    )
    try:
        with progress_bar(name) as show:
            for segment in segments:
                heard.segments.append((channel, segment))
                show(int(segments.seconds), int(segments.duration or segments.seconds))
    finally:
        heard.seconds = max(heard.seconds, segments.seconds)
        if segments.broken:
            what = f"{heard.file}: {segments.broken}"
            heard.problems[:] = [f"{what}; the sound before that is answered"]


def _by_channel(heard: Heard) -> "Iterator[tuple[int, list[Prediction]]]":
    for channel in range(heard.n_channels):
        yield channel, [segment for one, segment in heard.segments if one == channel]


def _row(heard: Heard, separate: bool) -> dict[str, Any]:
    from ..prediction import summary_fields

    segments = [
        {**segment.to_dict(), "channel": channel} if separate else segment.to_dict()
        for channel, segment in heard.segments
    ]
    row: dict[str, Any] = {
        "file": str(heard.file),
        "seconds": round(heard.seconds, 4),
        "complete": heard.is_whole,
        "segments": segments,
    }
    return row | summary_fields(heard.segments, heard.n_channels if separate else None)


def _write(outputs: Outputs, labels: Sequence[str], heard: Sequence[Heard]) -> bool:
    """Write what was asked for; tell whether all of it could be written."""
    texts: dict[Path, str] = {}
    if outputs.csv:
        texts[outputs.csv] = segments_table(labels, [(one.file, one.segments) for one in heard])
    if outputs.vtt and heard:
        texts[outputs.vtt] = vtt(heard[0].segments, heard[0].n_channels)
    if outputs.audacity and heard:
        texts[outputs.audacity] = audacity(heard[0].segments, heard[0].n_channels)
    written = [write(path, text) for path, text in texts.items()]
    return all(written)


def _print(heard: Heard, separate: bool) -> None:
    """Print the segments and what they come to."""
    header = ("from", "to", *(["channel"] if separate else []), "emotion", "score")
    rows = [
        (
            timestamp(segment.start),
            timestamp(segment.end),
            *([str(channel)] if separate else []),
            segment.label if segment.certain else f"{segment.label} (uncertain)",
            f"{segment.score:.0%}",
        )
        for channel, segment in heard.segments
    ]
    print_table(str(heard.file), header, rows)
    for line in _summary_lines(heard, separate):
        say(line)


def _summary_lines(heard: Heard, separate: bool) -> "Iterator[str]":
    """Yield lines for a person on what the segments of each speaker come to."""
    for channel, segments in _by_channel(heard):
        who = f"channel {channel}: " if separate else ""
        if segments:
            yield f"{who}{_shares(segments)}"
            yield f"{who}{_turns(segments)}"
        else:
            yield f"{who}no speech found"


def _shares(segments: "Sequence[Prediction]") -> str:
    from ..prediction import summarise

    summary = summarise(segments)
    best = sorted(summary.shares.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{label} {share:.0%}" for label, share in best if share > 0)
    return f"{summary.speech_seconds:.1f} s of speech: {shares}; uncertain {summary.uncertain:.0%}"


def _turns(segments: "Sequence[Prediction]") -> str:
    """Tell the turning points; of many those between the segments of which the model is surest."""
    from ..prediction import turns

    found = turns(segments)
    surest = sorted(found, key=lambda turn: -min(segment.score for segment in turn))[:_MOST_TURNS]
    told = ", ".join(
        f"{before.label} to {after.label} at {timestamp(after.start)}"
        for before, after in sorted(surest, key=lambda turn: turn[1].start)
    )
    of_all = f" (the {len(surest)} surest of {len(found)})" if len(found) > len(surest) else ""
    return f"turning points{of_all}: {told or 'none'}"


def _report(heard: Sequence[Heard], n_files: int) -> int:
    """Say what is not whole, and return the exit code."""
    for one in heard:
        for problem in one.problems:
            warn(f"emovox: {problem}")
    if heard and heard[-1].interrupted:
        last = heard[-1]
        left = n_files - len(heard)
        rest = f"; {counted(left, 'more recording')} not begun" if left else ""
        warn(
            f"emovox: interrupted; {last.file} was heard up to {timestamp(last.seconds)}, "
            f"{counted(len(last.segments), 'segment')} until there kept{rest}"
        )
        return 130
    return 1 if any(one.problems for one in heard) else 0
