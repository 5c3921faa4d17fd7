"""Prometheus metrics: counts, durations and label frequencies."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .workers import Lane, Workers

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The metrics of one app, in a registry of its own."""

    def __init__(self, workers: Workers) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "emovox_requests", "HTTP requests.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "emovox_request_seconds", "Seconds to answer a request.", ("route",),
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self.live_sessions = Gauge("emovox_live_sessions", "Open live sessions.", registry=registry)
        self.sessions = Counter(
            "emovox_sessions", "Ended live sessions.", ("reason",), registry=registry
        )
        self.audio_seconds = Counter(
            "emovox_audio_seconds", "Seconds of audio received.", ("way",), registry=registry
        )
        self.decisions = Counter(
            "emovox_decisions", "Predictions.", ("way", "label"), registry=registry
        )
        self.decision_seconds = Histogram(
            "emovox_decision_seconds", "Seconds from the last sample to its live result.",
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        queue = Gauge(
            "emovox_queue_depth", "Jobs waiting for a thread.", ("lane",), registry=registry
        )
        lanes: tuple[Lane, ...] = ("live", "upload")
        for lane in lanes:
            queue.labels(lane).set_function(partial(workers.waiting, lane))

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
