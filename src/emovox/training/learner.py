"""The two ways to learn: a network on acoustic frames, or a head on a frozen speech encoder.

A run treats both alike: features of each recording, a fit to a fold, an export.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..audio import Samples, load_audio
from ..card import Card
from ..corpora import Utterance
from ..errors import AudioError, ModelError, SplitError
from ..evaluation.calibration import fit_temperature, fit_threshold
from ..files import default_cache_folder, written_whole
from ..model import find_model, shipped_models
from ..splits import Fold
from .acoustic import features
from .acoustic.features import AcousticFeatures
from .acoustic.fit import Checkpoint, Observer, Plan, Row, ending, train_network
from .acoustic.voices import PRIOR_SECONDS, Examples
from .cache import cache_key
from .export import export_head, export_model
from .extraction import (
    Copies,
    Extractor,
    acoustic_frames,
    code_digest,
    plan_copies,
    speech_statistics,
)
from .network import (
    EmotionNetwork,
    SpeakerHead,
    WaveformModel,
    count_parameters,
    describe_head,
    describe_network,
)
from .settings import AcousticConfig, Settings
from .speech import backbone, encoder
from .speech.backbone import export_backbone, extract_backbone, open_backbone
from .speech.encoder import SpeechConfig, find_weights, load_encoder
from .speech.fit import Clips, running_logits, streams_in_use, train_head
from .speech.sessions import Sessions

SPEECH_MODEL = "speech"  # the shipped model whose encoder serves to train others
_N_CALIBRATION = 200  # recordings that give the ranges of 8-bit activations

FeaturesOf = Mapping[Path, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Fit(ABC):
    """The outcome of learning from a fold.

    `logits` are those of validation clips, with baselines as in use, and `truth` their labels.
    """

    history: tuple[Row, ...]
    logits: NDArray[np.float32]
    truth: NDArray[np.int64]
    n_embedding: int
    prior_seconds: float
    ending: str  # why training stopped, and the epoch that is kept
    layers: tuple[str, ...]  # of the network, in words, with their sizes
    n_parameters: int
    chose_epoch: ClassVar[bool]  # whether the validation part chose the epoch

    def calibrated(self, settings: Settings) -> tuple[float, float]:
        """Return temperature and threshold, as set or as fitted on the validation clips.

        A temperature below 1 is not fitted: a model without a mistake in validation must not grow
        surer for it.
        """
        fitted = max(1.0, fit_temperature(self.logits, self.truth))
        temperature = settings.temperature or fitted
        if not settings.coverage:
            return temperature, settings.threshold
        return temperature, fit_threshold(self.logits, temperature, settings.coverage)

    @abstractmethod
    def export(self, card: Card, path: Path) -> None:
        """Write the model file."""

    def export_watched(self, card: Card, path: Path) -> None:
        """Write the model that was not trained on the validation part."""
        self.export(card, path)


@dataclass(frozen=True, kw_only=True)
class AcousticFit(Fit):
    """A trained acoustic network."""

    features: AcousticConfig
    network: EmotionNetwork
    chose_epoch = True

    def export(self, card: Card, path: Path) -> None:
        """Write the features and the network behind them."""
        model = WaveformModel(AcousticFeatures(self.features), self.network).eval()
        export_model(model, card, path)


@dataclass(frozen=True)
class AcousticLearner:
    """Trains the convolutions and LSTMs from scratch; resumes from a checkpoint if one is given."""

    settings: Settings
    checkpoint: Checkpoint | None = None

    @property
    def knows_speakers(self) -> bool:
        """Whether training meets baselines."""
        return self.settings.acoustic.p_alone < 1.0

    def plan(self, n_recordings: int) -> Plan:
        """Return the most epochs; the validation part chooses one of them."""
        return Plan(self.settings.acoustic.epochs, chooses=True)

    def extractor(self) -> Extractor:
        """Return the function that computes acoustic frames."""
        return acoustic_frames(self.settings.acoustic.features, self.settings.window_s)

    def fit(
        self, fold: Fold, features: FeaturesOf, labels: tuple[str, ...], observer: Observer
    ) -> AcousticFit:
        """Train with early stopping."""
        settings = self.settings.acoustic
        corpora = sorted({utterance.corpus for utterance in (*fold.train, *fold.val)})
        train, val = (_examples(part, features, labels, corpora) for part in (fold.train, fold.val))
        trained = train_network(
            train,
            val,
            len(labels),
            settings,
            seed=self.settings.seed,
            checkpoint=self.checkpoint,
            observer=observer,
        )
        return AcousticFit(
            history=trained.history,
            logits=trained.logits,
            truth=val.targets,
            n_embedding=settings.features.n_features,
            prior_seconds=PRIOR_SECONDS,
            ending=ending(trained.history, settings),
            layers=describe_network(trained.network),
            n_parameters=count_parameters(trained.network),
            features=settings.features,
            network=trained.network,
        )


@dataclass(frozen=True, kw_only=True)
class SpeechFit(Fit):
    """A trained head; `watched` is the one trained without the validation part."""

    backbone: bytes
    head: SpeakerHead
    watched: SpeakerHead
    chose_epoch = False

    def export(self, card: Card, path: Path) -> None:
        """Write the backbone and the head behind it."""
        export_head(self.backbone, self.head, card, path)

    def export_watched(self, card: Card, path: Path) -> None:
        """Write the backbone and the head that was not trained on the validation part."""
        export_head(self.backbone, self.watched, card, path)


@dataclass(frozen=True)
class SpeechLearner:
    """Trains a head on the statistics of a frozen encoder, with baselines as in use."""

    settings: Settings
    backbone: bytes
    copies: Copies
    knows_speakers = True

    def plan(self, n_recordings: int) -> Plan:
        """Return the epochs, of which none is chosen."""
        return Plan(self.settings.speech.epochs, chooses=False)

    def extractor(self) -> Extractor:
        """Return the function that computes the statistics of a clip and its copies."""
        return speech_statistics(self.backbone, self.copies, self.settings.window_s)

    def fit(
        self, fold: Fold, features: FeaturesOf, labels: tuple[str, ...], observer: Observer
    ) -> SpeechFit:
        """Train for a fixed number of epochs, in a few minutes; this is not resumed.

        The validation part is only watched and calibrates. Then the head is trained again on both
        parts, since every voice more is worth much.
        """
        seed, settings = self.settings.seed, self.settings.speech
        val = known(fold.val, labels)
        val_clips = make_clips(val, features, labels)

        def train(part: Sequence[Utterance], shown: Observer) -> tuple[SpeakerHead, list[Row]]:
            clips = make_clips(part, features, labels, self.copies.sessions)
            return train_head(clips, val_clips, len(labels), settings, seed=seed, observer=shown)

        watched, history = train(fold.train, observer)
        logits, truth = _answers_in_use(watched, val_clips, seed)
        head, _ = train((*fold.train, *val), Observer(on_batch=observer.on_batch))
        return SpeechFit(
            history=tuple(history),
            logits=logits,
            truth=truth,
            n_embedding=head.n_embedding,
            prior_seconds=settings.head.prior_seconds,
            ending=f"trained for all {len(history)} epochs, and once more with the validation "
            "part; kept is the last epoch of that",
            layers=describe_head(head),
            n_parameters=count_parameters(head),
            backbone=self.backbone,
            head=head,
            watched=watched,
        )


Learner = AcousticLearner | SpeechLearner


def learner_of(settings: Settings, utterances: Sequence[Utterance]) -> Learner:
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
        exported = _export_backbone(settings, utterances)
        return SpeechLearner(settings, exported, _plan_copies(settings, utterances))
    if SPEECH_MODEL not in shipped_models():
        raise ModelError(
            f"no model named {SPEECH_MODEL} comes with this emovox; give the weights of "
            "openai/whisper-base (this name, or a safetensors file) as the setting speech.encoder"
        )
    shipped = extract_backbone(find_model(SPEECH_MODEL).read_bytes())
    return SpeechLearner(settings, shipped, _plan_copies(settings, utterances))


def _plan_copies(settings: Settings, utterances: Sequence[Utterance]) -> Copies:
    chosen = settings.speech
    return plan_copies(
        utterances,
        chosen.n_copies,
        noise=Path(chosen.noise) if chosen.noise else None,
        prefixes=chosen.noise_prefixes,
        seed=settings.seed,
    )


def _export_backbone(settings: Settings, utterances: Sequence[Utterance]) -> bytes:
    """Export an encoder as a backbone, or take it from the cache."""
    config = SpeechConfig(max_seconds=settings.window_s)
    file = find_weights(settings.speech.encoder, default_cache_folder() / "encoders")
    module = load_encoder(file, config)
    first = [utterance for utterance in utterances if utterance.corpus == utterances[0].corpus]
    chosen = first[:: max(1, len(first) // _N_CALIBRATION)]
    with file.open("rb") as content_of:
        weights = hashlib.file_digest(content_of, "sha256").hexdigest()
    code = code_digest(backbone, encoder, features)
    versions = map(version, ("torch", "onnx", "onnxruntime", "librosa"))
    digests = (utterance.digest for utterance in chosen)
    key = cache_key(weights, repr(config), code, *versions, *digests)
    path = default_cache_folder() / "backbones" / f"{key}.onnx"
    with suppress(Exception):  # absent or damaged: a cache may cost time, never a result
        content = path.read_bytes()
        open_backbone(content)
        return content
    content = export_backbone(module, _load(chosen))
    with suppress(OSError), written_whole(path) as temporary:
        temporary.write_bytes(content)
    return content


def _load(utterances: Sequence[Utterance]) -> Iterator[Samples]:
    for utterance in utterances:
        with suppress(AudioError):  # the extraction names it
            yield load_audio(utterance.file)


def known(utterances: Sequence[Utterance], labels: tuple[str, ...]) -> list[Utterance]:
    """Return the utterances of the labels, or raise `SplitError` if there are none."""
    kept = [utterance for utterance in utterances if utterance.emotion in labels]
    if not kept:
        raise SplitError("expected validation recordings of the trained emotions, got none")
    return kept


def make_clips(
    utterances: Sequence[Utterance],
    features: FeaturesOf,
    labels: tuple[str, ...],
    sessions: Sessions | None = None,
) -> Clips:
    """Gather the clips that a head learns from.

    With `sessions`, those of the run, the copies as well: a session of a speaker's copies is one
    more speaker, since its clips share a channel.
    """
    n_copies = features[utterances[0].file].shape[0] if sessions else 1
    speakers: list[tuple[object, ...]] = [(one.corpus, one.speaker) for one in utterances]
    for copy in range(1, n_copies):
        speakers += [sessions.session_of(one, copy) for one in utterances] if sessions else []
    corpora = sorted({utterance.corpus for utterance in utterances})
    shown = {(utterance.corpus, utterance.emotion) for utterance in utterances}
    allowed = np.array([[(corpus, label) in shown for label in labels] for corpus in corpora])
    corpus_numbers = [corpora.index(utterance.corpus) for utterance in utterances] * n_copies
    rows = [features[one.file][copy] for copy in range(n_copies) for one in utterances]
    return Clips(
        statistics=np.stack([row[:-1] for row in rows]),
        targets=np.array([labels.index(u.emotion) for u in utterances] * n_copies, np.int64),
        speakers=_numbers(speakers),
        corpora=np.array(corpus_numbers, np.int64),
        seconds=np.array([row[-1] for row in rows], np.float32),
        allowed=allowed[corpus_numbers],
        original=np.arange(len(rows)) < len(utterances),
    )


def _examples(
    utterances: Sequence[Utterance],
    features: FeaturesOf,
    labels: tuple[str, ...],
    corpora: Sequence[str],
) -> Examples:
    """Gather the clips that an acoustic network learns from."""
    chosen = known(utterances, labels)
    names = [(utterance.corpus, utterance.speaker or str(utterance.file)) for utterance in chosen]
    return Examples(
        tuple(features[utterance.file] for utterance in chosen),
        np.array([labels.index(utterance.emotion) for utterance in chosen], np.int64),
        _numbers(names),
        np.array([corpora.index(utterance.corpus) for utterance in chosen], np.int64),
    )


def _numbers(names: Sequence[tuple[object, ...]]) -> NDArray[np.int64]:
    """Return the number of each clip's speaker, from 0 on: short names first, each in order."""
    ordered = sorted(set(names), key=lambda name: (len(name), name))
    number = {name: index for index, name in enumerate(ordered)}
    return np.array([number[name] for name in names], np.int64)


def _answers_in_use(
    head: SpeakerHead, val: Clips, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return logits and truth of validation clips, once without and once with running baselines."""
    streams = streams_in_use(val, np.random.default_rng(seed))
    logits = np.concatenate(running_logits(head, val, streams))
    return logits, val.targets[np.concatenate(streams)]
