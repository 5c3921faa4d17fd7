"""Whole runs over an archive, with real schedulers and workers, killed and resumed."""

import importlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from distributed import Client, Security

from emovox.archive import Request, engine, score_archive
from emovox.archive.ledger import Ledger
from emovox.archive.run import _job
from emovox.cli import run
from emovox.errors import ArchiveError
from emovox.recognizer import Recognizer
from made_archive import make_archive

MAIN = "from emovox.cli import main\nmain()"
WAIT_S = 300.0  # for what takes a second or two where nothing else runs
LEASE = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Give the table of a small archive."""
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory) -> list[dict]:
    """Give the rows of an undisturbed run with one worker, in one part."""
    out = tmp_path_factory.mktemp("expected") / "out"
    assert score_archive(Request(archive, out)).recordings == 9
    return rows(out)


def rows(out: Path) -> list[dict]:
    """Return the rows of a run."""
    found: list[dict] = pq.read_table(out / "scores").to_pylist()
    return found


@contextmanager
def process(*command: object, **kwargs) -> Iterator[subprocess.Popen]:
    """Run a process, and kill it and its children when the block is left."""
    started = subprocess.Popen([*map(str, command)], start_new_session=True, text=True, **kwargs)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        for pipe in (started.stdout, started.stderr):
            if pipe is not None:
                pipe.close()


def score(*arguments: object, **kwargs):
    """Start `emovox score` in a process of its own."""
    return process(sys.executable, "-c", MAIN, "score", *arguments, **kwargs)


def until(holds, what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def n_done(out: Path) -> int:
    """Count the parts that are done."""
    return len(list((out / "scores").glob("part-*.parquet")))


@contextmanager
def by_hand() -> Iterator[str]:
    """Start a scheduler and a worker by hand, and give the scheduler's address."""
    dask = [sys.executable, "-m", "dask"]
    command = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with process(*command, "--dashboard-address", "127.0.0.1:0", stderr=-1) as started:
        assert started.stderr is not None
        line = next(line for line in started.stderr if "Scheduler at:" in line)
        address = line.split()[-1]
        worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard"]
        with process(*worker, stderr=subprocess.DEVNULL):
            yield address


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Give the address of a scheduler and one worker, started by hand."""
    with by_hand() as address:
        yield address


def test_workers_and_parts_change_nothing(archive, expected, tmp_path, capsys):
    """Two workers and small parts give the rows of one, the same CSV, and a summary."""
    out = tmp_path / "out"
    command = [
        "score",
        archive,
        "--out",
        out,
        "--workers",
        2,
        "--part-size",
        2,
        "--with-csv",
        "--json",
    ]
    assert run([*map(str, command)]) == 0
    assert rows(out) == expected
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((out / "summary.json").read_text())
    assert (summary["recordings"], summary["new_recordings"], summary["failures"]) == (9, 9, {})
    lines = (out / "scores.csv").read_text().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("file,label,score,scores.angry,")
    assert run([*map(str, command), "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["new_recordings"] == 0
    assert run([*map(str, command)]) == 1
    assert "expected an empty or a new folder" in capsys.readouterr().err


def test_progress_in_a_log(monkeypatch, capsys):
    """Without a terminal a line now and then says how far a stage is, and how fast it goes."""
    score_module = importlib.import_module("emovox.cli.score")  # the package has the function
    monkeypatch.setattr(score_module, "_LOG_EVERY_S", 0.0)
    with score_module._progress() as show:
        show("listing", 1_000, None)
        for done in (0, 400, 1_200):
            show("scoring", done, 2_000)
            time.sleep(0.05)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["listing 1,000", "scoring 0 of 2,000", "scoring 400 of 2,000"]
    assert re.fullmatch(r"scoring 1,200 of 2,000, [\d.]+/s, 0:00:01 left", lines[3])


def test_bad_recordings_cost_their_own_rows(archive, expected, tmp_path, capsys):
    """A hanging, a broken and a vanished file are rows with an error; --strict minds them."""
    folder, out = tmp_path / "calls", tmp_path / "out"
    folder.mkdir()
    good = sorted((archive.parent / "calls" / "early").iterdir())[:2]
    for name, content in (("a.wav", good[0]), ("hangs.wav", good[0]), ("z.wav", good[1])):
        (folder / name).write_bytes(content.read_bytes())
    (folder / "empty.wav").write_bytes(b"")
    command = ["score", folder, "--out", out, "--workers", 1, "--time-limit", 2, "--strict"]
    with process(sys.executable, "-c", LEASE, folder / "hangs.wav", stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run([*map(str, command)]) == 1
    assert "empty 1, time limit 1" in capsys.readouterr().out
    found = {row["file"]: row for row in rows(out)}
    assert list(found) == ["a.wav", "empty.wav", "hangs.wav", "z.wav"]
    assert found["hangs.wav"]["error"] == "took more than the time limit of 2 s"
    assert found["empty.wav"]["error"] == "empty (0 bytes)"
    for name, row in (("a.wav", expected[0]), ("z.wav", expected[1])):
        assert found[name]["scores"] == row["scores"]


def test_a_killed_driver(archive, expected, tmp_path):
    """After kill -9 of the driver its workers end, and a resumed run gives the same rows."""
    out = tmp_path / "out"
    command = [archive, "--out", out, "--workers", 1, "--part-size", 1, "--resume"]
    with score(*command, stderr=subprocess.DEVNULL) as driver:
        until(lambda: n_done(out) > 1, "no part is done")
        driver.kill()
    assert run(["score", *map(str, command)]) == 0
    assert rows(out) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end(archive, tmp_path, number):
    """Ctrl-C finishes the parts in hand, says how to go on, and ends with 130; so does SIGTERM."""
    out = tmp_path / "out"
    command = [archive, "--out", out, "--workers", 1, "--part-size", 1]
    with score(*command, stderr=subprocess.PIPE) as driver:
        until(lambda: n_done(out), "no part is done")
        os.killpg(driver.pid, number)  # as a terminal does: to the workers, too
        _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 130
    said = "emovox: interrupted; finished parts are kept: continue with --resume"
    assert err.splitlines()[-1] == said
    assert 1 <= n_done(out) < 9
    assert not list((out / "scores").glob(".part*"))
    assert not list((out / "ledger" / "at").iterdir())


@pytest.fixture(scope="module")
def local_run(tmp_path_factory) -> Iterator[Client]:
    """Start a worker on this machine as a run does."""
    scratch = tmp_path_factory.mktemp("out") / "scratch"
    with engine.started(1, scratch) as client:
        yield client
        assert client.run(os.getpid)  # it is none the worse for any visits
    assert not scratch.exists()


@pytest.fixture(scope="module")
def doors(local_run) -> list[tuple[str, int]]:
    """Give the addresses that the processes of a run listen at."""
    driver = psutil.Process()
    return [
        (one.laddr.ip, one.laddr.port)
        for process in (driver, *driver.children(recursive=True))
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]


def heard(door: tuple[str, int], context: ssl.SSLContext | None) -> bytes:
    """Knock at a door, and return what is said there; nothing if the visitor is refused."""
    with suppress(OSError), socket.create_connection(door, timeout=20) as line:
        if context is None:
            return answer(line)
        with context.wrap_socket(line) as secret_line:
            return answer(secret_line)
    return b""


def answer(line: socket.socket) -> bytes:
    """Ask for something, and return what is said."""
    line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
    return line.recv(100)


def careless(security: Security | None) -> ssl.SSLContext:
    """Return a client's side of TLS that takes any server's word, with a key or without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if security is not None:
        context = security.get_connection_args("client")["ssl_context"]
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def long_archive(archive) -> Path:
    """Give the table of an archive that no machine has scored within two seconds."""
    header, *lines = archive.read_text().splitlines(keepends=True)
    table = archive.with_name("long.csv")
    table.write_text(header + "".join(lines) * 300)
    return table


