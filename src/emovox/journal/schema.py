"""The tables of a journal's SQLite file, and the way from each version of them to the next.

Every table but `lock` and `sound` holds its values in columns or, where the journal has a
passphrase, all of them in `sealed`. Visible without it are the numbers of rows, which segment
belongs to which session, and the sizes.
"""

import sqlite3
from types import MappingProxyType

from ..errors import JournalError

APPLICATION_ID = 0x656D6F76  # "emov": what the file belongs to, for the command `file`

COLUMNS = MappingProxyType(
    {
        "person": ("name", "created"),
        "consent": ("at", "measure", "emotion", "sound", "retention_days", "version", "text"),
        "session": (
            "began", "source", "device", "seconds", "speech_s", "snr_db", "band_hz", "model",
            "labels", "version", "note", "tags", "digest", "whole", "totals",
        ),
        "segment": (
            "start_s", "end_s", "pitch_st", "pitch_range_st", "level_db", "rate_hz", "pause_share",
            "voiced_share", "label", "score", "certain", "scores",
        ),
        "checkin": ("at", "kind", "valence", "labels", "note"),
        "forgotten": ("at", "n_rows"),
        "baseline": ("body",),
        "practice": ("at", "target", "inferred", "n_takes", "n_untold", "best"),
    }
)  # fmt: skip
"""The values of each table, in their order within `sealed`; new ones go to the end."""

_FIRST = """
CREATE TABLE person (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT, created TEXT, sealed BLOB);
CREATE TABLE consent (id INTEGER PRIMARY KEY, at TEXT, measure INTEGER, emotion INTEGER,
    sound INTEGER, retention_days INTEGER, version INTEGER, text TEXT, sealed BLOB);
CREATE TABLE session (id INTEGER PRIMARY KEY AUTOINCREMENT, began TEXT, source TEXT, device TEXT,
    seconds REAL, speech_s REAL, snr_db REAL, band_hz REAL, model TEXT, labels TEXT, version TEXT,
    note TEXT, tags TEXT, digest TEXT UNIQUE, whole INTEGER, totals TEXT, sealed BLOB);
CREATE TABLE segment (session_id INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    n INTEGER NOT NULL, start_s REAL, end_s REAL, pitch_st REAL, pitch_range_st REAL,
    level_db REAL, rate_hz REAL, pause_share REAL, voiced_share REAL, label TEXT, score REAL,
    certain INTEGER, scores TEXT, sealed BLOB, PRIMARY KEY (session_id, n)) WITHOUT ROWID;
CREATE TABLE sound (session_id INTEGER NOT NULL, n INTEGER NOT NULL, flac BLOB NOT NULL,
    PRIMARY KEY (session_id, n),
    FOREIGN KEY (session_id, n) REFERENCES segment (session_id, n) ON DELETE CASCADE);
CREATE TABLE checkin (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT, kind TEXT,
    valence REAL CHECK (valence BETWEEN -1 AND 1), labels TEXT, note TEXT, sealed BLOB);
CREATE TABLE forgotten (id INTEGER PRIMARY KEY, at TEXT, n_rows INTEGER, sealed BLOB);
CREATE TABLE baseline (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT, sealed BLOB);
CREATE TABLE lock (id INTEGER PRIMARY KEY CHECK (id = 1), salt BLOB NOT NULL, n INTEGER NOT NULL,
    r INTEGER NOT NULL, p INTEGER NOT NULL, wrapped BLOB NOT NULL);
"""
_PRACTICE = """
CREATE TABLE practice (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT, target TEXT,
    inferred INTEGER, n_takes INTEGER, n_untold INTEGER, best TEXT, sealed BLOB);
"""
MIGRATIONS = (_FIRST, _PRACTICE)  # from version 0 to 1, from 1 to 2, and so on


def check(connection: sqlite3.Connection) -> int:
    """Return the version of a journal's tables; nothing is changed.

    Raises
    ------
    JournalError
        If the file is another program's, of a newer version, or was never finished.
    """
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if owner != APPLICATION_ID:
        raise JournalError("no journal, but another program's database, or one never finished")
    if version > len(MIGRATIONS):
        raise JournalError(
            f"the journal is of version {version}, and this emovox knows {len(MIGRATIONS)}; "
            "update emovox"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, version: int = 0) -> None:
    """Bring the tables from a version, 0 for a new file, to this one, in one transaction."""
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    version = check(connection) if version else 0  # another process may have been first
    steps = (
        f"{''.join(MIGRATIONS[version:])} PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {len(MIGRATIONS)}; COMMIT"
    )
    for step in steps.split(";"):
        connection.execute(step)
