"""What the parts of one app share: the settings, the recogniser, its threads, the figures."""

from dataclasses import dataclass, replace
from typing import Any

from ..bundle import Bundle, open_bundle
from ..recognizer import Recognizer
from .metrics import Metrics
from .settings import ServerSettings
from .workers import Turn, Workers


@dataclass(frozen=True)
class Service:
    """One model, open for all requests and sessions of an app."""

    settings: ServerSettings
    bundle: Bundle
    recognizer: Recognizer
    workers: Workers
    metrics: Metrics

    def in_turns(self, turn: Turn) -> Recognizer:
        """Return the recogniser, but before each run of its network others may have a turn."""
        session: Any = _InTurns(self.bundle.session, turn)
        return Recognizer(replace(self.bundle, session=session))


class _InTurns:
    """An inference session that asks for its turn."""

    def __init__(self, session: Any, turn: Turn) -> None:
        self._session = session
        self._turn = turn

    def run(self, names: Any, feeds: Any) -> Any:
        self._turn()
        return self._session.run(names, feeds)


def open_service(settings: ServerSettings) -> Service:
    """Open the model and start the threads.

    Raises
    ------
    ModelError
        If the model cannot be opened.
    """
    bundle = open_bundle(settings.model)
    workers = Workers(settings.workers, settings.max_uploads)
    return Service(settings, bundle, Recognizer(bundle), workers, Metrics(workers))
