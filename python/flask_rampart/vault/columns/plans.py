"""What of a mapped class is sealed, what rows it is bound to, and what is wrong with that.

A class is looked at once, when its mapper is configured. These are refused then:

1. a row's key that a database gives back otherwise than it was written: ``CHAR`` (padded), numbers with a fraction,
   times. A value that a type of the app's own would give back otherwise is refused when it is written;
2. ``row="name"`` of an attribute that is missing, of another table, or made by the database; names that are not, or do
   not contain, the columns of a primary key or of a unique constraint or index without conditions;
3. one attribute for two columns; a ``column_property`` of an expression, whose row nobody knows; a ``composite``, which
   takes values past their attributes; a sealed column that should be unique, a key, indexed or have a default; two
   columns of one ``MetaData`` that are bound as one;
4. a blind index of what is not sealed, or is in another table.

A column that still accepts plaintext is told of, as a warning in the log.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import ColumnProperty, Mapper
from sqlalchemy.sql.elements import ClauseElement

from ...errors import ConfigError
from .blind import BlindIndex
from .places import is_key
from .types import Encrypted

_logger = logging.getLogger("flask_rampart")
# Where a class keeps its plan: it goes when the class goes.
_PLAN = "flask_rampart.vault.plan"
# In MetaData.info: the column that is bound as a text.
_BOUND_AS = "flask_rampart.vault.bound_as"


class SealedColumn:
    """A sealed column of a class."""

    def __init__(self, mapper: Mapper[Any], key: str, column: sa.Column[Any], type_: Encrypted[Any]) -> None:
        self.mapper, self.key, self.type = mapper, key, type_
        self.name, self.label = column.key, type_.label
        self.table: sa.Table = column.table
        self.by_primary_key = type_.row is True
        self.row: tuple[str, ...] | None = None
        """The attributes that identify its row."""
        if type_.row is True:
            columns: list[Any] = list(mapper.primary_key)
            self.row = tuple(mapper.get_property_by_column(c).key for c in columns)
        elif isinstance(type_.row, tuple):
            columns = [_named(mapper, name, self) for name in type_.row]
            self.row = type_.row
            if not _tells_apart(columns):
                raise ConfigError(
                    f"{self.label}: row={', '.join(map(repr, type_.row))} is not unique, and so does not tell rows "
                    "apart: name all columns of the primary key, or of one unique constraint that holds for all rows."
                )
        else:
            columns = []
        self._kinds = [_kind(one, self.label) for one in columns]
        self._again = [_again(one.type) for one in columns]
        if type_._bound.check is None:
            type_._bound.check = self.checked

    def checked(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row's key, as a caller gave it.

        :raises ConfigError: if it has another number of values, one that is not known, or one of another type.
        """
        names = self.row or ()
        if len(key) != len(names):
            raise ConfigError(f"{self.label} is bound to its row by {', '.join(names)}: row= has {len(key)} values.")
        if None in key:
            raise ConfigError(
                f"{self.label} is bound to its row by {', '.join(names)}, of which one is not known yet. Give it a "
                "value, let Python make it (default=uuid.uuid4), or write by objects and their session."
            )
        for place, value in enumerate(key):
            self.check_key(place, value)
        return key

    def check_key(self, place: int, value: Any) -> None:
        """:raises ConfigError: if a value is not what the database will give back for it."""
        kind, again = self._kinds[place], self._again[place]
        if not is_key(value) or (kind is not None and not isinstance(value, kind)):
            wanted = "a whole number, a text, a UUID, bytes or a date" if kind is None else kind.__name__
            raise ConfigError(
                f"{self.label} is bound to its row, whose key has to be {wanted}, not {type(value).__name__}."
            )
        if again is not None and not again(value):
            raise ConfigError(
                f"{self.label} is bound to its row, and the database gives the key back otherwise than it is here: "
                "write it in the form that it is read in."
            )


class Index(NamedTuple):
    """A blind index of a class: the attribute, what it is of, its type and its column."""

    key: str
    of: str
    type: BlindIndex
    column: sa.Column[Any]


