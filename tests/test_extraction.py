"""Extraction: cached features equal computed ones, and bad recordings are named."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from conftest import REPOSITORY
from emovox.corpora import load_corpus
from emovox.recognizer import Recognizer
from emovox.training import extraction
from emovox.training.cache import ArrayCache
from emovox.training.extraction import (
    acoustic_frames,
    extract,
    load_speech,
    plan_copies,
    speech_statistics,
)
from emovox.training.settings import AcousticConfig
from emovox.training.speech.backbone import STATISTICS, trace
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics
from made_corpus import make_corpus

CONFIG = AcousticConfig()


@pytest.fixture
def utterances(tmp_path):
    """Give the utterances of a small corpus."""
    return load_corpus("made", make_corpus(tmp_path / "corpus", 2, 2)).utterances


def run(utterances, cache, config=CONFIG, window_s=10.0, **changes):
    """Extract with the usual settings."""
    return extract(utterances, acoustic_frames(config, window_s), cache, **changes)


def test_training_hears_what_a_model_is_given(recognizer, monkeypatch):
    """The sound that features are computed from is the one that the network gets in use."""
    given = []
    infer = Recognizer.infer
    monkeypatch.setattr(
        Recognizer,
        "infer",
        lambda self, clip, *rest: given.append(clip) or infer(self, clip, *rest),
    )
    file = REPOSITORY / "examples" / "even.flac"
    recognizer.predict(file)
    np.testing.assert_array_equal(load_speech(file), given[0])


def test_cached_equals_computed(utterances, tmp_path):
    """The second time the features come from the cache, and are the same."""
    cache = ArrayCache(tmp_path / "cache")
    first = run(utterances, cache)
    for path in (tmp_path / "corpus").glob("*.wav"):
        path.unlink()
    second = run(utterances, cache)
    assert len(first.features) == len(utterances)
    for one, other in zip(first.features, second.features, strict=True):
        np.testing.assert_array_equal(one, other)


def test_features_do_not_depend_on_what_was_cached(utterances, tmp_path):
    """Computed alone or among others, a recording has the same features to the last bit."""
    together = run(utterances, ArrayCache(tmp_path / "a"))
    alone = [run([one], ArrayCache(tmp_path / "b")).features[0] for one in utterances]
    for one, other in zip(together.features, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_settings_and_other_code_are_other_features(utterances, tmp_path, monkeypatch):
    """The cache never answers for other settings, another window, or other code."""
    cache = ArrayCache(tmp_path / "cache")
    run(utterances, cache)
    n_stored = len(list((tmp_path / "cache").rglob("*.npy")))
    narrower = run(utterances, cache, AcousticConfig(n_mfcc=20))
    assert narrower.features[0].shape[1] == 39
    shorter = run(utterances, cache, window_s=0.25)
    assert len(shorter.features[0]) < len(narrower.features[0])
    monkeypatch.setattr(extraction, "code_digest", lambda *modules: "other code")
    run(utterances, cache)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 4 * n_stored


def test_pauses_around_are_not_learned(utterances, tmp_path):
    """A clip and the same clip with silence around it have the same features, at any level."""
    (bare,) = run(utterances[:1], ArrayCache(tmp_path / "bare")).features
    sound, rate = soundfile.read(utterances[0].file, dtype="float32")
    for seconds, gain in ((1.0, 1.0), (2.5, 1.0), (1.0, 0.03)):
        silence = np.zeros(round(seconds * rate), np.float32)
        padded = gain * np.concatenate([silence, sound, silence])
        soundfile.write(utterances[0].file, padded, rate, "FLOAT")
        again = run(utterances[:1], ArrayCache(tmp_path / f"{seconds}{gain}")).features[0]
        assert again.shape == bare.shape
        np.testing.assert_allclose(again, bare, atol=1.0)  # of MFCC; 0.1 dB of level


def test_bad_recordings_are_left_out_and_named(utterances, tmp_path):
    """A recording that cannot be used does not end the extraction."""
    utterances[0].file.write_bytes(b"no audio")
    soundfile.write(utterances[1].file, np.zeros(1000, np.float32), 16_000)
    told = []
    result = run(
        utterances, ArrayCache(tmp_path / "cache"), on_progress=lambda *step: told.append(step)
    )
    assert result.utterances == utterances[2:]
    assert len(result.features) == len(utterances) - 2
    assert utterances[0].file.name in result.problems[0].text
    assert "noise floor" in result.problems[1].text
    assert told[-1] == (len(utterances), len(utterances))


@pytest.fixture(scope="module")
def backbone() -> bytes:
    """Give a small encoder with random weights as a backbone."""
    torch.manual_seed(0)
    module = SpeechStatistics(SpeechConfig(n_layers=1, max_seconds=4.0), 64).eval()
    example = {"audio": torch.randn(2, 8000), "lengths": torch.tensor([8000, 4000])}
    return trace(module.requires_grad_(False), example, [STATISTICS])


def statistics(utterances, backbone, cache, n_copies=2, **changes):
    """Extract speech statistics of recordings and their copies."""
    copies = plan_copies(utterances, n_copies, noise=changes.pop("noise", None), **changes)
    found = extract(utterances, speech_statistics(backbone, copies, 4.0), cache)
    return np.stack(found.features)


def test_a_recording_and_its_copies(utterances, backbone, tmp_path):
    """Each has a row of statistics and seconds; copies differ, and are the same again."""
    found = statistics(utterances, backbone, ArrayCache(tmp_path / "a"))
    assert found.shape == (len(utterances), 3, 2 * 64 + 1)
    assert found[..., -1] == pytest.approx(0.5, abs=0.3)
    assert np.abs(found[:, 1] - found[:, 0]).max() > 0.01
    assert np.abs(found[:, 2] - found[:, 1]).max() > 0.01
    again = statistics(utterances, backbone, ArrayCache(tmp_path / "b"))
    np.testing.assert_array_equal(found, again)
    alone = statistics(utterances, backbone, ArrayCache(tmp_path / "c"), n_copies=0)
    np.testing.assert_array_equal(alone[:, 0], found[:, 0])


def test_copies_of_other_noise_or_seed_are_other_features(utterances, backbone, tmp_path):
    """The cache never answers for another seed, other noise, or other sessions."""
    cache = ArrayCache(tmp_path / "cache")
    count = lambda: len(list((tmp_path / "cache").rglob("*.npy")))  # noqa: E731
    places = tmp_path / "places"
    places.mkdir()
    rng = np.random.default_rng(0)
    n = len(utterances)
    for runs, changes in enumerate(({}, {"seed": 1}, {"noise": places}, {"noise": places}), 1):
        soundfile.write(places / "hum.wav", rng.normal(0, 0.1, 9000), 16_000)
        statistics(utterances, backbone, cache, n_copies=1, **changes)
        assert count() == runs * n
    statistics(utterances, backbone, cache, n_copies=1)
    assert count() == 4 * n
    renamed = [dataclasses.replace(one, speaker="other") for one in utterances]
    statistics(renamed, backbone, cache, n_copies=1)
    assert count() == 5 * n
