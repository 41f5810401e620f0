"""Documents that the tests of contracts bind, in both dialects, and apps that serve them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from flask import Flask, jsonify

from flask_rampart import Rampart, require, validated

VECTORS = Path(__file__).parent / "vectors" / "contract"
PETSTORE = VECTORS / "petstore.yaml"


def document(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document of these paths."""
    return {"openapi": version, "info": {"title": "test", "version": "1"}, "paths": paths, **more}


def operation(**more: Any) -> dict[str, Any]:
    """An operation that answers something."""
    return {"responses": {"200": {"description": "it"}}, **more}


def query(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A parameter in the query."""
    return {"name": name, "in": "query", "schema": schema, **more}


def body(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    """A body that must be there."""
    return {"required": True, "content": {media_type: {"schema": schema, **more}}}


def nullable(schema: dict[str, Any], version: str) -> dict[str, Any]:
    """The schema, or null, as the version writes it."""
    return {**schema, "nullable": True} if version < "3.1" else {**schema, "type": [schema["type"], "null"]}


def wide(version: str) -> dict[str, Any]:
    """Everything that a contract reads, in one document."""
    above = {"minimum": 0, "exclusiveMinimum": True} if version < "3.1" else {"exclusiveMinimum": 0}
    photo = {"type": "string", "format": "binary"} if version < "3.1" else {"contentMediaType": "image/png"}
    order = {
        "type": "object",
        "required": ["id", "amount", "secret"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "amount": {"type": "number", "format": "double", **above},
            "count": {"type": "integer", "format": "int32"},
            "secret": {"type": "string", "format": "password", "writeOnly": True},
            "data": {"type": "string", "format": "byte"},
            "note": nullable({"type": "string", "maxLength": 5, "example": "hi"}, version),
            "day": {"type": "string", "format": "date"},
            "pay": {
                "oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Cash"}],
                "discriminator": {"propertyName": "kind"},
            },
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}},
        },
    }
    return document(
        {
            "/orders/{orderId}/{day}": {
                "parameters": [
                    {"name": "orderId", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
                    {"name": "day", "in": "path", "required": True, "schema": {"type": "string", "format": "date"}},
                    query("verbose", {"type": "boolean"}),
                ],
                "get": operation(
                    operationId="show_order",
                    parameters=[
                        query("verbose", {"type": "boolean", "default": False}),
                        query("fields", {"type": "array", "items": {"type": "string"}}, explode=False),
                        query("ids", {"type": "array", "items": {"type": "integer"}}, style="pipeDelimited", explode=False),
                        query("near", {"type": "object", "properties": {"x": {"type": "number"}}}, style="deepObject"),
                        query("flag", {"type": "integer"}, allowEmptyValue=True),
                        query("raw", {"type": "string"}, allowReserved=True),
                        {
                            "name": "filter",
                            "in": "query",
                            "content": {
                                "application/json": {
                                    "schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
                                }
                            },
                        },
                        {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string", "minLength": 2}},
                        {"name": "Accept", "in": "header", "schema": {"type": "integer"}},
                        {"name": "seen", "in": "cookie", "explode": False, "schema": {"type": "array", "items": {"type": "integer"}}},
                    ],
                ),
            },
            "/orders": {
                "post": operation(
                    operationId="add_order",
                    requestBody={
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
                            "application/merge-patch+json": {"schema": {"type": "object", "minProperties": 1}},
                            "application/x-www-form-urlencoded": {
                                "schema": {
                                    "type": "object",
                                    "required": ["amount"],
                                    "properties": {
                                        "amount": {"type": "number"},
                                        "tags": {"type": "array", "items": {"type": "string"}},
                                    },
                                },
                                "encoding": {"tags": {"explode": False}},
                            },
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "required": ["title", "photo"],
                                    "properties": {
                                        "title": {"type": "string", "minLength": 1},
                                        "meta": {"type": "object", "properties": {"a": {"type": "integer"}}},
                                        "photo": photo,
                                    },
                                },
                                "encoding": {"photo": {"contentType": "image/png, image/jpeg"}},
                            },
                            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                        }
                    },
                ),
            },
        },
        version,
        components={
            "schemas": {
                "Order": order,
                "Card": {
                    "type": "object",
                    "required": ["kind", "number"],
                    "properties": {"kind": {"type": "string", "enum": ["card"]}, "number": {"type": "string", "pattern": "^[0-9]{4}$"}},
                },
                "Cash": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["cash"]}}},
            }
        },
    )  # fmt: skip


def rampart_of(app: Flask, given: Any, **how: Any) -> Flask:
    """Binds a document to an app that has a Rampart."""
    rampart = Rampart()
    rampart._states.add(app.extensions["rampart"])
    rampart.contract(given, **how)
    return app


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000" + "3a7e9b55"
    "0000000a49444154789c6360000000020001" + "4860abb8" + "0000000049454e44ae426082"
)
"""A picture of one grey pixel."""


def png() -> tuple[io.BytesIO, str]:
    """A picture, as the client of a test sends it."""
    return io.BytesIO(PNG), "a.png"


def told() -> Any:
    """A view that answers what it was given; of files, what they are."""
    from flask_rampart.guards import current_exchange

    exchange = current_exchange()
    found = {name: value for name, value in exchange.parts.items() if value}
    if "files" in found:
        found["files"] = {
            name: [one.type for one in file] if isinstance(file, list) else file.type
            for name, file in found["files"].items()
        }
    return jsonify({**found, "body": exchange.body} if "NOT_CHECKED" not in repr(exchange.body) else found)


def serve_wide(app: Flask) -> Flask:
    """The views of :func:`wide`."""

    @app.get("/orders/<int:orderId>/<day>")
    def show_order(orderId: int, day: str) -> Any:  # noqa: N803
        return told()

    @app.post("/orders")
    def add_order() -> Any:
        return told()

    return app


def serve_pets(app: Flask) -> Flask:
    """The views of the petstore."""

    @app.get("/v1/pets")
    def list_pets() -> Any:
        return jsonify(validated.query)

    @app.post("/v1/pets")
    @require()
    def add_pet() -> Any:
        return told()

    @app.get("/v1/pets/<int:petId>")
    def show_pet(petId: int) -> Any:  # noqa: N803
        return jsonify(validated.path)

    @app.post("/v1/pets/<int:petId>")
    @require()
    def rename_pet(petId: int) -> Any:  # noqa: N803
        return jsonify(validated.form)

    @app.delete("/v1/pets/<int:petId>")
    @require()
    def drop_pet(petId: int) -> Any:  # noqa: N803
        return "", 204

    return app
