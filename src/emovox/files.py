"""Files written whole or not at all: to a temporary name first, then renamed."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; after the block it takes the name, or is removed.

    The temporary name keeps the suffix, since libraries choose the format by it.

    Raises
    ------
    OSError
        As the disk has it (no space, no permission); nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".part-{secrets.token_hex(8)}{path.suffix}"
    try:
        temporary.touch(exist_ok=False)  # fails early, and has the permissions of any new file
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Write a text file (UTF-8, newlines as they are) whole or not at all.

    What UTF-8 cannot hold, such as file names in another encoding, is written as ``\\udcff``.
    """
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
