"""Reports: the numbers as JSON, and a page that explains them in plain words."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import optional
from ..figures import (
    check_drawing,
    colours_of,
    confusion,
    coverage,
    reliability,
    rendered,
    save,
    training_curves,
    write_file,
)
from . import words
from .metrics import N_RESAMPLES, summarise
from .results import Results

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

N_MISTAKES = 10  # shown
FIGURES = {  # name and meaning
    "accuracy": ("Accuracy", "share of right answers"),
    "uar": ("UAR", "recall averaged over the emotions"),
    "macro_f1": ("Macro F1", "F1 averaged over the emotions"),
}
_RUN = ("command", "model", "protocol", "fold", "seed", "n_train", "n_val", "n_test")
_OPTIONAL = ("parts", "corpora", "left_out", "merged", "problems", "folds")  # in a report


def check_libraries() -> None:
    """Make sure, before long work begins, that a report can be written after it.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    _environment()
    check_drawing()


def write_report(
    directory: Path,
    results: Results,
    *,
    facts: Mapping[str, Any],
    history: Sequence[Mapping[str, float]] = (),
) -> dict[str, Any]:
    """Write report.json, report.html and figures/ of one test.

    Parameters
    ----------
    directory : Path
        Made if it is missing; each file is written whole or not at all.
    results : Results
        The model's answers to the test recordings.
    facts : mapping
        Known facts of the run: protocol, fold, seed, n_train, n_val, n_test, validation,
        settings, versions, corpora, left_out, problems, model, command, parts (recordings and
        speakers of each part), ending (of the training); any may be missing, and validation is
        None where it chose no epoch.
    history : sequence of mappings
        Columns epoch, train_loss, train_accuracy, val_loss, val_accuracy, a row an epoch; empty
        where nothing was trained.

    Returns
    -------
    report : dict
        The content of report.json: the facts, the numbers of `metrics.summarise`, and the ten wrong
        answers with the highest score as `worst_mistakes`.

    Raises
    ------
    EmovoxError
        If a file cannot be written.
    """
    numbers = summarise(results, seed=int(facts.get("seed") or 0))
    report: dict[str, Any] = _plain(
        {
            **facts,
            "n_test": 0 if facts.get("protocol") == "all" else numbers["n"],
            **numbers,
            "worst_mistakes": _worst_mistakes(results),
        }
    )
    pictures = [_confusion_picture(directory, numbers)]
    if history:
        chosen = facts.get("validation", "") is not None
        pictures.append(_training_picture(directory, history, chosen=chosen))
    lead = words.lead(report, str(report.get("protocol") or ""))
    _write(directory, report, _page_of(report, numbers, results, lead), pictures)
    return report


