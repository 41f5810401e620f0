"""Misshapen, or with secrets where none belong: requests that a good token does not save."""

from __future__ import annotations

import gzip
import secrets
from urllib.parse import urlencode

from examples.predict_api.attempts import Act, Attempt, Send
from examples.predict_api.client import Answer, bearer
from examples.predict_api.judges import not_found, told
from examples.predict_api.scene import JSON, Scene


def _media_type(scene: Scene) -> Answer:
    form = [*bearer(scene.ada), ("Content-Type", "application/x-www-form-urlencoded")]
    return scene.client.send("POST", "/predict", form, b"text=hello")


def _declared(scene: Scene) -> Answer:
    # The length alone is sent: who answers only after reading it all never answers.
    return scene.client.send("POST", "/predict", [*bearer(scene.ada), JSON], declared=10_000_000_000)


def _chunked(scene: Scene) -> list[Answer]:
    # A text without end; then good JSON and blanks beyond the bound, which to cut off there would let pass.
    bodies = ([b'{"text": "', *[b"x" * 65536] * 16], [b'{"text": "late parcel"}', *[b" " * 65536] * 16])
    headers = [*bearer(scene.ada), JSON]
    return [scene.client.send("POST", "/predict", headers, chunks=body) for body in bodies]


def _query(scene: Scene) -> list[Answer]:
    query = {
        "password": scene.secret("a password in the query", secrets.token_urlsafe(12)),
        "card": scene.secret("a card in the query", "4111111111111111"),  # the networks' own test number
        "contact": scene.secret("an e-mail in the query", "kim.lee@mail.example"),
        "token": scene.mint("u-query"),
    }
    headers = [*bearer(scene.ada), JSON]
    # As browsers send it, with the @ percent-encoded, and as people type it.
    return [
        scene.client.send("POST", f"/predict?{urlencode(query, safe=safe)}", headers, b'{"text": "broken parcel"}')
        for safe in ("", "@")
    ]


def _credentials(scene: Scene) -> Answer:
    query = {
        "api_key": scene.api_key,
        "refresh_token": scene.logins["desk"].refresh,
        "client_secret": scene.secret("a client secret", secrets.token_urlsafe(24)),
    }
    cookie = ("Cookie", f"session={scene.secret('a session cookie', secrets.token_urlsafe(24))}")
    headers = [*bearer(scene.ada), JSON, cookie]
    return scene.client.send("POST", f"/predict?{urlencode(query)}", headers, b'{"text": "forgot my password"}')


def _nowhere(scene: Scene) -> list[Answer]:
    return [scene.client.get("/wp-login.php"), scene.client.send("DELETE", "/predict", bearer(scene.ada))]


def _document(scene: Scene) -> Answer:
    return scene.client.get("/openapi.json")


def _body(text: bytes) -> Send:
    """Sends a body as Ada does, with her token."""
    return lambda scene: scene.client.post("/predict", text, scene.ada)


def _coded(coding: str, body: bytes) -> Send:
    """Sends a compressed body."""
    return lambda scene: scene.client.send(
        "POST", "/predict", [*bearer(scene.ada), JSON, ("Content-Encoding", coding)], body
    )


def _figures(*queries: str) -> Send:
    """Asks for the figures, as Grace may."""
    return lambda scene: [scene.client.get(f"/admin/stats?{query}", scene.grace) for query in queries]


LEVELS = 100_000
TICKET = b'{"text": "I was charged twice"}'
# 64 MiB in 64 KiB; and one whose end is missing.
BOMB, CUT = gzip.compress(b'{"text": "' + b"a" * (64 << 20) + b'"}'), gzip.compress(TICKET)[:-6]

WITH_WHAT = Act(
    "With what",
    (
        Attempt("malformed JSON", 400, "json.malformed", "cut off in the middle", _body(b'{"text": "hel')),
        Attempt(
            "a member twice",
            400,
            "json.duplicate_key",
            "parsers disagree which counts",
            _body(b'{"text": "a", "text": "b"}'),
        ),
        Attempt(
            "100,000 nested arrays",
            400,
            "json.too_deep",
            "no recursion to exhaust",
            _body(b"[" * LEVELS + b"]" * LEVELS),
            show=True,
        ),
        Attempt("NaN", 400, "json.non_finite", "Python's json takes it", _body(b'{"text": NaN}')),
        Attempt(
            "a number for a text",
            422,
            "body.invalid",
            "JSON Schema: type",
            _body(b'{"text": 7}'),
            show=True,
        ),
        Attempt(
            "a member too many",
            422,
            "body.invalid",
            "additionalProperties",
            _body(b'{"text": "a", "admin": true}'),
        ),
        Attempt("a form instead of JSON", 415, "body.media_type", "not what the view reads", _media_type),
        Attempt(
            "figures, by number and label", 200, "", "typed: schemas/stats.json", _figures("least=1&label=billing")
        ),
        Attempt(
            "no number, twice, misspelt",
            422,
            "query.invalid",
            "a query has a shape too",
            _figures("least=1e9x", "least=1&least=2", "laest=1"),
        ),
        Attempt("a ticket in gzip", 200, "", "smaller on the way", _coded("gzip", gzip.compress(TICKET))),
        Attempt("64 MB in 64 KB of gzip", 413, "body.too_large", "decoded no further", _coded("gzip", BOMB), show=True),
        Attempt("gzip without its end", 400, "body.undecodable", "half a body is none", _coded("gzip", CUT)),
        Attempt("gzip in gzip", 415, "body.coding", "one coding, and a known one", _coded("gzip, gzip", b"x")),
        Attempt("10 GB announced", 413, "body.too_large", "refused unread", _declared),
        Attempt("1 MB in chunks, two ways", 413, "body.too_large", "not cut off and believed", _chunked),
    ),
)

WHAT_LEAVES = Act(
    "What leaves",
    (
        Attempt("secrets in the query", 200, "", "see the log below", _query, show=True),
        Attempt("keys in the query, a cookie", 200, "", "see the log below", _credentials, show=True),
        Attempt("the API's OpenAPI document", 200, "", "read from the guards", _document, told),
        Attempt("404, and 405", 404, "", "secure headers on both", _nowhere, not_found),
    ),
)
