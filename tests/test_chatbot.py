"""The example of a chatbot, run as its users run it, against a real server."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from running_server import RATE, running, speech


@pytest.fixture(scope="module")
def server():
    """Run a server."""
    with running() as one:
        yield one


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the example from the repository's folder."""
    command = [sys.executable, "examples/chatbot.py", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


def contexts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of context that a run printed."""
    assert done.returncode == 0, done.stderr
    return re.findall(r"^\[voice: .*\]$", done.stdout, re.MULTILINE)


def test_without_arguments(server):
    """The shipped recordings are a call of three turns, each with how it sounds and the trend."""
    lines = contexts(call("--url", server.live_url))
    assert len(lines) == 3
    assert lines[0].endswith("first turn]")
    assert all(re.search(r"as before|getting (worse|better)", line) for line in lines[1:])


def test_a_shipped_recording(server):
    """A recording that is one sentence is one turn."""
    done = call("examples/even.flac", "--url", server.live_url)
    assert len(contexts(done)) == 1
    assert re.match(r"0\.0 to 1\.\d s\n", done.stdout)


def test_turns(server, tmp_path):
    """Sentences one shortly after the other are one turn; a pause ends it."""
    sounds = [speech(silence_s=0.7), speech(name="man-fast", silence_s=1.8), speech(silence_s=0)]
    soundfile.write(tmp_path / "call.wav", np.concatenate(sounds), RATE)
    done = call(tmp_path / "call.wav", "--url", server.live_url)
    assert len(contexts(done)) == 2
    ends = re.findall(r"^[\d.]+ to ([\d.]+) s$", done.stdout, re.MULTILINE)
    first = (len(sounds[0]) + len(sounds[1])) / RATE - 1.8
    assert float(ends[0]) == pytest.approx(first, abs=0.3)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "expected a recording"),
        (lambda path: path.write_bytes(b"no audio" * 99), "expected a recording"),
        (lambda path: soundfile.write(path, np.zeros((99, 2)), RATE), "one speaker, got 2"),
        (lambda path: soundfile.write(path, np.zeros(99), 1_000), "the server ended the call"),
    ],
)
def test_refused(server, tmp_path, write, words):
    """What is no call is refused in one line."""
    path = Path(tmp_path / "call.wav")
    write(path)
    done = call(path, "--url", server.live_url)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_server():
    """Who has no server running is told to start one."""
    done = call("--url", "ws://127.0.0.1:9/v1/stream")
    assert done.returncode == 1
    assert "start `emovox serve` first" in done.stderr
    assert done.stderr.count("\n") == 1
