"""The settings of a training run, and the TOML file that holds them."""

import dataclasses
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..audio import RATE
from ..card import MAX_WINDOW_S, MIN_WINDOW_S
from ..corpora.labelling import Labelling, labelling, only
from ..errors import ConfigError
from ..splits import PROTOCOLS

FEATURES = ("acoustic", "speech")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; infinity and NaN lie in none."""

    low: float
    high: float = math.inf
    above: bool = False  # `low` itself lies outside
    below: bool = False  # so does `high`

    def __contains__(self, value: float) -> bool:
        """Whether a number lies in the range."""
        is_high = value > self.low if self.above else value >= self.low
        is_low = value < self.high if self.below or self.high == math.inf else value <= self.high
        return is_high and is_low

    def __str__(self) -> str:
        """Describe the range, as in "more than 0" or "0 to below 1"."""
        if self.high == math.inf:
            return f"more than {self.low:.10g}" if self.above else f"{self.low:.10g} or more"
        ends = ("more than " * self.above, "below " * self.below)
        return f"{ends[0]}{self.low:.10g} to {ends[1]}{self.high:.10g}"


def _number(default: Any, low: float, high: float = math.inf, **ends: bool) -> Any:
    """Declare a number, or a tuple of numbers, with the range of its values."""
    return field(default=default, metadata={"range": Range(low, high, **ends)})


def _choice(default: Any, *choices: str) -> Any:
    """Declare a word, or a tuple of words, with the words that are allowed."""
    return field(default=default, metadata={"choices": choices})


@dataclass(frozen=True)
class AcousticConfig:
    """The acoustic features; the defaults are those of the shipped models."""

    n_fft: int = _number(1024, 64, 8192)  # samples in a frame: 64 ms, parts a voice's harmonics
    hop: int = _number(256, 1)  # samples from frame to frame: 16 ms
    n_mels: int = _number(80, 1, 512)
    n_mfcc: int = _number(40, 1)
    n_chroma: int = _number(12, 12)
    n_bands: int = _number(7, 1, 16)  # of spectral contrast, octaves from `contrast_fmin_hz`
    contrast_fmin_hz: float = 200.0
    contrast_quantile: float = _number(0.02, 0, 0.5, above=True)

    def __post_init__(self) -> None:
        """Refuse frames and bands that do not fit together."""
        _check_fields(self)
        n_fft, fmin = self.n_fft, self.contrast_fmin_hz
        # A prime would make the spectrum very slow.
        _expect(n_fft % 16 == 0, "n_fft", n_fft, "a multiple of 16")
        _expect(self.hop <= n_fft, "hop", self.hop, f"1 to n_fft ({n_fft})")
        _expect(self.n_mfcc <= self.n_mels, "n_mfcc", self.n_mfcc, f"1 to n_mels ({self.n_mels})")
        _expect(self.n_chroma % 12 == 0, "n_chroma", self.n_chroma, "a multiple of 12")
        # Each band has to hold a bin of the spectrum, and the last has to begin below the highest.
        highest = RATE / 2.0 ** max(1, self.n_bands - 1)
        wanted = f"{RATE / n_fft:g} to {highest:g} Hz with n_fft = {n_fft} and {self.n_bands} bands"
        _expect(RATE / n_fft < fmin < highest, "contrast_fmin_hz", fmin, wanted)

    @property
    def n_features(self) -> int:
        """Numbers a frame: MFCC, then chroma, then contrast."""
        return self.n_mfcc + self.n_chroma + self.n_bands


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the acoustic network; the defaults are those of the shipped models."""

    channels: tuple[int, ...] = _number((64, 96, 128), 1)  # each convolution halves the frame rate
    kernel: int = _number(5, 1)  # frames, odd
    n_lstm: int = _number(64, 1)  # units each way
    dropout: float = _number(0.3, 0, 1, below=True)

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        _check_fields(self)
        _expect(bool(self.channels), "channels", self.channels, "at least one width")
        _expect(self.kernel % 2 == 1, "kernel", self.kernel, "an odd number")