def write_summary(
    directory: Path,
    reports: Mapping[str, Mapping[str, Any]],
    results: Results,
    *,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write report.json, report.html and figures/ over several folds.

    Parameters
    ----------
    directory : Path
        Its folder `<fold>/` holds the report.html of each fold.
    reports : mapping
        The report of each fold, as returned by `write_report`, by its name.
    results : Results
        All folds together.
    facts : mapping
        As for `write_report`.

    Returns
    -------
    report : dict
        The facts; `folds` {name: uar, accuracy, macro_f1, n_test}; `mean` over the folds with the
        standard deviation of each as `<name>_std`; `pooled`, the numbers of all answers together;
        accuracy, uar and macro_f1 are the means over the folds. Where all folds were measured with
        running baselines as well, `folds` and `mean` hold `running_uar`, too.
    """
    pooled = summarise(results, seed=int(facts.get("seed") or 0))
    folds = {
        name: {**{key: fold[key] for key in FIGURES}, "n_test": fold["n_test"]}
        for name, fold in reports.items()
    }
    shown = list(FIGURES)
    running = {name: words.running_uar(fold) for name, fold in reports.items()}
    if None not in running.values():
        shown.append("running_uar")
        for name, fold in folds.items():
            fold["running_uar"] = running[name]
    mean: dict[str, float] = {}
    for key in shown:
        values = [fold[key] for fold in folds.values()]
        mean[key] = float(np.mean(values))
        mean[f"{key}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    model = next(iter(reports.values())).get("model") or {}
    common = {key: value for key, value in model.items() if key not in ("name", "fingerprint")}
    report: dict[str, Any] = _plain(
        {
            **facts,
            **({"model": common} if common else {}),
            "n_test": pooled["n"],
            **{key: mean[key] for key in FIGURES},
            "folds": folds,
            "mean": mean,
            "pooled": pooled,
            "worst_mistakes": _worst_mistakes(results),
        }
    )
    lead = words.fold_lead(folds, mean, pooled, str(report.get("protocol") or ""))
    page = _page_of(report, pooled, results, lead)
    _write(directory, report, page, [_confusion_picture(directory, pooled)])
    return report


def _write(
    directory: Path,
    report: Mapping[str, Any],
    page: Mapping[str, Any],
    pictures: Sequence[Mapping[str, str]],
) -> None:
    score_pictures = _score_pictures(directory, page["numbers"])
    page = {**page, "pictures": pictures, "score_pictures": score_pictures}
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(directory / "report.json", (text + "\n").encode())
    write_file(directory / "report.html", render("report.html", page).encode())


def render(template: str, page: Mapping[str, Any]) -> str:
    """Return a page: a template of `templates/`, filled in.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    environment = _environment()
    environment.filters["percent"] = words.percent
    return environment.get_template(template).render(page)


def _environment() -> "Environment":
    with optional():
        from jinja2 import Environment, PackageLoader, StrictUndefined
    return Environment(
        loader=PackageLoader("emovox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page_of(
    report: Mapping[str, Any],
    numbers: Mapping[str, Any],
    results: Results,
    lead: Sequence[str],
) -> dict[str, Any]:
    """Gather what the template shows but its pictures; `numbers` are those of all answers."""
    protocol = str(report.get("protocol") or "")
    tiles = [
        {
            "name": name,
            "meaning": meaning,
            "value": report[key],
            "spread": report.get("mean", {}).get(f"{key}_std"),
            **numbers["intervals"][key],
        }
        for key, (name, meaning) in FIGURES.items()
    ]
    return {
        **dict.fromkeys(_OPTIONAL, ()),
        **report,
        "title": words.title_of(report),
        "numbers": numbers,
        "lead": lead,
        "tiles": tiles,
        "shows": words.shows(protocol),
        "warns": protocol not in ("speaker", "corpus"),
        "validation": str(report.get("validation") or "").rstrip("."),
        "emotions": words.emotion_words(numbers),
        "speakers": words.speaker_words(numbers),
        "calibration": words.calibration_words(numbers, results),
        "abstaining": words.coverage_words(numbers),
        "n_mistakes": int((results.answers != results.truth).sum()),
        "n_resamples": N_RESAMPLES,
        "colours": colours_of(numbers["confusion"]["labels"]),
        "model": words.model_words(report.get("model")),
        "ending": words.sentence(report.get("ending")),
        "settings": flat(report.get("settings") or {}),
        "versions": flat(report.get("versions") or {}),
        "run": flat({key: report[key] for key in _RUN if report.get(key) not in (None, "", {})}),
    }


def _worst_mistakes(results: Results) -> list[dict[str, Any]]:
    """List the wrong answers with the highest score, at most ten."""
    wrong = np.flatnonzero(results.answers != results.truth)
    order = sorted(wrong.tolist(), key=lambda i: (-float(results.scores[i]), results.files[i]))
    return [
        {
            "file": results.files[i],
            "speaker": results.speakers[i],
            "truth": results.labels[results.truth[i]],
            "answer": results.labels[results.answers[i]],
            "score": float(results.scores[i]),
            "score_of_truth": float(results.probabilities[i, results.truth[i]]),
        }
        for i in order[:N_MISTAKES]
    ]


def _confusion_picture(directory: Path, numbers: Mapping[str, Any]) -> dict[str, str]:
    labels, matrix = numbers["confusion"]["labels"], numbers["confusion"]["matrix"]
    alt = (
        "Confusion matrix: a row for each true emotion, a column for each answer, with counts and "
        "shares of the row. The table below holds the same counts."
    )
    return picture(directory, "confusion", alt, partial(confusion, labels, matrix))


def _training_picture(
    directory: Path, history: Sequence[Mapping[str, float]], *, chosen: bool
) -> dict[str, str]:
    used = min(history, key=lambda row: row["val_loss"]) if chosen else history[-1]
    alt = (
        f"Loss and accuracy over {len(history)} epochs of training. The "
        f"{'best' if chosen else 'last'} epoch is {used['epoch']:.0f}: validation loss "
        f"{used['val_loss']:.3f}, validation accuracy {words.percent(used['val_accuracy'])}."
    )
    return picture(directory, "training", alt, partial(training_curves, history, chosen=chosen))


def _score_pictures(directory: Path, numbers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    bins, error = numbers["reliability"], numbers["expected_calibration_error"]
    curve, right = numbers["coverage_curve"], numbers["accuracy_certain"]
    as_set = None if right is None else (numbers["coverage"], right)
    reliability_alt, coverage_alt = words.score_alts(numbers)
    return {
        "reliability": picture(
            directory, "reliability", reliability_alt, partial(reliability, bins, error)
        ),
        "coverage": picture(directory, "coverage", coverage_alt, partial(coverage, curve, as_set)),
    }


def picture(directory: Path, kind: str, alt: str, draw: Callable[..., "Figure"]) -> dict[str, str]:
    """Write a figure as figures/<kind>, and return its data for the page."""
    _, svg = save(draw(), directory / "figures" / kind)
    return _for_page(kind, alt, svg.read_bytes(), draw)


def embedded(kind: str, alt: str, draw: Callable[..., "Figure"]) -> dict[str, str]:
    """Return a figure's data for a page that holds it: for light and for dark screens."""
    return _for_page(kind, alt, rendered(draw(), "svg"), draw)


def _for_page(kind: str, alt: str, light: bytes, draw: Callable[..., "Figure"]) -> dict[str, str]:
    return {
        "kind": kind,
        "alt": alt,
        "light": _data_uri(light),
        "dark": _data_uri(rendered(draw(dark=True), "svg")),
    }


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Put settings in one table of texts, nested ones as `outer.inner`."""
    rows: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows.update(flat(value, f"{prefix}{name}."))
        elif isinstance(value, list | tuple):
            rows[f"{prefix}{name}"] = ", ".join(str(item) for item in value)
        else:
            rows[f"{prefix}{name}"] = str(value)
    return rows


def _plain(value: Any) -> Any:
    """Turn paths, numpy scalars and arrays, and tuples into plain JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
