"""Splits: clips for training, validation and test, divided by named protocols.

Every protocol promises to keep something on one side, such as a speaker; `check_fold` verifies it.
Under any protocol, equal recordings (equal digests) stay on one side.
"""

from .fold import OTHER_SPEAKERS, PARTS, PROTOCOLS, SAME_SPEAKERS, Fold, check_fold
from .protocols import make_folds
from .tables import count_changes, read_groups, read_split, write_split

__all__ = [
    "OTHER_SPEAKERS",
    "PARTS",
    "PROTOCOLS",
    "SAME_SPEAKERS",
    "Fold",
    "check_fold",
    "count_changes",
    "make_folds",
    "read_groups",
    "read_split",
    "write_split",
]
