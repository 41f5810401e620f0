"""Plans over Arrow: the same as over records, in types that are known before the first value."""

from __future__ import annotations

import json
import math
import random
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from flask_rampart import ConfigError
from flask_rampart.anonymize import AnonymizeRefused, Plan
from flask_rampart.anonymize.arrow import Count, Treatment

KEY = bytes(range(32))


def treatment(columns: dict[str, Any], **rest: Any) -> Treatment:
    given = {name: rest.pop(name) for name in ("custom", "redact") if name in rest}
    types = rest.pop("types", None)
    return Treatment(Plan({"columns": columns, **rest}, key=KEY, **given), types=types)


def treated(treats: Treatment, array: pa.Array, name: str = "x") -> pa.Array:
    batch = pa.record_batch([array], [name])
    result = treats.apply(batch)
    result.validate(full=True)
    assert result.schema == treats.output_schema(batch.schema)
    return result.column(0)


def refused(call: Any, *args: Any) -> tuple[str, str]:
    with pytest.raises(AnonymizeRefused) as caught:
        call(*args)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return caught.value.args  # type: ignore[return-value]


# As over records

RULES: list[Any] = [
    "keep",
    "drop",
    "null",
    "redact",
    {"do": "constant", "value": "gone"},
    {"do": "pseudonym", "scope": "s"},
    {"do": "pseudonym", "scope": "s", "form": "integer", "low": 1, "high": 10**9},
    {"do": "token", "scope": "s"},
    {"do": "number", "width": 10},
    {"do": "postcode", "keep": 1},
    {"do": "date", "to": "year"},
]
TEXTS = ["ann@example.org", "1984-05-09", "4111111111111111", "10115", "17", "\u00fc", "", "likes tea"]


def a_type(dice: random.Random, depth: int) -> pa.DataType:
    scalars = [pa.string(), pa.large_string(), pa.int64(), pa.dictionary(pa.int16(), pa.string()), pa.string_view()]
    if depth == 0 or dice.random() < 0.4:
        return dice.choice(scalars)
    if dice.random() < 0.5:
        names = dice.sample(["a", "b.c", "password", "mail", 'q"'], dice.randrange(1, 4))
        return pa.struct([pa.field(name, a_type(dice, depth - 1)) for name in names])
    return dice.choice([pa.list_, pa.large_list, pa.list_view])(a_type(dice, depth - 1))


def a_value(dice: random.Random, kind: pa.DataType) -> Any:
    if dice.random() < 0.15:
        return None
    if pa.types.is_struct(kind):
        return {field.name: a_value(dice, field.type) for field in kind}
    if pa.types.is_integer(kind):
        # Small ones: in a number of a column, nothing is redacted into a text.
        return dice.randrange(1000)
    if hasattr(kind, "value_field"):
        return [a_value(dice, kind.value_type) for _ in range(dice.randrange(3))]
    return dice.choice(TEXTS)


def a_plan(dice: random.Random, field: pa.Field, path: str, columns: dict[str, Any]) -> None:
    """Rules for some of the places of a column."""
    kind, fate = field.type, dice.random()
    if fate < 0.2:
        return
    if pa.types.is_struct(kind) and fate < 0.8:
        for member in kind:
            quoted = '"' + member.name.replace('"', '\\"') + '"'
            a_plan(dice, member, f"{path}.{quoted}", columns)
    elif hasattr(kind, "value_field") and fate < 0.8:
        a_plan(dice, kind.value_field, f"{path}[*]", columns)
    else:
        columns[path] = dice.choice(RULES)


@pytest.mark.parametrize("default", ["keep", "drop", "redact"])
@pytest.mark.parametrize("seed", range(16))
def test_batches_are_treated_as_their_records(seed: int, default: str) -> None:
    dice = random.Random(f"{seed} {default}")
    schema = pa.schema([pa.field(name, a_type(dice, 3)) for name in ("a", "password", "c@example.org", "d")])
    columns: dict[str, Any] = {}
    for field in schema:
        a_plan(dice, field, f'"{field.name}"', columns)
    plan = {"columns": columns, "default": default, "on_error": "suppress"}
    rows = [{field.name: a_value(dice, field.type) for field in schema} for _ in range(12)]
    batch = pa.RecordBatch.from_pylist(rows, schema)
    treats = Treatment(Plan(plan, key=KEY))
    made = treats.apply(batch)
    made.validate(full=True)
    assert made.schema == treats.output_schema(schema)
    expected = [treats.plan.apply(row) for row in rows]
    assert [_comparable(row, made.schema) for row in made.to_pylist()] == [
        _comparable(row, made.schema) for row in expected
    ]
    # In pieces, of which some have nothing, it is the same, in the same types.
    pieces = [treats.apply(batch.slice(start, 5)) for start in range(0, 15, 5)]
    assert [row for piece in pieces for row in piece.to_pylist()] == made.to_pylist()
    assert {piece.schema for piece in pieces} == {made.schema}
    assert treats.apply(batch.slice(0, 0)).schema == made.schema


