"""The model file: one .onnx, whose metadata hold the model card."""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .audio import MAX_SECONDS, RATE, Samples
from .emotions import EMOTIONS
from .errors import ConfigError, EmovoxError, ModelError, one_line
from .files import read_limited
from .operators import operators

if TYPE_CHECKING:
    import onnxruntime

SCHEMA = 2
METADATA_KEY = "emovox_card"
INPUTS = ("audio", "lengths", "baseline")
OUTPUTS = ("logits", "embedding")
DEFAULT_MODEL = "speech"
MIN_WINDOW_S = 0.1  # seconds; shorter windows hold no emotion, and a long recording many of them
MAX_WINDOW_S = MAX_SECONDS
MAX_EMBEDDING = 1e6  # of an embedding's numbers: far above any, and float32 holds its powers

_SAME_VOICES = frozenset({"random", "sentence"})  # protocols whose test knows all voices
_MIN_SPEAKERS = 10  # in training, for a model to know voices in general
_MAX_BYTES = 500_000_000  # of a model file; those of emovox have 15 MB at most
_MAX_THREADS = 1024
_MAX_DEPTH = 16  # of objects and lists within each other in JSON
_TEMPERATURES = (0.01, 100.0)  # beyond, the scores are 0 and 1, or all alike
_ENDLESS = frozenset({"If", "Loop", "Scan", "SequenceMap"})


@dataclass(frozen=True)
class Card:
    """What a model file says of itself; data only, every key needed and no other allowed.

    Parameters
    ----------
    schema : int
        Version of this list of keys.
    name : str
    labels : tuple of str
        What the columns of the logits mean, words of `emovox.emotions.EMOTIONS`.
    features : mapping
        The kind of the features and their settings, for the record: they are in the graph.
    rate : int
        Hz; always 16,000.
    window_s : float, 0.1 to 3600
        Seconds; a longer recording is cut into equal windows no longer than this.
    temperature : float, 0.01 to 100
        The logits are divided by it before the softmax.
    threshold : float, 0 to 1
        Below this score a prediction is not certain.
    baseline : tuple of float, -1e6 to 1e6
        The mean embedding of the training data, the baseline of an unknown speaker.
    baseline_seconds : float > 0
        Seconds of a speaker's voice that weigh as much as `baseline` in the speaker's own.
    corpora : tuple of mappings
        name, title, licence, utterances and speakers of each corpus used in training.
    protocol : str
        How training and test were parted, as in `emovox.splits`.
    figures : mapping of str to float
        Measured under that protocol.
    notes : str
        What the model can and cannot do, in plain words.
    licence : str
        The terms of the weights.
    emovox_version, code_revision : str
        What made it; the revision is "" outside a git checkout.
    """

    schema: int
    name: str
    labels: tuple[str, ...]
    features: Mapping[str, Any]
    rate: int
    window_s: float
    temperature: float
    threshold: float
    baseline: tuple[float, ...]
    baseline_seconds: float
    corpora: tuple[Mapping[str, Any], ...]
    protocol: str
    figures: Mapping[str, float]
    notes: str
    licence: str
    emovox_version: str
    code_revision: str

    def __post_init__(self) -> None:
        """Check what a wrong value would silently turn into wrong answers."""
        if self.schema != SCHEMA:
            raise ModelError(
                f"expected a card of schema {SCHEMA}, got {self.schema}; "
                "the model was made by another version of emovox"
            )
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ModelError(f"expected at least two different labels, got {list(self.labels)}")
        if not set(self.labels) <= set(EMOTIONS):
            raise ModelError(f"expected labels of {', '.join(EMOTIONS)}, got {list(self.labels)}")
        if self.rate != RATE:
            raise ModelError(f"expected a model for {RATE} Hz, got {self.rate} Hz")
        self._expect_range("temperature", *_TEMPERATURES)
        self._expect_range("threshold", 0, 1)
        self._expect_range("window_s", MIN_WINDOW_S, MAX_WINDOW_S)
        if not self.baseline_seconds > 0:
            raise ModelError(
                f"the model card's baseline_seconds: expected more than 0, got "
                f"{self.baseline_seconds}"
            )
        largest = max(map(abs, self.baseline), default=0.0)
        if not largest <= MAX_EMBEDDING:
            raise ModelError(
                f"the model card's baseline: expected numbers up to {MAX_EMBEDDING:g}, got "
                f"{largest:g}"
            )

    def _expect_range(self, name: str, lowest: float, highest: float) -> None:
        value = getattr(self, name)
        if not lowest <= value <= highest:
            raise ModelError(
                f"the model card's {name}: expected {lowest:g} to {highest:g}, got {value}"
            )

    @property
    def caution(self) -> str:
        """What a user must know of the figures, in one line; "" where there is nothing."""
        if self.protocol in _SAME_VOICES:
            return (
                f"the figures of {self.name} were measured on voices it had learned from "
                f"(protocol {self.protocol}); expect less of it on other voices"
            )
        n_speakers = sum(corpus["speakers"] for corpus in self.corpora)
        if n_speakers < _MIN_SPEAKERS:
            voices = "one speaker" if n_speakers == 1 else f"{n_speakers} speakers"
            return f"{self.name} learned from {voices} alone; expect little of it on other voices"
        return ""

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card back.

        Raises
        ------
        ModelError
            If a key is missing, unknown or of the wrong type.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        data = read_keys(text, names, "model card", ModelError)
        return cls(**{name: _checked(name, data[name]) for name in names})


