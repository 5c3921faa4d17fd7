"""A journal to take away: as JSON lines, or in the formats of others."""

import asyncio
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.responses import Response, StreamingResponse

from ...journal.export import export
from ...journal.export.lines import lines_of
from ...journal.store import Journal
from ..refusals import RefusedError
from .access import Reach
from .asking import RESPONSES, Reached, in_journal

Kind = Literal["jsonl", "fhir", "csv", "parquet", "textgrid", "eaf", "bids"]
_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of ours in it): never on a disk
_PARTS = 64  # lines that are sent at a time
_BINARY = "application/octet-stream"
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {_BINARY: {}}}}


def add_export(app: FastAPI) -> None:
    """Add the route of exports."""

    @app.get(
        "/v1/journal/{person}/export", response_class=Response, tags=["journal"],
        responses=RESPONSES | _FILE,
    )  # fmt: skip
    async def give(
        reach: Reached, kind: Annotated[Kind, Query(alias="format")] = "jsonl"
    ) -> Response:
        """Return all entries; the formats with several files as one zip archive."""
        kinds = {"jsonl": "jsonl", "fhir": "json"}
        name = f"journal-{datetime.now().astimezone():%Y-%m-%d}-{kind}.{kinds.get(kind, 'zip')}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if kind == "jsonl":
            await in_journal(reach, lambda journal: None)  # refused before the answer begins
            return StreamingResponse(_lines(reach), 200, headers, _BINARY)
        content = await in_journal(reach, lambda journal: _exported(journal, kind))
        return Response(content, 200, headers, _BINARY)


def _exported(journal: Journal, kind: str) -> bytes:
    """Return an export, its files written in memory where the system has a folder for that."""
    place = _MEMORY if _MEMORY.is_dir() else None
    try:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            out = Path(folder) / "journal"
            export(journal, kind, out)
            return out.read_bytes() if out.is_file() else _zipped(out)
    except OSError as error:
        raise RefusedError(409, "journal", f"the export failed: {error.strerror}") from None


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return content.getvalue()


async def _lines(reach: Reach) -> AsyncIterator[bytes]:
    """Yield a journal as JSON lines, read in one thread, since its file belongs to that."""
    loop, parts = asyncio.get_running_loop(), _parts(reach)
    with ThreadPoolExecutor(1, "export") as thread:
        try:
            while part := await loop.run_in_executor(thread, next, parts, b""):
                yield part
        finally:
            await loop.run_in_executor(thread, parts.close)


def _parts(reach: Reach) -> Generator[bytes, None, None]:
    with reach.journal() as journal:
        lines = lines_of(journal)
        while part := "".join(islice(lines, _PARTS)):
            yield part.encode()
