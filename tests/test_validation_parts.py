"""The parts of a request that are text: typed, bounded and judged before a view sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, jsonify, request
from hypothesis import given
from hypothesis import strategies as st

from flask_rampart import ConfigError, validate, validated
from flask_rampart._native import JsonBounds, Parts

Make = Callable[..., Flask]

SEARCH = {
    "type": "object",
    "properties": {
        "q": {"type": "string", "minLength": 1, "maxLength": 20},
        "page": {"type": "integer", "minimum": 1, "default": 1},
        "price": {"type": "number"},
        "stock": {"type": "boolean"},
        "tag": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "id": {"type": "array", "items": {"type": "integer"}, "x-explode": False},
        "since": {"type": "string", "format": "date"},
        "filter": {"type": "object", "properties": {"size": {"type": "integer"}}, "additionalProperties": False},
    },
    "required": ["q"],
}


@pytest.fixture(name="app")
def an_app(make_app: Make) -> Flask:
    app = make_app()

    @app.get("/search")
    @validate(query=SEARCH)
    def search() -> Any:
        return jsonify(validated.query)

    return app


def told(answer: Any) -> list[tuple[str, str, str]]:
    return [(error["in"], error["pointer"], error["rule"]) for error in answer.json["errors"]]


def test_a_query_arrives_as_the_types_that_its_schema_names(app: Flask) -> None:
    answer = app.test_client().get(
        "/search?q=a%20b+c&price=1.5&stock=true&tag=x&tag=y&id=1,2,3&since=2026-02-28&filter[size]=2"
    )
    assert answer.status_code == 200
    assert answer.json == {
        "q": "a b c",
        "page": 1,
        "price": 1.5,
        "stock": True,
        "tag": ["x", "y"],
        "id": [1, 2, 3],
        "since": "2026-02-28",
        "filter": {"size": 2},
    }


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("", [("query", "/q", "required")]),
        ("q=", [("query", "/q", "minLength")]),
        ("q=a&page=0", [("query", "/page", "minimum")]),
        ("q=a&page=1.0", [("query", "/page", "type")]),
        ("q=a&page=%D9%A3", [("query", "/page", "type")]),
        ("q=a&page=1&page=2", [("query", "/page", "repeated")]),
        ("q=a&q=b", [("query", "/q", "repeated")]),
        ("q=a&stock=True", [("query", "/stock", "type")]),
        ("q=a&price=NaN", [("query", "/price", "type")]),
        ("q=a&price=1e999", [("query", "/price", "type")]),
        ("q=a&since=2026-02-30", [("query", "/since", "format")]),
        ("q=a&id=1,x", [("query", "/id/1", "type")]),
        ("q=a&filter=1", [("query", "/filter", "type")]),
        ("q=a&filter[colour]=1", [("query", "/filter", "additionalProperties")]),
        ("q=a&debug=1", [("query", "", "additionalProperties")]),
        ("q=a&Page=1", [("query", "", "additionalProperties")]),
        ("page=0&stock=1", [("query", "/page", "minimum"), ("query", "/q", "required"), ("query", "/stock", "type")]),
    ],
)
def test_all_that_breaks_the_contract_is_told_at_once_and_no_value_with_it(
    app: Flask, query: str, errors: list[tuple[str, str, str]]
) -> None:
    answer = app.test_client().get(f"/search?{query}")
    assert answer.status_code == 422
    assert answer.json["code"] == "query.invalid"
    assert sorted(told(answer)) == errors


@pytest.mark.parametrize("query", ["q=%", "q=%zz", "q=%ff", "q=%ed%a0%80", "q=%c0%af", "q=\xff"])
def test_a_query_that_cannot_be_taken_apart_is_400(app: Flask, query: str) -> None:
    answer = app.test_client().get("/search", environ_overrides={"QUERY_STRING": query})
    assert (answer.status_code, answer.json["code"]) == (400, "request.malformed")


def test_what_is_unknown_passes_as_text_or_is_left_out_where_a_view_says_so(make_app: Make) -> None:
    app = make_app()
    schema = {"properties": {"a": {"type": "integer"}}}
    app.get("/ignore")(validate(query=schema, unknown="ignore")(lambda: jsonify(validated.query)))
    app.get("/strip")(validate(query=schema, unknown="strip")(lambda: jsonify(validated.query)))
    client = app.test_client()
    assert client.get("/ignore?a=1&b=2").json == {"a": 1, "b": "2"}
    assert client.get("/strip?a=1&b=2").json == {"a": 1}
    # Of two, one reader takes the first and the next one the last (CWE-235).
    assert told(client.get("/ignore?b=1&b=2")) == [("query", "", "repeated")]


def test_all_parts_of_a_request_are_read_and_told_together(make_app: Make) -> None:
    app = make_app()

    @app.post("/items/<item>")
    @validate(
        path={"properties": {"item": {"type": "integer", "minimum": 1}}},
        query={"properties": {"dry": {"type": "boolean", "default": False}}},
        headers={"properties": {"X-Batch": {"type": "array", "items": {"type": "integer"}}}, "required": ["X-Batch"]},
        cookies={"properties": {"theme": {"enum": ["dark", "light"]}}},
        body={"type": "object", "required": ["name"]},
    )
    def change(item: str) -> Any:
        parts = (validated.path, validated.query, validated.headers, validated.cookies, validated.body)
        return jsonify(parts)

    client = app.test_client()
    client.set_cookie("theme", "dark")
    client.set_cookie("other", "1")
    answer = client.post("/items/7?dry=true", json={"name": "x"}, headers={"x-batch": "1, 2"})
    assert answer.json == [{"item": 7}, {"dry": True}, {"X-Batch": [1, 2]}, {"theme": "dark"}, {"name": "x"}]

    client.set_cookie("theme", "blue")
    answer = client.post("/items/x?dry=1", json={})
    assert (answer.status_code, answer.json["code"]) == (422, "path.invalid")
    assert told(answer) == [
        ("path", "/item", "type"),
        ("query", "/dry", "type"),
        ("headers", "/X-Batch", "required"),
        ("cookies", "/theme", "enum"),
        ("body", "/name", "required"),
    ]
    # What is no JSON at all is told first.
    assert client.post("/items/x", data="{", content_type="application/json").status_code == 400


def test_a_cookie_that_stands_there_twice_is_refused(make_app: Make) -> None:
    # Cookie tossing: a page of a sibling domain sets another of the same name.
    app = make_app()
    app.get("/")(validate(cookies={"properties": {"a": {"type": "string"}}})(lambda: jsonify(validated.cookies)))
    client = app.test_client(use_cookies=False)
    assert client.get("/", headers={"Cookie": "a=1; b=2; b=3"}).json == {"a": "1"}
    assert told(client.get("/", headers={"Cookie": "a=1; a=2"})) == [("cookies", "/a", "repeated")]


FORM = {
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tag": {"type": "array"}},
    "required": ["name"],
}


@pytest.fixture(name="forms")
def an_app_with_a_form(make_app: Make) -> Flask:
    app = make_app(RAMPART_MAX_BODY=10_000)
    app.post("/")(validate(form=FORM)(lambda: jsonify(validated.form)))
    return app


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_is_read_as_a_query_is(forms: Flask, kind: str) -> None:
    client = forms.test_client()
    data: dict[str, Any] = {"name": "Ada", "age": "36", "tag": ["a", "b"]}
    assert client.post("/", data=data, content_type=kind).json == {"name": "Ada", "age": 36, "tag": ["a", "b"]}
    answer = client.post("/", data={"name": ["a", "b"], "age": "x", "admin": "1"}, content_type=kind)
    assert answer.json["code"] == "form.invalid"
    assert sorted(told(answer)) == [
        ("form", "", "additionalProperties"),
        ("form", "/age", "type"),
        ("form", "/name", "repeated"),
    ]


def test_what_is_no_form_or_too_large_or_cut_off_is_refused(forms: Flask) -> None:
    client = forms.test_client()
    assert client.post("/", json={"name": "x"}).status_code == 415
    assert client.post("/").status_code == 415
    assert client.post("/", data={"name": "x" * 20_000}).status_code == 413
    short = {"wsgi.input": io.BytesIO(b"name=x"), "CONTENT_LENGTH": "100"}
    cut = client.post("/", content_type="application/x-www-form-urlencoded", environ_overrides=short)
    assert (cut.status_code, cut.json["code"]) == (400, "body.incomplete")


def test_what_is_too_much_to_explain_is_refused_all_the_same(make_app: Make) -> None:
    app = make_app(RAMPART_FORM_MAX_FIELDS=2000, RAMPART_MAX_QUERY=100_000)
    either = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    schema = {"properties": {"id": either, "tag": {"type": "array"}}, "required": ["id"]}
    ran: list[str] = []
    for path, unknown in (("/", "reject"), ("/strip", "strip")):
        app.get(path, endpoint=path)(validate(query=schema, unknown=unknown)(lambda: ran.append("view") or "ok"))
    app.post("/form")(validate(form=schema)(lambda: ran.append("view") or "ok"))
    client = app.test_client(use_cookies=False)
    for path in ("/?id=evil" + "&tag" * 1001, "/strip?id=evil" + "&z" * 1001, "/?id=" + "x" * 65_000):
        assert client.get(path).status_code == 422
    assert client.post("/form", data={"id": "evil", "tag": ["x"] * 1001}).status_code == 422
    app = make_app()
    app.get("/")(validate(cookies=schema)(lambda: ran.append("view") or "ok"))
    answer = app.test_client(use_cookies=False).get("/", headers={"Cookie": "id=evil" + "; a=1" * 1001})
    assert answer.status_code == 422
    assert ran == []


BROKEN_FORMS = {
    "no UTF-8": ("application/x-www-form-urlencoded", b"name=\xff"),
    "no UTF-8, escaped": ("application/x-www-form-urlencoded", b"name=%ff"),
    "an escape that is none": ("application/x-www-form-urlencoded", b"name=%zz"),
    "no boundary": ("multipart/form-data", b"--x\r\n"),
    "no part": ("multipart/form-data; boundary=x", b"garbage"),
    "nothing": ("multipart/form-data; boundary=x", b""),
    "a boundary in the middle of a line": ("multipart/form-data; boundary=x", b"garbage--x--\r\n"),
    "two forms": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n1\r\n--x--\r\n--x\r\n'
        b'Content-Disposition: form-data; name="name"\r\n\r\n2\r\n--x--\r\n',
    ),
    "cut off": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda'),
    "a part without a name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
    ),
    "a value that is no UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--',
    ),
    "a name that is no UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--',
    ),
}


@pytest.mark.parametrize("case", BROKEN_FORMS)
def test_a_form_that_cannot_be_taken_apart_is_never_taken_for_an_empty_one(make_app: Make, case: str) -> None:
    app = make_app()
    schema = {"properties": {"name": {"type": "string"}, "admin": {"type": "boolean", "default": False}}}
    app.post("/")(validate(form=schema)(lambda: jsonify(validated.form)))
    kind, body = BROKEN_FORMS[case]
    stream = io.BytesIO(body)
    answer = app.test_client().post("/", input_stream=stream, content_length=len(body), content_type=kind)
    assert (answer.status_code, answer.json["code"]) == (400, "request.malformed")


def test_a_form_that_somebody_read_before_is_refused(make_app: Make) -> None:
    app = make_app()
    app.post("/")(validate(form={"properties": {"name": {}}})(lambda: jsonify(validated.form)))
    app.url_value_preprocessor(lambda endpoint, values: request.get_data(cache=False) and None)
    assert app.test_client().post("/", data={"name": "Ada"}).json["code"] == "body.consumed"


def test_a_view_reads_the_same_form_from_the_request(forms: Flask) -> None:
    forms.post("/both")(validate(form=FORM)(lambda: jsonify(validated.form["name"], request.form["name"])))
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        assert forms.test_client().post("/both", data={"name": "Ada"}, content_type=kind).json == ["Ada", "Ada"]


def test_what_is_in_the_path_is_always_checked(make_app: Make) -> None:
    app = make_app(TESTING=True)
    app.get("/t/<int:n>/<uuid:u>/<float:f>")(
        validate(
            path={
                "properties": {
                    "n": {"type": "integer", "maximum": 9},
                    "u": {"type": "string", "format": "uuid"},
                    "f": {"type": "number"},
                }
            }
        )(lambda n, u, f: jsonify(validated.path))
    )
    client = app.test_client()
    name = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert client.get(f"/t/7/{name}/1.5").json == {"n": 7, "u": name, "f": 1.5}
    assert told(client.get(f"/t/10/{name}/1.5")) == [("path", "/n", "maximum")]

    app = make_app(TESTING=True)
    app.get("/t/<user>")(validate(path={"properties": {"user": {"type": "integer"}}})(lambda **_: "ok"))
    app.url_value_preprocessor(lambda endpoint, values: (values or {}).pop("user", None) and None)
    assert told(app.test_client().get("/t/evil")) == [("path", "/user", "required")]

    app = make_app(TESTING=True)
    app.get("/t/<userid>")(validate(path={"properties": {"user": {"type": "integer"}}})(lambda userid: userid))
    with pytest.raises(ConfigError, match=r"takes 'userid' out of the path, not 'user'"):
        app.test_client().get("/t/evil")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: validate(), "would check nothing"),
        (lambda: validate(query=["a"]), "a dict, or a path, not list"),  # type: ignore[arg-type]
        (lambda: validate(body={}, form={}), "a body is one of both"),
        (lambda: validate(query={}, unknown="drop"), "'reject', 'ignore', 'strip'"),  # type: ignore[arg-type]
        (lambda: validate(headers={}, unknown="strip"), "none of these is given"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_where_it_stands(wrong: Callable[[], Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        wrong()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"query": {}}, r"validate\(query=\{...\}\): the schema of a part is an object with \"properties\""),
        ({"query": "missing.json"}, r"validate\(query='missing.json'\): .* cannot be read"),
        ({"headers": {"properties": {"a": {"type": "object"}}}}, "is an object, which is read in a query or form"),
        ({"path": {"properties": {"a": {"type": "array", "x-style": "matrix"}}}}, "are not read there"),
        ({"query": {"properties": {"a": {"type": "strin"}}}}, "cannot be used"),
        ({"query": {"properties": {"a": {"pattern": "(?=a)"}}}}, "linear time"),
        ({"query": {"properties": {"a": {"type": "integer", "default": "1"}}}}, 'the default of "a" is not what'),
        ({"query": {"properties": {"a": {"minimum": 1}}}}, "a rule for numbers and no type"),
        ({"query": {"properties": {"a": {"maxItems": 1}}}}, "a rule for lists and no type"),
        ({"query": {"properties": {"a": {"required": ["b"]}}}}, "a rule for objects and no type"),
        ({"query": {"properties": {"a": {"$ref": "#n"}}, "$defs": {"n": {"$anchor": "n"}}}}, "is not followed there"),
        ({"query": {"additionalProperties": {"maximum": 10}}}, "a rule for numbers and no type"),
        ({"query": {"additionalProperties": {"type": "integer"}}}, "stay texts"),
    ],
)
def test_a_schema_that_cannot_be_used_stops_the_start(make_app: Make, given: dict[str, Any], says: str) -> None:
    app = make_app(TESTING=True)
    app.get("/")(validate(**given)(lambda: "ok"))
    with pytest.raises(ConfigError, match=says):
        app.test_client().get("/")


def test_one_part_that_two_declarations_speak_of_stops_the_start(make_app: Make) -> None:
    app = make_app(TESTING=True)
    schema = {"properties": {"a": {}}}
    app.get("/")(validate(query=schema)(validate(query={"properties": {"b": {}}})(lambda: "ok")))
    with pytest.raises(ConfigError, match=r"stands there twice.*allOf"):
        app.test_client().get("/")


def test_declarations_of_different_parts_stand_beside_each_other(make_app: Make) -> None:
    app = make_app()
    of_query = validate(query={"properties": {"a": {"type": "integer"}}})
    of_headers = validate(headers={"properties": {"X-A": {"type": "integer"}}})
    app.get("/")(of_query(of_headers(lambda: jsonify(validated.query, validated.headers))))
    client = app.test_client()
    assert client.get("/?a=1", headers={"X-A": "2"}).json == [{"a": 1}, {"X-A": 2}]
    assert told(client.get("/?a=x", headers={"X-A": "y"})) == [("query", "/a", "type"), ("headers", "/X-A", "type")]


@pytest.mark.parametrize("part", ["query", "path", "headers", "cookies", "form"])
def test_a_part_that_was_not_declared_cannot_be_read(make_app: Make, part: str) -> None:
    app = make_app(TESTING=True)
    app.get("/")(lambda: getattr(validated, part))
    with pytest.raises(RuntimeError, match=rf"does not have @validate\({part}=...\)"):
        app.test_client().get("/")


def test_a_refused_request_leaves_nothing_that_was_checked(make_app: Make) -> None:
    app = make_app()
    seen: list[str] = []

    @app.errorhandler(422)
    def broken(error: Any) -> Any:
        for part in ("query", "body"):
            try:
                getattr(validated, part)
            except RuntimeError:
                seen.append(part)
        return error

    guard = validate(query={"properties": {"a": {"type": "integer"}}}, body={"type": "object"})
    app.post("/")(guard(lambda: "ok"))
    assert app.test_client().post("/?a=x", json={}).status_code == 422
    assert seen == ["query", "body"]


def test_a_default_is_made_anew_for_each_request(make_app: Make) -> None:
    app = make_app()
    schema = {"properties": {"tags": {"type": "array", "default": []}}}

    @app.get("/")
    @validate(query=schema)
    def view() -> Any:
        validated.query["tags"].append("mine")
        return jsonify(validated.query["tags"])

    client = app.test_client()
    assert [client.get("/").json for _ in range(2)] == [["mine"], ["mine"]]


PARTS = Parts(
    '{"properties": {"n": {"type": "number"}, "i": {"type": "integer"}, "b": {"type": "boolean"}, '
    '"l": {"type": "array", "items": {"type": "integer"}}, "o": {"type": "object"}, "s": {"type": "string"}}}',
    JsonBounds(),
    "query",
    "reject",
)


@pytest.mark.parametrize("query", ["s=\u0141", "s=\ud800"])
def test_what_no_server_gives_cannot_be_taken_apart(query: str) -> None:
    # WSGI gives a character for each byte (PEP 3333).
    assert PARTS.query(query) is None


@given(st.text(alphabet="nibloso=&%[]+,.0123456789eE-trufals\x00\xff", max_size=60))
def test_whatever_is_in_a_query_it_is_judged_and_never_an_error(query: str) -> None:
    said = PARTS.query(query)
    if isinstance(said, dict):
        assert all(type(said[name]) in (int, float) for name in ("n",) if name in said)
        assert all(type(said[name]) is int for name in ("i",) if name in said)
        assert all(type(said[name]) is bool for name in ("b",) if name in said)
        assert all(type(one) is int for one in said.get("l", []))


@given(st.lists(st.tuples(st.sampled_from("nibls"), st.text(max_size=8)), max_size=6))
def test_what_a_client_has_written_is_what_a_view_reads(pairs: list[tuple[str, str]]) -> None:
    said = PARTS.query(urlencode(pairs, errors="surrogatepass"))
    if isinstance(said, dict) and "s" in said:
        assert said["s"] == dict(pairs)["s"]
