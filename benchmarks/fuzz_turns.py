"""For benchmarks/fuzz.py: files of turns that are almost right, in each format.

They are refused with a TurnsError of one line, or read; what is read is written in each format, and
read back from there.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from emovox import Turn, read_turns
from emovox.errors import TurnsError
from emovox.turns.lines import read_rttm, write_rttm
from emovox.turns.subtitles import read_srt, read_vtt, write_srt, write_vtt
from emovox.turns.tiers import read_eaf, read_textgrid, write_eaf, write_textgrid
from fuzz_formats import shuffled, wrong_bytes
from fuzz_json import encoded, mutated_json
from fuzz_tally import Note, same

SLOW_S = 5.0  # within which a file is read or refused
WRITTEN = 0.25  # share of the files read, whose turns are written again
N_WRITTEN = 50  # turns of them at most
TURNS = [
    Turn(0.5, 1.75, "Anna", 'Hello & welcome, "friend"'),
    Turn(1.5, 3.0, "Bob", "Grüße <3"),
    Turn(3.0, 4.25, "Anna", "two words"),
    Turn(3602.0, 3605.5, "SPEAKER_02", "[well]: so"),
]
# What honest files have in other places, and what no honest file has.
SCRAPS = (
    b"-->", b" ", b"\t", b"\n", b"\r", b"\n\n", b'"', b'""', b"<", b">", b"<v ", b"</v>", b"&amp;",
    b"&#0;", b"&#xD800;", b"NOTE", b"WEBVTT", b"STYLE", b"SPEAKER", b"LEXEME", b";;", b"<NA>", b"!",
    b"nan", b"inf", b"-1", b"1e308", b"1e999", b"0", b"99999999999999999999", b"00:00:00.000",
    b"9:99:99,999",
    b"-0", b"1_000", b"<exists>", b"IntervalTier", b"TextTier", b"<TIER>", b"</TIER>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<![CDATA[", b"]]>", b"<!--", b"TIME_SLOT_REF1", b"ts1",
    b"ANNOTATION_REF", b",", b";", b"=1+1", b"\0", b"\xff", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xd9\xa1", b"\xed\xa0\x80", b"{\\an8}", b"[A]: ",
)  # fmt: skip


def originals() -> Mapping[str, bytes]:
    """Return an honest file of each format, by its name."""
    table = "start,end,speaker,text,file\n" + "".join(
        f'{one.start},{one.end},{one.speaker},"{one.text.replace(chr(34), chr(34) * 2)}",a.wav\n'
        for one in TURNS
    )
    words = [{"word": "Hello", "start": 0.5, "end": 0.75, "score": 0.9}]
    segments = [vars(one) | {"words": words} for one in TURNS]
    grid = write_textgrid(TURNS, 3_610.0)
    short = "\n".join(
        line.partition("=")[2].strip() if "=" in line else line.partition("?")[2].strip()
        for line in grid.splitlines()[3:]
        if "=" in line or "?" in line
    )
    texts = {
        "a.rttm": write_rttm(TURNS, "a"),
        "a.vtt": "WEBVTT\n\nNOTE\nnothing\n\nSTYLE\n::cue { }\n" + write_vtt(TURNS)[6:],
        "a.srt": write_srt(TURNS),
        "a.TextGrid": grid,
        "short.TextGrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n' + short,
        "a.eaf": write_eaf(TURNS, Path("a.wav")),
        "a.csv": table,
        "a.json": json.dumps({"segments": segments, "word_segments": words, "language": "en"}),
    }
    return {name: text.encode() for name, text in texts.items()}


def cases() -> Callable[[Random, Note], None]:
    """Return what makes a wrong file of a format, reads it, and writes what was in it."""
    honest, folder = originals(), Path(tempfile.mkdtemp())

    def one_case(rng: Random, note: Note) -> None:
        name = rng.choice(list(honest))
        path = folder / name
        path.write_bytes(wrong_turns(name, honest[name], rng))
        note.sent()
        with note.timed(SLOW_S):
            _read(path, note, written=rng.random() < WRITTEN)

    return one_case


def wrong_turns(name: str, content: bytes, rng: Random) -> bytes:
    """Change an honest file: its JSON, its bytes, its lines, or scraps in it."""
    if name.endswith(".json") and rng.random() < 0.6:
        return encoded(mutated_json(rng, json.loads(content)))
    kind = rng.random()
    if kind < 0.15:
        return wrong_bytes(content, rng)
    if kind < 0.35:
        return b"\n".join(shuffled(content.split(b"\n"), rng))
    if kind < 0.45:
        return b" ".join(shuffled(content.split(b" "), rng))
    if kind < 0.5:  # the same again and again
        at, stop = sorted(rng.randrange(len(content)) for _ in range(2))
        return content[:at] + content[at:stop] * rng.choice((2, 30, 300)) + content[stop:]
    if kind < 0.55:
        return content.decode().encode(
            rng.choice(("utf-16", "utf-16-le", "latin-1", "utf-8-sig")), "replace"
        )
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        n_gone = rng.choice((0, 0, 1, 3, 12))
        changed[at : at + n_gone] = rng.choice(SCRAPS) * rng.choice((1, 1, 1, 2, 500))
    return bytes(changed)


def _read(path: Path, note: Note, *, written: bool) -> None:
    kind = path.suffix
    try:
        turns = read_turns(path, recording="a.wav")
    except TurnsError as error:
        note.answer(f"{kind}: refused")
        if "\n" in str(error) or not str(error).startswith(f"{path}: "):
            note.fault(f"{kind}: an error that is not one line, or without the file's name")
        return
    except Exception as error:  # noqa: BLE001 (it is what is looked for)
        note.fault(f"{kind}: {type(error).__name__}: {same(str(error))}")
        return
    note.answer(f"{kind}: read")
    if not all(isinstance(one.start, float) and one.start - one.start == 0 for one in turns):
        note.fault(f"{kind}: a start that is not finite")
    if written:
        _write(turns[:N_WRITTEN], kind, note)


def _write(turns: list[Turn], kind: str, note: Note) -> None:
    """Write turns in each format, and read them back; only sound ones can be written."""
    sound = [one for one in turns if 0 <= one.start < one.end < 1e6]
    ways: Mapping[str, Callable[[], list[Turn]]] = {
        "rttm": lambda: read_rttm(write_rttm(sound, "a")),
        "vtt": lambda: read_vtt(write_vtt(sound)),
        "srt": lambda: read_srt(write_srt(sound)),
        "textgrid": lambda: read_textgrid(write_textgrid(sound, 1.0)),
        "eaf": lambda: read_eaf(write_eaf(sound, Path("a.wav"))),
    }
    for name, way in ways.items():
        try:
            again = way()
        except Exception as error:  # noqa: BLE001
            note.fault(f"{kind} as {name}: {type(error).__name__}: {same(str(error))}")
            continue
        wanted = [one for one in sound if one.text] if name == "textgrid" else sound
        if len(again) != len(wanted):
            note.fault(f"{kind} as {name}: other turns than were written")
