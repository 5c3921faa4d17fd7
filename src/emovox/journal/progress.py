"""Progress over sessions of practice."""

from dataclasses import replace
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..practice.aims import Aim
from ..practice.exercise import Outcome
from .records import Practised

if TYPE_CHECKING:
    from .store import Journal

_N_SHOWN = 5  # sessions, the latest ones


class Progress:
    """One session of practice in a person's journal, written as it goes; a kill loses no take.

    Nothing is kept before the first take that counts. `is_inferred` says whether a model judges
    the takes as well.

    Raises
    ------
    ConfigError
        If a model is to judge, and the person has agreed to measuring alone.
    """

    def __init__(self, journal: "Journal", aim: Aim, *, is_inferred: bool) -> None:
        if is_inferred and not journal.consent.emotion:
            raise ConfigError(
                f"the consent of {journal.name}'s journal allows no inference of emotion; practise "
                "with --no-emotion, or change it with `emovox journal consent --emotion`"
            )
        now = datetime.now().astimezone()
        self._journal = journal
        self._entry = Practised(now, aim.name, is_inferred)
        self._earlier = self._sessions_before()

    def keep(self, done: Outcome) -> None:
        """Write what the session has come to so far."""
        self._entry = keep(self._journal, self._entry, done)

    def sessions(self) -> list[Practised]:
        """Return the latest sessions of this target, judged in the same way; this one is last."""
        own = [self._entry] if self._entry.id else []
        return [*self._earlier, *own][-_N_SHOWN:]

    def _sessions_before(self) -> list[Practised]:
        is_alike = (self._entry.target, self._entry.is_inferred)
        kept = self._journal.practised()
        return [one for one in kept if (one.target, one.is_inferred) == is_alike]


def keep(journal: "Journal", entry: Practised, done: Outcome) -> Practised:
    """Write what a session has come to so far; nothing before the first take that counts.

    Returns the entry as it is kept, which the next call takes.

    Raises
    ------
    JournalError
        If a model judged it and the person has not agreed to that.
    """
    if not done.n_takes:
        return entry
    so_far = replace(entry, n_takes=done.n_takes, n_untold=done.n_untold, best=done.best)
    return journal.keep_practised(so_far)


def progress_json(sessions: list[Practised]) -> list[dict[str, Any]]:
    """Return sessions as JSON carries them."""
    return [
        {
            "at": one.at.isoformat(timespec="seconds"),
            "n_takes": one.n_takes,
            "best": [round(best, 4) for best in one.best],
            "mean": round(fmean(one.best), 4),
        }
        for one in sessions
    ]


def progress_lines(sessions: list[Practised]) -> list[str]:
    """Return sessions as people read them, the latest last; none where this is the first."""
    if len(sessions) < 2:
        return []
    rows = [f"  {one.at:%Y-%m-%d %H:%M}  {fmean(one.best):4.0%}" for one in sessions]
    return ["your last sessions of this target, the mean of the best takes:", *rows]
