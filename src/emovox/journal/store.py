"""A person's journal: entries added, read and forgotten."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..errors import JournalError
from . import rows
from .database import Database, Passphrase
from .records import CheckIn, Consent, Practised, Segment, Session
from .totals import Totals, totals_of
from .vault import Key

if TYPE_CHECKING:
    from ..baseline import Baseline


class Entries(NamedTuple):
    """Numbers of a journal's entries, by their kind."""

    sessions: Sequence[int] = ()
    check_ins: Sequence[int] = ()
    practised: Sequence[int] = ()

    @property
    def n_all(self) -> int:
        """How many there are."""
        return sum(map(len, self))


class Journal:
    """A person's journal, open; `create` makes one and `open` opens one.

    Every entry is on the disk when its method returns. Several processes may have a journal open;
    an object belongs to one thread.
    """

    def __init__(self, file: Database) -> None:
        self.path = file.path
        self._file = file

    @classmethod
    def create(
        cls, path: Path, name: str, consent: Consent, *, passphrase: str | None = None
    ) -> Self:
        """Make the journal of a person who consents.

        Parameters
        ----------
        path : Path
            A new file, which its owner alone may read.
        name : str
            Of the person.
        consent : Consent
        passphrase : str, optional
            Seals every entry; without it nobody can read them again.

        Raises
        ------
        JournalError
            If the file exists or cannot be written, or an argument is unusable.
        """
        if not name.strip():
            raise JournalError("expected the person's name, got an empty one")
        with Database.made(path, passphrase) as file:
            file.insert("person", rows.person_row(name, consent.at), id=1)
            file.insert("consent", rows.consent_row(consent))
        return cls(file)

    @classmethod
    def open(cls, path: Path, *, passphrase: Passphrase = None) -> Self:
        """Open a journal.

        Parameters
        ----------
        path : Path
        passphrase : str, callable or Key, optional
            The passphrase, or what asks for it, which is called only where the journal has one;
            or the `key` of this journal when it was open before.

        Raises
        ------
        JournalError
            If it is missing, damaged or no journal, or has another passphrase.
        """
        return cls(Database.opened(path, passphrase))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def key(self) -> Key:
        """What opens this journal again without its passphrase, in another thread or later."""
        return self._file.key

    # The person

    @property
    def name(self) -> str:
        """The person's name."""
        return self._person[0]

    @property
    def created(self) -> datetime:
        """When the journal was begun."""
        return self._person[1]

    @property
    def _person(self) -> tuple[str, datetime]:
        ((_, row),) = self._file.rows("person")
        return rows.person_of(row)

    @property
    def is_locked(self) -> bool:
        """Whether the journal has a passphrase."""
        return self._file.is_sealed

    def consents(self) -> list[Consent]:
        """Return what the person agreed to, the latest last."""
        return [rows.consent_of(row) for _, row in self._file.rows("consent")]

    @property
    def consent(self) -> Consent:
        """What the person agreed to last."""
        return self.consents()[-1]

    def agree(self, consent: Consent) -> None:
        """Keep another consent, which counts from now on; sound goes where it is withdrawn."""
        with self._file.writing():
            self._file.insert("consent", rows.consent_row(consent))
            if not consent.sound:
                self._file.run("DELETE FROM sound")
            if not consent.emotion:
                self._file.run("DELETE FROM baseline")
        self._file.settle()

    # Sessions

    def begin(self, session: Session) -> Session:
        """Add a session that has no segments yet; return it with its number.

        Raises
        ------
        JournalError
            If it was inferred with a model and the person has not agreed to that.
        """
        self._check_inference(session.model is not None)
        with self._file.writing():
            number = self._file.insert("session", rows.session_row(session))
        return replace(session, id=number)

    def keep(
        self,
        session: Session,
        n: int,
        segment: Segment,
        *,
        flac: bytes | None = None,
        baseline: "Baseline | None" = None,
    ) -> None:
        """Add the n-th segment of a session, counted from 0, with what was learned from it.

        Parameters
        ----------
        session : Session
            As `begin` returned it.
        n : int
        segment : Segment
        flac : bytes, optional
            The segment's sound, as a FLAC file; kept only where the person agreed to that.
        baseline : Baseline, optional
            The person's, after this segment.

        Raises
        ------
        JournalError
            If another process has added it, or the person has not agreed to inference.
        """
        consent = self.consent
        self._check_inference(segment.inferred is not None or baseline is not None, consent)
        with self._file.writing():
            self._file.insert("segment", rows.segment_row(segment), session_id=session.id, n=n)
            if flac is not None and consent.sound:
                self._file.insert_sound(session.id, n, flac)
            if baseline is not None:
                self._put_baseline(baseline)

    def finish(self, session: Session) -> Session:
        """Write the facts of a session that is over, with the totals of its segments."""
        session = replace(session, is_whole=True)
        self._update_session(session, totals_of(self.segments(session.id)))
        return session

    def annotate(self, number: int, note: str, tags: Sequence[str]) -> None:
        """Replace the note and the tags of a session."""
        session = replace(self.session(number), note=note, tags=tuple(tags))
        self._update_session(session, self.totals(number))

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order of their time."""
        found = [rows.session_of(number, row) for number, row in self._file.rows("session")]
        return sorted(found, key=lambda session: session.began)

    def session(self, number: int) -> Session:
        """Return a session by its number.

        Raises
        ------
        JournalError
            If there is none.
        """
        return rows.session_of(number, self._session_row(number))

    def segments(self, number: int) -> Iterator[Segment]:
        """Yield the segments of a session, in the order spoken."""
        yield from map(rows.segment_of, self._file.segments(number))

    def totals(self, number: int) -> Totals:
        """Return what the segments of a session come to, also of one that was cut short."""
        return self._totals_of(number, self._session_row(number))

    def sessions_with_totals(self) -> list[tuple[Session, Totals]]:
        """Return all sessions with what their segments come to, in the order of their time."""
        found = [
            (rows.session_of(number, row), self._totals_of(number, row))
            for number, row in self._file.rows("session")
        ]
        return sorted(found, key=lambda pair: pair[0].began)

    def sounds(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield the FLAC files of a session's segments, each with the segment's place."""
        return self._file.sounds(number)

    def sound_places(self, number: int) -> list[int]:
        """Return the places of the segments of a session whose sound is kept, counted from 0."""
        return self._file.sound_places(number)

    def sound(self, number: int, n: int) -> bytes | None:
        """Return the FLAC file of a session's n-th segment, None where it is not kept."""
        return self._file.sound(number, n)

    # What the person says

    def check_in(self, check_in: CheckIn) -> CheckIn:
        """Add what the person says of their own mood; return it with its number."""
        with self._file.writing():
            number = self._file.insert("checkin", rows.checkin_row(check_in))
        return replace(check_in, id=number)

    def check_ins(self) -> list[CheckIn]:
        """Return all check-ins, in the order of their time."""
        found = [rows.checkin_of(number, row) for number, row in self._file.rows("checkin")]
        return sorted(found, key=lambda check_in: check_in.at)

    # Practice

    def keep_practised(self, practised: Practised) -> Practised:
        """Add a session of practice, or replace it if it has a number; return it with that.

        Raises
        ------
        JournalError
            If a model judged it and the person has not agreed to that.
        """
        self._check_inference(practised.is_inferred)
        row = rows.practice_row(practised)
        with self._file.writing():
            if practised.id:  # where it was forgotten meanwhile, it stays so
                self._file.seal("practice", practised.id, row)
                return practised
            return replace(practised, id=self._file.insert("practice", row))

    def practised(self) -> list[Practised]:
        """Return all sessions of practice, in the order of their time."""
        found = [rows.practice_of(number, row) for number, row in self._file.rows("practice")]
        return sorted(found, key=lambda practised: practised.at)

    # The person's usual voice

    def baseline(self, fingerprint: str) -> "Baseline | None":
        """Return the person's baseline for a model, None if it has learned nothing for that."""
        from ..baseline import Baseline

        for _, row in self._file.rows("baseline"):
            baseline = Baseline.from_json(row["body"])
            return baseline if baseline.model == fingerprint else None
        return None

    # Forgetting

    def forget_session(self, number: int) -> None:
        """Delete a session with its segments and sound; only that something went is kept.

        Raises
        ------
        JournalError
            If there is none of this number.
        """
        self._session_row(number)
        self._forget(Entries([number]))

    def forget_check_in(self, number: int) -> None:
        """Delete a check-in.

        Raises
        ------
        JournalError
            If there is none of this number.
        """
        if number not in (check_in.id for check_in in self.check_ins()):
            raise JournalError(f"the journal has no check-in {number}")
        self._forget(Entries([], [number]))

    def forget_practised(self, number: int) -> None:
        """Delete a session of practice.

        Raises
        ------
        JournalError
            If there is none of this number.
        """
        if number not in (practised.id for practised in self.practised()):
            raise JournalError(f"the journal has no session of practice {number}")
        self._forget(Entries([], [], [number]))

    def due(self, now: datetime) -> "Entries":
        """Return the numbers of the entries that are older than the retention."""
        days = self.consent.retention_days
        if days is None:
            return Entries()
        until = now - timedelta(days=days)
        return Entries(
            [session.id for session in self.sessions() if session.began < until],
            [check_in.id for check_in in self.check_ins() if check_in.at < until],
            [practised.id for practised in self.practised() if practised.at < until],
        )

    def purge(self, now: datetime) -> "Entries":
        """Delete what is older than the retention; return the numbers of what was deleted."""
        due = self.due(now)
        if due.n_all:
            self._forget(due)
        return due

    def forgotten(self) -> list[tuple[datetime, int]]:
        """Return when something was deleted, and how many entries."""
        return [rows.forgotten_of(row) for _, row in self._file.rows("forgotten")]

    def erase(self) -> None:
        """Delete the journal: first the key of its passphrase, then all of its files.

        Raises
        ------
        JournalError
            If another program has the journal open; it is then as it was.
        """
        self._file.erase()

    # The passphrase

    def lock(self, passphrase: str, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Seal every entry with a new key, which the passphrase opens.

        All of it is one transaction: after a kill the journal is as before. The free pages are
        then removed, so that no entry is left readable in the file.
        """
        self._file.rewrite(passphrase, on_progress)

    def unlock(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Write every entry as it is, and forget the passphrase; see `lock`."""
        self._file.rewrite(None, on_progress)

    # Rows

    def rows(self, table: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the rows of a table as they are kept, revealed, each with its number."""
        return self._file.rows(table)

    def _check_inference(self, is_inferred: bool, consent: Consent | None = None) -> None:
        if is_inferred and not (consent or self.consent).emotion:
            raise JournalError(f"{self.path}: the person has not agreed to inferring emotion")

    def _forget(self, entries: "Entries") -> None:
        now = datetime.now().astimezone()
        with self._file.writing():
            for number in entries.sessions:
                self._file.run("DELETE FROM session WHERE id = ?", (number,))
            for number in entries.check_ins:
                self._file.run("DELETE FROM checkin WHERE id = ?", (number,))
            for number in entries.practised:
                self._file.run("DELETE FROM practice WHERE id = ?", (number,))
            self._file.insert("forgotten", rows.forgotten_row(now, entries.n_all))
        self._file.settle()

    def _update_session(self, session: Session, totals: Totals) -> None:
        row = {**rows.session_row(session), "totals": totals.to_json()}
        with self._file.writing():
            self._file.seal("session", session.id, row)

    def _session_row(self, number: int) -> Mapping[str, Any]:
        row = self._file.row("session", number)
        if row is None:
            raise JournalError(f"the journal has no session {number}; `list` shows them")
        return row

    def _totals_of(self, number: int, row: Mapping[str, Any]) -> Totals:
        return Totals.of_json(row["totals"]) if row["totals"] else totals_of(self.segments(number))

    def _put_baseline(self, baseline: "Baseline") -> None:
        self._file.run("DELETE FROM baseline")
        self._file.insert("baseline", {"body": baseline.to_json()}, id=1)
