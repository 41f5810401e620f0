"""Models instead of schemas: what a view may be given as an instance, and what is told of what is none."""

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar
from uuid import UUID

import annotated_types
import marshmallow
import msgspec
import pydantic
import pytest
from flask import Flask, jsonify, request
from marshmallow import fields
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from flask_rampart import ConfigError, validate, validated

Make = Callable[..., Flask]
SECRET = "hunter2"
T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = pydantic.Field(le=9)


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: str


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    id: UUID
    text: str = pydantic.Field(alias="theText", min_length=1)
    due: date
    at: datetime | None = None
    price: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")] | None = None
    tags: set[str] = set()

    @pydantic.field_validator("text")
    @classmethod
    def _no_shouting(cls, text: str) -> str:
        if text.isupper():
            raise ValueError(f"shouts {text}")
        return text


class Point(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    how_far: int
    when: date | None = None

    def __post_init__(self) -> None:
        if self.how_far == 13:
            raise ValueError(f"unlucky {self.how_far} {SECRET}")


class Circle(msgspec.Struct, tag="circle"):
    radius: Annotated[float, msgspec.Meta(gt=0)]


class Square(msgspec.Struct, tag="square"):
    side: float


class Even(marshmallow.Schema):
    number = fields.Integer(required=True, data_key="theNumber")
    due = fields.Date()
    made = fields.DateTime(dump_only=True)

    @marshmallow.validates("number")
    def _is_even(self, number: int, **_: Any) -> None:
        if number % 2:
            raise marshmallow.ValidationError(f"{number} is odd, {SECRET}")


@dataclasses.dataclass
class Page:
    number: int = 1
    size: int | None = None


class Filter(TypedDict, total=False):
    name: str
    since: date


@dataclasses.dataclass
class Bounded:
    age: Annotated[int, annotated_types.Ge(18)]


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    age: Annotated[int, annotated_types.Ge(18)] = 18


ORDER = {"id": "12345678-1234-5678-1234-567812345678", "theText": "hi", "due": "2026-02-28"}


def serve(app: Flask, **parts: Any) -> Flask:
    """One view that tells of what type each part is, and what it holds."""
    names = [name for name in parts if name != "unknown"]

    @app.route("/", methods=["GET", "POST"])
    @validate(**parts)
    def view() -> Any:
        return jsonify([repr(getattr(validated, name)) for name in names])

    return app


def start(app: Flask) -> None:
    """What the first request does before it is looked at."""
    app.extensions["rampart"].seal()


def post(app: Flask, body: Any) -> Any:
    return app.test_client().post("/", json=body)


def told(answer: Any) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422, answer.text
    assert SECRET not in answer.text
    return [(error["in"], error["pointer"], error["rule"]) for error in answer.json["errors"]]


def test_a_body_of_a_pydantic_model_arrives_as_its_instance(make_app: Make) -> None:
    app = make_app()

    @app.post("/")
    @validate(body=Order)
    def view() -> Any:
        order: Order = validated.body
        assert type(order) is Order
        # What was sent stays JSON, also for whoever reads the request itself.
        assert request.get_json()["due"] == "2026-02-28"
        assert isinstance(order.due, date) and isinstance(order.id, UUID)
        assert order.price == Decimal("0.10") and order.colour is Colour.BLUE and order.tags == {"a"}
        assert isinstance(order.pet, Cat) and order.at == datetime(2026, 2, 28, 12)
        return order.text

    body = {
        **ORDER,
        "price": "0.10",
        "colour": "blue",
        "tags": ["a", "a"][:1],
        "pet": {"kind": "cat", "lives": 9},
        # Without an offset, which pydantic takes and RFC 3339 does not.
        "at": "2026-02-28T12:00:00",
    }
    answer = post(app, body)
    assert (answer.status_code, answer.text) == (200, "hi")


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"theText": "SHOUT"}, [("body", "/theText", "value_error")]),
        ({"theText": ""}, [("body", "/theText", "minLength")]),
        ({"theText": ...}, [("body", "/theText", "required")]),
        ({"due": "28.2.2026"}, [("body", "/due", "format")]),
        ({"id": 7, "due": True}, [("body", "/due", "type"), ("body", "/id", "type")]),
        ({SECRET: 1}, [("body", "", "additionalProperties")]),
        ({"price": "much"}, [("body", "/price", "type")]),
        ({"at": "noon"}, [("body", "/at", "format")]),
        ({"pet": {"kind": SECRET}}, [("body", "/pet", "anyOf")]),
        ({"colour": SECRET}, [("body", "/colour", "enum")]),
    ],
    ids=[
        "validator",
        "short",
        "missing",
        "date",
        "several",
        "unknown",
        "decimal",
        "datetime",
        "tag",
        "enum",
    ],
)
def test_what_a_pydantic_model_refuses_is_told_as_a_schema_would(
    make_app: Make, change: dict[str, Any], errors: list[tuple[str, str, str]]
) -> None:
    body = {name: value for name, value in {**ORDER, **change}.items() if value is not ...}
    answer = post(serve(make_app(), body=Order), body)
    assert answer.json["code"] == "body.invalid"
    assert sorted(told(answer)) == sorted(errors)


