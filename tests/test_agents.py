"""Voice agents of Pipecat and LiveKit: scripted calls through their own pipelines."""

import asyncio
import warnings
from unittest.mock import MagicMock

import numpy as np
import pytest

from conftest import REPOSITORY, not_installed
from emovox import Baseline
from emovox.integrations import Caller, Wording
from running_server import RATE, speech
from test_docs import BLOCK, read, run_python

for library in ("pipecat", "livekit"):
    pytest.importorskip(library, reason=not_installed(library))

pytestmark = pytest.mark.filterwarnings("default")  # the frameworks' own
PAUSE_S = 1.4
NAMES = ("even", "fast-and-high", "man-fast")


@pytest.fixture(scope="module")
def calls():
    """Load the scripted calls of the benchmark."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.syspath_prepend(str(REPOSITORY / "benchmarks"))
        import agent_calls

        yield agent_calls


@pytest.fixture(params=["pipecat_call", "livekit_call"])
def play(request, calls):
    """Give what plays a recording to one of the frameworks."""
    return getattr(calls, request.param)


def call_of(names: tuple[str, ...] = NAMES) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Return a recording of a few turns, and when each begins and ends."""
    sounds = [speech(name=name, silence_s=PAUSE_S) for name in names]
    ends = np.cumsum([len(sound) / RATE for sound in sounds])
    starts = [0.0, *ends[:-1]]
    turns = [(start, end - PAUSE_S) for start, end in zip(starts, ends, strict=True)]
    return np.concatenate(sounds), turns


def test_a_call(play, shipped, tmp_path):
    """Each turn of the model begins with a reading, whose label is that of `Recognizer.turns`."""
    sound, turns = call_of()
    file = tmp_path / "anna.json"
    caller = Caller(shipped, baseline_file=file, wait_s=30)
    call = asyncio.run(play(sound, RATE, caller))
    expected = [one.prediction for one in shipped.turns(sound, turns, RATE)]
    readings = [one.prediction for one in call.readings]
    assert [one.label for one in readings] == [one.label for one in expected]
    for told, reading in zip(call.told, call.readings, strict=True):
        assert told.startswith(reading.text)
        assert "words" in told
    for found, (start, end) in zip(readings, turns, strict=True):
        assert found.start <= start + 0.3
        assert end - 0.1 <= found.end <= end + PAUSE_S
    assert Baseline.load(file) == caller.baseline


def test_no_words_for_uncertain(play, shipped):
    """With a wording that is silent, the model is told the caller's words alone."""
    sound, _ = call_of(("even",))
    caller = Caller(shipped, wording=Wording("", ""), wait_s=30)
    call = asyncio.run(play(sound, RATE, caller))
    assert call.told == ["words 1"]
    assert len(call.readings) == 1


def test_too_late(play, shipped):
    """Where there is no time for a reading, the turn goes on without it."""
    sound, _ = call_of(("even",))
    call = asyncio.run(play(sound, RATE, Caller(shipped, wait_s=0)))
    assert call.told == ["words 1"]
    assert call.readings == []


def test_a_transcript_is_not_lost(calls, shipped):
    """A caller who goes on while their reading is awaited interrupts the agent, loses no words."""
    from pipecat.frames.frames import InterruptionFrame, TranscriptionFrame
    from pipecat.tests.utils import SleepFrame, run_test

    from emovox.integrations.pipecat import EmotionProcessor

    class Late(Caller):
        """A caller whose readings take a while."""

        async def reading(self) -> None:
            """Wait."""
            await asyncio.sleep(0.3)

    frames = [TranscriptionFrame("words", "caller", "now"), SleepFrame(0.1), InterruptionFrame()]
    down, _ = asyncio.run(
        run_test(EmotionProcessor(Late(shipped)), frames_to_send=[*frames, SleepFrame(0.5)])
    )
    assert [one.text for one in down if isinstance(one, TranscriptionFrame)] == ["words"]


def test_the_end_waits_for_the_baseline(calls, shipped):
    """A pipeline does not end before the caller's baseline is written, however long that takes."""
    from pipecat.tests.utils import run_test

    from emovox.integrations.pipecat import EmotionProcessor

    class Slow(Caller):
        """A caller on a slow disk."""

        is_written = False

        async def close(self) -> None:
            """Take a while."""
            await asyncio.sleep(0.3)
            self.is_written = True

    caller = Slow(shipped)
    asyncio.run(run_test(EmotionProcessor(caller), frames_to_send=[]))
    assert caller.is_written


def test_snippets_run(monkeypatch, capsys):
    """The Python blocks of the page about voice agents run in order."""
    monkeypatch.chdir(REPOSITORY)
    page, names = "docs/agents.md", {"__name__": "page"}
    text = read(page)
    for block in BLOCK.finditer(text):
        if block["language"] == "python":
            run_python(page, text[: block.start("body")].count("\n"), block["body"], names)
    assert "'neutral'" in capsys.readouterr().out
    made = names["steps"](*(MagicMock() for _ in range(6)))
    assert type(made[3]).__name__ == "EmotionProcessor"
    assert names["Support"](Caller(names["recognizer"])).instructions
