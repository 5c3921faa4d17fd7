"""Live recognition: the same as the file, however the audio comes in."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox import Recognizer, Stream
from emovox.audio import RATE
from emovox.cleaning import cleaned
from emovox.errors import AudioError, BaselineError, ConfigError
from emovox.prediction import Prediction
from emovox.stream import smoothed


def fed(stream: Stream, audio: np.ndarray, sizes: list[int]) -> list[Prediction]:
    """Feed audio in chunks of these sizes, in turn; return all predictions."""
    found, at, turn = [], 0, 0
    while at < len(audio):
        size = sizes[turn % len(sizes)] if turn < 300 else 10 * RATE
        found += stream.feed(audio[at : at + size])
        at, turn = at + size, turn + 1
    return [*found, *stream.flush()]


def final(predictions: list[Prediction]) -> list[Prediction]:
    """Keep what is not interim."""
    return [prediction for prediction in predictions if prediction.final]


@pytest.fixture(scope="module")
def at_rate(recognizer, talk):
    """Give the talk at any rate, and what the file path makes of it."""
    audio = {
        rate: soxr.resample(talk, RATE, rate) if rate != RATE else talk
        for rate in (8_000, RATE, 22_050, 44_100, 48_000)
    }
    return {rate: (one, list(recognizer.segments(one, rate))) for rate, one in audio.items()}


class TestChunking:
    """How the audio is chunked makes no difference."""

    @settings(max_examples=25)
    @given(
        rate=st.sampled_from([8_000, RATE, 22_050, 44_100, 48_000]),
        sizes=st.lists(st.one_of(st.integers(1, 500), st.integers(1, 480_000)), min_size=1),
    )
    def test_stream_is_file(self, recognizer, at_rate, rate, sizes):
        """Final predictions are those of the file, at any rate, in chunks of 1 sample to 10 s."""
        audio, expected = at_rate[rate]
        found = final(fed(recognizer.stream(rate), audio, sizes))
        assert found == expected
        assert len(found) >= 4

    def test_interim_too(self, recognizer, talk):
        """Interim decisions do not depend on the chunking, either."""
        expected = fed(recognizer.stream(), talk, [len(talk)])
        assert len(expected) > 10
        for sizes in ([1, 2, 3_000], [512], [1_600], [511, 513]):
            assert fed(recognizer.stream(), talk, sizes) == expected

    def test_one_sample_at_a_time(self, recognizer, voice):
        """Chunks of a single sample are no exception."""
        stream, found = recognizer.stream(), []
        for sample in voice:
            found += stream.feed([sample])
        assert [*found, *stream.flush()] == fed(recognizer.stream(), voice, [RATE])
        assert len(found) >= 1

    def test_integers(self, recognizer, talk):
        """16-bit samples are the floats that they stand for."""
        whole = np.round(talk * 32_767).astype(np.int16)
        as_float = (whole / 32_768).astype(np.float32)
        one = fed(recognizer.stream(), whole, [1_600])
        assert one == fed(recognizer.stream(), as_float, [1_600])

    def test_threads(self, recognizer, talk):
        """Many streams share a recogniser, each with its own results."""
        expected = fed(recognizer.stream(), talk, [1_600])
        with ThreadPoolExecutor(6) as pool:
            runs = [pool.submit(fed, recognizer.stream(), talk, [800 + i]) for i in range(6)]
            assert all(run.result() == expected for run in runs)


class TestDecisions:
    """When decisions come, and what they say."""

    def test_first_in_time(self, recognizer, talk):
        """The first decision comes at most 1.0 s of audio after speech begins."""
        for silence in (0, 7_000, 40_000):
            stream = recognizer.stream()
            audio = np.pad(talk, (silence, 0))
            for at in range(0, len(audio), 160):
                if stream.feed(audio[at : at + 160]):
                    break
            assert stream.seconds <= silence / RATE + 1.0
            assert stream.speaking

    def test_times(self, recognizer, talk):
        """Each has its times; a final one covers the segment, an interim one a piece of it."""
        found = fed(recognizer.stream(), talk, [1_600])
        for prediction in found:
            assert 0 <= prediction.start < prediction.end <= len(talk) / RATE
        ends = [prediction.end for prediction in found]
        assert ends == sorted(ends)

    def test_interval(self, recognizer, voice):
        """Interim decisions come as often as was asked for."""
        speech = np.tile(voice, 6)
        counts = [
            len([p for p in fed(recognizer.stream(interval_s=s), speech, [1_600]) if not p.final])
            for s in (0.25, 0.5, 1.0)
        ]
        assert counts[0] > 1.7 * counts[1] > 1.7 * counts[2] > 0
        assert all(p.final for p in fed(recognizer.stream(interval_s=None), speech, [1_600]))

    def test_interval_can_be_set(self, recognizer, talk):
        """The interval may change at any time; the final decisions stay the same."""
        expected = [p for p in fed(recognizer.stream(), talk, [1_600]) if p.final]
        stream, found = recognizer.stream(), []
        for index, first in enumerate(range(0, len(talk), 1_600)):
            stream.interval_s = (0.25, 10.0, None, 1.0)[index % 4]
            found += stream.feed(talk[first : first + 1_600])
        assert [p for p in [*found, *stream.flush()] if p.final] == expected
        with pytest.raises(ConfigError, match="interval_s"):
            stream.interval_s = 0.01
        assert stream.interval_s in (0.25, 10.0, None, 1.0)

    def test_smoothed(self):
        """Scores are mixed by the documented rule, and label and certainty follow."""
        now = Prediction("a", 0.9, {"a": 0.9, "b": 0.1}, 1.0, 2.0, True, final=False)
        before = Prediction("b", 0.8, {"a": 0.2, "b": 0.8}, 0.5, 1.5, True, final=False)
        mixed = smoothed(now, before, 0.5, 0.6)
        assert mixed.scores == pytest.approx({"a": 0.55, "b": 0.45})
        assert (mixed.label, mixed.certain, mixed.start) == ("a", False, 1.0)
        assert smoothed(now, before, 0.9, 0.6).label == "b"

    def test_first_is_not_smoothed(self, recognizer, talk):
        """The first decision of an utterance knows nothing of the one before."""
        found = fed(recognizer.stream(learn=False), talk, [1_600])
        firsts = [found[0]]
        firsts += [b for a, b in pairwise(found) if a.final and not b.final]
        assert len(firsts) == 5
        for prediction in firsts:
            start, end = (round(second * RATE) for second in (prediction.start, prediction.end))
            alone = recognizer.hear(cleaned(talk[start:end]))[0]
            assert prediction.scores == pytest.approx(alone.scores)


class TestState:
    """All state is in the stream."""

    def test_reset(self, recognizer, talk):
        """A stream that was reset is as a new one, wherever it was."""
        expected = fed(recognizer.stream(44_100), talk, [999])
        stream = recognizer.stream(44_100)
        for stop in (1, 700, 30_000, len(talk)):
            stream.feed(talk[:stop])
            stream.reset()
            assert (stream.seconds, stream.speaking, stream.speech_start) == (0.0, False, None)
            assert stream.baseline == recognizer.new_baseline()
            assert stream.level_db == -120.0
        assert fed(stream, talk, [999]) == expected

    def test_flush_goes_on(self, recognizer, talk):
        """After a flush the clock runs on, and what comes is a new utterance."""
        stream = recognizer.stream(learn=False)
        first = fed(stream, talk[:30_000], [1_600])
        assert stream.seconds == 30_000 / RATE
        assert stream.flush() == []
        again = fed(stream, talk[:30_000], [1_600])
        assert [p.scores for p in again] == [p.scores for p in first]
        shifts = [round(b.start - a.start, 4) for a, b in zip(first, again, strict=True)]
        assert shifts == [30_000 / RATE] * len(first)

    def test_speech(self, recognizer, talk):
        """It tells whether somebody speaks, since when, and until when somebody did."""
        stream = recognizer.stream()
        assert (stream.speech_start, stream.speech_end) == (None, None)
        stream.feed(talk[:16_000])
        assert stream.speaking
        assert stream.speech_start < 0.3
        assert stream.speech_end is None
        stream.feed(talk[16_000:38_000])
        assert not stream.speaking
        assert 1.0 < stream.speech_end < 1.7
        stream.flush()
        assert 1.0 < stream.speech_end < 1.7

    def test_level(self, recognizer):
        """The level is that of the last 100 ms."""
        stream = recognizer.stream(8_000)
        stream.feed(np.full(8_000, 0.5))
        stream.feed(np.full(800, 0.1))
        assert stream.level_db == pytest.approx(-20, abs=0.01)
        stream.feed(np.zeros(800))
        assert stream.level_db == -120


class TestBaseline:
    """A stream has its speaker's baseline."""

    def test_learns_from_final_segments(self, recognizer, talk):
        """It has heard what the final segments hold, in their order."""
        stream = recognizer.stream()
        found = final(fed(stream, talk, [1_600]))
        segments = [talk[round(p.start * RATE) : round(p.end * RATE)] for p in found]
        baseline = recognizer.new_baseline()
        for segment in segments:
            baseline = baseline.after(recognizer.hear(cleaned(segment), baseline)[1])
        assert stream.baseline == baseline

    def test_given_and_taken_out(self, recognizer, talk):
        """One that was taken out of a stream and given to another goes on from there."""
        first, second = recognizer.stream(), recognizer.stream()
        fed(first, talk, [1_600])
        second.baseline = first.baseline
        by_constructor = recognizer.stream(baseline=first.baseline)
        answers = fed(second, talk, [1_600])
        assert answers == fed(by_constructor, talk, [1_600])
        assert second.baseline.seconds == pytest.approx(2 * first.baseline.seconds)

    def test_learn_nothing(self, recognizer, talk):
        """With `learn=False` it stays as it was given."""
        given_one = recognizer.enrol("anna", [talk[:20_000]], RATE)
        stream = recognizer.stream(baseline=given_one, learn=False)
        found = final(fed(stream, talk, [1_600]))
        assert stream.baseline is given_one
        assert found == list(recognizer.segments(talk, RATE, baseline=given_one, learn=False))

    def test_of_another_model(self, recognizer):
        """A baseline of another model is refused at once, and the stream keeps its own."""
        foreign = Recognizer.load("acoustic").new_baseline()
        with pytest.raises(BaselineError, match="was learned with the model"):
            recognizer.stream(baseline=foreign)
        stream = recognizer.stream()
        with pytest.raises(BaselineError, match="was learned with the model"):
            stream.baseline = foreign
        assert stream.baseline == recognizer.new_baseline()


