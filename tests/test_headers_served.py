"""Headers on the wire: behind a real gunicorn, whatever shape the answer has, each once."""

from __future__ import annotations

import http.client
import socket
from collections import Counter
from pathlib import Path

import pytest

from .serving import Served, serving

pytestmark = pytest.mark.servers

VIEWS = """
    import sys
    from flask import Flask as Plain, redirect, send_file, stream_with_context
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from flask_rampart import csp_nonce, headers
    Rampart(app)

    @app.get("/stream")
    @headers(x_frame_options="SAMEORIGIN")
    def stream():
        return Response(iter(["a", "b"]))

    @app.get("/broken")
    def broken():
        def body():
            yield "a" * 100_000
            raise ValueError("a bug")
        return Response(body())

    @app.get("/page")
    @headers(profile="html")
    def page():
        return csp_nonce(), {"Cache-Control": "public, max-age=60"}

    app.get("/file")(lambda: send_file(__file__))
    app.get("/fails", endpoint="fails")(headers(csp="default-src *")(lambda: 1 // 0))
    app.get("/redirect", endpoint="redirect")(lambda: redirect("/"))
    for status in (204, 304):
        app.get(f"/{status}", endpoint=str(status))(lambda status=status: Response(status=status))

    def plain(environ, start_response):
        kind = environ["PATH_INFO"]
        if kind == "/write":
            start_response("200 OK", [("Content-Type", "text/plain")])(b"a")
            return [b"b"]
        if kind == "/twice":
            start_response("200 OK", [("Content-Type", "text/plain"), ("X-Frame-Options", "SAMEORIGIN")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 SERVICE UNAVAILABLE", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"twice"]
        wrapper = environ["wsgi.file_wrapper"]
        start_response("200 OK", [("Content-Type", "text/plain"), ("Server", "hamster")])
        return wrapper(open(__file__, "rb"))

    inner = Plain("inner")
    inner.config.update(RAMPART_ACCESS_LOG="off", RAMPART_PROFILE="html", RAMPART_LIMIT_STORE="memory://")
    Rampart(inner)
    inner.get("/")(lambda: csp_nonce())
    app.wsgi_app.app = DispatcherMiddleware(app.wsgi_app.app, {"/plain": plain, "/inner": inner})
"""
ONCE = ("content-security-policy", "x-frame-options", "x-content-type-options", "cache-control", "x-request-id")


def ask(served: Served, path: str, method: str = "GET") -> tuple[int, list[tuple[str, str]], bytes]:
    connection = served.connect()
    try:
        connection.request(method, path)
        response = connection.getresponse()
        try:
            body = response.read()
        except http.client.IncompleteRead as error:
            body = error.partial
        return response.status, response.getheaders(), body
    finally:
        connection.close()


@pytest.mark.parametrize("arguments", [(), ("-k", "gthread", "--threads", "2"), ("-k", "gevent")], ids=str)
def test_every_shape_of_answer_has_them_once_on_the_wire(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with serving(tmp_path, VIEWS, *arguments) as served:
        expected = {
            "/stream": 200, "/broken": 200, "/page": 200, "/file": 200, "/fails": 500, "/redirect": 302, "/204": 204,
            "/304": 304, "/absent": 404, "/plain/write": 200, "/plain/twice": 503, "/plain/file": 200, "/inner/": 200,
            "/inner/absent": 404,
        }  # fmt: skip
        for method in ("GET", "HEAD"):
            for path, status in expected.items():
                found, fields, _ = ask(served, path, method)
                assert found == status, (method, path)
                counted = Counter(name.lower() for name, _ in fields)
                # Of an answer that is begun anew, gunicorn 27 sends the fields of both, whatever they are (PEP 3333 says
                # the second alone): then ours are there as often as the app's only one, and the last is the policy's.
                times = counted["content-type"] if path == "/plain/twice" else 1
                for name in ONCE:
                    assert counted[name] == times, (method, path, name)
                told = {name.lower(): value for name, value in fields}
                assert told.get("server") != "hamster"
                assert told["x-frame-options"] == ("SAMEORIGIN" if path == "/stream" else "DENY"), path
        _, fields, body = ask(served, "/page")
        told = {name.lower(): value for name, value in fields}
        assert told["cache-control"] == "private, no-store"
        assert told["content-security-policy"].count(f"'nonce-{body.decode()}'") == 2
        assert "has a nonce of csp_nonce()" in served.said()
        _, fields, body = ask(served, "/inner/")
        assert dict(fields)["Content-Security-Policy"].count(f"'nonce-{body.decode()}'") == 2
        _, fields, body = ask(served, "/fails")
        assert "default-src *" not in dict(fields)["Content-Security-Policy"]
        # Whoever goes away in the middle ends nobody else's answer.
        with socket.create_connection(("127.0.0.1", served.port), 10) as peer:
            peer.sendall(b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
            peer.recv(10)
        assert ask(served, "/stream")[0] == 200
