"""What Flask-Cors documents, written anew, on it and on our face of it; and what is the face's alone."""

from __future__ import annotations

import re
from datetime import timedelta
from types import ModuleType
from typing import Any

import flask_cors
import pytest
from flask import Blueprint, Flask, Response, abort

import flask_rampart.compat.cors as face

FACES = {"theirs": flask_cors, "ours": face}
ORIGIN = "Access-Control-Allow-Origin"
APP, OTHER = "https://app.example.com", "https://other.example.com"


@pytest.fixture(params=FACES)
def cors(request: pytest.FixtureRequest) -> ModuleType:
    """The extension that a test runs with."""
    return FACES[request.param]


def app_of(module: ModuleType, config: dict[str, Any] | None = None, **options: Any) -> Flask:
    app = Flask("faces")
    app.config.update(config or {})
    module.CORS(app, **options)
    for path in ("/", "/api/users", "/open"):
        app.add_url_rule(path, path, lambda: "hello", methods=["GET", "POST"])
    app.add_url_rule("/fails", "fails", lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def ask(app: Flask, path: str = "/", origin: str | None = APP, method: str = "GET", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers=sent | ({"Origin": origin} if origin else {})).headers


def preflight(app: Flask, path: str = "/", origin: str = APP, wanted: str = "POST", **headers: str) -> Any:
    return ask(app, path, origin, "OPTIONS", Access_Control_Request_Method=wanted, **headers)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(face, name) for name in flask_cors.__all__)
    assert face.core.DEFAULT_OPTIONS == flask_cors.core.DEFAULT_OPTIONS
    assert sorted(face.core.CONFIG_OPTIONS) == sorted(flask_cors.core.CONFIG_OPTIONS)


def test_every_page_may_read_by_default(cors: ModuleType) -> None:
    app = app_of(cors)
    for path in ("/", "/nowhere", "/fails"):
        assert ask(app, path)[ORIGIN] == APP
        assert ask(app, path).getlist("Vary") == ["Origin"]
        assert ask(app, path, None)[ORIGIN] == "*"
    assert ORIGIN not in ask(app_of(cors, always_send=False), origin=None)
    wild = ask(app_of(cors, send_wildcard=True))
    assert wild[ORIGIN] == "*" and "Vary" not in wild
    assert "Vary" not in ask(app_of(cors, vary_header=False))


def test_listed_origins_may_read_and_others_may_not(cors: ModuleType) -> None:
    app = app_of(cors, origins=[OTHER, APP])
    assert ask(app)[ORIGIN] == APP and ask(app)["Vary"] == "Origin"
    assert ask(app, origin="HTTPS://APP.example.com")[ORIGIN] == "HTTPS://APP.example.com"
    assert ORIGIN not in ask(app, origin="https://evil.example")
    assert ask(app, origin=None)[ORIGIN] == APP
    assert "Vary" not in ask(app_of(cors, origins=APP))


@pytest.mark.parametrize("origins", [r"https://.*\.example\.com", re.compile(r"https://[a-z]+\.example\.com")])
def test_origins_may_be_regular_expressions(cors: ModuleType, origins: Any) -> None:
    app = app_of(cors, origins=origins)
    assert ask(app)[ORIGIN] == APP and ask(app)["Vary"] == "Origin"
    assert ORIGIN not in ask(app, origin="https://evil.example")
    assert ORIGIN not in ask(app, origin=None)


def test_credentials_go_to_listed_origins(cors: ModuleType) -> None:
    app = app_of(cors, origins=[APP], supports_credentials=True, expose_headers=["X-B", "X-A"])
    assert ask(app)["Access-Control-Allow-Credentials"] == "true"
    assert ask(app)["Access-Control-Expose-Headers"] == "X-A, X-B"
    with pytest.raises(ValueError):
        app_of(cors, supports_credentials=True, send_wildcard=True)


def test_a_preflight_says_what_a_page_may_send(cors: ModuleType) -> None:
    app = app_of(cors, methods=["GET", "post"], allow_headers=["X-One", r"X-T\w+"], max_age=timedelta(minutes=10))
    headers = preflight(app, Access_Control_Request_Headers="x-one, X-Two, X-Other")
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert headers["Access-Control-Allow-Headers"] == "X-Two, x-one"
    assert headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Methods" not in preflight(app, wanted="PUT")
    assert "Access-Control-Allow-Methods" not in ask(app)
    headers = preflight(app_of(cors), wanted="delete", Access_Control_Request_Headers="X-Any")
    assert headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert headers["Access-Control-Allow-Headers"] == "X-Any"


def test_a_private_network_is_opened_where_it_is_said(cors: ModuleType) -> None:
    asks = {"Access_Control_Request_Private_Network": "true"}
    name = "Access-Control-Allow-Private-Network"
    assert preflight(app_of(cors, origins=[APP]), **asks)[name] == "false"
    assert preflight(app_of(cors, origins=[APP], allow_private_network=True), **asks)[name] == "true"
    assert name not in preflight(app_of(cors, origins=[APP], allow_private_network=True))


