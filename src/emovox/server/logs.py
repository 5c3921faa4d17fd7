"""Structured logs: a JSON object a line, on stderr; no audio, results, file names, addresses."""

import json
import logging
import os
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("emovox.server")


def log(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log an event with its fields."""
    LOGGER.log(level, event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A record as one line of JSON; an exception becomes its kind and where it was raised."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logs() -> None:
    """Send the logs of the service and of its web server to stderr; for a process of its own.

    What libraries in C write there is left out: libmpg123 has notes on every damaged MP3, which are
    no JSON and could be made to fill a disk.
    """
    own = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = own
    handler = logging.StreamHandler(own)
    handler.setFormatter(JsonLines())
    handler.addFilter(_is_news)
    # uvicorn's own lines of requests hold addresses and query strings
    for name, level in (("emovox.server", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of each WebSocket that was refused as HTTP provides for."""
    return not record.getMessage().startswith("ASGI callable returned without completing handshake")
