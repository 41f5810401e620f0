"""What Flask-Limiter's documentation shows, written anew: each app runs on it and on our face of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, g, jsonify, make_response, request
from flask.views import MethodView, View

from flask_rampart import Clock

from .facing import LIMITER_FACES, limiter_app, standing_clock


@pytest.fixture(params=LIMITER_FACES, ids=str)
def face(request: pytest.FixtureRequest) -> ModuleType:
    """The incumbent, then ours."""
    return LIMITER_FACES[request.param]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return standing_clock(monkeypatch)


def statuses(app: Flask, *paths: str, count: int = 1, **how: Any) -> list[int]:
    client = app.test_client()
    return [client.open(path, **how).status_code for path in paths for _ in range(count)]


def named(name: str) -> Callable[[], str]:
    """A view of its own name: Flask-Limiter tells functions apart by that."""

    def view() -> str:
        return "in"

    view.__name__ = view.__qualname__ = name
    return view


def test_the_names_arguments_and_settings_are_theirs() -> None:

    theirs, ours = LIMITER_FACES["theirs"], LIMITER_FACES["ours"]
    for name in theirs.__all__:
        assert hasattr(ours, name), name
    for kind, names in {
        "Limiter": ("__init__", "init_app", "limit", "shared_limit", "exempt", "request_filter", "reset"),
        "Limit": ("__init__",),
        "RouteLimit": ("__init__",),
        "ApplicationLimit": ("__init__",),
        "MetaLimit": ("__init__",),
        "RateLimitExceeded": ("__init__",),
    }.items():
        for name in names:
            given, own = (
                [
                    (p.name, p.kind, None if name == "exempt" else p.default)
                    for p in inspect.signature(getattr(getattr(module, kind), name)).parameters.values()
                    if p.name != "clock"
                ]
                for module in (theirs, ours)
            )
            assert given == own, (kind, name)
    for name in ("limit", "key", "breached", "shared", "remaining", "reset_at", "window", "request_args"):
        assert hasattr(ours.RequestLimit, name) or name == "breached", name
    keys = {name: value for name, value in vars(theirs.constants.ConfigVars).items() if name.isupper()}
    assert keys == {name: value for name, value in vars(ours.constants.ConfigVars).items() if name.isupper()}
    for kind in ("HeaderNames", "ExemptionScope"):
        assert {one.name: one.value for one in getattr(theirs, kind)} == {
            one.name: one.value for one in getattr(ours, kind)
        }


def test_limits_are_read_as_theirs() -> None:
    from limits import parse_many as theirs

    from flask_rampart.compat.limiter.items import parse_many as ours

    for text in (
        "1/second",
        "1 per second",
        "10 PER 2 Hours",
        "100/day, 500/7days",
        "5/5minute;10/hour|20/month",
        " 3  /  2  years ",
        "7 per10 minutes",
        "4/0 minute",
    ):
        given, own = theirs(text), ours(text)
        assert [str(item) for item in given] == [str(item) for item in own], text
        assert [item.get_expiry() for item in given] == [item.get_expiry() for item in own]
        assert [item.key_for("a", "b") for item in given] == [item.key_for("a", "b") for item in own]
        assert [item.amount for item in sorted(given)] == [item.amount for item in sorted(own)]
    for text in (
        "",
        "5",
        "5/",
        "5 minutes",
        "x/minute",
        "5/fortnight",
        "5/minute;",
        "5/minute 3",
        "-1/minute",
        "1.5/day",
    ):
        for read in (theirs, ours):
            with pytest.raises(ValueError, match=r"."):
                read(text)


def test_defaults_hold_for_views_without_limits_of_their_own(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["3 per day", "2 per hour"])

    @app.get("/slow")
    @limiter.limit("1 per day")
    def slow() -> str:
        return "24"

    @app.get("/medium")
    @limiter.limit("1/second", override_defaults=False)
    def medium() -> str:
        return ":|"

    @app.get("/fast")
    def fast() -> str:
        return "42"

    @app.get("/ping")
    @limiter.exempt
    def ping() -> str:
        return "PONG"

    assert statuses(app, "/slow", count=2) == [200, 429]
    assert statuses(app, "/medium", count=2) == [200, 429]
    clock.advance(1)
    assert statuses(app, "/medium", count=1) == [200]
    assert statuses(app, "/fast", count=3) == [200, 200, 429]
    assert statuses(app, "/ping", count=5) == [200] * 5
    clock.advance(3600)
    assert statuses(app, "/fast", count=2) == [200, 429]
    clock.advance(86400)
    assert statuses(app, "/fast", "/slow") == [200, 200]


def test_a_refusal_is_a_429_that_says_which(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)

    @app.get("/")
    @limiter.limit("1 per day", error_message="chill!")
    def index() -> str:
        return "in"

    @app.errorhandler(429)
    def refused(error: Any) -> Response:
        assert isinstance(error, face.RateLimitExceeded)
        return make_response(jsonify(error=f"exceeded {error.description}", limit=str(error.limit.limit)), 429)

    app.test_client().get("/")
    answer = app.test_client().get("/")
    assert answer.status_code == 429
    assert answer.get_json() == {"error": "exceeded chill!", "limit": "1 per 1 day"}


def test_limits_are_by_a_function_of_the_app(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, lambda: request.headers.get("X-User", "guest"))
    app.add_url_rule("/a", "a", limiter.limit("1/day")(named("a")))
    app.add_url_rule("/b", "b", limiter.limit("1/day", key_func=lambda: "all")(named("b")))
    for path, second in (("/a", 200), ("/b", 429)):
        found = [statuses(app, path, headers={"X-User": user})[0] for user in ("ada", "bob")]
        assert found == [200, second]


def test_a_function_says_the_limit(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["3/day"])

    def quota() -> str:
        return {"gold": "2/day", "none": ""}.get(request.headers["X-Plan"], "1/day")

    @app.get("/")
    @limiter.limit(quota)
    def index() -> str:
        return "in"

    assert statuses(app, "/", count=3, headers={"X-Plan": "gold"}) == [200, 200, 429]
    assert statuses(app, "/", count=2, headers={"X-Plan": "tin"}) == [200, 429]
    # An empty text is no limit, so the defaults hold.
    assert statuses(app, "/", count=4, headers={"X-Plan": "none"}) == [200, 200, 200, 429]


def test_views_share_a_limit(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)
    shared = limiter.shared_limit("2/hour", scope="mysql")
    by_host = limiter.shared_limit("1/hour", scope=lambda endpoint: request.host)
    for name, decorate in (("a", shared), ("b", shared), ("c", by_host), ("d", by_host)):
        app.add_url_rule(f"/{name}", name, decorate(named(name)))
    assert statuses(app, "/a", "/b", "/a", "/b") == [200, 200, 429, 429]
    assert statuses(app, "/c", "/d") == [200, 429]
    assert statuses(app, "/d", base_url="http://other.test") == [200]


def test_classes_of_views_are_limited(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["4/day"])

    class Whole(MethodView):
        decorators = [limiter.limit("1/day", per_method=True)]  # noqa: RUF012 - as Flask's users write it

        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    class Plain(View):
        def dispatch_request(self) -> str:
            return "in"

    class Parts(MethodView):
        @limiter.limit("1/day")
        def get(self) -> str:
            return "get"

    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    app.add_url_rule("/parts", view_func=Parts.as_view("parts"))
    assert statuses(app, "/whole", count=2) == [200, 429]
    assert statuses(app, "/whole", count=2, method="POST") == [200, 429]
    assert statuses(app, "/plain", count=5) == [200] * 4 + [429]
    assert statuses(app, "/parts", count=2) == [200, 429]


def test_async_views_are_limited(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)

    @app.get("/")
    @limiter.limit("1/day")
    async def index() -> str:
        return "in"

    assert statuses(app, "/", count=2) == [200, 429]


def test_blueprints_are_limited_and_exempt(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["1/day"], application_limits=["8/day"])
    login, docs, plain = (Blueprint(name, name, url_prefix=f"/{name}") for name in ("login", "docs", "plain"))
    for blueprint in (login, docs, plain):
        blueprint.add_url_rule("/", "index", lambda: "in")
    limiter.limit("2/hour")(login)
    limiter.exempt(docs)
    for blueprint in (login, docs, plain):
        app.register_blueprint(blueprint)
    assert statuses(app, "/login/", count=3) == [200, 200, 429]
    assert statuses(app, "/docs/", count=12) == [200] * 12
    assert statuses(app, "/plain/", count=2) == [200, 429]


def test_nested_blueprints_inherit(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["9/day"])
    scope = face.ExemptionScope
    parent = Blueprint("parent", "p", url_prefix="/p")
    children = {name: Blueprint(name, name, url_prefix=f"/{name}") for name in ("heir", "own", "free")}
    limiter.limit("2/day")(parent)
    limiter.limit("1/day")(children["own"])
    limiter.exempt(children["free"], flags=scope.DEFAULT | scope.ANCESTORS)
    for child in children.values():
        child.add_url_rule("/", "index", lambda: "in")
        parent.register_blueprint(child)
    app.register_blueprint(parent)
    assert statuses(app, "/p/heir/", count=3) == [200, 200, 429]
    assert statuses(app, "/p/own/", count=2) == [200, 429]
    assert statuses(app, "/p/free/", count=11) == [200] * 11


def test_a_part_of_a_view_is_limited(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)

    @app.get("/")
    def index() -> str:
        try:
            with limiter.limit("1/day"):
                return "dear"
        except face.RateLimitExceeded as error:
            assert limiter.current_limit.breached
            return f"cheap: {error.description}"

    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["dear", "cheap: 1 per 1 day"]


def test_what_need_not_be_limited_is_not(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(
        face, clock, default_limits=["1/day"], default_limits_exempt_when=lambda: "X-Staff" in request.headers
    )

    @limiter.request_filter
    def is_inside() -> bool:
        return request.remote_addr == "127.0.0.9"

    app.add_url_rule("/", "index", named("index"))
    app.add_url_rule(
        "/own", "own", limiter.limit("1/day", exempt_when=lambda: "X-Staff" in request.headers)(named("own"))
    )
    for path in ("/", "/own"):
        assert statuses(app, path, count=2, headers={"X-Staff": "1"}) == [200, 200]
        assert statuses(app, path, count=2, environ_base={"REMOTE_ADDR": "127.0.0.9"}) == [200, 200]
        assert statuses(app, path, count=2) == [200, 429]


def test_requests_have_a_cost(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)
    app.add_url_rule("/", "index", limiter.limit("10/day", cost=lambda: int(request.args["n"]))(lambda: "in"))
    assert statuses(app, "/?n=4", "/?n=5", "/?n=1", "/?n=1") == [200, 200, 200, 429]


def test_the_answer_decides_whether_it_counts(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, headers_enabled=True)

    def failed(response: Response) -> bool:
        return response.status_code == 401

    app.add_url_rule("/", "index", limiter.limit("2/day", deduct_when=failed)(lambda: ("in", int(request.args["s"]))))
    assert statuses(app, "/?s=200", count=3) == [200] * 3
    answers = [app.test_client().get("/?s=401") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]


def test_headers_tell_of_the_limit(face: ModuleType, clock: Clock) -> None:
    names = {face.HeaderNames.LIMIT: "X-Most", face.HeaderNames.RESET: "X-Over"}
    for arguments in (
        {"headers_enabled": True, "header_name_mapping": names},
        {"RATELIMIT_HEADERS_ENABLED": True, "RATELIMIT_HEADER_LIMIT": "X-Most", "RATELIMIT_HEADER_RESET": "X-Over"},
    ):
        app, _limiter = limiter_app(face, clock, default_limits=["2/minute", "9/hour"], **arguments)

        @app.get("/")
        def index() -> Response:
            return make_response("in", 200, {"Retry-After": request.args.get("after", "1")})

        found = [app.test_client().get("/").headers for _ in range(3)]
        assert [headers["X-RateLimit-Remaining"] for headers in found] == ["1", "0", "0"]
        for headers in found:
            assert headers["X-Most"] == "2"
            assert int(headers["X-Over"]) == clock.now() + 61 and headers["Retry-After"] == "61"
        clock.advance(60)
        assert app.test_client().get("/?after=120").headers["Retry-After"] == "120"
        clock.advance(86340)


def test_retry_after_may_be_a_date(face: ModuleType, clock: Clock) -> None:
    app, _ = limiter_app(face, clock, default_limits=["2/minute"], headers_enabled=True, retry_after="http-date")
    app.add_url_rule("/", "index", lambda: "in")
    assert app.test_client().get("/").headers["Retry-After"] == "Fri, 01 Jan 2027 00:01:01 GMT"


def test_callbacks_hear_of_refusals_and_may_answer(face: ModuleType, clock: Clock) -> None:
    heard: list[Any] = []

    def hear(limit: Any) -> Response:
        heard.append((str(limit.limit), limit.key, limit.breached, limit.remaining))
        return make_response("of the extension", 429)

    def answer(limit: Any) -> Response:
        return make_response(f"of the view: {limit.limit}", 429)

    app, limiter = limiter_app(face, clock, on_breach=hear)
    app.add_url_rule("/a", "a", limiter.limit("1/day")(named("a")))
    app.add_url_rule("/b", "b", limiter.limit("1/day", on_breach=answer)(named("b")))
    client = app.test_client()
    assert [client.get("/a").text for _ in range(2)] == ["in", "of the extension"]
    assert [client.get("/b").text for _ in range(2)] == ["in", "of the view: 1 per 1 day"]
    assert heard[0] == ("1 per 1 day", "LIMITER/127.0.0.1/a/1/1/day", True, 0) and len(heard) == 2


def test_meta_limits_end_a_series_of_refusals(face: ModuleType, clock: Clock) -> None:
    heard: list[str] = []
    app, _limiter = limiter_app(
        face,
        clock,
        default_limits=["1/minute"],
        meta_limits=["2/hour"],
        on_meta_breach=lambda limit: heard.append(limit.key),
    )
    app.add_url_rule("/", "index", lambda: "in")
    app.add_url_rule("/other", "other", lambda: "in")
    assert statuses(app, "/", count=3) == [200, 429, 429]
    clock.advance(60)
    answer = app.test_client().get("/other")
    assert (answer.status_code, heard) == (429, ["LIMITER/127.0.0.1/meta/2/1/hour"])
    assert "2 per 1 hour" in answer.text
    clock.advance(3540)
    assert statuses(app, "/other") == [200]


def test_all_limits_that_refuse_are_told_where_that_is_wanted(face: ModuleType, clock: Clock) -> None:
    heard: list[str] = []
    app, _limiter = limiter_app(
        face,
        clock,
        default_limits=["1/minute", "1/hour"],
        fail_on_first_breach=False,
        on_breach=lambda limit: heard.append(str(limit.limit)),
    )
    app.add_url_rule("/", "index", lambda: "in")
    statuses(app, "/", count=2)
    assert heard == ["1 per 1 minute", "1 per 1 hour"]


def test_limits_may_be_objects(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(
        face,
        clock,
        default_limits=[face.Limit("2/day", key_function=lambda: "all", methods=["POST"])],
        application_limits=[face.ApplicationLimit("4/day", scope="house")],
    )

    @app.route("/", methods=["GET", "POST"])
    def index() -> Any:
        return jsonify([limit.key for limit in limiter.current_limits])

    @app.get("/route")
    @face.RouteLimit("1/day", limiter=limiter)
    def route() -> str:
        return "in"

    assert app.test_client().get("/").get_json() == ["LIMITER/127.0.0.1/house/4/1/day"]
    assert statuses(app, "/", count=2, method="POST") == [200, 200]
    assert statuses(app, "/route", count=2) == [200, 429]


def test_it_is_turned_off_and_reset(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["1/day"])
    app.add_url_rule("/", "index", lambda: "in")
    assert statuses(app, "/", count=2) == [200, 429]
    with app.app_context():
        limiter.reset()
    assert statuses(app, "/", count=2) == [200, 429]
    limiter.enabled = False
    assert statuses(app, "/", count=2) == [200, 200]
    off, _ = limiter_app(face, clock, default_limits=["1/day"], RATELIMIT_ENABLED=False)
    off.add_url_rule("/", "index", lambda: "in")
    assert statuses(off, "/", count=2) == [200, 200]


def test_two_extensions_limit_one_app(face: ModuleType, clock: Clock) -> None:
    app, first = limiter_app(face, clock, default_limits=["3/day"])
    more: dict[str, Any] = {"clock": clock} if face is LIMITER_FACES["ours"] else {}
    second = face.Limiter(lambda: "all", app=app, default_limits=["2/day"], **more)

    @app.get("/")
    @first.limit("9/day")
    @second.limit("1/day")
    def index() -> str:
        return f"{first.current_limit.limit}; {second.current_limit.limit}"

    assert app.test_client().get("/").text == "9 per 1 day; 1 per 1 day"
    assert statuses(app, "/") == [429]
    assert app.extensions["limiter"] == {first, second}


def test_only_what_is_routed_is_counted(face: ModuleType, clock: Clock) -> None:
    app, _ = limiter_app(face, clock, application_limits=["2/day"])
    app.add_url_rule("/", "index", lambda: "in")
    assert statuses(app, "/nowhere", count=3) == [404] * 3
    assert statuses(app, "/", count=3) == [200, 200, 429]


def test_a_key_may_be_made_before_the_limits(face: ModuleType, clock: Clock) -> None:
    app = Flask("late")
    app.testing = True
    app.config.update(RATELIMIT_DEFAULT="1/day", RATELIMIT_STORAGE_URI="memory://", RATELIMIT_KEY_PREFIX="shop")

    @app.before_request
    def who() -> None:
        g.user = request.headers["X-User"]

    more: dict[str, Callable[[], Any] | Any] = {"clock": clock} if face is LIMITER_FACES["ours"] else {}
    limiter = face.Limiter(lambda: g.user, **more)
    app.add_url_rule("/", "index", lambda: limiter.current_limit.key)
    limiter.init_app(app)
    assert app.test_client().get("/", headers={"X-User": "ada"}).text == "LIMITER/shop/ada/index/1/1/day"
    assert statuses(app, "/", headers={"X-User": "ada"}) == [429]
    assert statuses(app, "/", headers={"X-User": "bob"}) == [200]


def test_a_limit_that_comes_with_each_request_is_one(clock: Clock) -> None:
    app, limiter = limiter_app(LIMITER_FACES["ours"], clock)

    def part() -> str:
        return "in"

    app.add_url_rule("/", "index", lambda: limiter.limit("3/day")(part)())
    client = app.test_client()
    assert client.get("/").text == "in"
    version = limiter.declared.version
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    assert limiter.declared.version == version


def test_where_a_function_says_that_a_view_has_no_limit_those_around_it_hold(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock, default_limits=["3/hour"])

    def plan() -> str:
        return "4/minute" if "paid" in request.args else ""

    def view() -> str:
        return "in"

    app.add_url_rule("/", "index", limiter.limit(plan)(view))
    for name, overrides in (("shop", True), ("news", False)):
        blueprint = Blueprint(name, name, url_prefix=f"/{name}")
        limiter.limit("2/day" if overrides else "9/day", override_defaults=overrides)(blueprint)
        blueprint.add_url_rule("/", "index", limiter.limit(plan)(type(view)(view.__code__, globals(), f"view_{name}")))
        app.register_blueprint(blueprint)
    client = app.test_client()
    for path, most in (("/", 3), ("/shop/", 2), ("/news/", 3)):
        assert [client.get(path).status_code for _ in range(5)] == [200] * most + [429] * (5 - most), path
        assert [client.get(f"{path}?paid=1").status_code for _ in range(5)] == [200] * 4 + [429], path
