"""An archive without a cluster: listing, plan, ledger, answers, heads, a worker's tasks."""

import csv
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emovox import Recognizer
from emovox.archive import Request, recordings
from emovox.archive.attempt import Attempt
from emovox.archive.csv_table import write_csv
from emovox.archive.heads import Head, cut_head
from emovox.archive.job import Job
from emovox.archive.ledger import Ledger, commit, read, tally_of
from emovox.archive.plan import plan
from emovox.archive.recordings import Failure, tried
from emovox.archive.rows import Answer, Tally, schema, table
from emovox.archive.source import BYTES, FILE, LISTED, PATH, open_source
from emovox.archive.voices import N_GROUPS, hear_part, judge_part, learn_groups
from emovox.archive.worker import introduce, score_part
from emovox.audio import load_audio
from emovox.cleaning import cleaned
from emovox.errors import ArchiveError, ModelError
from emovox.measuring import measure_recording, measure_segments
from emovox.model import find_model
from emovox.version import __version__
from made_archive import make_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Give the table of a small archive."""
    return make_archive(tmp_path_factory.mktemp("archive"))


def names(source, n_known: int = 0, last: bytes = b"") -> list[str]:
    """List the recordings of a source by name."""
    return [name for table in source.listed(n_known, last) for name in table[FILE].to_pylist()]


class TestSource:
    """What there is to score."""

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        """Give a folder with recordings and other things."""
        for name in ("b.wav", "a/z.FLAC", "a/.hidden.wav", ".git/x.wav", "notes.txt", "a.wav"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"123")
        (tmp_path / "c.wav").mkdir()
        (tmp_path / "c.wav" / "in.wav").write_bytes(b"")
        (tmp_path / "d.wav").symlink_to("nowhere")
        return tmp_path

    EXPECTED = ("a/z.FLAC", "a.wav", "b.wav", "c.wav", "c.wav/in.wav", "d.wav")

    def test_a_folder_is_walked_in_order(self, folder):
        """Audio files by suffix, sorted by the parts of their paths; what is none is listed too."""
        (table,) = open_source(folder).listed(0, b"")
        assert tuple(table[FILE].to_pylist()) == self.EXPECTED
        assert table[BYTES].to_pylist()[:3] == [3, 3, 3]
        assert table[BYTES].to_pylist()[-1] is None
        assert table[PATH].to_pylist()[0] == os.fsencode(folder / "a" / "z.FLAC")

    @pytest.mark.parametrize("n_known", range(1, 7))
    def test_a_folder_is_listed_on(self, folder, n_known):
        """A listing goes on behind the last path, even if that is gone or others came before it."""
        (table,) = open_source(folder).listed(0, b"")
        last = table[PATH].to_pylist()[n_known - 1]
        (folder / "a.wav").unlink()
        (folder / "a" / "a.wav").write_bytes(b"")
        rest = [name for name in self.EXPECTED[n_known:] if name != "a.wav"]
        assert names(open_source(folder), n_known, last) == rest

    def test_names_need_not_be_text(self, tmp_path):
        """A file whose name is no UTF-8 is shown escaped, and can be opened."""
        (tmp_path / os.fsdecode(b"\xff.wav")).write_bytes(b"12")
        (table,) = open_source(tmp_path).listed(0, b"")
        assert table[FILE].to_pylist() == ["\\xff.wav"]
        assert table[BYTES].to_pylist() == [2]

    def test_a_csv_table_carries_its_columns(self, archive):
        """Paths are relative to the table; columns are carried as text; rows can be skipped."""
        source = open_source(archive)
        (table,) = source.listed(0, b"")
        assert table.column_names == [FILE, PATH, BYTES, "call id", "speaker", "label"]
        assert (
            Path(os.fsdecode(table[PATH].to_pylist()[0])) == archive.parent / "calls/early/00.wav"
        )
        assert table["call id"].to_pylist()[:2] == ["0", "1"]
        assert names(source, 7) == ["calls/late/07.wav", "calls/late/08.wav"]

    def test_a_parquet_table_keeps_types(self, tmp_path):
        """Columns of any type are carried through; URLs have no size and stay as they are."""
        rows = {
            "File": ["s3://bucket/a.wav", None],
            "when": pa.array([1, None], pa.timestamp("ms")),
        }
        pq.write_table(pa.table(rows), tmp_path / "t.parquet")
        (table,) = open_source(tmp_path / "t.parquet").listed(0, b"")
        assert table[PATH].to_pylist() == [b"s3://bucket/a.wav", b""]
        assert table[BYTES].to_pylist() == [None, None]
        assert table.schema.field("when").type == pa.timestamp("ms")

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("t.csv", "a,b\n1,2\n", 'expected one column "file", got the columns a, b'),
            ("t.csv", "file,a,a\nx,1,2\n", "two columns have the same name"),
            ("t.csv", "file,a\nx\n", "expected 2 cells in line 2, got 1"),
            ("t.csv", 'file\n"x\n', "not a well-formed CSV"),
            ("t.csv", "file,emovox:path\nx,y\n", "emovox:path has a name that emovox reserves"),
            (
                "t.csv",
                "emovox:bytes,file\nx,y\n",
                "emovox:bytes has a name that emovox reserves",
            ),
            ("t.parquet", "nonsense", "cannot read the table"),
            ("t.txt", "x", "expected a folder, or a table"),
        ],
    )
    def test_what_is_no_source(self, tmp_path, name, text, words):
        """A source that cannot be listed is an error of one line."""
        (tmp_path / name).write_text(text)
        with pytest.raises(ArchiveError, match=words) as caught:
            names(open_source(tmp_path / name))
        assert "\n" not in str(caught.value)

    def test_a_parquet_table_is_checked(self, tmp_path):
        """Text that is no UTF-8, in whatever column, is an error before anything is scored."""
        names = pa.array([b"a.wav", b"\xff\xfe"]).view(pa.string())
        for column in ("file", "note"):
            columns = {"file": pa.array(["a.wav", "b.wav"]), column: names}
            pq.write_table(pa.table(columns), tmp_path / "t.parquet")
            with pytest.raises(ArchiveError, match=r"t\.parquet: cannot read the table: .*UTF8"):
                open_source(tmp_path / "t.parquet").listed(0, b"").__next__()

    def test_a_damaged_parquet_table(self, tmp_path):
        """A table whose rows cannot be read, though its end can, is an error of one line."""
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"file": [f"{number}.wav" for number in range(900)]}), path)
        content = path.read_bytes()
        path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
        with pytest.raises(ArchiveError, match="cannot read the table") as caught:
            names(open_source(path))
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path):
        """A source that is not there is an error."""
        with pytest.raises(ArchiveError, match="no such folder or table"):
            open_source(tmp_path / "none")


class TestPlan:
    """Parts, and what is written down of them."""

    def test_parts_are_cut_by_number_and_size(self, tmp_path):
        """A part is full with so many recordings, or so many bytes; none is empty."""
        for number in range(7):
            (tmp_path / f"{number}.wav").write_bytes(b"0" * (100 if number == 2 else 1))
        parts = plan(open_source(tmp_path), Ledger(tmp_path / "out"), 3, 50)
        assert list(parts) == [3, 3, 1]

    def test_a_plan_goes_on(self, tmp_path):
        """What was planned stays; a plan that was cut off goes on behind it, each file once."""
        for number in range(6):
            (tmp_path / f"{number}.wav").write_bytes(b"0")
        ledger = Ledger(tmp_path / "out")
        first = plan(open_source(tmp_path), ledger, 2)
        assert [next(first), next(first)] == [2, 2]
        (tmp_path / "1.wav").unlink()
        (tmp_path / "0a.wav").write_bytes(b"0")
        assert list(plan(open_source(tmp_path), ledger, 5)) == [2, 2, 2]
        tables = pa.concat_tables(pq.read_table(ledger.plan(part)) for part in range(3))
        assert tables[FILE].to_pylist() == [f"{number}.wav" for number in range(6)]
        assert json.loads(ledger.end.read_text()) == {"parts": 3, "recordings": 6}

    @pytest.mark.parametrize("damage", ["empty", "lost", "half"])
    def test_a_damaged_plan_is_made_anew(self, tmp_path, damage):
        """From a damaged part on the source is listed again; what came of these parts is void."""
        for number in range(8):
            (tmp_path / f"{number}.wav").write_bytes(b"0")
        source, ledger = open_source(tmp_path), Ledger(tmp_path / "out")
        assert len(list(plan(source, ledger, 2))) == 4
        before = [pq.read_table(ledger.plan(part)) for part in range(4)]
        for part in range(4):
            commit(ledger.scores(part), pa.table({"row": [part]}))
        content = ledger.plan(2).read_bytes()
        ledger.plan(2).write_bytes(content[: len(content) // 2] if damage == "half" else b"")
        if damage == "lost":
            ledger.plan(2).unlink()
        assert list(plan(source, ledger, 2)) == [2, 2, 2, 2]
        assert [pq.read_table(ledger.plan(part)) for part in range(4)] == before
        done = [tally_of(ledger.scores(part)) is not None for part in range(4)]
        assert done == [True, True, False, False]

    @pytest.mark.parametrize("content", ["", "null", '{"parts": 3, "rec', '{"parts": 9}'])
    def test_a_damaged_end_is_no_end(self, tmp_path, content):
        """A listing whose end is not told, or told wrongly, goes on."""
        for number in range(3):
            (tmp_path / f"{number}.wav").write_bytes(b"0")
        source, ledger = open_source(tmp_path), Ledger(tmp_path / "out")
        next(plan(source, ledger, 1))
        ledger.end.write_text(content)
        assert list(plan(source, ledger, 1)) == [1, 1, 1]
        assert ledger.all_listed()


class TestLedger:
    """The output folder."""

    def test_damaged_settings(self, tmp_path):
        """Before anything is planned they are written anew; later, what was asked is not known."""
        ledger = Ledger(tmp_path / "out")
        with ledger.locked():
            ledger.settings.write_text("")
            ledger.start({"model": "a"}, resume=True)
        assert json.loads(ledger.settings.read_text()) == {"model": "a"}
        commit(ledger.plan(0), pa.table({"row": [0]}))
        for content in ("", "[]", '{"mod', "{}"):
            ledger.settings.write_text(content)
            with pytest.raises(ArchiveError, match="damaged, so the settings of the run are lost"):
                ledger.start({"model": "a"}, resume=True)

    def test_only_the_owner_reads_it(self, tmp_path):
        """The ledger, which tells who spoke, is closed to others; the result is as any file is."""
        ledger = Ledger(tmp_path / "out")
        with ledger.locked():
            commit(ledger.voices(0), pa.table({"row": [0]}), private=True)
            commit(ledger.scores(0), pa.table({"row": [0]}))
        modes = {
            path: stat.S_IMODE(path.stat().st_mode)
            for path in (ledger.settings.parent, ledger.voices(0).parent, ledger.voices(0))
        }
        assert list(modes.values()) == [0o700, 0o700, 0o600]
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(ledger.out.stat().st_mode) == 0o777 & ~mask
        assert stat.S_IMODE(ledger.scores(0).stat().st_mode) == 0o666 & ~mask

    def test_a_damaged_table_names_itself(self, tmp_path):
        """A part that cannot be read is an error with advice, in one line."""
        (tmp_path / "part.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
        with pytest.raises(
            ArchiveError, match=r"part\.parquet: cannot be read .*delete it"
        ) as caught:
            read(tmp_path / "part.parquet")
        assert "\n" not in str(caught.value)

    def test_only_a_new_folder_is_written_to(self, tmp_path):
        """What holds something is refused, and told apart from a run to go on with."""
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(ArchiveError, match="expected an empty or a new folder"):
            Ledger(tmp_path).start({}, resume=False)
        with pytest.raises(ArchiveError, match="holds no run"):
            Ledger(tmp_path).start({}, resume=True)

    def test_resumed_as_it_was_begun(self, tmp_path):
        """Other settings are named and refused; the same go on, even before anything was done."""
        ledger = Ledger(tmp_path / "out")
        with ledger.locked():
            ledger.start({"model": "a", "segments": False}, resume=True)
        ledger.start({"model": "a", "segments": False}, resume=True)
        with pytest.raises(ArchiveError, match=r"model was a, is b"):
            ledger.start({"model": "b", "segments": False}, resume=True)

    def test_what_a_kill_left_half_written(self, tmp_path):
        """A file that was being written at a kill is removed when the run goes on."""
        ledger = Ledger(tmp_path / "out")
        ledger.start({}, resume=False)
        half = ledger.scores(0).parent / ".part-0123.parquet"
        half.parent.mkdir()
        half.write_bytes(b"PAR1")
        ledger.start({}, resume=True)
        assert not half.exists()

    def test_one_run_at_a_time(self, tmp_path):
        """A folder in use is locked."""
        with (
            Ledger(tmp_path).locked(),
            pytest.raises(ArchiveError, match="another run"),
            Ledger(tmp_path).locked(),
        ):
            pass


class TestAnswers:
    """Rows and sums."""

    def test_taken_names(self):
        """A carried column whose name is ours comes out as source_NAME."""
        carried = pa.schema(
            [("label", pa.string()), ("source_label", pa.int64()), ("x", pa.bool_())]
        )
        found = schema(("angry", "sad"), carried).names
        assert found[-3:] == ["source_source_label", "source_label", "x"]
        flat = pa.schema([("scores.angry", pa.float64()), ("scores.bored", pa.float64())])
        assert schema(("angry",), flat).names[-2:] == ["source_scores.angry", "scores.bored"]
        assert len(set(found)) == len(found)

    def test_a_csv_table_is_safe_to_open(self, tmp_path):
        """No name or note is run by a spreadsheet, header and errors included; numbers stay."""
        notes = ["@SUM(A1)", "-1.5", "+49 30 1", "=2+5", "'=x", "plain"]
        listed = pa.table([["=1.wav"] * 6, [b""] * 6, [1] * 6, notes], schema=pa.schema(
            [*LISTED, ("=note", pa.string())]
        ))  # fmt: skip
        ledger = Ledger(tmp_path)
        answers = [Answer(row, None, failure=Failure("other", "-broken")) for row in range(6)]
        commit(ledger.scores(0), table(answers, listed, ("angry",), "abc"), {})
        with write_csv(ledger, 1).open(newline="") as lines:
            header, *found = csv.reader(lines)
        assert header[-1] == "'=note"
        assert header[2:5] == ["score", "scores.angry", "start"]
        assert {row[0] for row in found} == {"'=1.wav"}
        assert {row[header.index("error")] for row in found} == {"'-broken"}
        safe = ["'@SUM(A1)", "-1.5", "'+49 30 1", "'=2+5", "''=x", "plain"]
        assert [row[-1] for row in found] == safe

    def test_values_that_python_does_not_have(self, tmp_path):
        """A time after the last year is told as Arrow tells it, or is an error of one line."""
        for zone in (None, "No/Where"):
            kind = pa.timestamp("ms", zone)
            listed = pa.table(
                [["a"], [b"a"], [1], pa.array([1 << 62]).view(kind)],
                schema=pa.schema([*LISTED, ("when", kind)]),
            )
            commit(Ledger(tmp_path).scores(0), table([Answer(0, None)], listed, ("sad",), ""), {})
            if zone is None:
                (_, line) = write_csv(Ledger(tmp_path), 1).read_text().splitlines()
                assert line.endswith("<value out of range: 4611686018427387904>")
        before = (tmp_path / "scores.csv").read_text()
        with pytest.raises(
            ArchiveError, match=r"the column when holds values .* without --with-csv"
        ):
            write_csv(Ledger(tmp_path), 1)
        assert (tmp_path / "scores.csv").read_text() == before

    def test_sums(self):
        """Tallies are added name by name, and are the same after a file."""
        first = Tally(2, 3, 1.5, failures=Counter({"empty": 1}), labels=Counter({"sad": 2}))
        second = Tally(1, 1, 0.5, 0.25, labels=Counter({"sad": 1, "angry": 1}), uncertain=1)
        total = first + second + Tally()
        assert (total.recordings, total.rows, total.seconds, total.compute_s) == (3, 4, 2.0, 0.25)
        assert (total.failures, total.labels) == ({"empty": 1}, {"sad": 3, "angry": 1})
        assert total.uncertain == 1
        assert Tally.from_json(total.to_json()) == total

    def test_kinds_of_failures(self, tmp_path, archive):
        """What the recogniser says of a bad file tells its kind."""
        good = (archive.parent / "calls/early/00.wav").read_bytes()
        files = {"empty": b"", "not audio": b"hello" * 99, "cut off": good[: len(good) // 2]}
        for kind, content in files.items():
            (tmp_path / kind).write_bytes(content)
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        model = Recognizer.load()
        kinds = {}
        for name in (*files, "folder", "pipe", "none"):
            failure = tried(os.fsencode(tmp_path / name), model.predict)
            assert str(tmp_path) not in failure.reason
            kinds[name] = failure.kind
        wanted = {"folder": "not a file", "pipe": "not a file", "none": "missing"}
        assert kinds == {kind: kind for kind in files} | wanted

        def impatient(file: Path) -> object:
            return model.predict(file, max_seconds=0.1)

        good = os.fsencode(archive.parent / "calls/early/00.wav")
        assert tried(good, impatient).kind == "too long"
        assert tried(good, lambda file: 1 / 0) == Failure(
            "other", "unexpected ZeroDivisionError: division by zero"
        )

    def test_urls(self, archive):
        """A recording behind any URL that fsspec knows is judged like a file."""
        file = archive.parent / "calls" / "early" / "00.wav"
        model = Recognizer.load()
        assert tried(f"file://{file}".encode(), model.predict) == model.predict(file)
        assert tried(b"file:///no/such.wav", model.predict).kind == "missing"
        assert tried(b"nonsense://x.wav", model.predict).kind == "not fetched"


class TestCopies:
    """Recordings that are fetched."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        """Give the folder that temporary files are made in."""
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    def test_a_copy_is_in_no_folder(self, archive, folder):
        """While a fetched recording is judged it can be read again and again, but by no name."""
        recording = archive.parent / "calls" / "early" / "00.wav"
        seen = []

        def judge(file: Path) -> list[Path]:
            assert file.read_bytes() == file.read_bytes() == recording.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            seen.append(file)
            return list(folder.iterdir())

        assert tried(f"file://{recording}".encode(), judge) == []
        assert seen

    def test_a_copy_elsewhere_is_private(self, archive, folder, monkeypatch):
        """On other systems it is in a folder that others cannot enter, removed at the end."""
        monkeypatch.setattr(recordings, "_OPEN_FILES", folder / "none")
        recording = archive.parent / "calls" / "early" / "00.wav"

        def judge(file: Path) -> int:
            assert file.read_bytes() == recording.read_bytes()
            return stat.S_IMODE(file.parent.stat().st_mode)

        assert tried(f"file://{recording}".encode(), judge) == 0o700
        assert not list(folder.iterdir())

    def test_a_worker_that_is_killed_leaves_nothing(self, archive, folder):
        """A process that ends in the middle of a fetched recording leaves no file behind."""
        code = (
            "import os, sys\nfrom emovox.archive.recordings import tried\n"
            "tried(os.fsencode(sys.argv[1]), lambda file: os._exit(9))"
        )
        url = f"file://{archive.parent / 'calls' / 'early' / '00.wav'}"
        done = subprocess.run(
            [sys.executable, "-c", code, url], env=os.environ | {"TMPDIR": str(folder)}, check=False
        )
        assert done.returncode == 9
        assert not list(folder.iterdir())


class TestHead:
    """A speech model's head, taken out of its file."""

    def test_the_head_is_the_model(self):
        """Stored embeddings and any baseline give what the whole graph gives with the audio."""
        model = Recognizer.load()
        content = cut_head(None)
        assert content is not None
        assert len(content) < 5e6
        head = Head(content, model)
        clips = [load_audio(path) for path in sorted(Path("examples").glob("*.flac"))]
        baseline = model.enrol("someone", clips[:2], 16_000)
        for clip in [*clips, np.concatenate(clips)]:
            _, stored = model.hear(clip)
            expected, windows = model.hear(clip, baseline)
            prediction, heard = head.hear(stored, baseline)
            assert prediction.scores == pytest.approx(dict(expected.scores), abs=1e-5)
            for one, other in zip(heard, windows, strict=True):
                np.testing.assert_allclose(one.embedding, other.embedding, rtol=0, atol=1e-5)
                assert one.seconds == other.seconds

    def test_a_model_without_a_head(self, model_file):
        """The acoustic network needs the frames again; its embedding does not need a baseline."""
        assert cut_head(model_file) is None

    def test_a_head_that_no_tensor_names(self, tmp_path):
        """Embeddings that depend on the baseline cannot be learned without the head."""
        nameless = tmp_path / "nameless.onnx"
        nameless.write_bytes(find_model(None).read_bytes().replace(b"voice", b"vowel"))
        with pytest.raises(ModelError, match="a tensor named voice"):
            cut_head(nameless)


