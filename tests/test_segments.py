"""Long recordings: read in blocks, cut into segments, recognised one by one, whatever happens."""

import io
import threading

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE
from emovox.cleaning import cleaned
from emovox.decoding import n_channels, read_blocks
from emovox.errors import AudioError, BaselineError, ConfigError
from emovox.recognizer import Recognizer


@pytest.fixture
def call(talk, tmp_path):
    """Write a stereo call in which two speak in turn."""
    other = np.roll(talk[::-1][: len(talk)], 8_000) * 0.0
    other[40_000:] = talk[:-40_000]
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([talk, other], axis=1), RATE, "FLOAT")
    return path


def written(samples: np.ndarray, kind: str, subtype: str | None = None, rate: int = RATE) -> bytes:
    """Return an audio file's bytes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


class TestParts:
    """What is found in a recording."""

    def test_each_part_is_heard_alone(self, recognizer, talk):
        """A segment is recognised with the baseline of those before it, and of nothing else."""
        baseline = recognizer.new_baseline()
        found = list(recognizer.segments(talk, RATE))
        assert len(found) == 5
        for segment in found:
            clip = talk[round(segment.start * RATE) : round(segment.end * RATE)]
            alone, windows = recognizer.hear(cleaned(clip), baseline)
            baseline = baseline.after(windows)
            assert segment.scores == alone.scores
            assert segment.final

    def test_no_speech(self, recognizer):
        """Where nobody speaks there are no segments."""
        noise = np.random.default_rng(0).normal(0, 0.05, 3 * RATE)
        assert list(recognizer.segments(noise, RATE)) == []
        assert list(recognizer.segments(np.zeros(RATE), RATE)) == []

    @pytest.mark.parametrize(
        ("kind", "subtype"),
        [("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")],
    )
    def test_formats(self, recognizer, talk, kind, subtype, tmp_path):
        """Path, bytes, file object and samples give the same, whatever the format."""
        data = written(talk, kind, subtype)
        path = tmp_path / "talk.audio"
        path.write_bytes(data)
        samples, rate = soundfile.read(path, dtype="float32")
        expected = list(recognizer.segments(samples, rate))
        assert len(expected) == 5
        for source in (path, str(path), data, io.BytesIO(data)):
            assert list(recognizer.segments(source)) == expected

    def test_channels(self, recognizer, talk, call):
        """One channel alone is as a recording of its own; both together are their mean."""
        both, rate = soundfile.read(call, dtype="float32")
        for channel in (0, 1):
            alone = list(recognizer.segments(np.ascontiguousarray(both[:, channel]), rate))
            assert list(recognizer.segments(call, channel=channel)) == alone
            assert list(recognizer.segments(both, rate, channel=channel)) == alone
        assert list(recognizer.segments(call)) == list(recognizer.segments(both.mean(1), rate))
        assert n_channels(call) == 2

    def test_baseline(self, recognizer, talk):
        """It begins with the baseline that is given, and learns only if it may."""
        given = recognizer.enrol("anna", [talk[:20_000]], RATE)
        learning = list(recognizer.segments(talk, RATE, baseline=given))
        still = list(recognizer.segments(talk, RATE, baseline=given, learn=False))
        assert learning[0] == still[0]
        assert learning[1] != still[1]

    def test_explain(self, recognizer, talk):
        """With `explain` each segment has the weights of its moments; nothing else changes."""
        plain = list(recognizer.segments(talk, RATE))
        for segment, with_moments in zip(
            plain, list(recognizer.segments(talk, RATE, explain=True)), strict=True
        ):
            assert with_moments.scores == segment.scores
            assert with_moments.moments[0].start == segment.start
            assert with_moments.moments[-1].end == segment.end


class TestReading:
    """Recordings are read in blocks."""

    def test_blocks(self, talk):
        """A second at a time, and all of it."""
        data = written(talk, "WAV", "FLOAT", rate=8_000)
        blocks = list(read_blocks(data))
        assert max(len(block.samples) for block in blocks) == 8_000
        np.testing.assert_array_equal(np.concatenate([b.samples for b in blocks]), talk)
        assert {(block.rate, block.seconds, block.broken) for block in blocks} == {
            (8_000, len(talk) / 8_000, "")
        }

    def test_as_soon_as_known(self, recognizer, talk):
        """Segments come one by one, with the seconds read so far, while the reading goes on."""
        segments = recognizer.segments(np.tile(talk, 20), RATE)
        assert segments.seconds == 0.0
        predictions = iter(segments)
        first = next(predictions)
        assert first == next(iter(recognizer.segments(talk, RATE)))
        assert first.end < segments.seconds < first.end + 2
        assert segments.duration == pytest.approx(20 * len(talk) / RATE)
        assert len(list(predictions)) > 90
        assert segments.seconds == pytest.approx(20 * len(talk) / RATE)
        assert list(segments) == []

    def test_left_early(self, recognizer, talk):
        """Whoever stops iterating leaves no thread running."""
        before = threading.active_count()
        segments = recognizer.segments(np.tile(talk, 20), RATE)
        for _ in segments:
            break
        assert threading.active_count() == before

    def test_unknown_length(self, talk):
        """A FLAC whose header does not tell its length is read to its end."""
        content = bytearray(written(talk, "FLAC"))
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        blocks = list(read_blocks(bytes(content)))
        assert sum(len(block.samples) for block in blocks) == len(talk)
        assert (blocks[-1].seconds, blocks[-1].broken) == (None, "")

    def test_mp3(self, recognizer, talk):
        """An MP3, whose header only estimates its length, is read to its end."""
        assert len(list(recognizer.segments(written(talk, "MP3")))) == 5


class TestMisuse:
    """What cannot be asked is refused in one line."""

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"max_seconds": None}, "expected a limit of more than 0 seconds, got None"),
            ({"max_seconds": "5"}, "expected a limit of more than 0 seconds, got '5'"),
            ({"channel": "0"}, "expected a channel of 0 to 0, counted from 0, got '0'"),
        ],
    )
    def test_options(self, recognizer, talk, options, reason):
        """Limits and channels that are no numbers are named."""
        with pytest.raises(AudioError, match=reason):
            list(recognizer.segments(written(talk, "WAV"), **options))

    def test_ragged_list(self, recognizer):
        """Lists of different lengths are no samples."""
        with pytest.raises(AudioError, match="expected an array of samples, got"):
            list(recognizer.segments([[0.1, 0.2], [0.3]], RATE))


class TestBroken:
    """What was read before a break is answered, and the break is told."""

    @pytest.mark.parametrize(
        ("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16")]
    )
    def test_cut_off(self, recognizer, talk, kind, subtype):
        """A file cut off in the middle is answered up to there, and it says so."""
        data = written(talk, kind, subtype)
        segments = recognizer.segments(data[: len(data) * 6 // 10])
        found, whole = list(segments), list(recognizer.segments(data))
        assert "cut off" in segments.broken
        assert 2 <= len(found) < len(whole)
        assert found[:2] == whole[:2]

    def test_damaged(self, recognizer, talk):
        """Bytes that are no audio in the middle of a file end it, or are skipped; no traceback."""
        data = bytearray(written(talk, "FLAC", "PCM_16"))
        middle = len(data) // 2
        data[middle : middle + 3_000] = np.random.default_rng(0).bytes(3_000)
        segments = recognizer.segments(bytes(data))
        assert list(segments)
        assert segments.broken

    def test_not_finite(self, recognizer, talk):
        """A file that turns to NaN is refused with the place; the segments before were given."""
        broken = talk.copy()
        broken[150_000] = np.nan
        found = []
        with pytest.raises(AudioError, match=r"in the second from 9 s on: expected finite samples"):
            for segment in recognizer.segments(written(broken, "WAV", "FLOAT")):
                found.append(segment)  # noqa: PERF402 (what came before the error is the point)
        assert found == list(recognizer.segments(talk, RATE))[: len(found)]
        assert len(found) >= 2


class TestBadInput:
    """What cannot be used is refused in one line."""

    @pytest.mark.parametrize(
        ("audio", "rate", "words"),
        [
            (np.zeros(0), RATE, "expected an array of samples"),
            (0.5, RATE, "expected an array of samples"),
            (np.zeros(10), None, "expected a sample rate in Hz with an array"),
            (np.zeros(10), 0, "expected a sample rate of"),
            (np.zeros(10), 1_000_000, "expected a sample rate of"),
            ([0.0, float("nan")], RATE, "expected finite samples"),
            (["a"], RATE, "expected samples as floats"),
            ("missing.wav", None, "no such file"),
            ("missing.wav", RATE, "has its own rate"),
            (b"", None, "empty"),
            (b"no audio", None, "not a readable audio file"),
        ],
    )
    def test_audio(self, recognizer, audio, rate, words):
        """Audio that is none, or rates that cannot be."""
        with pytest.raises(AudioError, match=words):
            list(recognizer.segments(audio, rate))

    def test_no_samples(self, recognizer):
        """A file without a single sample."""
        with pytest.raises(AudioError, match="expected audio, got zero samples"):
            list(recognizer.segments(written(np.zeros(0), "WAV", "PCM_16")))

    @pytest.mark.parametrize("channel", [-1, 2])
    def test_channel(self, recognizer, call, channel):
        """A channel that is not there."""
        with pytest.raises(AudioError, match="expected a channel of 0 to 1"):
            list(recognizer.segments(call, channel=channel))

    def test_limit(self, recognizer, talk):
        """A limit holds by the header's word, and by what is read where it tells nothing."""
        for audio in (written(talk, "WAV"), written(talk, "MP3")):
            with pytest.raises(AudioError, match=r"expected at most 2 s of audio"):
                list(recognizer.segments(audio, max_seconds=2))

    def test_settings(self, recognizer, talk):
        """A longest segment, or a baseline, that cannot be."""
        with pytest.raises(ConfigError, match="expected max_segment_s of 1 to 60 seconds"):
            recognizer.segments(talk, RATE, max_segment_s=0)
        with pytest.raises(BaselineError, match="was learned with the model"):
            list(
                recognizer.segments(talk, RATE, baseline=Recognizer.load("acoustic").new_baseline())
            )
