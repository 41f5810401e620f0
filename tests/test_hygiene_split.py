"""One answer to one request: what an app, or a peer through it, tries to add to an answer (CWE-113, CWE-444)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, redirect, request
from werkzeug.test import EnvironBuilder

from flask_rampart import EdgePolicy, RampartMiddleware
from flask_rampart.exchange import Exchange

App = Callable[..., Flask]

SPLITS = {
    "CRLF": "x\r\nSet-Cookie: a=b",
    "LF": "x\nSet-Cookie: a=b",
    "CR": "x\rSet-Cookie: a=b",
    "two answers": "x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "folded": "x\r\n y",
    "NUL": "x\0y",
    "vertical tab": "x\x0by",
    "escape": "\x1b[2J",
    # U+560A and U+560D cut to bytes: CVE-2016-5699's cousin at Twitter, 2015.
    "wide": "x\u560d\u560aSet-Cookie: a=b",
    "dotless": "x\u010a",
    "surrogate": "x\udc0a",
}


def sent(status: Any, headers: Any, *, environ: dict[str, Any] | None = None, sends: Any = ()) -> tuple[str, list[Any]]:
    """What reaches the server."""

    def app(environ: Any, start: Any) -> list[bytes]:
        start(status, headers)
        if isinstance(headers, list):
            headers.append(("X-Late", "a\r\nb"))
        return [b"ok"]

    def step(environ: Any, exchange: Exchange) -> None:
        exchange.sends = sends

    config = {"RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://"}
    policy = EdgePolicy.of(config, name="split")
    policy.steps = (step,)
    got: list[Any] = []
    made = EnvironBuilder(path="/").get_environ() | (environ or {})
    list(RampartMiddleware(app, policy)(made, lambda status, headers, exc_info=None: got.extend((status, headers))))  # type: ignore[arg-type, misc, return-value]
    return got[0], got[1]


@pytest.mark.parametrize("text", SPLITS.values(), ids=SPLITS)
def test_no_value_ends_its_field(text: str) -> None:
    for name in ("X-Any", "Location", "Set-Cookie", "Content-Type", "Server"):
        with pytest.raises(ValueError, match=r"[a-z]"):
            sent("200 OK", [(name, text)])


@pytest.mark.parametrize("name", ["X Y", "X:", "X\r\nY", "", "X\0", "caf\xe9", "X\u010a", "X\udc0a", "X\t"], ids=repr)
def test_no_name_ends_its_field(name: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        sent("200 OK", [(name, "y")])


@pytest.mark.parametrize("text", SPLITS.values(), ids=SPLITS)
def test_no_status_ends_its_line(text: str) -> None:
    with pytest.raises(ValueError, match="status line"):
        sent(f"200 {text}", [])


@pytest.mark.parametrize("text", SPLITS.values(), ids=SPLITS)
def test_what_rooms_send_splits_no_answer_either(text: str) -> None:
    for field in (("X-Room", text), (f"X-{text}", "y"), ("Vary", text)):
        with pytest.raises(ValueError, match=r"[a-z]"):
            sent("200 OK", [], sends=(field,))
    assert ("X-Room", "y") in sent("200 OK", [], sends=(("X-Room", "y"),))[1]


def test_bytes_are_no_text() -> None:
    for headers in ([(b"X", "y")], [("X", b"y")], [["X", "y"]], [("X", "y", "z")], [("X", 5)], (("X", "y"),)):
        with pytest.raises(TypeError):
            sent("200 OK", headers)
    with pytest.raises(TypeError):
        sent(b"200 OK", [])


def test_a_text_that_says_something_else_when_it_is_written_is_sent_as_it_was_judged() -> None:
    class Sly(str):
        def __str__(self) -> str:
            return "x\r\nSet-Cookie: a=b"

        def __format__(self, spec: str) -> str:
            return str(self)

        def encode(self, *_: Any) -> bytes:
            return str(self).encode()

    class Pair(tuple):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[str]:
            return iter(("X", "x\r\ny"))

    status, headers = sent(Sly("200 OK"), [(Sly("X-Sly"), Sly("y")), Pair(("X-Pair", "z"))])
    assert type(status) is str
    assert status == "200 OK"
    assert ("X-Sly", "y") in headers
    assert ("X-Pair", "z") in headers
    assert all(type(field) is tuple and {type(text) for text in field} == {str} for field in headers)


def test_a_list_that_grows_after_it_was_judged_is_not_the_list_that_was_sent() -> None:
    assert "X-Late" not in dict(sent("200 OK", [("X", "y")])[1])


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd", "101 Switching"])
def test_a_status_after_which_the_body_would_be_the_next_answer_is_no_answer(status: str) -> None:
    # RFC 9110 section 15.2: the client goes on reading, and finds in the body whatever the peer put there.
    with pytest.raises(ValueError, match="1xx"):
        sent(status, [])


def test_a_change_of_protocols_is_for_who_asked_for_it() -> None:
    assert sent("101 Switching Protocols", [], environ={"HTTP_UPGRADE": "websocket"})[0].startswith("101")
    with pytest.raises(ValueError, match="1xx"):
        sent("100 Continue", [], environ={"HTTP_UPGRADE": "websocket"})


@pytest.mark.parametrize("text", SPLITS.values(), ids=SPLITS)
def test_what_a_peer_says_never_splits_a_view_s_answer(make_app: App, text: str) -> None:
    app = make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    seen: list[Any] = []

    @app.get("/<how>")
    def view(how: str) -> Any:
        response = Response("ok")
        if how == "location":
            return redirect(text)
        if how == "cookie":
            response.set_cookie("name", text)
        elif how == "cookie-name":
            response.set_cookie(text, "value")
        elif how == "added":
            response.headers.add("X-Any", text)
        elif how == "inner":
            # Behind werkzeug's own check.
            response.headers._list.append(("X-Any", text))  # type: ignore[attr-defined]
        elif how == "status":
            response.status = f"200 {text}"
        elif how == "type":
            response.mimetype = text
        else:
            response.headers["Content-Disposition"] = f'attachment; filename="{request.args["q"]}"'
        return response

    inner = app.wsgi_app

    def server(environ: Any, start: Any) -> Any:
        def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.append((status, headers))
            return start(status, headers, exc_info)

        return inner(environ, note)

    app.wsgi_app = server  # type: ignore[method-assign]
    client = app.test_client(use_cookies=False)
    for how in ("location", "cookie", "cookie-name", "added", "inner", "status", "type", "query"):
        try:
            client.get(f"/{how}", query_string={"q": text.encode("utf-8", "replace").decode()})
        except (ValueError, UnicodeError):
            continue  # the server answers 500, or nothing
    assert seen
    for status, headers in seen:
        for part in (status, *(text for field in headers for text in field)):
            part.encode("latin-1")
            assert not any(ord(c) < 32 and c != "\t" for c in part), part