@pytest.mark.parametrize("delay_s", [0.1, 0.6, 1.5])
@pytest.mark.parametrize("times", [1, 2])
def test_asked_to_end_at_the_start(long_archive, tmp_path, delay_s, times):
    """Ctrl-C, once or twice, while the workers start ends in good order, too, and in one line."""
    out = tmp_path / "out"
    command = [long_archive, "--out", out, "--workers", 1, "--part-size", 20]
    with score(*command, stderr=subprocess.PIPE) as driver:
        until((out / "ledger" / "end.json").exists, "nothing is planned")
        time.sleep(delay_s)
        for _ in range(times):
            os.killpg(driver.pid, signal.SIGINT)
            time.sleep(0.1)
        _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 130
    *progress, last = err.splitlines()
    assert last == "emovox: interrupted; finished parts are kept: continue with --resume"
    assert all(line.startswith("scoring ") for line in progress)
    assert not (out / "ledger" / "scratch").exists()


class TestOutsiders:
    """Whoever else is on the machine, while workers run on it."""

    def test_three_doors_on_this_machine_alone(self, doors):
        """Scheduler, nanny and worker listen at 127.0.0.1, and nobody anywhere else."""
        assert [host for host, _ in doors] == ["127.0.0.1"] * 3

    def test_those_of_the_run_are_let_in(self, local_run, doors):
        """Who holds the run's key is answered at every door."""
        ours = local_run.security.get_connection_args("client")["ssl_context"]
        assert all(heard(door, ours) for door in doors)

    @pytest.mark.parametrize("kind", ["plain", "without a key", "with a key of its own"])
    def test_nobody_else_is(self, doors, kind):
        """A stranger is answered at no door, be it in the clear, by HTTP, or by TLS."""
        theirs = Security.temporary() if kind == "with a key of its own" else None
        context = None if kind == "plain" else careless(theirs)
        assert [heard(door, context) for door in doors] == [b""] * 3

    def test_no_client_runs_code(self, doors):
        """Dask's own client is refused by the scheduler and the workers."""
        for host, port in doors:
            with pytest.raises(OSError, match=r"Timed out|closed"):
                Client(f"tcp://{host}:{port}", timeout=1.0)

    def test_the_folder_of_the_workers_is_their_own(self, tmp_path, monkeypatch):
        """Nothing is taken from the folder that all users write to, where others may be first."""
        shared = tmp_path / "tmp"
        monkeypatch.setattr(tempfile, "tempdir", str(shared))
        shared.mkdir()
        with engine.started(1, tmp_path / "out" / "scratch") as client:
            assert stat.S_IMODE((tmp_path / "out" / "scratch").stat().st_mode) == 0o700
            (places,) = client.run(lambda: sys.path).values()
            assert not any(str(shared) in place for place in [*places, *sys.path])
        assert not list(shared.iterdir())


