"""WebVTT and SubRip: subtitles, of which each cue is a turn."""

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape, unescape
from typing import NamedTuple

from ..tracks import timestamp
from .fields import damaged, read_clock
from .turn import Turn, one_spaced

_TIMES = re.compile(r"\s*([\d:.,]+)[ \t]*-->[ \t]*([\d:.,]+)(?:[ \t].*)?", re.ASCII)
_ALMOST_TIMES = re.compile(r"\d:\d\d.*\d:\d\d|^\s*\d+:\d\d:\d\d", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^ \t>]*)?[ \t]+([^<>]*)>")  # W3C WebVTT, 4.2.2: a voice span
_TAG = re.compile(r"<[^<>]*>")
_SRT_TAG = re.compile(r"</?(?:b|i|u|font)(?:\s[^<>]*)?>|\{\\an?\d\}", re.IGNORECASE)
_ARROW = re.compile("-{2,}>")  # which stands between times alone
_NAMED = re.compile(r"\[([^\[\]]+)\]:\s*")  # as whisperX names speakers
_EXPECTED = "times such as 00:00:01.500 --> 00:00:02.750"
_NO_CUES = ("NOTE", "STYLE", "REGION")


class _Block(NamedTuple):
    """Lines without an empty one between them; `number` is that of the first."""

    number: int
    lines: list[str]


def read_vtt(text: str) -> list[Turn]:
    """Read WebVTT; the speaker is a cue's voice, or a name in brackets: "[Anna]: Hello".

    Raises
    ------
    TurnsError
        If a cue is damaged.
    """
    blocks = list(_blocks(text))
    if not blocks or not re.match(r"WEBVTT(\s|$)", blocks[0].lines[0]):
        got = blocks[0].lines[0] if blocks else "an empty file"
        raise damaged(blocks[0].number if blocks else 1, "WEBVTT", got)
    return _turns([block for block in blocks[1:] if not _is_note(block)], _vtt_turn)


def read_srt(text: str) -> list[Turn]:
    """Read SubRip; the speaker is a name in brackets: "[Anna]: Hello".

    Raises
    ------
    TurnsError
        If a cue is damaged.
    """
    return _turns(list(_blocks(text)), _srt_turn)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield what empty lines, or the times of another cue, divide."""
    lines: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        begins = "-->" in line and (len(lines) > 1 or any("-->" in one for one in lines))
        if lines and (begins or not line.strip()):
            # Without an empty line before it, a cue's number is the last line of the cue before.
            moved = [lines.pop()] if begins and lines[-1].strip().isdecimal() else []
            yield _Block(number - len(lines) - len(moved), lines)
            lines = moved
        if line.strip():
            lines.append(line)


def _is_note(block: _Block) -> bool:
    words = block.lines[0].split()
    return words[0] in _NO_CUES and not any("-->" in line for line in block.lines)


def _turns(blocks: Sequence[_Block], make: Callable[[float, float, str], Turn]) -> list[Turn]:
    """Return the turns of cues; a block without times goes on with the text of the cue before."""
    cues: list[tuple[float, float, list[str]]] = []
    for number, lines in blocks:
        at = next((index for index, line in enumerate(lines[:2]) if "-->" in line), None)
        if at is not None:
            cues.append((*_times(number + at, lines[at]), lines[at + 1 :]))
        elif cues and not any(map(_ALMOST_TIMES.search, lines)):
            cues[-1][2].extend(lines)
        else:
            raise damaged(number, _EXPECTED, lines[0])
    return [make(start, end, " ".join(lines)) for start, end, lines in cues]


def _times(number: int, line: str) -> tuple[float, float]:
    match = _TIMES.fullmatch(line)
    start, end = (read_clock(time) for time in match.groups()) if match else (None, None)
    if start is None or end is None:
        raise damaged(number, _EXPECTED, line)
    return start, end


def _vtt_turn(start: float, end: float, text: str) -> Turn:
    voice = _VOICE.search(text)
    words = one_spaced(unescape(_TAG.sub("", text)))
    if voice and (speaker := one_spaced(unescape(voice[1]))):
        return Turn(start, end, speaker, words)
    return _named(start, end, words)


def _srt_turn(start: float, end: float, text: str) -> Turn:
    return _named(start, end, one_spaced(_SRT_TAG.sub("", text)))


def _named(start: float, end: float, words: str) -> Turn:
    """Return a turn, whose text may begin with its speaker's name."""
    name = _NAMED.match(words)
    speaker, rest = (name[1].strip(), words[name.end() :]) if name else ("", words)
    return Turn(start, end, speaker, rest)


def write_vtt(turns: Sequence[Turn]) -> str:
    """Return WebVTT (W3C) with a cue for each turn; the speaker is the cue's voice."""
    cues = ["WEBVTT"]
    for turn in turns:
        # A name that ends with "--" would make an arrow of the tag's end.
        speaker = re.sub("-$", "&#45;", _escaped(turn.speaker))
        voice = f"<v {speaker}>" if turn.speaker else ""
        times = f"{timestamp(turn.start)} --> {timestamp(turn.end)}"
        cues.append(f"{times}\n{voice}{_escaped(turn.text)}")
    return "\n\n".join(cues) + "\n"


def write_srt(turns: Sequence[Turn]) -> str:
    """Return SubRip with a cue for each turn, whose text begins with the speaker: "[Anna]: Hi"."""
    cues = []
    for number, turn in enumerate(turns, start=1):
        voice = f"[{turn.speaker}]: " if turn.speaker else ""
        times = f"{timestamp(turn.start)} --> {timestamp(turn.end)}".replace(".", ",")
        said = _ARROW.sub("->", one_spaced(voice + turn.text))
        cues.append(f"{number}\n{times}\n{said}\n")
    return "\n".join(cues)


def _escaped(text: str) -> str:
    return escape(one_spaced(text), quote=False)