class TestAttempt:
    """Recordings that take a worker down."""

    def test_three_deaths(self, tmp_path):
        """A recording at which workers of this driver died three times is not touched again."""
        path = tmp_path / "at.json"
        for deaths in range(4):
            with Attempt(path, "session", 60.0) as attempt:
                assert (attempt.verdict(5) is not None) == (deaths == 3)
                assert not attempt.verdict(4)
                with attempt.at(5):
                    pass  # and no more is heard of it

    def test_deaths_with_the_driver(self, tmp_path):
        """What died when the whole run was killed is no recording's fault."""
        for session in "abcdefg":
            with Attempt(tmp_path / "at.json", session, 60.0) as attempt:
                assert not attempt.verdict(5)
                with attempt.at(5):
                    pass

    def test_a_hanging_recording_ends_the_worker(self, tmp_path):
        """Past the time limit the process ends itself, and the next attempt knows why."""
        code = (
            "import sys, time\nfrom pathlib import Path\n"
            "from emovox.archive.attempt import Attempt\n"
            "with Attempt(Path(sys.argv[1]), 's', 0.2) as attempt:\n"
            "    with attempt.at(2): pass\n"
            "    with attempt.at(3): time.sleep(60)"
        )
        path = tmp_path / "at.json"
        done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=50, check=False)
        assert done.returncode == 75
        assert Attempt(path, "s", 0.2).verdict(3).kind == "time limit"
        assert not Attempt(path, "s", 5.0).verdict(3)  # which gives it more time

    def test_a_damaged_trail(self, tmp_path):
        """A trail that was cut off by a kill is no news."""
        (tmp_path / "at.json").write_text('["s", 3, {"')
        assert not Attempt(tmp_path / "at.json", "s", 1.0).verdict(3)


