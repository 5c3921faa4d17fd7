"""Training of the network: Adam, cross-entropy, early stopping, a checkpoint after every epoch."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...errors import TrainingError
from ...files import written_whole
from ..network import EmotionNetwork
from ..settings import Acoustic
from .voices import Array, Examples, cut_and_masked, draw_baselines, draw_voices

MIN_GAIN = 1e-3  # of the validation loss, for an epoch to count as progress
HIDDEN = -1e4  # a logit that no class has by itself
_EVALUATION_BATCH = 128

Row = Mapping[str, float]
"""One epoch: epoch, train_loss, train_accuracy, val_loss, val_accuracy, seconds."""


@dataclass(frozen=True)
class Plan:
    """The length of a training: its epochs, and whether the validation part chooses one."""

    n_epochs: int  # at most, if one is chosen
    chooses: bool


@dataclass(frozen=True)
class Trained:
    """The network of the best epoch, in evaluation mode, and the course of the training.

    `logits` are those of the validation part, with the baselines that chose the epoch.
    """

    network: EmotionNetwork
    history: tuple[Row, ...]
    logits: NDArray[np.float32]


@dataclass(frozen=True)
class Observer:
    """Progress callbacks: (epoch, batches done, batches in all), and all epochs after each."""

    on_batch: Callable[[int, int, int], None] = lambda epoch, done, total: None
    on_epoch: Callable[[Sequence[Row]], None] = lambda history: None


@dataclass(frozen=True)
class Checkpoint:
    """The file that training resumes from, and a name of its run: settings and data."""

    path: Path
    run: str


class _State:
    """The state in a checkpoint: network, optimiser, the best weights so far, and the history."""

    def __init__(self, network: EmotionNetwork, learning_rate: float) -> None:
        self.network = network
        self.optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []

    def save(self, checkpoint: Checkpoint) -> None:
        buffer = io.BytesIO()
        content = {
            "run": checkpoint.run,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "history": self.history,
        }
        torch.save(content, buffer)
        with written_whole(checkpoint.path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    def load(self, checkpoint: Checkpoint) -> None:
        path = checkpoint.path
        try:
            content: dict[str, Any] = torch.load(path, weights_only=True)
            same_run = content["run"] == checkpoint.run
        except Exception as error:  # noqa: BLE001 (a damaged pickle raises anything)
            raise TrainingError(
                f"{path}: cannot read the checkpoint ({error}); delete it to train from the start"
            ) from None
        if not same_run:
            raise TrainingError(
                f"{path}: the checkpoint is of another run: its settings or recordings differ; "
                "use another folder for --out"
            )
        self.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.best, self.history = content["best"], content["history"]

    def finished(self, settings: Acoustic) -> bool:
        """Whether the last epoch is done or the validation loss has stopped falling."""
        return (
            len(self.history) >= settings.epochs or idle_epochs(self.history) >= settings.patience
        )

    def record(self, row: dict[str, float]) -> None:
        """Append an epoch, and keep its weights if it is the best so far."""
        losses = [earlier["val_loss"] for earlier in self.history]
        self.history.append(row)
        if not losses or row["val_loss"] < min(losses):
            self.best = {key: value.clone() for key, value in self.network.state_dict().items()}


def idle_epochs(history: Sequence[Row]) -> int:
    """Count the epochs since the validation loss last fell by `MIN_GAIN`: early stopping's rule."""
    best, idle = float("inf"), 0
    for row in history:
        if row["val_loss"] < best - MIN_GAIN:
            best, idle = row["val_loss"], 0
        else:
            idle += 1
    return idle


def ending(history: Sequence[Row], settings: Acoustic) -> str:
    """Describe why an acoustic training stopped, and the epoch that is kept."""
    idle, n_epochs = idle_epochs(history), len(history)
    kept = min(history, key=lambda row: row["val_loss"])
    if idle >= settings.patience:
        why = f"the validation loss had not fallen by {MIN_GAIN:g} for {idle} epochs (patience)"
    else:
        why = "the number of epochs asked for (epochs)"
    return (
        f"stopped after epoch {n_epochs}: {why}; kept is epoch {kept['epoch']:.0f}, with the "
        f"lowest validation loss, {kept['val_loss']:.4f}"
    )


