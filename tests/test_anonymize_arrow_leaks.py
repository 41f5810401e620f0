"""What may lie in a batch beside its values, looked for in the bytes of what is written of the result."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flask_rampart.anonymize import AnonymizeRefused, Plan
from flask_rampart.anonymize.arrow import ArrowPlan, Treatment

KEY = bytes(range(32))
SECRET = "Secret-Ann-1984"
NUMBER = int.from_bytes(b"AnnSecr!", "little")


def bits(*valid: bool) -> pa.Buffer:
    return pa.py_buffer(bytes([sum(there << place for place, there in enumerate(valid))]))


def words(*numbers: int, width: int = 4) -> pa.Buffer:
    return pa.py_buffer(b"".join(number.to_bytes(width, "little") for number in numbers))


def below_a_null() -> pa.Array:
    text = SECRET.encode()
    return pa.Array.from_buffers(
        pa.string(), 2, [bits(True, False), words(0, 4, 4 + len(text)), pa.py_buffer(b"fine" + text)]
    )


def a_number_below_a_null() -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), 2, [bits(True, False), words(7, NUMBER, width=8)])


def bytes_below_a_null() -> pa.Array:
    text = SECRET.encode()[:16]
    return pa.Array.from_buffers(pa.binary(15), 2, [bits(True, False), pa.py_buffer(b"x" * 15 + text)])


def below_a_null_struct() -> pa.Array:
    inner = pa.array(["fine", SECRET])
    return pa.StructArray.from_arrays([inner], ["a"], mask=pa.array([False, True]))


def below_a_null_list() -> pa.Array:
    return pa.ListArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array(["fine", SECRET]), mask=pa.array([False, True])
    )


def below_a_null_fixed_list() -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(["fine", "too", SECRET, SECRET]), 2, mask=pa.array([False, True]))


def below_a_null_map() -> pa.Array:
    return pa.MapArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()),
        pa.array(["a", SECRET]),
        pa.array(["fine", SECRET]),
        mask=pa.array([False, True]),
    )


def of_no_list() -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([1, 2, 2], pa.int32()), pa.array([SECRET, "fine", SECRET]))


def of_no_list_view() -> pa.Array:
    return pa.ListViewArray.from_arrays(
        pa.array([1, 1], pa.int32()), pa.array([1, 0], pa.int32()), pa.array([SECRET, "fine", SECRET])
    )


def of_no_row_of_a_dictionary() -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), pa.array([SECRET, "fine"]))


def in_a_dictionary_in_a_struct() -> pa.Array:
    return pa.StructArray.from_arrays([of_no_row_of_a_dictionary()], ["a"])


def cut(array: pa.Array) -> Callable[[], pa.Array]:
    return lambda: array.slice(1, 1)


def below_a_null_struct_of_lists() -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), below_a_null_struct())


HIDDEN: dict[str, Callable[[], pa.Array]] = {
    "below a null": below_a_null,
    "a number below a null": a_number_below_a_null,
    "bytes below a null": bytes_below_a_null,
    "below a null struct": below_a_null_struct,
    "below a null struct of a list": below_a_null_struct_of_lists,
    "below a null list": below_a_null_list,
    "below a null fixed list": below_a_null_fixed_list,
    "below a null map": below_a_null_map,
    "of no list": of_no_list,
    "of no list view": of_no_list_view,
    "of no row of a dictionary": of_no_row_of_a_dictionary,
    "in a dictionary in a struct": in_a_dictionary_in_a_struct,
    "cut text": cut(pa.array([SECRET, "fine", SECRET])),
    "cut view": cut(pa.array([SECRET, "fine, and longer than twelve", SECRET], pa.string_view())),
    "cut number": cut(pa.array([NUMBER, 7, NUMBER])),
    "cut struct": cut(pa.array([{"a": SECRET}, {"a": "fine"}])),
    "cut list": cut(pa.array([[SECRET], ["fine"], [SECRET]])),
    "cut map": cut(pa.array([[(SECRET, SECRET)], [("a", "fine")]], pa.map_(pa.string(), pa.string()))),
    "cut dictionary": cut(pa.array([SECRET, "fine"], pa.dictionary(pa.int8(), pa.string()))),
    "cut extension": cut(pa.ExtensionArray.from_storage(pa.json_(), pa.array([json.dumps(SECRET), "1"]))),
}
PLANS: dict[str, dict[str, Any]] = {
    "kept by a rule": {"columns": {"x": "keep"}},
    "kept by default": {"columns": {}, "default": "keep"},
    "redacted": {"columns": {}, "default": "redact", "on_error": "suppress"},
    "pseudonyms": {"columns": {"x": {"do": "pseudonym", "scope": "s"}}, "on_error": "suppress"},
    "nothing": {"columns": {"x": "null"}},
}


def memory(array: pa.Array) -> bytes:
    """All the memory that an array holds on to, whatever of it is its values."""
    held = b"".join(buffer.to_pybytes() for buffer in array.buffers() if buffer is not None)
    if pa.types.is_dictionary(array.type):
        held += memory(array.dictionary)
    if pa.types.is_struct(array.type):
        held += b"".join(memory(array.field(place)) for place in range(array.type.num_fields))
    if hasattr(array, "values"):
        held += memory(array.values)
    if pa.types.is_map(array.type):
        held += memory(array.keys) + memory(array.items)
    return held


def written(batch: pa.RecordBatch) -> bytes:
    """A batch as a stream, as a file, and as Parquet of two kinds."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    with pa.ipc.new_file(out, batch.schema) as file:
        file.write_batch(batch)
    for rest in ({"use_dictionary": False, "compression": "none"}, {"write_page_index": True, "compression": "none"}):
        own = io.BytesIO()
        pq.write_table(pa.Table.from_batches([batch]), own, **rest)
        out.write(own.getvalue())
    return out.getvalue()


