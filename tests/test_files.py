"""Files appear under their name whole, or not at all."""

import os
from pathlib import Path

import pytest

from emovox.files import write_text, written_whole


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