def test_a_strict_pydantic_model_takes_what_json_can_write(make_app: Make) -> None:
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        due: date
        colour: Colour
        pair: tuple[int, int]
        number: int

    app = serve(make_app(), body=Strict)
    good = {"due": "2026-02-28", "colour": "red", "pair": [1, 2], "number": 1}
    assert post(app, good).status_code == 200
    assert told(post(app, {**good, "number": "1"})) == [("body", "/number", "type")]


def test_a_pydantic_dataclass_and_a_type_adapter_are_models(make_app: Make) -> None:
    @pydantic.dataclasses.dataclass
    class Small:
        number: int = pydantic.Field(lt=10)

    app = serve(make_app(), body=Small)
    assert "Small(number=3)" in post(app, {"number": 3}).text
    assert told(post(app, {"number": 10})) == [("body", "/number", "exclusiveMaximum")]
    for given in (pydantic.TypeAdapter(list[Cat]), list[Cat]):
        app = serve(make_app(), body=given)
        assert "Cat(kind='cat', lives=9)" in post(app, [{"kind": "cat", "lives": 9}]).text
        assert told(post(app, [{"kind": "cat", "lives": 1}, {"kind": "cat", "lives": 10}])) == [
            ("body", "/1/lives", "maximum")
        ]


def test_a_model_with_a_list_as_its_value_is_not_taken_for_errors(make_app: Make) -> None:
    given = pydantic.TypeAdapter(Annotated[Cat, pydantic.AfterValidator(lambda cat: [(cat.kind, "x")])])
    app = serve(make_app(), query=given)
    assert app.test_client().get("/?kind=cat&lives=1").json == ["[('cat', 'x')]"]


def test_a_recursive_pydantic_model_is_read_as_deep_as_json_may_be(make_app: Make) -> None:
    class Tree(pydantic.BaseModel):
        kids: list[Tree] = []

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    app = serve(make_app(), body=Tree)
    assert post(app, {"kids": [{"kids": [{}]}]}).status_code == 200
    assert told(post(app, {"kids": [{"kids": [1]}]})) == [("body", "/kids/0/kids/0", "type")]


def test_names_that_only_the_peer_knows_are_never_told(make_app: Make) -> None:
    class Labels(pydantic.BaseModel):
        labels: dict[str, Annotated[str, pydantic.AfterValidator(lambda text: int(text) and text)]]

    app = serve(make_app(), body=Labels)
    assert told(post(app, {"labels": {SECRET: "x"}})) == [("body", "/labels", "value_error")]

    class Named(pydantic.BaseModel):
        text: str

        @pydantic.field_validator("text")
        @classmethod
        def _tells(cls, text: str) -> str:
            raise PydanticCustomError(f"not {text}", "no")  # type: ignore[misc]

    assert told(post(serve(make_app(), body=Named), {"text": SECRET})) == [("body", "/text", "model")]


def test_a_name_for_a_rule_of_the_apps_own_is_told(make_app: Make) -> None:
    class Named(pydantic.BaseModel):
        text: str

        @pydantic.field_validator("text")
        @classmethod
        def _rhymes(cls, text: str) -> str:
            raise PydanticCustomError("must_rhyme", "it does not")

    assert told(post(serve(make_app(), body=Named), {"text": "x"})) == [("body", "/text", "must_rhyme")]


def test_a_validator_that_fails_refuses_and_tells_nothing(make_app: Make) -> None:
    class Failing(pydantic.BaseModel):
        text: str

        @pydantic.field_validator("text")
        @classmethod
        def _fails(cls, text: str) -> str:
            raise KeyError(text)

    answer = post(serve(make_app(), body=Failing), {"text": SECRET})
    assert (answer.status_code, answer.json["code"]) == (500, "guard.failed")
    assert SECRET not in answer.text