class Plan:
    """What of a class is sealed."""

    def __init__(self, mapper: Mapper[Any], columns: list[SealedColumn], indexes: list[Index]) -> None:
        self.mapper, self.columns, self.indexes = mapper, columns, indexes
        self.by_key = {column.key: column for column in columns}
        keys = dict.fromkeys(name for column in columns for name in column.row or ())
        self._makers = {name: _maker(mapper.column_attrs[name].columns[0]) for name in keys}

    def make_keys(self, target: Any, values: dict[str, Any]) -> None:
        """Gives a new row the key that Python makes for it, where it has none."""
        for name, make in self._makers.items():
            if make is not None and values.get(name) is None:
                made = make()
                if target is None:
                    values[name] = made
                else:
                    setattr(target, name, made)


def plan_of(mapper: Mapper[Any]) -> Plan | None:
    """What of a class is sealed; None if nothing is.

    :raises ConfigError: for what cannot be sealed or looked up.
    """
    kept = mapper.class_manager.info
    if _PLAN not in kept:
        kept[_PLAN] = _plan(mapper)
    plan: Plan | None = kept[_PLAN]
    return plan


def _plan(mapper: Mapper[Any]) -> Plan | None:
    columns = [found for prop in mapper.column_attrs if (found := _sealed(mapper, prop)) is not None]
    by_key = {column.key: column for column in columns}
    indexes = []
    for prop in mapper.column_attrs:
        kind = prop.columns[0].type
        if isinstance(kind, BlindIndex):
            source = by_key.get(kind.of)
            if source is None:
                known = ", ".join(map(repr, by_key)) or "none"
                raise ConfigError(
                    f"{kind.label} is an index of {kind.of!r}, which is no sealed attribute; there are {known}."
                )
            if source.table is not prop.columns[0].table:
                raise ConfigError(f"{kind.label} is in another table than {source.label}, of which it is an index.")
            source.type._bound.index = prop.key
            kind._bound.source = source.type
            indexes.append(Index(prop.key, kind.of, kind, cast("sa.Column[Any]", prop.columns[0])))
    if not columns:
        return None
    for column in columns:
        _bound_alone(column)
    for composed in mapper.composites:
        for part in composed.props:
            if part.key in by_key:
                raise ConfigError(
                    f"{mapper.class_.__name__}.{composed.key} is composed of the sealed {by_key[part.key].label}, and "
                    "would take it as it is in the database. Make it a property of the class, in Python."
                )
    for column in columns:
        if column.type.accept_plaintext and not any(c.key == column.key for c in _inherited(mapper)):
            _logger.warning(
                "%s accepts plaintext: whoever can write the table can put any value there. Seal it by seal_column, "
                "and take accept_plaintext=True away.",
                column.label,
            )
    return Plan(mapper, columns, indexes)


def _bound_alone(column: SealedColumn) -> None:
    if column.type.bound_as is None:
        return
    kept: dict[str, Any] = column.table.metadata.info.setdefault(_BOUND_AS, {})
    here, other = column.type._bound.column, kept.get(column.type.bound_as)
    # One whose table was taken out of its MetaData is gone.
    if other is not None and other is not here and column.table.metadata.tables.get(other.table.key) is other.table:
        raise ConfigError(
            f"{column.label} is bound as {column.type.bound_as!r}, as {other.type.label} is: a value "
            "would open in both. Give each a text of its own."
        )
    kept[column.type.bound_as] = here


def in_table(mapper: Mapper[Any], column: Any, table: sa.Table) -> Any:
    """The column of *table* that is one attribute with *column*: an inherited key is in each table."""
    for one in mapper.get_property_by_column(column).columns:
        if one.table is table:
            return one
    raise ConfigError(f"{table.fullname} has no column for the key {column.name!r}.")


def _inherited(mapper: Mapper[Any]) -> list[SealedColumn]:
    above = None if mapper.inherits is None else plan_of(mapper.inherits)
    return [] if above is None else above.columns


