"""The microphone's way: clips of TESS played into a sound server, `emovox listen` recording them.

Run with ``python benchmarks/live.py``; it takes about seven minutes, and needs PulseAudio
(Debian: pulseaudio, pulseaudio-utils, libasound2-plugins, libportaudio2). Labels are compared with
those of `emovox predict` on the clips' files, without a baseline on either side. Then `emovox
listen` draws on a terminal for a minute, and its share of a core is taken. Writes
benchmarks/results/live.json.
"""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import soxr

from emovox import Recognizer
from machine import data_folder, machine, write_result
from sound_server import SoundServer, missing_programs, sound_server

SECONDS = 310.0  # to be played
VIEW_SECONDS = 60.0  # over which the view's share of a core is taken
PAUSE_S = 1.5  # between two clips
RATE = 48_000  # Hz, that of the sound server
EMOVOX = str(Path(sys.executable).with_name("emovox"))


@dataclass(frozen=True)
class Clip:
    """A clip and where it lies in what is played, in seconds."""

    file: Path
    start: float
    end: float


def choose(seconds: float, corpora: Path, seed: int = 0) -> list[Path]:
    """Choose clips of TESS by chance, so many as fill the time with the pauses between them."""
    files = sorted((corpora / "tess").rglob("*.flac"))
    random.Random(seed).shuffle(files)
    chosen, filled = [], 0.0
    for file in files:
        filled += soundfile.info(file).duration + PAUSE_S
        if filled > seconds:
            break
        chosen.append(file)
    return chosen


def stitch(files: list[Path], path: Path) -> list[Clip]:
    """Write the clips, with pauses between them, as one WAV file."""
    pieces, clips, n_samples = [np.zeros(RATE)], [], RATE
    for file in files:
        samples, rate = soundfile.read(file)
        samples = soxr.resample(samples, rate, RATE)
        clips.append(Clip(file, n_samples / RATE, (n_samples + len(samples)) / RATE))
        pieces += [samples, np.zeros(round(PAUSE_S * RATE))]
        n_samples += len(samples) + round(PAUSE_S * RATE)
    soundfile.write(path, np.concatenate(pieces), RATE, "PCM_16")
    return clips


def delay(played: Path, heard: Path) -> float:
    """Return after how many seconds of the recording the playing began, by their loudness."""
    ours, theirs = _loudness(played), _loudness(heard)
    size = 1 << (len(ours) + len(theirs)).bit_length()
    product = np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(ours, size))
    lag = int(np.argmax(np.fft.irfft(product, size)))
    return (lag if lag < len(theirs) else lag - size) / 100


def _loudness(path: Path) -> np.ndarray:
    """Return the RMS of each hundredth of a second, less its mean."""
    samples, rate = soundfile.read(path)
    n_frames = len(samples) * 100 // rate
    frames = np.array_split(samples, n_frames)
    loudness = np.array([np.sqrt(np.mean(frame**2)) for frame in frames])
    return loudness - loudness.mean()


def wait_for_sound(heard: Path, process: subprocess.Popen[Any]) -> None:
    """Wait until a recording grows."""
    while not (heard.exists() and heard.stat().st_size > 10_000):
        if process.poll() is not None:
            raise RuntimeError(f"emovox listen ended with {process.returncode}")
        time.sleep(0.05)


def listen(played: Path, heard: Path, server: SoundServer) -> list[dict[str, Any]]:
    """Play a file into the sound server; return the lines of `emovox listen --json`."""
    command = [EMOVOX, "listen", "--json", "--no-learn", "--record", str(heard)]
    process = subprocess.Popen(command, env=server.environment, stdout=subprocess.PIPE, text=True)
    try:
        wait_for_sound(heard, process)
        server.play(played).wait()
        time.sleep(1.5)
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    if process.returncode:
        raise RuntimeError(f"emovox listen ended with {process.returncode}")
    return [json.loads(line) for line in out.splitlines()]


def label_of(clip: Clip, finals: list[dict[str, Any]], delay_s: float) -> str | None:
    """Return the label of the final decision that covers most of a clip; None without one."""
    best, most = None, 0.0
    for final in finals:
        start = max(clip.start + delay_s, final["start"])
        shared = min(clip.end + delay_s, final["end"]) - start
        if shared > most:
            best, most = final["label"], shared
    return best


def compare(clips: list[Clip], lines: list[dict[str, Any]], delay_s: float) -> dict[str, Any]:
    """Count the clips whose live label is that of the file."""
    finals = [line for line in lines if line.get("final")]
    recognizer = Recognizer.load()
    n_equal = n_heard = 0
    for clip in clips:
        live = label_of(clip, finals, delay_s)
        n_heard += live is not None
        n_equal += live == recognizer.predict(clip.file).label
    return {"clips": len(clips), "heard": n_heard, "equal": n_equal, "finals": len(finals)}


def view_cost(played: Path, heard: Path, server: SoundServer) -> float:
    """Return the share of a core that `emovox listen` takes while it draws."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [EMOVOX, "listen", "--record", str(heard)], env=server.environment | size, stdout=theirs
    )
    reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reader.start()
    player = None
    try:
        wait_for_sound(heard, process)
        player = server.play(played)
        time.sleep(5)
        used = psutil.Process(process.pid)
        before, began = used.cpu_times(), time.perf_counter()
        time.sleep(VIEW_SECONDS)
        after, seconds = used.cpu_times(), time.perf_counter() - began
    finally:
        if player:
            player.terminate()
            player.wait()
        process.send_signal(signal.SIGINT)
        process.wait(30)
        os.close(theirs)
    return (after.user + after.system - before.user - before.system) / seconds


def _drain(terminal: int) -> None:
    """Read what is drawn, as a terminal does."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        return


def main() -> None:
    """Play, listen, compare, and write the result."""
    if missing := missing_programs():
        print(f"left out: {missing} not installed")
        return
    with tempfile.TemporaryDirectory() as name, sound_server() as server:
        folder = Path(name)
        played, heard = folder / "played.wav", folder / "heard.wav"
        clips = stitch(choose(SECONDS, data_folder()), played)
        print(f"playing {len(clips)} clips, {SECONDS:.0f} s")
        lines = listen(played, heard, server)
        summary = lines[-1]["summary"]
        found = compare(clips, lines, delay(played, heard))
        cost = view_cost(played, folder / "view.wav", server)
    result = {
        **found,
        "equal_share": round(found["equal"] / found["clips"], 4),
        "seconds": summary["seconds"],
        "dropped_seconds": summary["dropped_seconds"],
        "overflows": summary["overflows"],
        "gone_seconds": summary["gone_seconds"],
        "core_share_with_view": round(cost, 4),
        "machine": machine(),
    }
    print(json.dumps(result, indent=2))
    write_result("live", result)


if __name__ == "__main__":
    main()
