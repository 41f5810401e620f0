"""CORS: pages of listed origins may read answers, refusals too; nobody else may."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort
from flask.testing import FlaskClient
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from flask_rampart import EdgePolicy, Rampart, RampartMiddleware, cors, limit, public, require, validate

PAGE = "https://app.example.com"
STRANGER = "https://evil.test"
PREFLIGHT_VARY = {
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Private-Network",
}
MakeApp = Callable[..., Flask]


def preflight(
    client: Client, path: str, origin: str = PAGE, method: str = "GET", headers: str | None = None, **more: str
) -> TestResponse:
    """What a browser asks before a request that is not simple."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    if headers is not None:
        asked["Access-Control-Request-Headers"] = headers
    return client.options(path, headers=asked)


def granted(answer: TestResponse) -> bool:
    """Whether a browser would send the request."""
    return answer.status_code == 204 and answer.headers.get("Access-Control-Allow-Origin") in (PAGE, "*")


def said(answer: TestResponse) -> dict[str, list[str]]:
    """The CORS fields of an answer, every line."""
    names = {name.lower() for name, _ in answer.headers if name.lower().startswith("access-control-")}
    return {name: answer.headers.getlist(name) for name in sorted(names)}


def vary(answer: TestResponse) -> set[str]:
    return {name.strip() for line in answer.headers.getlist("Vary") for name in line.split(",")}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    app = make_app(RAMPART_CORS_ORIGINS=[PAGE, "https://*.example.org"], RAMPART_CORS_CREDENTIALS=True)

    @app.get("/items")
    def items() -> str:
        return "items"

    @app.put("/items/<int:item>")
    @require(scopes="write")
    def put(item: int) -> str:
        return "put"

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_an_app_without_origins_says_nothing_and_answers_options_by_itself(make_app: MakeApp) -> None:
    app = make_app()
    app.get("/")(lambda: "x")
    client = app.test_client()
    answer = preflight(client, "/")
    assert (answer.status_code, said(answer), vary(answer)) == (200, {}, set())
    assert answer.allow == {"GET", "HEAD", "OPTIONS"}
    answer = client.get("/", headers={"Origin": PAGE})
    assert (said(answer), vary(answer)) == ({}, set())


def test_a_preflight_is_granted_before_any_guard(client: FlaskClient) -> None:
    # flask-cors#42, #210: a preflight carries no credential.
    answer = preflight(client, "/items/1", method="PUT", headers="authorization,content-type")
    assert (answer.status_code, answer.data) == (204, b"")
    assert said(answer) == {
        "access-control-allow-credentials": ["true"],
        "access-control-allow-headers": ["Authorization, Content-Type"],
        "access-control-allow-methods": ["PUT"],
        "access-control-allow-origin": [PAGE],
        "access-control-max-age": ["600"],
    }
    assert vary(answer) == PREFLIGHT_VARY


@pytest.mark.parametrize("path", ["/items/1", "/items", "/nowhere"])
def test_a_preflight_of_a_stranger_is_refused_without_a_word_of_what_is_allowed(client: FlaskClient, path: str) -> None:
    answer = preflight(client, path, origin=STRANGER, method="PUT")
    assert answer.status_code == 403
    assert answer.get_json()["code"] == "cors.refused"
    assert (said(answer), vary(answer)) == ({}, PREFLIGHT_VARY)
    assert "evil" not in answer.text and "X-Rampart-CORS" not in answer.headers


