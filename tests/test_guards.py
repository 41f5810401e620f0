"""The joint: a declared guard meets every request to its view, once, in the order of the stages."""

from __future__ import annotations

import functools
import logging
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Blueprint, Flask, Request, Response, abort, current_app, g, request, stream_with_context
from flask.cli import FlaskGroup
from flask.views import MethodView, View
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Rule
from werkzeug.test import Client, EnvironBuilder

from flask_rampart import ConfigError, Denied, Guard, Rampart, Stage, bounds, limit, public, require, validate
from flask_rampart.access import Schemes
from flask_rampart.checks import Check
from flask_rampart.cli import commands
from flask_rampart.coverage import coverage
from flask_rampart.exchange import ENVIRON_KEY, Exchange
from flask_rampart.guards import AppState, current_exchange, unseen
from flask_rampart.opening import Tries
from flask_rampart.stores import StoreError

from .conftest import bearer

App = Callable[..., Flask]
Sign = Callable[..., str]


class Probe(Guard):
    """A guard that notes that it ran, and refuses if told to."""

    name = "probe"

    def __init__(self, label: str = "probe", stage: Stage = Stage.IDENTITY, *, refuse: bool = False) -> None:
        self.label = label
        self.stage = stage
        self.refuse = refuse
        self.runs = 0

    def __repr__(self) -> str:
        return f"probe({self.label!r})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Probe, str]], state: AppState, endpoint: str) -> Check:
        def check(exchange: Exchange) -> Denied | None:
            for guard, _ in guards:
                guard.runs += 1
                exchange.environ.setdefault("probes", []).append(guard.label)
                if guard.refuse:
                    return Denied.of("auth.scope")
            return None

        return check


class Failing(Probe):
    @classmethod
    def bind(cls, guards: Sequence[tuple[Probe, str]], state: AppState, endpoint: str) -> Check:
        def check(exchange: Exchange) -> Denied | None:
            raise ZeroDivisionError("a bug in a guard")

        return check


def no() -> Probe:
    return Probe(refuse=True)


