"""The native parser and schemas: what Python gets, and what it is never told."""

from __future__ import annotations

import enum
import gc
import itertools
import json
import math
import random
import socket
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from flask_rampart import _native
from flask_rampart._native import JsonBounds, JsonRejected, Schema, SchemaRejected, parse_json

BOUNDS = JsonBounds()
DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]


def schema(bounds: JsonBounds = BOUNDS, **keywords: object) -> Schema:
    return Schema(json.dumps(keywords), bounds)


def code(data: bytes, bounds: JsonBounds = BOUNDS) -> str:
    with pytest.raises(JsonRejected) as caught:
        parse_json(data, bounds)
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # What Flask's own get_json takes with 200, or answers with 500.
        (b'{"role": "user", "role": "admin"}', "json.duplicate_key"),
        (b'{"role": "user", "r\\u006fle": "admin"}', "json.duplicate_key"),
        (b'[{"a": [{"b": 1, "b": 1}]}]', "json.duplicate_key"),
        (b'{"amount": NaN}', "json.non_finite"),
        (b'{"amount": Infinity}', "json.non_finite"),
        (b'{"amount": -Infinity}', "json.non_finite"),
        (b'{"amount": 1e999}', "json.non_finite"),
        (b'"\\ud800"', "json.surrogate"),
        (b'{"\\udfff": 1}', "json.surrogate"),
        (b'"\xed\xa0\x80"', "json.surrogate"),
        ('{"a": 1}'.encode("utf-16"), "json.encoding"),
        ('{"a": 1}'.encode("utf-16-be"), "json.encoding"),
        ('{"a": 1}'.encode("utf-32-le"), "json.encoding"),
        (b'\xef\xbb\xbf{"a": 1}', "json.encoding"),
        (b'"\xff"', "json.encoding"),
        (b'{"a":' * 990 + b"1" + b"}" * 990, "json.too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "json.too_deep"),
        (b"9" * 310, "json.number_too_long"),
        (b"1" * 500_000, "json.number_too_long"),
        (b'"' + b"a" * (1 << 20), "json.too_large"),
        (b"{%s}" % b",".join(b'"%d":0' % i for i in range(10_001)), "json.too_many_keys"),
        (b"[1,]", "json.malformed"),
        (b"'a'", "json.malformed"),
        (b"", "json.malformed"),
        (b'{"a": 1} x', "json.malformed"),
        (b'"\n"', "json.malformed"),
    ],
)
def test_bodies_that_crash_or_confuse_are_refused_with_a_code(data: bytes, expected: str) -> None:
    assert code(data) == expected


def test_proto_is_a_name_like_any_other() -> None:
    assert parse_json(b'{"__proto__": {"admin": true}}', BOUNDS) == {"__proto__": {"admin": True}}


def test_each_bound_passes_at_its_limit() -> None:
    bounds = JsonBounds(max_bytes=30, max_depth=2, max_keys=2, max_digits=5)
    assert parse_json(b'{"a":[],"b":-12345}          ', bounds) == {"a": [], "b": -12345}
    assert code(b'{"a":[],"b":-12345}            ', bounds) == "json.too_large"
    assert code(b'{"a":[[]]}', bounds) == "json.too_deep"
    assert code(b'{"a":0,"b":0,"c":0}', bounds) == "json.too_many_keys"
    assert code(b"123456", bounds) == "json.number_too_long"


@pytest.mark.parametrize(
    "wrong",
    [{"max_depth": 0}, {"max_depth": 256}, {"max_bytes": -1}, {"max_keys": 0}, {"max_digits": 5000}],
)
def test_bounds_that_cannot_be_kept_are_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        JsonBounds(**wrong)


def test_numbers_are_exact() -> None:
    for text in ["9223372036854775808", "-9223372036854775809", "1" + "0" * 308, "18446744073709551616", "-0"]:
        value = parse_json(text.encode(), BOUNDS)
        assert type(value) is int
        assert value == int(text)
    rng = random.Random(3)
    for _ in range(5_000):
        number = rng.uniform(-1, 1) * 10 ** rng.randint(-320, 308)
        assert parse_json(repr(number).encode(), BOUNDS) == number
    assert math.copysign(1, parse_json(b"-0.0", BOUNDS)) == -1


def test_an_integer_beyond_the_process_limit_is_refused_as_too_long() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert code(b"[1%s]" % (b"0" * 700), JsonBounds(max_digits=1000)) == "json.number_too_long"
    finally:
        sys.set_int_max_str_digits(before)


