"""Fixtures that several test files share."""

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emovox.card import Card
    from emovox.recognizer import Recognizer
    from emovox.website import Page
    from sound_server import SoundServer

# Tests run beside others: a deadline for each example would measure those as well.
hypothesis.settings.register_profile("emovox", deadline=None)
hypothesis.settings.load_profile("emovox")

REPOSITORY = Path(__file__).resolve().parents[1]
TINY = REPOSITORY / "tests" / "tiny.onnx"
EXTRAS = {
    "report": ("jinja2", "matplotlib"),
    "train": ("torch", "librosa", "onnx", "safetensors", "scipy", "sklearn", "pooch"),
    "live": ("sounddevice", "platformdirs"),
    "serve": ("fastapi", "uvicorn", "prometheus_client", "starlette"),
    "opus": ("av",),
    "archive": ("dask", "distributed", "cryptography", "pyarrow", "fsspec"),
    "journal": ("cryptography", "platformdirs", "scipy"),
    "transcripts": ("praatio", "pympi"),
    "pipecat": ("pipecat",),
    "livekit": ("livekit",),
    "mcp": ("mcp",),
    "dev": (
        *("build", "httpx", "pandas", "playwright", "psutil", "schemathesis", "websockets"),
        *("bids_validator", "fhir", "webvtt"),
    ),
}
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def not_installed(module: str | None) -> str:
    """Return why a test that needs a module is skipped; "" for one that the core needs itself."""
    name = (module or "").partition(".")[0]
    extras = [extra for extra, modules in EXTRAS.items() if name in modules]
    return f"{name} is not installed; it comes with {extras[0]}" if extras else ""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> "Iterator[None]":
    """Skip a test file that imports what only an extra brings, where that is not installed."""
    report = yield
    missing = re.search(r"No module named '([^']+)", str(report.longrepr))
    if report.failed and missing and (reason := not_installed(missing[1])):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {reason}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> "Iterator[None]":
    """Skip a test whose mark names a module that is not installed."""
    for mark in item.iter_markers("needs"):
        pytest.importorskip(mark.args[0], reason=not_installed(mark.args[0]))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> "Iterator[None]":
    """Skip a test that came upon a module which is not installed."""
    try:
        return (yield)
    except ModuleNotFoundError as error:
        if reason := not_installed(error.name):
            pytest.skip(reason)
        raise


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[None]":
    """Keep what services and commands keep for a user in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


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


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write empty pictures, four fifths of a report's time, unless a test is marked `pictures`."""
    figure = pytest.importorskip("matplotlib.figure", reason=not_installed("matplotlib")).Figure
    if "pictures" not in request.keywords:
        monkeypatch.setattr(figure, "savefig", lambda _, file, **options: file.write(b"<svg/>"))


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of a real, though untrained and tiny, model file; see make_tiny_model.py."""
    return shutil.copy(TINY, tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def recognizer(model_file: Path) -> "Recognizer":
    """Open the tiny model."""
    from emovox.recognizer import Recognizer

    return Recognizer.load(model_file)


@pytest.fixture(scope="session")
def shipped() -> "Recognizer":
    """Open the model that comes with emovox, as the server does."""
    from emovox.recognizer import Recognizer

    return Recognizer.load()


@pytest.fixture(scope="session")
def card(model_file: Path) -> "Card":
    """Give the card of the tiny model."""
    from emovox.model import Model

    return Model.load(model_file).card


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


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, Page]":
    """Write the page for static hosts; its runtime comes from npm once, then from the cache."""
    from emovox.errors import ConfigError
    from emovox.website import write_page

    folder = tmp_path_factory.mktemp("page")
    try:
        return folder, write_page(folder)
    except ConfigError as error:
        pytest.skip(str(error))


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
