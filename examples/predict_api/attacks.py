"""What the demo sends, good and hostile, and what must come back.

The rows stand at the end, in :data:`SCRIPT`, with the status and the problem code that each must get; how
each is sent stands above them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from examples.predict_api import forge
from examples.predict_api.attempts import TICKET, Attempt, Scene, empty, exact, guesses, label, not_found
from examples.predict_api.client import Answer, at_once, bearer

Send = Callable[[Scene], "Answer | list[Answer]"]
JSON = ("Content-Type", "application/json")


class Act(NamedTuple):
    """Some rows under one heading."""

    title: str
    attempts: Sequence[Attempt]


def _sign_in(scene: Scene) -> list[Answer]:
    answers = [scene.login(p.email, p.password) for p in (scene.server.ada, scene.server.grace)]
    scene.ada, scene.grace = (
        scene.secret(f"{name}'s token", str(answer.document.get("access_token", "")))
        for name, answer in zip(("Ada", "Grace"), answers, strict=True)
    )
    return answers


def _wrong_password(scene: Scene) -> Answer:
    return scene.login(scene.server.ada.email, scene.secret("a mistyped password", secrets.token_urlsafe(12)))


def _forged(scene: Scene, *tokens: str) -> list[Answer]:
    for token in tokens:
        scene.secret(f"forged token {len(scene.secrets)}", token)
    return [scene.predict(TICKET, token) for token in tokens]


def _tampered(scene: Scene) -> list[Answer]:
    return _forged(scene, forge.tampered(scene.ada, roles=["admin"]), forge.tampered(scene.ada, sub="u-grace"))


def _unsigned(scene: Scene) -> list[Answer]:
    return _forged(scene, *(forge.unsigned(none, forge.claims("u-ada")) for none in ("none", "None", "nOnE")))


def _confused(scene: Scene) -> list[Answer]:
    pem = forge.public_pem(scene.server.key)
    # Some keep the line break at the end of the file, some do not.
    return _forged(scene, *(forge.hs256_by_public_key(text, forge.claims("u-ada")) for text in (pem, pem.strip())))


def _garbage(scene: Scene) -> list[Answer]:
    return _forged(scene, "x", "..", "a.b.c", scene.ada + ".x", scene.ada[:-9], "e" * 6000)


def _expired(scene: Scene) -> list[Answer]:
    return _forged(scene, forge.rs256(scene.server.key, forge.claims("u-ada", age=3600)))


def _other_key(scene: Scene) -> list[Answer]:
    return _forged(scene, forge.rs256(forge.new_key(), forge.claims("u-ada")))


def _other_audience(scene: Scene) -> list[Answer]:
    return _forged(scene, forge.rs256(scene.server.key, forge.claims("u-ada", aud="payroll-api")))


def _two_tokens(scene: Scene) -> list[Answer]:
    both = [*bearer(scene.ada), *bearer(scene.grace)]
    return [
        scene.client.send("GET", "/models", both),
        scene.client.send("GET", f"/models?access_token={scene.grace}", bearer(scene.ada)),
    ]


def _over_quota(scene: Scene) -> list[Answer]:
    token = scene.mint("u-eager")
    return at_once(30, lambda: scene.predict(TICKET, token))


def _guessing(scene: Scene) -> list[Answer]:
    guesses = iter([scene.secret(f"guess {number}", secrets.token_urlsafe(9)) for number in range(12)])
    return at_once(12, lambda: scene.login(scene.server.grace.email, next(guesses)))


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


def _nowhere(scene: Scene) -> list[Answer]:
    return [scene.client.get("/wp-login.php"), scene.client.send("DELETE", "/predict", bearer(scene.ada))]


def _ticket(scene: Scene) -> list[Answer]:
    # A ticket with a secret in it: the body is nowhere logged.
    card = scene.secret("a card in a ticket", "5555555555554444")
    ticket = {"text": f"My card {card} was charged twice for the invoice of May"}
    return [scene.predict(ticket, scene.ada) for _ in range(5)]


def _body(text: bytes) -> Send:
    """Sends a body as Ada does, with her token."""
    return lambda scene: scene.client.post("/predict", text, scene.ada)


LEVELS = 100_000

SCRIPT = (
    Act(
        "As it should be",
        (
            Attempt("health, without a token", 200, "", "@public", lambda s: s.client.get("/health")),
            Attempt(
                "HEAD instead of GET",
                200,
                "",
                "like GET, no body",
                lambda s: s.client.send("HEAD", "/health"),
                empty,
            ),
            Attempt("sign in: Ada, then Grace", 200, "", "each gets an RS256 token", _sign_in),
            Attempt("sign in, wrong password", 401, "login.failed", "as slow as a right one", _wrong_password),
            Attempt("classify a ticket, five times", 200, "", "all guards let it through", _ticket, label, show=True),
            Attempt(
                "figures, as admin",
                200,
                "",
                "Grace has the role",
                lambda s: s.client.get("/admin/stats", s.grace),
            ),
            Attempt(
                "models, with a token",
                200,
                "",
                "guard above @route lets in",
                lambda s: s.client.get("/models", s.ada),
            ),
        ),
    ),
    Act(
        "Who",
        (
            Attempt(
                "no token",
                401,
                "auth.missing",
                "says what is needed",
                lambda s: s.client.post("/predict", TICKET),
            ),
            Attempt(
                "no token, guard above @route",
                401,
                "auth.missing",
                "open to all elsewhere",
                lambda s: s.client.get("/models"),
                show=True,
            ),
            Attempt("expired token", 401, "token.expired", "an hour old, lives 15 min", _expired, show=True),
            Attempt("payload changed, two ways", 401, "token.invalid", "signature covers claims", _tampered),
            Attempt("alg: none, in three spellings", 401, "token.invalid", "CVE-2015-9235", _unsigned),
            Attempt("HS256, by the RSA public key", 401, "token.invalid", "CVE-2016-10555", _confused, show=True),
            Attempt("signed by another key", 401, "token.invalid", "right kid, wrong key", _other_key),
            Attempt("for another audience", 401, "token.invalid", "a token for payroll", _other_audience),
            Attempt("garbage, in six shapes", 401, "token.invalid", "refused before cryptography", _garbage),
            Attempt("two tokens in one request", 400, "auth.ambiguous", "which one would be meant?", _two_tokens),
            Attempt(
                "scope missing",
                403,
                "auth.scope",
                "token may only read",
                lambda s: s.predict(TICKET, s.mint("u-reader", "read")),
            ),
            Attempt(
                "role missing",
                403,
                "auth.role",
                "Ada is not an admin",
                lambda s: s.client.get("/admin/stats", s.ada),
            ),
        ),
    ),
    Act(
        "How often",
        (
            Attempt(
                "30 at once, burst 20, 4 workers",
                429,
                "limit.exceeded",
                "one quota for the host",
                _over_quota,
                exact(20, 200, 1.0),
                show=True,
            ),
            Attempt(
                "12 guesses of a password",
                429,
                "limit.exceeded",
                "ten a minute and address",
                _guessing,
                guesses,
            ),
        ),
    ),
    Act(
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
            Attempt("10 GB announced", 413, "body.too_large", "refused unread", _declared),
            Attempt("1 MB in chunks, two ways", 413, "body.too_large", "not cut off and believed", _chunked),
        ),
    ),
    Act(
        "What leaves",
        (
            Attempt("secrets in the query", 200, "", "see the log below", _query, show=True),
            Attempt("404, and 405", 404, "", "secure headers on both", _nowhere, not_found),
        ),
    ),
)
