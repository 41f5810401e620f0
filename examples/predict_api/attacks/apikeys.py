"""A program with an API key, which is made and taken back on the command line: by another process than the workers."""

from __future__ import annotations

from examples.predict_api import forge
from examples.predict_api.attempts import Act, Attempt
from examples.predict_api.client import Answer, bearer
from examples.predict_api.judges import served
from examples.predict_api.scene import Scene

OWNER = "nightly-build"


def _made(scene: Scene) -> Answer:
    made = scene.server.new_api_key("sorts the tickets of the night", OWNER, "predict")
    scene.api_key, scene.api_key_id = scene.secret("the API key", made["key"]), made["id"]
    return scene.by_key(scene.api_key)


def _mistyped(scene: Scene) -> Answer:
    return scene.by_key(scene.secret("a mistyped API key", forge.mistyped(scene.api_key)))


def _guessed(scene: Scene) -> Answer:
    return scene.by_key(scene.secret("a guessed API key", forge.other_secret(scene.api_key)))


def _key_and_token(scene: Scene) -> list[Answer]:
    # Whichever of them were taken, somebody would be charged for a call of somebody else's.
    return [
        scene.by_key(scene.api_key, bearer(scene.ada)),
        scene.by_key(scene.api_key, [("Authorization", f"ApiKey {scene.api_key}")]),
    ]


def _revoked(scene: Scene) -> list[Answer]:
    scene.server.flask("rampart", "keys", "revoke", scene.api_key_id)
    return scene.with_key_by_all_workers(scene.api_key)


API_KEYS = Act(
    "API keys: made and revoked by flask rampart keys",
    (
        Attempt("a new key, its first call", 200, "", "made by another process", _made, served(OWNER), show=True),
        Attempt(
            "the key, at all 4 workers",
            200,
            "",
            "each looks it up once",
            lambda s: s.with_key_by_all_workers(s.api_key),
        ),
        Attempt("one letter mistyped", 401, "key.invalid", "checksum: no look-up", _mistyped),
        Attempt("secret guessed, checksum right", 401, "key.invalid", "checksums prove nothing", _guessed),
        Attempt("key and token; the key twice", 400, "auth.ambiguous", "who would be calling?", _key_and_token),
        Attempt(
            "figures, with the key",
            403,
            "auth.role",
            "it may predict, no more",
            lambda s: s.client.send("GET", "/admin/stats", [("X-API-Key", s.api_key)]),
        ),
        Attempt("revoked; at all 4 workers", 401, "key.invalid", "all know, next request", _revoked, show=True),
    ),
)
