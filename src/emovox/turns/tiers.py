"""Praat's TextGrid and ELAN's EAF, in which each tier is a speaker and each interval a turn."""

import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ..errors import TurnsError, optional
from .elan import read_tiers
from .fields import damaged, read_number
from .turn import Turn, one_spaced

# Praat's manual, "TextGrid file formats": texts in quotes, numbers and flags that stand alone are
# read, and all other words, such as "xmin =", are comments.
_TOKEN = re.compile(r'"(?:[^"]|"")*"|![^\n]*|"|[^\s"]+')
_FLAG = re.compile(r"<\w+>")
_UNNAMED = "default"  # ELAN's name for the tier of a new file


class _Token(NamedTuple):
    """A text, without its quotes, a number or a flag, and the line that it begins in."""

    value: str | float
    line: int
    written: str


class _Tokens:
    """The texts, numbers and flags of a TextGrid, one after the other."""

    def __init__(self, text: str) -> None:
        self._rest = _tokens(text)
        self.line = 1

    def text(self, what: str) -> str:
        """Return the next text."""
        token = self._next(what)
        if not isinstance(token.value, str) or not token.written.startswith('"'):
            raise damaged(token.line, f"{what} in quotes", token.written)
        return token.value

    def number(self, what: str) -> float:
        """Return the next number."""
        token = self._next(what)
        if isinstance(token.value, str):
            raise damaged(token.line, f"{what}, a number", token.written)
        return token.value

    def flag(self, what: str) -> str:
        """Return the next flag."""
        token = self._next(what)
        if not isinstance(token.value, str) or token.written.startswith('"'):
            raise damaged(token.line, what, token.written)
        return token.value

    def end(self) -> None:
        """Refuse what follows behind the end."""
        token = next(self._rest, None)
        if token is not None:
            raise damaged(token.line, "the end, as the sizes say", token.written)

    def _next(self, what: str) -> _Token:
        token = next(self._rest, None)
        if token is None:
            raise TurnsError(f"line {self.line}: expected {what}, got the end of the file")
        self.line = token.line
        return token


def _tokens(text: str) -> Iterator[_Token]:
    line, done = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", done, match.start())
        done, written = match.start(), match[0]
        if written == '"':
            raise damaged(line, "a quote that ends the text", text[done : done + 60])
        if written.startswith('"'):
            yield _Token(written[1:-1].replace('""', '"'), line, written)
        elif (number := read_number(written)) is not None:
            yield _Token(number, line, written)
        elif _FLAG.fullmatch(written):
            yield _Token(written, line, written)


def read_textgrid(text: str, wanted: Sequence[str] = ()) -> list[Turn]:
    """Read the intervals with a text of a TextGrid in its long or short form.

    Raises
    ------
    TurnsError
        If the file is damaged, or lacks a tier that is wanted.
    """
    tokens = _Tokens(text)
    if not tokens.text('"ooTextFile"').startswith("ooTextFile"):
        raise damaged(tokens.line, '"ooTextFile"', "another kind of file")
    if tokens.text('"TextGrid"') != "TextGrid":
        raise damaged(tokens.line, '"TextGrid"', "another object of Praat")
    for what in ("the beginning", "the end"):
        tokens.number(what)
    has_tiers = tokens.flag("<exists>") == "<exists>"
    n_tiers = _size(tokens, "the number of tiers") if has_tiers else 0
    found: list[tuple[str, list[Turn]]] = []
    for _ in range(n_tiers):
        found += _tier(tokens)
    tokens.end()
    return _chosen(found, wanted)


def _size(tokens: _Tokens, what: str) -> int:
    number = tokens.number(what)
    if number < 0 or number != int(number):
        raise damaged(tokens.line, what, f"{number:g}")
    return int(number)


def _tier(tokens: _Tokens) -> list[tuple[str, list[Turn]]]:
    """Read a tier; one of points is left out."""
    kind = tokens.text('"IntervalTier" or "TextTier"')
    if kind not in ("IntervalTier", "TextTier"):
        raise damaged(tokens.line, '"IntervalTier" or "TextTier"', kind)
    name = one_spaced(tokens.text("the tier's name"))
    for what in ("the tier's beginning", "the tier's end"):
        tokens.number(what)
    turns = []
    for _ in range(_size(tokens, "the tier's size")):
        start = tokens.number("a time")
        end = tokens.number("the interval's end") if kind == "IntervalTier" else start
        if words := one_spaced(tokens.text("the text")):
            turns.append(Turn(start, end, name, words))
    return [(name, turns)] if kind == "IntervalTier" else []


