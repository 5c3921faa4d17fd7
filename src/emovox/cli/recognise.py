"""`emovox predict` and `emovox info`: recognise recordings; show a model's card."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_table, progress_bar, say, warn

if TYPE_CHECKING:
    from ..recognizer import Prediction, Recognizer

_CHUNK = 32  # recordings decoded, then recognised together

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or the name of one that comes with emovox."),
]


@dataclass(frozen=True)
class _Answer:
    """A file and its prediction, or why there is none."""

    file: Path
    prediction: "Prediction | None"
    error: str = ""


def predict(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_out: Annotated[
        Path | None, typer.Option("--csv", metavar="OUT", help="Write a CSV table.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Refuse longer recordings.")] = 3600.0,
) -> None:
    """Recognise the emotion in recordings."""
    from ..recognizer import Recognizer

    recognizer = Recognizer.load(model)
    found, answers = _expand(files)
    n_all = len(found) + len(answers)
    with progress_bar("recognising") as on_progress:
        for first in range(0, len(found), _CHUNK):
            answers += _answer(recognizer, found[first : first + _CHUNK], max_seconds)
            on_progress(len(answers), n_all)
    good = [answer for answer in answers if answer.prediction]
    if csv_out:
        _write_csv(csv_out, recognizer.labels, good)
    if as_json:
        rows = [{"file": str(a.file), **a.prediction.to_dict()} for a in good if a.prediction]
        say(json.dumps(rows, ensure_ascii=False, indent=2))
    elif good and not csv_out:
        _print_answers(good)
    failed = [answer for answer in answers if answer.error]
    for answer in failed:
        warn(f"emovox: {answer.error}")
    if failed:
        if len(answers) > 1:
            warn(f"emovox: {len(failed)} of {len(answers)} recordings could not be recognised")
        raise typer.Exit(1)


def _expand(paths: Sequence[Path]) -> tuple[list[Path], list[_Answer]]:
    """Replace folders by the audio files below them; folders without any are answered as errors."""
    found, empty = [], []
    for path in paths:
        inside = _recordings(path)
        found += inside
        if not inside:
            empty.append(_Answer(path, None, f"{path}: no audio files in this folder"))
    return found, empty


def _recordings(path: Path) -> list[Path]:
    from ..audio import audio_files

    try:
        return audio_files(path) if path.is_dir() else [path]
    except OSError:  # reading it will tell what is wrong with it
        return [path]


def _answer(recognizer: "Recognizer", files: Sequence[Path], max_seconds: float) -> list[_Answer]:
    from ..audio import check_audible, load_audio
    from ..errors import AudioError, SilenceError

    clips, errors = {}, {}
    for file in files:
        try:
            clip = load_audio(file, max_seconds=max_seconds)
            check_audible(clip)
            clips[file] = clip
        except SilenceError as error:
            errors[file] = f"{file}: {error}"
        except AudioError as error:
            errors[file] = str(error)
    predictions = dict(zip(clips, recognizer.predict_samples(list(clips.values())), strict=True))
    return [_Answer(file, predictions.get(file), errors.get(file, "")) for file in files]


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
    writer.writerow(("file", "label", "score", *labels, "start", "end", "certain"))
    for answer in answers:
        if p := answer.prediction:
            scores = (f"{p.scores[label]:.6f}" for label in labels)
            certain = str(p.certain).lower()
            writer.writerow(
                (answer.file, p.label, f"{p.score:.6f}", *scores, p.start, p.end, certain)
            )
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
