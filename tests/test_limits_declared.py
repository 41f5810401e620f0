"""How a limit is declared: above whatever view, on whatever quota a request has, and it is never off by accident."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, request
from flask.views import MethodView, View

from flask_rampart import Rampart, limit, unlimited

App = Callable[..., Flask]


def statuses(app: Flask, count: int, path: str = "/", method: str = "GET", **more: Any) -> list[int]:
    client = app.test_client()
    return [client.open(path, method=method, **more).status_code for _ in range(count)]


def test_no_way_to_write_a_view_takes_the_limit_off(make_app: App) -> None:
    # flask-limiter#11, #81, #150, #287, #288, #377, #464; slowapi#39, #177; python-restx#576.
    app = make_app()

    class Resource(MethodView):
        """As Flask-RESTful's: it finds the method itself, and decorates it anew for each request."""

        method_decorators: tuple[Any, ...] = ()

        def dispatch_request(self, **arguments: Any) -> Any:
            method = getattr(self, request.method.lower())
            for decorate in self.method_decorators:
                method = decorate(method)
            return method(**arguments)

    class ByMethod(Resource):
        @limit("1/hour")
        def get(self) -> str:
            return "ok"

    class Decorated(Resource):
        method_decorators = (limit("1/hour"),)

        def get(self) -> str:
            return "ok"

    class Listed(MethodView):
        decorators = [limit("1/hour")]  # noqa: RUF012 - as Flask's users write it

        def get(self) -> str:
            return "ok"

    @limit("1/hour")
    class Whole(View):
        def dispatch_request(self) -> str:
            return "ok"

    async def later() -> str:
        return "ok"

    def plain() -> str:
        return "ok"

    app.add_url_rule("/by-method", view_func=ByMethod.as_view("by-method"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    app.add_url_rule("/listed", view_func=Listed.as_view("listed"))
    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/added", "added", limit("1/hour")(plain))
    app.add_url_rule("/async", "async", limit("1/hour")(later))
    limit("1/hour")(app.get("/above", endpoint="above")(lambda: "ok"))
    app.get("/below", endpoint="below")(limit("1/hour")(lambda: "ok"))
    blueprint, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    inner.get("/nested")(limit("1/hour")(lambda: "ok"))
    blueprint.register_blueprint(inner, url_prefix="/in")
    app.register_blueprint(blueprint, url_prefix="/out")
    paths = ["by-method", "decorated", "listed", "whole", "added", "async", "above", "below", "out/in/nested"]
    for path in paths:
        assert statuses(app, 3, f"/{path}") == [200, 429, 429], path


def test_a_limit_on_a_class_is_one_quota_for_its_methods_and_one_each_if_that_is_meant(make_app: App) -> None:
    app = make_app()

    @limit("2/hour")
    class One(MethodView):
        def get(self) -> str:
            return "ok"

        post = get

    @limit("2/hour", per_method=True)
    class Each(MethodView):
        def get(self) -> str:
            return "ok"

        post = get

    app.add_url_rule("/one", view_func=One.as_view("one"))
    app.add_url_rule("/each", view_func=Each.as_view("each"))
    assert statuses(app, 1, "/one") + statuses(app, 1, "/one", "POST") + statuses(app, 1, "/one") == [200, 200, 429]
    assert statuses(app, 3, "/each") == [200, 200, 429]
    assert statuses(app, 3, "/each", "POST") == [200, 200, 429]


@pytest.mark.parametrize("how", [{"methods": ["GET", "POST"]}, {"per_method": True}])
def test_no_way_to_write_a_method_is_a_quota_of_its_own(make_app: App, how: dict[str, Any]) -> None:
    # Flask runs the view of POST for "post" and "pOsT", where the server lets these pass, and there is no edge.
    app = make_app()
    app.wsgi_app = app.wsgi_app.app  # type: ignore[attr-defined, method-assign]
    app.route("/", methods=["GET", "POST", "DELETE"])(limit("2/hour", **how)(lambda: "ok"))

    def ask(*methods: str) -> list[int]:
        client = app.test_client()
        return [client.get("/", environ_overrides={"REQUEST_METHOD": method}).status_code for method in methods]

    assert ask("POST", "post", "pOsT", "Post", "POST") == [200, 200, 429, 429, 429]
    assert ask("DELETE", "delete", "DELETE") == ([200] * 3 if "methods" in how else [200, 200, 429])


@pytest.mark.parametrize("how", [{"methods": ["GET"]}, {"per_method": True}, {}])
def test_head_is_counted_as_the_get_that_answers_it(make_app: App, how: dict[str, Any]) -> None:
    app = make_app()
    runs = []
    app.get("/")(limit("2/hour", **how)(lambda: runs.append(1) or "ok"))
    got = [statuses(app, 1, "/", method)[0] for method in ("HEAD", "GET", "HEAD", "GET", "HEAD")]
    assert got == [200, 200, 429, 429, 429]
    assert len(runs) == 2


def test_a_blueprint_s_limit_holds_for_what_is_nested_in_it_and_one_view_may_be_taken_out(make_app: App) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    rampart.protect(outer, limit("1/hour"))
    outer.get("/a", endpoint="a")(lambda: "ok")
    inner.get("/b", endpoint="b")(lambda: "ok")
    inner.get("/open", endpoint="open")(unlimited(lambda: "ok"))
    inner.get("/own", endpoint="own")(unlimited(limit("2/hour")(lambda: "ok")))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert statuses(app, 2, "/a") == statuses(app, 2, "/b") == [200, 429]
    assert statuses(app, 5, "/open") == [200] * 5
    assert statuses(app, 3, "/own") == [200, 200, 429]


def test_a_blueprint_may_be_nested_as_deep_as_one_likes(make_app: App) -> None:
    # GHSA-f2vm-w8gq-h378: below eight levels nothing was checked.
    app = make_app(rampart=False)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    outermost = Blueprint("b0", __name__)
    rampart.protect(outermost, limit("1/hour"))
    last = outermost
    for depth in range(1, 13):
        inner = Blueprint(f"b{depth}", __name__)
        last.register_blueprint(inner, url_prefix=f"/{depth}")
        last = inner
    last.get("/deep", endpoint="deep")(lambda: "ok")
    app.register_blueprint(outermost)
    path = "/" + "/".join(map(str, range(1, 13))) + "/deep"
    assert statuses(app, 3, path) == [200, 429, 429]


# Quotas that depend on the request


def test_a_plan_that_is_missing_wrong_or_fails_is_not_unlimited(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    plans: dict[str, Any] = {
        "free": "1/hour",
        "pro": "3/hour",
        "partner": "unlimited",
        "none": None,
        "wrong": "1/houre",
    }
    app.get("/")(limit(lambda: plans[request.args["plan"]])(lambda: "ok"))
    assert statuses(app, 2, "/?plan=free") == [200, 429]
    assert statuses(app, 4, "/?plan=pro") == [200, 200, 200, 429]
    assert statuses(app, 9, "/?plan=partner") == [200] * 9
    for plan in ("none", "wrong", "absent"):
        assert min(statuses(app, 2, f"/?plan={plan}")) >= 400, plan


def test_report_mode_refuses_nobody_says_whom_it_would_have_and_promises_nothing(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(limit("2/hour", mode="report")(lambda: "ok"))
    with caplog.at_level(logging.WARNING):
        answers = [app.test_client().get("/") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert caplog.text.count("would have refused") == 2
    assert not any("RateLimit" in answer.headers for answer in answers)
    assert "127.0.0.1" not in caplog.text


def test_an_exempt_network_is_exempt_by_the_peer_s_address_and_nothing_that_it_writes(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", unless=["10.0.0.0/8"])(lambda: "ok"))
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"):
        assert statuses(app, 3, environ_base={"REMOTE_ADDR": inside}) == [200] * 3, inside
    claims = {"X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3", "X-Real-IP": "10.1.2.3"}
    assert statuses(app, 2, headers=claims) == [200, 429]
    for outside in ("11.0.0.1", "", "unix:", "10.1.2.3.example"):
        assert statuses(app, 2, environ_base={"REMOTE_ADDR": outside})[1] == 429, outside


def test_a_health_check_that_is_named_is_not_counted_and_nothing_that_looks_like_it(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="2/hour", RAMPART_LIMITS_EXEMPT_PATHS=["/health"])
    app.get("/health")(lambda: "ok")
    assert statuses(app, 9, "/health") == [200] * 9
    assert statuses(app, 3, "/health/") == [404, 404, 429]
    assert statuses(app, 1, "/HEALTH") == statuses(app, 1, "/health/../x") == [429]
    assert statuses(app, 1, "/health?x=1") == [200]
