"""The head: it learns emotions apart from voices, and what a speaker's baseline is worth."""

import dataclasses

import numpy as np
import pytest
import torch

from emovox.training.network import SpeakerHead
from emovox.training.settings import HeadConfig, Speech
from emovox.training.speech.fit import Clips, fit_space, running_logits, train_head

N_STATISTICS, N_CLASSES = 24, 3
CONFIG = HeadConfig(n_dimensions=12, n_hidden=16, dropout=0.0, input_dropout=0.0, prior_seconds=4.0)
TRAINING = Speech(
    epochs=8, min_steps=300, batch_size=64, learning_rate=5e-3, n_copies=0, head=CONFIG
)


def make_clips(n_speakers: int, n_each: int, seed: int) -> Clips:
    """Make speakers whose voices differ more than their emotions do."""
    shape = np.random.default_rng(99).normal(0, 1, (N_CLASSES, N_STATISTICS))
    rng = np.random.default_rng(seed)
    voices = rng.normal(0, 3, (n_speakers, N_STATISTICS))
    speakers = np.repeat(np.arange(n_speakers), n_each * N_CLASSES)
    targets = np.tile(np.arange(N_CLASSES), n_speakers * n_each)
    noise = rng.normal(0, 0.7, (len(targets), N_STATISTICS))
    return Clips(
        statistics=(voices[speakers] + shape[targets] + noise).astype(np.float32),
        targets=targets.astype(np.int64),
        speakers=speakers.astype(np.int64),
        corpora=np.zeros(len(targets), np.int64),
        seconds=rng.uniform(1, 3, len(targets)).astype(np.float32),
        allowed=np.ones((len(targets), N_CLASSES), bool),
    )


@pytest.fixture(scope="module")
def head() -> SpeakerHead:
    """Give a head trained on made-up speakers."""
    return train_head(make_clips(12, 12, 0), make_clips(2, 4, 1), N_CLASSES, TRAINING, seed=0)[0]


def accuracy(head: SpeakerHead, clips: Clips, streams: list[np.ndarray]) -> float:
    """Return the share of right answers over streams."""
    logits = np.concatenate(running_logits(head, clips, streams))
    return float((logits.argmax(1) == clips.targets[np.concatenate(streams)]).mean())


def test_a_running_baseline_helps_on_unheard_voices(head):
    """New voices are recognised better the more of them has been heard, without a label."""
    clips = make_clips(8, 12, 7)
    rng = np.random.default_rng(0)
    alone = [np.array([index]) for index in range(len(clips.targets))]
    running = [rng.permutation(np.flatnonzero(clips.speakers == one)) for one in range(8)]
    without, with_baseline = accuracy(head, clips, alone), accuracy(head, clips, running)
    assert with_baseline > without + 0.1
    assert with_baseline > 0.8


def test_nothing_heard_is_no_baseline(head):
    """A baseline of no seconds, whatever else stands in it, changes nothing."""
    statistics = torch.from_numpy(make_clips(2, 4, 3).statistics)
    nothing = torch.zeros(len(statistics), head.n_embedding)
    strange = torch.full_like(nothing, 1e-5)
    strange[:, -1] = 0.0
    torch.testing.assert_close(
        head(statistics, nothing)[0], head(statistics, strange)[0], atol=1e-3, rtol=1e-3
    )


def powers(scores):
    """Means of the scores, of their squares and of their cubes, of clips of equal length."""
    scores = torch.tensor(scores, dtype=torch.float32)
    return torch.cat([scores.mean(0), (scores**2).mean(0), (scores**3).mean(0)])[None]


def shown(share, offset=0.0):
    """Scores of a speaker who shows the first emotion in a share of a hundred clips."""
    first = np.arange(100) < round(100 * share)
    second = ~first & (np.arange(100) % 2 == 0)
    return np.stack([first, second, ~first & ~second], 1) * 3.0 + offset


def test_the_baselines_vector_says_how_much_was_heard(head):
    """The shrunk mean of embeddings, fed to the graph, is the mean and the seconds again."""
    statistics = torch.from_numpy(make_clips(1, 4, 3).statistics[:1])
    mean, seconds = torch.randn(1, CONFIG.n_dimensions), 10.0
    means = torch.cat([mean, powers(shown(0.34))], 1)
    vector = torch.cat([means, torch.ones(1, 1)], 1) * seconds / (CONFIG.prior_seconds + seconds)
    logits, embedding = head(statistics, vector)
    given = torch.full((1, 1), seconds)
    usual, trust = head.usual(means, given)
    torch.testing.assert_close(usual, mean)
    itself, difference = head.experts(head.embed(statistics), mean, given)
    blended = (1 - trust) * itself + trust * difference
    torch.testing.assert_close(logits, blended, atol=1e-4, rtol=1e-4)
    assert embedding.shape == (1, head.n_embedding)
    assert embedding[0, -1].item() == 1.0


