"""Origins: what a preflight costs, and what CORS and the CSRF check add to a request.

Run ``python benches/origins.py``. All in process; the ratios are against a GET that bare Flask answers.
"""

from __future__ import annotations

import sys
from typing import Any

from common import Row, Subject, WSGIApp, answer, conclude, environ, heading, measure, options, run_requests, versions
from flask import Flask
from operations import Comparison, show

PREFLIGHT = 0.1
"""Of a GET of bare Flask."""

PAGE = "https://app.example.com"
ORIGINS = [PAGE, "https://*.example.org"]
FROM_PAGE = {"REQUEST_METHOD": "GET", "HTTP_ORIGIN": PAGE}
ASKED = {
    "REQUEST_METHOD": "OPTIONS",
    "HTTP_ORIGIN": PAGE,
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization,content-type",
}
BY_COOKIE = {"REQUEST_METHOD": "POST", "HTTP_COOKIE": "session=x", "HTTP_ORIGIN": "https://api.example.com"}


def flask(name: str) -> Flask:
    """Flask with a view for each method."""
    app = Flask(name)
    app.route("/orders", methods=["GET", "POST", "PUT"], endpoint="view")(lambda: "{}")
    return app


def protected(name: str, *, own: bool = False, **settings: Any) -> Flask:
    """The same behind ours.

    :param own: whether the view has a policy of its own, so that the edge has to find it.
    """
    from flask_rampart import Rampart, cors

    app = Flask(name)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **settings)
    Rampart(app)
    view: Any = lambda: "{}"  # noqa: E731
    if own:
        view = cors(origins=ORIGINS, credentials=True)(view)
    app.route("/orders", methods=["GET", "POST", "PUT"], endpoint="view")(view)
    app.get("/other")(lambda: "{}")
    return app


def subject(name: str, app: WSGIApp, sent: dict[str, str], status: int = 200, has: str | None = None) -> Subject:
    """A request to measure, after it was seen to be answered as the row says."""

    def request() -> dict[str, Any]:
        return {**environ(b""), **sent}

    found, fields, _ = answer(app, request())
    if found != status or (has is not None and has not in fields):
        raise SystemExit(f"{name}: answered {found} with {sorted(fields)}; it is not measured")
    # A new environ for each call, as a server makes it: the middleware keeps its exchange there.
    return Subject(name, lambda count: [request() for _ in range(count)], lambda given: run_requests(app, given, []))


def comparisons() -> list[Comparison]:
    """All rows."""
    origin = "Access-Control-Allow-Origin"
    bare = subject("GET of bare Flask", flask("bare"), {"REQUEST_METHOD": "GET"})
    plain = subject("ours without CORS", protected("plain"), FROM_PAGE)
    one = protected("one", RAMPART_CORS_ORIGINS=ORIGINS, RAMPART_CORS_CREDENTIALS=True)
    many = protected("many", own=True)
    checked = protected("checked", RAMPART_CSRF="fetch-metadata")
    unchecked = subject("ours without CSRF", protected("unchecked", RAMPART_CSRF="off"), BY_COOKIE)
    metadata = {**BY_COOKIE, "HTTP_SEC_FETCH_SITE": "same-origin"}
    stranger = {**ASKED, "HTTP_ORIGIN": "https://evil.test"}
    below = {**ASKED, "HTTP_ORIGIN": "https://a.example.org"}

    def preflight(title: str, app: WSGIApp, sent: dict[str, str], status: int = 204) -> Comparison:
        mine = subject("preflight", app, sent, status, has=origin if status == 204 else None)
        return Comparison("a preflight", title, mine, bare, PREFLIGHT)

    def more(
        group: str, title: str, app: WSGIApp, sent: dict[str, str], beside: Subject, has: str | None
    ) -> Comparison:
        return Comparison(group, title, subject(title, app, sent, has=has), beside, None, "us more")

    page = "a request of a page"
    return [
        preflight("one policy for the app", one, ASKED),
        preflight("of a name below a star", one, below),
        preflight("a policy of the view's", many, ASKED),
        preflight("of a stranger, refused", one, stranger, 403),
        more(page, "one policy for the app", one, FROM_PAGE, plain, origin),
        more(page, "a policy of the view's", many, FROM_PAGE, plain, origin),
        # A subject of its own: what others are compared with has no figures beside it.
        Comparison(page, "without CORS", subject("ours", protected("alone"), FROM_PAGE), bare),
        more("the CSRF check", "by Sec-Fetch-Site", checked, metadata, unchecked, None),
        more("the CSRF check", "by Origin", checked, BY_COOKIE, unchecked, None),
    ]


def main() -> int:
    arguments = options(__doc__, rounds=31).parse_args()
    about = versions()
    heading("Origins", about)
    found = comparisons()
    measure([comparison.ours for comparison in found], rounds=arguments.rounds)
    rows: list[Row] = [comparison.row() for comparison in found]
    show(rows)
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
