"""The database of a journal: rows that a kill or a full disk leaves intact, sealed or not."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from ..errors import JournalError
from ..files import make_folder
from .schema import COLUMNS, check, migrate
from .vault import Key, Lock, Open, Vault, new_lock, opened

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
Passphrase = str | Callable[[], str] | Key | None  # or what asks for it, or what opens without it
_SIDE_FILES = ("", "-wal", "-shm", "-journal")  # what SQLite puts beside a database


class Database:
    """An SQLite file whose rows a vault seals; see `schema` for its tables.

    Every row is on the disk when its method returns, or when the block of `writing` ends. All
    methods raise a JournalError where the file cannot be read or written.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, vault: Open, lock: Lock | None = None
    ) -> None:
        self.path = path
        self._connection, self._vault, self._lock = connection, vault, lock

    @classmethod
    @contextmanager
    def made(cls, path: Path, passphrase: str | None) -> Iterator[Self]:
        """Make a new file, and fill it in this block: whole, or not at all."""
        lock, vault = new_lock(passphrase) if passphrase is not None else (None, Open())
        _create_file(path)
        try:
            database = cls(path, _connected(path, is_new=True), vault, lock)
            with database.writing():
                if lock:
                    database._keep_lock(lock)
                yield database
        except BaseException:
            _remove(path)
            raise

    @classmethod
    def opened(cls, path: Path, passphrase: Passphrase) -> Self:
        """Open a file; the passphrase, or what asks for it, is used only where it has one."""
        if not path.is_file():
            raise JournalError(f"{path}: no such journal; `emovox journal new` makes one")
        connection = _connected(path)
        try:
            key = _key_of(path, connection, passphrase)
            return cls(path, connection, key.vault, key.lock)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def key(self) -> Key:
        """What opens the file again without its passphrase, in another thread or later."""
        return Key(self._lock, self._vault)

    @property
    def is_sealed(self) -> bool:
        """Whether the rows are sealed."""
        return isinstance(self._vault, Vault)

    def sounds(self, session_id: int) -> Iterator[tuple[int, bytes]]:
        """Yield the sound of a session's segments, each with the segment's place."""
        query = "SELECT n, flac FROM sound WHERE session_id = ? ORDER BY n"
        for row in self._read(query, (session_id,)):
            yield row["n"], self._vault.reveal_bytes(row["flac"])

    def sound_places(self, session_id: int) -> list[int]:
        """Return the places of the segments of a session whose sound is kept."""
        query = "SELECT n FROM sound WHERE session_id = ? ORDER BY n"
        return [row["n"] for row in self._read(query, (session_id,))]

    def sound(self, session_id: int, n: int) -> bytes | None:
        """Return the sound of a segment, None where it is not kept."""
        query = "SELECT flac FROM sound WHERE session_id = ? AND n = ?"
        found = next(iter(self._read(query, (session_id, n))), None)
        return None if found is None else self._vault.reveal_bytes(found["flac"])

    def insert_sound(self, session_id: int, n: int, flac: bytes) -> None:
        """Add the sound of a segment."""
        sealed = self._vault.seal_bytes(flac)
        query = "INSERT INTO sound (session_id, n, flac) VALUES (?, ?, ?)"
        self.run(query, (session_id, n, sealed))

    def segments(self, session_id: int) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a session's segments, in the order spoken."""
        query = "SELECT * FROM segment WHERE session_id = ? ORDER BY n"
        for row in self._read(query, (session_id,)):
            yield self._vault.reveal("segment", row)

    def row(self, table: str, number: int) -> Mapping[str, Any] | None:
        """Return a row by its number, None where there is none."""
        query = f"SELECT * FROM {table} WHERE id = ?"  # noqa: S608 (a table's name)
        found = next(iter(self._read(query, (number,))), None)
        return found and self._vault.reveal(table, found)

    def seal(self, table: str, number: int, row: Mapping[str, Any]) -> None:
        """Replace the values of a row."""
        self._update(table, "id = ?", (number,), self._vault.seal(table, row))

    def _keep_lock(self, lock: Lock) -> None:
        values = (lock.salt, lock.n, lock.r, lock.p, lock.wrapped)
        self.run("INSERT INTO lock VALUES (1, ?, ?, ?, ?, ?)", values)

    def rows(self, table: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the rows of a table, each with its number."""
        for row in self._read(f"SELECT * FROM {table} ORDER BY id"):  # noqa: S608 (a table's name)
            yield row["id"], self._vault.reveal(table, row)

    def insert(self, table: str, row: Mapping[str, Any], **keys: int) -> int:
        """Add a row; return its number."""
        values = {**keys, **self._vault.seal(table, row)}
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
        number = self.run(query, tuple(values.values())).lastrowid
        assert number is not None  # after every INSERT
        return number

    def _update(
        self, table: str, where: str, keys: Sequence[int], values: Mapping[str, Any]
    ) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE {table} SET {names} WHERE {where}"  # noqa: S608
        self.run(query, (*values.values(), *keys))

    def _read(self, query: str, values: Sequence[object] = ()) -> Iterator[Mapping[str, Any]]:
        with _told(self.path), closing(self._connection.execute(query, values)) as cursor:
            yield from map(dict, cursor)

    def run(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a query that is no secret."""
        return self._connection.execute(query, values)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold a transaction: all of the block is on the disk after it, or nothing."""
        with _told(self.path):
            self.run("BEGIN IMMEDIATE")
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself
                    self.run("ROLLBACK")
                raise

    def settle(self) -> None:
        """Move the write-ahead log into the file and empty it, so that nothing deleted stays."""
        with _told(self.path):
            is_busy = self.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise JournalError(
                f"{self.path}: deleted, but another program has the journal open, and its log "
                "keeps a copy until that closes"
            )

    def rewrite(
        self, passphrase: str | None, on_progress: Callable[[int, int], None] | None
    ) -> None:
        """Write every row as another passphrase, or none, asks for, in one transaction.

        The free pages are then removed, so that no row is left readable in the file.
        """
        lock, vault = new_lock(passphrase) if passphrase is not None else (None, Open())
        with self.writing():
            self.run("DELETE FROM lock")
            if lock:
                self._keep_lock(lock)
            for done, table in enumerate(COLUMNS):
                self._rewrite_table(table, vault)
                if on_progress:
                    on_progress(done + 1, len(COLUMNS) + 1)
            for number, n in self.run("SELECT session_id, n FROM sound").fetchall():
                self._rewrite_sound(number, n, vault)
        self._vault, self._lock = vault, lock
        with _told(self.path):
            self.run("VACUUM")
        self.settle()

    def _rewrite_table(self, table: str, vault: Open) -> None:
        keys = ("session_id", "n") if table == "segment" else ("id",)
        where = " AND ".join(f"{key} = ?" for key in keys)
        query = f"SELECT {', '.join(keys)} FROM {table}"  # noqa: S608 (a table's name)
        for place in self.run(query).fetchall():
            select = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608
            row = dict(self.run(select, tuple(place)).fetchone())
            values = vault.seal(table, self._vault.reveal(table, row))
            self._update(table, where, tuple(place), values)

    def _rewrite_sound(self, number: int, n: int, vault: Open) -> None:
        where = "WHERE session_id = ? AND n = ?"
        (flac,) = self.run(f"SELECT flac FROM sound {where}", (number, n)).fetchone()  # noqa: S608
        sealed = vault.seal_bytes(self._vault.reveal_bytes(flac))
        self.run(f"UPDATE sound SET flac = ? {where}", (sealed, number, n))  # noqa: S608

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
            self.run("UPDATE lock SET salt = randomblob(16), wrapped = randomblob(60)")
        self.close()
        _overwrite(self.path)
        _remove(self.path)


def _key_of(path: Path, connection: sqlite3.Connection, passphrase: Passphrase) -> Key:
    with _told(path):
        found = connection.execute("SELECT salt, n, r, p, wrapped FROM lock").fetchone()
    if found is None:
        return Key(None, Open())
    lock = Lock(*found)
    if isinstance(passphrase, Key):
        if passphrase.lock != lock:
            raise JournalError(f"{path}: the passphrase was changed; open the journal again")
        return passphrase
    if passphrase is None:
        raise JournalError(f"{path}: the journal has a passphrase, and none was given")
    given = passphrase if isinstance(passphrase, str) else passphrase()
    try:
        return Key(lock, opened(lock, given))
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
