"""How fast a clip of 4 s is recognised: emovox, the same network in torch, and openSMILE.

Run with ``python benchmarks/latency.py``. All in one process on one core with one thread, clip by
clip in turn, on the same clips: pairs of TESS recordings, one after the other, cut to 4 s. Timed is
everything from samples to scores; of openSMILE the features alone, which a classifier would still
have to judge. The torch network has random weights: they make no difference to time. How many times
faster than real time a way is comes from processor time, which on an idle core is the time that
passes, and hardly feels the machine's other work. Loading and memory are those of fresh processes,
the fastest of nine for the same reason. Writes benchmarks/results/latency.json.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import ast
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from emovox import Recognizer
from emovox.audio import RATE, audio_files, load_audio
from emovox.evaluation.run import versions
from emovox.model import DEFAULT_MODEL, shipped_models
from emovox.training.network import SpeakerHead
from emovox.training.settings import HeadConfig
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics
from machine import data_folder, machine, write_result

SECONDS = 4.0
N_CLIPS, N_ROUNDS, N_COLD = 40, 10, 9
Way = Callable[[np.ndarray], object]

LOADING = {  # what a fresh process does: import, load, give a first answer
    "emovox": (
        "from emovox import Recognizer",
        "recognizer = Recognizer.load({model!r})",
        "recognizer.hear(clip)",
    ),
    "openSMILE eGeMAPSv02": (
        "import opensmile",
        "smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02)",
        "smile.process_signal(clip, 16_000)",
    ),
}
FRESH = """
import json, sys, time
import numpy as np
clip = np.fromfile(sys.argv[1], np.float32)
times = [time.perf_counter()]
for step in sys.argv[2:]:
    exec(step)
    times.append(time.perf_counter())
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps([*np.diff(times), peak]))
"""
COLD = (
    "import sys, startup; print(startup.run(sys.argv[1:]))"  # a small process: peaks are inherited
)


def clips_of_four_seconds() -> list[np.ndarray]:
    """Join pairs of TESS recordings and cut them."""
    files = audio_files(data_folder() / "tess")
    n = round(SECONDS * RATE)
    step = len(files) // (3 * N_CLIPS)
    sounds = [load_audio(file) for file in files[::step]][: 3 * N_CLIPS]
    triples = (np.concatenate(sounds[first::N_CLIPS])[:n] for first in range(N_CLIPS))
    return [clip for clip in triples if len(clip) == n]


def emovox(name: str) -> Way:
    """Return our whole way from samples to a prediction."""
    recognizer = Recognizer.load(name)
    return recognizer.hear


def in_torch() -> Way:
    """Return the network of the default model in torch, 32-bit floats."""
    encoder = SpeechStatistics(SpeechConfig(), 512).eval()  # as wide as whisper-base
    head = SpeakerHead(encoder.n_statistics, 7, HeadConfig()).eval()
    nothing = torch.zeros(1, head.n_embedding)

    def recognise(clip: np.ndarray) -> object:
        with torch.inference_mode():
            n_samples = torch.tensor([len(clip)])
            statistics = encoder(torch.from_numpy(clip)[None], n_samples)
            return torch.softmax(head(statistics, n_samples, nothing)[0], -1).numpy()

    return recognise


def egemaps() -> Way:
    """Return openSMILE's functionals."""
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    return lambda clip: smile.process_signal(clip, RATE)


def timed(ways: dict[str, Way], clips: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """Time the ways in turn on each clip; return a row for each."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    own: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        for clip in clips[:3]:
            way(clip)
    for _ in range(N_ROUNDS):
        for clip in clips:
            for name, way in ways.items():
                started, started_own = time.perf_counter(), time.process_time()
                way(clip)
                own[name].append(time.process_time() - started_own)
                wall[name].append(time.perf_counter() - started)
    return {name: _row(wall[name], own[name]) for name in ways}


def _row(wall: list[float], own: list[float]) -> dict[str, float]:
    return {
        "ms_median": round(1000 * statistics.median(wall), 2),
        "ms_p99": round(1000 * float(np.quantile(wall, 0.99)), 2),
        "processor_ms_median": round(1000 * statistics.median(own), 2),
        "times_real_time": round(SECONDS / statistics.median(own)),
    }


def loading(clip: Path, steps: tuple[str, ...]) -> dict[str, float]:
    """Run the steps in fresh processes; return the fastest of each, and the median peak."""
    command = [sys.executable, "-c", FRESH, str(clip), *steps]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(N_COLD)
    ]
    *steps_s, peaks = zip(*runs, strict=True)
    names = ("import_s", "load_s", "first_answer_s")
    row = {name: round(min(values), 3) for name, values in zip(names, steps_s, strict=True)}
    return row | {"peak_mb": round(statistics.median(peaks))}


def cold(clip: Path) -> dict[str, float]:
    """Run `emovox predict one.wav` in fresh processes; return the fastest, and the median peak."""
    emovox = str(Path(sys.executable).with_name("emovox"))
    command = [sys.executable, "-c", COLD, emovox, "predict", str(clip)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        ast.literal_eval(
            subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            ).stdout
        )
        for _ in range(N_COLD)
    ]
    seconds, peaks = zip(*runs, strict=True)
    return {
        "seconds": round(min(seconds), 3),
        "peak_mb": round(statistics.median(peaks)),
    }


def fresh_processes(ways: dict[str, tuple[str, ...]], clip: np.ndarray) -> dict[str, Any]:
    """Measure loading and memory of the ways, and our cold start."""
    with tempfile.TemporaryDirectory() as folder:
        samples, recording = Path(folder) / "one.f32", Path(folder) / "one.wav"
        clip.tofile(samples)
        soundfile.write(recording, clip, RATE)
        rows = {name: loading(samples, steps) for name, steps in ways.items()}
        return {"rows": rows, "cold_predict": cold(recording)}


def main() -> None:
    """Measure and print."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    others = [name for name in shipped_models() if name != DEFAULT_MODEL]
    models = {f"emovox, {name}": name for name in (DEFAULT_MODEL, *others)}
    ways = {name: emovox(model) for name, model in models.items()}
    ways["the network of speech in torch"] = in_torch()
    fresh = {
        name: tuple(step.format(model=model) for step in LOADING["emovox"])
        for name, model in models.items()
    }
    if find_spec("opensmile"):
        ways["openSMILE eGeMAPSv02"] = egemaps()
        fresh["openSMILE eGeMAPSv02"] = LOADING["openSMILE eGeMAPSv02"]
    else:
        print("openSMILE is not installed (pip install opensmile); its row is left out")
    clips = clips_of_four_seconds()
    loaded = fresh_processes(fresh, clips[0])
    rows = timed(ways, clips)
    for name, row in rows.items():
        row |= loaded["rows"].get(name, {})
        print(f"{name:32}" + "".join(f"  {key} {value:g}" for key, value in row.items()))
    print("emovox predict one.wav, cold:", loaded["cold_predict"])
    result = {"clips": len(clips), "seconds": SECONDS, "rounds": N_ROUNDS, "threads": 1}
    result |= {"rows": rows, "cold_predict": loaded["cold_predict"]}
    libraries = {name: version(name) for name in ("opensmile",) if find_spec(name)}
    write_result("latency", {**result, "versions": versions() | libraries, "machine": machine()})


if __name__ == "__main__":
    main()
