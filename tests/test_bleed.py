"""Calls in stereo: what a channel picks up of the other's speaker does not count as its own."""

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE
from emovox.decoding import read_blocks
from emovox.sound.bleed import Bleed

GAP = RATE  # samples between what is said


@pytest.fixture
def noise(rng):
    """Give a function that makes noise at -70 dB, shape (n_samples, 2)."""
    return lambda n: rng.normal(0, 3e-4, (n, 2)).astype(np.float32)


@pytest.fixture
def call(voice, noise):
    """Return a call: the first speaks, then the second, then both; each bleeds at -20 dB."""
    n = len(voice)
    gap = GAP
    spoken = np.zeros((3 * (n + gap), 2), np.float32)
    for at, who in ((0, 0), (n + gap, 1), (2 * (n + gap), 0)):
        spoken[at : at + n, who] += voice
    spoken[2 * (n + gap) : 2 * (n + gap) + n, 1] += 0.8 * voice[::-1]
    delayed = np.roll(spoken[:, ::-1], 80, axis=0)
    return spoken + 0.1 * delayed + noise(len(spoken))


def gated(sound, n_block):
    """Feed sound in blocks."""
    bleed = Bleed(sound.shape[1], RATE)
    parts = [bleed.feed(sound[at : at + n_block]) for at in range(0, len(sound), n_block)]
    return np.concatenate([*parts, bleed.flush()])


def power_db(sound):
    """Return the mean power of samples in dB of full scale."""
    return 10 * np.log10(np.mean(np.asarray(sound, np.float64) ** 2) + 1e-20)


def test_bleed_is_silenced_and_both_speakers_stay_where_both_talk(call, voice):
    """The fainter copy goes; a channel's own speech stays, in double talk, too."""
    n, gap = len(voice), GAP
    heard = gated(call, RATE)
    first, second, both = (slice(at + 4000, at + n - 4000) for at in (0, n + gap, 2 * (n + gap)))
    assert power_db(heard[first, 1]) < power_db(call[first, 1]) - 10
    assert power_db(heard[second, 0]) < power_db(call[second, 0]) - 10
    assert power_db(heard[first, 0]) > power_db(call[first, 0]) - 1
    assert power_db(heard[second, 1]) > power_db(call[second, 1]) - 1
    for channel in (0, 1):
        assert power_db(heard[both, channel]) > power_db(call[both, channel]) - 1


@pytest.mark.parametrize("n_block", [100, 1601, 10**6])
def test_the_size_of_the_blocks_makes_no_difference(call, n_block):
    """What comes out is the same, and as long as what went in."""
    assert np.array_equal(gated(call, n_block), gated(call, RATE))
    assert gated(call[:700], n_block).shape == (700, 2)


def test_channels_without_bleed_stay_as_they_are(voice, noise):
    """Who speaks alone on their channel is heard to the last sample, however faint."""
    n = len(voice)
    sound = noise(2 * n)
    sound[:n, 0] += voice
    sound[n:, 1] += 0.05 * voice
    heard = gated(sound, RATE)
    assert np.array_equal(heard[: n - 4000, 0], sound[: n - 4000, 0])
    assert power_db(heard[n:, 1]) > power_db(sound[n:, 1]) - 0.5


def test_a_damaged_channel_does_not_silence_the_other(voice):
    """Samples that are no numbers count as silence."""
    for value in (np.nan, np.inf, -np.inf):
        damaged = voice.copy()
        damaged[::100] = value
        assert np.array_equal(gated(np.stack([voice, damaged], 1), RATE)[:, 0], voice)
    sound = np.stack([voice, np.full_like(voice, np.nan)], 1)
    assert np.array_equal(gated(sound, RATE)[:, 0], voice)


@pytest.mark.parametrize("channel", [0, 1])
def test_files_and_arrays_are_read_without_bleed_alike(call, channel, tmp_path):
    """Whatever the recording comes as, its seconds are the same."""
    soundfile.write(tmp_path / "call.wav", call, RATE, "FLOAT")
    sources = ((tmp_path / "call.wav", None), (call, RATE))
    file, array = (
        np.concatenate(
            [b.samples for b in read_blocks(*source, channel=channel, without_bleed=True)]
        )
        for source in sources
    )
    assert np.array_equal(file, array)
    assert np.array_equal(file, gated(call, RATE)[:, channel])


def test_a_call_has_each_segment_once(call, recognizer):
    """The other's speech is no segment of a channel."""
    plain, alone = (
        [
            len(list(recognizer.segments(call, RATE, channel=channel, without_bleed=without)))
            for channel in (0, 1)
        ]
        for without in (False, True)
    )
    assert sum(alone) < sum(plain)
    assert min(alone) >= 1
