"""Recognising with asyncio: the same answers, a loop that goes on, a bound, and cancelling."""

import asyncio
import threading
import time

import numpy as np
import pytest

from emovox import AsyncRecognizer, EmovoxError, Recognizer
from emovox.errors import ConfigError
from running_server import EXAMPLES, RATE, speech

EVEN = EXAMPLES / "even.flac"


def test_same_answers(shipped):
    """Each coroutine gives what its method gives."""

    async def ask():
        one = AsyncRecognizer(shipped)
        baseline = await one.enrol("Anna", [EVEN])
        stream = one.stream(RATE, baseline=baseline)
        live = [*await stream.feed(speech()), *await stream.flush(), await stream.turn()]
        return (
            baseline,
            await one.predict(EVEN, baseline=baseline),
            await one.predict_and_learn(EVEN, baseline=baseline),
            await one.segments(speech(), RATE),
            (live, stream.stream.baseline),
        )

    baseline = shipped.enrol("Anna", [EVEN])
    stream = shipped.stream(RATE, baseline=baseline)
    live = [*stream.feed(speech()), *stream.flush(), stream.turn()]
    assert asyncio.run(ask()) == (
        baseline,
        shipped.predict(EVEN, baseline=baseline),
        shipped.predict_and_learn(EVEN, baseline=baseline),
        list(shipped.segments(speech(), RATE)),
        (live, stream.baseline),
    )


class Slow(Recognizer):
    """A recogniser that counts how many of its calls run at a time, and takes a while."""

    def predict(self, *args, **options):
        """Take a while."""
        with self.lock:
            self.n_now += 1
            self.n_most = max(self.n_most, self.n_now)
        time.sleep(0.1)
        with self.lock:
            self.n_now -= 1
        return super().predict(*args, **options)


@pytest.fixture
def slow() -> Slow:
    """Open the shipped model."""
    one = Slow.load()
    one.lock, one.n_now, one.n_most = threading.Lock(), 0, 0
    return one


def test_the_loop_goes_on(slow):
    """While calls run, no more than the bound at a time, the loop turns."""

    async def ask() -> int:
        one = AsyncRecognizer(slow, 2)
        calls = asyncio.gather(*(one.predict(EVEN) for _ in range(6)))
        n_turns = 0
        while not calls.done():
            await asyncio.sleep(0.01)
            n_turns += 1
        return n_turns

    assert asyncio.run(ask()) >= 10
    assert slow.n_most == 2


def test_cancelled_calls_count(slow):
    """A call that is cancelled holds its place until its thread is done."""

    async def ask() -> None:
        one = AsyncRecognizer(slow, 1)
        first = asyncio.create_task(one.predict(EVEN))
        await asyncio.sleep(0.02)
        first.cancel()
        await one.predict(EVEN)
        assert first.cancelled()

    asyncio.run(ask())
    assert slow.n_most == 1


def test_errors(shipped):
    """Errors are those of the method, and free the place."""

    async def ask() -> None:
        one = AsyncRecognizer(shipped, 1)
        for _ in range(3):
            with pytest.raises(EmovoxError, match=r"silen|no sound|nobody"):
                await one.predict(np.zeros(RATE), RATE)

    asyncio.run(ask())
    with pytest.raises(ConfigError, match="at least 1"):
        AsyncRecognizer(shipped, 0)