def read_keys(
    text: str, names: Sequence[str], what: str, error: type[EmovoxError]
) -> dict[str, Any]:
    """Read a JSON object that has these keys and no other, or raise `error`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, TypeError) as reason:
        raise error(f"the {what} is not JSON: {reason}") from None
    return check_keys(data, names, what, error)


def check_keys(
    data: object, names: Sequence[str], what: str, error: type[EmovoxError]
) -> dict[str, Any]:
    """Return an object that has these keys and no other, or raise `error`."""
    if not _is_shallow(data, _MAX_DEPTH):
        raise error(f"the {what} holds lists or objects more than {_MAX_DEPTH} deep")
    if not isinstance(data, dict):
        raise error(f"expected a {what} with keys, got {type(data).__name__}")
    if missing := sorted(set(names) - data.keys()):
        raise error(f"the {what} lacks {', '.join(missing)}")
    if unknown := sorted(one_line(str(name)) for name in data.keys() - set(names)):
        raise error(
            f"the {what} has unknown keys: {', '.join(unknown):.200}; "
            "it may need a newer version of emovox"
        )
    return data


def _is_shallow(value: Any, depth: int) -> bool:
    """Tell whether lists and objects in JSON's data go no deeper than this."""
    if not isinstance(value, dict | list):
        return True
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in _inner(value))


def _is_finite(value: Any) -> bool:
    """Tell whether a float can hold each number in JSON's data."""
    if isinstance(value, dict | list):
        return all(map(_is_finite, _inner(value)))
    return not isinstance(value, int | float) or isinstance(value, bool) or is_number(value)


