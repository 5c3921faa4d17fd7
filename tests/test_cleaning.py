"""Clicks and offsets: taken out of every clip, and nothing else is touched."""

import numpy as np
import pytest

from emovox import Recognizer
from emovox.audio import RATE, load_audio
from emovox.cleaning import RunningOffset, cleaned
from emovox.errors import SilenceError
from emovox.vad import CHUNK, Voice, find_speech


def clicked(clip: np.ndarray, at: int, height: float, n_samples: int = 4) -> np.ndarray:
    """Put a click into a copy of a clip."""
    clip = clip.copy()
    clip[at : at + n_samples] = height
    return clip


def creak(hz: int = 40) -> np.ndarray:
    """Make pulses that ring, as those of a creaky voice do."""
    time = np.arange(2 * RATE) % (RATE // hz) / RATE
    pulses = 0.6 * np.exp(-300 * time) * np.sin(2 * np.pi * 900 * time)
    return (pulses - pulses.mean()).astype(np.float32)


VOICES = {
    "voice": lambda voice: voice,
    "loud": lambda voice: voice * np.float32(3),
    "clipped": lambda voice: np.clip(voice * np.float32(8), -1, 1),
    "creaky": lambda voice: creak(),
    "plosive": lambda voice: np.concatenate(
        (np.zeros(4_000, np.float32), np.random.default_rng(2).normal(0, 0.3, 160), voice)
    ).astype(np.float32),
    "padded": lambda voice: np.pad(voice, 4_000),
    "cut out of speech": lambda voice: voice[5_000:14_000],
    "silence": lambda voice: np.zeros(RATE, np.float32),
    "nothing": lambda voice: voice[:0],
    "a sample": lambda voice: voice[9_000:9_001],
}


class TestCleaned:
    """What is taken out, and what is not."""

    @pytest.mark.parametrize("kind", VOICES)
    def test_clean_is_left(self, voice, kind):
        """A clip without clicks and offset comes back as it is."""
        clip = VOICES[kind](voice)
        assert cleaned(clip) is clip

    @pytest.mark.parametrize("offset", [0.01, -0.1, 0.4])
    def test_offset(self, voice, offset):
        """An offset is gone to below the noise floor."""
        found = cleaned(voice + np.float32(offset))
        np.testing.assert_allclose(found, voice, atol=1e-3)

    def test_offset_of_sound_alone(self, voice):
        """Silence around it does not hide an offset, and gets none."""
        found = cleaned(np.pad(voice + np.float32(0.1), 50_000))
        np.testing.assert_allclose(found, np.pad(voice, 50_000), atol=1e-3)

    @pytest.mark.parametrize("height", [1.0, -1.0, 31.0])
    @pytest.mark.parametrize("n_samples", [1, 4, 12])
    @pytest.mark.parametrize("at", ["start", "middle", "end"])
    @pytest.mark.parametrize("offset", [0.0, 0.1])
    def test_click(self, voice, height, n_samples, at, offset):
        """A click of full scale or more is gone, wherever it is, and all else as it was."""
        clip = voice + np.float32(offset)
        first = {"start": 0, "middle": 8_000, "end": len(clip) - n_samples}[at]
        found = cleaned(clicked(clip, first, height, n_samples))
        untouched = np.ones(len(clip), bool)
        untouched[max(0, first - 17) : first + n_samples + 17] = False
        np.testing.assert_allclose(found[untouched], voice[untouched], atol=2e-3)
        assert np.abs(found).max() < 1.05 * np.abs(voice).max()

    def test_clicks_of_a_long_clip(self, voice):
        """However long a clip is, each of its clicks is found."""
        clip = np.tile(voice, 40)
        for at in range(4_000, len(clip), 20_000):
            clip[at] = 1.0
        np.testing.assert_allclose(cleaned(clip), np.tile(voice, 40), atol=0.2)

    @pytest.mark.corpora
    def test_real_recordings(self, corpora_root):
        """Of real recordings hardly a sample is changed."""
        files = [
            *sorted((corpora_root / "tess").rglob("*.flac"))[::60],
            *sorted((corpora_root / "ravdess").rglob("*.opus"))[::30],
            *sorted((corpora_root / "nemo").rglob("*.opus"))[::90],
        ]
        clips = [load_audio(file) for file in files]
        assert len(clips) > 100
        assert sum(int((cleaned(clip) != clip).sum()) for clip in clips) < 100


class TestRunningOffset:
    """The offset of what is still coming in."""

    def test_is_learned(self, voice):
        """Whatever the offset, what comes out is the same."""
        chunks = voice[: 30 * CHUNK].reshape(-1, CHUNK)
        plain, shifted = RunningOffset(), RunningOffset()
        for chunk in chunks:
            expected = plain.without(chunk)
            found = shifted.without(chunk + np.float32(0.2))
            np.testing.assert_allclose(found, expected, atol=1.1e-3)

    def test_follows(self):
        """An offset that changes is followed within some seconds."""
        offset = RunningOffset()
        for level in (0.0, 0.3):
            for _ in range(400):
                left = offset.without(np.full(CHUNK, level, np.float32))
        assert np.abs(left).max() < 1e-3


class TestDoors:
    """Whichever way sound comes in, neither turns an answer."""

    @pytest.fixture
    def spoilt(self, talk):
        """Give talk with an offset and clicks in its pauses and words."""
        return clicked(clicked(talk + np.float32(0.1), 9_000, 1.0), 26_000, 1.0)

    def test_clip(self, recognizer, talk, spoilt):
        """A clip has the answer that it has without them."""
        clean, other = (recognizer.predict(sound[:20_000], RATE) for sound in (talk, spoilt))
        assert other.label == clean.label
        assert dict(other.scores) == pytest.approx(dict(clean.scores), abs=0.02)

    def test_segments_and_stream(self, talk, spoilt):
        """Segments are found where they are found without them, in files and live alike."""
        recognizer = Recognizer.load()
        expected = list(recognizer.segments(talk, RATE))
        found = list(recognizer.segments(spoilt, RATE))
        assert len(found) == len(expected)
        differ = [a.label != b.label for a, b in zip(found, expected, strict=True)]
        assert sum(differ) <= 1
        for one, other in zip(found, expected, strict=True):
            assert abs(one.start - other.start) < 0.1
        stream = recognizer.stream(interval_s=None)
        assert [*stream.feed(spoilt), *stream.flush()] == found

    def test_speech(self, voice):
        """Speech is found in spite of them, also faint speech beside a loud click."""
        find_speech(cleaned(voice + np.float32(0.3)))
        find_speech(cleaned(clicked(voice * np.float32(0.01), 0, 31.0)))

    def test_offset_alone(self, recognizer):
        """A muted microphone with an offset is silence."""
        with pytest.raises(SilenceError):
            recognizer.predict(np.full(RATE, 0.2, np.float32), RATE)
        chunk = np.full(CHUNK, 0.2, np.float32)
        assert Voice().probability(chunk) == 0.0
