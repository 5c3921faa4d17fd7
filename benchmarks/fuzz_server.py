"""For benchmarks/fuzz.py: a service of its own for a family, and a watch on it."""

import asyncio
import contextlib
import itertools
import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import psutil

from fuzz_tally import Note, Tally, same
from fuzz_wire import Target
from machine import REPOSITORY
from service_clients import Server, server

HEALTH_S = 2.0  # within which /healthz answers, whatever else comes in
GROWN_MB = 50.0  # of memory, that a family may leave behind
PEAK_MB = 300.0  # of memory, that it may take in passing
N_SAMPLES = 20  # of memory, below which nothing is said of it
IDLE_S = 8.0  # after which no live session is left
CASE_S = 120.0  # after which a case is given up
TOKEN = "fuzz-token-0123456789"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
SETTINGS = {
    "model": "acoustic", "max_requests_per_s": 100_000, "max_sessions": 200, "max_share": 1,
    "upload_timeout_s": 5, "idle_s": 5, "send_timeout_s": 5,
}  # fmt: skip

Case = Callable[[Target, Random, Note], Awaitable[None]]


@dataclass(frozen=True)
class Goal:
    """What is to be sent: which cases, how many inputs, and for how long at most."""

    family: str
    seed: int
    n_inputs: int
    seconds: float
    cases: range | None = None  # these alone

    def numbers(self) -> Iterator[int]:
        """Return the numbers of the cases."""
        return iter(self.cases) if self.cases else itertools.count()

    def rng(self, case: int) -> Random:
        """Return what a case draws from."""
        return Random(f"{self.seed} {self.family} {case}")


async def attack(target: Target, one_case: Case, goal: Goal, tally: Tally, n_at_once: int) -> None:
    """Run cases, some at the same time, until there are enough inputs or the time is over."""
    numbers, end = goal.numbers(), time.monotonic() + goal.seconds

    async def client() -> None:
        for number in numbers:
            if tally.inputs >= goal.n_inputs or time.monotonic() > end:
                return
            with tally.run(number) as note:
                try:
                    async with asyncio.timeout(CASE_S):
                        await one_case(target, goal.rng(number), note)
                except TimeoutError:
                    note.fault(f"took more than {CASE_S:g} s")
                except OSError as error:
                    note.answer(f"connection lost: {type(error).__name__}")

    await asyncio.gather(*(client() for _ in range(n_at_once)))


def attack_a_server(one_case: Case, goal: Goal, n_at_once: int, with_token: bool) -> Tally:
    """Run cases against a service of their own; also watch its memory, its pulse and its log."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens"
        tokens.write_text(TOKEN)
        settings = SETTINGS | ({"token_file": tokens} if with_token else {})
        with server(Path(folder) / "log", **settings) as one:
            target, before = Target(one.port, _baseline(one), TOKEN), _honest_answer(one)
            with _watched(one, tally):
                asyncio.run(attack(target, one_case, goal, tally, n_at_once))
                time.sleep(IDLE_S)  # sessions that were left are found idle
            _judge_end(one, before, tally)
        _read_log(one.log, tally)
    return tally


def _judge_end(one: Server, before: object, tally: Tally) -> None:
    """Expect that the service is as it was."""
    if one.process.poll() is not None:
        tally.fault(-1, f"the service ended with {one.process.returncode}")
        return
    if left := one.figure("emovox_live_sessions", TOKEN):
        tally.fault(-1, f"{left:g} live sessions were left")
    if _honest_answer(one) != before:
        tally.fault(-1, "an honest request is answered otherwise than before")


def _honest_answer(one: Server) -> object:
    """Return the answer to an honest request."""
    content = (REPOSITORY / "examples" / "even.flac").read_bytes()
    answer = httpx.post(f"{one.url}/v1/predict", files={"file": content}, headers=KNOWN, timeout=30)
    return answer.json().get("prediction")


def _baseline(one: Server) -> dict[str, object]:
    """Return a baseline of nobody, as the service's model has them."""
    card = httpx.get(f"{one.url}/v1/model", headers=KNOWN, timeout=30).json()
    total = [0.0] * len(card["baseline"])
    return {"schema": 1, "model": card["fingerprint"], "name": "x", "seconds": 9.0, "total": total}


@contextmanager
def _watched(one: Server, tally: Tally) -> Iterator[None]:
    """Watch the pulse and the memory of a service while the block runs."""
    watch = _Watch(one, tally)
    threads = [threading.Thread(target=call) for call in (watch.pulse, watch.memory)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        watch.over.set()
        for thread in threads:
            thread.join()
        watch.judge()


@dataclass
class _Watch:
    """Asks a service for its health again and again, and looks at its memory."""

    one: Server
    tally: Tally
    over: threading.Event = field(default_factory=threading.Event)
    health_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def pulse(self) -> None:
        """Ask whether it is alive, until it is over."""
        while not self.over.wait(0.25):
            suspects, began = sorted(self.tally.running)[:5], time.perf_counter()
            try:
                with urllib.request.urlopen(f"{self.one.url}/healthz", timeout=60):
                    pass
            except OSError as error:
                self._suspect(suspects, f"/healthz: {error}")
            self.health_s.append(time.perf_counter() - began)
            if self.health_s[-1] > HEALTH_S:
                self._suspect(suspects, f"/healthz took more than {HEALTH_S:g} s")

    def memory(self) -> None:
        """Look at its memory, until it is over."""
        while not self.over.wait(0.25):
            with contextlib.suppress(psutil.Error):  # where the service has ended
                self.memory_mb.append(self.one.memory_mb())

    def _suspect(self, cases: list[int], what: str) -> None:
        for case in cases or [-1]:
            self.tally.fault(case, what)

    def judge(self) -> None:
        """Compare the memory at the end with that after the first tenth."""
        if len(self.memory_mb) < N_SAMPLES:
            return
        warm = self.memory_mb[len(self.memory_mb) // 10]
        last, most = self.memory_mb[-1], max(self.memory_mb)
        self.tally.watched = {
            "memory_mb": {"warm": round(warm), "most": round(most), "last": round(last)},
            "healthz_ms": {"most": round(1000 * max(self.health_s, default=0))},
        }
        if last - warm > GROWN_MB:
            self.tally.fault(-1, f"memory grew by more than {GROWN_MB:g} MB")
        if most - warm > PEAK_MB:
            self.tally.fault(-1, f"memory rose by more than {PEAK_MB:g} MB in passing")


def _read_log(path: Path, tally: Tally) -> None:
    """Find what in a log tells of a mistake, or is no JSON; lines that go together count once."""
    before = ""
    for line in (*path.read_text(encoding="utf-8", errors="replace").splitlines(), "{}"):
        try:
            told = json.loads(line)
        except ValueError:
            before = line
            continue
        if before:
            tally.fault(-1, f"the log has a line that is not JSON: {same(before)}")
            before = ""
        if told.get("traceback"):
            tally.fault(-1, f"the log has a traceback: {same(told['traceback'])}")
        elif told.get("level") == "error":
            tally.fault(-1, f"the log has an error: {told['event']} {told.get('status', '')}")
