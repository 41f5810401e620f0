"""Models in an OpenAPI document: of four libraries, in all parts and in answers; and what of them is never told."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import marshmallow
import msgspec
import pydantic
import pytest
from flask import Flask

from flask_rampart import Rampart, bounds, describe, validate
from flask_rampart.errors import ConfigError

from .conftest import KEYS
from .documenting import document_of

Document = dict[str, Any]


class Line(pydantic.BaseModel):
    """What is bought."""

    article: Annotated[str, pydantic.Field(min_length=1, description="Its number.")]
    price: Decimal


class Order(pydantic.BaseModel):
    lines: list[Line]
    note: Optional[str] = None  # noqa: UP045 - as it is written for Python 3.9


class StructLine(msgspec.Struct):
    article: Annotated[str, msgspec.Meta(min_length=1)]


class StructOrder(msgspec.Struct):
    lines: list[StructLine]
    note: str | None = None


class SchemaLine(marshmallow.Schema):
    article = marshmallow.fields.String(required=True)
    price = marshmallow.fields.Decimal()


class SchemaOrder(marshmallow.Schema):
    lines = marshmallow.fields.List(marshmallow.fields.Nested(SchemaLine), required=True)
    note = marshmallow.fields.String(allow_none=True)
    id = marshmallow.fields.Integer(dump_only=True)
    pin = marshmallow.fields.String(load_only=True)


@dataclasses.dataclass
class PlainLine:
    article: str


@dataclasses.dataclass
class PlainOrder:
    lines: list[PlainLine]
    note: str = ""


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    owner: Line | None = None


class Pet(pydantic.BaseModel):
    it: Annotated[Union[Cat, Dog], pydantic.Field(discriminator="kind")]  # noqa: UP007


class Page(pydantic.BaseModel):
    n: Annotated[int, pydantic.Field(ge=1, description="From 1.")] = 1
    tag: list[str] = []


class Names(TypedDict):
    n: int


MODELS = {"pydantic": Order, "msgspec": StructOrder, "marshmallow": SchemaOrder, "dataclass": PlainOrder}


def bare(**config: Any) -> tuple[Flask, Rampart]:
    app = Flask("shop")
    app.config.update(
        TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_STORE="memory://", RAMPART_LIMIT_STORE="memory://",
        RAMPART_JWT_KEYS=KEYS, **config,
    )  # fmt: skip
    return app, Rampart(app)


def told(guard: Any, method: str = "post", **config: Any) -> tuple[Document, Document]:
    """The operation of a view with one guard, and the schemas of the document."""
    app, rampart = bare(**config)
    getattr(app, method)("/")(guard(lambda **_: "ok"))
    document = document_of(app, rampart)
    return document["paths"]["/"][method], document.get("components", {}).get("schemas", {})


def followed(schema: Document, schemas: Document) -> Document:
    while set(schema) == {"$ref"}:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_of_a_body_is_a_component_and_so_is_what_is_in_it(model: Any) -> None:
    operation, schemas = told(validate(body=model))
    content = operation["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": f"#/components/schemas/{model.__name__}"}
    assert content["x-rampart-unknown"] == "reject"
    order = followed(content["schema"], schemas)
    line = followed(order["properties"]["lines"]["items"], schemas)
    assert "article" in line["required"]
    assert order["additionalProperties"] is False and line["additionalProperties"] is False
    assert "$defs" not in json.dumps(schemas)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_of_an_answer_is_told_open_and_by_what_is_sent(model: Any) -> None:
    operation, schemas = told(
        validate(response={200: model, 201: list[model] if model is not SchemaOrder else model(many=True)}), "get"
    )
    order = followed(operation["responses"]["200"]["content"]["application/json"]["schema"], schemas)
    several = followed(operation["responses"]["201"]["content"]["application/json"]["schema"], schemas)
    assert order.get("additionalProperties") is not False
    assert several["type"] == "array"
    if model is SchemaOrder:
        assert "id" in order["properties"] and "pin" not in order["properties"]


@pytest.mark.parametrize("part", ["query", "headers", "cookies", "form"])
@pytest.mark.parametrize("model", [Page, Names], ids=["pydantic", "typed dict"])
def test_a_model_of_text_is_told_name_by_name(part: str, model: Any) -> None:
    operation, _ = told(validate(**{part: model}))
    if part == "form":
        assert set(operation["requestBody"]["content"]) == {"application/x-www-form-urlencoded", "multipart/form-data"}
        return
    found = {each["name"]: each for each in operation["parameters"]}
    assert found["n"]["schema"]["type"] == "integer"
    assert found["n"].get("required", False) is (model is Names)
    if model is Page:
        assert found["n"]["description"] == "From 1."


def test_a_model_of_a_path_is_told_beside_its_converter() -> None:
    app, rampart = bare()
    app.get("/<int:n>")(validate(path=Names)(lambda n: "ok"))
    (parameter,) = document_of(app, rampart)["paths"]["/{n}"]["get"]["parameters"]
    assert (parameter["schema"]["type"], parameter["schema"]["minimum"]) == ("integer", 0)


def test_what_the_core_marks_for_itself_is_not_told() -> None:
    operation, schemas = told(validate(body=Order))
    assert "x-rampart-exact" not in json.dumps([operation, schemas])


def test_two_models_of_one_name_are_two_components_and_no_module_is_named() -> None:
    def twin(member: str) -> Any:
        return pydantic.create_model("Twin", **{member: (int, ...)}, __module__=f"secret_place.{member}")

    one, other = twin("a"), twin("b")
    both = pydantic.create_model("Both", one=(one, ...), other=(other, ...))
    app, rampart = bare()
    app.post("/1", endpoint="x")(validate(body=one)(lambda: "ok"))
    app.post("/2", endpoint="y")(validate(body=other)(lambda: "ok"))
    app.post("/3", endpoint="z")(validate(body=both)(lambda: "ok"))
    document = document_of(app, rampart)
    schemas = document["components"]["schemas"]
    bodies = [
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"] for path in ("/1", "/2")
    ]
    assert [sorted(followed(body, schemas)["properties"]) for body in bodies] == [["a"], ["b"]]
    inner = followed({"$ref": "#/components/schemas/Both"}, schemas)["properties"]
    assert [sorted(followed(inner[name], schemas)["properties"]) for name in ("one", "other")] == [["a"], ["b"]]
    assert "secret_place" not in json.dumps(document)


@pytest.mark.parametrize(
    "given", [list[Order], pydantic.TypeAdapter(Order), list[StructOrder]], ids=["list", "adapter", "structs"]
)
def test_a_type_without_a_name_is_called_by_its_operation(given: Any) -> None:
    operation, schemas = told(validate(body=given))
    assert __name__ not in json.dumps([operation, schemas])
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert name.endswith(("_body", "/Order"))


def test_a_discriminator_leads_to_the_components() -> None:
    _, schemas = told(validate(body=Pet))
    it = schemas["Pet"]["properties"]["it"]
    assert it["discriminator"]["mapping"] == {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"}
    # What a cat is called, a dog is not: which names are known depends on which of both it is.
    assert it["unevaluatedProperties"] is False
    assert schemas["Line"]["additionalProperties"] is False


@pytest.mark.parametrize("unknown", ["ignore", "strip"])
def test_a_model_whose_unknown_names_pass_is_told_open(unknown: Any) -> None:
    operation, schemas = told(validate(body=Order, unknown=unknown))
    assert schemas["Order"].get("additionalProperties") is not False
    assert operation["requestBody"]["content"]["application/json"]["x-rampart-unknown"] == unknown


def test_a_model_that_lets_more_be_stays_open() -> None:
    class Free(pydantic.BaseModel, extra="allow"):
        a: int

    _, schemas = told(validate(body=Free))
    assert schemas["Free"]["additionalProperties"] is True


def test_a_model_that_refers_to_itself_ends() -> None:
    _, schemas = told(validate(body=Tree))
    (tree,) = (each for each in schemas.values() if "properties" in each and "of" in each["properties"])
    assert tree["additionalProperties"] is False


class Tree(pydantic.BaseModel):
    of: list[Tree] = []


def test_what_cleans_a_text_and_which_format_it_has_are_told() -> None:
    schema = {
        "properties": {"a": {"type": "string", "x-clean": "text"}, "b": {"type": "string", "format": "safe-filename"}}
    }
    _, schemas = told(validate(body=schema))
    (found,) = (each for name, each in schemas.items() if name.endswith("_body"))
    assert found["properties"] == schema["properties"]


# --- Bounds of a route's own ---


def test_media_types_and_bounds_of_a_route_are_told() -> None:
    operation, _ = told(bounds(content_types=("image/png", "image/*"), max_body=9))
    assert sorted(operation["requestBody"]["content"]) == ["image/*", "image/png"]
    assert operation["x-rampart-bounds"] == {"max_body": 9}
    assert "body.media_type" in operation["x-rampart-codes"]["415"]


def test_of_several_bounds_the_strictest_and_the_types_that_all_take_are_told() -> None:
    app, rampart = bare()
    rampart.protect(app, bounds(content_types=("image/*",), max_body=9, max_query=1))
    app.post("/")(bounds(content_types=("image/png", "text/csv"), max_body=10)(lambda: "ok"))
    operation = document_of(app, rampart)["paths"]["/"]["post"]
    assert list(operation["requestBody"]["content"]) == ["image/png"]
    assert operation["x-rampart-bounds"] == {"max_body": 9, "max_query": 1}


def test_a_body_is_of_the_json_that_a_route_takes() -> None:
    app, rampart = bare()
    view = validate(body=Order)(lambda: "ok")
    app.post("/")(bounds(content_types=("application/merge-patch+json", "text/csv"))(view))
    content = document_of(app, rampart)["paths"]["/"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/merge-patch+json"]


def test_a_form_is_of_the_kinds_that_a_route_takes() -> None:
    app, rampart = bare()
    app.post("/")(bounds(content_types="multipart/form-data")(validate(form=Names)(lambda: "ok")))
    assert list(document_of(app, rampart)["paths"]["/"]["post"]["requestBody"]["content"]) == ["multipart/form-data"]


# --- Codes ---


@pytest.mark.parametrize(
    ("mode", "setting", "expected"),
    [("enforce", None, True), (None, "enforce", True), ("log", "enforce", False), (None, None, False)],
    ids=["said", "set", "said otherwise", "of testing alone"],
)
def test_an_answer_that_is_held_back_is_told_where_that_is_said(mode: Any, setting: Any, expected: bool) -> None:
    config = {} if setting is None else {"RAMPART_RESPONSE_MODE": setting}
    operation, _ = told(validate(response=Order, response_mode=mode), "get", **config)
    assert ("response.invalid" in operation["x-rampart-codes"].get("500", [])) is expected


def test_a_view_says_that_it_refuses_a_url_of_the_peers() -> None:
    operation, _ = told(describe(problems="url.refused"))
    assert operation["x-rampart-codes"]["422"] == ["url.refused"]


def test_bodies_that_are_left_as_they_came_have_no_coding_that_is_refused() -> None:
    operation, _ = told(validate(body=Order), RAMPART_REQUEST_CODINGS=["as-is"])
    assert "body.coding" not in json.dumps(operation)
    operation, _ = told(validate(body=Order))
    assert "body.coding" in operation["x-rampart-codes"]["415"]


def test_a_model_that_cannot_be_told_stops_with_the_reason() -> None:
    class Odd(pydantic.BaseModel):
        call: Any = pydantic.Field(json_schema_extra=lambda schema: 1 / 0)

    with pytest.raises(ConfigError, match="Odd"):
        told(validate(body=Odd))


class Measure(pydantic.BaseModel):
    most: float = float("inf")
    least: Annotated[float, pydantic.Field(gt=float("-inf"))] = 0
    tags: set[str] = {"b", "a", "c", "d"}


def test_a_default_that_json_does_not_have_is_not_told_and_does_not_break_the_document() -> None:
    _, schemas = told(validate(body=Measure))
    members = schemas["Measure"]["properties"]
    assert "default" not in members["most"] and "exclusiveMinimum" not in members["least"]
