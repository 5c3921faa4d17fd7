"""Recordings that only ffmpeg can read: decoded by it, or refused in one line."""

import io
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from emovox.audio import RATE, load_audio, readable_files
from emovox.cli import run
from emovox.decoding import n_channels, read_blocks
from emovox.errors import AudioError
from emovox.sound import ffmpeg

EVEN = REPOSITORY / "examples" / "even.flac"
KINDS = ("m4a", "mp4", "webm", "aac", "wma")
pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def convert(source: Path, target: Path, *options: str) -> Path:
    """Encode a recording with ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Give a recording in each of the formats."""
    root = tmp_path_factory.mktemp("formats")
    for kind in KINDS:
        convert(EVEN, root / f"even.{kind}")
    return root


def n_descriptors() -> int:
    """Count the open files of this process, where Linux tells; 0 elsewhere."""
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


class TestRead:
    """What ffmpeg decodes is what other decoders would give."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_same_sound(self, folder, kind, shipped):
        """The recording has its length and sound, from a path, bytes, or block by block."""
        path, expected = folder / f"even.{kind}", load_audio(EVEN)
        audio = load_audio(path)
        assert len(audio) == pytest.approx(len(expected), abs=0.15 * RATE)
        level = np.sqrt(np.mean(expected**2))
        assert np.sqrt(np.mean(audio**2)) == pytest.approx(level, rel=0.1)
        assert np.array_equal(load_audio(path.read_bytes()), audio)
        assert np.array_equal(load_audio(io.BytesIO(path.read_bytes())), audio)
        (segment,) = shipped.segments(path)
        assert segment.end == pytest.approx(shipped.predict(path).end, abs=0.3)

    def test_channels_and_rate(self, tmp_path):
        """Channels and rate are the file's."""
        sound = np.stack([np.zeros(44_100), 0.3 * np.sin(np.arange(44_100) / 20)], axis=1)
        soundfile.write(tmp_path / "two.wav", sound, 44_100)
        path = convert(tmp_path / "two.wav", tmp_path / "two.m4a")
        assert n_channels(path) == 2
        left, right = (
            np.concatenate([block.samples for block in read_blocks(path, channel=channel)])
            for channel in (0, 1)
        )
        assert np.abs(left).max() < 0.01 < 0.25 < np.abs(right).max()

    def test_limit(self, folder):
        """A recording that is too long is refused, however long it would go on."""
        with pytest.raises(AudioError, match=r"at most 0\.5 s") as caught:
            load_audio(folder / "even.m4a", max_seconds=0.5)
        assert caught.value.kind == "too long"

    def test_no_descriptors_or_programs_left(self, folder):
        """Nothing stays open, read to the end or not."""
        before = n_descriptors()
        for _ in range(3):
            load_audio(folder / "even.webm")
            next(read_blocks(folder / "even.webm"))
        assert n_descriptors() == before

    def test_folders(self, folder, tmp_path, monkeypatch):
        """A folder's recordings of these formats are listed where they can be read."""
        assert [path.name for path in readable_files(folder)] == sorted(
            f"even.{kind}" for kind in KINDS
        )
        monkeypatch.setenv("PATH", str(tmp_path))
        assert readable_files(folder) == []

    def test_command(self, folder, capsys):
        """The command line takes them as any recording."""
        assert run(["predict", str(folder / "even.m4a"), "--json"]) == 0
        assert '"label"' in capsys.readouterr().out


class TestRefused:
    """What cannot be decoded is one line, and nothing else in a file is followed."""

    @pytest.mark.parametrize("kind", ["m4a", "webm", "aac"])
    def test_cut_off(self, folder, tmp_path, kind):
        """A file that is cut off is said to be, or to be unreadable."""
        content = (folder / f"even.{kind}").read_bytes()
        (tmp_path / f"cut.{kind}").write_bytes(content[: 2 * len(content) // 3])
        with pytest.raises(AudioError, match=r"cut off or damaged|ffmpeg cannot read") as caught:
            load_audio(tmp_path / f"cut.{kind}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "head", [b"\0\0\0\x1cftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1\x50\x80", b"#!AMR\n"]
    )
    def test_damaged(self, head, rng):
        """Bytes that only begin like a recording are refused."""
        content = head + rng.integers(0, 256, 5_000, np.uint8).tobytes()
        with pytest.raises(AudioError) as caught:
            load_audio(content)
        assert "\n" not in str(caught.value)

    def test_no_sound(self, tmp_path):
        """A film without sound is refused."""
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=size=64x64:duration=0.2"]
        subprocess.run([*command, tmp_path / "film.mp4"], check=True)
        with pytest.raises(AudioError, match="that ffmpeg cannot read"):
            load_audio(tmp_path / "film.mp4")

    def test_names_are_no_options(self, folder, tmp_path, monkeypatch):
        """A file may be called like an option or an address."""
        monkeypatch.chdir(tmp_path)
        for name in ("-i.m4a", "http:a.m4a", "concat:a|b.m4a"):
            shutil.copy(folder / "even.m4a", name)
            assert len(load_audio(name))

    def test_told_what_it_is(self, monkeypatch, folder):
        """The program is told the format, and may open files alone: no playlist is followed."""
        commands = []
        started = ffmpeg._started
        monkeypatch.setattr(
            ffmpeg, "_started", lambda *given: commands.append(given[0]) or started(*given)
        )
        load_audio(folder / "even.m4a")
        (command,) = commands
        pairs = list(pairwise(command))
        assert ("-protocol_whitelist", "file,pipe") in pairs
        assert ("-f", "mov") in pairs
        assert pairs.index(("-f", "mov")) < command.index("-i")

    def test_hangs(self, folder, tmp_path, monkeypatch):
        """A program that gives nothing is ended."""
        slow = tmp_path / "ffmpeg"
        slow.write_text("#!/bin/sh\nexec sleep 60\n")
        slow.chmod(0o755)
        monkeypatch.setattr(ffmpeg, "_SILENT_S", 0.2)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        began = time.monotonic()
        with pytest.raises(AudioError, match="that ffmpeg cannot read"):
            load_audio(folder / "even.m4a")
        assert time.monotonic() - began < 20
