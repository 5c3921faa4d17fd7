"""The network service: HTTP and WebSocket, for other programs and for the page in a browser."""

from .app import create_app
from .settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]
