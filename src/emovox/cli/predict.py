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
from .naming import listed
from .outputs import check_outputs, write
from .segments import Outputs, SegmentOptions, predict_segments, print_predictions
from .tracks import Audacity, Eaf, Rttm, Srt, TextGrid, Tracks, Vtt, label
from .turns import SpeakersOption, TurnOptions, find_speakers, number_of, predict_turns

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer
    from ..turns.turn import Turn

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or the name of one that comes with emovox."),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Refuse longer recordings, in seconds; default 3600, none with --segments or --turns.",
    ),
]


LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="LABEL,LABEL",
        help="Answer with these labels alone, their scores divided by their sum.",
    ),
]
CsvOption = Annotated[Path | None, typer.Option("--csv", metavar="OUT", help="Write a CSV table.")]
TurnsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Recognise the turns in FILE: .rttm, .vtt, .srt, .TextGrid, .eaf, .csv or whisperX's "
        ".json.",
    ),
]
TierOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="With --turns: a tier of the .TextGrid or .eaf to read, again for one more; "
        "default: all.",
    ),
]


@dataclass(frozen=True)
class _Modes:
    """What is recognised: whole recordings, segments, of channels perhaps, or turns."""

    segments: bool
    separate: bool
    turns: Path | None
    tiers: tuple[str, ...]
    speakers: str | None


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
    labels: LabelsOption = None,
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
    csv_out: CsvOption = None,
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
    turns: TurnsOption = None,
    tier: TierOption = None,
    speakers: SpeakersOption = None,
    vtt: Vtt = None,
    srt: Srt = None,
    audacity: Audacity = None,
    rttm: Rttm = None,
    textgrid: TextGrid = None,
    eaf: Eaf = None,
) -> None:
    """Recognise the emotion in recordings."""
    from ..model import find_model

    tracks = Tracks(vtt, srt, audacity, rttm, textgrid, eaf)
    modes = _Modes(segments, channels is Channels.SEPARATE, turns, tuple(tier or ()), speakers)
    _check_options(modes, baseline, speaker_by, tracks)
    recordings, errors = expand(files, speaker_by)
    _check_one(modes, [*recordings, *errors], tracks)
    audio_files = [recording.file for recording in recordings]
    outputs = Outputs(as_json, csv_out, tracks)
    check_outputs(outputs.files(), [*files, *audio_files, turns, baseline, find_model(model)])
    tracks.check_libraries()
    task = _Task(*_open(model, labels, baseline), _limit(modes, max_seconds), explain, prosody)
    given = _read(modes, audio_files, task.max_seconds)
    if given is not None:
        raise typer.Exit(_predict_turns(task, audio_files[0], given, outputs))
    if segments:
        options = SegmentOptions(task.own, modes.separate, explain, prosody, task.max_seconds)
        code = predict_segments(task.recognizer, audio_files, options, outputs)
        raise typer.Exit(max(code, report(errors, 1, "recognised")))
    raise typer.Exit(_predict(task, recordings, errors, outputs))


def _check_options(
    modes: _Modes, baseline: Path | None, speaker_by: str | None, tracks: Tracks
) -> None:
    """Refuse options that do not go together."""
    if baseline and speaker_by is not None:
        raise typer.BadParameter("--baseline is for one speaker; use it or --speaker-by, not both")
    if modes.segments and modes.turns:
        raise typer.BadParameter("--segments finds the speech, --turns tells it; use one of them")
    if modes.separate and not modes.segments:
        raise typer.BadParameter("--channels goes with --segments")
    if modes.speakers:
        number_of(modes.speakers)
        if not modes.segments or modes.separate:
            raise typer.BadParameter("--speakers goes with --segments, and with one channel")
    if modes.tiers and not modes.turns:
        raise typer.BadParameter("--tier goes with --turns")
    asked = [option for option, path in tracks.files().items() if path]
    if asked and not (modes.segments or modes.turns):
        raise typer.BadParameter(f"{asked[0]} goes with --segments or --turns")
    if (modes.segments or modes.turns) and speaker_by is not None:
        option = "--segments" if modes.segments else "--turns"
        raise typer.BadParameter(
            f"{option} learns the baseline along each recording; leave out --speaker-by"
        )


def _check_one(modes: _Modes, given: Sequence[object], tracks: Tracks) -> None:
    """Refuse several recordings where the files to write, or to read, are of one."""
    asked = ["--turns"] if modes.turns else ["--speakers"] if modes.speakers else []
    asked += [option for option, path in tracks.files().items() if path]
    if asked and len(given) != 1:
        raise typer.BadParameter(f"{asked[0]} takes one recording, got {len(given)}")


def _limit(modes: _Modes, max_seconds: float | None) -> float:
    from ..audio import MAX_SECONDS

    if max_seconds is not None:
        return max_seconds
    return math.inf if modes.segments or modes.turns else MAX_SECONDS


def _read(
    modes: _Modes, audio_files: Sequence[Path], max_seconds: float
) -> "Sequence[Turn] | None":
    """Read or find the turns; None where none are to be recognised."""
    from ..turns.reading import read_turns

    if audio_files and modes.speakers:
        return find_speakers(audio_files[0], number_of(modes.speakers), max_seconds)
    if modes.turns is None or not audio_files:
        return None
    return read_turns(modes.turns, tiers=modes.tiers, recording=audio_files[0].name)


def _predict_turns(task: _Task, file: Path, turns: "Sequence[Turn]", outputs: Outputs) -> int:
    asked = TurnOptions(task.own, task.explain, task.prosody, task.max_seconds)
    return predict_turns(task.recognizer, file, turns, asked, outputs)


def _open(
    model: str | None, labels: str | None, baseline: Path | None
) -> "tuple[Recognizer, Baseline | None]":
    """Open the model and the baseline, which must go together."""
    from ..baseline import Baseline
    from ..recognizer import Recognizer

    recognizer = Recognizer.load(model).among(listed(labels))
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
        label(p),
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
