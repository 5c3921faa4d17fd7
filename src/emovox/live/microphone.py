"""Live sound: the sound card, or a recording played as if it came from there.

Both hand over chunks through a bounded queue, so that whoever recognises may be late for a while.
What does not fit into the queue is dropped and counted, never silently lost.
"""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ..audio import Samples
from ..decoding import read_blocks
from ..errors import AudioError, MicrophoneError, MissingExtraError

CHUNK_S = 0.05  # seconds handed over at once
QUEUE_S = 30.0  # seconds the recogniser may be late before sound is dropped
LATENCY_S = 0.2  # seconds the sound card's own buffer holds: a busy computer then loses nothing
LOST_S = 2.0  # seconds without a sample after which a device counts as gone
RETRY_S = 1.0  # seconds between two tries to have it back
_POLL_S = 0.1  # seconds after which a waiting reader looks whether it should stop

_PERMISSION = "that this program may use it (privacy settings; on Linux the group 'audio')"


@dataclass(frozen=True)
class Device:
    """A sound card's input, as PortAudio lists it."""

    index: int
    name: str
    host: str  # the sound system that offers it: ALSA, Core Audio, WASAPI
    n_channels: int
    rate: int  # Hz, the one it prefers
    is_default: bool

    def __str__(self) -> str:
        return f"{self.name}, {self.host}"

    def to_dict(self) -> dict[str, Any]:
        """Return the device as JSON carries it."""
        return {
            "index": self.index,
            "name": self.name,
            "host": self.host,
            "channels": self.n_channels,
            "rate": self.rate,
            "default": self.is_default,
        }


@dataclass(frozen=True)
class Chunk:
    """A stretch of mono sound, and where it starts: seconds from the first chunk on."""

    samples: Samples
    rate: int  # Hz
    start: float

    @property
    def end(self) -> float:
        """Where it ends, in the same seconds."""
        return self.start + len(self.samples) / self.rate


class Inbox:
    """The bounded queue between what brings sound and what recognises; `rate` is in Hz."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.n_dropped = 0  # samples that found the queue full
        self._n_seen = 0
        self._chunks: queue.Queue[Chunk] = queue.Queue(round(QUEUE_S / CHUNK_S))

    def put(self, samples: Samples) -> bool:
        """Put a copy into the queue, without ever waiting; tell whether there was room."""
        chunk = Chunk(samples.copy(), self.rate, self._n_seen / self.rate)
        self._n_seen += len(samples)
        try:
            self._chunks.put_nowait(chunk)
        except queue.Full:
            self.n_dropped += len(samples)
            return False
        return True

    def get(self, *, wait: bool = True) -> Chunk | None:
        """Return the next chunk, or None if none is there, after a tenth of a second's wait."""
        try:
            return self._chunks.get(block=wait, timeout=_POLL_S)
        except queue.Empty:
            return None

    @property
    def full(self) -> bool:
        """Whether the next chunk would be dropped."""
        return self._chunks.full()

    @property
    def dropped_s(self) -> float:
        """Seconds dropped."""
        return self.n_dropped / self.rate


def devices() -> list[Device]:
    """List the inputs of all sound cards; none is an empty list.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    MicrophoneError
        If the PortAudio library is missing.
    """
    sd = _sounddevice()
    default = sd.default.device[0]
    hosts = sd.query_hostapis()
    return [
        Device(
            index,
            str(one["name"]),
            str(hosts[one["hostapi"]]["name"]),
            int(one["max_input_channels"]),
            round(one["default_samplerate"]),
            index == default,
        )
        for index, one in enumerate(sd.query_devices())
        if one["max_input_channels"] > 0
    ]


