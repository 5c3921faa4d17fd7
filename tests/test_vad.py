"""Voice activity: speech is found, cut at pauses, and the same however it is chunked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.audio import RATE, load_audio
from emovox.errors import ConfigError, NoSpeechError
from emovox.vad import CHUNK, MIN_SPEECH, PAD, Activity, Voice, find_speech

SECONDS = 5
TIME = np.arange(SECONDS * RATE) / RATE


def heard(audio: np.ndarray, **options) -> list:
    """Return all segments of some audio."""
    activity = Activity(**options)
    return [*activity.feed(audio), *activity.flush()]


def hum() -> np.ndarray:
    """A loud hum of 120 Hz with harmonics, which Silero alone takes for a voice."""
    return 0.4 * sum(np.sin(2 * np.pi * 120 * k * TIME) / k for k in range(1, 5))


def chords() -> np.ndarray:
    """Struck chords of three tones with harmonics that die away."""
    tones = (f * k for f in (261.6, 329.6, 392.0) for k in range(1, 6))
    return sum(0.05 * np.sin(2 * np.pi * tone * TIME) for tone in tones) * np.exp(-(TIME % 1) * 2)


def clicks() -> np.ndarray:
    """Two clicks a second."""
    return (np.arange(len(TIME)) % 8_000 < 10) * 0.8


NOISES = {
    "noise": lambda: np.random.default_rng(1).normal(0, 0.1, len(TIME)),
    "faint noise": lambda: np.random.default_rng(1).normal(0, 0.002, len(TIME)),
    "hum": hum,
    "tone": lambda: 0.3 * np.sin(2 * np.pi * 147 * TIME),
    "clicks": clicks,
    "chords": chords,
    "digital silence": lambda: np.zeros(len(TIME)),
}


class TestCheckSpeech:
    """Who does not speak is not judged."""

    @pytest.mark.parametrize("kind", NOISES)
    def test_no_speech(self, kind):
        """Noise, a hum, a tone, clicks and music are no speech, and give no segment."""
        sound = NOISES[kind]().astype(np.float32)
        with pytest.raises(NoSpeechError, match=r"^no speech in 5\.0 s of audio"):
            find_speech(sound)
        assert heard(sound) == []

    @pytest.mark.parametrize("gain", [1.0, 0.1, 0.01, 0.003])
    def test_any_level(self, voice, gain):
        """Speech is speech at any level that is above the noise floor."""
        find_speech(voice * np.float32(gain))

    def test_eight_bit(self, voice):
        """A recording of 8 bits is still speech."""
        find_speech((np.round(voice * 127) / 127).astype(np.float32))

    def test_one_word(self, voice):
        """A third of a second is enough."""
        find_speech(voice[4_000:9_400])

    @pytest.mark.corpora
    @pytest.mark.parametrize("corpus", ["tess", "ravdess", "emodb", "nemo"])
    def test_corpora(self, corpora_root, corpus):
        """Recordings of speech are not refused."""
        files = sorted((corpora_root / corpus).rglob("*.*a*"))[::37][:40]
        files = [file for file in files if file.suffix in (".flac", ".opus")]
        files = files or sorted((corpora_root / corpus).rglob("*.opus"))[::37][:40]
        assert len(files) > 10
        for file in files:
            find_speech(load_audio(file))


@pytest.fixture(scope="module")
def whole(talk):
    """Give the segments of the talk that comes in at once."""
    return heard(talk, interval_s=0.5)


class TestActivity:
    """How audio is cut into segments of speech."""

    def test_segments(self, talk):
        """Each utterance becomes a segment, with a little more on either side."""
        segments = heard(talk)
        assert len(segments) == 5
        assert all(segment.final for segment in segments)
        for before, after in pairwise(segments):
            assert before.end <= after.start
        for segment in segments:
            np.testing.assert_array_equal(segment.audio, talk[segment.start : segment.end])

    def test_edges(self, talk):
        """Silence before and after is left out, but for 0.2 s."""
        speech = talk[:20_000]
        segment = heard(np.pad(speech, (32_000, 32_000)))[0]
        assert 32_000 - (PAD + 1) * CHUNK <= segment.start <= 32_000 + 3 * CHUNK
        assert segment.end <= 52_000 + (PAD + 2) * CHUNK

    @settings(max_examples=25)
    @given(sizes=st.lists(st.integers(1, 160_000), min_size=1, max_size=8))
    def test_any_chunking(self, talk, whole, sizes):
        """However the audio comes in, the segments are the same."""
        activity, found, at, turn = Activity(interval_s=0.5), [], 0, 0
        while at < len(talk):
            size = sizes[turn % len(sizes)] if turn < 300 else 16_000
            found += activity.feed(talk[at : at + size])
            at, turn = at + size, turn + 1
        found += activity.flush()
        assert [(s.start, s.end, s.final) for s in found] == [
            (s.start, s.end, s.final) for s in whole
        ]
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one.audio, other.audio)

    @pytest.mark.parametrize("segment_s", [1.0, 1.7, 4.0])
    def test_longest_segment(self, voice, segment_s):
        """Speech without a pause is cut before a segment grows too long, and nothing is lost."""
        segments = heard(np.tile(voice, 9), max_segment_s=segment_s)
        assert len(segments) >= 9 / segment_s - 1
        assert all(segment.end - segment.start <= segment_s * RATE + CHUNK for segment in segments)
        for before, after in pairwise(segments):
            assert before.end == after.start

    def test_cut_where_quiet(self, voice):
        """A segment that grows too long is cut at its quietest moment, in its second half."""
        speech = np.tile(voice, 4)
        speech[40_000:42_000] *= 0.01
        first = heard(speech, max_segment_s=3.5)[0]
        assert 40_000 - CHUNK <= first.end <= 42_000 + CHUNK

    def test_interim(self, voice):
        """The first interim segment is due within 0.8 s, then one each half second, 4 s at most."""
        interim = [s for s in heard(np.tile(voice, 8), interval_s=0.5) if not s.final]
        assert [s.first for s in interim] == [True] + [False] * (len(interim) - 1)
        assert interim[0].end <= 0.8 * RATE
        assert len(interim) >= 12
        assert max(len(s.audio) for s in interim) <= 4.0 * RATE + CHUNK

    def test_speaking(self, talk):
        """It is known while it happens whether somebody speaks, and since when."""
        activity = Activity()
        assert (activity.speaking, activity.latest) == (False, None)
        activity.feed(talk[:16_000])
        assert activity.speaking
        start, end = activity.latest
        assert (start < 4_000, end) == (True, None)
        activity.feed(talk[16_000:38_000])
        assert not activity.speaking
        assert activity.latest[1] < 30_000

    def test_short_sounds_are_left_out(self, voice):
        """What is shorter than 0.2 s is no segment."""
        short = np.zeros(RATE, np.float32)
        n_short = (MIN_SPEECH - 3) * CHUNK
        short[8_000 : 8_000 + n_short] = voice[4_000 : 4_000 + n_short]
        assert heard(short) == []

    @pytest.mark.parametrize(
        "options",
        [
            {"max_segment_s": 0.5},
            {"max_segment_s": float("nan")},
            {"interval_s": 0.0},
            {"max_segment_s": "long"},
        ],
    )
    def test_options(self, options):
        """A number out of range is refused."""
        with pytest.raises(ConfigError, match=r"expected (max_segment_s|interval_s) of .* seconds"):
            Activity(**options)


class TestVoice:
    """The network that tells speech."""

    def test_memory_of_its_own(self, voice):
        """Two that listen in turn do not disturb each other."""
        chunks = voice[: 20 * CHUNK].reshape(-1, CHUNK)
        alone, one, other = Voice(), Voice(), Voice()
        expected = [alone.probability(chunk) for chunk in chunks]
        found = []
        for chunk in chunks:
            found.append(one.probability(chunk))
            other.probability(chunk[::-1])
        assert found == expected
        assert max(expected) > 0.9
