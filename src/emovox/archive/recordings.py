"""One recording on a worker: fetched if it is a URL, and judged; an error becomes a text."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from ..errors import AudioError, EmovoxError
from .source import is_url

Judged = TypeVar("Judged")

_BLOCK = 1 << 20
_OPEN_FILES = Path("/proc/self/fd")  # each can be reopened here, with its own position


@dataclass(frozen=True)
class Failure:
    """Why a recording has no answer.

    `kind` is one of `AUDIO_KINDS`, "time limit" or "worker died"; `reason` is one line without the
    file's name, which stands in the row: the path may be a worker's own.
    """

    kind: str
    reason: str


@contextmanager
def local_file(path: bytes) -> Iterator[Path]:
    """Give a recording as a local file; for a URL, as a temporary copy.

    On Linux the copy has no name in any folder, so that it is gone with this process, however that
    ends.

    Raises
    ------
    AudioError
        If it cannot be fetched.
    """
    if not path:
        raise AudioError("no such file: its name is empty", "missing")
    if not is_url(path):
        yield Path(os.fsdecode(path))
        return
    with _unnamed_file() as (copy, file):
        _fetch(path.decode(), copy)
        yield file


@contextmanager
def _unnamed_file() -> Iterator[tuple[IO[bytes], Path]]:
    """Give an open file that is gone when it is closed, and a path to open it again."""
    if _OPEN_FILES.is_dir():
        with tempfile.TemporaryFile() as file:
            yield file, _OPEN_FILES / str(file.fileno())
        return
    with tempfile.TemporaryDirectory(prefix="emovox-") as folder:
        path = Path(folder) / "recording"
        with path.open("wb") as file:
            yield file, path


def _fetch(url: str, copy: IO[bytes]) -> None:
    import fsspec

    try:
        with fsspec.open(url, "rb") as remote:
            while block := remote.read(_BLOCK):
                copy.write(block)
        copy.flush()
    except FileNotFoundError:
        raise AudioError("no such file", "missing") from None
    except Exception as error:  # noqa: BLE001 (every kind of storage has its own errors)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AudioError(f"cannot fetch it: {reason[:200]}", "not fetched") from None


def tried(path: bytes, judge: Callable[[Path], Judged]) -> Judged | Failure:
    """Judge a recording; return the judgement, or why there is none."""
    try:
        with local_file(path) as file:
            return judge(file)
    except AudioError as error:
        return Failure(error.kind, error.reason)
    except EmovoxError as error:
        return Failure("other", str(error))
    except MemoryError:
        return Failure("other", "does not fit into the worker's memory")
    except OSError as error:
        return Failure("other", f"cannot be read: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 (any error costs this recording alone)
        reason = f"unexpected {type(error).__name__}: {error}".partition("\n")[0]
        return Failure("other", reason)
