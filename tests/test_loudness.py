"""Only the speech is heard, at one level: neither its loudness nor what is around it matters."""

import numpy as np
import pytest

from conftest import REPOSITORY
from emovox.audio import RATE, load_audio
from emovox.errors import NoSpeechError, SilenceError
from emovox.loudness import (
    ADVICE,
    EDGE,
    LEVEL_DB,
    advice,
    judge_level,
    levelled,
    speech_level_db,
    without_edges,
)

TOLERANCE = 0.05  # of a score, for the noise in the fifth of a second kept on either side
VOICES = ("even", "man-even", "slow-and-low")


def gained(audio: np.ndarray, gain_db: float) -> np.ndarray:
    """Return a sound louder or fainter by some dB, within full scale."""
    return np.clip(audio * np.float32(10 ** (gain_db / 20)), -1, 1)


def noise(kind: str, seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    """Make white noise, or brown noise from 20 Hz on, at a level in dB of full scale."""
    sound = np.random.default_rng(seed).normal(0, 1, round(seconds * RATE))
    if kind == "brown":
        spectrum = np.fft.rfft(np.cumsum(sound))
        spectrum[: round(20 * seconds)] = 0
        sound = np.fft.irfft(spectrum, len(sound))
    return (sound * 10 ** (level_db / 20) / np.sqrt(np.mean(sound**2))).astype(np.float32)


@pytest.fixture(params=VOICES)
def sentence(request) -> np.ndarray:
    """Give a sentence of a synthesised voice, mono at 16 kHz."""
    return load_audio(REPOSITORY / "examples" / f"{request.param}.flac")


class TestWithoutEdges:
    """Where the speech in a clip begins and ends."""

    @pytest.mark.parametrize("n_before", [0, 1, 159, 160, 1_600, 5_000])
    def test_silence_before_is_no_matter(self, n_before):
        """Zeros before the first loud sample, many or few, leave the same clip."""
        loud = np.float32([EDGE, 0.1, -0.2, EDGE])
        clip = without_edges(np.pad(loud, (n_before, 900)))
        np.testing.assert_array_equal(clip[-904:], np.pad(loud, (0, 900)))
        assert not clip[:-904].any()
        assert len(clip) - 904 == min(n_before, RATE // 10)

    def test_noise_around_is_cut(self):
        """Noise below the edge is cut a tenth of a second before and after the speech."""
        noise = np.full(8_000, EDGE * 0.9, np.float32)
        clip = without_edges(np.concatenate((noise, np.ones(400, np.float32), noise)))
        assert len(clip) == 2 * (RATE // 10) + 400

    @pytest.mark.parametrize("samples", [[], [0.0], [EDGE / 2] * 9])
    def test_nothing_left(self, samples):
        """Of a clip without a loud sample nothing is left."""
        assert without_edges(np.float32(samples)).size == 0


class TestLevel:
    """How loud speech is, and whether that is at fault."""

    def test_gain(self, voice):
        """The level follows the gain, and is the same for all that a model hears."""
        level_db = speech_level_db(voice)
        for gain_db in (-40.0, -10.0, 6.0):
            louder = gained(voice, gain_db)
            assert speech_level_db(louder) == pytest.approx(level_db + gain_db, abs=0.01)
            heard = levelled(louder, speech_level_db(louder))
            assert speech_level_db(heard) == pytest.approx(LEVEL_DB, abs=0.01)

    def test_pauses_and_clicks(self, voice):
        """Neither long pauses nor a click move the level much."""
        level_db = speech_level_db(voice)
        with_pauses = np.concatenate([np.zeros(50_000, np.float32), voice, noise("white", 3, -60)])
        assert speech_level_db(with_pauses) == pytest.approx(level_db, abs=1)
        clicked = voice.copy()
        clicked[8_000:8_008] = 0.9
        assert speech_level_db(clicked) == pytest.approx(level_db, abs=1)

    def test_silence(self):
        """Digital silence has a level, too, and so has a single sample."""
        assert speech_level_db(np.zeros(1_000, np.float32)) == -120
        assert speech_level_db(np.ones(1, np.float32)) == pytest.approx(-10 * np.log10(160))

    @pytest.mark.parametrize(
        ("gain_db", "level"),
        [(-40, "too quiet"), (-25, "good"), (0, "good"), (6, "good"), (30, "too loud")],
    )
    def test_judged(self, recognizer, voice, gain_db, level):
        """Faint sound is too quiet, and what a converter cut off is too loud."""
        clip = gained(voice, gain_db)
        assert judge_level(clip, speech_level_db(clip)) == level
        prediction = recognizer.predict(clip, RATE)
        assert prediction.level == level
        assert [part.level for part in recognizer.segments(clip, RATE)] == [level]

    def test_advice(self):
        """Each fault is told once, with what to do about it; a good level needs no words."""
        assert advice(["good", "good"]) == []
        lines = advice(["too loud", "good", "too quiet", "too loud"])
        assert lines == [f"{level}: {words}" for level, words in ADVICE.items()]


class TestAnswer:
    """The answer depends on the speech alone."""

    @pytest.mark.parametrize("gain_db", [-40, -35, 6])
    def test_any_gain(self, recognizer, sentence, gain_db):
        """Faint and loud recordings get the answer that a usual one gets, at every door."""
        usual, moved = recognizer.predict(sentence, RATE), gained(sentence, gain_db)
        stream = recognizer.stream(interval_s=None)
        answers = [
            recognizer.predict(moved, RATE),
            *recognizer.segments(moved, RATE),
            *stream.feed(moved),
            *stream.flush(),
        ]
        assert len(answers) == 3
        for answer in answers:
            assert answer.label == usual.label
            assert answer.scores == pytest.approx(dict(usual.scores), abs=TOLERANCE)
            assert answer.level_db == pytest.approx(usual.level_db + gain_db, abs=1)

    @pytest.mark.parametrize("kind", ["white", "brown"])
    @pytest.mark.parametrize(("seconds", "level_db"), [(0.5, -62), (5.0, -62), (2.0, -50)])
    def test_noise_around(self, recognizer, sentence, kind, seconds, level_db):
        """The noise of a room before and after a sentence moves its answer next to nothing."""
        bare = recognizer.predict(sentence, RATE)
        before, after = (noise(kind, seconds, level_db, seed) for seed in (1, 2))
        around = np.concatenate([before, sentence, after])
        whole, parts = recognizer.predict(around, RATE), list(recognizer.segments(around, RATE))
        assert whole.label == bare.label
        assert whole.scores == pytest.approx(dict(bare.scores), abs=TOLERANCE)
        assert [part.label for part in parts] == [bare.label]
        assert parts[0].scores == pytest.approx(dict(whole.scores), abs=1e-4)

    @pytest.mark.parametrize("kind", ["white", "brown"])
    @pytest.mark.parametrize("level_db", [-90, -62, -50, -30, -10])
    def test_noise_alone(self, recognizer, kind, level_db):
        """Noise is no speech, however loud or faint."""
        sound = noise(kind, 3, level_db)
        with pytest.raises((NoSpeechError, SilenceError)):
            recognizer.predict(np.clip(sound, -1, 1), RATE)
        assert list(recognizer.segments(np.clip(sound, -1, 1), RATE)) == []
