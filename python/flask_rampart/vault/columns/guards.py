"""Refuses statements that would leave sealed columns and what belongs to them out of step.

1. An ``UPDATE``, or what an upsert sets, that has a sealed column and not its blind index: the index would go on to
   find the row by the value that was there before. Also where the value is set to NULL.
2. An ``UPDATE`` that has met several rows with a value that was sealed for one: the others' values are lost. It raises
   after the statement and before anybody can commit. A connection of ``AUTOCOMMIT`` has written then: on it, the
   ``UPDATE`` has to say which row by its key, or is refused before it is sent. Of several sets of parameters the
   database says how many rows all met together: one that met two is not seen if another met none.

It sees statements of SQLAlchemy on any engine, not texts of SQL. It does not see an ``INSERT`` that leaves an index
out, nor a value that was selected from one row and is written to several: nobody knows for which it was sealed.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

from ...errors import ConfigError
from .places import Sealed

# An execution option: a statement of this package, which looks after indexes itself.
OWN = "flask_rampart_vault_own"

_lock = threading.Lock()
_installed = False


class SealingError(ConfigError, DontWrapMixin):
    """A statement that would write what is not sealed for its place. It quotes no value."""


def install() -> None:
    """Begins to watch, once."""
    global _installed
    from .comparing import sending  # it raises what is here

    with _lock:
        if not _installed:
            event.listen(Engine, "before_execute", _before)
            event.listen(Engine, "before_cursor_execute", sending)
            event.listen(Engine, "after_cursor_execute", _after)
            _installed = True


def _before(connection: Any, statement: Any, multiparams: Any, params: Any, options: Any) -> None:
    if isinstance(statement, sa.Update):
        if options.get(OWN):
            return
        values: list[Any] = [*(statement._values or ())]
        values += [pair[0] for pair in getattr(statement, "_ordered_values", None) or ()]
        given = multiparams[0] if multiparams else params
        _refuse(statement.table, [*values, *(given or ())])
        _refuse_unbounded(connection, statement, multiparams or [params or {}])
    elif isinstance(statement, sa.Insert) and statement._post_values_clause is not None:
        clause: Any = statement._post_values_clause
        found = getattr(clause, "update_values_to_set", None) or getattr(clause, "update", None) or ()
        _refuse(statement.table, found if isinstance(found, dict) else [pair[0] for pair in found])


def _refuse(table: Any, names: Iterable[Any]) -> None:
    indexes = _indexes(table)
    if not indexes:
        return
    named = {name if isinstance(name, str) else getattr(name, "key", None) for name in names}
    for index, source in indexes:
        if source.key in named and index.key not in named:
            raise SealingError(
                f"{table.name}.{source.name} has the blind index {index.key!r}, which this statement would leave "
                "behind. Put sealed_values(Model, {...}) into it, which brings both (also None); or write through an "
                "object and its session."
            )


def _refuse_unbounded(connection: Any, statement: Any, rows: Any) -> None:
    values = [getattr(value, "value", None) for value in (statement._values or {}).values()]
    values += [getattr(pair[1], "value", pair[1]) for pair in getattr(statement, "_ordered_values", None) or ()]
    given = itertools.chain(values, *(row.values() for row in rows))
    sealed = next((value for value in given if _is_for_one_row(value)), None)
    if sealed is not None and is_autocommit(connection) and not _is_of_one_row(statement):
        raise SealingError(
            f"A value of {sealed.place.label} was sealed for one row, and this UPDATE may meet several: with "
            "AUTOCOMMIT the others' values would be lost. Name the row by its primary key, or begin a transaction."
        )


def _is_for_one_row(value: Any) -> bool:
    return type(value) is Sealed and isinstance(value.row, tuple)


def _is_of_one_row(statement: Any) -> bool:
    """Whether all columns of the primary key are each compared with a value."""
    named = set()
    for criterion in statement._where_criteria:
        parts = criterion.clauses if isinstance(criterion, BooleanClauseList) else [criterion]
        if isinstance(criterion, BooleanClauseList) and criterion.operator is not operators.and_:
            continue
        for part in parts:
            if isinstance(part, BinaryExpression) and part.operator is operators.eq:
                for column, value in ((part.left, part.right), (part.right, part.left)):
                    if isinstance(value, BindParameter):
                        # Not its name: a column of another table says nothing of how many rows of this one. What
                        # the ORM notes beside a column has the column's hash.
                        named.add(hash(column))
    key = getattr(statement.table, "primary_key", None)
    return key is not None and len(key) > 0 and all(hash(column) in named for column in key)


def is_autocommit(connection: sa.Connection) -> bool:
    """Whether each statement is a transaction of its own, as far as SQLAlchemy and the driver say."""
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    if level is not None:
        return bool(level == "AUTOCOMMIT")
    driver: Any = connection.connection.driver_connection
    mode = getattr(driver, "autocommit", None)  # of sqlite3 also -1, for what its isolation_level says
    if isinstance(mode, bool):
        return mode
    if connection.dialect.name == "sqlite":
        # Whoever turns the driver's own transactions off begins them by a statement, or has none.
        return getattr(driver, "isolation_level", "") is None and not getattr(driver, "in_transaction", True)
    asked = getattr(driver, "get_autocommit", None)  # MySQL's drivers
    return bool(asked()) if callable(asked) else False


def _indexes(table: Any) -> list[tuple[Any, Any]]:
    """A table's blind indexes, each with the sealed column that it is of."""
    found = []
    for column in getattr(table, "c", ()):
        bound = getattr(column.type, "_bound", None)
        source = None if bound is None or bound.source is None else bound.source._bound.column
        if source is not None:
            found.append((column, source))
    return found


def _after(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if not context.isupdate or context.compiled is None or cursor.rowcount <= len(context.compiled_parameters):
        return
    for values in context.compiled_parameters:
        for value in values.values():
            if _is_for_one_row(value):
                raise SealingError(
                    f"A value of {value.place.label} was sealed for one row and written to {cursor.rowcount}: in the "
                    "others it does not open. Roll back, and write each row its own."
                )
