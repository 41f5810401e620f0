"""Cookies of bytes that are no text: one that a neighbour planted takes no other with it, and no app fails for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request, session

from flask_rampart import current_principal, require, validate
from flask_rampart._native import HeadBounds
from flask_rampart.tokens import Tokens

from .test_hygiene import ask

App = Callable[..., Flask]

# RFC 6265 section 4.1.1 has ASCII alone; what is UTF-8 browsers send too.
NO_TEXT = {
    "a byte": "a=\xff",
    "a byte in a name": "\xff=1",
    "nothing but a byte": "\xe9",
    "half of a character": "a=\xc3",
    "an overlong slash": "a=\xc0\xaf",
    "half of a surrogate pair": "a=\xed\xa0\x80",
    "no byte at all": "a=\u0100",
}
planted = pytest.mark.parametrize("pair", NO_TEXT.values(), ids=NO_TEXT)


def around(pair: str, own: str) -> list[str]:
    """A field in which a planted pair stands first, last, and between others."""
    return [f"{pair}; {own}", f"{own}; {pair}", f"x=1; {pair}; {own};{pair};y=2"]


@planted
def test_a_session_outlives_a_cookie_that_is_no_text(make_app: App, pair: str) -> None:
    app = make_app(SECRET_KEY="x" * 32)
    app.get("/in")(lambda: session.update(user="ada") or "ok")
    app.get("/")(lambda: session.get("user", "nobody"))
    own = app.test_client().get("/in").headers["Set-Cookie"].partition(";")[0]
    for field in around(pair, own):
        assert ask(app, HTTP_COOKIE=field) == (200, "ada")
    assert ask(app, HTTP_COOKIE=pair) == (200, "nobody")


@planted
def test_a_token_in_a_cookie_outlives_a_cookie_that_is_no_text(make_app: App, pair: str) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=["header", "cookie"])
    app.get("/")(require()(lambda: current_principal.id))
    with app.app_context():
        token = app.extensions["rampart"].services[Tokens].issue("ada")
    for field in around(pair, f"__Host-access_token={token}"):
        assert ask(app, HTTP_COOKIE=field) == (200, "ada")
    # Nobody is let in, and nothing fails.
    assert ask(app, HTTP_COOKIE=pair) == (401, "auth.missing")
    assert ask(app, HTTP_COOKIE=f"__Host-access_token={token}\xff") == (401, "auth.missing")


@planted
def test_a_checked_cookie_outlives_one_that_is_no_text(make_app: App, pair: str) -> None:
    app = make_app()
    app.get("/")(
        validate(cookies={"required": ["n"], "properties": {"n": {"type": "integer"}}})(lambda: request.cookies["n"])
    )
    for field in around(pair, "n=5"):
        assert ask(app, HTTP_COOKIE=field) == (200, "5")
    assert ask(app, HTTP_COOKIE=pair) == (422, "cookies.invalid")
    # It is not there, and not something else.
    assert ask(app, HTTP_COOKIE="n=5\xff") == (422, "cookies.invalid")


def test_what_is_text_stays_letter_for_letter_and_what_leaves_nothing_is_taken_out() -> None:
    bounds = HeadBounds(max_headers=99, max_header_bytes=9999, max_query=9, max_path=9, methods=["GET"])

    def left(field: str) -> Any:
        environ = {"PATH_INFO": "/", "HTTP_COOKIE": field}
        assert bounds.judge(environ) is None
        return environ.get("HTTP_COOKIE")

    for field in ("a=1", "a=1;b=2", "", " a = 1 ;; ; b", "a=\xc3\xa9; b=\xe2\x82\xac", 'a="1, 2"; $Path=/'):
        assert left(field) == field
    for field in ("\xff", "a=\xff; b=\xff", "; \xff"):
        assert left(field) is None
    # A character that a semicolon cuts in two is none.
    assert left("a=\xc3;\xa9=1; b=2") == "b=2"
    many = "a=1; \xff; " * 2000
    assert (
        HeadBounds(max_headers=9, max_header_bytes=10**6, max_query=9, max_path=9, methods=["GET"]).judge(
            environ := {"PATH_INFO": "/", "HTTP_COOKIE": many}
        )
        is None
    )
    assert environ["HTTP_COOKIE"].count("a=1") == 2000
    assert environ["HTTP_COOKIE"].isascii()
