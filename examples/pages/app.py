"""A notebook with pages: sign in, keep notes, look for them; and an API for the pages of another site.

    gunicorn --bind unix:/run/notes.sock "examples.pages.app:create_app()"

It stands behind a proxy that speaks TLS (``docs/proxies.md``), and has **a hole on purpose**: ``/search`` writes what
was looked for into the page as it came. What the browser is told keeps whoever finds it from running anything.

It needs, as environment variables or in ``config``:

``NOTES_SECRET``
    what signs the session, 32 random bytes at least (``python -c 'import secrets; print(secrets.token_hex(32))'``);
``NOTES_HOST``
    the name that browsers know it by, such as ``notes.example``.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, current_app, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_rampart import Rampart, clear_site_data, limit

FROM_ENVIRONMENT = ("NOTES_SECRET", "NOTES_HOST", "RAMPART_ACCESS_LOG", "RAMPART_LIMIT_STORE", "RAMPART_STORE")

# A script that stands in the page itself, and is known by its hash: it may be cached, which one with a nonce may not.
HASHED = 'ran("inline, known by its hash");'

rampart = Rampart()
pages = Blueprint("pages", __name__)


class Note(NamedTuple):
    """What somebody kept."""

    name: str
    text: str


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The app.

    :param config: settings that go before those of the environment.
    :raises RuntimeError: if the secret or the host is not given.
    """
    given = {name: os.environ[name] for name in FROM_ENVIRONMENT if name in os.environ} | dict(config or {})
    for name in ("NOTES_SECRET", "NOTES_HOST"):
        if not given.get(name):
            raise RuntimeError(f"{name} is not set: see the first lines of {__name__}.")
    app = Flask(__name__)
    app.config.update(SECRET_KEY=given["NOTES_SECRET"], **_edge(given["NOTES_HOST"]))
    app.config.update(given)
    app.extensions["pages"] = []
    app.register_blueprint(pages)
    rampart.init_app(app)
    return app


def _edge(host: str) -> dict[str, Any]:
    """What browsers are told, and who may call."""
    return {
        # Pages get the headers of pages, and the API those of an API.
        "RAMPART_PROFILE": "mixed",
        "RAMPART_CSP": {
            "default-src": "'none'",
            "script-src": ["'nonce'", "'strict-dynamic'", f"'sha256-{_digest(HASHED.encode())}'"],
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "object-src": "'none'",
            "require-trusted-types-for": "'script'",
            "upgrade-insecure-requests": True,
        },
        # Who asks for it by another name gets nothing, and who comes without TLS is sent to it.
        "RAMPART_TRUSTED_HOSTS": [host],
        "RAMPART_CANONICAL_HOST": host,
        "RAMPART_HTTPS": "redirect",
        # The proxy connects by a socket in the file system; what it says of its client is believed, and nobody else.
        "RAMPART_TRUSTED_PROXIES": ["unix"],
        # The pages that may read the API, with the reader's session.
        "RAMPART_CORS_ORIGINS": [f"https://reader.{host}"],
        "RAMPART_CORS_CREDENTIALS": True,
        # Where browsers tell what they did not run.
        "RAMPART_REPORTS": "/reports",
    }


def notes() -> list[Note]:
    """The current app's notes."""
    found: list[Note] = current_app.extensions["pages"]
    return found


@pages.get("/")
def home() -> str:
    """The notebook."""
    return render_template("home.html", title="Notebook", notes=notes(), hashed=HASHED, integrity=_integrity())


@pages.post("/sign-in")
@limit("10/minute", by="address")
def sign_in() -> AnyResponse:
    """Takes anybody's word for who they are: what is shown here is what a session is guarded by."""
    session.clear()
    session["name"] = request.form.get("name", "")[:40] or "somebody"
    return redirect(url_for("pages.home"), 303)


@pages.post("/sign-out")
def sign_out() -> AnyResponse:
    """Ends the session."""
    session.clear()
    # Also what scripts have kept. Not the cookies of the whole domain: the session's is gone, and others are not ours.
    clear_site_data("cache", "storage")
    return redirect(url_for("pages.home"), 303)


@pages.post("/notes")
def keep() -> AnyResponse:
    """Keeps a note."""
    if "name" not in session:
        return Response("Sign in first.", 401, {"WWW-Authenticate": "Session"})
    notes().append(Note(session["name"], request.form.get("text", "")[:200]))
    return redirect(url_for("pages.home"), 303)


@pages.get("/search")
def search() -> str:
    """Looks for notes."""
    asked = request.args.get("q", "")
    found = [note for note in notes() if asked in note.text]
    return render_template("search.html", title="Search", notes=found, asked=asked, integrity=_integrity())


@pages.get("/api/notes")
def api() -> Response:
    """The notes, and for whom they were asked for."""
    return jsonify(reader=session.get("name"), notes=[note._asdict() for note in notes()])


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _integrity() -> str:
    """What the browser compares the script with before it runs it."""
    return f"sha256-{_digest((Path(current_app.static_folder or '') / 'ran.js').read_bytes())}"
