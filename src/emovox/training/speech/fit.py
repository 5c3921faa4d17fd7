"""Training of a speech model's head: two softmax regressions, and how sure they may be.

One is fitted to the clips, the other to what is left of them without the mean of their speaker. How
sure both are is fitted to answers of heads that have not heard the clip's corpus, or its speaker.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor

from ..acoustic.fit import HIDDEN, Observer, Row
from ..network import SpeakerHead
from ..settings import Speech

_N_ITERATIONS = 5  # of L-BFGS, in an epoch
_N_FOLDS = 5  # of speakers, to fit the certainty without other corpora
_MIN_SPEAKERS = 3  # of a corpus that counts as one, there
_BOUNDS = ((0.0, 2.0), (0.0, 2.0), (-2.0, 2.0))  # of the certainty: at no trust never above T = 1
_LEAST_SPREAD = 1e-4  # of a statistic, so that one that never changes divides by no zero
_N_ROWS = 4096  # of the statistics, in a copy of a part

Rows = NDArray[np.int64]


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
    original: NDArray[np.bool_]  # (n,), False of copies

    def __getitem__(self, rows: Rows | NDArray[np.bool_]) -> "Clips":
        """Return some of the clips."""
        return Clips(*(getattr(self, field.name)[rows] for field in fields(self)))


def train_head(
    clips: Clips,
    val: Clips,
    n_classes: int,
    settings: Speech,
    *,
    seed: int,
    observer: Observer = Observer(),  # noqa: B008 (frozen)
) -> tuple[SpeakerHead, list[Row]]:
    """Train a head; the seed draws the orders of clips that its certainty is fitted to.

    The number of epochs is fixed: the validation part is watched, and chooses nothing.

    Returns
    -------
    head : SpeakerHead
        In evaluation mode.
    history : list of rows, as in `emovox.training.acoustic.fit`
        Losses and accuracies are those of the expert for the clip itself.
    """
    experts = _Experts(clips, n_classes, settings)
    history: list[Row] = []
    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        for done, expert in enumerate(experts.both, 1):
            expert.improve()
            observer.on_batch(epoch, done, len(experts.both))
        row = {"epoch": epoch} | experts.itself.outcome() | _validate(experts.head(), val)
        row["seconds"] = round(time.perf_counter() - started, 3)
        history.append(row)
        observer.on_epoch(history)
    head = experts.head()
    head.certainty.copy_(fit_certainty(clips, n_classes, settings, seed=seed))
    return head, history


class _Experts:
    """Both experts of a head, in fitting."""

    def __init__(self, clips: Clips, n_classes: int, settings: Speech) -> None:
        self.n_classes, self.config = n_classes, settings.head
        self.itself = _Expert(clips, np.zeros_like(clips.speakers), n_classes, settings.l2)
        self.difference = _Expert(clips, clips.speakers, n_classes, settings.l2)
        self.both = (self.itself, self.difference)

    def head(self) -> SpeakerHead:
        """Return a head of the experts, as sure as they are by themselves."""
        head = SpeakerHead(len(self.itself.spread), self.n_classes, self.config).eval()
        head.get_buffer("mean").copy_(self.itself.means[0])
        head.itself.copy_(self.itself.scaled().detach().T)
        head.itself_bias.copy_(self.itself.bias.detach())
        head.difference.copy_(self.difference.scaled().detach().T)
        head.difference_bias.copy_(self.difference.bias.detach())
        return head


class _Expert:
    """A softmax regression on statistics, less the mean of their group and by their spread.

    The statistics are neither centred nor scaled, which would take a copy of a large table: the
    weights are scaled in their place, and the groups' means are multiplied by them as well. A
    class is a row of the weights: as columns, their gradient took seven times as long.
    """

    def __init__(self, clips: Clips, groups: Rows, n_classes: int, l2: float) -> None:
        self.statistics, self.l2 = torch.from_numpy(clips.statistics), l2
        self.groups = torch.from_numpy(np.unique(groups, return_inverse=True)[1])
        self.means = _means(self.statistics, torch.from_numpy(clips.seconds), self.groups)
        self.spread = _spread(self.statistics, self.means, self.groups)
        self.targets = torch.from_numpy(clips.targets)
        self.hidden = torch.where(torch.from_numpy(clips.allowed), 0.0, HIDDEN)
        self.shares = torch.from_numpy(clip_weights(clips) / len(clips.targets)).float()
        self.weight = torch.zeros(n_classes, len(self.spread), requires_grad=True)
        self.bias = torch.zeros(n_classes, requires_grad=True)
        self.optimiser = torch.optim.LBFGS(
            [self.weight, self.bias],
            max_iter=_N_ITERATIONS,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

    def scaled(self) -> Tensor:
        """Return the weights of plain statistics, shape=(n_classes, n_statistics)."""
        return self.weight / self.spread

    def improve(self) -> None:
        """Take some steps of L-BFGS."""

        def loss() -> Tensor:
            self.optimiser.zero_grad()
            whole = self._entropy(self._logits()) + self.l2 / 2 * (self.weight**2).sum()
            torch.autograd.backward(whole)
            return whole

        self.optimiser.step(loss)  # type: ignore[no-untyped-call]

    def outcome(self) -> dict[str, float]:
        """Return loss, without the penalty, and accuracy on the training data."""
        with torch.inference_mode():
            logits = self._logits()
            right = (logits.argmax(1) == self.targets).float().mean()
            return {"train_loss": self._entropy(logits).item(), "train_accuracy": right.item()}

    def _logits(self) -> Tensor:
        scaled = self.scaled()
        of_groups = (scaled @ self.means.T).T[self.groups]
        return (scaled @ self.statistics.T).T - of_groups + self.bias + self.hidden

    def _entropy(self, logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, self.targets, reduction="none") @ self.shares


def _means(statistics: Tensor, seconds: Tensor, groups: Tensor) -> Tensor:
    """Return the means of groups of clips over time, shape=(n_groups, n_statistics)."""
    total = torch.zeros(int(groups.max()) + 1, statistics.shape[1], dtype=torch.float64)
    for part in _parts(statistics):
        total.index_add_(0, groups[part], statistics[part].double() * seconds[part, None])
    return (total / torch.bincount(groups, seconds.double())[:, None]).float()


def _spread(statistics: Tensor, means: Tensor, groups: Tensor) -> Tensor:
    """Return the standard deviation around the groups' means, shape=(n_statistics,)."""
    total = torch.zeros(statistics.shape[1], dtype=torch.float64)
    for part in _parts(statistics):
        total += ((statistics[part] - means[groups[part]]) ** 2).sum(0)
    return (total / len(statistics)).sqrt().float() + _LEAST_SPREAD


