"""Training data of an acoustic network: clips, in new voices each epoch, and their baselines.

Random draws here last for one epoch. Baselines are made as in use: of other clips of the
speaker, heard without their labels, and shrunk towards the training data's mean.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...audio import RATE
from ..settings import Acoustic, AcousticConfig
from .features import dct_matrix, mel_filters

PRIOR_SECONDS = 4.0  # of the training data's mean, in an acoustic model's baseline

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """Clips: frames, shape=(n_frames, n_features), and numbers for emotion, speaker, corpus."""

    frames: tuple[Array, ...]
    targets: NDArray[np.int64]
    speakers: NDArray[np.int64]  # from 0 on; unknown speakers have one for each clip
    corpora: NDArray[np.int64]  # from 0 on

    @cached_property
    def means(self) -> Array:
        """Each clip's mean frame, shape=(n_clips, n_features)."""
        return np.stack([clip.mean(0) for clip in self.frames])


@dataclass(frozen=True)
class Voices:
    """The voices of one epoch: those of the speakers, or others made of them.

    A clip's frames times its speaker's matrix, plus the offset, are the clip in that voice.
    """

    speeds: NDArray[np.float64]  # (n_speakers,)
    matrices: Array  # (n_speakers, n_features, n_features)
    offsets: Array  # (n_speakers, n_features)

    def clip(self, frames: Array, speaker: int) -> Array:
        """Return a clip's frames in the speaker's voice of this epoch."""
        speed = self.speeds[speaker]
        if speed != 1.0:
            frames = frames[np.arange(0, len(frames) - 0.5, speed).astype(int)]
        moved: Array = frames @ self.matrices[speaker] + self.offsets[speaker]
        return moved

    def means(self, examples: Examples) -> Array:
        """Return each clip's mean frame in its voice, shape=(n_clips, n_features)."""
        means = np.empty_like(examples.means)
        for speaker, (matrix, offset) in enumerate(zip(self.matrices, self.offsets, strict=True)):
            own_clips = examples.speakers == speaker
            means[own_clips] = examples.means[own_clips] @ matrix + offset
        return means


def draw_voices(
    n_speakers: int, deviation: Array, settings: Acoustic, rng: np.random.Generator
) -> Voices:
    """Draw a voice for each speaker.

    It is as if the recordings were played faster or slower by up to the setting `resample`, and
    every feature lay elsewhere by a Gaussian of `offset` standard deviations.
    """
    n_features = len(deviation)
    limit = np.log1p(settings.resample)
    speeds = np.exp(rng.uniform(-limit, limit, n_speakers))
    offsets = rng.normal(0.0, settings.offset, (n_speakers, n_features)) * deviation
    if settings.resample:
        matrices = np.stack([resampled(speed, settings.features) for speed in speeds])
    else:
        matrices = np.tile(np.eye(n_features), (n_speakers, 1, 1))
    return Voices(speeds, matrices.astype(np.float32), offsets.astype(np.float32))


def resampled(speed: float, config: AcousticConfig) -> NDArray[np.float64]:
    """Make the matrix that moves frames as playing a recording at another speed would.

    All frequencies are multiplied by `speed`: the mel bands behind the MFCC are interpolated, and
    the pitch classes turned. That is close to the features of resampled sound, and a
    thousand times cheaper. Spectral contrast, in octaves, stays as it is.

    Returns
    -------
    matrix : ndarray, shape=(n_features, n_features)
        ``frames @ matrix``.
    """
    filters = mel_filters(config.n_mels, config.n_fft)
    hz = np.linspace(0.0, RATE / 2, filters.shape[1])
    centres = filters @ hz / filters.sum(1)
    bands = [np.interp(centres / speed, centres, band) for band in np.eye(config.n_mels)]
    dct = dct_matrix(config.n_mfcc, config.n_mels)
    classes = np.arange(config.n_chroma)
    turned = classes - config.n_chroma * np.log2(speed)
    matrix = np.eye(config.n_features)
    after = config.n_mfcc + config.n_chroma
    matrix[: config.n_mfcc, : config.n_mfcc] = dct @ np.array(bands) @ dct.T
    matrix[config.n_mfcc : after, config.n_mfcc : after] = [
        np.interp(turned, classes, row, period=config.n_chroma) for row in np.eye(config.n_chroma)
    ]
    return matrix


def draw_baselines(
    embeddings: Array, examples: Examples, settings: Acoustic, rng: np.random.Generator
) -> Array:
    """Draw the baseline that each clip meets: none, or that of other clips of its speaker.

    Parameters
    ----------
    embeddings : ndarray of float32, shape=(n_clips, n_features)
        Mean standardised frames.
    examples : Examples
    settings : Acoustic
    rng : numpy Generator

    Returns
    -------
    baselines : ndarray of float32, shape=(n_clips, n_features)
    """
    baselines = np.zeros_like(embeddings)
    if settings.p_alone == 1.0:
        return baselines
    seconds = np.array([len(clip) for clip in examples.frames]) * settings.features.hop / RATE
    speakers = examples.speakers
    of_speaker = {number: np.flatnonzero(speakers == number) for number in set(speakers)}
    for index in np.flatnonzero(rng.random(len(embeddings)) >= settings.p_alone):
        clips = of_speaker[speakers[index]]
        n_heard = int(np.exp(rng.uniform(0.0, np.log(settings.max_heard + 1))))
        heard = rng.permutation(clips[clips != index])[:n_heard]
        weight = PRIOR_SECONDS + seconds[heard].sum()
        baselines[index] = seconds[heard] @ embeddings[heard] / weight
    return baselines


def cut_and_masked(
    frames: Array, usual: Array, settings: Acoustic, rng: np.random.Generator
) -> Array:
    """Return a piece of a clip, with a run of its frames and one of its features hidden.

    Parameters
    ----------
    frames : ndarray of float32, shape=(n_frames, n_features)
    usual : ndarray of float32, shape=(n_features,)
        Values that replace the hidden ones.
    """
    longest = round(settings.crop_s * RATE / settings.features.hop)
    if 0 < longest < len(frames):
        first = rng.integers(len(frames) - longest + 1)
        frames = frames[first : first + longest]
    if settings.mask:
        frames = frames.copy()
        frames[_run(len(frames), settings.mask, rng)] = usual
        columns = _run(len(usual), settings.mask, rng)
        frames[:, columns] = usual[columns]
    return frames


def _run(n: int, share: float, rng: np.random.Generator) -> slice:
    """Draw a run of at most a share of `n` places."""
    length = int(rng.uniform(0.0, share) * n)
    first = int(rng.integers(n - length + 1))
    return slice(first, first + length)
