"""Download a published corpus: its terms accepted, its archive fetched, checked and unpacked."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import CorpusError, optional
from . import SPECS, load_corpus
from .scan import Progress, absolute
from .utterance import CorpusSpec, Download

STAMP = ".emovox-download"  # marks a folder that was unpacked completely
CHUNK = 1 << 18  # bytes
TIMEOUT = 60.0  # seconds without an answer
MAX_UNPACKED = 50_000_000_000  # bytes
MAX_RATIO = 50  # unpacked to packed; speech shrinks to a half at best
SMALL_BYTES = 100_000_000  # bytes; a smaller archive is accepted at any ratio


def download(
    name: str,
    destination: Path,
    *,
    url: str | None = None,
    accept: Callable[[str], bool],
    on_progress: Progress | None = None,
) -> Path:
    """Fetch a published corpus and unpack it into the folder `destination`/`name`.

    The folder appears when the corpus is complete; an interrupted call leaves nothing behind.
    If the corpus has been downloaded before, nothing happens.

    Parameters
    ----------
    name : str
        A name of `SPECS`.
    destination : Path
        The parent of the corpus's folder; created if it does not exist.
    url : str, optional
        A mirror that holds the publisher's archive.
    accept : callable
        Called once with the corpus's terms, in a few lines; return False to cancel.
    on_progress : callable, optional
        Called with (bytes fetched, total bytes or 0 if the server does not announce them).

    Returns
    -------
    folder : Path
        Ready for `load_corpus(name, folder)`.

    Raises
    ------
    CorpusError
        If the corpus is unknown or cannot be downloaded, its terms are refused, the transfer
        fails, the checksum is wrong, the archive is damaged or belongs to another corpus, or the
        disk is full.
    MissingExtraError
        If pooch is not installed.
    """
    if name not in SPECS:
        raise CorpusError(f'unknown corpus "{name}"; expected one of {", ".join(SPECS)}')
    spec = SPECS[name]
    source = _source(spec, url)
    destination = absolute(name, destination)
    folder = destination / name
    if (folder / STAMP).is_file():
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(
            f"{folder} already exists and is not from a download; choose another folder"
        )
    with optional():
        import pooch
    pooch.get_logger().setLevel("WARNING")  # it would log the file's hash
    if not accept(terms(spec, source)):
        raise CorpusError(f"{name}: the terms were not accepted, nothing was downloaded")
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination, prefix=f".{name}-") as temporary:
            archive = _fetch(source, Path(temporary), on_progress)
            _install(name, archive, folder)
    except OSError as error:
        raise CorpusError(f"cannot write to {destination}: {error.strerror or error}") from None
    return folder


def terms(spec: CorpusSpec, source: Download) -> str:
    """Return the terms that a user accepts by downloading a corpus."""
    size = f", {source.size / 1e6:,.0f} MB" if source.size else ""
    return (
        f"{spec.title}\n"
        f"  terms:  {spec.licence}\n"
        f"  cite:   {spec.citation}\n"
        f"  page:   {spec.homepage}\n"
        f"  source: {source.url}{size}"
    )


def _source(spec: CorpusSpec, url: str | None) -> Download:
    """Choose the address; a mirror must hold the same archive, so its checksum is kept."""
    if url is None and spec.download is None:
        raise CorpusError(f"{spec.name} cannot be downloaded: {spec.by_hand}; see {spec.homepage}")
    source = spec.download or Download("")
    source = source if url is None else replace(source, url=url)
    if not source.url.startswith(("http://", "https://")):
        raise CorpusError(f"expected an address that begins with http:// or https://, got {url}")
    return source


def _fetch(source: Download, folder: Path, on_progress: Progress | None) -> Path:
    """Fetch the archive into a folder and verify its checksum."""
    import pooch
    import requests

    def transfer(url: str, path: str, _pooch: object) -> None:
        headers, done = {"User-Agent": "emovox"}, 0
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length", 0))
            with Path(path).open("wb") as file:
                for chunk in response.iter_content(CHUNK):
                    done += file.write(chunk)
                    if on_progress:
                        on_progress(done, total)

    try:
        archive = pooch.retrieve(
            source.url,
            known_hash=source.checksum or None,
            fname="archive.zip",
            path=folder,
            downloader=transfer,
        )
    except requests.RequestException as error:
        raise CorpusError(
            f"cannot download {source.url}: {_reason(error)}; run the same command again, or try "
            "a mirror"
        ) from None
    except ValueError:  # raised by pooch for another checksum
        raise CorpusError(
            f"{source.url}: expected the archive with checksum {source.checksum}, got another "
            "file; it was deleted. Try again, or another mirror"
        ) from None
    return Path(archive)


def _reason(error: Any) -> str:
    """Return the cause of a failed request without the layers wrapped around it."""
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or next(iter(getattr(cause, "args", ())), cause)
    return str(cause).partition("): ")[2] or str(cause)  # without "HTTPConnection(…): "


def _install(name: str, archive: Path, folder: Path) -> None:
    """Unpack beside the archive, make sure it is the corpus, then move it to its place."""
    unpacked = archive.with_suffix("")
    unpack(archive, unpacked)
    for inner in sorted(unpacked.rglob("*.zip")):
        unpack(inner, inner.with_suffix(""))
        inner.unlink()
    load_corpus(name, unpacked)
    (unpacked / STAMP).touch()
    if folder.is_dir():
        folder.rmdir()
    unpacked.replace(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive of a reasonable size; `zipfile` writes nothing outside the folder.

    Raises
    ------
    CorpusError
        If it is damaged, encrypted, too large or not a zip archive.
    OSError
        If the disk is full or not writable.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            _check_size(archive, sum(member.file_size for member in zipped.infolist()))
            zipped.extractall(folder)
    except zipfile.BadZipFile as error:
        raise CorpusError(
            f"expected a zip archive, got a damaged one or another file ({error}); the "
            "transfer may have been interrupted, or the server sent a web page; try again, or see "
            "the corpus's page"
        ) from None
    except (zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise CorpusError(f"cannot unpack the archive: {error}") from None


def _check_size(archive: Path, size: int) -> None:
    packed = archive.stat().st_size
    if size > MAX_UNPACKED or (size > SMALL_BYTES and size > MAX_RATIO * packed):
        raise CorpusError(f"unsafe archive: {packed:,} bytes would unpack to {size:,}")
    free = shutil.disk_usage(archive.parent).free
    if size > free:
        raise CorpusError(f"not enough disk space: {size:,} bytes needed, {free:,} free")