def shows(found: bytes) -> bool:
    text, number = SECRET.encode(), NUMBER.to_bytes(8, "little")
    return text in found or number in found or text[:12] in found


@pytest.mark.parametrize("plan", PLANS)
def test_nothing_is_in_a_result_but_its_values(plan: str) -> None:
    treats = Treatment(Plan(PLANS[plan], key=KEY))
    for hidden, of in HIDDEN.items():
        array = of()
        assert shows(memory(array.storage if hidden == "cut extension" else array)), "there is nothing to find"
        result = treats.apply(pa.record_batch([array], ["x"]))
        result.validate(full=True)
        assert not shows(memory(result.column(0))), hidden
        assert not shows(written(result)), hidden
        if plan.startswith("kept"):
            assert result.column(0).to_pylist() == array.to_pylist()


def test_the_notes_of_a_schema_are_not_passed_on() -> None:
    # pandas writes the values of a range of an index, and names of columns; Spark the labels of categories.
    frame = pd.DataFrame({"x": ["a"]}, index=pd.Index([SECRET], name=SECRET))
    table = pa.Table.from_pandas(frame).drop_columns([SECRET])
    noted = pa.schema(
        [
            pa.field("x", pa.string(), metadata={"labels": SECRET}),
            pa.field("s", pa.struct([pa.field("a", pa.list_(pa.field("i", pa.int8(), metadata={"a": SECRET})))])),
            pa.field("m", pa.map_(pa.string(), pa.field("v", pa.int8(), metadata={"a": SECRET}))),
        ],
        {**table.schema.metadata, "org.apache.spark.sql.parquet.row.metadata": SECRET},
    )
    batch = pa.RecordBatch.from_pylist([{"x": "a", "s": {"a": [1]}, "m": [("k", 1)]}], noted)
    assert SECRET.encode() in written(batch)
    for default in ("keep", "redact"):
        result = Treatment(Plan({"columns": {}, "default": default})).apply(batch)
        assert result.schema.metadata is None and SECRET.encode() not in written(result)
        assert SECRET.encode() not in result.schema.serialize().to_pybytes()


def test_an_index_of_pandas_is_left_out() -> None:
    frame = pd.DataFrame({"x": ["a", "b"]}, index=pd.Index([SECRET, "y"], name=SECRET))
    made = ArrowPlan({"columns": {"x": "keep"}})(frame)
    assert list(made.index) == [0, 1] and made.index.name is None
    assert SECRET.encode() not in written(pa.RecordBatch.from_pandas(made))


