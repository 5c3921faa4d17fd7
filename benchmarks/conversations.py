"""Conversations with known turns, stitched from a corpus's clips: on one channel, or as calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emovox.audio import RATE, load_audio
from stitched import speech_of

LEVEL = 0.05  # of a clip's speech, -26 dB of full scale
SPREAD_DB = 4.0  # by which a speaker may be louder or fainter than that
NOISE = 3e-4  # amplitude, -70 dB of full scale
CLIPS_A_TURN = (1, 3)
WITHIN_S, BETWEEN_S = (0.1, 0.6), (0.0, 1.2)  # pauses within turns and between them
OVERLAP_S = (0.3, 0.8)  # by which a turn may begin before the one before it ends
ROOM_S, DELAY_S = 0.025, (0.002, 0.012)  # in which reverberation falls by 8.7 dB; of the bleed

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Said:
    """What somebody said: seconds from the beginning, and who it was."""

    start: float
    end: float
    speaker: str


class Voice:
    """The clips of a speaker, in random order, over and over; emotions come mixed."""

    def __init__(self, files: Sequence[Path], rng: np.random.Generator) -> None:
        self._files, self._rng = files, rng
        self._gain = 10 ** (rng.uniform(-SPREAD_DB, SPREAD_DB) / 20)
        self._order: list[int] = []

    def say(self) -> Sound:
        """Return the next clip, from its first to its last sound."""
        if not self._order:
            self._order = [int(index) for index in self._rng.permutation(len(self._files))]
        return _speech(self._files[self._order.pop()]) * np.float32(self._gain)


@lru_cache(2000)
def _speech(file: Path) -> Sound:
    clip = load_audio(file)
    start, end = speech_of(clip)
    speech = clip[start:end]
    level = float(np.sqrt(np.mean(speech**2)))
    return speech * np.float32(LEVEL / max(level, 1e-6))


def converse(
    clips: dict[str, Sequence[Path]], seconds: float, seed: int, *, overlaps: float = 0.15
) -> tuple[Sound, list[Said]]:
    """Return a conversation of some speakers on one channel at 16 kHz, and who spoke when.

    `overlaps` is the share of turns that begin before the one before is over.
    """
    rng = np.random.default_rng(seed)
    voices = {speaker: Voice(files, rng) for speaker, files in clips.items()}
    sound = np.zeros(round((seconds + 60) * RATE), np.float32)
    said: list[Said] = []
    at, speaker = RATE // 2, ""
    while at < seconds * RATE:
        speaker = str(rng.choice([one for one in voices if one != speaker]))
        for _ in range(rng.integers(CLIPS_A_TURN[0], CLIPS_A_TURN[1] + 1)):
            clip = voices[speaker].say()
            sound[at : at + len(clip)] += clip
            said.append(Said(at / RATE, (at + len(clip)) / RATE, speaker))
            at += len(clip) + round(rng.uniform(*WITHIN_S) * RATE)
        end = round(said[-1].end * RATE)
        at = end + round(rng.uniform(*BETWEEN_S) * RATE)
        if rng.random() < overlaps:
            at = max(
                round(said[-1].start * RATE) + RATE // 5,
                end - round(rng.uniform(*OVERLAP_S) * RATE),
            )
    whole = sound[: round(max(one.end for one in said) * RATE) + RATE // 2]
    noisy = whole + rng.normal(0, NOISE, len(whole)).astype(np.float32)
    return np.clip(noisy, -1, 1), said


def call(
    clips: dict[str, Sequence[Path]],
    seconds: float,
    bleed_db: float | None,
    seed: int,
    *,
    double_talk: float = 0.2,
) -> tuple[Sound, list[list[Said]]]:
    """Return a call of two, shape (n_samples, 2), and what was said on each channel.

    Each channel also has the other's speaker, so much fainter, a few milliseconds later and as in a
    room; None: it has not. `double_talk` is the share of clips while which the other speaks, too.
    """
    rng = np.random.default_rng(seed)
    names = list(clips)
    voices = [Voice(clips[name], rng) for name in names]
    sound = np.zeros((round((seconds + 60) * RATE), 2), np.float32)
    said: list[list[Said]] = [[], []]

    def add(who: int, at: int) -> int:
        clip = voices[who].say()
        sound[at : at + len(clip), who] += clip
        said[who].append(Said(at / RATE, (at + len(clip)) / RATE, names[who]))
        return at + len(clip)

    at, who = RATE // 2, 0
    while at < seconds * RATE:
        end = add(who, at)
        if rng.random() < double_talk:
            end = max(end, add(1 - who, at + round(rng.uniform(0.2, 0.8) * (end - at))))
        at = end + round(rng.uniform(0.2, 1.0) * RATE)
        who = int(rng.integers(2))
    whole = sound[: round(max(one.end for both in said for one in both) * RATE) + RATE // 2]
    if bleed_db is not None:
        whole = whole + _bleed(whole[:, ::-1], bleed_db, rng)
    noisy = whole + rng.normal(0, NOISE, whole.shape).astype(np.float32)
    return np.clip(noisy, -1, 1), said


def _bleed(sound: Sound, level_db: float, rng: np.random.Generator) -> Sound:
    """Return what a room makes of the sound of the other channel."""
    n = round(8 * ROOM_S * RATE)
    channels = []
    for channel in sound.T:
        room = rng.normal(0, 0.25, n) * np.exp(-np.arange(n) / (ROOM_S * RATE))
        room[0] = 1.0
        room *= 10 ** (level_db / 20) / np.sqrt((room**2).sum())
        n_late = round(rng.uniform(*DELAY_S) * RATE)
        n_fft = 1 << (len(channel) + n).bit_length()
        heard = np.fft.irfft(np.fft.rfft(channel, n_fft) * np.fft.rfft(room, n_fft), n_fft)
        channels.append(np.concatenate((np.zeros(n_late), heard))[: len(channel)])
    return np.stack(channels, 1).astype(np.float32)
