"""What a contract judges is in the app's own document, as if the views had declared it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate as validate_document

from flask_rampart import Rampart

from .contracting import document, operation, query, serve_wide, told, wide

Make = Callable[..., Flask]


def written(make_app: Make, given: Any, serve: Callable[[Flask], object], **how: Any) -> Any:
    """The document that the app writes of itself, which is one."""
    app = make_app(rampart=False)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    rampart.contract(given, **how)
    serve(app)
    with app.app_context():
        made = rampart.openapi()
    validate_document(made)
    return made


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_parameters_and_bodies_of_a_contract_are_told(make_app: Make, version: str) -> None:
    made = written(make_app, wide(version), serve_wide)
    get = made["paths"]["/orders/{orderId}/{day}"]["get"]
    told_of = {(one["in"], one["name"]): one for one in get["parameters"]}
    assert set(told_of) == {
        *(("path", name) for name in ("orderId", "day")),
        *(("query", name) for name in ("verbose", "fields", "ids", "near", "flag", "raw", "filter")),
        ("header", "X-Tenant"),
        ("cookie", "seen"),
    }
    assert any(one.get("minimum") == 1 for one in told_of["path", "orderId"]["schema"]["allOf"])
    assert told_of["header", "X-Tenant"]["required"]
    assert told_of["query", "ids"]["style"] == "pipeDelimited"
    assert told_of["query", "filter"]["schema"]["contentMediaType"] == "application/json"
    assert "query.invalid" in get["x-rampart-codes"]["422"]
    post = made["paths"]["/orders"]["post"]
    content = post["requestBody"]["content"]
    assert set(content) == set(wide(version)["paths"]["/orders"]["post"]["requestBody"]["content"])
    assert "required" not in post["requestBody"]
    assert content["application/octet-stream"] == {}
    assert content["multipart/form-data"]["encoding"]["photo"] == {"contentType": "image/png, image/jpeg"}
    assert content["application/json"]["schema"]["$ref"] != content["application/merge-patch+json"]["schema"]["$ref"]
    codes = [code for each in post["x-rampart-codes"].values() for code in each]
    assert {"body.media_type", "body.invalid", "form.invalid", "files.invalid", "json.malformed"} <= set(codes)
    assert "Card" in made["components"]["schemas"]


def test_an_operation_without_a_body_and_one_that_must_have_one_are_told_apart(make_app: Make) -> None:
    requested = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    paths = {
        "/x": {"get": operation(parameters=[query("n", {"type": "integer"})]), "put": operation(requestBody=requested)}
    }
    made = written(make_app, document(paths), lambda app: app.route("/x", methods=["GET", "PUT"])(told))
    assert "requestBody" not in made["paths"]["/x"]["get"]
    assert "body.media_type" not in made["paths"]["/x"]["get"]["x-rampart-codes"].get("415", ())
    assert made["paths"]["/x"]["put"]["requestBody"]["required"]
    assert [one["name"] for one in made["paths"]["/x"]["get"]["parameters"]] == ["n"]


@pytest.mark.parametrize("mode", ["off", "log"])
def test_answers_are_told_where_they_are_judged(make_app: Make, mode: Any) -> None:
    answer = {"description": "", "content": {"application/json": {"schema": {"type": "object", "required": ["a"]}}}}
    paths = {"/x": {"get": {"responses": {"200": answer, "404": {"description": ""}}}}}
    made = written(make_app, document(paths), lambda app: app.get("/x")(told), validate_responses=mode)
    answers = made["paths"]["/x"]["get"]["responses"]
    assert ("200" in answers) == (mode == "log")


def test_each_route_of_a_view_is_told_as_its_own_operation(make_app: Make) -> None:
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "maximum": 9}}
    paths = {
        "/x": {"get": operation(parameters=[query("n", {"type": "integer"})])},
        "/x/{id}": {"get": operation(parameters=[number])},
    }

    def serve(app: Flask) -> None:
        app.add_url_rule("/x", "x", told)
        app.add_url_rule("/x/<int:id>", "x")

    made = written(make_app, document(paths), serve)["paths"]
    assert [one["name"] for one in made["/x"]["get"]["parameters"]] == ["n"]
    assert [one["name"] for one in made["/x/{id}"]["get"]["parameters"]] == ["id"]
    assert made["/x/{id}"]["get"]["parameters"][0]["schema"]["maximum"] == 9
