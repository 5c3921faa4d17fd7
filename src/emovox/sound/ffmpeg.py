"""A recording that libsndfile cannot read, decoded by ffmpeg where it is installed.

ffmpeg is a program of its own, which runs without a shell and is told what the file is, so that no
playlist or script in it is followed; it may open nothing but the file, takes a bounded part of
memory and time, and is read as it decodes.
"""

import io
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, BinaryIO

import numpy as np

from ..errors import AudioError, one_line
from .channels import MAX_VALUES, Decoder, Samples, check_channels

CONVERT = "convert it first, e.g. with: ffmpeg -i voice.m4a voice.wav"
DEMUXERS = MappingProxyType(  # ffmpeg's name for each of the formats of `containers.other_format`
    {
        "MPEG-4 (M4A, MP4)": "mov",
        "WebM or Matroska": "matroska",
        "Windows Media (WMA)": "asf",
        "AMR": "amr",
        "AAC": "aac",
    }
)
_CPU_S = 600  # seconds of work for one recording: that of some days of audio
_SILENT_S = 60.0  # after which a program that gives nothing is ended
_MAX_BLOCK = 256_000_000  # bytes that it may take at once
_HEADER = struct.Struct(">4s5I")  # of an AU file: mark, offset, bytes, encoding, rate, channels
_FLOAT = 6  # the encoding of 32-bit floats
_KEPT = 2_000  # bytes of its messages
_DAMAGED = re.compile(r"premature|truncat|corrupt|invalid|partial|error", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:\[[^]]*\] *|\S*/fd/\d+: *|file:\S+: *)+")


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg, None where it is not installed."""
    return shutil.which("ffmpeg")


class Converted(Decoder):
    """A recording that ffmpeg decodes, with what `Sound` has; close it.

    Attributes
    ----------
    samplerate, channels : int
    frames : None
        Nobody knows how many samples will come.
    broken : str
        Why fewer came than there should be, once they are all read; "" until then.

    Raises
    ------
    AudioError
        If ffmpeg is not installed, or finds no sound in the file.
    """

    frames = None

    def __init__(self, file: BinaryIO, kind: str) -> None:
        program = find_ffmpeg()
        if program is None:
            raise AudioError(
                f"{kind} is read with ffmpeg, which is not installed; {CONVERT}", "not audio"
            )
        self._messages = bytearray()
        with ExitStack() as ends:
            path, descriptors = ends.enter_context(_readable(file))
            self._process = _started([program, *_arguments(path, DEMUXERS[kind])], descriptors)
            ends.callback(self._stop)
            self._output: IO[bytes] = self._process.stdout  # type: ignore[assignment] # a pipe
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
            self.samplerate, self.channels = self._header(kind)
            check_channels(self.channels)
            self._ends = ends.pop_all()

    def close(self) -> None:
        """End the program, and close what it read."""
        self._ends.close()

    def _header(self, kind: str) -> tuple[int, int]:
        header = self._bytes(_HEADER.size)
        if len(header) < _HEADER.size:
            reason = self._reason(ended=True) or "it holds no sound"
            raise AudioError(f"{kind} that ffmpeg cannot read: {reason}", "not audio")
        _, offset, _, encoding, rate, n_channels = _HEADER.unpack(header)
        if encoding != _FLOAT or not n_channels or not _HEADER.size <= offset <= MAX_VALUES:
            raise AudioError(f"{kind} that ffmpeg cannot read: it gives no samples", "not audio")
        self._bytes(offset - _HEADER.size)
        return int(rate), int(n_channels)

    def _decode(self, n_samples: int) -> Samples:
        """Return samples of all channels; at the end say what is missing."""
        width = 4 * self.channels
        content = self._bytes(n_samples * width)
        whole = content[: len(content) // width * width]
        if len(whole) < n_samples * width:
            self._is_over = True
            self.broken = self._reason(ended=False)
        return np.frombuffer(whole, ">f4").astype(np.float32).reshape(-1, self.channels)

    def _bytes(self, n_bytes: int) -> bytes:
        """Read what ffmpeg gives; one that gives nothing for a minute is ended."""
        watch = threading.Timer(_SILENT_S, self._process.kill)
        watch.start()
        try:
            return self._output.read(n_bytes)
        finally:
            watch.cancel()

    def _reason(self, *, ended: bool) -> str:
        """Say why there is no more; "" where it is the end. `ended`: any message is a reason."""
        code = self._process.wait()
        self._listener.join()
        lines = self._messages.decode("utf-8", "replace").split("\n")
        words = [_PREFIX.sub("", one_line(line.strip())) for line in lines if line.strip()]
        told = next((line for line in words if ended or _DAMAGED.search(line)), "")[:200]
        if ended:
            return told
        if code or told:
            return f"the file is cut off or damaged: {told or 'ffmpeg gave up on it'}"
        return ""

    def _listen(self) -> None:
        """Keep the last of ffmpeg's messages; what nobody read would stop it."""
        pipe: IO[bytes] = self._process.stderr  # type: ignore[assignment] # a pipe
        while piece := os.read(pipe.fileno(), _KEPT):
            self._messages += piece
            del self._messages[:-_KEPT]

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()


def _arguments(path: str, demuxer: str) -> list[str]:
    """Return ffmpeg's arguments: the first sound of the file, as an AU file of floats."""
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-threads", "1"),
        *("-timelimit", str(_CPU_S), "-max_alloc", str(_MAX_BLOCK)),
        *("-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", path),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-threads", "1"),
        *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
    ]


def _started(command: list[str], descriptors: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 (its arguments are ours, the file's name is none)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,  # or Ctrl-C would end it, and the recording seem cut off
        )
    except OSError as error:
        raise AudioError(f"cannot run ffmpeg: {error.strerror}; {CONVERT}") from None


@contextmanager
def _readable(file: BinaryIO) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give ffmpeg's address of a file, and the descriptors to pass on.

    It has to seek in the file, since the index of an MPEG-4 file may stand at its end; what is in
    memory alone goes into a file without a name, on Linux in memory as well.
    """
    if isinstance(file, io.BytesIO):
        with _unnamed() as kept:
            kept.write(file.getbuffer())
            kept.flush()
            yield _address(kept)
    else:
        yield _address(file)


def _address(file: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    if Path("/proc/self/fd").exists():
        return f"file:/proc/self/fd/{file.fileno()}", (file.fileno(),)
    return f"file:{Path(file.name).resolve()}", ()


def _unnamed() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("recording"), "w+b")
    return tempfile.NamedTemporaryFile()
