"""Scripted calls through a real Pipecat pipeline and a real LiveKit agent session, without a cloud.

A recording is played in real time, as a caller's microphone would send it. Speech recognition and
the language model are stand-ins, which hold to a script and write down what they were given. All
else is the frameworks' own: transports, voice activity detection, turns, contexts.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import NOT_GIVEN, AgentSession, inference, llm, stt
from livekit.agents.voice.io import AudioInput
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from websockets.asyncio.client import connect

from emovox.integrations import Caller, Reading
from emovox.integrations.livekit import EmotionAgent
from emovox.integrations.pipecat import EmotionProcessor, ReadingFrame

FRAME_S = 0.02
STOP_S = 0.6  # of silence, after which the caller has stopped speaking
AFTER_S = 3.0  # of silence behind a call, in which the last turn ends


@dataclass
class Call:
    """What came of a call: the readings, what the model was told each turn, and delays in s."""

    readings: list[Reading] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # the caller's latest words, when it answered
    delays: list[float] = field(default_factory=list)  # by which a turn was held up


async def frames_of(sound: NDArray[np.int16], rate: int) -> AsyncIterator[bytes]:
    """Yield a recording in real time, with silence behind it."""
    silence = np.zeros(int(AFTER_S * rate), np.int16)
    samples, n_frame = np.concatenate([sound, silence]), int(FRAME_S * rate)
    began = time.monotonic()
    for index, first in enumerate(range(0, len(samples) - n_frame + 1, n_frame)):
        await asyncio.sleep(max(0.0, began + index * FRAME_S - time.monotonic()))
        yield samples[first : first + n_frame].tobytes()


# Pipecat


class ScriptedRecognition(SegmentedSTTService):
    """Speech recognition that answers at once, which is the hardest case: nothing hides a delay."""

    def __init__(self) -> None:
        settings = STTSettings(model=None, language=None)
        super().__init__(settings=settings, ttfs_p99_latency=0.1)
        self._n_heard = 0

    async def run_stt(self, audio: bytes) -> AsyncIterator[Frame | None]:
        """Return the words of the script."""
        self._n_heard += 1
        yield TranscriptionFrame(f"words {self._n_heard}", "caller", str(time.time()))


class ScriptedModel(FrameProcessor):
    """A language model that writes down the caller's latest words."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a turn."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        self._told.append(str(frame.context.get_messages()[-1]["content"]))
        for one in (LLMFullResponseStartFrame(), LLMTextFrame("Yes."), LLMFullResponseEndFrame()):
            await self.push_frame(one)


