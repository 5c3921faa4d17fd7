"""The head: it learns emotions apart from voices, and what a speaker's baseline is worth."""

import dataclasses

import numpy as np
import pytest
import torch

from emovox.baseline import Baseline
from emovox.training.network import SpeakerHead
from emovox.training.settings import HeadConfig, Speech
from emovox.training.speech.fit import Clips, fit_certainty, running_logits, train_head

N_STATISTICS, N_CLASSES = 24, 3
CONFIG = HeadConfig(prior_seconds=4.0, trust_seconds=6.0)
TRAINING = Speech(epochs=8, n_copies=0, head=CONFIG)


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
        original=np.ones(len(targets), bool),
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


def judged(head: SpeakerHead, clips: Clips, baseline: torch.Tensor, n_samples=32_000):
    """Return the logits of clips of equal length with one baseline."""
    n = len(clips.targets)
    statistics, baseline = torch.from_numpy(clips.statistics), baseline.expand(n, -1)
    return head(statistics, torch.full((n,), n_samples), baseline)[0]


def vector(head: SpeakerHead, voice: torch.Tensor, seconds: float) -> torch.Tensor:
    """Return what a baseline of some seconds with a usual voice feeds to the graph."""
    embedding = torch.cat([voice, torch.ones(1)])
    return (embedding * seconds / (CONFIG.prior_seconds + seconds))[None]


def test_nothing_heard_is_no_baseline(head):
    """A baseline of no seconds changes nothing, whatever else stands in it."""
    clips = make_clips(2, 4, 3)
    nothing = torch.zeros(1, head.n_embedding)
    strange = torch.full_like(nothing, 3.0)
    strange[:, -1] = 0.0
    torch.testing.assert_close(judged(head, clips, nothing), judged(head, clips, strange))


def test_a_baseline_is_what_is_taken_away(head):
    """A voice moved by an amount is judged, by what it differs in, against that amount."""
    one = make_clips(1, 4, 3)
    offset = np.random.default_rng(5).normal(0, 2, N_STATISTICS).astype(np.float32)
    moved = dataclasses.replace(one, statistics=one.statistics + offset)
    away = torch.from_numpy(offset) @ head.difference
    voice = torch.zeros(head.n_voice)
    seconds = 1e6  # so that the expert for the clip itself hardly counts
    before = judged(head, one, vector(head, voice, seconds))
    voice[:N_CLASSES] = away
    after = judged(head, moved, vector(head, voice, seconds))
    torch.testing.assert_close(before, after, atol=1e-2, rtol=1e-2)
    assert (
        judged(head, moved, vector(head, torch.zeros_like(voice), seconds)) - before
    ).abs().max() > 1


def test_a_baseline_is_trusted_more_the_more_was_heard(head):
    """Nothing heard is no trust, `trust_seconds` are half of it, and much nearly all."""
    seconds = torch.tensor([0.0, CONFIG.trust_seconds, 60.0, 6000.0])
    baseline = torch.zeros(4, head.n_embedding)
    baseline[:, -1] = seconds / (CONFIG.prior_seconds + seconds)
    trust = head.trust(baseline)[:, 0]
    expected = seconds / (CONFIG.trust_seconds + seconds)
    torch.testing.assert_close(trust, expected, atol=1e-4, rtol=1e-4)


def test_streams_are_answered_as_one_after_the_other(head):
    """The baselines of a whole stream are those that `Baseline` makes of the clips before."""
    clips = make_clips(1, 3, 4)
    clips = dataclasses.replace(
        clips, seconds=np.round(clips.seconds * 16_000) / np.float32(16_000)
    )
    baseline = Baseline("", np.zeros(head.n_embedding), 0.0)
    answers = []
    for index in range(len(clips.targets)):
        fed = torch.from_numpy(baseline.vector(np.zeros(head.n_embedding), CONFIG.prior_seconds))
        n_samples = torch.tensor([round(float(clips.seconds[index]) * 16_000)])
        statistics = torch.from_numpy(clips.statistics[index : index + 1])
        logits, embedding = head(statistics, n_samples, fed[None])
        answers.append(logits[0].numpy())
        baseline = baseline.learned(embedding[0].numpy(), float(clips.seconds[index]))
    (stream,) = running_logits(head, clips, [np.arange(len(clips.targets))])
    assert running_logits(head, clips, []) == []
    np.testing.assert_allclose(stream, answers, atol=1e-4)


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
    assert accuracy(head, clips, streams) > accuracy(head, clips, alone)


