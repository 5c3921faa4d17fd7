"""What must not change an answer of the default model: level, noise, silence, batch, file format.

Run with ``python benchmarks/robustness.py``, on 100 recordings of each corpus, evenly taken; the
model was trained on them, but not on what is done to them here. Writes
benchmarks/results/robustness.json. The corpora are looked for in EMOVOX_DATA.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile

from emovox import Prediction, Recognizer, load_audio
from emovox.audio import RATE, Samples
from emovox.cleaning import cleaned
from emovox.evaluation.run import versions
from machine import machine, write_result
from tasks import load_recordings

NOISE_DB = 30.0  # below the level of the recording
FORMATS = (("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"))
Clip = np.ndarray
Change = Callable[[Clip], Clip]


def changes(rng: np.random.Generator) -> dict[str, Change]:
    """Name what is done to a recording."""
    named: dict[str, Change] = {
        "2 dB louder": lambda clip: (clip * 10 ** (2 / 20)).astype(np.float32),
        "2 dB softer": lambda clip: (clip * 10 ** (-2 / 20)).astype(np.float32),
        f"white noise at {NOISE_DB:g} dB": lambda clip: with_noise(clip, rng),
        "zeros before and after, up to 1 s each": lambda clip: np.pad(
            clip, tuple(rng.integers(0, RATE + 1, 2))
        ),
    }
    for kind, subtype in FORMATS:
        text = f"written and read as {kind.lower()}, {subtype.lower()}"
        named[text] = lambda clip, kind=kind, subtype=subtype: through_file(clip, kind, subtype)
    return named


def with_noise(clip: Clip, rng: np.random.Generator) -> Clip:
    """Add white noise, 30 dB below the mean power of the recording."""
    power = np.mean(clip.astype(np.float64) ** 2) * 10 ** (-NOISE_DB / 10)
    return (clip + rng.normal(0, np.sqrt(power), len(clip))).astype(np.float32)


def through_file(clip: Clip, kind: str, subtype: str) -> Clip:
    """Write a recording as a file, and read it."""
    file = io.BytesIO()
    soundfile.write(file, clip, RATE, format=kind, subtype=subtype)
    file.seek(0)
    return load_audio(file)


def compared(before: Sequence[Prediction], after: Sequence[Prediction]) -> dict[str, float]:
    """Return the share of labels that stay, and the largest change of a score."""
    pairs = list(zip(before, after, strict=True))
    same = np.mean([one.label == other.label for one, other in pairs])
    moved = max(abs(one.scores[k] - other.scores[k]) for one, other in pairs for k in one.scores)
    return {"labels_kept": round(float(same), 4), "largest_change": float(f"{moved:.2g}")}


def answer(recognizer: Recognizer, clip: Samples) -> Prediction:
    """Recognise a clip, whether or not speech is found in it."""
    return recognizer.hear(cleaned(clip))[0]


def main() -> None:
    """Change the recordings in each way and print what became of the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100, help="of each corpus")
    n_clips = parser.parse_args().clips
    recognizer = Recognizer.load()
    rows: dict[str, dict[str, Any]] = {}
    for corpus in load_recordings().corpora:
        step = max(1, len(corpus.utterances) // n_clips)
        clips = [load_audio(one.file) for one in corpus.utterances[::step][:n_clips]]
        before = [answer(recognizer, clip) for clip in clips]
        answers = {}
        for name, change in changes(np.random.default_rng(0)).items():
            answers[name] = [answer(recognizer, change(clip)) for clip in clips]
        for name, after in answers.items():
            rows.setdefault(name, {})[corpus.name] = compared(before, after)
            print(f"{corpus.name:8} {name:40} {rows[name][corpus.name]}", flush=True)
    result = {"model": recognizer.fingerprint, "clips": n_clips, "rows": rows}
    write_result("robustness", {**result, "versions": versions(), "machine": machine()})


if __name__ == "__main__":
    main()
