"""Scores a whole archive of recordings, on one machine or a cluster, with Dask distributed."""

from .engine import Interrupted
from .job import Request
from .run import score_archive
from .run_summary import RunSummary

__all__ = ["Interrupted", "Request", "RunSummary", "score_archive"]
