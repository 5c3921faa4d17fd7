"""scikit-learn: recordings as features for any estimator, and a classifier of recordings."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio import NOISE_FLOOR, RATE, Samples, check_audio, load_audio
from .errors import ConfigError, ModelError, optional
from .loudness import levelled, speech_level_db, without_edges
from .model import Model, find_model
from .vad import read_speech

with optional():
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.validation import check_is_fitted, validate_data

FEATURES = ("embedding", "statistics")
_PATHS = (str, bytes, os.PathLike)


class SpeechFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn recordings into a row of features each; nothing is learned from them.

    Recordings are paths or bytes of files, arrays of samples of any lengths, or a table of samples
    with a row for each recording, all at `rate`.

    Parameters
    ----------
    features : str
        "embedding", what the model computes beside its scores, the mean over its windows: for
        model="acoustic" the mean MFCC, chroma and spectral contrast. Or "statistics": mean and
        deviation over time of the speech model's encoder, which its head is trained on; this needs
        the extra `train`.
    model : path, str or None
        A model file, or the name of a shipped one; None: the default.
    rate : float
        Of arrays, in Hz.
    speech_only : bool
        Whether to hear the speech alone, as `Recognizer.predict` does, which refuses a recording
        in which nobody speaks; False: all of it, and zeros for a recording without sound.
    n_jobs : int >= 1
        Threads.

    Attributes
    ----------
    n_features_out_ : int
    fingerprint_ : str
        Of the model file. A pickled transformer holds no model, and looks for this one.
    """

    def __init__(
        self,
        features: str = "embedding",
        *,
        model: str | os.PathLike[str] | None = None,
        rate: float = RATE,
        speech_only: bool = True,
        n_jobs: int = 1,
    ) -> None:
        self.features = features
        self.model = model
        self.rate = rate
        self.speech_only = speech_only
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Open the model; for the errors see `transform`.

        Raises
        ------
        ConfigError
            If a parameter is not as expected.
        ModelError
            If the model cannot be opened.
        """
        if self.features not in FEATURES:
            wanted = " or ".join(FEATURES)
            raise ConfigError(f"features: expected {wanted}, got {self.features!r}")
        self._recordings(X, reset=True)
        self._open()
        probe = np.sin(np.arange(RATE, dtype=np.float32)).astype(np.float32)
        self.n_features_out_ = len(self._compute(probe))
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the features.

        Parameters
        ----------
        X : sequence of paths, bytes or arrays; or array of floats, shape=(n_recordings, n_samples)

        Returns
        -------
        features : ndarray of float64, shape=(n_recordings, n_features_out_)

        Raises
        ------
        AudioError
            If a recording cannot be used.
        """
        check_is_fitted(self)
        recordings = self._recordings(X, reset=False)
        with ThreadPoolExecutor(self.n_jobs) as pool:
            rows = list(pool.map(self._row, recordings))
        return np.array(rows, np.float64).reshape(len(rows), self.n_features_out_)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def _recordings(self, X: Any, *, reset: bool) -> Sequence[Any]:  # noqa: N803
        """Return the recordings one by one; a table of numbers is checked as scikit-learn does."""
        listed = _listed(X)
        if listed is not None:
            return listed
        table: NDArray[Any] = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])
        return list(table)

    def _row(self, recording: Any) -> NDArray[np.float32]:
        is_file = isinstance(recording, _PATHS)
        if self.speech_only:
            clip = read_speech(recording, None if is_file else self.rate).samples
        elif is_file:
            clip = load_audio(recording)
        else:
            clip = check_audio(recording, self.rate)
        if not self.speech_only and np.abs(clip).max() < NOISE_FLOOR:
            return np.zeros(self.n_features_out_, np.float32)
        return self._compute(_at_one_level(clip))

    def _open(self) -> None:
        self._model = Model.load(self.model)
        self.fingerprint_ = self._model.fingerprint
        self._compute: Callable[[Samples], NDArray[np.float32]] = (
            self._embedding if self.features == "embedding" else _statistics_of(self.model)
        )

    def _embedding(self, clip: Samples) -> NDArray[np.float32]:
        """Return the mean embedding of the windows, each by its length."""
        n_windows = int(np.ceil(len(clip) / (self._model.card.window_s * RATE)))
        windows = np.array_split(clip, n_windows)
        rows = [self._model.infer(window)[1] for window in windows]
        weights = [len(window) for window in windows]
        return np.average(rows, axis=0, weights=weights).astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open model."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_model", "_compute")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the model again."""
        super().__setstate__(state)
        if "fingerprint_" in state:
            self._open()
            if self.fingerprint_ != state["fingerprint_"]:
                raise ModelError(
                    f"expected the model {state['fingerprint_']}, whose features these are, got "
                    f"{self.fingerprint_}"
                )

    def __sklearn_tags__(self) -> Any:
        """Tell what scikit-learn may give it."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.requires_fit = True
        return tags


class SpeechClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify recordings by labels of your own: logistic regression on `SpeechFeatures`.

    For an emotion, `Recognizer` needs no training; for a model file that every command takes, see
    `emovox train`.

    Parameters
    ----------
    features, model, rate, speech_only, n_jobs
        As for `SpeechFeatures`.
    C : float > 0
        Inverse strength of the regularisation.

    Attributes
    ----------
    classes_ : ndarray
    pipeline_ : sklearn.pipeline.Pipeline
        Features, scaler, logistic regression.
    """

    def __init__(
        self,
        features: str = "embedding",
        *,
        model: str | os.PathLike[str] | None = None,
        rate: float = RATE,
        speech_only: bool = True,
        n_jobs: int = 1,
        C: float = 1.0,  # noqa: N803
    ) -> None:
        self.features = features
        self.model = model
        self.rate = rate
        self.speech_only = speech_only
        self.n_jobs = n_jobs
        self.C = C

    def fit(self, X: Any, y: ArrayLike) -> Self:  # noqa: N803
        """Learn the labels `y` of recordings; see `SpeechFeatures.transform` for `X` and errors."""
        if _listed(X) is None:
            X, y = validate_data(self, X, y)  # noqa: N806
        features = SpeechFeatures(
            self.features,
            model=self.model,
            rate=self.rate,
            speech_only=self.speech_only,
            n_jobs=self.n_jobs,
        )
        regression = LogisticRegression(C=self.C, max_iter=1_000)
        self.pipeline_ = make_pipeline(features, StandardScaler(), regression).fit(X, y)
        self.classes_ = self.pipeline_.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the label of each recording."""
        X = self._checked(X)  # noqa: N806
        labels: NDArray[Any] = self.pipeline_.predict(X)
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class, shape=(n_recordings, n_classes)."""
        X = self._checked(X)  # noqa: N806
        probabilities: NDArray[np.float64] = self.pipeline_.predict_proba(X)
        return probabilities

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the logits of the classes; of two, those of the second alone."""
        X = self._checked(X)  # noqa: N806
        logits: NDArray[np.float64] = self.pipeline_.decision_function(X)
        return logits

    def _checked(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        return X if _listed(X) is not None else validate_data(self, X, reset=False)

    def __sklearn_tags__(self) -> Any:
        """Tell what scikit-learn may give it, and that voices are not what its tests hold."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.classifier_tags.poor_score = True
        return tags


def _listed(X: Any) -> list[Any] | None:  # noqa: N803
    """Return recordings that come one by one, as files or arrays; None for a table of numbers."""
    values = getattr(X, "to_numpy", lambda: X)() if not isinstance(X, np.ndarray) else X
    if isinstance(values, np.ndarray) and values.dtype == object and values.shape[1:] == (1,):
        values = values[:, 0]  # a column of a data frame
    if isinstance(values, np.ndarray) and (values.dtype.kind not in "OUS" or values.ndim != 1):
        return None
    if not isinstance(values, list | tuple | np.ndarray) or not len(values):
        return None
    whole = all(isinstance(one, _PATHS) for one in values)
    if whole or all(isinstance(one, np.ndarray) and one.ndim for one in values):
        return [Path(one) if isinstance(one, np.str_) else one for one in values]
    return None


def _at_one_level(clip: Samples) -> Samples:
    """Return a clip as the model hears it, cut at both ends."""
    return without_edges(levelled(clip, speech_level_db(clip)))


def _statistics_of(
    model: str | os.PathLike[str] | None,
) -> Callable[[Samples], NDArray[np.float32]]:
    """Return what computes the statistics of the encoder in a speech model."""
    with optional("train"):
        from .training.speech.backbone import extract_backbone, open_backbone, statistics_of
    session = open_backbone(extract_backbone(find_model(model).read_bytes()))
    return lambda clip: statistics_of(session, clip)
