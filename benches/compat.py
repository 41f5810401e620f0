"""The faces of other extensions: the same app, of which only the import changes.

Run ``python benches/compat.py``. The rows compare what an extension adds to bare Flask, theirs and ours; how it
measures stands in ``common.py``.
"""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import sys
import tempfile
from types import ModuleType
from typing import Any

import peers
from common import (
    Row,
    Subject,
    answer,
    conclude,
    environ,
    figure,
    goal,
    heading,
    lacking,
    mark,
    measure,
    options,
    run_requests,
    table,
    versions,
)
from flask import Flask

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"
TOKENS = 64
ADDED = 8.0
"""How many times more theirs adds than ours."""
ADDED_BY_CORS = 3.0
"""The same of Flask-Cors: what is left is the fields themselves, which werkzeug copies with each answer."""
HTTPS = "https://api.example.com"
LIMITED = 10.0
"""The same, for limits."""


def app_of(face: ModuleType | None) -> Flask:
    """An app with one view, behind ``jwt_required`` of a face, or bare."""
    app = Flask(f"compat {face and face.__name__}")
    app.config["JWT_SECRET_KEY"] = SECRET

    def view() -> str:
        return "{}"

    if face is not None:
        face.JWTManager(app)
        view = face.jwt_required()(view)
    app.add_url_rule("/orders", "view", view, methods=["POST"])
    return app


def subject(name: str, app: Flask, tokens: list[str]) -> Subject:
    """An app to measure, after it was seen to do what the row is about."""
    refused = answer(app.wsgi_app, environ(b"{}", tokens[0] + "x"))[0]
    status = answer(app.wsgi_app, environ(b"{}", tokens[0]))[0]
    if status != 200 or refused != (200 if name == "bare Flask" else 422):
        raise SystemExit(f"{name}: answered {status}, and {refused} to a wrong token; it is not measured")
    following = itertools.cycle(tokens)
    return Subject(
        name,
        lambda count: [environ(b"{}", next(following)) for _ in range(count)],
        lambda given: run_requests(app.wsgi_app, given, []),
    )


def jwt(rounds: int) -> list[Row]:
    """``jwt_required`` with HS256 in the header: tokens that were seen before, as those of a page's next requests."""
    import flask_jwt_extended as theirs

    from flask_rampart.compat import jwt_extended as ours

    logging.disable(logging.WARNING)  # where ours is stricter, it says so once
    apps = {"bare Flask": app_of(None), "Flask-JWT-Extended": app_of(theirs), "flask_rampart.compat": app_of(ours)}
    with apps["Flask-JWT-Extended"].app_context():
        tokens = [theirs.create_access_token(str(number)) for number in range(TOKENS)]
    bare, peer, mine = (subject(name, app, tokens) for name, app in apps.items())
    return compared("jwt_required, HS256", bare, peer, mine, rounds, ADDED)


def talisman(rounds: int) -> list[Row]:
    """What Talisman's defaults add to an answer by HTTPS, and a nonce in its policy."""
    import flask_talisman as theirs

    from flask_rampart.compat import talisman as ours

    logging.disable(logging.WARNING)
    rows = []
    for name, given in (
        ("Talisman(app)", {}),
        ("Talisman(app), a nonce", {"content_security_policy_nonce_in": ["default-src"]}),
    ):

        def made(face: ModuleType | None, given: dict[str, Any] = given) -> Flask:
            app = bare_app()
            if face is not None:
                face.Talisman(app, **given)
            return app

        apps = {"bare Flask": made(None), "Flask-Talisman": made(theirs), "flask_rampart.compat": made(ours)}
        found = (sending(name, app, "Content-Security-Policy", {}) for name, app in apps.items())
        rows += compared(name, *found, rounds, ADDED if not given else None)
    return rows


