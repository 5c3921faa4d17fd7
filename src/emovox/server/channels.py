"""The channels of a live session: encoded audio in, a stream for each channel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..baseline import Baseline
from .encodings import decoder
from .live import Block, LiveStream, Result, SpeakerStream, Update
from .protocol import MessageError, SessionOptions
from .service import Service

MakeStream = Callable[[Service, SessionOptions, int, Baseline | None], SpeakerStream]
"""Makes the stream of a channel, of its samples' rate in Hz and its speaker's baseline."""


@dataclass(frozen=True)
class Encoded:
    """The bytes of one message of audio, and the time at which it arrived."""

    data: bytes
    arrived: float


class Channels:
    """The streams of a session, one for each channel; used by one thread at a time.

    In a session of several channels, each update names its channel.

    Raises
    ------
    BaselineError
        If a baseline in the options belongs to another model.
    MissingExtraError
        If the encoding needs a library that is not installed.
    """

    def __init__(
        self, service: Service, options: SessionOptions, make_stream: MakeStream = LiveStream
    ) -> None:
        self._decode, rate = decoder(options)
        self._streams = [
            make_stream(service, options, rate, baseline) for baseline in options.baselines
        ]

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._streams[0].seconds

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self._streams)

    def feed(self, messages: Sequence[Encoded]) -> tuple[list[Update], list[MessageError]]:
        """Recognise audio; return the updates to send, and what was wrong with some messages.

        Raises
        ------
        MessageError
            If the very first audio cannot be decoded.
        """
        decoded, errors = [], []
        for message in messages:
            try:
                decoded.append((self._decode(message.data), message.arrived))
            except MessageError as error:
                if not self.seconds and not decoded:
                    raise
                errors.append(error)
        updates: list[Update] = []
        for index, stream in enumerate(self._streams if decoded else []):
            blocks = [Block(samples[:, index], arrived) for samples, arrived in decoded]
            updates += self._named(index, stream.feed(blocks))
        return updates, errors

    def close(self) -> None:
        """End the session: what is fed then is not heard."""
        for stream in self._streams:
            stream.close()

    def flush(self, channel: int | None = None) -> list[Update]:
        """End the current segment of a channel, or of all; return the updates to send."""
        return [
            update
            for index in self._chosen(channel)
            for update in self._named(index, self._streams[index].flush())
        ]

    def turns(self, channel: int | None = None) -> list[dict[str, Any]]:
        """Return what was said in a channel, or in each, since its last turn."""
        return [
            self._streams[index].turn() | ({"channel": index} if self.n_channels > 1 else {})
            for index in self._chosen(channel)
        ]

    def baselines(self, channel: int | None = None, *, reset: bool = False) -> list[Update]:
        """Return a message with the baseline of a channel, or one for each; `reset` them first."""
        updates: list[Update] = []
        for index in self._chosen(channel):
            if reset:
                self._streams[index].reset_baseline()
            message = {"type": "baseline", "baseline": self._streams[index].baseline()}
            updates += self._named(index, [message])
        return updates

    def _chosen(self, channel: int | None) -> Sequence[int]:
        if channel is None:
            return range(self.n_channels)
        if channel >= self.n_channels:
            raise MessageError(
                "parameter", f"channel: expected less than {self.n_channels}, got {channel}"
            )
        return (channel,)

    def _named(self, index: int, updates: list[Update]) -> list[Update]:
        """Name the channel of updates, if there are several."""
        if self.n_channels == 1:
            return updates
        name: dict[str, Any] = {"channel": index}
        return [
            replace(update, **name) if isinstance(update, Result) else {**update, **name}
            for update in updates
        ]
