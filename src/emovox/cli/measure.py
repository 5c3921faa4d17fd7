"""`emovox measure`: pitch, loudness, tempo and pauses of recordings; no emotion."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..tracks import PROSODY_COLUMNS, csv_table, prosody_cells, timestamp
from .console import print_table, progress_bar, say, say_json
from .inputs import Channels, Interruptible, collect_errors, expand, report
from .outputs import check_outputs, write

if TYPE_CHECKING:
    from ..measuring import Measurement
    from ..prosody import Prosody

ProsodyOption = Annotated[
    bool, typer.Option("--prosody", help="Add pitch, loudness, tempo and pauses, measured.")
]
VOICE_COLUMNS = ("pitch", "range", "loudness", "syllables", "pauses")


@dataclass
class _Measured:
    """What was measured of a recording: as a whole, or its segments; `channel` is None for all."""

    file: Path
    rows: "list[tuple[int | None, Measurement]]" = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_read: bool = False  # to its end, or to where it breaks off

    @property
    def is_told(self) -> bool:
        """Whether there is something to tell: a recording read, or what came before an error."""
        return bool(self.rows) or (self.is_read and not self.problems)


def measure(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings, or folders or tables (.csv) of them.")
    ],
    segments: Annotated[
        bool, typer.Option("--segments", help="Measure each segment of speech; for any length.")
    ] = False,
    channels: Annotated[
        Channels,
        typer.Option(help="With --segments: mix the channels, or treat each as a speaker."),
    ] = Channels.MIX,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_out: Annotated[
        Path | None, typer.Option("--csv", metavar="OUT", help="Write a CSV table.")
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Refuse longer recordings, in seconds; default 3600, with --segments no limit.",
        ),
    ] = None,
) -> None:
    """Measure pitch, loudness, tempo and pauses of recordings, without recognising emotion."""
    separate = channels is Channels.SEPARATE
    if separate and not segments:
        raise typer.BadParameter("--channels goes with --segments")
    recordings, errors = expand(files)
    audio_files = [recording.file for recording in recordings]
    check_outputs({"--csv": csv_out}, [*files, *audio_files])
    measured: list[_Measured] = []
    with Interruptible() as work, progress_bar("measuring") as on_progress:
        for done, file in enumerate(audio_files, start=1):
            measured.append(_Measured(file))
            _measure(measured[-1], segments, separate, max_seconds)
            on_progress(done, len(audio_files))
    is_written = csv_out is None or write(csv_out, _csv(measured))
    told = [one for one in measured if one.is_told]
    if as_json:
        say_json([_row(one, segments) for one in told])
    elif not (csv_out and is_written):
        _print(told, segments, separate)
    problems = [*errors, *(line for one in measured for line in one.problems)]
    only = len(told) if work.interrupted else None
    code = report(problems, len(audio_files) + len(errors), "measured", only=only)
    raise typer.Exit(code if is_written else max(code, 1))


def _measure(
    measured: _Measured, segments: bool, separate: bool, max_seconds: float | None
) -> None:
    """Measure a recording; what was measured before an error is kept."""
    from ..audio import MAX_SECONDS
    from ..decoding import n_channels
    from ..measuring import measure_recording

    file = measured.file
    with collect_errors(file, measured.problems):
        if segments:
            for channel in range(n_channels(file)) if separate else [None]:
                _measure_channel(measured, channel, max_seconds or math.inf)
        else:
            whole = measure_recording(file, max_seconds=max_seconds or MAX_SECONDS)
            measured.rows.append((None, whole))
        measured.is_read = True
    measured.rows.sort(key=lambda row: (row[1].start, row[0] or 0))


def _measure_channel(measured: _Measured, channel: int | None, max_seconds: float) -> None:
    from ..measuring import measure_segments

    segments = measure_segments(
        measured.file,
        channel=channel,
        without_bleed=channel is not None,
        max_seconds=max_seconds,
    )
    try:
        for segment in segments:
            measured.rows.append((channel, segment))
    finally:
        if segments.broken:
            what = f"{measured.file}: {segments.broken}"
            measured.problems[:] = [f"{what}; the sound before that was measured"]


def _row(measured: _Measured, segments: bool) -> dict[str, Any]:
    """Return what JSON says of a recording."""
    rows = [
        measurement.to_dict() | ({} if channel is None else {"channel": channel})
        for channel, measurement in measured.rows
    ]
    if not segments:
        return {"file": str(measured.file), **rows[0]}
    complete = measured.is_read and not measured.problems
    return {"file": str(measured.file), "complete": complete, "segments": rows}


def _csv(recordings: Sequence[_Measured]) -> str:
    rows = [
        (
            str(measured.file),
            channel or 0,
            measurement.start,
            measurement.end,
            measurement.level,
            *prosody_cells(measurement.prosody),
        )
        for measured in recordings
        for channel, measurement in measured.rows
    ]
    return csv_table(("file", "channel", "start", "end", "level", *PROSODY_COLUMNS), rows)


def _print(recordings: Sequence[_Measured], segments: bool, separate: bool) -> None:
    if not segments:
        rows = [
            (str(one.file), f"{whole.end:.2f}", *voice_cells(whole.prosody))
            for one in recordings
            for _, whole in one.rows
        ]
        if rows:
            print_table("", ("file", "seconds", *VOICE_COLUMNS), rows)
    for one in recordings if segments else ():
        if one.rows:
            header = ("from", "to", *(["channel"] if separate else []), *VOICE_COLUMNS)
            print_table(str(one.file), header, [*_segment_cells(one, separate)])
        else:
            say(f"{one.file}: no speech found")
    _advise(recordings)


def _segment_cells(measured: _Measured, separate: bool) -> Iterator[list[str]]:
    for channel, one in measured.rows:
        place = [timestamp(one.start), timestamp(one.end), *([str(channel)] if separate else [])]
        yield [*place, *voice_cells(one.prosody)]


def _advise(recordings: Sequence[_Measured]) -> None:
    """Say what to do about speech that is too quiet or too loud."""
    from ..loudness import advice

    for line in advice(one.level for measured in recordings for _, one in measured.rows):
        say(line)


def voice_cells(prosody: "Prosody | None") -> list[str]:
    """Return the cells of `VOICE_COLUMNS`, for a person."""
    if prosody is None:
        return [""] * len(VOICE_COLUMNS)
    pitch, spread, tempo = prosody.pitch_hz, prosody.pitch_range_st, prosody.rate_hz
    return [
        "" if pitch is None else f"{pitch:.0f} Hz",
        "" if spread is None else f"{spread:.1f} st",
        f"{prosody.level_db:.1f} dB",
        "" if tempo is None else f"{tempo:.1f}/s",
        f"{prosody.pause_share:.0%}",
    ]
