"""scikit-learn's own checks, and recordings as features in its pipelines."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import REPOSITORY, TINY
from emovox.audio import RATE, load_audio
from emovox.errors import AudioError, ConfigError, ModelError, NoSpeechError
from emovox.sklearn import SpeechClassifier, SpeechFeatures

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.flac"))
LABELS = ["high" if "high" in path.stem else "low" for path in EXAMPLES]
LOUD = "it takes samples of 100, which are no sound: they lie in [-1, 1]"
NO_AUDIO = {  # checks whose data is no sound
    "SpeechFeatures": ("check_fit_idempotent",),
    "SpeechClassifier": (
        "check_fit_idempotent",
        "check_fit_check_is_fitted",
        "check_n_features_in",
    ),
}


def expected_failures(estimator) -> dict[str, str]:
    """Return the checks that audio does not allow, with the reason."""
    return dict.fromkeys(NO_AUDIO[type(estimator).__name__], LOUD)


@pytest.mark.filterwarnings("ignore")  # scikit-learn's, on data of other shapes than it expects
@parametrize_with_checks(
    [
        SpeechFeatures(model=TINY, speech_only=False),
        SpeechClassifier(model=TINY, speech_only=False),
    ],
    expected_failed_checks=expected_failures,
)
def test_checks(estimator, check):
    """All checks hold whose data can be sound."""
    check(estimator)


class TestFeatures:
    """Features of files and arrays."""

    def test_files_and_arrays(self, shipped):
        """Paths, bytes and arrays of any lengths give the same features, in any order."""
        features = SpeechFeatures().fit(EXAMPLES)
        rows = features.transform([str(path) for path in EXAMPLES])
        assert rows.shape == (len(EXAMPLES), features.n_features_out_)
        assert len(features.get_feature_names_out()) == features.n_features_out_
        assert np.array_equal(features.transform(EXAMPLES[::-1]), rows[::-1])
        contents = [path.read_bytes() for path in EXAMPLES]
        assert np.array_equal(features.transform(contents), rows)
        clips = [load_audio(path) for path in EXAMPLES]
        assert np.allclose(features.transform(clips), rows, atol=1e-5)

    def test_what_the_model_computes(self, shipped):
        """The embedding is that which a baseline learns."""
        _, (window, *_) = shipped.hear(shipped.read(EXAMPLES[0]).samples)
        (row,) = SpeechFeatures().fit_transform(EXAMPLES[:1])
        assert np.allclose(row, window.embedding, atol=1e-5)

    def test_rate(self):
        """Arrays are taken at their rate."""
        clip = load_audio(EXAMPLES[0])
        slow = SpeechFeatures(rate=RATE / 2).fit([clip]).transform([clip])
        assert not np.allclose(slow, SpeechFeatures().fit([clip]).transform([clip]))

    @pytest.mark.needs("torch")
    def test_statistics(self):
        """The encoder's statistics are more numbers, finite ones."""
        rows = SpeechFeatures("statistics", n_jobs=2).fit_transform(EXAMPLES[:2])
        assert rows.shape[1] > 500
        assert np.isfinite(rows).all()

    def test_frames(self):
        """A column of a data frame will do."""
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"file": [str(path) for path in EXAMPLES]})
        features = SpeechFeatures().fit(frame["file"])
        assert np.array_equal(features.transform(frame), features.transform(EXAMPLES))

    def test_pickled(self):
        """A pickled transformer holds no model, and refuses another one under its name."""
        features = SpeechFeatures().fit(EXAMPLES)
        text = pickle.dumps(features)
        assert len(text) < 10_000
        again = pickle.loads(text)
        assert np.array_equal(again.transform(EXAMPLES), features.transform(EXAMPLES))
        features.fingerprint_ = "another"
        with pytest.raises(ModelError, match="expected the model another"):
            pickle.loads(pickle.dumps(features))

    def test_refused(self, tmp_path):
        """What cannot be used is told as everywhere."""
        with pytest.raises(ConfigError, match="features: expected embedding or statistics"):
            SpeechFeatures("mfcc").fit(EXAMPLES)
        with pytest.raises(ModelError, match="none"):
            SpeechFeatures(model="none").fit(EXAMPLES)
        with pytest.raises(AudioError, match="no such file"):
            SpeechFeatures().fit(EXAMPLES).transform([tmp_path / "gone.wav"])
        noise = np.random.default_rng(1).normal(0, 0.01, RATE)
        with pytest.raises(NoSpeechError):
            SpeechFeatures().fit_transform([noise])


class TestClassifier:
    """A classifier of one's own classes."""

    def test_learns(self):
        """It tells the voices that it learned from apart, and sums to 1."""
        classifier = SpeechClassifier().fit(EXAMPLES, LABELS)
        assert list(classifier.classes_) == ["high", "low"]
        assert list(classifier.predict(EXAMPLES)) == LABELS
        assert np.allclose(classifier.predict_proba(EXAMPLES).sum(axis=1), 1)
        assert classifier.decision_function(EXAMPLES).shape == (len(EXAMPLES),)
        again = pickle.loads(pickle.dumps(classifier))
        assert list(again.predict([Path(EXAMPLES[0])])) == LABELS[:1]

    def test_pipeline(self):
        """The features go into any pipeline and its cross-validation."""
        files = [str(path) for path in EXAMPLES] * 2
        labels = ["a", "b"] * len(EXAMPLES)
        pipeline = make_pipeline(SpeechFeatures(), LogisticRegression())
        assert len(cross_val_score(pipeline, files, labels, cv=2)) == 2
