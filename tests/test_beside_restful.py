"""Beside Flask-RESTful and Flask-RESTX: guards on resources, wherever these take decorators, and whose words a refusal has.

Both wrap methods anew for each request (``method_decorators``) and word errors themselves (``Api.handle_error``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import flask_restful
import flask_restx
import pytest
from flask import Blueprint, Flask

from flask_rampart import (
    audit,
    csp_nonce,
    csrf,
    headers,
    limit,
    public,
    redact,
    require,
    signals,
    validate,
    validated,
)
from flask_rampart.coverage import coverage
from flask_rampart.declarations import epoch
from flask_rampart.guards import AppState

from .beside import PROBLEM, Secure
from .beside import secure as secure
from .conftest import bearer

BODY = {"type": "object", "required": ["task"], "properties": {"task": {"type": "string", "maxLength": 9}}}
Make = Callable[..., Flask]


@pytest.fixture(params=[flask_restful, flask_restx], ids=["restful", "restx"])
def rest(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def state_of(app: Flask) -> AppState:
    state: AppState = app.extensions["rampart"]
    return state


def todos(rest: ModuleType, app: Flask) -> Any:
    """The to-do list of both libraries' documentation, guarded."""
    api = rest.Api(app)
    kept = {"1": {"task": "build", "mail": "ada@example.com"}}

    class Todo(rest.Resource):  # type: ignore[name-defined, misc]
        method_decorators = [require(scopes="todo"), limit("4/minute", by="principal"), headers(x_frame_options="DENY")]  # noqa: RUF012

        @redact()
        def get(self, name: str) -> Any:
            return kept[name]

        @validate(body=BODY)
        @audit("todo.write")
        def put(self, name: str) -> Any:
            kept[name] = validated.body
            return kept[name], 201

    class Open(rest.Resource):  # type: ignore[name-defined, misc]
        @public
        def get(self) -> Any:
            return {"open": True}

    class Bare(rest.Resource):  # type: ignore[name-defined, misc]
        def get(self) -> Any:
            return {"bare": True}

    api.add_resource(Todo, "/todos/<string:name>")
    api.add_resource(Open, "/open")
    api.add_resource(Bare, "/bare")
    return api


def test_a_resource_is_guarded_and_its_refusals_are_ours(
    rest: ModuleType, make_app: Make, token: Callable[..., str], tmp_path: Path
) -> None:
    metrics = {"RAMPART_METRICS_PATH": "/metrics", "RAMPART_METRICS_TOKEN": "a-token-for-the-scraper"}
    app = make_app(RAMPART_DEFAULT="deny", RAMPART_AUDIT_LOG=str(tmp_path / "audit"), **metrics)
    todos(rest, app)
    client, may = app.test_client(), bearer(token(scope="todo"))
    refused = client.get("/todos/1")
    assert (refused.status_code, refused.json["code"], refused.mimetype) == (401, "auth.missing", PROBLEM)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/todos/1", headers=bearer(token())).json["code"] == "auth.scope"
    found = client.get("/todos/1", headers=may)
    assert found.json == {"task": "build", "mail": "[REDACTED:EMAIL_ADDRESS]"}
    assert found.headers["X-Frame-Options"] == "DENY"
    assert client.put("/todos/1", json={"task": 1}, headers=may).json["errors"][0]["pointer"] == "/task"
    assert client.put("/todos/1", json={"task": "rest"}, headers=may).status_code == 201
    over = client.get("/todos/1", headers=may)
    assert (over.status_code, over.json["code"], over.headers["Retry-After"]) == (429, "limit.exceeded", "15")
    assert client.get("/open").json == {"open": True}
    scraped = client.get("/metrics", headers=bearer("a-token-for-the-scraper")).text
    assert 'rampart_http_requests_total{route="/todos/<string:name>",method="GET",status="401"} 1' in scraped
    assert '"todo.write"' in "".join(path.read_text() for path in (tmp_path / "audit").glob("*.jsonl"))
    assert client.get("/bare").json["code"] == "route.undeclared"


def test_a_refusal_inside_the_method_keeps_code_status_and_fields(
    rest: ModuleType, secure: Secure, token: Callable[..., str]
) -> None:
    app = Flask(__name__)
    rampart = secure(app)
    rampart.policy("todo.read")(lambda principal, name: False)
    api = rest.Api(app)

    class Todo(rest.Resource):  # type: ignore[name-defined, misc]
        @require(optional=True)
        def get(self, name: str) -> Any:
            rampart.authorize("todo.read", name)

        @require()
        def post(self, name: str) -> Any:
            rampart.reserve("1/hour", cost=1)
            return {}

    api.add_resource(Todo, "/todos/<string:name>")
    client, may = app.test_client(), bearer(token())
    missing = client.get("/todos/1")
    assert (missing.status_code, missing.json["code"]) == (401, "auth.missing")
    assert missing.headers.getlist("WWW-Authenticate") == ['Bearer realm="api"']
    refused = client.get("/todos/1", headers=may)
    assert (refused.status_code, refused.json["code"], refused.json["detail"]) == (
        403,
        "auth.policy",
        "The caller may not do this.",
    )
    assert client.post("/todos/1", headers=may).status_code == 200
    over = client.post("/todos/1", headers=may)
    assert (over.status_code, over.json["code"], over.headers["Retry-After"]) == (429, "limit.exceeded", "3600")


