"""The sound cards of this machine, and live sound from one of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..audio import Samples
from ..errors import MicrophoneError, optional
from .source import BLOCK_S, LiveBlock, LiveSource

LATENCY_S = 0.2  # seconds the sound card's own buffer holds, so that a busy computer loses nothing
LOST_S = 2.0  # seconds without a sample after which a device counts as gone
RETRY_S = 1.0  # seconds between two attempts to reopen it

_PERMISSION = "that this program may use it (privacy settings; on Linux the group 'audio')"


@dataclass(frozen=True)
class Device:
    """A sound card's input, as PortAudio lists it."""

    index: int
    name: str
    host: str  # the sound system that offers it: ALSA, Core Audio, WASAPI
    channels: int
    rate: int  # Hz, the device's preferred one
    default: bool

    def __str__(self) -> str:
        return f"{self.name}, {self.host}"


def devices() -> list[Device]:
    """List the inputs of all sound cards; the list is empty if there are none.

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
            str(entry["name"]),
            str(hosts[entry["hostapi"]]["name"]),
            int(entry["max_input_channels"]),
            round(entry["default_samplerate"]),
            index == default,
        )
        for index, entry in enumerate(sd.query_devices())
        if entry["max_input_channels"] > 0
    ]


def find_device(name: str | None = None) -> Device:
    """Choose an input by its number, its name, or a part of its name that no other input has.

    Parameters
    ----------
    name : str or None
        None takes the system's default, or the first input if there is no default. Case is ignored.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    MicrophoneError
        If no input fits, or more than one.
    """
    inputs = devices()
    if not inputs:
        raise MicrophoneError(f"no microphone found; is one connected? Check also {_PERMISSION}")
    if name is None:
        return next((device for device in inputs if device.default), inputs[0])
    word = name.lower()
    by_number = [device for device in inputs if str(device.index) == name]
    by_name = [device for device in inputs if word in (device.name.lower(), str(device).lower())]
    by_part = [device for device in inputs if word in str(device).lower()]
    fitting = by_number or by_name or by_part
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(f"{device.index} {device}" for device in fitting or inputs)
    if fitting:
        raise MicrophoneError(f"{name!r} fits several microphones, give a number: {listed}")
    raise MicrophoneError(f"expected one of these microphones, got {name!r}: {listed}")


class Microphone(LiveSource):
    """A sound card's input. A device that is pulled out is waited for.

    Parameters
    ----------
    device : str or None
        As for `find_device`.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    MicrophoneError
        If there is no such device, or it cannot be opened.
    """

    def __init__(self, device: str | None = None) -> None:
        super().__init__()
        chosen = find_device(device)
        self._wanted = device and str(chosen)  # numbers change when a device comes or goes
        self._stream: Any = None
        self._last_sample_at = 0.0  # on the monotonic clock, as is the next
        self._opened_at = 0.0
        self._is_back = False  # after the device was gone, until its next sample
        self._open(chosen)

    def blocks(self, stopped: threading.Event) -> Iterator[LiveBlock]:
        """Yield sound until `stopped` is set, then everything that had come by then."""
        while not stopped.is_set():
            if block := self.get():
                self.waiting = ""
                yield block
            elif self._is_lost:
                self._reopen(stopped)
        self.close()
        while block := self.get(wait=False):
            yield block

    def close(self) -> None:
        """Release the sound card."""
        if self._stream is None:  # PortAudio must not be given a closed stream
            return
        stream, self._stream = self._stream, None
        with suppress(_sounddevice().PortAudioError):
            stream.abort()
        with suppress(_sounddevice().PortAudioError):
            stream.close()

    def _open(self, device: Device) -> None:
        sd = _sounddevice()
        self.name = str(device)
        self._rate = device.rate
        self._opened_at = time.monotonic()
        try:
            self._stream = sd.InputStream(
                device=device.index,
                channels=1,
                samplerate=device.rate,
                blocksize=round(BLOCK_S * device.rate),
                latency=LATENCY_S,
                dtype="float32",
                callback=self._take,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            self.close()
            raise MicrophoneError(
                f"{device}: cannot be opened: {_reason(error)}; check that no other program "
                f"holds it, and {_PERMISSION}"
            ) from None

    def _take(self, samples: Samples, n_samples: int, when: Any, status: Any) -> None:
        """Queue samples; PortAudio calls this from a thread of its own, and it must never wait."""
        now = time.monotonic()
        gone_s = 0.0
        if self._is_back:
            gone_s = max(0.0, now - n_samples / self._rate - self._last_sample_at)
            self._is_back = False
        self._last_sample_at = now
        self.n_overflows += bool(status.input_overflow)
        self.put(samples[:, 0], self._rate, gone_s)

    @property
    def _is_lost(self) -> bool:
        """Whether the device reports that it is gone, or has brought nothing for too long."""
        is_active = self._stream is not None and self._stream.active
        latest = max(self._opened_at, self._last_sample_at)
        return not is_active or time.monotonic() - latest > LOST_S

    def _reopen(self, stopped: threading.Event) -> None:
        """Try to open the device until it is there again."""
        self.waiting = f"{self.name} is gone; waiting for it"
        self._is_back = self._last_sample_at > 0
        self.close()
        while not stopped.wait(RETRY_S):
            _list_anew()
            with suppress(MicrophoneError):
                self._open(find_device(self._wanted))
                return


def _sounddevice() -> Any:
    """Import sounddevice, which looks for the PortAudio library when it is imported."""
    try:
        with optional():
            import sounddevice
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
