"""The network service: HTTP and WebSocket, for programs and for the page in the browser."""

from .app import create_app
from .settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]
