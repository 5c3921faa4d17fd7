"""For benchmarks/fuzz.py: JSON that is almost a baseline, a model card or a message."""

import json
from random import Random
from typing import Any

SURROGATES = ("\ud800", "\udfff", "a\udc80b", "\ud83d", "x" * 300 + "\udcff")
TEXTS = (
    "", "x", "16000", "null", "\0", "é漢😀", "e\u0301", "\x1b[31m", "\u2028\n\r\t", "../..", "[/b]",
    "<script>", "%s%n", "=1+1", "x" * 250, "𝕬" * 80, "__proto__", "sad", "angry",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 0.1, 0.5, 1.0, -0.0, 1e-320, 5e-324, 1e-30, 1e29, 1e30, 1e31, 1e38, 3.5e38, 1e154,
    1.7e308, -1.7e308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**25, 10**400, 8_000, 16_000,
    44_100.5, 192_000, 192_001, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip


def any_text(rng: Random) -> str:
    """Return a text; one in six holds half of a character, as JSON allows."""
    if rng.random() < 1 / 6:
        return rng.choice(SURROGATES)
    return rng.choice(TEXTS)


def any_value(rng: Random, depth: int = 0) -> Any:
    """Return any JSON value, and NaN and infinity."""
    kind = rng.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return rng.choice(NUMBERS)
    if kind in (3, 4):
        return any_text(rng)
    if kind == 5:
        return [any_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {any_text(rng): any_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [rng.choice(NUMBERS)] * rng.choice((1, 2, 58, 59, 60, 406, 2_000))


def nest(rng: Random) -> str:
    """Return a deep nest, whole or broken off, and of any kind."""
    depth = rng.choice((10, 300, 900, 990, 1_000, 1_500, 5_000, 20_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"":', "}]")))
    return opening * depth + rng.choice(("0", "", '"x"')) + closing * rng.choice((depth, depth - 1))


def mutated_object(rng: Random, honest: dict[str, Any]) -> dict[str, Any]:
    """Change some keys of an object: other values, other numbers, missing, more."""
    changed = dict(honest)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        key = rng.choice(list(honest))
        kind = rng.randrange(6)
        if kind == 0:
            changed.pop(key, None)
        elif kind == 1:
            changed[any_text(rng)] = any_value(rng)
        elif kind == 2:
            changed[key] = _mutated_inside(rng, changed.get(key))
        elif kind == 3 and isinstance(honest[key], int | float):
            changed[key] = rng.choice(NUMBERS)
        elif kind == 4 and isinstance(honest[key], str):
            changed[key] = any_text(rng)
        else:
            changed[key] = any_value(rng)
    return changed


def _mutated_inside(rng: Random, value: Any) -> Any:
    """Change something within a value."""
    if isinstance(value, list | tuple) and value:
        items = list(value)
        number = rng.choice(NUMBERS)
        for index in rng.choice((range(len(items)), [rng.randrange(len(items))])):
            items[index] = number
        return items[: rng.choice((len(items), len(items), len(items) - 1))]
    if isinstance(value, dict) and value:
        return mutated_object(rng, value)
    return any_value(rng)


def mutated_json(rng: Random, honest: dict[str, Any]) -> str:
    """Return the text of a changed object, sometimes changed as a text, too."""
    text = json.dumps(mutated_object(rng, honest), ensure_ascii=rng.random() < 0.8)
    kind = rng.randrange(14)
    if kind == 0:
        return text[: rng.randrange(len(text) + 1)]
    if kind == 1:
        return text.replace(rng.choice((":", ",", "}", "[", "1", '"')), nest(rng), 1)
    if kind == 2:  # twice the same key
        return text[:-1] + f", {json.dumps(rng.choice(list(honest)))}: {_bare(rng)}" + "}"
    if kind == 3:
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice((_bare(rng), any_text(rng), "\ufeff", " " * 99)) + text[at:]
    if kind == 4:
        return rng.choice((nest(rng), _bare(rng)))
    return text


def _bare(rng: Random) -> str:
    """Return a word that JSON parsers stumble over."""
    digits = "9" * rng.choice((5, 400, 4_299, 4_301, 20_000))
    return rng.choice(
        (digits, f"-{digits}", f"1e{digits[:6]}", "NaN", "-Infinity", "nul", '"\\ud8', "0x1")
    )


def encoded(text: str) -> bytes:
    """Return a text as UTF-8; half characters become bytes that are none."""
    return text.encode("utf-8", "surrogatepass")


def strict(text: str | bytes) -> Any:
    """Read JSON as a browser does: NaN and infinity are none."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
