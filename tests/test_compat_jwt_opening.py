"""What ``jwt_required`` of the face does not open under ``RAMPART_DEFAULT = "deny"``: whatever it is not asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import flask_cors
import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from werkzeug.routing import Rule

from flask_rampart import ConfigError, Rampart, public
from flask_rampart.cli import commands
from flask_rampart.compat import cors as cors_face
from flask_rampart.compat import jwt_extended as face
from flask_rampart.compat.jwt_extended import jwt_required

from .facing import SECRET, bearer, claims_of, token_of

GOOD = bearer(token_of(claims_of()))
PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}


def app_of(**config: Any) -> tuple[Flask, Rampart]:
    app = Flask("opening")
    app.config.update(JWT_SECRET_KEY=SECRET, RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.config.update({"RAMPART_DEFAULT": "deny", **config})
    rampart = Rampart(app)
    face.JWTManager(app)
    return app, rampart


def asked(app: Flask, method: str = "GET", path: str = "/", **given: Any) -> int:
    return app.test_client().open(path, method=method, **given).status_code


def secret() -> str:
    return "SECRET"


class Options(MethodView):
    decorators: ClassVar[list[Any]] = [jwt_required()]

    def get(self) -> str:
        return "in"

    def options(self) -> str:
        return "SECRET"


def routed(view: Any, **given: Any) -> Callable[[Flask], None]:
    return lambda app: app.add_url_rule("/", "view", view, **given)


def of_any_method(app: Flask) -> None:
    app.url_map.add(Rule("/", endpoint="view"))
    app.view_functions["view"] = jwt_required()(secret)


@pytest.mark.parametrize(
    "route",
    [
        routed(jwt_required()(secret), methods=["GET", "OPTIONS"]),
        routed(jwt_required(fresh=True)(secret), methods=["GET", "OPTIONS"]),
        routed(jwt_required()(secret), methods=["GET", "OPTIONS"], provide_automatic_options=False),
        routed(Options.as_view("view")),
        of_any_method,
    ],
    ids=["own", "fresh", "not automatic", "class", "any method"],
)
def test_a_view_that_answers_options_itself_is_not_opened_for_it(route: Callable[[Flask], None]) -> None:
    """It is not asked for OPTIONS, as in Flask-JWT-Extended."""
    app, _ = app_of()
    route(app)
    assert [asked(app, "OPTIONS"), asked(app, "OPTIONS", headers=GOOD), asked(app)] == [403, 403, 401]
    assert asked(app, "OPTIONS", headers=PREFLIGHT) == 403
    told = app.test_cli_runner().invoke(commands, ["routes", "--strict"]).output
    (of_options,) = [line for line in told.splitlines() if " / " in line and "OPTIONS" in line]
    assert "nothing declared: refused" in of_options and "jwt_required" not in of_options
    app, _ = app_of(RAMPART_DEFAULT="open")
    route(app)
    assert asked(app, "OPTIONS") == 200


def test_what_opens_a_view_for_all_methods_beside_it_does_so_for_options_too() -> None:
    app, _ = app_of()
    app.add_url_rule("/", "view", public(jwt_required()(secret)), methods=["GET", "OPTIONS"])
    assert [asked(app), asked(app, "OPTIONS")] == [401, 200]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("default", ["deny", "open"])
def test_on_a_blueprint_or_an_app_it_is_asked_for_options_too(whole: bool, default: str) -> None:
    app, rampart = app_of(RAMPART_DEFAULT=default)
    blueprint = Blueprint("b", __name__)
    rampart.protect(app if whole else blueprint, jwt_required())
    blueprint.add_url_rule("/", "view", secret, methods=["GET", "OPTIONS"])
    blueprint.add_url_rule("/plain", "plain", secret)
    app.register_blueprint(blueprint)
    assert [asked(app, method) for method in ("GET", "OPTIONS")] == [401, 401]
    assert asked(app, "OPTIONS", headers=PREFLIGHT) == 401
    assert [asked(app, method, headers=GOOD) for method in ("GET", "OPTIONS")] == [200, 200]
    # Flask's own answer shows nothing of the view.
    assert [asked(app, "OPTIONS", "/plain", headers=headers) for headers in ({}, PREFLIGHT)] == [200, 200]


def test_a_contract_that_demands_a_credential_for_options_is_not_met_by_it() -> None:
    app, rampart = app_of()
    operation = {"security": [{"token": []}], "responses": {"200": {"description": "in"}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/": {"options": operation}},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }
    rampart.contract(document, exclude=["static"])
    app.add_url_rule("/", "view", jwt_required()(secret), methods=["OPTIONS"])
    with app.test_request_context("/"), pytest.raises(ConfigError, match="demands a credential"):
        app.full_dispatch_request()


@pytest.mark.parametrize("cross_origin", [flask_cors.cross_origin, cors_face.cross_origin])
@pytest.mark.parametrize("around", [True, False])
def test_a_preflight_that_cross_origin_answers_in_the_place_of_the_view_is_answered(
    cross_origin: Any, around: bool
) -> None:
    app, rampart = app_of()
    blueprint = Blueprint("b", __name__)
    if around:
        rampart.protect(blueprint, jwt_required())
        view = cross_origin(origins=["https://app.example"])(secret)
    else:
        view = cross_origin(origins=["https://app.example"])(jwt_required()(secret))
    blueprint.add_url_rule("/", "view", view)
    app.register_blueprint(blueprint)
    answer = app.test_client().options("/", headers=PREFLIGHT)
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert [asked(app), asked(app, headers=GOOD)] == [401, 200]
    told = app.test_cli_runner().invoke(commands, ["routes"]).output
    assert not any("OPTIONS" in line for line in told.splitlines())


@pytest.mark.parametrize("cross_origin", [flask_cors.cross_origin, cors_face.cross_origin])
def test_cross_origin_answers_on_a_class_and_is_not_looked_at_on_its_method_of_options(cross_origin: Any) -> None:
    both = (cross_origin(), jwt_required())

    class Around(Options):
        decorators: ClassVar[list[Any]] = list(reversed(both))

    class Beside(MethodView):
        @jwt_required()
        def get(self) -> str:
            return "in"

        @both[0]  # type: ignore[untyped-decorator]
        @both[1]
        def options(self) -> str:
            return "SECRET"

    app, _ = app_of()
    app.add_url_rule("/", view_func=Around.as_view("around"))
    app.add_url_rule("/beside", view_func=Beside.as_view("beside"))
    assert [asked(app, "OPTIONS", path, headers=PREFLIGHT) for path in ("/", "/beside")] == [200, 403]
    assert [asked(app, path="/"), asked(app, path="/beside")] == [401, 401]


@pytest.mark.parametrize("cross_origin", [flask_cors.cross_origin, cors_face.cross_origin])
@pytest.mark.parametrize("setting", [True, False])
def test_one_that_leaves_options_to_the_view_opens_nothing(cross_origin: Any, setting: bool) -> None:
    app, _ = app_of(**({"CORS_AUTOMATIC_OPTIONS": False} if setting else {}))
    given = {} if setting else {"automatic_options": False}
    view = cross_origin(origins=["https://app.example"], **given)(jwt_required()(secret))
    app.add_url_rule("/", "view", view, methods=["GET", "OPTIONS"])
    assert [asked(app, "OPTIONS", headers=PREFLIGHT), asked(app)] == [403, 401]


def test_what_stands_above_cross_origin_may_answer_options_itself_and_opens_nothing() -> None:
    app, _ = app_of()
    inner = flask_cors.cross_origin()(jwt_required()(secret))

    def view() -> Any:
        return "SECRET"

    view.__dict__.update(vars(inner), __wrapped__=inner)
    app.add_url_rule("/", "view", view)
    assert asked(app, "OPTIONS") == 403
