"""Where a sealed value stands, and what it is bound to by that: the associated data of a column.

1. The associated data are a JSON array, in ASCII, without spaces: nothing can be read in two ways.
   ``["column",schema,table,column,row]``, or ``["column",name,row]`` for ``bound_as=name``.
2. ``schema`` is null where the table declares none. ``row`` is null where the column is not bound to rows, or else an
   array of the values of the row's key, in the order of the key's columns.
3. A whole number is a number, a text a string, a UUID ``{"uuid":"..."}``, bytes ``{"bytes":"hexadecimal"}``, a date
   ``{"date":"YYYY-MM-DD"}``. Nothing else identifies a row: a number with a fraction or a time is not the same after it
   was in a database.

It knows neither SQLAlchemy nor keys. An array that is sealed for a row that is still without its key has
``{"pending":"..."}`` there, which no row has: see ``objects.py``.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from ...errors import ConfigError


class Pending(NamedTuple):
    """In place of the key of a row that has none yet."""

    token: str


Row: TypeAlias = "tuple[Any, ...] | Pending | None"


class Place:
    """A column.

    >>> Place(None, "users", "email").associated_data((7,))
    b'["column",null,"users","email",[7]]'
    >>> Place(None, "users", "email", bound_as="people.email").associated_data(None)
    b'["column","people.email",null]'
    """

    __slots__ = ("_prefix", "label")

    def __init__(self, schema: str | None, table: str, column: str, *, bound_as: str | None = None) -> None:
        parts = ["column", schema, table, column] if bound_as is None else ["column", bound_as]
        self._prefix = _json(parts)[:-1]
        self.label: Final = ".".join(part for part in (schema, table, column) if part is not None)
        """For people: ``"users.email"``."""

    def associated_data(self, row: Row) -> bytes:
        """What a value of this row is bound to.

        :raises ConfigError: if a value cannot identify a row.
        """
        # The usual key, without the encoder.
        if type(row) is tuple and len(row) == 1 and type(row[0]) is int:
            return f"{self._prefix},[{row[0]}]]".encode()
        return f"{self._prefix},{_json(_row(row, self.label))}]".encode()

    def name(self, row: Row) -> str:
        """For alarms: the place, with the row if that is identified by a number or a UUID, which say nothing more."""
        if type(row) is tuple and all(type(part) in (int, uuid.UUID) for part in row):
            return f"{self.label}:{','.join(map(str, row))}"
        return self.label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self._prefix == other._prefix

    def __hash__(self) -> int:
        return hash(self._prefix)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_place, (self._prefix, self.label))


class Sealed:
    """A sealed value, as it is in the database. An attribute of the object opens it, or ``open_value``.

    It has no text: whoever writes it into an answer or a message is told so, instead of seeing it go.
    """

    __slots__ = ("_value", "data", "place", "row")

    def __init__(self, data: bytes, place: Place, row: Row = None, value: Any = ...) -> None:
        self.data = data
        self.place = place
        # Of one that was sealed here. Of one that was loaded it is not known: the object around it has the key.
        self.row = row
        self._value = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sealed):
            return self.data == other.data and self.place == other.place
        if other is None:
            return False
        raise TypeError(
            f"A sealed value of {self.place.label} was not opened, and equals no other: compare what open_value says."
        )

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"<Sealed {self.place.label}, {len(self.data)} bytes>"

    def __str__(self) -> str:
        raise TypeError(
            f"A value of {self.place.label} was not opened: read it from an object of its class, or open it with "
            "open_value(attribute, sealed, row=...)."
        )

    def __format__(self, spec: str) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the value: a pickle is not sealed.
        return (Sealed, (self.data, self.place, self.row))


class IndexBytes(bytes):
    """A blind index, as it is in the database: 16 bytes, told apart from a value that is looked for."""

    def __repr__(self) -> str:
        return f"IndexBytes({self.hex()!r})"


def row_of(row: Any) -> tuple[Any, ...] | None:
    """A row's key as a tuple, from what a caller gives: one value, or several."""
    if row is None or isinstance(row, tuple):
        return row
    return tuple(row) if isinstance(row, list) else (row,)


def is_key(value: Any) -> bool:
    """Whether a value can identify a row."""
    return isinstance(value, _KEYS) and not isinstance(value, (bool, datetime.datetime))


def _place(prefix: str, label: str) -> Place:
    place = Place.__new__(Place)
    place._prefix = prefix
    place.label = label  # type: ignore[misc]
    return place


def _row(row: Row, label: str) -> Any:
    if row is None:
        return None
    if isinstance(row, Pending):
        return {"pending": row.token}
    return [_part(part, label) for part in row]


def _part(value: Any, label: str) -> Any:
    if not is_key(value):
        raise ConfigError(
            f"{label} is bound to its row, and {type(value).__name__} cannot identify one: the key has to be a whole "
            "number, a text, a UUID, bytes or a date. Name other columns by row=..., or say row=False."
        )
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration, the text and not the name
    if isinstance(value, uuid.UUID):
        return {"uuid": str(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {"date": value.isoformat()}


def _json(value: Sequence[Any] | Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


_KEYS = (int, str, uuid.UUID, bytes, datetime.date)
