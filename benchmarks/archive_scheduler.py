"""How far one Dask scheduler reaches: its cost for a part, measured, and a simulation with it.

Used by ``python benchmarks/archive.py scheduler``. The cost is the processor time of a real
scheduler with up to 64 workers in one process, through the engine of `emovox score`, with parts
that do nothing; as driver and workers share the process, it is more than the scheduler's own. The
simulation is checked against the real scheduler with parts that only wait.
"""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import dask
from distributed import Client, LocalCluster

from emovox.archive.engine import Task, run_tasks

IN_HAND = 2  # parts with a worker, as in the engine
WORKERS = (1, 2, 10, 100, 300, 1_000)
CALL_S, CALLS_A_PART = 300.0, 100
N_PARTS = 10_000  # of which a million calls are made


async def _wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


def real(n_workers: int, seconds: Sequence[float]) -> tuple[float, float]:
    """Have parts that only wait done by a real scheduler; return seconds, and processor seconds."""
    with (
        dask.config.set({"distributed.admin.tick.limit": "1h"}),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            silence_logs="CRITICAL",
        ) as workers,
        Client(workers) as client,
    ):
        started, busy = time.perf_counter(), time.process_time()
        tasks = (Task(_wait, (nap,)) for nap in seconds)
        run_tasks(client, tasks, lambda _: None, lambda: False)
        return time.perf_counter() - started, time.process_time() - busy


def simulate(n_workers: int, seconds: Sequence[float], cost_s: float) -> float:
    """Return when all parts are done, with a scheduler that spends some time on each.

    A worker has one part at work and one waiting. A part that is done waits for the scheduler,
    which takes one after the other, and then sends that worker another.
    """
    parts = iter(seconds)
    free_at, events, waiting = 0.0, [], [deque[float]() for _ in range(n_workers)]
    busy = [False] * n_workers
    for place in range(IN_HAND * n_workers):
        free_at += cost_s / 2
        heapq.heappush(events, (free_at, 0, place % n_workers))
    end = 0.0
    while events:
        now, is_end, worker = heapq.heappop(events)
        if is_end:
            end, busy[worker] = now, False
            free_at = max(free_at, now) + cost_s
            heapq.heappush(events, (free_at, 0, worker))
        elif (part := next(parts, None)) is not None:
            waiting[worker].append(part)
        if waiting[worker] and not busy[worker]:
            busy[worker] = True
            heapq.heappush(events, (now + waiting[worker].popleft(), 1, worker))
    return end


def measure(part_seconds: Sequence[float], times_real_time: float) -> dict[str, Any]:
    """Measure the cost of a part, check the simulation, and simulate growing clusters.

    Parameters
    ----------
    part_seconds : sequence of float
        How long parts of 128 short clips took, from the throughput.
    times_real_time : float
        Of one core, for parts of 100 calls of five minutes.
    """
    costs = {n: real(n, [0.0] * 2_000)[1] / 2_000 for n in (2, 16, 64)}
    cost_s = max(costs.values())
    print("ms a part:", {n: round(1000 * cost, 2) for n, cost in costs.items()})
    rng = random.Random(5)
    naps = [rng.uniform(0.1, 0.9) for _ in range(1_000)]
    check = {
        "real_s": round(real(32, naps)[0], 2),
        "simulated_s": round(simulate(32, naps, cost_s), 2),
    }
    print("32 workers, 1,000 parts that wait 0.1 to 0.9 s:", check)
    mean_s = sum(part_seconds) / len(part_seconds)
    rows = []
    calls = CALLS_A_PART * CALL_S / times_real_time / mean_s
    for words, scale in (("128 short clips", 1.0), ("100 calls of 5 minutes", calls)):
        for n_workers in WORKERS:
            drawn = [scale * rng.choice(part_seconds) for _ in range(N_PARTS)]
            took = simulate(n_workers, drawn, cost_s)
            busy = sum(drawn) / (n_workers * took)
            row = {"part": words, "workers": n_workers, "seconds": round(took, 1)}
            rows.append(row | {"busy": round(busy, 4), "parts_a_second": round(N_PARTS / took, 1)})
            print(rows[-1])
    return {
        "ms_a_part": {str(n): round(1000 * cost, 3) for n, cost in costs.items()},
        "check": check,
        "parts": N_PARTS,
        "rows": rows,
    }
