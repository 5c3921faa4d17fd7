"""A speaker's own usual voice: a running mean of embeddings, learned without labels."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_keys, is_number, read_keys
from .errors import BaselineError
from .files import read_limited, write_text

SCHEMA = 1
MAX_EMBEDDING = 1e6  # of an embedding's numbers: far above any, and float32 holds its powers
_KEYS = ("schema", "model", "name", "seconds", "total")
_MAX_SECONDS = 1e9  # seconds: 30 years
_ROUNDING = 1e-6  # share by which sums of many clips may be off
_MAX_BYTES = 10_000_000  # of a file; those of the shipped models have 10 kB


class Window(NamedTuple):
    """What a model heard in a window of a clip: its embedding, of shape (n_embedding,)."""

    embedding: NDArray[np.float32]
    seconds: float  # of sound in it


@dataclass(frozen=True, eq=False)
class Baseline:
    """What was heard of one speaker, as one model hears; `Recognizer.new_baseline` starts one.

    Nothing changes it: `learned` returns another. It holds no audio.

    Parameters
    ----------
    model : str
        Fingerprint of the model file whose embeddings were averaged, the only one it is good for.
    total : ndarray of float64, shape=(n_embedding,)
        The sum of the embeddings heard, each times its seconds; copied, and read-only.
    seconds : float >= 0
        Seconds of sound heard, silence before and after each clip left out.
    name : str
        Of the speaker; for people alone.

    Raises
    ------
    BaselineError
        If one of them cannot be.
    """

    model: str
    total: NDArray[np.float64]
    seconds: float
    name: str = ""

    def __post_init__(self) -> None:
        """Check and copy, so that whatever was given may be changed afterwards."""
        total = _numbers(self.total, "total")
        if total.ndim != 1 or total.size == 0:
            raise BaselineError(f"expected a total of shape (n_embedding,), got {total.shape}")
        for key, fits in (
            ("model", isinstance(self.model, str)),
            ("name", isinstance(self.name, str)),
            ("seconds", _is_number(self.seconds)),
        ):
            _expect_type(fits, key, getattr(self, key))
        if not 0 <= self.seconds <= _MAX_SECONDS:
            raise BaselineError(
                f"expected seconds of 0 to {_MAX_SECONDS:g} in a baseline, got {self.seconds}"
            )
        largest = self.seconds * MAX_EMBEDDING * (1 + _ROUNDING)
        if not np.all(np.abs(total) <= largest):  # NaN is not, either
            raise BaselineError(
                f"the total of a baseline does not fit its {self.seconds:g} s of sound"
            )
        total.setflags(write=False)
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "seconds", float(self.seconds))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Baseline):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"<Baseline {self.name!r} of model {self.model}: {self.seconds:.1f} s heard>"

    def _values(self) -> tuple[object, ...]:
        return self.model, self.name, self.seconds, *self.total.tolist()

    def learned(self, embedding: ArrayLike, seconds: float) -> "Baseline":
        """Return a baseline that has heard one clip more.

        Parameters
        ----------
        embedding : array-like, shape=(n_embedding,)
            What the model's graph gave for the clip.
        seconds : float > 0
            Seconds of sound in it.

        Raises
        ------
        BaselineError
            If the embedding is of another width, not finite or above a million, or the seconds
            are not above 0.
        """
        vector = _numbers(embedding, "embedding")
        if vector.shape != self.total.shape:
            raise BaselineError(
                f"expected an embedding of shape {self.total.shape}, got {vector.shape}"
            )
        if not np.all(np.abs(vector) <= MAX_EMBEDDING):
            raise BaselineError(f"expected an embedding of finite numbers up to {MAX_EMBEDDING:g}")
        if not (_is_number(seconds) and 0 < seconds <= _MAX_SECONDS):
            raise BaselineError(f"expected more than 0 seconds of sound, got {seconds!r}")
        total = self.total + float(seconds) * vector
        return Baseline(self.model, total, self.seconds + float(seconds), self.name)

    def after(self, windows: Iterable[Window]) -> "Baseline":
        """Return a baseline that has heard the windows of one clip more; see `Model.hear`."""
        baseline = self
        for window in windows:
            baseline = baseline.learned(window.embedding, window.seconds)
        return baseline

    def vector(self, mean: ArrayLike, prior_seconds: float) -> NDArray[np.float32]:
        """Return what the graph is fed: (k m + sum of s e) / (k + sum of s).

        Parameters
        ----------
        mean : array-like, shape=(n_embedding,)
            m, the mean of the training data: the card's `baseline`.
        prior_seconds : float > 0
            k, the seconds it weighs: the card's `baseline_seconds`.

        Returns
        -------
        vector : ndarray of float32, shape=(n_embedding,)
        """
        prior = np.asarray(mean, np.float64)
        weight = prior_seconds + self.seconds
        return (prior_seconds / weight * prior + self.total / weight).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the baseline as JSON carries it, exactly."""
        values = (SCHEMA, self.model, self.name, self.seconds, self.total.tolist())
        return dict(zip(_KEYS, values, strict=True))

    def to_json(self) -> str:
        """Return `to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Baseline":
        """Read a baseline back.

        Raises
        ------
        BaselineError
            If a key is missing, unknown, of the wrong type or of an impossible value.
        """
        return cls.from_dict(read_keys(text, _KEYS, "baseline", BaselineError))

    @classmethod
    def from_dict(cls, data: object) -> "Baseline":
        """Return the baseline that `to_dict` described.

        Raises
        ------
        BaselineError
            As `from_json` does.
        """
        fields = check_keys(data, _KEYS, "baseline", BaselineError)
        _check_schema(fields)
        return cls(fields["model"], fields["total"], fields["seconds"], fields["name"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the baseline as JSON, whole or not at all; a new file is for its owner alone.

        Raises
        ------
        OSError
            As the disk has it.
        """
        write_text(Path(path), self.to_json() + "\n", private=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Baseline":
        """Read what `save` wrote.

        Raises
        ------
        BaselineError
            If the file is missing or holds no baseline.
        """
        try:
            return cls.from_json(read_limited(Path(path), _MAX_BYTES).decode())
        except OSError as error:
            raise BaselineError(f"{path}: cannot read the baseline: {error.strerror}") from None
        except ValueError:  # no UTF-8, or a name with a null byte
            raise BaselineError(f"{path}: expected a baseline as JSON, got other bytes") from None
        except BaselineError as error:
            raise BaselineError(f"{path}: {error}") from None


def _check_schema(data: dict[str, Any]) -> None:
    """Refuse another version, and numbers that Python takes for some though JSON does not."""
    schema, total = data["schema"], data["total"]
    whole = isinstance(schema, int) and not isinstance(schema, bool)
    _expect_type(whole, "schema", schema)
    _expect_type(isinstance(total, list) and all(map(is_number, total)), "total", total)
    if schema != SCHEMA:
        raise BaselineError(
            f"expected a baseline of schema {SCHEMA}, got {schema}; "
            "it was made by another version of emovox"
        )


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float64]:
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise BaselineError(
            f"expected the {what} as a list of numbers, got {type(values).__name__}"
        ) from None


def _is_number(value: object) -> bool:
    return is_number(value.item() if isinstance(value, np.generic) else value)


def _expect_type(fits: bool, key: str, value: object) -> None:
    if not fits:
        raise BaselineError(f"the baseline's {key} is of the wrong type: {value!r:.60}")
