"""Reading sound: what goes wrong below libsndfile is told, and nothing grows or is printed."""

import io
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE, load_audio
from emovox.decoding import n_channels, read_blocks
from emovox.errors import AUDIO_KINDS, AudioError
from emovox.sound import Sound, open_sound
from emovox.sound.containers import layout_of


def encoded(samples, rate=RATE, container="WAV", **options) -> bytes:
    """Encode samples to the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, **options)
    return file.getvalue()


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120
    )


class TestReading:
    """A recording is decoded from its beginning to its end."""

    @pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
    @pytest.mark.parametrize("n_samples", [999, 16_000, 10**9])
    def test_any_size(self, talk, container, n_samples):
        """However many samples are asked for at a time, they are the same."""
        content = encoded(talk[: 3 * RATE], container=container)
        with open_sound(content, "talk") as sound:
            pieces = []
            while len(piece := sound.read(n_samples)):
                pieces.append(piece)
            assert sound.broken == ""
        np.testing.assert_array_equal(np.concatenate(pieces), load_audio(content))

    def test_channels(self, talk):
        """One channel, or the mean of all."""
        content = encoded(np.stack([talk, -talk, 0.5 * talk], axis=1), subtype="FLOAT")
        for channel, expected in ((0, talk), (2, 0.5 * talk), (None, talk / 6)):
            with open_sound(content, "talk") as sound:
                found = sound.read(len(talk), channel)
            np.testing.assert_allclose(found, expected, atol=1e-7)

    def test_length(self, talk):
        """The length is that of the header; of MP3, and of joined recordings, nobody knows it."""
        for container, expected in (("WAV", RATE), ("OGG", RATE), ("MP3", None)):
            with open_sound(encoded(talk[:RATE], container=container), "talk") as sound:
                assert sound.frames == expected
        with open_sound(2 * encoded(talk[:RATE], container="OGG"), "talk") as sound:
            assert sound.frames is None

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process there")
    def test_interrupted(self, talk):
        """Ctrl-C while libsndfile reads ends the reading, and does not cut the recording off."""

        class Interrupting(io.BytesIO):
            is_awaited = False

            def read(self, n_bytes=-1):
                if self.is_awaited:
                    self.is_awaited = False
                    os.kill(os.getpid(), signal.SIGINT)
                return super().read(n_bytes)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            file = Interrupting(encoded(talk))
            sound = Sound(file, layout_of(file))
            file.is_awaited = True
            with pytest.raises(KeyboardInterrupt):
                sound.read(len(talk))
            sound.close()
        finally:
            signal.signal(signal.SIGINT, before)
        assert sound.broken == ""


class TestErrors:
    """What cannot be read is named."""

    @pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that fails")
    def test_unreadable_file(self):
        """A bad sector, or a disk of the network that is gone, is an error that names the file."""
        for read in (load_audio, n_channels, lambda path: list(read_blocks(path))):
            with pytest.raises(AudioError, match=r"^/proc/self/mem: cannot be read: Input/output"):
                read("/proc/self/mem")

    @pytest.mark.skipif(os.name == "nt", reason="needs a file that grows shorter")
    def test_disk_that_goes_away(self, talk, tmp_path):
        """What fails in the middle is told, and what came before is heard."""
        path = tmp_path / "talk.wav"
        path.write_bytes(encoded(talk))
        blocks = read_blocks(path)
        heard = [next(blocks)]
        os.truncate(path, 40_000)
        heard += blocks
        assert heard[-1].broken.startswith("the file is cut off or damaged")
        assert sum(len(block.samples) for block in heard) >= RATE

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.m4a", b"\0\0\0\x1cftypM4A " + bytes(99)),
            ("b.wav", b"\x1a\x45\xdf\xa3" + bytes(99)),
            ("c.aac", b"\xff\xf1\x50\x80" + bytes(99)),
        ],
    )
    def test_to_be_converted(self, tmp_path, name, content):
        """A format that has to be converted is named, and how, whatever the file is called."""
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AudioError, match=r"cannot be read; convert it first.*ffmpeg -i voice"):
            load_audio(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="measured with Linux's means")
class TestKinds:
    """Programs tell errors apart by data, whatever their words."""

    @pytest.fixture
    def spoilt(self, talk, tmp_path) -> dict[str, Path]:
        """Give a recording of each kind of failure."""
        whole = encoded(talk)
        contents = {
            "empty": b"",
            "not audio": b"no recording",
            "cut off": whole[: len(whole) // 2],
            "too long": whole,
            "other": encoded(np.full(RATE, np.nan, np.float32), subtype="FLOAT"),
        }
        for kind, content in contents.items():
            (tmp_path / f"{kind}.wav").write_bytes(content)
        (tmp_path / "not a file.wav").mkdir()
        kinds = [*contents, "missing", "not a file"]
        return {kind: tmp_path / f"{kind}.wav" for kind in kinds}

    @pytest.mark.parametrize(
        "kind", ["empty", "not audio", "cut off", "too long", "other", "missing", "not a file"]
    )
    def test_kind_and_file(self, spoilt, kind):
        """An error knows its kind, its recording, and its reason; so it does in another process."""
        with pytest.raises(AudioError) as caught:
            load_audio(spoilt[kind], max_seconds=0.5 if kind == "too long" else 60)
        for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
            assert (error.kind, error.file) == (kind, str(spoilt[kind]))
            assert str(error) == f"{error.file}: {error.reason}"
        assert kind in AUDIO_KINDS

    def test_nobody_speaks(self, recognizer, tmp_path):
        """A readable recording without speech is named as well; an array has no name."""
        path = tmp_path / "silence.wav"
        path.write_bytes(encoded(np.zeros(RATE, np.float32)))
        with pytest.raises(AudioError) as caught:
            recognizer.predict(path)
        assert (caught.value.kind, caught.value.file) == ("no speech", str(path))
        with pytest.raises(AudioError) as caught:
            recognizer.predict(np.zeros(RATE, np.float32), RATE)
        assert (caught.value.kind, caught.value.file) == ("no speech", "")


class TestMemory:
    """Little more memory is needed than what comes out."""

    def test_many_channels_at_a_high_rate(self, tmp_path):
        """A small file of 8 channels at 192 kHz does not become large on its way."""
        seconds, rate = 20, 192_000
        path = tmp_path / "bomb.flac"
        with soundfile.SoundFile(path, "w", rate, 8, "PCM_16") as file:
            for _ in range(seconds):
                file.write(np.zeros((rate, 8), np.int16))
        done = run(
            "import resource; from emovox.audio import load_audio\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "audio = load_audio('bomb.flac')\n"
            "print(len(audio), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)",
            tmp_path,
        )
        n_samples, grown_kb = map(int, done.stdout.split())
        assert n_samples == seconds * RATE
        assert grown_kb < 40_000  # the result is 1,250 kB; all channels would be 120,000

    def test_not_enough(self, tmp_path):
        """Where memory ends, one line says so."""
        soundfile.write(tmp_path / "a.flac", np.zeros(3_000 * RATE, np.int16), RATE)
        done = run(
            "import resource; from emovox.audio import load_audio\n"
            "from emovox.errors import AudioError\n"
            "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, -1))\n"
            "try:\n    load_audio('a.flac')\n"
            "except AudioError as error:\n    print(error)",
            tmp_path,
        )
        assert done.stdout == (
            "a.flac: does not fit into memory; cut the recording into shorter ones\n"
        )


class TestQuiet:
    """libsndfile meets nothing that makes it look elsewhere, or print."""

    def test_resource_fork(self, talk, tmp_path):
        """A file `._` in the current folder does not stand in the way of an MP3."""
        (tmp_path / "._").touch()
        (tmp_path / "talk.mp3").write_bytes(encoded(talk, container="MP3"))
        done = run("from emovox import load_audio; print(len(load_audio('talk.mp3')))", tmp_path)
        assert done.stdout == f"{len(talk)}\n"

    def test_notes(self, talk, tmp_path):
        """An MP3 with little room in its frames, read in pieces, has nothing printed."""
        content = encoded(talk, container="MP3", bitrate_mode="CONSTANT", compression_level=0.999)
        (tmp_path / "talk.mp3").write_bytes(content)
        (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
        done = run(
            "from emovox.decoding import read_blocks\n"
            "for name in ('talk.mp3', 'cut.mp3'):\n    print(len(list(read_blocks(name))))",
            tmp_path,
        )
        assert (done.stdout != "", done.stderr) == (True, "")
