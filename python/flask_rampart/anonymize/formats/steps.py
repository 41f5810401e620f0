"""How many rows of Parquet are read at once, so that a small file does not become a large table in memory.

1. What a row takes is not known before it is read: one value of a dictionary, or a beginning that all values share, is
   in the file once and in each row. It takes no more than its whole column does in the file, uncompressed.
2. Where that allows for few rows alone, the dictionary is read, once: it says how long its longest value is.
3. So many rows are read at once as are bounded by that, at least :data:`FEWEST`; fewer only if these might take more
   than :data:`ROOM`. What they take is looked at then, and they are cut into pieces.

The numbers depend on the file and the size of a piece alone, so a run that goes on cuts as the first one did.

It does not bound one row that has many elements, each of them a long value of a dictionary; nor a column without a
dictionary behind a codec that makes much of little: where long values come first and short ones after them, the rows of
a step take up to what the whole group does without its compression. The header of each page says what that page takes,
but pyarrow tells of none: neither which pages there are, nor what one takes before it is decompressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

FEWEST = 64
"""Rows that are read at once, if they may be of any length."""

ROOM = 128 << 20
"""Bytes that such rows may take."""

_MOST = 1 << 14
_BUDGET = 64 << 20
"""Bytes that the rows of one step may take, by what is known before they are read."""

_AS_LONG = frozenset(
    {"PLAIN", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "BYTE_STREAM_SPLIT"}
)
"""Encodings of which a text takes as much as it is long."""

_SHRINK = {"UNCOMPRESSED": 1, "SNAPPY": 64, "LZ4": 255, "LZ4_RAW": 255}
"""How much smaller a codec makes a page at most; others have no bound that would help."""


def step_of(group: Any, piece: int, longest_in: Callable[[str], int | None] = lambda path: None) -> int:
    """How many rows of a group are read at once.

    :param longest_in: bytes of the longest value in a column's dictionary, if that can be read.
    """
    each = max(group.total_byte_size // max(group.num_rows, 1), 1)
    rows = min(piece // each, _MOST)
    columns = [group.column(number) for number in range(group.num_columns)]
    bounds = {column.path_in_schema: _longest(column) for column in columns}
    for column in sorted(columns, key=lambda column: -bounds[column.path_in_schema]):
        if sum(bounds.values()) * rows <= _BUDGET:
            break
        path = column.path_in_schema
        if bounds[path] and column.has_dictionary_page and "DELTA_BYTE_ARRAY" not in column.encodings:
            longest = longest_in(path)
            bounds[path] = bounds[path] if longest is None else min(longest, bounds[path])
    longest = sum(bounds.values())
    fewest = max(min(ROOM // (longest + each), FEWEST), 1)
    return int(max(min(rows, _BUDGET // max(longest, 1)), fewest))


def longest_of(array: pa.Array) -> int | None:
    """Bytes of the longest value of the dictionary in *array*, alone or as the one thing in lists and structs."""
    while not pa.types.is_dictionary(array.type):
        if array.type.num_fields != 1:
            return None
        array = array.field(0) if pa.types.is_struct(array.type) else array.values
    return int(pc.max(pc.binary_length(array.dictionary)).as_py() or 0)


def size_of(batch: pa.RecordBatch) -> int:
    """Bytes that a batch takes once it is treated: of a dictionary, the values that are pointed at."""
    return sum(_size(column) for column in batch.columns)


def smaller(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches of at most so many bytes, or of one row."""
    if batch.num_rows < 2 or size_of(batch) <= most:
        if batch.num_rows:
            yield batch
        return
    middle = batch.num_rows // 2
    yield from smaller(batch.slice(0, middle), most)
    yield from smaller(batch.slice(middle), most)


def _longest(column: Any) -> int:
    """Bytes of the longest value that may be in a column of texts more often than in the file."""
    encodings = set(column.encodings)
    is_text = column.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
    if not is_text or (encodings <= _AS_LONG and not column.has_dictionary_page):
        return 0
    whole: int = column.total_uncompressed_size
    shrink = _SHRINK.get(column.compression)
    if "DELTA_BYTE_ARRAY" in encodings or shrink is None or not column.dictionary_page_offset:
        return whole
    return int(min(whole, max(column.data_page_offset - column.dictionary_page_offset, 0) * shrink or whole))


def _size(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    each = column.dictionary.nbytes // max(len(column.dictionary), 1)
    return int(column.indices.nbytes + each * len(column))
