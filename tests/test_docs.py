"""The documentation: its snippets run, its links lead to files, its tables are the code's."""

import dataclasses
import inspect
import json
import math
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer

import emovox
from conftest import REPOSITORY, benchmark
from emovox import Baseline, Prediction, Recognizer, Stream, errors
from emovox.card import Card
from emovox.cli import app, run
from emovox.corpora import SPECS
from emovox.emotions import ALIASES
from emovox.training.settings import (
    Acoustic,
    AcousticConfig,
    HeadConfig,
    NetworkConfig,
    Settings,
    Speech,
    read_settings,
)

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(REPOSITORY).as_posix() for path in DOCS.rglob("*.md"))
PAGES += ["README.md", "MODEL_CARD.md", "CHANGELOG.md", "CONTRIBUTING.md"]
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def read(page: str) -> str:
    """Return the text of a page of the repository."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """Return the part of a page from a heading of the second level to the next one."""
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", read(page), re.MULTILINE | re.DOTALL)
    return str(found)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, headers included."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def first_cells(text: str) -> set[str]:
    """Return the first cells of the tables' rows that are in code quotes, without these."""
    return {row[0].strip("`") for row in rows(text) if row[0].startswith("`")}


def run_python(page: str, line: int, body: str, names: dict[str, object]) -> None:
    """Run a snippet, so that an error shows the page's own line."""
    exec(compile("\n" * line + body, page, "exec"), names)


def run_console(body: str, expected: int) -> None:
    """Run the commands of a console block, and expect an exit code of each."""
    commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "emovox"
        assert run(arguments) == expected, command


# These need a server: tests/test_http_docs.py runs them.
SERVED = ("docs/http.md", "docs/clients.md")
WITH_SNIPPETS = [page for page in PAGES if "```" in read(page) and page not in SERVED]


