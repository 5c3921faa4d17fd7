"""What no honest client sends: mutated recordings, and messages of any kind. All from a seed."""

import io
import json
from typing import Any

import numpy as np
import soundfile

HEADER = 256  # bytes, within which most mutations fall
KINDS = ("session.update", "baseline.get", "baseline.reset", "flush", "ping", "level", "")
FORMATS = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float": {"format": "WAV", "subtype": "FLOAT"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "aiff": {"format": "AIFF", "subtype": "PCM_16"},
}


def recordings(samples: np.ndarray, rate: int) -> dict[str, bytes]:
    """Encode samples in each format."""
    found = {}
    for name, options in FORMATS.items():
        file = io.BytesIO()
        soundfile.write(file, samples, rate, **options)
        found[name] = file.getvalue()
    return found


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes of a recording, mostly of its header; or cut, repeat or fill up."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        most = len(changed) if rng.random() < 0.1 else min(HEADER, len(changed))
        at = int(rng.integers(0, max(1, most)))
        _change(changed, at, int(rng.integers(0, 7)), rng)
    return bytes(changed)


def _change(changed: bytearray, at: int, kind: int, rng: np.random.Generator) -> None:
    if kind == 0:
        changed[at : at + 1] = bytes(
            [changed[at] ^ (1 << int(rng.integers(8)))] if changed else b""
        )
    elif kind == 1:
        changed[at : at + 1] = rng.bytes(1)
    elif kind == 2:  # a number of the header becomes an extreme one
        extremes = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\1\0\0\0")
        changed[at : at + 4] = extremes[int(rng.integers(len(extremes)))]
    elif kind == 3:
        del changed[at : at + int(rng.integers(1, 32))]
    elif kind == 4:
        changed[at:at] = rng.bytes(int(rng.integers(1, 32)))
    elif kind == 5:
        del changed[int(rng.integers(0, len(changed) + 1)) :]
    else:
        changed[at:at] = changed[: int(rng.integers(0, 64))]


def message(rng: np.random.Generator) -> str | bytes:
    """Return something to send into a live session."""
    kind = int(rng.integers(0, 8))
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 4_000)))
    if kind == 1:  # sound, sometimes loud
        loudness = float(rng.choice([0, 0.001, 0.3, 1]))
        samples = rng.normal(0, loudness, int(rng.integers(1, 1_600)))
        return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    if kind == 2:
        return bytes(rng.integers(32, 127, int(rng.integers(0, 200)), dtype=np.uint8)).decode()
    if kind == 3:
        depth = int(rng.integers(1, 5_000))
        return "[" * depth + "]" * depth
    if kind == 4:
        text = json.dumps({"type": "session.update", "rate": 16_000})
        return text[: int(rng.integers(0, len(text)))]
    fields = {name: _value(rng) for name in ("rate", "interval_s", "baseline", "learn", "x")}
    chosen = {name: value for name, value in fields.items() if rng.random() < 0.3}
    return json.dumps({"type": _type(rng), **chosen})


def _type(rng: np.random.Generator) -> Any:
    return _value(rng) if rng.random() < 0.1 else str(rng.choice(KINDS))


def _value(rng: np.random.Generator) -> Any:
    values = (
        None, True, False, 0, -1, 8_000, 16_000, 48_000, 0.5, 1e308, 10**400, "", "16000", "\0é漢",
        [], [1], {}, {"schema": 1}, [[]] * 20, float("nan"),
        {"schema": 1, "model": "0" * 16, "name": "x", "seconds": 1.0, "total": [0.0] * 10},
    )  # fmt: skip
    return values[int(rng.integers(len(values)))]
