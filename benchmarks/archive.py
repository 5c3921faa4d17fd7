"""Archives: throughput and memory, kills, bad files, and how far the scheduler reaches.

Run with ``python benchmarks/archive.py``, or with the names of some sections: throughput, cluster,
kills, bad, scheduler. ``--files N`` takes every so many of the corpora's files. Everything runs
through the command line, in processes of its own; each section is checked against an undisturbed
run. Writes benchmarks/results/archive.json; a section that was not run stays as it was.
"""

import argparse
import csv
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import soundfile

import archive_scheduler
from emovox.audio import audio_files
from machine import REPOSITORY, data_folder, machine, write_result

EMOVOX = (sys.executable, "-c", "from emovox.cli import main; main()")
N_KILLS, N_KILLED_FILES, KILLED_PART, N_BAD_FILES = 10, 1_500, 20, 400


def score(source: Path, out: Path, *options: object) -> dict[str, Any]:
    """Score to the end, and return the summary."""
    command = [*EMOVOX, "score", str(source), "--out", str(out), "--json", *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def same(one: Path, other: Path) -> bool:
    """Tell whether two runs have the same rows in the same order."""
    return bool(pq.read_table(one / "scores").equals(pq.read_table(other / "scores")))


def write_table(path: Path, files: Sequence[Path]) -> Path:
    """Write a table that names files."""
    with path.open("w", newline="") as lines:
        csv.writer(lines).writerows([("file",), *((str(file),) for file in files)])
    return path


@contextmanager
def memory_of(process: subprocess.Popen[str]) -> Iterator[dict[int, list[float]]]:
    """Sample the resident memory of a driver's workers, in MB, while the block runs."""
    samples: dict[int, list[float]] = {}
    yield samples
    while process.poll() is None:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                if "spawn_main" in " ".join(child.cmdline()):
                    samples.setdefault(child.pid, []).append(child.memory_info().rss / 1e6)
        time.sleep(0.25)


def throughput(source: Path, folder: Path) -> dict[str, Any]:
    """Score everything with one worker and with two; compare rows, speed and memory."""
    result: dict[str, Any] = {}
    for n_workers in (1, 2):
        out = folder / f"workers-{n_workers}"
        options = ["--out", out, "--workers", n_workers, "--json"]
        command = [*EMOVOX, "score", source, *options]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        with memory_of(process) as samples:
            pass
        summary = json.loads(process.communicate()[0])
        names = ("recordings", "hours", "seconds", "times_real_time", "failures", "core_seconds")
        row = {name: summary[name] for name in names}
        row["memory_mb"] = round(max(max(one) for one in samples.values()))
        row["memory_growth_mb"] = round(max(map(growth, samples.values())), 1)
        result[f"{n_workers}"] = row
        print(f"{n_workers} workers: {row}")
    result["ratio"] = round(result["1"]["seconds"] / result["2"]["seconds"], 3)
    result["same_rows"] = same(folder / "workers-1", folder / "workers-2")
    result["part_seconds"] = part_seconds(folder / "workers-1")
    print(f"ratio {result['ratio']}, same rows: {result['same_rows']}")
    return result


def growth(samples: Sequence[float]) -> float:
    """Return by how much the memory of the last quarter exceeds that of the second."""
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])


def part_seconds(out: Path) -> list[float]:
    """Return the seconds of work in each part of a run."""
    metadata = (pq.read_schema(path).metadata for path in sorted((out / "scores").iterdir()))
    return [round(json.loads(one[b"emovox"])["compute_s"], 3) for one in metadata]


