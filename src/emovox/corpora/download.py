"""Download a published corpus: resumable, checked, unpacked safely, its terms accepted first."""

import http.client
import shutil
import stat
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType

from ..errors import CorpusError, MissingExtraError
from . import SPECS, load_corpus
from .scan import Progress, absolute
from .utterance import CorpusSpec, Download

STAMP = ".emovox-download"  # a folder that holds this file was unpacked whole
CHUNK = 1 << 18  # bytes
TIMEOUT = 60.0  # seconds without any answer
MAX_UNPACKED = 50_000_000_000  # bytes
MAX_RATIO = 50  # unpacked to packed; speech shrinks to a half at best
SMALL = 100_000_000  # bytes; an archive that unpacks to less is no bomb, whatever its ratio


def download(
    name: str,
    destination: Path,
    *,
    url: str | None = None,
    accept: Callable[[str], bool],
    on_progress: Progress | None = None,
) -> Path:
    """Fetch a published corpus and unpack it into the folder `destination`/`name`.

    What an interrupted call has fetched is kept, and the next call goes on from there. A call
    that finds the corpus in place does nothing.

    Parameters
    ----------
    name : str
        A name of `SPECS`.
    destination : Path
        The folder below which the corpus gets its own; made if it is not there.
    url : str, optional
        A mirror that holds the publisher's archive.
    accept : callable
        Called once with the corpus's terms, in a few lines; False: nothing is downloaded.
    on_progress : callable, optional
        Called with (bytes fetched, bytes in all, 0 if the server does not say).

    Returns
    -------
    folder : Path
        To be loaded with `load_corpus(name, folder)`.

    Raises
    ------
    CorpusError
        If the corpus is unknown or not to be had by download, its terms are refused, the transfer
        fails, the checksum is wrong, or the archive is damaged, unsafe or another one.
    MissingExtraError
        If pooch is not installed.
    """
    spec = _spec(name)
    source = _source(spec, url)
    destination = absolute(name, destination)
    folder = destination / name
    if (folder / STAMP).is_file():
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"{folder} is there already, not from a download; choose another folder")
    pooch = _import_pooch()
    if not accept(terms(spec, source)):
        raise CorpusError(f"{name}: the terms were not accepted, nothing was downloaded")
    try:
        destination.mkdir(parents=True, exist_ok=True)
        archive = destination / f".{name}.zip"
        _fetch(pooch, source, archive, on_progress)
        _install(name, archive, folder)
    except OSError as error:
        raise CorpusError(f"cannot write to {destination}: {error.strerror or error}") from None
    return folder


def terms(spec: CorpusSpec, source: Download) -> str:
    """Say what a user accepts by downloading a corpus."""
    size = f", {source.size / 1e6:,.0f} MB" if source.size else ""
    return (
        f"{spec.title}\n"
        f"  terms:  {spec.licence}\n"
        f"  cite:   {spec.citation}\n"
        f"  page:   {spec.homepage}\n"
        f"  source: {source.url}{size}"
    )


def _spec(name: str) -> CorpusSpec:
    if name not in SPECS:
        raise CorpusError(f'unknown corpus "{name}"; expected one of {", ".join(SPECS)}')
    return SPECS[name]


def _source(spec: CorpusSpec, url: str | None) -> Download:
    """Choose where to fetch from; a mirror must hold the same archive, so its checksum stays."""
    known = spec.download
    if url is None and known is None:
        raise CorpusError(f"{spec.name} cannot be downloaded: {spec.by_hand}; see {spec.homepage}")
    if url is not None:
        known = Download(url, known.checksum, known.size) if known else Download(url)
    assert known is not None  # one of the two is given
    if urllib.parse.urlsplit(known.url).scheme not in ("http", "https"):
        raise CorpusError(f"expected an address that begins with http:// or https://, got {url}")
    return known


def _import_pooch() -> ModuleType:
    try:
        import pooch
    except ImportError:
        raise MissingExtraError(
            "downloading a corpus needs pooch; install it with: pip install 'emovox[train]'"
        ) from None
    module: ModuleType = pooch
    return module


# ---- transfer


