"""Columns of Arrow that somebody made to leak, to be miscounted, or to end the process; each was found by trying."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from flask_rampart.anonymize import AnonymizeRefused, Plan
from flask_rampart.anonymize.arrow import Treatment
from flask_rampart.anonymize.files import Job
from flask_rampart.errors import ConfigError

KEY = bytes(range(32))
NOTE = {"note": "CANARY"}
PSEUDONYM = {"do": "pseudonym", "scope": "s"}


def treatment(rule: Any, default: str = "keep", on_error: str = "suppress") -> Treatment:
    columns = {} if rule is None else {"x": rule}
    return Treatment(Plan({"default": default, "on_error": on_error, "columns": columns}, key=KEY))


def batch(array: Any) -> Any:
    return pa.RecordBatch.from_arrays([array], ["x"])


def written(made: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, made.schema) as stream:
        stream.write_batch(made)
    return out.getvalue()


class Mine(pa.ExtensionType):  # type: ignore[misc]
    """A type of a program's own, with a note in what it stores; it has no hash."""

    def __init__(self) -> None:
        super().__init__(pa.struct([pa.field("a", pa.string(), metadata=NOTE)]), "tests.mine")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""


NOTED = {
    "list": pa.list_(pa.field("i", pa.string(), metadata=NOTE)),
    "view": pa.list_view(pa.field("i", pa.string(), metadata=NOTE)),
    "fixed": pa.list_(pa.field("i", pa.string(), metadata=NOTE), 2),
    "struct": pa.struct([pa.field("q", pa.list_(pa.field("z", pa.int8(), metadata=NOTE)), metadata=NOTE)]),
    "map": pa.map_(pa.field("k", pa.string(), False, metadata=NOTE), pa.field("v", pa.string(), metadata=NOTE)),
    "extension": Mine(),
}


@pytest.mark.parametrize("rule", [None, "keep", "redact", "null"], ids=str)
@pytest.mark.parametrize("default", ["keep", "redact"])
@pytest.mark.parametrize("kind", NOTED)
def test_no_note_of_any_field_is_in_a_result(kind: str, default: str, rule: str | None) -> None:
    field = pa.field("x", NOTED[kind], metadata=NOTE)
    given = pa.RecordBatch.from_arrays([pa.nulls(2, NOTED[kind])], schema=pa.schema([field], metadata=NOTE))
    assert b"CANARY" in written(given)
    made = treatment(rule, default).apply(given)
    assert made.num_rows == 2
    assert b"CANARY" not in written(made)


@pytest.mark.parametrize("kind", ["fixed", "struct in fixed", "map"])
def test_views_are_picked_out_of_whatever_they_are_in(kind: str) -> None:
    text = "a text that is longer than twelve"
    value: dict[str, tuple[Any, Any]] = {
        "fixed": (pa.list_(pa.string_view(), 1), [text]),
        "struct in fixed": (pa.list_(pa.struct([pa.field("a", pa.string_view())]), 1), [{"a": text}]),
        "map": (pa.map_(pa.string(), pa.string_view()), [("k", text), ("z", text)]),
    }
    array = pa.array([value[kind][1], None, value[kind][1]], value[kind][0])
    rule = {"fixed": "x[*]", "struct in fixed": "x[*].a", "map": "x.k"}[kind]
    for do in ("keep", "redact"):
        plan = Plan({"default": "keep", "columns": {rule: do}})
        assert Treatment(plan).apply(batch(array)).to_pylist() == batch(array).to_pylist()


def test_a_map_whose_parts_have_rules_has_no_note_either() -> None:
    array = pa.nulls(2, NOTED["map"])
    plan = Plan({"default": "keep", "columns": {"x.k": PSEUDONYM}}, key=KEY)
    assert b"CANARY" not in written(Treatment(plan).apply(batch(array)))


FIXED = """
import pyarrow as pa
from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.arrow import Treatment
array = pa.array([[], None, []], pa.list_(pa.string(), 0))
for plan in ({"default": "keep"}, {"default": "redact"}, {"default": "keep", "columns": {"x[*]": "null"}}):
    made = Treatment(Plan(plan)).apply(pa.RecordBatch.from_arrays([array], ["x"]))
    made.validate(full=True)
    assert made.to_pylist() == [{"x": []}, {"x": None}, {"x": []}], made
"""


