"""The settings of a training run, and the TOML file that holds them."""

import dataclasses
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..audio import RATE
from ..card import MAX_WINDOW_S, MIN_WINDOW_S
from ..emotions import EMOTIONS
from ..errors import ConfigError
from ..splits import PROTOCOLS
from .acoustic.features import AcousticConfig, contrast_bands
from .network import HeadConfig, NetworkConfig

FEATURES = ("acoustic", "speech")

_OF_KIND = {  # settings that one kind of features has alone
    "acoustic": (
        "epochs",
        "patience",
        "batch_size",
        "learning_rate",
        "network",
        "acoustic",
        "acoustic_training",
    ),
    "speech": ("encoder", "head", "head_training"),
}


@dataclass(frozen=True)
class HeadTraining:
    """How the head of a speech model is trained; the defaults are those of the shipped model.

    An epoch is made of streams, each what one speaker says in random order, with the baseline of
    what came before.
    """

    epochs: int = 18  # at least; more where they hold fewer than `min_steps`
    min_steps: int = 1000
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    smoothing: float = 0.05  # of the targets, over the emotions that the corpus has
    p_whole: float = 0.3  # share of streams that meet the mean of all the speaker's clips
    copies: tuple[float, ...] = (0.86, 1.16)  # resampled copies, each another speaker
    n_elsewhere: int = 1  # copies as if recorded elsewhere, each another speaker


@dataclass(frozen=True)
class AcousticTraining:
    """What an acoustic model meets in training; the defaults are the classic way, which is nothing.

    Voices, baselines and what is hidden are drawn anew for each epoch.
    """

    p_alone: float = 1.0  # share of clips learnt without a baseline
    max_heard: int = 30  # clips of the speaker in a baseline
    resample: float = 0.0  # each speaker is played faster or slower by up to this share
    offset: float = 0.0  # standard deviations by which a speaker's features are moved
    mask: float = 0.0  # share of a clip's frames, and of its features, that is hidden at most
    crop_s: float = 0.0  # seconds of a clip that are learnt from, drawn anew; 0: the whole clip
    cooling: float = 0.0  # share of the learning rate that is lost over the epochs, evenly


