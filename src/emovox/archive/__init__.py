"""A whole archive of recordings scored, on one machine or a cluster, through Dask distributed."""

from .engine import Interrupted
from .job import Request
from .plan import PartSize
from .run import score_archive
from .run_summary import RunSummary

__all__ = ["Interrupted", "PartSize", "Request", "RunSummary", "score_archive"]