def _inner(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


_TEXTS = frozenset({"name", "protocol", "notes", "licence", "emovox_version", "code_revision"})
_NUMBERS = frozenset({"window_s", "temperature", "threshold", "baseline_seconds"})
_CORPUS_KEYS = {"name": str, "title": str, "licence": str, "utterances": int, "speakers": int}


def _checked(name: str, value: Any) -> Any:
    """Return a card's value in the type of its key, or raise ModelError."""
    if name == "corpora":
        value = tuple(map(_checked_corpus, value)) if isinstance(value, list) else None
        fits = value is not None
    elif name in _TEXTS:
        fits = isinstance(value, str)
    elif name in ("schema", "rate"):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif name in _NUMBERS:
        fits = is_number(value)
    elif name == "figures":
        fits = isinstance(value, dict) and all(is_number(item) for item in value.values())
    elif name == "features":
        fits = isinstance(value, dict) and _is_finite(value)
    else:
        fits = isinstance(value, list) and all(
            isinstance(item, str) if name == "labels" else is_number(item) for item in value
        )
        value = tuple(value) if fits else value
    if not fits:
        raise ModelError(f"the model card's {name} is of the wrong type: {str(value)[:60]!r}")
    return value


def _checked_corpus(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or value.keys() != _CORPUS_KEYS.keys():
        raise ModelError(f"expected {', '.join(_CORPUS_KEYS)} of each corpus in the model card")
    for name, kind in _CORPUS_KEYS.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise ModelError(f"the model card's {name} of a corpus is of the wrong type")
    return value


def is_number(value: Any) -> bool:
    """Tell whether a value is a number that a float can hold; JSON knows larger ones."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


@dataclass(frozen=True)
class Bundle:
    """A model file opened for inference; `session` may be used by many threads at once."""

    session: "onnxruntime.InferenceSession"
    card: Card
    fingerprint: str  # first 16 hex digits of the file's sha256

    def run(
        self, clip: Samples, baseline: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on one clip.

        Parameters
        ----------
        clip : ndarray of float32, shape=(n_samples,)
        baseline : ndarray of float32, shape=(n_embedding,)

        Returns
        -------
        logits : ndarray of float32, shape=(n_labels,)
        embedding : ndarray of float32, shape=(n_embedding,)

        Raises
        ------
        ModelError
            If the graph fails on the clip, or its outputs are not of the shape that it promised.
        """
        lengths = np.array([len(clip)], np.int64)
        feeds = dict(zip(INPUTS, (clip[None], lengths, baseline[None]), strict=True))
        try:
            logits, embedding = self.session.run(None, feeds)
        except Exception as error:  # noqa: BLE001 (the runtime raises many private types)
            raise ModelError(
                f"the model {self.card.name} fails on {len(clip) / RATE:.1f} s of sound: "
                f"{_reason(error)}"
            ) from None
        for output, width in ((logits, len(self.card.labels)), (embedding, len(baseline))):
            if output.shape != (1, width):
                raise ModelError(
                    f"the model {self.card.name} promised outputs of shape (1, {width}), and gave "
                    f"{output.shape}: the file is damaged"
                )
        return logits[0], embedding[0]


def open_bundle(path: str | os.PathLike[str] | None = None, *, n_threads: int = 1) -> Bundle:
    """Open a model file.

    Parameters
    ----------
    path : path, name of a shipped model, or None
        None: the shipped default.
    n_threads : int, 1 to 1024
        Threads that one inference may use; the answers do not depend on it.

    Raises
    ------
    ModelError
        If the file is missing, corrupt, no model of emovox, or its card is not as expected.
    ConfigError
        If `n_threads` is out of range.
    """
    found = find_model(path)
    try:
        content = read_limited(found, _MAX_BYTES)
    except OSError as error:
        raise ModelError(f"{found}: cannot read the model: {error.strerror}") from None
    try:
        return read_bundle(content, n_threads=n_threads)
    except ModelError as error:
        raise ModelError(f"{found}: {error}") from None


def read_bundle(content: bytes, *, n_threads: int = 1) -> Bundle:
    """Open the content of a model file; for its errors see `open_bundle`."""
    session = open_session(content, n_threads=n_threads)
    card = _read_card(session)
    try:
        _check_graph(session, card)
    except UnicodeDecodeError:
        raise ModelError("the model is damaged: a name in its graph is no text") from None
    return Bundle(session, card, hashlib.sha256(content).hexdigest()[:16])


def shipped_models() -> list[str]:
    """Return the names of the models that come with emovox, sorted."""
    folder = Path(str(files("emovox"))) / "models"
    return sorted(path.stem for path in folder.glob("*.onnx"))


def find_model(path: str | os.PathLike[str] | None) -> Path:
    """Return the file of a path, of a shipped model's name, or (None) of the default."""
    named = str(DEFAULT_MODEL if path is None else path)
    if named in shipped_models():
        return Path(str(files("emovox"))) / "models" / f"{named}.onnx"
    found = Path(named)
    try:
        exists = found.exists()
    except OSError as error:  # such as a name that is too long
        raise ModelError(f"{named}: cannot read the model: {error.strerror}") from None
    if not exists:
        raise ModelError(
            f"{named}: no such model file; models that come with emovox: "
            f"{', '.join(shipped_models()) or 'none'}"
        )
    if found.is_dir():
        raise ModelError(f"{named}: expected a model file (.onnx), got a folder")
    return found


def open_session(content: bytes, *, n_threads: int = 1) -> "onnxruntime.InferenceSession":
    """Open an ONNX graph for inference on the CPU; for its errors see `open_bundle`."""
    import onnxruntime

    if isinstance(n_threads, bool) or not isinstance(n_threads, int | np.integer):
        raise ConfigError(f"n_threads: expected a whole number, got {n_threads!r}")
    if not 1 <= n_threads <= _MAX_THREADS:
        raise ConfigError(f"n_threads: expected 1 to {_MAX_THREADS}, got {n_threads}")
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
        found = operators(content)
    except ValueError as error:
        raise ModelError(f"not a readable ONNX model: {error}") from None
    if refused := sorted(name for name in found if name in _ENDLESS or "." in name):
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
        raise ModelError("the model card is damaged: it is no text") from None
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
    found = tuple(node.name for node in nodes)
    if found != names:
        raise ModelError(f"expected {kind}s {', '.join(names)}, got {', '.join(found)}")
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
