"""Live sound: nothing is lost in silence, and every way it can fail is told in clear words."""

import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from emovox.errors import AudioError, MicrophoneError, MissingExtraError
from emovox.live import microphone
from emovox.live.microphone import Device, find_device
from emovox.live.playback import Playback
from emovox.live.source import BLOCK_S, QUEUE_S, BlockQueue, LiveBlock

RATE = 16_000
N_BLOCK = round(BLOCK_S * RATE)


def drained(waiting: BlockQueue) -> list[LiveBlock]:
    """Take everything out of a queue."""
    blocks = []
    while block := waiting.get(wait=False):
        blocks.append(block)
    return blocks


class TestBlockQueue:
    """The bounded queue."""

    def test_order_and_place(self, rng):
        """Blocks come out as they went in, and know where they start and end."""
        sound = rng.uniform(-1, 1, 1000).astype(np.float32)
        waiting = BlockQueue()
        for samples in (sound[:300], sound[300:]):
            waiting.put(samples, RATE)
        first, second = drained(waiting)
        assert np.array_equal(np.concatenate((first.samples, second.samples)), sound)
        assert (first.start, first.end, second.start) == (0, 300 / RATE, 300 / RATE)
        assert second.end == pytest.approx(1000 / RATE)
        assert (waiting.dropped_s, second.gap_s) == (0, 0)

    def test_copy(self):
        """Samples that the sound card writes into its buffer later do not change a block."""
        buffer = np.ones(100, np.float32)
        waiting = BlockQueue()
        waiting.put(buffer, RATE)
        buffer[:] = 0
        assert drained(waiting)[0].samples.all()

    def test_full(self):
        """A full queue drops blocks and counts them; the next block stands after the gap."""
        waiting = BlockQueue()
        n_room = round(QUEUE_S / BLOCK_S)
        for _ in range(n_room + 3):
            waiting.put(np.zeros(N_BLOCK, np.float32), RATE)
        assert waiting.full
        assert waiting.dropped_s == pytest.approx(3 * BLOCK_S)
        assert drained(waiting)[-1].end == pytest.approx(QUEUE_S)
        waiting.put(np.zeros(N_BLOCK, np.float32), RATE)
        block = drained(waiting)[0]
        assert block.start == pytest.approx(QUEUE_S + 3 * BLOCK_S)
        assert block.gap_s == pytest.approx(3 * BLOCK_S)

    def test_gone(self):
        """Sound that the device missed moves the next block, also at another rate."""
        waiting = BlockQueue()
        waiting.put(np.zeros(RATE, np.float32), RATE)
        waiting.put(np.zeros(100, np.float32), 100, gone_s=2.5)
        waiting.put(np.zeros(100, np.float32), 100)
        places = [(block.start, block.end, block.gap_s) for block in drained(waiting)]
        assert places == [(0, 1, 0), (3.5, 4.5, 2.5), (4.5, 5.5, 0)]
        assert (waiting.gone_s, waiting.dropped_s) == (2.5, 0)

    def test_empty(self):
        """An empty queue gives nothing, and does not wait for ever."""
        assert BlockQueue().get() is None


