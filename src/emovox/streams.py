"""Training of a speech model's head, on the baselines that it will meet in use.

An epoch is made of streams: what one speaker says, in random order. Each clip is classified with
the baseline of what came before it in its stream: sometimes none, sometimes one-sided, often long.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .network import HeadConfig, SpeakerHead
from .settings import HeadTraining
from .training import Observer, Row

_HIDDEN = -1e4  # a logit that no class has by itself


@dataclass(frozen=True)
class Clips:
    """What a head learns from, a row a clip.

    `speakers` are numbers: copies resampled by one factor are one more speaker. `allowed` marks
    the classes that a clip's corpus has: those it does not have are not counted against it.
    """

    statistics: NDArray[np.float32]  # (n, n_statistics)
    targets: NDArray[np.int64]  # (n,)
    speakers: NDArray[np.int64]  # (n,)
    corpora: NDArray[np.int64]  # (n,)
    seconds: NDArray[np.float32]  # (n,), of speech
    allowed: NDArray[np.bool_]  # (n, n_classes)


def fit_space(clips: Clips, n_dimensions: int) -> tuple[Tensor, Tensor]:
    """Find the space of z: the directions in which a speaker's clips differ most.

    Returns
    -------
    projection : Tensor, shape=(n_statistics, n_dimensions)
    offset : Tensor, shape=(n_dimensions,)
        z = statistics @ projection + offset has mean 0 and about unit spread over the training
        data, every speaker weighing by the square root of their clips.
    """
    count = np.bincount(clips.speakers)
    weight = 1.0 / np.sqrt(np.maximum(count, 1))[clips.speakers]
    weight /= weight.sum()
    x = clips.statistics.astype(np.float64)
    mean = weight @ x
    of_speaker = np.stack(
        [x[clips.speakers == one].mean(0) if n else mean for one, n in enumerate(count)]
    )
    centred = x - of_speaker[clips.speakers]
    deviation = np.sqrt(weight @ centred**2) + 1e-4
    scaled = centred / deviation * np.sqrt(weight)[:, None]
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    axes = vectors[:, ::-1][:, :n_dimensions] / deviation[:, None]
    z = (x - mean) @ axes
    spread = np.sqrt((weight @ z**2).mean())
    projection = torch.from_numpy(axes / spread).float()
    return projection, torch.from_numpy(-mean @ axes / spread).float()


def emotion_means(z: NDArray[np.float32], clips: Clips, n_classes: int) -> Tensor:
    """Return how each emotion moves a voice on average from its own middle, (n_classes, d).

    A speaker's middle is the mean of their emotions' means, however many clips of each there are.
    """
    total = np.zeros((n_classes, z.shape[1]))
    count = np.zeros((n_classes, 1))
    for speaker in np.unique(clips.speakers):
        mine = np.flatnonzero(clips.speakers == speaker)
        own = {
            emotion: z[mine[clips.targets[mine] == emotion]].mean(0)
            for emotion in np.unique(clips.targets[mine])
        }
        middle = np.mean(list(own.values()), axis=0)
        for emotion, mean in own.items():
            total[emotion] += mean - middle
            count[emotion] += 1
    return torch.from_numpy(total / np.maximum(count, 1)).float()


def train_head(
    clips: Clips,
    val: Clips,
    n_classes: int,
    config: HeadConfig,
    training: HeadTraining,
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
    history : list of rows, as in `emovox.training`
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = SpeakerHead(clips.statistics.shape[1], n_classes, config)
    projection, offset = fit_space(clips, config.n_dimensions)
    head.get_buffer("projection").copy_(projection)
    head.get_buffer("offset").copy_(offset)
    with torch.no_grad():
        z = head.embed(torch.from_numpy(clips.statistics))
    head.get_buffer("emotions").copy_(emotion_means(z.numpy(), clips, n_classes))
    learner = _Learner(head, z, clips, training, rng)
    history: list[Row] = []
    for epoch in range(1, learner.n_epochs + 1):
        started = time.perf_counter()
        row = learner.epoch(epoch, observer) | _validate(head, val)
        row["seconds"] = round(time.perf_counter() - started, 3)
        history.append(row)
        observer.on_epoch(history)
    return head.eval(), history


class _Learner:
    """Trains the members side by side, each on streams of its own."""

    def __init__(
        self,
        head: SpeakerHead,
        z: Tensor,
        clips: Clips,
        training: HeadTraining,
        rng: np.random.Generator,
    ) -> None:
        self.head, self.z, self.clips = head, z, clips
        self.training, self.rng = training, rng
        self.groups = [np.flatnonzero(clips.speakers == one) for one in np.unique(clips.speakers)]
        self.targets = torch.from_numpy(clips.targets)
        self.weights = torch.from_numpy(_clip_weights(clips)).float()
        present = np.zeros(clips.allowed.shape[1], bool)
        present[np.unique(clips.targets)] = True
        allowed = torch.from_numpy(clips.allowed & present)
        self.present = torch.where(torch.from_numpy(present), 0.0, _HIDDEN)
        self.hidden = torch.where(allowed, 0.0, _HIDDEN)
        one_hot = F.one_hot(self.targets, len(present)).float()
        spread = allowed / allowed.sum(1, keepdim=True)
        self.wanted = one_hot * (1 - training.smoothing) + training.smoothing * spread
        n_members = len(head.members)
        self.posteriors = [one_hot.clone() for _ in range(n_members)]
        self.optimisers = [
            torch.optim.AdamW(
                member.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
            )
            for member in head.members
        ]
        n_steps = len(self.targets) // training.batch_size + 1
        self.n_epochs = max(training.epochs, -(-training.min_steps // n_steps))
        self.n_steps = self.n_epochs * n_steps
        self.steps = [0] * n_members

    def epoch(self, epoch: int, observer: Observer) -> dict[str, float]:
        """Train every member for one epoch; return the mean loss and accuracy."""
        self.head.train()
        losses, right, n_clips = [], 0, 0
        n_members = len(self.head.members)
        for member in range(n_members):
            rows, means, seconds = self._baselines(member)
            order = torch.from_numpy(self.rng.permutation(len(rows)))
            for first in range(0, len(order), self.training.batch_size):
                chosen = order[first : first + self.training.batch_size]
                loss, n_right = self._step(member, rows[chosen], means[chosen], seconds[chosen])
                losses.append(loss)
                right += n_right
            n_clips += len(rows)
            self._forget(member)
            observer.on_batch(epoch, member + 1, n_members)
        return {
            "epoch": epoch,
            "train_loss": float(np.mean(losses)),
            "train_accuracy": right / n_clips,
        }

    def _step(self, member: int, rows: Tensor, means: Tensor, seconds: Tensor) -> tuple[float, int]:
        optimiser, training = self.optimisers[member], self.training
        progress = min(self.steps[member] / self.n_steps, 1.0)
        rate = min(1.0, 10 * progress + 0.05) * 0.5 * (1 + np.cos(np.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate * rate
        logits = self.head.members[member](self.z[rows], means, seconds)
        log_scores = F.log_softmax(logits + self.hidden[rows], 1).clamp(min=-50.0)
        loss = -((self.wanted[rows] * log_scores).sum(1) * self.weights[rows]).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        self.steps[member] += 1
        with torch.no_grad():
            self.posteriors[member][rows] = torch.softmax(logits + self.present, 1)
            right = (logits + self.hidden[rows]).argmax(1) == self.targets[rows]
        return loss.item(), int(right.sum())

    def _forget(self, member: int) -> None:
        """Give some clips another clip's expected emotion: the model knows them too well by now."""
        wrong = torch.from_numpy(self.rng.random(len(self.targets)) < self.training.p_wrong_emotion)
        others = torch.from_numpy(self.rng.permutation(len(self.targets)))[: int(wrong.sum())]
        self.posteriors[member][wrong] = self.posteriors[member][others]

    def _baselines(self, member: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the clips of an epoch, and the mean and seconds of what each was preceded by."""
        residuals = self.z - self.posteriors[member] ** 2 @ self.head.get_buffer("emotions")
        seconds = torch.from_numpy(self.clips.seconds)
        rows, means, heard = [], [], []
        for stream, use in self._streams():
            index = torch.from_numpy(stream)
            source = index
            if use == "strange":
                other = self.groups[self.rng.integers(len(self.groups))]
                source = torch.from_numpy(self.rng.choice(other, len(stream)))
            weight = seconds[source][:, None]
            before = torch.cumsum(weight, 0) - weight
            total = torch.cumsum(residuals[source] * weight, 0) - residuals[source] * weight
            if use == "none":
                before = torch.zeros_like(before)
            rows.append(index)
            means.append(torch.where(before > 0, total / before.clamp(min=1e-3), 0.0))
            heard.append(before)
        return torch.cat(rows), torch.cat(means), torch.cat(heard)

    def _streams(self) -> list[tuple[NDArray[np.int64], str]]:
        """Cut each speaker's clips, in random order, into streams of 5 to 300 clips."""
        training = self.training
        streams = []
        for group in self.groups:
            order = self.rng.permutation(group)
            first = 0
            while first < len(order):
                length = int(np.exp(self.rng.uniform(np.log(5), np.log(300))))
                stream = order[first : first + length]
                first += length
                kinds = (training.p_no_baseline, training.p_one_sided, training.p_strange)
                drawn = int(np.searchsorted(np.cumsum(kinds), self.rng.random(), side="right"))
                use = ("none", "one-sided", "strange", "own")[drawn]
                if use == "one-sided":
                    stream = self._one_sided(group, len(stream))
                streams.append((stream, use))
        return streams

    def _one_sided(self, group: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Draw a stream in which four in five clips have one emotion."""
        emotions = self.clips.targets[group]
        chosen = self.rng.choice(np.unique(emotions))
        same, other = group[emotions == chosen], group[emotions != chosen]
        n_same = max(1, min(len(same), round(0.8 * length)))
        n_other = min(len(other), max(1, round(n_same / 4)))
        drawn = [
            self.rng.choice(same, n_same, replace=False),
            self.rng.choice(other, n_other, replace=False),
        ]
        return self.rng.permutation(np.concatenate(drawn))


def _clip_weights(clips: Clips) -> NDArray[np.float64]:
    """Weight corpora alike, and emotions in them by the square root of their share."""
    weights = np.zeros(len(clips.targets))
    for corpus in np.unique(clips.corpora):
        mine = clips.corpora == corpus
        weights[mine] = 1.0 / mine.sum()
        for emotion in np.unique(clips.targets[mine]):
            these = mine & (clips.targets == emotion)
            weights[these] *= (these.sum() / mine.sum()) ** -0.5
    normed: NDArray[np.float64] = weights / weights.mean()
    return normed


def _validate(head: SpeakerHead, val: Clips) -> dict[str, float]:
    """Return loss and accuracy on the validation part, without a baseline."""
    head.eval()
    with torch.inference_mode():
        z = head.embed(torch.from_numpy(val.statistics))
        logits = head.classify(z, torch.zeros_like(z), torch.zeros(len(z), 1))
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
            total = torch.zeros(1, head.get_buffer("offset").shape[0] + 1)
            heard, logits = 0.0, []
            for index in stream:
                statistics = torch.from_numpy(clips.statistics[index : index + 1])
                seconds = float(clips.seconds[index])
                one, embedding = head(statistics, total / (head.prior_seconds + heard))
                logits.append(one[0].numpy())
                total = total + embedding * seconds
                heard += seconds
            answers.append(np.stack(logits))
    return answers