def _comparable(row: dict[str, Any], schema: pa.Schema) -> Any:
    """A record without structs of which nothing is left: those have no column."""
    return {field.name: _held(row.get(field.name), field.type) for field in schema}


def _held(value: Any, kind: pa.DataType) -> Any:
    if value is None or pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        return {field.name: _held(value.get(field.name), field.type) for field in kind}
    if hasattr(kind, "value_field"):
        return [_held(item, kind.value_type) for item in value]
    return value


# Types

SAMPLES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "string": (pa.string(), ["7", "x", None]),
    "large_string": (pa.large_string(), ["7", "x", None]),
    "string_view": (pa.string_view(), ["7", "x" * 40, None]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["7", "x", "7", None]),
    "dictionary of integers": (pa.dictionary(pa.int32(), pa.int64()), [7, 8, 7, None]),
    "int8": (pa.int8(), [7, -8, None]),
    "uint64": (pa.uint64(), [7, 2**64 - 1, None]),
    "float16": (pa.float16(), [7.5, None]),
    "float32": (pa.float32(), [7.5, math.inf, None]),
    "float64": (pa.float64(), [7.5, math.nan, None]),
    "decimal32": (pa.decimal32(5, 2), [Decimal("7.50"), None]),
    "decimal128": (pa.decimal128(20, 2), [Decimal("7.50"), None]),
    "decimal256": (pa.decimal256(60, 2), [Decimal("7.50"), None]),
    "bool": (pa.bool_(), [True, False, None]),
    "date32": (pa.date32(), [date(1984, 5, 9), None]),
    "date64": (pa.date64(), [date(1984, 5, 9), None]),
    "timestamp": (pa.timestamp("us"), [datetime(1984, 5, 9, 12), None]),
    "timestamp of a zone": (pa.timestamp("ns", "Europe/Berlin"), [datetime(1984, 5, 9, tzinfo=timezone.utc), None]),
    "time": (pa.time64("us"), [time(12), None]),
    "duration": (pa.duration("s"), [timedelta(1), None]),
    "binary": (pa.binary(), [b"x", None]),
    "binary_view": (pa.binary_view(), [b"x" * 40, None]),
    "fixed binary": (pa.binary(2), [b"xy", None]),
    "list": (pa.list_(pa.string()), [["x", None], [], None]),
    "large_list": (pa.large_list(pa.int8()), [[1, None], [], None]),
    "fixed list": (pa.list_(pa.int8(), 2), [[1, None], None]),
    "list_view": (pa.list_view(pa.int8()), [[1, None], [], None]),
    "struct": (pa.struct([("a", pa.string())]), [{"a": "x"}, {"a": None}, None]),
    "map": (pa.map_(pa.string(), pa.int8()), [[("a", 1)], [], None]),
    "null": (pa.null(), [None, None]),
    "uuid": (pa.uuid(), [UUID(int=7), None]),
    "json": (pa.json_(), ['{"a": 1}', None]),
    "run ends": (pa.run_end_encoded(pa.int32(), pa.string()), ["x", "x", None]),
}


OTHERWISE = {"run ends": pa.string(), "list_view": pa.list_(pa.int8())}
"""What is kept of these has a type that all readers know."""


def sample(name: str) -> pa.Array:
    kind, values = SAMPLES[name]
    if isinstance(kind, pa.BaseExtensionType):
        values = [value.bytes if isinstance(value, UUID) else value for value in values]
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["x", None]))
    return pa.array(values, kind)


@pytest.mark.parametrize(
    "plan", [{"default": "keep", "columns": {}}, {"columns": {"x": "keep"}}], ids=["default", "rule"]
)
def test_every_type_is_kept_as_it_is_whole_cut_or_empty(plan: dict[str, Any]) -> None:
    treats = Treatment(Plan(plan))
    for name in SAMPLES:
        array = sample(name)
        made = treated(treats, array)
        assert made.to_pylist() == array.to_pylist() or name == "float64"
        assert made.type == OTHERWISE.get(name, array.type)
        assert treated(treats, array.slice(1)).to_pylist()[-1] is None
        assert len(treated(treats, array.slice(0, 0))) == 0


