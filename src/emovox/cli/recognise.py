"""`emovox predict` and `emovox info`: recognise recordings; show a model's card."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_table, progress_bar, say, warn
from .recordings import Recording, chunks, expand, read, report_failures

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or the name of one that comes with emovox."),
]


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
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Refuse longer recordings.")] = 3600.0,
) -> None:
    """Recognise the emotion in recordings."""
    from ..baseline import Baseline
    from ..recognizer import Recognizer

    if baseline and speaker_by is not None:
        raise typer.BadParameter("--baseline is of one speaker: give it or --speaker-by, not both")
    recognizer = Recognizer.load(model)
    found, errors = expand(files, speaker_by)
    if baseline:
        known = _Known({"": Baseline.load(baseline)}, "file")
    else:
        known = _Known(_learn(recognizer, found, max_seconds), "speaker")
    answers: list[_Answer] = []
    with progress_bar("recognising") as on_progress:
        for chunk in chunks(found):
            answers += _answer(recognizer, chunk, known, max_seconds)
            on_progress(len(answers), len(found))
    good = [answer for answer in answers if answer.prediction]
    if csv_out:
        _write_csv(csv_out, recognizer.labels, good)
    if as_json:
        say(json.dumps([_row(answer) for answer in good], ensure_ascii=False, indent=2))
    elif good and not csv_out:
        _print_answers(good)
    n_all = len(answers) + len(errors)
    errors += [answer.error for answer in answers if answer.error]
    report_failures(errors, n_all, "recognised")


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
    recognizer: "Recognizer", recordings: Sequence[Recording], known: _Known, max_seconds: float
) -> list[_Answer]:
    clips, errors = read(recordings, max_seconds)
    baselines = [known.baselines.get(recording.speaker) for recording in clips]
    found = recognizer.predict_samples(list(clips.values()), baselines)
    predictions = dict(zip(clips, found, strict=True))
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
    rows = [
        (
            str(answer.file),
            p.label if p.certain else f"{p.label} (uncertain)",
            f"{p.score:.0%}",
            ", ".join(f"{item['label']} {item['score']:.0%}" for item in p.to_list()[1:3]),
            f"{p.end:.2f}",
        )
        for answer in answers
        if (p := answer.prediction)
    ]
    print_table("", ("file", "emotion", "score", "next", "seconds"), rows)


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
