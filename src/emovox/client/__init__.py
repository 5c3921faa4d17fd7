"""Clients of the network service: HTTP and live sessions, with asyncio or without."""

from ..errors import ServiceError
from .answers import Gap, Problem, Result, Segments, Speech, TurnResult
from .http import AsyncClient, Client
from .live import AsyncLive, Live, LiveOptions

__all__ = [
    "AsyncClient",
    "AsyncLive",
    "Client",
    "Gap",
    "Live",
    "LiveOptions",
    "Problem",
    "Result",
    "Segments",
    "ServiceError",
    "Speech",
    "TurnResult",
]
