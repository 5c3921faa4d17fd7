"""Training of a speech model's head, on the baselines that it will meet in use.

An epoch is made of streams: clips of one speaker, in random order. Each clip is classified with the
baseline of the clips before it in its stream, few or many, sometimes with that of all at once.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..acoustic.fit import HIDDEN, Observer, Row
from ..network import SpeakerHead
from ..settings import Speech

_N_FOR_AXES = 15_000  # clips


@dataclass(frozen=True)
class Clips:
    """The training data of a head, a row a clip.

    `speakers` are numbers: a session of a speaker's copies is one more speaker. `allowed` marks
    the classes that a clip's corpus has: those it does not have are not counted against it.
    """

    statistics: NDArray[np.float32]  # (n, n_statistics)
    targets: NDArray[np.int64]  # (n,)
    speakers: NDArray[np.int64]  # (n,)
    corpora: NDArray[np.int64]  # (n,)
    seconds: NDArray[np.float32]  # (n,), of speech
    allowed: NDArray[np.bool_]  # (n, n_classes)


def fit_space(clips: Clips, n_dimensions: int) -> tuple[Tensor, Tensor]:
    """Find the space of z: the directions of the largest differences between a speaker's clips.

    Returns
    -------
    projection : Tensor, shape=(n_statistics, n_dimensions)
    offset : Tensor, shape=(n_dimensions,)
        z = statistics @ projection + offset has mean 0 and about unit spread over the training
        data, every speaker weighing by the square root of their clips.
    """
    count = np.bincount(clips.speakers)
    weight = 1.0 / np.sqrt(np.maximum(count, 1))[clips.speakers]
    weight = (weight / weight.sum()).astype(np.float32)
    x = clips.statistics
    mean = weight @ x
    of_speaker = np.stack(
        [x[clips.speakers == number].mean(0) if n else mean for number, n in enumerate(count)]
    )
    centred = x - of_speaker[clips.speakers]
    deviation = np.sqrt(weight @ centred**2) + 1e-4
    # Only a part of the clips: the directions of the largest spread are known from it.
    step = -(-len(x) // _N_FOR_AXES)
    scaled = centred[::step] / deviation * np.sqrt(weight[::step])[:, None]
    axes = _principal_axes(scaled, n_dimensions) / deviation[:, None]
    z = (x - mean) @ axes
    spread = np.sqrt((weight @ z**2).mean())
    projection = torch.from_numpy(axes / spread).float()
    return projection, torch.from_numpy(-mean @ axes / spread).float()


def _principal_axes(rows: NDArray[np.float32], n_axes: int) -> NDArray[np.float32]:
    """Return the axes of the largest spread, shape=(n_columns, n_axes), of unit length.

    They are found from the products of rows where these are fewer than columns; axes beyond the
    rows' span are zeros.
    """
    if len(rows) >= rows.shape[1]:
        _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
        return vectors[:, ::-1][:, :n_axes].astype(np.float32)
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    known = values > 1e-6 * values[-1]
    spanned = rows.T @ (vectors[:, known] / np.sqrt(values[known]))
    axes = np.zeros((rows.shape[1], n_axes), np.float32)
    n_known = min(n_axes, spanned.shape[1])
    axes[:, :n_known] = spanned[:, ::-1][:, :n_known]
    return axes


def fit_emotions(z: Tensor, clips: Clips, n_classes: int) -> tuple[Tensor, Tensor]:
    """Find how each emotion differs from a speaker's mean, and the axes that show it.

    Returns
    -------
    emotions : Tensor, shape=(n_classes, n_dimensions)
        Mean over speakers of an emotion's mean, less the mean of the speaker's emotions.
    axes : Tensor, shape=(n_dimensions, n_classes)
        Fisher's discriminants with a diagonal covariance, half of it shared by all dimensions;
        scores on them have unit spread within a speaker.
    """
    values = z.numpy().astype(np.float64)
    emotions = np.zeros((n_classes, values.shape[1]))
    count = np.zeros((n_classes, 1))
    centred = np.empty_like(values)
    for speaker in np.unique(clips.speakers):
        rows = clips.speakers == speaker
        shown = np.unique(clips.targets[rows])
        means = np.stack([values[rows & (clips.targets == label)].mean(0) for label in shown])
        emotions[shown] += means - means.mean(0)
        count[shown] += 1
        centred[rows] = values[rows] - values[rows].mean(0)
    emotions /= np.maximum(count, 1)
    variance = (centred**2).mean(0)
    axes = (emotions / (variance + variance.mean())).T
    axes /= np.maximum((centred @ axes).std(0), 1e-6)
    return torch.from_numpy(emotions).float(), torch.from_numpy(axes).float()


def count_epochs(n_clips: int, settings: Speech) -> int:
    """Return the number of epochs for a number of clips, copies included."""
    return max(settings.epochs, -(-settings.min_steps // _count_steps(n_clips, settings)))


def _count_steps(n_clips: int, settings: Speech) -> int:
    return n_clips // settings.batch_size + 1


def train_head(
    clips: Clips,
    val: Clips,
    n_classes: int,
    settings: Speech,
    *,
    seed: int,
    observer: Observer = Observer(),  # noqa: B008 (frozen)
) -> tuple[SpeakerHead, list[Row]]:
    """Train a head; everything random is drawn from the seed.

    The number of epochs is fixed: the validation part is watched, and chooses nothing.

    Returns
    -------
    head : SpeakerHead
        In evaluation mode.
    history : list of rows, as in `emovox.training.acoustic.fit`
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = SpeakerHead(clips.statistics.shape[1], n_classes, settings.head)
    projection, offset = fit_space(clips, settings.head.n_dimensions)
    head.get_buffer("projection").copy_(projection)
    head.get_buffer("offset").copy_(offset)
    with torch.no_grad():
        z = head.embed(torch.from_numpy(clips.statistics))
    emotions, axes = fit_emotions(z, clips, n_classes)
    head.get_buffer("emotions").copy_(emotions)
    head.get_buffer("axes").copy_(axes)
    learner = _Learner(head, z, clips, settings, rng)
    history: list[Row] = []
    for epoch in range(1, learner.n_epochs + 1):
        started = time.perf_counter()
        row = learner.epoch(epoch, observer) | _validate(head, val)
        row["seconds"] = round(time.perf_counter() - started, 3)
        history.append(row)
        observer.on_epoch(history)
    return head.eval(), history


