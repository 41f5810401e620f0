"""What becomes of one column: the type of its results, and what makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from ..._native import AnonymizeRefused
from .counting import Count, Counts, add_counts
from .fresh import encoded, fresh
from .kinds import is_bytes, is_encodable, is_text, is_view, kept_type
from .outline import shown

Run: TypeAlias = "Callable[[pa.Array, Counts], pa.Array]"

DEEPEST = 64
"""Nesting of a schema, as of a record."""


@dataclass(frozen=True, slots=True)
class Job:
    """What becomes of a column."""

    field: pa.Field
    run: Run


@dataclass(frozen=True, slots=True)
class Dropped:
    """A column that is left out."""

    path: str
    word: str
    hollow: bool = False
    """It is a struct or a map of which no member is left; in a list, that there was one is."""

    def note(self, array: pa.Array, counts: Counts) -> None:
        note(counts, self.path, Count(self.word, values=len(array), dropped=len(array)))


def note(counts: Counts, path: str, count: Count) -> None:
    add_counts(counts, {path: count})


def kept(field: pa.Field, path: str, word: str) -> Job:
    """A column that stays as it is, in memory of its own."""
    if has_union(field.type):
        # Arrow has no means to copy one without what it does not show.
        raise AnonymizeRefused("kind", path)

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        made = fresh(array)
        # Of what was made: a dictionary may have nothing for a value, and a run of nothing is not counted by Arrow.
        note(counts, path, Count(word, len(made), made.null_count, kept=len(made) - made.null_count))
        return made

    return Job(nullable(field, kept_type(field.type)), run)


def nullable(field: pa.Field, kind: pa.DataType) -> pa.Field:
    """A field of results: without notes, and always one that may be null, so that no value decides over it."""
    return pa.field(field.name, kind, True)


def storable(kind: pa.DataType) -> pa.DataType:
    """The type in which texts are put together: Arrow picks no values out of views."""
    return pa.string() if at.is_string_view(kind) else kind


def has_union(kind: pa.DataType, depth: int = 0) -> bool:
    """Whether there is a union in it.

    :raises AnonymizeRefused: ``depth``, for a type that is nested deeper than a record may be.
    """
    if depth > DEEPEST:
        raise AnonymizeRefused("depth", "")
    if isinstance(kind, pa.BaseExtensionType):
        return has_union(kind.storage_type, depth + 1)
    if at.is_dictionary(kind) or at.is_run_end_encoded(kind):
        return has_union(kind.value_type, depth + 1)
    within = (kind.field(place).type for place in range(kind.num_fields))
    return bool(at.is_union(kind)) or any(has_union(of, depth + 1) for of in within)


def distinct_names(names: Iterable[str], above: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise AnonymizeRefused("column", f"{above}.{shown(name)}" if above else shown(name))
        seen.add(name)


def unwrapped(field: pa.Field) -> tuple[pa.Field, Callable[[pa.Array], pa.Array]] | None:
    """The field that is in a dictionary, run-end encoding or extension type, and what opens it."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        if str(kind.extension_name) == "arrow.uuid":
            # A UUID has a text of its own, where its bytes have none.
            return None
        return pa.field(field.name, kind.storage_type), lambda array: array.storage
    if at.is_dictionary(kind):
        return pa.field(field.name, kind.value_type), lambda array: array.dictionary_decode()
    if at.is_run_end_encoded(kind):
        return pa.field(field.name, kind.value_type), pc.run_end_decode
    return None


def rewrapped(field: pa.Field, job: Job | Dropped, opened: Callable[[pa.Array], pa.Array]) -> Job | Dropped:
    """The same of a column that was opened: what was in a dictionary is in one again."""
    if isinstance(job, Dropped):
        return job
    kind, made = field.type, job.field.type
    if at.is_dictionary(kind) and is_encodable(made):
        # An order of values is none of what stands in their place, where that is something else.
        made = pa.dictionary(kind.index_type, made, ordered=False)

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        parts = [encoded(job.run(opened(part), counts), made) for part in _opened_in_parts(array)]
        return parts[0] if len(parts) == 1 else pa.chunked_array(parts, made).unify_dictionaries().combine_chunks()

    return Job(job.field.with_type(made), run)


def _opened_in_parts(array: pa.Array) -> list[pa.Array]:
    """The rows in parts that take a bounded number of bytes when they are opened: one long value may stand in all.

    What no row has takes nothing, however long it is. A value that is longer than a part is one by itself.
    """
    kind = array.type
    if at.is_dictionary(kind):
        widths = _widths(array.dictionary, pc.unique(array.indices.drop_null())).take(array.indices)
    elif at.is_run_end_encoded(kind):
        widths = _widths(array.values, pa.array(range(len(array.values))))
        runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, widths)
        widths = pc.run_end_decode(runs.slice(array.offset, len(array)))
    else:
        return [array]
    if (pc.sum(widths).as_py() or 0) <= _OPENED:
        return [array]
    parts, start, taken = [], 0, 0
    for row, width in enumerate(widths.to_pylist()):
        if row > start and taken + (width or 0) > _OPENED:
            parts.append(array.slice(start, row - start))
            start, taken = row, 0
        taken += width or 0
    return [*parts, array.slice(start)]


def _widths(values: pa.Array, used: pa.Array) -> pa.Array:
    """Bytes that each of these takes, or more; of those that are in *used*, which are few where it is long to tell."""
    kind = values.type
    if is_text(kind) or is_bytes(kind):
        lengths = pc.binary_length(values.cast(pa.large_binary()) if is_view(kind) else values)
        return lengths.cast(pa.int64())
    try:
        bits = kind.bit_width
    except ValueError:
        widths = [0] * len(values)
        for place in used.to_pylist():
            widths[place] = values.slice(place, 1).nbytes
        return pa.array(widths, pa.int64())
    return pa.repeat(pa.scalar(bits // 8 + 1, pa.int64()), len(values))


_OPENED = 64 << 20
"""Bytes of what was in a dictionary or a run, that are held at once."""
