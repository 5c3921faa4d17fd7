"""Turns that another tool cut, of a recording and of a stream: each answered as `predict` does."""

import io
import math
import threading
import tracemalloc

import numpy as np
import pytest
import soundfile

from emovox import Turn
from emovox.audio import RATE
from emovox.errors import AudioError, BaselineError, ConfigError
from emovox.measuring import MeasuringStream, measure_recording
from emovox.turns.conversation import MIN_TURN_S


@pytest.fixture(scope="module")
def spans(recognizer, talk):
    """Give where somebody speaks in the talk, in seconds."""
    return [(one.start, one.end) for one in recognizer.segments(talk, RATE)]


def cut(samples, start, end):
    """Return a stretch of samples."""
    return samples[round(start * RATE) : round(end * RATE)]


def fed(stream, samples, n_block=1_600):
    """Feed a stream in blocks."""
    for first in range(0, len(samples), n_block):
        stream.feed(samples[first : first + n_block])


class TestRecording:
    """`Recognizer.turns`."""

    def test_each_turn_is_predicted_alone(self, recognizer, talk, spans):
        """A turn has the answer of its stretch, with its speaker's baseline so far."""
        turns = [
            Turn(start, end, "ab"[index % 2], f"t{index}")
            for index, (start, end) in enumerate(spans)
        ]
        baselines = {}
        conversation = recognizer.turns(talk, turns, RATE)
        for turn, answer in zip(turns, conversation, strict=True):
            assert answer.turn == turn
            assert answer.reason == ""
            before = baselines.get(turn.speaker) or recognizer.new_baseline(turn.speaker)
            expected, baselines[turn.speaker] = recognizer.predict_and_learn(
                cut(talk, turn.start, turn.end), RATE, baseline=before
            )
            assert answer.prediction == expected.moved(round(turn.start * RATE) / RATE)
        assert conversation.baselines == baselines

    @pytest.mark.parametrize("door", ["turns", "segments"])
    def test_read_aside(self, recognizer, talk, spans, door):
        """No thread that Ctrl-C interrupts reads: libsndfile would take the interruption for the
        end of a damaged file.
        """
        threads = set()

        class Recording(io.BytesIO):
            def readinto(self, buffer):
                threads.add(threading.current_thread())
                return super().readinto(buffer)

            def read(self, size=-1):
                threads.add(threading.current_thread())
                return super().read(size)

        file = Recording()
        soundfile.write(file, talk, RATE, "FLOAT", format="WAV")
        file.seek(0)
        if door == "turns":
            found = list(recognizer.turns(file, [Turn(*span) for span in spans]))
        else:
            found = list(recognizer.segments(file))
        assert len(found) == len(spans)
        assert threads
        assert threading.main_thread() not in threads

    def test_file_and_array(self, recognizer, talk, spans, tmp_path):
        """A file gives the same answers, and plain tuples do, in any order."""
        path = tmp_path / "talk.wav"
        soundfile.write(path, talk, RATE, "FLOAT")
        expected = list(recognizer.turns(talk, [Turn(*span) for span in spans], RATE))
        assert list(recognizer.turns(path, spans[::-1])) == expected

    def test_given_baselines(self, recognizer, talk, spans, voice):
        """A baseline that is given is used, and learns only if it may."""
        known = recognizer.enrol("a", [voice], RATE)
        conversation = recognizer.turns(
            talk, [(*spans[0], "a")], RATE, baselines={"a": known}, learn=False
        )
        (answer,) = conversation
        expected = recognizer.predict(cut(talk, *spans[0]), RATE, baseline=known)
        assert answer.prediction.scores == expected.scores
        assert conversation.baselines == {"a": known}

    def test_overlapping(self, recognizer, talk, spans):
        """Turns may overlap, and lie within others; learning does not mix speakers."""
        whole = (0.0, len(talk) / RATE, "all")
        answers = list(recognizer.turns(talk, [whole, *((*span, "one") for span in spans)], RATE))
        assert answers[0].turn == Turn(*whole)
        assert answers[0].prediction.scores == recognizer.predict(talk, RATE).scores
        alone = list(recognizer.turns(talk, [(*span, "one") for span in spans], RATE))
        assert answers[1:] == alone

    def test_explained_and_measured(self, recognizer, talk, spans):
        """Moments and prosody are those of the stretch, in the recording's time."""
        start, end = spans[1]
        (answer,) = recognizer.turns(talk, [(start, end)], RATE, explain=True, prosody=True)
        expected = recognizer.predict(cut(talk, start, end), RATE, explain=True, prosody=True)
        assert answer.prediction.prosody == expected.prosody
        assert answer.prediction == expected.moved(start)
        assert answer.prediction.moments[0].start >= start

    @pytest.mark.parametrize(
        ("turn", "reason"),
        [
            ((math.nan, 1.0), "expected a start and an end in seconds, got nan, 1.0"),
            ((0.0, math.inf), "expected a start and an end"),
            (("0", 1.0), "expected a start and an end in seconds, got '0', 1.0"),
            ((0.0, None), "expected a start and an end"),
            ((0.0, 1.0, ["a"]), "expected a speaker's name as text, got list"),
            ((2.0, 1.0), "ends before it begins: 2 to 1 s"),
            ((1.0, 1.1), "too short: 0.10 s; speech needs 0.19 s"),
            ((-5.0, 0.1), "too short: 0.10 s"),
            ((-5.0, -4.0), "too short: 0.00 s"),
            ((1e300, 1.1e300), "too long: "),
            ((0.0, 3_601.0), "too long: 3,601 s; a turn may have 3,600 s"),
            ((900.0, 905.0), "begins after the end of the recording, which has "),
        ],
    )
    def test_useless_turns(self, recognizer, talk, spans, turn, reason):
        """A turn that cannot be heard says why, and the others are answered."""
        answers = list(recognizer.turns(talk, [turn, spans[0]], RATE))
        (useless,) = [one for one in answers if one.prediction is None]
        assert useless.reason.startswith(reason)
        assert len(answers) == 2
        fields = useless.to_dict()
        assert fields["label"] is None
        assert fields["reason"] == useless.reason

    def test_no_speech(self, recognizer, voice, rng):
        """Silence and noise have reasons of their own, and nothing is learned."""
        noise = rng.normal(0, 0.05, RATE).astype(np.float32)
        sound = np.concatenate([np.zeros(RATE, np.float32), noise, voice])
        conversation = recognizer.turns(sound, [(0, 1, "a"), (1, 2, "a")], RATE)
        silent, noisy = conversation
        assert silent.reason.startswith("no sound above the noise floor")
        assert noisy.reason.startswith("no speech in 1.0 s of audio")
        assert conversation.baselines == {}

    def test_beyond_the_end(self, recognizer, talk, spans):
        """A turn is heard as far as it lies in the recording."""
        seconds = len(talk) / RATE
        (answer,) = recognizer.turns(talk, [(-1.0, seconds + 5)], RATE)
        assert answer.prediction.scores == recognizer.predict(talk, RATE).scores
        assert (answer.prediction.start, answer.prediction.end) == (0.0, round(seconds, 4))
        assert answer.to_dict()["end"] == seconds + 5

    def test_cut_off(self, recognizer, talk, spans):
        """What comes before the end of a damaged file is answered, and the damage told."""
        file = io.BytesIO()
        soundfile.write(file, talk, RATE, format="FLAC", subtype="PCM_16")
        conversation = recognizer.turns(file.getvalue()[: len(file.getvalue()) * 2 // 3], spans)
        answers = list(conversation)
        assert answers[0].prediction is not None
        assert answers[-1].reason.startswith("begins after the end")
        assert conversation.broken

    def test_memory(self, recognizer, talk, spans):
        """Of a long recording no more is kept than the turn that is due needs."""
        hour = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (3600 * RATE,), (0,))
        conversation = recognizer.turns(hour, [(10, 12), (3000, 3002)], RATE)
        tracemalloc.start()
        try:
            answers = list(conversation)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(answers) == 2
        assert peak < 10_000_000
        assert conversation.seconds == pytest.approx(3_002, abs=1)  # it need not read on

    def test_mistakes(self, recognizer, talk, voice):
        """What is no turn, no baseline of this model or no audio is refused."""
        with pytest.raises(ConfigError, match="expected turns, or tuples"):
            recognizer.turns(talk, ["0 1"], RATE)
        other = recognizer.new_baseline()
        other = type(other)("another", other.total, 0.0)
        with pytest.raises(BaselineError):
            recognizer.turns(talk, [(0, 1)], RATE, baselines={"": other})
        with pytest.raises(AudioError, match="expected at most 2 s of audio"):
            list(recognizer.turns(talk, [(0, 1)], RATE, max_seconds=2))
        with pytest.raises(AudioError):
            list(recognizer.turns(b"no audio", [(0, 1)]))

    def test_shortest(self, recognizer, voice):
        """The limit is where speech can be found at all."""
        (answer,) = recognizer.turns(voice, [(0.1, 0.1 + MIN_TURN_S + 0.01)], RATE)
        assert not answer.reason.startswith("too short")


class TestStream:
    """`Stream.turn`."""

    def test_as_predict(self, recognizer, talk, spans):
        """All that was said, over pauses and an end that is open, is answered as one recording."""
        for samples in (talk, cut(talk, *spans[0]), talk[: round(spans[1][1] * RATE) - 3_000]):
            stream = recognizer.stream(interval_s=None, prosody=True, explain=True)
            fed(stream, samples)
            turn = stream.turn()
            expected = recognizer.predict(samples, RATE, prosody=True, explain=True)
            assert turn.scores == expected.scores
            assert turn.prosody == expected.prosody
            assert turn.moments == expected.moments
            assert turn.final
            assert 0 <= turn.start < turn.end <= len(samples) / RATE

    def test_one_after_the_other(self, recognizer, talk, spans):
        """Each turn holds what was said since the one before, once."""
        stream = recognizer.stream(interval_s=None, learn=False)
        found, at = [], 0
        for _, end in spans:
            stop = round((end + 0.1) * RATE)
            fed(stream, talk[at:stop])
            at = stop
            found.append(stream.turn())
        assert [(one.start, round(one.end, 1)) for one in found] == [
            (start, round(end, 1)) for start, end in spans
        ]
        assert stream.turn() is None

    def test_the_tail_is_no_turn(self, recognizer, talk, spans):
        """The soft end of what was answered is not answered again when the pause has passed."""
        stream = recognizer.stream(interval_s=None)
        end = round((spans[0][1] - 0.1) * RATE)
        fed(stream, talk[:end])
        assert stream.turn() is not None
        fed(stream, np.concatenate([talk[end : end + 1_600], np.zeros(RATE, np.float32)]))
        assert stream.turn() is None

    def test_other_answers_do_not_change(self, recognizer, talk):
        """Who asks for turns gets the same final answers, and the same baseline."""
        plain, asked = (recognizer.stream() for _ in range(2))
        expected, found = [], []
        for first in range(0, len(talk), 4_000):
            block = talk[first : first + 4_000]
            expected += plain.feed(block)
            found += asked.feed(block)
            asked.turn()
        assert [*found, *asked.flush()] == [*expected, *plain.flush()]
        assert asked.baseline == plain.baseline

    def test_with_the_baseline_before(self, recognizer, talk, spans):
        """A turn is judged with what was heard before it, not with itself."""
        stream = recognizer.stream(interval_s=None)
        middle = round((spans[1][1] + 1.0) * RATE)
        middle = min(middle, round((spans[2][0] - 0.2) * RATE))
        fed(stream, talk[:middle])
        first = stream.turn()
        learned = stream.baseline
        fed(stream, talk[middle:])
        second = stream.turn()
        assert first.scores == recognizer.predict(talk[:middle], RATE).scores
        expected = recognizer.predict(talk[middle:], RATE, baseline=learned)
        assert second.label == expected.label

    def test_flushed_and_reset(self, recognizer, voice, talk):
        """A flush ends an utterance and no turn; a reset forgets what was said."""
        stream = recognizer.stream(interval_s=None)
        fed(stream, voice)
        stream.flush()
        fed(stream, talk)
        whole = stream.turn()
        assert whole.start < 1.0
        assert whole.end > len(voice) / RATE + 1
        fed(stream, voice)
        stream.reset()
        assert stream.turn() is None

    def test_no_speech(self, recognizer):
        """Before anybody has spoken there is no answer."""
        stream = recognizer.stream()
        assert stream.turn() is None
        fed(stream, np.zeros(2 * RATE, np.float32))
        assert stream.turn() is None

    def test_the_last_minute(self, recognizer, voice):
        """Of more than a minute of speech the last minute counts, and no more is kept."""
        stream = recognizer.stream(interval_s=None, learn=False)
        for _ in range(90):
            stream.feed(voice)
        turn = stream.turn()
        assert turn.end == pytest.approx(90, abs=1)
        assert 50 < turn.end - turn.start < 90

    def test_other_rates(self, recognizer, talk):
        """At another rate the answer is that of the resampled sound, but for the last instant."""
        soxr = pytest.importorskip("soxr")
        there = soxr.resample(talk, RATE, 48_000)
        stream = recognizer.stream(48_000, interval_s=None)
        fed(stream, there, 4_800)
        expected = recognizer.predict(there, 48_000)
        assert stream.turn().scores == pytest.approx(dict(expected.scores), abs=0.02)

    def test_measured(self, talk):
        """A stream that measures gives the measurement of the turn."""
        stream = MeasuringStream()
        fed(stream, talk)
        turn, expected = stream.turn(), measure_recording(talk, RATE)
        assert (turn.prosody, turn.level) == (expected.prosody, expected.level)
        assert stream.turn() is None