BAD_BLOCKS = {
    "NaN": ([0.0, float("nan")], "expected finite samples, got 1"),
    "infinite": ([0.0, float("inf")], "expected finite samples, got 1"),
    "two channels": (np.zeros((100, 2)), "expected a block of mono samples"),
    "text": ("audio", "expected samples as floats"),
    "nothing": (None, "expected samples as floats"),
    "bytes": (b"\x00\x01", "expected samples as floats"),
    "complex": (np.zeros(4, complex), "expected samples as floats"),
    "a number": (0.5, "expected a block of mono samples"),
    "too loud": ([3e4, 0.0], r"expected samples in \[-1, 1\]"),
}


class TestBadInput:
    """What cannot be used is refused in one line."""

    @pytest.mark.parametrize("kind", BAD_BLOCKS)
    def test_blocks(self, recognizer, talk, kind):
        """A bad block is refused, and the stream goes on as if it had never come."""
        block, words = BAD_BLOCKS[kind]
        stream = recognizer.stream()
        before = stream.feed(talk[:9_000])
        with pytest.raises(AudioError, match=words):
            stream.feed(block)
        rest = fed(stream, talk[9_000:], [1_600])
        assert [*before, *rest] == fed(recognizer.stream(), talk, [1_600])

    @pytest.mark.parametrize("rate", [0, -16_000, 999, 1_000_000, float("nan"), None, "fast", True])
    def test_rates(self, recognizer, rate):
        """A rate that cannot be is refused."""
        with pytest.raises(AudioError, match="expected a sample rate"):
            recognizer.stream(rate)

    @pytest.mark.parametrize("interval_s", [0, -1, 60, float("nan"), "often"])
    def test_intervals(self, recognizer, interval_s):
        """An interval that cannot be is refused."""
        with pytest.raises(ConfigError, match=r"expected interval_s of 0\.1 to 10 seconds"):
            recognizer.stream(interval_s=interval_s)

    def test_nothing_at_all(self, recognizer):
        """Empty blocks, and an end before the beginning, give no predictions."""
        stream = recognizer.stream()
        assert stream.feed([]) == stream.flush() == stream.feed(np.zeros(0, np.int16)) == []
        assert stream.seconds == 0.0
