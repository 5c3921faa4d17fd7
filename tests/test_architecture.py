"""The plan of the house: what may be imported where, and what the package shows."""

import ast
import importlib
import pkgutil
import statistics
import subprocess
import sys
import tomllib
import warnings
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import emovox

ROOT = Path(emovox.__file__).parent
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "even.flac"
PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
MODULES = sorted(  # by their files: to import a package may need an extra
    ".".join(("emovox", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path != ROOT / "__init__.py"
)
# Where each library may be imported: in the modules of these parts, and inside their functions.
ALLOWED = {
    "torch": ({"training"}, set()),
    "onnx": ({"training"}, {"archive"}),
    "onnxruntime": ({"training"}, {"model"}),  # training compares it with torch
    "scipy": ({"training"}, {"evaluation", "journal"}),
    "sklearn": ({"sklearn"}, set()),
    "pandas": (set(), {"tracks"}),
    "librosa": ({"training"}, {"figures"}),
    "matplotlib": (set(), {"figures"}),
    "jinja2": (set(), {"evaluation"}),
    "pooch": (set(), {"corpora", "training"}),
    "fastapi": ({"server"}, set()),
    "starlette": ({"server"}, set()),
    "uvicorn": ({"server"}, set()),
    "prometheus_client": ({"server"}, set()),
    "httpx": ({"client"}, set()),
    "websockets": ({"client", "server"}, set()),
    "av": (set(), {"server"}),
    "sounddevice": (set(), {"live"}),
    "dask": ({"archive"}, set()),
    "distributed": ({"archive"}, set()),
    "pyarrow": ({"archive"}, {"journal"}),
    "fsspec": (set(), {"archive"}),
    "cryptography": (set(), {"archive", "journal"}),
    "praatio": (set(), {"turns"}),
    "pympi": (set(), {"turns"}),
    "pipecat": ({"integrations"}, set()),
    "livekit": ({"integrations"}, set()),
    "mcp": ({"integrations"}, set()),
}
WITH_LIBRARY = {  # parts that cannot be imported without a library
    "client": "httpx",
    "integrations.pipecat": "pipecat",
    "integrations.livekit": "livekit",
    "integrations.mcp": "mcp",
    "sklearn": "sklearn",
}
LAZY = {*ALLOWED} - {"starlette"}
MAX_NAMES = 39  # that a reader of src/emovox sees
MAX_FLOORS = 11  # of the import contract
MAX_FILE = 450  # lines
MAX_FUNCTION = 60  # lines of code: no docstrings, blank lines or comments


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
    for part, library in WITH_LIBRARY.items():
        if name.startswith(f"emovox.{part}"):
            pytest.importorskip(library, reason="its importer says so in an error of ours")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of libraries
        module = importlib.import_module(name)
    assert module.__doc__
    assert module.__doc__.splitlines()[0].strip()


def test_importing_the_package_loads_nothing_heavy():
    """`import emovox` costs next to nothing: not even NumPy."""
    assert not loaded_after("import emovox") & (LAZY | {"numpy", "soundfile", "typer"})


@pytest.mark.parametrize("arguments", ["--help", "--version", "predict --help", "score --help"])
def test_help_loads_nothing_heavy(arguments):
    """Asking how to use it waits for none of the heavy libraries."""
    code = f"from emovox.cli import run\nassert run({arguments.split()!r}) == 0"
    assert not loaded_after(code) & (LAZY | {"numpy"})


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
    """No module imports a heavy library but those whose subject it is, at its top or at all."""
    at_top = imports(statements(file, in_functions=False))
    anywhere = imports(statements(file, in_functions=True))
    for library, (modules, functions) in ALLOWED.items():
        assert library not in at_top or subject(file) in modules
        assert library not in anywhere or subject(file) in modules | functions


def code_lines(function: ast.AST, lines: list[str]) -> int:
    """Count a function's lines but for its docstrings, blank lines and comments."""
    kept = set(range(function.lineno, function.end_lineno + 1))
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            kept -= set(range(node.lineno, node.end_lineno + 1))
    code = [lines[number - 1].strip() for number in kept]
    return sum(bool(line) and not line.startswith("#") for line in code)


def function_lengths() -> dict[str, int]:
    """Return the lines of every function, by file and name; the longest of those of one name."""
    lengths: dict[str, int] = {}
    for file in source_files():
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                key = f"{file.relative_to(ROOT).as_posix()}:{node.name}"
                length = code_lines(node, text.splitlines())
                lengths[key] = max(length, lengths.get(key, 0))
    return lengths


def test_functions_stay_short():
    """Half of the functions have 7 lines at most, nine of ten at most 19, and none above 60."""
    lengths = function_lengths()
    assert statistics.median(lengths.values()) <= 7
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 19
    assert max(lengths.values()) <= MAX_FUNCTION


def test_the_house_stays_small():
    """Few names stand at the top of the package, on few floors."""
    names = {module.name for module in pkgutil.iter_modules([str(ROOT)])}
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    assert len(names) <= MAX_NAMES
    assert len(layers) <= MAX_FLOORS
    assert {name for layer in layers for name in layer.split(" | ")} == names


def test_no_module_imports_itself_by_way_of_others():
    """There is no circle of imports, those inside functions included, those for types left out."""
    grimp = pytest.importorskip("grimp", reason="import-linter is not installed")
    graph = grimp.build_graph("emovox", exclude_type_checking_imports=True, cache_dir=None)
    below = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert [*TopologicalSorter(below).static_order()]


def test_no_module_is_a_drawer():
    """A module has a subject; there is none for what has none."""
    names = {part for name in MODULES for part in name.split(".")}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_files_stay_short(file):
    """No file outgrows what one can read in one go."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_FILE


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

        kinds = [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and kind.__module__ == errors.__name__
        ]
        assert len(kinds) > 5
        assert all(issubclass(kind, emovox.EmovoxError) for kind in kinds)
        assert issubclass(errors.SilenceError, errors.AudioError)

    def test_version(self):
        """The version is that of the installed distribution."""
        from importlib.metadata import version

        assert emovox.__version__ == version("emovox")
