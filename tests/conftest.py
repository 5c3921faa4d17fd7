"""Fixtures that several test files share."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emovox.recognizer import Recognizer
    from sound_server import SoundServer

REPOSITORY = Path(__file__).resolve().parents[1]
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.fixture
def corpora_root() -> Path:
    """Give the folder of the real corpora, or skip the test."""
    root = Path(os.environ.get("EMOVOX_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()
    if not root.is_dir():
        pytest.skip("the real corpora are not here; EMOVOX_DATA names their folder")
    return root


def benchmark(name: str) -> ModuleType:
    """Load benchmarks/NAME.py, which is a script and in no package."""
    path = REPOSITORY / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def benchmarks() -> "Iterator[Callable[[str], ModuleType]]":
    """Give the benchmarks' modules, which are in no package, by name."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    yield importlib.import_module
    sys.path.remove(str(REPOSITORY / "benchmarks"))


@pytest.fixture
def rng() -> np.random.Generator:
    """Give a seeded random generator."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a real, though untrained and tiny, model file."""
    import torch

    from emovox.card import SCHEMA, Card
    from emovox.training.acoustic.features import AcousticFeatures
    from emovox.training.export import export_model
    from emovox.training.network import EmotionNetwork, WaveformModel
    from emovox.training.settings import AcousticConfig, NetworkConfig

    config = AcousticConfig()
    n_features, n_labels = config.n_features, len(LABELS)
    with torch.random.fork_rng():
        torch.manual_seed(20240229)
        network = EmotionNetwork(n_features, n_labels, NetworkConfig(channels=(8, 8), n_lstm=4))
    network.standardise_by(torch.full((n_features,), -10.0), torch.full((n_features,), 10.0))
    torch.nn.init.normal_(
        network.output.weight, std=3.0, generator=torch.Generator().manual_seed(1)
    )  # so that the scores of different sounds differ
    card = Card(
        schema=SCHEMA,
        name="tiny",
        labels=LABELS,
        features={"kind": "acoustic"},
        rate=16_000,
        window_s=4.0,
        temperature=1.5,
        threshold=0.3,
        baseline=(0.0,) * n_features,
        baseline_seconds=4.0,
        corpora=(
            {
                "name": "made",
                "title": "Made-up noise",
                "licence": "free",
                "utterances": 10,
                "speakers": 20,
            },
        ),
        protocol="speaker",
        figures={"test_uar": 0.5},
        notes="An untrained model for tests.",
        licence="free",
        emovox_version="0.1.0",
        code_revision="abc",
    )
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    export_model(WaveformModel(AcousticFeatures(config), network).eval(), card, path)
    return path


@pytest.fixture(scope="session")
def recognizer(model_file: Path) -> "Recognizer":
    """Open the tiny model."""
    from emovox.recognizer import Recognizer

    return Recognizer.load(model_file)


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """Read a second of a synthesised voice that ships with emovox: mono, 16 kHz."""
    from emovox.audio import load_audio

    return load_audio(REPOSITORY / "examples" / "even.flac")[1_600:17_600].copy()


@pytest.fixture(scope="session")
def talk() -> np.ndarray:
    """Make 13 seconds of talk, mono at 16 kHz: five synthesised utterances with faint pauses."""
    from emovox.audio import load_audio

    rng = np.random.default_rng(11)
    parts = []
    for file in sorted((REPOSITORY / "examples").glob("*.flac")):
        pause = rng.normal(0, 1e-4, 14_000).astype(np.float32)
        parts += [load_audio(file), pause]
    return np.concatenate(parts)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> "Iterator[SoundServer]":
    """Start a sound server, see benchmarks/sound_server.py, or skip the test."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from sound_server import missing_programs, sound_server

    if missing := missing_programs():
        pytest.skip(f"no sound server to test with: {missing} not installed")
    with sound_server() as server:
        code = "from emovox.live.microphone import find_device; find_device()"
        asked = subprocess.run(
            [sys.executable, "-c", code], env=server.environment, capture_output=True, text=True
        )
        if asked.returncode:
            pytest.skip(f"PortAudio does not reach the sound server: {asked.stderr[-200:]}")
        yield server
