"""``jwt_required`` of the face as a guard: what opens a view, what is asked where, and who knows of it."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask, g, jsonify, request
from flask.testing import FlaskClient
from flask.views import MethodView, View
from flask_caching import Cache
from flask_restful import Api, Resource
from werkzeug.exceptions import HTTPException

from flask_rampart import ConfigError, Rampart, limit, public, require, validate
from flask_rampart.cli import commands
from flask_rampart.compat import jwt_extended as face
from flask_rampart.compat.jwt_extended import jwt_required
from flask_rampart.declarations import epoch
from flask_rampart.guards import unseen

from .facing import SECRET, bearer, claims_of, token_of

GOOD = bearer(token_of(claims_of()))
REFRESH = bearer(token_of(claims_of(type="refresh")))
FRESH = bearer(token_of(claims_of(fresh=True)))


def app_of(*, rampart: bool = True, **config: Any) -> tuple[Flask, Rampart | None]:
    app = Flask("guarded")
    app.config.update(JWT_SECRET_KEY=SECRET, RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.config.update(RAMPART_DEFAULT="deny", **config)
    made = Rampart(app) if rampart else None
    face.JWTManager(app)
    return app, made


def status(client: FlaskClient, path: str = "/", **given: Any) -> int:
    return client.get(path, **given).status_code


def test_it_opens_its_view_under_deny_to_whom_it_admits() -> None:
    app, _ = app_of()
    app.add_url_rule("/", view_func=jwt_required()(lambda: face.get_jwt_identity()), endpoint="view")
    app.add_url_rule("/bare", view_func=lambda: "in", endpoint="bare")
    client = app.test_client()
    assert client.get("/", headers=GOOD).text == "ada"
    assert client.get("/").get_json() == {"msg": "Missing Authorization Header"}
    assert status(client, headers=REFRESH) == 422
    assert client.get("/bare", headers=GOOD).get_json()["code"] == "route.undeclared"


@pytest.mark.parametrize("rampart", [True, False])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"optional": True}, [200, 200, 422, 200]),
        ({"fresh": True}, [401, 401, 422, 200]),
        ({"refresh": True}, [401, 422, 200, 422]),
        ({"verify_type": False}, [401, 200, 200, 200]),
        ({"locations": "query_string"}, [401, 401, 401, 401]),
        ({"locations": ["cookies", "headers"]}, [401, 200, 422, 200]),
        ({"skip_revocation_check": True}, [401, 200, 422, 200]),
    ],
)
def test_what_it_is_given_holds_with_and_without_rampart(
    rampart: bool, given: dict[str, Any], expected: list[int]
) -> None:
    app, _ = app_of(rampart=rampart)
    app.add_url_rule("/", view_func=jwt_required(**given)(lambda: "in"))
    client = app.test_client()
    assert [status(client, headers=headers) for headers in ({}, GOOD, REFRESH, FRESH)] == expected
    positional = jwt_required(*({**face.view_decorators._DEFAULTS, **given}).values())
    assert repr(positional) == repr(jwt_required(**given)) != repr(jwt_required())


def test_it_is_asked_when_the_view_is_called_after_what_the_app_prepares() -> None:
    app, _ = app_of()
    app.extensions["flask-jwt-extended"].user_lookup_loader(lambda header, claims: g.people[claims["sub"]])

    @app.before_request
    def prepare() -> tuple[str, int] | None:
        g.people = {"ada": "Ada"}
        return ("down", 503) if request.args.get("down") else None

    app.add_url_rule("/", view_func=jwt_required()(lambda: face.get_current_user()))
    client = app.test_client()
    assert client.get("/", headers=GOOD).text == "Ada"
    assert client.get("/?down=1").text == "down"


@pytest.mark.parametrize("rampart", [True, False])
def test_methods_async_views_and_decorators_of_classes_are_guarded(rampart: bool) -> None:
    app, _ = app_of(rampart=rampart)

    async def later() -> str:
        return "in"

    class Things(MethodView):
        @jwt_required(fresh=True)
        def post(self) -> str:
            return "made"

        @jwt_required(optional=True)
        def get(self) -> str:
            return "read"

    class All(MethodView):
        decorators: ClassVar[list[Any]] = [jwt_required()]

        def get(self) -> str:
            return "all"

    app.add_url_rule("/later", view_func=jwt_required()(later))
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.add_url_rule("/all", view_func=All.as_view("all"))
    client = app.test_client()
    assert [status(client, path) for path in ("/later", "/things", "/all")] == [401, 200, 401]
    assert [status(client, path, headers=GOOD) for path in ("/later", "/things", "/all")] == [200, 200, 200]
    assert [client.post("/things", headers=headers).status_code for headers in (GOOD, FRESH)] == [401, 200]


def test_in_a_list_that_a_framework_puts_around_methods_it_is_asked_and_in_one_that_nobody_reads_it_opens_nothing() -> (
    None
):
    app, _ = app_of()

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def get(self) -> str:
            return "in"

    class Unread(MethodView):
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def get(self) -> str:
            return "in"

    Api(app).add_resource(Read, "/read")
    app.add_url_rule("/unread", view_func=Unread.as_view("unread"))
    client = app.test_client()
    assert [status(client, "/read"), status(client, "/read", headers=GOOD)] == [401, 200]
    assert client.get("/unread", headers=GOOD).get_json()["code"] == "route.undeclared"


def test_in_a_dict_by_method_it_opens_the_method_that_it_is_said_of_and_not_head() -> None:
    """Flask-RESTful answers HEAD by ``get``, and puts around it what the dict says of "head"."""
    app, _ = app_of()

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[dict[str, list[Any]]] = {"get": [jwt_required()]}

        def get(self) -> str:
            return "in"

    Api(app).add_resource(Read, "/")
    client = app.test_client()
    assert [client.get("/").status_code, client.head("/").status_code] == [401, 403]
    assert [client.get("/", headers=GOOD).status_code, client.head("/", headers=GOOD).status_code] == [200, 403]


def class_that_answers(kind: str) -> type[View]:
    """A class of views that says itself how it answers: nobody knows whether a guard within is asked."""

    class Base(MethodView):
        def dispatch_request(self, **given: Any) -> Any:
            return super().dispatch_request(**given)

    class InItsList(Base):
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def get(self) -> str:
            return "in"

    class Actions(MethodView):
        def dispatch_request(self, **given: Any) -> Any:
            return self.export()

        @jwt_required()
        def get(self) -> str:
            return "in"

        def export(self) -> str:
            return "in"

    class Plain(View):
        def dispatch_request(self) -> str:
            return "in"

        @jwt_required()
        def get(self) -> str:
            return "in"

    class Rest(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def dispatch_request(self, *args: Any, **given: Any) -> Any:
            return "in"

        def get(self) -> str:
            return "in"

    return {each.__name__: each for each in (InItsList, Actions, Plain, Rest)}[kind]


@pytest.mark.parametrize("kind", ["InItsList", "Actions", "Plain", "Rest"])
def test_a_class_that_says_itself_how_it_answers_is_not_opened_by_what_stands_on_its_methods(kind: str) -> None:
    app, _ = app_of()
    app.add_url_rule("/", view_func=class_that_answers(kind).as_view("view"))
    client = app.test_client()
    assert [status(client), status(client, headers=GOOD)] == [403, 403]


def test_a_guard_on_dispatch_request_itself_opens_the_class() -> None:
    app, _ = app_of()

    class Own(View):
        @jwt_required()
        def dispatch_request(self) -> str:
            return "in"

    app.add_url_rule("/", view_func=Own.as_view("view"))
    client = app.test_client()
    assert [status(client), status(client, headers=GOOD)] == [401, 200]


def test_a_copy_of_what_a_guarded_function_has_opens_no_other() -> None:
    app, _ = app_of()
    guarded = jwt_required()(lambda: "in")

    def other() -> str:
        return "in"

    other.__dict__.update({name: value for name, value in vars(guarded).items() if name != "__wrapped__"})
    app.add_url_rule("/", "view", other)
    client = app.test_client()
    assert [status(client), status(client, headers=GOOD)] == [403, 403]


def test_what_each_request_puts_it_around_has_nothing_planned_anew() -> None:
    app, _ = app_of()
    part = lambda: "in"  # noqa: E731 - a function that no decorator was written on
    app.add_url_rule("/", view_func=public(lambda: jwt_required()(part)()), endpoint="view")
    client = app.test_client()
    assert status(client, headers=GOOD) == 200
    before = epoch()
    assert [status(client), status(client, headers=GOOD)] == [401, 200]
    assert epoch() == before


def test_on_a_blueprint_it_is_asked_with_the_other_guards_and_admits_nobody_else() -> None:
    app, rampart = app_of()
    assert rampart is not None
    blueprint = Blueprint("b", __name__)
    rampart.protect(blueprint, jwt_required())
    blueprint.add_url_rule("/", view_func=limit("1/minute", by="principal")(lambda: "in"), endpoint="view")
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/").get_json() == {"msg": "Missing Authorization Header"}
    other = bearer(token_of(claims_of(sub="bob")))
    assert [status(client, headers=headers) for headers in (GOOD, other, GOOD)] == [200, 200, 429]


def test_a_view_that_calls_a_guarded_function_is_not_opened_by_it() -> None:
    app, _ = app_of()
    guarded = jwt_required()(lambda: "in")
    app.add_url_rule("/closed", view_func=lambda: guarded(), endpoint="closed")
    app.add_url_rule("/open", view_func=public(lambda: guarded()), endpoint="open")
    client = app.test_client()
    assert client.get("/closed", headers=GOOD).get_json()["code"] == "route.undeclared"
    assert [status(client, "/open"), status(client, "/open", headers=GOOD)] == [401, 200]


def test_above_the_route_it_opens_nothing_and_is_reported() -> None:
    app, _ = app_of()

    @jwt_required()
    @app.get("/")
    def view() -> str:
        return "in"

    assert app.test_client().get("/", headers=GOOD).get_json()["code"] == "route.undeclared"
    (told,) = unseen(app)
    assert "view: a guard stands above the route" in told and "Put the route on top" in told
    app.view_functions["view"] = view
    assert unseen(app) == [] and status(app.test_client(), headers=GOOD) == 200


def test_guards_of_ours_above_and_below_it_are_asked_too() -> None:
    app, _ = app_of(RAMPART_JWT_KEYS=[{"alg": "HS256", "secret": SECRET}])
    app.add_url_rule("/above", view_func=require()(jwt_required()(lambda: "in")), endpoint="above")
    app.add_url_rule("/below", view_func=jwt_required()(require()(lambda: "in")), endpoint="below")
    app.add_url_rule("/few", view_func=jwt_required()(limit("2/minute")(lambda: "in")), endpoint="few")
    client = app.test_client()
    assert [status(client, path, headers=GOOD) for path in ("/above", "/below")] == [200, 200]
    # Ours asks in any case before the view is called.
    assert [client.get(path).get_json()["code"] for path in ("/above", "/below")] == ["auth.missing"] * 2
    assert [status(client, path, headers=REFRESH) for path in ("/above", "/below")] == [422, 422]
    assert [status(client, "/few", headers=GOOD) for _ in range(3)] == [200, 200, 429]


def test_without_parentheses_or_on_a_class_it_says_what_to_write() -> None:
    with pytest.raises(ConfigError, match="with parentheses"):
        jwt_required(lambda: "in")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="decorators = "):

        @jwt_required()
        class Things(MethodView):
            pass


def test_a_contract_that_demands_a_credential_is_met_by_it() -> None:
    for guard, is_met in ((jwt_required(), True), (jwt_required(optional=True), False)):
        app, rampart = app_of()
        assert rampart is not None
        responses = {"responses": {"200": {"description": "in"}}}
        schemes = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        document = {
            "openapi": "3.1.0",
            "info": {"title": "t", "version": "1"},
            "paths": {"/": {"get": {"security": [{"token": []}], **responses}}},
            "components": schemes,
        }
        rampart.contract(document, exclude=["static"])
        app.add_url_rule("/", view_func=guard(lambda: "in"))
        if is_met:
            assert status(app.test_client(), headers=GOOD) == 200
        else:
            with app.test_request_context("/"), pytest.raises(ConfigError, match="demands a credential"):
                app.full_dispatch_request()


def test_what_is_checked_before_it_asks_is_open_to_anybody(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    unbounded = validate(body={"type": "object", "properties": {"name": {"type": "string"}}})
    app.add_url_rule("/", view_func=jwt_required()(unbounded(lambda: "in")), methods=["POST"])
    app.test_client().post("/", json={})
    assert "open to anybody" in caplog.text


def test_a_cache_above_it_is_told_and_one_below_it_is_not(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    keyed = cache.cached(make_cache_key=lambda *args, **kwargs: "key")

    class Things(MethodView):
        @keyed
        @jwt_required()
        def get(self) -> str:
            return "in"

    app.add_url_rule("/above", view_func=keyed(jwt_required()(lambda: "in")), endpoint="above")
    app.add_url_rule("/below", view_func=jwt_required()(keyed(lambda: "in")), endpoint="below")
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.add_url_rule("/open", view_func=public(keyed(lambda: "in")), endpoint="open")
    app.test_client().get("/open")
    told = [record.getMessage() for record in caplog.records if "Flask-Caching" in record.getMessage()]
    assert [message.partition(" ")[0] for message in told] == ["/above", "/things"]
    assert all("nobody is asked" in message for message in told)


def test_what_remembers_answers_above_it_is_told_and_what_wears_the_name_of_such_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, _ = app_of()

    def kept(view: Any) -> Any:
        """A cache that is a function, as those of cachetools are."""
        wrapped = functools.wraps(view)(lambda: view())
        wrapped.cache_info = lambda: None  # type: ignore[attr-defined]
        return wrapped

    class Things(MethodView):
        @functools.cache  # noqa: B019 - its instances are not many here
        @jwt_required()
        def get(self) -> str:
            return "in"

    passing = lambda view: functools.wraps(view)(lambda: view())  # noqa: E731
    app.add_url_rule("/function", view_func=kept(jwt_required()(lambda: "in")), endpoint="function")
    app.add_url_rule("/lru", view_func=functools.lru_cache(jwt_required()(lambda: "in")), endpoint="lru")
    app.add_url_rule("/method", view_func=Things.as_view("method"))
    app.add_url_rule("/below", view_func=passing(jwt_required()(kept(lambda: "in"))), endpoint="below")
    app.add_url_rule("/under", view_func=jwt_required()(functools.cache(lambda: "in")), endpoint="under")
    app.add_url_rule("/open", view_func=public(functools.cache(lambda: "in")), endpoint="open")
    app.test_client().get("/open")
    told = [record.getMessage() for record in caplog.records if "lru_cache" in record.getMessage()]
    assert [message.partition(" ")[0] for message in told] == ["/function", "/lru", "/method"]


def test_the_routes_show_it() -> None:
    app, _ = app_of()
    app.add_url_rule("/", view_func=jwt_required(refresh=True)(lambda: "in"))
    app.add_url_rule("/maybe", view_func=jwt_required(optional=True)(lambda: "in"), endpoint="maybe")
    result = app.test_cli_runner().invoke(commands, ["routes", "--strict"])
    assert "jwt_required(refresh=True)" in result.output and "jwt_required(optional=True)" in result.output
    assert "nothing declared" not in "\n".join(line for line in result.output.splitlines() if "/static" not in line)


def test_its_exceptions_leave_the_hook_as_they_are() -> None:
    app, rampart = app_of()
    assert rampart is not None
    rampart.protect(app, jwt_required())
    app.add_url_rule("/", view_func=lambda: jsonify(face.get_jwt()["sub"]), endpoint="view")
    caught: list[HTTPException] = []

    @app.errorhandler(face.exceptions.FreshTokenRequired)
    def stale(error: HTTPException) -> tuple[str, int]:
        caught.append(error)
        return "mine", 418

    app.add_url_rule("/fresh", view_func=jwt_required(fresh=True)(lambda: "in"), endpoint="fresh")
    client = app.test_client()
    assert client.get("/", headers=GOOD).get_json() == "ada"
    assert [status(client), status(client, "/fresh", headers=GOOD), len(caught)] == [401, 418, 1]
    expired = bearer(token_of(claims_of(exp=1)))
    assert client.get("/", headers=expired).get_json() == {"msg": "Token has expired"}