@pytest.mark.needs("dask")
@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_snippets_run(page, tmp_path, monkeypatch):
    """The Python and console blocks of a page run in order, as from the repository's top."""
    for folder in ("examples", "configs", "src"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    text = read(page)
    for block in BLOCK.finditer(text):
        note = block["note"] or ""
        if note.startswith("not run"):
            continue
        if block["language"] == "python":
            run_python(page, text[: block.start("body")].count("\n"), block["body"], names)
        elif block["language"] == "console":
            run_console(block["body"], int(note.removeprefix("exit code ") or 0))


def test_commands_that_are_not_run_exist():
    """Every emovox command in any block parses as far as its name and its options."""
    options = dict(commands())
    for page in PAGES:
        for block in BLOCK.finditer(read(page)):
            for line in re.findall(r"^(?:\$ )?emovox (.*)$", block["body"], re.MULTILINE):
                words = shlex.split(line, comments=True)
                name = next((n for n in (" ".join(words[:2]), words[0]) if n in options and n), "")
                given = {word for word in words if word.startswith("--")}
                negated = {option.replace("--", "--no-", 1) for option in options[name]}
                assert given <= {*options[name], *negated, "--help"}, f"{page}: emovox {line}"


def commands() -> list[tuple[str, set[str]]]:
    """List the commands, the top one as "", with their options."""

    def walk(command, name: str) -> Iterator[tuple[str, set[str]]]:
        inner = getattr(command, "commands", {})
        opts = {o for p in command.params if isinstance(p, typer.core.TyperOption) for o in p.opts}
        if not inner or not name:
            yield name, opts
        for word, one in inner.items():
            yield from walk(one, f"{name} {word}".strip())

    return list(walk(typer.main.get_command(app), ""))


@pytest.mark.parametrize(("name", "options"), commands())
def test_every_option_is_documented(name, options):
    """A command's section names its options, all of them and no others."""
    page = "docs/command-line.md"
    if not name:
        assert all(f"`{option}`" in read(page) for option in options)
        return
    text = section(page, rf"emovox {name}[^\n]*")
    named = {option for row in rows(text) for option in re.findall(r"`(--?[a-z-]+)", row[0])}
    assert named == options


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    """What a page links to in the repository is there; what it links to elsewhere is https."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            assert target.startswith("https://"), target
        else:
            path, _, _ = target.partition("#")
            assert ((REPOSITORY / page).parent / path).exists(), target


def test_every_page_is_found_from_the_readme():
    """The README links to every page of the documentation."""
    assert all(f"]({page})" in read("README.md") for page in PAGES if page != "README.md")


SETTINGS = {
    "": Settings,
    "acoustic": Acoustic,
    "acoustic.features": AcousticConfig,
    "acoustic.network": NetworkConfig,
    "speech": Speech,
    "speech.head": HeadConfig,
}


@pytest.mark.parametrize("table", SETTINGS)
def test_every_setting_is_documented_with_its_default(table):
    """Each table of settings names the keys it has, all of them and no others, with defaults."""
    text = section("docs/training.md", "Settings")
    parts = re.split(r"^The table `\[([\w.]+)\]`", text, flags=re.MULTILINE)
    texts = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    assert set(texts) == set(SETTINGS)
    shown = {row[0].strip("`"): row[1] for row in rows(texts[table]) if row[0].startswith("`")}
    fields = dataclasses.fields(SETTINGS[table])
    assert list(shown) == [field.name for field in fields]
    for field in fields:
        default = getattr(SETTINGS[table](), field.name)
        cell = shown[field.name]
        if cell.startswith("`"):
            value = tomllib.loads(f"value = {cell.strip('`')}")["value"]
            assert value == (list(default) if isinstance(default, tuple) else default), field.name
        else:
            assert field.name == "merge" or f"{table}.{field.name}".strip(".") in SETTINGS


def test_toml_examples_are_settings(tmp_path):
    """The TOML of the pages is read as settings."""
    blocks = [
        b["body"] for b in BLOCK.finditer(read("docs/training.md")) if b["language"] == "toml"
    ]
    assert blocks
    for body in blocks:
        (tmp_path / "config.toml").write_text(body, encoding="utf-8")
        read_settings(tmp_path / "config.toml", {})


def test_every_card_key_is_documented():
    """The table of the card names its keys, in their order."""
    table = [row[0].strip("`") for row in rows(section("docs/model-file.md", "The card"))]
    assert table[1:] == [field.name for field in dataclasses.fields(Card)]


def test_label_words_are_those_of_the_code():
    """The table of emotions and their words equals ALIASES."""
    _, *table = rows(section("docs/data.md", "The words for emotions"))
    assert {label: tuple(words.split(", ")) for label, words in table} == dict(ALIASES)


def test_corpora_are_those_of_the_code():
    """The table of corpora equals what the code knows of them."""
    _, *table = rows(section("docs/data.md", "Published corpora"))
    shown = {row[0].strip("`"): row[1:] for row in table}
    assert list(shown) == list(SPECS)
    for name, (title, language, _, clips, emotions, licence) in shown.items():
        spec = SPECS[name]
        assert (title, language, licence) == (spec.title, spec.language, spec.licence)
        assert clips == f"{spec.n_expected:,}"
        assert emotions.split(", ") == sorted({label for label in spec.labels.values() if label})
    downloads = {row[0].strip("`"): row[1] for row in rows(section("docs/data.md", "Getting them"))}
    for name, spec in SPECS.items():
        assert downloads[name].startswith("by hand") == (spec.download is None)


def test_errors_are_those_of_the_code():
    """The table of errors names every kind of EmovoxError."""
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    kinds = {kind.__name__ for kind in classes if issubclass(kind, errors.EmovoxError)}
    kinds -= {"EmovoxError"}
    assert first_cells(section("docs/python.md", "Errors")) == kinds


PUBLIC = (emovox, Recognizer, Stream, Baseline, Prediction)


def shown_signatures(page: str) -> dict[str, inspect.Signature]:
    """Return the calls that a page shows within its prose, `name(parameter, other=default)`."""
    prose = BLOCK.sub("", read(page))
    calls = re.findall(r"`(?:\w+\.)?([a-z]\w+)\(([^`]*)\)`", prose)
    shown = {}
    for name, parameters in calls:
        names: dict[str, object] = {"inf": math.inf}
        exec(f"def function({parameters}): ...", names)
        shown[name] = inspect.signature(names["function"])
    return shown


def without_types(signature: inspect.Signature) -> list[tuple[str, object, object]]:
    """Return name, kind and default of the parameters, the object itself left out."""
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    return [(one.name, one.kind, one.default) for one in parameters]


@pytest.mark.parametrize("page", ["docs/python.md", "docs/streaming.md"])
def test_signatures_are_those_of_the_code(page):
    """A function shown with its parameters has these, in this order and with these defaults."""
    shown = shown_signatures(page)
    assert shown.keys() & {"predict", "segments"}
    for name, signature in shown.items():
        functions = [getattr(owner, name, None) for owner in PUBLIC]
        expected = [without_types(inspect.signature(f)) for f in functions if callable(f)]
        assert without_types(signature) in expected, f"{page}: {name}"


def test_modules_are_those_of_the_code():
    """The architecture's table has every module, in the order of the import contract."""
    table = [row[0] for row in rows(section("docs/architecture.md", "Modules"))][1:]
    config = tomllib.loads(read("pyproject.toml"))
    (layers,) = (
        contract["layers"]
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    assert [re.findall(r"\w+", cell) for cell in table] == [
        re.findall(r"\w+", layer) for layer in layers
    ]


def test_the_walks_lead_through_the_code():
    """Each file that the architecture's walks name is there, with the names that follow it."""
    walks = section("docs/architecture.md", "Three walks")
    steps = re.findall(r"`([\w/]+\.py)`((?:,? (?:or )?`\w+(?:\.\w+)?`)*)", walks)
    assert len(steps) > 20
    for file, names in steps:
        source = (REPOSITORY / "src" / "emovox" / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(?:\w+\.)?(\w+)`", names):
            assert re.search(rf"^\s*(?:def|class) {name}\b", source, re.MULTILINE), (
                f"{file}: {name}"
            )


def test_the_model_card_is_of_the_shipped_model():
    """The model card names the shipped model, its labels and its protocol."""
    card = Recognizer.load().card
    text = " ".join(read("MODEL_CARD.md").split())
    assert text.startswith(f"# Model card: {card.name}")
    assert f"seven labels out: {', '.join(card.labels)}." in text
    assert f"protocol `{card.protocol}`" in text
    assert len(card.baseline) == int(re.findall(r"`d` is (\d+)", read("docs/model-file.md"))[0])


def test_pictures_are_small():
    """No picture of the documentation weighs more than 300 kB."""
    pictures = list((DOCS / "images").glob("*.png"))
    assert pictures
    assert all(path.stat().st_size < 300_000 for path in pictures)


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """Load the script that makes tables."""
    return benchmark("tables")


def test_tables_are_made_from_the_results(tables):
    """The pages' tables are those that benchmarks/tables.py makes."""
    for page in tables.PAGES:
        assert tables.filled(read(page), tables.RESULTS) == read(page), "run benchmarks/tables.py"


MACHINE = {"processor": "A processor", "cores": 2, "system": "Linux"}
PROTOCOLS = {
    "tess-random-0": {"protocol": "random", "accuracy": 0.99, "uar": 0.98, "n_test": 280},
    "tess-random-1": {"protocol": "random", "accuracy": 1.0, "uar": 1.0, "n_test": 279},
    "tess-speaker-0": {
        "protocol": "speaker",
        "seed": 0,
        "accuracy": 0.45,
        "uar": 0.45,
        "n_test": 2798,
        "folds": {"OAF": 0.4, "YAF": 0.5},
        "temperature_unheard": 3.5,
    },
    "ravdess-speaker-0": {
        "protocol": "speaker",
        "accuracy": 0.5,
        "uar": 0.5,
        "n_test": 1440,
        "folds": {f"fold-{k}": 0.4 + 0.1 * (k % 3) for k in range(6)},
    },
}


def test_tables_sum_up_seeds_and_folds(tables, tmp_path):
    """Each protocol is one row, mean and lowest over the seeds; two folds have rows, too."""
    result = {"rows": PROTOCOLS, "machine": MACHINE, "versions": {"numpy": "2"}}
    (tmp_path / "protocols.json").write_text(json.dumps(result))
    page = (
        "<!-- table:protocols -->\nstale\n<!-- end -->\n<!-- table:temperature -->\n<!-- end -->\n"
    )
    filled = tables.filled(page, tmp_path)
    table = list(rows(filled))
    assert table[1][2:] == ["279 to 280", "2", "99.0 %", "98.0 %", "99.5 %"]
    assert table[2][2:] == ["2,798", "1", "45.0 %", "40.0 %", "45.0 %"]
    assert table[3][1] == "OAF, after training on YAF"
    assert table[3][4] == "40.0 %"
    assert table[5][2:] == ["1,440", "1", "50.0 %", "40.0 %", "50.0 %"]
    assert "Measured on: A processor, 2 cores, numpy 2." in filled
    assert ["0", "3.50"] in table
    assert "stale" not in filled
    assert tables.filled(filled, tmp_path) == filled


def test_tables_show_speed(tables, tmp_path):
    """The tables of speed show each way measured, and how it was measured."""
    row = {"ms_per_clip": 11.26, "times_real_time": 1234, "ratio_to_three_calls": 3.04}
    features = {
        "clips": 200, "mean_seconds": 2.056, "rounds": 5, "threads": 1,
        "rows": {"ours, one clip": row}, "versions": {}, "machine": MACHINE,
    }  # fmt: skip
    startup = {
        "rounds": 9, "rows": {"import numpy": {"seconds": 0.061, "peak_mb": 30}},
        "machine": MACHINE,
    }  # fmt: skip
    (tmp_path / "features.json").write_text(json.dumps(features))
    (tmp_path / "startup.json").write_text(json.dumps(startup))
    training = {"seconds": {"features, cold": 12.34}, "machine": MACHINE}
    (tmp_path / "training.json").write_text(json.dumps(training))
    names = ("features", "startup", "training")
    page = "".join(f"<!-- table:{name} -->\n<!-- end -->\n" for name in names)
    filled = tables.filled(page, tmp_path)
    assert "| ours, one clip | 11.26 | 1,234 | 3.0 |" in filled
    assert "200 clips of TESS, 2.06 s on average, 1 thread, the fastest of 5 rounds." in filled
    assert "| `import numpy` | 0.06 | 30 |" in filled
    assert "| features, cold | 12.3 |" in filled


def made(tables, folder: Path, benchmark: str, result: dict, *names: str) -> str:
    """Write a benchmark's result, and fill a page with the named tables."""
    content = {"machine": MACHINE, "versions": {"numpy": "2"}, **result}
    (folder / f"{benchmark}.json").write_text(json.dumps(content))
    page = "".join(f"<!-- table:{name} -->\n<!-- end -->\n" for name in names)
    return tables.filled(page, folder)


def test_table_of_fuzzing(tables, tmp_path):
    """Each family has a row with its inputs, its slowest answer, its memory and its faults."""
    family = {"inputs": 1_234, "slowest_s": 0.26, "memory_mb": {"warm": 70, "last": 68}}
    faults = {"status 500": {"times": 2, "cases": [7]}, "kept": {"times": 1, "cases": [8]}}
    families = {"models": {**family, "faults": {}}, "requests": {**family, "faults": faults}}
    filled = made(tables, tmp_path, "fuzz", {"families": families}, "fuzz")
    first, second = filled.splitlines()[3:5]
    assert first == "| HTTP requests, byte by byte | 1,234 | 0.3 s | -2 MB | 3 |"
    assert second == "| model files, model cards and baselines | 1,234 | 0.3 s | -2 MB | 0 |"
    assert "2,468 inputs in all." in filled


def test_tables_of_accuracy(tables, tmp_path):
    """Rows hold the mean over the seeds and their range, groups, seconds and calibration."""
    figure = {"mean": 0.8, "low": 0.79, "high": 0.81}
    single = {"mean": 0.5, "low": 0.5, "high": 0.5}
    certain = {
        "error": 0.041, "error_apart": 0.052, "accuracy": 0.6, "accuracy_at_80": 0.68,
        "gained": 0.08,
    }  # fmt: skip
    group = {"n_test": 1200, "uar": 0.6, "running_uar": 0.7, "speakers": 12}
    heard = {"answers": 1500, "uar": 0.6, "running_uar": 0.65}
    result = {
        "rows": {
            "tess": {"seeds": 3, "n_test": 2798, "uar": figure, "running_uar": single},
            "one-sided": {"seeds": 3, "n_test": 1300, "uar": single, "running_uar": figure},
        },
        "unheard": {
            "certainty": {"uar": certain, "running_uar": certain},
            "groups": {"sex": {"female": group}},
            "seconds": [
                {"from": 0, "to": 0, **heard},
                {"from": 0, "to": 5, **heard},
                {"from": 160, "to": None, **heard},
            ],
        },
    }
    names = ("accuracy", "groups", "seconds", "certainty")
    table = list(rows(made(tables, tmp_path, "accuracy", result, *names)))
    assert ["2,798", "3", "80.0 % (79.0 to 81.0)", "50.0 %"] in [row[1:] for row in table]
    assert ["sex: female", "12", "1,200", "60.0 %", "70.0 %"] in table
    for words in ("none", "up to 5", "160 and more"):
        assert [words, "1,500", "60.0 %", "65.0 %"] in table
    for baseline in ("none", "running"):
        expected = [baseline, "0.041", "0.052", "60.0 %", "68.0 %", "8.0"]
        assert ["six groups of speakers in turn", *expected] in table


def test_the_table_of_the_readme(tables, tmp_path):
    """The README's table has a row for each test measured: guessing, and the means of the seeds."""
    figures = {"uar": {"mean": 0.75}, "running_uar": {"mean": 0.8}}
    filled = made(tables, tmp_path, "accuracy", {"rows": {"unheard-tess": figures}}, "summary")
    assert list(rows(filled))[1:] == [
        ["TESS, without TESS in training", "14.3 %", "75.0 %", "80.0 %"]
    ]


def test_the_table_of_foreign_corpora(tables, tmp_path):
    """Each corpus has a row: the figures without a baseline, and with a running one."""
    names = ("own_labels_uar", "uar", "calibration_error", "certain_but_wrong")
    figures = {way: dict.fromkeys(names, share) for way, share in (("none", 0.5), ("running", 0.6))}
    early = {f"{name}_certain_but_wrong": 0.25 for name in ("first_decision", "one_second")}
    measured = {"rows": {"speech": {"ased": {"n_labels": 5, "early": early} | figures}}}
    filled = made(tables, tmp_path, "foreign", measured, "foreign")
    both = "50.0 % / 60.0 %"
    assert list(rows(filled))[1:] == [
        ["ASED, Amharic, 5 labels", "speech", *[both] * 4, "25.0 % / 25.0 %"]
    ]


def test_tables_of_peers_speed_and_robustness(tables, tmp_path):
    """The other tables show what was measured, and leave out what was not."""
    peers = {"rows": {"mfcc": {"tess": {"uar": 0.4, "centred_uar": 0.55}}}}
    filled = made(tables, tmp_path, "peers", peers, "peers")
    assert "| 40.0 % / 55.0 % |" in filled
    assert "eGeMAPS" not in filled
    tests = {"tilt up": {"ased": {"unchanged": 0.8}, "turev": {"unchanged": 0.9}}}
    filled = made(tables, tmp_path, "audit", {"rows": {"speech": {"tests": tests}}}, "audit")
    assert "| tilt up | 80.0 % / 90.0 % |" in filled
    row = {"processor_ms_median": 11.26, "times_real_time": 1355}
    latency = {
        "clips": 40, "seconds": 4.0, "rounds": 10, "threads": 1,
        "rows": {"ours": row | {"import_s": 0.05, "load_s": 0.081, "peak_mb": 107}, "torch": row},
        "cold_predict": {"seconds": 0.412, "peak_mb": 130},
    }  # fmt: skip
    filled = made(tables, tmp_path, "latency", latency, "latency")
    assert "| ours | 11.3 | 1,355 | 0.05 | 0.08 | 107 |" in filled
    assert "| torch | 11.3 | 1,355 |  |  |  |" in filled
    assert "0.41 s, 130 MB" in filled
    kept = {"labels_kept": 0.97, "largest_change": 0.012}
    robust = {"clips": 100, "rows": {"2 dB louder": {"tess": kept, "emodb": kept}}}
    filled = made(tables, tmp_path, "robustness", robust, "robustness")
    assert "| 2 dB louder | 97.0 % | 97.0 % | 0.012 |" in filled
    assert "Not measured yet" in made(tables, tmp_path, "accuracy", {"rows": {}}, "groups")


def test_a_table_without_results_says_so(tables, tmp_path):
    """Where a benchmark has not been run, its table says how to run it."""
    filled = tables.filled("<!-- table:startup -->\n<!-- end -->\n", tmp_path)
    assert "Not measured yet: `python benchmarks/startup.py`" in filled


@pytest.mark.parametrize(
    ("share", "shown"), [(1.0, "100 %"), (0.99996, "99.99 %"), (0.4567, "45.7 %"), (0.5, "50.0 %")]
)
def test_percent_is_100_only_without_a_mistake(tables, share, shown):
    """Rounding never hides the last mistake."""
    assert tables.percent(share) == shown