class TestPlayback:
    """A recording in place of a microphone."""

    @pytest.mark.parametrize("speed", [0, 50])
    def test_whole(self, tmp_path, talk, speed):
        """All of the recording comes, in small blocks without gaps, whatever the speed."""
        soundfile.write(tmp_path / "a.wav", talk, RATE, "FLOAT")
        played = Playback(tmp_path / "a.wav", speed)
        blocks = list(played.blocks(threading.Event()))
        assert np.array_equal(np.concatenate([block.samples for block in blocks]), talk)
        assert max(len(block.samples) for block in blocks) == N_BLOCK
        assert all(b.start == pytest.approx(a.end) for a, b in pairwise(blocks))
        assert (played.dropped_s, played.n_overflows, played.waiting) == (0, 0, "")

    def test_channels(self, tmp_path, voice):
        """Channels are averaged, and the rate stays the recording's own."""
        soundfile.write(tmp_path / "a.wav", np.stack([voice, -voice / 2], 1), 44_100, "FLOAT")
        blocks = list(Playback(tmp_path / "a.wav", 0).blocks(threading.Event()))
        assert {block.rate for block in blocks} == {44_100}
        heard = np.concatenate([block.samples for block in blocks])
        assert heard == pytest.approx(voice / 4, abs=1e-6)

    def test_too_fast(self, tmp_path):
        """Sound that comes faster than it is taken is dropped and counted, as from a sound card."""
        soundfile.write(tmp_path / "a.wav", np.zeros(34 * RATE), RATE)
        played = Playback(tmp_path / "a.wav", 1e6)
        blocks = played.blocks(threading.Event())
        heard = next(blocks).end
        while "player" in {
            thread.name for thread in threading.enumerate()
        }:  # until the player has come to its end
            time.sleep(0.01)
        rest = list(blocks)
        heard += sum(block.end - block.start for block in rest)
        assert played.dropped_s > 3
        assert heard + played.dropped_s == pytest.approx(34)

    def test_stop(self, tmp_path):
        """When it is stopped, it ends, however much is left."""
        soundfile.write(tmp_path / "a.wav", np.zeros(30 * RATE), RATE)
        stopped = threading.Event()
        blocks = Playback(tmp_path / "a.wav").blocks(stopped)
        first = next(blocks)
        stopped.set()
        assert first.start == 0
        assert sum(1 for _ in blocks) < 10

    def test_cut_off(self, tmp_path, talk):
        """A recording that is cut off is played so far as it goes, then the break is told."""
        soundfile.write(tmp_path / "a.wav", talk, RATE, "PCM_16")
        whole = (tmp_path / "a.wav").read_bytes()
        (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
        heard = []
        with pytest.raises(AudioError, match="cut off"):
            heard.extend(Playback(tmp_path / "a.wav", 0).blocks(threading.Event()))
        assert heard[-1].end == pytest.approx(len(talk) / RATE / 2, abs=0.01)

    def test_no_recording(self, tmp_path):
        """What is no recording is told before anything is played."""
        (tmp_path / "a.wav").write_text("hello")
        for name in ("a.wav", "none.wav", "."):
            with pytest.raises(AudioError):
                Playback(tmp_path / name)


CARDS = [
    Device(0, "USB Microphone", "ALSA", 1, 48_000, False),
    Device(2, "Built-in Microphone", "ALSA", 2, 44_100, True),
    Device(5, "Built-in Microphone", "JACK", 2, 44_100, False),
    Device(7, "2 in 1", "JACK", 2, 44_100, False),
]


class TestFindDevice:
    """The choice among several inputs."""

    @pytest.fixture(autouse=True)
    def cards(self, monkeypatch):
        """Have four inputs."""
        monkeypatch.setattr(microphone, "devices", lambda: CARDS)

    @pytest.mark.parametrize(
        ("wanted", "index"),
        [
            (None, 2),
            ("0", 0),
            ("2", 2),
            ("usb", 0),
            ("usb microphone", 0),
            ("Built-in Microphone, JACK", 5),
            ("2 IN 1", 7),
        ],
    )
    def test_found(self, wanted, index):
        """A number, a name, and a part of a name that no other has, find an input."""
        assert find_device(wanted).index == index

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            ("microphone", "'microphone' fits several microphones, give a number: 0 USB"),
            ("built-in microphone", "give a number: 2 Built-in Microphone, ALSA; 5 Built-in"),
            ("3", "expected one of these microphones, got '3': 0 USB Microphone, ALSA; 2 "),
            ("guitar", "expected one of these microphones, got 'guitar'"),
        ],
    )
    def test_not_found(self, wanted, reason):
        """What fits none or several names those that there are."""
        with pytest.raises(MicrophoneError, match=reason):
            find_device(wanted)

    def test_none(self, monkeypatch):
        """Without any input, the words say what to look at."""
        monkeypatch.setattr(microphone, "devices", list)
        for wanted in (None, "0", "usb"):
            with pytest.raises(MicrophoneError, match="no microphone found; is one connected"):
                find_device(wanted)

    def test_no_default(self, monkeypatch):
        """Where the system has no default, the first input is taken."""
        monkeypatch.setattr(microphone, "devices", lambda: [CARDS[0], CARDS[2]])
        assert find_device() == CARDS[0]


