"""Pitch beside Praat's, a YIN's and SwiftF0's; syllables counted; what prosody costs.

Run with ``python benchmarks/pitch.py`` on one core; it takes some minutes. ``--only cost`` measures
this alone and keeps the rest; ``--rounds`` is how often times are taken. Praat (GPL) and SwiftF0
are asked where they are installed (``pip install praat-parselmouth swift-f0``), for comparison
alone. Recordings are drawn from four corpora from one seed, both sexes alike where there are two.
Writes benchmarks/results/pitch.json.

Praat's pitch is its own standard: "raw autocorrelation", 75 to 600 Hz, every 10 ms. A frame agrees
where both hear a voice, and the pitches lie within 50 cents; voicing agrees where both hear a voice
or neither does. Another's pitch is taken between its frames, by their logarithms.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import csv
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emovox import Recognizer
from emovox.audio import RATE, load_audio
from emovox.corpora import Utterance, load_corpus
from emovox.prosody.pitch import HOP, track_pitch
from emovox.prosody.syllables import levels_db, nuclei
from machine import REPOSITORY, data_folder, machine, write_result

SEED, N_CLIPS, N_ROUNDS = 13, 50, 5
CORPORA = ("tess", "ravdess", "emodb", "nemo")
SPOKEN = {"tess": 4, "ravdess": 7}  # syllables of a sentence; nEMO's are counted in its texts
LOW_HZ, HIGH_HZ = 75.0, 600.0
CENTS = 50.0
LONG_S = 240.0  # of the recording that the cost is measured on
Tracked = tuple[np.ndarray, np.ndarray]  # seconds, and Hz or NaN
Track = Callable[[np.ndarray], Tracked]


def ours(clip: np.ndarray) -> Tracked:
    """Track pitch as emovox does."""
    pitch = track_pitch(clip)
    return np.arange(len(pitch)) * HOP / RATE, pitch


def yin(clip: np.ndarray, width: int = RATE // 40, dip: float = 0.15) -> Tracked:
    """Track pitch by YIN (de Cheveigné and Kawahara 2002), with a median over five frames.

    Its steps but the last: difference, cumulative mean, first dip below a threshold, or the lowest
    where there is none, and a parabola. YIN itself does not tell voice: here that is a dip below
    0.45 in a frame that is not silent beside the loudest.
    """
    longest, shortest = int(RATE / LOW_HZ) + 2, int(RATE / HIGH_HZ)
    n_frame, n_frames = width + longest, len(clip) // HOP + 1
    padded = np.pad(clip.astype(np.float64), (n_frame // 2, n_frame + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_frame)[::HOP][:n_frames]
    power = np.pad(np.cumsum(frames**2, 1), ((0, 0), (1, 0)))
    power = power[:, width : width + longest] - power[:, :longest]
    spectra = np.fft.rfft(frames[:, :width], 1024).conj() * np.fft.rfft(frames, 1024)
    apart = np.maximum(power[:, :1] + power - 2 * np.fft.irfft(spectra)[:, :longest], 0)
    mean = np.cumsum(apart[:, 1:], 1) / np.arange(1, longest)
    apart = np.pad(apart[:, 1:] / np.maximum(mean, 1e-12), ((0, 0), (1, 0)), constant_values=1)
    inner = apart[:, shortest:-1]
    is_dip = (inner < apart[:, shortest - 1 : -2]) & (inner <= apart[:, shortest + 1 :])
    low = is_dip & (inner < dip)
    lowest = np.where(is_dip, inner, np.inf).argmin(1)
    rows, lag = np.arange(n_frames), shortest + np.where(low.any(1), low.argmax(1), lowest)
    left, middle, right = (apart[rows, lag + step] for step in (-1, 0, 1))
    bend = np.maximum(left + right - 2 * middle, 1e-12)
    lags = lag + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    loud = np.sqrt(power[:, 0] / power[:, 0].max()) > 0.03
    hertz = np.where((middle < 0.45) & loud, RATE / lags, np.nan)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(hertz, 2, mode="edge"), 5)
    smooth, voiced = np.full(n_frames, np.nan), ~np.isnan(hertz)
    smooth[voiced] = np.nanmedian(around[voiced], axis=1)
    compared = rows * HOP - np.where(voiced, longest - lags, 0) / 2  # its middle
    order = np.argsort(compared)
    return compared[order] / RATE, smooth[order]


def praat() -> Track | None:
    """Return Praat's tracker, if it is installed."""
    try:
        import parselmouth
    except ImportError:
        return None

    def track(clip: np.ndarray) -> Tracked:
        pitch = parselmouth.Sound(clip.astype(float), RATE).to_pitch(0.01, LOW_HZ, HIGH_HZ)
        hertz = pitch.selected_array["frequency"]
        return pitch.xs(), np.where(hertz > 0, hertz, np.nan)

    return track