def find_device(wanted: str | None = None) -> Device:
    """Choose an input: by its number, by its name, or by a part of it that no other has.

    Parameters
    ----------
    wanted : str or None
        None takes the system's default, or the first where there is no default. Case is ignored.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    MicrophoneError
        If there is no such device, or more than one.
    """
    found = devices()
    if not found:
        raise MicrophoneError(f"no microphone found; is one connected? Check also {_PERMISSION}")
    if wanted is None:
        return next((device for device in found if device.is_default), found[0])
    by_number = [one for one in found if str(one.index) == wanted]
    word = wanted.lower()
    by_name = [one for one in found if word in (one.name.lower(), str(one).lower())]
    fitting = by_number or by_name or [one for one in found if word in str(one).lower()]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(f"{device.index} {device}" for device in fitting or found)
    if fitting:
        raise MicrophoneError(f"{wanted!r} fits several microphones, give a number: {listed}")
    raise MicrophoneError(f"expected one of these microphones, got {wanted!r}: {listed}")


class Microphone:
    """A sound card's input; when it is pulled out, it is waited for.

    Parameters
    ----------
    device : str or None
        As for `find_device`.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    MicrophoneError
        If there is no such device, or it cannot be used.
    """

    def __init__(self, device: str | None = None) -> None:
        found = find_device(device)
        self._wanted = device and str(found)  # numbers change when a device comes or goes
        self._earlier_dropped_s = 0.0
        self._earlier_overflows = 0
        self._capture = _Capture(found)
        self._began: float | None = None  # when the first sample came, on the monotonic clock
        self._offset_s = 0.0  # from there to this opening
        self._end = 0.0  # of the latest chunk
        self.gone_s = 0.0  # seconds in which the device was gone
        self.waiting = ""  # why no sound comes just now; "" while it comes

    @property
    def name(self) -> str:
        """The name of the device."""
        return str(self._capture.device)

    @property
    def dropped_s(self) -> float:
        """Seconds of sound dropped because the recogniser was too late."""
        return self._earlier_dropped_s + self._capture.inbox.dropped_s

    @property
    def n_overflows(self) -> int:
        """How often the sound card said that it lost sound before handing it over."""
        return self._earlier_overflows + self._capture.n_overflows

    def chunks(self, stopped: threading.Event) -> Iterator[Chunk]:
        """Yield sound until `stopped` is set, then what had come by then.

        A chunk whose start is not the end of the one before follows a gap: dropped sound, or a
        device that was gone.
        """
        while not stopped.is_set():
            chunk = self._capture.inbox.get()
            if chunk:
                yield self._placed(chunk)
            elif self._capture.is_lost:
                self._reopen(stopped)
        self._capture.close()
        while chunk := self._capture.inbox.get(wait=False):
            yield self._placed(chunk)

    def close(self) -> None:
        """Let the sound card go."""
        self._capture.close()

    def _placed(self, chunk: Chunk) -> Chunk:
        """Put a chunk on the clock of all openings; after a wait it tells how long that was."""
        now = time.monotonic() - len(chunk.samples) / chunk.rate
        if self._began is None:
            self._began = now
        if self.waiting:
            self.waiting = ""
            self._offset_s = max(now - self._began, self._end)
            self.gone_s += self._offset_s - self._end
        placed = replace(chunk, start=chunk.start + self._offset_s)
        self._end = placed.end
        return placed

    def _reopen(self, stopped: threading.Event) -> None:
        """Try to have the device back until it is there again."""
        self.waiting = f"{self.name} is gone; waiting for it"
        self._capture.close()
        while not stopped.is_set():  # at once, first: a driver may have stumbled only
            _list_anew()
            with suppress(MicrophoneError):
                capture = _Capture(find_device(self._wanted))
                self._earlier_dropped_s += self._capture.inbox.dropped_s
                self._earlier_overflows += self._capture.n_overflows
                self._capture = capture
                return
            stopped.wait(RETRY_S)


