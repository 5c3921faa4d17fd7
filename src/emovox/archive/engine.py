"""Dask distributed: a cluster here or elsewhere, its workers checked, a few parts on it at once."""

import asyncio
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

import dask
from distributed import (
    Client,
    Future,
    KilledWorker,
    Nanny,
    Scheduler,
    Security,
    SpecCluster,
    Worker,
    wait,
)
from distributed.comm.core import CommClosedError
from distributed.node import ServerNode

from ..errors import ArchiveError, EmovoxError
from ..files import make_folder
from .job import Job
from .worker import introduce

_PER_THREAD = 2  # parts of a worker: one at work and one waiting, so that it never waits for more
_POLL_S = 0.5  # between two looks at signals, progress and scheduler
_NO_WORKERS_S = 300.0  # without any worker, before a run gives up
_MAX_TRIES = 20  # of a part whose worker dies before it reaches a recording
_CONNECT_S = 10.0
_TO_END = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 2  # times of Ctrl-C until running parts are abandoned
_CONFIG = {
    "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.profile.enabled": False,  # it samples the stack 100 times a second
    "distributed.worker.use-file-locking": False,  # each run has its own folder
    "logging.distributed": "critical",
}


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """A run was interrupted by SIGINT or SIGTERM; finished parts are kept."""


class _Unseen(ServerNode):
    """Part of a cluster without Dask's HTTP port, where anybody could connect."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class _Scheduler(_Unseen, Scheduler):
    pass


class _Worker(_Unseen, Worker):
    pass


@contextmanager
def started(n_workers: int, scratch: Path) -> Iterator[Client]:
    """Start worker processes on this machine, and connect to them.

    A scheduler runs any code that it is sent, and a port of 127.0.0.1 is open to everybody on the
    machine. So every connection is TLS, and both sides need a key that is made here and given to
    the workers alone.

    `scratch` is a private folder for Dask, emptied and removed. Dask imports modules from it, so
    other users must not be able to write there, as they could in the system's temporary folder.
    """
    import cryptography  # noqa: F401 (else Dask's error would not name the missing module)

    shutil.rmtree(scratch, ignore_errors=True)
    make_folder(scratch, private=True)
    security = Security.temporary()
    host = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    worker = {
        **host,
        "worker_class": _Worker,
        "nthreads": 1,
        "memory_limit": 0,  # no limit: a recording too large for the machine costs a worker
        "preload": ["emovox.archive.worker"],
        "silence_logs": "CRITICAL",
    }
    try:
        with ExitStack() as stack:
            stack.enter_context(dask.config.set(_CONFIG | {"temporary-directory": str(scratch)}))
            with _signals_held():
                workers = SpecCluster(
                    workers={
                        place: {"cls": Nanny, "options": worker} for place in range(n_workers)
                    },
                    scheduler={"cls": _Scheduler, "options": {**host, "dashboard": False}},
                    security=security,
                    silence_logs="CRITICAL",
                )
                stack.enter_context(workers)
                client = stack.enter_context(Client(workers))
            yield client
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block is over, where the system can.

    Threads and processes that start in the block never get them: the driver's own threads, and
    workers that have not reached `dask_setup` when a whole group of processes gets a signal.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # first, since starting it would end the delay
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TO_END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def connected(address: str, connect_s: float = _CONNECT_S) -> Iterator[Client]:
    """Connect to a running cluster.

    Raises
    ------
    ArchiveError
        If there is no scheduler at the address.
    """
    with dask.config.set(_CONFIG):
        try:
            client = Client(address, timeout=connect_s)
        except (OSError, ValueError) as error:
            raise ArchiveError(f"{address}: no Dask scheduler answers there: {error}") from None
        with client:
            yield client


def check_workers(client: Client, job: Job, stopped: Callable[[], int] = lambda: 0) -> None:
    """Refuse workers that would give other answers.

    Raises
    ------
    ArchiveError
        If there are no workers, or one has another emovox or model, or does not see the output
        folder.
    Interrupted
        If a signal came before there were any.
    """
    deadline = time.monotonic() + _NO_WORKERS_S
    while not client.nthreads():
        if stopped():
            raise Interrupted
        if time.monotonic() > deadline:
            raise ArchiveError("the scheduler has no workers; start some with: dask worker ADDRESS")
        time.sleep(_POLL_S)
    expected = {"emovox": job.version, "model": job.fingerprint, "sees the output folder": "yes"}
    answers = client.run(introduce, job, on_error="return")
    for address, answer in answers.items():
        if not isinstance(answer, Mapping):
            raise ArchiveError(f"the worker {address} cannot run emovox: {answer}")
        for name, value in expected.items():
            if answer[name] != value:
                raise ArchiveError(
                    f"the worker {address} is refused: {name}: expected {value}, got {answer[name]}"
                )


@contextmanager
def counted_signals() -> Iterator[Callable[[], int]]:
    """Count SIGINT and SIGTERM, and give a function that returns the count.

    The first asks to finish the running parts, the second to abandon them, and a third interrupts
    as usual. Neither of the first two breaks into the start or the end of the workers, which Dask
    would not survive.
    """
    n_asked = 0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal n_asked
        n_asked += 1
        if n_asked == _PATIENCE:
            signal.signal(number, before[number])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    before = {int(number): signal.getsignal(number) for number in _TO_END}
    try:
        for number in before:
            signal.signal(number, ask)
        yield lambda: n_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Task:
    """Something for a worker to do; `trail` is the file of the recording at hand."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    trail: Path | None = None
    n_tries: int = 0
    left: bytes = b""  # content of the trail when a worker last died