class _Learner:
    """Trains both experts of a head, on new streams each epoch."""

    def __init__(
        self,
        head: SpeakerHead,
        z: Tensor,
        clips: Clips,
        settings: Speech,
        rng: np.random.Generator,
    ) -> None:
        self.head, self.z, self.clips = head, z, clips
        self.settings, self.rng = settings, rng
        speakers = np.unique(clips.speakers)
        self.groups = [np.flatnonzero(clips.speakers == speaker) for speaker in speakers]
        self.seconds = torch.from_numpy(clips.seconds)[:, None]
        self.targets = torch.from_numpy(clips.targets)
        self.weights = torch.from_numpy(_clip_weights(clips)).float()
        allowed = torch.from_numpy(clips.allowed)
        self.hidden = torch.where(allowed, 0.0, HIDDEN)
        one_hot = F.one_hot(self.targets, allowed.shape[1]).float()
        spread = allowed / allowed.sum(1, keepdim=True)
        self.wanted = one_hot * (1 - settings.smoothing) + settings.smoothing * spread
        self.optimiser = torch.optim.AdamW(
            head.experts.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        n_clips = len(self.targets)
        self.n_epochs = count_epochs(n_clips, settings)
        self.n_steps = self.n_epochs * _count_steps(n_clips, settings)
        self.step = 0

    def epoch(self, epoch: int, observer: Observer) -> dict[str, float]:
        """Train for one epoch; return the mean loss and accuracy."""
        self.head.train()
        losses, n_right = [], 0
        rows, means, seconds = self._baselines()
        order = torch.from_numpy(self.rng.permutation(len(rows)))
        batches = torch.split(order, self.settings.batch_size)
        for done, batch in enumerate(batches, 1):
            loss, n_right_here = self._step(rows[batch], means[batch], seconds[batch])
            losses.append(loss)
            n_right += n_right_here
            observer.on_batch(epoch, done, len(batches))
        return {
            "epoch": epoch,
            "train_loss": float(np.mean(losses)),
            "train_accuracy": n_right / len(rows),
        }

    def _step(self, rows: Tensor, means: Tensor, seconds: Tensor) -> tuple[float, int]:
        """Train both experts on a batch; return the mean loss and the second's right answers."""
        progress = min(self.step / self.n_steps, 1.0)
        rate = min(1.0, 10 * progress + 0.05) * 0.5 * (1 + np.cos(np.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * rate
        answers = self.head.experts(self.z[rows], means, seconds)
        losses = []
        for logits in answers:
            log_scores = F.log_softmax(logits + self.hidden[rows], 1).clamp(min=-50.0)
            losses.append(-((self.wanted[rows] * log_scores).sum(1) * self.weights[rows]).mean())
        loss = torch.stack(losses).sum()
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.step += 1
        right = (answers[1].detach() + self.hidden[rows]).argmax(1) == self.targets[rows]
        return loss.item() / 2, int(right.sum())

    def _baselines(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the clips of an epoch, and the mean and seconds of the clips before each."""
        rows, means, heard = [], [], []
        for stream, whole in self._streams():
            index = torch.from_numpy(stream)
            weight = self.seconds[index]
            weighted = self.z[index] * weight
            if whole:
                before = weight.sum().expand_as(weight)
                total = weighted.sum(0).expand_as(weighted)
            else:
                before = torch.cumsum(weight, 0) - weight
                total = torch.cumsum(weighted, 0) - weighted
            rows.append(index)
            means.append(torch.where(before > 0, total / before.clamp(min=1e-3), 0.0))
            heard.append(before)
        return torch.cat(rows), torch.cat(means), torch.cat(heard)

    def _streams(self) -> list[tuple[NDArray[np.int64], bool]]:
        """Cut each speaker's clips, in random order, into streams; True: heard at once."""
        streams = []
        for group in self.groups:
            if self.rng.random() < self.settings.p_whole:
                streams.append((group, True))
                continue
            order = self.rng.permutation(group)
            first = 0
            while first < len(order):
                length = int(np.exp(self.rng.uniform(np.log(5), np.log(300))))
                stream = order[first : first + length]
                first += length
                streams.append((stream, False))
        return streams


def _clip_weights(clips: Clips) -> NDArray[np.float64]:
    """Weight corpora alike, and emotions in them by the square root of their share."""
    weights = np.zeros(len(clips.targets))
    for corpus in np.unique(clips.corpora):
        of_corpus = clips.corpora == corpus
        weights[of_corpus] = 1.0 / of_corpus.sum()
        for emotion in np.unique(clips.targets[of_corpus]):
            rows = of_corpus & (clips.targets == emotion)
            weights[rows] *= (rows.sum() / of_corpus.sum()) ** -0.5
    normed: NDArray[np.float64] = weights / weights.mean()
    return normed


def _validate(head: SpeakerHead, val: Clips) -> dict[str, float]:
    """Return loss and accuracy on the validation part, without a baseline."""
    head.eval()
    with torch.inference_mode():
        nothing = torch.zeros(len(val.targets), head.n_embedding)
        logits, _ = head(torch.from_numpy(val.statistics), nothing)
        targets = torch.from_numpy(val.targets)
        return {
            "val_loss": F.cross_entropy(logits, targets).item(),
            "val_accuracy": float((logits.argmax(1) == targets).float().mean()),
        }


def running_logits(
    head: SpeakerHead, clips: Clips, streams: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.float32]]:
    """Classify streams of clips, each clip with the baseline of those before it in its stream.

    Returns
    -------
    logits : list of ndarray of float32, each of shape=(len(stream), n_classes)
    """
    head.eval()
    answers = []
    with torch.inference_mode():
        for stream in streams:
            total = torch.zeros(1, head.n_embedding)
            heard, logits = 0.0, []
            for index in stream:
                statistics = torch.from_numpy(clips.statistics[index : index + 1])
                seconds = float(clips.seconds[index])
                baseline = total / (head.config.prior_seconds + heard)
                clip_logits, embedding = head(statistics, baseline)
                logits.append(clip_logits[0].numpy())
                total = total + embedding * seconds
                heard += seconds
            answers.append(np.stack(logits))
    return answers
