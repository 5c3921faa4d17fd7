"""The features of many recordings, computed once and kept in a cache."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import audio, features
from .audio import RATE, check_audible, load_audio
from .cache import ArrayCache, cache_key
from .corpora import Problem, Utterance
from .errors import AudioError
from .features import AcousticConfig, AcousticFeatures, trim_silence

N_WORKERS = 2  # decoding and the network's products release the interpreter


@dataclass(frozen=True)
class Extracted:
    """Utterances that could be read, their frames in the same order, and what was wrong."""

    utterances: tuple[Utterance, ...]
    frames: tuple[NDArray[np.float32], ...]  # each of shape (n_frames, n_features)
    problems: tuple[Problem, ...]


def extract(
    utterances: Sequence[Utterance],
    config: AcousticConfig,
    cache: ArrayCache,
    *,
    window_s: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extracted:
    """Compute the features of each utterance, or take them from the cache.

    Each is computed by itself, so that its features do not depend on which others were in the
    cache already. Recordings that cannot be used are left out and named in a problem.

    Parameters
    ----------
    utterances : sequence of Utterance
    config : AcousticConfig
    cache : ArrayCache
    window_s : float > 0
        Seconds; what a longer recording holds behind them is left out.
    on_progress : callable, optional
        Called with (utterances done, utterances in all).
    """
    module = AcousticFeatures(config).eval()
    settings = json.dumps([dataclasses.asdict(config), window_s])
    code = _code_digest()

    def one(utterance: Utterance) -> NDArray[np.float32] | AudioError:
        key = cache_key(utterance.digest, settings, code)
        stored = cache.get(key)
        if stored is not None and stored.ndim == 2 and stored.shape[1] == config.n_features:
            return stored
        try:
            frames = _frames(module, utterance.file, window_s)
        except AudioError as error:
            return error
        cache.put(key, frames)
        return frames

    results = []
    with ThreadPoolExecutor(N_WORKERS, initializer=_one_thread) as pool:
        for done, result in enumerate(pool.map(one, utterances), 1):
            results.append(result)
            if on_progress:
                on_progress(done, len(utterances))
    return _gather(utterances, results)


def _one_thread() -> None:
    torch.set_num_threads(1)  # of this worker: two workers with two threads each would fight


def _frames(module: AcousticFeatures, file: Path, window_s: float) -> NDArray[np.float32]:
    samples = load_audio(file)
    check_audible(samples)
    waveform = torch.from_numpy(samples[: int(window_s * RATE)])[None]
    with torch.inference_mode():
        trimmed, n_samples = trim_silence(waveform, torch.tensor([waveform.shape[1]]))
        frames, n_frames = module(trimmed, n_samples)
    kept: NDArray[np.float32] = frames[0, : int(n_frames)].numpy()
    return kept


def _gather(
    utterances: Sequence[Utterance], results: Sequence[NDArray[np.float32] | AudioError]
) -> Extracted:
    kept, frames, problems = [], [], []
    for utterance, result in zip(utterances, results, strict=True):
        if isinstance(result, AudioError):
            problems.append(Problem("unreadable", str(result), (str(utterance.file),)))
        else:
            kept.append(utterance)
            frames.append(result)
    return Extracted(tuple(kept), tuple(frames), tuple(problems))


def _code_digest() -> str:
    """Tell this code from any other: stored features must not outlive the code that made them."""
    sources = (audio.__file__, features.__file__, __file__)
    return hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()