def test_the_reason_of_a_refusal_is_the_same_for_whatever_was_wrong(client: FlaskClient) -> None:
    answers = {
        re.sub('"request_id":"[0-9a-f]+"', "", answer.text)
        for answer in (
            preflight(client, "/items", origin=STRANGER),
            preflight(client, "/items", method="TRACE"),
            preflight(client, "/items", headers="x-secret"),
            preflight(client, "/items", **{"Access-Control-Request-Private-Network": "true"}),
        )
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": PAGE}, {"Access-Control-Request-Method": "GET"}], ids=["origin", "method"]
)
def test_an_options_request_that_is_no_preflight_goes_on_to_the_app(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    answer = client.options("/items", headers=headers)
    assert (answer.status_code, answer.allow) == (200, {"GET", "HEAD", "OPTIONS"})


def test_an_answer_to_a_listed_page_says_so_and_what_it_may_read(client: FlaskClient) -> None:
    answer = client.get("/items", headers={"Origin": PAGE})
    assert answer.text == "items"
    assert said(answer) == {
        "access-control-allow-credentials": ["true"],
        "access-control-allow-origin": [PAGE],
        "access-control-expose-headers": ["RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"],
    }
    assert vary(answer) == {"Origin"}


@pytest.mark.parametrize("headers", [{}, {"Origin": STRANGER}, {"Origin": ""}], ids=["none", "stranger", "empty"])
def test_an_answer_to_anybody_else_says_that_it_depends_on_who_asks(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    # A cache that did not know would hand the answer for one to the other.
    answer = client.get("/items", headers=headers)
    assert (answer.status_code, said(answer), vary(answer)) == (200, {}, {"Origin"})


def test_a_page_can_read_every_refusal(make_app: MakeApp) -> None:
    # flask-cors#262, #264, #292, #297: a page sees "network error" where there was a 401, a 404 or a 429.
    app = make_app(
        RAMPART_CORS_ORIGINS=[PAGE], RAMPART_MAX_BODY=100, RAMPART_LIMITS="20/minute", PROPAGATE_EXCEPTIONS=False
    )

    @app.post("/guarded")
    @require(scopes="x")
    def guarded() -> str:
        return "x"

    @app.get("/limited")
    @limit("1/hour")
    def limited() -> str:
        return "x"

    @app.post("/checked")
    @validate(body={"type": "object"})
    def checked() -> str:
        return "x"

    @app.get("/aborts")
    def aborts() -> str:
        abort(409)

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError

    client = app.test_client()
    here = {"Origin": PAGE}
    client.get("/limited", headers=here)
    answers = {
        400: client.post("/checked", data="{", content_type="application/json", headers=here),
        401: client.post("/guarded", headers=here),
        404: client.get("/nowhere", headers=here),
        405: client.delete("/limited", headers=here),
        409: client.get("/aborts", headers=here),
        413: client.post("/checked", data="x" * 101, content_type="application/json", headers=here),
        414: client.get("/limited?" + "x" * 9000, headers=here),
        422: client.post("/checked", json=[], headers=here),
        429: client.get("/limited", headers=here),
        500: client.get("/fails", headers=here),
    }
    for status, answer in answers.items():
        assert (answer.status_code, answer.headers.getlist("Access-Control-Allow-Origin")) == (status, [PAGE])
        assert "Origin" in vary(answer)
    while client.get("/aborts", headers=here).status_code != 429:
        pass
    answer = client.get("/aborts", headers=here)  # the application's own limit, at the edge
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    # And a preflight is neither counted nor limited.
    assert preflight(client, "/checked", method="POST", headers="content-type").status_code == 204


def test_a_preflight_to_an_unknown_path_is_granted_so_that_the_page_sees_the_404(client: FlaskClient) -> None:
    assert granted(preflight(client, "/nowhere", method="DELETE", headers="authorization"))
    answer = client.delete("/nowhere", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, PAGE)
    assert granted(preflight(client, "/items", method="DELETE"))
    answer = client.delete("/items", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (405, PAGE)


@pytest.mark.parametrize(
    "asked", ["authorization", "content-type", "authorization,content-type", "Authorization ,\tContent-Type", ",", ""]
)
def test_header_fields_that_are_allowed_are_allowed_whatever_their_case_and_blanks(
    client: FlaskClient, asked: str
) -> None:
    assert granted(preflight(client, "/items", headers=asked))


@pytest.mark.parametrize(
    "asked",
    ["x-other", "authorization,x-other", "authorization x", "*", "authorization;x", "a" * 5000, "content-type\u00e9"],
    ids=["other", "one-of-two", "blank", "star", "semicolon", "long", "letter"],
)
def test_other_header_fields_are_not_allowed(client: FlaskClient, asked: str) -> None:
    assert preflight(client, "/items", headers=asked).status_code == 403


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "GET,PUT", "put", "PU T", "", "A" * 21, "PUT\u00e9"])
def test_a_method_that_no_page_can_mean_is_not_allowed(client: FlaskClient, method: str) -> None:
    assert preflight(client, "/items/1", method=method).status_code == 403


def test_listed_methods_are_allowed_beside_those_that_browsers_allow_anyway(make_app: MakeApp) -> None:
    client = make_app(RAMPART_CORS_ORIGINS=[PAGE], RAMPART_CORS_METHODS=["PUT"]).test_client()
    allowed = [
        m for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") if granted(preflight(client, "/", method=m))
    ]
    assert allowed == ["GET", "HEAD", "POST", "PUT"]


def test_every_origin_may_read_where_that_is_said_and_no_cache_need_tell_them_apart(make_app: MakeApp) -> None:
    app = make_app(
        RAMPART_CORS_ORIGINS="*", RAMPART_CORS_HEADERS=["*"], RAMPART_CORS_EXPOSE="*", RAMPART_CORS_MAX_AGE=0
    )
    app.get("/")(lambda: "x")
    client = app.test_client()
    for headers in ({"Origin": STRANGER}, {"Origin": "null"}, {}):
        answer = client.get("/", headers=headers)
        assert said(answer) == {"access-control-allow-origin": ["*"], "access-control-expose-headers": ["*"]}
        assert vary(answer) == set()
    answer = preflight(client, "/", origin=STRANGER, headers="x-any")
    assert said(answer) == {
        "access-control-allow-headers": ["*"],
        "access-control-allow-methods": ["GET"],
        "access-control-allow-origin": ["*"],
        "access-control-max-age": ["0"],
    }
    # Fetch: the star does not stand for Authorization.
    assert preflight(client, "/", headers="authorization").status_code == 403


def test_a_private_network_is_reached_only_where_that_is_said(make_app: MakeApp) -> None:
    # CVE-2024-6221: on by default.
    asks = {"Access-Control-Request-Private-Network": "true"}
    client = make_app(RAMPART_CORS_ORIGINS=[PAGE]).test_client()
    assert preflight(client, "/", **asks).status_code == 403
    client = make_app(RAMPART_CORS_ORIGINS=[PAGE], RAMPART_CORS_PRIVATE_NETWORK=True).test_client()
    answer = preflight(client, "/", **asks)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "Access-Control-Allow-Private-Network" not in preflight(client, "/").headers
    assert preflight(client, "/", origin=STRANGER, **asks).status_code == 403


def test_what_the_app_says_by_itself_gives_way_to_the_policy(make_app: MakeApp) -> None:
    app = make_app(RAMPART_CORS_ORIGINS=[PAGE])

    own = {"Access-Control-Allow-Origin": STRANGER, "access-control-allow-credentials": "true", "Vary": "Cookie"}
    app.get("/")(lambda: Response("x", headers=own))
    app.get("/none")(cors.none(lambda: Response("x", headers=own)))
    client = app.test_client()
    answer = client.get("/", headers={"Origin": PAGE})
    assert said(answer)["access-control-allow-origin"] == [PAGE]
    assert "access-control-allow-credentials" not in said(answer)
    assert vary(answer) == {"Cookie", "Origin"}
    assert said(client.get("/", headers={"Origin": STRANGER})) == {}
    # Where the policy is off, the view's word stands.
    assert said(client.get("/none", headers={"Origin": PAGE}))["access-control-allow-origin"] == [STRANGER]


def test_the_policy_nearest_to_the_view_holds(make_app: MakeApp) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_CORS_ORIGINS=["https://wide.example"], RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)

    @app.get("/app")
    def of_app() -> str:
        return "x"

    @outer.get("/outer")
    def of_outer() -> str:
        return "x"

    @inner.get("/inner")
    def of_inner() -> str:
        return "x"

    @inner.get("/view")
    @cors(origins=["https://view.example"])
    def of_view() -> str:
        return "x"

    @inner.get("/none")
    @cors.none
    def of_none() -> str:
        return "x"

    @cors(origins=["https://class.example"])
    class Both(MethodView):
        def get(self) -> str:
            return "x"

        @cors(origins=["https://method.example"], methods=["PUT"])
        def put(self) -> str:
            return "x"

    app.add_url_rule("/both", view_func=Both.as_view("both"))
    rampart.protect(outer, cors(origins=["https://outer.example"]))
    rampart.protect(inner, cors(origins=["https://inner.example"]))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    for path, method, name in (
        ("/app", "GET", "wide"),
        ("/nowhere", "GET", "wide"),
        ("/outer", "GET", "outer"),
        ("/inner", "GET", "inner"),
        ("/view", "GET", "view"),
        ("/view", "DELETE", "view"),
        ("/none", "GET", None),
        ("/both", "GET", "class"),
        ("/both", "PUT", "method"),
    ):
        for candidate in ("wide", "outer", "inner", "view", "class", "method"):
            page = f"https://{candidate}.example"
            is_meant = candidate == name
            asked = preflight(client, path, origin=page, method=method)
            assert asked.headers.get("Access-Control-Allow-Origin") == (page if is_meant else None), (path, page)
            answer = client.open(path, method=method, headers={"Origin": page})
            assert answer.headers.getlist("Access-Control-Allow-Origin") == ([page] if is_meant else []), (path, page)
        assert "Origin" in vary(client.get(path))
    # The two methods of one path differ, and this is neither: nobody's.
    assert said(preflight(client, "/both", origin="https://class.example", method="DELETE")) == {}


