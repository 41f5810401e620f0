"""Frames of pandas as tables, and back, with types that do not depend on what is in them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types as at

from ...errors import ConfigError


def to_table(frame: Any) -> pa.Table:
    """The columns of a frame, without its index.

    :raises TypeError: for what is no frame.
    :raises ConfigError: for a column that holds several kinds of values.
    """
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise TypeError(f"a table, a record batch or a frame of pandas is expected, not {type(frame).__name__}")
    table = None
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError):
        # What it says would quote a value.
        pass
    if table is None:
        raise ConfigError("a column of the frame holds several kinds of values: give each column one type")
    return table.replace_schema_metadata(None)


def to_frame(table: pa.Table) -> Any:
    """A frame of Arrow's types. A dictionary's categories would differ from part to part, so it is undone."""
    import pandas as pd

    plain = pa.schema([field.with_type(_undone(field.type)) for field in table.schema])
    if plain != table.schema:
        table = table.cast(plain)
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _undone(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if at.is_dictionary(kind) else kind
