"""What Prometheus is told: counts and durations; of what was said only how often which label."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .workers import Lane, Workers

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The figures of one app, in a registry of its own."""

    def __init__(self, workers: Workers) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "emovox_requests", "HTTP requests.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "emovox_request_seconds", "Time to answer a request.", ("route",),
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self.live_sessions = Gauge(
            "emovox_live_sessions", "Live sessions that are open.", registry=registry
        )
        self.sessions = Counter(
            "emovox_sessions", "Live sessions that have ended.", ("reason",), registry=registry
        )
        self.audio_seconds = Counter(
            "emovox_audio_seconds", "Audio heard.", ("way",), registry=registry
        )
        self.decisions = Counter(
            "emovox_decisions", "Decisions.", ("way", "label"), registry=registry
        )
        self.decision_seconds = Histogram(
            "emovox_decision_seconds", "Last sample of a live decision to its result.",
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        queue = Gauge(
            "emovox_queue_depth", "Jobs that wait for a thread.", ("lane",), registry=registry
        )
        lanes: tuple[Lane, ...] = ("live", "upload")
        for lane in lanes:
            queue.labels(lane).set_function(_depth(workers, lane))

    def text(self) -> bytes:
        """Return the figures as Prometheus reads them."""
        return generate_latest(self._registry)


def _depth(workers: Workers, lane: Lane) -> Callable[[], float]:
    return lambda: float(workers.waiting(lane))
