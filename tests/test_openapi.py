"""The OpenAPI document: what it says of routes, guards and answers, and what it never says."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View
from typing_extensions import deprecated

from examples.login_api import app as login_example
from examples.predict_api import app as predict_example
from flask_rampart import Archive, Rampart, Upload, csrf, describe, limit, public, require, unlimited, validate
from flask_rampart._native import Key
from flask_rampart.errors import PROBLEMS, ConfigError
from flask_rampart.openapi.answers import EDGE
from flask_rampart.openapi.schemas import Schemas

from .conftest import KEYS, SECRET
from .documenting import document_of, everything, is_openapi, settings
from .issuing import jwk
from .living import pem
from .predicting import files as files
from .predicting import shared as shared

ROOT = Path(__file__).parent.parent
Document = dict[str, Any]


def bare(**config: Any) -> tuple[Flask, Rampart]:
    app = Flask("shop")
    app.config.update(
        TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_STORE="memory://", RAMPART_JWT_KEYS=KEYS, **config
    )
    return app, Rampart(app)


def only(document: Document) -> Document:
    """The one operation of a document."""
    ((_, path),) = document["paths"].items()
    ((_, operation),) = path.items()
    found: Document = operation
    return found


def codes(operation: Document) -> dict[str, list[str]]:
    """The codes of an operation that are not those of every one."""
    found = operation.get("x-rampart-codes", {})
    return {status: kept for status, all_ in found.items() if (kept := [code for code in all_ if code not in EDGE])}


def told(guard: Any, method: str = "get", rule: str = "/", **config: Any) -> Document:
    """The operation of a view with one guard."""
    app, rampart = bare(**config)
    getattr(app, method)(rule)(guard(lambda **_: "ok"))
    return only(document_of(app, rampart))


@pytest.fixture(scope="module")
def full() -> tuple[Flask, Rampart, Document]:
    app = Flask("shop")
    app.config.update(settings(), RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    rampart = Rampart(app)
    everything(app, rampart)
    return app, rampart, document_of(app, rampart)


# --- What it is ---


def test_an_app_that_uses_everything_has_a_document_that_two_validators_accept(
    full: tuple[Flask, Rampart, Document],
) -> None:
    assert len(full[2]["paths"]) == 9


def test_the_same_app_gives_the_same_bytes(full: tuple[Flask, Rampart, Document]) -> None:
    app = Flask("shop")
    app.config.update(full[0].config)
    rampart = Rampart(app)
    everything(app, rampart)
    assert json.dumps(document_of(app, rampart)) == json.dumps(full[2])


def test_the_documents_of_the_examples_are_valid(files: dict[str, str], tmp_path: Path) -> None:
    quiet = {"RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://"}
    first = predict_example.create_app({**files, **quiet})
    second = login_example.create_app(
        {"LOGIN_SECRET": SECRET, "LOGIN_ACCOUNTS": str(tmp_path / "a.sqlite3"), "RAMPART_STORE": "memory://", **quiet,
         "TESTING": True}
    )  # fmt: skip
    for app in (first, second):
        document = app.test_client().get("/openapi.json").json
        assert document is not None and is_openapi(document)
    assert "/openapi.json" not in document["paths"]


def test_no_secret_no_place_and_no_name_of_a_function_is_in_it(full: tuple[Flask, Rampart, Document]) -> None:
    text = json.dumps(full[2])
    for secret in (
        "s3cret",
        "PRIVATE",
        str(Path(__file__).parent),
        "id.inside.example",
        "lambda",
        "signed",
        "may_read",
    ):
        assert secret not in text, secret


def test_who_gets_the_document_may_change_it(full: tuple[Flask, Rampart, Document]) -> None:
    app, rampart, before = full
    document_of(app, rampart)["paths"].clear()
    with app.app_context():
        rampart.openapi()["paths"].clear()
        assert rampart.openapi() == before


def test_no_schema_of_the_apps_is_shared_with_the_document() -> None:
    schema: Document = {"properties": {"a": {"type": "string", "enum": ["x"]}}}
    app, rampart = bare()
    app.get("/")(validate(query=schema)(lambda: "ok"))
    only(rampart.openapi(title="a"))["parameters"][0]["schema"]["enum"].append("y")
    assert schema["properties"]["a"]["enum"] == ["x"]


def test_outside_an_app_context_it_is_of_the_only_app() -> None:
    app, rampart = bare()
    assert rampart.openapi()["info"]["title"] == "shop"
    other = Flask("other")
    rampart.init_app(other)
    with pytest.raises(ConfigError, match="app_context"):
        rampart.openapi()
    with app.app_context():
        assert rampart.openapi()["info"]["title"] == "shop"


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"version": 1},
        {"servers": "https://a.example"},
        {"servers": [1]},
        {"include": "all"},
        {"info": {"x-made": {1, 2}}},
    ],
    ids=["title", "version", "one server", "no server", "include", "no json"],
)
def test_what_cannot_be_said_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="openapi"):
        bare()[1].openapi(**wrong)


def test_include_chooses_operations() -> None:
    app, rampart = bare()
    app.route("/a", methods=["GET", "POST"], endpoint="a")(lambda: "ok")
    app.get("/b", endpoint="b")(lambda: "ok")
    document = document_of(app, rampart, include=lambda rule, method: rule.endpoint == "a" and method == "POST")
    assert {path: list(found) for path, found in document["paths"].items()} == {"/a": ["post"]}


# --- Paths and operations ---


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("/<int:x>", {"type": "integer", "minimum": 0}),
        ("/<int(min=2, max=9):x>", {"type": "integer", "minimum": 2, "maximum": 9}),
        ("/<int(signed=True):x>", {"type": "integer"}),
        ("/<int(fixed_digits=3):x>", {"type": "string", "pattern": "^[0-9]{3}$"}),
        ("/<float(max=1.5):x>", {"type": "number", "minimum": 0, "maximum": 1.5}),
        ("/<x>", {"type": "string", "minLength": 1}),
        ("/<string(minlength=2, maxlength=5):x>", {"type": "string", "minLength": 2, "maxLength": 5}),
        ("/<string(length=4):x>", {"type": "string", "minLength": 4, "maxLength": 4}),
        ("/<uuid:x>", {"type": "string", "format": "uuid"}),
        ("/<any(b, 'a,c'):x>", {"type": "string", "enum": ["a,c", "b"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_converter_is_the_schema_of_its_parameter(rule: str, expected: Document) -> None:
    parameter = told(public, rule=rule)["parameters"][0]
    assert parameter == {"name": "x", "in": "path", "required": True, "schema": expected}


def test_a_converter_of_the_apps_own_is_a_text() -> None:
    from werkzeug.routing import IntegerConverter

    app, rampart = bare()
    app.url_map.converters["even"] = type("Even", (IntegerConverter,), {})
    app.get("/<even:x>")(lambda x: "ok")
    assert only(document_of(app, rampart))["parameters"][0]["schema"] == {"type": "string"}


def test_paths_that_differ_in_names_alone_are_one_path() -> None:
    app, rampart = bare()
    app.get("/a/<int:id>", endpoint="read")(lambda id: "ok")
    app.put("/a/<name>", endpoint="write")(lambda name: "ok")
    app.get("/a/<name>", endpoint="again")(lambda name: "ok")
    document = document_of(app, rampart)
    assert list(document["paths"]) == ["/a/{id}"]
    assert document["paths"]["/a/{id}"]["put"]["parameters"][0]["name"] == "id"
    assert document["paths"]["/a/{id}"]["get"]["x-rampart-also"] == ["/a/{name}"]


def test_what_is_hidden_is_not_told_as_another_name_of_a_path() -> None:
    app, rampart = bare(RAMPART_DEFAULT="deny")
    app.get("/a/<int:id>", endpoint="read")(public(lambda id: "ok"))
    app.get("/a/<hidden>", endpoint="hidden")(describe(hidden=True)(public(lambda hidden: "ok")))
    app.get("/a/<refused>", endpoint="refused")(lambda refused: "ok")
    assert "x-rampart-also" not in only(document_of(app, rampart))


def test_what_is_hidden_does_not_say_how_a_path_is_written() -> None:
    app, rampart = bare()
    app.get("/a/<hidden>", endpoint="hidden")(describe(hidden=True)(lambda hidden: "ok"))
    app.post("/a/<id>", endpoint="write")(lambda id: "ok")
    assert list(document_of(app, rampart)["paths"]) == ["/a/{id}"]


def test_half_of_a_surrogate_pair_in_a_text_does_not_break_the_document() -> None:
    app, rampart = bare()
    app.get("/")(describe(summary="a\ud800<script>")(lambda: "ok"))
    assert only(rampart.openapi())["summary"] == "a\ud800<script>"


def test_many_definitions_of_one_name_are_numbered_in_time() -> None:
    schemas = Schemas()
    names = [schemas.put("node", {"const": at}) for at in range(20_000)]
    assert (names[:2], len(set(names))) == (["node", "node_2"], 20_000)


def test_operation_ids_are_unique_and_do_not_move_when_a_route_is_added() -> None:
    app, rampart = bare()
    view = app.route("/z/<x>", endpoint="view", methods=["GET", "POST"])(lambda x="": "ok")
    first = {
        operation["operationId"] for path in document_of(app, rampart)["paths"].values() for operation in path.values()
    }
    app.add_url_rule("/a", "view", view)
    app.add_url_rule("/view_get", "view_get", view)
    ids = [
        operation["operationId"] for path in document_of(app, rampart)["paths"].values() for operation in path.values()
    ]
    assert first < set(ids)
    assert len(ids) == len(set(ids))


def test_automatic_methods_static_files_and_rules_without_a_view_are_left_out() -> None:
    app, rampart = bare()
    app.static_folder = "static"
    app.get("/", endpoint="a")(lambda: "ok")
    app.add_url_rule("/made", endpoint="elsewhere", build_only=True)
    document = document_of(app, rampart)
    assert {path: list(found) for path, found in document["paths"].items()} == {"/": ["get"]}


def test_under_deny_a_route_that_refuses_everybody_is_left_out() -> None:
    app, rampart = bare(RAMPART_DEFAULT="deny")
    app.get("/open", endpoint="open")(public(lambda: "ok"))
    app.get("/limited", endpoint="limited")(limit("5/minute")(lambda: "ok"))
    assert list(document_of(app, rampart)["paths"]) == ["/open"]


def test_a_route_with_a_brace_in_it_takes_nothing() -> None:
    app, rampart = bare()
    app.get("/{x}", endpoint="a")(lambda: "ok")
    assert list(document_of(app, rampart)["paths"]) == ["/%7Bx%7D"]


def test_docstrings_blueprints_and_deprecation_are_told() -> None:
    app, rampart = bare()
    blueprint = Blueprint("shop", __name__)

    @blueprint.get("/")
    @require()
    @deprecated("use another")
    def view() -> str:
        """Says it
        in two lines.

        And more.

        :param x: for who reads the code
        """
        return "ok"

    app.register_blueprint(blueprint)
    operation = only(document_of(app, rampart))
    assert (operation["summary"], operation["description"]) == ("Says it in two lines.", "And more.")
    assert operation["tags"] == ["shop"]
    assert operation["deprecated"] is True


def test_describe_has_the_last_word_on_texts_and_hides() -> None:
    app, rampart = bare()
    app.get("/a", endpoint="a")(describe(summary="s", description="d", tags=["t"], deprecated=True)(lambda: "ok"))
    app.get("/b", endpoint="b")(describe(hidden=True)(lambda: "ok"))
    operation = only(document_of(app, rampart))
    assert [operation[word] for word in ("summary", "description", "tags", "deprecated")] == ["s", "d", ["t"], True]
    assert app.test_client().get("/b").status_code == 200


@pytest.mark.parametrize("above", [True, False], ids=["above the route", "below it"])
def test_describe_is_found_on_either_side_of_route_and_guards(above: bool) -> None:
    app, rampart = bare()
    said = describe(summary="s")

    def view() -> str:
        return "ok"

    if above:
        said(app.get("/")(require()(view)))
    else:
        app.get("/")(require()(said(view)))
    assert only(document_of(app, rampart))["summary"] == "s"


def test_each_method_of_a_view_class_is_an_operation_of_its_own() -> None:
    class Things(MethodView):
        """Things."""

        @require(scopes="read")
        def get(self) -> str:
            return "ok"

        @describe(summary="Makes one.", answers={201: "It is made."})
        def post(self) -> str:
            """Not this."""
            return "ok"

    class Plain(View):
        def dispatch_request(self) -> str:
            """Answers."""
            return "ok"

    app, rampart = bare()
    app.add_url_rule("/", view_func=Things.as_view("things"))
    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    paths = document_of(app, rampart)["paths"]
    assert paths["/"]["get"]["summary"] == "Things."
    assert paths["/"]["get"]["security"] == [{"jwt": ["read"]}]
    assert (paths["/"]["post"]["summary"], paths["/"]["post"]["security"]) == ("Makes one.", [])
    assert "201" in paths["/"]["post"]["responses"]
    assert paths["/plain"]["get"]["summary"] == "Answers."


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": "a"},
        {"problems": ["token.expird"]},
        {"answers": {"2": "x"}},
        {"answers": {200: 1}},
        {"answers": {200: {"content": {}}}},
        {"answers": {200: {"description": "x", "content": {"a/b": {"example": float("nan")}}}}},
    ],
    ids=["tags", "a code", "a status", "an answer", "no description", "no json"],
)
def test_describe_refuses_what_cannot_be_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="describe"):
        describe(**wrong)


# --- With what ---


def test_parts_become_parameters_as_they_are_written(full: tuple[Flask, Rampart, Document]) -> None:
    search = full[2]["paths"]["/shop/search"]["get"]
    found = {parameter["name"]: parameter for parameter in search["parameters"]}
    assert found["q"] == {
        "name": "q", "in": "query", "required": True, "description": "What to look for.",
        "schema": {"type": "string", "minLength": 1},
    }  # fmt: skip
    assert "required" not in found["page"] and found["page"]["schema"]["default"] == 1
    assert found["tag"]["schema"]["items"] == {"$ref": "#/components/schemas/tag"}
    assert "style" not in found["tag"]
    assert [found["ids"][word] for word in ("style", "explode")] == ["form", False]
    assert [found["cols"][word] for word in ("style", "explode")] == ["pipeDelimited", False]
    assert [found["filter"][word] for word in ("style", "explode")] == ["deepObject", True]
    assert (found["X-Trace"]["in"], found["seen"]["in"], found["seen"]["explode"]) == ("header", "cookie", False)
    assert "Accept" not in found  # OpenAPI 3.1 section 4.8.12.2.1
    assert search["x-rampart-unknown"] == "reject"
    assert search["x-rampart-rules"]["query"] == {"$ref": "#/components/schemas/shop_search_get_query"}


def test_a_default_makes_a_required_name_optional() -> None:
    schema = {"required": ["a"], "properties": {"a": {"type": "integer", "default": 1}}}
    assert "required" not in told(validate(query=schema))["parameters"][0]


def test_names_of_alternatives_are_optional_and_either_shape() -> None:
    one = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}
    other = {"properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    operation = told(validate(query={"oneOf": [one, other]}))
    (parameter,) = operation["parameters"]
    assert "required" not in parameter
    assert parameter["schema"] == {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}
    assert "x-rampart-rules" in operation


def test_other_names_that_a_query_may_have_are_one_parameter() -> None:
    schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string", "maxLength": 3}}
    operation = told(validate(query=schema))
    assert operation["parameters"][1]["schema"] == {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 3},
    }
    assert "x-rampart-unknown" not in operation


def test_a_path_is_held_to_its_route_and_to_its_schema() -> None:
    schema = {"properties": {"x": {"type": "integer", "maximum": 9}}}
    (parameter,) = told(validate(path=schema), rule="/<int:x>")["parameters"]
    assert parameter["schema"] == {"type": "integer", "maximum": 9, "minimum": 0}
    (parameter,) = told(validate(path=schema), rule="/<int(max=5):x>")["parameters"]
    assert parameter["schema"] == {
        "allOf": [{"type": "integer", "minimum": 0, "maximum": 5}, {"type": "integer", "maximum": 9}]
    }


def test_a_body_is_a_reference_to_its_schema() -> None:
    operation = told(validate(body={"type": "object"}), "post")
    assert operation["requestBody"]["required"] is True
    assert list(operation["requestBody"]["content"]) == ["application/json"]


def test_a_blueprints_body_and_a_views_own_both_hold() -> None:
    app, rampart = bare()
    blueprint = Blueprint("b", __name__)
    blueprint.post("/")(validate(body={"required": ["a"]})(lambda: "ok"))
    rampart.protect(blueprint, validate(body={"required": ["b"]}))
    app.register_blueprint(blueprint)
    content = only(document_of(app, rampart))["requestBody"]["content"]
    assert len(content["application/json"]["schema"]["allOf"]) == 2


@pytest.mark.parametrize(
    ("unknown", "closed"), [(None, True), ("reject", True), ("ignore", False), ("strip", False)], ids=str
)
def test_a_form_is_closed_where_other_names_are_refused(unknown: Any, closed: bool) -> None:
    content = told(validate(form={"properties": {"a": {"type": "string"}}}, unknown=unknown), "post")["requestBody"][
        "content"
    ]
    assert sorted(content) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    for kind in content.values():
        assert (kind["schema"].get("unevaluatedProperties") is False) is closed


def test_a_response_with_a_schema_is_told_by_status() -> None:
    operation = told(validate(response={200: {"type": "object"}, "4xx": None}))
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("_response_200")
    assert operation["responses"]["4XX"] == {"description": "Refused"}
    assert "default" not in operation["responses"]
    assert "content" in told(validate(response={"type": "object"}))["responses"]["2XX"]


@pytest.mark.parametrize("form", [None, {"properties": {"title": {"type": "string"}}}], ids=["files alone", "a form"])
def test_files_of_a_form_are_binary_members_of_multipart(form: Any) -> None:
    files = {
        "photo": Upload(types=("image/png", "image/jpeg"), max_bytes=1000, max_pixels=9),
        "more": Upload(types=("text/csv",), max_count=3, required=False),
        "zip": Upload(types=("application/zip",), max_count=2, archive=Archive(max_entries=7)),
    }
    operation = told(validate(form=form, files=files), "post")
    content = operation["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    schema, encoding = content["multipart/form-data"]["schema"], content["multipart/form-data"]["encoding"]
    members = schema if form is None else schema["allOf"][1]
    assert schema["unevaluatedProperties"] is False
    photo, more, packed = (members["properties"][name] for name in ("photo", "more", "zip"))
    assert (photo["format"], photo["x-rampart-max-bytes"], photo["x-rampart-max-pixels"]) == ("binary", 1000, 9)
    assert (more["maxItems"], "minItems" in more, "x-rampart-archive" in more["items"]) == (3, False, False)
    assert (packed["minItems"], packed["items"]["x-rampart-archive"]["max-entries"]) == (1, 7)
    assert members["required"] == ["photo", "zip"]
    assert encoding["photo"] == {"contentType": "image/png, image/jpeg"}
    assert "files.invalid" in operation["x-rampart-codes"]["422"]


# --- Who ---


def test_scopes_any_scopes_and_optional_are_alternatives() -> None:
    assert told(require(scopes="a b"))["security"] == [{"jwt": ["a", "b"]}]
    assert told(require(scopes="a", any_scopes="b c"))["security"] == [{"jwt": ["a", "b"]}, {"jwt": ["a", "c"]}]
    assert told(require(optional=True))["security"] == [{"jwt": []}, {}]
    assert told(public)["security"] == []


def test_alternatives_beyond_counting_are_told_in_words_alone() -> None:
    many = " ".join(f"s{at}" for at in range(17))
    operation = told(require(any_scopes=many))
    assert operation["security"] == [{"jwt": []}]
    assert len(operation["x-rampart-access"]["any_scopes"][0]) == 17


def test_a_view_takes_the_schemes_that_all_its_guards_take() -> None:
    app, rampart = bare(RAMPART_API_KEYS=True)
    app.get("/")(require("api_key")(require("jwt", "api_key", scopes="a")(lambda: "ok")))
    document = document_of(app, rampart)
    assert only(document)["security"] == [{"api_key": ["a"]}]
    assert list(document["components"]["securitySchemes"]) == ["api_key"]


def test_a_view_that_nobody_can_call_does_not_read_as_an_open_one() -> None:
    operation = told(require(issuer="https://nobody.example"), RAMPART_JWT_ISSUER="https://ours.example")
    assert operation["security"] == [{"jwt": []}]


def test_guards_of_the_app_and_of_blueprints_are_told() -> None:
    app, rampart = bare()
    blueprint = Blueprint("b", __name__)
    blueprint.get("/")(lambda: "ok")
    rampart.protect(blueprint, require(scopes="a"))
    rampart.protect(app, require(roles="r"), limit("5/minute"))
    app.register_blueprint(blueprint)
    operation = only(document_of(app, rampart))
    assert operation["security"] == [{"jwt": ["a"]}]
    assert operation["x-rampart-access"] == {"scopes": ["a"], "roles": ["r"]}
    assert operation["x-rampart-limits"] == [{"quota": "5/minute", "by": "address"}]


def test_every_kind_of_credential_is_a_scheme_where_it_is_looked_for(full: tuple[Flask, Rampart, Document]) -> None:
    schemes = full[2]["components"]["securitySchemes"]
    assert schemes["jwt"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert schemes["jwt_cookie"] == {"type": "apiKey", "in": "cookie", "name": "__Host-access_token"}
    assert schemes["jwt_query"] == {"type": "apiKey", "in": "query", "name": "access_token"}
    assert schemes["api_key"]["name"] == "X-API-Key"
    assert schemes["signature"] == {"type": "apiKey", "in": "header", "name": "X-Signature"}
    assert schemes["basic"] == {"type": "http", "scheme": "Basic"}
    provider = schemes["jwt_https_id.example_tenant"]
    assert provider["openIdConnectUrl"] == "https://id.example/tenant/.well-known/openid-configuration"


def test_a_cookie_with_a_method_that_changes_something_needs_its_proof(full: tuple[Flask, Rampart, Document]) -> None:
    order = full[2]["paths"]["/shop/orders/{number}"]
    assert {"jwt_cookie": ["orders", "read"], "csrf_token": []} in order["delete"]["security"]
    assert {"jwt_cookie": ["orders", "read"]} in order["get"]["security"]
    assert "csrf.invalid" in order["delete"]["x-rampart-codes"]["403"]
    assert "csrf.invalid" not in order["get"]["x-rampart-codes"]["403"]


def test_a_refusal_of_other_sites_pages_is_told_where_browsers_identify_by_themselves() -> None:
    def refusals(guard: Any, method: str = "post", **config: Any) -> list[str]:
        return [code for code in codes(told(guard, method, **config)).get("403", []) if code.startswith("csrf.")]

    cookies = {"RAMPART_JWT_LOCATIONS": ["header", "cookie"]}
    assert refusals(require(), **cookies) == ["csrf.invalid", "csrf.origin"]
    assert refusals(require(), "get", **cookies) == []
    assert refusals(require(), **cookies, RAMPART_CSRF="off") == ["csrf.invalid"]
    assert refusals(lambda view: csrf("off")(require()(view)), **cookies) == ["csrf.invalid"]
    assert refusals(require()) == []
    assert refusals(public) == []
    assert refusals(csrf("strict")) == ["csrf.origin"]
    key = {"SECRET_KEY": "k" * 32}
    assert refusals(csrf("token"), **key) == ["csrf.invalid", "csrf.origin"]
    assert refusals(csrf("token"), "get", **key) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, ["csrf.origin"], id="whatever it likes"),
        pytest.param({"header": "X-Client-DN"}, ["csrf.origin"], id="a field that a proxy may write"),
        pytest.param({"header": "Authorization", "challenge": "Basic"}, ["csrf.origin"], id="a password"),
        pytest.param({"header": "Authorization", "challenge": "Token"}, [], id="what only a script sends"),
    ],
)
def test_a_scheme_of_the_apps_own_is_refused_to_other_sites_by_what_it_reads(
    given: dict[str, str], expected: list[str]
) -> None:
    app, rampart = bare()
    rampart.scheme("account", **given)(lambda *_: None)
    app.post("/")(require("account")(lambda: "ok"))
    found = codes(only(document_of(app, rampart))).get("403", [])
    assert [code for code in found if code.startswith("csrf.")] == expected


def test_without_bearer_tokens_no_scheme_says_bearer() -> None:
    app, rampart = bare(RAMPART_DPOP="required")
    app.get("/")(require()(lambda: "ok"))
    document = document_of(app, rampart)
    assert document["components"]["securitySchemes"]["jwt_dpop"]["scheme"] == "DPoP"
    assert only(document)["security"] == [{"jwt_dpop": []}]


# --- How often ---


def test_what_a_limit_keeps_to_itself_is_not_told() -> None:
    def secret_plan() -> str:
        return "5/minute"

    operation = told(limit(secret_plan, by=lambda: "x", unless="10.0.0.0/8", scope="inner", cost=lambda: 1))
    assert operation["x-rampart-limits"] == [{"quota": "varies", "by": "varies", "cost": "varies"}]
    assert "10.0.0.0" not in json.dumps(operation) and "inner" not in json.dumps(operation)


@pytest.mark.parametrize(
    "guard", [limit("5/minute", mode="report"), limit("5/minute", methods="POST")], ids=["report", "another method"]
)
def test_a_limit_that_never_refuses_an_operation_is_not_told(guard: limit) -> None:
    operation = told(guard)
    assert "x-rampart-limits" not in operation
    assert "limit.exceeded" not in json.dumps(operation)


def test_a_view_that_is_unlimited_is_not_limited_in_the_document() -> None:
    app, rampart = bare()
    app.get("/")(unlimited(lambda: "ok"))
    rampart.protect(app, limit("5/minute"))
    assert "x-rampart-limits" not in only(document_of(app, rampart))


def test_the_limits_of_the_application_are_told_once_and_each_operation_has_429() -> None:
    app, rampart = bare(RAMPART_LIMITS="1000/hour; 20/second burst 40", RAMPART_LIMITS_EXEMPT_PATHS=["/health"])
    app.get("/a", endpoint="a")(lambda: "ok")
    app.get("/health", endpoint="b")(lambda: "ok")
    document = document_of(app, rampart)
    assert [each["quota"] for each in document["x-rampart-limits"]] == ["1000/hour", "20/second burst 40"]
    assert document["paths"]["/a"]["get"]["x-rampart-codes"]["429"] == ["limit.banned", "limit.exceeded"]
    assert document["paths"]["/health"]["get"]["x-rampart-codes"]["429"] == ["limit.banned"]
    headers = document["components"]["responses"]["TooManyRequests"]["headers"]
    assert sorted(headers) == ["RateLimit", "RateLimit-Policy", "Retry-After"]


# --- Answers ---


def test_an_operation_has_the_codes_that_its_guards_can_give_and_no_other() -> None:
    assert codes(told(public)) == {}
    assert codes(told(require(roles="a"))) == {
        "400": ["auth.ambiguous"],
        "401": ["auth.missing", "token.expired", "token.invalid"],
        "403": ["auth.role"],
        "503": ["store.unavailable"],
    }
    assert codes(told(validate(query={"properties": {"a": {}}}))) == {
        "400": ["request.malformed"],
        "422": ["query.invalid"],
    }


def test_every_code_in_a_document_exists_under_its_status(full: tuple[Flask, Rampart, Document]) -> None:
    for path in full[2]["paths"].values():
        for operation in path.values():
            for status, codes in operation.get("x-rampart-codes", {}).items():
                assert status in operation["responses"]
                assert all(str(PROBLEMS[code].status) == status for code in codes)


def test_a_view_that_says_nothing_of_its_answers_may_answer_anything() -> None:
    assert told(public)["responses"]["default"] == {"description": "What the view answers."}


def test_an_answer_of_the_views_own_stands_beside_the_refusals_of_its_status() -> None:
    app, rampart = bare()
    said = describe(answers={200: "Fine.", 401: "No such account."}, problems="token.expired")
    app.get("/")(require()(said(lambda: "ok")))
    responses = only(document_of(app, rampart))["responses"]
    assert responses["401"]["description"].endswith("No such account.")
    assert "application/problem+json" in responses["401"]["content"]
    assert "headers" not in responses["401"]  # the view's own may lack it


def test_an_app_that_words_a_refusal_itself_is_not_promised_to_send_a_problem() -> None:
    app, rampart = bare()
    app.register_error_handler(401, lambda error: ("no", 401))
    app.get("/")(require()(lambda: "ok"))
    answer = only(document_of(app, rampart))["responses"]["401"]
    assert "content" not in answer and "$ref" not in answer


def test_an_error_handler_of_another_blueprint_is_not_this_ones() -> None:
    app, rampart = bare()
    blueprint = Blueprint("b", __name__)
    blueprint.register_error_handler(401, lambda error: ("no", 401))
    app.register_blueprint(blueprint)
    app.get("/")(require()(lambda: "ok"))
    assert "$ref" in only(document_of(app, rampart))["responses"]["401"]


def test_a_path_that_takes_something_may_lead_nowhere() -> None:
    assert "404" in told(public, rule="/<x>")["responses"]
    assert "404" not in told(public)["responses"]


@pytest.mark.parametrize(
    ("guard", "config", "sent", "expected"),
    [
        (require(), {}, {}, "auth.missing"),
        (require(), {}, {"headers": {"Authorization": "Bearer x"}}, "token.invalid"),
        (require(optional=True), {}, {"headers": {"Authorization": "Basic eDp5"}}, "auth.invalid"),
        (require(), {}, {"headers": {"Authorization": "Bearer x"}, "query_string": "access_token=y"}, "auth.ambiguous"),
        (require(), {"RAMPART_API_KEYS": True}, {"headers": {"X-API-Key": "x"}}, "key.invalid"),
        (require(), {"RAMPART_API_KEYS": True}, {"headers": {"X-API-Key": "x", "Authorization": "Bearer x"}}, "auth.ambiguous"),
        (validate(body={"type": "object"}), {}, {"data": "{", "content_type": "application/json"}, "json.malformed"),
        (validate(body={"type": "object"}), {}, {"data": "{}", "content_type": "text/plain"}, "body.media_type"),
        (validate(body={"type": "object"}), {}, {"json": 1}, "body.invalid"),
        (validate(body={}), {"RAMPART_MAX_BODY": 9}, {"json": "0123456789"}, "body.too_large"),
        (validate(query={"properties": {"a": {}}}), {}, {"query_string": "a=%"}, "request.malformed"),
        (validate(query={"properties": {"a": {}}}), {}, {"query_string": "b=1"}, "query.invalid"),
        (validate(form={"properties": {"a": {}}}), {}, {"json": 1}, "body.media_type"),
        (validate(form={"properties": {"a": {}}}), {}, {"data": {"b": "1"}}, "form.invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_refusal_that_is_given_is_one_that_the_document_names(
    guard: Any, config: dict[str, Any], sent: dict[str, Any], expected: str
) -> None:
    app, rampart = bare(RAMPART_LIMIT_STORE="memory://", **config)
    app.post("/")(guard(lambda: "ok"))
    operation = only(document_of(app, rampart))
    answer = app.test_client().post("/", **sent)
    assert answer.json is not None and answer.json["code"] == expected
    assert expected in operation["x-rampart-codes"][str(answer.status_code)]


def test_nothing_that_concerns_the_document_warns(full: tuple[Flask, Rampart, Document]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document_of(full[0], full[1])


def test_an_issuer_whose_keys_are_configured_is_never_away() -> None:
    entry = {"issuer": "https://id.example", "audience": "a"}
    fixed = {**entry, "jwks": {"keys": [jwk(Key.from_pem(pem(), "ES256", "a"))]}}
    for given, expected in ((entry, True), (fixed, False)):
        codes = told(require(), RAMPART_ISSUERS=[given])["x-rampart-codes"]["503"]
        assert ("auth.unavailable" in codes) is expected


def test_the_code_of_its_page_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "openapi.md").read_text(), re.S)
    exec(compile(block, "openapi.md", "exec"), {"__name__": "page"})


def test_views_of_our_own_say_what_they_answer(full: tuple[Flask, Rampart, Document]) -> None:
    paths = full[2]["paths"]
    assert "application/jwk-set+json" in paths["/.well-known/jwks.json"]["get"]["responses"]["200"]["content"]
    metadata = paths["/.well-known/oauth-protected-resource"]["get"]["responses"]
    assert "application/json" in metadata["200"]["content"]
