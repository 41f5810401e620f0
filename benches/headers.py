"""Headers: what a profile adds to one answer, what the whole middleware does, and what Flask-Talisman does.

Run ``python benches/headers.py``. The row of Flask-Talisman needs the group ``bench``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import apps
import peers
from common import (
    Row,
    Subject,
    WSGIApp,
    answer,
    conclude,
    environ,
    heading,
    lacking,
    measure,
    options,
    run_requests,
    versions,
)
from flask import Flask
from operations import Comparison, show

from flask_rampart._native import HeaderPolicy, new_nonce

API, HTML = 1.5, 3.0
"""Microseconds that the full profile of each kind may add to an answer; pages have a nonce."""


def nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The barest WSGI app."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "2")])
    return [b"{}"]


def protected(profile: str) -> WSGIApp:
    """The same with the headers of a profile, by the native call and nothing else; pages ask for their nonce."""
    policy = HeaderPolicy(profile)
    apply, asks = policy.apply, policy.uses_nonce

    def with_headers(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        nonce = new_nonce() if asks else None

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            return start_response(status, apply(headers, True, nonce))

        return nothing(environ, start)

    return with_headers


def flask(name: str) -> Flask:
    """Flask with a view that answers as the barest app does."""
    app = Flask(name)
    app.post("/orders", endpoint="view")(lambda: "{}")
    app.post("/own", endpoint="own")(lambda: "{}")
    return app


def declared(name: str, path: str) -> WSGIApp:
    """The same behind ours; the view at ``/own`` declares headers."""
    from flask_rampart import Rampart, headers

    app = Flask(name)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    app.post("/orders", endpoint="view")(lambda: "{}")
    app.post("/own", endpoint="own")(headers(profile="html", x_frame_options="SAMEORIGIN")(lambda: "{}"))
    return at(app, path)


def talisman(name: str) -> WSGIApp:
    """The same behind Flask-Talisman with a policy that has a nonce."""
    from flask_talisman import Talisman  # type: ignore[import-untyped, unused-ignore]

    app = flask(name)
    policy = {"default-src": "'none'", "script-src": "'strict-dynamic'", "frame-ancestors": "'none'"}
    Talisman(app, force_https=False, content_security_policy=policy, content_security_policy_nonce_in=["script-src"])
    return at(app, "/own")


def at(app: WSGIApp, path: str) -> WSGIApp:
    """An app that is asked for one path."""

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["PATH_INFO"] = path
        return app(environ, start_response)

    return called


def subject(name: str, app: WSGIApp, *, has: str | None = None) -> Subject:
    """An app to measure, after it was seen to send what the row is about."""
    status, sent, _ = answer(app, environ(b"{}"))
    if status != 200 or (has is not None and has not in sent):
        raise SystemExit(f"{name}: answered {status} with {sorted(sent)}; it is not measured")
    # A new environ for each call, as a server makes it: the middleware keeps its exchange there.
    return Subject(
        name, lambda count: [environ(b"{}") for _ in range(count)], lambda given: run_requests(app, given, [])
    )


def comparisons() -> list[Comparison]:
    """All rows."""
    csp, how = "Content-Security-Policy", "us more"
    bare = subject("bare WSGI app", nothing)
    rows = [
        Comparison("one answer", "api, the call alone", subject("ours", protected("api"), has=csp), bare, API, how),
        Comparison("one answer", "html with a nonce", subject("ours", protected("html"), has=csp), bare, HTML, how),
        Comparison(
            "one answer",
            "the middleware",
            subject("ours", apps.at_the_edge(nothing, "edge", log=False), has=csp),
            bare,
            None,
            how,
        ),
    ]
    own = subject("bare Flask", at(flask("bare"), "/own"))
    for title, app in (
        ("ours", declared("plain", "/orders")),
        ("ours, headers(...) on the view", declared("declared", "/own")),
        *(() if peers.missing("flask_talisman") else (("Flask-Talisman with a nonce", talisman("talisman")),)),
    ):
        rows.append(Comparison("a whole request of Flask", title, subject(title, app, has=csp), own, None, how))
    return rows


def main() -> int:
    parser = options(__doc__, rounds=31)
    arguments = parser.parse_args()
    about = versions("flask-talisman")
    heading("Headers", about)
    if peers.missing("flask_talisman"):
        lacking("Flask-Talisman", "bench")
    found = comparisons()
    measure([comparison.ours for comparison in found], rounds=arguments.rounds)
    rows: list[Row] = [comparison.row() for comparison in found]
    show(rows)
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