def document(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(9 if depth else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randrange(-(2 ** rng.randrange(1, 90)), 2 ** rng.randrange(1, 90))
    if kind == 2:
        return rng.uniform(-1e6, 1e6)
    if kind < 6:
        return "".join(rng.choice('aZ09 "\\/\n\t\x00\x7fé߿€😀') for _ in range(rng.randrange(12)))
    if kind == 6:
        return {
            f"{rng.choice('abcé')}{i}" * rng.randrange(1, 20): document(rng, depth - 1) for i in range(rng.randrange(9))
        }
    return [document(rng, depth - 1) for _ in range(rng.randrange(20))]


def test_it_reads_what_the_standard_library_reads() -> None:
    rng = random.Random(1)
    known = schema(properties=dict.fromkeys(["a0", "b1", "é2", "c3c3c3"], True))
    for _ in range(600):
        value = document(rng, 4)
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode()
        expected = json.loads(text)
        for read in (parse_json(text, BOUNDS), known.check(text)):
            assert repr(read) == repr(expected)


def test_what_it_calls_a_syntax_error_the_standard_library_refuses_too() -> None:
    rng = random.Random(2)
    refused = 0
    for _ in range(6_000):
        text = bytearray(json.dumps(document(rng, 2), ensure_ascii=False).encode())
        for _ in range(rng.randrange(1, 4)):
            text[rng.randrange(len(text))] = rng.choice(b'{}[],:"\\ 01.eE-u\x00\xed\xa0\x80\xff\xfe\xefNIa')
        try:
            parse_json(bytes(text), BOUNDS)
        except JsonRejected as error:
            if error.syntax:
                refused += 1
                with pytest.raises(ValueError):
                    json.loads(bytes(text))
        else:
            json.loads(bytes(text))
    assert refused > 1_500


def test_names_of_the_schema_are_interned_and_others_are_not_kept() -> None:
    (name,) = schema(properties={"a-long-name": True}).check(b'{"a-long-name": 1}')
    assert name is sys.intern("a-" + "long-name")
    records = parse_json(b'[{"some": 1}, {"some": 2}]', BOUNDS)
    assert next(iter(records[0])) is next(iter(records[1]))


@pytest.mark.parametrize("is_known", [True, False])
def test_names_that_differ_in_one_character_are_told_apart_at_every_length(is_known: bool) -> None:
    for length in range(1, 80):
        name = "n" * length
        others = [name[:at] + "m" + name[at + 1 :] for at in range(length)] + [name + "n"]
        checker = schema(properties={name: True, others[0]: True} if is_known else {})
        expected = [{name: 1}, dict.fromkeys(others, 2), {name: 3, others[-1]: 4}]
        assert checker.check(json.dumps(expected).encode()) == expected


def test_no_name_of_a_peer_is_kept_to_compare_records() -> None:
    unique = schema(uniqueItems=True)

    def work(numbers: Iterable[int]) -> None:
        for number in numbers:
            unique.check(b'[{"name-%d": 1}, {"name-%d": 2}, {"name-%d": [%d]}]' % (number, number, number, number))

    work(range(10))
    numbers = iter(range(10, 9_010))
    assert least_growth(lambda: work(itertools.islice(numbers, 3_000))) < 20_000


def test_nothing_leaks_from_bodies_accepted_or_refused() -> None:
    checker = schema(properties={"a": {"items": {"type": "integer"}}})
    bodies = [b'{"a": [1, 12345678901234567890], "b%d": "x"}' % i for i in range(50)]
    bodies += [b'{"a": ["no"]}', b'{"a": 1, "a": 2}', b'[[[{"deep": [1, 2, "x', b'{"a": [1, {"b": NaN}]}']

    def work() -> None:
        for body in bodies:
            try:
                checker.check(body)
            except (JsonRejected, SchemaRejected):
                pass

    work()
    assert least_growth(lambda: [work() for _ in range(100)]) < 20_000


def least_growth(work: Callable[[], object]) -> int:
    """Bytes that each run leaves behind, at least: what leaks leaks each time. Threads of other tests may allocate too."""
    grown = []
    for _ in range(3):
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        work()
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0] - before)
        tracemalloc.stop()
    return min(grown)


@pytest.mark.parametrize("draft", DRAFTS)
def test_formats_are_asserted_in_every_draft(draft: str) -> None:
    checker = Schema(json.dumps({"$schema": draft, "properties": {"at": {"format": "date-time"}}}), BOUNDS)
    assert checker.check(b'{"at": "2026-11-23T19:28:16Z"}')
    with pytest.raises(SchemaRejected) as caught:
        checker.check(b'{"at": "yesterday"}')
    assert caught.value.errors == [("/at", "format")]
    with pytest.raises(ValueError, match="emial"):
        Schema(json.dumps({"$schema": draft, "format": "emial"}), BOUNDS)


