"""Changes to a clip: each does what its name says, by as much as it says, the same each time."""

from collections.abc import Callable

import numpy as np
import pytest

from emovox.audio import RATE, Samples
from emovox.evaluation import perturbations as change

ALL: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "louder": lambda clip, rng: change.louder(clip, 2.0),
    "clipped": lambda clip, rng: change.clipped(clip, 0.003),
    "with_noise": lambda clip, rng: change.with_noise(clip, change.noise(len(clip), 1.0, rng), 20),
    "with_tone": lambda clip, rng: change.with_tone(clip, 6_000, 45),
    "high_passed": lambda clip, rng: change.high_passed(clip, 100),
    "low_passed": lambda clip, rng: change.low_passed(clip, 7_000),
    "tilted": lambda clip, rng: change.tilted(clip, 0.6),
    "coded": lambda clip, rng: change.coded(clip, "WAV", "ULAW", 8_000),
    "phoned": change.phoned,
    "in_room": lambda clip, rng: change.in_room(clip, 0.4, 60.0, 1.0, rng),
    "looped": lambda clip, rng: change.looped(clip, 40_000, rng),
}


def power(sound: np.ndarray) -> float:
    """Return the mean power of a sound."""
    return float(np.mean(sound.astype(np.float64) ** 2))


def db(one: np.ndarray, other: np.ndarray) -> float:
    """Return how many dB one sound is above the other."""
    return 10 * np.log10(power(one) / power(other))


def band(sound: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Return the power of a sound between two frequencies."""
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(spectrum[(hertz >= low_hz) & (hertz < high_hz)].sum())


@pytest.mark.parametrize("name", ALL)
def test_same_draw_same_sound(name, voice):
    """A change depends on the clip and the generator alone, and leaves the clip as it was."""
    before = voice.copy()
    once, again = (ALL[name](voice, np.random.default_rng(3)) for _ in range(2))
    assert once.dtype == np.float32
    assert np.array_equal(once, again)
    assert np.array_equal(voice, before)
    assert np.isfinite(once).all()


def test_speech_power_ignores_pauses(voice):
    """Silence around a clip does not make its speech softer."""
    padded = np.pad(voice, 16_000)
    assert change.speech_power(padded) == pytest.approx(change.speech_power(voice), rel=0.1)
    assert change.speech_power(np.zeros(100, np.float32)) == 0.0


@pytest.mark.parametrize("gain_db", [-40.0, 2.0, 6.0])
def test_louder(gain_db, voice):
    """A gain is that of the whole clip, also above full scale."""
    assert db(change.louder(voice, gain_db), voice) == pytest.approx(gain_db, abs=0.01)


def test_clipped(voice):
    """The share of samples asked for is limited, and nothing else is touched."""
    heard = change.clipped(voice, 0.01)
    assert np.mean(heard != voice) == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(("steepness", "octave_db"), [(0.0, 0.0), (1.0, -3.0), (2.0, -6.0)])
def test_noise_falls_with_frequency(steepness, octave_db, rng):
    """White noise is level, pink falls by 3 dB an octave, brown by 6; all of mean power 1."""
    sound = change.noise(160_000, steepness, rng)
    per_hertz = [band(sound, low, 2 * low) / low for low in (500, 1_000, 2_000)]
    falls = 10 * np.log10(np.divide(per_hertz[1:], per_hertz[:-1]))
    assert falls == pytest.approx([octave_db] * 2, abs=0.3)
    assert power(sound) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("below_db", [20.0, 40.0])
def test_noise_and_tone_lie_below_the_speech(below_db, voice, rng):
    """What is added is so many dB below the speech."""
    speech = np.sqrt(change.speech_power(voice)) * np.ones(1)
    for heard in (
        change.with_noise(voice, change.noise(len(voice), 0.0, rng), below_db),
        change.with_tone(voice, 6_000, below_db),
    ):
        assert db(speech, heard - voice) == pytest.approx(below_db, abs=0.1)


def test_looped_has_no_seam(rng):
    """A short sound goes on into itself without a jump."""
    time = np.arange(8_000) / RATE
    sound = np.sin(2 * np.pi * 50 * time).astype(np.float32)
    heard = change.looped(sound, 100_000, rng)
    assert len(heard) == 100_000
    assert power(heard) == pytest.approx(1.0, rel=0.01)
    assert np.abs(np.diff(heard)).max() < 0.1


def test_filters(rng):
    """At its frequency a filter takes 3 dB, an octave beyond it 12 dB, and inside nothing."""
    white = change.noise(160_000, 0.0, rng)
    high, low = change.high_passed(white, 400), change.low_passed(white, 2_000)
    for heard, at, beyond, inside in ((high, 400, 200, 3_000), (low, 2_000, 4_000, 200)):
        taken = [
            10 * np.log10(band(heard, hz * 0.97, hz * 1.03) / band(white, hz * 0.97, hz * 1.03))
            for hz in (at, beyond, inside)
        ]
        assert taken == pytest.approx([-3.0, -12.3, 0.0], abs=0.5)


def test_tilt(voice):
    """Tilt up makes a clip brighter, down darker, and neither louder."""
    shares = {
        slope: band(change.tilted(voice, slope), 2_000, 8_000) / band(voice, 2_000, 8_000)
        for slope in (0.6, -0.6)
    }
    assert shares[0.6] > 2
    assert shares[-0.6] < 0.7
    assert power(change.tilted(voice, 0.6)) == pytest.approx(power(voice), rel=0.01)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [("OGG", "OPUS", 16_000), ("MP3", "MPEG_LAYER_III", 16_000), (*change.GSM, 8_000)],
)
def test_codecs(kind, subtype, rate, voice):
    """A codec changes the samples, not the level, and loses what its rate cannot hold."""
    heard = change.coded(voice, kind, subtype, rate)
    assert len(heard) == pytest.approx(len(voice), abs=2_400)
    assert db(heard, voice) == pytest.approx(0.0, abs=2.0)
    if rate == 8_000:
        assert band(heard, 4_500, 8_000) < 0.1 * band(voice, 4_500, 8_000)


def test_phone_line(voice, rng):
    """A phone line keeps the middle of the voice, and hisses faintly above it."""
    heard = change.phoned(voice, rng)
    assert band(heard, 0, 150) < 0.3 * band(voice, 0, 150)
    assert 0 < band(heard, 4_500, 8_000) < 0.01 * band(heard, 300, 3_400)


def test_room_goes_on_after_the_voice(voice, rng):
    """In a room a pause is filled by what was said before; further away more than nearby."""
    clip = np.concatenate([voice, np.zeros(8_000, np.float32)])
    near, far = (change.in_room(clip, 0.8, 200.0, metres, rng) for metres in (0.3, 3.0))
    tails = [power(heard[len(voice) :]) / power(heard) for heard in (near, far)]
    assert 0 < tails[0] < tails[1]
    assert power(near) == pytest.approx(power(clip), rel=0.01)


def test_pauses(voice, rng):
    """Room tone has the level asked for, and the clip lies where it was put."""
    background = change.noise(48_000, 1.0, rng)
    heard = change.between_pauses(voice, background, -50.0, 1.0)
    assert len(heard) == 48_000
    assert 10 * np.log10(power(background * 10**-2.5)) == pytest.approx(-50.0, abs=0.1)
    silent = change.between_pauses(voice, np.zeros(48_000, np.float32), -50.0, 1.0)
    assert not silent[:16_000].any()
    assert np.abs(silent).max() == pytest.approx(0.3)
    assert np.allclose(heard - silent, background * 10**-2.5, atol=1e-6)