def test_what_pydantic_cannot_say_in_json_schema_it_judges_alone(make_app: Make) -> None:
    class Plain(pydantic.BaseModel):
        odd: Annotated[object, pydantic.PlainValidator(lambda value: _odd(value))]
        # No engine of linear time has look-around, and no schema of ours numbers beyond 64 bits.
        big: int = pydantic.Field(1, lt=2**70)
        when: Annotated[str, pydantic.Field(json_schema_extra={"pattern": "(?=x)", "format": "of-mine"})] = ""

    app = serve(make_app(), body=Plain)
    assert post(app, {"odd": 1, "when": "y"}).status_code == 200
    assert told(post(app, {"odd": 2})) == [("body", "/odd", "value_error")]


def _odd(value: Any) -> int:
    if value % 2 == 0:
        raise ValueError(f"{value} is even")
    return int(value)


def test_what_may_be_null_is_told_by_its_own_rule(make_app: Make) -> None:
    class Maybe(pydantic.BaseModel):
        number: Annotated[int, pydantic.Field(gt=0)] | None = None
        word: Literal["a"] | None = None
        cat: Cat | None = None

    app = serve(make_app(), body=Maybe)
    assert post(app, {"number": None, "word": None, "cat": None}).status_code == 200
    assert told(post(app, {"number": 0})) == [("body", "/number", "exclusiveMinimum")]
    assert told(post(app, {"number": "1"})) == [("body", "/number", "type")]
    assert told(post(app, {"word": "b"})) == [("body", "/word", "anyOf")]


def test_a_field_that_is_called_like_a_keyword_is_a_field(make_app: Make) -> None:
    class Words(pydantic.BaseModel):
        default: int
        format: str
        pattern: int = 1
        title: int = 1

    app = serve(make_app(), body=Words)
    assert post(app, {"default": 1, "format": "x"}).status_code == 200
    assert told(post(app, {"default": "1", "format": "x", "title": "y"})) == [
        ("body", "/default", "type"),
        ("body", "/title", "type"),
    ]


def test_a_body_of_a_struct_arrives_as_its_instance(make_app: Make) -> None:
    app = serve(make_app(), body=Point)
    assert "Point(how_far=3, when=datetime.date(2026, 2, 28))" in post(app, {"howFar": 3, "when": "2026-02-28"}).text
    assert told(post(app, {"how_far": 3})) == [("body", "", "additionalProperties"), ("body", "/howFar", "required")]
    assert told(post(app, {"howFar": "3"})) == [("body", "/howFar", "type")]
    assert told(post(app, {"howFar": 13})) == [("body", "", "model")]
    assert told(post(app, {"howFar": 1, "when": "x"})) == [("body", "/when", "format")]


def test_structs_are_told_apart_by_their_tags(make_app: Make) -> None:
    app = serve(make_app(), body=list[Circle | Square])
    assert "Circle(radius=1.5), Square(side=2.0)" in (
        post(app, [{"type": "circle", "radius": 1.5}, {"type": "square", "side": 2}]).text
    )
    assert told(post(app, [{"type": "circle", "radius": 0}])) == [("body", "/0", "anyOf")]
    assert told(post(app, [{"type": "circle", "radius": 1, "side": 2}])) == [("body", "/0", "additionalProperties")]


def test_a_body_of_a_marshmallow_schema_is_what_it_loads(make_app: Make) -> None:
    for given in (Even, Even()):
        app = serve(make_app(), body=given)
        assert (
            "{'number': 2, 'due': datetime.date(2026, 2, 28)}" in post(app, {"theNumber": 2, "due": "2026-02-28"}).text
        )
        assert told(post(app, {"theNumber": 3})) == [("body", "/theNumber", "model")]
        # marshmallow would take the text for a number.
        assert told(post(app, {"theNumber": "2"})) == [("body", "/theNumber", "type")]
        assert told(post(app, {})) == [("body", "/theNumber", "required")]
        # It is written, never read.
        assert told(post(app, {"theNumber": 2, "made": "2026-02-28T00:00:00Z"})) in (
            [("body", "", "additionalProperties")],
            [("body", "/made", "additionalProperties")],
        )
    app = serve(make_app(), body=Even(many=True))
    assert told(post(app, [{"theNumber": 2}, {"theNumber": 3}])) == [("body", "/1/theNumber", "model")]


