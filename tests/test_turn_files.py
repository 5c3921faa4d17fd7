"""Files of turns: read as other tools write them, written as they read them, damage told."""

import io
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox import Turn, read_turns
from emovox.errors import TurnsError
from emovox.turns.lines import read_csv, read_rttm, write_audacity, write_rttm
from emovox.turns.subtitles import read_srt, read_vtt, write_srt, write_vtt
from emovox.turns.tiers import read_eaf, read_textgrid, write_eaf, write_textgrid

LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "Anna"
        xmin = 0
        xmax = 4.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "She said ""no"" item [2]:"
        intervals [2]:
            xmin = 1.5
            xmax = 3
            text = ""
        intervals [3]:
            xmin = 3
            xmax = 4.5
            text = "two
lines"
    item [2]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 4.5
        points: size = 1
        points [1]:
            number = 1.25
            mark = "ding"
    item [3]:
        class = "IntervalTier"
        name = "Bob"
        xmin = 0
        xmax = 4.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 4.5
            text = "Grüße"
"""
SHORT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
2
<exists>
1
"IntervalTier"
"Anna"
0
2
1
0
2
"Hello"
"""
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-06T10:00:00+01:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
<TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
</TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="Anna" TIER_ID="words A">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>Hello &amp; welcome</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="Bob">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER LINGUISTIC_TYPE_REF="gloss" PARENT_REF="words A" PARTICIPANT="Anna" TIER_ID="gloss">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
<ANNOTATION_VALUE>greeting</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
</TIER>
</ANNOTATION_DOCUMENT>
"""


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestReading:
    """Files as other tools write them."""

    def test_rttm(self, tmp_path):
        """Of RTTM the SPEAKER lines count, as pyannote and NIST's tools write them."""
        text = (
            ";; a comment\n"
            "SPKR-INFO talk 1 <NA> <NA> <NA> unknown Anna <NA> <NA>\n"
            "SPEAKER talk 1 0.500 1.250 <NA> <NA> Anna <NA> <NA>\n\n"
            "SPEAKER talk 1 2.000 0.3 <NA> <NA> SPEAKER_01 <NA>\r\n"
        )
        assert read_turns(saved(tmp_path, "a.rttm", text)) == [
            Turn(0.5, 1.75, "Anna"),
            Turn(2.0, 2.3, "SPEAKER_01"),
        ]

    def test_of_one_recording(self, tmp_path):
        """Where a file has the turns of several recordings, those of one are read."""
        rttm = "".join(f"SPEAKER {name} 1 {name[-1]} 1 <NA> <NA> A\n" for name in ("r.1", "r.2"))
        table = "file,start,end\ncalls/r.1.wav,1,2\ncalls/r.2.wav,2,3\n"
        for name, text in (("a.rttm", rttm), ("a.csv", table)):
            path = saved(tmp_path, name, text)
            (turn,) = read_turns(path, recording="/elsewhere/r.2.flac")
            assert (turn.start, turn.end) == (2.0, 3.0)
            with pytest.raises(
                TurnsError, match=r"turns of the recording 'x\.wav', got those of 2: "
            ):
                read_turns(path, recording="x.wav")

    def test_vtt(self, tmp_path):
        """Of WebVTT the cues count: voices, tags, entities, settings; not notes and styles."""
        text = (
            "\ufeffWEBVTT - a talk\nKind: captions\n\nNOTE\n00:01 is no time\n\n"
            "STYLE\n::cue { color: red }\n\n"
            "intro\n00:01.500 --> 00:02.750 align:start position:0%\n"
            "<v.loud Anna &amp; Eve>Hello <i>there</i>\nfriend &lt;3\n\n"
            "01:00:00.000 --> 01:00:01.5\n[SPEAKER_01]: Bye\n"
        )
        assert read_turns(saved(tmp_path, "a.vtt", text)) == [
            Turn(1.5, 2.75, "Anna & Eve", "Hello there friend <3"),
            Turn(3_600.0, 3_601.5, "SPEAKER_01", "Bye"),
        ]

    def test_srt(self, tmp_path):
        """SubRip as players take it: without a gap between cues, and with one within a text."""
        text = (
            "1\n00:00:01,500 --> 00:00:02,750\n[Anna]: <i>Hello</i> {\\an8}you\n"
            "2\n00:00:03,000 --> 00:00:04,000\n1984\n\nwas a book\n\n"
            "3\n00:00:05.000 --> 00:00:06.000\n\n"
        )
        assert read_turns(saved(tmp_path, "a.srt", text)) == [
            Turn(1.5, 2.75, "Anna", "Hello you"),
            Turn(3.0, 4.0, "", "1984 was a book"),
            Turn(5.0, 6.0, "", ""),
        ]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_textgrid(self, tmp_path, encoding):
        """Of a TextGrid the intervals with a text count, whatever is in the text."""
        path = saved(tmp_path, "a.TextGrid", LONG_GRID.encode(encoding))
        anna = [
            Turn(0.0, 1.5, "Anna", 'She said "no" item [2]:'),
            Turn(3.0, 4.5, "Anna", "two lines"),
        ]
        bob = [Turn(0.0, 4.5, "Bob", "Grüße")]
        assert read_turns(path) == anna + bob
        assert read_turns(path, tiers=["Bob"]) == bob
        with pytest.raises(TurnsError, match="expected a tier 'bell'; tiers of intervals are: 'An"):
            read_turns(path, tiers=["bell"])

    def test_short_textgrid(self, tmp_path):
        """The short form is read as well, and so is the older head of it."""
        for text in (SHORT_GRID, SHORT_GRID.replace('"ooTextFile"', '"ooTextFile short"', 1)):
            assert read_turns(saved(tmp_path, "a.textgrid", text)) == [Turn(0, 2, "Anna", "Hello")]

    def test_eaf(self, tmp_path):
        """Of an ELAN file the tiers that depend on no other count, unless one is named."""
        path = saved(tmp_path, "a.eaf", EAF)
        assert read_turns(path) == [
            Turn(0.5, 1.75, "Anna", "Hello & welcome"),
            Turn(1.75, 2.0, "Bob", ""),
        ]
        assert read_turns(path, tiers=["gloss"]) == [Turn(0.5, 1.75, "Anna", "greeting")]

    def test_csv(self, tmp_path):
        """A table may have other columns, other delimiters and times as people write them."""
        text = 'Text;START;end;Speaker;x\n\'=hello;1.5;0:02.75;Anna;\n"a;\nb";3;1:00:04;;1\n'
        assert read_turns(saved(tmp_path, "a.csv", text)) == [
            Turn(1.5, 2.75, "Anna", "=hello"),
            Turn(3.0, 3_604.0, "", "a; b"),
        ]

    def test_whisperx(self, tmp_path):
        """WhisperX's segments may lack a speaker."""
        words = [{"word": "Hi", "start": 0.5, "end": 0.7, "speaker": "SPEAKER_00"}]
        segments = [
            {
                "start": 0.5,
                "end": 1.7,
                "text": " Hi there",
                "words": words,
                "speaker": "SPEAKER_00",
            },
            {"start": 2, "end": 3, "text": " Bye", "speaker": None},
        ]
        data = {"segments": segments, "word_segments": words, "language": "en"}
        assert read_turns(saved(tmp_path, "a.json", json.dumps(data))) == [
            Turn(0.5, 1.7, "SPEAKER_00", "Hi there"),
            Turn(2.0, 3.0, "", "Bye"),
        ]


