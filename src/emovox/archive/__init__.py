"""A whole archive of recordings scored, on one machine or a cluster, through Dask distributed."""

from .engine import Interrupted
from .job import Request
from .plan import PartSize
from .run import score_archive
from .summary import Summary

__all__ = ["Interrupted", "PartSize", "Request", "Summary", "score_archive"]
