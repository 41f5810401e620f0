"""Values for statements, and values of statements: where there is no object, you say which row.

It is what bulk inserts, ``update()`` and selected columns need. Each function takes an attribute (``User.email``) or a
column of a table (``users.c.email``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapper

from ...errors import ConfigError
from .places import Row, Sealed, is_key, row_of
from .plans import SealedColumn, plan_of
from .types import Encrypted


def sealed_values(model: type[Any], values: Mapping[str, Any], *, row: Any = None) -> dict[str, Any]:
    """*values* of a row for ``insert(model)`` or ``update(model)``: sealed, and with the blind indexes beside.

    :param values: by the names of attributes. The others are left as they are.
    :param row: the primary key of the row, or what ``row=`` of the column names; several values as a tuple. What is in
        *values* goes before, and must not differ. If None, a key that Python makes (``default=uuid.uuid4``) is made.
    :raises ConfigError: if the row is not known; if *row* says another than *values*, or may be meant for columns that
        are bound by different keys.
    :raises TypeError, ValueError: for a value of another type.

    ::

        session.execute(insert(User), [sealed_values(User, {"id": uuid4(), "email": email}) for email in emails])
        session.execute(update(User).where(User.id == id).values(sealed_values(User, {"email": new}, row=id)))

    An ``update`` with it is for one row: what is sealed for that opens in no other.
    """
    plan = plan_of(_mapper(model))
    if plan is None:
        raise ConfigError(f"{model.__name__} has no sealed column.")
    result = dict(values)
    given = row_of(row)
    if given is None:
        plan.make_keys(None, result)
    sealing = [c for c in plan.columns if c.key in result and not isinstance(result[c.key], (Sealed, type(None)))]
    keys = _keys(sealing, result, given)
    for column in sealing:
        result[column.key] = column.type.seal(result[column.key], keys.get(column.row))
    for index in plan.indexes:
        if index.of in values:
            value = values[index.of]
            if isinstance(value, Sealed):
                raise ConfigError(f"{index.type.label} is computed of a value, and {index.of!r} is sealed already.")
            result[index.key] = None if value is None else index.type.index(value)
    return result


def seal_value(attribute: Any, value: Any, *, row: Any = None) -> Sealed:
    """*value*, sealed for *attribute* of a row: for a statement on a table. Blind indexes are not looked after.

    :param row: the key of the row, a tuple where there are several columns; None for a column of ``row=False``.
    :raises ConfigError: if the column is bound to rows and none is given, or the other way round.
    """
    kind = _kind(attribute)
    return kind.seal(value, _checked(kind, row))


def open_value(attribute: Any, sealed: Sealed | None, *, row: Any = None) -> Any:
    """What a sealed value says that a statement has given. None is None.

    :raises IntegrityError: if it was not sealed for this column and row, or was changed.
    :raises ConfigError: as :func:`seal_value`.
    """
    kind = _kind(attribute)
    if sealed is None:
        return None
    if not isinstance(sealed, Sealed):
        raise ConfigError(f"open_value takes what a statement gave for {kind.label}, not {type(sealed).__name__}.")
    return kind.open(sealed, _checked(kind, row))


def _keys(
    columns: list[SealedColumn], values: Mapping[str, Any], given: tuple[Any, ...] | None
) -> dict[tuple[str, ...] | None, tuple[Any, ...] | None]:
    """The key of the row for each that columns are bound by: what *values* have of it, or *given*."""
    kinds = {column.row: column for column in columns if column.row is not None}
    found = {names: tuple(values.get(name) for name in names) for names in kinds if names is not None}
    open_ = [names for names, key in found.items() if None in key]
    if given is not None and len(open_) > 1:
        named = " and by ".join(", ".join(names) for names in open_)
        raise ConfigError(
            f"{columns[0].mapper.class_.__name__} has columns that are bound by {named}, and row= is one of these. "
            "Put the keys into the values, or write the columns by a call each."
        )
    if given is not None and found:
        names = open_[0] if open_ else next((names for names, key in found.items() if key == given), None)
        parts = () if names is None or len(names) != len(given) else zip(found[names], given, strict=True)
        if names is None or any(part is not None and part != other for part, other in parts):
            raise ConfigError(
                f"{columns[0].label}: row= says another row than the values do. A value is sealed for one."
            )
        found[names] = given
    return {names: kinds[names].checked(key) for names, key in found.items()}


def _mapper(model: type[Any]) -> Mapper[Any]:
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise ConfigError(f"This takes a mapped class, not {model!r}.")
    mapper._check_configure()
    return mapper


def _kind(attribute: Any) -> Encrypted[Any]:
    found = attribute.__clause_element__() if hasattr(attribute, "__clause_element__") else attribute
    kind = getattr(found, "type", None)
    if not isinstance(kind, Encrypted):
        raise ConfigError(f"{attribute} is no sealed column.")
    return kind


def _checked(kind: Encrypted[Any], row: Any) -> Row:
    key = row_of(row)
    if (key is None) != (kind.row is False):
        wanted = (
            "is not bound to rows: leave row= away" if kind.row is False else "is bound to its row: say which by row="
        )
        raise ConfigError(f"{kind.label} {wanted}.")
    if key is None:
        return None
    if kind._bound.check is not None:
        return kind._bound.check(key)
    # A table without a class: what row= names is not known, but that it is a key.
    table = None if kind._bound.column is None else kind._bound.column.table
    columns = [*table.primary_key] if table is not None and kind.row is True else []
    count = len(kind.row) if isinstance(kind.row, tuple) else len(columns or key)
    kinds: list[type[Any]] = [_python_type(column) for column in columns] or [object] * count
    if len(key) != count or not all(is_key(v) and isinstance(v, k) for v, k in zip(key, kinds, strict=True)):
        raise ConfigError(
            f"{kind.label} is bound to its row, and row= is no key of it: it takes {count} value(s) of the types that "
            "the database gives back."
        )
    return key


def _python_type(column: sa.Column[Any]) -> type[Any]:
    try:
        return object if isinstance(column.type, sa.types.TypeDecorator) else column.type.python_type
    except NotImplementedError:
        return object
