"""Texts are cleaned before they are judged, and what is absent gets its default."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify
from hypothesis import given
from hypothesis import strategies as st

from flask_rampart import ConfigError, validate, validated
from flask_rampart._native import JsonBounds, JsonRejected, Parts, Schema, SchemaRejected
from flask_rampart.sanitize import clean_text, safe_filename

Make = Callable[..., Flask]
BOUNDS = JsonBounds()


def compiled(schema: Any, **bounds: int) -> Schema:
    return Schema(json.dumps(schema), JsonBounds(**bounds))


def judged(schema: Any, body: Any) -> Any:
    said = compiled(schema).judge(json.dumps(body).encode())
    return said.errors if isinstance(said, SchemaRejected) else said


def of_a(**schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


# x-clean


@pytest.mark.parametrize(
    ("cleaner", "sent", "clean"),
    [
        ("text", "user\u202enimda", "usernimda"),
        ({"text": {"form": "NFKC", "lines": False}}, "\ufb01ne\n\uff21", "fine A"),
        ({"text": {"limit": 2}}, "abc", "ab"),
        ("html", "<b onclick=x>hi</b><script>y</script>", "<b>hi</b>"),
        ({"html": {"policy": "none"}}, "<b>hi</b>", "hi"),
        ("filename", "../../etc/passwd", "passwd"),
        ({"filename": {"fallback": "upload"}}, "..", "upload"),
        ("cell", "=1+1", "'=1+1"),
        ("text", "plain", "plain"),
    ],
)
def test_a_text_is_cleaned_as_its_schema_says(cleaner: Any, sent: str, clean: str) -> None:
    assert judged(of_a(type="string", **{"x-clean": cleaner}), {"a": sent}) == {"a": clean}


def test_it_is_cleaned_before_it_is_judged() -> None:
    schema = of_a(type="string", minLength=2, pattern="^[a-z]+$", **{"x-clean": "text"})
    assert judged(schema, {"a": "a\u200bb"}) == {"a": "ab"}
    # Two characters, of which one is not seen.
    assert judged(schema, {"a": "a\u200b"}) == [("/a", "minLength")]
    enum = of_a(type="string", enum=["ab"], **{"x-clean": "text"})
    assert judged(enum, {"a": "a\u200bb"}) == {"a": "ab"}


def test_it_is_cleaned_wherever_it_stands() -> None:
    text = {"type": "string", "x-clean": "text"}
    dirty, clean = "a\u200bb", "ab"
    for schema, wrap in [
        (text, lambda it: it),
        ({"items": text}, lambda it: [it, it]),
        ({"prefixItems": [True, text]}, lambda it: [1, it]),
        ({"properties": {"x": {"properties": {"y/z": text}}}}, lambda it: {"x": {"y/z": it}}),
        ({"additionalProperties": text}, lambda it: {"x": it, "": it}),
        ({"patternProperties": {"^x": text}, "additionalProperties": False}, lambda it: {"x": it}),
        ({"$ref": "#/$defs/t", "$defs": {"t": text}}, lambda it: it),
        ({"allOf": [{"type": "string"}, {"x-clean": "text"}]}, lambda it: it),
        ({"anyOf": [text, {"type": "null"}]}, lambda it: it),
        ({"type": ["string", "null"], "x-clean": "text"}, lambda it: it),
        ({"properties": {"n": {"$ref": "#"}, "t": text}}, lambda it: {"n": {"n": {"t": it}}}),
    ]:
        assert judged(schema, wrap(dirty)) == wrap(clean), schema


def test_names_are_not_cleaned() -> None:
    schema = {"additionalProperties": {"type": "string", "x-clean": "text"}}
    body = {"a\u200b": "x\u200b", "a": "y"}
    assert judged(schema, body) == {"a\u200b": "x", "a": "y"}


def test_what_is_no_text_is_left_to_the_schema() -> None:
    schema = of_a(type=["string", "integer"], **{"x-clean": "text"})
    assert judged(schema, {"a": 1}) == {"a": 1}
    assert judged(schema, {"a": [" "]}) == [("/a", "type")]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (of_a(type="string", **{"x-clean": "txt"}), r'"cell", "filename", "html", "text"'),
        (of_a(type="string", **{"x-clean": 1}), "write one of"),
        (of_a(type="string", **{"x-clean": {"text": {}, "html": {}}}), "write one of"),
        (
            of_a(type="string", **{"x-clean": {"text": {"frm": "NFC"}}}),
            r'"frm" is no option; there are "form", "lines"',
        ),
        (of_a(type="string", **{"x-clean": {"text": {"form": "NFD"}}}), 'form is "NFC" or "NFKC"'),
        (of_a(type="string", **{"x-clean": {"text": {"limit": -1}}}), "limit is a whole number"),
        (of_a(type="string", **{"x-clean": {"html": {"policy": "all"}}}), "is not a policy"),
        (of_a(type="string", **{"x-clean": {"filename": {"fallback": "../x"}}}), "is no safe name"),
        (of_a(type="string", **{"x-clean": {"cell": {"x": 1}}}), "it has none"),
        (of_a(**{"x-clean": "text"}), 'say "type": "string"'),
        (of_a(type="integer", **{"x-clean": "text"}), 'say "type": "string"'),
        (of_a(type="array", items={}, **{"x-clean": "text"}), 'say "type": "string"'),
        (
            of_a(anyOf=[{"type": "string", "x-clean": "text"}, {"type": "string", "maxLength": 3}]),
            "write it in every case",
        ),
        (
            {"if": {"properties": {"k": {}}}, "then": of_a(type="string", **{"x-clean": "text"})},
            "write it in every case",
        ),
        (
            {"patternProperties": {"^x": {"type": "string", "x-clean": "text"}}},
            '"additionalProperties": false beside it',
        ),
        ({"propertyNames": {"type": "string", "x-clean": "text"}}, "names, and what stands under"),
        ({"not": of_a(type="string", **{"x-clean": "text"})}, "cleans nothing"),
        ({"contains": {"type": "string", "x-clean": "text"}}, "write it in every case"),
        (
            {"allOf": [of_a(type="string", **{"x-clean": "text"}), of_a(type="string", **{"x-clean": "html"})]},
            "and differ",
        ),
    ],
)
def test_a_cleaner_that_cannot_be_meant_stops_the_start(schema: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compiled(schema)


def test_a_text_that_grows_is_bounded() -> None:
    schema = {"items": {"type": "string", "x-clean": {"text": {"form": "NFKC"}}}}
    # U+FDFA is 18 letters in NFKC (UAX #15).
    body = json.dumps(["\ufdfa" * 100] * 10, ensure_ascii=False).encode()
    assert len(compiled(schema, max_bytes=50_000).check(body)[0]) == 1800
    with pytest.raises(JsonRejected) as caught:
        compiled(schema, max_bytes=10_000).check(body)
    assert caught.value.code == "json.too_large"


def test_a_body_at_the_depth_bound_is_cleaned_to_its_end() -> None:
    schema = {"anyOf": [{"type": "string", "x-clean": "text"}, {"type": "array", "items": {"$ref": "#"}}]}
    for depth in (63, 64):
        body = b"[" * depth + '"a\u200b"'.encode() + b"]" * depth
        value = compiled(schema).check(body)
        for _ in range(depth):
            (value,) = value
        assert value == "a"


@given(st.text())
def test_a_schema_cleans_as_the_function_of_that_name_does(text: str) -> None:
    assert judged({"type": "string", "x-clean": "text"}, text) == clean_text(text)
    assert judged({"type": "string", "x-clean": "filename"}, text) == safe_filename(text)


# Formats


@pytest.mark.parametrize(
    ("name", "passes", "fails"),
    [
        ("safe-text", ["", "plain", "line\nline", "می\u200cشود"], ["a\u202eb", "e\u0301", "a\r\nb", "\x1b[2J"]),
        ("safe-filename", ["cv.pdf", "Привет.txt"], ["", "../x", "NUL.txt", "a/b", ".htaccess"]),
        ("safe-cell", ["-1.5", "a=b"], ["=1+1", " @SUM(A1)"]),
        ("safe-html", ["hi", "<b>hi</b>"], ["<script>x</script>", "<b onclick=x>hi</b>", "1 < 2"]),
        ("safe-redirect", ["/account?tab=2"], ["//evil.example", "/\\evil.example", "https://evil.example/"]),
    ],
)
def test_a_format_holds_of_what_cleaning_would_not_change(name: str, passes: list[str], fails: list[str]) -> None:
    for draft in ("http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2020-12/schema"):
        schema = {"$schema": draft, "format": name}
        assert [judged(schema, text) for text in passes] == passes
        assert [judged(schema, text) for text in fails] == [[("", "format")]] * len(fails)
        assert judged(schema, 1) == 1


def test_a_misspelt_format_is_still_refused() -> None:
    with pytest.raises(ValueError, match="safe-txt"):
        compiled({"format": "safe-txt"})


# Defaults

DEFAULTS = {
    "properties": {
        "page": {"type": "integer", "default": 1},
        "options": {"properties": {"tags": {"type": "array", "default": ["a"]}}},
        "lines": {"items": {"properties": {"count": {"default": 1}}}},
    }
}


def test_what_is_absent_gets_its_default_at_every_depth() -> None:
    assert judged(DEFAULTS, {}) == {"page": 1}
    assert judged(DEFAULTS, {"page": 2, "options": {}, "lines": [{}, {"count": 2}]}) == {
        "page": 2,
        "options": {"tags": ["a"]},
        "lines": [{"count": 1}, {"count": 2}],
    }
    # null is there.
    assert judged(of_a(default=1), {"a": None}) == {"a": None}


def test_a_default_is_made_anew_each_time() -> None:
    schema = compiled(of_a(default={"list": [1]}))
    first, second = schema.check(b"{}"), schema.check(b"{}")
    first["a"]["list"].append(2)
    assert second == schema.check(b"{}") == {"a": {"list": [1]}}


def test_a_default_is_no_sent_member() -> None:
    assert judged({**of_a(default=1), "required": ["a"]}, {}) == [("/a", "required")]
    assert judged({**of_a(default=1), "minProperties": 1}, {}) == [("", "minProperties")]
    assert judged({**of_a(default=1), "maxProperties": 1}, {"b": 1}) == {"a": 1, "b": 1}
    assert judged({**of_a(default=1), "dependentRequired": {"a": ["b"]}}, {}) == {"a": 1}


def test_nothing_is_put_into_a_default() -> None:
    assert judged({"properties": {"next": {"$ref": "#", "default": {}}}}, {}) == {"next": {}}


def test_a_default_of_one_alternative_of_several_is_not_put_in() -> None:
    for word in ("anyOf", "oneOf"):
        shapes = [
            {"properties": {"k": {"const": "a"}, "x": {"default": 1}}, "required": ["k"]},
            {"properties": {"k": {"const": "b"}, "y": {"default": 2}}, "required": ["k"]},
        ]
        assert judged({word: shapes}, {"k": "a"}) == {"k": "a"}
        # The only one for objects is sure.
        assert judged({word: [shapes[0], {"type": "null"}], "type": ["object", "null"]}, {"k": "a"}) == {
            "k": "a",
            "x": 1,
        }
    both = {"allOf": [of_a(default=1), of_a(type="integer", default=1)]}
    assert judged(both, {}) == {"a": 1}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (of_a(type="integer", default="1"), r'the default of "a" is not what its schema says \(type\)'),
        ({"properties": {"a/b~%": {"type": "integer", "default": "1"}}}, r"at /properties/a~1b~0%"),
        (of_a(type="string", minLength=2, default="a\u200b", **{"x-clean": "text"}), "minLength"),
        (of_a(**{"$ref": "#/$defs/n"}, default="x") | {"$defs": {"n": {"type": "integer"}}}, "type"),
        ({"items": of_a(format="safe-filename", default="../x")}, "format"),
        ({"allOf": [of_a(default=1), of_a(default=2)]}, "two defaults"),
    ],
)
def test_a_default_that_cannot_be_meant_stops_the_start(schema: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compiled(schema)


def test_a_default_is_cleaned_as_if_it_had_been_sent() -> None:
    assert judged(of_a(type="string", default="a\u200bb", **{"x-clean": "text"}), {}) == {"a": "ab"}


# Values made elsewhere


def test_a_value_made_elsewhere_is_copied_and_not_changed() -> None:
    schema = compiled({"properties": {"a": {"items": {"type": "string", "x-clean": "text"}}, "d": {"default": 1}}})
    shared = ["x\u200b"]
    value = {"a": shared}
    assert schema.check_value(value) == {"a": ["x"], "d": 1}
    assert value == {"a": ["x\u200b"]} and shared == ["x\u200b"]
    assert schema.check_value({"a": ("x\u200b",)}) == {"a": ["x"], "d": 1}
    with pytest.raises(JsonRejected) as caught:
        schema.check_value({"a": ["\ud800"]})
    assert caught.value.code == "json.surrogate"
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(JsonRejected):
        schema.check_value({"a": loop})


def test_many_threads_share_one_schema() -> None:
    schema = compiled(DEFAULTS)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(300):
            value = schema.check(b'{"options": {}, "lines": [{}]}')
            value["options"]["tags"].append("mine")
            if value != {"options": {"tags": ["a", "mine"]}, "lines": [{"count": 1}], "page": 1}:
                wrong.append(value)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# The parts that are text


def test_the_texts_of_a_query_are_cleaned_before_they_are_judged() -> None:
    schema = {
        "properties": {
            "q": {"type": "string", "x-clean": "text", "minLength": 2},
            "file": {"type": "array", "items": {"type": "string", "x-clean": "filename"}},
            "by": {
                "type": "object",
                "properties": {"name": {"type": "string", "x-clean": "cell"}, "n": {"default": "1"}},
            },
        }
    }
    parts = Parts(json.dumps(schema), BOUNDS, "query", "reject")
    read = parts.query("q=a%E2%80%8Bb&file=../x&file=y/z&by[name]=%3D1")
    assert read == {"q": "ab", "file": ["x", "z"], "by": {"name": "'=1", "n": "1"}}
    assert parts.query("q=a%E2%80%8B") == [("/q", "minLength")]
    with pytest.raises(ValueError, match="write one of"):
        Parts(json.dumps(of_a(type="string", **{"x-clean": "txt"})), BOUNDS, "query", "reject")


def test_every_part_of_a_request_is_cleaned(make_app: Make) -> None:
    text = {"properties": {"a": {"type": "string", "x-clean": {"text": {"lines": False}}}}}
    app = make_app()

    @app.post("/<a>")
    @validate(path=text, query=text, headers={"properties": {"X-A": text["properties"]["a"]}}, cookies=text, form=text)
    def view(a: str) -> Any:
        return jsonify(
            [validated.path, validated.query, validated.headers, validated.cookies, validated.form],
        )

    client = app.test_client()
    client.set_cookie("a", "c\u200bd")
    answer = client.post("/x%E2%80%8By?a=%E2%80%8Bq", headers={"X-A": "h\tk"}, data={"a": "f\u202eg"})
    assert answer.json == [{"a": "xy"}, {"a": "q"}, {"X-A": "h k"}, {"a": "cd"}, {"a": "fg"}]


def test_a_view_sees_the_clean_body_and_its_defaults(make_app: Make) -> None:
    app = make_app()
    schema = {"properties": {"name": {"type": "string", "x-clean": "text"}, "page": {"default": 1}}}
    app.post("/")(validate(body=schema)(lambda: jsonify(validated.body)))
    assert app.test_client().post("/", json={"name": "a\u200bb"}).json == {"name": "ab", "page": 1}
    app = make_app()
    app.testing = True
    app.post("/")(validate(body=of_a(type="string", **{"x-clean": "txt"}))(lambda: "ok"))
    with pytest.raises(ConfigError, match="the x-clean at /properties/a"):
        app.test_client().post("/", json={})