def swift() -> Track | None:
    """Return SwiftF0's tracker, if it is installed."""
    try:
        from swift_f0 import SwiftF0
    except ImportError:
        return None
    detector = SwiftF0(threads=1)

    def track(clip: np.ndarray) -> Tracked:
        found = detector.detect(clip, RATE, LOW_HZ, HIGH_HZ)
        return found.timestamps, np.where(found.confidence >= 0.5, found.pitch_hz, np.nan)

    return track


def at(seconds: np.ndarray, tracked: Tracked) -> np.ndarray:
    """Return a pitch at other times: between two voiced frames, or that of the nearest frame."""
    times, hertz = tracked
    right = np.clip(np.searchsorted(times, seconds), 1, len(times) - 1)
    share = np.clip((seconds - times[right - 1]) / (times[right] - times[right - 1]), 0, 1)
    before, after = np.log2(hertz[right - 1]), np.log2(hertz[right])
    nearest = np.where(share < 0.5, before, after)
    between = (1 - share) * before + share * after
    return np.exp2(np.where(np.isnan(nearest) | np.isnan(between), nearest, between))


def agreement(pairs: Sequence[tuple[Tracked, Tracked]]) -> dict[str, float]:
    """Compare pitches with those of Praat, frame by frame."""
    theirs = np.concatenate([reference[1] for reference, _ in pairs])
    found = np.concatenate([at(reference[0], tracked) for reference, tracked in pairs])
    voiced, heard = ~np.isnan(theirs), ~np.isnan(found)
    both = voiced & heard
    cents = np.abs(1200 * np.log2(found[both] / theirs[both]))
    return {
        "frames": len(theirs),
        "voiced_in_both": int(both.sum()),
        "within_50_cents": round(float((cents <= CENTS).mean()), 4),
        "median_cents": round(float(np.median(cents)), 2),
        "voicing_agrees": round(float((voiced == heard).mean()), 4),
        "voiced_found": round(float(both.sum() / voiced.sum()), 4),
    }


