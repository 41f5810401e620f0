"""Records in a database that SQLAlchemy 2 speaks to: PostgreSQL, MySQL, MariaDB, SQLite.

1. **Three tables**, ``rampart_records``, ``rampart_sequences`` and ``rampart_changes``, made at the start under a lock
   of the database's, so that several workers may start at once. Who may not create tables finds them made.
2. **Atomic** at READ COMMITTED: each change is one transaction that first locks the row with its kind's sequence. So
   sequences are confirmed in their own order: who has seen one has seen all before it.
3. **Bounded**: few connections for each process, and each wait has an end.
4. **Fork**: a child leaves its parent's connections alone, and opens its own.
5. **Sequences** are microseconds, or one more than the last: no number stands for two states, also where a replica
   that lacked the last changes took over, or a backup was restored.

A mark in shared memory (``epoch.py``) tells all workers of the host of a change at their next request, with no round
trip; the database is asked once a second, for changes by other hosts.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

from ..errors import ConfigError
from .epoch import Epoch, Hint, Sequences
from .place import own_file, own_folder
from .protocol import MOST_CHANGES, MOST_SWEPT, Changes, Record, StoreError, checked, successor
from .urls import file_for, without_password

try:
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql
    from sqlalchemy.pool import NullPool
except ImportError:
    raise ConfigError(
        "RAMPART_STORE: SQLAlchemy is needed for this store: pip install 'flask-rampart[sqlalchemy]', and the driver."
    ) from None

T = TypeVar("T")

POLL_SECONDS = 1.0
BUSY_SECONDS = 5
SCHEMA = 1
_TRIM_EVERY = 64
_LOCK = 0x52414D50  # "RAMP"
_POOL = {"pool_size": 4, "max_overflow": 8, "pool_timeout": BUSY_SECONDS, "pool_pre_ping": True, "pool_recycle": 1800}
#: How a driver is told not to wait for a network that is gone.
_POSTGRES = {
    "connect_timeout": 3,
    "tcp_user_timeout": BUSY_SECONDS * 1000,
    "keepalives_idle": BUSY_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "psycopg": _POSTGRES,
    "psycopg2": _POSTGRES,
    "pymysql": {"connect_timeout": 3, "read_timeout": BUSY_SECONDS, "write_timeout": BUSY_SECONDS},
    "mysqldb": {"connect_timeout": 3, "read_timeout": BUSY_SECONDS, "write_timeout": BUSY_SECONDS},
    "pysqlite": {"timeout": BUSY_SECONDS},
}


class _Name(sa.types.TypeDecorator[str]):
    """A text that is compared and ordered by its code points, whatever the database's language is."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._most = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name in ("mysql", "mariadb"):
            # Its collations take "a" for "A", or for "a ": bytes are what they are.
            return dialect.type_descriptor(mysql.VARBINARY(4 * self._most))
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(sa.String(self._most, collation=collation))

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:
        return value.encode() if value is not None and dialect.name in ("mysql", "mariadb") else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str:
        return value.decode() if isinstance(value, bytes) else value