def train_network(
    train: Examples,
    val: Examples,
    n_classes: int,
    settings: Acoustic,
    *,
    seed: int,
    checkpoint: Checkpoint | None = None,
    observer: Observer = Observer(),
) -> Trained:
    """Train a network, or go on from a checkpoint; the result is the same either way.

    Everything random is drawn from the seed and the epoch alone, so the same seed gives the same
    weights on one machine, as does an interrupted run that is resumed.

    Parameters
    ----------
    train, val : Examples
        The features' mean and deviation are taken from `train`; `val` chooses the epoch.
    n_classes : int
    settings : Acoustic
    seed : int
    checkpoint : Checkpoint, optional
        Written after every epoch; if the file exists, training resumes from it.
    observer : Observer

    Raises
    ------
    TrainingError
        If the checkpoint is unreadable or of another run, or the loss is no longer finite.
    """
    with _deterministic():
        torch.manual_seed(seed)
        network = EmotionNetwork(train.frames[0].shape[1], n_classes, settings.network)
        everything = np.concatenate(train.frames).astype(np.float64)
        mean, deviation = everything.mean(0), everything.std(0)
        network.standardise_by(torch.from_numpy(mean).float(), torch.from_numpy(deviation).float())
        state = _State(network, settings.learning_rate)
        if checkpoint and checkpoint.path.exists():
            state.load(checkpoint)
        weights, val_weights = _weights(train, n_classes), _weights(val, n_classes)
        usual = draw_baselines(
            _embeddings(network, val.means), val, settings, np.random.default_rng(seed)
        )
        while not state.finished(settings):
            epoch = len(state.history) + 1
            started = time.perf_counter()
            row = _train_epoch(state, train, weights, settings, seed, epoch, observer)
            row |= _validate(network, val, usual, val_weights)
            row["seconds"] = round(time.perf_counter() - started, 3)
            state.record(row)
            if checkpoint:
                state.save(checkpoint)
            observer.on_epoch(state.history)
    network.load_state_dict(state.best)
    logits = predict_logits(network, val.frames, usual)
    return Trained(network, tuple(state.history), logits)


def predict_logits(
    network: EmotionNetwork, frames: Sequence[Array], baselines: Array | None = None
) -> NDArray[np.float32]:
    """Return the logits of clips, shape=(n_clips, n_classes); without `baselines` none is used."""
    network.eval()
    if baselines is None:
        baselines = np.zeros((len(frames), frames[0].shape[1]), np.float32)
    logits = []
    with torch.inference_mode():
        for first in range(0, len(frames), _EVALUATION_BATCH):
            chosen = slice(first, first + _EVALUATION_BATCH)
            padded, n_frames = pad_frames(frames[chosen])
            logits.append(network(padded, n_frames, torch.from_numpy(baselines[chosen]))[0].numpy())
    return np.concatenate(logits)