def drawn(corpus: str, rng: np.random.Generator, n_clips: int) -> list[Utterance]:
    """Draw recordings of a corpus, as many of each sex."""
    known = load_corpus(corpus, data_folder() / corpus).utterances
    sexes = sorted({one.sex for one in known if one.sex})
    chosen: list[Utterance] = []
    for sex in sexes:
        of_sex = [one for one in known if one.sex == sex]
        picked = rng.choice(len(of_sex), n_clips // len(sexes), replace=False)
        chosen += [of_sex[index] for index in sorted(picked)]
    return chosen


def compared(clips: Sequence[tuple[Utterance, np.ndarray]], n_rounds: int) -> dict[str, Any]:
    """Track all recordings in all ways, and compare them with Praat; times round by round."""
    reference = praat()
    if reference is None:
        raise SystemExit("the comparison needs Praat: pip install praat-parselmouth")
    ways = {"Praat": reference, "emovox": ours, "YIN": yin, "SwiftF0": swift()}
    ways = {name: way for name, way in ways.items() if way}
    seconds = sum(len(clip) for _, clip in clips) / RATE
    times: dict[str, list[float]] = {name: [] for name in ways}
    tracked: dict[str, list[Tracked]] = {}
    for _ in range(n_rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            tracked[name] = [way(clip) for _, clip in clips]
            times[name].append(1000 * (time.perf_counter() - started) / seconds)
    rows: dict[str, Any] = {}
    for name in ways:
        pairs = list(zip(tracked["Praat"], tracked[name], strict=True))
        groups = {"all": pairs}
        for index, (one, _) in enumerate(clips):
            for group in (one.corpus, one.sex):
                groups.setdefault(group, []).append(pairs[index])
        rows[name] = {"ms_per_second": round(min(times[name]), 3)}
        if name != "Praat":
            rows[name] |= {group: agreement(those) for group, those in groups.items()}
    return {
        "recordings": len(clips),
        "seconds": round(seconds, 1),
        "rounds": n_rounds,
        "rows": rows,
    }


def syllables_written(text: str) -> int:
    """Count the syllables of a Polish text by its vowels; i before a vowel only softens."""
    return len(re.findall("[aąeęioóuy]", re.sub("i(?=[aąeęoóuy])", "", text.lower())))


def texts() -> Iterator[tuple[str, Path, int]]:
    """Yield corpus, file and known number of syllables of many recordings."""
    rng = np.random.default_rng(SEED)
    for corpus, n_syllables in SPOKEN.items():
        for one in drawn(corpus, rng, 200):
            yield corpus, one.file, n_syllables
    with (data_folder() / "nemo" / "data.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        written = {Path(row["file_id"]).stem: row["normalized_text"] for row in rows}
    for one in drawn("nemo", rng, 200):
        yield "nemo", one.file, syllables_written(written[one.file.stem])


def syllables() -> dict[str, dict[str, float]]:
    """Compare the syllables counted with those of the known sentences."""
    found: dict[str, list[tuple[int, int]]] = {}
    for corpus, path, known in texts():
        clip = load_audio(path)
        counted = len(nuclei(levels_db(clip), track_pitch(clip)))
        found.setdefault(corpus, []).append((counted, known))
    rows = {}
    for corpus, pairs in found.items():
        counted, known = np.array(pairs).T
        rows[corpus] = {
            "recordings": len(pairs),
            "counted_to_known": round(float(counted.sum() / known.sum()), 3),
            "mean_error": round(float(np.abs(counted - known).mean()), 3),
        }
        if known.std():
            rows[corpus]["correlation"] = round(float(np.corrcoef(counted, known)[0, 1]), 3)
    return rows


def cost(clips: Sequence[tuple[Utterance, np.ndarray]], n_rounds: int) -> dict[str, Any]:
    """Time `segments` with and without prosody, in turn, on recordings put one after the other."""
    recognizer = Recognizer.load()
    rng = np.random.default_rng(SEED)
    sound = np.concatenate([clips[index][1] for index in rng.permutation(len(clips))])
    sound = sound[: round(LONG_S * RATE)]
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(n_rounds):
        for prosody in times:
            started = time.process_time()
            segments = list(recognizer.segments(sound, RATE, prosody=prosody))
            times[prosody].append(time.process_time() - started)
    added = [after / before - 1 for before, after in zip(times[False], times[True], strict=True)]
    return {
        "seconds": round(len(sound) / RATE, 1),
        "segments": len(segments),
        "cpu_s_without": round(min(times[False]), 3),
        "cpu_s_with": round(min(times[True]), 3),
        "added": round(min(times[True]) / min(times[False]) - 1, 4),
        "added_in_each_round": [round(share, 4) for share in sorted(added)],
    }


def main() -> None:
    """Measure and print what is asked for, and keep the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("pitch", "syllables", "cost")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--rounds", type=int, default=N_ROUNDS)
    asked = parser.parse_args()
    rng = np.random.default_rng(SEED)
    chosen = [one for corpus in CORPORA for one in drawn(corpus, rng, N_CLIPS)]
    clips = [(one, load_audio(one.file)) for one in chosen]
    measured: dict[str, Any] = {"machine": machine()}
    if "pitch" in asked.only:
        measured["pitch"] = compared(clips, asked.rounds)
    if "syllables" in asked.only:
        measured["syllables"] = syllables()
    if "cost" in asked.only:
        measured["cost"] = cost(clips, asked.rounds)
    print(json.dumps(measured, indent=2), flush=True)
    path = REPOSITORY / "benchmarks" / "results" / "pitch.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_result("pitch", kept | measured)


if __name__ == "__main__":
    main()
