"""Channels: the clips of a session share one; copies repeat themselves; noise is where it says."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE
from emovox.corpora import Utterance
from emovox.errors import ConfigError
from emovox.loudness import LEVEL_DB, speech_level_db
from emovox.training.speech.channels import (
    Backgrounds,
    Channel,
    Noise,
    Room,
    backgrounds_of,
    channel_of,
    generator,
    load_places,
    sent_through,
)
from emovox.training.speech.sessions import Sessions
from made_corpus import voice

NOTHING = Backgrounds()
PARTS = {
    "resampled": Channel(resampled=1.1),
    "room": Channel(room=Room(0.4, -3.0, 7)),
    "tilt": Channel(tilt=0.5),
    "coloured": Channel(noise=Noise("coloured", 20.0, 1.0)),
    "real": Channel(noise=Noise("real", 20.0, 1.0)),
    "babble": Channel(noise=Noise("babble", 20.0, 1.0)),
    "tone": Channel(tone=(5000.0, 30.0)),
    "band": Channel(band_hz=(200.0, 3400.0)),
    "clipped": Channel(clipped=0.01),
    "mulaw": Channel(codec=("WAV", "ULAW", 8000)),
    "opus": Channel(codec=("OGG", "OPUS", RATE)),
    "mp3": Channel(codec=("MP3", "MPEG_LAYER_III", RATE)),
}


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Give a second of two made-up words."""
    rng = np.random.default_rng(2)
    return np.concatenate([voice("angry", 140.0, rng), voice("sad", 140.0, rng)])


@pytest.fixture(scope="module")
def backgrounds() -> Backgrounds:
    """Give a place that hums, and three voices."""
    rng = np.random.default_rng(3)
    hum = np.sin(2 * np.pi * 6000 * np.arange(RATE) / RATE).astype(np.float32)
    return backgrounds_of([hum], [voice("happy", pitch, rng) for pitch in (90.0, 120.0, 200.0)])


def sent(channel: Channel, clip: np.ndarray, backgrounds: Backgrounds, seed: int = 1):
    """Send a clip through a channel."""
    return sent_through(channel, clip, backgrounds, np.random.default_rng(seed))


@pytest.mark.parametrize("part", PARTS)
def test_a_channel_changes_a_clip_and_repeats_itself(part, clip, backgrounds):
    """Each part is heard, gives the same again, and leaves speech at the model's level."""
    before = clip.copy()
    once, again = (sent(PARTS[part], clip, backgrounds) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(clip, before)
    assert once.dtype == np.float32
    assert speech_level_db(once) == pytest.approx(LEVEL_DB, abs=0.1)
    plain = sent(Channel(), clip, backgrounds)
    assert len(once) != len(plain) or np.abs(once - plain).max() > 1e-3


@pytest.mark.parametrize("kind", ["coloured", "real", "babble"])
def test_the_noise_is_each_clip_s_own(kind, clip, backgrounds):
    """Clips of a session have the same kind of noise, not the same noise."""
    channel = Channel(noise=Noise(kind, 20.0, 1.0))
    assert not np.array_equal(*(sent(channel, clip, backgrounds, seed) for seed in (1, 2)))


def test_the_room_is_the_session_s(clip):
    """Without noise, nothing of a channel depends on the clip's draw."""
    channel = Channel(room=Room(0.5, 0.0, 3), tilt=-0.4)
    one, other = (sent(channel, clip, NOTHING, seed) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)


def test_real_noise_is_that_of_the_places(clip, backgrounds):
    """Real noise is heard where it was recorded; without places, coloured noise stands in."""
    channel = Channel(noise=Noise("real", 15.0, 0.0))
    hum = lambda sound: np.abs(np.fft.rfft(sound))[6000 * len(sound) // RATE]  # noqa: E731
    assert hum(sent(channel, clip, backgrounds)) > 20 * hum(sent(channel, clip, NOTHING))


def test_channels_are_drawn_by_session_and_seed():
    """A session has one channel; other sessions and seeds have others."""
    assert channel_of(1, "tess", "OAF", 1, 0) == channel_of(1, "tess", "OAF", 1, 0)
    drawn = [channel_of(seed, "tess", "OAF", copy, 0) for seed in (1, 2) for copy in range(20)]
    assert len(set(drawn)) > 35
    for part in dataclasses.fields(Channel):
        assert len({getattr(channel, part.name) for channel in drawn}) > 1


@pytest.mark.parametrize("session", range(30))
def test_every_channel_gives_sound(session, clip, backgrounds):
    """Whatever is drawn, the result is finite and holds speech."""
    heard = sent(channel_of(5, session), clip, backgrounds)
    assert np.isfinite(heard).all()
    assert len(heard) > 0.8 * len(clip)
    assert speech_level_db(heard) == pytest.approx(LEVEL_DB, abs=0.1)


def test_places_are_chosen_by_their_names(tmp_path):
    """Files count whose names begin with a prefix; silent ones and texts are passed over."""
    for name, level in (("house-1", 0.1), ("house-2", 0.0), ("metro-1", 0.2)):
        sound = np.full(1000, level, np.float32) * np.tile([1, -1], 500)
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE, "FLOAT")
    (tmp_path / "house.txt").write_text("no sound")
    assert [place.max() for place in load_places(tmp_path, ["house"])] == pytest.approx([0.1])
    assert len(load_places(tmp_path)) == 2
    assert load_places(None) == ()
    for folder, prefixes in ((tmp_path, ["road"]), (tmp_path / "nothing", [])):
        with pytest.raises(ConfigError, match="expected recordings of noise"):
            load_places(folder, prefixes)


def test_other_backgrounds_have_another_digest(backgrounds):
    """A changed sample, or a place that becomes a voice, is another digest."""
    places, voices = backgrounds.places, backgrounds.voices
    same = backgrounds_of(list(places), list(voices))
    louder = backgrounds_of([2 * places[0]], voices)
    moved = backgrounds_of((), (*places, *voices))
    assert same.digest == backgrounds.digest
    assert len({backgrounds.digest, louder.digest, moved.digest, NOTHING.digest}) == 4


def utterance(number: int, speaker: str) -> Utterance:
    """Make an utterance of which the content is a number."""
    return Utterance(
        Path(f"{number}.wav"), "sad", speaker, "", "made", "", "", f"{speaker}{number}"
    )


def test_sessions_hold_about_forty_clips():
    """A speaker's clips are divided by content; each copy divides them in another way."""
    many = [utterance(number, "a") for number in range(400)]
    few = [utterance(number, "b") for number in range(12)]
    sessions = Sessions.of([*many, *few])
    assert sessions == Sessions.of([*few[::-1], *many[::-1]])
    found = [sessions.session_of(one, 1) for one in many]
    sizes = [found.count(session) for session in set(found)]
    assert len(sizes) == 10
    assert min(sizes) > 15
    assert {sessions.session_of(one, 1) for one in few} == {("made", "b", 1, 0)}
    others = [sessions.session_of(one, 2) for one in many]
    assert not set(found) & set(others)
    assert sum(one[3] == other[3] for one, other in zip(found, others, strict=True)) < 100


def test_generators_differ_by_name():
    """Draws depend on the seed and the names, and on where one name ends."""
    drawn = {generator(*names).random() for names in ((1, "a", 2), (1, "a", 3), (2, "a", 2))}
    assert len(drawn) == 3
    assert generator(1, "ab", "c").random() != generator(1, "a", "bc").random()
