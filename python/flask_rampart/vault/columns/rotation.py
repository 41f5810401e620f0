"""Seals a table anew: after a rotation of keys, or where it was never sealed.

1. Rows are gone through in the order of their primary key, a batch at a time, each batch in a transaction of its own.
   After an interruption, call it again: what the primary key has sealed already is passed over.
2. A value is written only where the old one still is (``UPDATE ... WHERE column = old``). A row that somebody else
   wrote meanwhile is read again; nobody's write is lost, and none waits for longer than a batch takes.
3. Blind indexes that the primary key would make otherwise are computed anew, also where nothing was sealed anew. Where
   there is no value, there is none. One that another row has already, in a unique column, is left and counted.
4. A value that cannot be opened ends it, with the column (and the row, if its key is a number or a UUID) in the error's
   ``place``; or is counted, if you say so. What was done stays done.

Rows that are inserted meanwhile with a key below the place that was reached are not seen: they are sealed by the
primary key of who inserts them. So roll the new key out to all processes first (``docs/vault.md``), then call this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Mapper, Session, scoped_session
from sqlalchemy.types import TypeDecorator

from ...errors import ConfigError, IntegrityError
from .guards import OWN
from .places import IndexBytes, Row, Sealed
from .plans import Index, SealedColumn, in_table, plan_of
from .types import Encrypted, _as_bytes
from .values import _kind, _mapper

Bind: TypeAlias = "Engine | Connection | Session | scoped_session[Any]"

# How often a row is read again that others keep writing.
_TRIES = 5


class Reencrypted(NamedTuple):
    """What was done.

    ``rows`` were looked at, in each table. ``sealed`` values were sealed anew, ``plaintext`` of them the first time.
    ``indexed`` blind indexes were written. ``contended`` rows were written by others again and again: call it again.
    ``unreadable`` values could not be opened. ``conflicts`` rows keep their old indexes, for another row has the value
    too, and the column is unique: it is for you to say which of them stays.
    """

    rows: int = 0
    sealed: int = 0
    plaintext: int = 0
    indexed: int = 0
    contended: int = 0
    unreadable: int = 0
    conflicts: int = 0


def reencrypt(bind: Bind, model: type[Any], *, batch: int = 500, skip_unreadable: bool = False) -> Reencrypted:
    """Seals all rows of *model* by the keyset's primary key, and computes their blind indexes anew.

    :param bind: an engine: each batch is a transaction. A session or connection: all is in its transaction, which is
        yours to commit. With an async one, ``await connection.run_sync(reencrypt, User)``.
    :param batch: rows at once, 1 to 10,000.
    :param skip_unreadable: whether values that cannot be opened are counted and left, instead of ending this.
    :raises IntegrityError: if a value cannot be opened.
    :raises ConfigError: if *model* has no sealed column.

    Its subclasses are sealed with it. Objects that a session has loaded stay as they are.
    """
    plans = [found for mapper in _mapper(model).self_and_descendants if (found := plan_of(mapper)) is not None]
    if not plans:
        raise ConfigError(f"{model.__name__} has no sealed column.")
    columns = {(c.table, c.name): c for plan in reversed(plans) for c in plan.columns}
    indexes = {(i.column.table, i.column.key): i for plan in reversed(plans) for i in plan.indexes}
    return _reencrypted(bind, list(columns.values()), list(indexes.values()), batch, skip_unreadable)


def seal_column(bind: Bind, attribute: Any, *, batch: int = 500) -> Reencrypted:
    """Seals what was never sealed in the column of *attribute*, such as ``User.email``, and fills its blind indexes.

    The type says ``accept_plaintext=True`` meanwhile: both are read. When this has been through and ``contended`` is 0,
    take that away. The other parameters are those of :func:`reencrypt`.

    :raises ConfigError: if the type does not accept plaintext.
    """
    kind = _kind(attribute)
    if not kind.accept_plaintext:
        raise ConfigError(
            f"{kind.label} accepts no plaintext, so there is nothing that seal_column could read. Say "
            "accept_plaintext=True until it is done."
        )
    plan = plan_of(_mapper(attribute.parent.class_))
    if plan is None or attribute.key not in plan.by_key:
        raise ConfigError(f"seal_column takes a sealed attribute of a class, not {attribute}.")
    indexes = [index for index in plan.indexes if index.of == attribute.key]
    return _reencrypted(bind, [plan.by_key[attribute.key]], indexes, batch, False)


def _reencrypted(
    bind: Bind, columns: list[SealedColumn], indexes: list[Index], batch: int, skip_unreadable: bool
) -> Reencrypted:
    if type(batch) is not int or not 1 <= batch <= 10_000:
        raise ConfigError("batch= is a number of rows, from 1 to 10000.")
    counts = dict.fromkeys(Reencrypted._fields, 0)
    for table in dict.fromkeys(column.table for column in columns):
        here = [column for column in columns if column.table is table]
        work = _Work(here, [i for i in indexes if i.column.table is table], counts, skip_unreadable)
        after: tuple[Any, ...] | None = None
        while True:
            with _transaction(bind, here[0].mapper) as connection:
                rows = work.read(connection, after, batch)
                for row in rows:
                    work.do(connection, row)
            if len(rows) < batch:
                break
            after = work.key_of(rows[-1])
    return Reencrypted(**counts)


@contextmanager
def _transaction(bind: Bind, mapper: Mapper[Any]) -> Iterator[Connection]:
    if isinstance(bind, Engine):
        with bind.begin() as connection:
            yield connection
    elif isinstance(bind, Connection):
        yield bind
    elif isinstance(bind, (Session, scoped_session)):
        bind.flush()
        yield bind.connection(bind_arguments={"mapper": mapper})
    else:
        raise ConfigError(
            f"reencrypt takes an Engine, a Connection or a Session, not {type(bind).__name__}. With an async one, "
            "await connection.run_sync(reencrypt, Model)."
        )


class _Work:
    """A table's rows, one after the other."""

    def __init__(
        self, columns: list[SealedColumn], indexes: list[Index], counts: dict[str, int], skip_unreadable: bool
    ) -> None:
        self.columns, self.counts, self.skip_unreadable = columns, counts, skip_unreadable
        self.table = columns[0].table
        mapper = columns[0].mapper
        self.key = [in_table(mapper, column, self.table) for column in mapper.primary_key]
        self.rows = {
            c.name: [in_table(c.mapper, c.mapper.column_attrs[name].columns[0], self.table) for name in c.row or ()]
            for c in columns
        }
        self.indexes = {c.name: [i for i in indexes if i.type._bound.source is c.type] for c in columns}
        self.fresh = {column.name: _freshness(column.type) for column in columns}
        self.select = sa.select(
            *(c.label(f"key_{n}") for n, c in enumerate(self.key)),
            *(c.label(f"row_{name}_{n}") for name, row in self.rows.items() for n, c in enumerate(row)),
            *(_raw(self.table.c[column.name]).label(f"is_{column.name}") for column in columns),
            *(index.column.label(f"index_{index.column.key}") for index in indexes),
        )

    def read(self, connection: Connection, after: tuple[Any, ...] | None, batch: int) -> list[Any]:
        statement = self.select.order_by(*self.key).limit(batch)
        if after is not None:
            beyond = self.key[0] > after[0] if len(self.key) == 1 else sa.tuple_(*self.key) > sa.tuple_(*after)
            statement = statement.where(beyond)
        rows = list(connection.execute(statement).mappings())
        self.counts["rows"] += len(rows)
        return rows

    def key_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(row[f"key_{n}"] for n in range(len(self.key)))

    def do(self, connection: Connection, row: Any) -> None:
        here = [column == value for column, value in zip(self.key, self.key_of(row), strict=True)]
        without_indexes = False
        for _ in range(_TRIES):
            values, expected, counts = self._change(row)
            if without_indexes:
                values = {name: value for name, value in values.items() if name in self.rows}
                expected = {name: value for name, value in expected.items() if name in values}
                counts |= {"indexed": 0, "conflicts": 1}
            if not values:
                break
            # `type_coerce`: a sealed column is compared with nothing, but here it is with what is there.
            same = [_raw(self.table.c[name]) == old for name, old in expected.items()]
            kept = {c.key: c for c in self.table.c if c.onupdate is not None and c.key not in values}
            statement = self.table.update().where(*here, *same).values({**kept, **values})
            try:
                with _savepoint(connection, needed=any(name not in self.rows for name in values)):
                    written = connection.execute(statement, execution_options={OWN: True}).rowcount == 1
            except sa.exc.IntegrityError:
                if without_indexes or not any(name not in self.rows for name in values):
                    raise
                without_indexes = True
                continue
            if written:
                self._count(counts)
                return
            again = connection.execute(self.select.where(*here)).mappings().first()
            if again is None:
                return  # it was deleted
            row = again
        else:
            self.counts["contended"] += 1
            return
        self._count(counts)

    def _count(self, counts: dict[str, int]) -> None:
        for name, number in counts.items():
            self.counts[name] += number

    def _change(self, row: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
        """What to write, what has to be there still, and what to count for it."""
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        counts = {"sealed": 0, "plaintext": 0, "indexed": 0, "unreadable": 0}
        for column in self.columns:
            old, indexes = row[f"is_{column.name}"], self.indexes[column.name]
            if old is None:
                for index in indexes:
                    if row[f"index_{index.column.key}"] is not None:
                        values[index.column.key], expected[column.name] = None, None
                        counts["indexed"] += 1
                continue
            data, kind = _as_bytes(old, column.type.accept_plaintext), column.type
            fresh = isinstance(old, bytes) and self.fresh[column.name](data)
            if fresh and not indexes:
                continue
            key: Row = tuple(row[f"row_{column.name}_{n}"] for n in range(len(self.rows[column.name]))) or None
            try:
                value = kind.open(Sealed(data, kind.place), key)
            except IntegrityError:
                if not self.skip_unreadable:
                    raise
                counts["unreadable"] += 1
                continue
            if not fresh:
                values[column.name], expected[column.name] = kind.seal(value, key), old
                counts["sealed"] += 1
                counts["plaintext"] += kind.accept_plaintext and kind.is_plaintext(data)
            for index in indexes:
                found: IndexBytes = index.type.index(value)
                if row[f"index_{index.column.key}"] != found:
                    values[index.column.key] = found
                    expected[column.name] = old
                    counts["indexed"] += 1
        return values, expected, counts


@contextmanager
def _savepoint(connection: Connection, *, needed: bool) -> Iterator[None]:
    # In PostgreSQL a statement that fails ends the transaction. In SQLite it does not, and a savepoint that begins
    # one would commit it.
    if needed and connection.dialect.name != "sqlite":
        with connection.begin_nested():
            yield
    else:
        yield


class _Raw(TypeDecorator[Any]):
    """What is in the database, as it is: bytes, or in SQLite a text that was never sealed."""

    impl = sa.LargeBinary
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:
        binary = self.impl_instance.bind_processor(dialect)
        return lambda value: binary(value) if binary is not None and isinstance(value, bytes) else value

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda value: bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _raw(column: sa.Column[Any]) -> Any:
    return sa.type_coerce(column, _Raw())


def _freshness(kind: Encrypted[Any]) -> Callable[[bytes], bool]:
    """Whether what is sealed bears the id of the primary key. Of a key without a prefix nobody knows."""
    keyset = kind.keyset_of()
    start = next((_STARTS.get(key.prefix) for key in keyset.info() if key.primary), None)
    if start is None:
        return lambda data: False
    head = start + keyset.primary.to_bytes(4, "big")
    return lambda data: data.startswith(head)


_STARTS = {"TINK": b"\1", "CRUNCHY": b"\0", "LEGACY": b"\0"}
