"""The features of many recordings, computed once and kept in a cache."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from .. import audio, cleaning, loudness, sound, vad
from ..audio import RATE, Samples, check_audible, load_audio
from ..cleaning import cleaned
from ..corpora import Problem, Utterance
from ..errors import AudioError
from ..loudness import levelled, speech_level_db, without_edges
from ..sound import containers
from ..vad import find_speech
from .acoustic import features
from .acoustic.features import AcousticFeatures, trim_silence
from .cache import ArrayCache, cache_key
from .settings import AcousticConfig
from .speech import rooms
from .speech.backbone import backbone_digest, open_backbone, statistics_of
from .speech.rooms import recorded_elsewhere

N_WORKERS = 2  # decoding and the network's products release the interpreter


@dataclass(frozen=True)
class Extractor:
    """A function that computes the features of a clip of mono float32 at 16 kHz.

    The clip is what `Model.infer` hears: the speech alone, at one level.

    `depends_on` names everything that its result depends on, besides the clip.
    """

    compute: Callable[[Samples], NDArray[np.float32]]
    depends_on: str


@dataclass(frozen=True)
class Extracted:
    """Readable utterances, their features in the same order, and problems of the others."""

    utterances: tuple[Utterance, ...]
    features: tuple[NDArray[np.float32], ...]
    problems: tuple[Problem, ...]


def extract(
    utterances: Sequence[Utterance],
    extractor: Extractor,
    cache: ArrayCache,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extracted:
    """Compute the features of each utterance, or take them from the cache.

    Each is computed by itself, so that its features do not depend on the state of
    the cache. Recordings that cannot be used are left out and named in a problem.

    Parameters
    ----------
    utterances : sequence of Utterance
    extractor : Extractor
    cache : ArrayCache
        Its keys are made of the recording's content and of `extractor.depends_on`.
    on_progress : callable, optional
        Called with (utterances done, utterances in all).
    """

    def features_of(utterance: Utterance) -> NDArray[np.float32] | AudioError:
        key = cache_key(utterance.digest, extractor.depends_on)
        stored = cache.get(key)
        if stored is not None:
            return stored
        try:
            clip = load_audio(utterance.file)
            check_audible(clip)
            speech = cleaned(find_speech(clip).samples)
        except AudioError as error:
            return error
        computed = extractor.compute(levelled(speech, speech_level_db(speech)))
        cache.put(key, computed)
        return computed

    kept, rows, problems = [], [], []
    # One thread of torch for each worker: two workers with two threads each would fight.
    with ThreadPoolExecutor(N_WORKERS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        results = zip(utterances, pool.map(features_of, utterances), strict=True)
        for done, (utterance, result) in enumerate(results, start=1):
            if isinstance(result, AudioError):
                problems.append(Problem("unreadable", str(result), (str(utterance.file),)))
            else:
                kept.append(utterance)
                rows.append(result)
            if on_progress:
                on_progress(done, len(utterances))
    return Extracted(tuple(kept), tuple(rows), tuple(problems))


def acoustic_frames(config: AcousticConfig, window_s: float) -> Extractor:
    """Return the extractor of acoustic frames.

    The frames of a clip have shape (n_frames, n_features); a clip longer than `window_s`
    seconds is cut off.
    """
    module = AcousticFeatures(config).eval()

    def compute(clip: Samples) -> NDArray[np.float32]:
        waveform = torch.from_numpy(clip[: int(window_s * RATE)])[None]
        with torch.inference_mode():
            trimmed, n_samples = trim_silence(waveform, torch.tensor([waveform.shape[1]]))
            frames, n_frames = module(trimmed, n_samples)
        kept: NDArray[np.float32] = frames[0, : int(n_frames)].numpy()
        return kept

    described = ["acoustic", asdict(config), window_s, code_digest(features), version("librosa")]
    return Extractor(compute, json.dumps(described))


def speech_statistics(
    backbone: bytes, copies: Sequence[float], n_elsewhere: int, window_s: float
) -> Extractor:
    """Return the extractor of speech statistics.

    The statistics of a clip have shape (1 + n_copies + n_elsewhere, n_statistics + 1): the clip
    itself first, then its copies resampled by each factor, then those as if recorded elsewhere.
    The last column is the seconds of sound.
    """
    session = open_backbone(backbone)

    def compute(clip: Samples) -> NDArray[np.float32]:
        sound = without_edges(clip)[: int(window_s * RATE)]
        versions = [sound, *(soxr.resample(sound, RATE * factor, RATE) for factor in copies)]
        versions += [recorded_elsewhere(sound, take) for take in range(n_elsewhere)]
        return np.stack(
            [
                np.append(statistics_of(session, version), np.float32(len(version) / RATE))
                for version in map(without_edges, versions)
            ]
        )

    digest = backbone_digest(backbone)
    described = ["speech", digest, list(copies), n_elsewhere, window_s, code_digest(rooms)]
    return Extractor(compute, json.dumps(described))


def code_digest(*modules: ModuleType) -> str:
    """Tell this code from any other: stored features must not outlive the code that made them."""
    heard_by = (audio, cleaning, loudness, sound, vad, containers)
    sources = [__file__, *(str(module.__file__) for module in (*heard_by, *modules))]
    return hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()
