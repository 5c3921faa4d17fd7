"""Pipecat: a processor that puts how the caller sounded before what they said."""

from dataclasses import dataclass
from typing import Any

from ..errors import optional
from .caller import Caller, Reading

with optional("pipecat"):
    from pipecat.frames.frames import (
        CancelFrame,
        DataFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        TranscriptionFrame,
        VADUserStartedSpeakingFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

__all__ = ["EmotionProcessor", "ReadingFrame"]


@dataclass
class ReadingFrame(DataFrame):
    """How the caller sounded; it comes just before the transcript of the same words."""

    reading: Reading


class EmotionProcessor(FrameProcessor):
    """Reads how the caller sounds; it belongs between speech recognition and the user's aggregator.

    Each final transcript gets the reading's text in front, after at most the caller's `wait_s`, and
    follows a `ReadingFrame`. All other frames pass at once. When the pipeline ends, the caller's
    baseline is written to its file, if there is one.

    Parameters
    ----------
    caller : Caller
        For this call alone.
    """

    def __init__(self, caller: Caller, **options: Any) -> None:
        super().__init__(**options)
        self.caller = caller

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take in a frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self.caller.began(frame.start_secs)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.caller.stopped()
        elif isinstance(frame, TranscriptionFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._add_reading(frame)
        elif isinstance(frame, EndFrame | CancelFrame):
            await self.caller.close()  # once the frame has passed, the pipeline may end all tasks
        await self.push_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.caller.hear(frame.audio, frame.sample_rate, frame.num_channels)

    async def _add_reading(self, frame: TranscriptionFrame) -> None:
        """Put the reading before a transcript, which an interruption must not lose meanwhile."""
        was_interruptible, frame.interruptible = frame.interruptible, False
        reading = await self.caller.reading()
        frame.interruptible = was_interruptible
        if reading is None:
            return
        if reading.text:
            frame.text = f"{reading.text} {frame.text}"
        await self.push_frame(ReadingFrame(reading))
