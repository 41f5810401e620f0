"""CORS: the edge finds the view that Flask will find, whatever is sent, and forgets what it may no longer know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, current_app
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter, Rule, ValidationError
from werkzeug.test import Client

from flask_rampart import Rampart, cors

from .test_origins_cors import PAGE, STRANGER, preflight, said
from .test_origins_cors_attacks import step_of

MakeApp = Callable[..., Flask]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


class Few(BaseConverter):
    """By its pattern alone."""

    regex = r"[a-c]{1,2}"


class Even(BaseConverter):
    """By what it makes of the text."""

    regex = r"\d+"

    def to_python(self, value: str) -> int:
        if int(value) % 2:
            raise ValidationError
        return int(value)


class Whole(BaseConverter):
    """With a slash in it."""

    regex = r"x/.*?"
    part_isolating = False


RULES: list[tuple[str, list[str], dict[str, Any]]] = [
    ("/", ["GET"], {}),
    ("/a", ["GET", "POST"], {}),
    ("/a/", ["PUT"], {}),
    ("/a/b/", ["GET"], {}),
    ("/a/<int:n>", ["GET"], {}),
    ("/a/<string:s>", ["DELETE"], {}),
    ("/a/<few:s>", ["GET", "PUT"], {}),
    ("/n/<int:n>", ["POST"], {}),
    ("/n/<whole:w>/z", ["GET"], {}),
    ("/p/<path:p>", ["GET"], {}),
    ("/p/<path:p>/end", ["GET", "PATCH"], {}),
    ("/m//two", ["GET"], {"merge_slashes": False}),
    ("/loose/", ["GET"], {"strict_slashes": False}),
    ("/old", ["GET"], {"redirect_to": "/a/b/"}),
    ("/far", ["GET"], {"redirect_to": "https://elsewhere.example/a"}),
    ("/built", ["GET"], {"build_only": True}),
    ("/ws", ["GET"], {"websocket": True}),
    ("/page/", ["GET"], {"defaults": {"n": 1}}),
    ("/caf\u00e9", ["GET"], {}),
    ("/any/<any(one,two):w>", ["GET"], {}),
    ("/u/<uuid:u>", ["GET"], {}),
]
HARDER: list[tuple[str, list[str], dict[str, Any]]] = [
    ("/a", ["GET"], {"subdomain": "api"}),
    ("/a", ["PUT"], {"subdomain": "<few:who>"}),
    ("/n/<even:n>", ["GET"], {}),
]

WORDS = (
    "a b A ab n m p x z old far built ws loose page any one end two u 1 2 03 -1 . .. %2F %61 + caf\u00e9 %C3%A9 ;v=1"
)
PIECES = st.sampled_from(["", "", *WORDS.split()])
PATHS = st.lists(PIECES, max_size=5).map(lambda pieces: "/" + "/".join(pieces))


def varied(make_app: MakeApp, *, harder: bool = False) -> Flask:
    """Each view lets in one origin of its own, so that an answer tells whose policy it is under."""
    app = Flask("varied", subdomain_matching=harder)
    app.config.update(RAMPART_CORS_ORIGINS=["https://app.example"], RAMPART_ACCESS_LOG="off", TESTING=True)
    if harder:
        app.config["SERVER_NAME"] = "example.com"
    Rampart(app)
    app.url_map.converters.update(few=Few, even=Even, whole=Whole)
    for number, (rule, methods, options) in enumerate(RULES + (HARDER if harder else [])):

        def view(**_: Any) -> str:
            return "x"

        guarded = cors(origins=[f"https://v{number}.example"])(view)
        app.add_url_rule(rule, f"v{number}", guarded, methods=methods, **options)
    return app


def agree(app: Flask, path: str, method: str, **environ: str) -> None:
    """What the edge found is the view that Flask finds, at once and from memory."""
    step = step_of(app)
    base = {"PATH_INFO": path.encode().decode("latin-1"), "HTTP_ORIGIN": PAGE, **environ}
    with app.test_request_context(path="/", method=method, environ_overrides=base) as context:
        request, sent = context.request, context.request.environ
        flasks = request.url_rule.endpoint if request.url_rule is not None else None
        failed = type(request.routing_exception).__name__ if request.routing_exception is not None else ""
    for _ in range(2):
        policy = step._routes.of(sent, method)
        found = None if policy is None or policy is step._policy else policy._origins
        if flasks is None:
            # Redirects and 405 are under the policy of other rules; what is nothing, under the app's.
            assert failed in ("RequestRedirect", "MethodNotAllowed") or policy is step._policy, (path, method, failed)
        else:
            assert found is not None and found.has(f"https://{flasks}.example"), (path, method, flasks)


@pytest.mark.filterwarnings("ignore:Current server name")
@pytest.mark.parametrize("harder", [False, True], ids=["remembered", "looked-up"])
def test_the_edge_finds_the_view_that_flask_finds(make_app: MakeApp, harder: bool) -> None:
    app = varied(make_app, harder=harder)
    Client(app).get("/", headers={"Origin": PAGE})
    assert step_of(app)._routes._remembers is not harder
    hosts = ["example.com", "api.example.com", "ab.example.com", "EXAMPLE.com", "example.com:80", "other.example"]

    @settings(max_examples=600, deadline=None)
    @given(
        path=PATHS,
        method=st.sampled_from(METHODS),
        host=st.sampled_from(hosts),
        scheme=st.sampled_from(["http", "https"]),
        root=st.sampled_from(["", "/mounted"]),
        upgrade=st.sampled_from([{}, {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "keep-alive, Upgrade"}]),
    )
    @example(path="/ws", method="GET", host="example.com", scheme="http", root="", upgrade={})
    @example(path="/n/x/y/z", method="GET", host="example.com", scheme="http", root="", upgrade={})
    @example(path="/a", method="GET", host="api.example.com", scheme="https", root="", upgrade={})
    def finds(path: str, method: str, host: str, scheme: str, root: str, upgrade: dict[str, str]) -> None:
        agree(app, path, method, HTTP_HOST=host, SCRIPT_NAME=root, **{"wsgi.url_scheme": scheme}, **upgrade)

    finds()


def closed_in_an_open_app(make_app: MakeApp) -> Flask:
    app = make_app(RAMPART_CORS_ORIGINS="*")

    @app.put("/closed")
    @cors.none
    def closed() -> str:
        return "x"

    return app


@pytest.mark.parametrize(
    "sent",
    [
        {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "upgrade"},
        {"HTTP_HOST": "a b"},
        {"HTTP_HOST": "evil.test"},
        {"SCRIPT_NAME": "/elsewhere"},
    ],
    ids=["websocket", "host", "other-host", "mounted"],
)
def test_no_request_of_a_stranger_decides_what_a_later_preflight_is_told(
    make_app: MakeApp, sent: dict[str, str]
) -> None:
    # What was found for a handshake, which has no view at this path, stood for the path: a cache that is poisoned.
    app = closed_in_an_open_app(make_app)
    client = Client(app)
    environ = {"HTTP_ORIGIN": STRANGER, **sent}
    client.open("/closed", method="PUT", environ_overrides=environ)
    client.open("/closed", method="OPTIONS", environ_overrides={**environ, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"})
    assert said(preflight(client, "/closed", origin=STRANGER, method="PUT")) == {}


def test_what_is_asked_for_all_the_time_is_not_driven_out_by_made_up_paths(make_app: MakeApp) -> None:
    app = closed_in_an_open_app(make_app)
    client = app.test_client()
    preflight(client, "/closed", method="PUT")
    routes = step_of(app)._routes
    matched: list[str] = []
    match = routes._match

    def counted(environ: dict[str, Any], method: str) -> Any:
        matched.append(environ["PATH_INFO"])
        return match(environ, method)

    routes._match = counted
    environ = {"HTTP_ORIGIN": STRANGER, "HTTP_HOST": "localhost"}
    for number in range(3000):
        routes.of({**environ, "PATH_INFO": f"/made-up-{number}"}, "GET")
        if number % 100 == 0:
            routes.of({**environ, "PATH_INFO": "/closed"}, "PUT")
    assert matched.count("/closed") == 0
    assert len(routes._known) + len(routes._older) <= 1024


def test_a_converter_that_wants_the_app_has_it(make_app: MakeApp) -> None:
    app = closed_in_an_open_app(make_app)

    class Tenant(BaseConverter):
        def to_python(self, value: str) -> str:
            if value not in current_app.config["TENANTS"]:
                raise ValidationError
            return value

    app.config["TENANTS"] = {"one"}
    app.url_map.converters["tenant"] = Tenant

    @app.put("/<tenant:name>/data")
    @cors(origins=[PAGE])
    def data(name: str) -> str:
        return name

    client = app.test_client()
    assert preflight(client, "/one/data", origin=STRANGER, method="PUT").status_code == 403
    assert preflight(client, "/two/data", origin=STRANGER, method="PUT").status_code == 204  # no view: a 404 to read
    # One more tenant, and what was found for the path is not remembered.
    app.config["TENANTS"].add("two")
    assert preflight(client, "/two/data", origin=STRANGER, method="PUT").status_code == 403


def test_what_cannot_be_told_is_under_no_policy(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = closed_in_an_open_app(make_app)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    class Fails(BaseConverter):
        def to_python(self, value: str) -> str:
            raise RuntimeError(value)

    app.url_map.converters["fails"] = Fails
    app.add_url_rule("/by/<fails:x>", "by", cors.none(lambda x: x), methods=["PUT"])
    client = app.test_client()
    for _ in range(2):
        answer = preflight(client, "/by/secret", origin=STRANGER, method="PUT")
        assert (said(answer), answer.status_code) == ({}, 500)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("CORS")]
    assert len(lines) == 1 and "RuntimeError" in lines[0] and "secret" not in lines[0]


def test_a_rule_without_methods_takes_the_policy_of_each_method(make_app: MakeApp) -> None:
    app = make_app()
    app.url_map.add(Rule("/any", endpoint="any"))

    from flask.views import MethodView

    class View(MethodView):
        def get(self) -> str:
            return "x"

        @cors(origins=[PAGE])
        def put(self) -> str:
            return "x"

    app.view_functions["any"] = View.as_view("any")
    client = app.test_client()
    assert preflight(client, "/any", method="PUT").headers.get("Access-Control-Allow-Origin") == PAGE
    assert said(preflight(client, "/any", method="GET")) == {}


def test_a_view_function_that_is_replaced_brings_its_own_policy(make_app: MakeApp) -> None:
    app = make_app()
    app.put("/a", endpoint="a")(lambda: "x")
    app.put("/b", endpoint="b")(lambda: "x")
    later = cors(origins=[PAGE])(lambda: "later")
    client = app.test_client()
    here = {"Origin": PAGE}
    assert said(client.put("/a", headers=here)) == {} == said(preflight(client, "/a", method="PUT"))
    app.view_functions["a"] = later
    preflight(client, "/a", method="PUT")
    assert preflight(client, "/a", method="PUT").status_code == 204
    assert client.put("/a", headers=here).headers["Access-Control-Allow-Origin"] == PAGE
    assert said(client.put("/b", headers=here)) == {}
    # And takes it away with it, at once.
    app.view_functions["a"] = lambda: "last"
    assert said(preflight(client, "/a", method="PUT")) == {}
    assert said(client.put("/a", headers=here)) == {}


def test_a_blueprint_that_is_protected_after_the_first_request_is_under_its_policy(make_app: MakeApp) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    blueprint = Blueprint("late", __name__)
    blueprint.get("/late")(lambda: "x")
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert said(preflight(client, "/late")) == {}
    rampart.protect(blueprint, cors(origins=[PAGE]))
    assert preflight(client, "/late").status_code == 204


def test_an_app_that_is_protected_after_a_preflight_is_under_its_policy(make_app: MakeApp) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_CORS_ORIGINS=["https://first.example"])
    rampart = Rampart(app)
    app.get("/")(lambda: "x")
    client = app.test_client()
    assert preflight(client, "/").status_code == 403
    rampart.protect(app, cors(origins=[PAGE]))
    assert preflight(client, "/").status_code == 204


def rewriting(app: Flask, change: dict[str, str]) -> Client:
    """Middleware between the edge and the app."""
    edge: Any = app.wsgi_app
    inner = edge.app

    def rewrites(environ: dict[str, Any], start: Any) -> Any:
        environ.update(change)
        return inner(environ, start)

    edge.app = rewrites
    return Client(app)


@pytest.mark.parametrize("change", [{"PATH_INFO": "/plain"}, {"REQUEST_METHOD": "DELETE"}], ids=["path", "method"])
def test_a_view_without_a_policy_is_lent_none_by_what_changes_the_request(
    make_app: MakeApp, change: dict[str, str]
) -> None:
    app = make_app()

    @app.post("/open")
    @cors(origins="*")
    def opened() -> str:
        return "open"

    app.delete("/open", endpoint="closed")(lambda: "closed")
    app.post("/plain")(lambda: "plain")
    client = rewriting(app, change)
    answer = client.post("/open", headers={"Origin": STRANGER})
    assert (answer.text in ("plain", "closed"), said(answer)) == (True, {})


def test_the_path_of_a_mounted_app_is_not_taken_for_one_that_begins_alike(make_app: MakeApp) -> None:
    app = make_app(RAMPART_CORS_ORIGINS=["https://first.example"])
    app.add_url_rule("/x", "x", cors(origins="*")(lambda: "x"), redirect_to="/apix/y")
    app.add_url_rule("/x/y", "y", cors(origins="*")(lambda: "y"))
    environ = {"SCRIPT_NAME": "/api"}
    answer = Client(app).get("/x", headers={"Origin": STRANGER}, environ_overrides=environ)
    assert (answer.status_code, str(answer.location)[-6:] == "apix/y", said(answer)) == (308, True, {})