class TestCluster:
    """A scheduler and workers started by hand."""

    def test_speakers(self, archive, tmp_path, scheduler):
        """Two passes on a cluster: the voices are gone at the end, the head's answers are there."""
        request = Request(archive, tmp_path / "out", scheduler=scheduler, part_size=2)
        summary = score_archive(replace(request, speaker_column="speaker"))
        assert summary.baseline.startswith("speaker: all recordings with the same speaker, judged")
        found = rows(tmp_path / "out")
        assert [row["baseline"] for row in found] == ["speaker", "speaker", "none"] * 3
        ledger = {path.name for path in (tmp_path / "out" / "ledger").iterdir()}
        assert not ledger & {"voices", "baselines", "at", "heard"}

    def test_a_killed_worker(self, archive, expected, tmp_path, scheduler):
        """After kill -9 of a worker another does its part, and nothing is lost or twice."""
        out = tmp_path / "out"
        command = [archive, "--out", out, "--scheduler", scheduler, "--part-size", 1]
        with score(*command, stderr=subprocess.DEVNULL) as driver:
            until(lambda: n_done(out), "no part is done")
            with engine.connected(scheduler) as client:
                for pid in client.run(os.getpid).values():
                    os.kill(pid, signal.SIGKILL)
            assert driver.wait(WAIT_S) == 0
        assert rows(out) == expected

    def test_foreign_workers_are_refused(self, archive, tmp_path, scheduler):
        """A worker with another model, or that does not see the output, is refused by name."""
        request = Request(archive, tmp_path / "out", scheduler=scheduler)
        job = _job(request, Recognizer.load())
        with engine.connected(scheduler) as client:
            with pytest.raises(
                ArchiveError, match=r"worker tcp://.* does not see the|expected yes"
            ):
                engine.check_workers(client, job)
            Ledger(request.out).start({}, resume=False)
            engine.check_workers(client, job)
            with pytest.raises(ArchiveError, match="model: expected 0000, got"):
                engine.check_workers(client, replace(job, fingerprint="0000"))

    def test_a_lost_scheduler(self, archive, expected, tmp_path):
        """After kill -9 of the scheduler the run says so, and can be resumed elsewhere."""
        out = tmp_path / "out"
        command = [archive, "--out", out, "--part-size", 1]
        with (
            by_hand() as address,
            score(*command, "--scheduler", address, stderr=subprocess.PIPE) as driver,
        ):
            until(lambda: n_done(out), "no part is done")
            with engine.connected(address) as client:
                pid = client.run_on_scheduler(os.getpid)
            os.kill(pid, signal.SIGKILL)
            _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 1
        assert "lost the Dask scheduler" in err
        assert run(["score", *map(str, command), "--workers", "1", "--resume"]) == 0
        assert rows(out) == expected

    def test_no_scheduler(self):
        """An address where no scheduler answers is an error of one line."""
        with (
            pytest.raises(ArchiveError, match="no Dask scheduler answers there"),
            engine.connected("tcp://127.0.0.1:1", connect_s=0.5),
        ):
            pass
