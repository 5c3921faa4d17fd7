"""Structured logs on stderr, a JSON object per line, without audio, results, names, addresses."""

import contextlib
import faulthandler
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from queue import Full, Queue
from threading import Thread

_MAX_WAITING = 1_000  # lines waiting to be written
_FLUSH_S = 1.0

LOGGER = logging.getLogger("emovox.server")


def log(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log an event with its fields."""
    LOGGER.log(level, event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; an exception adds its type and its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PatientHandler(logging.Handler):
    """Hands lines to a thread that writes them, and drops lines that nobody reads in time.

    A full pipe therefore never blocks the service. Once there is room again, the number of dropped
    lines is logged. `descriptor` is that of an open file.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: Queue[str] = Queue(_MAX_WAITING)
        self._dropped = 0
        Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over, or drop it."""
        try:
            self._lines.put_nowait(self.format(record))
        except Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until all lines have been written, but at most a second."""
        until = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)

    def _write(self) -> None:
        while True:
            self._write_line(self._lines.get())
            dropped, self._dropped = self._dropped, 0
            if dropped:
                record = logging.makeLogRecord(
                    {"msg": "lines_dropped", "levelname": "WARNING", "fields": {"lines": dropped}}
                )
                self._write_line(self.format(record))
            self._lines.task_done()

    def _write_line(self, line: str) -> None:
        left = f"{line}\n".encode(errors="backslashreplace")
        with contextlib.suppress(OSError):  # a full disk: the next line may find room
            while left:
                left = left[os.write(self._descriptor, left) :]


def set_up_logs() -> None:
    """Send the logs of the service and of all libraries to stderr; for a process of its own.

    Output that C libraries write to stderr is discarded: libmpg123 prints notes on every damaged
    MP3 and cannot be told not to; they are not JSON, and clients could fill a disk with them. The
    traceback of a crash is still printed.
    """
    own = os.dup(2)
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    handler = PatientHandler(own)
    handler.setFormatter(JsonLines())
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    LOGGER.setLevel(logging.INFO)
    # uvicorn's own lines of requests hold addresses and query strings
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def flush_logs() -> None:
    """Wait until all lines have been written, but at most a second for each handler."""
    for handler in logging.getLogger().handlers:
        handler.flush()