DAMAGED = {
    "a.rttm": [
        (
            "SPEAKER t 1 0 1 <NA> <NA> A\nSPEAKER t 1 x 1 <NA> <NA> A",
            "line 2: expected a start and",
        ),
        (
            "SPEAKER t 1 0",
            "line 1: expected SPEAKER, file, channel, start, duration, <NA>, <NA>, n",
        ),
        ("0.5 1.5 Anna", "line 1: expected a type such as SPEAKER, got '0.5'"),
        ("SPEAKER t 1 nan 1 <NA> <NA> A", "line 1: expected a start and a duration in seconds"),
        ("", "expected turns, got a file without any"),
    ],
    "a.vtt": [
        ("00:01.000 --> 00:02.000\nHi", "line 1: expected WEBVTT, got '00:01.000 --> 00:02.000'"),
        ("", "line 1: expected WEBVTT, got 'an empty file'"),
        ("WEBVTT\n\n00:01.000 --> 00:0x.000\nHi", "line 3: expected times such as"),
        ("WEBVTT\n\n00:01.000 -> 00:02.000\nHi", "line 3: expected times such as"),
        ("WEBVTT\n\n00:01.0 --> 00:02.0\nHi\n\n5\n00:75.0 --> 00:80.0", "line 7: expected times"),
        ("WEBVTT\n\nNOTE nothing", "expected turns, got a file without any"),
    ],
    "a.srt": [
        ("Hello", "line 1: expected times such as 00:00:01.500 --> 00:00:02.750, got 'Hello'"),
        (
            "1\n00:00:01,0 --> 00:00:02,0\nA\n\n2\n00:00:03,0 > 00:00:04,0\nB",
            "line 5: expected tim",
        ),
    ],
    "a.TextGrid": [
        (SHORT_GRID.replace('"Hello"', '"Hello'), "line 15: expected a quote that ends the text"),
        (SHORT_GRID.replace("\n0\n2\n<", "\n0\ntwo\n<"), "line 6: expected the end, a number"),
        (SHORT_GRID.replace('"Hello"\n', ""), "line 14: expected the text, got the end of the fil"),
        (SHORT_GRID + '2\n3\n"more"\n', "line 16: expected the end, as the sizes say, got '2'"),
        (SHORT_GRID.replace("IntervalTier", "Tier"), 'line 8: expected "IntervalTier" or "Text'),
        (SHORT_GRID.replace("TextGrid", "Pitch"), 'line 2: expected "TextGrid"'),
        (SHORT_GRID.replace("<exists>\n1", "<exists>\n1.5"), "line 7: expected the number of tie"),
        ("", 'line 1: expected "ooTextFile", got the end of the file'),
    ],
    "a.eaf": [
        (EAF.replace("</TIER>", "", 1), "line 21: expected XML: mismatched tag"),
        (EAF.replace("500", "half"), "line 5: expected a TIME_VALUE in milliseconds, got 'half'"),
        (EAF.replace('REF1="ts1"', 'REF1="ts9"'), "line 10: expected a TIME_SLOT_REF1 to a time"),
        (EAF.replace('TIME_SLOT_REF2="ts2"', ""), "line 10: expected the annotation's TIME_SLOT"),
        (EAF.replace('ATION_REF="a1"', 'ATION_REF="a3"'), "line 18: expected an ANNOTATION_REF"),
        ("<html/>", "line 1: expected <ANNOTATION_DOCUMENT>, an ELAN file, got '<html>'"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n' + EAF[EAF.index("\n") + 1 :], "line 1: expected an EL"),
        ("", "line 1: expected XML: no element found"),
    ],
    "a.csv": [
        ("start,stop\n1,2", "line 1: expected one column 'end', got 'start,stop'"),
        ("start,end\n1,2\n1\n", "line 3: expected 2 cells, got 1"),
        ("start,end\n1,two", "line 2: expected a time in seconds, got 'two'"),
        ('start,end\n1,"2', "line 2: expected a row of a table"),
        ("start,end\n", "expected turns, got a file without any"),
    ],
    "a.json": [
        ('{"segments": [\n{"start": 1,}]}', "line 2: expected JSON"),
        ("[]", 'expected the JSON of whisperX: an object with a list "segments"'),
        ('{"segments": [{"start": 1}]}', "segment 1: expected a start and an end in seconds"),
        ('{"segments": [{"start": 1, "end": NaN}]}', "segment 1: expected a start and an end"),
        ('{"segments": [{"start": 1, "end": 2, "text": 3}]}', "segment 1: expected text as text"),
        ('{"segments": ' + "[" * 100_000, "expected the JSON of whisperX, got numbers or lists"),
    ],
}


class TestDamage:
    """Files that are not as they should be."""

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [(name, *case) for name, cases in DAMAGED.items() for case in cases],
    )
    def test_one_line(self, tmp_path, name, content, message):
        """The error names the file, the line and what was expected."""
        path = saved(tmp_path, name, content)
        with pytest.raises(TurnsError) as error:
            read_turns(path)
        assert str(error.value).startswith(f"{path}: {message}")
        assert "\n" not in str(error.value)

    def test_other_files(self, tmp_path):
        """What is missing, of an unknown kind, no text or too much of it is told."""
        for name, message in (
            ("missing.rttm", "cannot be read: No such file or directory"),
            ("a.docx", "expected a file of turns (.rttm, .csv, .vtt, .srt, .textgrid, .eaf, .jso"),
        ):
            with pytest.raises(TurnsError) as error:
                read_turns(tmp_path / name)
            assert message in str(error.value)
        path = saved(tmp_path, "a.srt", b"1\n00:00:01,0 --> 00:00:02,0\n\xff\xe4\n")
        with pytest.raises(TurnsError, match="line 3: expected UTF-8 text, got other bytes"):
            read_turns(path)
        path = saved(tmp_path, "b.rttm", b"\xff\xfe" + b"a")
        with pytest.raises(TurnsError, match="line 1: expected UTF-16 text, got other bytes"):
            read_turns(path)
        with pytest.raises(TurnsError, match="leave out the tiers"):
            read_turns(path, tiers=["A"])

    def test_references_in_a_circle(self, tmp_path):
        """Annotations that refer to each other come to an end."""
        ring = EAF.replace('<REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">', "{}")
        first = '<REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a4">'
        second = (
            '</REF_ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a3">'
            "<ANNOTATION_VALUE/></REF_ANNOTATION></ANNOTATION>"
        )
        text = ring.replace("{}", first).replace("</REF_ANNOTATION></ANNOTATION>", second)
        with pytest.raises(TurnsError, match="expected an ANNOTATION_REF to an annotation"):
            read_turns(saved(tmp_path, "a.eaf", text))


