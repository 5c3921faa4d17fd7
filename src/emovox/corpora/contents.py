"""The contents of a corpus: counts, durations, sample rates and problems."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import soundfile

from .scan import Progress, name_files, relative_name
from .utterance import Corpus, Utterance


def describe(corpus: Corpus, on_progress: Progress | None = None) -> dict[str, Any]:
    """Describe a corpus in numbers, ready to be written as JSON.

    Parameters
    ----------
    corpus : Corpus
        A loaded corpus; the header of each file is read.
    on_progress : callable, optional
        Called with (files read, files in all).

    Returns
    -------
    contents : dict
        `name`, `path`, `n_utterances`, `n_expected` (None if unknown), `n_speakers`,
        `n_emotions`, `n_sentences`, `languages`, `emotions` {label: clips}, `speakers` {speaker:
        {sex, clips, emotions {label: clips}}}, `sexes` {sex: clips}, `seconds` {min, mean, max,
        total} (None where no file could be read), `rates` {Hz: clips}, `problems` [{kind, text,
        files}].
    """
    utterances = corpus.utterances
    seconds, rates, unreadable = _headers(corpus, on_progress)
    fault = "that cannot be read as audio"
    problems = (*corpus.problems, *name_files("unreadable", "file", fault, unreadable))
    return {
        "name": corpus.name,
        "path": str(corpus.root),
        "n_utterances": len(utterances),
        "n_expected": corpus.n_expected or None,
        "n_speakers": len({utterance.speaker for utterance in utterances if utterance.speaker}),
        "n_emotions": len({utterance.emotion for utterance in utterances}),
        "n_sentences": len({utterance.sentence for utterance in utterances if utterance.sentence}),
        "languages": sorted({utterance.language for utterance in utterances if utterance.language}),
        "emotions": _counts(utterance.emotion for utterance in utterances),
        "speakers": _by_speaker(utterances),
        "sexes": _counts(utterance.sex or "unknown" for utterance in utterances),
        "seconds": _statistics(seconds),
        "rates": {str(rate): number for rate, number in sorted(rates.items())},
        "problems": [{**asdict(problem), "files": list(problem.files)} for problem in problems],
    }


def _headers(
    corpus: Corpus, on_progress: Progress | None
) -> tuple[list[float], Counter[int], list[str]]:
    """Read duration (s) and sample rate (Hz) of each file, and name those that cannot be read."""
    seconds: list[float] = []
    rates: Counter[int] = Counter()
    unreadable = []
    for done, utterance in enumerate(corpus.utterances, start=1):
        try:
            info = soundfile.info(str(utterance.file))
        except (soundfile.LibsndfileError, OSError):
            unreadable.append(relative_name(utterance.file, corpus.root))
        else:
            seconds.append(info.frames / info.samplerate)
            rates[info.samplerate] += 1
        if on_progress:
            on_progress(done, len(corpus.utterances))
    return seconds, rates, unreadable


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _by_speaker(utterances: tuple[Utterance, ...]) -> dict[str, dict[str, Any]]:
    speakers: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance)
    return {
        speaker: {
            "sex": clips[0].sex,
            "clips": len(clips),
            "emotions": _counts(utterance.emotion for utterance in clips),
        }
        for speaker, clips in sorted(speakers.items())
    }


def _statistics(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    total = sum(seconds)
    values = {"min": min(seconds), "mean": total / len(seconds), "max": max(seconds)}
    return {name: round(value, 3) for name, value in {**values, "total": total}.items()}
