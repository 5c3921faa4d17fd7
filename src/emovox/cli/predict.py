"""`emovox predict`: recognise recordings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..tracks import (
    JUDGED_COLUMNS,
    PROSODY_COLUMNS,
    csv_table,
    judged_cells,
    prosody_cells,
    score_cells,
    score_columns,
)
from .console import progress_bar, say_json, warn
from .inputs import Channels, Interruptible, Recording, collect_errors, expand, report
from .measure import VOICE_COLUMNS, ProsodyOption, voice_cells
from .outputs import check_outputs, write
from .segments import Outputs, SegmentOptions, predict_segments, print_predictions

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or the name of one that comes with emovox."),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Refuse longer recordings, in seconds; default 3600, with --segments no limit.",
    ),
]


@dataclass(frozen=True)
class _Answer:
    """A file with its prediction."""

    file: Path
    prediction: "Prediction"
    baseline: str  # "none", "file" or "speaker"


@dataclass(frozen=True)
class _Task:
    """How recordings are recognised."""

    recognizer: "Recognizer"
    own: "Baseline | None"  # of the one speaker of all recordings
    max_seconds: float
    explain: bool
    prosody: bool


def predict(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings, or folders or tables (.csv) of them.")
    ],
    model: ModelOption = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="JSON", help="The speaker's baseline, from enrol.")
    ] = None,
    speaker_by: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Learn each speaker's baseline first: 'folder', or a column of the tables.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_out: Annotated[
        Path | None, typer.Option("--csv", metavar="OUT", help="Write a CSV table.")
    ] = None,
    max_seconds: MaxSeconds = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the moments that carried each answer.")
    ] = False,
    prosody: ProsodyOption = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="Recognise each segment of speech; for any length.")
    ] = False,
    channels: Annotated[
        Channels,
        typer.Option(help="With --segments: mix the channels, or treat each as a speaker."),
    ] = Channels.MIX,
    vtt: Annotated[
        Path | None, typer.Option(metavar="OUT", help="With --segments: write WebVTT subtitles.")
    ] = None,
    audacity: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="With --segments: write a label track for Audacity."),
    ] = None,
) -> None:
    """Recognise the emotion in recordings."""
    from ..audio import MAX_SECONDS
    from ..model import find_model

    _check_speakers(baseline, speaker_by)
    _check_segments(segments, speaker_by, channels, (vtt, audacity))
    recordings, errors = expand(files, speaker_by)
    if len(recordings) > 1 and (vtt or audacity):
        raise typer.BadParameter("--vtt and --audacity take one recording")
    audio_files = [recording.file for recording in recordings]
    outputs = Outputs(as_json, csv_out, vtt, audacity)
    check_outputs(outputs.files(), [*files, *audio_files, baseline, find_model(model)])
    if max_seconds is None:
        max_seconds = math.inf if segments else MAX_SECONDS
    task = _Task(*_open(model, baseline), max_seconds, explain, prosody)
    if segments:
        separate = channels is Channels.SEPARATE
        options = SegmentOptions(task.own, separate, explain, prosody, max_seconds)
        code = predict_segments(task.recognizer, audio_files, options, outputs)
        raise typer.Exit(max(code, report(errors, 1, "recognised")))
    raise typer.Exit(_predict(task, recordings, errors, outputs))


def _check_speakers(baseline: Path | None, speaker_by: str | None) -> None:
    if baseline and speaker_by is not None:
        raise typer.BadParameter("--baseline is for one speaker; use it or --speaker-by, not both")


def _check_segments(
    segments: bool, speaker_by: str | None, channels: Channels, tracks: Sequence[Path | None]
) -> None:
    """Refuse options that do not go together."""
    if not segments and (any(tracks) or channels is Channels.SEPARATE):
        raise typer.BadParameter("--vtt, --audacity and --channels go with --segments")
    if segments and speaker_by is not None:
        raise typer.BadParameter(
            "--segments learns the baseline along each recording; leave out --speaker-by"
        )


def _open(model: str | None, baseline: Path | None) -> "tuple[Recognizer, Baseline | None]":
    """Open the model and the baseline, which must go together."""
    from ..baseline import Baseline
    from ..recognizer import Recognizer

    recognizer = Recognizer.load(model)
    if recognizer.card.caution:
        warn(f"emovox: {recognizer.card.caution}")
    own = Baseline.load(baseline) if baseline else None
    if own:
        recognizer.check_baseline(own)
    return recognizer, own


def _predict(
    task: _Task, recordings: Sequence[Recording], errors: list[str], outputs: Outputs
) -> int:
    """Recognise recordings as a whole, one after the other, and return the exit code.

    Ctrl-C ends it: what was recognised until then is written and printed.
    """
    n_all = len(recordings) + len(errors)
    answers: list[_Answer] = []
    with Interruptible() as work:
        learned = _learn(task, recordings)
        with progress_bar("recognising") as on_progress:
            for done, recording in enumerate(recordings, start=1):
                with collect_errors(recording.file, errors):
                    answers.append(_answer(task, recording, learned.get(recording.speaker)))
                on_progress(done, len(recordings))
    is_written = _show(task, answers, outputs)
    code = report(errors, n_all, "recognised", only=len(answers) if work.interrupted else None)
    return code if is_written else max(code, 1)


def _learn(task: _Task, recordings: Sequence[Recording]) -> dict[str, "Baseline"]:
    """Learn the baseline of each speaker that is told, from all its recordings in their order."""
    learned: dict[str, Baseline] = {}
    named = [recording for recording in dict.fromkeys(recordings) if recording.speaker]
    if not named:
        return learned
    with progress_bar("listening") as on_progress:
        for done, recording in enumerate(named, start=1):
            speaker = recording.speaker
            before = learned.get(speaker) or task.recognizer.new_baseline(speaker)
            with collect_errors(recording.file, []):  # the second pass reports it
                _, learned[speaker] = task.recognizer.predict_and_learn(
                    recording.file, baseline=before, max_seconds=task.max_seconds
                )
            on_progress(done, len(named))
    return learned


def _answer(task: _Task, recording: Recording, learned: "Baseline | None") -> _Answer:
    prediction = task.recognizer.predict(
        recording.file,
        baseline=task.own or learned,
        explain=task.explain,
        prosody=task.prosody,
        max_seconds=task.max_seconds,
    )
    origin = "file" if task.own else "speaker" if learned else "none"
    return _Answer(recording.file, prediction, origin)


def _show(task: _Task, answers: Sequence[_Answer], outputs: Outputs) -> bool:
    """Write and print answers as asked, and print them if they cannot be written; tell whether."""
    is_written = outputs.csv is None or write(outputs.csv, _csv(task, answers))
    if outputs.as_json:
        say_json([_row(answer) for answer in answers])
    elif answers and not (outputs.csv and is_written):
        _print_answers(task, answers)
    return is_written


def _row(answer: _Answer) -> dict[str, Any]:
    return {
        "file": str(answer.file),
        **answer.prediction.to_dict(),
        "baseline": answer.baseline,
    }


def _print_answers(task: _Task, answers: Sequence[_Answer]) -> None:
    asked = (*(["carried by"] if task.explain else []), *(VOICE_COLUMNS if task.prosody else ()))
    header = ("file", "emotion", "score", "next", "seconds", *asked)
    predictions = [answer.prediction for answer in answers]
    print_predictions("", header, [_cells(answer) for answer in answers], predictions)


def _cells(answer: _Answer) -> list[str]:
    p = answer.prediction
    return [
        str(answer.file),
        p.label if p.certain else f"{p.label} (uncertain)",
        f"{p.score:.0%}",
        ", ".join(f"{item['label']} {item['score']:.0%}" for item in p.to_list()[1:3]),
        f"{p.end:.2f}",
        *([_carried(p)] if p.moments else []),
        *(voice_cells(p.prosody) if p.prosody else []),
    ]


def _carried(prediction: "Prediction") -> str:
    """Say which quarter second carried an answer most."""
    moment = max(prediction.moments or (), key=lambda moment: moment.weight)
    return f"{moment.start:.2f} to {moment.end:.2f} s ({moment.weight:+.0%})"


def _csv(task: _Task, answers: Sequence[_Answer]) -> str:
    labels, voice = task.recognizer.labels, PROSODY_COLUMNS if task.prosody else ()
    header = ("file", "label", "score", *score_columns(labels), "start", "end")
    rows: list[tuple[object, ...]] = []
    for answer in answers:
        p = answer.prediction
        first = (str(answer.file), p.label, f"{p.score:.6f}", *score_cells(labels, p))
        measured = prosody_cells(p.prosody) if task.prosody else ()
        rows.append((*first, p.start, p.end, *judged_cells(p), answer.baseline, *measured))
    return csv_table((*header, *JUDGED_COLUMNS, "baseline", *voice), rows)
