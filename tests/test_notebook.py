"""The notebook of TESS: its cells run in order, on a small folder that looks like TESS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from made_corpus import RATE, spoken

NOTEBOOK = REPOSITORY / "examples" / "tess.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def make_tess(root: Path) -> None:
    """Write recordings with the names of TESS's: two speakers, three emotions, ten words."""
    rng = np.random.default_rng(3)
    words = ("bar", "base", "bath", "bean", "beg", "bite", "boat", "bone", "book", "bought")
    for speaker, pitch_hz in (("OAF", 180.0), ("YAF", 240.0)):
        for emotion in ("angry", "happy", "sad"):
            folder = root / f"{speaker}_{emotion}"
            folder.mkdir(parents=True)
            for word in words:
                sound = spoken(emotion, pitch_hz * rng.uniform(0.95, 1.05), rng)
                soundfile.write(folder / f"{speaker}_{word}_{emotion}.wav", sound, RATE)


def test_stripped():
    """The notebook is kept without outputs, and each cell compiles."""
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    for number, code in enumerate(CODE):
        compile(code, f"cell {number}", "exec")


def test_runs(tmp_path):
    """Run from the top to the end, it trains, tests, draws and recognises."""
    for module in ("torch", "matplotlib", "pandas", "sklearn"):
        pytest.importorskip(module)
    make_tess(tmp_path / "tess")
    (tmp_path / "notebook.py").write_text("\n\n".join(CODE), encoding="utf-8")
    environment = {
        **os.environ,
        "TESS": str(tmp_path / "tess"),
        "RUN": str(tmp_path / "run"),
        "EPOCHS": "2",
        "EMOVOX_CACHE": str(tmp_path / "cache"),
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "frames of 59 features" in done.stdout
    assert "UAR on the voice left out" in done.stdout
    assert (tmp_path / "run" / "report.html").exists()
