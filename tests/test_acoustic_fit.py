"""Training: it learns, repeats itself, resumes, stops early, and refuses what is not its own."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from emovox.errors import TrainingError
from emovox.training.acoustic.fit import (
    Checkpoint,
    Observer,
    Trained,
    ending,
    idle_epochs,
    predict_logits,
    train_network,
)
from emovox.training.acoustic.voices import Examples
from emovox.training.settings import Acoustic, AcousticConfig, NetworkConfig

SETTINGS = Acoustic(
    epochs=6, patience=6, batch_size=8, network=NetworkConfig(channels=(8,), n_lstm=4)
)
WITH_BASELINES = dataclasses.replace(
    SETTINGS, p_alone=0.5, offset=0.3, mask=0.2, crop_s=0.1, cooling=1.0
)


def make_examples(n: int, seed: int, *, shuffled: bool = False) -> Examples:
    """Make clips of noise whose mean tells their class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    means = rng.permutation(targets) if shuffled else targets
    frames = tuple(
        (rng.normal(0, 1, (int(rng.integers(5, 12)), 4)) + mean).astype(np.float32)
        for mean in means
    )
    return Examples(frames, targets.astype(np.int64), np.arange(n) // 15, np.arange(n) % 2)


def run(
    folder: Path, settings: Acoustic = SETTINGS, name: str = "a run", **changes: object
) -> Trained:
    """Train on made-up clips, with a checkpoint in `folder`."""
    train, val = make_examples(60, 0), make_examples(30, 1)
    arguments = {"seed": 0, **changes}
    return train_network(
        train, val, 3, settings, checkpoint=Checkpoint(folder / "checkpoint.pt", name), **arguments
    )


class StopError(Exception):
    """Raised to end a training from within, as a kill would."""


def history(*losses: float) -> list[dict[str, float]]:
    """Make the epochs of a training from their validation losses."""
    return [{"epoch": number, "val_loss": loss} for number, loss in enumerate(losses, 1)]


def test_progress_is_what_early_stopping_counts():
    """An epoch counts as progress where the loss fell by 0.001, and by less it does not."""
    courses = ((1,), (1, 0.5), (1, 0.9995), (1, 1.1, 0.9))
    assert [idle_epochs(history(*losses)) for losses in courses] == [0, 0, 1, 0]
    creeping = history(*(1 - 1e-5 * step for step in range(50)))
    assert idle_epochs(creeping) == 49


def test_the_end_is_told():
    """It is said why a training stopped, and which epoch is kept."""
    stopped = ending(history(1.0, 0.5, 0.4995, 0.6), Acoustic(patience=2))
    assert "stopped after epoch 4: the validation loss had not fallen by 0.001 for 2" in stopped
    assert "kept is epoch 3, with the lowest validation loss, 0.4995" in stopped
    assert "the number of epochs asked for" in ending(history(1.0, 0.5), Acoustic(epochs=2))


def stop_after(n_epochs: int) -> Observer:
    """Make an observer that ends the training in the epoch after `n_epochs`."""

    def on_batch(epoch: int, done: int, total: int) -> None:
        if epoch > n_epochs and done == 2:
            raise StopError

    return Observer(on_batch=on_batch)


def weights(trained: Trained) -> list[torch.Tensor]:
    """Return all weights."""
    return list(trained.network.state_dict().values())


def losses(trained: Trained) -> list[tuple[float, ...]]:
    """Return the history without the seconds."""
    return [tuple(v for k, v in row.items() if k != "seconds") for row in trained.history]


def test_it_learns(tmp_path):
    """Classes that can be told apart are told apart after a few epochs."""
    trained = run(tmp_path, dataclasses.replace(SETTINGS, epochs=15, learning_rate=5e-3))
    fresh = make_examples(60, 2)
    right = predict_logits(trained.network, fresh.frames).argmax(1) == fresh.targets
    assert right.mean() > 0.9
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]