@contextmanager
def _loss_told() -> Iterator[None]:
    """Say that the scheduler is lost, wherever it was needed when the connection broke."""
    try:
        yield
    except CommClosedError:
        raise _lost() from None


@_loss_told()
def run_tasks(
    client: Client,
    tasks: Iterable[Task],
    on_done: Callable[[Any], None],
    stopped: Callable[[], int],
) -> None:
    """Run tasks in any order, a few at a time; `tasks` is iterated as there is room.

    Raises
    ------
    Interrupted
        After a signal; running tasks are finished, unless a second one came.
    ArchiveError
        If the scheduler is lost, or a task fails in a way that no recording explains.
    """
    running: dict[Future[Any], Task] = {}
    waiting, n_free, seen = iter(tasks), 0, time.monotonic()
    while True:
        if stopped() >= _PATIENCE:
            raise Interrupted
        if stopped():
            waiting = iter(())
        new = list(islice(waiting, max(0, n_free)))
        running |= {_submit(client, task): task for task in new}
        if not running and not new and n_free > 0:
            break
        _wait(client, running)
        for future in [future for future in running if future.done()]:
            task = running.pop(future)
            if not _collect(future, on_done):
                again = _repeated(task)
                running[_submit(client, again)] = again
        n_places, now = _n_places(client), time.monotonic()
        seen = now if n_places else seen
        if not n_places and (stopped() or now - seen > _NO_WORKERS_S):
            break
        n_free = max(1, n_places) - len(running)
    if running and not stopped():
        raise ArchiveError("the workers are gone; finished parts are kept: continue with --resume")
    if stopped():
        raise Interrupted


def _submit(client: Client, task: Task) -> Future[Any]:
    return client.submit(task.function, *task.arguments, pure=False)


def _wait(client: Client, running: Iterable[Future[Any]]) -> None:
    with suppress(TimeoutError, asyncio.TimeoutError, CancelledError):
        if futures := list(running):
            wait(futures, timeout=_POLL_S, return_when="FIRST_COMPLETED")
        else:
            time.sleep(_POLL_S / 10)
    if client.status != "running":
        raise _lost()


def _n_places(client: Client) -> int:
    """Return how many tasks the workers may have at a time."""
    try:
        return _PER_THREAD * int(sum(client.nthreads().values()))
    except OSError:
        raise _lost() from None


def _lost() -> ArchiveError:
    return ArchiveError("lost the Dask scheduler; finished parts are kept: continue with --resume")


def _collect(future: Future[Any], on_done: Callable[[Any], None]) -> bool:
    """Take a task's result; False if its worker died and the task must run again."""
    if future.status == "finished":
        on_done(future.result())
        return True
    if future.status != "error":
        raise _lost()
    error = future.exception()
    if isinstance(error, KilledWorker):
        return False
    if isinstance(error, EmovoxError):
        raise error
    raise ArchiveError(f"a worker failed: {type(error).__name__}: {error}; continue with --resume")


def _repeated(task: Task) -> Task:
    """Return a task to repeat after its worker died; give up if no recording was reached."""
    left = b""
    with suppress(OSError):
        left = task.trail.read_bytes() if task.trail else b""
    n_tries = 1 if left != task.left else task.n_tries + 1
    if n_tries > _MAX_TRIES:
        raise ArchiveError(
            "workers die before they reach a recording; see their logs (memory?), then continue "
            "with --resume"
        )
    return replace(task, n_tries=n_tries, left=left)