def test_dropped_columns_are_nowhere() -> None:
    batch = pa.RecordBatch.from_pylist([{"x": SECRET, "s": {"a": SECRET, "b": 1}, "l": [{"a": SECRET}]}])
    plan = {"columns": {"x": "drop", "s.a": "drop", "s.b": "keep", "l[*].a": "drop"}}
    result = Treatment(Plan(plan)).apply(batch)
    assert result.schema.names == ["s", "l"] and not shows(written(result))


WAYS_TO_FAIL = {
    "a mail address": (SECRET, {"do": "pseudonym", "scope": "s", "form": "email"}),
    "a date": (SECRET, {"do": "date", "to": "year"}),
    "a number": (SECRET, {"do": "number", "round": 1}),
    "a function": (SECRET, {"do": "custom", "function": "same"}),
}


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_a_refusal_says_nothing_of_the_value(way: str) -> None:
    value, rule = WAYS_TO_FAIL[way]
    plan = ArrowPlan(
        {"columns": {"x": rule}}, key_env="PLAN_KEY", custom={"same": str}, types={"x": pa.int8()}, redact=["pin"]
    )
    plan._own = Treatment(Plan({"columns": {"x": rule}}, key=KEY, custom={"same": str}), types={"x": pa.int8()})
    with pytest.raises(AnonymizeRefused) as caught:
        plan(pa.table({"x": [value]}))
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r}"
        error = error.__cause__ or error.__context__


def test_what_arrow_says_of_a_value_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    treats = Treatment(Plan({"columns": {"x": "keep"}}))

    def fails(*args: Any) -> Any:
        raise pa.ArrowInvalid(f"cannot convert {SECRET}")

    batch = pa.record_batch({"x": ["a"]})
    treats.output_schema(batch.schema)
    monkeypatch.setattr("flask_rampart.anonymize.arrow.jobs.fresh", fails)
    with pytest.raises(RuntimeError, match="column 'x' of type string: ArrowInvalid") as caught:
        treats.apply(batch)
    assert caught.value.__context__ is None and SECRET not in str(caught.value)


def test_files_have_no_statistics_and_no_index_of_the_original(tmp_path: Path) -> None:
    names = [f"{SECRET}-{number:03}" for number in range(300)]
    source = pa.table({"x": names, "n": [NUMBER + number for number in range(300)]})
    plan = {
        "columns": {
            "x": {"do": "pseudonym", "scope": "s"},
            "n": {"do": "pseudonym", "scope": "n", "form": "integer", "low": 0, "high": 10**6},
        }
    }
    made = Treatment(Plan(plan, key=KEY)).apply(source.combine_chunks().to_batches()[0])
    for number, rest in enumerate(
        itertools.product(({"write_statistics": True}, {"write_page_index": True}), ({}, {"use_dictionary": False}))
    ):
        options = {**rest[0], **rest[1], "compression": "none"}
        before, after = tmp_path / f"{number}.in", tmp_path / f"{number}.out"
        pq.write_table(source, before, **options)
        pq.write_table(pa.Table.from_batches([made]), after, **options)
        assert shows(before.read_bytes()) and not shows(after.read_bytes())
        statistics = pq.read_metadata(after).row_group(0).column(0).statistics
        assert statistics.min == min(made.column(0).to_pylist())


@pytest.mark.parametrize("entries", [[], [[]], [None], [None, []]], ids=["no rows", "empty", "null", "both"])
@pytest.mark.parametrize("nested", [False, True], ids=["map", "list of maps"])
def test_a_map_without_an_entry_that_is_seen_is_redacted_as_any(entries: list[Any], nested: bool) -> None:
    kind: pa.DataType = pa.map_(pa.string(), pa.string())
    if nested:
        kind, entries = pa.list_(kind), [entries]
    batch = pa.record_batch({"m": pa.array(entries, kind)})
    for plan in (Plan({"default": "redact"}), Plan({"columns": {"m": "redact"}})):
        made = Treatment(plan).apply(batch)
        assert made["m"].to_pylist() == batch["m"].to_pylist()


def test_names_that_become_one_are_numbered_in_time_that_does_not_grow_with_them() -> None:
    count = 3000
    batch = pa.record_batch({f"a{number}@example.org": pa.array([1]) for number in range(count)})
    names = Treatment(Plan({"default": "redact"})).apply(batch).schema.names
    assert names[:2] == ["[REDACTED:EMAIL_ADDRESS]", "[REDACTED:EMAIL_ADDRESS]#2"] and len(set(names)) == count
