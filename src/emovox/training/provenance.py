"""The record of a run: the model's card, and the facts of a fold's report."""

import dataclasses
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..audio import RATE
from ..card import SCHEMA, Card
from ..corpora import SPECS, Corpus, Utterance
from ..emotions import plain
from ..evaluation.metrics import accuracy, confusion_matrix, uar
from ..evaluation.results import Results
from ..evaluation.run import licence_of
from ..splits import Fold
from ..version import __version__
from .learner import Fit
from .settings import Settings
from .speech.encoder import SpeechConfig

_KINDS = {
    "acoustic": "CNN-LSTM on acoustic features",
    "speech": "head on a frozen speech encoder",
}


def model_card(
    settings: Settings,
    fold: Fold,
    corpora: Sequence[Corpus],
    labels: tuple[str, ...],
    fit: Fit,
) -> Card:
    """Make the card of a fold's model; its figures come after the test."""
    temperature, threshold = fit.calibrated(settings)
    terms = [f"{corpus.name}: {licence_of(corpus)}" for corpus in corpora]
    return Card(
        schema=SCHEMA,
        name=settings.name or settings.features,
        labels=labels,
        features={"kind": settings.features, **_feature_settings(settings)},
        rate=RATE,
        window_s=settings.window_s,
        temperature=temperature,
        threshold=threshold,
        baseline=(0.0,) * fit.n_embedding,
        baseline_seconds=fit.prior_seconds,
        corpora=tuple(_corpus_facts(corpus, fold) for corpus in corpora),
        protocol=fold.protocol,
        figures={},
        notes=settings.notes,
        licence=f"as the terms of the recordings allow ({'; '.join(terms)})",
        emovox_version=__version__,
        code_revision=code_revision(),
        merged={plain(word): label for word, label in settings.map.items() if label in labels},
    )


def _feature_settings(settings: Settings) -> dict[str, Any]:
    if settings.features == "acoustic":
        return dataclasses.asdict(settings.acoustic.features)
    return {"encoder": "OpenAI's whisper, MIT licence", **dataclasses.asdict(SpeechConfig())}


def _corpus_facts(corpus: Corpus, fold: Fold) -> dict[str, Any]:
    parts = (*fold.train, *fold.val)
    learned = [utterance for utterance in parts if utterance.corpus == corpus.name]
    spec = SPECS.get(corpus.name)
    return {
        "name": corpus.name,
        "title": spec.title if spec else corpus.name,
        "licence": licence_of(corpus),
        "utterances": len(learned),
        "speakers": len({utterance.speaker for utterance in learned}),
    }


def card_figures(fold: Fold, results: Results) -> dict[str, float]:
    """Return the figures for a card, named for the part they were measured on."""
    confusion = confusion_matrix(results)
    part = "test" if fold.test else "validation"
    return {
        f"{part}_accuracy": round(float(accuracy(confusion)), 4),
        f"{part}_uar": round(float(uar(confusion)), 4),
        f"n_{part}": len(results.files),
    }


def fold_facts(fold: Fold, fit: Fit, card: Card) -> dict[str, Any]:
    """Return the facts of one fold's report, besides those of the run and the test."""
    parts = {"training": fold.train, "validation": fold.val, "test": fold.test}
    return {
        "fold": fold.name,
        "n_train": len(fold.train),
        "n_val": len(fold.val),
        "n_test": len(fold.test),
        "validation": fold.validation if fit.chose_epoch else None,
        "parts": {
            name: {"recordings": len(part), "speakers": count_speakers(part)}
            for name, part in parts.items()
        },
        "ending": fit.ending,
        "model": {
            "kind": _KINDS[card.features["kind"]],
            "layers": fit.layers,
            "n_parameters": fit.n_parameters,
            "features": dict(card.features),
        },
    }


def count_speakers(utterances: Sequence[Utterance]) -> int:
    """Count the speakers that are known by name."""
    return len({(utt.corpus, utt.speaker) for utt in utterances if utt.speaker})


def code_revision() -> str:
    """Return the git revision of this code, "" outside a checkout."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 (git of PATH)
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
