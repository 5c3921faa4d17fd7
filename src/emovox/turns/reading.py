"""Turns read from the files of diarisers, transcribers and annotation tools."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..errors import TurnsError, one_line
from ..files import read_limited
from . import lines, subtitles, tiers, whisperx
from .turn import Turn

_MAX_BYTES = 50_000_000  # of a file: days of speech
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16, in which Praat writes many languages

# From a text, the tiers wanted and the recording's name to turns.
Read = Callable[[str, Sequence[str], str], list[Turn]]
FORMATS: Mapping[str, Read] = {
    ".rttm": lambda text, _, recording: lines.read_rttm(text, recording),
    ".csv": lambda text, _, recording: lines.read_csv(text, recording),
    ".vtt": lambda text, *_: subtitles.read_vtt(text),
    ".srt": lambda text, *_: subtitles.read_srt(text),
    ".textgrid": lambda text, wanted, _: tiers.read_textgrid(text, wanted),
    ".eaf": lambda text, wanted, _: tiers.read_eaf(text, wanted),
    ".json": lambda text, *_: whisperx.read_json(text),
}
WITH_TIERS = (".textgrid", ".eaf")


def read_turns(
    path: str | os.PathLike[str], *, tiers: Sequence[str] = (), recording: str = ""
) -> list[Turn]:
    """Read the turns in a file; its suffix tells the format.

    Parameters
    ----------
    path : path
        An RTTM (.rttm), WebVTT (.vtt), SubRip (.srt), Praat TextGrid (.TextGrid) or ELAN file
        (.eaf), whisperX's JSON (.json), or a table (.csv) with columns `start` and `end`, and
        optionally `speaker`, `text` and `file`.
    tiers : sequence of str
        Of a TextGrid or an ELAN file, the tiers to read. Without any, all tiers of intervals of a
        TextGrid, and all tiers of an ELAN file that depend on no other. Each is a speaker.
    recording : str
        Name of the recording, whose turns alone are read where the file (.rttm, .csv) has those of
        several; folders and suffix do not matter.

    Returns
    -------
    turns : list of Turn
        In the file's order; tiers one after the other.

    Raises
    ------
    TurnsError
        If the file is missing, damaged, of another format or without turns.
    """
    file = Path(path)
    read = _reader(file, tiers)
    try:
        content = read_limited(file, _MAX_BYTES)
    except OSError as error:
        raise TurnsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except ValueError:  # a name with a null byte
        raise TurnsError(f"{file}: cannot be read: no such file") from None
    return _turns_in(file, read, content, tiers, recording)


def turns_of(content: bytes, name: str) -> list[Turn]:
    """Read the turns in a file's content, all of them; the suffix of its name tells the format.

    Raises
    ------
    TurnsError
        As `read_turns` does.
    """
    file = Path(name)
    return _turns_in(file, _reader(file, ()), content, (), "")


def _reader(file: Path, tiers: Sequence[str]) -> Read:
    read = FORMATS.get(file.suffix.lower())
    if read is None:
        raise TurnsError(f"{file}: expected a file of turns ({', '.join(FORMATS)})")
    if tiers and file.suffix.lower() not in WITH_TIERS:
        raise TurnsError(f"{file}: tiers are of TextGrid and EAF files; leave out the tiers")
    return read


def _turns_in(
    file: Path, read: Read, content: bytes, tiers: Sequence[str], recording: str
) -> list[Turn]:
    try:
        turns = read(_decoded(content), tiers, recording)
    except TurnsError as error:
        raise TurnsError(f"{file}: {one_line(str(error))}") from None
    if not turns:
        raise TurnsError(f"{file}: expected turns, got a file without any")
    return turns


def _decoded(content: bytes) -> str:
    """Return the text of a file, with plain ends of lines."""
    encoding = "utf-16" if content.startswith(_BYTE_ORDER_MARKS) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        kind = encoding.upper().removesuffix("-SIG")
        raise TurnsError(f"line {line}: expected {kind} text, got other bytes") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
