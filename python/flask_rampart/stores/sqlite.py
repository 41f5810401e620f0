"""Records in an SQLite file: the default, with no server to run.

1. **The file** is this user's own: mode 0600, one link, no symbolic link, in a directory that nobody else may write to.
   It bears our application id and a schema version; another database is refused.
2. **Durable**: write-ahead log with ``synchronous = FULL``. A change that was confirmed survives ``kill -9`` and the
   loss of power; one that was not is there wholly or not at all.
3. **Several workers**: each operation is one transaction; a writer waits up to five seconds for another.
4. **Fork**: connections are closed before it and opened anew after it, in parent and child, since SQLite's locks do not
   survive one (``sqlite.org/howtocorrupt.html``, section 2.6).

Whether anything changed is told by a mark in shared memory (``epoch.py``): the next request of any worker sees a change
that is durable, also if its writer was killed. The file itself is asked at least once a second, for changes by whoever
does not know the mark.

Deployment: the file must be on a local disk, as SQLite's locks are not to be trusted on network file systems. Back it
up with ``VACUUM INTO``; replace it only while the app is stopped.

A worker whose file was deleted or replaced all the same goes on with the new one, and refuses while there is none:
otherwise it would miss what others revoke there. Sequences are microseconds, so no number stands for two states.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from . import forks
from .epoch import Epoch, Hint, Sequences
from .place import own_file, own_folder
from .protocol import MOST_CHANGES, MOST_SWEPT, Changes, Record, StoreError, checked, successor

T = TypeVar("T")

APPLICATION_ID = 0x52414D50  # "RAMP"
SCHEMA = 1
BUSY_SECONDS = 5.0
_IN_C_SECONDS = 0.02  # within SQLite itself: the greenlet that holds the lock could not run meanwhile
POLL_SECONDS = 1.0
_IDLE = 8
_UNKNOWN = (-1, -1)


class _Connection:
    """A connection. Any thread may take it from the pool, one at a time."""

    def __init__(self, path: Path) -> None:
        # Looked at before it is opened: of two files, the earlier is never taken for the later.
        self.file = _file(path)
        # Autocommit: transactions are written out below.
        self.raw = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_IN_C_SECONDS,
        )
        try:
            self.raw.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self.raw.close()
            raise


class SqliteStore:
    """A store in one SQLite file.

    :param path: the file, made if it is not there; its directory too.
    :raises ConfigError: if the file or its directory is not ours, is damaged, locked, or of something else.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SqliteStore(folder + "/records.sqlite3")
    ...     before = store.sequence("kind")
    ...     store.insert("kind", "a", b"1")
    ...     store.changes("kind", before).keys
    ...     store.close()
    True
    ('a',)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.guard = threading.Lock()
        self._idle: list[_Connection] = []
        self._open = 0
        self._stranded = False
        #: Which file was found to be ours.
        self._file: tuple[int, int] | None = None
        own_folder(self.path.parent)
        own_file(self.path)
        self._epoch = Epoch(self.path.with_name(self.path.name + "-epoch"))
        self._sequences = Sequences(self._epoch, POLL_SECONDS, self._sequence)
        try:
            self._use(lambda connection: None)
        except StoreError as error:
            raise ConfigError(f"RAMPART_STORE: {error}") from None
        finally:
            # A server may load the app and fork then: nothing stays open from here.
            self.close()
        forks.register(self)
        # Also when nobody needs the store any more.
        weakref.finalize(self, _close_all, self._idle)

    def get(self, kind: str, key: str) -> Record | None:
        checked(kind, key)

        def read(raw: sqlite3.Connection) -> Record | None:
            row = raw.execute(
                'SELECT key, value, version, "group", expires FROM records WHERE kind = ? AND key = ?', (kind, key)
            ).fetchone()
            return Record(*row) if row else None

        return self._use(lambda connection: read(connection.raw))

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        checked(kind, key, group, expires)

        def write(raw: sqlite3.Connection) -> bool:
            if raw.execute("SELECT 1 FROM records WHERE kind = ? AND key = ?", (kind, key)).fetchone():
                return False
            version = _changed(raw, kind, key)
            raw.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", (kind, key, value, version, group, expires))
            return True

        return self._write(write)

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        checked(kind, key, group, expires)

        def write(raw: sqlite3.Connection) -> bool:
            row = raw.execute("SELECT version FROM records WHERE kind = ? AND key = ?", (kind, key)).fetchone()
            if row is None or row[0] != version:
                return False
            raw.execute(
                'UPDATE records SET value = ?, version = ?, "group" = ?, expires = ? WHERE kind = ? AND key = ?',
                (value, _changed(raw, kind, key), group, expires, kind, key),
            )
            return True

        return self._write(write)

    def delete(self, kind: str, key: str, version: int | None = None) -> bool:
        checked(kind, key)

        def write(raw: sqlite3.Connection) -> bool:
            row = raw.execute("SELECT version FROM records WHERE kind = ? AND key = ?", (kind, key)).fetchone()
            if row is None or (version is not None and row[0] != version):
                return False
            _changed(raw, kind, key)
            raw.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
            return True

        return self._write(write)

    def scan(
        self, kind: str, *, group: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Record]:
        checked(kind, prefix, group or "")
        checked(kind, after)
        query = 'SELECT key, value, version, "group", expires FROM records WHERE kind = ? AND key > ? AND key >= ?'
        values: list[Any] = [kind, after, prefix]
        end = successor(prefix)
        if end is not None:
            query, values = f"{query} AND key < ?", [*values, end]
        if group is not None:
            query, values = f'{query} AND "group" = ?', [*values, group]
        query = f"{query} ORDER BY key LIMIT ?"

        def read(connection: _Connection) -> list[Record]:
            return [Record(*row) for row in connection.raw.execute(query, (*values, limit))]

        return self._use(read)

    def note(self, kind: str, key: str, value: bytes, *, expires: float | None = None) -> bool:
        checked(kind, key, expires=expires)

        def write(connection: _Connection) -> bool:
            raw = connection.raw
            # Neither waits for a writer nor, but at a checkpoint, for the disk: a remark is not worth that time.
            # Not OFF: a checkpoint that a note sets off carries others' changes, and must be synced.
            raw.execute("PRAGMA busy_timeout = 0")
            raw.execute("PRAGMA synchronous = NORMAL")
            try:
                raw.execute(
                    "INSERT INTO records VALUES (?, ?, ?, 0, '', ?) "
                    "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
                    (kind, key, value, expires),
                )
            except sqlite3.OperationalError as error:
                if _is_busy(error):
                    return False
                raise
            finally:
                raw.execute("PRAGMA synchronous = FULL")
                raw.execute(f"PRAGMA busy_timeout = {int(_IN_C_SECONDS * 1000)}")
            return True

        return self._use(write)

    def sequence(self, kind: str) -> int:
        return self._sequences.of(kind)

    def hint(self, kind: str) -> Hint | None:
        """How to see without a call that the sequence stands; None where it has to be asked."""
        return self._sequences.hint(kind)

    def _sequence(self, kind: str) -> int:
        def read(connection: _Connection) -> int:
            row = connection.raw.execute("SELECT sequence FROM sequences WHERE kind = ?", (kind,)).fetchone()
            return row[0] if row else 0

        return self._use(read)

    def changes(self, kind: str, since: int) -> Changes:
        def read(connection: _Connection) -> Changes:
            raw = connection.raw
            # One transaction, so that number and names are of one moment.
            raw.execute("BEGIN")
            try:
                row = raw.execute("SELECT sequence, least FROM sequences WHERE kind = ?", (kind,)).fetchone()
                now, least = row or (0, 0)
                # The moment itself is known: nothing after it was dropped, nor is it another file's.
                moment = "SELECT 1 FROM changes WHERE kind = ? AND sequence = ?"
                if not (least == 0 if since == 0 else raw.execute(moment, (kind, since)).fetchone()):
                    return Changes(now, None)
                rows = raw.execute(
                    "SELECT DISTINCT key FROM changes WHERE kind = ? AND sequence > ?", (kind, since)
                ).fetchall()
                return Changes(now, tuple(key for (key,) in rows))
            finally:
                raw.execute("COMMIT")

        return self._use(read)

    def sweep(self, now: float) -> int:
        def write(raw: sqlite3.Connection) -> int:
            rows = raw.execute("SELECT kind, key FROM records WHERE expires < ? LIMIT ?", (now, MOST_SWEPT)).fetchall()
            for kind, key in rows:
                _changed(raw, kind, key)
                raw.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
            return len(rows)

        return self._write(write)

    def close(self) -> None:
        """Closes the connections that nobody uses just now."""
        with self.guard:
            idle = self._idle[:]
            self._idle.clear()
            self._open -= len(idle)
        for connection in idle:
            with suppress(sqlite3.Error):
                connection.raw.close()

    def _take(self) -> _Connection:
        forks.pause()
        file = _file(self.path)
        if self._file is not None and file != self._file:
            # Deleted or replaced: what is read or written here has to be what all other workers read.
            self.close()
            self._file = _UNKNOWN
        with self.guard:
            if self._stranded:
                raise StoreError(f"{self.path} was in use when this process was forked; start it anew.")
            while self._idle:
                if self._idle[-1].file == file:
                    return self._idle.pop()
                # One that was in use when the file was replaced.
                with suppress(sqlite3.Error):
                    self._idle.pop().raw.close()
                self._open -= 1
            # A number of a file's may be another's as soon as nobody has it open.
            first = self._open == 0
            self._open += 1
        connection = None
        try:
            connection = _Connection(self.path)
            if first or connection.file != self._file:
                self._admit(connection)
            return connection
        except BaseException:
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.raw.close()
            with self.guard:
                self._open -= 1
            raise

    def _admit(self, connection: _Connection) -> None:
        """Makes sure that a file which was not seen before is one of ours."""
        try:
            if connection.file != self._file:
                own_file(self.path)
            self._prepare(connection)
        except ConfigError as error:
            if self._file is None:
                raise
            raise StoreError(f"it was replaced while the app runs. {error}") from None
        self._file = connection.file

    def _use(self, work: Callable[[_Connection], T]) -> T:
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._once(work)
            except sqlite3.Error as error:
                # Not all of SQLite's locks are waited for: not that of who closes the file last, or begins its log.
                # What met one has done nothing.
                if not _is_busy(error) or time.monotonic() > end:
                    raise StoreError(f"{self.path} cannot be used: {_cause(error)}") from None
            time.sleep(0.005)

    def _once(self, work: Callable[[_Connection], T]) -> T:
        connection = self._take()
        try:
            result = work(connection)
        except BaseException:
            # Nothing is known of its state: it is not used again.
            with suppress(sqlite3.Error):
                connection.raw.close()
            with self.guard:
                self._open -= 1
            raise
        # More than a few are kept only while they are used.
        with self.guard:
            kept = len(self._idle) < _IDLE
            if kept:
                self._idle.append(connection)
            else:
                self._open -= 1
        if not kept:
            with suppress(sqlite3.Error):
                connection.raw.close()
        return result

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def write(connection: _Connection) -> T:
            raw = connection.raw
            raw.execute("BEGIN IMMEDIATE")
            try:
                result = work(raw)
                if result:
                    with self._epoch.change():
                        raw.execute("COMMIT")
                else:
                    raw.execute("ROLLBACK")
            except BaseException:
                with suppress(sqlite3.Error):
                    raw.execute("ROLLBACK")
                raise
            return result

        return self._use(write)

    def _prepare(self, connection: _Connection) -> None:
        raw = connection.raw
        # One transaction: another worker may be making the tables just now.
        raw.execute("BEGIN")
        (tables,) = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (found,) = raw.execute("PRAGMA application_id").fetchone()
        raw.execute("COMMIT")
        if found != APPLICATION_ID and (found != 0 or tables):
            raise ConfigError(f"RAMPART_STORE: {self.path} is a database of something else. Name another file.")
        (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigError(f"RAMPART_STORE: the file system of {self.path} cannot be shared by processes.")
        if not tables:
            self._make(raw)
        (version,) = raw.execute("SELECT max(version) FROM schema").fetchone()
        if version != SCHEMA:
            raise ConfigError(
                f"RAMPART_STORE: {self.path} has schema {version}; this Flask-Rampart knows {SCHEMA}. "
                "Upgrade it, or name another file."
            )
        if connection.file == self._file:
            return
        (sound,) = raw.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise ConfigError(f"RAMPART_STORE: {self.path} is damaged. Restore it from a backup.")

    def _make(self, raw: sqlite3.Connection) -> None:
        raw.execute("BEGIN IMMEDIATE")
        # Looked at again: another worker may have been faster.
        if raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for statement in _TABLES:
                raw.execute(statement)
            raw.execute("INSERT INTO schema VALUES (?)", (SCHEMA,))
            raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute("COMMIT")

    def still(self) -> bool:
        return self._open == len(self._idle)

    def before_fork(self) -> None:
        while self._idle:
            with suppress(sqlite3.Error):
                self._idle.pop().raw.close()
            self._open -= 1

    def strand(self) -> None:
        self._stranded = True


_TABLES = (
    "CREATE TABLE schema (version INTEGER NOT NULL)",
    "CREATE TABLE records (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, "
    '"group" TEXT NOT NULL, expires REAL, PRIMARY KEY (kind, key)) WITHOUT ROWID',
    'CREATE INDEX records_by_group ON records (kind, "group", key)',
    "CREATE INDEX records_by_end ON records (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE sequences (kind TEXT PRIMARY KEY, sequence INTEGER NOT NULL, least INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE changes (kind TEXT NOT NULL, sequence INTEGER NOT NULL, key TEXT NOT NULL, "
    "PRIMARY KEY (kind, sequence)) WITHOUT ROWID",
)


def _close_all(idle: list[_Connection]) -> None:
    while idle:
        with suppress(sqlite3.Error):
            idle.pop().raw.close()


def _changed(raw: sqlite3.Connection, kind: str, key: str) -> int:
    """Counts a change, within the transaction that makes it."""
    row = raw.execute("SELECT sequence FROM sequences WHERE kind = ?", (kind,)).fetchone()
    # Microseconds, or one more: no number stands for two states, also of a file that was restored, or made anew.
    sequence = max((row[0] if row else 0) + 1, time.time_ns() // 1000)
    raw.execute(
        "INSERT INTO sequences VALUES (?, ?, 0) ON CONFLICT (kind) DO UPDATE SET sequence = excluded.sequence",
        (kind, sequence),
    )
    raw.execute("INSERT INTO changes VALUES (?, ?, ?)", (kind, sequence, key))
    newest = "SELECT sequence FROM changes WHERE kind = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?"
    least = raw.execute(newest, (kind, MOST_CHANGES + 1)).fetchone()
    if least is not None:
        raw.execute("DELETE FROM changes WHERE kind = ? AND sequence <= ?", (kind, *least))
        raw.execute("UPDATE sequences SET least = ? WHERE kind = ?", (*least, kind))
    return int(sequence)


def _file(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror}.") from None
    return about.st_dev, about.st_ino


def _is_busy(error: sqlite3.Error) -> bool:
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in ("locked", "locking"))


def _cause(error: sqlite3.Error) -> str:
    """SQLite's own words, which name no value."""
    return f"{error}." if isinstance(error, sqlite3.DatabaseError) else f"{type(error).__name__}."
