"""The example of a chatbot's webhook, run as its users run it, against real servers."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from running_server import EXAMPLES, RATE, running


@pytest.fixture(scope="module")
def server():
    """Run a service."""
    with running() as one:
        yield one


@pytest.fixture
def chatbot():
    """Run a chatbot with the form of Rasa's REST channel; yield its address and what it is told."""
    told = []

    class Channel(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            replies = [{"recipient_id": told[-1]["sender"], "text": f"You said: {n}"} for n in "12"]
            self.wfile.write(json.dumps(replies).encode())

        def log_message(self, *details):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/webhooks/rest/webhook", told
        one.shutdown()


def send(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the example from the repository's folder."""
    command = [sys.executable, "examples/webhook.py", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_message(server, chatbot, shipped):
    """The chatbot gets the words, and how they sound; its replies are printed."""
    webhook, told = chatbot
    path = EXAMPLES / "even.flac"
    done = send("anna", path, "Where is it?", "--service", server.url, "--webhook", webhook)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["You said: 1", "You said: 2"]
    expected = shipped.predict(path).to_dict()
    voice = {key: expected[key] for key in ("label", "score", "certain")}
    assert told == [{"sender": "anna", "message": "Where is it?", "metadata": {"voice": voice}}]


def test_nobody_speaks(server, chatbot, tmp_path):
    """A message without a voice is sent all the same."""
    webhook, told = chatbot
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    options = ("--service", server.url, "--webhook", webhook)
    assert send("anna", tmp_path / "silence.wav", "Hello?", *options).returncode == 0
    assert told[0]["metadata"] == {"voice": None}


def test_refused(server, chatbot):
    """What cannot be read or reached is told in one line."""
    webhook, told = chatbot
    nobody = "http://127.0.0.1:9"
    for recording, service, hook in (
        ("missing.wav", server.url, webhook),
        (EXAMPLES / "README.md", server.url, webhook),
        (EXAMPLES / "even.flac", nobody, webhook),
        (EXAMPLES / "even.flac", server.url, nobody),
        (EXAMPLES / "even.flac", server.url, "no address"),
    ):
        done = send("anna", recording, "Hello?", "--service", service, "--webhook", hook)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    assert told == []