@dataclass(frozen=True)
class Settings:
    """Everything a training run depends on, besides the recordings themselves.

    Parameters
    ----------
    corpora : tuple of str
        Each "NAME=PATH", as for `emovox.corpora.load_corpora`.
    features : str
        "acoustic", a network from scratch on MFCC, chroma and contrast; or "speech", a head on the
        frozen lower layers of a speech encoder.
    encoder : str
        For "speech": "openai/whisper-tiny", or a safetensors file of it; "" takes the one of the
        shipped model, without any download.
    protocol : str
        One of `emovox.splits.PROTOCOLS`.
    groups : str
        For the protocol "speaker": a CSV of group and speaker; "" for one speaker a fold.
    n_groups : int
        For the protocol "speaker": so many groups of speakers; 0 for one speaker a fold.
    split : str
        A split table to use again (one subset column, no folds); "" to make a new split.
    labels : tuple of str
        Only these emotions; empty for all that are found.
    merge : mapping of str to str
        Emotions that count as another one, such as {"calm": "neutral"}.
    seed : int, 0 to 2 ** 32 - 1
    epochs : int > 0
        For "acoustic", as the three below it: at most so many.
    patience : int > 0
        Stop after so many epochs in which the validation loss has not fallen by 0.001.
    batch_size : int > 0
    learning_rate : float > 0
        Of Adam.
    temperature : float, 0 or 0.05 to 20
        Of the scores; 0: fitted on the validation part.
    threshold : float, 0 to 1
        A prediction with a lower score counts as uncertain.
    coverage : float, 0 to 1
        Instead: the threshold above which this share of the validation clips scores; 0: none.
    window_s : float, 0.1 to 3600
        Seconds; longer recordings are cut to their first window in training, and answered window
        by window in use.
    name, notes : str
        For the model card; without a name the model is called after its features.
    network : NetworkConfig
    acoustic : AcousticConfig
    acoustic_training : AcousticTraining
        All three for "acoustic".
    head : HeadConfig
    head_training : HeadTraining
        Both for "speech".
    """

    corpora: tuple[str, ...] = ()
    features: str = "acoustic"
    encoder: str = ""
    protocol: str = "random"
    groups: str = ""
    n_groups: int = 0
    split: str = ""
    labels: tuple[str, ...] = ()
    merge: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    epochs: int = 50
    patience: int = 6
    batch_size: int = 32
    learning_rate: float = 1e-3
    temperature: float = 0.0
    threshold: float = 0.5
    coverage: float = 0.0
    window_s: float = 10.0
    name: str = ""
    notes: str = ""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    acoustic: AcousticConfig = field(default_factory=AcousticConfig)
    acoustic_training: AcousticTraining = field(default_factory=AcousticTraining)
    head: HeadConfig = field(default_factory=HeadConfig)
    head_training: HeadTraining = field(default_factory=HeadTraining)

    def __post_init__(self) -> None:
        """Refuse what no run can be made of."""
        _expect(self.features in FEATURES, "features", self.features, " or ".join(FEATURES))
        _expect(self.protocol in PROTOCOLS, "protocol", self.protocol, ", ".join(PROTOCOLS))
        self._expect_kind()
        emotions = (*self.labels, *self.merge.keys(), *self.merge.values())
        for emotion in emotions:
            _expect(emotion in EMOTIONS, "labels or merge", emotion, ", ".join(EMOTIONS))
        for name in ("epochs", "patience", "batch_size", "learning_rate"):
            value = getattr(self, name)
            _expect(0 < value < math.inf, name, value, "more than 0")
        window = self.window_s
        fits = MIN_WINDOW_S <= window <= MAX_WINDOW_S
        _expect(fits, "window_s", window, f"{MIN_WINDOW_S} to {MAX_WINDOW_S:g}")
        if self.features == "speech":
            _expect(window < 30, "window_s", window, "less than 30 with features = speech")
        _expect(self.n_groups >= 0, "n_groups", self.n_groups, "0 or more")
        _expect(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        fixed = self.temperature == 0 or 0.05 <= self.temperature <= 20
        _expect(fixed, "temperature", self.temperature, "0 (fitted) or 0.05 to 20")
        _expect(0 <= self.threshold <= 1, "threshold", self.threshold, "0 to 1")
        _expect(0 <= self.coverage <= 1, "coverage", self.coverage, "0 to 1")
        _check_network(self.network)
        _check_acoustic(self.acoustic)
        _check_acoustic_training(self.acoustic_training)
        _check_head(self.head, self.head_training)

    def _expect_kind(self) -> None:
        """Refuse what is set for the other kind of features, where nothing would heed it."""
        defaults = {entry.name: _default_of(entry) for entry in dataclasses.fields(self)}
        changed = [name for name, default in defaults.items() if getattr(self, name) != default]
        _check_kind(self.features, changed)


def others_settings(features: str) -> tuple[str, ...]:
    """Return the settings that go with the other kind of features alone."""
    return tuple(name for kind, names in _OF_KIND.items() if kind != features for name in names)


def _default_of(entry: "dataclasses.Field[Any]") -> Any:
    return entry.default_factory() if callable(entry.default_factory) else entry.default


def _check_kind(features: str, given: Iterable[str]) -> None:
    if foreign := [name for name in given if name in others_settings(features)]:
        raise ConfigError(
            f"{', '.join(foreign)}: not a setting of features = {features}, which has "
            f"{', '.join(_OF_KIND[features])} of its own"
        )


def _check_head(head: HeadConfig, training: HeadTraining) -> None:
    for name in (
        "n_dimensions",
        "n_hidden",
        "n_members",
        "prior_seconds",
        "trust_seconds",
        "skew_seconds",
    ):
        _expect(0 < getattr(head, name) < math.inf, name, getattr(head, name), "more than 0")
    for name in ("dropout", "input_dropout"):
        _expect(0 <= getattr(head, name) < 1, name, getattr(head, name), "0 to below 1")
    for name in ("epochs", "min_steps", "batch_size", "learning_rate"):
        _expect(0 < getattr(training, name) < math.inf, name, getattr(training, name), "above 0")
    _expect(0 <= training.p_whole <= 1, "p_whole", training.p_whole, "0 to 1")
    _expect(0 <= training.smoothing < 1, "smoothing", training.smoothing, "0 to below 1")
    fits = -math.inf < head.one_sided_below < head.balanced_above <= 0
    _expect(fits, "balanced_above", head.balanced_above, "more than one_sided_below, at most 0")
    _expect(0 <= head.correction <= 1, "correction", head.correction, "0 to 1")
    _expect(
        0 <= training.weight_decay < math.inf, "weight_decay", training.weight_decay, "0 or more"
    )
    _expect(0 <= training.n_elsewhere <= 8, "n_elsewhere", training.n_elsewhere, "0 to 8")
    for copy in training.copies:
        _expect(0.5 <= copy <= 2.0, "copies", copy, "factors from 0.5 to 2")


def _check_network(network: NetworkConfig) -> None:
    _expect(
        bool(network.channels) and min(network.channels) > 0 and network.n_lstm > 0,
        "network",
        network,
        "at least one width in channels, and all sizes above 0",
    )
    _expect(network.kernel % 2 == 1 and network.kernel > 0, "kernel", network.kernel, "odd")
    _expect(0 <= network.dropout < 1, "dropout", network.dropout, "0 to below 1")


def _check_acoustic(acoustic: AcousticConfig) -> None:
    n_fft, n_mels = acoustic.n_fft, acoustic.n_mels
    fits = 64 <= n_fft <= 8192 and n_fft % 16 == 0  # a prime would make the spectrum very slow
    _expect(fits, "n_fft", n_fft, "a multiple of 16 from 64 to 8192")
    _expect(0 < acoustic.hop <= n_fft, "hop", acoustic.hop, f"1 to n_fft ({n_fft})")
    _expect(0 < n_mels <= 512, "n_mels", n_mels, "1 to 512")
    _expect(0 < acoustic.n_mfcc <= n_mels, "n_mfcc", acoustic.n_mfcc, f"1 to n_mels ({n_mels})")
    in_twelfths = acoustic.n_chroma > 0 and acoustic.n_chroma % 12 == 0
    _expect(in_twelfths, "n_chroma", acoustic.n_chroma, "a multiple of 12")
    quantile = acoustic.contrast_quantile
    _expect(0 < quantile <= 0.5, "contrast_quantile", quantile, "more than 0, at most 0.5")
    _expect(0 < acoustic.n_bands <= 16, "n_bands", acoustic.n_bands, "1 to 16")
    fmin = acoustic.contrast_fmin_hz
    _expect(0 < fmin < RATE / 2, "contrast_fmin_hz", fmin, f"more than 0, below {RATE // 2}")
    try:
        fits = all(first < last for first, last, _ in contrast_bands(acoustic))
    except (ValueError, IndexError):  # a band above half the rate, or between two bins
        fits = False
    bands = f"n_bands = {acoustic.n_bands} with contrast_fmin_hz = {fmin} and n_fft = {n_fft}"
    _expect(fits, "acoustic", bands, f"bands that hold frequencies below {RATE // 2} Hz")


def _check_acoustic_training(training: AcousticTraining) -> None:
    _expect(0 <= training.p_alone <= 1, "p_alone", training.p_alone, "0 to 1")
    _expect(training.max_heard > 0, "max_heard", training.max_heard, "more than 0")
    for name in ("resample", "offset", "crop_s"):
        _expect(0 <= getattr(training, name) < math.inf, name, getattr(training, name), "0 or more")
    _expect(training.resample <= 1, "resample", training.resample, "0 to 1")
    _expect(0 <= training.cooling <= 1, "cooling", training.cooling, "0 to 1")
    _expect(0 <= training.mask < 1, "mask", training.mask, "0 to below 1")


def _expect(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {wanted}, got {value!r}")


def read_settings(path: Path | None, changes: Mapping[str, Any]) -> Settings:
    """Read settings from a TOML file, and put `changes` above them.

    Parameters
    ----------
    path : Path or None
        None: the defaults.
    changes : mapping
        Values by key; those that are None are left as they are.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value is not as expected.
    """
    data: dict[str, Any] = {}
    if path is not None:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot read the settings: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: not valid TOML: {error}") from None
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        settings: Settings = _build(Settings, {**data, **given})
        _check_kind(settings.features, given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from None
    return settings


def settings_toml(settings: Settings) -> str:
    """Write settings as TOML that `read_settings` reads back to the same."""
    everything = dataclasses.asdict(settings)
    others = others_settings(settings.features)
    data = {key: value for key, value in everything.items() if key not in others}
    lines = [f"{key} = {_toml(value)}" for key, value in data.items() if not _is_table(value)]
    for key, table in data.items():
        if _is_table(table):
            lines += [
                "",
                f"[{key}]",
                *(f"{name} = {_toml(value)}" for name, value in table.items()),
            ]
    return "\n".join(lines) + "\n"


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _toml(value: object) -> str:
    # JSON's texts, lists, numbers and booleans are TOML's, too, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _build(kind: type, data: Mapping[str, Any]) -> Any:
    """Make a settings dataclass of a mapping, its tables first."""
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}
    if unknown := sorted(data.keys() - fields.keys()):
        raise ConfigError(
            f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(fields))}"
        )
    defaults = kind()
    values = {}
    for name, value in data.items():
        default = getattr(defaults, name)
        if dataclasses.is_dataclass(default):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name}: expected a table, got {value!r}")
            values[name] = _build(type(default), value)
        else:
            values[name] = _typed(name, value, default)
    return kind(**values)


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return a value in the type of the setting's default, or raise ConfigError."""
    if isinstance(default, tuple):
        inner = {"channels": int, "copies": float}.get(name, str)
        if inner is float and isinstance(value, list | tuple):
            value = [float(item) if _is_a(item, int) else item for item in value]
        if isinstance(value, list | tuple) and all(_is_a(item, inner) for item in value):
            return tuple(value)
        raise ConfigError(f"{name}: expected a list of {inner.__name__}, got {value!r}")
    if isinstance(default, Mapping):
        if isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        raise ConfigError(f"{name}: expected a table of texts, got {value!r}")
    if isinstance(default, float) and _is_a(value, int):
        return float(value)
    if not _is_a(value, type(default)):
        raise ConfigError(f"{name}: expected {type(default).__name__}, got {value!r}")
    return value


def _is_a(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