@pytest.mark.parametrize("rule", [*RULES[2:], {"do": "number", "round": 10}, {"do": "geo", "decimals": 1}], ids=str)
def test_the_type_of_a_result_does_not_depend_on_the_values(rule: Any) -> None:
    treats = treatment({"x": rule}, on_error="suppress")
    for name in SAMPLES:
        array = sample(name)
        kind = treats.output_schema(pa.schema([pa.field("x", array.type)])).field("x").type
        parts = [array, array.slice(0, 1), array.slice(len(array) - 1), array.slice(0, 0)]
        for part in parts:
            made = treated(treats, part)
            assert made.type == kind and len(made) == len(part), name
            if rule != "redact" and not _has_other_numbers(array.type):
                expected = treats.plan.apply_column("x", part.to_pylist()) or []
                assert [str(value) for value in made.to_pylist()] == [str(value) for value in expected], name


def _has_other_numbers(kind: pa.DataType) -> bool:
    """Whether a number of a record becomes a text or a float where a column has a number of its own type."""
    return bool(pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_uint64(kind))


def test_what_redaction_keeps_has_its_type_and_what_it_cannot_read_is_not_passed_on() -> None:
    treats, lenient = (
        Treatment(Plan({"columns": {}, "default": "redact", "on_error": what})) for what in ("refuse", "suppress")
    )
    for name in SAMPLES:
        array = sample(name)
        if name in ("time", "duration", "binary", "binary_view", "fixed binary"):
            assert refused(treated, treats, array) == ("kind", "x")
            assert treated(lenient, array).null_count == len(array)
        else:
            made = treated(treats, array)
            assert str(made.to_pylist()) == str(array.to_pylist())
            assert made.type == {**OTHERWISE, "json": pa.string()}.get(name, array.type)


def test_numbers_stay_numbers_that_can_hold_what_they_are_rounded_to() -> None:
    def kind(rule: dict[str, Any], of: pa.DataType) -> pa.DataType:
        return treatment({"x": {"do": "number", **rule}}).output_schema(pa.schema([("x", of)])).field("x").type

    assert kind({"round": 100}, pa.int8()) == kind({"low": 0, "high": 9}, pa.uint32()) == pa.int64()
    assert kind({"round": 2.5}, pa.int8()) == kind({"low": 0.5}, pa.int64()) == pa.float64()
    assert kind({"round": 2.5}, pa.float32()) == pa.float32()
    assert kind({"round": 1}, pa.decimal128(5, 2)) == pa.decimal128(38, 2)
    assert kind({"width": 10}, pa.decimal128(5, 2)) == kind({"edges": [1]}, pa.float64()) == pa.string()

    rounding = treatment({"x": {"do": "number", "round": 100}})
    assert treated(rounding, pa.array([127, -128, None], pa.int8())).to_pylist() == [100, -100, None]
    large = pa.array([2**64 - 17, None], pa.uint64())
    assert treated(rounding, large).to_pylist() == [2**64 - 16, None]
    assert treated(rounding, pa.array([Decimal("999.99")], pa.decimal128(5, 2))).to_pylist() == [Decimal("1000.00")]
    quarters = treatment({"x": {"do": "number", "round": 0.25}})
    # A column of one decimal has no place for two.
    assert refused(treated, quarters, pa.array([Decimal("0.3")], pa.decimal128(2, 1))) == ("range", "x")
    assert treated(quarters, pa.array([1, 2], pa.int64())).to_pylist() == [1.0, 2.0]


def test_a_dictionary_is_made_anew_in_the_order_in_which_its_values_come() -> None:
    # pandas sorts categories: in the order of the old ones, the new ones would say whose they are.
    names = pa.DictionaryArray.from_arrays(
        pa.array([2, 0, None, 2], pa.int8()), pa.array(["ann", "bob", "zoe"]), ordered=True
    )
    made = treated(treatment({"x": {"do": "pseudonym", "scope": "s"}}), names)
    assert made.type == pa.dictionary(pa.int8(), pa.string()) and not made.type.ordered
    plain = treatment({"x": {"do": "pseudonym", "scope": "s"}}).plan.apply_column("x", ["zoe", "ann"])
    assert made.dictionary.to_pylist() == plain and made.indices.to_pylist() == [0, 1, None, 0]
    kept = treated(treatment({"x": "keep"}), names)
    assert kept.type.ordered and kept.dictionary.to_pylist() == ["zoe", "ann"]