def cors(rounds: int) -> list[Row]:
    """What a request of a page of another origin costs more, and its preflight."""
    import flask_cors as theirs

    from flask_rampart.compat import cors as ours

    origins = {"origins": ["https://app.example.com", "https://www.example.com"], "supports_credentials": True}
    page = {"HTTP_ORIGIN": "https://app.example.com"}
    asking = {
        **page,
        "REQUEST_METHOD": "OPTIONS",
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
        "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "content-type",
    }

    def on_app(face: ModuleType | None) -> Flask:
        app = bare_app()
        if face is not None:
            face.CORS(app, **origins)
        return app

    def on_view(face: ModuleType | None) -> Flask:
        return bare_app(None if face is None else face.cross_origin(**origins))

    rows = []
    for name, made, more in (
        ("CORS(app)", on_app, page),
        ("CORS(app), a preflight", on_app, asking),
        ("cross_origin", on_view, page),
    ):
        apps = {"bare Flask": made(None), "Flask-Cors": made(theirs), "flask_rampart.compat": made(ours)}
        found = (sending(name, app, "Access-Control-Allow-Origin", more) for name, app in apps.items())
        rows += compared(name, *found, rounds, ADDED_BY_CORS)
    return rows


def bare_app(decorate: Any = None) -> Flask:
    """An app with one view."""
    app = Flask("compat")

    def view() -> str:
        return "{}"

    app.add_url_rule("/orders", "view", decorate(view) if decorate else view, methods=["POST"])
    return app


def sending(name: str, app: Flask, field: str, more: dict[str, str]) -> Subject:
    """An app to measure, after it was seen to send *field*, or not, if it is bare."""
    status, headers, _ = answer(app.wsgi_app, environ(b"{}") | more)
    if status != 200 or (field.lower() in {sent.lower() for sent in headers}) is (name == "bare Flask"):
        raise SystemExit(f"{name}: answered {status} with {headers}; it is not measured")
    return Subject(
        name,
        lambda count: [environ(b"{}") | more for _ in range(count)],
        lambda given: run_requests(app.wsgi_app, given, []),
    )


def compared(group: str, bare: Subject, peer: Subject, mine: Subject, rounds: int, target: float | None) -> list[Row]:
    """What both add to *bare*, and what a whole request comes to."""
    peer.against = mine.against = bare
    measure([peer, mine], rounds=rounds, span=0.01)
    # Round by round, so that a slow second of the machine is in both.
    more = [
        (a - b) / max(c - d, 1e-9)
        for a, b, c, d in zip(peer.rounds, peer.beside, mine.rounds, mine.beside, strict=True)
    ]
    return [
        Row(
            group,
            "added to a request",
            statistics.median(more),
            "times less",
            target,
            at_least=True,
            micros=mine.added,
            peer=peer.added,
            note=peer.name,
        ),
        Row(group, "a whole request", mine.ratio, "x bare", micros=mine.median, peer=peer.median),
    ]


def limited_app(face: ModuleType | None, **settings: Any) -> Flask:
    """An app with one view, behind a default limit of a face, or bare."""
    app = Flask(f"compat {face and face.__name__}")
    app.config.update(settings)
    if face is not None:
        face.Limiter(face.util.get_remote_address, app=app, default_limits=["1000000000/day"], storage_uri="memory://")
    app.add_url_rule("/orders", "view", lambda: "{}", methods=["POST"])
    return app


def counted(name: str, app: Flask) -> Subject:
    """An app to measure: its callers come from many addresses."""
    if answer(app.wsgi_app, environ(b"{}"))[0] != 200:
        raise SystemExit(f"{name}: does not answer; it is not measured")
    addresses = itertools.cycle([f"192.0.2.{number}" for number in range(TOKENS)])
    return Subject(
        name,
        lambda count: [environ(b"{}", address=next(addresses)) for _ in range(count)],
        lambda given: run_requests(app.wsgi_app, given, []),
    )