def test_a_policy_on_a_view_needs_none_of_the_app(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/open")
    @public
    @cors(origins=[PAGE])
    def view() -> str:
        return "x"

    app.get("/other")(lambda: "x")
    client = app.test_client()
    assert granted(preflight(client, "/open"))
    answer = preflight(client, "/other")
    assert (answer.status_code, said(answer)) == (200, {})
    assert client.get("/open", headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == PAGE
    assert said(client.get("/other", headers={"Origin": PAGE})) == {}


def test_cors_opens_no_view(make_app: MakeApp) -> None:
    app = make_app(RAMPART_DEFAULT="deny")

    @app.get("/")
    @cors(origins=[PAGE])
    def view() -> str:
        return "x"

    answer = app.test_client().get("/", headers={"Origin": PAGE})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "route.undeclared")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_two_policies_on_one_view_stop_the_app(make_app: MakeApp) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=True)

    @app.get("/")
    @cors(origins=[PAGE])
    @cors(origins=[STRANGER])
    def view() -> str:
        return "x"

    with pytest.raises(ValueError, match="@cors stands twice"):
        app.test_client().get("/")


def test_a_preflight_is_not_redirected_and_goes_by_where_the_path_leads(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/a/folder/")
    @cors(origins=[PAGE])
    def folder() -> str:
        return "x"

    client = app.test_client()
    assert granted(preflight(client, "/a/folder"))
    assert granted(preflight(client, "/a//folder/"))
    answer = client.get("/a/folder", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (308, PAGE)
    assert preflight(client, "/a/folder", origin=STRANGER).status_code == 403


def test_an_app_that_is_mounted_goes_by_its_own_paths(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/x/")
    @cors(origins=[PAGE])
    def view() -> str:
        return "x"

    client = Client(DispatcherMiddleware(lambda environ, start: [], {"/api": app.wsgi_app}))
    assert granted(preflight(client, "/api/x/"))
    assert granted(preflight(client, "/api/x"))
    assert not granted(preflight(client, "/api/y"))


def test_hosts_tell_views_apart_where_the_app_does(make_app: MakeApp) -> None:
    app = Flask(__name__, host_matching=True, static_host="static.example")
    app.config.update(RAMPART_ACCESS_LOG="off")
    Rampart(app)

    @app.get("/", host="a.example", endpoint="a")
    @cors(origins=[PAGE])
    def a() -> str:
        return "x"

    @app.get("/", host="b.example", endpoint="b")
    @cors(origins=["https://b-page.example"])
    def b() -> str:
        return "x"

    client = app.test_client()
    for _ in range(2):
        for host, page in (("a.example", PAGE), ("b.example", "https://b-page.example")):
            answers = {
                origin: preflight(client, "/", origin=origin, Host=host).status_code
                for origin in (PAGE, "https://b-page.example")
            }
            assert [origin for origin, status in answers.items() if status == 204] == [page]


def test_what_changes_the_path_behind_the_edge_does_not_lend_one_views_policy_to_another(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/open")
    @cors(origins="*")
    def opened() -> str:
        return "x"

    @app.get("/closed")
    @cors(origins=["https://inside.example"], credentials=True)
    def closed() -> str:
        return "x"

    edge: Any = app.wsgi_app
    inner = edge.app

    def rewrites(environ: dict[str, Any], start: Any) -> Any:
        environ["PATH_INFO"] = "/closed"
        return inner(environ, start)

    edge.app = rewrites
    client = app.test_client()
    assert said(client.get("/open", headers={"Origin": PAGE})) == {}
    answer = client.get("/open", headers={"Origin": "https://inside.example"})
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["https://inside.example"]
    assert answer.headers.getlist("Access-Control-Allow-Credentials") == ["true"]


def test_a_view_that_another_view_calls_has_no_word_in_its_answer(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/inner")
    @cors(origins="*")
    def inner() -> str:
        return "x"

    @app.get("/outer")
    @cors(origins=[PAGE])
    def outer() -> str:
        return inner()

    client = app.test_client()
    assert said(client.get("/outer", headers={"Origin": STRANGER})) == {}
    assert client.get("/outer", headers={"Origin": PAGE}).headers.getlist("Access-Control-Allow-Origin") == [PAGE]


def test_the_edge_alone_answers_for_any_wsgi_app() -> None:
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    config = {"RAMPART_CORS_ORIGINS": [PAGE], "RAMPART_ACCESS_LOG": "off"}
    client = Client(RampartMiddleware(app, EdgePolicy.of(config, name="cors")))
    assert granted(preflight(client, "/any", method="PUT"))
    assert preflight(client, "/any", origin=STRANGER).status_code == 403
    assert client.get("/", headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == PAGE


def test_an_async_view_has_a_policy_too(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/")
    @cors(origins=[PAGE])
    async def view() -> str:
        return "x"

    client = app.test_client()
    assert granted(preflight(client, "/"))
    assert client.get("/", headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == PAGE
