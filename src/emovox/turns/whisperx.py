"""The JSON of whisperX, and of whisper, in which each segment is a turn."""

import json

from ..checks import is_number
from ..errors import TurnsError
from .turn import Turn, one_spaced


def read_json(text: str) -> list[Turn]:
    """Read the segments of whisperX's JSON; a missing speaker or text is "".

    Raises
    ------
    TurnsError
        If it is not JSON, or not of this form.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise TurnsError(f"line {error.lineno}: expected JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of too many digits, or lists too deep
        raise TurnsError("expected the JSON of whisperX, got numbers or lists too large") from None
    segments = data.get("segments") if isinstance(data, dict) else None
    if not isinstance(segments, list):
        raise TurnsError('expected the JSON of whisperX: an object with a list "segments"')
    return [_turn(number, segment) for number, segment in enumerate(segments, start=1)]


def _turn(number: int, segment: object) -> Turn:
    fields = segment if isinstance(segment, dict) else {}
    start, end = fields.get("start"), fields.get("end")
    if not (is_number(start) and is_number(end)):
        raise TurnsError(f"segment {number}: expected a start and an end in seconds")
    words = []
    for key in ("speaker", "text"):
        word = fields.get(key)
        if not isinstance(word, str | None):
            raise TurnsError(f"segment {number}: expected {key} as text, got {type(word).__name__}")
        words.append(one_spaced(word or ""))
    return Turn(float(start), float(end), *words)
