"""Where the headers of the limiter's face are added: who sees them, and who gets them, whoever looks at an answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Request, Response, request, request_finished, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.middleware.shared_data import SharedDataMiddleware

from flask_rampart import Clock, Rampart

from .facing import LIMITER_FACES, limiter_app, standing_clock

OURS = LIMITER_FACES["ours"]
NAMES = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"]


@pytest.fixture(params=LIMITER_FACES, ids=str)
def face(request: pytest.FixtureRequest) -> ModuleType:
    return LIMITER_FACES[request.param]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return standing_clock(monkeypatch)


def told(response: Any) -> list[str | None]:
    return [response.headers.get(name) for name in NAMES]


def app_of(module: ModuleType, clock: Clock, **given: Any) -> tuple[Flask, Any]:
    app, limiter = limiter_app(module, clock, default_limits=["10/minute"], headers_enabled=True, **given)
    app.add_url_rule("/", "index", lambda: "hello")
    return app, limiter


def answers(app: Flask, count: int = 3, path: str = "/") -> list[Any]:
    client = app.test_client()
    return [client.get(path) for _ in range(count)]


def spent(responses: list[Any]) -> list[str | None]:
    return [response.headers.get("X-RateLimit-Remaining") for response in responses]


def test_each_answer_has_the_fields_once_and_they_are_those_of_theirs(clock: Clock) -> None:
    found = {}
    for name, module in LIMITER_FACES.items():
        app, _ = app_of(module, clock)
        given = answers(app, 11)
        found[name] = [[value for key, value in one.headers.items() if key in NAMES] for one in given]
        assert [one.status_code for one in given] == [200] * 10 + [429]
    assert found["ours"] == found["theirs"]
    assert found["ours"][2] == ["10", "7", found["ours"][0][2], "61"]


def test_who_is_registered_before_sees_them_and_who_is_after_does_not(face: ModuleType, clock: Clock) -> None:
    seen: list[tuple[str, bool]] = []

    def look(name: str) -> Any:
        def after(response: Response) -> Response:
            seen.append((name, "X-RateLimit-Limit" in response.headers))
            return response

        return after

    for is_before in (True, False):
        seen.clear()
        app = Flask("limits")
        app.config["RATELIMIT_STORAGE_URI"] = "memory://"
        app.testing = True
        if is_before:
            app.after_request(look("before"))
        given = {"clock": clock} if face is OURS else {}
        face.Limiter(face.util.get_remote_address, app=app, default_limits=["10/minute"], headers_enabled=True, **given)
        app.after_request(look("after"))
        app.add_url_rule("/", "index", lambda: "hello")
        assert spent(answers(app)) == ["9", "8", "7"]
        each = [("after", False), ("before", True)] if is_before else [("after", False)]
        assert seen == each * 3


def test_who_hears_of_a_finished_request_sees_them(face: ModuleType, clock: Clock) -> None:
    app, _ = app_of(face, clock)
    seen: list[str | None] = []

    def hear(sender: Any, response: Response, **more: Any) -> None:
        seen.append(response.headers.get("X-RateLimit-Remaining"))

    answers(app, 2)
    with request_finished.connected_to(hear, app):
        assert spent(answers(app)) == ["7", "6", "5"] == seen
    assert spent(answers(app)) == ["4", "3", "2"]


@pytest.mark.parametrize("is_before", [True, False])
def test_middleware_sees_them_wherever_it_was_put(face: ModuleType, clock: Clock, is_before: bool) -> None:
    seen: list[str] = []

    def around(inner: Any) -> Any:
        def middleware(environ: dict[str, Any], start_response: Any) -> Any:
            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                seen.append(dict(headers)["X-RateLimit-Remaining"])
                return start_response(status, headers, exc_info)

            return inner(environ, start)

        return middleware

    app = Flask("limits")
    app.testing = True
    app.config["RATELIMIT_STORAGE_URI"] = "memory://"
    given: dict[str, Any] = {"clock": clock} if face is OURS else {}
    if is_before:
        app.wsgi_app = around(app.wsgi_app)  # type: ignore[method-assign]
    face.Limiter(face.util.get_remote_address, app=app, default_limits=["10/minute"], headers_enabled=True, **given)
    if not is_before:
        app.wsgi_app = around(app.wsgi_app)  # type: ignore[method-assign]
    app.add_url_rule("/", "index", lambda: "hello")
    assert spent(answers(app)) == ["9", "8", "7"] == seen


def test_a_view_that_calls_its_own_app_has_them_too(face: ModuleType, clock: Clock) -> None:
    app, _ = app_of(face, clock)
    inner: list[str | None] = []

    @app.get("/outer")
    def outer() -> Response:
        environ = request.environ if request.args.get("same") else dict(request.environ)
        environ["PATH_INFO"] = "/"
        found = Response.from_app(app.wsgi_app, environ)
        inner.append(found.headers.get("X-RateLimit-Remaining"))
        return Response("outer")

    assert spent(answers(app, 1)) == ["9"]
    for query in ("", "?same=1"):
        assert len(spent(answers(app, 2, f"/outer{query}"))) == 2
    assert inner == ["8", "7", "6", "5"]
    assert spent(answers(app, 1, "/outer?same=1")) == ["5"]


REMAINING = "X-RateLimit-Remaining"


class Finalizing(Flask):
    def finalize_request(self, *args: Any, **kwargs: Any) -> Any:
        return noted(super().finalize_request(*args, **kwargs))


class Dispatching(Flask):
    def full_dispatch_request(self) -> Any:
        return noted(super().full_dispatch_request())


class Processing(Flask):
    def process_response(self, response: Any) -> Any:
        return noted(super().process_response(response))


class Within(Flask):
    def wsgi_app(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, ("X-Seen", dict(headers).get(REMAINING, "none"))], *more)

        return super().wsgi_app(environ, start)


class Session(SecureCookieSessionInterface):
    def is_null_session(self, obj: Any) -> bool:
        return False

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        noted(response)


class Answer(Response):
    def get_wsgi_headers(self, environ: Any) -> Any:
        return noted(self, super().get_wsgi_headers(environ))


def noted(response: Any, headers: Any = None) -> Any:
    """What it was given, with what it saw of the limit."""
    headers = response.headers if headers is None else headers
    headers["X-Seen"] = headers.get(REMAINING, "none")
    return response if headers is response.headers else headers


def patched(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Looks as what traces a whole process does."""
    theirs = getattr(owner, name)

    @functools.wraps(theirs)
    def looking(*args: Any, **kwargs: Any) -> Any:
        return noted(theirs(*args, **kwargs))

    monkeypatch.setattr(owner, name, looking)


