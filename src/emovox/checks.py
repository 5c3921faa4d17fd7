"""JSON and numbers from outside, checked before anything is made of them."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from .errors import EmovoxError, one_line

_MAX_DEPTH = 16  # of objects and lists within each other in JSON


def read_keys(
    text: str,
    names: Sequence[str],
    what: str,
    error: type[EmovoxError],
    *,
    optional: Sequence[str] = (),
) -> dict[str, Any]:
    """Read a JSON object that has these keys and no other, or raise `error`.

    Those that are `optional` may be missing.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, TypeError) as reason:
        raise error(f"the {what} is not JSON: {reason}") from None
    return check_keys(data, names, what, error, optional=optional)


def check_keys(
    data: object,
    names: Sequence[str],
    what: str,
    error: type[EmovoxError],
    *,
    optional: Sequence[str] = (),
) -> dict[str, Any]:
    """Return an object that has these keys and no other, or raise `error`."""
    if not _is_shallow(data, _MAX_DEPTH):
        raise error(f"the {what} holds lists or objects more than {_MAX_DEPTH} deep")
    if not isinstance(data, dict):
        raise error(f"expected a {what} with keys, got {type(data).__name__}")
    if missing := sorted(set(names) - set(optional) - data.keys()):
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


def is_finite(value: Any) -> bool:
    """Tell whether a float can hold each number in JSON's data."""
    if isinstance(value, dict | list):
        return all(map(is_finite, _inner(value)))
    return not isinstance(value, int | float) or isinstance(value, bool) or is_number(value)


def _inner(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number that a float can hold; JSON knows larger ones."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max
