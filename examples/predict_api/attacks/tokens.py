"""The API as it is meant to be used; and tokens that are missing, forged, or for somebody else."""

from __future__ import annotations

import secrets

from examples.predict_api import forge
from examples.predict_api.attempts import Act, Attempt
from examples.predict_api.client import Answer, bearer
from examples.predict_api.judges import empty, label
from examples.predict_api.scene import TICKET, Scene


def _sign_in(scene: Scene) -> list[Answer]:
    answers = [scene.sign_in(scene.server.ada, "desk"), scene.sign_in(scene.server.grace, "office")]
    scene.ada, scene.grace = scene.logins["desk"].access, scene.logins["office"].access
    return answers


def _wrong_password(scene: Scene) -> Answer:
    return scene.login(scene.server.ada.email, scene.secret("a mistyped password", secrets.token_urlsafe(12)))


def _ticket(scene: Scene) -> list[Answer]:
    # A ticket with a secret in it: the body is nowhere logged.
    card = scene.secret("a card in a ticket", "5555555555554444")
    ticket = {"text": f"My card {card} was charged twice for the invoice of May"}
    return [scene.predict(ticket, scene.ada) for _ in range(5)]


def _forged(scene: Scene, *tokens: str) -> list[Answer]:
    for token in tokens:
        scene.secret(f"forged token {len(scene.secrets)}", token)
    return [scene.predict(TICKET, token) for token in tokens]


def _tampered(scene: Scene) -> list[Answer]:
    return _forged(scene, forge.tampered(scene.ada, roles=["admin"]), forge.tampered(scene.ada, sub="u-grace"))


def _unsigned(scene: Scene) -> list[Answer]:
    return _forged(scene, *(forge.unsigned(none, forge.claims("u-ada")) for none in ("none", "None", "nOnE")))


def _confused(scene: Scene) -> list[Answer]:
    pem = forge.public_pem(scene.server.key.public_key())
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


GOOD = Act(
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
)

WHO = Act(
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
)
