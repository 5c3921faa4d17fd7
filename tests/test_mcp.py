"""`emovox mcp`, asked over stdio by the protocol's own client."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import REPOSITORY, not_installed
from emovox.measuring import measure_recording

pytest.importorskip("mcp", reason=not_installed("mcp"))

from mcp import Client, StdioServerParameters

COMMAND = [sys.executable, "-c", "from emovox.cli import main; main()", "mcp"]
EXAMPLES = REPOSITORY / "examples"

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}

Calls = list[tuple[str, dict[str, Any]]]


def ask(calls: Calls, *options: object, cwd: Path = EXAMPLES) -> list[Any]:
    """Start a server and call its tools; return what each gives: data, or its error's text."""
    parameters = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], *map(str, options)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    async def talk() -> list[Any]:
        async with Client(parameters, read_timeout_seconds=60) as client:
            return [result_of(await client.call_tool(*call)) for call in calls]

    return asyncio.run(talk())


def result_of(result: Any) -> Any:
    """Return a result's data, which are its text, too; or the error's text."""
    (content,) = result.content
    if result.is_error:
        return content.text
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


def test_answers_are_those_of_python(shipped, tmp_path):
    """Each tool gives what the library gives."""
    anna = shipped.enrol("Anna", [EXAMPLES / "man-fast.flac"])
    anna.save(tmp_path / "anna.json")
    path, other = EXAMPLES / "even.flac", EXAMPLES / "fast-and-high.flac"
    predicted, explained, segments, pair, own, measured = ask(
        [
            ("predict_file", {"path": "even.flac"}),
            ("predict_file", {"path": str(path), "explain": True, "prosody": True}),
            ("segments", {"path": "even.flac", "baseline": "anna.json"}),
            ("compare", {"path": "even.flac", "other": "fast-and-high.flac"}),
            ("compare", {"path": "even.flac", "baseline": str(tmp_path / "anna.json")}),
            ("measure", {"path": "even.flac"}),
        ],
        *("--folder", EXAMPLES, "--folder", tmp_path),
    )
    first, second = shipped.predict(path, prosody=True), shipped.predict(other, prosody=True)
    with_own = shipped.predict(path, baseline=anna)
    assert predicted == shipped.predict(path).to_dict()
    assert explained == shipped.predict(path, explain=True, prosody=True).to_dict()
    expected = list(shipped.segments(path, baseline=anna))
    assert [one["label"] for one in segments["segments"]] == [one.label for one in expected]
    assert [one["start"] for one in segments["segments"]] == [one.start for one in expected]
    assert segments["seconds"] == pytest.approx(first.end, abs=1e-3)
    assert segments["warning"] == ""
    assert pair["second"]["label"] == second.label
    assert pair["score_differences"][first.label] == pytest.approx(
        second.scores[first.label] - first.score, abs=1e-4
    )
    assert pair["prosody_differences"] == second.prosody.relative_to(first.prosody)
    assert own["second"]["score"] == with_own.score
    assert own["prosody_differences"]["pitch_st"] == 0
    assert measured == measure_recording(path).to_dict()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Make a folder with links out of it and in it, and with files that are no recordings."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "real.flac").write_bytes((EXAMPLES / "even.flac").read_bytes())
    (inside / "link.flac").symlink_to("real.flac")
    (inside / "out.flac").symlink_to(EXAMPLES / "even.flac")
    (inside / "up").symlink_to(tmp_path)
    (inside / "circle.flac").symlink_to("circle.flac")
    (inside / "text.flac").write_text("no sound\n" * 20)
    (tmp_path / "inside-not").mkdir()
    (tmp_path / "inside-not" / "even.flac").write_bytes((EXAMPLES / "even.flac").read_bytes())
    os.mkfifo(inside / "pipe.flac")
    return inside


def test_other_folders_are_out_of_reach(folder):
    """No path leads out: not by `..`, links, absolute names, or a folder of a similar name."""
    paths = [
        "../inside-not/even.flac",
        "out.flac",
        "up/inside-not/even.flac",
        str(EXAMPLES / "even.flac"),
        str(folder.parent / "inside-not" / "even.flac"),
        "/etc/passwd",
        "/etc/missing",
        "~/x.flac",
    ]
    calls: Calls = [("predict_file", {"path": path}) for path in paths]
    calls += [("segments", {"path": "real.flac", "baseline": "../anna.json"})]
    calls += [("compare", {"path": "real.flac", "other": "out.flac"})]
    *refused, home, baseline, other = ask(calls, cwd=folder)
    for text in (*refused[:7], baseline, other):
        assert f"expected a file in {folder}" in text
        assert "\n" not in text
    assert "~/x.flac" in home  # not the home of anybody


def test_links_within_the_folder(folder):
    """A link to a file in the folder may be read."""
    link, real, up = ask(
        [
            ("predict_file", {"path": "link.flac"}),
            ("predict_file", {"path": str(folder / "real.flac")}),
            ("predict_file", {"path": "up/inside/real.flac"}),
        ],
        cwd=folder,
    )
    assert link == real == up


def test_errors_are_one_line(folder):
    """What cannot be read or asked is an error of the tool, and the server goes on."""
    bad = ["missing.flac", "text.flac", "", ".", "pipe.flac", "circle.flac", "a\0b", "x" * 5_000]
    calls: Calls = [("predict_file", {"path": path}) for path in bad]
    calls += [("segments", {"path": "text.flac"}), ("measure", {"path": "new\nline"})]
    calls += [("compare", {"path": "real.flac"}), ("predict_file", {"path": "real.flac"})]
    calls += [("predict_file", {"path": "real.flac", "baseline": "text.flac"})]
    *errors, good, baseline = ask(calls, cwd=folder)
    for text in (*errors, baseline):
        assert text.startswith("Error executing tool")
        assert "\n" not in text
    assert good["label"]


def test_ctrl_c():
    """Ctrl-C ends the server at once, although it waits for input; so does the end of that."""
    for end in (
        lambda server: server.send_signal(signal.SIGINT),
        lambda server: server.stdin.close(),
    ):
        with subprocess.Popen(
            COMMAND, cwd=EXAMPLES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            server.stdin.write(json.dumps(HELLO) + "\n")
            server.stdin.flush()
            assert "emovox" in server.stdout.readline()
            end(server)
            assert server.wait(timeout=20) in (0, -signal.SIGINT)


def test_folders_are_checked(tmp_path):
    """A folder that is missing ends the command with one line."""
    done = subprocess.run(
        [*COMMAND, "--folder", tmp_path / "missing"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("emovox: expected a folder")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
