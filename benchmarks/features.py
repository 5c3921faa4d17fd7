"""Acoustic features per clip: librosa called three times, with one STFT, openSMILE, and ours.

Run with ``python benchmarks/features.py``. All on the same TESS clips in one run, round by round,
on one thread; what is compared is the ratio. Writes benchmarks/results/features.json.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import librosa
import numpy as np
import torch

from emovox.audio import RATE, audio_files, load_audio
from emovox.training.acoustic.features import AcousticFeatures
from emovox.training.settings import AcousticConfig
from machine import data_folder, machine, write_result

N_CLIPS, N_ROUNDS = 200, 7
BATCH = 4  # what fits into a core's cache; larger ones are slower
Clips = list[np.ndarray]


def librosa_three_calls(clips: Clips) -> None:
    """MFCC, chroma and contrast as every tutorial does it; each call makes its own STFT."""
    sizes = {"sr": RATE, "n_fft": 1024, "hop_length": 256}
    for clip in clips:
        librosa.feature.mfcc(y=clip, n_mfcc=40, n_mels=80, **sizes)
        librosa.feature.chroma_stft(y=clip, **sizes)
        librosa.feature.spectral_contrast(y=clip, **sizes)


def librosa_shared_stft(clips: Clips) -> None:
    """Compute the same from one STFT, without the estimate of tuning."""
    for clip in clips:
        magnitude = np.abs(librosa.stft(clip, n_fft=1024, hop_length=256))
        mel = librosa.feature.melspectrogram(S=magnitude**2, sr=RATE, n_mels=80)
        librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=40)
        librosa.feature.chroma_stft(S=magnitude**2, sr=RATE, tuning=0.0)
        librosa.feature.spectral_contrast(S=magnitude, sr=RATE)


def ours(batch: int) -> Callable[[Clips], None]:
    """Make a function that computes ours, `batch` clips of similar length at a time."""
    module = AcousticFeatures(AcousticConfig()).eval()

    def compute(clips: Clips) -> None:
        ordered = sorted(clips, key=len)
        for first in range(0, len(ordered), batch):
            chosen = ordered[first : first + batch]
            lengths = torch.tensor([len(clip) for clip in chosen])
            audio = torch.zeros(len(chosen), int(lengths.max()))
            for row, clip in enumerate(chosen):
                audio[row, : len(clip)] = torch.from_numpy(clip)
            with torch.inference_mode():
                module(audio, lengths)

    return compute


def opensmile_functionals() -> Callable[[Clips], None] | None:
    """Make a function that computes eGeMAPSv02, if openSMILE is installed."""
    try:
        import opensmile
    except ImportError:
        return None
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )

    def compute(clips: Clips) -> None:
        for clip in clips:
            smile.process_signal(clip, RATE)

    return compute


def main() -> None:
    """Time all ways in turn and print the fastest rounds."""
    torch.set_num_threads(1)
    files = audio_files(data_folder() / "tess")
    clips = [load_audio(file) for file in files[:: len(files) // N_CLIPS][:N_CLIPS]]
    ways: dict[str, Callable[[Clips], None] | None] = {
        "librosa, three calls": librosa_three_calls,
        "librosa, one STFT": librosa_shared_stft,
        "openSMILE eGeMAPSv02": opensmile_functionals(),
        "ours, one clip": ours(1),
        f"ours, batches of {BATCH}": ours(BATCH),
    }
    timings: dict[str, list[float]] = {name: [] for name, way in ways.items() if way}
    for name in timings:
        ways[name](clips[:10])  # warm up: compiled filters, caches
    for _ in range(N_ROUNDS):
        for name, seconds in timings.items():
            started = time.perf_counter()
            ways[name](clips)
            seconds.append(time.perf_counter() - started)
    mean_s = float(np.mean([len(clip) for clip in clips])) / RATE
    # The fastest round: what slows the others is the machine's other work, not the code.
    reference = min(timings["librosa, three calls"])
    rows = {}
    for name, seconds in timings.items():
        fastest = min(seconds)
        rows[name] = {
            "ms_per_clip": round(1000 * fastest / len(clips), 3),
            "times_real_time": round(mean_s * len(clips) / fastest),
            "ratio_to_three_calls": round(reference / fastest, 2),
        }
        print(f"{name:26}" + "".join(f"  {key} {value:g}" for key, value in rows[name].items()))
    libraries = ("numpy", "torch", "librosa", "opensmile")
    versions = {name: version(name) for name in libraries if find_spec(name)}
    write_result(
        "features",
        {
            "clips": len(clips),
            "mean_seconds": round(mean_s, 3),
            "rounds": N_ROUNDS,
            "threads": 1,
            "rows": rows,
            "versions": versions,
            "machine": machine(),
        },
    )


if __name__ == "__main__":
    main()