class TestTasks:
    """What a worker does, in this process."""

    @pytest.fixture
    def start(self, tmp_path, archive):
        """Give a function that plans a run in parts of four, and returns its job."""

        def plan_run(model: Path | None = None, **settings) -> Job:
            ledger = Ledger(tmp_path / f"out{len(list(tmp_path.iterdir()))}")
            ledger.start({}, resume=False)
            assert len(list(plan(open_source(archive), ledger, 4))) == 3
            ledger.at(0).parent.mkdir()
            named = None if model is None else str(model)
            request = Request(archive, ledger.out, named, max_seconds=60.0, **settings)
            return Job(request, Recognizer.load(model).fingerprint, __version__, session="s")

        return plan_run

    def rows(self, job: Job) -> list[dict]:
        """Return all rows of a run."""
        files = [job.ledger.scores(part) for part in range(3)]
        return pa.concat_tables(map(pq.read_table, files)).to_pylist()

    def test_each_by_itself(self, start, archive):
        """Without speakers each recording is predicted as `Recognizer.predict` does."""
        job = start()
        tallies = [score_part(job, part) for part in (2, 0, 1)]
        assert [tally.recordings for tally in tallies] == [1, 4, 4]
        assert tally_of(job.ledger.scores(2)) == tallies[0]
        model = Recognizer.load()
        for number, row in enumerate(self.rows(job)):
            expected = model.predict(archive.parent / row["file"])
            assert (row["label"], row["scores"]) == (expected.label, dict(expected.scores))
            assert (row["end"], row["duration"]) == (expected.end, expected.end)
            assert (row["call id"], row["source_label"]) == (str(number), "a label of theirs")
            assert (row["baseline"], row["error"], row["model"]) == ("none", None, job.fingerprint)
        assert not list(job.ledger.at(0).parent.iterdir())

    @pytest.mark.parametrize("segments", [False, True])
    @pytest.mark.parametrize("kind", ["speech", "acoustic"])
    def test_speakers(self, start, archive, model_file, kind, segments):
        """Each is judged with what `Recognizer.enrol` makes of all that the speaker said."""
        path = model_file if kind == "acoustic" else None
        job = start(path, speaker_column="speaker", segments=segments)
        if head := cut_head(path):
            job.ledger.head.write_bytes(head)
        for part in (1, 2, 0):
            hear_part(job, part)
        for group in (range(40), range(40, 64)):
            learn_groups(job, tuple(group), 3)
        for part in (1, 0, 2):
            judge_part(job, part)
        rows = self.rows(job)
        expected = list(by_hand(Recognizer.load(path), archive, rows, segments))
        assert len(expected) == len(rows)
        for row, (prediction, baseline) in zip(rows, expected, strict=True):
            assert (row["baseline"], row["label"]) == (baseline, prediction.label)
            assert (row["start"], row["end"]) == (prediction.start, prediction.end)
            assert row["scores"] == pytest.approx(dict(prediction.scores), abs=1e-6)

    def test_speakers_that_no_cell_tells(self, start, tmp_path, archive):
        """Null, NaN and blanks name nobody; a number, also in a column with a dot, is a name."""
        files = [str(archive.parent / f"calls/early/0{number}.wav") for number in range(4)]
        for column in ([7.0, float("nan"), None, 7.0], ["7", " ", None, "7"]):
            source = tmp_path / "t.parquet"
            pq.write_table(pa.table({"file": files, "caller.id": column}), source)
            job = start(speaker_column="caller.id")
            job = replace(job, request=replace(job.request, out=tmp_path / str(column[1])))
            list(plan(open_source(source), job.ledger, 128))
            job.ledger.at(0).parent.mkdir()
            hear_part(job, 0)
            found = pq.read_table(job.ledger.voices(0)).sort_by("row")["speaker"].to_pylist()
            assert found == [str(column[0]), "", "", str(column[0])]

    def test_segments(self, start, archive):
        """With segments there is a row for each part of speech, as `Recognizer.segments` has it."""
        job = start(segments=True)
        score_part(job, 0)
        rows = pq.read_table(job.ledger.scores(0)).to_pylist()
        files = dict.fromkeys(archive.parent / row["file"] for row in rows)
        expected = [one for file in files for one in Recognizer.load().segments(file)]
        assert [(one["label"], one["start"], one["end"]) for one in rows] == [
            (one.label, one.start, one.end) for one in expected
        ]
        assert {row["baseline"] for row in rows} == {"recording"}

    @pytest.mark.parametrize("segments", [False, True])
    @pytest.mark.parametrize("speaker", [None, "speaker"])
    def test_prosody(self, start, archive, segments, speaker):
        """With prosody each row has what was measured, with baselines and without; errors none."""
        job = start(prosody=True, segments=segments, speaker_column=speaker)
        if speaker:
            hear_part(job, 0)
            learn_groups(job, range(N_GROUPS), 1)
            judge_part(job, 0)
        else:
            score_part(job, 0)
        rows = pq.read_table(job.ledger.scores(0)).to_pylist()
        assert all((row["prosody"] is None) == (row["error"] is not None) for row in rows)
        for file in {row["file"] for row in rows if row["error"] is None}:
            found = [row["prosody"] for row in rows if row["file"] == file]
            path = archive.parent / file
            whole = [] if segments else [measure_recording(path)]
            expected = list(measure_segments(path)) if segments else whole
            assert found == [one.prosody.to_dict() for one in expected]
        with write_csv(job.ledger, 1).open(newline="") as lines:
            (first, *_) = csv.DictReader(lines)
        assert float(first["prosody.pitch_st"]) == rows[0]["prosody"]["pitch_st"]

    def test_segments_of_a_broken_recording(self, tmp_path, start, archive):
        """What comes before the break is answered; one row more says what is wrong."""
        job = start(segments=True)
        whole = (archive.parent / "calls/early/00.wav").read_bytes()
        (tmp_path / "cut.wav").write_bytes(whole[: len(whole) * 4 // 5])
        (tmp_path / "cut.csv").write_text("file,speaker\ncut.wav,x\n")
        other = Ledger(job.request.out / "other")
        list(plan(open_source(tmp_path / "cut.csv"), other, 128))
        other.at(0).parent.mkdir()
        score_part(replace(job, request=replace(job.request, out=other.out)), 0)
        *good, bad = pq.read_table(other.scores(0)).to_pylist()
        assert good
        assert all(row["label"] and not row["error"] for row in good)
        assert bad["label"] is None
        assert "cut off" in bad["error"]

    def test_another_model_is_refused(self, start):
        """A worker with another model or emovox does no work, and says what it has."""
        job = start()
        told = introduce(job)
        assert told == {
            "emovox": __version__, "model": job.fingerprint, "sees the output folder": "yes"
        }  # fmt: skip
        with pytest.raises(ArchiveError, match="expected emovox"):
            score_part(replace(job, fingerprint="0" * 16), 0)


def by_hand(model: Recognizer, archive: Path, rows: list[dict], segments: bool):
    """Yield the prediction and the kind of baseline of each row, made with the recogniser alone."""
    known, files = {}, {row["file"]: row["speaker"] for row in rows}
    for file, speaker in files.items():
        if speaker:
            clips = parts_of(archive.parent / file) if segments else None
            clips = clips or [cleaned(load_audio(archive.parent / file))]
            baseline = known.get(speaker, model.new_baseline())
            for clip in clips:
                baseline = baseline.after(model.hear(clip, baseline)[1])
            known[speaker] = baseline
    for file, speaker in files.items():
        baseline, path = known.get(speaker), archive.parent / file
        if not segments:
            yield model.predict(path, baseline=baseline), "speaker" if baseline else "none"
        elif baseline:
            found = model.segments(path, baseline=baseline, learn=False)
            yield from ((one, "speaker") for one in found)
        else:
            yield from ((one, "recording") for one in model.segments(path))


def parts_of(path: Path) -> list[np.ndarray]:
    """Return the parts of speech in a recording as samples."""
    parts: list[np.ndarray] = []

    class Ear(Recognizer):
        def hear(self, clip, baseline=None):
            parts.append(clip)
            return super().hear(clip, baseline)

    list(Ear.load().segments(path, learn=False))
    return parts
