"""Downloads, from a real HTTP server on this machine: fetched, checked, unpacked safely."""

import errno
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import soundfile

from emovox.corpora import SPECS, download as module, load_corpus  # isort: skip
from emovox.corpora.download import download, unpack
from emovox.errors import CorpusError, EmovoxError, MissingExtraError

pytest.importorskip("pooch")


def recording(seed: int = 0, n_samples: int = 20_000) -> bytes:
    """Make the bytes of a recording of noise, which no zip makes smaller."""
    noise = np.random.default_rng(seed).uniform(-0.9, 0.9, n_samples)
    memory = io.BytesIO()
    soundfile.write(memory, noise, 16_000, format="WAV")
    return memory.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """Make a zip archive in memory."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return memory.getvalue()


EMODB = zipped({f"wav/03a01{letter}a.wav": recording(n) for n, letter in enumerate("FNWT")})


@dataclass
class Site:
    """What the server serves and how: `cut` bytes of a body at most, then it hangs up."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    says_length: bool = True
    address: str = ""
    requests: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """A small file server that can fail on purpose."""

    site: Site

    def do_GET(self) -> None:
        """Answer with a file."""
        site = self.site
        site.requests.append(self.path)
        body = site.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        if site.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: site.cut])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve EmoDB in small from this machine."""
    site = Site({"/emodb.zip": EMODB})
    handler = type("OwnHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield site
        server.shutdown()
        thread.join()


def yes(_: str) -> bool:
    """Accept any terms."""
    return True


def get(site: Site, folder: Path, name: str = "emodb", path: str = "/emodb.zip") -> Path:
    """Download from the local server."""
    return download(name, folder, url=site.address + path, accept=yes)


def left_behind(folder: Path) -> list[str]:
    """Name what is in the folder beside the corpora."""
    return sorted(path.name for path in folder.iterdir() if path.name not in SPECS)


class TestDownload:
    """The whole way from a server to a loaded corpus."""

    def test_fetch_and_load(self, site: Site, tmp_path: Path) -> None:
        """A corpus is fetched, unpacked into its own folder and can be loaded."""
        folder = get(site, tmp_path / "new" / "place")
        assert folder == tmp_path / "new" / "place" / "emodb"
        assert len(load_corpus("emodb", folder).utterances) == 4
        assert left_behind(folder.parent) == []

    def test_second_call_does_nothing(self, site: Site, tmp_path: Path) -> None:
        """With the corpus in place nothing is asked, of the user or of the server."""
        get(site, tmp_path)
        asked: list[str] = []
        download("emodb", tmp_path, url=site.address, accept=lambda text: bool(asked.append(text)))
        assert not asked
        assert len(site.requests) == 1

    def test_terms_come_first(self, site: Site, tmp_path: Path) -> None:
        """The licence is shown before anything is fetched; refused, nothing is."""
        shown: list[str] = []
        with pytest.raises(CorpusError, match="terms were not accepted, nothing was downloaded"):
            download(
                "ravdess",
                tmp_path / "none",
                url=site.address,
                accept=lambda text: bool(shown.append(text)),
            )
        assert "CC BY-NC-SA 4.0" in shown[0]
        assert "Livingstone" in shown[0]
        assert "208 MB" in shown[0]
        assert not site.requests
        assert not (tmp_path / "none").exists()

    def test_progress(self, site: Site, tmp_path: Path) -> None:
        """Progress is told in bytes and ends at the total."""
        seen: list[tuple[int, int]] = []
        download(
            "emodb",
            tmp_path,
            url=f"{site.address}/emodb.zip",
            accept=yes,
            on_progress=lambda *step: seen.append(step),
        )
        assert seen[-1] == (len(EMODB), len(EMODB))

    def test_archive_in_the_archive(self, site: Site, tmp_path: Path) -> None:
        """A zip within the zip, as some publishers have it, is unpacked too."""
        site.files["/outer.zip"] = zipped({"inner.zip": EMODB, "MANIFEST.TXT": b"x"})
        folder = get(site, tmp_path, path="/outer.zip")
        assert len(load_corpus("emodb", folder).utterances) == 4
        assert not list(folder.rglob("*.zip"))

    def test_without_length(self, site: Site, tmp_path: Path) -> None:
        """A server that does not say how much it sends is fine."""
        site.says_length = False
        assert len(load_corpus("emodb", get(site, tmp_path)).utterances) == 4


class TestInterruption:
    """Transfers that stop half-way."""

    def test_connection_lost(self, site: Site, tmp_path: Path) -> None:
        """A transfer that is cut off leaves nothing behind, and the next call starts anew."""
        site.cut = 50_000
        with pytest.raises(CorpusError, match=r"cannot download http.*50000 bytes read.*again"):
            get(site, tmp_path)
        assert list(tmp_path.iterdir()) == []
        site.cut = None
        assert len(load_corpus("emodb", get(site, tmp_path)).utterances) == 4

    def test_cut_without_length(self, site: Site, tmp_path: Path) -> None:
        """A cut is noticed even if the server did not announce the length."""
        site.cut, site.says_length = 50_000, False
        with pytest.raises(CorpusError, match="the transfer may have been interrupted"):
            get(site, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_ctrl_c(self, site: Site, tmp_path: Path) -> None:
        """An interruption by the user leaves nothing behind."""

        def interrupt(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download(
                "emodb",
                tmp_path,
                url=f"{site.address}/emodb.zip",
                accept=yes,
                on_progress=interrupt,
            )
        assert list(tmp_path.iterdir()) == []


class TestFailures:
    """What goes wrong is said in one line and leaves nothing half-made."""

    def test_wrong_checksum(self, site: Site, tmp_path: Path) -> None:
        """Another archive than the publisher's is refused and deleted."""
        with pytest.raises(CorpusError, match="expected the archive with checksum md5:bc69"):
            get(site, tmp_path, "ravdess")
        assert left_behind(tmp_path) == []
        assert not (tmp_path / "ravdess").exists()

    def test_right_checksum(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the right checksum the archive is taken."""
        checksum = f"md5:{hashlib.md5(EMODB).hexdigest()}"
        source = module.Download(f"{site.address}/emodb.zip", checksum)
        spec = module.CorpusSpec(**{**vars(SPECS["emodb"]), "download": source})
        monkeypatch.setattr(module, "SPECS", MappingProxyType({"emodb": spec}))
        assert download("emodb", tmp_path, accept=yes).is_dir()

    def test_not_found(self, site: Site, tmp_path: Path) -> None:
        """The server's refusal is passed on."""
        with pytest.raises(CorpusError, match=r"no\.zip: the server answered 404"):
            get(site, tmp_path, path="/no.zip")
        assert left_behind(tmp_path) == []

    def test_no_server(self, tmp_path: Path) -> None:
        """A server that is not there is named."""
        with pytest.raises(CorpusError, match=r"download http://127\.0\.0\.1:1/.*refused"):
            download("emodb", tmp_path, url="http://127.0.0.1:1/x.zip", accept=yes)

    def test_web_page_in_place_of_archive(self, site: Site, tmp_path: Path) -> None:
        """A page of text is no archive, and is not kept as one."""
        site.files["/emodb.zip"] = b"<html>please log in</html>"
        with pytest.raises(CorpusError, match=r"expected a zip archive.*web page"):
            get(site, tmp_path)
        assert left_behind(tmp_path) == []
        site.files["/emodb.zip"] = EMODB
        assert get(site, tmp_path).is_dir()

    def test_damaged_archive(self, site: Site, tmp_path: Path) -> None:
        """An archive with a wrong byte is refused."""
        middle = len(EMODB) // 2
        site.files["/emodb.zip"] = EMODB[:middle] + b"\0\1\2\3" + EMODB[middle + 4 :]
        with pytest.raises(CorpusError, match="archive"):
            get(site, tmp_path)
        assert left_behind(tmp_path) == []

    def test_archive_of_something_else(self, site: Site, tmp_path: Path) -> None:
        """An archive without the corpus's recordings is refused."""
        site.files["/emodb.zip"] = zipped({"readme.txt": b"hello"})
        with pytest.raises(CorpusError, match="found no audio file"):
            get(site, tmp_path)
        assert left_behind(tmp_path) == []

    def test_folder_in_the_way(self, site: Site, tmp_path: Path) -> None:
        """A folder with files of the user's own is not touched."""
        (tmp_path / "emodb").mkdir()
        (tmp_path / "emodb" / "mine.txt").write_text("mine")
        with pytest.raises(CorpusError, match="already exists and is not from a download"):
            get(site, tmp_path)
        assert not site.requests

    def test_unwritable_destination(self, site: Site, tmp_path: Path) -> None:
        """A destination that cannot be a folder gives one line."""
        (tmp_path / "file").write_text("x")
        with pytest.raises(CorpusError, match="cannot write to"):
            get(site, tmp_path / "file")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("savee", "registration.*http://kahlan"),
            ("crema-d", "git-lfs.*github"),
            ("emovo", "cannot be downloaded"),
            ("tes", 'unknown corpus "tes"; expected one of tess, ravdess'),
        ],
    )
    def test_not_to_be_had(self, tmp_path: Path, name: str, message: str) -> None:
        """Where a download is not possible, the error says how to get the corpus."""
        with pytest.raises(CorpusError, match=message):
            download(name, tmp_path, accept=yes)

    def test_full_disk(self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk that fills up during the transfer gives one line and is cleared again."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("requests.Response.iter_content", full)
        with pytest.raises(CorpusError, match=r"cannot write to .*: No space left on device"):
            get(site, tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("url", ["http://", "http://[", "http://a b/x.zip"])
    def test_no_address(self, tmp_path: Path, url: str) -> None:
        """A malformed address gives one line."""
        with pytest.raises(CorpusError, match="cannot download"):
            download("emodb", tmp_path, url=url, accept=yes)

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y.zip", "y.zip"])
    def test_only_http(self, tmp_path: Path, url: str) -> None:
        """Addresses other than http and https are refused."""
        with pytest.raises(CorpusError, match="begins with http"):
            download("emodb", tmp_path, url=url, accept=yes)

    def test_without_pooch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without pooch the error says what to install."""
        monkeypatch.setitem(__import__("sys").modules, "pooch", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'emovox\[train\]'"):
            download("emodb", tmp_path, accept=yes)


def save(folder: Path, content: bytes) -> Path:
    """Write an archive to disk."""
    (folder / "x.zip").write_bytes(content)
    return folder / "x.zip"


class TestUnsafeArchives:
    """Archives made to do harm."""

    @pytest.mark.parametrize(
        "name", ["../out.wav", "/out.wav", "a/../../out.wav", "..\\out.wav", "C:\\out.wav"]
    )
    def test_paths_outside(self, tmp_path: Path, name: str) -> None:
        """A name that leads out of the folder ends inside it."""
        unpack(save(tmp_path, zipped({"good.wav": b"x", name: b"x"})), tmp_path / "in")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "x.zip"]
        assert len([path for path in (tmp_path / "in").rglob("*") if path.is_file()]) == 2

    def test_links(self, tmp_path: Path) -> None:
        """A symbolic link in an archive becomes a plain file."""
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as archive:
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc")
        unpack(save(tmp_path, memory.getvalue()), tmp_path / "in")
        assert not (tmp_path / "in" / "link").is_symlink()
        assert (tmp_path / "in" / "link").read_text() == "/etc"

    def test_bomb(self, tmp_path: Path) -> None:
        """An archive that grows a thousandfold is refused before it is unpacked."""
        archive = save(tmp_path, zipped({"zeros.wav": bytes(150_000_000)}))
        with pytest.raises(CorpusError, match="would unpack to 150,000,000"):
            unpack(archive, tmp_path / "in")

    def test_more_than_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An archive larger than the free space is refused before it fills the disk."""
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("", (), {"free": 10}))
        with pytest.raises(EmovoxError, match="not enough disk space"):
            unpack(save(tmp_path, zipped({"a.wav": bytes(100)})), tmp_path / "in")
