"""Two sessions of a person side by side, and whether they differ more than sessions usually do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import JournalError
from .records import Session
from .trend import Intervals, Measured, Pairs, names_of, usual_of


@dataclass(frozen=True)
class Difference:
    """One measure in two sessions; None where one has none.

    `margin` is how far two sessions of this person lie apart by chance in 95 of 100 cases; None
    where the journal has too few sessions to tell.
    """

    before: float | None
    after: float | None
    margin: float | None

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the difference is larger than the margin."""
        if self.before is None or self.after is None or self.margin is None:
            return False
        return abs(self.after - self.before) > self.margin > 0


@dataclass(frozen=True)
class Comparison:
    """Two sessions; `apart` says why a difference may come from how they were recorded.

    `too_little` names those that hold less than 60 s of speech.
    """

    before: Session
    after: Session
    differences: Mapping[str, Difference]
    apart: tuple[str, ...]
    too_little: tuple[int, ...]


def compare(pairs: Pairs, before: int, after: int) -> Comparison:
    """Compare two sessions of a journal.

    Parameters
    ----------
    pairs : sequence of (Session, Totals)
        All sessions of the journal, as `Journal.sessions_with_totals` returns them.
    before, after : int
        Their numbers.

    Raises
    ------
    JournalError
        If there is no such session.
    """
    measured = [Measured.of(*pair) for pair in pairs]
    one, other = _found(measured, before), _found(measured, after)
    like = usual_of([one])
    names = names_of([one, other])
    intervals = Intervals.of([each for each in measured if each.is_enough], like, names)
    differences = {
        name: Difference(
            one.values.get(name),
            other.values.get(name),
            intervals.half(name, 1, 1) if like.alike([other], name) else None,
        )
        for name in names
    }
    too_little = tuple(each.session.id for each in (one, other) if not each.is_enough)
    apart = like.apart(other.session)
    return Comparison(one.session, other.session, differences, apart, too_little)


def _found(measured: Sequence[Measured], number: int) -> Measured:
    for one in measured:
        if one.session.id == number:
            return one
    raise JournalError(f"the journal has no session {number}; `list` shows them")
