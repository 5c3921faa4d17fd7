"""The two ways to learn: a network on acoustic frames, or a head on a frozen speech encoder.

A run treats both alike: features of each recording, a fit to a fold, an export.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio import Samples, load_audio
from ..card import Card
from ..corpora import Utterance
from ..errors import AudioError, ModelError, SplitError
from ..files import written_whole
from ..model import find_model, shipped_models
from ..splits import Fold
from .acoustic import features
from .acoustic.features import AcousticFeatures
from .acoustic.fit import Observer, Plan, Row, ending, train_network
from .acoustic.voices import PRIOR_SECONDS, Examples
from .cache import cache_key, default_cache_folder
from .export import export_head, export_model
from .extraction import Features, acoustic_frames, code_digest, speech_statistics
from .network import (
    SpeakerHead,
    WaveformModel,
    count_parameters,
    describe_head,
    describe_network,
)
from .settings import Settings
from .speech import backbone, encoder
from .speech.backbone import export_backbone, extract_backbone, open_backbone
from .speech.encoder import SpeechConfig, find_weights, load_encoder
from .speech.fit import Clips, count_epochs, running_logits, train_head

SPEECH_MODEL = "speech"  # the shipped model whose encoder serves to train others
_N_CALIBRATION = 200  # recordings on which the ranges of 8-bit activations are taken

FeaturesOf = Mapping[Path, NDArray[np.float32]]


@dataclass(frozen=True)
class Fit:
    """What learning from a fold gave.

    `logits` are of validation clips that answer as in use, `truth` their labels; `export` writes
    the model file with a card, `export_watched` the one that has not learned the validation part.
    """

    history: tuple[Row, ...]
    logits: NDArray[np.float32]
    truth: NDArray[np.int64]
    n_embedding: int
    prior_seconds: float
    chose_epoch: bool  # whether the validation part chose the epoch, or was only watched
    ending: str  # why training stopped, and what is kept of it
    layers: tuple[str, ...]  # of the network, in words, with their sizes
    n_parameters: int  # that were learnt
    export: Callable[[Card, Path], None]
    export_watched: Callable[[Card, Path], None]


class Learner(Protocol):
    """A way to learn."""

    def plan(self, fold: Fold) -> Plan:
        """Return how long it will train."""

    @property
    def knows_speakers(self) -> bool:
        """Whether its models are trained on the baselines that they will meet."""

    def features(self) -> tuple[Features, str]:
        """Return the features' function and all that it depends on."""

    def fit(
        self, fold: Fold, features: FeaturesOf, labels: tuple[str, ...], out: Path, *, run: str,
        observer: Observer,
    ) -> Fit:  # fmt: skip
        """Learn from the training and validation parts of a fold."""


@dataclass(frozen=True)
class AcousticLearner:
    """Trains the convolutions and LSTMs from scratch."""

    settings: Settings

    @property
    def knows_speakers(self) -> bool:
        """Whether training meets baselines."""
        return self.settings.acoustic.p_alone < 1.0

    def plan(self, fold: Fold) -> Plan:
        """Return the epochs at most, of which the validation part chooses one."""
        del fold
        return Plan(self.settings.acoustic.epochs, chooses=True)

    def features(self) -> tuple[Features, str]:
        """Return acoustic frames."""
        return acoustic_frames(self.settings.acoustic.features, self.settings.window_s)

    def fit(
        self, fold: Fold, features: FeaturesOf, labels: tuple[str, ...], out: Path, *, run: str,
        observer: Observer,
    ) -> Fit:  # fmt: skip
        """Train with early stopping; goes on from `checkpoint.pt` in `out`."""
        settings = self.settings.acoustic
        corpora = sorted({one.corpus for one in (*fold.train, *fold.val)})
        train, val = (_examples(part, features, labels, corpora) for part in (fold.train, fold.val))
        trained = train_network(
            train,
            val,
            len(labels),
            settings,
            out / "checkpoint.pt",
            seed=self.settings.seed,
            run=run,
            observer=observer,
        )
        model = WaveformModel(AcousticFeatures(settings.features), trained.network).eval()

        def export(card: Card, path: Path) -> None:
            export_model(model, card, path)

        return Fit(
            trained.history,
            trained.logits,
            val.targets,
            settings.features.n_features,
            PRIOR_SECONDS,
            True,
            ending(trained.history, settings),
            describe_network(trained.network),
            count_parameters(trained.network),
            export,
            export,
        )


