"""What is left to find in the batches of all workers: each measures its own, and what they found is put together.

A fragment is a table of counts: rows by class, and by class and sensitive value. Classes and values are keyed hashes,
as in :class:`flask_rampart.anonymize.Measure`, so no value travels. It is Arrow like anything else, and goes the ways
that batches go. Counts are exact, however the rows were divided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.types as at

from ..._native import AnonymizeMeasure, AnonymizeRefused
from ...errors import ConfigError
from ..measuring import Privacy, privacy_of
from .outline import written
from .values import UNREADABLE, values_of

FRAGMENT = pa.schema(
    [
        pa.field("class", pa.binary()),
        pa.field("column", pa.int64()),
        pa.field("value", pa.binary()),
        pa.field("rows", pa.int64()),
    ]
)
"""The schema of a fragment: rows of a class; with column and value, those of them that have it; with a column alone,
rows that have such a column."""

Steps: TypeAlias = "list[str]"


class Measuring:
    """Counts batches by paths into structs."""

    def __init__(
        self, quasi_identifiers: dict[str, Steps], sensitive: dict[str, Steps], key: bytes, max_entries: int
    ) -> None:
        if not quasi_identifiers:
            raise ConfigError("quasi_identifiers: the plan names none, so there is nothing to measure by")
        self._paths = {**quasi_identifiers, **sensitive}
        self._sensitive = list(sensitive)
        # Each path as one name: batches are flat by the time that they are counted.
        self._native = AnonymizeMeasure(
            [written(path) for path in quasi_identifiers],
            [written(path) for path in sensitive],
            max_entries=max_entries,
            key=key,
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts the rows of a batch.

        :raises OverflowError: for more than ``max_entries``.
        :raises AnonymizeRefused: ``kind`` for a list, a table or bytes, of which all would be one value.
        """
        columns = {path: found for path, steps in self._paths.items() if (found := _at(batch, steps, path)) is not None}
        if not columns:
            self._native.add_times({}, batch.num_rows)
            return
        for row, times in _distinct(columns, batch.num_rows):
            if any(value is UNREADABLE for value in row.values()):
                raise AnonymizeRefused("kind", "")
            self._native.add_times(row, times)

    def fragment(self) -> pa.RecordBatch:
        columns = list(zip(*self._native.entries(), strict=True))
        return pa.record_batch(
            [pa.array(values, field.type) for values, field in zip(columns, FRAGMENT, strict=True)], FRAGMENT
        )

    def merge(self, fragments: Iterable[Any]) -> None:
        """Adds fragments: batches, tables or frames of pandas."""
        for fragment in fragments:
            if not isinstance(fragment, (pa.RecordBatch, pa.Table)):
                fragment = pa.Table.from_pandas(fragment, schema=FRAGMENT, preserve_index=False)
            entries = fragment.select(FRAGMENT.names).to_pylist()
            # Fragments that were put together are in any order, and a class comes before what is in it.
            entries.sort(key=lambda entry: entry["value"] is not None)
            rows = [(entry["class"], entry["column"], entry["value"], entry["rows"]) for entry in entries]
            try:
                self._native.add_entries(rows)
            except OverflowError:
                raise
            except ValueError as error:
                raise ConfigError(str(error)) from None

    def had(self) -> set[str]:
        """Paths that rows had so far."""
        paths = list(self._paths)
        return set(paths) - {paths[at] for at in self._native.missing()}

    def privacy(self, dropped: Sequence[str] = ()) -> Privacy:
        """See :meth:`flask_rampart.anonymize.Measure.privacy`."""
        try:
            return privacy_of(self._native, list(self._paths), self._sensitive, dropped)
        except ConfigError:
            raise
        except ValueError as error:
            # The path was quoted as one name, and quoted again.
            raise ConfigError(str(error).replace('"\\"', '"').replace('\\""', '"')) from None


def _at(batch: pa.RecordBatch, steps: Steps, path: str) -> pa.Array | None:
    """The values that a path leads to; None if the batch has no such."""
    place = batch.schema.get_field_index(steps[0])
    if place < 0:
        return None
    array = batch.column(place)
    for step in steps[1:]:
        kind = array.type
        if at.is_null(kind):
            return array
        if not at.is_struct(kind):
            raise AnonymizeRefused("kind", path)
        place = kind.get_field_index(step)
        if place < 0:
            return None
        array = array.flatten()[place]
    return array


def _distinct(columns: dict[str, pa.Array], rows: int) -> Iterator[tuple[dict[str, Any], int]]:
    names = [str(number) for number in range(len(columns))]
    try:
        table = pa.Table.from_arrays(list(columns.values()), names)
        grouped = table.group_by(names, use_threads=False).aggregate([([], "count_all")]).combine_chunks()
        found = [_plain(grouped.column(name)) for name in names]
        times = grouped.column("count_all").to_pylist()
    except pa.ArrowException:
        # Types that Arrow does not group.
        found, times = list(columns.values()), [1] * rows
    values = [values_of(array) for array in found]
    for number, count in enumerate(times):
        yield {path: column[number] for path, column in zip(columns, values, strict=True)}, count


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