def pad_frames(frames: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack clips of different lengths with zeros behind them; return them and their lengths."""
    padded = pad_sequence([torch.from_numpy(clip) for clip in frames], batch_first=True)
    return padded, torch.tensor([len(clip) for clip in frames])


def _train_epoch(
    state: _State,
    train: Examples,
    weights: Tensor,
    settings: Acoustic,
    seed: int,
    epoch: int,
    observer: Observer,
) -> dict[str, float]:
    torch.manual_seed(seed * 1_000_003 + epoch)  # of dropout
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(train.targets))
    batches = [
        order[first : first + settings.batch_size]
        for first in range(0, len(order), settings.batch_size)
    ]
    cooled = settings.cooling * (epoch - 1) / settings.epochs
    for group in state.optimiser.param_groups:
        group["lr"] = settings.learning_rate * (1.0 - cooled)
    met = _Epoch(state.network, train, settings, rng)
    allowed = weights > 0
    state.network.train()
    total_loss = total_weight = n_right = 0.0
    for done, chosen in enumerate(batches, 1):
        padded, n_frames = pad_frames([met.clip(index) for index in chosen])
        targets = torch.from_numpy(train.targets[chosen])
        corpora = torch.from_numpy(train.corpora[chosen])
        logits, _ = state.network(padded, n_frames, torch.from_numpy(met.baselines[chosen]))
        logits = logits.masked_fill(~allowed[corpora], HIDDEN)
        weight = weights[corpora, targets]
        loss = _mean_loss(logits, targets, weight)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is no longer finite in epoch {epoch}; try a lower learning_rate "
                f"than {settings.learning_rate:g}"
            )
        state.optimiser.zero_grad()
        torch.autograd.backward(loss)
        state.optimiser.step()
        batch_weight = float(weight.sum())
        total_loss += loss.item() * batch_weight
        total_weight += batch_weight
        n_right += int((logits.argmax(1) == targets).sum())
        observer.on_batch(epoch, done, len(batches))
    return {
        "epoch": epoch,
        "train_loss": total_loss / total_weight,
        "train_accuracy": n_right / len(order),
    }


class _Epoch:
    """The clips of one epoch as the network meets them, and the baselines they meet."""

    def __init__(
        self,
        network: EmotionNetwork,
        train: Examples,
        settings: Acoustic,
        rng: np.random.Generator,
    ) -> None:
        self.train, self.settings, self.rng = train, settings, rng
        self.mean = network.get_buffer("mean").numpy()
        self.deviation = network.get_buffer("deviation").numpy()
        n_speakers = int(train.speakers.max()) + 1
        self.voices = draw_voices(n_speakers, self.deviation, settings, rng)
        embeddings = _embeddings(network, self.voices.means(train))
        self.baselines = draw_baselines(embeddings, train, settings, rng)

    def clip(self, index: int) -> Array:
        """Return the frames of a clip; masked ones take the speaker's usual values."""
        frames = self.voices.clip(self.train.frames[index], self.train.speakers[index])
        usual = self.mean + self.deviation * self.baselines[index]
        return cut_and_masked(frames, usual, self.settings, self.rng)


def _embeddings(network: EmotionNetwork, means: Array) -> Array:
    """Standardise mean frames; in use frames are: they differ only beyond the network's clamp."""
    embeddings: Array = network.standardised(torch.from_numpy(means)).numpy()
    return embeddings


def _validate(
    network: EmotionNetwork, val: Examples, baselines: Array, weights: Tensor
) -> dict[str, float]:
    logits = torch.from_numpy(predict_logits(network, val.frames, baselines))
    targets = torch.from_numpy(val.targets)
    weight = weights[torch.from_numpy(val.corpora), targets]
    return {
        "val_loss": _mean_loss(logits, targets, weight).item(),
        "val_accuracy": float((logits.argmax(1) == targets).float().mean()),
    }


def _mean_loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    losses = F.cross_entropy(logits, targets, reduction="none")
    return (losses * weight).sum() / weight.sum()


def _weights(examples: Examples, n_classes: int) -> Tensor:
    """Weigh corpora alike in the loss, and in each the emotions it has: (n_corpora, n_classes)."""
    count = np.zeros((int(examples.corpora.max()) + 1, n_classes))
    np.add.at(count, (examples.corpora, examples.targets), 1)
    share = (count > 0) / np.maximum(count, 1) / np.maximum((count > 0).sum(1, keepdims=True), 1)
    return torch.from_numpy(share * len(examples.targets) / len(count)).float()


@contextmanager
def _deterministic() -> Iterator[None]:
    """Have torch refuse operations that are not repeatable, and leave it as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