_metadata = sa.MetaData()
_records = sa.Table(
    "rampart_records",
    _metadata,
    sa.Column("kind", _Name(64), primary_key=True),
    sa.Column("key", _Name(256), primary_key=True),
    sa.Column("value", sa.LargeBinary(2**24 - 1), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("group", _Name(256), nullable=False),
    sa.Column("expires", sa.Double, index=True),
    sa.Index("rampart_records_by_group", "kind", "group", "key"),
)
_sequences = sa.Table(
    "rampart_sequences",
    _metadata,
    sa.Column("kind", _Name(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("changes", sa.BigInteger, nullable=False),
)
_changes = sa.Table(
    "rampart_changes",
    _metadata,
    sa.Column("kind", _Name(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", _Name(256), nullable=False),
)
#: For one transaction alone: the connection may be shared, through a pooler, or be the app's.
_LIMIT = f"SET LOCAL statement_timeout TO {BUSY_SECONDS * 1000}"
_COLUMNS = (_records.c.key, _records.c.value, _records.c.version, _records.c.group, _records.c.expires)
#: In rampart_sequences, the version of the tables.
_SCHEMA_KIND = "rampart.schema"


class SqlAlchemyStore:
    """A store in a database.

    :param database: an address such as ``"postgresql+psycopg://..."``, or an ``Engine`` of your own.
    :param folder: where the mark for the workers of this host lies; without it, each check asks the database.
    :raises ConfigError: if the database cannot be used, or is of a kind that is not known here.
    """

    def __init__(self, database: Any, *, folder: str | Path | None = None) -> None:
        engine = _connect(database, folder) if isinstance(database, str) else database
        if not isinstance(engine, sa.Engine):
            raise ConfigError("SqlAlchemyStore takes an address or an Engine, not an asynchronous one.")
        # What SQLAlchemy takes for the database's name may be a part of a password, with its "@" as "%40".
        self._name = without_password(unquote(engine.url.render_as_string()))
        self.dialect = engine.dialect.name
        if self.dialect not in ("postgresql", "mysql", "mariadb", "sqlite"):
            raise ConfigError(
                f"RAMPART_STORE: {self.dialect!r} is not one of postgresql, mysql, mariadb, sqlite: what is atomic "
                "there was not looked into."
            )
        # A user's engine may have another; SQLite has but one that is of use.
        self._base = engine
        self._engine = (
            engine if self.dialect == "sqlite" else engine.execution_options(isolation_level="READ COMMITTED")
        )
        epoch = None
        if folder is not None:
            own_folder(Path(folder))
            epoch = Epoch(file_for(folder, self._name))
        self._epoch = epoch
        self._sequences = Sequences(epoch, POLL_SECONDS, self._sequence)
        self._seen: set[str] = set()
        try:
            self._prepare()
        except sa.exc.SQLAlchemyError as error:
            raise ConfigError(f"RAMPART_STORE: {self._name} cannot be used: {_about(error, engine)}") from None
        finally:
            # A server may load the app and fork then: nothing stays open from here.
            self.close()
        _stores.add(self)
        if isinstance(database, str):
            # Also when nobody needs the store any more.
            weakref.finalize(self, engine.dispose)

    def get(self, kind: str, key: str) -> Record | None:
        checked(kind, key)
        query = sa.select(*_COLUMNS).where(_records.c.kind == kind, _records.c.key == key)
        row = self._read(lambda connection: connection.execute(query).one_or_none())
        return Record(*row) if row else None

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        checked(kind, key, group, expires)

        def write(connection: sa.Connection) -> bool:
            if _version(connection, kind, key) is not None:
                return False
            new = {"version": _changed(connection, kind, key), "value": value, "group": group, "expires": expires}
            connection.execute(sa.insert(_records).values(kind=kind, key=key, **new))
            return True

        return self._write(kind, write)

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        checked(kind, key, group, expires)

        def write(connection: sa.Connection) -> bool:
            if _version(connection, kind, key) != version:
                return False
            new = {"version": _changed(connection, kind, key), "value": value, "group": group, "expires": expires}
            connection.execute(sa.update(_records).where(*_is(kind, key)).values(**new))
            return True

        return self._write(kind, write)

    def delete(self, kind: str, key: str, version: int | None = None) -> bool:
        checked(kind, key)

        def write(connection: sa.Connection) -> bool:
            found = _version(connection, kind, key)
            if found is None or (version is not None and found != version):
                return False
            _changed(connection, kind, key)
            connection.execute(sa.delete(_records).where(*_is(kind, key)))
            return True

        return self._write(kind, write)

    def scan(
        self, kind: str, *, group: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Record]:
        checked(kind, prefix, group or "")
        checked(kind, after)
        query = sa.select(*_COLUMNS).where(_records.c.kind == kind, _records.c.key > after, _records.c.key >= prefix)
        end = successor(prefix)
        if end is not None:
            query = query.where(_records.c.key < end)
        if group is not None:
            query = query.where(_records.c.group == group)
        query = query.order_by(_records.c.key).limit(limit)
        return self._read(lambda connection: [Record(*row) for row in connection.execute(query)])

    def note(self, kind: str, key: str, value: bytes, *, expires: float | None = None) -> bool:
        checked(kind, key, expires=expires)
        new = {"value": value, "expires": expires}

        def write(connection: sa.Connection) -> None:
            if self.dialect == "postgresql":
                # Not waited for; others' changes are synced by themselves.
                connection.execute(sa.text("SET LOCAL synchronous_commit TO off"))
            if not connection.execute(sa.update(_records).where(*_is(kind, key)).values(**new)).rowcount:
                connection.execute(sa.insert(_records).values(kind=kind, key=key, version=0, group="", **new))

        try:
            with self._transaction() as connection:
                write(connection)
        except (sa.exc.IntegrityError, sa.exc.OperationalError, sa.exc.TimeoutError):
            return False  # somebody else noted it just now, or the database is busy
        except sa.exc.SQLAlchemyError as error:
            self._fail(error)
        return True

    def sequence(self, kind: str) -> int:
        return self._sequences.of(kind)

    def hint(self, kind: str) -> Hint | None:
        """How to see without a call that the sequence stands; None where it has to be asked."""
        return self._sequences.hint(kind)

    def changes(self, kind: str, since: int) -> Changes:
        checked(kind, "")

        def read(connection: sa.Connection) -> Changes:
            now = _last(connection, kind)
            # Of what was there at that moment: what is confirmed later has greater numbers.
            query = sa.select(_changes.c.sequence, _changes.c.key).where(
                _changes.c.kind == kind, _changes.c.sequence >= since, _changes.c.sequence <= now
            )
            rows = connection.execute(query.order_by(_changes.c.sequence).limit(MOST_CHANGES + 2)).all()
            if since == 0:
                # After the rows: had some been dropped before they were read, the count would say so.
                known = _count(connection, kind) <= MOST_CHANGES
            else:
                # The moment itself is known: nothing after it was dropped, nor is it of another history.
                known = bool(rows) and rows[0][0] == since and len(rows) <= MOST_CHANGES + 1
                rows = rows[1:]
            return Changes(now, tuple(dict.fromkeys(key for _, key in rows)) if known else None)

        return self._read(read)

    def sweep(self, now: float) -> int:
        ended = (_records.c.expires < now,)
        query = sa.select(_records.c.kind, _records.c.key).where(*ended).limit(MOST_SWEPT)
        rows = self._read(lambda connection: connection.execute(query).all())
        by_kind: dict[str, list[str]] = {}
        for kind, key in rows:
            by_kind.setdefault(kind, []).append(key)

        def drop(kind: str, keys: list[str]) -> int:
            def write(connection: sa.Connection) -> int:
                dropped = 0
                for key in keys:
                    if connection.execute(sa.delete(_records).where(*_is(kind, key), *ended)).rowcount:
                        _changed(connection, kind, key)
                        dropped += 1
                return dropped

            return self._write(kind, write)

        return sum(drop(kind, keys) for kind, keys in by_kind.items())

    def close(self) -> None:
        """Closes the connections that nobody uses just now."""
        self._base.dispose()

    def _sequence(self, kind: str) -> int:
        return self._read(lambda connection: _last(connection, kind))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.text(_LIMIT))
            yield connection

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._transaction() as connection:
                return work(connection)
        except sa.exc.SQLAlchemyError as error:
            self._fail(error)

    def _write(self, kind: str, work: Callable[[sa.Connection], T]) -> T:
        try:
            if kind not in self._seen:
                self._begin(kind)
            with ExitStack() as stack:
                with self._transaction() as connection:
                    if not self._lock(connection, kind):
                        # Somebody emptied the tables.
                        self._seen.discard(kind)
                        raise StoreError(f"{self._name} was changed by somebody else; once more")
                    result = work(connection)
                    if result and self._epoch is not None:
                        stack.enter_context(self._epoch.change())
                return result
        except sa.exc.SQLAlchemyError as error:
            self._fail(error)

    def _lock(self, connection: sa.Connection, kind: str) -> bool:
        """Waits for all others that change this kind; whether it has a sequence."""
        if self.dialect == "sqlite":
            # The first statement of the transaction is a write: so it waits, and reads what others confirmed.
            same = sa.update(_sequences).where(_sequences.c.kind == kind).values(changes=_sequences.c.changes)
            return bool(connection.execute(same).rowcount)
        query = sa.select(_sequences.c.sequence).where(_sequences.c.kind == kind).with_for_update()
        return connection.execute(query).one_or_none() is not None

    def _begin(self, kind: str) -> None:
        """Makes sure that there is a sequence to lock."""
        try:
            with self._transaction() as connection:
                if connection.execute(sa.select(_sequences.c.kind).where(_sequences.c.kind == kind)).first() is None:
                    connection.execute(sa.insert(_sequences).values(kind=kind, sequence=0, changes=0))
        except sa.exc.IntegrityError:
            pass  # another worker was faster
        self._seen.add(kind)

    def _prepare(self) -> None:
        with self._base.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif self.dialect == "postgresql":
                connection.execute(sa.text(_LIMIT))
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            else:
                got = connection.execute(sa.text(f"SELECT GET_LOCK('rampart', {BUSY_SECONDS})")).scalar()
                if got != 1:
                    raise ConfigError(f"RAMPART_STORE: the tables of {self._name} are locked by somebody else.")
            try:
                _metadata.create_all(connection)
                found = _last(connection, _SCHEMA_KIND)
                if not found:
                    connection.execute(sa.insert(_sequences).values(kind=_SCHEMA_KIND, sequence=SCHEMA, changes=0))
                connection.commit()
            finally:
                if self.dialect in ("mysql", "mariadb"):
                    connection.execute(sa.text("SELECT RELEASE_LOCK('rampart')"))
        if found not in (0, SCHEMA):
            raise ConfigError(
                f"RAMPART_STORE: {self._name} has schema {found}; this Flask-Rampart knows {SCHEMA}. "
                "Upgrade it, or name another database."
            )

    def _fail(self, error: Exception) -> NoReturn:
        # Its own text holds the statement, and values.
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"{self._name} cannot be used: {type(cause).__name__}") from None

    def _after_fork(self) -> None:
        # Kept, since closing a connection here would end the parent's.
        _parents.append(self._base.pool)
        self._base.dispose(close=False)


def _connect(url: str, folder: str | Path | None) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        arguments = dict(_ARGUMENTS.get(parsed.get_dialect().driver, {}))
        if parsed.get_backend_name() != "sqlite":
            for name in arguments.keys() & parsed.query.keys():
                del arguments[name]  # the address says otherwise
            engine = sa.create_engine(parsed, connect_args=arguments, hide_parameters=True, **_POOL)
            if engine.dialect.driver == "psycopg":
                from . import waits

                waits.bound(engine)
            return engine
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise ConfigError(f"RAMPART_STORE: {without_password(url)} names no file.")
        path = Path(folder or ".") / parsed.database
        own_folder(path.parent)
        own_file(path)
        # Connections that are not kept cannot be forked.
        return sa.create_engine(
            parsed.set(database=str(path)), connect_args=arguments, hide_parameters=True, poolclass=NullPool
        )
    except sa.exc.NoSuchModuleError:
        raise ConfigError(f"RAMPART_STORE: SQLAlchemy knows no {url.partition(':')[0]!r}.") from None
    except ConfigError:
        raise
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(f"RAMPART_STORE: {without_password(url)} is not the address of a database.") from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"RAMPART_STORE: {url.partition(':')[0]} needs the driver {error.name!r}: pip install it."
        ) from None


def _is(kind: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_records.c.kind == kind, _records.c.key == key)


def _version(connection: sa.Connection, kind: str, key: str) -> int | None:
    found: int | None = connection.execute(sa.select(_records.c.version).where(*_is(kind, key))).scalar()
    return found


def _last(connection: sa.Connection, kind: str) -> int:
    found: int | None = connection.execute(sa.select(_sequences.c.sequence).where(_sequences.c.kind == kind)).scalar()
    return found or 0


def _count(connection: sa.Connection, kind: str) -> int:
    found: int | None = connection.execute(sa.select(_sequences.c.changes).where(_sequences.c.kind == kind)).scalar()
    return found or 0


def _changed(connection: sa.Connection, kind: str, key: str) -> int:
    """Counts a change, within the transaction that makes it and holds the sequence's lock."""
    query = sa.select(_sequences.c.sequence, _sequences.c.changes).where(_sequences.c.kind == kind)
    last, count = connection.execute(query).one()
    number: int = max(last + 1, time.time_ns() // 1000)
    count += 1
    connection.execute(sa.update(_sequences).where(_sequences.c.kind == kind).values(sequence=number, changes=count))
    connection.execute(sa.insert(_changes).values(kind=kind, sequence=number, key=key))
    if count % _TRIM_EVERY == 0:
        of_kind = _changes.c.kind == kind
        newest = sa.select(_changes.c.sequence).where(of_kind).order_by(_changes.c.sequence.desc())
        oldest = connection.execute(newest.offset(MOST_CHANGES + 1).limit(1)).scalar()
        if oldest is not None:
            connection.execute(sa.delete(_changes).where(of_kind, _changes.c.sequence <= oldest))
    return number


def _about(error: Exception, engine: sa.Engine) -> str:
    """The driver's words, without the password."""
    if "@" in f"{engine.url.host}{engine.url.database}":
        # Perhaps a part of a password that was not percent-encoded, and the driver names it.
        return f"{type(getattr(error, 'orig', None) or error).__name__}. In a password, write '@' as %40."
    text = str(getattr(error, "orig", None) or type(error).__name__).strip().partition("\n")[0]
    return text.replace(str(engine.url.password), "***") if engine.url.password else text


_stores: weakref.WeakSet[SqlAlchemyStore] = weakref.WeakSet()
_parents: list[Any] = []


def _in_child() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_in_child)