def _sealed(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> SealedColumn | None:
    column, kind = prop.columns[0], prop.columns[0].type
    if not isinstance(kind, Encrypted):
        return None
    if not isinstance(column, sa.Column) or kind._bound.column is not column:
        raise ConfigError(
            f"{mapper.class_.__name__}.{prop.key} is an expression of the sealed {kind.label}: no row is known "
            "by which to open it. Map the column itself, or read it by a relationship."
        )
    if len(prop.columns) > 1:
        raise ConfigError(
            f"{mapper.class_.__name__}.{prop.key} stands for {len(prop.columns)} columns, and a value is sealed for "
            "one: give the attributes names of their own."
        )
    if column.primary_key or column.foreign_keys:
        raise ConfigError(f"{kind.label} is sealed to other bytes each time, and so cannot be a key.")
    if column.default is not None or column.onupdate is not None or column.server_default is not None:
        raise ConfigError(
            f"{kind.label} is sealed by Python for a row: give its default in the class' __init__, not to the column."
        )
    if column.unique or column.index or _in_index(column):
        raise ConfigError(
            f"{kind.label} is sealed to other bytes each time: an index of it finds nothing, and no two rows are ever "
            f"the same. Take blind_index({prop.key!r}, unique=True) instead."
        )
    return SealedColumn(mapper, prop.key, column, kind)


def _named(mapper: Mapper[Any], name: str, of: SealedColumn) -> sa.Column[Any]:
    prop = mapper.column_attrs.get(name)
    column = None if prop is None else prop.columns[0]
    if not isinstance(column, sa.Column):
        known = ", ".join(sorted(each.key for each in mapper.column_attrs))
        raise ConfigError(f"{of.label}: row={name!r} is no column of {mapper.class_.__name__}; there are {known}.")
    if column.table is not of.table:
        raise ConfigError(f"{of.label}: row={name!r} is in another table.")
    if column.server_default is not None or (column is column.table.autoincrement_column and column.default is None):
        raise ConfigError(
            f"{of.label}: row={name!r} is made by the database, after the value was sealed. Let Python make it: "
            "default=uuid.uuid4."
        )
    if column.nullable:
        raise ConfigError(f"{of.label}: row={name!r} may be NULL, and so identifies no row.")
    return column


def _in_index(column: sa.Column[Any]) -> bool:
    unique: list[Any] = [c for c in column.table.constraints if isinstance(c, sa.UniqueConstraint)]
    return any(column.key in each.columns for each in [*unique, *column.table.indexes])


def _tells_apart(columns: list[sa.Column[Any]]) -> bool:
    """Whether no two rows agree in all of these: some key of the table is among them, and holds for all rows."""
    table = columns[0].table
    constraints: list[Any] = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    keys: list[list[Any]] = [list(each.columns) for each in [table.primary_key, *constraints]]
    for index in table.indexes:
        partial = any(name.endswith("_where") and given is not None for name, given in index.dialect_kwargs.items())
        if index.unique and not partial and all(isinstance(one, sa.Column) for one in index.expressions):
            keys.append(list(index.columns))
    return any(key and all(any(one is column for column in columns) for one in key) for key in keys)


def _kind(column: sa.Column[Any], label: str) -> type[Any] | None:
    """What type of Python a key's column gives."""
    if isinstance(column.type, sa.CHAR):
        raise ConfigError(f"{label} is bound to its row, whose key is CHAR: databases pad it. Make it VARCHAR.")
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return None
    if isinstance(column.type, sa.types.TypeDecorator):
        return None  # it is its implementation's; what it gives is looked at with each value
    if not any(issubclass(kind, one) for one in _KINDS) or kind is bool or issubclass(kind, _TIMES):
        raise ConfigError(
            f"{label} is bound to its row, and a key of {kind.__name__} is not always the same after it was in a "
            "database. Name other columns by row=..., or say row=False."
        )
    return kind


def _again(kind: Any) -> Any:
    """Whether a type of the app's own, or UUIDs as texts, gives a value back as it was: None if it is sure to."""
    if not isinstance(kind, sa.types.TypeDecorator) and (not isinstance(kind, sa.Uuid) or kind.as_uuid):
        return None
    write, read = (
        kind.dialect_impl(_DIALECT).bind_processor(_DIALECT),
        kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None),
    )

    def again(value: Any) -> bool:
        try:
            sent = value if write is None else write(value)
            got = sent if read is None else read(sent)
        except Exception:
            return False
        return type(got) is type(value) and bool(got == value)

    return again


def _maker(column: Any) -> Any:
    default = column.default
    if default is None or isinstance(default, ClauseElement):
        return None
    if getattr(default, "is_scalar", False):
        return lambda: default.arg
    # SQLAlchemy wraps what takes no argument. What takes the context of a statement is called there, not here.
    if getattr(default, "is_callable", False) and hasattr(default.arg, "__wrapped__"):
        return lambda: default.arg(None)
    return None


_DIALECT = DefaultDialect()
_KINDS = (int, str, bytes, uuid.UUID, datetime.date)
_TIMES = (datetime.datetime,)
