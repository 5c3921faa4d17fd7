"""Three quarters of a million inputs that no honest user sends, thrown at the product from a seed.

Run with ``python benchmarks/fuzz.py``, which takes some 25 minutes and nothing but 127.0.0.1.
``--scale 0.01`` sends a hundredth of it, ``--only FAMILY`` one family alone (give it again for one
more), ``--only FAMILY --case N`` one case, as the faults name them. Writes
benchmarks/results/fuzz.json after each family that was run whole, and leaves there the others. Ends
with 1 where it finds a fault: an answer of 5xx other than busy, one that comes too late or is not
JSON, a connection that is kept, a traceback, an exception other than an EmovoxError, memory that
grows.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import fuzz_handshakes
import fuzz_messages
import fuzz_recordings
import fuzz_requests
import fuzz_streams
from fuzz_child import attack_a_child
from fuzz_server import Goal, attack_a_server
from fuzz_tally import Tally
from machine import REPOSITORY, machine, write_result

RESULT = REPOSITORY / "benchmarks" / "results" / "fuzz.json"
SEED = 20_240_229


@dataclass(frozen=True)
class Family:
    """Inputs of one kind: how many, for how long at most, and what sends and judges them."""

    n_inputs: int
    minutes: float
    run: Callable[[Goal], Tally]


FAMILIES: Mapping[str, Family] = {
    "requests": Family(
        110_000, 6.0, partial(attack_a_server, fuzz_requests.case, n_at_once=48, with_token=False)
    ),
    "handshakes": Family(
        40_000, 4.0, partial(attack_a_server, fuzz_handshakes.case, n_at_once=48, with_token=True)
    ),
    "messages": Family(
        210_000, 4.0, partial(attack_a_server, fuzz_messages.case, n_at_once=32, with_token=False)
    ),
    "streams": Family(
        100_000, 12.0, partial(attack_a_server, fuzz_streams.case, n_at_once=32, with_token=False)
    ),
    "uploads": Family(
        25_000, 4.5, partial(attack_a_server, fuzz_recordings.case, n_at_once=8, with_token=False)
    ),
    "recordings": Family(35_000, 3.5, partial(attack_a_child, "fuzz_recordings")),
    "turns": Family(160_000, 12.0, partial(attack_a_child, "fuzz_turns")),
    "models": Family(80_000, 3.0, partial(attack_a_child, "fuzz_models")),
}


def main() -> None:
    """Run the families that were asked for, and write what came of each."""
    asked = _asked()
    cases = None if asked.case is None else range(asked.case, asked.case + 1)
    found = {}
    for name in asked.only or FAMILIES:
        family = FAMILIES[name]
        n_inputs = max(1, round(asked.scale * family.n_inputs))
        began = time.perf_counter()
        tally = family.run(Goal(name, asked.seed, n_inputs, 60 * family.minutes, cases))
        found[name] = {
            "wanted": n_inputs,
            "seconds": round(time.perf_counter() - began),
        } | tally.to_dict()
        print(f"{name}: {json.dumps(found[name], indent=2)}", flush=True)
        if cases is None and asked.scale == 1:
            _write(asked.seed, name, found[name])
    sys.exit(any(one["faults"] for one in found.values()))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the inputs to send")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", type=int, help="of the one family: this alone")
    asked = parser.parse_args()
    if asked.case is not None and len(asked.only or ()) != 1:
        parser.error("--case needs one --only FAMILY")
    return asked


def _write(seed: int, name: str, found: dict[str, Any]) -> None:
    known = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    families = known.get("families", {}) | {name: found}
    write_result("fuzz", {"machine": machine(), "seed": seed, "families": families})


if __name__ == "__main__":
    main()
