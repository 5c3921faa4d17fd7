"""What surrounds a recording in a test: its random draws, real noise, and other people's voices."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import Samples, audio_files, load_audio, no_audio
from ..corpora import Utterance
from ..errors import AudioError, ConfigError
from ..evaluation.perturbations import babble, looped

_VOICES = (4, 7)  # of a babble, the fewest and the most


@dataclass(frozen=True)
class Scene:
    """Where a recording is changed.

    `rng` draws what the change leaves open; `noises` are files of real background, and `voices`
    those of other speakers; either may be empty.
    """

    rng: np.random.Generator
    noises: tuple[Path, ...] = ()
    voices: tuple[Path, ...] = ()

    def real_noise(self, n_samples: int) -> Samples:
        """Return so much of a real background of mean power 1."""
        return looped(self._drawn(self.noises, 1)[0], n_samples, self.rng)

    def babble(self, n_samples: int) -> Samples:
        """Return 4 to 7 voices at once, equally loud, of mean power 1 together."""
        n_voices = int(self.rng.integers(_VOICES[0], _VOICES[1] + 1))
        return babble(self._drawn(self.voices, n_voices), n_samples, self.rng)

    def _drawn(self, files: Sequence[Path], n: int) -> list[Samples]:
        """Return some of the recordings, each once if there are enough; broken ones are passed."""
        found: list[Samples] = []
        for index in self.rng.permutation(len(files)):
            if len(found) == n:
                break
            samples = _decoded(files[index])
            if samples.any():
                found.append(samples)
        if not found:
            raise ConfigError(f"expected recordings to mix in, got none that can be read: {files}")
        return found


def scene_of(
    seed: int, change: str, utterance: Utterance, noises: Sequence[Path], voices: Sequence[Path]
) -> Scene:
    """Return the scene of one change of one recording, which depends on nothing else."""
    key = [seed, zlib.crc32(change.encode()), int(utterance.digest[:8] or "0", 16)]
    return Scene(np.random.default_rng(key), tuple(noises), tuple(voices))


def noise_files(folder: Path | None, prefixes: Sequence[str] = ()) -> tuple[Path, ...]:
    """List recordings of background noise, those alone whose names begin with a prefix.

    Raises
    ------
    ConfigError
        If a folder is given that holds none.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder of noise recordings")
    files = audio_files(folder)
    chosen = tuple(file for file in files if file.name.startswith(tuple(prefixes) or ""))
    if not chosen:
        wanted = f" whose name begins with {', '.join(prefixes)}" if files and prefixes else ""
        raise ConfigError(f"{folder}: no noise recording{wanted}" if files else no_audio(folder))
    return chosen


def other_voices(utterance: Utterance, everybody: Sequence[Utterance]) -> tuple[Path, ...]:
    """Return what other speakers of a corpus say; where there are none, other recordings."""
    others = [one.file for one in everybody if one.speaker != utterance.speaker]
    return tuple(others or [one.file for one in everybody if one.file != utterance.file])


def _decoded(file: Path) -> Samples:
    """Return a recording's samples, none where it cannot be read."""
    try:
        return load_audio(file)
    except AudioError:
        return np.zeros(0, np.float32)