def test_marshmallow_is_told_what_becomes_of_unknown_names(make_app: Make) -> None:
    class Lax(marshmallow.Schema):
        class Meta:
            unknown = marshmallow.INCLUDE

        number = fields.Integer()

    app = serve(make_app(), query=Even, unknown="ignore")
    assert "'x': '1'" in app.test_client().get("/?theNumber=2&x=1").text
    app = serve(make_app(), query=Even, unknown="strip")
    assert app.test_client().get("/?theNumber=2&x=1").json == ["{'number': 2}"]
    app = serve(make_app(), query=Even)
    assert told(app.test_client().get("/?theNumber=2&x=1")) == [("query", "", "additionalProperties")]
    assert "'x': 1" in post(serve(make_app(), body=Lax), {"number": 1, "x": 1}).text


@pytest.mark.parametrize("library", ["pydantic", "msgspec"])
def test_a_dataclass_and_a_typed_dict_are_read_by_the_library_that_is_there(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    if library == "pydantic":
        absent(monkeypatch, "msgspec")
    app = serve(make_app(), query=Page, body=Filter)
    answer = app.test_client().post("/?number=2", json={"since": "2026-02-28"})
    assert answer.json == ["Page(number=2, size=None)", "{'since': datetime.date(2026, 2, 28)}"]
    answer = app.test_client().post("/?number=x", json={"name": 1})
    assert told(answer) == [("query", "/number", "type"), ("body", "/name", "type")]


def absent(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    """As where these are not installed."""
    from flask_rampart.validation import models

    find = models.importlib.util.find_spec
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None if name in libraries else find(name))
    shown = {name: module for name, module in sys.modules.items() if name not in libraries}
    monkeypatch.setattr(models, "sys", type("sys", (), {"modules": shown}))


def test_without_a_library_the_start_up_says_what_to_install(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "msgspec", "pydantic", "apispec")
    with pytest.raises(ConfigError, match=r"Page needs msgspec or pydantic: pip install 'flask-rampart\[msgspec\]'"):
        start(serve(make_app(), body=Page))
    with pytest.raises(ConfigError, match=r"Even needs apispec: pip install 'flask-rampart\[marshmallow\]'"):
        start(serve(make_app(), body=Even))


def test_a_constraint_that_a_library_ignores_chooses_another(make_app: Make) -> None:
    # msgspec, which would be first, knows nothing of annotated_types: 17 would pass.
    app = serve(make_app(), body=Bounded)
    assert post(app, {"age": 18}).status_code == 200
    assert told(post(app, {"age": 17})) == [("body", "/age", "minimum")]
    app = serve(make_app(), body=Box[int])
    assert told(post(app, {"item": 1, "age": 17})) == [("body", "/age", "minimum")]

    @dataclasses.dataclass
    class Both:
        age: Annotated[int, annotated_types.Ge(18)]
        point: Point

    Both.__annotations__ = {"age": Annotated[int, annotated_types.Ge(18)], "point": Point}
    with pytest.raises(ConfigError, match="of msgspec and pydantic"):
        start(serve(make_app(), body=Both))


def test_texts_become_what_a_model_names(make_app: Make) -> None:
    class Search(pydantic.BaseModel):
        page: int | None = None
        ids: list[int] = []
        colour: Colour = Colour.RED
        colours: Optional[list[Colour]] = None  # noqa: UP045
        since: date | None = None
        price: Decimal = Decimal(0)
        most: Decimal | None = None
        exact: bool = False
        who: UUID | None = None
        pair: tuple[int, int] = (0, 0)

    app = make_app()

    @app.get("/")
    @validate(query=Search)
    def view() -> Any:
        search: Search = validated.query
        return search.model_dump(mode="json", exclude_unset=True)

    client = app.test_client()
    # A price is never a binary number in between: 0.10 keeps its nought, and no digit is lost.
    query = (
        "page=2&ids=1&ids=2&colour=blue&colours=red&since=2026-02-28&price=0.10&most=0.12345678901234567890123"
        "&exact=true&who=12345678-1234-5678-1234-567812345678&pair=1&pair=2"
    )
    assert client.get(f"/?{query}").json == {
        "page": 2,
        "ids": [1, 2],
        "colour": "blue",
        "colours": ["red"],
        "since": "2026-02-28",
        "price": "0.10",
        "most": "0.12345678901234567890123",
        "exact": True,
        "who": "12345678-1234-5678-1234-567812345678",
        "pair": [1, 2],
    }
    # Nothing is given that was not sent: who is exclude_unset still told apart.
    assert client.get("/").json == {}
    assert client.get("/?page=").json == {"page": None}
    answer = client.get("/?page=x&ids=1&ids=y&colour=green&since=tomorrow&price=z&x=1")
    places = {pointer for _, pointer, _ in told(answer)}
    assert {"", "/page", "/ids/1", "/colour", "/since"} <= places


def test_a_tuple_of_several_types_is_no_part_of_a_query(make_app: Make) -> None:
    class Mixed(pydantic.BaseModel):
        pair: tuple[int, str]

    with pytest.raises(ConfigError, match="tuple of several types"):
        start(serve(make_app(), query=Mixed))
    assert post(serve(make_app(), body=Mixed), {"pair": [1, "a"]}).status_code == 200


def test_every_part_takes_a_model(make_app: Make) -> None:
    class Head(pydantic.BaseModel):
        x_request_id: UUID

    class Jar(msgspec.Struct):
        theme: Literal["dark", "light"] = "dark"

    class Place(pydantic.BaseModel):
        number: int = pydantic.Field(gt=0)

    app = make_app()

    @app.post("/<number>")
    @validate(path=Place, headers=Head, cookies=Jar, form=Page)
    def view(number: str) -> Any:
        return jsonify([repr(part) for part in (validated.path, validated.headers, validated.cookies, validated.form)])

    client = app.test_client()
    client.set_cookie("theme", "light")
    client.set_cookie("other", "1")
    head = {"X-Request-ID": ORDER["id"]}
    assert client.post("/3", headers=head, data={"size": "7"}).json == [
        "Place(number=3)",
        f"Head(x_request_id=UUID('{ORDER['id']}'))",
        "Jar(theme='light')",
        "Page(number=1, size=7)",
    ]
    client.set_cookie("theme", "pink")
    assert told(client.post("/0", headers={"X-Request-ID": "x"}, data={"size": "y", "z": "1"})) == [
        ("path", "/number", "exclusiveMinimum"),
        ("headers", "/x_request_id", "format"),
        ("cookies", "/theme", "enum"),
        ("form", "", "additionalProperties"),
        ("form", "/size", "type"),
    ]


def test_an_open_model_stays_open(make_app: Make) -> None:
    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        page: int = 1

    assert serve(make_app(), query=Open).test_client().get("/?x=1").json == ["Open(page=1, x='1')"]
    assert "x=1" in post(serve(make_app(), body=Open), {"x": 1}).text


def test_two_models_of_one_body_are_refused_at_start_up(make_app: Make) -> None:
    app = make_app()

    @app.post("/")
    @validate(body=Cat)
    @validate(body=Dog)
    def view() -> str:
        return ""

    with pytest.raises(ConfigError, match="two models"):
        start(app)


def test_a_view_that_calls_another_keeps_its_own_instance(make_app: Make) -> None:
    app = make_app()

    @app.get("/other")
    @validate(query={"properties": {"a": {}}})
    def other() -> str:
        return ""

    @app.post("/")
    @validate(body=Cat)
    def view() -> str:
        other()
        return type(validated.body).__name__

    assert post(app, {"kind": "cat", "lives": 1}).text == "Cat"


@pytest.mark.parametrize("given", [Page(), Order, 7, int, []], ids=["instance", "class", "number", "int", "list"])
def test_only_models_and_schemas_are_taken(given: Any) -> None:
    if given is Order:
        assert repr(validate(body=Order)) == "validate(body=Order)"
        return
    with pytest.raises(ConfigError, match=r"validate\(body=\.\.\.\) takes"):
        validate(body=given)


def test_a_model_that_no_schema_can_be_made_of_stops_the_start_up(make_app: Make) -> None:
    class Odd(msgspec.Struct):
        thing: complex

    with pytest.raises(ConfigError, match="Odd"):
        start(serve(make_app(), body=Odd))


def test_no_library_is_imported_for_those_who_use_none() -> None:
    code = (
        "import sys; from flask import Flask; from flask_rampart import Rampart, validate\n"
        "app = Flask('x'); app.config['RAMPART_ACCESS_LOG'] = 'off'; app.config['RAMPART_LIMIT_STORE'] = 'memory://'\n"
        "Rampart(app); app.post('/', endpoint='v')(validate(body={'type': 'object'}, response={'type': 'string'})(lambda: ''))\n"
        "assert app.test_client().post('/', json={}).status_code == 200\n"
        "print([n for n in ('pydantic', 'msgspec', 'marshmallow', 'apispec') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stderr


def test_all_that_is_wrong_is_told_to_the_twentieth(make_app: Make) -> None:
    class Item(pydantic.BaseModel):
        number: Annotated[str, pydantic.AfterValidator(lambda text: int(text))]

    answer = post(serve(make_app(), body=list[Item]), [{"number": "x"}] * 50)
    assert told(answer) == [("body", f"/{at}/number", "value_error") for at in range(20)]
    assert json.loads(answer.text)["code"] == "body.invalid"