def test_drafts_differ_as_they_say() -> None:
    flag = {"$schema": DRAFTS[0], "maximum": 5, "exclusiveMaximum": True}
    with pytest.raises(SchemaRejected):
        Schema(json.dumps(flag), BOUNDS).check(b"5")
    with pytest.raises(ValueError, match='"exclusiveMaximum", true or false, which was draft 4\'s'):
        Schema(json.dumps(flag | {"$schema": DRAFTS[4]}), BOUNDS)
    # In draft 4 an integer is written as one.
    with pytest.raises(SchemaRejected):
        Schema(json.dumps({"$schema": DRAFTS[0], "type": "integer"}), BOUNDS).check(b"1.0")
    for draft in DRAFTS[1:]:
        assert Schema(json.dumps({"$schema": draft, "type": "integer"}), BOUNDS).check(b"1.0") == 1
    tuple_ = {"items": [{"type": "string"}], "additionalItems": False}
    with pytest.raises(SchemaRejected):
        Schema(json.dumps(tuple_ | {"$schema": DRAFTS[3]}), BOUNDS).check(b'["a", 1]')
    with pytest.raises(ValueError, match="prefixItems"):
        Schema(json.dumps(tuple_), BOUNDS)
    with pytest.raises(ValueError, match="2020-12"):
        schema(**{"$schema": "https://example.com/mine"})


@pytest.mark.parametrize(
    "reference",
    ["file:///etc/passwd", "http://127.0.0.1:{port}/s", "//127.0.0.1:{port}/s", "s.json", "urn:uuid:1"],
)
def test_references_are_refused_without_any_io(reference: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        target = reference.format(port=listener.getsockname()[1])
        for place in ({"$ref": target}, {"$defs": {"unused": {"$ref": target}}}, {"$id": target, "$ref": "other"}):
            with pytest.raises(ValueError) as caught:
                schema(**place)
            assert "root:" not in str(caught.value)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_local_references_work() -> None:
    checker = schema(
        **{
            "$defs": {
                "tree": {"properties": {"children": {"items": {"$ref": "#/$defs/tree"}}, "v": {"$ref": "#v"}}},
                "v": {"$anchor": "v", "type": "integer"},
            },
            "$ref": "#/$defs/tree",
        }
    )
    assert checker.check(b'{"children": [{"v": 1, "children": []}]}')
    with pytest.raises(SchemaRejected) as caught:
        checker.check(b'{"children": [{"v": 1}, {"children": [{"v": "x"}]}]}')
    assert caught.value.errors == [("/children/1/children/0/v", "type")]


def test_a_pattern_that_needs_backtracking_is_refused_by_name() -> None:
    for pattern in ["^(?=.*[0-9]).+$", r"(a)\1", "(?<!a)b"]:
        with pytest.raises(ValueError) as caught:
            schema(properties={"p": {"pattern": pattern}})
        assert json.dumps(pattern) in str(caught.value)
    # One that would take a backtracking engine forever is just a pattern here.
    started = time.thread_time()
    with pytest.raises(SchemaRejected):
        schema(pattern="^(a+)+$").check(b'"' + b"a" * 100_000 + b'!"')
    assert time.thread_time() - started < 5


def test_the_bomb_of_forty_five_bytes_is_refused_at_registration() -> None:
    with pytest.raises(ValueError, match="/anyOf/1"):
        schema(anyOf=[{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "maxItems": 2}])
    laughs = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)} | {"a40": {"type": "null"}}
    with pytest.raises(ValueError, match=r"/\$defs/a"):
        schema(**{"$defs": laughs, "$ref": "#/$defs/a0"})


@pytest.mark.parametrize(
    ("keywords", "element", "valid"),
    [
        # Values for which the engine's own keywords take seconds to hours per megabyte.
        ({"uniqueItems": True}, lambda i: str(2**62 + i), True),
        ({"uniqueItems": True}, lambda i: "[" + ",".join("[1]" if i >> b & 1 else "1" for b in range(16)) + "]", True),
        ({"items": {"multipleOf": 0.01}}, lambda i: "1e308", True),
        ({"items": {"multipleOf": 0.01}}, lambda i: "1" + "0" * 300, True),
        ({"items": {"not": {"enum": list(range(50))}}}, lambda i: "1e308", True),
        ({"items": {"not": {"enum": list(range(50))}}}, lambda i: "1" + "0" * 300, True),
    ],
)
def test_elements_chosen_to_be_slow_are_not(keywords: dict[str, object], element: object, valid: bool) -> None:
    items, size = [], 0
    while size < 200_000:
        items.append(element(len(items)))  # type: ignore[operator]
        size += len(items[-1]) + 1
    body = f"[{','.join(items)}]".encode()
    checker = schema(**keywords)
    started = time.thread_time()
    try:
        checker.check(body)
        assert valid
    except SchemaRejected:
        assert not valid
    # Under a second in a debug build; two minutes by the engine's own check.
    assert time.thread_time() - started < 10


