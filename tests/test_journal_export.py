"""What a journal exports, the formats' own readers read; and its own lines make it again."""

import csv
import json
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from emovox.cli import run
from emovox.errors import JournalError
from emovox.journal.export import FILES, FOLDERS, export
from emovox.journal.export.lines import journal_from, lines_of
from emovox.journal.records import CheckIn, Consent, Session
from emovox.journal.store import Journal
from test_journal import NAME, NOTE, NOW, PASSPHRASE, filled, made, segment

pytestmark = [pytest.mark.needs("platformdirs"), pytest.mark.needs("cryptography")]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def journal():
    """Give a journal of two sessions, the second measured alone and cut short, and a check-in."""
    with made(Path("in/a.journal")) as journal:
        filled(journal)
        second = journal.begin(Session(NOW + timedelta(days=1), "microphone", note="=1+1"))
        journal.keep(second, 0, segment(0.25, label=None))
        yield journal


def rows_of(path: Path) -> list[tuple[object, ...]]:
    """Return all rows of a journal's file."""
    database = sqlite3.connect(path)
    try:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master "
                 "WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")]  # fmt: skip
        return [row for name in names for row in database.execute(f"SELECT * FROM {name}")]
    finally:
        database.close()


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Return the rows of a table."""
    return list(csv.DictReader(path.read_text().splitlines(), delimiter=delimiter))


class TestLines:
    """JSON lines hold everything."""

    def test_the_same_journal(self, journal):
        """Imported, an export is the same journal, row by row, sound and all."""
        journal.check_in(CheckIn(NOW, "momentary", 1, (), 'said "so"\n'))
        journal.forget_check_in(1)
        export(journal, "jsonl", Path("out.jsonl"))
        with Path("out.jsonl").open(encoding="utf-8") as lines:
            journal_from(Path("b.journal"), lines).close()
        journal.close()
        assert rows_of(Path("b.journal")) == rows_of(Path("in/a.journal"))

    def test_sealed(self, journal):
        """An export can be imported with a passphrase, and holds the same."""
        lines = list(lines_of(journal))
        with journal_from(Path("b.journal"), lines, passphrase=PASSPHRASE) as sealed:
            assert list(lines_of(sealed)) == lines
        assert NOTE.encode() not in Path("b.journal").read_bytes()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"valence":-0.625', '"valence":-7'),
            ('"valence":-0.625', '"valence":"low"'),
            ('"drained', '"gloomy'),
            ('"start_s":0.0', '"start_s":null'),
            ('"score":0.6', '"scare":0.6'),
            ('"session_id":1,"n":1', '"session_id":9,"n":1'),
            ('"session_id":1,"n":1', '"session_id":1,"n":0'),
            ('{"format":1', '{"format":2'),
            ('"flac":"', '"flac":"%'),
            ('{"checkin":', '{"lock":'),
            ('"n_takes":3', '"n_takes":-3'),
            ('"best":"[0.7125]"', '"best":"[7]"'),
            ('{"person":', '{"pers'),
        ],
    )
    def test_damaged(self, journal, old, new):
        """A line that is not as it was written is refused, and no journal is made."""
        text = "".join(lines_of(journal))
        assert old in text
        with pytest.raises(JournalError):
            journal_from(Path("b.journal"), text.replace(old, new, 1).splitlines(True))
        assert not list(Path().glob("b.journal*"))

    @pytest.mark.parametrize(
        "text", ["", "[]\n", "\n", "nonsense", '{"emovox_journal":{"format":1}}']
    )
    def test_nothing(self, text):
        """What is no journal at all is refused."""
        with pytest.raises(JournalError):
            journal_from(Path("b.journal"), text.splitlines(True))

    def test_commands(self, journal, capsys, monkeypatch, place):
        """`export` and `import` do this from the command line."""
        monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
        journal.close()
        assert run(["journal", "export", "out.jsonl", "--journal", "in/a.journal"]) == 0
        assert run(["journal", "import", "out.jsonl", "--journal", "b.journal"]) == 0
        assert rows_of(Path("b.journal")) == rows_of(Path("in/a.journal"))
        assert run(["journal", "import", "missing.jsonl"]) == 1
        assert "Traceback" not in capsys.readouterr().err


class TestFormats:
    """Each format, read by its own reader."""

    def test_csv(self, journal):
        """Tables have a row for each entry, and no cell that a spreadsheet runs."""
        export(journal, "csv", Path("out"))
        tables = {file.stem: table(file) for file in Path("out").iterdir()}
        assert [len(tables[name]) for name in ("sessions", "segments", "check_ins")] == [2, 3, 1]
        first, *_, last = tables["segments"]
        assert (first["label"], first["scores.b"], first["certain"]) == ("b", "0.6", "true")
        assert (last["label"], last["scores.b"], last["pitch_st"]) == ("", "", "21.25")
        assert tables["sessions"][1]["note"] == "'=1+1"
        (practised,) = tables["practice"]
        assert (practised["target"], practised["inferred"]) == ("cheerful", "true")
        assert (practised["takes"], practised["best"]) == ("3", "0.7125")

    def test_parquet(self, journal):
        """Parquet holds the same with types; what was not inferred is null."""
        parquet = pytest.importorskip("pyarrow.parquet")
        export(journal, "parquet", Path("out"))
        segments = parquet.read_table("out/segments.parquet").to_pylist()
        assert [row["label"] for row in segments] == ["b", "b", None]
        assert segments[0]["certain"] is True
        assert parquet.read_table("out/practice.parquet")["takes"].to_pylist() == [3]
        assert parquet.read_table("out/check_ins.parquet")["valence"].to_pylist() == [-0.625]

    @pytest.mark.needs("praatio")
    def test_textgrid(self, journal):
        """Praatio reads tiers of what was inferred and measured, with Praat's own checks."""
        textgrid = pytest.importorskip("praatio.textgrid")
        export(journal, "textgrid", Path("out"))
        first, second = sorted(Path("out").iterdir())
        grid = textgrid.openTextgrid(str(first), includeEmptyIntervals=False, reportingMode="error")
        assert grid.maxTimestamp == 9.0
        assert [tuple(one) for one in grid.getTier("sounded").entries] == [
            (0.0, 3.0, "b"),
            (4.0, 7.0, "b"),
        ]
        assert grid.getTier("pitch_st").entries[0].label == "21.25"
        grid = textgrid.openTextgrid(str(second), includeEmptyIntervals=True)
        assert "sounded" not in grid.tierNames

    @pytest.mark.needs("pympi")
    def test_eaf(self, journal):
        """Pympi reads the same tiers in milliseconds."""
        elan = pytest.importorskip("pympi.Elan")
        export(journal, "eaf", Path("out"))
        first, _ = sorted(Path("out").iterdir())
        document = elan.Eaf(str(first))
        assert document.get_annotation_data_for_tier("sounded") == [
            (0, 3000, "b"),
            (4000, 7000, "b"),
        ]
        assert document.get_annotation_data_for_tier("level_db")[0][2] == "-31.42"

    @pytest.mark.needs("bids_validator")
    def test_bids(self, journal):
        """Each file's place is one of BIDS; the tables hold the segments, and nowhere the name."""
        validator = pytest.importorskip("bids_validator").BIDSValidator()
        export(journal, "bids", Path("out"))
        files = [file for file in Path("out").rglob("*") if file.is_file()]
        assert len(files) == 10
        for file in files:
            assert validator.is_bids("/" + file.relative_to("out").as_posix()), file
            assert NAME not in file.read_text()
        events = Path("out/sub-01/ses-0001/beh/sub-01_ses-0001_task-journal_events.tsv")
        first, *_ = table(events, "\t")
        assert (first["onset"], first["duration"], first["label"]) == ("0.0", "3.0", "b")
        described = json.loads(events.with_suffix(".json").read_text())
        assert {*first} == {*described}

    @pytest.mark.needs("fhir")
    def test_fhir(self, journal):
        """The bundle is one of FHIR R4 (R4B, whose Observation is the same), with its numbers."""
        bundle_kind = pytest.importorskip("fhir.resources.R4B.bundle").Bundle
        export(journal, "fhir", Path("out.json"))
        bundle = bundle_kind.model_validate_json(Path("out.json").read_text())
        person, heard, alone, said = [entry.resource for entry in bundle.entry]
        assert person.name[0].text == NAME
        values = {part.code.coding[0].code: part.valueQuantity.value for part in heard.component}
        assert (float(values["speech"]), float(values["sounded-b"])) == (6.0, 1.0)
        assert (heard.status, alone.status) == ("final", "preliminary")
        assert not any(part.code.coding[0].code.startswith("sounded") for part in alone.component)
        assert said.effectiveDateTime == NOW
        assert [part.valueString for part in said.component[1:]] == ["drained", "calm"]

    @pytest.mark.parametrize("kind", [*FILES, *FOLDERS])
    def test_empty_and_private(self, kind):
        """A journal without entries can be exported; only its owner may read what is written."""
        if kind == "parquet":
            pytest.importorskip("pyarrow")
        with Journal.create(Path("e.journal"), NAME, Consent(NOW)) as journal:
            export(journal, kind, Path("new/out"))
            files = [file for file in Path("new").rglob("*") if file.is_file()]
            assert files or kind in ("textgrid", "eaf")
            assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
            Path("taken").write_text("mine")
            with pytest.raises(JournalError, match="exists already"):
                export(journal, kind, Path("taken"))
        assert Path("taken").read_text() == "mine"
