"""Readings in voice agents: are they there before the model's turn, how late, and are they right.

Run with ``python benchmarks/agents.py`` in an environment with the extras `pipecat` and
`livekit`; it takes some nine minutes. Callers of RAVDESS and nEMO speak one sentence a turn, in
real time, to agents of both frameworks (agent_calls.py). Speech recognition answers at once, so
that no delay hides behind it. The labels are compared with those of `Recognizer.turns` on the same
recording, which is told when each sentence begins and ends. Writes benchmarks/results/agents.json.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent_calls import Call, livekit_call, pipecat_call
from emovox import Recognizer
from emovox.audio import RATE
from emovox.corpora import load_corpora
from emovox.integrations import Caller, Reading
from emovox.integrations.caller import WAIT_S
from machine import data_folder, machine, write_result
from stitched import Truth, stitch

CORPORA = ("ravdess", "nemo")
SEED = 20_240_229
Play = Callable[[NDArray[np.int16], int, Caller], Awaitable[Call]]
FRAMEWORKS: dict[str, tuple[str, Play]] = {
    "pipecat": ("pipecat-ai", pipecat_call),
    "livekit": ("livekit-agents", livekit_call),
}


@dataclass(frozen=True)
class Script:
    """A call: its recording, its turns, and their labels by `Recognizer.turns`."""

    sound: NDArray[np.int16]
    turns: Sequence[Truth]
    labels: Sequence[str | None]


def script(recognizer: Recognizer, corpus: str, seconds: float) -> Script:
    """Stitch a call of one speaker."""
    (loaded,) = load_corpora([f"{corpus}={data_folder() / corpus}"])
    utterances = loaded.utterances
    speaker = sorted({one.speaker for one in utterances})[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.wav"
        spoken = [one for one in utterances if one.speaker == speaker]
        turns = stitch(spoken, seconds, path, seed=SEED)
        answers = recognizer.turns(path, [(one.start, one.end, speaker) for one in turns])
        labels = [one.prediction.label if one.prediction else None for one in answers]
        sound, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return Script(sound, turns, labels)


def label_of(turn: Truth, readings: Sequence[Reading]) -> str | None:
    """Return the label of the reading that shares most with a turn; None if none shares any."""
    best = max(readings, key=lambda one: _shared(turn, one), default=None)
    return best.prediction.label if best and _shared(turn, best) > 0 else None


def _shared(turn: Truth, reading: Reading) -> float:
    found = reading.prediction
    return min(turn.end, found.end) - max(turn.start, found.start)


def row(scripts: Sequence[Script], calls: Sequence[Call]) -> dict[str, Any]:
    """Sum up the calls of a framework."""
    told = [words for call in calls for words in call.told]
    delays = [delay for call in calls for delay in call.delays]
    pairs = [
        (label, label_of(turn, call.readings))
        for one, call in zip(scripts, calls, strict=True)
        for turn, label in zip(one.turns, one.labels, strict=True)
    ]
    p50, p95 = np.percentile(delays, (50, 95))
    return {
        "turns": len(pairs),
        "model_turns": len(told),
        "with_reading": sum("[The caller" in words for words in told) / len(told),
        "delay_ms": {"p50": round(1000 * float(p50), 1), "p95": round(1000 * float(p95), 1)},
        "same_label": sum(first == second for first, second in pairs) / len(pairs),
        "uncertain": sum("unclear" in words for words in told) / len(told),
    }


def main() -> None:
    """Play the calls to each framework."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="of each call")
    parser.add_argument("--wait-s", type=float, default=WAIT_S, help="that a reading may take")
    asked = parser.parse_args()
    recognizer = Recognizer.load()
    scripts = [script(recognizer, corpus, asked.seconds) for corpus in CORPORA]
    rows = {}
    for name, (_, play) in FRAMEWORKS.items():
        callers = [Caller(recognizer, wait_s=asked.wait_s) for _ in scripts]
        pairs = zip(scripts, callers, strict=True)
        calls = [asyncio.run(play(one.sound, RATE, caller)) for one, caller in pairs]
        rows[name] = row(scripts, calls)
        print(name, rows[name], flush=True)
    versions = {name: version(package) for name, (package, _) in FRAMEWORKS.items()}
    facts = {"seconds": asked.seconds, "wait_s": asked.wait_s, "calls": len(scripts)}
    write_result("agents", {"machine": machine(), "versions": versions, **facts, "rows": rows})


if __name__ == "__main__":
    main()
