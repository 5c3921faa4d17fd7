"""The plan of the house: what may be imported where, and what the package shows."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import emovox

ROOT = Path(emovox.__file__).parent
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "even.flac"
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(ROOT)], prefix="emovox."))
LAZY = ("torch", "librosa", "matplotlib", "onnxruntime", "sklearn", "onnx", "scipy", "jinja2")
LAZY += ("fastapi", "uvicorn", "prometheus_client", "sounddevice")
LAZY += ("dask", "distributed", "pyarrow", "fsspec")
ALLOWED = {
    "torch": {"training"},
    "onnx": {"training"},
    "onnxruntime": {"training"},  # compares it with torch; recognising imports it when needed
    "scipy": {"training"},
    "sklearn": set(),
    "librosa": set(),
    "matplotlib": set(),  # only inside functions of figures
    "jinja2": set(),
    "pooch": set(),
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "prometheus_client": {"server"},
    "sounddevice": set(),  # only inside a function of live
    "dask": {"archive"},
    "distributed": {"archive"},
    "pyarrow": {"archive"},
    "fsspec": set(),
}


def source_files() -> list[Path]:
    """List all source files of the package."""
    return sorted(ROOT.rglob("*.py"))


def subject(file: Path) -> str:
    """Return the part of the package a file belongs to, such as "figures" or "audio"."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(nodes: list[ast.stmt]) -> set[str]:
    """Return the packages outside emovox that statements import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def statements(file: Path, *, in_functions: bool) -> list[ast.stmt]:
    """Return a file's statements that ever run, or only those that run when it is imported."""
    found: list[ast.stmt] = []
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not in_functions:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def loaded_after(code: str) -> set[str]:
    """Return the packages that are loaded after some code ran in a fresh process."""
    report = f"{code}\nprint('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{report}"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return {name.partition(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name):
    """Each module parses, runs, and says in its first line what it is."""
    module = importlib.import_module(name)
    assert module.__doc__
    assert module.__doc__.splitlines()[0].strip()


def test_importing_the_package_loads_nothing_heavy():
    """`import emovox` costs next to nothing: not even NumPy."""
    assert not loaded_after("import emovox") & {*LAZY, "numpy", "soundfile", "typer"}


@pytest.mark.parametrize("arguments", ["--help", "--version", "predict --help", "score --help"])
def test_help_loads_nothing_heavy(arguments):
    """Asking how to use it waits for none of the heavy libraries."""
    code = f"from emovox.cli import run\nassert run({arguments.split()!r}) == 0"
    assert not loaded_after(code) & {*LAZY, "numpy"}


def test_recognising_needs_no_training_libraries(model_file):
    """Recognition runs where only the core is installed: no torch, no librosa, no matplotlib."""
    code = (
        f"import emovox\nemovox.Recognizer.load({str(model_file)!r})"
        f".predict({str(EXAMPLE)!r}, explain=True)"
    )
    loaded = loaded_after(code)
    assert not loaded & {"torch", "librosa", "matplotlib", "sklearn", "onnx", "jinja2", "pooch"}
    assert "onnxruntime" in loaded


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_heavy_imports_are_where_they_belong(file):
    """No module imports a heavy library at its top but those whose subject it is."""
    found = imports(statements(file, in_functions=False))
    misplaced = {name for name in found & ALLOWED.keys() if subject(file) not in ALLOWED[name]}
    assert not misplaced


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_torch_and_matplotlib_stay_at_home(file):
    """Not even inside functions is torch imported elsewhere, or matplotlib outside figures."""
    found = imports(statements(file, in_functions=True))
    assert "torch" not in found or subject(file) == "training"
    assert "matplotlib" not in found or subject(file) == "figures"


def test_no_module_is_a_drawer():
    """A module has a subject; there is none for what has none."""
    names = {part for name in MODULES for part in name.split(".")}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_files_stay_short(file):
    """No file outgrows what one can read in one go."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 450


class TestPublicNames:
    """What the package shows."""

    def test_at_most_ten(self):
        """Few names, each of which works and is listed."""
        assert len(emovox.__all__) <= 10
        assert {"Recognizer", "Prediction", "load_audio", "EmovoxError"} <= set(emovox.__all__)
        assert dir(emovox) == sorted(emovox.__all__)
        for name in emovox.__all__:
            assert getattr(emovox, name) is not None

    def test_star(self):
        """A star import brings all of them."""
        names: dict[str, object] = {}
        exec("from emovox import *", names)
        assert set(emovox.__all__) <= names.keys()

    def test_unknown(self):
        """An unknown name is an AttributeError, as of any module."""
        with pytest.raises(AttributeError, match="module 'emovox' has no attribute 'Foo'"):
            emovox.Foo  # noqa: B018

    def test_submodules(self):
        """Modules can be imported from the package as of any other."""
        from emovox import audio

        assert audio.RATE == 16_000

    def test_errors_have_one_root(self):
        """Everything a user can do wrong can be caught at once."""
        from emovox import errors

        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
        assert len(kinds) > 5
        assert all(issubclass(kind, emovox.EmovoxError) for kind in kinds)
        assert issubclass(errors.SilenceError, errors.AudioError)

    def test_version(self):
        """The version is that of the installed distribution."""
        from importlib.metadata import version

        assert emovox.__version__ == version("emovox")
