"""The caller of a voice agent: what is read of each turn, and what is learned."""

import asyncio
import time

import numpy as np
import pytest

from emovox import AsyncRecognizer, Baseline, Recognizer
from emovox.errors import AudioError, BaselineError, ConfigError, ModelError
from emovox.integrations import Caller, Reading, Wording
from emovox.prediction import Prediction
from running_server import RATE, speech

FRAME = RATE // 50
QUIET = np.zeros(int(1.5 * RATE), np.int16)
EVEN, FAST = speech(silence_s=0), speech(name="man-fast", silence_s=0)


def say(caller: Caller, sound: np.ndarray, rate: int = RATE) -> None:
    """Let a caller be heard, 20 ms at a time."""
    for first in range(0, len(sound), FRAME):
        caller.hear(sound[first : first + FRAME].tobytes(), rate)


def turn(caller: Caller, sound: np.ndarray) -> None:
    """Let a caller speak a turn, and be silent, as voice activity detection tells of it."""
    say(caller, QUIET)
    caller.began()
    say(caller, sound)
    caller.stopped()


def test_readings_are_those_of_turns(shipped):
    """Each turn gets the answer of `Recognizer.turns`, with the baseline learned until then."""

    async def call() -> tuple[list[Reading | None], Baseline]:
        caller = Caller(shipped, wait_s=30)
        readings = []
        for sound in (EVEN, FAST):
            turn(caller, sound)
            readings.append(await caller.reading())
        return readings, caller.baseline

    readings, baseline = asyncio.run(call())
    turns = [(one.prediction.start, one.prediction.end) for one in readings]
    whole = np.concatenate([QUIET, EVEN, QUIET, FAST])
    expected = shipped.turns(whole, turns, RATE)
    assert [one.prediction for one in readings] == [one.prediction for one in expected]
    assert baseline.seconds == pytest.approx(expected.baselines[""].seconds)
    assert turns[0] == pytest.approx((0.5, 1.5 + len(EVEN) / RATE), abs=0.03)


def test_wording():
    """A certain reading names the emotion, an uncertain one does not; own templates may differ."""
    sure = Prediction("fear", 0.714, {"fear": 0.714}, 0, 1, certain=True)
    unsure = Prediction("fear", 0.4, {"fear": 0.4}, 0, 1, certain=False)
    assert Wording().of(sure) == "[The caller sounded afraid (0.71).]"
    assert Wording().of(unsure) == "[The caller's tone of voice is unclear.]"
    own = Wording("({label}={score:.1f})", "")
    assert [own.of(sure), own.of(unsure)] == ["(fear=0.7)", ""]


@pytest.mark.parametrize("template", ["{emotion}", "{", "{0}", "{score:x}", "{label.y}", None])
def test_wording_is_checked(template):
    """A template that cannot be filled is refused when it is given, not in the call."""
    for options in ({"certain": template}, {"uncertain": template}):
        with pytest.raises(ConfigError, match="wording"):
            Wording(**options)


def test_without_speech_times(shipped):
    """Where nobody tells when speech begins and stops, all until now is heard, once."""

    async def call() -> list[Reading | None]:
        caller = Caller(shipped, wait_s=30)
        say(caller, np.concatenate([QUIET, EVEN]))
        first = await caller.reading()
        say(caller, QUIET)
        return [first, await caller.reading()]

    first, second = asyncio.run(call())
    assert first.prediction.label == shipped.predict(EVEN, RATE).label
    assert second is None


def test_a_pause_within_a_turn(shipped):
    """Speech that stops twice before it is read is one turn."""

    async def call() -> Reading | None:
        caller = Caller(shipped, wait_s=30)
        turn(caller, EVEN)
        turn(caller, FAST)
        caller.stopped()
        return await caller.reading()

    whole = np.concatenate([QUIET, EVEN, QUIET, FAST])
    reading = asyncio.run(call())
    ((expected),) = shipped.turns(whole, [(0.5, len(whole) / RATE)], RATE)
    assert reading.prediction.scores == expected.prediction.scores


def test_speech_that_is_never_read(shipped):
    """What had no transcript for long, such as a cough, is not of the next turn."""

    async def call() -> Reading | None:
        caller = Caller(shipped, wait_s=30)
        turn(caller, EVEN)
        for _ in range(4):
            say(caller, QUIET)
        turn(caller, FAST)
        return await caller.reading()

    prediction = asyncio.run(call()).prediction
    assert prediction.label == shipped.predict(FAST, RATE).label
    assert prediction.start > len(EVEN) / RATE + 6


def test_read_while_speaking(shipped):
    """A transcript may come while the caller goes on: what follows is of the next turn."""

    async def call() -> list[Reading | None]:
        caller = Caller(shipped, wait_s=30)
        turn(caller, EVEN)
        caller.began()
        say(caller, FAST)
        first = await caller.reading()
        caller.stopped()
        return [first, await caller.reading(), await caller.reading()]

    first, second, third = asyncio.run(call())
    assert first.prediction.label == shipped.predict(EVEN, RATE).label
    assert second.prediction.start == first.prediction.end
    assert third is None


