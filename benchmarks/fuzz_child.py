"""For benchmarks/fuzz.py: cases in a process of their own, which may crash, hang or grow.

Run by itself, with a module, a family, a seed, the first case and the step to the next one, it goes
on until it is ended, and writes what came of each case as a line of JSON.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

from fuzz_server import GROWN_MB, PEAK_MB, Goal
from fuzz_tally import Note, Tally

CASE_S = 30.0  # after which a case is given up, and its process ended
START_S = 120.0  # for the first case, before which the library is loaded
N_WARM = 300  # cases, after which memory counts
MOST_BYTES = 6_000_000_000  # of memory that a process may ask for
MAX_ENDED = 200  # processes that end by a case, until the family is given up


def attack_a_child(module: str, goal: Goal, n_children: int = 2) -> Tally:
    """Run the cases of a module in some processes."""
    numbers = [range(first, 1 << 40, n_children) for first in range(n_children)]
    if goal.cases:
        numbers = [goal.cases]
    wanted = goal.n_inputs / len(numbers)
    with ThreadPoolExecutor(len(numbers)) as pool:
        tallies = list(pool.map(lambda some: _one_child(module, goal, some, wanted), numbers))
    for other in tallies[1:]:
        tallies[0].add(other)
    return tallies[0]


def _one_child(module: str, goal: Goal, numbers: range, wanted: float) -> Tally:
    """Run cases until there are enough inputs, in a new process after each that ended."""
    tally, end = Tally(), time.monotonic() + goal.seconds
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "stderr").open("w+b") as stderr:
        for _ in range(MAX_ENDED):
            with _child(module, goal, numbers, stderr) as child:
                numbers = numbers[_run(child, numbers, wanted, end, tally) :]
            if tally.inputs >= wanted or not numbers or time.monotonic() > end:
                break
        stderr.seek(0)
        _read_stderr(stderr.read().decode(errors="replace"), tally)
    return tally


@dataclass
class _Child:
    """A process that runs cases, and is killed when it stays with one for too long."""

    process: "subprocess.Popen[bytes]"
    due: float  # when the next line has to be there, by the monotonic clock
    hangs: bool = False

    def line(self) -> bytes:
        """Return what came of the next case; nothing where the process ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.due = time.monotonic() + CASE_S
        return line

    def watch(self) -> None:
        """Kill the process when a line is overdue."""
        while self.process.poll() is None:
            if time.monotonic() > self.due:
                self.hangs = True
                self.process.kill()
            time.sleep(0.2)

    def how_ended(self) -> str:
        """Say why there are no more lines."""
        code = self.process.wait()
        return f"took more than {CASE_S:g} s" if self.hangs else f"the process ended with {code}"


@contextmanager
def _child(module: str, goal: Goal, numbers: range, stderr: IO[bytes]) -> Iterator[_Child]:
    """Start a process for cases, and end it with the block."""
    told = (module, goal.family, str(goal.seed), str(numbers.start), str(numbers.step))
    command = [sys.executable, "-W", "error", __file__, *told]
    folder = str(Path(stderr.name).parent)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | {"TMPDIR": folder}
    ) as process:
        child = _Child(process, time.monotonic() + START_S)
        watch = threading.Thread(target=child.watch)
        watch.start()
        try:
            yield child
        finally:
            process.kill()
            watch.join()


def _run(child: _Child, numbers: range, wanted: float, end: float, tally: Tally) -> int:
    """Run cases in one process; return how many were run, counting the one that ended it."""
    warm_mb = 0.0
    for n_done, case in enumerate(numbers, 1):
        line = child.line()
        if not line:
            tally.inputs += 1
            tally.fault(case, child.how_ended())
            return n_done
        told = json.loads(line)
        tally.add(Tally.from_dict(told))
        warm_mb = told["mb"] if n_done == N_WARM else warm_mb
        if tally.inputs >= wanted or time.monotonic() > end:
            break
    if warm_mb:
        tally.watched["memory_mb"] = {"warm": round(warm_mb), "last": round(told["mb"])}
    if warm_mb and told["mb"] - warm_mb > GROWN_MB:
        tally.fault(-1, f"memory grew by more than {GROWN_MB:g} MB")
    return n_done


def _read_stderr(text: str, tally: Tally) -> None:
    for line in text.splitlines():
        if line.startswith(("Traceback", "Exception ignored")):
            tally.fault(-1, f"stderr: {line:.60}")


# In the child


def main() -> None:
    """Run cases until the parent ends it."""
    module, family, seed, first, step = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    one_case: Callable[[Random, Note], None] = importlib.import_module(module).cases()
    goal, case = Goal(family, int(seed), 0, 0.0), int(first)
    stdout = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # where libraries in C may write
    while True:
        stdout.write(json.dumps(_told(one_case, goal, case)) + "\n")
        case += int(step)


def _told(one_case: Callable[[Random, Note], None], goal: Goal, case: int) -> dict[str, Any]:
    tally, before_mb = Tally(), _peak_mb()
    with tally.run(case) as note:
        one_case(goal.rng(case), note)
    if case > N_WARM and _peak_mb() - before_mb > PEAK_MB:
        tally.fault(case, f"took more than {PEAK_MB:g} MB in passing")
    n_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {**tally.to_dict(), "mb": n_pages * os.sysconf("SC_PAGE_SIZE") / 1e6}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
