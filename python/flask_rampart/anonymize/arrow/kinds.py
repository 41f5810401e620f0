"""Which types the results of a rule have, by the type that a column had: known before the first value is seen.

1. A rule that makes texts of one value makes a column of texts in every batch, also of one that is empty or all null.
2. What is kept keeps its type. Run-end encoding is undone; dictionaries are made anew from the results.
3. A number that is rounded stays a number: of an integer 64 bits, of a decimal all the digits that its width allows.
   What still does not fit is refused, code ``range``.
4. Extension types stay where their column is kept; a rule sees what they store, and its results have no extension.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as at


def is_text(kind: pa.DataType) -> bool:
    return bool(at.is_string(kind) or at.is_large_string(kind) or at.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    return bool(at.is_binary(kind) or at.is_large_binary(kind) or at.is_binary_view(kind))


def is_list(kind: pa.DataType) -> bool:
    return bool(
        at.is_list(kind)
        or at.is_large_list(kind)
        or at.is_fixed_size_list(kind)
        or at.is_list_view(kind)
        or at.is_large_list_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    return bool(at.is_integer(kind) or at.is_floating(kind) or at.is_decimal(kind))


def is_view(kind: pa.DataType) -> bool:
    return bool(at.is_string_view(kind) or at.is_binary_view(kind))


def is_plain(kind: pa.DataType) -> bool:
    """Whether Arrow copies arrays of this type to the last part with ``take``, and without anything else."""
    if is_view(kind) or at.is_dictionary(kind) or at.is_run_end_encoded(kind) or at.is_union(kind):
        return False
    # What is below a null struct stays there in a copy.
    if at.is_struct(kind) and kind.num_fields:
        return False
    if isinstance(kind, pa.BaseExtensionType) or at.is_list_view(kind) or at.is_large_list_view(kind):
        return False
    return all(is_plain(kind.field(at_).type) for at_ in range(kind.num_fields))


def is_encodable(kind: pa.DataType) -> bool:
    """Whether each different value can be treated once."""
    return bool(
        is_text(kind)
        or at.is_integer(kind)
        # Arrow counts no halves before version 26.
        or (at.is_floating(kind) and not at.is_float16(kind))
        or at.is_decimal128(kind)
        or at.is_decimal256(kind)
        or at.is_date(kind)
        or at.is_timestamp(kind)
        or at.is_binary(kind)
        or at.is_large_binary(kind)
    )


def text_like(kind: pa.DataType) -> pa.DataType:
    """The type of texts that stand in the place of values of this type."""
    return kind if is_text(kind) else pa.string()


def number_like(kind: pa.DataType, whole: bool) -> pa.DataType:
    """The type of numbers that stand in the place of values of this type; texts stay texts."""
    if at.is_null(kind):
        return kind
    if at.is_integer(kind):
        if not whole:
            return pa.float64()
        return kind if at.is_uint64(kind) else pa.int64()
    if at.is_floating(kind):
        return pa.float32() if at.is_float16(kind) else kind
    if at.is_decimal(kind):
        return pa.decimal256(76, kind.scale) if at.is_decimal256(kind) else pa.decimal128(38, kind.scale)
    return text_like(kind)


def kept_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column that is kept, without the names and notes of anything but its fields.

    An extension is kept whose storage is of such a type; of another one the storage is.
    """
    if isinstance(kind, pa.BaseExtensionType):
        storage = kept_type(kind.storage_type)
        return kind if storage.equals(kind.storage_type, check_metadata=True) else storage
    if at.is_run_end_encoded(kind):
        return kept_type(kind.value_type)
    if at.is_dictionary(kind):
        value = kept_type(kind.value_type)
        return pa.dictionary(kind.index_type, value, kind.ordered) if is_encodable(value) else value
    if at.is_struct(kind):
        return pa.struct([kept_field(kind.field(at_)) for at_ in range(kind.num_fields)])
    if is_list(kind):
        return list_type(kind, kept_field(kind.value_field))
    if at.is_map(kind):
        return pa.map_(kept_field(kind.key_field), kept_field(kind.item_field))
    return kind


def without_views(kind: pa.DataType) -> pa.DataType:
    """The same type, with texts and bytes that are no views."""
    if is_view(kind):
        return pa.large_string() if at.is_string_view(kind) else pa.large_binary()
    if at.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        return pa.struct([field.with_type(without_views(field.type)) for field in fields])
    if is_list(kind) and not at.is_list_view(kind) and not at.is_large_list_view(kind):
        return list_type(kind, kind.value_field.with_type(without_views(kind.value_type)))
    if at.is_map(kind):
        key, item = kind.key_field, kind.item_field
        return pa.map_(key.with_type(without_views(key.type)), item.with_type(without_views(item.type)))
    return kind


def kept_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, kept_type(field.type), field.nullable)


def list_type(kind: pa.DataType, element: pa.Field, *, fixed: bool = True) -> pa.DataType:
    """The type of lists of these elements in the place of lists of this type."""
    if at.is_fixed_size_list(kind) and fixed:
        return pa.list_(element, kind.list_size)
    if at.is_large_list(kind) or at.is_large_list_view(kind):
        return pa.large_list(element)
    return pa.list_(element)
