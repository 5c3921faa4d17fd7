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


def open_service(settings: ServerSettings) -> Service:
    """Open the model and start the threads.

    Raises
    ------
    ModelError
        If the model cannot be opened.
    """
    recognizer = Recognizer.load(settings.model)
    workers = Workers(settings.workers, settings.max_uploads)
    return Service(settings, recognizer, workers, Metrics(workers))