def test_it_learns_from_what_is_beside_the_baseline():
    """Where only the distance from the speaker's mean tells the class, baselines make it learnt."""

    def speakers(seed: int) -> Examples:
        rng = np.random.default_rng(seed)
        voices = np.repeat(rng.normal(0, 6, 30), 6)
        plain = make_examples(180, seed)
        frames = tuple(clip + np.float32(by) for clip, by in zip(plain.frames, voices, strict=True))
        return Examples(frames, plain.targets, np.arange(180) // 6, np.zeros(180, np.int64))

    train, val = speakers(0), speakers(1)
    settings = dataclasses.replace(
        SETTINGS,
        epochs=12,
        learning_rate=5e-3,
        p_alone=0.0,
        features=AcousticConfig(n_fft=8192, hop=8192),  # so that few frames are many seconds
    )
    trained = train_network(train, val, 3, settings, seed=0)
    alone = predict_logits(trained.network, val.frames).argmax(1) == val.targets
    assert (trained.logits.argmax(1) == val.targets).mean() > alone.mean() + 0.1


def test_shuffled_labels_fall_to_chance():
    """Trained on labels that mean nothing, it is no better than chance on fresh clips."""
    train = make_examples(120, 0, shuffled=True)
    trained = train_network(train, make_examples(30, 1, shuffled=True), 3, SETTINGS, seed=0)
    fresh = make_examples(300, 2, shuffled=True)
    right = predict_logits(trained.network, fresh.frames).argmax(1) == fresh.targets
    assert right.mean() == pytest.approx(1 / 3, abs=0.1)


def test_same_seed_same_weights(tmp_path):
    """Two trainings from one seed end in the same weights, bit by bit; another seed does not."""
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    other = run(tmp_path / "c", seed=1)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))


@pytest.mark.parametrize(
    ("n_epochs", "settings"), [(1, SETTINGS), (4, SETTINGS), (2, WITH_BASELINES)]
)
def test_resumed_equals_straight(tmp_path, n_epochs, settings):
    """A training stopped in the middle of an epoch and resumed ends as a straight one."""
    straight = run(tmp_path / "straight", settings)
    with pytest.raises(StopError):
        run(tmp_path / "stopped", settings, observer=stop_after(n_epochs))
    resumed = run(tmp_path / "stopped", settings)
    assert losses(resumed) == losses(straight)
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))


def test_a_finished_training_is_not_trained_again(tmp_path):
    """Resuming what is finished returns it without another epoch."""
    run(tmp_path)
    seen = []
    again = run(tmp_path, observer=Observer(on_batch=lambda *args: seen.append(args)))
    assert len(again.history) == SETTINGS.epochs
    assert not seen


def test_it_stops_early_and_keeps_the_best_epoch(tmp_path):
    """Without progress it stops after `patience` epochs, with the weights of the best one."""
    settings = dataclasses.replace(SETTINGS, epochs=200, patience=2, learning_rate=0.05)
    trained = run(tmp_path, settings)
    assert len(trained.history) < 200
    best = min(row["val_loss"] for row in trained.history)
    val = make_examples(30, 1)
    logits = torch.from_numpy(predict_logits(trained.network, val.frames))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(val.targets))
    assert loss.item() == pytest.approx(best, rel=1e-5)


def test_checkpoint_of_another_run_is_refused(tmp_path):
    """A checkpoint made from other settings or recordings is an error."""
    run(tmp_path)
    with pytest.raises(TrainingError, match="of another run"):
        run(tmp_path, name="another run")


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04rubbish"])
def test_corrupt_checkpoint_is_a_clear_error(tmp_path, content):
    """A damaged checkpoint is named, with what to do."""
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="delete it to train from the start"):
        run(tmp_path)


def test_a_loss_that_explodes_is_a_clear_error(tmp_path):
    """Training that diverges ends with advice, not with a useless model."""
    with pytest.raises(TrainingError, match="lower learning_rate"):
        run(tmp_path, dataclasses.replace(SETTINGS, learning_rate=1e30))


def test_history_tells_every_epoch(tmp_path):
    """Each epoch has its losses, accuracies and seconds, and the observer is told of it."""
    told = []
    trained = run(tmp_path, observer=Observer(on_epoch=lambda history: told.append(len(history))))
    assert told == [1, 2, 3, 4, 5, 6]
    columns = {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}
    assert all(set(row) == columns for row in trained.history)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4, 5, 6]
