"""How long training takes: the whole command on TESS, and its features, cold and from the cache.

Run with ``python benchmarks/training.py``. Each stage is a process of its own with a new cache.
Writes benchmarks/results/training.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import data_folder, machine, write_result

EXTRACT = """
import sys, time
from pathlib import Path
from emovox.cache import ArrayCache
from emovox.corpora import load_corpus
from emovox.extraction import extract
from emovox.features import AcousticConfig
utterances = load_corpus("tess", sys.argv[1]).utterances
started = time.perf_counter()
extract(utterances, AcousticConfig(), ArrayCache(Path(sys.argv[2])), window_s=10.0)
print(time.perf_counter() - started)
"""


def main() -> None:
    """Time the stages and print them."""
    tess = data_folder() / "tess"
    with tempfile.TemporaryDirectory() as folder:
        extract = [sys.executable, "-c", EXTRACT, str(tess), str(Path(folder) / "features")]
        cold, cached = (
            float(subprocess.run(extract, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
        command = [str(Path(sys.executable).with_name("emovox")), "train"]
        command += ["--corpus", f"tess={tess}", "--features", "acoustic", "--protocol", "random"]
        command += ["--seed", "0", "--epochs", "50", "--out", str(Path(folder) / "run")]
        started = time.perf_counter()
        environment = {**os.environ, "EMOVOX_CACHE": str(Path(folder) / "cache")}
        subprocess.run(command, check=True, env=environment)
        whole = time.perf_counter() - started
        n_epochs = (Path(folder) / "run" / "history.csv").read_text().count("\n") - 1
    rows = {
        "features of 2,798 clips, cold": round(cold, 1),
        "features of 2,798 clips, from the cache": round(cached, 2),
        f"emovox train, cold, to the report ({n_epochs} epochs)": round(whole, 1),
    }
    for name, seconds in rows.items():
        print(f"{name:50} {seconds} s")
    write_result("training", {"seconds": rows, "machine": machine()})


if __name__ == "__main__":
    main()
