"""Models: what a peer must not set, at any depth and by any name (mass assignment: OWASP API3:2023, CWE-915)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import InitVar
from decimal import Decimal
from typing import Annotated, Any, Literal

import marshmallow
import msgspec
import pydantic
import pytest
from flask import Flask, jsonify, request
from marshmallow import fields
from typing_extensions import TypedDict

from flask_rampart import validate, validated

Make = Callable[..., Flask]
MODES = ["reject", "ignore", "strip"]


class Inner(pydantic.BaseModel):
    a: int = 0


class Other(pydantic.BaseModel):
    b: int = 0


class Outer(pydantic.BaseModel):
    inner: Inner | Other | None = None
    many: list[Inner] = []
    named: dict[str, Inner] = {}
    again: Outer | None = None


class Small(msgspec.Struct, tag="small", frozen=True):
    a: int = 0


class Large(msgspec.Struct, tag="large"):
    b: int = 0


class Structs(msgspec.Struct):
    inner: Small | Large | None = None
    many: list[Small] = []
    named: dict[str, Large] = {}
    again: Structs | None = None


class Typed(TypedDict, total=False):
    many: list[Small]


class Part(marshmallow.Schema):
    a = fields.Integer()
    is_admin = fields.Boolean(dump_only=True)


class Whole(marshmallow.Schema):
    inner = fields.Nested(Part)
    many = fields.List(fields.Nested(Part))
    named = fields.Dict(keys=fields.String(), values=fields.Nested(Part))


class Renamed(marshmallow.Schema):
    number = fields.Integer(data_key="theNumber", validate=marshmallow.validate.Range(max=9))
    level = fields.Integer(attribute="real.level")
    is_admin = fields.Boolean(dump_only=True)


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: Annotated[str, pydantic.Field(alias="theText", max_length=3)]


@dataclasses.dataclass
class Account:
    name: str
    is_admin: bool = dataclasses.field(default=False, init=False)


@dataclasses.dataclass
class Salted:
    name: str
    salt: InitVar[str] = ""
    tags: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self, salt: str) -> None:
        self.name += salt


def answered(app: Flask, given: Any, body: Any, part: str = "body", **more: Any) -> Any:
    """What becomes of a body: what the view reads, or (pointer, rule) of what is wrong with it."""

    @app.route("/", methods=["GET", "POST"])
    @validate(**{part: given}, **more)
    def view() -> Any:
        return jsonify(repr(getattr(validated, part)))

    client = app.test_client()
    answer: Any = client.post("/", json=body) if part == "body" else client.get("/", query_string=body)
    if answer.status_code == 200:
        return answer.json
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["rule"]) for error in answer.json["errors"]]


@pytest.mark.parametrize(
    ("given", "body", "pointer"),
    [
        (Outer, {"inner": {"a": 1, "is_admin": True}}, "/inner"),
        (Outer, {"many": [{"a": 1}, {"is_admin": True}]}, "/many/1"),
        (Outer, {"named": {"x": {"is_admin": True}}}, "/named"),
        (Outer, {"again": {"again": {"is_admin": True}}}, "/again/again"),
        (pydantic.RootModel[list[Inner]], [{"is_admin": True}], "/0"),
        (Structs, {"inner": {"type": "small", "is_admin": True}}, "/inner"),
        (Structs, {"many": [{"type": "small", "is_admin": True}]}, "/many/0"),
        (Structs, {"named": {"x": {"type": "large", "is_admin": True}}}, "/named"),
        (Structs, {"again": {"is_admin": True}}, "/again"),
        (Typed, {"many": [], "is_admin": True}, ""),
        (Whole, {"inner": {"is_admin": True}}, "/inner"),
        (Whole, {"many": [{"a": 1}, {"is_admin": True}]}, "/many/1"),
        (Whole, {"named": {"x": {"is_admin": True}}}, "/named"),
    ],
    ids=[
        "union",
        "list",
        "dict",
        "recursive",
        "root",
        "tagged",
        "structs",
        "dict-of-structs",
        "recursive-struct",
        "typed-dict",
        "nested-dump-only",
        "list-dump-only",
        "dict-dump-only",
    ],
)
def test_a_name_that_a_model_does_not_know_is_refused_at_every_depth(
    make_app: Make, given: Any, body: Any, pointer: str
) -> None:
    assert answered(make_app(), given, body) == [(pointer, "additionalProperties")]
    assert "is_admin" not in str(answered(make_app(), given, body, unknown="strip"))


@pytest.mark.parametrize("unknown", MODES)
def test_what_a_dataclass_sets_by_itself_no_request_sets(make_app: Make, unknown: Literal["reject"]) -> None:
    # msgspec, which would be first, sets what has init=False.
    body = {"name": "ada", "is_admin": True}
    said = answered(make_app(), Account, body, unknown=unknown)
    assert said == "Account(name='ada', is_admin=False)" or said == [("", "additionalProperties")]
    assert "is_admin=True" not in str(answered(make_app(), list[Account], [body], unknown=unknown))


def test_a_dataclass_with_arguments_that_are_no_fields_is_read(make_app: Make) -> None:
    assert answered(make_app(), Salted, {"name": "a", "salt": "b"}) == "Salted(name='ab', tags=[])"
    assert answered(make_app(), Salted, {"name": "a", "salt": 1}) == [("/salt", "type")]


@pytest.mark.parametrize("unknown", MODES)
def test_an_open_model_takes_no_field_by_its_own_name_beside_its_alias(
    make_app: Make, unknown: Literal["reject"]
) -> None:
    # Both would be in the instance, and model_dump() would give the one that nobody has validated.
    body = {"theText": "ok", "text": "far too long"}
    assert answered(make_app(), Open, body, unknown=unknown) == [("/text", "falseSchema")]
    assert answered(make_app(), list[Open], [body], unknown=unknown) == [("/0/text", "falseSchema")]
    assert answered(make_app(), Open, {"theText": "ok", "more": 1}, unknown=unknown) == "Open(text='ok', more=1)"


def test_what_marshmallow_lets_in_replaces_nothing_that_was_validated(make_app: Make) -> None:
    evil = {"theNumber": 2, "number": 99, "level": 1, "real": {"level": 99}, "is_admin": True, "more": 1}
    kept = {"number": 2, "real": {"level": 1}, "more": 1}
    assert answered(make_app(), Renamed, evil, unknown="ignore") == repr(kept)
    assert answered(make_app(), Renamed(many=True), [evil], unknown="ignore") == repr([kept])
    assert answered(
        make_app(), Renamed, {"theNumber": "2", "number": "99", "is_admin": "1"}, part="query", unknown="ignore"
    ) == repr({"number": 2})
    including = Renamed(unknown=marshmallow.INCLUDE)
    assert answered(make_app(), including, {"theNumber": 2, "number": 99}) == repr({"number": 2})
    assert answered(make_app(), including, {"is_admin": True}) in (repr({}), [("/is_admin", "falseSchema")])


@pytest.mark.parametrize("part", ["body", "query"])
def test_a_marshmallow_error_without_words_is_an_error(make_app: Make, part: str) -> None:
    class Silent(marshmallow.Schema):
        number = fields.Integer()

        @marshmallow.validates("number")
        def _no(self, number: int, **_: Any) -> None:
            raise marshmallow.ValidationError({})

    sent: Any = {"number": 1} if part == "body" else {"number": "1"}
    assert answered(make_app(), Silent, sent, part=part) == [("/number", "model")]


def test_what_apispec_says_in_words_of_its_own_stops_no_start_up(make_app: Make) -> None:
    class Timed(marshmallow.Schema):
        at = fields.DateTime(format="timestamp")
        min = fields.Integer()

    assert "datetime.datetime(1970, 1, 1, 0, 0, 1)" in answered(make_app(), Timed, {"at": 1})
    assert answered(make_app(), Timed, {"at": "1", "min": "1"}) == [("/at", "type"), ("/min", "type")]


def test_a_decimal_of_marshmallow_is_read_from_a_text_and_loses_no_digit(make_app: Make) -> None:
    class Priced(marshmallow.Schema):
        price = fields.Decimal(validate=marshmallow.validate.Range(min=0), allow_none=True)

    exact = "0.12345678901234567890"
    assert answered(make_app(), Priced, {"price": exact}) == repr({"price": Decimal(exact)})
    assert answered(make_app(), Priced, {"price": None}) == repr({"price": None})
    assert answered(make_app(), Priced, {"price": 1}) == repr({"price": Decimal(1)})
    for wrong in ("-1", "NaN", "x"):
        assert answered(make_app(), Priced, {"price": wrong}) == [("/price", "model")]
    assert answered(make_app(), Priced, {"price": True}) == [("/price", "type")]


def test_what_pre_load_changes_changes_nothing_of_the_body_that_was_checked(make_app: Make) -> None:
    class Moving(marshmallow.Schema):
        number = fields.Integer()
        deep = fields.Dict()

        @marshmallow.pre_load
        def _moves(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
            data["number"] = data.pop("number") + 1
            data["deep"]["a"] = 2
            return data

    app = make_app()

    @app.post("/")
    @validate(body=Moving)
    def view() -> Any:
        return jsonify([validated.body, request.get_json()])

    sent = {"number": 1, "deep": {"a": 1}}
    assert app.test_client().post("/", json=sent).json == [{"number": 2, "deep": {"a": 2}}, sent]
