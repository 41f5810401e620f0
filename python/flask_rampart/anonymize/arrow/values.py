"""Arrays as the values that rules read, and the values that rules made as arrays.

1. A value that Python has no object for (a year beyond 9999, a text that is not UTF-8) is :data:`UNREADABLE`, which no
   rule reads: it is refused or becomes nothing, as the plan says, and no error quotes it.
2. A moment is its local time by its column's zone, in ISO 8601, to the nanosecond where it has such: the same text
   whatever else is installed.
3. A value that the type of the results cannot hold is refused: ``range`` for a number, ``custom`` for what a function
   returned.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.types as at

from ..._native import AnonymizeRefused
from .kinds import is_encodable, is_number, is_view

UNREADABLE = object()


class Moment(datetime):
    """A moment with nanoseconds, for whoever asks for its text."""

    text: str

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return self.text


def values_of(array: pa.Array) -> list[Any]:
    """The values of an array; None where there is none."""
    if at.is_timestamp(array.type) and array.type.unit == "ns":
        return _moments(array)
    try:
        values: list[Any] = array.to_pylist()
    except Exception:
        return [_value(array[place]) for place in range(len(array))]
    return values


def array_of(
    values: list[Any], kind: pa.DataType, column: str, *, code: str = "kind", lenient: bool = False
) -> pa.Array:
    """The array of values that a rule made.

    :param lenient: what is not of this type becomes nothing.
    :raises AnonymizeRefused: for a value that is not of this type.
    """
    made = _array(values, kind, code)
    if made is None and lenient:
        made = _array([None if _array([value], kind, code) is None else value for value in values], kind, code)
    if made is not None:
        return made
    raise AnonymizeRefused("range" if is_number(kind) and code == "kind" else code, column)


def _array(values: list[Any], kind: pa.DataType, code: str) -> pa.Array | None:
    try:
        if at.is_decimal(kind) and code != "custom":
            values = [None if value is None else Decimal(value) for value in values]
        elif at.is_integer(kind) and code != "custom":
            values = [int(value) if isinstance(value, str) else value for value in values]
            # Arrow would cut off what is behind the point.
            if any(isinstance(value, float) and not value.is_integer() for value in values):
                return None
        made = pa.array(values, kind, from_pandas=False)
    except (pa.ArrowException, ArithmeticError, TypeError, ValueError):
        # What it says would quote the value.
        return None
    return made if isinstance(made, pa.Array) else None


def by_distinct(array: pa.Array, made_of: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """What is made of an array, with each different value looked at once. Nothing stays nothing."""
    if at.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if not is_encodable(array.type) or is_view(array.type):
        return made_of(array)
    encoded = array.dictionary_encode()
    return made_of(encoded.dictionary).take(encoded.indices)


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except Exception:
        return UNREADABLE


def _moments(array: pa.Array) -> list[Any]:
    counts = array.cast(pa.int64()).to_pylist()
    parts = [(None, 0) if count is None else divmod(count, 1000) for count in counts]
    coarse = pa.array([micros for micros, _ in parts], pa.int64()).cast(pa.timestamp("us", array.type.tz))
    values = values_of(coarse)
    return [
        _moment(value, nanos) if nanos and isinstance(value, datetime) else value
        for value, (_, nanos) in zip(values, parts, strict=True)
    ]


def _moment(value: datetime, nanos: int) -> Moment:
    moment = Moment(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    )
    text = datetime.isoformat(value, timespec="microseconds")
    # YYYY-MM-DDTHH:MM:SS.ffffff, and the zone.
    moment.text = f"{text[:26]}{nanos:03}{text[26:]}"
    return moment