class _Capture:
    """One opening of a sound card, until it is closed or gone."""

    def __init__(self, device: Device) -> None:
        sd = _sounddevice()
        self.device = device
        self.inbox = Inbox(device.rate)
        self.n_overflows = 0
        self._heard_at = time.monotonic()
        try:
            self._stream = sd.InputStream(
                device=device.index,
                channels=1,
                samplerate=device.rate,
                blocksize=round(CHUNK_S * device.rate),
                latency=LATENCY_S,
                dtype="float32",
                callback=self._hear,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            raise MicrophoneError(
                f"{device}: cannot be opened: {_reason(error)}; check that no other program "
                f"holds it, and {_PERMISSION}"
            ) from None

    def _hear(self, samples: Samples, n_samples: int, when: Any, status: Any) -> None:
        """Take what the sound card brings; this must never wait."""
        self._heard_at = time.monotonic()
        if status.input_overflow:
            self.n_overflows += 1
        self.inbox.put(samples[:, 0])

    @property
    def is_lost(self) -> bool:
        """Whether the device says that it is gone, or has long been silent as if it were."""
        is_active = self._stream is not None and self._stream.active
        return not is_active or time.monotonic() - self._heard_at > LOST_S

    def close(self) -> None:
        if self._stream is None:  # PortAudio must not be shown a stream twice
            return
        stream, self._stream = self._stream, None
        with suppress(_sounddevice().PortAudioError):
            stream.abort()
        with suppress(_sounddevice().PortAudioError):
            stream.close()


class Playback:
    """A recording, handed over as a microphone would: in chunks, at its own speed.

    Parameters
    ----------
    path : Path
        Of any length; several channels are averaged.
    speed : float >= 0
        How many times faster than it was spoken. Sound that comes too fast is dropped, as from a
        sound card; 0 is as fast as it can be taken, and drops nothing.

    Raises
    ------
    AudioError
        If it is no readable recording.
    """

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self.name = str(path)
        self.waiting = ""
        self.gone_s = 0.0
        self.n_overflows = 0
        self._speed = speed
        self._error: AudioError | None = None
        self._seconds = read_blocks(path)
        self._first = next(self._seconds)  # what is no recording is told at once
        self._inbox = Inbox(round(self._first.rate))

    @property
    def dropped_s(self) -> float:
        """Seconds of sound dropped because the recogniser was too late."""
        return self._inbox.dropped_s

    def chunks(self, stopped: threading.Event) -> Iterator[Chunk]:
        """Yield the recording until its end, or until `stopped` is set.

        Raises
        ------
        AudioError
            If the recording turns out to be cut off or damaged, after what could be read.
        """
        player = threading.Thread(target=self._play, args=(stopped,), name="player", daemon=True)
        player.start()
        is_playing = True
        while is_playing:
            is_playing = player.is_alive()  # asked first: what it put last is then found below
            while chunk := self._inbox.get():
                yield chunk
        if self._error:
            raise self._error

    def close(self) -> None:
        """Let the file go."""
        self._seconds = iter(())  # the player, if it still reads, holds its own

    def _play(self, stopped: threading.Event) -> None:
        began = time.monotonic()
        n_played = 0
        try:
            for samples in self._pieces():
                n_played += len(samples)
                if self._speed:
                    due = began + n_played / self._inbox.rate / self._speed
                    stopped.wait(max(0.0, due - time.monotonic()))
                while not self._speed and self._inbox.full and not stopped.wait(0.01):
                    pass
                if stopped.is_set():
                    break
                self._inbox.put(samples)
        except AudioError as error:
            self._error = error
        self.close()

    def _pieces(self) -> Iterator[Samples]:
        n_piece = max(1, round(CHUNK_S * self._first.rate))
        for second in chain([self._first], self._seconds):
            for start in range(0, len(second.samples), n_piece):
                yield second.samples[start : start + n_piece]
            if second.broken:
                raise AudioError(second.broken)


def _sounddevice() -> Any:
    """Import sounddevice, which looks for the PortAudio library when it is imported."""
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MissingExtraError(
            "a microphone needs sounddevice; install it with: pip install 'emovox[live]'"
        ) from None
    except OSError as error:
        raise MicrophoneError(
            f"a microphone needs the PortAudio library ({error}); install it, e.g. with: "
            "apt install libportaudio2"
        ) from None
    return sounddevice


def _list_anew() -> None:
    """Make PortAudio look for devices again: it only does so when it starts."""
    sd = _sounddevice()
    with suppress(sd.PortAudioError):
        sd._terminate()
    with suppress(sd.PortAudioError):
        sd._initialize()


def _reason(error: Exception) -> str:
    """Return the reason alone, as of "Error opening InputStream: Device unavailable [-9985]"."""
    return str(error.args[0]).rpartition(": ")[2]