def _parts(table: Tensor) -> Iterator[slice]:
    """Yield parts of a table that may be copied."""
    return (slice(first, first + _N_ROWS) for first in range(0, len(table), _N_ROWS))


def clip_weights(clips: Clips) -> NDArray[np.float64]:
    """Weight corpora by the root of their size, and emotions in them by the root of their share.

    Returns
    -------
    weights : ndarray of float64, shape=(n,)
        Their mean is 1.
    """
    weights = np.zeros(len(clips.targets))
    for corpus in np.unique(clips.corpora):
        of_corpus = clips.corpora == corpus
        weights[of_corpus] = of_corpus.sum() ** -0.5
        for emotion in np.unique(clips.targets[of_corpus]):
            rows = of_corpus & (clips.targets == emotion)
            weights[rows] *= (rows.sum() / of_corpus.sum()) ** -0.5
    normed: NDArray[np.float64] = weights / weights.mean()
    return normed


def _validate(head: SpeakerHead, val: Clips) -> dict[str, float]:
    """Return loss and accuracy on the validation part, without a baseline."""
    with torch.inference_mode():
        voices = head.listen(torch.from_numpy(val.statistics), torch.from_numpy(val.seconds))
        logits = head.judge(voices, torch.zeros(len(voices), head.n_embedding))
        targets = torch.from_numpy(val.targets)
        return {
            "val_loss": F.cross_entropy(logits, targets).item(),
            "val_accuracy": float((logits.argmax(1) == targets).float().mean()),
        }


def fit_certainty(clips: Clips, n_classes: int, settings: Speech, *, seed: int) -> Tensor:
    """Find the temperature of the logits by what is known, from heads that did not hear the clip.

    Each corpus, or a part of the speakers, is left out in turn; its original clips are answered
    without and with running baselines.

    Returns
    -------
    certainty : Tensor, shape=(3,)
        As a head has it; zeros (T = 1) if there is but one speaker.
    """
    rng = np.random.default_rng(seed)
    originals = clips[clips.original]
    parts = []
    for left_out in _left_out(originals):
        heard = originals[~left_out]
        taught = np.isin(np.arange(n_classes), heard.targets)
        rows = np.flatnonzero(left_out & taught[originals.targets])
        if rows.size:
            logits, known, order = _answers(
                fit_experts(heard, n_classes, settings), originals[rows], rng
            )
            parts.append((np.where(taught, logits, HIDDEN), known, rows[order]))
    if not parts:
        return torch.zeros(3)
    logits, known, rows = map(np.concatenate, zip(*parts, strict=True))
    weights = clip_weights(originals)[rows]
    return torch.from_numpy(
        _fit_temperatures(logits, known, originals.targets[rows], weights / weights.sum())
    ).float()