def _fetch(
    pooch: ModuleType, source: Download, archive: Path, on_progress: Progress | None
) -> None:
    """Have pooch fetch and check the archive, unless it is already there."""
    pooch.get_logger().setLevel("WARNING")  # the terms and a bar say it all

    def downloader(url: str, output: str, _: object, check_only: bool = False) -> None:
        part = archive.with_suffix(".part")
        _transfer(url, part, bool(source.checksum), on_progress)
        part.replace(output)

    try:
        pooch.retrieve(
            source.url,
            known_hash=source.checksum or None,
            fname=archive.name,
            path=archive.parent,
            downloader=downloader,
        )
    except ValueError:  # pooch's way to say that the checksum is another
        raise CorpusError(
            f"{source.url}: expected the archive with checksum {source.checksum}, got another "
            "file; it was deleted. Try again, or another mirror"
        ) from None


def _transfer(url: str, part: Path, checked: bool, on_progress: Progress | None) -> None:
    """Fetch `url` into `part`, going on where an earlier transfer stopped.

    The server's mark of the file's version (ETag or date) is kept beside the part: with it the
    server sends the rest only if the file is still the same. Without a mark the rest is asked for
    only if a checksum will tell (`checked`).
    """
    note = part.with_suffix(".version")
    done, mark = _resume_point(url, part, note, checked)
    with _open(url, done, mark) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else 0
        note.write_text(f"{url}\n{_mark(response.headers)}", encoding="utf-8")
        with part.open("ab" if done else "wb") as file:
            for chunk in _chunks(response, url):
                file.write(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(done, total)
    if done < total:
        raise _interrupted(url, f"after {done:,} of {total:,} bytes")
    note.unlink(missing_ok=True)


def _resume_point(url: str, part: Path, note: Path, checked: bool) -> tuple[int, str]:
    if not part.is_file() or not note.is_file():
        return 0, ""
    noted_url, _, mark = note.read_text(encoding="utf-8").partition("\n")
    if noted_url != url or not (mark or checked):
        return 0, ""
    return part.stat().st_size, mark


def _mark(headers: http.client.HTTPMessage) -> str:
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag


def _open(url: str, start: int, mark: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "emovox"})  # noqa: S310 - http(s)
    if start:
        request.add_header("Range", f"bytes={start}-")
        if mark:
            request.add_header("If-Range", mark)
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(  # noqa: S310 - http(s) only
            request, timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(url, 0, "")
        raise CorpusError(f"{url}: the server answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise CorpusError(f"cannot reach {url}: {error.reason}") from None
    except (http.client.HTTPException, OSError) as error:
        raise _interrupted(url, f"({error})") from None
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and not response.headers.get(
        "Content-Range", ""
    ).startswith(f"bytes {start}-"):
        response.close()
        return _open(url, 0, "")
    return response


def _chunks(response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _interrupted(url, f"({error})") from None
        if not chunk:
            return
        yield chunk


def _interrupted(url: str, when: str) -> CorpusError:
    return CorpusError(f"{url}: the transfer stopped {when}; run the same command again")


# ---- unpacking


def _install(name: str, archive: Path, folder: Path) -> None:
    """Unpack beside the final place, see that it is the corpus, then move it there in one step."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}-"))
    try:
        unpack(archive, temporary)
        for inner in sorted(temporary.rglob("*.zip")):
            unpack(inner, inner.with_suffix(""))
            inner.unlink()
        load_corpus(name, temporary)
        (temporary / STAMP).touch()
        temporary.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        temporary.replace(folder)
    except CorpusError:
        archive.unlink()  # useless as it is: the next call fetches it again
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive; refuse one that would write elsewhere or without bounds.

    Raises
    ------
    CorpusError
        If it is no zip archive, damaged, encrypted or unsafe.
    OSError
        If the disk is full or not writable.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            _check_members(archive, zipped.infolist())
            zipped.extractall(folder)
    except zipfile.BadZipFile as error:
        raise CorpusError(
            f"expected a zip archive, got a damaged one or another file ({error}); the transfer "
            "may have been cut, or a web page sent; try again or see the corpus's page"
        ) from None
    except (zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise CorpusError(f"cannot unpack the archive: {error}") from None


def _check_members(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or ":" in member.filename
        if outside or stat.S_ISLNK(member.external_attr >> 16):
            raise CorpusError(f'unsafe archive: it would write to "{member.filename}"')
    size = sum(member.file_size for member in members)
    packed = archive.stat().st_size
    if size > MAX_UNPACKED or (size > SMALL and size > MAX_RATIO * packed):
        raise CorpusError(f"unsafe archive: {packed:,} bytes would unpack to {size:,}")
    free = shutil.disk_usage(archive.parent).free
    if size > free:
        raise CorpusError(f"not enough disk space: {size:,} bytes needed, {free:,} free")
