"""What reaches the terminal: one line each, whatever names and labels are made of."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY
from emovox.cli import run
from emovox.cli.console import as_json, counted, print_table, say, warn
from emovox.errors import one_line

MAIN = "from emovox.cli import main; main()"
ODD = "[/b][red]a\nb\x1b[31m\u202ec\u2028.flac"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names and pipes there")


@pytest.fixture
def odd(tmp_path, monkeypatch) -> str:
    """Work in a folder with a recording of an odd name."""
    monkeypatch.chdir(tmp_path)
    Path(ODD).parent.mkdir()
    shutil.copy(REPOSITORY / "examples" / "even.flac", ODD)
    return ODD


def emovox(*arguments: object, redirected: str = "", **kwargs) -> subprocess.CompletedProcess:
    """Call the command line from a shell, which closes or redirects its streams."""
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-c", MAIN]
    words = [*shell, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **kwargs)


class TestTexts:
    """How texts of others are shown."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "plain [bold] text \\ Ænne 安娜 👩\u200d👧",
                "plain [bold] text \\ Ænne 安娜 👩\u200d👧",
            ),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\x1b]0;x\x07\x9b31m\x7f", "\\x1b]0;x\\x07\\x9b31m\\x7f"),
            ("\u202egpj.exe\u2028\u2066", "\\u202egpj.exe\\u2028\\u2066"),
            ("\udcff", "\\udcff"),
        ],
    )
    def test_one_line(self, text, expected):
        """What has a shape is shown as it is; what moves the cursor or the letters is escaped."""
        assert one_line(text) == expected

    def test_json(self):
        """JSON stays exact: what is escaped is what it was when it is read."""
        value = {ODD: ["\x9b\x7f\udcff\U000e0041", "Ænne"]}
        for indent in (None, 2):
            text = as_json(value, indent)
            assert json.loads(text) == value
            assert one_line(text.replace("\n", "")) == text.replace("\n", "")
            assert "Ænne" in text

    @pytest.mark.parametrize(("n", "text"), [(0, "0 parts"), (1, "1 part"), (1234, "1,234 parts")])
    def test_counted(self, n, text):
        """One thing has no plural."""
        assert counted(n, "part") == text

    def test_lines(self, capsys):
        """Each text is one line, on stdout and on stderr."""
        say(ODD)
        warn(ODD)
        out, err = capsys.readouterr()
        assert out == err == one_line(ODD) + "\n"

    def test_table(self, capsys):
        """Titles, headers and cells of a table are texts, not markup."""
        print_table(ODD, (ODD, "b"), [(ODD, "[link=x]y[/link]")])
        out = capsys.readouterr().out
        assert out.count(one_line(ODD)) == 3
        assert "[link=x]y[/link]" in out

    def test_bar(self):
        """So is the name of a progress bar."""
        ours, theirs = pty.openpty()
        code = f"from emovox.cli.console import *\nwith progress_bar({ODD!r}) as show: show(1, 2)"
        size = {"COLUMNS": "120", "TERM": "xterm"}
        subprocess.run(
            [sys.executable, "-c", code], stderr=theirs, env=os.environ | size, check=True
        )
        assert one_line(ODD) in os.read(ours, 65_536).decode()
        os.close(ours)
        os.close(theirs)


class TestCommands:
    """The commands with such a file."""

    @pytest.mark.parametrize("options", [[], ["--segments"]])
    def test_table(self, odd, options, capsys):
        """Its name is shown, escaped, on one line."""
        assert run(["predict", odd, *options]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert one_line(odd) in out
        assert "\x1b" not in out

    @pytest.mark.parametrize("options", [[], ["--segments"]])
    def test_json(self, odd, options, capsys):
        """In JSON it is the very name."""
        assert run(["predict", odd, "--json", *options]) == 0
        out = capsys.readouterr().out
        assert json.loads(out)[0]["file"] == odd
        assert "\x1b" not in out

    @pytest.mark.parametrize("options", [["--json"], ["--json", "--segments"]])
    def test_json_for_another_terminal(self, tmp_path, options):
        """Where stdout has no Unicode, JSON is JSON all the same."""
        file = tmp_path / "Ænne 👩.flac"
        shutil.copy(REPOSITORY / "examples" / "even.flac", file)
        latin = os.environ | {"PYTHONIOENCODING": "latin-1"}
        done = emovox("predict", file, *options, env=latin)
        assert json.loads(done.stdout)[0]["file"] == str(file)

    def test_error(self, tmp_path, capsys):
        """An error is one line, whatever the name."""
        assert run(["predict", str(tmp_path / ("no" + ODD))]) == 1
        err = capsys.readouterr().err
        assert err == f"emovox: {tmp_path}/no{one_line(ODD)}: no such file\n"

    def test_usage(self, capsys):
        """So is what is said of wrong usage."""
        assert run(["predict", "a.wav", "--speaker-by", "\x1b[31m\n"]) == 2
        assert "\x1b" not in capsys.readouterr().err


class TestStreams:
    """Streams that are closed or full."""

    @pytest.fixture
    def file(self) -> Path:
        """Give a recording."""
        return REPOSITORY / "examples" / "even.flac"

    def test_closed_stdout(self, file, tmp_path):
        """Results for a closed stdout are an error; a table in a file is none, and is not lost."""
        done = emovox("predict", file, redirected=">&-")
        assert done.returncode == 1
        assert done.stderr == "emovox: standard output: Bad file descriptor\n"
        out = tmp_path / "o.csv"
        done = emovox("predict", file, "--csv", out, redirected=">&-")
        assert (done.returncode, done.stderr) == (0, f"wrote {out}\n")
        assert len(out.read_text().splitlines()) == 2

    @pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
    def test_closed_stderr(self, file, tmp_path, redirected):
        """What nobody can hear does not stop the work, nor change its exit code."""
        out = tmp_path / "o.csv"
        words = ("predict", file, "--csv", out, "--json")
        done = emovox(*words, redirected=redirected)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(json.loads(done.stdout)) == 1
        assert out.exists()
        assert emovox("predict", "none.wav", redirected=redirected).returncode == 1
        assert emovox("predict", redirected=redirected).returncode == 2

    @pytest.mark.needs("pooch")
    def test_closed_stdin(self, tmp_path):
        """A question that nobody can answer is not accepted."""
        done = emovox("corpus", "download", "emodb", "--to", tmp_path, redirected="<&-")
        assert (done.returncode, done.stdout) == (1, "")
        assert "accept" in done.stderr.splitlines()[-1]

    def test_all_closed(self, file, tmp_path):
        """With no stream at all, files are written, and nothing else is written into them."""
        out = tmp_path / "o.csv"
        assert emovox("predict", file, "--csv", out, redirected="<&- >&- 2>&-").returncode == 0
        assert [line.count(",") for line in out.read_text().splitlines()] == [15, 15]

    @pytest.mark.parametrize("words", [["info"], ["corpus", "list"], ["--version"], ["--help"]])
    def test_other_commands(self, words):
        """Every command says that its results could not be written, in one line."""
        for redirected in (">&-", ">/dev/full"):
            done = emovox(*words, redirected=redirected)
            assert done.returncode == 1
            assert done.stderr.startswith("emovox: ")
            assert done.stderr.count("\n") == 1