def _left_out(clips: Clips) -> Iterator[NDArray[np.bool_]]:
    """Yield the clips to leave out: a corpus in turn, or a fifth of the speakers."""
    corpora = np.unique(clips.corpora)
    sizes = [len(np.unique(clips.speakers[clips.corpora == corpus])) for corpus in corpora]
    if sum(size >= _MIN_SPEAKERS for size in sizes) >= 2:
        yield from (clips.corpora == corpus for corpus in corpora)
        return
    names, numbers = np.unique(clips.speakers, return_inverse=True)
    n_folds = min(_N_FOLDS, len(names))
    if n_folds > 1:
        yield from (numbers % n_folds == fold for fold in range(n_folds))


def fit_experts(clips: Clips, n_classes: int, settings: Speech) -> SpeakerHead:
    """Train a head that nobody watches, as sure as its experts are by themselves.

    Nothing in it is drawn. Its labels are those of `train_head`; its scores may be too sure.
    """
    experts = _Experts(clips, n_classes, settings)
    for _ in range(settings.epochs):
        for expert in experts.both:
            expert.improve()
    return experts.head()


def _answers(
    head: SpeakerHead, clips: Clips, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], Rows]:
    """Return logits, what is known of each answer, and the clips, in the streams of use."""
    streams = streams_in_use(clips, rng)
    with torch.inference_mode():
        voices, baselines = _heard(head, clips, streams)
        logits = head.judge(voices, baselines).double().numpy()
        known = head.known(voices, baselines).double().numpy()
    return logits, known, np.concatenate(streams)


def _fit_temperatures(
    logits: NDArray[np.float64],
    known: NDArray[np.float64],
    truth: Rows,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find c of the temperatures exp(known @ c) with the least negative log-likelihood."""

    def loss(c: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        cooled = logits * np.exp(-known @ c)[:, None]
        chances = log_softmax(cooled, axis=1)
        of_truth = np.arange(len(truth)), truth
        usual = (np.exp(chances) * cooled).sum(1)
        slope = (weights * (cooled[of_truth] - usual)) @ known
        return -float(weights @ chances[of_truth]), slope

    found = minimize(loss, np.zeros(known.shape[1]), jac=True, bounds=_BOUNDS, method="L-BFGS-B")
    rounded: NDArray[np.float64] = found.x.round(4)
    return rounded


def streams_in_use(clips: Clips, rng: np.random.Generator) -> list[Rows]:
    """Return each clip alone, and the clips of each speaker in random order."""
    alone = [np.array([row]) for row in range(len(clips.targets))]
    speakers = (np.flatnonzero(clips.speakers == one) for one in np.unique(clips.speakers))
    return alone + [rng.permutation(rows) for rows in speakers]


def running_logits(
    head: SpeakerHead, clips: Clips, streams: Sequence[Rows]
) -> list[NDArray[np.float32]]:
    """Classify streams of clips, each clip with the baseline of those before it in its stream.

    Returns
    -------
    logits : list of ndarray of float32, each of shape=(len(stream), n_classes)
    """
    if not streams:
        return []
    with torch.inference_mode():
        logits = head.judge(*_heard(head, clips, streams)).numpy()
    return np.split(logits, np.cumsum([len(stream) for stream in streams])[:-1])


def _heard(head: SpeakerHead, clips: Clips, streams: Sequence[Rows]) -> tuple[Tensor, Tensor]:
    """Return the voices of streams of clips, one after the other, and the baselines before."""
    seconds = torch.from_numpy(clips.seconds)
    voices = head.listen(torch.from_numpy(clips.statistics), seconds)
    embeddings = np.pad(voices.double().numpy(), ((0, 0), (0, 1)), constant_values=1.0)
    weighted = embeddings * clips.seconds[:, None]
    baselines = []
    for stream in streams:
        before = weighted[stream].cumsum(0) - weighted[stream]
        baselines.append(before / (head.config.prior_seconds + before[:, -1:]))
    return voices[np.concatenate(streams)], torch.from_numpy(np.concatenate(baselines)).float()