LOOKING: dict[str, Callable[[Flask, pytest.MonkeyPatch], Any]] = {
    "finalize_request": lambda app, _: setattr(app, "__class__", Finalizing),
    "full_dispatch_request": lambda app, _: setattr(app, "__class__", Dispatching),
    "process_response": lambda app, _: setattr(app, "__class__", Processing),
    "process_response of one app": lambda app, patch: patched(patch, app, "process_response"),
    "finalize_request of all apps": lambda app, patch: patched(patch, Flask, "finalize_request"),
    "a session interface": lambda app, _: setattr(app, "session_interface", Session()),
    "a class of answers": lambda app, _: setattr(app, "response_class", Answer),
    "a class of one view's answers": lambda app, _: app.view_functions.update(index=lambda: Answer("hello")),
}


@pytest.mark.parametrize("where", LOOKING)
def test_what_looks_at_an_answer_on_its_way_sees_them(
    face: ModuleType, clock: Clock, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = app_of(face, clock, SECRET_KEY="x" * 32)
    LOOKING[where](app, monkeypatch)
    given = answers(app, 4)
    assert [one.headers["X-Seen"] for one in given] == spent(given) == ["9", "8", "7", "6"]


def test_a_class_of_apps_with_a_wsgi_app_of_its_own_sees_them(face: ModuleType, clock: Clock) -> None:
    app = Within("limits")
    app.testing = True
    app.config["RATELIMIT_STORAGE_URI"] = "memory://"
    given: dict[str, Any] = {"clock": clock} if face is OURS else {}
    face.Limiter(face.util.get_remote_address, app=app, default_limits=["10/minute"], headers_enabled=True, **given)
    app.add_url_rule("/", "index", lambda: "hello")
    assert [one.headers["X-Seen"] for one in answers(app)] == ["9", "8", "7"]


def test_a_request_that_copies_its_environ_is_told(face: ModuleType, clock: Clock) -> None:
    class Copying(Request):
        def __init__(self, environ: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(dict(environ), *args, **kwargs)

    app, _ = app_of(face, clock)
    app.request_class = Copying
    assert spent(answers(app, 4)) == ["9", "8", "7", "6"]


@pytest.mark.parametrize("copied", [dict, lambda environ: environ])
def test_an_answer_that_a_view_asks_for_within_its_request_has_its_own(
    face: ModuleType, clock: Clock, copied: Any
) -> None:
    app, limiter = app_of(face, clock)
    inner: list[Any] = []

    @app.get("/outer")
    @limiter.exempt  # type: ignore[untyped-decorator]
    def outer() -> Any:
        environ = copied(request.environ)
        environ["PATH_INFO"] = "/"
        with app.request_context(environ):
            inner.append(app.full_dispatch_request())
        return "outer"

    answers(app, 1)
    assert spent(answers(app, 3, "/outer")) == [None] * 3
    assert spent(inner) == ["8", "7", "6"]


def test_an_answer_that_is_asked_for_without_a_server_has_them(face: ModuleType, clock: Clock) -> None:
    app, _ = app_of(face, clock)
    answers(app, 2)
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": "127.0.0.1"}):
        assert spent([app.full_dispatch_request()]) == ["7"]


def test_a_retry_after_of_the_app_counts_where_it_is_later(face: ModuleType, clock: Clock) -> None:
    app, _ = app_of(face, clock)
    app.add_url_rule("/late", "late", lambda: ("", {"Retry-After": "300"}))
    app.add_url_rule("/soon", "soon", lambda: ("", {"retry-after": "3"}))
    assert [told(one)[3] for one in answers(app, 3, "/late")] == ["300"] * 3
    given = answers(app, 3, "/soon")
    assert [told(one)[3] for one in given] == ["61"] * 3
    assert [len(one.headers.getlist("Retry-After")) for one in given] == [1] * 3


@pytest.mark.parametrize("setting", ["http-date", "delta-seconds"])
def test_names_and_dates_are_the_apps(face: ModuleType, clock: Clock, setting: str) -> None:
    app, _ = app_of(face, clock, RATELIMIT_HEADER_RETRY_AFTER="X-Again", RATELIMIT_HEADER_RETRY_AFTER_VALUE=setting)
    app.add_url_rule("/own", "own", lambda: ("", {"x-again": "mine", "Retry-After": "300"}))
    expected = "61" if setting == "delta-seconds" else "Fri, 01 Jan 2027 00:01:01 GMT"
    for one in answers(app):
        assert one.headers["X-Again"] == expected
        assert "Retry-After" not in one.headers
    later = "300" if setting == "delta-seconds" else "Fri, 01 Jan 2027 00:05:00 GMT"
    for one in answers(app, 2, "/own"):
        assert (one.headers.getlist("X-Again"), one.headers["Retry-After"]) == ([later], "300")


def test_two_extensions_tell_of_theirs_both(clock: Clock) -> None:
    app, _ = app_of(OURS, clock)
    OURS.Limiter(OURS.util.get_remote_address, app=app, default_limits=["5/hour"], headers_enabled=True, clock=clock)
    for one in answers(app):
        assert sorted(one.headers.getlist("X-RateLimit-Limit")) == ["10", "5"]
        assert one.headers.getlist("Retry-After") == ["3601"]


def test_answers_of_errors_static_files_and_sessions_have_them_as_theirs(clock: Clock) -> None:
    found = {}
    for name, module in LIMITER_FACES.items():
        app, _ = app_of(module, clock, SECRET_KEY="x" * 32)

        def fail() -> str:
            raise ValueError("inside")

        def remember() -> str:
            session["a"] = 1
            return "hello"

        app.add_url_rule("/fail", "fail", fail)
        app.add_url_rule("/session", "session", remember)
        paths = ("/", "/fail", "/session", "/nowhere", "/static/x", "/")
        found[name] = [(one.status_code, told(one)[1]) for path in paths for one in answers(app, 1, path)]
    assert found["ours"] == found["theirs"]


def test_a_limit_within_the_view_and_a_refusal_are_told_instead(face: ModuleType, clock: Clock) -> None:
    app, limiter = app_of(face, clock)

    @app.get("/within")
    @limiter.limit("2/minute")
    def within() -> str:
        return "hello"

    given = answers(app, 3, "/within")
    assert [(one.status_code, told(one)[0], told(one)[1]) for one in given] == [
        (200, "2", "1"),
        (200, "2", "0"),
        (429, "2", "0"),
    ]


def test_beside_rampart_they_are_there_too(clock: Clock) -> None:
    for is_first in (True, False):
        app = Flask("limits")
        app.testing = True
        app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
        if is_first:
            Rampart(app, clock=clock)
        OURS.Limiter(OURS.util.get_remote_address, app=app, default_limits=["10/minute"], headers_enabled=True)
        if not is_first:
            Rampart(app, clock=clock)
        app.wsgi_app = SharedDataMiddleware(app.wsgi_app, {})  # type: ignore[method-assign]
        app.add_url_rule("/", "index", lambda: "hello")
        assert spent(answers(app)) == ["9", "8", "7"]