@dataclass(frozen=True)
class SpeechLearner:
    """Trains a head on the statistics of a frozen encoder, on the baselines that it will meet."""

    settings: Settings
    backbone: bytes
    knows_speakers = True

    def plan(self, fold: Fold) -> Plan:
        """Return the epochs, whose number depends on that of the recordings."""
        training = self.settings.speech
        n_copies = 1 + len(training.copies) + training.n_elsewhere
        return Plan(count_epochs(n_copies * len(fold.train), training), chooses=False)

    def features(self) -> tuple[Features, str]:
        """Return the encoder's statistics of each clip and its resampled copies."""
        training = self.settings.speech
        return speech_statistics(
            self.backbone, training.copies, training.n_elsewhere, self.settings.window_s
        )

    def fit(
        self, fold: Fold, features: FeaturesOf, labels: tuple[str, ...], out: Path, *, run: str,
        observer: Observer,
    ) -> Fit:  # fmt: skip
        """Train for a fixed number of epochs, which takes a minute and is not resumed.

        The validation part is only watched and calibrates. Once that is done, the head is trained
        anew on both parts alike, since every voice more is worth much.
        """
        del out, run
        settings = self.settings
        val = make_clips(known(fold.val, labels), features, labels)

        def head_of(part: Sequence[Utterance], told: Observer) -> tuple[SpeakerHead, list[Row]]:
            clips = make_clips(part, features, labels, with_copies=True)
            return train_head(
                clips, val, len(labels), settings.speech, seed=settings.seed, observer=told
            )

        watched, history = head_of(fold.train, observer)
        logits, truth = _answers_in_use(watched, val, settings.seed)
        again = Observer(on_batch=observer.on_batch)
        head, _ = head_of((*fold.train, *known(fold.val, labels)), again)
        return Fit(
            tuple(history),
            logits,
            truth,
            head.n_embedding,
            settings.speech.head.prior_seconds,
            False,
            f"trained for all {len(history)} epochs, and once more with the validation part; "
            "kept is the last epoch of that",
            describe_head(head),
            count_parameters(head),
            lambda card, path: export_head(self.backbone, head, card, path),
            lambda card, path: export_head(self.backbone, watched, card, path),
        )


def learner_of(
    settings: Settings, utterances: Sequence[Utterance]
) -> AcousticLearner | SpeechLearner:
    """Return the learner that the settings ask for.

    A new encoder's 8-bit ranges are taken on recordings of the first corpus.

    Raises
    ------
    ModelError
        If the encoder's weights cannot be read, or no shipped model holds an encoder.
    """
    if settings.features == "acoustic":
        return AcousticLearner(settings)
    if settings.speech.encoder:
        return SpeechLearner(settings, _exported(settings, utterances))
    if SPEECH_MODEL not in shipped_models():
        raise ModelError(
            f"no model named {SPEECH_MODEL} comes with this emovox; give the weights of "
            "openai/whisper-tiny (this name, or a safetensors file) as the setting speech.encoder"
        )
    return SpeechLearner(settings, extract_backbone(find_model(SPEECH_MODEL).read_bytes()))