@contextmanager
def running(*command: object, **kwargs: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process in a group of its own, and kill the group in the end."""
    process = subprocess.Popen([*map(str, command)], start_new_session=True, text=True, **kwargs)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cluster(source: Path, folder: Path) -> dict[str, Any]:
    """Score on a scheduler and two workers started by hand; kill one worker in the middle."""
    reference = folder / "workers-1"
    if not reference.exists():
        score(source, reference, "--workers", 2)
    dask, quiet = [sys.executable, "-m", "dask"], {"stderr": subprocess.DEVNULL}
    address_file = folder / "scheduler.json"
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard"]
    worker = [*dask, "worker", "--scheduler-file", address_file, "--nthreads", 1]
    with (
        running(*scheduler, "--scheduler-file", address_file, **quiet),
        running(*worker, "--no-dashboard", **quiet) as first,
        running(*worker, "--no-dashboard", **quiet),
    ):
        while not address_file.exists():
            time.sleep(0.1)
        address = json.loads(address_file.read_text())["address"]
        out = folder / "cluster"
        options = ["--out", out, "--scheduler", address, "--json"]
        n_parts = len(list((reference / "scores").iterdir()))
        with running(*EMOVOX, "score", source, *options, stdout=subprocess.PIPE) as driver:
            while len(list((out / "scores").glob("part*"))) < n_parts // 2:
                time.sleep(0.05)
            nanny = psutil.Process(first.pid)
            killed = [one.pid for one in nanny.children(recursive=True)]
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            summary = json.loads(driver.communicate()[0])
    result = {
        "recordings": summary["recordings"],
        "times_real_time": summary["times_real_time"],
        "killed_processes": len(killed),
        "same_rows": same(reference, out),
    }
    print(f"cluster: {result}")
    return result


def kills(source: Path, folder: Path) -> dict[str, Any]:
    """Kill the driver ten times at random moments, resume, and compare."""
    files = every(listed(source), N_KILLED_FILES)
    table, out = write_table(folder / "killed.csv", files), folder / "killed"
    options = ("--workers", 2, "--part-size", KILLED_PART)
    score(table, folder / "undisturbed", *options)
    rng, done = random.Random(5), []
    for wanted in sorted(rng.sample(range(len(files) // KILLED_PART), N_KILLS)):
        command = [*EMOVOX, "score", table, "--out", out, *options, "--resume"]
        with running(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            while driver.poll() is None and _parts_done(out) < wanted:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.5))
            driver.kill()
        done.append(_parts_done(out))
    summary = score(table, out, *options, "--resume")
    result = {
        "recordings": summary["recordings"],
        "parts_done_at_each_kill": done,
        "same_rows": same(folder / "undisturbed", out),
    }
    print(f"kills: {result}")
    return result


def _parts_done(out: Path) -> int:
    return len(list((out / "scores").glob("part*")))


def bad(source: Path, folder: Path) -> dict[str, Any]:
    """Put 5 % bad files among good ones; the good are all answered, the bad named."""
    good = every(listed(source), N_BAD_FILES)
    score(write_table(folder / "good.csv", good), folder / "good", "--workers", 2)
    wrong = folder / "wrong"
    wrong.mkdir()
    makers = (_empty, _text, _truncated, _forbidden, _folder, _ten_hours, _missing)
    n_bad = max(len(makers), len(good) // 19)  # one in twenty
    bad_files = [makers[k % len(makers)](wrong / f"{k}.wav", good[k]) for k in range(n_bad)]
    mixed = list(good)
    for number, file in enumerate(bad_files):
        mixed.insert(20 * number, file)
    table, out = write_table(folder / "mixed.csv", mixed), folder / "mixed"
    command = [*EMOVOX, "score", table, "--out", out, "--workers", 2, "--max-seconds", 3600]
    codes = []
    for options in ([], ["--resume", "--strict"]):
        with running(
            *command, *options, stdout=subprocess.DEVNULL, preexec_fn=_without_rights
        ) as run:
            codes.append(run.wait())
    rows = {row["file"]: row for row in pq.read_table(out / "scores").to_pylist()}
    expected = pq.read_table(folder / "good" / "scores").to_pylist()
    result = {
        "recordings": len(rows),
        "bad": n_bad,
        "exit_code": codes[0],
        "exit_code_strict": codes[1],
        "good_rows_same": all(rows[row["file"]] == row for row in expected),
        "reasons": {file.name: rows[str(file)]["error"] for file in bad_files[: len(makers)]},
        "failures": json.loads((out / "summary.json").read_text())["failures"],
    }
    print(f"bad: {json.dumps(result, indent=1)}")
    return result


def _without_rights() -> None:
    """Take from root the right to read what is forbidden; others have none."""
    if os.geteuid() == 0:
        import ctypes

        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def _empty(path: Path, _: Path) -> Path:
    path.touch()
    return path


def _text(path: Path, _: Path) -> Path:
    path.write_text("This is no recording.\n" * 50)
    return path


def _truncated(path: Path, good: Path) -> Path:
    samples, rate = soundfile.read(good, dtype="int16")
    soundfile.write(path, samples, rate)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def _forbidden(path: Path, good: Path) -> Path:
    path.write_bytes(good.read_bytes())
    path.chmod(0)
    return path


def _folder(path: Path, _: Path) -> Path:
    path.mkdir()
    return path


def _ten_hours(path: Path, _: Path) -> Path:
    with soundfile.SoundFile(path, "w", 8_000, 1, "ULAW", format="WAV") as file:
        for _minute in range(600):
            file.write(np.zeros(60 * 8_000, np.float32))
    return path


def _missing(path: Path, _: Path) -> Path:
    return path


def listed(source: Path) -> list[Path]:
    """Return the files of a folder, or those that a table names."""
    if source.is_dir():
        return audio_files(source)
    with source.open(newline="") as lines:
        return [Path(row["file"]) for row in csv.DictReader(lines)]


def every(files: Sequence[Path], n: int) -> list[Path]:
    """Return about n files, taken evenly."""
    return list(files[:: max(1, len(files) // n)][:n])


def scheduler(source: Path, folder: Path) -> dict[str, Any]:
    """Measure what a part costs the scheduler, and simulate more workers than there are here."""
    del source, folder
    measured = saved().get("throughput")
    if measured is None:
        raise SystemExit("the throughput is needed first: python benchmarks/archive.py throughput")
    one = measured["1"]
    core = 3600 * one["hours"] / one["core_seconds"]
    return archive_scheduler.measure(measured["part_seconds"], core)


def saved() -> dict[str, Any]:
    """Return the results of earlier runs."""
    path = REPOSITORY / "benchmarks" / "results" / "archive.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


SECTIONS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "throughput": throughput,
    "cluster": cluster,
    "kills": kills,
    "bad": bad,
    "scheduler": scheduler,
}


def main() -> None:
    """Run the sections asked for, and write what they show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=[])
    parser.add_argument("--files", type=int, help="about so many files of the corpora; default all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archive-") as name:
        folder, source = Path(name), data_folder()
        if arguments.files:
            files = every(audio_files(source), arguments.files)
            source = write_table(folder / "some.csv", files)
        for section in arguments.sections or SECTIONS:
            result = SECTIONS[section](source, folder)
            write_result("archive", saved() | {section: result} | {"machine": machine()})


if __name__ == "__main__":
    main()