def opaque(function: Callable[..., Any]) -> Callable[..., Any]:
    """A foreign decorator that forgets functools.wraps."""

    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    """A foreign decorator as it should be."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def never(*args: Any, **kwargs: Any) -> str:
    raise AssertionError("the view ran")


# Order


def test_guards_run_in_stage_order_whatever_the_order_of_decorators(make_app: App) -> None:
    app = make_app()
    stages = [Stage.PAYLOAD, Stage.ARRIVAL, Stage.PERMISSION, Stage.QUOTA, Stage.IDENTITY]

    @app.get("/")
    @Probe("payload", stages[0])
    @Probe("arrival", stages[1])
    @Probe("permission", stages[2])
    @Probe("quota", stages[3])
    @Probe("identity", stages[4])
    def view() -> list[str]:
        return list(request.environ["probes"])

    assert app.test_client().get("/").json == ["arrival", "identity", "quota", "permission", "payload"]


def test_a_refusal_stops_the_stages_that_follow(make_app: App) -> None:
    app = make_app()
    late = Probe("late", Stage.PAYLOAD)
    app.get("/")(late(Probe("no", Stage.QUOTA, refuse=True)(never)))
    assert app.test_client().get("/").status_code == 403
    assert late.runs == 0


# Where a guard was written


def test_a_guard_above_the_route_guards(make_app: App) -> None:
    app = make_app()

    @no()
    @app.get("/")
    def view() -> str:
        return never()

    assert app.test_client().get("/").status_code == 403


def test_guards_above_and_below_the_route_all_guard(make_app: App) -> None:
    app = make_app()
    below, above, top = Probe("below"), Probe("above"), Probe("top")

    @top
    @above
    @app.get("/")
    @below
    def view() -> list[str]:
        return list(request.environ["probes"])

    assert sorted(app.test_client().get("/").json) == ["above", "below", "top"]


def test_a_guard_under_a_decorator_without_wraps_guards(make_app: App) -> None:
    app = make_app()

    @app.get("/", endpoint="view")
    @opaque
    @no()
    def view() -> str:
        return never()

    assert app.test_client().get("/").status_code == 403


def test_a_guard_above_a_wrapping_decorator_above_the_route_guards(make_app: App) -> None:
    app = make_app()

    @no()
    @wrapping
    @app.get("/")
    def view() -> str:
        return never()

    assert app.test_client().get("/").status_code == 403


def test_a_guard_above_a_decorator_without_wraps_above_the_route_is_reported(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @no()
    @opaque
    @app.get("/")
    def view() -> str:
        return "seen"

    with caplog.at_level(logging.WARNING):
        app.test_client().get("/")
    assert "functools.wraps" in caplog.text
    result = CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["rampart", "routes", "--strict"])
    assert result.exit_code == 1
    assert "functools.wraps" in result.output


def test_add_url_rule_registers_a_guarded_view(make_app: App) -> None:
    app = make_app()
    app.add_url_rule("/", view_func=no()(never))
    assert app.test_client().get("/").status_code == 403


def test_one_function_under_two_rules_has_the_guards_of_each(make_app: App) -> None:
    app = make_app()

    def view() -> list[str]:
        return list(request.environ["probes"])

    app.add_url_rule("/a", "a", Probe("a")(view))
    app.add_url_rule("/b", "b", Probe("b")(view))
    client = app.test_client()
    assert client.get("/a").json == ["a"]
    assert client.get("/b").json == ["b"]


def test_a_copy_made_by_wraps_does_not_take_along_what_was_declared_above(make_app: App) -> None:
    app = make_app()

    def view() -> str:
        return "ok"

    app.add_url_rule("/guarded", "guarded", no()(view))
    app.add_url_rule("/copy", "copy", wrapping(view))
    assert app.test_client().get("/guarded").status_code == 403
    assert app.test_client().get("/copy").status_code == 200


def test_partials_and_bound_methods_are_guarded(make_app: App) -> None:
    app = make_app()

    class Service:
        def answer(self) -> str:
            return never()

        def above(self) -> str:
            return never()

        def answer_openly(self) -> str:
            return "open"

    service, other = Service(), Service()
    app.add_url_rule("/other", "other", other.answer_openly)
    app.add_url_rule("/partial", "partial", no()(functools.partial(never, 1)))
    app.add_url_rule("/bound", "bound", no()(service.answer))
    app.add_url_rule("/above", "above", service.above)
    no()(service.above)
    no()(service.answer_openly)
    unguarded = functools.partial(lambda value: str(value), 7)
    app.add_url_rule("/partial-above", "partial-above", unguarded)
    no()(unguarded)
    client = app.test_client()
    for path in ("/partial", "/bound", "/above", "/partial-above"):
        assert client.get(path).status_code == 403, path
    assert client.get("/other").text == "open"


def test_a_replaced_view_function_is_planned_anew(make_app: App) -> None:
    app = make_app()
    app.add_url_rule("/", "view", lambda: "open")
    client = app.test_client()
    assert client.get("/").status_code == 200
    app.view_functions["view"] = no()(never)
    assert client.get("/").status_code == 403


def test_a_guard_on_something_that_is_no_view_says_so() -> None:
    with pytest.raises(ConfigError, match="protect"):
        require()(Blueprint("b", __name__))
    with pytest.raises(ConfigError, match="parentheses"):
        require(never)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="below"):
        require()(staticmethod(never))


# Kinds of views


def test_an_async_view_is_guarded_and_runs(make_app: App) -> None:
    app = make_app()
    seen = Probe("seen")

    @app.get("/yes")
    @seen
    async def yes() -> str:
        return "ran"

    def opaque_async(function: Callable[..., Any]) -> Callable[..., Any]:
        async def inner() -> Any:
            return await function()

        return inner

    @app.get("/no")
    @opaque_async
    @no()
    async def refused() -> str:
        return never()

    client = app.test_client()
    assert client.get("/yes").text == "ran"
    assert seen.runs == 1
    assert client.get("/no").status_code == 403


def test_generators_and_streams_are_guarded_before_their_first_byte(make_app: App) -> None:
    app = make_app()

    @app.get("/generator")
    @Probe("first")
    def generator() -> Iterator[str]:
        yield "a"
        yield ",".join(request.environ["probes"])

    @app.get("/stream")
    @no()
    def stream() -> Response:
        return Response(stream_with_context(iter([never()])))

    client = app.test_client()
    assert client.get("/stream").status_code == 403
    app.view_functions["generator"] = Probe("first")(
        lambda: Response(stream_with_context(iter(["a", *request.environ["probes"]])))
    )
    assert client.get("/generator").text == "afirst"


def test_method_views_are_guarded_by_class_and_by_method(make_app: App) -> None:
    app = make_app()

    @Probe("class")
    class Items(MethodView):
        def get(self) -> list[str]:
            return list(request.environ["probes"])

        @Probe("method")
        def post(self) -> list[str]:
            return list(request.environ["probes"])

        @no()
        def delete(self) -> str:
            return never()

    app.add_url_rule("/", view_func=Items.as_view("items"))
    client = app.test_client()
    assert client.get("/").json == ["class"]
    assert client.post("/").json == ["class", "method"]
    assert client.delete("/").status_code == 403


def test_head_is_guarded_as_the_method_that_answers_it(make_app: App) -> None:
    app = make_app()

    class Items(MethodView):
        @no()
        def get(self) -> str:
            return never()

    app.add_url_rule("/class", view_func=Items.as_view("items"))
    app.get("/function")(no()(never))
    client = app.test_client()
    assert client.head("/class").status_code == 403
    assert client.head("/function").status_code == 403
    assert client.head("/function").data == b""


def test_a_subclass_guards_itself_and_never_its_parent(make_app: App) -> None:
    app = make_app()

    @Probe("parent")
    class Parent(MethodView):
        def get(self) -> list[str]:
            return list(request.environ["probes"])

    @Probe("child")
    class Child(Parent):
        pass

    app.add_url_rule("/parent", view_func=Parent.as_view("parent"))
    app.add_url_rule("/child", view_func=Child.as_view("child"))
    client = app.test_client()
    assert client.get("/parent").json == ["parent"]
    assert client.get("/child").json == ["parent", "child"]


def test_an_inherited_method_keeps_its_guard(make_app: App) -> None:
    # CVE-2025-41248: Spring lost annotations of inherited generic methods.
    app = make_app()

    class Parent(MethodView):
        @no()
        def get(self) -> str:
            return never()

    class Child(Parent):
        pass

    app.add_url_rule("/", view_func=Child.as_view("child"))
    assert app.test_client().get("/").status_code == 403


def test_a_class_view_hidden_from_us_still_guards(make_app: App) -> None:
    app = make_app()

    @no()
    class Items(MethodView):
        def get(self) -> str:
            return never()

    app.add_url_rule("/", "items", opaque(Items.as_view("items")))
    assert app.test_client().get("/").status_code == 403


def test_decorators_of_a_view_class_and_plain_views_are_guarded(make_app: App) -> None:
    app = make_app()

    class Items(MethodView):
        decorators = [no()]  # noqa: RUF012 - Flask's own interface

        def get(self) -> str:
            return never()

    class Plain(View):
        @no()
        def dispatch_request(self) -> str:
            return never()

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    assert app.test_client().get("/items").status_code == 403
    assert app.test_client().get("/plain").status_code == 403


def test_nested_blueprints_are_guarded_by_their_parents_and_by_themselves(make_app: App) -> None:
    app = make_app()
    parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)

    @child.get("/leaf")
    @Probe("view")
    def leaf() -> list[str]:
        return list(request.environ["probes"])

    @child.get("/open")
    @public
    def opened() -> list[str]:
        return list(request.environ["probes"])

    rampart = Rampart()
    rampart.protect(parent, Probe("parent"))
    rampart.protect(child, Probe("child"))
    parent.register_blueprint(child, url_prefix="/child")
    app.register_blueprint(parent, url_prefix="/parent")
    client = app.test_client()
    assert client.get("/parent/child/leaf").json == ["parent", "child", "view"]
    # `public` speaks for its own view and cancels nothing.
    assert client.get("/parent/child/open").json == ["parent", "child"]


def test_protect_takes_an_app_and_nothing_else(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: "open")
    rampart = Rampart()
    rampart.protect(app, no())
    assert app.test_client().get("/").status_code == 403
    with pytest.raises(ConfigError, match="decorator"):
        rampart.protect(never, no())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="one guard"):
        rampart.protect(app)


# Apps


def test_an_app_without_the_extension_answers_503(make_app: App) -> None:
    app = make_app(rampart=False)

    @no()
    @app.get("/above")
    def above() -> str:
        return never()

    @app.get("/below")
    @no()
    def below() -> str:
        return never()

    hidden = Blueprint("hidden", __name__)
    hidden.get("/blueprint")(lambda: never())
    Rampart().protect(hidden, no())
    app.register_blueprint(hidden)
    app.get("/open")(lambda: "open")
    client = app.test_client()
    for path in ("/above", "/below", "/blueprint"):
        response = client.get(path)
        assert response.status_code == 503, path
        assert response.json["code"] == "app.uninitialised"
    assert client.get("/open").status_code == 200


def test_the_factory_pattern_and_two_apps_in_one_process(make_app: App) -> None:
    rampart = Rampart()
    probe = Probe("shared")

    @probe
    def view() -> str:
        return current_app.name

    apps = []
    for name in ("one", "two"):
        app = Flask(name)
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
        rampart.init_app(app)
        app.add_url_rule("/", view_func=view)
        apps.append(app)
    assert [app.test_client().get("/").text for app in apps] == ["one", "two"]
    assert probe.runs == 2
    with pytest.raises(ConfigError, match="already"):
        rampart.init_app(apps[0])


def test_an_app_mounted_in_another_is_guarded_by_itself(make_app: App) -> None:
    inner, outer = make_app(), make_app()
    shared = no()
    inner.add_url_rule("/", "view", shared(never))
    outer.add_url_rule("/", "view", lambda: "outer")
    client = Client(DispatcherMiddleware(outer, {"/inner": inner}))
    assert client.get("/").status_code == 200
    assert client.get("/inner/").status_code == 403
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner.wsgi_app})  # type: ignore[method-assign]
    response = outer.test_client().get("/inner/")
    assert response.status_code == 403
    # Both edges saw it; each header is there once.
    assert len(response.headers.getlist("X-Content-Type-Options")) == 1


def test_an_app_called_with_the_outer_environ_runs_its_own_guards(make_app: App) -> None:
    inner, outer = make_app(), make_app()
    guard = Probe("both")
    refusing = Probe("inner", refuse=True)
    inner.add_url_rule("/", "view", refusing(guard(never)))

    @outer.get("/")
    @guard
    @refusing.__class__("outer")
    def view() -> Response:
        return Response.from_app(inner, request.environ)

    assert outer.test_client().get("/").status_code == 403
    assert guard.runs >= 1
    assert refusing.runs == 1


def test_an_app_that_calls_itself_with_its_own_environ_guards_again(make_app: App) -> None:
    app = make_app()
    guard = Probe("again")

    @app.get("/")
    @guard
    def view() -> Response | str:
        if request.environ.get("depth"):
            return "inner"
        request.environ["depth"] = 1
        return Response.from_app(app, request.environ)

    assert app.test_client().get("/").text == "inner"
    assert guard.runs == 2


def test_test_request_context_guards_what_is_called_in_it(make_app: App) -> None:
    app = make_app()
    view = app.get("/")(no()(never))
    with app.test_request_context("/"), pytest.raises(Denied) as caught:
        view()
    assert caught.value.code == 403
    with app.test_request_context("/"):
        response = app.full_dispatch_request()
    assert response.status_code == 403
    with pytest.raises(RuntimeError, match="outside a request"):
        view()


# Once


def test_a_view_that_calls_a_guarded_view_runs_each_guard_once(make_app: App) -> None:
    app = make_app()
    shared, inner_only = Probe("shared"), Probe("inner")

    @app.get("/inner")
    @inner_only
    @shared
    def inner() -> list[str]:
        return list(request.environ["probes"])

    @app.get("/outer")
    @shared
    def outer() -> list[str]:
        inner()
        return inner()  # type: ignore[no-any-return]

    assert app.test_client().get("/outer").json == ["shared", "inner"]
    assert (shared.runs, inner_only.runs) == (1, 1)


def test_a_view_that_calls_a_view_that_refuses_does_not_go_on(make_app: App) -> None:
    app = make_app()
    inner = app.get("/inner")(no()(never))

    @app.get("/outer")
    def outer() -> str:
        inner()
        return never()

    assert app.test_client().get("/outer").status_code == 403


# Failing closed


def test_a_guard_that_raises_refuses(make_app: App, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    app.get("/hook")(Failing()(never))
    app.add_url_rule("/wrapper", "wrapper", opaque(Failing()(never)))
    client = app.test_client()
    for path in ("/hook", "/wrapper"):
        response = client.get(path)
        assert response.status_code == 500
        assert response.json["code"] == "guard.failed"
    assert "ZeroDivisionError" in caplog.text
    assert b"ZeroDivision" not in client.get("/hook").data


def test_under_deny_what_declares_nothing_is_refused(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")
    app.get("/nothing", endpoint="nothing")(lambda: never())
    app.get("/limited", endpoint="limited")(limit("5/minute")(never))
    app.get("/public")(public(lambda: "open"))
    app.get("/required", endpoint="required")(require()(never))
    client = app.test_client()
    assert client.get("/nothing").json["code"] == "route.undeclared"
    assert client.get("/limited").json["code"] == "route.undeclared"
    assert client.get("/public").text == "open"
    assert client.get("/required").status_code == 401
    assert client.get("/absent").status_code == 404


def test_a_setting_that_changes_after_it_was_read_is_an_error(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: "open")
    app.config["RAMPART_DEFAULT"] = "deny"
    for _ in range(2):
        with pytest.raises(ConfigError, match="RAMPART_DEFAULT changed"):
            _get(app)


def _get(app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.test_client().get("/")


def test_a_guard_that_cannot_be_bound_stops_every_request(make_app: App) -> None:
    app = make_app(RAMPART_JWT_KEYS=...)
    app.get("/guarded")(require()(never))
    app.get("/other")(lambda: "open")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    for path in ("/guarded", "/other", "/absent"):
        with pytest.raises(ConfigError, match="RAMPART_JWT_KEYS"):
            app.test_client().get(path)


def test_whatever_stops_the_first_request_stops_all_of_them_cheaply(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: "open")
    state, tried = app.extensions["rampart"], []

    def fail(_: Flask) -> None:
        tried.append(1)
        try:
            raise OSError("hunter2")
        except OSError as error:
            raise KeyError("hunter2") from error

    state.at_seal.append(fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    for _ in range(5):
        answer = app.test_client().get("/")
        assert answer.status_code == 500 and "hunter2" not in answer.text
    depths = set()
    for _ in range(5):
        with pytest.raises(KeyError) as caught:
            state.seal()
        assert isinstance(caught.value.__cause__, OSError)
        depths.add(len(caught.traceback))
    assert len(tried) == 1 and len(depths) == 1


def test_a_store_that_is_away_at_the_first_request_stops_no_later_one(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: "open")
    away = [True]

    def reach(_: Flask) -> None:
        if away:
            raise StoreError("away")

    app.extensions["rampart"].at_seal.append(reach)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    now = [0.0]
    app.extensions["rampart"]._tries = Tries(lambda: now[0])
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.json["code"]) == (503, "store.unavailable")
    assert answer.headers["Retry-After"] == "1"
    away.clear()
    now[0] = 1.0
    assert app.test_client().get("/").text == "open"


def test_a_rule_without_a_view_stops_nothing(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE="https://api.example")
    app.add_url_rule("/files/<name>", "files", build_only=True)
    app.get("/")(require(scopes="read")(never))
    assert app.test_client().get("/").status_code == 401
    found = app.test_client().get("/.well-known/oauth-protected-resource").json
    assert found["scopes_supported"] == ["read"]


def anything(app: Flask, path: str, view: Any) -> None:
    """A rule that names no methods, as only werkzeug makes them: it takes all."""
    app.url_map.add(Rule(path, endpoint=path))
    app.view_functions[path] = view


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_rule_that_names_no_methods_is_guarded_at_all_of_them(make_app: App, method: str) -> None:
    app = make_app()
    anything(app, "/any", no()(never))
    assert app.test_client().open("/any", method=method).status_code == 403
    closed = make_app(RAMPART_DEFAULT="deny")
    anything(closed, "/any", never)
    assert closed.test_client().open("/any", method=method).status_code == 403


def test_guards_of_a_rule_that_names_no_methods_are_bound_before_the_first_request(make_app: App) -> None:
    class Boundless(Guard):
        stage = Stage.IDENTITY

    app = make_app()
    anything(app, "/any", Boundless()(never))
    app.get("/")(lambda: "x")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ConfigError, match="Boundless has no bind"):
        app.test_client().get("/")


def test_coverage_shows_every_route_that_answers(make_app: App) -> None:
    app = make_app()
    anything(app, "/any", lambda: "x")
    app.add_url_rule("/own", "own", lambda: "x", methods=["OPTIONS"], provide_automatic_options=False)
    app.add_url_rule("/optional", "optional", require(optional=True)(lambda: "x"))
    app.add_url_rule("/guarded", "guarded", require()(lambda: "x"))
    app.add_url_rule("/public", "public", public(lambda: "x"))
    app.add_url_rule("/elsewhere", endpoint="elsewhere")
    app.add_url_rule("/files/<name>", "files", build_only=True)

    class Heads(MethodView):
        @require()
        def get(self) -> str:
            return "x"

        def head(self) -> str:
            return ""

    app.add_url_rule("/heads", view_func=Heads.as_view("heads"))
    found = {(row.path, row.methods): (row.opened, row.asks) for row in coverage(app.extensions["rampart"])}
    every = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
    assert {key: value for key, value in found.items() if not key[0].startswith("/static")} == {
        ("/any", every): (False, False),
        ("/own", ("OPTIONS",)): (False, False),
        ("/optional", ("GET",)): (True, False),
        ("/guarded", ("GET",)): (True, True),
        ("/public", ("GET",)): (True, False),
        ("/heads", ("GET",)): (True, True),
        ("/heads", ("HEAD",)): (False, False),
    }


def test_routes_strict_finds_a_rule_that_names_no_methods(make_app: App) -> None:
    app = make_app(RAMPART_AUDIT_LOG="off")
    app.view_functions["static"] = public(app.view_functions["static"])
    app.add_url_rule("/guarded", "guarded", require()(lambda: "x"))
    app.add_url_rule("/elsewhere", endpoint="elsewhere")
    run = app.test_cli_runner().invoke
    assert run(commands, ["routes", "--strict"]).exit_code == 0
    late = make_app(RAMPART_AUDIT_LOG="off")
    late.view_functions["static"] = public(late.view_functions["static"])
    anything(late, "/any", lambda: "x")
    told = late.test_cli_runner().invoke(commands, ["routes", "--strict"])
    assert told.exit_code == 1 and "! /any" in told.output and "OPEN" in told.output


# OPTIONS, errors, hooks of the user


def test_only_the_automatic_options_answer_skips_the_stages_after_arrival(make_app: App) -> None:
    app = make_app()
    arrival, identity = Probe("arrival", Stage.ARRIVAL), no()
    app.get("/automatic", endpoint="automatic")(arrival(identity(never)))
    app.route("/own", methods=["GET", "OPTIONS"], endpoint="own")(no()(never))
    app.add_url_rule(
        "/off", view_func=no()(never), endpoint="off", methods=["OPTIONS"], provide_automatic_options=False
    )
    client = app.test_client()
    response = client.options("/automatic")
    assert response.status_code == 200
    assert "GET" in response.headers["Allow"]
    assert (arrival.runs, identity.runs) == (1, 0)
    # Flask-JWT-Extended lets OPTIONS through to a view that answers it itself.
    assert client.options("/own").status_code == 403
    assert client.options("/off").status_code == 403


def test_a_refusal_goes_to_the_apps_own_error_handler(make_app: App) -> None:
    app = make_app()

    @app.errorhandler(403)
    def forbidden(error: Denied) -> tuple[str, int]:
        return f"ours: {error.problem.code}", 403

    app.get("/hook")(no()(never))
    app.add_url_rule("/wrapper", "wrapper", opaque(no()(never)))
    client = app.test_client()
    assert client.get("/hook").text == "ours: auth.scope"
    assert client.get("/wrapper").text == "ours: auth.scope"


def test_a_handler_of_a_blueprint_or_for_the_class_sees_the_refusal(make_app: App) -> None:
    app = make_app()
    blueprint = Blueprint("b", __name__)

    @blueprint.errorhandler(Denied)
    def refused(error: Denied) -> tuple[str, int]:
        return "blueprint", error.problem.status

    blueprint.get("/in")(no()(never))
    app.register_blueprint(blueprint)
    app.get("/out")(no()(never))
    client = app.test_client()
    assert client.get("/in").text == "blueprint"
    assert client.get("/out").json["code"] == "auth.scope"


def test_our_hook_runs_before_the_users(make_app: App) -> None:
    app = make_app()

    @app.before_request
    def early() -> str:
        return "early"

    app.before_request_funcs[None].insert(0, app.before_request_funcs[None].pop())
    app.get("/", endpoint="guarded")(no()(never))
    app.get("/open")(lambda: never())
    client = app.test_client()
    assert client.get("/").status_code == 403
    assert client.get("/open").text == "early"


def test_a_views_own_abort_is_left_alone(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    @Probe()
    def view() -> str:
        g.seen = current_exchange().id
        abort(418)

    assert app.test_client().get("/").status_code == 418


def test_a_refusal_is_a_problem_with_a_stable_code(make_app: App) -> None:
    app = make_app()
    app.get("/")(no()(never))
    response = app.test_client().get("/")
    assert response.content_type == "application/problem+json"
    assert response.json == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "The credential does not have a scope that this resource needs.",
        "code": "auth.scope",
        "request_id": response.headers["X-Request-Id"],
    }


def test_guards_of_a_kind_are_bound_together(make_app: App) -> None:
    app = make_app()
    first, second = validate(body={"required": ["a"]}, unknown="ignore"), validate(body={"required": ["b"]})
    app.post("/")(first(second(lambda: "ok")))
    client = app.test_client()
    assert client.post("/", json={"a": 1, "b": 2}).status_code == 200
    assert client.post("/", json={"a": 1}).status_code == 422
    assert client.post("/", json={"b": 1}).status_code == 422


# What a hostile review found


def test_many_threads_at_the_first_request_are_all_guarded(make_app: App) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(40):
            app = make_app(RAMPART_DEFAULT="deny")
            blueprint = Blueprint("b", __name__)
            blueprint.get("/")(lambda: never())
            Rampart().protect(blueprint, require())
            app.register_blueprint(blueprint)
            start = threading.Barrier(8)

            def call(app: Flask = app, start: threading.Barrier = start) -> int:
                start.wait()
                return app.test_client().get("/").status_code

            with ThreadPoolExecutor(8) as pool:
                assert {future.result() for future in [pool.submit(call) for _ in range(8)]} == {401}
    finally:
        sys.setswitchinterval(interval)


def test_at_no_moment_is_the_hook_missing_from_the_list(make_app: App) -> None:
    app = make_app()
    app.before_request_funcs[None].insert(0, lambda: None)
    state = app.extensions["rampart"]
    before = app.before_request_funcs[None]
    state.lead()
    # A thread that walks the old list meets the hook there; one that comes now meets it first, once.
    assert state.hook in before
    assert app.before_request_funcs[None][0] == state.hook
    assert app.before_request_funcs[None].count(state.hook) == 1


def test_a_hook_that_runs_twice_charges_once(make_app: App) -> None:
    app = make_app()
    app.before_request_funcs[None].append(app.extensions["rampart"].hook)
    app.get("/")(limit("1/minute")(lambda: "ok"))
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]


def test_request_ids_say_nothing_of_pythons_random_numbers(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    def view() -> str:
        random.seed(42)
        return "ok"

    client = app.test_client()
    assert len({client.get("/").headers["X-Request-Id"] for _ in range(5)}) == 5
    random.seed(1)
    expected = [random.random() for _ in range(3)]
    random.seed(1)
    client.get("/absent")
    assert [random.random() for _ in range(3)] == expected


def hidden(app: Flask) -> list[str]:
    return unseen(app)


class Holding:
    """A decorator that is a class, with slots."""

    __slots__ = ("__weakref__", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self) -> Any:
        return self.function()

    def method(self) -> Any:
        return self.function()


def test_hidden_guards_are_found_in_factories_and_under_several_decorators(make_app: App) -> None:
    def factory(hide: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Flask:
        app = make_app()

        @no()
        @hide
        @app.get("/")
        def view() -> str:
            return "seen"

        return app

    for hide in (opaque, lambda f: opaque(opaque(f)), Holding, lambda f: Holding(f).method):
        assert hidden(factory(hide)), hide


def test_ordinary_code_is_not_reported_as_hidden(make_app: App) -> None:
    app = make_app()

    class Base(MethodView):
        def get(self) -> str:
            return "base"

    class Items(Base):
        @require(scopes="a")
        def get(self) -> str:
            return super().get()

    def factory() -> None:
        @app.get("/a")
        def a() -> str:
            return "a"

        @app.get("/b")
        @require(scopes="x")
        def b() -> str:
            return a()

    factory()
    app.add_url_rule("/items", view_func=Items.as_view("items"))
    assert hidden(app) == []


def test_a_subclass_does_not_inherit_being_public(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")

    @public
    class Health(MethodView):
        def get(self) -> str:
            return "ok"

    class Admin(Health):
        def delete(self) -> str:
            return never()

    app.add_url_rule("/health", view_func=Health.as_view("health"))
    app.add_url_rule("/admin", view_func=Admin.as_view("admin"))
    client = app.test_client()
    assert client.get("/health").status_code == 200
    assert client.get("/admin").status_code == 403
    assert client.delete("/admin").status_code == 403


def test_a_guard_that_comes_late_guards_or_is_refused(make_app: App) -> None:
    app = make_app()
    blueprint = Blueprint("b", __name__)
    blueprint.get("/b")(lambda: "open")
    app.register_blueprint(blueprint)
    app.get("/view", endpoint="view")(lambda: "open")
    client = app.test_client()
    assert client.get("/b").status_code == client.get("/view").status_code == 200
    Rampart().protect(blueprint, no())
    no()(app.view_functions["view"])
    assert client.get("/b").status_code == client.get("/view").status_code == 403
    with pytest.raises(ConfigError, match="too late"):
        Rampart().protect(app, no())


def test_a_guard_without_a_check_is_a_mistake(make_app: App) -> None:
    class Forgetful(Probe):
        @classmethod
        def bind(cls, guards: Any, state: Any, endpoint: str) -> None:  # type: ignore[override]
            return None

    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(Forgetful()(never))
    with pytest.raises(ConfigError, match="no check"):
        app.test_client().get("/")


def test_a_guard_that_does_not_say_how_it_is_bound_stops_every_request(make_app: App) -> None:
    class Unfinished(Guard):
        stage = Stage.IDENTITY
        name = "unfinished"

    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(Unfinished()(never))
    for _ in range(2):
        with pytest.raises(ConfigError, match="Unfinished has no bind"):
            app.test_client().get("/")


def test_what_a_view_sets_is_sent_once(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    @limit("5/minute")
    def view() -> Response:
        return Response("x", headers={"x-request-id": "mine", "RATELIMIT": "mine"})

    headers = app.test_client().get("/").headers
    assert headers.getlist("X-Request-Id") == ["mine"]
    assert headers.getlist("RateLimit") == ["mine"]


def test_an_instance_that_cannot_be_hashed_is_guarded(make_app: App) -> None:
    @dataclass
    class Service:
        name: str = "s"

        def view(self) -> str:
            return never()

    app = make_app()
    service = Service()
    app.add_url_rule("/", "view", service.view)
    no()(service.view)
    assert app.test_client().get("/").status_code == 403


def test_words_that_are_no_methods_do_not_grow_the_plans(make_app: App) -> None:
    app = make_app(RAMPART_METHODS=[f"WORD{number}" for number in range(50)])
    app.url_map.add(Rule("/", endpoint="any"))
    app.view_functions["any"] = no()(never)
    client = app.test_client()
    for number in range(50):
        assert client.open("/", method=f"WORD{number}").status_code == 403
    assert len(app.extensions["rampart"]._plans) < 20


def uninitialised(kind: str) -> Flask:
    """An app without the extension, with a guard that the app cannot see in what it registered."""
    app = Flask("bare")

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    def secured(*functions: Any) -> Any:
        return require(scopes="admin")(*functions)

    def view() -> str:
        return "SECRET"

    if kind == "above the route":
        require()(app.get("/")(view))
    elif kind == "above a decorator with wraps":
        require()(logged(app.get("/")(view)))
    elif kind == "two above a decorator with wraps":
        limit("1/hour")(require()(logged(app.get("/")(view))))
    elif kind == "by a shorthand":
        secured(app.get("/")(view))
    elif kind == "spelt as a method":
        require().__call__(app.get("/")(view))
    elif kind == "on a blueprint":
        blueprint = Blueprint("b", "b")
        blueprint.get("/")(view)
        Rampart().protect(blueprint, require())
        app.register_blueprint(blueprint)
    else:
        app.get("/")(view)
        app.test_client().get("/")  # looked at, and found open
        require()(view)
    return app


@pytest.mark.parametrize(
    "kind",
    [
        "above the route",
        "above a decorator with wraps",
        "two above a decorator with wraps",
        "by a shorthand",
        "spelt as a method",
        "on a blueprint",
        "after the first request",
    ],
)
def test_an_app_without_the_extension_serves_no_view_that_somebody_guarded(kind: str) -> None:
    app = uninitialised(kind)
    for _ in range(2):
        response = app.test_client().get("/")
        assert (response.status_code, b"SECRET" in response.data) == (503, False), kind


def test_what_one_app_checked_does_not_count_in_another(make_app: App, token: Sign) -> None:
    """A view of both apps, called in the context of another one while a request of the first is under way."""
    first, second, bare = make_app(), make_app(), Flask("bare")
    second.extensions["rampart"].services[Schemes].clear()
    outcome: dict[str, str] = {}

    @require()
    def admin() -> str:
        return "SECRET"

    def outer() -> str:
        for name, app in (("second", second), ("bare", bare), ("first", first)):
            with app.app_context():
                try:
                    outcome[name] = admin()
                except (Denied, ConfigError) as refused:
                    outcome[name] = type(refused).__name__
        return "ok"

    first.get("/")(require()(outer))
    for app in (first, second, bare):
        app.add_url_rule("/admin", view_func=admin)
    # In the first app, this request meets the guard of `admin` before.
    first.before_request(lambda: outcome.update(before=admin()))
    assert first.test_client().get("/", headers=bearer(token())).data == b"ok"
    assert outcome["before"] == outcome["first"] == "SECRET"
    assert outcome["second"] == "ConfigError"
    assert outcome["bare"] == "Denied503"


def test_each_of_a_batch_that_a_middleware_makes_of_one_request_is_judged_by_itself() -> None:
    """A middleware within the edge that asks the app several times, each time with a copy of one environ."""
    app = Flask(__name__)
    keys = [{"kid": "one", "alg": "HS256", "secret": "a secret of this test, of 32 bytes or more"}]
    app.config.update(TESTING=True, RAMPART_JWT_KEYS=keys)

    def batch(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        said: list[str] = []
        for token in environ["HTTP_X_TOKENS"].split(","):
            one = {**environ, "HTTP_AUTHORIZATION": token}
            b"".join(inner(one, lambda status, *_: said.append(status[:3])))
        start("200 OK", [("Content-Type", "text/plain")])
        return [",".join(said).encode()]

    inner = app.wsgi_app
    app.wsgi_app = batch  # type: ignore[method-assign]
    rampart = Rampart(app)

    @app.get("/")
    @require()
    @limit("2/minute", by="principal")
    def view() -> str:
        return "secret"

    with app.app_context():
        good = bearer(rampart.tokens.issue("ada"))["Authorization"]
    ask = app.test_client().get
    assert ask("/", headers={"X-Tokens": f"{good},Bearer x,{good},{good}"}).text == "200,401,200,429"


def test_of_two_that_claim_one_exchange_at_once_one_gets_it(make_app: App) -> None:
    """A middleware within the edge may ask by several threads, each with a copy of the environ."""
    app = make_app()
    state: AppState = app.extensions["rampart"]
    opened = Exchange(state, {})
    others: list[Exchange] = []

    class Interrupted(dict[str, Any]):
        """Another thread claims while this one takes what the edge left out of the environ."""

        def __delitem__(self, name: str) -> None:
            others.append(state.exchange(second))
            super().__delitem__(name)

        def pop(self, name: str, *default: Any) -> Any:
            others.append(state.exchange(second))
            return super().pop(name, *default)

    plain = EnvironBuilder().get_environ() | {ENVIRON_KEY: opened}
    first, second = Request(plain), Request(dict(plain))
    first.environ = Interrupted(plain)
    mine = state.exchange(first)
    assert len(others) == 1
    assert mine is not others[0]
    assert opened in (mine, others[0])


@pytest.mark.parametrize("copies", [True, False])
def test_failures_of_which_a_middleware_makes_a_200_are_counted(copies: bool) -> None:
    app = Flask(__name__)
    app.config.update(TESTING=True)
    said: list[str] = []

    def batch(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        b"".join(inner(dict(environ) if copies else environ, lambda status, *_: said.append(status[:3])))
        start("200 OK", [])
        return []

    inner = app.wsgi_app
    app.wsgi_app = batch  # type: ignore[method-assign]
    Rampart(app)

    @app.post("/login")
    @limit("3/minute", count="failures")
    def login() -> str:
        if request.args.get("ok"):
            return "in"
        abort(401)

    client = app.test_client()
    for _ in range(4):
        client.post("/login?ok=1")
    assert said == ["200"] * 4
    said.clear()
    for _ in range(5):
        client.post("/login")
    assert said == ["401", "401", "401", "429", "429"]


@pytest.mark.parametrize("copies", [True, False])
def test_a_query_beyond_the_bound_is_refused_however_often_it_is_asked(copies: bool) -> None:
    """Another route takes a longer one, so it is judged when the route is known."""
    app = Flask(__name__)
    app.config.update(TESTING=True, RAMPART_MAX_QUERY=100)
    said: list[str] = []

    def retry(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        for _ in range(3):
            b"".join(inner(dict(environ) if copies else environ, lambda status, *_: said.append(status[:3])))
        start("200 OK", [])
        return []

    inner = app.wsgi_app
    app.wsgi_app = retry  # type: ignore[method-assign]
    Rampart(app)
    app.add_url_rule("/short", "short", lambda: "short")
    app.add_url_rule("/long", "long", bounds(max_query=5000)(lambda: "long"))
    client = app.test_client()
    client.get("/short", query_string="a" * 2000)
    assert said == ["414"] * 3
    said.clear()
    client.get("/long", query_string="a" * 2000)
    assert said == ["200"] * 3


def test_what_opens_in_method_decorators_opens_no_subclass(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")

    class Open(MethodView):
        method_decorators = [public]  # noqa: RUF012

        def get(self) -> str:
            return "open"

    class More(Open):
        def delete(self) -> str:
            return "gone"

    app.add_url_rule("/open", view_func=Open.as_view("open"))
    app.add_url_rule("/more", view_func=More.as_view("more"))
    client = app.test_client()
    assert client.get("/open").status_code == 200
    assert client.get("/more").status_code == client.delete("/more").status_code == 403


@pytest.mark.parametrize("kind", ["property", "single"])
def test_method_decorators_of_another_shape_stop_nothing(make_app: App, kind: str) -> None:
    app = make_app()

    class Odd(MethodView):
        method_decorators: Any = (
            property(lambda self: [limit("1/minute")]) if kind == "property" else {"get": limit("1/minute")}
        )

        def get(self) -> str:
            return "odd"

    app.add_url_rule("/", view_func=Odd.as_view("odd"))
    assert app.test_client().get("/").text == "odd"
