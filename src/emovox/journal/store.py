"""A journal's file: one SQLite database a person, which a kill or a full disk leaves intact."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from ..errors import JournalError
from ..files import make_folder
from . import rows
from .records import CheckIn, Consent, Segment, Session
from .schema import COLUMNS, check, migrate
from .totals import Totals, totals_of
from .vault import Lock, Open, Vault, new_lock, opened

if TYPE_CHECKING:
    from ..baseline import Baseline

_WAIT_S = 10.0  # for another process that writes
_FULL = ("full", "disk I/O", "too large")  # in SQLite's words for a disk without room
_SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a segment outlives a power cut, too
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten with zeros
    "temp_store = MEMORY",
    "trusted_schema = OFF",
)
_SIDE_FILES = ("", "-wal", "-shm", "-journal")  # what SQLite puts beside a database


class Journal:
    """A person's journal, open; `create` makes one and `open` opens one.

    Every entry is on the disk when its method returns. Several processes may have a journal open;
    an object belongs to one thread.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, vault: Open) -> None:
        self.path = path
        self._connection, self._vault = connection, vault

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
        lock, vault = new_lock(passphrase) if passphrase is not None else (None, Open())
        _create_file(path)
        try:
            journal = cls(path, _connected(path, is_new=True), vault)
            with journal._writing():
                if lock:
                    journal._keep_lock(lock)
                journal._insert("person", rows.person_row(name, consent.at), id=1)
                journal._insert("consent", rows.consent_row(consent))
        except BaseException:
            _remove(path)
            raise
        return journal

    @classmethod
    def open(cls, path: Path, *, passphrase: str | Callable[[], str] | None = None) -> Self:
        """Open a journal.

        Parameters
        ----------
        path : Path
        passphrase : str or callable, optional
            The passphrase, or what asks for it; it is called only where the journal has one.

        Raises
        ------
        JournalError
            If it is missing, damaged or no journal, or has another passphrase.
        """
        if not path.is_file():
            raise JournalError(f"{path}: no such journal; `emovox journal new` makes one")
        connection = _connected(path)
        try:
            vault = _vault_of(path, connection, passphrase)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, vault)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The person

    @property
    def name(self) -> str:
        """The person's name."""
        ((_, row),) = self._rows("person")
        return str(row["name"])

    @property
    def created(self) -> datetime:
        """When the journal was begun."""
        ((_, row),) = self._rows("person")
        return datetime.fromisoformat(row["created"])

    @property
    def is_locked(self) -> bool:
        """Whether the journal has a passphrase."""
        return isinstance(self._vault, Vault)

    def consents(self) -> list[Consent]:
        """Return what the person agreed to, the latest last."""
        return [rows.consent_of(row) for _, row in self._rows("consent")]

    @property
    def consent(self) -> Consent:
        """What the person agreed to last."""
        return self.consents()[-1]

    def agree(self, consent: Consent) -> None:
        """Keep another consent, which counts from now on; sound goes where it is withdrawn."""
        with self._writing():
            self._insert("consent", rows.consent_row(consent))
            if not consent.sound:
                self._run("DELETE FROM sound")
            if not consent.emotion:
                self._run("DELETE FROM baseline")
        self._settle()

    # Sessions

    def begin(self, session: Session) -> Session:
        """Add a session that has no segments yet; return it with its number.

        Raises
        ------
        JournalError
            If it was inferred with a model and the person has not agreed to that.
        """
        self._check_inference(session.model is not None)
        with self._writing():
            number = self._insert("session", rows.session_row(session))
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
        with self._writing():
            self._insert("segment", rows.segment_row(segment), session_id=session.id, n=n)
            if flac is not None and consent.sound:
                self._insert_sound(session.id, n, flac)
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
        found = [rows.session_of(number, row) for number, row in self._rows("session")]
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
        for row in self._read(
            "SELECT * FROM segment WHERE session_id = ? ORDER BY n", (number,)
        ):  # fmt: skip
            yield rows.segment_of(self._vault.reveal("segment", row))

    def totals(self, number: int) -> Totals:
        """Return what the segments of a session come to, also of one that was cut short."""
        return self._totals_of(number, self._session_row(number))

    def sessions_with_totals(self) -> list[tuple[Session, Totals]]:
        """Return all sessions with what their segments come to, in the order of their time."""
        found = [
            (rows.session_of(number, row), self._totals_of(number, row))
            for number, row in self._rows("session")
        ]
        return sorted(found, key=lambda pair: pair[0].began)

    def sounds(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield the FLAC files of a session's segments, each with the segment's place."""
        query = "SELECT n, flac FROM sound WHERE session_id = ? ORDER BY n"
        for row in self._read(query, (number,)):
            yield row["n"], self._vault.reveal_bytes(row["flac"])

    # What the person says

    def check_in(self, check_in: CheckIn) -> CheckIn:
        """Add what the person says of their own mood; return it with its number."""
        with self._writing():
            number = self._insert("checkin", rows.checkin_row(check_in))
        return replace(check_in, id=number)

    def check_ins(self) -> list[CheckIn]:
        """Return all check-ins, in the order of their time."""
        found = [rows.checkin_of(number, row) for number, row in self._rows("checkin")]
        return sorted(found, key=lambda check_in: check_in.at)

    # The person's usual voice

    def baseline(self, fingerprint: str) -> "Baseline | None":
        """Return the person's baseline for a model, None if it has learned nothing for that."""
        from ..baseline import Baseline

        for _, row in self._rows("baseline"):
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
        self._forget([number], [])

    def forget_check_in(self, number: int) -> None:
        """Delete a check-in.

        Raises
        ------
        JournalError
            If there is none of this number.
        """
        if number not in (check_in.id for check_in in self.check_ins()):
            raise JournalError(f"the journal has no check-in {number}")
        self._forget([], [number])

    def due(self, now: datetime) -> tuple[list[int], list[int]]:
        """Return the numbers of the sessions and check-ins older than the retention."""
        days = self.consent.retention_days
        if days is None:
            return [], []
        until = now - timedelta(days=days)
        return (
            [session.id for session in self.sessions() if session.began < until],
            [check_in.id for check_in in self.check_ins() if check_in.at < until],
        )

    def purge(self, now: datetime) -> tuple[int, int]:
        """Delete what is older than the retention; return how many sessions and check-ins."""
        sessions, check_ins = self.due(now)
        if sessions or check_ins:
            self._forget(sessions, check_ins)
        return len(sessions), len(check_ins)

    def forgotten(self) -> list[tuple[datetime, int]]:
        """Return when something was deleted, and how many entries."""
        return [
            (datetime.fromisoformat(row["at"]), row["n_rows"]) for _, row in self._rows("forgotten")
        ]

    def erase(self) -> None:
        """Delete the journal: first the key of its passphrase, then all of its files.

        Raises
        ------
        JournalError
            If another program has the journal open; it is then as it was.
        """
        with _told(self.path):
            mode = self._connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
            if mode != "delete":
                raise JournalError(f"{self.path}: another program has this journal open; close it")
            self._connection.execute("PRAGMA journal_mode = MEMORY")
            self._run("UPDATE lock SET salt = randomblob(16), wrapped = randomblob(60)")
            self._connection.close()
        _overwrite(self.path)
        _remove(self.path)

    # The passphrase

    def lock(self, passphrase: str, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Seal every entry with a new key, which the passphrase opens.

        All of it is one transaction: after a kill the journal is as before. The free pages are
        then removed, so that no entry is left readable in the file.
        """
        lock, vault = new_lock(passphrase)
        self._rewrite(vault, lock, on_progress)

    def unlock(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Write every entry as it is, and forget the passphrase; see `lock`."""
        self._rewrite(Open(), None, on_progress)

    # Rows

    def _check_inference(self, is_inferred: bool, consent: Consent | None = None) -> None:
        if is_inferred and not (consent or self.consent).emotion:
            raise JournalError(f"{self.path}: the person has not agreed to inferring emotion")

    def _forget(self, sessions: Sequence[int], check_ins: Sequence[int]) -> None:
        now = datetime.now().astimezone().isoformat(timespec="minutes")
        with self._writing():
            self._run_many("DELETE FROM session WHERE id = ?", sessions)
            self._run_many("DELETE FROM checkin WHERE id = ?", check_ins)
            self._insert("forgotten", {"at": now, "n_rows": len(sessions) + len(check_ins)})
        self._settle()

    def _run_many(self, query: str, numbers: Sequence[int]) -> None:
        self._connection.executemany(query, [(number,) for number in numbers])

    def _update_session(self, session: Session, totals: Totals) -> None:
        row = {**rows.session_row(session), "totals": totals.to_json()}
        with self._writing():
            self._update("session", "id = ?", (session.id,), self._vault.seal("session", row))

    def _session_row(self, number: int) -> Mapping[str, Any]:
        for row in self._read("SELECT * FROM session WHERE id = ?", (number,)):
            return self._vault.reveal("session", row)
        raise JournalError(f"the journal has no session {number}; `list` shows them")

    def _totals_of(self, number: int, row: Mapping[str, Any]) -> Totals:
        return Totals.of_json(row["totals"]) if row["totals"] else totals_of(self.segments(number))

    def _put_baseline(self, baseline: "Baseline") -> None:
        self._run("DELETE FROM baseline")
        self._insert("baseline", {"body": baseline.to_json()}, id=1)

    def _insert_sound(self, number: int, n: int, flac: bytes) -> None:
        sealed = self._vault.seal_bytes(flac)
        self._run("INSERT INTO sound (session_id, n, flac) VALUES (?, ?, ?)", (number, n, sealed))

    def _keep_lock(self, lock: Lock) -> None:
        values = (lock.salt, lock.n, lock.r, lock.p, lock.wrapped)
        self._run("INSERT INTO lock VALUES (1, ?, ?, ?, ?, ?)", values)

    def _rows(self, table: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for row in self._read(f"SELECT * FROM {table} ORDER BY id"):  # noqa: S608 (a table's name)
            yield row["id"], self._vault.reveal(table, row)

    def _insert(self, table: str, row: Mapping[str, Any], **keys: int) -> int:
        values = {**keys, **self._vault.seal(table, row)}
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
        number = self._run(query, tuple(values.values())).lastrowid
        assert number is not None  # after every INSERT
        return number

    def _update(
        self, table: str, where: str, keys: Sequence[int], values: Mapping[str, Any]
    ) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE {table} SET {names} WHERE {where}"  # noqa: S608
        self._run(query, (*values.values(), *keys))

    def _read(self, query: str, values: Sequence[object] = ()) -> Iterator[Mapping[str, Any]]:
        with _told(self.path), closing(self._connection.execute(query, values)) as cursor:
            yield from map(dict, cursor)

    def _run(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(query, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold a transaction: all of the block is on the disk after it, or nothing."""
        with _told(self.path):
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself
                    self._run("ROLLBACK")
                raise

    def _settle(self) -> None:
        """Move the write-ahead log into the file and empty it, so that nothing deleted stays."""
        with _told(self.path):
            is_busy = self._run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise JournalError(
                f"{self.path}: deleted, but another program has the journal open, and its log "
                "keeps a copy until that closes"
            )

    def _rewrite(
        self, vault: Open, lock: Lock | None, on_progress: Callable[[int, int], None] | None
    ) -> None:
        with self._writing():
            self._run("DELETE FROM lock")
            if lock:
                self._keep_lock(lock)
            for done, table in enumerate(COLUMNS):
                self._rewrite_table(table, vault)
                if on_progress:
                    on_progress(done + 1, len(COLUMNS) + 1)
            for number, n in self._run("SELECT session_id, n FROM sound").fetchall():
                self._rewrite_sound(number, n, vault)
        self._vault = vault
        with _told(self.path):
            self._run("VACUUM")
        self._settle()

    def _rewrite_table(self, table: str, vault: Open) -> None:
        keys = ("session_id", "n") if table == "segment" else ("id",)
        where = " AND ".join(f"{key} = ?" for key in keys)
        query = f"SELECT {', '.join(keys)} FROM {table}"  # noqa: S608 (a table's name)
        for place in self._run(query).fetchall():
            select = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608
            row = dict(self._run(select, tuple(place)).fetchone())
            values = vault.seal(table, self._vault.reveal(table, row))
            self._update(table, where, tuple(place), values)

    def _rewrite_sound(self, number: int, n: int, vault: Open) -> None:
        where = "WHERE session_id = ? AND n = ?"
        (flac,) = self._run(f"SELECT flac FROM sound {where}", (number, n)).fetchone()  # noqa: S608
        sealed = vault.seal_bytes(self._vault.reveal_bytes(flac))
        self._run(f"UPDATE sound SET flac = ? {where}", (sealed, number, n))  # noqa: S608


def _vault_of(
    path: Path, connection: sqlite3.Connection, passphrase: str | Callable[[], str] | None
) -> Open:
    with _told(path):
        found = connection.execute("SELECT salt, n, r, p, wrapped FROM lock").fetchone()
    if found is None:
        return Open()
    if passphrase is None:
        raise JournalError(f"{path}: the journal has a passphrase, and none was given")
    given = passphrase if isinstance(passphrase, str) else passphrase()
    try:
        return opened(Lock(*found), given)
    except JournalError as error:
        raise JournalError(f"{path}: {error}") from None


def _create_file(path: Path) -> None:
    try:
        make_folder(path.parent, private=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise JournalError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be written: {error.strerror}") from None


def _connected(path: Path, *, is_new: bool = False) -> sqlite3.Connection:
    """Open the file as every journal is opened, and bring its tables to this version."""
    with _told(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=_WAIT_S,
        )
        connection.row_factory = sqlite3.Row
        try:
            version = 0 if is_new else check(connection)
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            migrate(connection, version)
        except BaseException as error:
            connection.close()
            if isinstance(error, JournalError):
                raise JournalError(f"{path}: {error}") from None
            raise
    return connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into what happened to the journal."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if "UNIQUE" in str(error):
            raise JournalError(f"{path}: another emovox is adding this recording") from None
        raise JournalError(f"{path}: does not fit into the journal: {error}") from None
    except sqlite3.Error as error:
        words = str(error)
        if "locked" in words:
            raise JournalError(f"{path}: another program is writing to this journal") from None
        if any(word in words for word in _FULL):
            raise JournalError(
                f"{path}: cannot be written, the disk may be full ({words}); all entries until "
                "then are kept"
            ) from None
        raise JournalError(f"{path}: no journal, or a damaged one: {words}") from None


def _overwrite(path: Path) -> None:
    """Write zeros over a journal's files; a file system that copies on write keeps old blocks."""
    for suffix in _SIDE_FILES:
        file = path.with_name(path.name + suffix)
        with suppress(OSError), file.open("rb+") as content:
            left = file.stat().st_size
            while left:
                left -= content.write(bytes(min(left, 1 << 20)))
            content.flush()
            os.fsync(content.fileno())


def _remove(path: Path) -> None:
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
