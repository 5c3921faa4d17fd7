"""The service under load: live sessions, uploads, start, overhead; and a soak.

Run with ``python benchmarks/service.py``, which takes some two minutes and nothing but 127.0.0.1.
``--soak MINUTES`` adds what takes long: sessions that come, go, vanish, stall and send junk. Client
and server share the machine. Writes benchmarks/results/service.json, and leaves there what was not
run this time. What no honest client sends is the matter of benchmarks/fuzz.py.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from machine import REPOSITORY, machine, write_result
from service_clients import server
from service_load import live_sessions, overhead, startup, uploads
from service_soak import soak

RESULT = REPOSITORY / "benchmarks" / "results" / "service.json"


def main() -> None:
    """Run what was asked for, and write what was found after each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=40, help="live at the same time")
    parser.add_argument("--calls", type=int, default=40, help="the same in mu-law, 20 ms a message")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each live session")
    parser.add_argument("--uploads", type=int, default=1_000, help="of 3 s, by 16 clients")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in _parts(asked, Path(folder) / "log"):
            print(f"{name}: {json.dumps(value)}")
            known = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
            write_result("service", {**known, "machine": machine(), name: value})


def _parts(asked: argparse.Namespace, log: Path) -> Any:
    if asked.seconds and asked.sessions:
        yield "startup", startup(log)
        with server(log) as one:
            yield "overhead", asyncio.run(overhead(one))
        with server(log, max_sessions=asked.sessions) as one:
            yield "sessions", asyncio.run(live_sessions(one, asked.sessions, asked.seconds))
    if asked.seconds and asked.calls:
        with server(log, max_sessions=asked.calls) as one:
            call = live_sessions(one, asked.calls, asked.seconds, by_phone=True)
            yield "calls", asyncio.run(call)
    if asked.uploads:
        with server(log, max_requests_per_s=10_000) as one:
            yield "uploads", asyncio.run(uploads(one, asked.uploads))
    if asked.soak:
        with server(log) as one:
            yield "soak", asyncio.run(soak(one, 60 * asked.soak))


if __name__ == "__main__":
    main()
