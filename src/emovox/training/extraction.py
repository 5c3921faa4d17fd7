"""The features of many recordings, computed once and kept in a cache."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from .. import audio, cleaning, loudness, sound, vad
from ..audio import RATE, Samples, check_audible, load_audio
from ..corpora import Problem, Utterance
from ..errors import AudioError
from ..evaluation import perturbations
from ..loudness import levelled, without_edges
from ..sound import channels as sound_channels
from ..sound import containers, ffmpeg
from ..vad import find_speech
from .acoustic import features
from .acoustic.features import AcousticFeatures, trim_silence
from .cache import ArrayCache, cache_key
from .settings import AcousticConfig
from .speech import channels, sessions
from .speech.backbone import backbone_digest, open_backbone, statistics_of
from .speech.channels import (
    Backgrounds,
    backgrounds_of,
    channel_of,
    generator,
    load_places,
    sent_through,
)
from .speech.sessions import Sessions

N_VOICES = 200  # recordings that babble is made of
N_WORKERS = 2  # decoding and the network's products release the interpreter


@dataclass(frozen=True)
class Extractor:
    """A function that computes the features of a clip of mono float32 at 16 kHz.

    The clip is what `Model.infer` hears: the speech alone, at one level. Beside it stands the
    utterance, whose speaker may matter.

    `depends_on` names everything that its result depends on, besides the clip, its corpus and its
    speaker.
    """

    compute: Callable[[Samples, Utterance], NDArray[np.float32]]
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
        Its keys are made of the recording's content, corpus and speaker, and of
        `extractor.depends_on`.
    on_progress : callable, optional
        Called with (utterances done, utterances in all).
    """

    def features_of(utterance: Utterance) -> NDArray[np.float32] | AudioError:
        names = (utterance.corpus, utterance.speaker)
        key = cache_key(utterance.digest, *names, extractor.depends_on)
        stored = cache.get(key)
        if stored is not None:
            return stored
        try:
            clip = load_speech(utterance.file)
        except AudioError as error:
            return error
        computed = extractor.compute(clip, utterance)
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


def load_speech(file: Path) -> Samples:
    """Read what a model hears of a recording: the speech alone, cleaned, at one level, cut.

    Raises
    ------
    AudioError
        If the file cannot be read, or nobody speaks in it.
    """
    clip = load_audio(file)
    check_audible(clip)
    return without_edges(levelled(find_speech(clip).samples))


def acoustic_frames(config: AcousticConfig, window_s: float) -> Extractor:
    """Return the extractor of acoustic frames.

    The frames of a clip have shape (n_frames, n_features); a clip longer than `window_s`
    seconds is cut off.
    """
    module = AcousticFeatures(config).eval()

    def compute(clip: Samples, _: Utterance) -> NDArray[np.float32]:
        waveform = torch.from_numpy(clip[: int(window_s * RATE)])[None]
        with torch.inference_mode():
            trimmed, n_samples = trim_silence(waveform, torch.tensor([waveform.shape[1]]))
            frames, n_frames = module(trimmed, n_samples)
        kept: NDArray[np.float32] = frames[0, : int(n_frames)].numpy()
        return kept

    described = ["acoustic", asdict(config), window_s, code_digest(features), version("librosa")]
    return Extractor(compute, json.dumps(described))


@dataclass(frozen=True)
class Copies:
    """So many copies of each recording, each in the channel of its session."""

    n_copies: int
    sessions: Sessions
    backgrounds: Backgrounds = field(default_factory=Backgrounds)
    seed: int = 0

    def of(self, clip: Samples, utterance: Utterance) -> list[Samples]:
        """Return the copies of a clip, which depend on the seed and the recording alone."""
        found = []
        for copy in range(1, self.n_copies + 1):
            channel = channel_of(self.seed, *self.sessions.session_of(utterance, copy))
            rng = generator(self.seed, utterance.digest, copy)
            found.append(sent_through(channel, clip, self.backgrounds, rng))
        return found

    def described(self) -> list[object]:
        """Return everything that the copies depend on, besides the recording."""
        sessions = [[*speaker, n] for speaker, n in self.sessions.n_of.items()]
        return [self.n_copies, self.seed, self.backgrounds.digest, sessions]


def plan_copies(
    utterances: Sequence[Utterance],
    n_copies: int,
    *,
    noise: Path | None,
    prefixes: Sequence[str] = (),
    seed: int = 0,
) -> Copies:
    """Divide the recordings into sessions, and read what their noise is made of.

    Parameters
    ----------
    utterances : sequence of Utterance
        All of a run. Some of them become babble.
    n_copies : int
    noise : Path or None
        A folder of recordings without speech; None: there are none.
    prefixes : sequence of str
        Of the names of those that count; empty: all.
    seed : int

    Raises
    ------
    ConfigError
        If the folder holds no such recordings.
    """
    sessions = Sessions.of(utterances)
    if not n_copies:
        return Copies(0, sessions)
    return Copies(n_copies, sessions, load_backgrounds(utterances, noise, prefixes), seed)


def load_backgrounds(
    utterances: Sequence[Utterance], noise: Path | None, prefixes: Sequence[str] = ()
) -> Backgrounds:
    """Read noise from a folder, and some recordings of a run for babble; see `plan_copies`."""
    voices = []
    for utterance in utterances[:: max(1, len(utterances) // N_VOICES)]:
        with suppress(AudioError):  # the extraction names it
            voices.append(load_speech(utterance.file))
    return backgrounds_of(load_places(noise, prefixes), voices)


def speech_statistics(backbone: bytes, copies: Copies, window_s: float) -> Extractor:
    """Return the extractor of speech statistics.

    The statistics of a clip have shape (1 + n_copies, n_statistics + 1): the clip itself first,
    then its copies, each in the channel of its session. The last column is the seconds of sound.
    """
    session = open_backbone(backbone)

    def compute(clip: Samples, utterance: Utterance) -> NDArray[np.float32]:
        sound = clip[: int(window_s * RATE)]
        versions = [sound, *copies.of(sound, utterance)]
        return np.stack(
            [
                np.append(statistics_of(session, version), np.float32(len(version) / RATE))
                for version in map(without_edges, versions)
            ]
        )

    code = code_digest(channels, sessions, perturbations)
    described = ["speech", backbone_digest(backbone), copies.described(), window_s, code]
    return Extractor(compute, json.dumps(described))


def code_digest(*modules: ModuleType) -> str:
    """Tell this code from any other: stored features must not outlive the code that made them."""
    heard_by = (audio, cleaning, loudness, sound, vad, containers, sound_channels, ffmpeg)
    sources = [__file__, *(str(module.__file__) for module in (*heard_by, *modules))]
    return hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()