def _exported(settings: Settings, utterances: Sequence[Utterance]) -> bytes:
    """Export an encoder as a backbone, or take it from the cache."""
    config = SpeechConfig(max_seconds=settings.window_s)
    file = find_weights(settings.speech.encoder, default_cache_folder() / "encoders")
    module = load_encoder(file, config)
    mine = [one for one in utterances if one.corpus == utterances[0].corpus]
    chosen = mine[:: max(1, len(mine) // _N_CALIBRATION)]
    weights = hashlib.sha256(file.read_bytes()).hexdigest()
    code = code_digest(backbone, encoder, features)
    versions = (version("torch"), version("onnx"), version("onnxruntime"))
    key = cache_key(weights, repr(config), code, *versions, *(one.digest for one in chosen))
    path = default_cache_folder() / "backbones" / f"{key}.onnx"
    with suppress(Exception):  # absent or damaged: a cache may cost time, never a result
        content = path.read_bytes()
        open_backbone(content)
        return content
    content = export_backbone(module, _loaded(chosen))
    with suppress(OSError), written_whole(path) as temporary:
        temporary.write_bytes(content)
    return content


def _loaded(utterances: Sequence[Utterance]) -> Iterator[Samples]:
    for one in utterances:
        with suppress(AudioError):  # the extraction names it
            yield load_audio(one.file)


def known(utterances: Sequence[Utterance], labels: tuple[str, ...]) -> list[Utterance]:
    """Return the utterances of the labels; it is an error if there are none."""
    found = [one for one in utterances if one.emotion in labels]
    if not found:
        raise SplitError("expected validation recordings of the trained emotions, got none")
    return found


def make_clips(
    utterances: Sequence[Utterance],
    features: FeaturesOf,
    labels: tuple[str, ...],
    *,
    with_copies: bool = False,
) -> Clips:
    """Gather what a head learns from; each resampled copy is one more speaker's."""
    n_copies = features[utterances[0].file].shape[0] if with_copies else 1
    names = sorted({(one.corpus, one.speaker) for one in utterances})
    corpora = sorted({one.corpus for one in utterances})
    has = {
        corpus: {one.emotion for one in utterances if one.corpus == corpus} for corpus in corpora
    }
    speaker_of = {name: index for index, name in enumerate(names)}
    rows = [
        (features[one.file][copy], one, speaker_of[one.corpus, one.speaker] + copy * len(names))
        for copy in range(n_copies)
        for one in utterances
    ]
    table = np.stack([row[0] for row in rows])
    return Clips(
        statistics=np.ascontiguousarray(table[:, :-1]),
        targets=np.array([labels.index(one.emotion) for _, one, _ in rows], np.int64),
        speakers=np.array([speaker for _, _, speaker in rows], np.int64),
        corpora=np.array([corpora.index(one.corpus) for _, one, _ in rows], np.int64),
        seconds=np.ascontiguousarray(table[:, -1]),
        allowed=np.array([[label in has[one.corpus] for label in labels] for _, one, _ in rows]),
    )


def _examples(
    utterances: Sequence[Utterance],
    features: FeaturesOf,
    labels: tuple[str, ...],
    corpora: Sequence[str],
) -> Examples:
    """Gather what an acoustic network learns from."""
    mine = known(utterances, labels)
    names = [(one.corpus, one.speaker or str(one.file)) for one in mine]
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    return Examples(
        tuple(features[one.file] for one in mine),
        np.array([labels.index(one.emotion) for one in mine], np.int64),
        np.array([number[name] for name in names], np.int64),
        np.array([corpora.index(one.corpus) for one in mine], np.int64),
    )


def _answers_in_use(
    head: SpeakerHead, val: Clips, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return logits and truth of validation clips, once without and once with running baselines."""
    rng = np.random.default_rng(seed)
    alone = [np.array([index]) for index in range(len(val.targets))]
    speakers = [np.flatnonzero(val.speakers == one) for one in np.unique(val.speakers)]
    streams = alone + [rng.permutation(speaker) for speaker in speakers]
    logits = np.concatenate(running_logits(head, val, streams))
    return logits, val.targets[np.concatenate(streams)]