class Watch(BaseObserver):
    """Notes the readings, and how long each transcript was held up."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self._came: dict[int, float] = {}  # by the frame's number

    async def on_push_frame(self, data: FramePushed) -> None:
        """Take in that a frame was passed on."""
        frame = data.frame
        if isinstance(frame, ReadingFrame) and isinstance(data.source, EmotionProcessor):
            self._call.readings.append(frame.reading)
        elif isinstance(frame, TranscriptionFrame):
            if isinstance(data.destination, EmotionProcessor):
                self._came[frame.id] = time.perf_counter()
            elif isinstance(data.source, EmotionProcessor):
                self._call.delays.append(time.perf_counter() - self._came.pop(frame.id))


async def pipecat_call(sound: NDArray[np.int16], rate: int, caller: Caller) -> Call:
    """Play a recording to a pipeline, over its WebSocket transport on 127.0.0.1."""
    call, port, context = Call(), free_port(), LLMContext()
    transport = SingleClientWebsocketServerTransport(
        SingleClientWebsocketServerParams(
            audio_in_enabled=True, serializer=ProtobufFrameSerializer(), allowed_origins=[]
        ),
        host="127.0.0.1",
        port=port,
    )
    turns = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)])
    aggregators = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(user_turn_strategies=turns)
    )
    pipeline = Pipeline(
        [
            transport.input(),
            VADProcessor(vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=STOP_S))),
            ScriptedRecognition(),
            EmotionProcessor(caller),
            aggregators.user(),
            ScriptedModel(call.told),
            transport.output(),
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        cancel_on_idle_timeout=False,
        params=PipelineParams(audio_in_sample_rate=rate),
        observers=[Watch(call)],
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), _ring(port, sound, rate, worker))
    return call


async def _ring(port: int, sound: NDArray[np.int16], rate: int, worker: PipelineWorker) -> None:
    """Be the caller, then end the call."""
    serializer = ProtobufFrameSerializer()
    async with await _connected(port) as line:
        listening = asyncio.create_task(_listen(line))  # what is not read holds up the line
        async for frame in frames_of(sound, rate):
            one = await serializer.serialize(OutputAudioRawFrame(frame, rate, 1))
            await line.send(one)
        await worker.queue_frame(EndFrame())
        await asyncio.wait({listening}, timeout=5)


async def _listen(line: Any) -> None:
    async for _ in line:
        pass


async def _connected(port: int) -> Any:
    for _ in range(100):
        try:
            return await connect(f"ws://127.0.0.1:{port}", close_timeout=1)
        except OSError:
            await asyncio.sleep(0.1)
    raise AssertionError("the transport did not open")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# LiveKit


class Line(AudioInput):
    """The caller's microphone."""

    def __init__(self, sound: NDArray[np.int16], rate: int) -> None:
        super().__init__(label="line")
        self._frames, self._rate = frames_of(sound, rate), rate
        self.over = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        async for data in self._frames:
            return rtc.AudioFrame(data, self._rate, 1, len(data) // 2)
        self.over.set()
        raise StopAsyncIteration


class ScriptedStt(stt.STT):
    """Speech recognition that answers at once."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._n_heard = 0

    async def _recognize_impl(self, buffer: Any, **options: Any) -> stt.SpeechEvent:
        self._n_heard += 1
        words = stt.SpeechData(language="en", text=f"words {self._n_heard}")
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[words])


class ScriptedLlm(llm.LLM):
    """A language model that writes down the caller's latest words."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def chat(self, *, chat_ctx: llm.ChatContext, **options: Any) -> llm.LLMStream:
        """Answer a turn."""
        self._told.append(chat_ctx.messages()[-1].text_content or "")
        return _Answer(self, chat_ctx=chat_ctx, tools=[], conn_options=options["conn_options"])


class _Answer(llm.LLMStream):
    async def _run(self) -> None:
        delta = llm.ChoiceDelta(role="assistant", content="Yes.")
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class Watched(EmotionAgent):
    """An agent whose readings are noted."""

    def __init__(self, call: Call, caller: Caller) -> None:
        super().__init__(caller=caller, instructions="Help the caller.")
        self._call = call

    async def on_reading(self, reading: Reading) -> None:
        """Note it."""
        self._call.readings.append(reading)


async def livekit_call(sound: NDArray[np.int16], rate: int, caller: Caller) -> Call:
    """Play a recording to an agent session."""
    call = Call()
    session: AgentSession[None] = AgentSession(
        stt=ScriptedStt(),
        vad=inference.VAD(min_silence_duration=STOP_S),
        llm=ScriptedLlm(call.told),
        tts=NOT_GIVEN,
        turn_handling={
            "turn_detection": "vad",
            "preemptive_generation": {"enabled": False},
            "endpointing": {"min_delay": 0.1, "max_delay": 0.5},
        },
    )
    line = Line(sound, rate)
    session.input.audio = line
    await session.start(Watched(call, caller))
    await line.over.wait()
    call.delays = _delays(session.history.messages())
    await session.aclose()
    return call


def _delays(messages: Sequence[llm.ChatMessage]) -> list[float]:
    return [
        message.metrics["on_user_turn_completed_delay"]
        for message in messages
        if "on_user_turn_completed_delay" in message.metrics
    ]
