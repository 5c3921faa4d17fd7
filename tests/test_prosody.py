"""Prosody: pitch, loudness, tempo and pauses, as they were made or are known to be."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import REPOSITORY
from emovox.audio import RATE, load_audio
from emovox.errors import AudioError, NoSpeechError
from emovox.measuring import MeasuringStream, measure_recording, measure_segments
from emovox.prosody import Prosody, measure, semitones
from emovox.prosody.pitch import HIGH_HZ, HOP, LOW_HZ, track_pitch
from emovox.prosody.syllables import levels_db, nuclei

EVEN = REPOSITORY / "examples" / "even.flac"


def buzz(hertz: np.ndarray | float, seconds: float = 1.0, n_harmonics: int = 8) -> np.ndarray:
    """Make a buzz like that of vocal folds: harmonics of a pitch, which may change."""
    pitch = np.broadcast_to(hertz, (round(seconds * RATE),))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, n_harmonics + 1))).astype(np.float32)


def cents(found: np.ndarray, expected: np.ndarray | float) -> np.ndarray:
    """Return how far pitches lie apart, in cents."""
    return np.abs(1200 * np.log2(found / expected))


def syllabic(n_syllables: int, hertz: float = 150.0) -> np.ndarray:
    """Make syllables of 200 ms, each of which swells and fades by more than 20 dB."""
    swell = np.sin(np.pi * np.arange(RATE // 5) / (RATE // 5)) ** 2 + 0.05
    sound = buzz(hertz, n_syllables / 5) * np.tile(swell, n_syllables)
    return np.pad(sound, RATE // 5).astype(np.float32)


class TestPitch:
    """How high a voice is."""

    @pytest.mark.parametrize("hertz", [75, 90, 130, 201, 317.5, 440, 590])
    def test_a_steady_buzz(self, hertz):
        """Every frame within a steady buzz has its pitch, to a tenth of a semitone."""
        found = track_pitch(buzz(hertz))
        assert len(found) == RATE // HOP + 1
        assert cents(found[5:-5], hertz).max() < 10

    @pytest.mark.parametrize("hertz", [85, 150, 400])
    def test_a_pure_tone(self, hertz):
        """A single sine has its own pitch, not that of an octave below."""
        assert cents(track_pitch(buzz(hertz, n_harmonics=1))[5:-5], hertz).max() < 10

    def test_a_missing_fundamental(self):
        """Harmonics alone tell the pitch, as over a telephone."""
        phase = 2 * np.pi * 120 * np.arange(RATE) / RATE
        sound = 0.1 * sum(np.sin(k * phase) for k in range(3, 12)).astype(np.float32)
        assert cents(track_pitch(sound)[5:-5], 120).max() < 10

    @pytest.mark.parametrize(("first", "last"), [(100, 200), (400, 150), (80, 550)])
    def test_a_glide(self, first, last):
        """A pitch that glides by octaves a second is followed, without a delay."""
        hertz = np.geomspace(first, last, RATE)
        found = track_pitch(buzz(hertz))
        expected = hertz[np.minimum(np.arange(len(found)) * HOP, RATE - 1)]
        assert cents(found[5:-5], expected[5:-5]).max() < 25

    def test_voiced_where_the_voice_is(self):
        """Silence and noise around a buzz have no pitch."""
        noise = np.random.default_rng(0).normal(0, 0.005, RATE // 2).astype(np.float32)
        found = track_pitch(np.concatenate((np.zeros(RATE // 2), noise, buzz(200), noise)))
        voiced = ~np.isnan(found)
        assert voiced[102:198].all()
        assert not voiced[:97].any()
        assert not voiced[203:].any()

    def test_noise_and_silence_have_none(self, rng):
        """White noise, digital silence, a constant and next to nothing have no pitch."""
        sounds = (rng.normal(0, 0.1, 2 * RATE), np.zeros(RATE), np.full(RATE, 0.3), np.zeros(1))
        for sound in sounds:
            assert np.isnan(track_pitch(sound.astype(np.float32))).mean() > 0.97

    def test_an_offset_is_no_matter(self):
        """A constant offset moves no pitch."""
        found = track_pitch(buzz(170) + np.float32(0.2))[5:-5]
        assert cents(found, 170).max() < 10

    def test_longer_than_a_minute(self):
        """What is tracked minute by minute has as many frames, and the same pitch throughout."""
        found = track_pitch(buzz(140, 130.0, n_harmonics=3))
        assert len(found) == 13_001
        assert np.isnan(found[5:-5]).sum() <= 2
        assert np.nanmax(cents(found[5:-5], 140)) < 10

    @given(st.integers(0, 3 * RATE))
    def test_a_frame_for_every_10_ms(self, n_samples):
        """A clip of any length has a frame for each 10 ms, within the range."""
        found = track_pitch(buzz(180, 3.0)[:n_samples])
        assert found.shape == (n_samples // HOP + 1,)
        assert np.all(np.isnan(found) | ((found >= LOW_HZ) & (found <= HIGH_HZ)))


class TestSyllables:
    """Nuclei of syllables."""

    @pytest.mark.parametrize("n_syllables", [1, 4, 9])
    def test_swells_are_counted(self, n_syllables):
        """Each swell of a voice is a nucleus."""
        sound = syllabic(n_syllables)
        assert len(nuclei(levels_db(sound), track_pitch(sound))) == n_syllables

    def test_without_voice_there_are_none(self, rng):
        """Swells of noise are not: a whisper has no nuclei that are voiced."""
        sound = syllabic(5) * 0 + (rng.normal(0, 1, 7 * RATE // 5) * syllabic(5)).astype(np.float32)
        assert len(nuclei(levels_db(sound), track_pitch(sound))) == 0


class TestMeasure:
    """A stretch of speech, measured."""

    def test_what_was_made(self):
        """Pitch, range, level, tempo and pauses of a made-up voice are those it was made with."""
        low, high = syllabic(5, 110.0)[: -RATE // 5], syllabic(5, 220.0)[RATE // 5 :]
        gap = np.zeros(RATE // 2, np.float32)
        prosody = measure(np.concatenate((low, gap, high)))
        assert prosody.pitch_range_st == pytest.approx(12.0, abs=0.2)
        assert semitones(110.0) - 0.1 <= prosody.pitch_st <= semitones(220.0) + 0.1
        assert prosody.rate_hz == pytest.approx(5.0, abs=0.5)
        assert prosody.pause_share == pytest.approx(0.5 / 2.5, abs=0.04)
        assert prosody.voiced_share > 0.9

    def test_semitones(self):
        """Semitones count from 27.5 Hz, an octave has twelve, and hertz go there and back."""
        assert semitones(440.0) == pytest.approx(48.0)
        prosody = measure(buzz(220))
        assert prosody.pitch_st == pytest.approx(36.0, abs=0.05)
        assert prosody.pitch_hz == pytest.approx(220.0, rel=0.003)

    @given(st.floats(-30.0, 12.0))
    def test_gain_changes_the_level_alone(self, gain_db):
        """A louder recording is louder by as much; nothing else moves."""
        voice = load_audio(EVEN) * np.float32(0.2)
        before = measure(voice)
        after = measure(voice * np.float32(10 ** (gain_db / 20)))
        assert after.level_db - before.level_db == pytest.approx(gain_db, abs=0.11)
        for name in ("pitch_st", "pitch_range_st", "rate_hz", "pause_share", "voiced_share"):
            assert getattr(after, name) == pytest.approx(getattr(before, name), abs=0.1), name

    def test_silence_around_is_no_pause(self):
        """Silence before and after the speech is not a pause in it."""
        voice = load_audio(EVEN)
        apart = np.pad(voice, RATE)
        assert measure(apart).pause_share == measure(voice).pause_share
        assert measure(apart).rate_hz == pytest.approx(measure(voice).rate_hz, abs=0.1)

    def test_pauses_that_were_cut_out_count(self):
        """Seconds that were left out lengthen the stretch."""
        whole = measure(buzz(200, 2.0), pauses_s=2.0)
        assert whole.pause_share == pytest.approx(0.5, abs=0.01)
        assert whole.rate_hz == measure(buzz(200, 2.0)).rate_hz

    def test_noise_has_no_pitch(self, rng):
        """Noise, as a whisper is, has a level and no pitch."""
        prosody = measure(rng.normal(0, 0.1, RATE).astype(np.float32))
        assert prosody.pitch_st is None
        assert prosody.pitch_range_st is None
        assert prosody.pitch_hz is None
        assert prosody.voiced_share < 0.05
        assert prosody.level_db == pytest.approx(-20.0, abs=0.2)

    @pytest.mark.parametrize("n_samples", [1, 159, 161, RATE])
    def test_silence(self, n_samples):
        """Digital silence, however short, is a pause without anything in it."""
        silence = measure(np.zeros(n_samples, np.float32))
        assert silence == Prosody(None, None, -120.0, None, 1.0, 0.0)

    @pytest.mark.parametrize(
        "sound", [np.zeros(0, np.float32), np.float32([np.nan]), np.zeros(9), np.float32([[0.1]])]
    )
    def test_unusable_samples(self, sound):
        """What is empty, not finite or not mono float32 is an error that says so."""
        with pytest.raises(AudioError, match="expected clips"):
            measure(sound)

    def test_relative_to_the_usual(self):
        """A difference has the names of the measurements; what one of them lacks is unknown."""
        usual, now = measure(buzz(110)), measure(buzz(220) * np.float32(0.5))
        change = now.relative_to(usual)
        assert change["pitch_st"] == pytest.approx(12.0, abs=0.05)
        assert change["level_db"] == pytest.approx(-6.0, abs=0.2)
        assert change.keys() == {field.name for field in dataclasses.fields(Prosody)}
        nothing = measure(np.zeros(RATE, np.float32))
        assert now.relative_to(nothing)["pitch_st"] is None


class TestDoors:
    """The same measurements wherever they are asked for."""

    def test_predict(self, recognizer):
        """`predict` has them only where asked for, and nothing else changes."""
        plain, measured = recognizer.predict(EVEN), recognizer.predict(EVEN, prosody=True)
        assert plain.prosody is None
        assert "prosody" not in plain.to_dict()
        assert dataclasses.replace(measured, prosody=None) == plain
        assert measured.to_dict()["prosody"] == measured.prosody.to_dict()
        assert measured.prosody.level_db == measured.level_db

    def test_without_a_model(self, recognizer, talk):
        """Measuring alone gives what recognising gives, for a recording and for its segments."""
        whole = measure_recording(talk, RATE)
        assert whole.prosody == recognizer.predict(talk, RATE, prosody=True).prosody
        alone = list(measure_segments(talk, RATE))
        heard = recognizer.segments(talk, RATE, prosody=True)
        assert [(one.start, one.end, one.level, one.prosody) for one in alone] == [
            (one.start, one.end, one.level, one.prosody) for one in heard
        ]
        assert len(alone) > 1

    @pytest.mark.parametrize("n_block", [160, 4_001, 10**6])
    def test_streams(self, recognizer, talk, n_block):
        """Streams, of any blocks, give what the file gives; interim decisions have none."""
        streams = recognizer.stream(prosody=True), MeasuringStream()
        found = []
        for stream in streams:
            blocks = [talk[first : first + n_block] for first in range(0, len(talk), n_block)]
            found.append([one for block in blocks for one in stream.feed(block)] + stream.flush())
        predictions, measured = found
        final = [one for one in predictions if one.final]
        assert all(one.prosody is None for one in predictions if not one.final)
        assert [one.prosody for one in final] == [one.prosody for one in measured]
        assert measured == list(measure_segments(talk, RATE))

    def test_pauses_between_segments_count(self, recognizer, voice):
        """A pause that `predict` leaves out is a pause of the recording."""
        apart = np.concatenate((voice, np.zeros(2 * RATE, np.float32), voice))
        share = recognizer.predict(apart, RATE, prosody=True).prosody.pause_share
        assert share > 0.4

    def test_nobody_speaks(self):
        """Where nobody speaks there is nothing to measure."""
        noise = np.random.default_rng(0).normal(0, 0.01, 2 * RATE).astype(np.float32)
        with pytest.raises(NoSpeechError):
            measure_recording(noise, RATE)
        assert not list(measure_segments(noise, RATE))


@pytest.mark.corpora
class TestCorpora:
    """Real recordings."""

    @pytest.mark.parametrize(("folder", "known"), [("Actor_07", 7), ("Actor_12", 7)])
    def test_syllables_of_a_known_sentence(self, corpora_root, folder, known):
        """RAVDESS's two sentences have seven syllables; those counted are as many, on average."""
        files = sorted((corpora_root / "ravdess" / folder).iterdir())
        clips = [load_audio(file) for file in files if file.name.startswith("03-01-0")]
        counted = [len(nuclei(levels_db(clip), track_pitch(clip))) for clip in clips]
        assert np.mean(counted) == pytest.approx(known, abs=1.5)

    def test_men_and_women(self, corpora_root):
        """Men of RAVDESS speak calmly at 80 to 160 Hz, women at 150 to 260 Hz."""
        for actor, low, high in ((1, 80, 160), (3, 80, 160), (2, 150, 260), (8, 150, 260)):
            files = sorted((corpora_root / "ravdess" / f"Actor_{actor:02}").glob("03-01-01-*"))
            pitches = [measure_recording(file).prosody.pitch_hz for file in files]
            assert low < np.median(pitches) < high, actor
