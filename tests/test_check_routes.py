"""The matrix of routes and protections, and what each route lacks."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from werkzeug.routing import Rule

from flask_rampart import Rampart, audit, limit, public, require, validate
from flask_rampart.check import Row, Severity
from flask_rampart.check.matrix import matrix, table
from flask_rampart.check.subject import Subject

from .checking import SOUND, TODAY, Place, checked, ids, of, place

__all__ = ["place"]
TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 9}},
    "additionalProperties": False,
}
KEYS = {
    "RAMPART_JWT_KEYS": [{"kid": "a", "alg": "HS256", "secret": "w8Rz3vQn5xTf7Lk2Hd9Bj4Mc6Gs1Py0UaEoIiXqZrWt"}],
    "RAMPART_STORE": "sqlite:///r.sqlite3",
}


def view() -> str:
    return "x"


def add(app: Flask, path: str, *guards: Any, methods: tuple[str, ...] = ("POST",), name: str | None = None) -> None:
    function: Any = lambda **arguments: "x"  # noqa: E731
    function.__name__ = name or f"view_{len(app.view_functions)}"
    for guard in reversed(guards):
        function = guard(function)
    app.add_url_rule(path, function.__name__, function, methods=list(methods))


def rows(app: Flask) -> dict[str, Row]:
    return {row.label: row for row in matrix(Subject.of(app, today=TODAY))}


def test_the_table_says_of_each_route_who_how_often_and_with_what(place: Place) -> None:
    app = place.app(**KEYS)
    guards = (require("jwt", scopes="predict"), limit("60/minute"), validate(body=TEXT), audit("model.predict"))
    add(app, "/predict", *guards)
    add(app, "/health", public, methods=("GET",))
    add(app, "/forgotten", methods=("GET",))
    assert table(matrix(Subject.of(app, today=TODAY)))[1:] == [
        ("GET", "/forgotten", "refused", "app", "-", "-"),
        ("GET", "/health", "public", "app", "-", "-"),
        ("POST", "/predict", "require('jwt', scopes='predict')", "60/minute", "body", "yes"),
        ("GET", "/static/<path:filename>", "refused (static)", "app", "-", "-"),
    ]


def test_a_rule_that_names_no_methods_and_one_for_options_are_rows(place: Place) -> None:
    app = place.app(**KEYS, RAMPART_DEFAULT="open")
    app.url_map.add(Rule("/any", endpoint="any"))
    app.view_functions["any"] = view
    app.add_url_rule("/own", "own", view, methods=["OPTIONS"], provide_automatic_options=False)
    found = matrix(Subject.of(app, today=TODAY))
    methods = {
        path: {method for row in found if row.path == path for method in row.methods} for path in ("/any", "/own")
    }
    every = {"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"}  # TRACE is never answered
    assert methods == {"/any": every, "/own": {"OPTIONS"}}
    assert {row.who for row in found if row.path in methods} == {"OPEN"}


def test_the_metrics_are_no_public_route(place: Place) -> None:
    app = place.app(**KEYS, RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN="t" * 32)
    assert rows(app)["GET /metrics"].who == "metrics_token"


def test_a_class_view_has_a_row_for_each_way_of_guarding_it(place: Place) -> None:
    app = place.app(**KEYS, RAMPART_DEFAULT="open", RAMPART_LIMITS=...)

    class Items(MethodView):
        @public
        def get(self) -> str:
            return "x"

        @require("jwt")
        @limit("5/minute")
        def put(self) -> str:
            return "x"

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    found = rows(app)
    assert (found["GET /items"].who, found["PUT /items"].who) == ("public", "require('jwt')")
    assert (found["GET /items"].limit, found["PUT /items"].limit) == ("-", "5/minute")
    assert found["PUT /items"].file == "tests/test_check_routes.py" or str(found["PUT /items"].file).endswith(
        "test_check_routes.py"
    )


def test_guards_of_a_blueprint_and_of_the_app_are_each_routes_own(place: Place) -> None:
    app = Flask("flask_app", root_path=str(place.folder), instance_path=str(place.folder / "instance"))
    app.config.update({**SOUND, **KEYS, "RAMPART_LIMITS": "9/minute", "RAMPART_LIMITS_EXEMPT_PATHS": ["/b/free"]})
    rampart = Rampart(app)
    blueprint = Blueprint("b", __name__, url_prefix="/b")
    blueprint.get("/one")(view)
    blueprint.get("/free", endpoint="free")(view)
    rampart.protect(blueprint, require("jwt"))
    app.register_blueprint(blueprint)
    found = rows(app)
    assert (found["GET /b/one"].who, found["GET /b/one"].limit) == ("require('jwt')", "app")
    assert found["GET /b/free"].limit == "-"


def test_static_files_our_own_routes_and_other_packages_are_told_apart(place: Place) -> None:
    app = Flask("flask_app", root_path=str(place.folder), instance_path=str(place.folder / "instance"))
    app.config.update({**SOUND, "RAMPART_REPORTS": "/reports", "RAMPART_STORE": "sqlite:///r.sqlite3"})
    app.config["RAMPART_DEFAULT"] = "open"
    Rampart(app)
    (place.folder / "files").mkdir()
    app.register_blueprint(Blueprint("b", __name__, static_folder=str(place.folder / "files"), static_url_path="/b/s"))
    from click import echo  # a function of an installed package, as an extension's view is

    app.add_url_rule("/admin", "admin.index", echo, methods=["POST"])

    @app.get("/my-static")
    def static_like() -> str:
        return "mine"

    kinds = {row.path: row.kind for row in rows(app).values()}
    assert kinds == {
        "/static/<path:filename>": "static",
        "/b/s/<path:filename>": "static",
        "/reports": "rampart",
        "/admin": "other",
        "/my-static": "app",
    }
    found = [(finding.rule.id, str(finding.place)) for finding in checked(app).findings if finding.rule.id[4] == "4"]
    assert ("RMP-409", "POST /admin, click") in found
    assert not any("static/" in where or "/reports" in where for _, where in found)
    (finding,) = of(app, "RMP-409")
    assert finding.weight is Severity.WARNING  # it changes something, and is open


def test_an_app_that_is_installed_itself_is_no_other_package(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.matrix._is_installed", lambda function: True)
    app = Flask("shop.web", root_path=str(place.folder), instance_path=str(place.folder / "instance"))
    app.config.update(SOUND)
    Rampart(app)

    def own() -> str:
        return "own"

    own.__module__ = "shop.views"
    app.add_url_rule("/own", "own", own)
    app.add_url_rule("/other", "other", view)
    found = rows(app)
    assert (found["GET /own"].kind, found["GET /other"].kind) == ("app", "other")


def test_an_endpoint_that_is_merely_called_static_is_an_ordinary_one(place: Place) -> None:
    app = Flask("flask_app", root_path=str(place.folder), static_folder=None)
    app.config.update(SOUND, RAMPART_DEFAULT="open")
    Rampart(app)
    app.add_url_rule("/x", "static", view)
    assert "RMP-401" in ids(app)


@pytest.mark.parametrize(
    "guards, config, found",
    [
        ((), {"RAMPART_DEFAULT": "open"}, ["RMP-401", "RMP-405", "RMP-403"]),
        ((), {"RAMPART_DEFAULT": "open", "RAMPART_LIMITS": ...}, ["RMP-401", "RMP-402", "RMP-405", "RMP-403"]),
        ((), {}, []),  # refused: nothing to be found
        ((public,), {}, ["RMP-403"]),
        ((public,), {"RAMPART_LIMITS": ...}, ["RMP-402", "RMP-403"]),
        ((public, validate(body=TEXT)), {}, []),
        ((require("jwt"), limit("5/minute"), validate(body=TEXT)), {"RAMPART_LIMITS": ...}, []),
        ((public, limit("5/minute", mode="report"), validate(body=TEXT)), {}, ["RMP-406"]),
        ((public, limit("5/minute", on_store_error="open"), validate(body=TEXT)), {}, ["RMP-407"]),
    ],
)
def test_what_a_route_lacks_is_found(
    place: Place, guards: tuple[Any, ...], config: dict[str, Any], found: list[str]
) -> None:
    app = place.app(**{**KEYS, **config})
    add(app, "/orders", *guards)
    assert [id for id in ids(app) if id[4] == "4"] == found


def test_a_get_needs_no_schema_and_no_limit(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=...)
    add(app, "/orders", public, methods=("GET",))
    assert ids(app) == []


@pytest.mark.parametrize("path", ["/login", "/api/v1/sign-in", "/auth/token", "/password/reset", "/otp"])
def test_a_place_where_passwords_are_tried_needs_a_limit_of_its_own(place: Place, path: str) -> None:
    shape = validate(body=TEXT)
    app = place.app(RAMPART_LIMITS=...)
    add(app, path, public, shape)
    (finding,) = of(app, "RMP-404")
    assert finding.weight is Severity.ERROR
    bounded = place.app()
    add(bounded, path, public, shape)
    (finding,) = of(bounded, "RMP-404")
    # Each address has a bound, and an account none.
    assert finding.weight is Severity.WARNING
    limited = place.app()
    add(limited, path, public, shape, limit("5/minute", count="failures"))
    assert ids(limited) == []
    careless = place.app()
    add(careless, path, public, shape, limit("5/minute", on_store_error="open"))
    (finding,) = of(careless, "RMP-407")
    assert finding.weight is Severity.ERROR


@pytest.mark.parametrize("path", ["/logout", "/tokens/revoke", "/orders"])
def test_other_places_are_not_taken_for_one(place: Place, path: str) -> None:
    app = place.app()
    add(app, path, public, validate(body=TEXT))
    assert of(app, "RMP-404") == []


def test_a_debugging_tool_is_an_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.matrix._is_installed", lambda function: True)
    app = place.app()
    view_of_tool = public(lambda: "x")
    view_of_tool.__module__ = view_of_tool.__wrapped__.__module__ = "flask_debugtoolbar.panels"
    app.add_url_rule("/_debug_toolbar/views", "debugtoolbar.views", view_of_tool)
    (finding,) = of(app, "RMP-408")
    assert finding.place.package == "flask_debugtoolbar"


def test_a_contract_describes_what_its_operations_take(place: Place) -> None:
    app = Flask("flask_app", root_path=str(place.folder), instance_path=str(place.folder / "instance"))
    app.config.update(SOUND)
    rampart = Rampart(app)
    operation = {
        "requestBody": {"content": {"application/json": {"schema": TEXT}}, "required": True},
        "responses": {"200": {"description": "ok"}},
    }
    rampart.contract(
        {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/orders": {"post": operation}}},
        security=False,
    )
    add(app, "/orders", public)
    assert rows(app)["POST /orders"].schema == "contract"
    assert of(app, "RMP-403") == []


def test_an_endpoint_of_a_model_is_described_by_its_shape(place: Place) -> None:
    from flask_rampart import ai

    app = place.app(**KEYS)
    add(app, "/v1/chat/completions", require("jwt"), limit("5/minute"), ai.guard(model="small"))
    assert rows(app)["POST /v1/chat/completions"].schema == "body"
    assert of(app, "RMP-403") == []


def test_a_rule_without_a_view_is_for_addresses_alone(place: Place) -> None:
    app = place.app()
    app.add_url_rule("/elsewhere", "elsewhere", build_only=True)
    assert "GET /elsewhere" not in rows(app)
    assert ids(app) == []


@pytest.mark.parametrize(
    "guards, id",
    [
        ((public, limit("5/minute", mode="report")), "RMP-404"),
        ((public, limit("5/minute", methods=["GET"])), "RMP-404"),
        ((public, limit("5/minute", unless=lambda: True)), "RMP-404"),
        ((public, limit("1000000/second")), "RMP-404"),
        ((require(optional=True),), "RMP-404"),
        ((public, limit("5/minute")), None),
        ((public, limit("5/minute", unless="10.0.0.0/8")), None),
    ],
)
def test_a_limit_that_stops_nobody_is_none(place: Place, guards: tuple[Any, ...], id: str | None) -> None:
    app = place.app(**KEYS)
    add(app, "/login", *guards, validate(body=TEXT))
    assert [each for each in ids(app) if each in ("RMP-402", "RMP-404")] == ([id] if id else [])


def test_a_credential_that_may_be_left_out_is_said_to_be_optional(place: Place) -> None:
    app = place.app(**KEYS)
    add(app, "/cart", require(optional=True))
    assert rows(app)["POST /cart"].who == "OPTIONAL require(optional=True)"


def test_a_credential_that_may_be_left_out_closes_nothing(place: Place) -> None:
    app = place.app(**KEYS)
    add(app, "/cart", require(optional=True), validate(body=TEXT))
    add(app, "/shelf", require(optional=True), public, validate(body=TEXT), name="shelf")
    add(app, "/till", require(optional=True), require("jwt"), validate(body=TEXT), name="till")
    (finding,) = of(app, "RMP-401")
    assert finding.place.route == "POST /cart"


@pytest.mark.parametrize(
    "methods, found",
    [
        (("PURGE",), ["RMP-402"]),
        (("DELETE",), ["RMP-402"]),
        (("QUERY",), ["RMP-403"]),
        (("GET", "PROPFIND"), []),
        (("GET", "TRACE"), []),
        (("PATCH", "TRACE"), ["RMP-402", "RMP-403"]),
    ],
)
def test_a_method_that_is_not_known_to_be_safe_changes_something(
    place: Place, methods: tuple[str, ...], found: list[str]
) -> None:
    app = place.app(RAMPART_LIMITS=...)
    add(app, "/orders", public, methods=methods)
    assert [id for id in ids(app) if id[4] == "4"] == found
    assert not any("TRACE" in label for label in rows(app))


def test_a_limit_for_other_methods_than_those_that_change_something_is_none(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=...)
    add(app, "/orders", public, limit("5/minute", methods=["GET", "POST"]), methods=("POST", "PURGE"))
    add(app, "/login", public, limit("5/minute", methods=["POST"]), methods=("POST", "PUT"), name="login")
    found = [(finding.rule.id, finding.place.route) for finding in checked(app).findings]
    assert ("RMP-402", "POST,PURGE /orders") in found and ("RMP-404", "POST,PUT /login") in found


def test_routes_of_other_packages_are_asked_for_limits_and_shapes_too(place: Place) -> None:
    from click import echo  # a function of an installed package, as an extension's view is

    app = place.app(RAMPART_LIMITS=..., RAMPART_DEFAULT="open")
    app.add_url_rule("/admin", "admin.index", echo, methods=["POST"])
    app.add_url_rule("/admin/login", "admin.login", echo, methods=["POST"])
    found = {(finding.rule.id, str(finding.place.route)) for finding in checked(app).findings}
    assert {("RMP-402", "POST /admin"), ("RMP-403", "POST /admin"), ("RMP-404", "POST /admin/login")} <= found
    assert not any(id == "RMP-401" for id, _ in found)  # it is RMP-409 that tells of them


@pytest.mark.parametrize("path", ["/api/auth", "/v1/sessions", "/log_in", "/confirm-email", "/account/delete/password"])
def test_a_login_is_known_by_whole_words(place: Place, path: str) -> None:
    app = place.app(**KEYS, RAMPART_LIMITS=...)
    add(app, path, public, validate(body=TEXT), name="view")
    assert "RMP-404" in ids(app)


@pytest.mark.parametrize(
    "path",
    ["/v1/tokenize", "/v1/tokens/count", "/checkout/sessions", "/presets", "/cash-register", "/hotpot", "/dialog"],
)
def test_a_word_inside_another_is_no_login(place: Place, path: str) -> None:
    app = place.app(**KEYS, RAMPART_LIMITS=...)
    add(app, path, public, validate(body=TEXT), name="view")
    found = ids(app)
    assert "RMP-404" not in found and "RMP-402" in found


def test_a_partial_is_the_apps_own_and_head_and_options_of_a_view_are_told(place: Place) -> None:
    app = place.app(**KEYS, RAMPART_DEFAULT="open")
    app.add_url_rule("/partial", "partial", functools.partial(view))

    class Both(MethodView):
        @require("jwt")
        def get(self) -> str:
            return "x"

        def head(self) -> str:
            return ""

        def options(self) -> str:
            return "x"

    app.add_url_rule("/both", view_func=Both.as_view("both"))
    found = rows(app)
    assert found["GET /partial"].kind == "app" and found["GET /partial"].is_open
    assert found["GET /both"].who == "require('jwt')" and found["HEAD,OPTIONS /both"].is_open
