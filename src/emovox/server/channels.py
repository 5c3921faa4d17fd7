"""The channels of a live session: encoded audio in, a stream for each channel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..baseline import Baseline
from ..errors import ConfigError
from .encodings import decoder
from .live import Block, LiveStream, Result, SpeakerStream, Update
from .practice import PracticeOptions, PracticeStream
from .protocol import MessageError, SessionOptions
from .service import Service

if TYPE_CHECKING:
    from ..recognizer import Recognizer

MakeStream = Callable[[Service, SessionOptions, int, Baseline | None], SpeakerStream]
"""Makes the stream of a channel, of its samples' rate in Hz and its speaker's baseline."""
MakePractice = Callable[[PracticeOptions, int, "Recognizer | None"], PracticeStream]
"""Makes the stream of a session of practice, of its samples' rate in Hz."""


@dataclass(frozen=True)
class Makers:
    """What makes the streams of a session: of its channels, or of practice."""

    stream: MakeStream = LiveStream
    practice: MakePractice = PracticeStream


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
        self, service: Service, options: SessionOptions, makers: Makers | None = None
    ) -> None:
        makers = makers or Makers()
        self._decode, rate = decoder(options)
        self._practice: PracticeStream | None = None
        if options.practice:
            recognizer = service.recognizer if options.emotion else None
            self._practice = makers.practice(options.practice, rate, recognizer)
        self._live = [
            makers.stream(service, options, rate, baseline)
            for baseline in (() if options.practice else options.baselines)
        ]

    @property
    def _streams(self) -> "Sequence[SpeakerStream | PracticeStream]":
        return [self._practice] if self._practice else self._live

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
        for index, stream in enumerate(self._streams if decoded else ()):
            blocks = [Block(samples[:, index], arrived) for samples, arrived in decoded]
            updates += self._named(index, stream.feed(blocks))
        return updates, errors

    def close(self) -> None:
        """End the session: what is fed then is not heard."""
        for stream in self._live:
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
            self._live[index].turn() | ({"channel": index} if self.n_channels > 1 else {})
            for index in self._chosen_live(channel)
        ]

    def practise(self, options: PracticeOptions) -> list[Update]:
        """Begin another sentence of practice; return the message about it.

        Raises
        ------
        MessageError
            If the session was not begun with practice, or cannot judge the aim.
        """
        if self._practice is None:
            raise MessageError("parameter", "practice: expected it in session.update first")
        try:
            return [self._practice.practise(options)]
        except ConfigError as error:
            raise MessageError("parameter", f"practice: {error}") from None

    def baselines(self, channel: int | None = None, *, reset: bool = False) -> list[Update]:
        """Return a message with the baseline of a channel, or one for each; `reset` them first."""
        updates: list[Update] = []
        for index in self._chosen_live(channel):
            if reset:
                self._live[index].reset_baseline()
            message = {"type": "baseline", "baseline": self._live[index].baseline()}
            updates += self._named(index, [message])
        return updates

    def _chosen_live(self, channel: int | None) -> Sequence[int]:
        if self._practice:
            raise MessageError("parameter", "a session of practice has no turns and no baseline")
        return self._chosen(channel)

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
