"""What the parts of one app share: the settings, the recogniser, its threads, the figures."""

from dataclasses import dataclass

from ..recognizer import Recognizer
from .metrics import Metrics
from .settings import ServerSettings
from .workers import Workers


@dataclass(frozen=True)
class Service:
    """One model, open for all requests and sessions of an app."""

    settings: ServerSettings
    recognizer: Recognizer
    workers: Workers
    metrics: Metrics