def test_the_api_words_its_own_errors_as_before(rest: ModuleType, make_app: Make) -> None:
    app = make_app()
    api = rest.Api(app)

    class Todo(rest.Resource):  # type: ignore[name-defined, misc]
        def get(self) -> Any:
            rest.abort(409, message="taken")

    api.add_resource(Todo, "/todo")
    answer = app.test_client().get("/todo")
    assert (answer.status_code, answer.json["message"]) == (409, "taken")


def test_decorators_of_method_decorators_are_declared_once_and_not_by_each_request(
    rest: ModuleType, make_app: Make, token: Callable[..., str]
) -> None:
    app = make_app()

    class Todo(rest.Resource):  # type: ignore[name-defined, misc]
        init_every_request = False
        method_decorators = [csrf("strict"), headers(referrer_policy="origin"), require()]  # noqa: RUF012

        @limit("9/minute")
        def post(self) -> Any:
            return {}

    rest.Api(app).add_resource(Todo, "/todo")
    client = app.test_client()
    own = {**bearer(token()), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/todo", headers=own).headers["Referrer-Policy"] == "origin"
    before, plans = epoch(), len(state_of(app)._extra)
    for _ in range(3):
        assert client.post("/todo", headers=own).status_code == 200
    assert client.post("/todo", headers={"Sec-Fetch-Site": "cross-site"}).json["code"] == "auth.missing"
    assert (epoch(), len(state_of(app)._extra)) == (before, plans)


def test_decorators_of_an_api_guard_all_of_its_resources(rest: ModuleType, make_app: Make) -> None:
    app = make_app()
    blueprint = Blueprint("v1", __name__)
    api = rest.Api(blueprint, decorators=[require()])

    class Todo(rest.Resource):  # type: ignore[name-defined, misc]
        def get(self) -> Any:
            return {}

    api.add_resource(Todo, "/todo")
    app.register_blueprint(blueprint, url_prefix="/v1")
    refused = app.test_client().get("/v1/todo")
    assert (refused.status_code, refused.json["code"], refused.mimetype) == (401, "auth.missing", PROBLEM)


def test_routes_and_the_document_know_what_method_decorators_say(rest: ModuleType, secure: Secure) -> None:
    app = Flask(__name__)
    rampart = secure(app, RAMPART_DEFAULT="deny")
    todos(rest, app)
    told = {row.path: row for row in coverage(state_of(app)) if row.path.startswith("/todos") and "GET" in row.methods}
    assert told["/todos/<string:name>"].asks and "require(scopes='todo')" in told["/todos/<string:name>"].guards
    document = rampart.openapi(include=lambda rule, method: rule.rule.startswith("/todos"))
    operation = document["paths"]["/todos/{name}"]["put"]
    assert {"401", "403", "429", "422"} <= operation["responses"].keys() and operation["security"]


def test_restful_says_decorators_by_method_and_head_is_guarded_as_get(make_app: Make) -> None:
    app = make_app()

    class Todo(flask_restful.Resource):  # type: ignore[misc]
        method_decorators = {"get": [require()], "post": []}  # noqa: RUF012

        def get(self) -> Any:
            return {}

        def post(self) -> Any:
            return {}

    flask_restful.Api(app).add_resource(Todo, "/todo")
    client = app.test_client()
    assert client.get("/todo").status_code == client.head("/todo").status_code == 401
    assert client.post("/todo").status_code == 200


def test_restx_tells_sentry_and_its_kin_of_no_refusal_that_the_hook_gave(make_app: Make) -> None:
    from flask import got_request_exception

    app = make_app()
    todos(flask_restx, app)
    told: list[Any] = []
    refused: list[Any] = []

    def exception(sender: Flask, exception: BaseException, **_: Any) -> None:
        told.append(exception)

    def denied(sender: Flask, **facts: Any) -> None:
        refused.append(facts)

    with got_request_exception.connected_to(exception, app), signals.request_refused.connected_to(denied, app):
        assert app.test_client().get("/todos/1").status_code == 401
    assert told == [] and len(refused) == 1


def test_restx_swagger_page_runs_under_a_policy_with_nonces(secure: Secure) -> None:
    app = Flask(__name__)
    rampart = secure(app)
    api = flask_restx.Api(app, title="todos")
    rampart.protect(flask_restx.apidoc.apidoc, headers(profile="html"))

    @api.documentation  # type: ignore[untyped-decorator]
    @headers(
        profile="html",
        csp={
            "default-src": "'none'",
            "script-src": "'nonce' 'strict-dynamic'",
            "style-src": "'self' 'nonce'",
            "style-src-attr": "'unsafe-inline'",
            "font-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        },
    )
    def page() -> str:
        nonce = csp_nonce()
        text: str = flask_restx.apidoc.ui_for(api)
        return re.sub(r"<(script|style)\b", rf'<\1 nonce="{nonce}"', text)

    answer = app.test_client().get("/")
    nonce = re.search(r"script-src 'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
    assert nonce is not None
    tags = re.findall(r"<(?:script|style)\b[^>]*>", answer.text)
    assert len(tags) >= 3 and all(f'nonce="{nonce[1]}"' in tag for tag in tags)
    for path in re.findall(r'(?:src|href)="(/swaggerui/[^"]+)"', answer.text):
        asset = app.test_client().get(path)
        assert asset.status_code == 200
        asset.close()
    assert app.test_client().get("/swagger.json").json["info"]["title"] == "todos"
