"""Headers on every shape that a WSGI answer has: streamed, mounted, begun twice, cut off, without a body."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, redirect, request, send_file
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wsgi import FileWrapper

from flask_rampart import EdgePolicy, RampartMiddleware, csp_nonce, headers

App = Callable[..., Flask]
#: What stands once in every answer of the `api` profile over HTTP.
ONCE = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Resource-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Embedder-Policy",
    "Permissions-Policy",
    "X-Permitted-Cross-Domain-Policies",
    "X-DNS-Prefetch-Control",
    "Cache-Control",
    "X-Request-Id",
)


def are_on(answer: Any) -> None:
    counted = Counter(name.lower() for name, _ in answer.headers)
    for name in ONCE:
        assert counted[name.lower()] == 1, name


def middleware(app: Any) -> RampartMiddleware:
    return RampartMiddleware(app, EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="t"))


@pytest.mark.parametrize("log", ["off", "file"])
@pytest.mark.parametrize("status", [200, 201, 204, 206, 301, 304, 400, 404, 418, 429, 500, 503, 599])
def test_every_status_has_them_once(make_app: App, status: int, log: str, tmp_path: Any) -> None:
    app = make_app(RAMPART_ACCESS_LOG=log if log == "off" else str(tmp_path / "access.log"))
    app.route("/", methods=["GET", "POST"])(lambda: Response(status=status))
    for method in ("GET", "HEAD", "POST"):
        answer = app.test_client().open("/", method=method)
        assert answer.status_code == status
        are_on(answer)


def test_redirects_streams_and_files_have_them_once(make_app: App) -> None:
    app = make_app()
    app.get("/redirect")(lambda: redirect("/"))
    app.get("/stream")(lambda: Response(iter(["a", "b"])))
    app.get("/file")(lambda: send_file(io.BytesIO(b"abc"), "text/plain"))
    app.get("/strict/")(lambda: "")
    for path in ("/redirect", "/stream", "/file", "/strict"):
        for method in ("GET", "HEAD"):
            with app.test_client().open(path, method=method) as answer:
                are_on(answer)


def test_a_stream_that_breaks_off_has_had_them(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    @headers(x_frame_options="SAMEORIGIN")
    def broken() -> Response:
        def body() -> Iterator[str]:
            yield "a"
            raise ValueError("a bug")

        return Response(body())

    begun: list[Any] = []
    environ = app.test_client()._request_from_builder_args(("/",), {}).environ  # type: ignore[attr-defined]
    body = app.wsgi_app(environ, lambda status, fields, exc_info=None: begun.append((status, fields)))  # type: ignore[arg-type, return-value]
    parts = iter(body)
    assert next(parts) == b"a"
    with pytest.raises(ValueError, match="a bug"):
        next(parts)
    body.close()  # type: ignore[attr-defined]
    ((_, fields),) = begun
    assert [value for name, value in fields if name == "X-Frame-Options"] == ["SAMEORIGIN"]


def test_an_answer_that_is_begun_anew_with_exc_info_has_them_once() -> None:
    # PEP 3333: the second list replaces the first; none of the first may be in it.
    def fails(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html"), ("X-Frame-Options", "SAMEORIGIN")])
        try:
            raise ValueError("a bug")
        except ValueError:
            import sys

            start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"failed"]

    begun: list[Any] = []

    def start(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        begun.append((status, fields, exc_info))

    body = middleware(fails)(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.url_scheme": "http"}, start
    )
    assert list(body) == [b"failed"]
    (first, second) = begun
    assert dict(first[1])["X-Frame-Options"] == "SAMEORIGIN"
    assert second[2] is not None
    assert [value for name, value in second[1] if name == "X-Frame-Options"] == ["DENY"]


def test_what_is_written_with_write_comes_after_them() -> None:
    def writes(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a")
        return [b"b"]

    body, status, fields = run_wsgi_app(
        middleware(writes), {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.url_scheme": "http"}
    )
    assert (b"".join(body), status, fields["X-Frame-Options"]) == (b"ab", "200 OK", "DENY")


@pytest.mark.parametrize("log", ["off", "file"])
def test_a_file_goes_to_the_server_as_it_is_and_has_them(log: str, tmp_path: Any) -> None:
    def sends(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"abc"))

    place = "off" if log == "off" else str(tmp_path / "access.log")
    app = RampartMiddleware(sends, EdgePolicy.of({"RAMPART_ACCESS_LOG": place}, name="t"))
    begun: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
        "wsgi.file_wrapper": FileWrapper,
    }
    body = app(environ, lambda status, fields, exc_info=None: begun.append(fields))  # type: ignore[arg-type, return-value]
    assert isinstance(body, FileWrapper)
    assert dict(begun[0])["X-Frame-Options"] == "DENY"


def test_of_an_app_in_an_app_the_inner_ones_policy_holds_and_none_is_sent_twice(make_app: App) -> None:
    inner, outer = make_app(RAMPART_PROFILE="html"), make_app(RAMPART_LIMITS="100/hour")
    inner.get("/")(lambda: csp_nonce())
    inner.get("/own")(headers(x_frame_options="SAMEORIGIN")(lambda: "<p>"))
    outer.get("/")(dict)
    outer.wsgi_app.app = DispatcherMiddleware(outer.wsgi_app.app, {"/inner": inner})  # type: ignore[attr-defined]
    client = outer.test_client()
    page = client.get("/inner/")
    assert page.headers["Content-Security-Policy"].count(f"'nonce-{page.text}'") == 2
    assert client.get("/inner/own").headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    for path in ("/inner/", "/inner/own", "/inner/absent", "/", "/absent"):
        for name, count in Counter(name.lower() for name, _ in client.get(path).headers).items():
            assert count == 1, (path, name)


def test_the_outer_app_s_route_does_not_decide_for_the_app_that_it_calls(make_app: App) -> None:
    inner, outer = make_app(), make_app()
    inner.get("/")(lambda: "inner")

    @outer.get("/")
    @headers(x_frame_options="SAMEORIGIN")
    def calls() -> Response:
        return Response.from_app(inner.wsgi_app, request.environ)

    answer = outer.test_client().get("/")
    assert answer.headers.getlist("X-Frame-Options") == ["DENY"]
    are_on(answer)


def test_a_view_that_calls_another_has_what_both_declare(make_app: App) -> None:
    app = make_app()

    @app.get("/inner")
    @headers(referrer_policy="origin")
    def inner() -> str:
        return ""

    @app.get("/")
    @headers(x_frame_options="SAMEORIGIN")
    def outer() -> str:
        return inner()

    answer = app.test_client().get("/").headers
    assert (answer["X-Frame-Options"], answer["Referrer-Policy"]) == ("SAMEORIGIN", "origin")
    assert app.test_client().get("/inner").headers["X-Frame-Options"] == "DENY"


def test_an_error_handler_and_an_after_request_have_the_last_word_but_do_not_double_them(make_app: App) -> None:
    app = make_app()

    @app.after_request
    def own(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    app.errorhandler(404)(lambda error: ("absent", 404, {"Referrer-Policy": "origin"}))
    answer = app.test_client().get("/absent")
    assert (answer.headers["X-Frame-Options"], answer.headers["Referrer-Policy"]) == ("SAMEORIGIN", "origin")
    are_on(answer)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00", "\u560a\u560d"], ids=ascii)
def test_a_policy_of_the_view_s_own_cannot_split_the_answer(value: str) -> None:
    def splits(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Security-Policy", value)])
        return [b""]

    with pytest.raises(ValueError, match="control character"):
        Client(middleware(splits)).get("/")


def test_an_app_without_rampart_does_not_answer_without_what_its_views_declare() -> None:
    app = Flask("bare")
    app.get("/")(headers(x_frame_options="DENY")(lambda: ""))
    assert app.test_client().get("/").status_code == 503
