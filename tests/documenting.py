"""Apps whose OpenAPI document tests look at: one that uses everything, and what all documents have to be."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, ClassVar

from flask import Blueprint, Flask, jsonify
from flask.views import MethodView
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_rampart import Identity, Rampart, describe, limit, public, require, validate
from flask_rampart._native import JsonBounds, Schema

from .living import pem

ISSUER = {"issuer": "https://id.example/tenant", "audience": "https://api.example"}
HIDDEN = {"issuer": "https://id.inside.example", "audience": "a", "allow_private": True}


def document_of(app: Flask, rampart: Rampart, **told: Any) -> dict[str, Any]:
    """The document of an app, held to OpenAPI by two validators."""
    with app.app_context():
        document = rampart.openapi(**told)
    assert is_openapi(document)
    return document


def is_openapi(document: dict[str, Any]) -> bool:
    """Whether the official validator, and the official schema under our own ``Schema``, let a document through."""
    OpenAPIV31SpecValidator(document).validate()
    place = resources.files("openapi_spec_validator") / "resources" / "schemas" / "v3.1" / "schema.json"
    bounds = JsonBounds(max_bytes=8 << 20, max_depth=128, max_keys=100_000, max_digits=300)
    # A format that nobody checks, ours included, which says so instead of passing over it.
    text = place.read_text(encoding="utf-8").replace('"format": "media-range"', '"minLength": 1')
    Schema(text, bounds).check(json.dumps(document).encode())
    return True


def everything(app: Flask, rampart: Rampart) -> None:
    """Routes that declare all that can be declared."""

    @rampart.scheme("signature", header="X-Signature")
    def signed(value: str) -> Identity | None:
        return Identity("partner") if value == "s3cret" else None

    @rampart.scheme("basic", challenge="Basic", header="Authorization")
    def named(value: str) -> Identity | None:
        return None

    @rampart.scheme("mesh")
    def known() -> Identity | None:
        return None

    @rampart.policy("order.read")
    def may_read(principal: Any, **path: Any) -> bool:
        return True

    shop = Blueprint("shop", __name__, url_prefix="/shop")
    rampart.protect(shop, limit("100/minute", by="principal"))

    @shop.route("/orders/<int(min=1):number>", methods=["GET", "DELETE"])
    @require(scopes="orders", any_scopes="read admin", policy="order.read", max_age=300)
    @validate(path={"properties": {"number": {"type": "integer", "maximum": 1_000_000}}, "required": ["number"]})
    @describe(answers={200: "The order.", 204: "It is gone."}, tags=["orders"])
    def order(number: int) -> Any:
        """One order.

        With its lines.

        :param number: which one.
        """
        return jsonify(number=number)

    @shop.get("/search")
    @require("jwt", "api_key", optional=True)
    @limit("30/minute burst 10", by=("principal", lambda: "x"), cost=lambda: 2, ban="1 minute after 3")
    @validate(
        query={
            "type": "object",
            "required": ["q"],
            "properties": {
                "q": {"type": "string", "minLength": 1, "description": "What to look for."},
                "page": {"type": "integer", "minimum": 1, "default": 1},
                "tag": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
                "ids": {"type": "array", "items": {"type": "integer"}, "x-explode": False},
                "cols": {"type": "array", "items": {"type": "string"}, "x-style": "pipeDelimited"},
                "filter": {"type": "object", "properties": {"size": {"type": "integer"}}},
            },
            "$defs": {"tag": {"type": "string", "maxLength": 20}},
            "dependentRequired": {"ids": ["page"]},
        },
        headers={"properties": {"X-Trace": {"type": "string", "format": "uuid"}, "Accept": {"type": "string"}}},
        cookies={"properties": {"seen": {"type": "array", "items": {"type": "integer"}}}},
    )
    def search() -> Any:
        """Looks for products."""
        return "ok"

    @app.post("/form")
    @require("signature", "basic", "mesh")
    @validate(form={"properties": {"name": {"type": "string"}, "sizes": {"type": "array", "x-explode": False}}})
    def form() -> str:
        return "ok"

    class Things(MethodView):
        """Things."""

        decorators: ClassVar = [
            require(
                roles="staff lead", any_permissions="a b", issuer=[ISSUER["issuer"], HIDDEN["issuer"]], audience="x"
            )
        ]

        def get(self, key: str) -> str:
            """Reads a thing."""
            return key

        @validate(
            body={
                "$schema": "http://json-schema.org/draft-07/schema#",
                "definitions": {"node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}}},
                "$ref": "#/definitions/node",
            }
        )
        def put(self, key: str) -> str:
            """Writes a thing."""
            return key

    app.add_url_rule("/things/<uuid:key>", view_func=Things.as_view("things"))
    app.register_blueprint(shop)

    @app.post("/tuple")
    @public
    @validate(
        body={
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "array",
            "items": [{"type": "integer", "minimum": 0, "exclusiveMinimum": True}],
            "additionalItems": False,
        }
    )
    def pair() -> str:
        return "ok"

    @app.get("/files/<path:name>")
    @public
    def file(name: str) -> str:
        return name

    @app.get("/size/<any(small, large):size>/<float:weight>/<string(length=2):land>")
    @public
    def size(**_: Any) -> str:
        return "ok"


def parts(app: Flask) -> None:
    """Routes that take each part of a request, written in each way, from anybody."""
    text = {"type": "string", "minLength": 1, "maxLength": 20}
    numbers = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
    answers = describe(answers={200: "It was read."})

    @app.get("/query")
    @validate(
        query={
            "type": "object",
            "required": ["q"],
            "additionalProperties": False,
            "properties": {
                "q": text,
                "n": {"type": "integer", "minimum": 1, "maximum": 10},
                "x": {"type": "number"},
                "b": {"type": "boolean"},
                "tag": {"type": "array", "items": text, "maxItems": 3},
                "ids": {**numbers, "x-explode": False},
                "pipe": {**numbers, "x-style": "pipeDelimited"},
                "size": {"type": "object", "additionalProperties": False, "properties": {"w": {"type": "integer"}}},
                "e": {"enum": ["a", "b"]},
            },
        }
    )
    @answers
    def query() -> str:
        return "ok"

    @app.get("/path/<int:n>/<s>/<uuid:u>/<any(a, b):k>")
    @validate(path={"properties": {"n": {"type": "integer", "maximum": 999}, "s": {"type": "string", "maxLength": 5}}})
    @answers
    def path(**_: Any) -> str:
        return "ok"

    @app.get("/head")
    @validate(
        headers={
            "required": ["X-N"],
            "properties": {"X-N": {"type": "integer"}, "X-L": numbers, "X-E": {"enum": ["a"]}},
        },
        cookies={"properties": {"c": {"type": "integer"}, "d": {"type": "string", "pattern": "^[a-z]+$"}}},
    )
    @answers
    def head() -> str:
        return "ok"

    @app.post("/form")
    @validate(form={"required": ["a"], "properties": {"a": text, "n": {"type": "integer"}, "l": numbers}})
    @answers
    def form() -> str:
        return "ok"

    @app.post("/tree")
    @validate(
        body={
            "$defs": {
                "tree": {
                    "type": "object",
                    "required": ["v"],
                    "additionalProperties": False,
                    "properties": {"v": numbers, "of": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                }
            },
            "$ref": "#/$defs/tree",
        }
    )
    @answers
    def tree() -> str:
        return "ok"


def settings() -> dict[str, Any]:
    """Settings that turn on all that a document tells of."""
    return {
        "TESTING": True,
        "RAMPART_JWT_KEYS": [{"kid": "a", "alg": "ES256", "pem": pem()}],
        "RAMPART_JWT_ISSUER": "https://shop.example",
        "RAMPART_JWT_LOCATIONS": ["header", "cookie", "query"],
        "RAMPART_JWKS_PATH": "/.well-known/jwks.json",
        "RAMPART_RESOURCE": "https://api.example",
        "RAMPART_ISSUERS": [ISSUER, HIDDEN],
        "RAMPART_API_KEYS": True,
        "RAMPART_DPOP": "allowed",
        "RAMPART_LIMITS": "1000/hour; 20/second burst 100",
        "RAMPART_LIMIT_HEADERS": "both",
        "RAMPART_ROLES": {"lead": {"permissions": ["a", "b"]}},
        "RAMPART_STORE": "memory://",
    }
