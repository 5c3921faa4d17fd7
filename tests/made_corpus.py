"""A small corpus of made-up voices: each emotion a way of gliding, each speaker a pitch."""

from pathlib import Path

import numpy as np
import soundfile

EMOTIONS = ("angry", "happy", "sad")
GLIDES = {"angry": -0.4, "happy": 0.4, "sad": 0.0}
RATE = 16_000
SPEECH = Path(__file__).resolve().parents[1] / "examples" / "even.flac"


def voice(emotion: str, pitch_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Make half a second of ten harmonics whose pitch glides as the emotion does."""
    time = np.arange(RATE // 2) / RATE
    glide = 1 + GLIDES[emotion] * time
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / RATE
    sound = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 11))
    return (0.1 * sound + rng.normal(0, 1e-3, len(time))).astype(np.float32)


def spoken(emotion: str, pitch_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Make the same sound with somebody speaking over it, since others are refused."""
    speech, _ = soundfile.read(SPEECH, start=1_600, frames=RATE // 2, dtype="float32")
    return 0.3 * voice(emotion, pitch_hz, rng) + 0.6 * speech


def make_corpus(root: Path, n_speakers: int = 3, n_sentences: int = 6) -> Path:
    """Write a table corpus below `root`, and return its CSV."""
    rng = np.random.default_rng(5)
    rows = ["file,emotion,speaker,sentence"]
    for number in range(n_speakers):
        for emotion in EMOTIONS:
            for sentence in range(n_sentences):
                name = f"s{number}-{emotion}-{sentence}.wav"
                sound = spoken(emotion, (120 + 60 * number) * rng.uniform(0.95, 1.05), rng)
                root.mkdir(parents=True, exist_ok=True)
                soundfile.write(root / name, sound, RATE)
                rows.append(f"{name},{emotion},s{number},t{sentence}")
    table = root / "clips.csv"
    table.write_text("\n".join(rows) + "\n")
    return table
