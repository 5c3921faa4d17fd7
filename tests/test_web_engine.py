"""The engine for JavaScript: its own tests in Node, and what it shares with Python."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from conftest import REPOSITORY
from emovox import Recognizer
from emovox.card import Card
from emovox.errors import ModelError
from emovox.version import __version__

PACKAGE = REPOSITORY / "packages" / "emovox"
DESCRIPTION = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
GOLDEN = REPOSITORY / "tests" / "web_golden.json"
PRACTISED = REPOSITORY / "tests" / "web_golden_practice.json"

needs_node = pytest.mark.skipif(
    shutil.which("npm") is None or not (PACKAGE / "node_modules" / "onnxruntime-web").is_dir(),
    reason="needs Node, and `npm ci` in packages/emovox",
)


@needs_node
def test_in_node():
    """`npm test` compares the engine with Python's answers, and tests what it refuses."""
    done = subprocess.run(
        ["npm", "test"],
        cwd=PACKAGE,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr
    assert "# skipped 0" in done.stdout


@needs_node
def test_types(tmp_path):
    """The types hold, and those of the package can be made from them."""
    command = ["npx", "--no-install", "tsc", "--outDir", str(tmp_path)]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "class Recognizer" in (tmp_path / "recognizer.d.ts").read_text()


@needs_node
@pytest.mark.parametrize(
    ("changes", "is_read"),
    [
        ({}, True),
        ({"labels": ["très calme", "c'est + 1", "sad"], "merged": {"furious": "sad"}}, True),
        ({"labels": ["sad", "Happy"]}, False),
        ({"labels": ["sad", "a,b"]}, False),
        ({"labels": ["sad", "a  b"]}, False),
        ({"labels": ["sad", "x" * 41]}, False),
        ({"merged": {"furious": 1}}, False),
        ({"mergers": {}}, False),
    ],
)
def test_cards(changes, is_read, shipped):
    """The engine reads the cards that `emovox train` writes, also with labels of one's own."""
    card = json.dumps(json.loads(shipped.card.to_json()) | changes)
    read = f"import {{ readCard }} from {json.dumps(str(PACKAGE / 'src/card.js'))}; readCard("
    command = ["node", "--input-type=module", "--eval", f"{read}{json.dumps(card)});"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) is is_read, done.stderr
    with nullcontext() if is_read else pytest.raises(ModelError):
        Card.from_json(card)


def test_versions():
    """The package has the version of emovox, and names one version of the runtime."""
    lock = json.loads((PACKAGE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    runtime = DESCRIPTION["peerDependencies"]["onnxruntime-web"]
    assert DESCRIPTION["version"] == __version__
    assert lock["node_modules/onnxruntime-web"]["version"] == runtime


def test_golden_answers_are_those_of_today(benchmarks, shipped, tmp_path):
    """Python still answers the examples as when the golden file was written."""
    web = benchmarks("web")
    golden = {one["name"]: one for one in json.loads(GOLDEN.read_text(encoding="utf-8"))}
    jobs = web.write_examples(tmp_path)
    assert [job["name"] for job in jobs] == [*golden]
    for job in jobs:
        found = web.answer(shipped, job, tmp_path / f"{job['name']}.wav")
        assert len(found["decisions"]) == len(golden[job["name"]]["decisions"])
        for one, other in zip(found["decisions"], golden[job["name"]]["decisions"], strict=True):
            assert (one["label"], one["start"], one["end"]) == (
                other["label"], other["start"], other["end"],
            )  # fmt: skip
            assert np.allclose([*one["scores"].values()], [*other["scores"].values()], atol=2e-3)
        if job["kind"] == "recording":
            measured = web.prosody(tmp_path / f"{job['name']}.wav")
            assert measured == pytest.approx(golden[job["name"]]["prosody"], abs=2e-3)


def test_golden_practices_are_those_of_today(benchmarks, shipped, tmp_path):
    """Python still tells of the practised takes what it did when the golden file was written."""
    web = benchmarks("web")
    golden = json.loads(PRACTISED.read_text(encoding="utf-8"))
    jobs = web.write_practices(tmp_path)
    assert [job["name"] for job in jobs] == [one["name"] for one in golden]
    for job, told in zip(jobs, golden, strict=True):
        found = json.loads(json.dumps(web.practised(shipped, job, tmp_path / f"{job['name']}.wav")))
        assert found["aim"] == told["aim"]
        assert found["usual"]["prosody"] == pytest.approx(told["usual"]["prosody"], abs=0.1)
        assert len(found["moments"]) == len(told["moments"])
        for one, other in zip(found["attempts"], told["attempts"], strict=True):
            assert one["why_untold"] == other["why_untold"]
            assert one["closeness"] == pytest.approx(other["closeness"], abs=0.01)
            texts = [attempt["hint"] and attempt["hint"]["text"] for attempt in (one, other)]
            assert texts[0] == texts[1]


def test_golden_baselines_are_pythons():
    """The baselines of the golden file, which the engine reads, are of the shipped model."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {one["baseline"]["model"] for one in golden} == {Recognizer.load().fingerprint}