def read_eaf(text: str, wanted: Sequence[str] = ()) -> list[Turn]:
    """Read the annotations of an ELAN file; the speaker is a tier's participant, else its name.

    Raises
    ------
    TurnsError
        If the file is damaged, or lacks a tier that is wanted.
    """
    tiers = read_tiers(text)
    found = [
        (tier.name, [_annotated(tier.participant or tier.name, *one) for one in tier.annotations])
        for tier in tiers
        if wanted or not tier.depends
    ]
    return _chosen(found, wanted)


def _annotated(speaker: str, start_ms: int, end_ms: int, text: str) -> Turn:
    name = "" if speaker == _UNNAMED else one_spaced(speaker)
    return Turn(start_ms / 1000, end_ms / 1000, name, one_spaced(text))


def _chosen(found: Sequence[tuple[str, list[Turn]]], wanted: Sequence[str]) -> list[Turn]:
    """Return the turns of the tiers that are wanted; of all where none is named."""
    names = [name for name, _ in found]
    for name in wanted:
        if name not in names:
            listed = ", ".join(map(repr, names)) or "none"
            raise TurnsError(f"expected a tier {name!r}; tiers of intervals are: {listed}")
    return [turn for name, turns in found if not wanted or name in wanted for turn in turns]


def write_textgrid(turns: Sequence[Turn], seconds: float) -> str:
    """Return a TextGrid with a tier for each speaker, for a recording of so many seconds.

    Where turns of a speaker overlap, another tier takes the later one.

    Raises
    ------
    MissingExtraError
        If praatio is not installed.
    """
    with optional():
        from praatio.utilities.textgrid_io import getTextgridAsStr

    end = max([seconds, *(turn.end for turn in turns)])
    tiers = [
        {
            "class": "IntervalTier",
            "name": name,
            "xmin": 0.0,
            "xmax": end,
            "entries": [(turn.start, turn.end, turn.text) for turn in tier],
        }
        for name, _, tier in _tiers_of(turns)
    ]
    grid = {"xmin": 0.0, "xmax": end, "tiers": tiers}
    return str(getTextgridAsStr(grid, "long_textgrid", True, minimumIntervalLength=None))


def write_eaf(turns: Sequence[Turn], recording: Path) -> str:
    """Return an ELAN file with a tier for each speaker, which opens the recording.

    Where turns of a speaker overlap, another tier of the speaker takes the later one.

    Raises
    ------
    MissingExtraError
        If pympi-ling is not installed.
    """
    with optional():
        from pympi.Elan import Eaf, to_string

    file = Eaf(author="emovox")
    file.remove_tier(_UNNAMED)
    kind = recording.suffix.lower().removeprefix(".") or "wav"
    file.add_linked_file(recording.absolute().as_uri(), f"./{recording.name}", f"audio/x-{kind}")
    for name, speaker, tier in _tiers_of(turns):
        tier_id = name or _UNNAMED
        file.add_tier(tier_id, part=speaker or None)
        for turn in tier:
            start, end = round(1000 * turn.start), round(1000 * turn.end)
            file.add_annotation(tier_id, start, max(end, start + 1), turn.text)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + str(to_string(file)) + "\n"


def _tiers_of(turns: Sequence[Turn]) -> list[tuple[str, str, list[Turn]]]:
    """Return tiers in which no turns overlap: name, speaker and turns in order."""
    tiers: dict[str, tuple[str, list[Turn]]] = {}
    for turn in sorted(turns, key=lambda one: one.start):
        if turn.end <= turn.start:
            continue
        speaker = one_spaced(turn.speaker)
        names = (speaker if n == 1 else f"{speaker} ({n})".strip() for n in count(1))
        for name in names:
            _, tier = tiers.setdefault(name, (speaker, []))
            if not tier or tier[-1].end <= turn.start:
                tier.append(Turn(max(0.0, turn.start), turn.end, speaker, one_spaced(turn.text)))
                break
    return [(name, speaker, tier) for name, (speaker, tier) in tiers.items()]
