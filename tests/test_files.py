"""Files appear under their name whole, or not at all."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.files import (
    read_limited,
    spreadsheet_plain,
    spreadsheet_safe,
    write_text,
    written_whole,
)


def test_whole_file(tmp_path):
    """What was written is under the name afterwards, and nothing else is left."""
    with written_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("hello")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "hello"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_failure_leaves_the_old_file(tmp_path):
    """After an error half-way, the old content stands and the half-written file is gone."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_name(tmp_path):
    """The temporary file lies beside the target, hidden, with the same suffix."""
    with written_whole(tmp_path / "a.onnx") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".onnx"


def test_folders_are_made(tmp_path):
    """Missing folders above the file are made."""
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_text_is_kept_as_it_is(tmp_path):
    """Text is UTF-8, and its newlines are not translated."""
    write_text(tmp_path / "a.txt", "é\n\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n\r\n"


def test_names_that_are_no_utf_8(tmp_path):
    """A file name in another encoding does not stop a table from being written."""
    write_text(tmp_path / "a.txt", os.fsdecode(b"\xff.wav") if os.name != "nt" else "\udcff.wav")
    assert (tmp_path / "a.txt").read_text() == r"\udcff.wav"


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
def test_permissions_are_those_of_any_file(tmp_path):
    """A file written whole has the permissions an ordinary new file has."""
    (tmp_path / "plain").touch()
    write_text(tmp_path / "whole", "x")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "whole")}
    assert len(modes) == 1


def test_target_is_a_folder(tmp_path):
    """A folder of that name is an OSError, and nothing is left beside it."""
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_parent_is_a_file(tmp_path):
    """A file where the folder should be is an OSError."""
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"):
        write_text(tmp_path / "a" / "b.txt", "x")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write to")
def test_error_names_the_file(tmp_path):
    """The error speaks of the file that was wanted, not of the temporary one."""
    with pytest.raises(OSError, match="a\\.txt") as caught:
        write_text(Path("/proc/a.txt"), "x")
    assert caught.value.filename == "/proc/a.txt"


needs_posix = pytest.mark.skipif(os.name == "nt", reason="no such files there")


@needs_posix
def test_a_pipe_is_written_to(tmp_path):
    """A pipe stays a pipe; whoever reads it gets the content."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "hello")
        assert os.read(reader, 100) == b"hello"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@needs_posix
def test_a_device_is_written_to(tmp_path):
    """A device stays a device, under a link to it as well."""
    (tmp_path / "null").symlink_to("/dev/null")
    write_text(tmp_path / "null", "hello")
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "null").is_symlink()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no such names there")
def test_an_open_file_is_written_to(tmp_path):
    """What stdout was redirected to is not replaced behind the back of those who write to it."""
    with (tmp_path / "out.txt").open("w") as out:
        out.write("before\n")
        out.flush()
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{out.fileno()}")
        write_text(tmp_path / "link", "hello\n")
    assert (tmp_path / "out.txt").read_text() == "before\nhello\n"


@needs_posix
def test_a_link_stays_a_link(tmp_path):
    """What a link points to is replaced, wherever it is, and the link stays."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a" / "real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "a" / "real.txt").read_text() == "new"


@needs_posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    """What its owner made private stays private when it is written again."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == mode


@needs_posix
def test_a_file_is_kept_write_protected():
    """Whoever may write to the folder may replace a file that is write-protected, and it stays so.

    Root may do anything, so that another user has to try.
    """
    code = (
        "import os; from pathlib import Path; from emovox.files import write_text\n"
        "os.getuid() or os.setuid(65534)\n"
        "path = Path('a.txt'); path.write_text('old'); path.chmod(0o444)\n"
        "write_text(path, 'new')"
    )
    with tempfile.TemporaryDirectory() as folder:  # those of pytest are root's alone
        Path(folder).chmod(0o777)
        subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
        path = Path(folder) / "a.txt"
        assert path.read_text() == "new"
        assert path.stat().st_mode & 0o777 == 0o444


@needs_posix
def test_links_in_a_circle(tmp_path):
    """Links that lead nowhere are an OSError with the file's name."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        write_text(tmp_path / "a", "x")
    assert caught.value.filename == str(tmp_path / "a")


def test_the_topmost_folder():
    """The top of the file system is a folder like any other."""
    with pytest.raises(OSError, match=r"directory|busy"):
        write_text(Path(Path.cwd().anchor), "x")


@needs_posix
def test_private_files(tmp_path):
    """A private file, and each folder made for it, can be read by their owner alone."""
    path = tmp_path / "a" / "b" / "c.json"
    with written_whole(path, private=True) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600
        temporary.write_text("x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in path.parents[:2]] == [0o700, 0o700]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_written_files_are_synced(tmp_path):
    """The content is on the disk before it takes the name, and the name is afterwards."""
    code = f"from emovox.files import *; write_text(Path({str(tmp_path / 'a.txt')!r}), 'x')"
    trace = ["strace", "-f", "-e", "trace=fsync,rename,/renameat", "-o", str(tmp_path / "trace")]
    subprocess.run([*trace, sys.executable, "-B", "-c", code], check=True)
    lines = (tmp_path / "trace").read_text().splitlines()
    calls = [line.split()[1].partition("(")[0] for line in lines if "(" in line]
    assert [call[:6] for call in calls] == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "'="])
def test_formulas_in_tables(start):
    """A cell that a spreadsheet would run as a formula is written with an apostrophe before it."""
    assert spreadsheet_safe(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


@pytest.mark.parametrize("text", ["", "a.wav", "a=b", "'quoted'", "Zoë", "/data/=a.wav"])
def test_plain_texts_in_tables(text):
    """Other cells are written as they are."""
    assert spreadsheet_safe(text) == text


@given(st.text(st.sampled_from("'=+-@\ta"), max_size=5))
def test_cells_are_read_back(text):
    """Whatever a text begins with, it is the same after a table was written and read."""
    assert spreadsheet_plain(spreadsheet_safe(text)) == text


def test_reading_to_a_limit(tmp_path):
    """A file up to the limit is read whole; of a larger one not everything is read."""
    (tmp_path / "a").write_bytes(b"12345")
    assert read_limited(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4e-06 MB"):
        read_limited(tmp_path / "a", 4)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than 1 MB"):
        read_limited(tmp_path / "huge", 1_000_000)


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_what_has_no_end_is_not_read(tmp_path):
    """Devices and pipes are refused at once, whoever reads or writes there."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_limited(path, 1000)
    with pytest.raises(OSError, match=r"directory|not a regular file"):
        read_limited(tmp_path, 1000)