@dataclass(frozen=True)
class Acoustic:
    """An acoustic model and its training; by default, each clip is learned without a baseline.

    Voices, baselines and masks are drawn anew for each epoch.
    """

    epochs: int = _number(50, 1)  # at most
    patience: int = _number(6, 1)  # epochs without a lower validation loss
    batch_size: int = _number(32, 1)  # clips
    learning_rate: float = _number(1e-3, 0, above=True)  # of Adam
    p_alone: float = _number(1.0, 0, 1)  # share of clips learned without a baseline
    max_heard: int = _number(30, 1)  # clips of the speaker in a baseline
    resample: float = _number(0.0, 0, 1)  # each speaker is played faster or slower by up to this
    offset: float = _number(0.0, 0)  # of a speaker's features, in standard deviations
    mask: float = _number(0.0, 0, 1, below=True)  # largest share of frames, and of features, hidden
    crop_s: float = _number(0.0, 0)  # seconds of a clip to learn from, drawn anew; 0: all
    cooling: float = _number(0.0, 0, 1)  # share of the learning rate lost over the epochs, evenly
    features: AcousticConfig = field(default_factory=AcousticConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check_fields(self)


@dataclass(frozen=True)
class HeadConfig:
    """Constants of the head of a speech model."""

    prior_seconds: float = _number(6.0, 0, above=True)  # of the model's mean in a baseline
    trust_seconds: float = _number(24.0, 0, above=True)  # heard, for the experts to count alike

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check_fields(self)


@dataclass(frozen=True)
class Speech:
    """A speech model and the training of its head; the defaults are those of the shipped model."""

    encoder: str = ""
    epochs: int = _number(16, 1)  # each five iterations of L-BFGS
    l2: float = _number(0.1, 0)  # half of it times the sum of the squared weights is in the loss
    n_copies: int = _number(4, 0, 16)  # of each recording, in other rooms, lines and noise
    noise: str = ""  # folder of recordings without speech, for the copies; "": none
    noise_prefixes: tuple[str, ...] = ()  # of the names of those that count; empty: all
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check_fields(self)


@dataclass(frozen=True)
class Settings:
    """Everything a training run depends on, besides the recordings themselves.

    Raises
    ------
    ConfigError
        If a value is out of range, or belongs to the other kind of features.
    """

    corpora: tuple[str, ...] = ()  # each "NAME=PATH", as for `emovox.corpora.load_corpora`
    features: str = _choice("acoustic", *FEATURES)  # the kind of model
    protocol: str = _choice("random", *PROTOCOLS)
    groups: str = ""  # for "speaker": a CSV of group and speaker
    n_groups: int = _number(0, 0)  # for "speaker": number of groups; 0: one speaker a fold
    split: str = ""  # a split table to use again (one subset column, no folds)
    columns: Mapping[str, str] = field(default_factory=dict)  # such as {"file": "path"}
    labels: tuple[str, ...] = ()  # only these; empty: all emotions; "any": own labels as well
    map: Mapping[str, str] = field(default_factory=dict)  # such as {"calm": "neutral"}
    seed: int = _number(0, 0, 2**32 - 1)
    temperature: float = 0.0  # of the scores, 0.05 to 20; 0: fitted on the validation part
    threshold: float = _number(0.5, 0, 1)  # predictions with a lower score are uncertain
    coverage: float = _number(0.0, 0, 1)  # above 0: sets the threshold for this share of clips
    window_s: float = _number(10.0, MIN_WINDOW_S, MAX_WINDOW_S)  # seconds of a clip that count
    name: str = ""  # for the model card; "": the kind of model
    notes: str = ""  # for the model card
    acoustic: Acoustic = field(default_factory=Acoustic)
    speech: Speech = field(default_factory=Speech)

    def __post_init__(self) -> None:
        """Refuse settings that no run can be made of."""
        _check_fields(self)
        only(self.labels)
        _ = self.labelling
        fits = self.temperature == 0 or self.temperature in Range(0.05, 20)
        _expect(fits, "temperature", self.temperature, "0 (fitted) or 0.05 to 20")
        if self.features == "speech":
            _expect(self.window_s < 30, "window_s", self.window_s, "less than 30 with speech")
        other = other_kind(self.features)
        table, defaults = getattr(self, other), type(getattr(self, other))()
        changed = {key: value for key, value in vars(table).items() if value != vars(defaults)[key]}
        _check_kind(self.features, {other: changed})

    @property
    def labelling(self) -> Labelling:
        """What the columns and the labels of the corpora are called."""
        return labelling(self.columns, self.map, self.labels)


def other_kind(features: str) -> str:
    """Return the kind of features that was not chosen."""
    return next(kind for kind in FEATURES if kind != features)


def settings_data(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data, without the table of the other kind of features."""
    data = dataclasses.asdict(settings)
    del data[other_kind(settings.features)]
    return data


def read_settings(path: Path | None, *changes: Mapping[str, Any]) -> Settings:
    """Read settings from a TOML file, and override them by each of `changes`.

    Parameters
    ----------
    path : Path or None
        None: the defaults.
    *changes : mapping
        Values by key; those that are None are left as they are. A table overrides the keys it
        holds.

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
    for change in changes:
        data = _overridden(data, change)
    try:
        features = data.get("features", FEATURES[0])
        if features in FEATURES:
            _check_kind(features, data)
        return _build(Settings(), data)  # type: ignore[no-any-return]
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from None


def _overridden(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes, table by table."""
    merged = dict(data)
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            merged[key] = _overridden(before, value)
        elif value is not None:
            merged[key] = value
    return merged


def changes_of(assignments: Sequence[str]) -> dict[str, Any]:
    """Read settings written as KEY=VALUE, with dots for tables, as `read_settings` takes them.

    A value is TOML's; a text needs no quotes, and a list no brackets.

    Examples
    --------
    >>> changes_of(["acoustic.network.n_lstm=32", "name=my model", "labels=sad,happy"])
    {'acoustic': {'network': {'n_lstm': 32}}, 'name': 'my model', 'labels': ['sad', 'happy']}

    Raises
    ------
    ConfigError
        If one is not of that form, sets a table, or sets again what another has set.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        *tables, name = key.split(".")
        if not equals or not all((*tables, name)):
            raise ConfigError(f"expected a setting as KEY=VALUE, got {assignment!r}")
        default: Any = Settings()
        place = changes
        for table in tables:
            default = _of(default, table)
            place = place.setdefault(table, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or name in place:
            raise ConfigError(f"{key}: set twice")
        place[name] = _value(key, text, _of(default, name))
    return changes


def _of(default: Any, name: str) -> Any:
    """Return the default of a setting; None for what `read_settings` will refuse."""
    return "" if isinstance(default, Mapping) else getattr(default, name, None)


def _value(key: str, text: str, default: Any) -> Any:
    """Read a value in the type of its default; what is of another type is refused later."""
    if dataclasses.is_dataclass(default) or isinstance(default, Mapping):
        raise ConfigError(f"{key}: expected the name of a setting, got that of a table")
    if isinstance(default, tuple) and not text.startswith("["):
        inner = default[0] if default else ""
        return [_value(key, part.strip(), inner) for part in text.split(",") if part.strip()]
    quoted = text.startswith(("'", '"'))
    if isinstance(default, str) and not quoted:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def settings_toml(settings: Settings) -> str:
    """Write settings as TOML that `read_settings` reads back to the same."""
    return "\n".join(_toml_lines(settings_data(settings))) + "\n"


def _toml_lines(data: Mapping[str, Any], place: str = "") -> Iterator[str]:
    tables = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    for key, value in data.items():
        if key not in tables:
            # JSON's texts, lists, numbers and booleans are TOML's, too, but for one character.
            yield f"{_toml_key(key)} = {_toml_value(value)}"
    for key, table in tables.items():
        yield from ("", f"[{place}{key}]")
        yield from _toml_lines(table, f"{place}{key}.")


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml_value(key)


def _toml_value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check_fields(settings: Any) -> None:
    """Refuse values that are not among the choices, or not in the range, of their field."""
    for entry in dataclasses.fields(settings):
        value = getattr(settings, entry.name)
        values = value if isinstance(value, tuple) else (value,)
        if wanted := entry.metadata.get("range"):
            fits = all(number in wanted for number in values)
            _expect(fits, entry.name, value, str(wanted))
        elif choices := entry.metadata.get("choices"):
            wanted = f"{', '.join(choices[:-1])} or {choices[-1]}"
            _expect(set(values) <= set(choices), entry.name, value, wanted)


def _expect(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {wanted}, got {value!r}")


def _check_kind(features: str, data: Mapping[str, Any]) -> None:
    """Refuse the table of the other kind of features: it would have no effect."""
    other = other_kind(features)
    table = data.get(other)
    if isinstance(table, Mapping) and table:
        names = ", ".join(f"{other}.{key}" for key in table)
        raise ConfigError(
            f"{names}: without effect with features = {features}; leave it out, or set "
            f"features = {other}"
        )


def _build(defaults: Any, data: Mapping[str, Any], place: str = "") -> Any:
    """Make a settings dataclass of its defaults and a mapping, its tables first."""
    if unknown := sorted(data.keys() - vars(defaults).keys()):
        raise ConfigError(_unknown(unknown[0], place, vars(defaults)))
    values = {}
    for name, value in data.items():
        default = getattr(defaults, name)
        if not dataclasses.is_dataclass(default):
            values[name] = _typed(name, value, default)
        elif isinstance(value, Mapping):
            values[name] = _build(default, value, f"{place}{name}.")
        else:
            raise ConfigError(f"{name}: expected a table, got {value!r}")
    return dataclasses.replace(defaults, **values)


def _unknown(name: str, place: str, known: Mapping[str, object]) -> str:
    """Describe an unknown setting: where it belongs, else the settings known there."""
    where = f"unknown setting {place}{name}"
    if places := [path for path in _paths(Settings()) if path.rpartition(".")[2] == name]:
        return f"{where}; write it as {' or '.join(places)}"
    return f"{where}; known are {', '.join(sorted(known))}"


def _paths(settings: Any, place: str = "") -> Iterator[str]:
    """Yield the dotted name of each setting and of each table."""
    for name, value in vars(settings).items():
        yield f"{place}{name}"
        if dataclasses.is_dataclass(value):
            yield from _paths(value, f"{place}{name}.")


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return a value in the type of the setting's default, or raise ConfigError."""
    if isinstance(default, tuple):
        inner = type(default[0]) if default else str
        if isinstance(value, list | tuple):
            items = [float(i) if inner is float and _is_a(i, int) else i for i in value]
            if all(_is_a(item, inner) for item in items):
                return tuple(items)
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
