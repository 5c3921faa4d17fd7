"""The service of this checkout and of another one under the same load, in turn.

Run with ``python benchmarks/service_compare.py PATH``, where PATH is the other checkout, such as
one that ``git worktree add PATH COMMIT`` makes. Each of the rounds measures both, so that both see
what else the machine does; the median of the rounds counts. Prints each figure of both, and this
checkout's as a multiple of the other's: 1.05 is 5 % more. The clients are those of this checkout.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from machine import REPOSITORY
from service_clients import environment, server
from service_load import live_sessions, uploads


def main() -> None:
    """Measure both in turn, and print how they compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=40, help="live at the same time")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each live session")
    parser.add_argument("--uploads", type=int, default=1_000)
    asked = parser.parse_args()
    checkouts = (asked.other.resolve(), REPOSITORY)
    found: dict[Path, list[Mapping[str, float]]] = {one: [] for one in checkouts}
    for checkout in checkouts:
        check(checkout)
    for index in range(asked.rounds):
        for checkout in checkouts if index % 2 == 0 else checkouts[::-1]:
            found[checkout].append(_measure(checkout, asked))
            print(f"{checkout}: {found[checkout][-1]}", flush=True)
    print(f"{'':30}{'other':>10}{'this':>10}{'ratio':>8}")
    for name in found[REPOSITORY][0]:
        other, this = (median(one[name] for one in found[checkout]) for checkout in checkouts)
        print(f"{name:30}{other:10.2f}{this:10.2f}{this / other:8.3f}")


def check(checkout: Path) -> None:
    """Make sure that a checkout's own code is what runs."""
    command = [sys.executable, "-c", "import emovox; print(emovox.__file__)"]
    done = subprocess.run(
        command, env=environment(checkout), capture_output=True, text=True, check=True
    )
    if not Path(done.stdout.strip()).is_relative_to(checkout):
        raise SystemExit(f"{checkout}: expected its own emovox, got {done.stdout.strip()}")


def _measure(checkout: Path, asked: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one checkout in one round."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with server(log, max_sessions=asked.sessions, checkout=checkout) as one:
            live = asyncio.run(live_sessions(one, asked.sessions, asked.seconds))
        with server(log, max_requests_per_s=10_000, checkout=checkout) as one:
            before_s = one.cpu_seconds()
            sent = asyncio.run(uploads(one, asked.uploads))
            cpu_ms = 1000 * (one.cpu_seconds() - before_s) / asked.uploads
    if live["errors_in_log"] or sent["errors_in_log"] or sent["failed"]:
        raise SystemExit(f"{checkout}: errors under load: {live} {sent}")
    return {
        "live: cores": live["server_cores"],
        "live: interim, ms, p50": live["interim_ms"]["p50"],
        "live: interim, ms, p95": live["interim_ms"]["p95"],
        "live: final, ms, p95": live["final_ms"]["p95"],
        "live: in the server, ms, p50": live["in_the_server_ms"]["p50"],
        "live: memory, MB": live["server_mb"],
        "uploads: a second": sent["per_second"],
        "uploads: processor, ms each": round(cpu_ms, 2),
        "uploads: ms, p50": sent["ms"]["p50"],
        "uploads: ms, p95": sent["ms"]["p95"],
        "uploads: memory, MB": sent["server_mb"],
    }


if __name__ == "__main__":
    main()