WORD = st.text(string.ascii_letters + "äß字&<>\"'-_.", min_size=1, max_size=8)
WORDS = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
SPEAKERS = st.sampled_from(["", "Anna", "Bob & Eve", 'Jörg "J" <x>'])


@st.composite
def talks(draw, words=WORDS, speakers=SPEAKERS):
    """Give turns in order that do not overlap, with times in milliseconds."""
    turns, at = [], 0
    for _ in range(draw(st.integers(1, 8))):
        start = at + draw(st.integers(0, 5_000))
        at = start + draw(st.integers(1, 400_000))
        turns.append(Turn(start / 1000, at / 1000, draw(speakers), draw(words)))
    return turns


def by_speaker(turns):
    """Return turns as tiers have them: one speaker after the other."""
    names = list(dict.fromkeys(turn.speaker for turn in turns))
    return [turn for name in names for turn in turns if turn.speaker == name]


class TestRoundTrips:
    """What is written is read back unchanged, by emovox and by the formats' own libraries."""

    @given(talks(WORD, st.sampled_from(["", "Anna", "SPEAKER_01"])))
    def test_rttm(self, turns):
        """RTTM keeps words and names without spaces."""
        assert read_rttm(write_rttm(turns, "a talk")) == turns

    @given(talks())
    def test_vtt(self, turns):
        """WebVTT is read back by webvtt-py."""
        webvtt = pytest.importorskip("webvtt")
        from html import unescape

        text = write_vtt(turns)
        assert read_vtt(text) == turns
        captions = webvtt.from_buffer(io.StringIO(text), strict=True).captions
        found = [(one.start_in_seconds, unescape(one.text)) for one in captions]
        assert found == [(int(turn.start), turn.text) for turn in turns]
        assert [unescape(one.voice or "") for one in captions] == [one.speaker for one in turns]

    @given(talks(speakers=st.sampled_from(["", "Anna", "Bob & Eve"])))
    def test_srt(self, turns):
        """SubRip is read back by webvtt-py."""
        webvtt = pytest.importorskip("webvtt")
        text = write_srt(turns)
        assert read_srt(text) == turns
        captions = webvtt.from_buffer(io.StringIO(text), format="srt").captions
        said = [f"[{one.speaker}]: {one.text}" if one.speaker else one.text for one in turns]
        assert [one.raw_text for one in captions] == said
        assert [one.start_in_seconds for one in captions] == [int(turn.start) for turn in turns]

    @pytest.mark.needs("praatio")
    @given(talks())
    def test_textgrid(self, turns):
        """A TextGrid is read back by praatio."""
        from praatio.textgrid import _dictionaryToTg
        from praatio.utilities.textgrid_io import parseTextgridStr

        text = write_textgrid(turns, 10.0)
        assert read_textgrid(text) == by_speaker(turns)
        grid = _dictionaryToTg(parseTextgridStr(text), "error")
        found = [
            Turn(entry.start, entry.end, tier.name, entry.label)
            for tier in grid.tiers
            for entry in tier.entries
        ]
        assert found == by_speaker(turns)

    @pytest.mark.needs("pympi")
    @given(turns=talks())
    def test_eaf(self, turns, tmp_path_factory):
        """An ELAN file is read back by pympi."""
        from pympi import Eaf

        text = write_eaf(turns, Path("talk.wav"))
        assert read_eaf(text) == by_speaker(turns)
        file = Eaf(str(saved(tmp_path_factory.mktemp("eaf"), "a.eaf", text)))
        found = [
            Turn(start / 1000, end / 1000, "" if name == "default" else name, words)
            for name in file.get_tier_names()
            for start, end, words, *_ in sorted(file.get_annotation_data_for_tier(name))
        ]
        assert found == by_speaker(turns)
        (media,) = file.get_linked_files()
        assert media["RELATIVE_MEDIA_URL"] == "./talk.wav"

    @given(talks())
    def test_csv(self, turns):
        """A table of turns is read back."""
        from emovox.tracks import csv_table

        rows = [(one.start, one.end, one.speaker, one.text) for one in turns]
        assert read_csv(csv_table(("start", "end", "speaker", "text"), rows)) == turns

    def test_arrows(self):
        """What would be taken for times is not written into SubRip as it is."""
        (turn,) = read_srt(write_srt([Turn(0.5, 1, "<--->", "a --> b")]))
        assert turn == Turn(0.5, 1, "<->", "a -> b")

    @pytest.mark.needs("praatio")
    def test_overlapping(self):
        """Where turns of one speaker overlap, another tier takes the later one; none is lost."""
        turns = [Turn(0, 2, "A", "a"), Turn(1, 3, "A", "b"), Turn(2, 4, "A", "c")]
        grid = read_textgrid(write_textgrid(turns, 4.0))
        assert sorted((one.start, one.speaker, one.text) for one in grid) == [
            (0, "A", "a"),
            (1, "A (2)", "b"),
            (2, "A", "c"),
        ]
        assert sorted(read_eaf(write_eaf(turns, Path("a.wav"))), key=lambda one: one.start) == turns

    def test_audacity(self):
        """Audacity's labels have the speaker before the text."""
        assert write_audacity([Turn(0.5, 1, "A", "b\tc"), Turn(1, 2)]) == (
            "0.500000\t1.000000\tA: b c\n1.000000\t2.000000\t\n"
        )


def test_a_name_like_an_arrow():
    """A speaker whose name ends in dashes is written as WebVTT and read back unchanged."""
    turns = [Turn(0.5, 1.75, name, "Hello --> there") for name in ("Anna--", "<!--", "-", "a-b")]
    assert read_vtt(write_vtt(turns)) == turns