def test_nobody_speaks(shipped):
    """Silence, and too little sound, have no reading, and nothing is learned."""

    async def call() -> list[object]:
        caller = Caller(shipped, wait_s=30)
        turn(caller, QUIET)
        silent = await caller.reading()
        early = Caller(shipped, wait_s=30)
        return [silent, await early.reading(), caller.baseline.seconds]

    assert asyncio.run(call()) == [None, None, 0]


class Slow(Recognizer):
    """A recogniser that takes its time."""

    def predict_and_learn(self, *args, **options):
        """Take half a second."""
        time.sleep(0.5)
        return super().predict_and_learn(*args, **options)


def test_late():
    """A reading that takes too long is left out, in time; the loop goes on, and it is learned."""

    async def call() -> tuple[Reading | None, float, float]:
        caller = Caller(Slow.load(), wait_s=0.05)
        turn(caller, EVEN)
        began = time.perf_counter()
        reading = await caller.reading()
        seconds = time.perf_counter() - began
        await caller.close()
        return reading, seconds, caller.baseline.seconds

    reading, seconds, learned_s = asyncio.run(call())
    assert reading is None
    assert seconds < 0.4
    assert learned_s > 1


class Broken(Recognizer):
    """A recogniser whose model fails."""

    def predict_and_learn(self, *args, **options):
        """Fail."""
        raise ModelError("the model fails")


def test_failure(caplog):
    """Where the model fails, the call goes on without a reading, and the log says why."""

    async def call() -> list[Reading | None]:
        caller = Caller(Broken.load(), wait_s=30)
        turn(caller, EVEN)
        return [await caller.reading(), await caller.reading()]

    assert asyncio.run(call()) == [None, None]
    assert "the model fails" in caplog.text


def test_across_calls(shipped, tmp_path):
    """With a file, the next call begins with what was learned; without one, nothing is written."""
    path = tmp_path / "anna.json"

    async def call(**options: object) -> Caller:
        caller = Caller(AsyncRecognizer(shipped), wait_s=30, **options)
        turn(caller, EVEN)
        await caller.reading()
        await caller.close()
        return caller

    first = asyncio.run(call(baseline_file=path))
    assert Baseline.load(path) == first.baseline
    second = asyncio.run(call(baseline_file=path))
    assert second.baseline.seconds == pytest.approx(2 * first.baseline.seconds)
    assert asyncio.run(call(baseline=first.baseline)).baseline == second.baseline
    before = path.read_bytes()
    third = asyncio.run(call(baseline_file=path, learn=False))
    assert third.baseline == second.baseline
    assert path.read_bytes() == before
    asyncio.run(call())
    assert list(tmp_path.iterdir()) == [path]


def test_refused(shipped, tmp_path):
    """Options and sound that cannot be used are refused in one line."""
    other = Baseline("0" * 16, np.zeros(3), 0.0)
    with pytest.raises(BaselineError):
        Caller(shipped, baseline=other)
    (tmp_path / "anna.json").write_text("{}")
    with pytest.raises(BaselineError, match="anna"):
        Caller(shipped, baseline_file=tmp_path / "anna.json")
    with pytest.raises(ConfigError, match="both"):
        Caller(shipped, baseline=shipped.new_baseline(), baseline_file="anna.json")
    for wait_s in (-1, float("nan")):
        with pytest.raises(ConfigError, match="wait_s"):
            Caller(shipped, wait_s=wait_s)
    with pytest.raises(AudioError, match="2 channels, got 6 bytes"):
        Caller(shipped).hear(bytes(6), RATE, 2)
    with pytest.raises(AudioError, match="rate"):
        Caller(shipped).hear(bytes(6), 7)


def test_other_rates_and_channels(shipped):
    """Two channels are heard as their mean; sound at 8 kHz is that of `Recognizer.turns`."""
    slow = EVEN[::2].copy()

    async def call(sound: bytes, rate: int, n_channels: int) -> Prediction:
        caller = Caller(shipped, wait_s=30)
        caller.hear(sound, rate, n_channels)
        return (await caller.reading()).prediction

    both = asyncio.run(call(np.repeat(EVEN, 2).tobytes(), RATE, 2))
    assert both.scores == shipped.predict(EVEN, RATE).scores
    phone = asyncio.run(call(slow.tobytes(), RATE // 2, 1))
    assert phone.label == shipped.predict(slow, RATE // 2).label


def test_memory_is_bounded(shipped):
    """Of sound that nobody reads, a minute is kept."""

    async def call() -> Prediction:
        caller = Caller(shipped, wait_s=60)
        for _ in range(70):
            caller.hear(np.resize(EVEN, RATE).tobytes(), RATE)
        return (await caller.reading()).prediction

    found = asyncio.run(call())
    assert (found.start, found.end) == (10, 70)
