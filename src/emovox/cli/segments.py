"""`emovox predict --segments`: recordings of any length, segment by segment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tracks import segments_table, timestamp
from .console import counted, print_table, progress_bar, say, say_json, warn
from .inputs import Interruptible, collect_errors
from .measure import VOICE_COLUMNS, voice_cells
from .outputs import write
from .tracks import Tracks, label

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer
    from ..turns.turn import TurnAnswer

_MAX_TURNS = 10  # turning points told to a person


@dataclass(frozen=True)
class SegmentOptions:
    """How the segments of recordings are recognised; `separate`: each channel is a speaker."""

    baseline: "Baseline | None"
    separate: bool
    explain: bool
    prosody: bool
    max_seconds: float


@dataclass(frozen=True)
class Outputs:
    """Where results go: files where a path is given; JSON or tables on standard output."""

    as_json: bool
    csv: Path | None
    tracks: Tracks

    def files(self) -> dict[str, Path | None]:
        """Return the files to be written, by their options."""
        return {"--csv": self.csv, **self.tracks.files()}


@dataclass
class Outcome:
    """The segments found in a recording, and the problems that kept it from being read whole."""

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
    recognizer: "Recognizer", files: Sequence[Path], options: SegmentOptions, outputs: Outputs
) -> int:
    """Recognise the segments of recordings, write them as asked, and return the exit code.

    Ctrl-C ends it: what was recognised until then is written.
    """
    outcomes: list[Outcome] = []
    for file in files:
        outcomes.append(_recognise(recognizer, file, options))
        if outcomes[-1].interrupted:
            break
    is_written = _write(outputs, recognizer.labels, outcomes, prosody=options.prosody)
    answered = [outcome for outcome in outcomes if outcome.segments or outcome.is_whole]
    if outputs.as_json:
        say_json([_row(outcome, options.separate) for outcome in outcomes])
    elif is_written and any(outputs.files().values()):
        for outcome in answered:
            for line in _summary_lines(outcome, options.separate):
                warn(f"{outcome.file}: {line}")
    else:
        for outcome in answered:
            _print(outcome, options)
    return max(_report(outcomes, len(files)), 0 if is_written else 1)


def _recognise(recognizer: "Recognizer", file: Path, options: SegmentOptions) -> Outcome:
    """Recognise the segments of a recording; those found before an error are kept."""
    from ..decoding import n_channels

    outcome = Outcome(file)
    with Interruptible() as work, collect_errors(file, outcome.problems):
        if options.separate:
            outcome = replace(outcome, n_channels=n_channels(file))
        for channel in range(outcome.n_channels):
            _recognise_channel(recognizer, outcome, channel, options)
    outcome.interrupted = work.interrupted
    outcome.segments.sort(key=lambda segment: (segment[1].start, segment[0]))
    return outcome


def _recognise_channel(
    recognizer: "Recognizer", outcome: Outcome, channel: int, options: SegmentOptions
) -> None:
    name = outcome.file.name + (f", channel {channel}" if outcome.n_channels > 1 else "")

    segments = recognizer.segments(
        outcome.file,
        baseline=options.baseline,
        channel=channel if options.separate else None,
        without_bleed=options.separate,
        explain=options.explain,
        prosody=options.prosody,
        max_seconds=options.max_seconds,
    )
    try:
        with progress_bar(name) as show:
            for segment in segments:
                outcome.segments.append((channel, segment))
                show(int(segments.seconds), int(segments.duration or segments.seconds))
    finally:
        outcome.seconds = max(outcome.seconds, segments.seconds)
        if segments.broken:
            what = f"{outcome.file}: {segments.broken}"
            outcome.problems[:] = [f"{what}; the sound before that was recognised"]


def _by_channel(outcome: Outcome) -> "Iterator[tuple[int, list[Prediction]]]":
    for channel in range(outcome.n_channels):
        yield channel, [segment for other, segment in outcome.segments if other == channel]


def _row(outcome: Outcome, separate: bool) -> dict[str, Any]:
    from ..prediction import summary_fields

    segments = [
        {**segment.to_dict(), "channel": channel} if separate else segment.to_dict()
        for channel, segment in outcome.segments
    ]
    row: dict[str, Any] = {
        "file": str(outcome.file),
        "seconds": round(outcome.seconds, 4),
        "complete": outcome.is_whole,
        "segments": segments,
    }
    return row | summary_fields(outcome.segments, outcome.n_channels if separate else None)


def _write(
    outputs: Outputs, labels: Sequence[str], outcomes: Sequence[Outcome], *, prosody: bool
) -> bool:
    """Write what was asked for; tell whether all of it could be written."""
    texts: dict[Path, str] = {}
    if outputs.csv:
        texts[outputs.csv] = segments_table(
            labels, [(one.file, one.segments) for one in outcomes], prosody=prosody
        )
    if outcomes:
        first = outcomes[0]
        texts |= outputs.tracks.texts(_answers(first), first.file, first.seconds)
    written = [write(path, text) for path, text in texts.items()]
    return all(written)


def _answers(outcome: Outcome) -> "list[TurnAnswer]":
    """Return the segments as turns, whose speakers are the channels."""
    from ..turns.turn import Turn, TurnAnswer

    return [
        TurnAnswer(
            Turn(
                segment.start,
                segment.end,
                f"channel {channel}" if outcome.n_channels > 1 else "",
            ),
            segment,
        )
        for channel, segment in outcome.segments
    ]


def _print(outcome: Outcome, options: SegmentOptions) -> None:
    """Print the segments and what they come to."""
    separate, voice = options.separate, VOICE_COLUMNS if options.prosody else ()
    header = ("from", "to", *(["channel"] if separate else []), "emotion", "score", *voice)
    rows = [
        (
            timestamp(segment.start),
            timestamp(segment.end),
            *([str(channel)] if separate else []),
            label(segment),
            f"{segment.score:.0%}",
            *(voice_cells(segment.prosody) if voice else ()),
        )
        for channel, segment in outcome.segments
    ]
    predictions = [segment for _, segment in outcome.segments]
    print_predictions(str(outcome.file), header, rows, predictions)
    for line in _summary_lines(outcome, separate):
        say(line)


def print_predictions(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    predictions: "Sequence[Prediction]",
) -> None:
    """Print a table with a row for each prediction; where a level is at fault, it says so."""
    from ..loudness import advice

    faults = [advice([prediction.level]) for prediction in predictions]
    if any(faults):
        header = [*header, "level"]
        rows = [
            [*row, prediction.level if fault else ""]
            for row, prediction, fault in zip(rows, predictions, faults, strict=True)
        ]
    print_table(title, header, rows)
    for line in advice(prediction.level for prediction in predictions):
        say(line)


def _summary_lines(outcome: Outcome, separate: bool) -> "Iterator[str]":
    """Yield lines for a person on what the segments of each speaker come to."""
    for channel, segments in _by_channel(outcome):
        who = f"channel {channel}: " if separate else ""
        if segments:
            yield f"{who}{_shares(segments)}"
            yield f"{who}{_changes(segments)}"
        else:
            yield f"{who}no speech found"


def _shares(segments: "Sequence[Prediction]") -> str:
    from ..prediction import summarise

    summary = summarise(segments)
    best = sorted(summary.shares.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{label} {share:.0%}" for label, share in best if share > 0)
    return f"{summary.speech_seconds:.1f} s of speech: {shares}; uncertain {summary.uncertain:.0%}"


def _changes(segments: "Sequence[Prediction]") -> str:
    """Tell the turning points; of many those between the segments of which the model is surest."""
    from ..prediction import changes

    points = changes(segments)
    surest = sorted(points, key=lambda turn: -min(segment.score for segment in turn))[:_MAX_TURNS]
    listed = ", ".join(
        f"{before.label} to {after.label} at {timestamp(after.start)}"
        for before, after in sorted(surest, key=lambda turn: turn[1].start)
    )
    of_all = f" (the {len(surest)} surest of {len(points)})" if len(points) > len(surest) else ""
    return f"turning points{of_all}: {listed or 'none'}"


def _report(outcomes: Sequence[Outcome], n_files: int) -> int:
    """Say what is not whole, and return the exit code."""
    for outcome in outcomes:
        for problem in outcome.problems:
            warn(f"emovox: {problem}")
    if outcomes and outcomes[-1].interrupted:
        last = outcomes[-1]
        left = n_files - len(outcomes)
        rest = f"; {counted(left, 'more recording')} not begun" if left else ""
        warn(
            f"emovox: interrupted; {last.file} was recognised up to {timestamp(last.seconds)}; "
            f"{counted(len(last.segments), 'segment')} kept{rest}"
        )
        return 130
    return 1 if any(outcome.problems for outcome in outcomes) else 0
