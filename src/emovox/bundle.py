"""The model file: one .onnx, whose metadata hold the model card."""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .audio import RATE
from .emotions import EMOTIONS
from .errors import EmovoxError, ModelError

if TYPE_CHECKING:
    import onnxruntime

SCHEMA = 2
METADATA_KEY = "emovox_card"
INPUTS = ("audio", "lengths", "baseline")
OUTPUTS = ("logits", "embedding")
DEFAULT_MODEL = "speech"
MIN_WINDOW_S = 0.1  # seconds; shorter windows hold no emotion, and a long recording many of them


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
    window_s : float, 0.1 or more
        Seconds; a longer recording is cut into equal windows no longer than this.
    temperature : float > 0
        The logits are divided by it before the softmax.
    threshold : float, 0 to 1
        Below this score a prediction is not certain.
    baseline : tuple of float
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
        _expect_number(self.temperature > 0, "temperature", self.temperature, "more than 0")
        _expect_number(0 <= self.threshold <= 1, "threshold", self.threshold, "0 to 1")
        prior = self.baseline_seconds
        _expect_number(prior > 0, "baseline_seconds", prior, "more than 0")
        long_enough = self.window_s >= MIN_WINDOW_S
        _expect_number(long_enough, "window_s", self.window_s, f"{MIN_WINDOW_S} or more")

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
    except (ValueError, RecursionError) as reason:
        raise error(f"the {what} is not JSON: {reason}") from None
    if not isinstance(data, dict):
        raise error(f"expected a {what} with keys, got {type(data).__name__}")
    if missing := sorted(set(names) - data.keys()):
        raise error(f"the {what} lacks {', '.join(missing)}")
    if unknown := sorted(data.keys() - set(names)):
        raise error(
            f"the {what} has unknown keys: {', '.join(unknown)}; "
            "it may need a newer version of emovox"
        )
    return data


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
        fits = isinstance(value, dict)
    else:
        fits = isinstance(value, list) and all(
            isinstance(item, str) if name == "labels" else is_number(item) for item in value
        )
        value = tuple(value) if fits else value
    if not fits:
        raise ModelError(f"the model card's {name} is of the wrong type: {str(value)[:60]!r}")
    return value


def _expect_number(holds: bool, name: str, value: float, wanted: str) -> None:
    if not holds:
        raise ModelError(f"the model card's {name}: expected {wanted}, got {value}")


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


def open_bundle(path: str | os.PathLike[str] | None = None, *, n_threads: int = 1) -> Bundle:
    """Open a model file.

    Parameters
    ----------
    path : path, name of a shipped model, or None
        None: the shipped default.
    n_threads : int > 0
        Threads that one inference may use; the answers do not depend on it.

    Raises
    ------
    ModelError
        If the file is missing, corrupt, no model of emovox, or its card is not as expected.
    """
    found = find_model(path)
    try:
        content = found.read_bytes()
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
    _check_graph(session, card)
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

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one would be kept for every length ever heard
    options.log_severity_level = 4  # its errors arrive as exceptions
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 (the runtime raises many private types)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unknown reason"
        raise ModelError(f"not a readable ONNX model: {reason[:200]}") from None


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