def test_errors_say_where_and_which_rule_but_never_a_value_or_a_foreign_name() -> None:
    canary = "cAnArY"
    checker = schema(
        type="object",
        required=["id"],
        properties={
            "id": {"type": "integer"},
            "mail": {"format": "email"},
            "kind": {"enum": ["a", "b"]},
            "code": {"pattern": "^[0-9]+$"},
            "labels": {"additionalProperties": {"type": "integer"}, "propertyNames": {"pattern": "^[a-z]+$"}},
            "either": {"oneOf": [{"type": "null"}, {"const": 1}]},
            "list": {"items": {"maxLength": 3}, "uniqueItems": True},
        },
        additionalProperties=False,
    )
    body = dict.fromkeys(["id", "mail", "kind", "code", "either"], canary) | {
        "labels": {canary: canary, "4111111111111111": canary},
        "list": [canary, canary],
        canary: canary,
    }
    with pytest.raises(SchemaRejected) as caught:
        checker.check(json.dumps(body).encode())
    error = caught.value
    told = repr(error) + str(error) + repr(error.errors) + repr(vars(error))
    assert canary not in told and "4111" not in told
    assert error.code == "body.invalid"
    assert set(error.errors) == {
        ("/id", "type"),
        ("/mail", "format"),
        ("/kind", "enum"),
        ("/code", "pattern"),
        ("/labels", "type"),
        ("/labels", "propertyNames"),
        ("/either", "oneOf"),
        ("/list/0", "maxLength"),
        ("/list/1", "maxLength"),
        ("/list", "uniqueItems"),
        ("", "additionalProperties"),
    }
    assert not error.truncated
    with pytest.raises(JsonRejected) as refused:
        checker.check(b'{"cAnArY": 1, "cAnArY": 2}')
    assert canary not in repr(refused.value) + repr(vars(refused.value))


def test_a_large_body_is_not_explained_at_length() -> None:
    body = json.dumps(["x"] * 100_000).encode()
    with pytest.raises(SchemaRejected) as caught:
        schema(items={"type": "integer"}).check(body)
    assert (caught.value.errors, caught.value.truncated) == ([("/0", "type")], True)
    with pytest.raises(SchemaRejected) as caught:
        schema(items={"anyOf": [{"type": "integer"}, {"type": "null"}]}).check(body)
    assert (caught.value.errors, caught.value.truncated) == ([], True)
    # Each error copies the value that it is about: five hundred copies of a megabyte.
    heavy = json.dumps({f"q{i}": "v" * 1000 for i in range(990)}).encode()
    with pytest.raises(SchemaRejected) as caught:
        schema(required=[f"p{i}" for i in range(500)]).check(heavy)
    assert (caught.value.errors, caught.value.truncated) == ([("/p0", "required")], True)


def test_check_value_judges_objects_made_elsewhere() -> None:
    class Colour(str, enum.Enum):
        RED = "red"

    checker = schema(properties={"c": {"enum": ["red"]}, "n": {"items": {"type": "integer"}}})
    value = {"c": Colour.RED, "n": (1, 2)}
    assert checker.check_value(value) is value
    with pytest.raises(SchemaRejected) as caught:
        checker.check_value({"c": "blue", "n": [1, "2"]})
    assert set(caught.value.errors) == {("/c", "enum"), ("/n/1", "type")}
    with pytest.raises(ValueError, match="object"):
        checker.check_value({"c": object()})


def test_check_value_survives_objects_that_hold_themselves() -> None:
    checker = schema(additionalProperties={"$ref": "#"}, items={"$ref": "#"})
    loop: list[object] = []
    loop.append(loop)
    shared: object = 1
    for _ in range(60):
        shared = [shared, shared]
    for value, expected in [(loop, "json.too_deep"), (shared, "json.too_large")]:
        with pytest.raises(JsonRejected) as caught:
            checker.check_value(value)
        assert caught.value.code == expected