def test_emotions_that_a_corpus_does_not_have_are_not_counted_against_it():
    """A clip of a corpus without an emotion may sound like it: only the others learn from that."""
    both = make_clips(8, 12, 0)
    poor = both.speakers < 6
    kept = both[~(poor & (both.targets == 2))]
    corpora = (kept.speakers < 6).astype(np.int64)
    allowed = np.ones((len(corpora), N_CLASSES), bool)
    allowed[corpora == 1, 2] = False
    masked = dataclasses.replace(kept, corpora=corpora, allowed=allowed)
    counted = dataclasses.replace(masked, allowed=np.ones_like(allowed))
    asked = make_clips(8, 12, 5)
    alone = [np.array([row]) for row in range(len(asked.targets))]
    chosen = [
        np.concatenate(
            running_logits(train_head(clips, asked, N_CLASSES, TRAINING, seed=0)[0], asked, alone)
        ).argmax(1)
        for clips in (masked, counted)
    ]
    of_two = asked.targets == 2
    found, missed = ((answers == 2)[of_two].mean() for answers in chosen)
    assert found > missed + 0.05


def test_copies_are_more_speakers_and_do_not_set_the_certainty():
    """The certainty is fitted to original clips alone."""
    clips = make_clips(6, 6, 0)
    mirrored = dataclasses.replace(
        clips, statistics=-clips.statistics, speakers=clips.speakers + 6, original=~clips.original
    )
    joined = Clips(
        *(
            np.concatenate([getattr(part, field.name) for part in (clips, mirrored)])
            for field in dataclasses.fields(Clips)
        )
    )
    torch.testing.assert_close(
        fit_certainty(clips, N_CLASSES, TRAINING, seed=0),
        fit_certainty(joined, N_CLASSES, TRAINING, seed=0),
    )


def test_what_is_learned_of_strange_voices_is_told_with_less_certainty():
    """Where speakers have nothing in common, a head is hardly sure of one that it did not hear."""
    clips = make_clips(6, 12, 0)
    lonely = dataclasses.replace(clips, targets=(clips.targets + clips.speakers) % N_CLASSES)
    common, nothing = (fit_certainty(one, N_CLASSES, TRAINING, seed=0) for one in (clips, lonely))
    usual = torch.tensor([1.0, 0.4, 0.5])  # two seconds, half trusted
    assert nothing @ usual > common @ usual + 0.2
    one_speaker = clips[clips.speakers == 0]
    assert not fit_certainty(one_speaker, N_CLASSES, TRAINING, seed=0).any()


def test_corpora_are_left_out_if_there_are_two():
    """A head of two corpora with their own voices is as sure as it may be of a third one."""
    clips = make_clips(12, 12, 0)
    rooms = np.random.default_rng(3).normal(0, 6, (2, N_STATISTICS)).astype(np.float32)
    corpora = clips.speakers % 2
    apart = dataclasses.replace(
        clips, statistics=clips.statistics + rooms[corpora], corpora=corpora
    )
    told = fit_certainty(apart, N_CLASSES, TRAINING, seed=0)
    untold = fit_certainty(
        dataclasses.replace(apart, corpora=np.zeros_like(corpora)), N_CLASSES, TRAINING, seed=0
    )
    assert told[0] + 0.4 * told[1] > untold[0] + 0.4 * untold[1]


def test_certainty_falls_with_shorter_clips(head):
    """The same statistics from less sound are told with lower scores, and the same label."""
    short = SpeakerHead(N_STATISTICS, N_CLASSES, CONFIG)
    short.load_state_dict(head.state_dict())
    short.certainty.copy_(torch.tensor([0.1, 0.5, -0.2]))
    clips, nothing = make_clips(2, 4, 3), torch.zeros(1, head.n_embedding)
    scores = [judged(short, clips, nothing, n).softmax(1) for n in (4_000, 16_000, 160_000)]
    highest = torch.stack([one.amax(1) for one in scores])
    assert (highest.diff(dim=0) > 0).all()
    assert all(torch.equal(one.argmax(1), scores[0].argmax(1)) for one in scores)


def test_without_a_baseline_the_scores_are_never_sharpened(head):
    """The certainty's first two numbers, all that counts without a baseline, are not negative."""
    assert (head.certainty[:2] >= 0).all()


def test_same_seed_same_head():
    """One seed gives one head, bit by bit."""
    clips, val = make_clips(4, 6, 0), make_clips(2, 4, 1)
    one, two = (
        train_head(clips, val, N_CLASSES, TRAINING, seed=3)[0].state_dict() for _ in range(2)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_history_has_the_usual_columns():
    """Losses and accuracies of each epoch are told as for the acoustic network."""
    short = dataclasses.replace(TRAINING, epochs=3)
    _, history = train_head(make_clips(4, 6, 0), make_clips(2, 4, 1), N_CLASSES, short, seed=0)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    columns = {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}
    assert all(set(row) == columns for row in history)
    losses = [row["train_loss"] for row in history]
    assert losses[-1] < losses[0] < np.log(N_CLASSES)
