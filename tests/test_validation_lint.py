"""What is told at start-up of schemas: what they would not check, and what they let strangers send without a bound."""

from __future__ import annotations

import dataclasses
import json
import logging
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from flask import Blueprint, Flask
from flask.views import MethodView

from flask_rampart import ConfigError, Rampart, public, require, validate
from flask_rampart._native import JsonBounds, Parts, Schema

Make = Callable[..., Flask]
LOOSE = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
TIGHT = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 9}}, "additionalProperties": False}


def told(app: Flask, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.WARNING):
        app.extensions["rampart"].seal()
    return [record.getMessage() for record in caplog.records if "bounds nothing" in record.getMessage()]


def test_an_open_view_without_bounds_is_told_once_with_the_places(make_app: Make, caplog: Any) -> None:
    app = make_app()
    app.post("/a")(validate(body=LOOSE)(lambda: "ok"))
    app.add_url_rule("/b", "b", public(validate(body=dict(LOOSE))(lambda: "ok")), methods=["POST", "PUT"])
    (message,) = told(app, caplog)
    assert '"/properties/text"' in message and "validate(body=...)" in message and "RAMPART_SCHEMA_LINT" in message


def test_a_view_with_bounds_or_with_require_is_not_told(make_app: Make, caplog: Any) -> None:
    app = make_app()
    app.add_url_rule("/a", "a", validate(body=TIGHT)(lambda: "ok"), methods=["POST"])
    app.add_url_rule("/b", "b", require()(validate(body=LOOSE)(lambda: "ok")), methods=["POST"])
    around = Blueprint("around", __name__)
    around.post("/c")(validate(body=LOOSE)(lambda: "ok"))
    Rampart().protect(around, require())
    app.register_blueprint(around)
    assert told(app, caplog) == []


def test_who_may_come_without_a_credential_is_anybody(make_app: Make, caplog: Any) -> None:
    app = make_app()
    app.add_url_rule("/a", "a", require(optional=True)(validate(body=LOOSE)(lambda: "ok")), methods=["POST"])
    assert len(told(app, caplog)) == 1


def test_of_a_class_each_method_is_asked_about(make_app: Make, caplog: Any) -> None:
    app = make_app()

    @validate(query=LOOSE)
    class Guarded(MethodView):
        @require()
        def get(self) -> str:
            return "ok"

    app.add_url_rule("/a", view_func=Guarded.as_view("a"))
    assert told(app, caplog) == []

    @validate(query=LOOSE)
    class Half(MethodView):
        @require()
        def get(self) -> str:
            return "ok"

        def post(self) -> str:
            return "ok"

    other = make_app()
    other.add_url_rule("/a", view_func=Half.as_view("a"))
    assert len(told(other, caplog)) == 1


def test_what_is_refused_because_it_declares_nothing_is_not_told(make_app: Make, caplog: Any) -> None:
    app = make_app(RAMPART_DEFAULT="deny")
    app.add_url_rule("/a", "a", validate(body=LOOSE)(lambda: "ok"), methods=["POST"])
    assert told(app, caplog) == []
    app = make_app(RAMPART_DEFAULT="deny")
    app.add_url_rule("/a", "a", public(validate(body=LOOSE)(lambda: "ok")), methods=["POST"])
    assert len(told(app, caplog)) == 1


@pytest.mark.parametrize("place", ["query", "headers", "cookies", "form", "path"])
def test_every_part_is_told(make_app: Make, caplog: Any, place: Any) -> None:
    app = make_app()
    app.add_url_rule("/a/<text>", "a", validate(**{place: LOOSE})(lambda text: "ok"), methods=["POST"])
    (message,) = told(app, caplog)
    assert f"validate({place}=...)" in message


def test_names_that_a_part_refuses_are_bounded(make_app: Make, caplog: Any) -> None:
    only_names = {"properties": {"n": {"type": "integer"}}}
    app = make_app()
    app.add_url_rule("/a", "a", validate(query=only_names)(lambda: "ok"))
    app.add_url_rule("/b", "b", validate(query=only_names, unknown="ignore")(lambda: "ok"))
    (message,) = told(app, caplog)
    assert message.startswith("b ")


def test_as_an_error_it_ends_the_start_up(make_app: Make, caplog: Any) -> None:
    app = make_app(RAMPART_SCHEMA_LINT="error")
    app.add_url_rule("/a", "a", validate(body=LOOSE)(lambda: "ok"), methods=["POST"])
    with pytest.raises(ConfigError, match="/properties/text"):
        told(app, caplog)
    # It is remembered as what was wrong, also at the second request.
    with pytest.raises(ConfigError, match="/properties/text"):
        app.extensions["rampart"].seal()


def test_off_it_says_nothing(make_app: Make, caplog: Any) -> None:
    app = make_app(RAMPART_SCHEMA_LINT="off")
    app.add_url_rule("/a", "a", validate(body=LOOSE)(lambda: "ok"), methods=["POST"])
    assert told(app, caplog) == []


@pytest.mark.parametrize("wrong", ["", "warning", True, None])
def test_a_setting_that_is_none_of_these_ends_the_start_up(make_app: Make, wrong: Any) -> None:
    with pytest.raises(ConfigError, match="RAMPART_SCHEMA_LINT"):
        make_app(RAMPART_SCHEMA_LINT=wrong)


def test_the_list_of_places_is_bounded(make_app: Make, caplog: Any) -> None:
    app = make_app()
    many = {"properties": {f"a{at}": {"type": "string"} for at in range(500)}}
    app.add_url_rule("/a", "a", validate(body=many)(lambda: "ok"), methods=["POST"])
    (message,) = told(app, caplog)
    assert len(message) < 1_000 and "and perhaps more" in message


