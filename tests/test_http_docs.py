"""docs/http.md and docs/clients.md, run against a real server."""

import json
import shutil
import subprocess

import httpx
import pytest

from conftest import REPOSITORY
from emovox import Recognizer
from running_server import EXAMPLES, RATE, Running, running, speech
from test_client_js import node
from test_docs import BLOCK, read, rows, run_python, section

PAGE, CLIENTS = "docs/http.md", "docs/clients.md"
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def server():
    """Run a server."""
    with running(max_messages_per_s=5_000) as one:
        yield one


def blocks(server: Running, language: str, page: str = PAGE) -> list[tuple[int, str]]:
    """Return a page's blocks of a language, and their lines, with the server's address."""
    text = read(page)
    return [
        (
            text[: block.start("body")].count("\n"),
            block["body"].replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
        )
        for block in BLOCK.finditer(text)
        if block["language"] == language
    ]


def test_python(server, monkeypatch, capsys):
    """The Python blocks run in order, and print predictions."""
    monkeypatch.chdir(REPOSITORY)
    names: dict[str, object] = {"__name__": "page"}
    for line, body in blocks(server, "python"):
        run_python(PAGE, line, body, names)
    printed = capsys.readouterr().out.splitlines()
    labels = Recognizer.load().labels
    assert printed[0].split()[0] in labels
    assert printed[-2].startswith("True ")  # the last one is final
    assert "/v1/stream" in printed[-1]


def test_clients_in_python(server, monkeypatch, capsys):
    """The Python blocks of the page about clients run in order, and print predictions."""
    monkeypatch.chdir(REPOSITORY)
    names: dict[str, object] = {"__name__": "page"}
    for line, body in blocks(server, "python", CLIENTS):
        run_python(CLIENTS, line, body, names)
    printed = capsys.readouterr().out.splitlines()
    labels = Recognizer.load().labels
    assert printed[0].split()[0] in labels
    assert printed[-3].split()[:1] == ["0"]
    assert printed[-2].startswith("<Baseline")
    assert printed[-1].count("'") >= 2


def test_clients_in_javascript(server):
    """The JavaScript block of the page about clients runs in Node."""
    ((_, body),) = blocks(server, "js", CLIENTS)
    done = subprocess.run(
        [node(), "--input-type=module", "-"],
        input=body, cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in Recognizer.load().labels


def test_answer(server):
    """The answer that the page shows is the one that the service gives."""
    ((_, shown),) = blocks(server, "json")
    files = {"file": (EXAMPLES / "even.flac").read_bytes()}
    given = httpx.post(f"{server.url}/v1/predict", files=files).json()
    expected = json.loads(shown)
    assert given.keys() == expected.keys()
    assert given["model"] == expected["model"]
    assert given["seconds"] == expected["seconds"]
    for key, value in expected["prediction"].items():
        assert given["prediction"][key] == pytest.approx(value, abs=1e-3)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server, tmp_path):
    """Each curl command is answered without an error."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    commands = [body for _, body in blocks(server, "sh")]
    assert len(commands) == 8
    for body in commands:
        done = subprocess.run(
            ["bash", "-euc", body], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "error" not in json.loads(done.stdout)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_javascript(server):
    """The browser's block gets the results that Python gets."""
    playwright = pytest.importorskip("playwright.sync_api")
    ((_, body),) = blocks(server, "js")
    samples = speech() / 32767
    with playwright.sync_playwright() as one:
        browser = one.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{server.url}/healthz")
        call = (
            f"async (samples) => {{ {body}\nreturn listen(Float32Array.from(samples), {RATE}); }}"
        )
        results = page.evaluate(call, samples.tolist())
        browser.close()
    (final,) = [one for one in results if one["final"]]
    (expected,) = Recognizer.load().segments(speech(), RATE)
    assert final["label"] == expected.label
    assert final["scores"] == pytest.approx(dict(expected.scores), abs=0.01)  # its rounding


def test_messages_and_statuses_are_those_of_the_code(server):
    """The tables name the messages, paths and statuses that there are."""
    from emovox.server.protocol import KINDS

    first = [row[0] for row in rows(section(PAGE, "Live"))]
    assert {name.strip("`") for name in first} >= set(KINDS)
    statuses = {row[0] for row in rows(section(PAGE, "Other routes and errors"))}
    document = httpx.get(f"{server.url}/openapi.json").json()
    told = document["paths"]["/v1/predict"]["post"]["responses"].keys() - {"200"}
    assert told <= statuses
