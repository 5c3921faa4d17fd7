"""Long recordings with known labels and pauses, stitched from a corpus's clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emovox.audio import RATE, load_audio
from emovox.corpora.utterance import Utterance

PAUSES_S = (0.7, 2.5)  # between clips, on top of the silence that these begin and end with
PAUSE_LEVEL = 1e-4  # amplitude of the noise in pauses, -80 dB of full scale
EDGE_DB = 35.0  # speech is from the first to the last 20 ms this far below the loudest
_FRAME = RATE // 50


@dataclass(frozen=True)
class Truth:
    """Where somebody speaks in a stitched recording (seconds), and how it was labelled."""

    start: float
    end: float
    label: str


def stitch(
    utterances: Sequence[Utterance], seconds: float, path: Path, *, seed: int
) -> list[Truth]:
    """Write clips in random order, over and over until it is long enough; 16 bit WAV at 16 kHz."""
    rng = np.random.default_rng(seed)
    truths, at, order = [], 0, np.zeros(0, np.int64)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while at < seconds * RATE:
            if not order.size:
                order = rng.permutation(len(utterances))
            one, order = utterances[order[0]], order[1:]
            clip = load_audio(one.file)
            start, end = speech_of(clip)
            truths.append(Truth((at + start) / RATE, (at + end) / RATE, one.emotion))
            n_pause = int(rng.uniform(*PAUSES_S) * RATE)
            pause = rng.normal(0, PAUSE_LEVEL, n_pause).astype(np.float32)
            for part in (clip, pause):
                file.write(np.clip(part, -1, 1))
                at += len(part)
    return truths


def speech_of(clip: NDArray[np.float32]) -> tuple[int, int]:
    """Return where speech begins and ends in a clip (samples), by its level."""
    framed = clip[: len(clip) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (framed.astype(np.float64) ** 2).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-EDGE_DB / 10))
    return int(loud[0]) * _FRAME, int(loud[-1] + 1) * _FRAME
