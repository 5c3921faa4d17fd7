"""The service under load: live sessions, uploads, start, overhead; and under attack.

Run with ``python benchmarks/service.py``, which takes some two minutes and nothing but 127.0.0.1.
``--soak MINUTES``, ``--messages N`` and ``--mutations N`` add what takes long: a soak of sessions
that come, go, vanish, stall and send junk; N messages of junk into live sessions; N uploads of
mutated recordings. Client and server share the machine. Writes benchmarks/results/service.json, and
leaves there what was not run this time.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from machine import REPOSITORY, machine, write_result
from service_attack import fuzz_messages, fuzz_uploads, soak
from service_clients import server
from service_load import live_sessions, overhead, startup, uploads

RESULT = REPOSITORY / "benchmarks" / "results" / "service.json"


def main() -> None:
    """Run what was asked for, and write what was found after each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=40, help="live at the same time")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each live session")
    parser.add_argument("--uploads", type=int, default=1_000, help="of 3 s, by 16 clients")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--messages", type=int, default=0, help="of junk, into live sessions")
    parser.add_argument("--mutations", type=int, default=0, help="of recordings, uploaded")
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
        with server(log, "--max-sessions", str(asked.sessions)) as one:
            yield "sessions", asyncio.run(live_sessions(one, asked.sessions, asked.seconds))
    if asked.uploads:
        with server(log, "--max-requests-per-s", "10000") as one:
            yield "uploads", asyncio.run(uploads(one, asked.uploads))
    if asked.soak:
        with server(log) as one:
            yield "soak", asyncio.run(soak(one, 60 * asked.soak))
    if asked.messages:
        with server(log, "--max-messages-per-s", "100000") as one:
            yield "messages", asyncio.run(fuzz_messages(one, asked.messages))
    if asked.mutations:
        with server(log, "--max-requests-per-s", "100000") as one:
            yield "mutations", asyncio.run(fuzz_uploads(one, asked.mutations))


if __name__ == "__main__":
    main()
