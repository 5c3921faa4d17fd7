"""Live and long: delay and cost of decisions, memory over hours, an hour of speech in seconds.

Run with ``python benchmarks/streaming.py``; it takes some 20 minutes, most of them for eight
simulated hours of streaming and a recording of four. ``--only decisions labels`` measures these
alone and keeps the rest. Seconds are of the wall, ``cpu`` is what the processor spent on them:
where other work goes on, the two differ. The recordings are stitched from the corpora
in EMOVOX_DATA (stitched.py), from one seed. Every measurement is a process of its own. Delay, cost
and streaming run on one core, recordings on two. Writes benchmarks/results/streaming.json.

The shipped model was trained on these corpora, speakers included: the shares of speech labelled
right show what cutting, pauses and the baseline do to answers, not how well unheard voices are
recognised; for that see accuracy.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from emovox import Recognizer
from emovox.audio import RATE
from emovox.corpora import load_corpus
from machine import REPOSITORY, data_folder, machine, write_result
from stitched import Truth, stitch

SEED = 20
CHUNK = RATE // 10  # samples fed at a time
SPEAKERS = {"tess": "OAF", "nemo": "IC0", "ravdess": "05"}  # whose clips are stitched


def decisions(path: Path, truths: list[Truth]) -> dict[str, Any]:
    """Feed ten minutes; measure when the first decisions come and what each takes."""
    stream = Recognizer.load().stream(RATE)
    audio, _ = soundfile.read(path, dtype="float32")
    delays, waiting = [], iter(truths)
    costs, others, cpu_costs, others_cpu = [], [], [], []  # ms a feed, with decisions or without
    truth: Truth | None = next(waiting)
    for first in range(0, len(audio), CHUNK):
        started, cpu = time.perf_counter(), time.process_time()
        found = stream.feed(audio[first : first + CHUNK])
        cost = 1000 * (time.perf_counter() - started) / max(1, len(found))
        cpu_cost = 1000 * (time.process_time() - cpu) / max(1, len(found))
        (costs if found else others).append(cost)
        (cpu_costs if found else others_cpu).append(cpu_cost)
        while truth is not None and truth.end + 1.0 < stream.seconds and not found:
            delays.append(np.inf)  # nothing came for this utterance
            truth = next(waiting, None)
        if found and truth is not None and found[-1].end > truth.start:
            delays.append(stream.seconds - truth.start)
            while truth is not None and truth.start < found[-1].end:
                truth = next(waiting, None)
    return {
        "utterances": len(delays),
        "decisions": len(costs),
        "first_decision_s": _spread(delays),
        "ms_per_decision": _spread(costs),
        "cpu_ms_per_decision": _spread(cpu_costs),
        "ms_per_100_ms_without": _spread(others),
        "cpu_ms_per_100_ms_without": _spread(others_cpu),
    }


def streaming(path: Path, hours: float) -> dict[str, Any]:
    """Stream a recording over and over for hours; measure the memory after 5 minutes and then."""
    stream = Recognizer.load().stream(RATE)
    audio, _ = soundfile.read(path, dtype="float32")
    memory, started = {}, time.perf_counter()
    while stream.seconds < hours * 3600:
        for first in range(0, len(audio), CHUNK):
            stream.feed(audio[first : first + CHUNK])
            if not memory and stream.seconds >= 300:
                memory["mb_after_5_minutes"] = _resident_mb()
    memory["mb_after_all"] = _resident_mb()
    seconds = time.perf_counter() - started
    return {"hours": hours, **memory, "seconds": round(seconds, 1)}


def segments(path: Path, learn: bool) -> dict[str, Any]:
    """Recognise a recording in segments; return them with wall seconds and peak memory."""
    import resource

    recognizer = Recognizer.load()
    started = time.perf_counter()
    found = list(recognizer.segments(path, learn=learn))
    seconds = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "segments": [(one.start, one.end, one.label) for one in found],
    }


def agreement(segments: list[tuple[float, float, str]], truths: list[Truth]) -> dict[str, Any]:
    """Compare segments with the truth: share of speech time labelled right, boundaries."""
    right, speech, starts, ends, missed = 0.0, 0.0, [], [], 0
    for truth in truths:
        over = [one for one in segments if one[0] < truth.end and one[1] > truth.start]
        speech += truth.end - truth.start
        right += sum(
            min(end, truth.end) - max(start, truth.start)
            for start, end, label in over
            if label == truth.label
        )
        if not over:
            missed += 1
            continue
        starts.append(abs(over[0][0] - truth.start))
        ends.append(abs(over[-1][1] - truth.end))
    return {
        "labelled_right": round(right / speech, 4),
        "start_off_s": _spread(starts),
        "end_off_s": _spread(ends),
        "utterances": len(truths),
        "segments": len(segments),
        "missed": missed,
    }


def recording(corpus: str, seconds: float, folder: Path, seed: int) -> tuple[Path, list[Truth]]:
    """Stitch a recording of one speaker from a corpus, of the emotions that the model knows."""
    labels = set(Recognizer.load().labels)
    found = load_corpus(corpus, data_folder() / corpus).utterances
    chosen = [u for u in found if u.speaker == SPEAKERS[corpus] and u.emotion in labels]
    if not chosen:
        raise SystemExit(f"{corpus}: no clips of the speaker {SPEAKERS[corpus]}")
    path = folder / f"{corpus}-{seconds:.0f}-{seed}.wav"
    return path, stitch(chosen, seconds, path, seed=seed)


def child(task: str, *arguments: object, cores: int) -> dict[str, Any]:
    """Run one measurement in a process of its own, on so many cores."""
    words = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **threads},
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _spread(values: list[float]) -> dict[str, float]:
    found = np.array(values or [np.nan])
    return {
        "median": round(float(np.median(found)), 3),
        "p99": round(float(np.percentile(found, 99, method="higher")), 3),
        "max": round(float(found.max()), 3),
    }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _task(words: list[str]) -> None:
    name, path = words[0], Path(words[1])
    if name == "decisions":
        truths = [Truth(**one) for one in json.loads(Path(words[2]).read_text())]
        result = decisions(path, truths)
    elif name == "streaming":
        result = streaming(path, float(words[2]))
    else:
        result = segments(path, words[2] == "learn")
    print(json.dumps(result))


def measure_decisions(folder: Path) -> dict[str, Any]:
    """Ten minutes of one speaker, streamed on one core."""
    path, truths = recording("nemo", 600, folder, SEED)
    (folder / "truths.json").write_text(json.dumps([asdict(one) for one in truths]))
    return child("decisions", path, folder / "truths.json", cores=1)


def measure_labels(folder: Path) -> dict[str, Any]:
    """Recognise an hour, half an hour and ten minutes, with and without the baseline."""
    rows = {}
    for corpus, seconds in (("tess", 3600.0), ("nemo", 1800.0), ("ravdess", 600.0)):
        path, truths = recording(corpus, seconds, folder, SEED)
        row: dict[str, Any] = {"speaker": SPEAKERS[corpus], "recording_s": seconds}
        for way in ("learn", "none"):
            done = child("segments", path, way, cores=2)
            row[way] = {**agreement(done.pop("segments"), truths), **done}
        rows[corpus] = row
    return rows


def measure_longest(folder: Path) -> dict[str, Any]:
    """Four hours of one speaker."""
    path, _ = recording("tess", 4 * 3600, folder, SEED + 1)
    done = child("segments", path, "learn", cores=2)
    return {"hours": 4, **{key: done[key] for key in ("seconds", "cpu_seconds", "peak_mb")}}


def measure_streaming(folder: Path) -> dict[str, Any]:
    """Eight simulated hours of one speaker."""
    path, _ = recording("nemo", 600, folder, SEED + 2)
    return child("streaming", path, 8.0, cores=1)


PARTS = {
    "decisions": measure_decisions,
    "labels": measure_labels,
    "longest": measure_longest,
    "streaming": measure_streaming,
}


def main() -> None:
    """Measure what was asked for, and write the result, keeping what was measured before."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        _task(arguments.task)
        return
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](Path(folder))
        print(name, json.dumps(found, indent=2))
        path = REPOSITORY / "benchmarks" / "results" / "streaming.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        write_result("streaming", {**before, name: found, "seed": SEED, "machine": machine()})


if __name__ == "__main__":
    main()