def test_resources_have_options_of_their_own_and_the_most_particular_counts(cors: ModuleType) -> None:
    app = app_of(
        cors,
        origins=[OTHER],
        resources={r"/api/*": {"origins": APP}, "/api/users": {"origins": "*", "send_wildcard": True}, "/open": {}},
    )
    assert ask(app, "/api/users")[ORIGIN] == "*"
    assert ask(app, "/api/nowhere")[ORIGIN] == APP
    assert ask(app, "/open", OTHER)[ORIGIN] == OTHER
    assert ORIGIN not in ask(app, "/")


@pytest.mark.parametrize("resources", ["/api/*", ["/open", r"/api/.*"], re.compile("/api"), "*", ["*"]])
def test_resources_may_be_one_pattern_or_a_list(resources: Any) -> None:
    found = [
        [ORIGIN in ask(app_of(module, resources=resources), path) for path in ("/", "/api/users", "/open")]
        for module in FACES.values()
    ]
    assert found[0] == found[1] and found[0][1]


def test_settings_hold_where_nothing_is_given(cors: ModuleType) -> None:
    config = {
        "CORS_ORIGINS": [APP],
        "CORS_SUPPORTS_CREDENTIALS": True,
        "CORS_EXPOSE_HEADERS": "X-A",
        "CORS_RESOURCES": ["/open"],
        "CORS_MAX_AGE": 60,
    }
    app = app_of(cors, config)
    assert ask(app, "/open")["Access-Control-Allow-Credentials"] == "true"
    assert preflight(app, "/open")["Access-Control-Max-Age"] == "60"
    assert ORIGIN not in ask(app, "/")
    assert ask(app_of(cors, config, origins=[OTHER]), "/open", OTHER)[ORIGIN] == OTHER


def test_a_blueprint_has_a_policy_of_its_own(cors: ModuleType) -> None:
    blueprint = Blueprint("shop", "shop", url_prefix="/shop")
    cors.CORS(blueprint, origins=[APP])
    blueprint.add_url_rule("/", "index", lambda: "shop")
    app = Flask("faces")
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "index", lambda: "hello")
    assert ask(app, "/shop/")[ORIGIN] == APP
    assert ORIGIN not in ask(app, "/")


def decorated(module: ModuleType, *, extension: bool = False, **options: Any) -> Flask:
    app = Flask("faces")
    if extension:
        module.CORS(app, origins=[OTHER])

    @app.route("/", methods=["GET", "POST"])
    @module.cross_origin(**options)
    def view() -> str:
        "A view."
        return "hello"

    assert (view.__name__, view.__doc__) == ("view", "A view.")
    return app


def test_a_view_has_a_policy_of_its_own(cors: ModuleType) -> None:
    app = decorated(cors, origins=[APP], extension=True)
    assert ask(app)[ORIGIN] == APP and ask(app).getlist(ORIGIN) == [APP]
    assert ORIGIN not in ask(app, origin=OTHER)
    headers = preflight(app, Access_Control_Request_Headers="X-Any")
    assert headers["Access-Control-Allow-Headers"] == "X-Any"
    assert "OPTIONS" in headers["Allow"] and "POST" in headers["Allow"]


def test_a_view_may_answer_options_itself(cors: ModuleType) -> None:
    app = Flask("faces")

    @app.route("/", methods=["GET", "OPTIONS"])
    @cors.cross_origin(automatic_options=False)
    def view() -> str:
        return "mine"

    assert app.test_client().options("/").text == "mine"


def test_a_view_takes_from_the_settings_what_it_leaves_out(cors: ModuleType) -> None:
    app = decorated(cors, supports_credentials=True)
    app.config["CORS_ORIGINS"] = [APP]
    assert ask(app)["Access-Control-Allow-Credentials"] == "true"
    assert ORIGIN not in ask(app, origin=OTHER)


def test_answers_to_errors_have_the_fields(cors: ModuleType) -> None:
    app = app_of(cors, origins=[APP])
    app.add_url_rule("/away", "away", lambda: abort(403))
    app.register_error_handler(403, lambda error: ("away", 403))
    assert ask(app, "/away").getlist(ORIGIN) == [APP]

    def fail(response: Response) -> Response:
        raise RuntimeError("the fields are not added after it")

    app = app_of(cors, origins=[APP])
    app.after_request(fail)
    found = app.test_client().get("/", headers={"Origin": APP})
    assert found.status_code == 500 and found.headers.getlist(ORIGIN) == [APP]


def test_an_extension_may_be_given_its_app_later(cors: ModuleType) -> None:
    app = Flask("later")
    cors.CORS(origins=[OTHER]).init_app(app, origins=[APP])
    assert ask(app, "/nowhere")[ORIGIN] == APP
