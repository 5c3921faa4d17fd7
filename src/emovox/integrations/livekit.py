"""LiveKit: an agent whose language model is told how the caller sounded."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from ..errors import optional
from .caller import Caller, Reading

with optional("livekit"):
    from livekit import rtc
    from livekit.agents import Agent, ModelSettings, UserStateChangedEvent, llm

__all__ = ["EmotionAgent"]


class EmotionAgent(Agent):
    """An agent that reads how the caller sounds; each of their turns begins with the reading.

    Your own agent inherits from it. Where it overrides `on_enter`, `on_exit`, `stt_node` or
    `on_user_turn_completed`, it calls `super()`'s. When the agent leaves, the caller's baseline is
    written to its file, if there is one.

    Parameters
    ----------
    caller : Caller
        For this call alone.
    options
        Those of `livekit.agents.Agent`.
    """

    def __init__(self, *, caller: Caller, **options: Any) -> None:
        super().__init__(**options)
        self.caller = caller

    async def on_reading(self, reading: Reading) -> None:
        """Take in how the caller sounded, before the language model answers; does nothing here."""

    async def on_enter(self) -> None:
        """Begin to follow when the caller speaks."""
        await super().on_enter()
        self.session.on("user_state_changed", self._follow)

    async def on_exit(self) -> None:
        """End the call."""
        self.session.off("user_state_changed", self._follow)
        await self.caller.close()
        await super().on_exit()

    def stt_node(self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings) -> Any:
        """Hear what speech recognition hears."""
        return super().stt_node(self._heard(audio), model_settings)

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Put the reading before what the caller said."""
        await super().on_user_turn_completed(turn_ctx, new_message)
        reading = await self.caller.reading()
        if reading is None:
            return
        if reading.text:
            new_message.content.insert(0, reading.text)
        await self.on_reading(reading)

    async def _heard(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
        async for frame in audio:
            self.caller.hear(bytes(frame.data), frame.sample_rate, frame.num_channels)
            yield frame

    def _follow(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self.caller.began()
        elif event.old_state == "speaking":
            self.caller.stopped()
