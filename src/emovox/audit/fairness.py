"""Fairness: how far sexes, ages, voices, languages and wordings move a model's answers."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..corpora import Utterance
from .findings import FEW, Finding, Floats, Heard, masks, measured, mistakes
from .measures import Answers, Mask, precision, recall, shares, true_shares
from .suite import at_most

_LOW_HZ, _HIGH_HZ = 145.0, 190.0  # borders of the pitch groups in ser-tests
_YOUNG = 40  # years; ser-tests has no groups of age


def fairness(heard: Heard) -> Iterator[Finding]:
    """Yield how far the sexes and the pitch groups of a corpus lie from all its speakers."""
    sexes = [one.sex for one in heard.utterances]
    yield from _groups(heard, "sex", sexes, (0.175, 0.075, 0.075))
    yield from _groups(heard, "pitch", _pitch_groups(heard), (0.225, 0.1, 0.075))
    yield from _groups(
        heard, "age", [_age_group(one) for one in heard.utterances], (0.175, 0.075, 0.075)
    )


def languages(all_heard: Sequence[Heard]) -> Iterator[Finding]:
    """Yield how far the answers in each language lean towards a label, against all languages.

    The lean is the share of a label in the answers less its share in what was meant.
    """
    spoken = sorted({one.language for heard in all_heard for one in heard.utterances} - {""})
    if len(spoken) < 2:
        return
    leans = {language: _lean(all_heard, language) for language in spoken}
    everywhere = np.mean([lean for lean, _ in leans.values()], axis=0)
    for language, (lean, n) in leans.items():
        off = float(np.abs(lean - everywhere).max())
        limit = at_most("share_shift", 0.1)
        yield Finding("all", "fairness", f"language {language}", limit, off, n)


def wordings(
    labels: Sequence[str], answers: Answers, kinds: Sequence[str], voice: str
) -> Iterator[Finding]:
    """Yield how far sentences of each kind of wording move the shares of the answers."""
    for kind in dict.fromkeys(kinds):
        chosen = np.array([one == kind for one in kinds])
        shift = shares(answers.take(chosen)) - shares(answers)
        n, limit = int(chosen.sum()), at_most("share_shift", 0.075)
        value = None if np.isnan(shift).any() else float(np.abs(shift).max())
        most = "" if value is None else f"most for {labels[int(np.abs(shift).argmax())]}"
        yield Finding(voice, "wording", f"{kind} wording", limit, value, n, most)


def _groups(
    heard: Heard, kind: str, names: Sequence[str], bounds: tuple[float, float, float]
) -> Iterator[Finding]:
    """Yield how far each group of recordings lies from all: recall, precision, UAR."""
    groups = masks(names)
    for name, chosen in groups.items() if len(groups) > 1 else ():
        worst = mistakes(heard, chosen & ~heard.answers.right)
        for (measure, gap), bound in zip(_gaps(heard.answers, chosen).items(), bounds, strict=True):
            yield measured(
                heard,
                f"{kind}: {name}",
                at_most(measure, bound),
                gap,
                worst,
                f"fewer than {FEW} recordings of each emotion",
                "fairness",
                int(chosen.sum()),
            )


def _gaps(everybody: Answers, chosen: Mask) -> dict[str, float]:
    """Return the gaps of a group to everybody; NaN where too few recordings tell.

    The gap of UAR is that over the emotions which occur in the group.
    """
    part = everybody.take(chosen)
    counts = part.confusion
    off = recall(part) - recall(everybody)
    sure = precision(part) - precision(everybody)
    return {
        "recall_gap": _largest(off, counts.sum(axis=1) >= FEW),
        "precision_gap": _largest(sure, counts[:, :-1].sum(axis=0) >= FEW),
        "uar_gap": abs(float(np.nanmean(off))) if len(part.truth) >= FEW else np.nan,
    }


def _pitch_groups(heard: Heard) -> list[str]:
    """Return the pitch group of each recording: that of its speaker, where the speaker is known."""
    by_speaker: dict[str, list[float]] = {}
    for one, pitch in zip(heard.utterances, heard.pitches, strict=True):
        if pitch and one.speaker:
            by_speaker.setdefault(one.speaker, []).append(pitch)
    usual = {speaker: float(np.median(pitches)) for speaker, pitches in by_speaker.items()}
    return [
        _pitch_group(usual.get(one.speaker, pitch))
        for one, pitch in zip(heard.utterances, heard.pitches, strict=True)
    ]


def _pitch_group(hertz: float) -> str:
    if not hertz:
        return ""
    if hertz <= _LOW_HZ:
        return f"to {_LOW_HZ:g} Hz"
    return f"{_LOW_HZ:g} to {_HIGH_HZ:g} Hz" if hertz <= _HIGH_HZ else f"above {_HIGH_HZ:g} Hz"


def _age_group(utterance: Utterance) -> str:
    if utterance.age is None:
        return ""
    return f"to {_YOUNG} years" if utterance.age <= _YOUNG else f"above {_YOUNG} years"


def _lean(all_heard: Sequence[Heard], language: str) -> tuple[Floats, int]:
    leans, n = [], 0
    for heard in all_heard:
        chosen = np.array([one.language == language for one in heard.utterances])
        if chosen.any():
            part = heard.answers.take(chosen)
            leans.append(np.nan_to_num(shares(part) - true_shares(part)))
            n += int(chosen.sum())
    return np.mean(leans, axis=0), n


def _largest(gaps: Floats, enough: Mask) -> float:
    """Return the largest gap of the labels that occur often enough; NaN where none does."""
    known = np.abs(gaps[enough & ~np.isnan(gaps)])
    return float(known.max()) if known.size else np.nan
