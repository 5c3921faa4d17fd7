"""Cold start: `emovox predict one.wav`, `import emovox`, and librosa to a first feature.

Run with ``python benchmarks/startup.py``. Each is a fresh process, in turn, several rounds; wall
seconds and peak resident memory are medians. Writes benchmarks/results/startup.json.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from machine import REPOSITORY, machine, write_result

N_ROUNDS = 9
LIBROSA = "import librosa, sys; y, r = librosa.load(sys.argv[1], sr=16000); "
LIBROSA += "librosa.feature.mfcc(y=y, sr=r)"


def run(command: list[str]) -> tuple[float, float]:
    """Run a command; return wall seconds and peak resident memory in MB."""
    started = time.perf_counter()
    silent = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, silent, 1), (os.POSIX_SPAWN_DUP2, silent, 2)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    os.close(silent)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Time all commands in turn and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "one.wav"
        soundfile.write(clip, *soundfile.read(REPOSITORY / "examples" / "even.flac"))
        emovox = str(Path(sys.executable).with_name("emovox"))
        commands = {
            "emovox predict one.wav": [emovox, "predict", str(clip)],
            "emovox --help": [emovox, "--help"],
            "import numpy": [sys.executable, "-c", "import numpy"],
            "import emovox": [sys.executable, "-c", "import emovox"],
            "librosa to a first feature": [sys.executable, "-c", LIBROSA, str(clip)],
        }
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(N_ROUNDS):
            for name, command in commands.items():
                measured[name].append(run(command))
    rows = {}
    for name, values in measured.items():
        rows[name] = {
            "seconds": round(statistics.median(value[0] for value in values), 3),
            "peak_mb": round(statistics.median(value[1] for value in values)),
        }
        print(f"{name:28} {rows[name]['seconds']:.3f} s  {rows[name]['peak_mb']} MB")
    write_result("startup", {"rounds": N_ROUNDS, "rows": rows, "machine": machine()})


if __name__ == "__main__":
    main()
