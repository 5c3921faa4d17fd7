"""Splits: which clips train, which choose the best epoch, which are tested, by named protocols.

Every protocol makes a promise about what never stands on two sides; `check_fold` holds it to it.
Equal recordings (equal digests) never stand on two sides under any protocol.
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
