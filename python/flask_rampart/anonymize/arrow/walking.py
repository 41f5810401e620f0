"""Walks columns of which a plan names parts: structs by their members, lists by their elements, maps by their keys.

1. What is null stays null, at every level.
2. A column of another shape than the plan says is refused where it has a value (``kind``), or becomes nothing, as the
   plan says of errors.
3. The values of a map have one type, so the rules of its keys have to make one.
4. Dropped elements leave empty lists. A struct or map of which nothing is left has no column; in a list, nothing stands
   in the place of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from ..._native import AnonymizeRefused
from ...errors import ConfigError
from .counting import Counts
from .fresh import entries_of, fresh, lists, maps, offsets_of, picked, structs
from .jobs import Dropped, Job, nullable
from .kinds import is_list, is_text, kept_field, kept_type, list_type
from .outline import Place, shown

if TYPE_CHECKING:
    from .columns import Columns

Renaming = Callable[[pa.Array, pa.Array, pa.Array], pa.Array]


def walked(columns: Columns, field: pa.Field, place: Place, path: str, secret: bool) -> Job | Dropped:
    """What becomes of a column that a plan leads on from."""
    kind = field.type
    if at.is_null(kind):
        return Job(nullable(field, kind), lambda array, counts: pa.nulls(len(array)))
    if at.is_struct(kind) and place.members:
        return _struct(columns, field, place, path, secret)
    if at.is_map(kind) and place.members and is_text(kind.key_type):
        return _map(columns, field, place, path, secret)
    if is_list(kind) and place.each is not None:
        return _list(columns, field, place.each, path, secret)
    kind, refuse = kept_type(kind), columns.outline.on_error == "refuse"

    def misshapen(array: pa.Array, counts: Counts) -> pa.Array:
        if refuse and array.null_count < len(array):
            raise AnonymizeRefused("kind", path)
        return pa.nulls(len(array), kind)

    return Job(nullable(field, kind), misshapen)


def _struct(columns: Columns, field: pa.Field, place: Place, path: str, secret: bool) -> Job | Dropped:
    kind = field.type
    found = columns.members([kind.field(at_) for at_ in range(kind.num_fields)], place, path, secret)
    return struct_of(field, found, path)


def struct_of(field: pa.Field, found: list[Job | Dropped], path: str) -> Job | Dropped:
    """A struct of what becomes of its members."""
    left = [job.field for job in found if isinstance(job, Job)]
    if not left:
        return Dropped(path, "drop", hollow=True)
    kind = pa.struct(left)

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        members = []
        for job, member in zip(found, array.flatten(), strict=True):
            if isinstance(job, Job):
                members.append(job.run(member, counts))
            else:
                job.note(member, counts)
        return structs(array, members, kind)

    return Job(nullable(field, kind), run)


def _list(columns: Columns, field: pa.Field, place: Place, path: str, secret: bool) -> Job:
    kind = field.type
    return list_of(field, columns.column(kind.value_field, place, f"{path}[*]", secret))


def list_of(field: pa.Field, job: Job | Dropped) -> Job:
    """Lists of what becomes of their elements."""
    kind = field.type
    if isinstance(job, Dropped) and job.hollow:
        nothing = nullable(kind.value_field, pa.null())
        job = Job(nothing, lambda array, counts: pa.nulls(len(array)))
    if isinstance(job, Dropped):
        element = nullable(kind.value_field, kept_type(kind.value_type))
        empty = list_type(kind, element, fixed=False)

        def emptied(array: pa.Array, counts: Counts) -> pa.Array:
            job.note(array.flatten(), counts)
            offsets = pa.repeat(pa.scalar(0, pa.int64()), len(array) + 1)
            return lists(array, offsets, pa.nulls(0, element.type), empty)

        return Job(nullable(field, empty), emptied)
    made = list_type(kind, nullable(kind.value_field, job.field.type))

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        return lists(array, offsets_of(array), job.run(array.flatten(), counts), made)

    return Job(nullable(field, made), run)


def _map(columns: Columns, field: pa.Field, place: Place, path: str, secret: bool) -> Job | Dropped:
    """A map is like a record: its keys are names, each with its own rule or the plan's default."""
    kind, default = field.type, columns.default
    jobs: list[Job | Dropped] = []
    for name, member in place.members.items():
        within = secret or (default is not None and default.is_secret(name))
        jobs.append(columns.column(kind.item_field, member, f"{path}.{shown(name)}", within))
    rest: Job | Dropped | None = None
    rename: Renaming | None = None
    if default is not None:
        rest, rename = default.entries(kind.item_field, path, secret)
    elif columns.outline.default != "refuse":
        rest = columns.unnamed(kind.item_field, path, secret)
    types = {job.field.type for job in [*jobs, rest] if isinstance(job, Job)}
    if len(types) > 1:
        raise ConfigError(f"{path}: the values of a map have one type, and the rules of its keys make several")
    if not types and rest is not None:
        return Dropped(path, "drop", hollow=True)
    item = nullable(kind.item_field, types.pop() if types else kept_type(kind.item_type))
    made = pa.map_(kept_field(kind.key_field), item)
    named = pa.array(list(place.members), pa.large_string())

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        entries = entries_of(array)
        keys, items = entries.flatten().flatten()
        parents = pc.list_parent_indices(entries)
        which = pc.index_in(keys.cast(pa.large_string()), value_set=named)
        places, parts = [], []
        for number, job in enumerate([*jobs, rest]):
            mask = pc.equal(which, number) if number < len(jobs) else pc.is_null(which)
            here = pc.indices_nonzero(mask)
            if job is None:
                if len(here):
                    raise AnonymizeRefused("column", path)
            elif isinstance(job, Dropped):
                job.note(here, counts)
            else:
                some = picked(items, here)
                if number == len(jobs) and default is not None:
                    some = _with_keys(some, picked(keys, here))
                places.append(here)
                parts.append(job.run(some, counts))
        if rename is not None:
            keys = rename(keys, parents, pc.is_null(which))
        order = pa.concat_arrays(places) if places else pa.array([], pa.uint64())
        inverse = pc.sort_indices(order)
        values = picked(pa.concat_arrays(parts), inverse) if parts else pa.nulls(0, item.type)
        left = order.take(inverse)
        stays = pc.is_in(pa.array(range(len(keys)), pa.uint64()), value_set=left)
        before = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(stays.cast(pa.int64()))])
        return maps(array, before.take(offsets_of(entries)), fresh(picked(keys, left)), values, made)

    return Job(nullable(field, made), run)


def _with_keys(items: pa.Array, keys: pa.Array) -> pa.Array:
    """What redaction takes of a map: whether a value is secret is its key's to say."""
    return pa.StructArray.from_arrays([keys, items], ["key", "value"])
