"""Nothing leaves the machine, and nothing is kept but what is asked for: watched from outside."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from conftest import REPOSITORY
from made_corpus import make_corpus

MAIN = "from emovox.cli import main\nmain()"
EXAMPLES = REPOSITORY / "examples"
SPEECH = EXAMPLES / "even.flac"
INTERNET = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*\bsa_family=AF_INET6?,.*")
THIS_MACHINE = re.compile(r'inet_addr\("127\.|inet_pton\(AF_INET6, "::1"')
NAME_SERVICE = re.compile(r'openat\([^"]*"/etc/resolv\.conf"|_port=htons\(53\)')

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace, which tells what a program does, is missing"
)


@dataclass(frozen=True)
class Watched:
    """A user with nothing but an empty home folder, whose programs are watched."""

    root: Path

    @property
    def log(self) -> Path:
        """What the programs asked the system for: sockets, and files to open."""
        return self.root / "strace.log"

    @contextmanager
    def running(self, *arguments: object, **kwargs) -> Iterator[subprocess.Popen]:
        """Run the command line while the block lasts, and wait for its end."""
        strace = ["strace", "-f", "-qq", "-e", "trace=network,openat", "-o", str(self.log)]
        command = [*strace, sys.executable, "-c", MAIN, *map(str, arguments)]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "EMOVOX_", "MPL", "DASK_", "ORT_", "TORCH"))
        }
        places = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        with subprocess.Popen(command, env=clean | places, text=True, **kwargs) as process:
            try:
                yield process
                process.communicate(timeout=300)
            finally:
                process.terminate()  # which strace hands on
        assert process.returncode in (0, -signal.SIGTERM)  # which ends the service

    def run(self, *arguments: object) -> None:
        """Run the command line to its end."""
        with self.running(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            pass

    def calls(self, pattern: re.Pattern[str]) -> list[str]:
        """Return what was asked of the system, as far as it fits a pattern."""
        with self.log.open(errors="replace") as lines:
            return [line for line in lines if pattern.search(line)]

    def told(self) -> list[str]:
        """Return the attempts to reach another machine, or to ask for a name's address."""
        far = [line for line in self.calls(INTERNET) if not THIS_MACHINE.search(line)]
        return far + self.calls(NAME_SERVICE)

    def left(self) -> set[str]:
        """Return what stands in the home and the temporary folder."""
        return {
            path.relative_to(self.root).as_posix()
            for folder in ("home", "tmp")
            for path in (self.root / folder).rglob("*")
        }


@pytest.fixture
def watched(tmp_path) -> Watched:
    """Give a user with an empty home, and an empty folder of temporary files."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    return Watched(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [["predict", EXAMPLES, "--json"], ["listen", "--wav", SPEECH, "--speed", "0"]],
    ids=["predict", "listen"],
)
def test_recognising(watched: Watched, arguments: Sequence[object]):
    """Recordings and live sound are recognised without a word to anybody, and without a trace."""
    watched.run(*arguments)
    assert watched.calls(re.compile("even.flac"))  # the watch was kept
    assert watched.told() == []
    assert watched.left() == set()


def test_the_service(watched: Watched):
    """The service answers who asks, speaks to nobody else, and keeps nothing."""
    with watched.running("serve", "--port", 0, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        address = next(
            found[0] for line in process.stderr if (found := re.findall(r"http://[\d.:]+", line))
        )
        with SPEECH.open("rb") as file:
            answer = httpx.post(f"{address}/v1/predict", files={"file": file}, timeout=60)
        assert answer.json()["prediction"]["label"]
        (service,) = psutil.Process(process.pid).children()
        service.send_signal(signal.SIGTERM)
    assert watched.told() == []
    assert watched.left() == set()


def test_an_archive(watched: Watched):
    """Workers speak to their driver alone; what an archive leaves is in its own folder."""
    out = watched.root / "out"
    watched.run("score", EXAMPLES, "--out", out, "--workers", 2, "--with-csv")
    assert len(watched.calls(INTERNET)) > 2  # to one another
    assert watched.told() == []
    assert watched.left() == set()
    assert {path.name for path in out.iterdir()} == {
        "ledger", "scores", "scores.csv", "summary.json"
    }  # fmt: skip


def test_training(watched: Watched):
    """Training keeps features, a list of fonts and an empty folder, as documented, and no more."""
    table = make_corpus(watched.root / "made", n_sentences=3)
    asked = ["--corpus", f"made={table}", "--protocol", "random", "--epochs", 1]
    watched.run("train", *asked, "--out", watched.root / "run")
    assert watched.told() == []
    documented = ("home/.cache/emovox", "home/.cache/matplotlib", "home/.config/matplotlib")
    folders = ("home/.cache", "home/.config")
    rest = {one for one in watched.left() if not one.startswith(documented)} - set(folders)
    assert all(one.startswith("tmp/torchinductor_") for one in rest)
    assert not any((watched.root / one).is_file() for one in rest)
