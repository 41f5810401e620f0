"""Tokens of an issuer that the API trusts, and of those that only say so; the issuer goes, and comes back changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from examples.predict_api import forge
from examples.predict_api.attempts import Act, Attempt, Send, Unexpected
from examples.predict_api.client import Answer, bearer
from examples.predict_api.judges import served
from examples.predict_api.scene import TICKET, Scene

SERVICE = "crm-service"


def _fetching_nothing(send: Callable[[Scene], Answer]) -> Send:
    """Whoever can make the API fetch something by sending a token could make it do so all day."""

    @wraps(send)
    def watched(scene: Scene) -> Answer:
        before = len(scene.server.issuer.fetched)
        answer = send(scene)
        if scene.server.issuer.fetched[before:]:
            raise Unexpected("the API fetched something for a token that it refuses")
        return answer

    return watched


def _first(scene: Scene) -> list[Answer]:
    scene.service = scene.issued(SERVICE)
    return scene.with_token_by_all_workers(scene.service)


@_fetching_nothing
def _stranger(scene: Scene) -> Answer:
    # A place below the good one, so that a fetch would be seen.
    return scene.predict(TICKET, scene.issued(SERVICE, iss=f"{scene.server.issuer.url}/other"))


@_fetching_nothing
def _confused(scene: Scene) -> Answer:
    issuer = scene.server.issuer
    kid, key = issuer.newest
    forged = forge.hs256_by_public_key(forge.public_pem(key.public_key()), issuer.claims(SERVICE), kid, "at+jwt")
    return scene.predict(TICKET, scene.secret("a token confused with the issuer's key", forged))


@_fetching_nothing
def _by_our_key(scene: Scene) -> Answer:
    # Our own service is not to speak for the issuer either: a key is good for its owner's tokens alone.
    kid, _ = scene.server.issuer.newest
    forged = forge.rs256(scene.server.key, scene.server.issuer.claims(SERVICE), kid, "at+jwt")
    return scene.predict(TICKET, scene.secret("an issuer's token by our key", forged))


def _namesake(scene: Scene) -> list[Answer]:
    token = scene.issued(scene.server.ada.id)
    return [scene.client.send("POST", path, bearer(token)) for path in ("/logout", "/logout-everywhere")]


def _stopped(scene: Scene) -> list[Answer]:
    scene.server.issuer.stop()
    return scene.with_token_by_all_workers(scene.service)


def _rotated(scene: Scene) -> list[Answer]:
    issuer = scene.server.issuer
    issuer.rotate()
    issuer.start()
    answers = scene.with_token_by_all_workers(scene.issued(SERVICE))
    return [*answers, *scene.with_token_by_all_workers(scene.service)]


ISSUERS = Act(
    "Tokens of another issuer",
    (
        Attempt("its token, at all 4 workers", 200, "", "ES256, keys by discovery", _first),
        Attempt(
            "classify a ticket, with it",
            200,
            "",
            "its scopes count here",
            lambda s: s.predict(TICKET, s.service),
            served(SERVICE),
            show=True,
        ),
        Attempt(
            "scope missing",
            403,
            "auth.scope",
            "the same rule as for ours",
            lambda s: s.predict(TICKET, s.issued(SERVICE, "read")),
        ),
        Attempt(
            "for another audience",
            401,
            "token.invalid",
            "good elsewhere, not here",
            lambda s: s.predict(TICKET, s.issued(SERVICE, aud="https://payroll.example")),
            show=True,
        ),
        Attempt("of an unknown issuer", 401, "token.invalid", "and nothing is fetched", _stranger),
        Attempt("HS256, by its public key", 401, "token.invalid", "no token picks its rule", _confused),
        Attempt("in its name, by our own key", 401, "token.invalid", "keys speak for their owner", _by_our_key),
        Attempt("log out Ada, by its own u-ada", 403, "auth.issuer", "a namesake, not Ada", _namesake),
        Attempt("issuer stopped, all 4 workers", 200, "", "known keys are kept", _stopped),
        Attempt("issuer back with a new key", 200, "", "new kid, old ones go on", _rotated),
    ),
)