def test_a_misspelt_keyword_ends_the_start_up_whatever_the_setting(make_app: Make) -> None:
    app = make_app(RAMPART_SCHEMA_LINT="off")
    wrong = {"properties": {"text": {"type": "string", "maxLenght": 9}}}
    app.add_url_rule("/a", "a", validate(body=wrong)(lambda: "ok"), methods=["POST"])
    with pytest.raises(ConfigError, match=r'/properties/text has "maxLenght".*did you mean "maxLength"'):
        app.extensions["rampart"].seal()


def test_the_native_lists_are_told_by_place() -> None:
    assert Schema(json.dumps(LOOSE), JsonBounds()).unbounded == ["/properties/text"]
    assert Schema(json.dumps(TIGHT), JsonBounds()).unbounded == []
    assert Parts(json.dumps(LOOSE), JsonBounds(), "query", "reject").unbounded == ["/properties/text"]


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    kind: str = pydantic.Field("a", description="d", examples=["b"], json_schema_extra={"example": "c", "x-order": 1})


class Cat(pydantic.BaseModel):
    kind: Any = pydantic.Field(json_schema_extra={"const": "cat"})


class Model(pydantic.BaseModel):
    inner: list[Inner] = pydantic.Field(max_length=3, deprecated=True)
    number: pydantic.PositiveInt | None = None
    money: Annotated[float, pydantic.Field(multiple_of=0.01, ge=0)] = 0
    pair: tuple[int, str] = (1, "a")
    names: dict[Annotated[str, pydantic.StringConstraints(pattern="^[a-z]{1,9}$")], int] = {}
    unique: set[int] = set()
    identifier: uuid.UUID | None = None
    other: Inner | Cat | None = pydantic.Field(None, title="t")


class Struct(msgspec.Struct, tag="one", forbid_unknown_fields=True):
    """What it is."""

    text: Annotated[str, msgspec.Meta(max_length=3, title="t", examples=["a"], extra_json_schema={"deprecated": True})]
    numbers: Annotated[list[Annotated[int, msgspec.Meta(ge=0, lt=9)]], msgspec.Meta(min_length=1)]
    pair: tuple[int, str] | None = None
    raw: bytes = b""


class Second(msgspec.Struct, tag="two"):
    inner: dict[str, Struct] = {}


@dataclasses.dataclass
class Plain:
    names: list[str]
    inner: Inner | None = None


@pytest.mark.parametrize(
    "schema",
    [
        Model.model_json_schema(),
        Model.model_json_schema(mode="serialization"),
        pydantic.TypeAdapter(Plain).json_schema(),
        pydantic.TypeAdapter(Annotated[Inner | Cat, pydantic.Field(title="t")]).json_schema(),
        msgspec.json.schema(Struct),
        msgspec.json.schema(Struct | Second),
    ],
    ids=["pydantic", "pydantic-out", "dataclass", "union", "msgspec", "msgspec-union"],
)
def test_what_libraries_make_of_models_is_let_through(schema: dict[str, Any]) -> None:
    Schema(json.dumps(schema), JsonBounds())


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07"])
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("duration", "P1D", "a day"),
        ("iri", "https://example.com/ä", "ä b"),
        ("iri-reference", "/ä", "\\ä"),
        ("json-pointer", "/a/b", "a"),
        ("relative-json-pointer", "1/a", "/a"),
        ("uri-reference", "/a?b", "\\a"),
        ("uri-template", "/{a}", "/{a"),
        ("uuid", "2f0f9a5c-8c1e-4d0a-9f7b-0c2f5d1e3a4b", "2f0f9a5c"),
    ],
    ids=lambda value: value if str(value).isascii() else "text",
)
def test_a_format_that_an_old_draft_lacks_is_checked_in_it_as_well(
    draft: str, name: str, right: str, wrong: str
) -> None:
    schema = {
        "$schema": f"http://json-schema.org/{draft}/schema#",
        # The default is judged by itself.
        "properties": {"a": {"type": "string", "format": name, "default": right}},
    }
    compiled = Schema(json.dumps(schema), JsonBounds())
    assert compiled.judge(json.dumps({"a": right}).encode()) == {"a": right}
    assert compiled.judge(json.dumps({"a": wrong}).encode()).errors == [("/a", "format")]
    schema["properties"]["a"]["default"] = wrong  # type: ignore[index]
    with pytest.raises(ValueError, match="default"):
        Schema(json.dumps(schema), JsonBounds())


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("int32", "2147483647"),
        ("int64", "9223372036854775807"),
        ("double", "leave it out"),
        ("binary", "leave it out"),
        ("byte", "pattern"),
        ("url", '"uri"'),
        ("colour", "pattern"),
    ],
)
def test_a_format_that_nobody_checks_is_refused_with_its_cure(name: str, cure: str) -> None:
    # OpenAPI Format Registry.
    with pytest.raises(ValueError, match=f"{name}.*not be checked; .*{cure}"):
        Schema(json.dumps({"format": name}), JsonBounds())


def test_what_changes_nothing_is_no_error() -> None:
    schema = {"type": "string", "nullable": False, "note": "for humans", "item": "a thing", "maxLength": 3}
    assert Schema(json.dumps(schema), JsonBounds()).judge(b'"abc"') == "abc"
    for word, value in {"nullable": True, "item": {}, "maxlength": 3}.items():
        with pytest.raises(ValueError, match=word):
            Schema(json.dumps({"type": "string", word: value}), JsonBounds())