def test_what_is_returned_is_the_callers_own() -> None:
    checker = schema(properties={"a": {"items": True}})
    first, second = checker.check(b'{"a": [1]}'), checker.check(b'{"a": [1]}')
    first["a"].append(2)
    assert second == {"a": [1]}


def test_only_bytes_are_read() -> None:
    for wrong in ("{}", None, 1, [1]):
        with pytest.raises(TypeError):
            parse_json(wrong, BOUNDS)  # type: ignore[arg-type]


def test_the_docstrings_run() -> None:
    import doctest

    finder, runner = doctest.DocTestFinder(recurse=True), doctest.DocTestRunner()
    for item in (JsonBounds, Schema, parse_json):
        for example in finder.find(item, item.__name__, globs=vars(_native).copy()):
            runner.run(example)
    assert runner.summarize().failed == 0


def test_equal_numbers_are_found_whatever_their_type_and_length() -> None:
    unique = schema(JsonBounds(max_digits=400), uniqueItems=True)
    for exponent in (1, 62, 63, 64, 127, 128, 500, 1000):
        for sign in (1, -1):
            integer = sign * 2**exponent
            with pytest.raises(SchemaRejected):
                unique.check(b"[%d, %s]" % (integer, repr(float(integer)).encode()))
            unique.check(b"[%d, %d, %s]" % (integer + 1, integer, repr(float(sign * 2 ** (exponent + 1))).encode()))
    with pytest.raises(SchemaRejected):
        unique.check(b"[0, -0.0]")
    unique.check(b"[1%s, 2]" % (b"0" * 350))


def test_unique_items_are_those_that_a_comparison_by_value_tells_apart() -> None:
    chance = random.Random(11)
    scalars = [0, 0.0, -0.0, 1, 1.0, -1, True, False, None, "", "1", "a", "\0", 0.5, 2**53, 2**53 + 1, 2.0**53, 2**63]
    scalars += [2.0**63, -(2**63), -(2**63) - 1, -(2.0**63), 2**64, 10**300, 1e300, 10**22, 1e22, "a" * 17, "b" * 17]

    def value(depth: int) -> object:
        kind = chance.randrange(8) if depth else 0
        if kind < 4:
            return chance.choice(scalars)
        if kind < 5:
            return [value(depth - 1) for _ in range(chance.randrange(3))]
        names = chance.sample(["id", "name", "a longer name of a member"], chance.randrange(4))
        return {name: value(depth - 1) for name in names}

    def comparable(value: object) -> object:
        # Python's own comparison of int and float is exact; only bools must be set apart.
        if isinstance(value, dict):
            return "object", frozenset((name, comparable(member)) for name, member in value.items())
        if isinstance(value, list):
            return "array", tuple(map(comparable, value))
        return isinstance(value, bool), value

    unique = schema(uniqueItems=True)
    verdicts = []
    for _ in range(4_000):
        length = chance.choice([2, 2, 3, 4, 8])
        elements = [value(chance.randrange(7)) for _ in range(length)]
        expected = len({comparable(element) for element in elements}) == length
        try:
            unique.check(json.dumps(elements).encode())
            verdicts.append(True)
        except SchemaRejected:
            verdicts.append(False)
        assert verdicts[-1] == expected, elements
    assert 500 < sum(verdicts) < 3_900


def test_nested_unique_items_cost_no_more_than_one() -> None:
    # CWE-407: 27 KB took 4.3 s, 1 MB more than 40 s: each level wrote out all below it.
    unique = schema(uniqueItems=True, items={"$ref": "#"})
    numbers = b",".join(b"%de300" % i for i in range(1000, 91_000))
    started = time.thread_time()
    unique.check(b"[" * 60 + b"[" + numbers + b"]" + b",0]" * 60)
    # A debug build; a release takes a tenth of it.
    assert time.thread_time() - started < 15


def test_an_enum_compares_by_value_and_looks_up() -> None:
    choice = schema(items={"enum": [*range(5_000), 0.5, "a", None, True, [1], {"a": 1}]})
    choice.check(b'[4999, 4999.0, 5e-1, "a", null, true, [1.0], {"a": 1}]')
    for body in (b"[5000]", b"[false]", b'["1"]', b"[[2]]", b"[{}]", b"[18446744073709551616]"):
        with pytest.raises(SchemaRejected) as caught:
            choice.check(body)
        assert caught.value.errors == [("/0", "enum")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"const": 18446744073709551617}', "64 bits"),
        ('{"items": {"$ref": ""}}', '"#"'),
    ],
)
def test_a_schema_that_the_engine_would_misread_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schema(text, BOUNDS)
