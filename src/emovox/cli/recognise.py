"""`emovox predict` and `emovox info`: recognise recordings; show a model's card."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_table, progress_bar, say, warn
from .recordings import Recording, chunks, expand, read, report_failures
from .segments import Listening, Outputs, predict_segments

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or the name of one that comes with emovox."),
]


class Channels(StrEnum):
    """What is done with the channels of a recording."""

    MIX = "mix"
    SEPARATE = "separate"


@dataclass(frozen=True)
class _Answer:
    """A file with its prediction, or with why there is none."""

    file: Path
    prediction: "Prediction | None"
    baseline: str  # "none", "file" or "speaker"
    error: str = ""


@dataclass(frozen=True)
class _Known:
    """The baselines of the speakers that are known, and where these come from."""

    baselines: "Mapping[str, Baseline]"
    origin: str  # "file" or "speaker"


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
    max_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Refuse longer recordings; default 3600, none with --segments.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell which moments carried each answer.")
    ] = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="Answer each part of speech, however long it takes.")
    ] = False,
    channels: Annotated[
        Channels, typer.Option(help="With --segments: mix, or each channel a speaker.")
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
    from ..baseline import Baseline
    from ..recognizer import Recognizer

    if baseline and speaker_by is not None:
        raise typer.BadParameter("--baseline is of one speaker: give it or --speaker-by, not both")
    _check_segments(segments, speaker_by, channels, (vtt, audacity))
    recognizer = Recognizer.load(model)
    if recognizer.card.caution:
        warn(f"emovox: {recognizer.card.caution}")
    found, errors = expand(files, speaker_by)
    own = Baseline.load(baseline) if baseline else None
    if segments:
        listening = Listening(own, channels is Channels.SEPARATE, explain, max_seconds or math.inf)
        outputs = Outputs(as_json, csv_out, vtt, audacity)
        recordings = [one.file for one in found]
        if len(recordings) > 1 and (vtt or audacity):
            raise typer.BadParameter("--vtt and --audacity are of one recording")
        code = predict_segments(recognizer, recordings, listening, outputs)
        report_failures(errors, len(files), "recognised")
        raise typer.Exit(code)
    limit = max_seconds or MAX_SECONDS
    if own:
        known = _Known({"": own}, "file")
    else:
        known = _Known(_learn(recognizer, found, limit), "speaker")
    answers: list[_Answer] = []
    with progress_bar("recognising") as on_progress:
        for chunk in chunks(found):
            answers += _answer(recognizer, chunk, known, limit, explain)
            on_progress(len(answers), len(found))
    _show(recognizer, answers, as_json, csv_out)
    n_all = len(answers) + len(errors)
    errors += [answer.error for answer in answers if answer.error]
    report_failures(errors, n_all, "recognised")


def _check_segments(
    segments: bool, speaker_by: str | None, channels: Channels, tracks: Sequence[Path | None]
) -> None:
    """Refuse options that do not go together."""
    if not segments and (any(tracks) or channels is Channels.SEPARATE):
        raise typer.BadParameter("--vtt, --audacity and --channels go with --segments")
    if segments and speaker_by is not None:
        raise typer.BadParameter(
            "--segments learns each speaker's baseline along the recording: leave out --speaker-by"
        )


def _show(
    recognizer: "Recognizer", answers: Sequence[_Answer], as_json: bool, csv_out: Path | None
) -> None:
    good = [answer for answer in answers if answer.prediction]
    if csv_out:
        _write_csv(csv_out, recognizer.labels, good)
    if as_json:
        say(json.dumps([_row(answer) for answer in good], ensure_ascii=False, indent=2))
    elif good and not csv_out:
        _print_answers(good)


def _learn(
    recognizer: "Recognizer", recordings: Sequence[Recording], max_seconds: float
) -> dict[str, "Baseline"]:
    """Learn the baseline of each speaker that is told, from all its recordings in their order."""
    learned: dict[str, Baseline] = {}
    named = [recording for recording in dict.fromkeys(recordings) if recording.speaker]
    if not named:
        return learned
    done = 0
    with progress_bar("listening") as on_progress:
        for chunk in chunks(named):
            clips, _ = read(chunk, max_seconds)  # what cannot be read is told when recognising
            for recording, clip in clips.items():
                speaker = recording.speaker
                before = learned.get(speaker, recognizer.new_baseline(speaker))
                learned[speaker] = recognizer.learn(before, [clip])
            done += len(chunk)
            on_progress(done, len(named))
    return learned


def _answer(
    recognizer: "Recognizer",
    recordings: Sequence[Recording],
    known: _Known,
    max_seconds: float,
    explain: bool,
) -> list[_Answer]:
    from ..explanation import explained

    clips, errors = read(recordings, max_seconds)
    predictions = {}
    for recording, clip in clips.items():
        baseline = known.baselines.get(recording.speaker)
        prediction = recognizer.predict_samples([clip], baseline)[0]
        if explain:
            prediction = explained(recognizer, clip, prediction, baseline)
        predictions[recording] = prediction
    return [
        _Answer(
            one.file,
            predictions.get(one),
            known.origin if one.speaker in known.baselines else "none",
            errors.get(one, ""),
        )
        for one in recordings
    ]


def _row(answer: _Answer) -> dict[str, Any]:
    assert answer.prediction is not None  # only good answers are shown
    return {
        "file": str(answer.file),
        **answer.prediction.to_dict(),
        "baseline": answer.baseline,
    }


def _print_answers(answers: Sequence[_Answer]) -> None:
    explained = any(answer.prediction and answer.prediction.moments for answer in answers)
    rows = [
        (
            str(answer.file),
            p.label if p.certain else f"{p.label} (uncertain)",
            f"{p.score:.0%}",
            ", ".join(f"{item['label']} {item['score']:.0%}" for item in p.to_list()[1:3]),
            f"{p.end:.2f}",
            *([_carried(p)] if explained else []),
        )
        for answer in answers
        if (p := answer.prediction)
    ]
    header = ("file", "emotion", "score", "next", "seconds")
    print_table("", (*header, "carried by") if explained else header, rows)


def _carried(prediction: "Prediction") -> str:
    """Say which quarter second carried an answer most."""
    moment = max(prediction.moments or (), key=lambda moment: moment.weight)
    return f"{moment.start:.2f} to {moment.end:.2f} s ({moment.weight:+.0%})"


def _write_csv(path: Path, labels: Sequence[str], answers: Sequence[_Answer]) -> None:
    from ..files import write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "label", "score", *labels, "start", "end", "certain", "baseline"))
    for answer in answers:
        if p := answer.prediction:
            scores = (f"{p.scores[label]:.6f}" for label in labels)
            certain = str(p.certain).lower()
            about = (p.start, p.end, certain, answer.baseline)
            writer.writerow((answer.file, p.label, f"{p.score:.6f}", *scores, *about))
    write_text(path, text.getvalue())
    warn(f"wrote {path}")


def info(
    model: Annotated[
        str | None, typer.Argument(help="A model file, or the name of one that comes with emovox.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Show a model's card: labels, data, figures, what it can and cannot do."""
    from ..bundle import find_model, open_bundle

    bundle = open_bundle(model)
    card: dict[str, Any] = json.loads(bundle.card.to_json())
    if as_json:
        say(json.dumps(card, ensure_ascii=False, indent=2))
        return
    path = find_model(model)
    say(f"{card['name']}  {path.name}, {path.stat().st_size / 1e6:.1f} MB, {bundle.fingerprint}")
    for line in _card_lines(card):
        say(line)


def _card_lines(card: dict[str, Any]) -> list[str]:
    figures = ", ".join(f"{name} {value:g}" for name, value in card["figures"].items())
    corpora = [
        f"  {c['title']}: {c['utterances']} utterances, {c['speakers']} speakers ({c['licence']})"
        for c in card["corpora"]
    ]
    return [
        f"labels: {', '.join(card['labels'])}",
        f"features: {card['features'].get('kind', 'unknown')}, {card['rate']} Hz",
        f"measured ({card['protocol']}): {figures or 'nothing'}",
        f"certain: from a score of {card['threshold']:g} on; temperature {card['temperature']:.3g}",
        "trained on:",
        *corpora,
        f"licence: {card['licence']}",
        f"made by: emovox {card['emovox_version']} {card['code_revision']}".rstrip(),
        *(["", card["notes"]] if card["notes"] else []),
    ]