def test_a_moment_has_one_text_whatever_its_unit() -> None:
    token = treatment({"x": {"do": "token", "scope": "s"}})

    def text(array: pa.Array) -> str:
        return token.plan.reverse("x", treated(token, array)[0].as_py())

    for unit in ("s", "ms", "us", "ns"):
        count = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        moment = pa.array([452952000 * count], pa.int64())
        assert text(moment.cast(pa.timestamp(unit))) == "1984-05-09T12:00:00"
        assert text(moment.cast(pa.timestamp(unit, "UTC"))) == "1984-05-09T12:00:00+00:00"
        assert text(moment.cast(pa.timestamp(unit, "Europe/Berlin"))) == "1984-05-09T14:00:00+02:00"
    assert text(pa.array([1], pa.int64()).cast(pa.timestamp("ns"))) == "1970-01-01T00:00:00.000000001"
    assert text(pa.array([-1], pa.int64()).cast(pa.timestamp("ns", "+02:00"))) == "1970-01-01T01:59:59.999999999+02:00"
    year = treatment({"x": {"do": "date", "to": "year"}})
    assert treated(year, pa.array([-1], pa.int64()).cast(pa.timestamp("ns"))).to_pylist() == ["1969"]


def test_what_python_cannot_say_is_refused_and_not_quoted() -> None:
    late = pa.array([10**15], pa.int64()).cast(pa.timestamp("s"))
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\x02\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    for array in (late, broken):
        for rule in ({"do": "date", "to": "year"}, {"do": "token", "scope": "s"}):
            assert refused(treated, treatment({"x": rule}), array) == ("kind", "x")
            assert treated(treatment({"x": rule}, on_error="suppress"), array).to_pylist() == [None]


# Places


def test_names_with_dots_and_quotes_are_names() -> None:
    treats = treatment({'"a.b"': "keep", 'q."x\\"[*]"': "drop", "q.y": "keep"})
    batch = pa.record_batch([pa.array([1]), pa.array([{'x"[*]': 1, "y": 2}])], ["a.b", "q"])
    assert treats.apply(batch).to_pylist() == [{"a.b": 1, "q": {"y": 2}}]


def test_a_map_is_a_record() -> None:
    treats = treatment({"m.mail": {"do": "pseudonym", "scope": "s"}, "m.note": "drop"}, default="redact")
    kind = pa.map_(pa.string(), pa.string())
    rows = [
        [("mail", "ann@example.org"), ("note", "x"), ("password", "hunter2"), ("bob@example.org", "bob@example.org")],
        None,
        [],
        [("note", "x")],
        [("ann@example.org", "1"), ("bob@example.org", "2"), ("mail", None)],
    ]
    array = pa.array([[("lost", "lost")], *rows], kind).slice(1)
    made = treated(treats, array, "m")
    expected = [None if row is None else list(treats.plan.apply({"m": dict(row)})["m"].items()) for row in rows]
    assert made.to_pylist() == expected and made.type == kind
    assert made.to_pylist()[0][2] == ("[REDACTED:EMAIL_ADDRESS]", "[REDACTED:EMAIL_ADDRESS]")

    strict = treatment({"m.mail": "keep"})
    assert refused(treated, strict, array, "m") == ("column", "m")
    assert treated(strict, pa.array([[("mail", "x")], None], kind), "m").to_pylist() == [[("mail", "x")], None]
    dropping = treatment({"m.mail": "keep"}, default="drop")
    assert treated(dropping, array, "m").to_pylist()[0] == [("mail", "ann@example.org")]
    with pytest.raises(ConfigError, match="have one type"):
        treatment({"m.mail": {"do": "constant", "value": 1}}, default="keep").output_schema(pa.schema([("m", kind)]))


def test_numbers_below_secret_keys_of_maps_become_nothing() -> None:
    numbers = pa.array([[("pin", 1234), ("password", 7), ("age", 8)]], pa.map_(pa.string(), pa.int64()))
    made = treated(Treatment(Plan({"columns": {}, "default": "redact"})), numbers)
    assert dict(made.to_pylist()[0])["password"] is None and dict(made.to_pylist()[0])["age"] == 8


def test_a_struct_of_which_nothing_is_left_has_no_column() -> None:
    treats = treatment({"x.a": "drop", "l[*].a": "drop", "k": "keep"})
    kind = pa.struct([("a", pa.string())])
    batch = pa.record_batch([pa.array([{"a": "x"}]), pa.array([[{"a": "x"}]]), pa.array([1])], ["x", "l", "k"])
    assert kind == batch.schema.field("x").type
    made = treats.apply(batch)
    assert made.schema.names == ["l", "k"] and made.to_pylist() == [{"l": [None], "k": 1}]