def limiter(rounds: int) -> list[Row]:
    """A default limit by address: theirs in the worker's own memory, ours in memory that all workers share."""
    import flask_limiter as theirs
    import flask_limiter.util

    from flask_rampart.compat import limiter as ours
    from flask_rampart.compat.limiter import util as util

    logging.disable(logging.WARNING)
    rows: list[Row] = []
    for title, settings in (("a default limit", {}), ("with headers", {"RATELIMIT_HEADERS_ENABLED": True})):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o700)
            store = {"RAMPART_LIMIT_STORE": f"shm://{folder}/counters"}
            bare = counted("bare Flask", limited_app(None))
            peer = counted("Flask-Limiter", limited_app(theirs, **settings))
            mine = counted("flask_rampart.compat", limited_app(ours, **settings, **store))
            peer.against = mine.against = bare
            measure([peer, mine], rounds=rounds, span=0.01)
        more = [
            (a - b) / max(c - d, 1e-9)
            for a, b, c, d in zip(peer.rounds, peer.beside, mine.rounds, mine.beside, strict=True)
        ]
        group = f"Limiter, {title}"
        rows.append(
            Row(
                group,
                "added to a request",
                statistics.median(more),
                "times less",
                LIMITED,
                at_least=True,
                micros=mine.added,
                peer=peer.added,
                note=peer.name,
            )
        )
        rows.append(Row(group, "a whole request", mine.ratio, "x bare", micros=mine.median, peer=peer.median))
    return rows


def csrf(rounds: int) -> list[Row]:
    """A request of a script with a token, as a browser sends it by HTTPS, and a page with a token."""
    import flask_wtf.csrf as theirs

    from flask_rampart.compat import wtf_csrf as ours

    logging.disable(logging.WARNING)
    faces = {"bare Flask": None, "Flask-WTF": theirs, "flask_rampart.compat": ours}
    rows = []
    for title, is_page in (("a POST with a token", False), ("a page with a token", True)):
        found = (tokened(name, face, is_page) for name, face in faces.items())
        rows += compared(f"CSRFProtect, {title}", *found, rounds, None)
    return rows


def tokened(name: str, face: ModuleType | None, is_page: bool) -> Subject:
    """An app to measure, after it was seen to refuse what has no token."""
    app = bare_app()
    app.secret_key = SECRET
    if face is not None:
        face.CSRFProtect(app)
    app.add_url_rule("/token", "token", (lambda: "none") if face is None else face.generate_csrf)
    client = app.test_client()
    token = client.get("/token", base_url=HTTPS).text
    cookie = client.get_cookie("session", "api.example.com")
    more = {
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "HTTP_ORIGIN": HTTPS,
        "HTTP_REFERER": f"{HTTPS}/page",
        "HTTP_COOKIE": f"session={cookie.value}" if cookie else "other=1",
    }
    proof = {"HTTP_X_CSRFTOKEN": token}
    if is_page:
        more |= {"REQUEST_METHOD": "GET", "PATH_INFO": "/token"}
        proof = {}
    refused = answer(app.wsgi_app, environ(b"{}") | more | {"REQUEST_METHOD": "POST", "PATH_INFO": "/orders"})[0]
    status = answer(app.wsgi_app, environ(b"{}") | more | proof)[0]
    if status != 200 or refused != (200 if face is None else 400):
        raise SystemExit(f"{name}: answered {status}, and {refused} without a token; it is not measured")
    return Subject(
        name,
        lambda count: [environ(b"{}") | more | proof for _ in range(count)],
        lambda given: run_requests(app.wsgi_app, given, []),
    )


PARTS: dict[str, Any] = {"jwt": jwt, "limiter": limiter, "talisman": talisman, "cors": cors, "csrf": csrf}


def main() -> int:
    parser = options(__doc__, rounds=31)
    parser.add_argument("--part", choices=PARTS, action="append", help="only these; again for more")
    arguments = parser.parse_args()
    about = versions(
        "flask-jwt-extended", "pyjwt", "flask-limiter", "limits", "flask-talisman", "flask-cors", "flask-wtf"
    )
    heading("Faces of other extensions", about)
    if absent := peers.missing("flask_jwt_extended", "flask_limiter", "flask_talisman", "flask_cors", "flask_wtf"):
        lacking(f"all of it ({', '.join(absent)})", "bench")
        return 1
    rows: list[Row] = []
    for name in arguments.part or PARTS:
        rows += PARTS[name](arguments.rounds)
    lines: list[list[str]] = []
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        lines.append([group])
        for row in members:
            cells = [f"  {row.name}", row.note, figure(row.micros), figure(row.peer), figure(row.value), row.unit]
            lines.append([*cells, goal(row), mark(row.met)])
    print(table(("", "against", "ours us", "peer us", "ours is", "", "target", ""), lines, left=2))
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
