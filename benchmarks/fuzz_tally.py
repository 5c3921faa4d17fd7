"""For benchmarks/fuzz.py: what came of a family's inputs, and which of it is a fault."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

N_EXAMPLES = 5  # cases that are named with a fault


def same(text: str) -> str:
    """Return the beginning of a text's last line without numbers: what tells of the same."""
    lines = text.strip().splitlines() or [""]
    return re.sub(r"0x\w+|\d+", "N", lines[-1])[:60]


@dataclass
class Tally:
    """What came of inputs: kinds of answer, the slowest of them, and faults with their cases.

    A case is a number. The family, the seed and this number make its inputs anew.
    """

    inputs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest_case: int = -1
    faults: Counter[str] = field(default_factory=Counter)
    cases: dict[str, list[int]] = field(default_factory=dict)  # of each fault
    watched: dict[str, Any] = field(default_factory=dict)  # memory and pulse of what is attacked
    running: set[int] = field(default_factory=set)

    def answer(self, case: int, kind: str, seconds: float = 0.0) -> None:
        """Note an answer, and how long it took."""
        self.kinds[kind] += 1
        if seconds > self.slowest_s:
            self.slowest_s, self.slowest_case = seconds, case

    def fault(self, case: int, what: str) -> None:
        """Note a fault of the product; case -1 is none that is known."""
        self.faults[what] += 1
        named = self.cases.setdefault(what, [])
        if case >= 0 and case not in named and len(named) < N_EXAMPLES:
            named.append(case)

    @contextmanager
    def run(self, case: int) -> Iterator["Note"]:
        """Run a case, which writes into what is yielded."""
        self.running.add(case)
        try:
            yield Note(self, case)
        finally:
            self.running.discard(case)

    def add(self, other: "Tally") -> None:
        """Add what came of other cases of the family."""
        self.inputs += other.inputs
        self.kinds += other.kinds
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest_case = other.slowest_s, other.slowest_case
        for what, n in other.faults.items():
            self.faults[what] += n
            self.cases[what] = (self.cases.get(what, []) + other.cases[what])[:N_EXAMPLES]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it, without what is running."""
        return {
            "inputs": self.inputs,
            "answers": dict(sorted(self.kinds.items())),
            "slowest_s": round(self.slowest_s, 3),
            "slowest_case": self.slowest_case,
            **self.watched,
            "faults": {
                what: {"times": n, "cases": self.cases[what]}
                for what, n in self.faults.most_common()
            },
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> "Tally":
        """Read back what `to_dict` gives."""
        return cls(
            told["inputs"],
            Counter(told["answers"]),
            told["slowest_s"],
            told["slowest_case"],
            Counter({what: one["times"] for what, one in told["faults"].items()}),
            {what: one["cases"] for what, one in told["faults"].items()},
        )


@dataclass(frozen=True)
class Note:
    """What one case writes into its family's tally."""

    tally: Tally
    case: int

    def sent(self, n_inputs: int = 1) -> None:
        """Count inputs."""
        self.tally.inputs += n_inputs

    def answer(self, kind: str, seconds: float = 0.0) -> None:
        """Note an answer, and how long it took."""
        self.tally.answer(self.case, kind, seconds)

    def fault(self, what: str) -> None:
        """Note a fault of the product."""
        self.tally.fault(self.case, what)

    @contextmanager
    def timed(self, limit_s: float) -> Iterator[None]:
        """Note as a fault what takes longer than a limit."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        if seconds > self.tally.slowest_s:
            self.tally.slowest_s, self.tally.slowest_case = seconds, self.case
        if seconds > limit_s:
            self.fault(f"took more than {limit_s:g} s")