def test_elements_that_are_dropped_leave_empty_lists() -> None:
    treats = treatment({"x[*]": "drop"})
    for name in ("list", "large_list", "fixed list", "list_view"):
        array = sample(name)
        assert treated(treats, array).to_pylist() == [None if row is None else [] for row in array.to_pylist()]


def test_a_shape_that_the_plan_does_not_have_is_no_way_past() -> None:
    shapes = [sample(name) for name in ("string", "list", "int8", "binary", "dictionary", "uuid")]
    for array in shapes:
        assert refused(treated, treatment({"x.b": "drop"}), array) == ("kind", "x")
        assert treated(treatment({"x.b": "drop"}, on_error="suppress"), array).null_count == len(array)
        assert treated(
            treatment({"x.b": "drop"}), array.slice(len(array) - 1 if array[-1].as_py() is None else 2, 1)
        ).to_pylist() == [None]
    assert refused(treated, treatment({"x[*]": "drop"}), sample("struct")) == ("kind", "x")


def test_a_column_that_no_rule_names_stops_before_the_first_value() -> None:
    treats = treatment({"a": "keep", "s.a": "keep"})
    for schema, column in (
        (pa.schema([("phone", pa.string())]), "phone"),
        (pa.schema([("A", pa.string())]), "A"),
        (pa.schema([("s", pa.struct([("b", pa.string())]))]), "s.b"),
        (pa.schema([("ann@example.org", pa.string())]), "(a name that is not shown)"),
        # Which of them is meant?
        (pa.schema([("a", pa.string()), ("a", pa.string())]), "a"),
        (pa.schema([("s", pa.struct([("a", pa.string()), ("a", pa.int8())]))]), "s.a"),
    ):
        assert refused(treats.output_schema, schema) == ("column", column)
    deep = pa.string()
    for _ in range(100):
        deep = pa.list_(deep)
    redacting = Treatment(Plan({"columns": {}, "default": "redact"}))
    assert refused(redacting.output_schema, pa.schema([("x", deep)])) == ("depth", "")


def test_a_union_is_not_kept_since_it_may_show_what_it_does_not_say() -> None:
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    schema = pa.schema([("x", union.type)])
    assert refused(treatment({"x": "keep"}).output_schema, schema) == ("kind", "x")
    assert refused(Treatment(Plan({"columns": {}, "default": "redact"})).output_schema, schema) == ("kind", "x")
    assert treatment({"x": "drop"}).output_schema(schema).names == []
    assert treated(treatment({"x": {"do": "constant", "value": 1}}), union).to_pylist() == [1]


# Functions of the program's own


def test_a_function_says_its_type_and_keeps_to_it() -> None:
    rule = {"x": {"do": "custom", "function": "f"}}
    schema = pa.schema([("x", pa.string())])
    with pytest.raises(ConfigError, match=r"types=\{'x'"):
        treatment(rule, custom={"f": len}).output_schema(schema)
    lengths = treatment(rule, custom={"f": len}, types={"x": pa.int8()})
    assert treated(lengths, pa.array(["abc", None, ""])).to_pylist() == [3, None, 0]
    wrong = treatment(rule, custom={"f": str.upper}, types={"x": pa.int8()})
    assert refused(treated, wrong, pa.array(["secret"])) == ("custom", "x")
    calls: list[str] = []
    counting = treatment(rule, custom={"f": lambda value: calls.append(value)}, types={"x": pa.string()})
    treated(counting, pa.array(["a", "a"]))
    assert calls == ["a", "a"]


# Counts


def test_what_was_met_is_counted_by_value_and_not_by_different_value() -> None:
    treats = treatment(
        {
            "id": {"do": "pseudonym", "scope": "s"},
            "zip": {"do": "postcode", "keep": 1},
            "name": "drop",
            "s[*]": "redact",
        },
        default="keep",
        on_error="suppress",
    )
    batch = pa.record_batch(
        {
            "id": ["a", "a", None],
            "zip": ["10115", "?", None],
            "name": ["x", None, "y"],
            "s": [["ann@example.org", "x"], None, ["x"]],
            "rest": [1, 2, None],
        }
    )
    counts: dict[str, Count] = {}
    treats.apply(batch, counts)
    assert counts == {
        "id": Count("pseudonym", 3, nulls=1, changed=2),
        "zip": Count("postcode", 3, nulls=1, changed=1, suppressed=1),
        "name": Count("drop", 3, dropped=3),
        "s[*]": Count("redact", 3, kept=2, changed=1, found={"EMAIL_ADDRESS": 1}),
        "rest": Count("default: keep", 3, nulls=1, kept=2),
    }
    treats.apply(batch)
    assert treats.counts["id"].values == 6
    json.dumps({path: count.changed for path, count in treats.counts.items()})