def test_lists_of_no_elements_by_their_type_do_not_end_the_process() -> None:
    # pyarrow divides by their size: SIGFPE, of which no exception tells.
    done = subprocess.run([sys.executable, "-c", FIXED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


LONG = """
import sys
import pyarrow as pa
from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.arrow import Treatment
value, rows = "x" * (1 << 20), 300
array = pa.DictionaryArray.from_arrays(pa.array([0] * (rows - 1) + [1], pa.int32()), pa.array([value, "y"]))
for rule in (None, "redact", {"do": "pseudonym", "scope": "s"}):
    plan = Plan({"default": "keep", "columns": {"x": rule} if rule else {}}, key=bytes(range(32)))
    made = Treatment(plan).apply(pa.RecordBatch.from_arrays([array], ["x"]))
    assert len(made) == rows and len(made["x"].dictionary) == 2
    print(pa.default_memory_pool().max_memory() >> 20)
"""


def test_a_long_value_that_stands_in_every_row_is_not_held_that_often() -> None:
    done = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kept, *treated = map(int, done.stdout.split())
    # Written out, it would be 300 MiB, and more than once.
    assert kept < 16 and max(treated) < 256


def test_dictionaries_that_are_opened_in_parts_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import flask_rampart.anonymize.arrow.jobs as jobs

    array = pa.array(["ann", None, "bob", "ann", "cy", "bob"]).dictionary_encode()
    runs = pc.run_end_encode(pa.array(["ann", "ann", None, "bob", "bob", "ann"]))
    nested = pa.ListArray.from_arrays(pa.array([0, 2, 3, 6], pa.int32()), array)
    for given, plan in ((array, PSEUDONYM), (runs, PSEUDONYM), (array, "redact"), (nested, "redact")):
        whole, parts = treatment(plan), treatment(plan)
        expected = whole.apply(batch(given))
        with monkeypatch.context() as patched:
            patched.setattr(jobs, "_OPENED", 6)
            made = parts.apply(batch(given))
        made.validate(full=True)
        assert made.to_pylist() == expected.to_pylist() and made.schema == expected.schema
        assert parts.counts == whole.counts
    assert treatment(PSEUDONYM).apply(batch(array.slice(0, 0))).num_rows == 0


def test_values_that_no_row_has_open_no_dictionary_in_more_parts() -> None:
    import flask_rampart.anonymize.arrow.jobs as jobs

    rows = pa.array([row % 3 for row in range(3000)], pa.int32())
    long = "x" * (1 << 20)
    for values in (
        pa.array(["a", "b", None, long, long]),
        pa.array(["a", "b", None, long, long], pa.string_view()),
        pa.array([["a"], ["b"], None, [long]]),
        pa.array([1, 2, 3] + [0] * (1 << 20)),
        pa.array([{"a": 1}, {"a": 2}, None, {"a": 3}] * 10_000),
    ):
        assert len(jobs._opened_in_parts(pa.DictionaryArray.from_arrays(rows, values))) == 1, values.type
    # One that some rows have is opened with as many as it may.
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, 0] * 40, pa.int32()), pa.array(["a", long]))
    parts = jobs._opened_in_parts(array)
    assert 2 <= len(parts) <= 3 and pa.concat_arrays(parts).equals(array)
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([100, 200], pa.int32()), pa.array(["a", long]))
    assert [len(part) for part in jobs._opened_in_parts(runs.slice(50))] == [113, 37]


@pytest.mark.parametrize("default", ["keep", "redact"])
def test_nothing_is_counted_as_nothing_wherever_arrow_keeps_it(default: str) -> None:
    values = ["a", "a", None, "b", None]
    for array in (
        pa.array(values),
        pa.array(values).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 2, None], pa.int8()), pa.array(["a", None, "b"])),
        pc.run_end_encode(pa.array(values)),
    ):
        given = treatment(None, default)
        assert given.apply(batch(array)).to_pylist() == [{"x": value} for value in values]
        count = given.counts["x"]
        assert (count.values, count.nulls, count.kept) == (5, 2, 3)


def test_equal_values_of_a_dictionary_are_one_in_the_order_of_the_rows() -> None:
    array = pa.DictionaryArray.from_arrays(
        pa.array([3, 1, None, 2, 3], pa.int8()), pa.array(["hidden", "b", "b", "a"])
    ).slice(0, 4)
    made = treatment(None).apply(batch(array))["x"]
    assert made.to_pylist() == ["a", "b", None, "b"]
    assert made.dictionary.to_pylist() == ["a", "b"]