def run_python(code: str, **environment: str) -> str:
    """Run code in a process of its own, and return what it prints."""
    variables = os.environ | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


TELL = "try: devices()\nexcept EmovoxError as e: print(type(e).__name__, e)\nelse: print(devices())"
IMPORTS = "from emovox.live.microphone import devices\nfrom emovox.errors import EmovoxError\n"


class TestMissing:
    """What may not be there."""

    def test_no_sounddevice(self, monkeypatch):
        """Without the extra, the words say how to install it."""
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'emovox\[live\]'"):
            microphone.devices()

    @pytest.mark.skipif(sys.platform != "linux", reason="sounddevice brings PortAudio along there")
    @pytest.mark.needs("sounddevice")
    def test_no_portaudio(self):
        """Without the PortAudio library, the words say how to install it."""
        hide = "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
        told = run_python(hide + IMPORTS + TELL)
        assert told.startswith("MicrophoneError a microphone needs the PortAudio library")
        assert told.endswith("apt install libportaudio2")

    @pytest.mark.skipif(sys.platform != "linux", reason="the sound system of Linux is meant")
    def test_no_sound_card(self):
        """Where there is no sound card, the list is empty, and listening ends in one line."""
        told = run_python(IMPORTS + TELL)
        if told != "[]":
            pytest.skip(f"there is a sound card here, or no PortAudio: {told}")
        code = "from emovox.cli import run\n"
        code += "print(run(['listen']), run(['listen', '--list-devices']))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "1 1\n"
        assert done.stderr.count("emovox: no microphone found; is one connected?") == 2
        assert done.stderr.count("\n") == 2

    def test_import(self):
        """The module can be imported, and files be played, without loading sounddevice."""
        code = "import sys, emovox.live.microphone; print('sounddevice' in sys.modules)"
        assert run_python(code) == "False"


FOLLOW = """
import sys, threading
from emovox.live.microphone import Microphone
microphone = Microphone()
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
for block in microphone.blocks(stopped):
    print(block.start, block.end, flush=True)
"""


class TestSoundCard:
    """A real sound path."""

    def test_pulled_out(self, server):
        """When the device is gone, it is waited for; sound then goes on, placed after the gap."""
        command = [sys.executable, "-c", FOLLOW]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, env=server.environment, text=True, **pipes)
        places = [_place(process) for _ in range(10)]
        server.stop()
        time.sleep(1)
        server.start()
        while places[-1][0] - places[-2][1] < 0.5:
            places.append(_place(process))
        out, _ = process.communicate("stop\n", timeout=60)
        assert process.returncode == 0
        places += [tuple(map(float, line.split())) for line in out.splitlines()]
        gaps = [b[0] - a[1] for a, b in pairwise(places)]
        assert places[0][0] == 0
        assert sum(gap > 0.5 for gap in gaps) == 1
        assert min(gaps) > -1e-6

    def test_list(self, server):
        """The devices are listed as JSON; one of them is the default."""
        code = "from emovox.cli import run; run(['listen', '--list-devices', '--json'])"
        found = json.loads(run_python(code, **server.environment))
        keys = {"index", "name", "host", "channels", "rate", "default"}
        assert [set(one) for one in found] == [keys] * len(found)
        assert sum(one["default"] for one in found) == 1

    def test_choice(self, server):
        """A device that is not there is named together with those that are."""
        code = "from emovox.cli import run; run(['listen', '--device', 'guitar'])"
        done = subprocess.run(
            [sys.executable, "-c", code], env=server.environment, capture_output=True, text=True
        )
        assert done.stderr.startswith("emovox: expected one of these microphones, got 'guitar': ")
        assert "default, ALSA" in done.stderr
        assert done.stderr.count("\n") == 1


def _place(process: subprocess.Popen) -> tuple[float, ...]:
    """Read where the next block starts and ends."""
    return tuple(map(float, process.stdout.readline().split()))
