"""Answers: what a view promised is what leaves, and what a model made is written by its library."""

from __future__ import annotations

import dataclasses
import gzip
import logging
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Annotated, Any

import marshmallow
import msgspec
import pydantic
import pytest
from flask import Flask, Response, abort, jsonify, make_response, send_file, stream_with_context
from flask.views import MethodView
from marshmallow import fields

from flask_rampart import Clock, ConfigError, Denied, Rampart, signals, validate, validated
from flask_rampart.refusals import Refusal

Make = Callable[..., Flask]
SECRET = "hunter2"
ITEM = {
    "type": "object",
    "properties": {"id": {"type": "integer"}},
    "required": ["id"],
    "additionalProperties": False,
}


class User(pydantic.BaseModel):
    name: str = pydantic.Field(serialization_alias="theName")
    born: date | None = None
    balance: Decimal = Decimal("0.10")


class Stored(User):
    password: str = SECRET


class Point(msgspec.Struct, rename="camel"):
    how_far: int


class Secret(Point):
    password: str = SECRET


@dataclasses.dataclass
class Size:
    width: int


class Row:
    """What an object-relational mapper gives."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.password = SECRET


class Out(marshmallow.Schema):
    number = fields.Integer(data_key="theNumber")
    password = fields.String(load_only=True)


@pytest.fixture(name="enforcing")
def an_enforcing_app(make_app: Make) -> Flask:
    return make_app(RAMPART_RESPONSE_MODE="enforce")


def serve(app: Flask, view: Callable[[], Any], response: Any = ITEM, path: str = "/", **more: Any) -> Any:
    app.add_url_rule(
        path, f"view-{len(app.view_functions)}", validate(response=response, **more)(view), methods=["GET", "POST"]
    )
    return app.test_client()


def is_held_back(answer: Any) -> bool:
    if answer.status_code != 500:
        return False
    assert SECRET not in answer.text and SECRET not in str(answer.headers)
    assert answer.json["code"] == "response.invalid" and "errors" not in answer.json
    return True


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"id": 1},
        lambda: ({"id": 1}, 201),
        lambda: ({"id": 1}, "202 ACCEPTED", {"X-More": "1"}),
        lambda: jsonify(id=1),
        lambda: make_response({"id": 1}, 203),
        lambda: Response(b'{"id":1}', content_type="application/vnd.api+json; charset=utf-8"),
        lambda: Response([b'{"id"', b":1}"], mimetype="application/json"),
        lambda: Response('{"id":"x"}', 418, mimetype="application/json"),
        lambda: ("gone", 404),
        lambda: ("", 204),
        lambda: Response(status=304),
        lambda: abort(409),
        lambda: send_file(BytesIO(b'{"id":1}'), mimetype="application/json"),
    ],
    ids=[
        "dict",
        "tuple",
        "words",
        "jsonify",
        "make_response",
        "vnd",
        "chunks",
        "418",
        "404",
        "204",
        "304",
        "abort",
        "file",
    ],
)
def test_an_answer_that_keeps_its_promise_leaves_as_it_is(enforcing: Flask, make: Callable[[], Any]) -> None:
    answer = serve(enforcing, make).get("/")
    assert not is_held_back(answer)
    if answer.status_code < 204:
        assert answer.json == {"id": 1}


def streamed() -> Iterator[bytes]:
    yield SECRET.encode()


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: {"id": SECRET}, "type at '/id'"),
        (lambda: {"id": 1, SECRET: 1}, "additionalProperties at ''"),
        (lambda: ({"id": 1}, 299, {"X-Leak": SECRET}), None),
        (lambda: SECRET, "media_type at ''"),
        (lambda: Response("", mimetype="application/json"), "json.malformed at ''"),
        (lambda: Response('{"id":NaN}', mimetype="application/json"), "json.non_finite at ''"),
        (lambda: Response('{"id":1,"id":2}', mimetype="application/json"), "json.duplicate_key at ''"),
        (lambda: Response(streamed(), mimetype="application/json"), "stream at ''"),
        (lambda: Response(stream_with_context(streamed()), mimetype="application/json"), "stream at ''"),
        (lambda: send_file(BytesIO(SECRET.encode()), mimetype="application/json"), "json.malformed at ''"),
        (
            lambda: Response(
                gzip.compress(b'{"id":"hunter2"}'), headers={"Content-Encoding": "gzip"}, mimetype="application/json"
            ),
            "type at '/id'",
        ),
        (
            lambda: Response(b"\xff\x02\x80", headers={"Content-Encoding": "br"}, mimetype="application/json"),
            "encoding at ''",
        ),
        (
            lambda: Response(b"\x28\xb5\x2f\xfd", headers={"Content-Encoding": "zstd"}, mimetype="application/json"),
            "encoding at ''",
        ),
        (
            lambda: Response(
                gzip.compress(b'{"id":1}') + b"x", headers={"Content-Encoding": "gzip"}, mimetype="application/json"
            ),
            "encoding at ''",
        ),
    ],
    ids=[
        "type",
        "more",
        "status",
        "text",
        "empty",
        "nan",
        "twice",
        "stream",
        "context",
        "file",
        "gzip",
        "brotli",
        "zstd",
        "trailing",
    ],
)
def test_an_answer_that_breaks_its_promise_never_leaves(
    enforcing: Flask, make: Callable[[], Any], rule: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    given: Any = {200: ITEM} if rule is None else ITEM
    answer = serve(enforcing, make, given).get("/")
    assert is_held_back(answer)
    assert SECRET not in caplog.text
    assert (rule or "status at ''") in caplog.text
    assert "The answer of view-" in caplog.text


def test_a_compressed_answer_is_read(enforcing: Flask) -> None:
    packed = gzip.compress(b'{"id":1}')
    answer = serve(
        enforcing, lambda: Response(packed, headers={"Content-Encoding": "gzip"}, mimetype="application/json")
    ).get("/")
    assert (answer.status_code, answer.data) == (200, packed)


def test_what_was_held_back_is_closed(enforcing: Flask) -> None:
    closed: list[str] = []

    def stream() -> Iterator[bytes]:
        try:
            yield b"x"
        finally:
            closed.append("generator")

    def view() -> Response:
        source = stream()
        next(source)
        response = Response(source, mimetype="application/json")
        response.call_on_close(lambda: closed.append("response"))
        return response

    assert is_held_back(serve(enforcing, view).get("/"))
    assert closed == ["generator", "response"]


def test_head_is_judged_as_get_is(enforcing: Flask) -> None:
    serve(enforcing, lambda: {"id": 1})
    client = serve(enforcing, lambda: {"id": SECRET}, path="/bad")

    class Both(MethodView):
        @validate(response=ITEM)
        def get(self) -> Any:
            return {"id": 1}

        @validate(response=ITEM)
        def head(self) -> Any:
            return Response(mimetype="application/json")

    enforcing.add_url_rule("/both", view_func=Both.as_view("both"))
    assert client.head("/both").status_code == 200
    answer = client.head("/")
    assert (answer.status_code, answer.data) == (200, b"")
    answer = client.head("/bad")
    assert (answer.status_code, answer.data) == (500, b"")


def test_shapes_are_found_by_status(enforcing: Flask) -> None:
    given = {201: ITEM, "2XX": None, 202: {}, "404": {"type": "string"}, "default": {"type": "array"}}
    answers = iter(
        [
            ({"id": 1}, 201),
            ({"id": "x"}, 201),
            ("anything", 200),
            ("anything", 202),
            (Response('"gone"', mimetype="application/json"), 404),
            (Response("1", mimetype="application/json"), 404),
            ([1], 409),
            ({}, 409),
        ]
    )
    client = serve(enforcing, lambda: next(answers), given)
    found = [client.get("/").status_code for _ in range(8)]
    assert found == [201, 500, 200, 202, 404, 500, 409, 500]


def test_the_methods_of_a_class_have_promises_of_their_own(enforcing: Flask) -> None:
    class Items(MethodView):
        @validate(response=ITEM)
        def get(self) -> Any:
            return {"id": 1}

        @validate(response={201: {"type": "string"}})
        def post(self) -> Any:
            return jsonify("made"), 201

        def delete(self) -> Any:
            return "free"

    enforcing.add_url_rule("/", view_func=Items.as_view("items"))
    client = enforcing.test_client()
    assert (client.get("/").status_code, client.post("/").status_code, client.delete("/").status_code) == (
        200,
        201,
        200,
    )
    assert client.options("/").status_code == 200
    assert client.put("/").status_code == 405


def test_it_is_judged_after_the_apps_own_functions(enforcing: Flask) -> None:
    client = serve(enforcing, lambda: {"id": 1})

    @enforcing.after_request
    def envelope(response: Response) -> Response:
        response.set_data(b'{"data":' + response.get_data() + b"}")
        return response

    assert is_held_back(client.get("/"))


def test_refusals_before_the_view_are_not_judged(enforcing: Flask) -> None:
    client = serve(enforcing, lambda: {"id": 1}, {"default": ITEM}, body={"type": "object"})
    assert client.post("/", json=[]).status_code == 422
    assert client.post("/", data="x").status_code == 415
    assert client.post("/", json={}).status_code == 200


def test_a_refusal_in_the_view_is_judged_where_it_is_declared(enforcing: Flask) -> None:
    def refuse() -> Any:
        raise Denied.of("auth.policy")

    problem = {"type": "object", "required": ["code"]}
    serve(enforcing, refuse, {200: ITEM, 403: problem})
    serve(enforcing, refuse, {200: ITEM}, path="/b")
    client = serve(enforcing, refuse, {200: ITEM, 403: ITEM}, path="/c")
    assert client.get("/").json["code"] == "auth.policy"
    assert client.get("/b").status_code == 403
    assert is_held_back(client.get("/c"))


def test_an_error_in_the_view_stays_what_it_is(enforcing: Flask) -> None:
    def fail() -> Any:
        raise KeyError(SECRET)

    answer = serve(enforcing, fail).get("/")
    assert answer.status_code == 500 and "response.invalid" not in answer.text


def test_a_view_that_another_one_calls_answers_nobody(enforcing: Flask) -> None:
    @enforcing.get("/inner")
    @validate(response=ITEM)
    def inner() -> Any:
        return {"id": SECRET}

    @enforcing.get("/outer")
    def outer() -> Any:
        return {"inner": inner()["id"]}

    client = enforcing.test_client()
    assert client.get("/outer").status_code == 200
    assert is_held_back(client.get("/inner"))


def test_a_guard_above_the_route_judges_as_well(enforcing: Flask) -> None:
    @validate(response=ITEM)
    @enforcing.get("/")
    def view() -> Any:
        return {"id": SECRET}

    assert is_held_back(enforcing.test_client().get("/"))


def test_log_says_so_once_a_minute_and_lets_pass(
    make_app: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(RAMPART_RESPONSE_MODE="log")
    answers = iter([({"id": SECRET}, 200)] * 3 + [({"id": SECRET}, 201), ({"id": SECRET}, 200)])
    client = serve(app, lambda: next(answers))
    with caplog.at_level(logging.WARNING):
        assert client.get("/").json == {"id": SECRET}
        client.get("/")
        clock.advance(59)
        client.get("/")
        client.get("/")
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
        clock.advance(1)
        client.get("/")
    assert len(caplog.records) == 3
    assert "with status 200 is not what its contract says: type at '/id'" in caplog.text
    assert SECRET not in caplog.text


def test_both_modes_tell_those_who_listen(make_app: Make) -> None:
    heard: list[Any] = []

    def hear(app: Flask, **facts: Any) -> None:
        heard.append((facts["status"], facts["errors"], facts["enforced"]))

    def refusal(app: Flask, **facts: Any) -> None:
        heard.append((facts["code"], facts["reason"]))

    with signals.response_invalid.connected_to(hear), signals.request_refused.connected_to(refusal):
        for mode in ("log", "enforce"):
            serve(make_app(RAMPART_RESPONSE_MODE=mode), lambda: {"id": SECRET}).get("/")
    assert heard == [
        (200, [("/id", "type")], False),
        (200, [("/id", "type")], True),
        ("response.invalid", "type at '/id'"),
    ]


def test_the_apps_own_words_for_the_refusal_are_used(enforcing: Flask) -> None:
    @enforcing.errorhandler(500)
    def words(error: Any) -> Any:
        return {"oops": error.problem.code}, 500

    answer = serve(enforcing, lambda: {"id": SECRET}).get("/")
    assert (answer.status_code, answer.json) == (500, {"oops": "response.invalid"})


def test_words_that_fail_let_nothing_leave(enforcing: Flask) -> None:
    @enforcing.errorhandler(500)
    def words(error: Any) -> Any:
        raise KeyError("oops")

    assert is_held_back(serve(enforcing, lambda: {"id": SECRET}).get("/"))


@pytest.mark.parametrize(
    ("config", "chosen", "status"),
    [
        ({}, None, 200),
        ({"TESTING": True}, None, 500),
        ({"DEBUG": True}, None, 200),
        ({"TESTING": True, "RAMPART_RESPONSE_MODE": "off"}, None, 200),
        ({"TESTING": True}, "log", 200),
        ({"RAMPART_RESPONSE_MODE": "off"}, "enforce", 500),
    ],
    ids=["production", "testing", "debug", "set", "view", "view-over-setting"],
)
def test_a_break_is_shown_where_nobody_else_waits(
    make_app: Make, config: dict[str, Any], chosen: Any, status: int
) -> None:
    client = serve(make_app(**config), lambda: {"id": SECRET}, response_mode=chosen)
    assert client.get("/").status_code == status


def test_apps_that_judge_nothing_keep_the_short_way(make_app: Make) -> None:
    for more in ({}, {"response": ITEM}):
        app = make_app()

        @app.post("/")
        @validate(body={"type": "object"}, **more)
        def view() -> Any:
            return {"id": 1}

        seen: list[type] = []
        inner = app.process_response
        app.process_response = lambda response, inner=inner, seen=seen: (seen.append(type(response)), inner(response))[
            1
        ]  # type: ignore[method-assign]
        assert app.test_client().post("/", json=[]).status_code == 422
        assert seen == [Refusal]
        assert not any(app.after_request_funcs.values())
        assert "make_response" not in vars(app)


@pytest.mark.parametrize("mode", ["off", "enforce"])
@pytest.mark.parametrize(
    ("response", "returned", "sent"),
    [
        (
            User,
            lambda: User(name="ada", born=date(1815, 12, 10)),
            {"theName": "ada", "born": "1815-12-10", "balance": "0.10"},
        ),
        (User, lambda: Stored(name="ada"), {"theName": "ada", "born": None, "balance": "0.10"}),
        (list[User], lambda: [Stored(name="ada")], [{"theName": "ada", "born": None, "balance": "0.10"}]),
        ({201: Point, "default": User}, lambda: (Point(1), 201, {"X-A": "b"}), {"howFar": 1}),
        (Point, lambda: Secret(1), {"howFar": 1}),
        (list[Point], lambda: [Secret(1)], [{"howFar": 1}]),
        (Size, lambda: Size(3), {"width": 3}),
        (Out, lambda: Row(3), {"theNumber": 3}),
        (Out(many=True), lambda: [Row(3), Row(4)], [{"theNumber": 3}, {"theNumber": 4}]),
        (Out, lambda: {"theNumber": 3}, {"theNumber": 3}),
        ({200: User, 404: Point}, lambda: (Point(1), 404), {"howFar": 1}),
        (pydantic.RootModel[list[int]], lambda: pydantic.RootModel[list[int]]([1]), [1]),
        (dict[str, Point], lambda: {"a": Point(1)}, {"a": {"howFar": 1}}),
        (User, lambda: make_response(User(name="ada")), {"theName": "ada", "born": None, "balance": "0.10"}),
    ],
    ids=[
        "pydantic",
        "pydantic-subclass",
        "pydantic-list",
        "msgspec-tuple",
        "msgspec-subclass",
        "msgspec-list",
        "dataclass",
        "marshmallow",
        "marshmallow-many",
        "marshmallow-dict",
        "another-status",
        "root",
        "dict-of",
        "make_response",
    ],
)
def test_a_view_may_return_what_it_declares(
    make_app: Make, mode: str, response: Any, returned: Callable[[], Any], sent: Any
) -> None:
    client = serve(make_app(RAMPART_RESPONSE_MODE=mode), returned, response)
    answer = client.get("/")
    assert answer.status_code in (200, 201, 404), answer.text
    assert answer.json == sent
    assert SECRET not in answer.text
    if answer.status_code == 201:
        assert answer.headers["X-A"] == "b"


def test_what_is_written_is_cut_at_any_depth_or_not_at_all(make_app: Make) -> None:
    class Way(msgspec.Struct):
        stops: list[Point]

    broken = Secret(1)
    broken.how_far = "x"  # type: ignore[assignment]
    app = make_app(RAMPART_RESPONSE_MODE="off")
    serve(app, lambda: Way([Secret(1)]), Way)
    client = serve(app, lambda: broken, Point, path="/broken")
    assert client.get("/").json == {"stops": [{"howFar": 1}]}
    answer = client.get("/broken")
    assert answer.status_code == 500 and SECRET not in answer.text


def test_instances_inside_a_dict_are_dumped_too(make_app: Make) -> None:
    app = make_app(RAMPART_RESPONSE_MODE="off")
    client = serve(app, lambda: {"items": [User(name="a"), Point(1)], "next": {"size": Size(1)}}, {200: User})
    assert client.get("/").json == {
        "items": [{"theName": "a", "born": None, "balance": "0.10"}, {"howFar": 1}],
        "next": {"size": {"width": 1}},
    }


def test_a_dict_that_holds_itself_is_flasks_to_refuse(make_app: Make) -> None:
    ring: dict[str, Any] = {}
    ring["ring"] = [ring, ring]
    assert serve(make_app(), lambda: ring, {200: User}).get("/").status_code == 500


def test_an_async_view_may_return_a_model(enforcing: Flask) -> None:
    @enforcing.get("/")
    @validate(response=User)
    async def view() -> Any:
        return User(name="ada")

    assert enforcing.test_client().get("/").json["theName"] == "ada"


def test_members_that_a_model_does_not_have_never_leave(enforcing: Flask) -> None:
    # OWASP API3:2023: what is in the record and not in the contract.
    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        name: str

    serve(enforcing, lambda: {"name": "ada", "more": 1}, Open, path="/open")
    client = serve(enforcing, lambda: {"theName": "ada", "balance": "1", "password": SECRET}, User)
    assert client.get("/open").json == {"name": "ada", "more": 1}
    assert is_held_back(client.get("/"))


def test_a_computed_field_is_part_of_the_answer(enforcing: Flask) -> None:
    class Area(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid")
        side: int

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def area(self) -> int:
            return self.side**2

    assert serve(enforcing, lambda: Area(side=3), Area).get("/").json == {"side": 3, "area": 9}


def test_what_was_validated_can_be_answered(enforcing: Flask) -> None:
    @enforcing.post("/")
    @validate(body=Point, response=Point)
    def view() -> Any:
        point: Point = validated.body
        return point

    assert enforcing.test_client().post("/", json={"howFar": 3}).json == {"howFar": 3}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({200: ITEM, "type": "object"}, "'type' is no status"),
        ({200: 7}, "not int"),
        ({200: ITEM, "200": ITEM}, "names a status twice"),
        (7, "not int"),
    ],
    ids=["mixed", "number", "twice", "int"],
)
def test_a_promise_that_cannot_be_meant_is_refused_where_it_stands(given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        validate(response=given)


def test_a_mode_needs_an_answer_and_two_promises_are_none(make_app: Make) -> None:
    with pytest.raises(ConfigError, match="response_mode"):
        validate(body=ITEM, response_mode="log")
    with pytest.raises(ConfigError, match="'off', 'log', 'enforce'"):
        validate(response=ITEM, response_mode="on")  # type: ignore[arg-type]
    app = make_app()
    app.get("/")(validate(response=ITEM)(validate(response=ITEM)(lambda: "")))
    with pytest.raises(ConfigError, match="stands there twice"):
        app.extensions["rampart"].seal()


def test_a_schema_that_cannot_be_used_stops_the_start_up_also_when_off(make_app: Make) -> None:
    app = make_app(RAMPART_RESPONSE_MODE="off")
    app.get("/")(validate(response={"pattern": "(?=x)"})(lambda: ""))
    with pytest.raises(ConfigError, match="linear time"):
        app.extensions["rampart"].seal()


def test_an_answer_may_be_longer_than_a_body_may(make_app: Make) -> None:
    app = make_app(RAMPART_RESPONSE_MODE="enforce", RAMPART_MAX_BODY=100)
    assert serve(app, lambda: ["x" * 1000], {"type": "array"}).get("/").status_code == 200


def test_two_apps_hold_their_own_promises(make_app: Make) -> None:
    first, second = make_app(RAMPART_RESPONSE_MODE="enforce"), make_app(RAMPART_RESPONSE_MODE="off")

    @validate(response=ITEM)
    def view() -> Any:
        return {"id": SECRET}

    for app in (first, second):
        app.add_url_rule("/", "view", view)
    assert is_held_back(first.test_client().get("/"))
    assert second.test_client().get("/").status_code == 200
    assert isinstance(Rampart(), Rampart)


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    number: int


class Twin(pydantic.BaseModel):
    """Of no common class with ``User``, and with more."""

    name: str
    password: str = SECRET


@dataclasses.dataclass
class Record:
    width: int
    password: str = SECRET


@pytest.mark.parametrize("mode", ["off", "log", "enforce"])
@pytest.mark.parametrize(
    ("response", "returned"),
    [
        (User, lambda: Twin(name="ada")),
        (User, lambda: (Twin(name="ada"), 201)),
        (Annotated[User, "said"] | Open, lambda: Twin(name="ada")),
        (User | None, lambda: Record(1)),
        (Point, lambda: Record(1)),
        (Size, lambda: Record(1)),
        (User, lambda: make_response(Twin(name="ada"))),
        (User, lambda: [Stored(name="ada")]),
        (pydantic.RootModel[list[User]], lambda: [Stored(name="ada")]),
        (Out, lambda: [Record(1)]),
    ],
    ids=[
        "pydantic",
        "tuple",
        "union",
        "optional",
        "msgspec",
        "dataclass",
        "make_response",
        "list",
        "root",
        "marshmallow-list",
    ],
)
def test_an_instance_of_another_class_is_not_written(
    make_app: Make, mode: str, response: Any, returned: Callable[[], Any]
) -> None:
    # OWASP API3:2023: the row where the contract was meant. Nothing says which of its members are meant for others.
    answer = serve(make_app(), returned, response, response_mode=mode).get("/")
    assert answer.status_code == 500 and SECRET not in answer.text


def test_of_a_union_the_members_are_written(make_app: Make) -> None:
    app = make_app()
    serve(app, lambda: Stored(name="ada"), User | Open)
    client = serve(app, lambda: Open(number=1), User | Open, path="/open")
    assert client.get("/").json == {"theName": "ada", "born": None, "balance": "0.10"}
    assert client.get("/open").json == {"number": 1}


def test_a_dict_of_instances_is_written_by_the_marshmallow_schema(make_app: Make) -> None:
    class Nest(marshmallow.Schema):
        size = fields.Nested(marshmallow.Schema.from_dict({"width": fields.Integer()}))

    app = make_app(RAMPART_RESPONSE_MODE="off")
    serve(app, lambda: {"size": Record(1)}, Nest)
    client = serve(app, lambda: [{"size": Record(1)}], Nest(many=True), path="/many")
    assert client.get("/").json == {"size": {"width": 1}}
    assert client.get("/many").json == [{"size": {"width": 1}}]


def test_a_decimal_of_marshmallow_keeps_its_promise(enforcing: Flask) -> None:
    class Priced(marshmallow.Schema):
        price = fields.Decimal()

    row = Row(1)
    row.price = Decimal("0.10")  # type: ignore[attr-defined]
    # Flask writes a decimal as a text.
    assert serve(enforcing, lambda: row, Priced).get("/").json == {"price": "0.10"}


def cut(said: str) -> Response:
    """A stream that fails half way."""

    def chunks() -> Iterator[bytes]:
        yield b'{"id"'
        raise RuntimeError("cut")

    return Response(chunks(), mimetype="application/json", headers={"Content-Length": said})


def test_to_log_changes_no_stream_that_fails_or_is_longer_than_it_says(make_app: Make, enforcing: Flask) -> None:
    read: list[int] = []
    closed: list[int] = []

    class Long:
        def __iter__(self) -> Iterator[bytes]:
            for at in range(1000):
                read.append(at)
                yield b"x" * 10

        def close(self) -> None:
            closed.append(1)

    def view() -> Response:
        return Response(Long(), mimetype="application/json", headers={"Content-Length": "15"})

    app = make_app(RAMPART_RESPONSE_MODE="log")
    serve(app, view)
    client = serve(app, lambda: cut("9"), path="/cut")
    answer = client.get("/")
    assert answer.data == b"x" * 10_000 and closed == []
    answer.close()
    assert closed == [1]
    # As without a promise: it fails where it is sent, after what it has given.
    with pytest.raises(RuntimeError, match="cut"):
        client.get("/cut").get_data()
    read.clear()
    serve(enforcing, view)
    client = serve(enforcing, lambda: cut("9"), path="/cut")
    assert is_held_back(client.get("/"))
    assert read == [0, 1] and closed == [1, 1]
    assert is_held_back(client.get("/cut"))


def test_what_a_compressed_answer_becomes_is_bounded(enforcing: Flask) -> None:
    # CWE-409; of an answer that is passed on from elsewhere, say.
    bomb = gzip.compress(b"[" + b" " * (65 << 20) + b"]")
    client = serve(
        enforcing,
        lambda: Response(bomb, mimetype="application/json", headers={"Content-Encoding": "gzip"}),
        {"items": {}},
    )
    assert is_held_back(client.get("/"))


def test_a_function_without_a_route_does_not_undo_the_promise_of_the_view_that_calls_it(enforcing: Flask) -> None:
    @validate(response={"type": "object"}, response_mode="off")
    def loose() -> dict[str, Any]:
        return {"id": "x"}

    @validate(response={"type": "object"}, response_mode="log")
    def lax() -> dict[str, Any]:
        return {"id": "x"}

    assert is_held_back(serve(enforcing, lambda: lax() and loose()).get("/"))