@pytest.mark.parametrize("default", ["keep", "redact", "drop"])
def test_a_type_that_is_nested_very_deep_is_refused_whatever_the_plan_says(default: str) -> None:
    kind = pa.string()
    for _ in range(300):
        kind = pa.list_(kind)
    given = batch(pa.nulls(1, kind))
    if default == "drop":
        assert treatment(None, default).apply(given).num_columns == 0
        return
    with pytest.raises(AnonymizeRefused) as raised:
        treatment(None, default).apply(given)
    assert raised.value.args[0] == "depth"


def test_an_error_shows_no_name_that_is_within_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import flask_rampart.anonymize.arrow.jobs as jobs

    def broken(array: Any) -> Any:
        raise OSError("ann@example.org")

    monkeypatch.setattr(jobs, "fresh", broken)
    with pytest.raises(RuntimeError) as raised:
        treatment(None).apply(batch(pa.array([{"ann@example.org": 1}])))
    assert str(raised.value) == "column 'x' of type struct: OSError"


def test_a_table_of_which_nothing_is_left_is_refused_as_one_of_csv_is(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "in.parquet")
    job = Job(str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), '[columns]\na = "drop"\n')
    with pytest.raises(ConfigError, match="nothing is left"):
        job.run()
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


# Against records ------------------------------------------------------------------------------------------------------

SIMPLE: dict[Any, Callable[[random.Random], Any]] = {
    pa.string(): lambda dice: dice.choice(["", "p@example.org", "1984-05-09", f"CANARY{dice.random()}"]),
    pa.string_view(): lambda dice: dice.choice(["", "a longer text for p@example.org", f"CANARY{dice.random()}"]),
    pa.dictionary(pa.int8(), pa.large_string()): lambda dice: dice.choice(["one", f"CANARY{dice.random()}"]),
    pa.int64(): lambda dice: dice.randrange(100),
    pa.float64(): lambda dice: dice.randrange(-50, 50) / 4,
    pa.bool_(): lambda dice: dice.random() < 0.5,
    pa.date32(): lambda dice: date(dice.randrange(1900, 2030), 2, 3),
    pa.timestamp("us"): lambda dice: datetime(dice.randrange(1900, 2030), 2, 3, 4, 5),
    pa.decimal128(10, 2): lambda dice: Decimal(dice.randrange(-999, 999)).scaleb(-2),
}


def kind_of(dice: random.Random, depth: int = 0) -> Any:
    shape = dice.choice(["value", "value", "list", "large", "fixed", "view", "struct"]) if depth < 3 else "value"
    if shape == "value":
        return dice.choice(list(SIMPLE))
    within = kind_of(dice, depth + 1)
    made = {
        "list": lambda: pa.list_(within),
        "large": lambda: pa.large_list(within),
        "fixed": lambda: pa.list_(within, dice.choice([1, 2])),
        "view": lambda: pa.list_view(within),
        "struct": lambda: pa.struct([pa.field(name, within) for name in dice.sample(["a", "b", "password"], 2)]),
    }
    return made[shape]()


def value_of(dice: random.Random, kind: Any) -> Any:
    if dice.random() < 0.2:
        return None
    if kind in SIMPLE:
        return SIMPLE[kind](dice)
    if pa.types.is_struct(kind):
        return {kind.field(at).name: value_of(dice, kind.field(at).type) for at in range(kind.num_fields)}
    count = kind.list_size if pa.types.is_fixed_size_list(kind) else dice.randrange(3)
    return [value_of(dice, kind.value_type) for _ in range(count)]


RULES = (None, None, "keep", "redact", "null", PSEUDONYM, {"do": "date", "to": "year"}, {"do": "constant", "value": 5})


@pytest.mark.parametrize("seed", range(60))
def test_columns_become_what_records_become_and_hold_nothing_else(seed: int) -> None:
    dice = random.Random(seed)
    total = dice.choice([0, 1, 6, 9])
    kind = kind_of(dice)
    array = pa.array([value_of(dice, kind) for _ in range(total)], kind)
    rule, default = dice.choice(RULES), dice.choice(["keep", "redact"])
    plan = Plan({"default": default, "on_error": "suppress", "columns": {"x": rule} if rule else {}}, key=KEY)
    start = dice.randrange(total + 1)
    given = batch(array).slice(start, dice.randrange(total - start + 1))
    made = Treatment(plan).apply(given)
    made.validate(full=True)
    assert made.schema == Treatment(plan).output_schema(given.schema)
    expected = [plan.apply(row) for row in given.to_pylist()]
    assert made.to_pylist() == expected
    shown = {part[:12] for part in repr(expected).split("CANARY")[1:]}
    held = {part[:12].decode(errors="replace") for part in written(made).split(b"CANARY")[1:]}
    assert held <= shown