def test_skewness_is_that_of_a_share(head):
    """Two values have the skewness (1 - 2 p) / sqrt(p (1 - p)), wherever they lie."""
    for share in (0.2, 0.8):
        for offset in (0.0, 2.0):
            found = head.skewness(powers(shown(share, offset)), torch.full((1, 1), 1e6))[0, 0]
            expected = (1 - 2 * share) / (share * (1 - share)) ** 0.5
            assert abs(found.item() - expected) < 0.01


def test_a_mean_is_trusted_more_the_more_was_heard(head):
    """Of a balanced speaker, nothing heard is no trust, and much heard nearly all."""
    means = torch.cat([torch.zeros(1, CONFIG.n_dimensions), powers(shown(0.34))], 1).expand(4, -1)
    _, trust = head.usual(means, torch.tensor([[0.0], [4.0], [40.0], [4000.0]]))
    assert trust[0] == 0.0
    assert trust[-1] > 0.99
    assert (trust.diff(dim=0) > 0).all()


def test_the_mean_of_a_one_sided_speaker_is_not_trusted(head):
    """Where nearly always one emotion was heard, the mean holds it, and is not taken away."""
    zeros = torch.zeros(2, CONFIG.n_dimensions)
    means = torch.cat([zeros, torch.cat([powers(shown(0.85)), powers(shown(0.45))])], 1)
    _, trust = head.usual(means, torch.full((2, 1), 1000.0))
    assert trust[0] == 0.0
    assert trust[1] > 0.9


def test_of_an_uneven_speaker_the_prevailing_emotion_is_taken_out_of_the_mean(head):
    """Between balanced and one-sided, the mean moves away from the emotion that prevails."""
    means = torch.cat([torch.zeros(1, CONFIG.n_dimensions), powers(shown(0.67))], 1)
    mean, trust = head.usual(means, torch.full((1, 1), 1000.0))
    assert 0.0 < trust.item() < 0.9
    emotion = head.get_buffer("emotions")[0]
    share = -(mean[0] @ emotion / (emotion @ emotion)).item()
    assert 0.1 < share < CONFIG.correction
    torch.testing.assert_close(mean[0], -share * emotion)


def test_one_sided_speakers_are_no_worse_than_without_a_baseline(head):
    """A speaker who shows one emotion four times in five is recognised as well as before."""
    clips = make_clips(6, 40, 11)
    rng = np.random.default_rng(2)
    streams = []
    for speaker in range(6):
        mine = np.flatnonzero(clips.speakers == speaker)
        main = clips.targets[mine] == speaker % N_CLASSES
        streams.append(
            rng.permutation(np.concatenate([mine[main], rng.choice(mine[~main], 10, False)]))
        )
    alone = [np.array([index]) for stream in streams for index in stream]
    assert accuracy(head, clips, streams) > accuracy(head, clips, alone) - 0.03


def test_same_seed_same_head():
    """One seed gives one head, bit by bit; another seed another."""
    short = dataclasses.replace(TRAINING, epochs=2, min_steps=1)
    clips, val = make_clips(4, 6, 0), make_clips(2, 4, 1)
    one, two, other = (
        train_head(clips, val, N_CLASSES, short, seed=seed)[0].state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_the_history_has_the_usual_columns():
    """Losses and accuracies of each epoch are told as for the acoustic network."""
    short = dataclasses.replace(TRAINING, epochs=3, min_steps=1)
    _, history = train_head(make_clips(4, 6, 0), make_clips(2, 4, 1), N_CLASSES, short, seed=0)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    columns = {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}
    assert all(set(row) == columns for row in history)


def test_the_space_is_centred_and_scaled():
    """Z has mean zero over the speakers' weights and about unit spread."""
    clips = make_clips(6, 10, 0)
    projection, offset = fit_space(clips, 12)
    z = torch.from_numpy(clips.statistics) @ projection + offset
    assert z.mean(0).abs().max() < 0.05
    assert z.pow(2).mean().sqrt().item() == pytest.approx(1.0, abs=0.05)
