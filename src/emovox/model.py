"""The model file, opened: a clip in, its prediction and what was heard in its windows out."""

import hashlib
import os
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .audio import RATE, Samples, check_audible, check_clip
from .baseline import Baseline, Window
from .card import Card
from .errors import BaselineError, ConfigError, EmovoxError, ModelError, one_line
from .files import read_limited
from .loudness import judge_level, levelled, speech_level_db, without_edges
from .operators import operators
from .prediction import Prediction

if TYPE_CHECKING:
    import onnxruntime

METADATA_KEY = "emovox_card"
INPUTS = ("audio", "lengths", "baseline")
OUTPUTS = ("logits", "embedding")
DEFAULT_MODEL = "speech"

_MAX_BYTES = 500_000_000  # of a model file; those of emovox have 15 MB at most
_MAX_THREADS = 1024
_TINY = float(np.finfo(np.float64).tiny)  # so that scores that are all 0 can be compared
_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})


class Model:
    """A model file, open for inference; nothing changes it, so threads may share it.

    Parameters
    ----------
    content : bytes
        Of a model file; `load` opens one by its path or name.
    n_threads : int, 1 to 1024
        Threads that one inference may use; the answers do not depend on it.

    Raises
    ------
    ModelError
        If the content is corrupt, no model of emovox, or its card is not as expected.
    ConfigError
        If `n_threads` is out of range.
    """

    def __init__(self, content: bytes, *, n_threads: int = 1) -> None:
        self._session = open_session(content, n_threads=n_threads)
        self.card = _read_card(self._session)
        self.fingerprint = hashlib.sha256(content).hexdigest()[:16]  # tells it from other files
        self.pause: Callable[[], object] = _no_pause  # called before each piece of work
        self._mean = np.array(self.card.baseline, np.float64)
        self._chosen = tuple(range(len(self.card.labels)))  # the labels to answer with
        try:
            _check_graph(self._session, self.card)
        except UnicodeDecodeError:
            raise ModelError("the model is damaged: a name in its graph is not text") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, n_threads: int = 1) -> Self:
        """Open a model: a file, the name of a shipped one, or None for the default.

        Raises
        ------
        ModelError
            If the file is missing, corrupt, no model of emovox, or its card is not as expected.
        ConfigError
            If `n_threads` is not 1 to 1024.
        """
        file = find_model(path)
        try:
            content = read_limited(file, _MAX_BYTES)
        except OSError as error:
            raise ModelError(f"{file}: cannot read the model: {error.strerror}") from None
        try:
            return cls(content, n_threads=n_threads)
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the answers, in the order of the logits."""
        return tuple(self.card.labels[index] for index in self._chosen)

    def __repr__(self) -> str:
        labels = ", ".join(self.labels)
        return f"<{type(self).__name__} {self.card.name} ({self.fingerprint}): {labels}>"

    def pausing(self, pause: Callable[[], object]) -> Self:
        """Return this model, which then calls `pause` before each piece of its work.

        A piece is a run of the network, or a block of a recording, well below a second. `pause`
        may wait, so that others have a turn; what it raises ends the work.
        """
        model = copy(self)
        model.pause = pause
        return model

    def among(self, labels: Sequence[str] | None) -> Self:
        """Return this model, which then answers with some of its labels alone.

        Their scores are divided by their sum. So `certain` asks whether the score among these
        labels reaches the card's threshold, not that among all. Baselines stay the same.

        Parameters
        ----------
        labels : sequence of str, or None
            At least two; None: all of them.

        Raises
        ------
        ConfigError
            If one is not a label of the model, one is there twice, or there are too few.
        """
        if labels is None:
            return self
        wanted, known = [labels] if isinstance(labels, str) else list(labels), self.labels
        if unknown := [label for label in wanted if label not in known]:
            got = one_line(str(unknown[0]))[:60]
            raise ConfigError(f"labels: {self.card.name} knows {', '.join(known)}, got {got!r}")
        if len(wanted) < 2 or len(set(wanted)) < len(wanted):
            got = ", ".join(wanted) or "none"
            raise ConfigError(
                f"labels: expected at least two different ones of {', '.join(known)}, got {got}"
            )
        model = copy(self)
        model._chosen = tuple(
            index for index, label in enumerate(self.card.labels) if label in wanted
        )
        return model

    def hear(
        self, clip: Samples, baseline: Baseline | None = None
    ) -> tuple[Prediction, list[Window]]:
        """Recognise a clip, in which somebody speaks, and return what to learn from it.

        Its speech is brought to one level first. A clip longer than the model's window is cut into
        equal windows, whose scores are averaged; silence around and in them is left out.

        Parameters
        ----------
        clip : ndarray of float32, shape=(n_samples,)
            Mono at 16 kHz, cleaned, and the speech alone, as `find_speech` returns it.
        baseline : Baseline, optional
            What was heard of this speaker before; it serves all windows.

        Returns
        -------
        prediction : Prediction
        windows : list of Window
            `Baseline.after` learns them.

        Raises
        ------
        AudioError
            If the clip is of another type or shape, not finite, or not scaled to [-1, 1];
            SilenceError, a kind of it, if it holds no sound.
        BaselineError
            If the baseline was learned with another model.
        ModelError
            If the model fails, or its answer is no numbers.
        """
        check_clip(clip)
        check_audible(clip)
        level_db = speech_level_db(clip)
        windows = self._windows(levelled(clip, level_db))
        answers = [self.infer(window, baseline) for window in windows]
        prediction = self.decide(np.stack([logits for logits, _ in answers]), len(clip) / RATE)
        prediction = replace(
            prediction, level_db=round(level_db, 1), level=judge_level(clip, level_db)
        )
        return prediction, [
            Window(embedding, len(window) / RATE)
            for window, (_, embedding) in zip(windows, answers, strict=True)
        ]

    def infer(
        self, clip: Samples, baseline: Baseline | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network once, on the whole of a clip.

        Parameters
        ----------
        clip : ndarray of float32, shape=(n_samples,)
            Mono at 16 kHz.
        baseline : Baseline, optional

        Returns
        -------
        logits : ndarray of float32, shape=(n_labels,)
        embedding : ndarray of float32, shape=(n_embedding,)

        Raises
        ------
        AudioError, BaselineError, ModelError
            As for `hear`; silence is no error here.
        """
        check_clip(clip)
        vector = self._vector(baseline)
        self.pause()
        logits, embedding = self._run(clip, vector)
        if not (np.isfinite(logits).all() and np.isfinite(embedding).all()):
            raise self._no_numbers(baseline)
        return logits, embedding

    def decide(self, logits: NDArray[np.float32], seconds: float) -> Prediction:
        """Return the answer to a clip of some seconds from the logits of its windows.

        Parameters
        ----------
        logits : ndarray of float32, shape=(n_windows, n_labels)
            From `infer`, at least one window; their probabilities are averaged.
        seconds : float
            Of the clip, the end of the prediction.
        """
        if not np.isfinite(logits).all():
            raise self._no_numbers(None)
        exact = logits.astype(np.float64)
        powers = np.exp((exact - exact.max(1, keepdims=True)) / self.card.temperature)
        probabilities = (powers / powers.sum(1, keepdims=True)).mean(0)
        if len(self._chosen) < len(probabilities):
            chosen = probabilities[list(self._chosen)] + _TINY
            probabilities = chosen / chosen.sum()
        scores = dict(zip(self.labels, map(float, probabilities), strict=True))
        label = self.labels[int(probabilities.argmax())]
        certain, end = scores[label] >= self.card.threshold, round(seconds, 4)
        return Prediction(label, scores[label], MappingProxyType(scores), 0.0, end, certain)

    def new_baseline(self, name: str = "") -> Baseline:
        """Return the baseline of a speaker of whom nothing was heard yet."""
        return Baseline(self.fingerprint, np.zeros_like(self._mean), 0.0, name)

    def check_baseline(self, baseline: Baseline) -> None:
        """Refuse a baseline that this model cannot use.

        Raises
        ------
        BaselineError
            If it is no baseline, or was learned with another model.
        """
        self._vector(baseline)

    def _vector(self, baseline: Baseline | None) -> NDArray[np.float32]:
        """Return what the graph is fed for a speaker, of whom something was heard or nothing."""
        if baseline is None:
            return self._mean.astype(np.float32)
        if not isinstance(baseline, Baseline):
            raise BaselineError(f"expected a Baseline or None, got {type(baseline).__name__}")
        if baseline.model != self.fingerprint:
            whose = one_line(baseline.name) or "a speaker"
            raise BaselineError(
                f"the baseline of {whose} was learned with the model {one_line(baseline.model)}, "
                f"this is {self.card.name} ({self.fingerprint}); learn it again with this model, "
                "or use the other"
            )
        if baseline.total.shape != self._mean.shape:
            raise BaselineError(
                f"expected a baseline of {self._mean.size} numbers, got {baseline.total.size}"
            )
        return baseline.vector(self._mean, self.card.baseline_seconds)

    def _windows(self, clip: Samples) -> list[Samples]:
        """Cut a clip into equal windows; silence around and in them is left out."""
        sound = without_edges(clip)
        n_windows = int(np.ceil(len(sound) / (self.card.window_s * RATE)))
        windows = map(without_edges, np.array_split(sound, n_windows))
        return [window for window in windows if window.size]

    def _run(
        self, clip: Samples, vector: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the graph, and refuse outputs that are not of the shape that it promised."""
        # One clip at a time: on a CPU a batch is no faster, and would round by the neighbours.
        lengths = np.array([len(clip)], np.int64)
        feeds = dict(zip(INPUTS, (clip[None], lengths, vector[None]), strict=True))
        try:
            logits, embedding = self._session.run(None, feeds)
        except Exception as error:  # noqa: BLE001 (the runtime raises many private types)
            raise ModelError(
                f"the model {self.card.name} fails on {len(clip) / RATE:.1f} s of sound: "
                f"{_reason(error)}"
            ) from None
        for output, width in ((logits, len(self.card.labels)), (embedding, len(vector))):
            if output.shape != (1, width):
                raise ModelError(
                    f"the model {self.card.name} promised outputs of shape (1, {width}), and gave "
                    f"{output.shape}: the file is damaged"
                )
        return logits[0], embedding[0]

    def _no_numbers(self, baseline: Baseline | None) -> EmovoxError:
        """Return the error that the network answered with NaN or infinity."""
        if baseline is not None and baseline.seconds > 0:
            return BaselineError(
                f"with the baseline of {one_line(baseline.name) or 'a speaker'} {self.card.name} "
                "does not give finite numbers: the baseline is damaged; learn it again"
            )
        return ModelError(f"the model {self.card.name} does not give finite numbers: it is damaged")


def _no_pause() -> None:
    """Do not pause."""


def shipped_models() -> list[str]:
    """Return the names of the models that come with emovox, sorted."""
    folder = Path(str(files("emovox"))) / "models"
    return sorted(path.stem for path in folder.glob("*.onnx"))


def find_model(path: str | os.PathLike[str] | None) -> Path:
    """Return the file of a path, of a shipped model's name, or (None) of the default."""
    named = str(DEFAULT_MODEL if path is None else path)
    if named in shipped_models():
        return Path(str(files("emovox"))) / "models" / f"{named}.onnx"
    file = Path(named)
    try:
        exists = file.exists()
    except OSError as error:  # such as a name that is too long
        raise ModelError(f"{named}: cannot read the model: {error.strerror}") from None
    if not exists:
        raise ModelError(
            f"{named}: no such model file; models that come with emovox: "
            f"{', '.join(shipped_models()) or 'none'}"
        )
    if file.is_dir():
        raise ModelError(f"{named}: expected a model file (.onnx), got a folder")
    return file


def open_session(
    content: bytes, *, n_threads: int = 1, is_own: bool = False
) -> "onnxruntime.InferenceSession":
    """Open an ONNX graph for inference on the CPU; for its errors see `Model`.

    A graph that is our own, and part of the package, may use the runtime's own operators.
    """
    import onnxruntime

    if isinstance(n_threads, bool) or not isinstance(n_threads, int | np.integer):
        raise ConfigError(f"n_threads: expected a whole number, got {n_threads!r}")
    if not 1 <= n_threads <= _MAX_THREADS:
        raise ConfigError(f"n_threads: expected 1 to {_MAX_THREADS}, got {n_threads}")
    if not is_own:
        _check_operators(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one would be kept for every length ever heard
    options.log_severity_level = 4  # its errors arrive as exceptions
    options.add_session_config_entry("session.load_model_format", "ONNX")  # none of its own formats
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 (the runtime raises many private types)
        raise ModelError(f"not a readable ONNX model: {_reason(error)}") from None


def _check_operators(content: bytes) -> None:
    """Refuse what may run for ever, or is not ONNX's own; a file of ORT's format, too."""
    try:
        names = operators(content)
    except ValueError as error:
        raise ModelError(f"not a readable ONNX model: {error}") from None
    if refused := sorted(name for name in names if name in _CONTROL_FLOW or "." in name):
        raise ModelError(
            f"expected a graph of standard operators without loops or branches, got "
            f"{', '.join(refused)[:200]}"
        )


def _reason(error: Exception) -> str:
    """Return the first line of an error's text."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _read_card(session: "onnxruntime.InferenceSession") -> Card:
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise ModelError("the model card is damaged: it is not text") from None
    if METADATA_KEY not in metadata:
        raise ModelError("an ONNX file, but not a model of emovox: it holds no model card")
    return Card.from_json(metadata[METADATA_KEY])


def _check_graph(session: "onnxruntime.InferenceSession", card: Card) -> None:
    """Refuse a graph whose inputs and outputs are not those of emovox and of its card."""
    n_labels, n_baseline = len(card.labels), len(card.baseline)
    _check_nodes("input", session.get_inputs(), INPUTS, (None, None, n_baseline))
    _check_nodes("output", session.get_outputs(), OUTPUTS, (n_labels, n_baseline))


def _check_nodes(
    kind: str, nodes: Sequence[Any], names: Sequence[str], widths: Sequence[int | None]
) -> None:
    names_found = tuple(node.name for node in nodes)
    if names_found != names:
        raise ModelError(f"expected {kind}s {', '.join(names)}, got {', '.join(names_found)}")
    for node, width in zip(nodes, widths, strict=True):
        of_type = "tensor(int64)" if node.name == "lengths" else "tensor(float)"
        n_axes = 1 if node.name == "lengths" else 2
        if node.type != of_type or len(node.shape) != n_axes:
            raise ModelError(
                f"expected the {kind} {node.name} as {of_type} with {n_axes} axes, got "
                f"{node.type} with {len(node.shape)}"
            )
        if width is not None and node.shape[1] != width:
            raise ModelError(
                f"expected {width} numbers in the {kind} {node.name}, as the model card has them, "
                f"got {node.shape[1]}"
            )
