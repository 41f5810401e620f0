"""Copies of arrays in which nothing is but their values.

An Arrow array may be a window on more: what was before and behind a slice, values below a null, parts of a list that is
null, values of a dictionary that no row has. All of it would go into a file or to another process. Nothing of it is in
what is made here.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from .kinds import is_encodable, is_list, is_plain, is_view, kept_type, without_views


def fresh(array: pa.Array) -> pa.Array:
    """A copy. Its type is :func:`~flask_rampart.anonymize.arrow.kinds.kept_type` of the array's."""
    kind = array.type
    if at.is_null(kind):
        return pa.nulls(len(array))
    if is_plain(kind):
        return _named(array.take(_all(len(array))), kept_type(kind))
    if isinstance(kind, pa.BaseExtensionType):
        storage, made = fresh(array.storage), kept_type(kind)
        return pa.ExtensionArray.from_storage(made, storage) if isinstance(made, pa.BaseExtensionType) else storage
    if at.is_run_end_encoded(kind):
        return fresh(pc.run_end_decode(array))
    if at.is_dictionary(kind):
        return encoded(_pointed_at(array), kept_type(kind))
    if is_view(kind):
        longer = pa.large_string() if at.is_string_view(kind) else pa.large_binary()
        return fresh(array.cast(longer)).cast(kind)
    if at.is_struct(kind):
        # `flatten` puts the nulls of the struct into its members.
        members = [fresh(member) for member in array.flatten()]
        return structs(array, members, kept_type(kind))
    if at.is_map(kind):
        entries = entries_of(array)
        keys, items = entries.flatten().flatten()
        offsets = offsets_of(entries)
        return maps(array, offsets, fresh(keys), fresh(items), kept_type(kind))
    if is_list(kind):
        return lists(array, offsets_of(array), fresh(array.flatten()), kept_type(kind))
    # Unions and what Arrow may add: `jobs.py` refuses such columns before the first batch.
    raise TypeError(f"columns of type {kind.id} cannot be copied")


def picked(array: pa.Array, places: pa.Array) -> pa.Array:
    """The values at these places, and nothing where there is none."""
    kind = array.type
    if is_view(kind):
        return array.cast(pa.large_binary()).take(places).cast(kind)
    plain = without_views(kind)
    if plain.equals(kind):
        return array.take(places)
    # Arrow picks no values out of views, nor out of what has some in it.
    return array.cast(plain).take(places).cast(kind)


def encoded(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """As a dictionary, if *kind* is one, in the order in which its values come: that of another dictionary may say
    something of what its values were."""
    if not at.is_dictionary(kind):
        return array
    if at.is_dictionary(array.type):
        made = array
    else:
        values = array.cast(pa.large_string()) if at.is_string_view(array.type) else array
        made = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        made.indices.cast(kind.index_type), made.dictionary.cast(kind.value_type), ordered=kind.ordered
    )


def _pointed_at(array: pa.Array) -> pa.Array:
    """The values of a dictionary that some row has, in the order of the rows; as a dictionary where that is a type.

    It is not written out row by row: one long value may stand in all of them.
    """
    indices = array.indices
    used = pc.unique(indices.drop_null())
    values = fresh(array.dictionary.take(used))
    if not is_encodable(values.type):
        return values.take(pc.index_in(indices, used))
    # Two of a dictionary's values may be equal, or nothing.
    distinct = (values.cast(pa.large_string()) if at.is_string_view(values.type) else values).dictionary_encode()
    places = distinct.indices.take(pc.index_in(indices, used))
    return pa.DictionaryArray.from_arrays(places, distinct.dictionary.cast(values.type))


def structs(like: pa.Array, members: list[pa.Array], kind: pa.DataType) -> pa.Array:
    """Structs of these members, null where *like* is."""
    if not members:
        return like.take(_all(len(like)))
    return pa.StructArray.from_arrays(members, fields=list(kind), mask=_mask(like))


def lists(like: pa.Array, offsets: pa.Array, elements: pa.Array, kind: pa.DataType) -> pa.Array:
    """Lists of these elements, null where *like* is."""
    if at.is_large_list(kind):
        return pa.LargeListArray.from_arrays(offsets, elements, type=kind, mask=_mask(like))
    if not at.is_fixed_size_list(kind):
        return pa.ListArray.from_arrays(offsets.cast(pa.int32()), elements, type=kind, mask=_mask(like))
    if not kind.list_size:
        # Arrow divides by it, and the process would end.
        return pa.array([[] if there else None for there in pc.is_valid(like).to_pylist()], kind)
    if len(elements) != kind.list_size * len(like):
        # Arrow wants elements also where there is no list.
        places = pc.list_parent_indices(array_like(like, offsets, elements))
        wanted = pa.array([row for row in range(len(like)) for _ in range(kind.list_size)], pa.int64())
        there = pc.is_in(wanted, places)
        counted = pc.cumulative_sum(there.cast(pa.int64()))
        elements = picked(elements, pc.if_else(there, pc.subtract(counted, 1), pa.scalar(None, pa.int64())))
    return pa.FixedSizeListArray.from_arrays(elements, type=kind, mask=_mask(like))


def array_like(like: pa.Array, offsets: pa.Array, elements: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(offsets, elements, mask=_mask(like))


def maps(like: pa.Array, offsets: pa.Array, keys: pa.Array, items: pa.Array, kind: pa.DataType) -> pa.Array:
    """Maps of these entries, null where *like* is."""
    return pa.MapArray.from_arrays(offsets.cast(pa.int32()), keys, items, type=kind, mask=_mask(like))


def entries_of(array: pa.Array) -> pa.Array:
    """A map as a list of its keys and items."""
    kind = array.type
    entry = pa.struct([kind.key_field, kind.item_field])
    return array.cast(pa.list_(pa.field("entries", entry, nullable=False)))


def offsets_of(array: pa.Array) -> pa.Array:
    """Where each list begins in :meth:`flatten`, which leaves out what no list has; and where the last one ends."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
    return pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])


def _mask(like: pa.Array) -> Any:
    return pc.is_null(like)


def _all(count: int) -> pa.Array:
    # Not `pa.arange`, which is of pyarrow 21.
    return pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), count), start=-1)


def _named(array: pa.Array, kind: pa.DataType) -> pa.Array:
    # Without the notes that fields may have.
    return array if array.type.equals(kind, check_metadata=True) else array.cast(kind)
