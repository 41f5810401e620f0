"""Beside flask-smorest and APIFlask: guards with their schemas, whose words a refusal has, two documents of one app.

Both read bodies by webargs and word all errors by one handler. The app is the one of each documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apiflask
import flask_smorest
import marshmallow
import pytest
from flask import Flask
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from flask_rampart import Denied, Rampart, headers, limit, public, redact, require, validate, validated

from .beside import PROBLEM, Secure, codes
from .beside import secure as secure
from .conftest import bearer


class Pet(marshmallow.Schema):
    name = marshmallow.fields.String(required=True, validate=marshmallow.validate.Length(max=20))
    mail = marshmallow.fields.String(validate=marshmallow.validate.Length(max=50))


SMOREST = {"API_TITLE": "Pets", "API_VERSION": "v1", "OPENAPI_VERSION": "3.0.2", "OPENAPI_URL_PREFIX": "/"}


def smorest(secure: Secure, **config: Any) -> tuple[Flask, Rampart]:
    app = Flask(__name__)
    rampart = secure(app, **SMOREST, RAMPART_DEFAULT="deny", **config)
    rampart.policy("pet.sell")(lambda principal: False)
    api = flask_smorest.Api(app)
    pets = flask_smorest.Blueprint("pets", "pets", url_prefix="/pets", description="Pets")

    @pets.route("/")
    class Pets(MethodView):
        @public
        @pets.response(200, Pet(many=True))
        def get(self) -> Any:
            return [{"name": "Max"}]

        @require(scopes="pets")
        @limit("3/minute")
        @pets.arguments(Pet)
        @pets.response(201, Pet)
        @redact()
        def post(self, given: Any) -> Any:
            return given

        @pets.arguments(Pet)
        @require()
        @validate(body=Pet)
        def put(self, given: Any) -> Any:
            assert validated.body == given
            return given

    @pets.route("/sell", methods=["POST"])
    @require()
    def sell() -> Any:
        rampart.authorize("pet.sell")

    api.register_blueprint(pets)
    return app, rampart


def flask_with_schemas(secure: Secure, **config: Any) -> tuple[Flask, Rampart]:
    app = apiflask.APIFlask(__name__, title="Pets")
    rampart = secure(app, RAMPART_DEFAULT="deny", **config)
    rampart.policy("pet.sell")(lambda principal: False)
    pets = apiflask.APIBlueprint("pets", __name__, url_prefix="/pets")

    @pets.get("/")
    @public
    @pets.output(Pet(many=True))
    def listed() -> Any:
        return [{"name": "Max"}]

    @pets.post("/")
    @require(scopes="pets")
    @limit("3/minute")
    @pets.input(Pet)
    @pets.output(Pet, status_code=201)
    @redact()
    def made(json_data: Any) -> Any:
        return json_data

    @pets.put("/")
    @pets.input(Pet)
    @require()
    @validate(body=Pet)
    def changed(json_data: Any) -> Any:
        assert validated.body == json_data
        return json_data

    @pets.post("/sell")
    @require()
    def sell() -> Any:
        rampart.authorize("pet.sell")

    app.register_blueprint(pets)
    return app, rampart


Made = Callable[..., "tuple[Flask, Rampart]"]


@pytest.fixture(params=[smorest, flask_with_schemas], ids=["smorest", "apiflask"])
def made(request: pytest.FixtureRequest) -> Made:
    function: Made = request.param
    return function


def test_guards_stand_above_and_below_the_schemas(made: Made, secure: Secure, token: Callable[..., str]) -> None:
    app, _ = made(secure)
    client, may = app.test_client(), bearer(token(scope="pets"))
    assert client.get("/pets/").json == [{"name": "Max"}]
    refused = client.post("/pets/", json={"name": "Ada"})
    assert (refused.status_code, refused.json["code"], refused.mimetype) == (401, "auth.missing", PROBLEM)
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    fine = client.post("/pets/", json={"name": "Ada", "mail": "ada@example.com"}, headers=may)
    assert (fine.status_code, fine.json["mail"]) == (201, "[REDACTED:EMAIL_ADDRESS]")
    assert client.post("/pets/", json={}, headers=may).status_code == 422
    over = client.post("/pets/", json={"name": "Ada"}, headers=may)
    assert (over.status_code, over.json["code"], over.headers["Retry-After"]) == (429, "limit.exceeded", "20")
    assert codes(
        client.put("/pets/", json={"name": "Ada"}, headers=may),
        client.put("/pets/", json={"name": "A" * 21}, headers=may),
        client.put("/pets/", json={"name": "Ada"}),
        client.post("/pets/sell", headers=may),
    ) == [200, "body.invalid", "auth.missing", "auth.policy"]


def test_their_own_errors_keep_their_words(made: Made, secure: Secure, token: Callable[..., str]) -> None:
    app, _ = made(secure)
    client = app.test_client()
    wrong = client.post("/pets/", json={}, headers=bearer(token(scope="pets")))
    assert "name" in str(wrong.json) and wrong.mimetype == "application/json"
    assert client.get("/nowhere").mimetype == "application/json"


def test_an_app_words_refusals_in_the_frameworks_way_by_a_handler_of_its_own(made: Made, secure: Secure) -> None:
    app, _ = made(secure)

    @app.errorhandler(Denied)
    def worded(denied: Denied) -> Any:
        return {"message": denied.description, "code": denied.problem.code}, denied.problem.status

    refused = app.test_client().post("/pets/", json={})
    assert refused.json == {"message": "This resource needs a credential.", "code": "auth.missing"}
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_handler_of_the_apps_for_all_errors_still_has_the_word(made: Made, secure: Secure) -> None:
    app, _ = made(secure)
    app.register_error_handler(HTTPException, lambda error: ({"mine": error.description}, error.code))
    assert app.test_client().post("/pets/", json={}).json == {"mine": "This resource needs a credential."}


def test_apiflasks_error_processor_words_refusals_too(secure: Secure) -> None:
    app, _ = flask_with_schemas(secure)

    @app.error_processor  # type: ignore[attr-defined]
    def worded(error: Any) -> Any:
        return {"mine": error.message}, error.status_code, error.headers

    refused = app.test_client().post("/pets/", json={})
    assert (refused.status_code, refused.json) == (401, {"mine": "Unauthorized"})
    assert refused.headers.getlist("WWW-Authenticate") == ['Bearer realm="api"']


def test_json_that_webargs_reads_by_itself_is_hardened_by_validate(
    made: Made, secure: Secure, token: Callable[..., str]
) -> None:
    app, _ = made(secure)
    client, may = app.test_client(), bearer(token(scope="pets"))
    twice = {"data": '{"name": "Ada", "name": "Bob"}', "content_type": "application/json", "headers": may}
    assert client.post("/pets/", **twice).json == {"name": "Bob"}
    assert client.put("/pets/", **twice).json["code"] == "json.duplicate_key"


def test_each_document_tells_what_its_own_decorators_say(made: Made, secure: Secure) -> None:
    app, rampart = made(secure)
    ours = rampart.openapi()["paths"]["/pets/"]["post"]
    assert {"401", "403", "429"} <= ours["responses"].keys() and ours["security"]
    rampart.serve_openapi("/ours.json")
    if isinstance(app, apiflask.APIFlask):
        public(app.view_functions["openapi.spec"])
        theirs = app.test_client().get("/openapi.json").json
    else:
        public(app.view_functions["api-docs.openapi_json"])
        theirs = app.test_client().get("/openapi.json").json
    assert "requestBody" in theirs["paths"]["/pets/"]["post"]
    assert app.test_client().get("/ours.json").json["openapi"].startswith("3.1")


def test_pages_of_apiflasks_documentation_need_a_policy_of_their_own(secure: Secure) -> None:
    app, _ = flask_with_schemas(secure)
    page = app.view_functions["openapi.docs"]
    assert app.test_client().get("/docs").json["code"] == "route.undeclared"
    public(
        headers(
            profile="html",
            csp={
                "default-src": "'none'",
                "script-src": "'unsafe-inline' https://cdn.jsdelivr.net",
                "style-src": "'unsafe-inline' https://cdn.jsdelivr.net",
                "img-src": "'self' data: https://cdn.jsdelivr.net",
                "connect-src": "'self'",
                "base-uri": "'none'",
                "frame-ancestors": "'none'",
            },
        )(page)
    )
    answer = app.test_client().get("/docs")
    assert answer.status_code == 200 and "cdn.jsdelivr.net" in answer.headers["Content-Security-Policy"]
