"""Files written whole or not at all: to a temporary name first, then renamed; and read safely."""

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ConfigError

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")  # for a spreadsheet


@contextmanager
def written_whole(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; after the block it takes the name, or is removed.

    What takes the name is on the disk by then, so that a power cut leaves the old file or the new
    one. A link stays a link: the file it points to is replaced. A pipe or a device is never
    replaced; the content is written into it at the end of the block. The temporary name keeps the
    suffix, since libraries choose the format by it.

    Parameters
    ----------
    path : Path
        A file that is there keeps its permissions.
    private : bool
        Whether a new file, and a folder that is made for it, can be read by their owner alone.

    Raises
    ------
    OSError
        If the file cannot be written (no space, no permission); nothing is left behind then.
    """
    if is_special(path):
        with _poured_into(path) as temporary:
            yield temporary
        return
    target = target_of(path)
    make_folder(target.parent, private=private)
    temporary = target.parent / f".part-{secrets.token_hex(8)}{path.suffix}"
    try:
        # Opening fails early. A file that will be private is so from its first byte.
        mode = _PRIVATE_FILE if private or target.exists() else 0o666
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, mode))
        yield temporary
        _settle(temporary, target)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    r"""Write a text file (UTF-8, newlines as they are) whole or not at all.

    What UTF-8 cannot hold, such as file names in another encoding, is written as ``\\udcff``.
    For `private` and the errors see `written_whole`.
    """
    with written_whole(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Read a file no larger than a limit; pipes and devices, which may not end, are refused.

    Raises
    ------
    OSError
        If it is larger, is no regular file, or cannot be read; `strerror` says why.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes / 1e6:g} MB", str(path))
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for somebody to write into it, if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def spreadsheet_safe(text: str) -> str:
    """Return a text for a cell of a CSV table so that no spreadsheet runs it as a formula.

    An apostrophe is put before what begins like a formula; `spreadsheet_plain` takes it away.
    Numbers need no such thing, and would be texts with it.

    Examples
    --------
    >>> spreadsheet_safe("=1+2.wav"), spreadsheet_safe("a.wav")
    ("'=1+2.wav", 'a.wav')
    """
    return f"'{text}" if _begins_like_formula(text) else text


def spreadsheet_plain(cell: str) -> str:
    """Return the text that `spreadsheet_safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and _begins_like_formula(cell) else cell


def _begins_like_formula(text: str) -> bool:
    """Tell whether a text, apostrophes before it left out, begins like a formula."""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def default_cache_folder() -> Path:
    """Return the user's cache folder of emovox; the variable EMOVOX_CACHE moves it.

    Raises
    ------
    ConfigError
        If there is no such variable and the user has no home directory.
    """
    named = os.environ.get("EMOVOX_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "emovox"
    except RuntimeError:
        raise ConfigError(
            "no place for the cache: you have no home directory; set EMOVOX_CACHE"
        ) from None


def make_folder(path: Path, *, private: bool = False) -> None:
    """Make a folder and those above it that are missing.

    Parameters
    ----------
    path : Path
    private : bool
        Whether what is made can be read by its owner alone; a folder that is there stays as it is.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if private and not path.is_dir():
        make_folder(path.parent, private=True)
        path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    else:
        path.mkdir(parents=True, exist_ok=True)


def target_of(path: Path) -> Path:
    """Return the file that a path stands for, links followed; it need not be there.

    Raises
    ------
    OSError
        If the links lead round in a circle.
    """
    try:
        return path.resolve()
    except RuntimeError:  # which Python before 3.13 raises
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


def is_special(path: Path) -> bool:
    """Tell whether a path, or what it links to, is a pipe, a device or an open file's number."""
    try:
        mode = path.stat().st_mode
        while not _is_system(path) and path.is_symlink():
            path = path.parent / path.readlink()
    except (OSError, ValueError):
        return False
    return _is_system(path) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_system(path: Path) -> bool:
    """Tell whether a name is one of the system's, such as /dev/stdout, whatever it stands for."""
    whole = path.absolute()
    return Path("/proc") in whole.parents or whole.parent in (Path("/dev"), Path("/dev/fd"))


@contextmanager
def _poured_into(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="emovox-") as folder:
        temporary = Path(folder) / f"part{path.suffix}"
        yield temporary
        with temporary.open("rb") as content, path.open("ab") as out:
            shutil.copyfileobj(content, out)


def _settle(new: Path, old: Path) -> None:
    """Write a file to the disk, with the permissions of the one whose place it takes."""
    # Opened first, since these may forbid it; Windows does not sync what is open for reading.
    with new.open("rb+") as file:
        with suppress(OSError):  # there is no old one, or a disk without permissions
            new.chmod(stat.S_IMODE(old.stat().st_mode))
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Write a folder's list of names to the disk, where the system lets folders be opened."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
