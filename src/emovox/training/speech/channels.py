"""Channels: a clip as another room, microphone, line, codec and noise would have given it.

A channel is drawn for a session, and all its clips go through it; only the noise is drawn for each
clip. So taking away a speaker's mean takes the channel away as well, in training as in use.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ...audio import RATE, Samples, audio_files, load_audio
from ...errors import AudioError, ConfigError
from ...evaluation.perturbations import (
    GSM,
    babble,
    clipped,
    coded,
    high_passed,
    in_room,
    looped,
    low_passed,
    noise,
    tilted,
    with_noise,
    with_tone,
)
from ...loudness import levelled

_P_RESAMPLED, _P_TILT, _P_BAND, _P_ROOM = 0.6, 0.45, 0.3, 0.4  # of each, drawn by itself
_P_CODEC, _P_NOISE, _P_TONE, _P_CLIPPED = 0.4, 0.65, 0.08, 0.1
_RESAMPLED = (0.86, 1.17)  # times as long: a voice a little larger or smaller
_TILT = 0.6  # at most, either way
_LOW_HZ, _HIGH_HZ = (40.0, 250.0), (3_200.0, 7_500.0)  # ends of the band
_DECAY_S = (0.1, 0.9)  # of a room, from a car to a hall
_ECHO_DB = (-14.0, 0.0)  # of its echo, against the voice itself
_VOLUME_M3 = 60.0  # any will do: the distance is chosen for the echo
_TAIL_S = 0.1  # of the echo, kept behind the last word
_STEEPNESS = (0.0, 2.2)  # of coloured noise, from white to beyond brown
_NOISE_DB, _NOISE_SPREAD_DB = (12.0, 45.0), 3.0  # below the speech; a session's, and its clips'
_TONE_HZ, _TONE_DB = (300.0, 7_500.0), (21.0, 46.0)  # below the speech: mains, a fan, a monitor
_CLIPPED = (5e-4, 1e-2)  # share of the samples
_KINDS, _P_KINDS = ("coloured", "real", "babble"), (0.45, 0.35, 0.2)
_N_VOICES = (4, 7)  # of a babble
Codec = tuple[str, str, int, float | None]  # as `coded` takes them
_CODECS: tuple[Codec, ...] = (
    ("WAV", "ULAW", 8_000, None),
    (*GSM, 8_000, None),
    ("OGG", "OPUS", RATE, None),
    ("OGG", "OPUS", RATE, 0.97),  # some 12 kbit/s, as messengers send voices
    ("MP3", "MPEG_LAYER_III", RATE, 0.8),
    ("OGG", "VORBIS", RATE, None),
)


@dataclass(frozen=True)
class Backgrounds:
    """What noise is made of: `places` are recordings without speech, `voices` clips for babble.

    Either may be empty; coloured noise stands in for it. `digest` tells these from any others.
    """

    places: tuple[Samples, ...] = ()
    voices: tuple[Samples, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Room:
    """A room: its reverberation time, the level of its echo, and what draws the echo itself."""

    decay_s: float
    echo_db: float
    seed: int


@dataclass(frozen=True)
class Noise:
    """A background: its kind, how far it lies below the speech, and how steep coloured noise is."""

    kind: str
    below_db: float
    steepness: float


@dataclass(frozen=True)
class Channel:
    """What a session does to each of its clips, in this order; None, 0 or 1.0: nothing."""

    resampled: float = 1.0
    room: Room | None = None
    tilt: float = 0.0
    noise: Noise | None = None
    tone: tuple[float, float] | None = None  # Hz, and dB below the speech
    band_hz: tuple[float, float] | None = None
    clipped: float = 0.0
    codec: Codec | None = None


def draw_channel(rng: np.random.Generator) -> Channel:
    """Draw a channel; each part of it is there or not."""
    return Channel(
        resampled=_between(rng, _RESAMPLED) if rng.random() < _P_RESAMPLED else 1.0,
        tilt=rng.uniform(-_TILT, _TILT) if rng.random() < _P_TILT else 0.0,
        band_hz=(_between(rng, _LOW_HZ), _between(rng, _HIGH_HZ))
        if rng.random() < _P_BAND
        else None,
        room=Room(rng.uniform(*_DECAY_S), rng.uniform(*_ECHO_DB), int(rng.integers(1 << 30)))
        if rng.random() < _P_ROOM
        else None,
        codec=_CODECS[rng.integers(len(_CODECS))] if rng.random() < _P_CODEC else None,
        noise=Noise(
            str(rng.choice(_KINDS, p=_P_KINDS)), rng.uniform(*_NOISE_DB), rng.uniform(*_STEEPNESS)
        )
        if rng.random() < _P_NOISE
        else None,
        tone=(rng.uniform(*_TONE_HZ), rng.uniform(*_TONE_DB)) if rng.random() < _P_TONE else None,
        clipped=rng.uniform(*_CLIPPED) if rng.random() < _P_CLIPPED else 0.0,
    )


def channel_of(seed: int, *session: object) -> Channel:
    """Return the channel of a session, drawn by its name and the seed."""
    return draw_channel(generator(seed, *session))


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return a generator that depends on a seed and some names alone."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _between(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    """Draw from a range whose logarithm is uniform."""
    return float(np.exp(rng.uniform(*np.log(ends))))


def resampled(clip: Samples, factor: float) -> Samples:
    """Return a clip so many times as long, and its voice as much lower."""
    if factor == 1.0:
        return clip
    return np.asarray(soxr.resample(clip, RATE, RATE * factor), np.float32)


def sent_through(
    channel: Channel, clip: Samples, backgrounds: Backgrounds, rng: np.random.Generator
) -> Samples:
    """Return a clip as it comes out of a channel, its speech at the level that a model hears.

    Parameters
    ----------
    channel : Channel
    clip : ndarray of float32, shape=(n_samples,)
        Speech alone, mono at 16 kHz.
    backgrounds : Backgrounds
    rng : numpy.random.Generator
        Draws this clip's noise.

    Returns
    -------
    ndarray of float32
        Longer where it was resampled, or where a room goes on behind the last word.
    """
    sound = resampled(clip, channel.resampled)
    if channel.room:
        sound = _in_room(sound, channel.room)
    if channel.tilt:
        sound = tilted(sound, channel.tilt)
    if channel.noise:
        below_db = channel.noise.below_db + rng.uniform(-_NOISE_SPREAD_DB, _NOISE_SPREAD_DB)
        sound = with_noise(
            sound, _background(channel.noise, len(sound), backgrounds, rng), below_db
        )
    if channel.tone:
        sound = with_tone(sound, *channel.tone)
    if channel.band_hz:
        sound = low_passed(high_passed(sound, channel.band_hz[0]), channel.band_hz[1])
    if channel.clipped:
        sound = clipped(sound, channel.clipped)
    if channel.codec:
        sound = coded(levelled(sound), *channel.codec)
    return levelled(sound)


def _in_room(clip: Samples, room: Room) -> Samples:
    """Put a clip into a room, at the distance where the echo has its level."""
    critical_m = 0.057 * np.sqrt(_VOLUME_M3 / room.decay_s)  # as `in_room` has it
    distance_m = critical_m * 10 ** (room.echo_db / 20)
    longer = np.pad(clip, (0, round(_TAIL_S * RATE)))
    return in_room(longer, room.decay_s, _VOLUME_M3, distance_m, np.random.default_rng(room.seed))


def _background(
    kind: Noise, n_samples: int, backgrounds: Backgrounds, rng: np.random.Generator
) -> Samples:
    """Return a background of mean power 1."""
    if kind.kind == "real" and backgrounds.places:
        place = backgrounds.places[rng.integers(len(backgrounds.places))]
        return looped(place, n_samples, rng)
    if kind.kind == "babble" and backgrounds.voices:
        n_voices = rng.integers(_N_VOICES[0], _N_VOICES[1] + 1)
        drawn = rng.integers(len(backgrounds.voices), size=n_voices)
        return babble([backgrounds.voices[index] for index in drawn], n_samples, rng)
    return noise(n_samples, kind.steepness, rng)


def load_places(folder: Path | None, prefixes: Sequence[str] = ()) -> tuple[Samples, ...]:
    """Read recordings of places without speech, those alone whose names begin with a prefix.

    Parameters
    ----------
    folder : Path or None
        None: there are none. Files without sound are passed over.
    prefixes : sequence of str
        Empty: all files count.

    Raises
    ------
    ConfigError
        If no such recording can be read.
    """
    if folder is None:
        return ()
    chosen = tuple(prefixes) or ("",)
    files = [path for path in audio_files(folder) if path.name.startswith(chosen)]
    read = [sound for path in files if (sound := _read(path)) is not None and sound.any()]
    if not read:
        wanted = f" that begin with {', '.join(prefixes)}" if prefixes else ""
        raise ConfigError(f"{folder}: expected recordings of noise{wanted}, found none to read")
    return tuple(read)


def _read(path: Path) -> Samples | None:
    try:
        return load_audio(path)
    except (AudioError, OSError):
        return None


def backgrounds_of(places: Sequence[Samples], voices: Sequence[Samples]) -> Backgrounds:
    """Gather what noise is made of; its digest is that of every sample."""
    digest = hashlib.sha256()
    for part in (places, voices):
        for sound in part:
            digest.update(hashlib.sha256(sound.tobytes()).digest())
        digest.update(b"end")
    return Backgrounds(tuple(places), tuple(voices), digest.hexdigest())
