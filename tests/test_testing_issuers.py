"""``flask_rampart.testing``: issuers whose keys are real and whose network is not needed."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest

from flask_rampart import Clock, ConfigError
from flask_rampart.testing import FakeIssuer, client
from flask_rampart.tokens import Tokens

from .acting import AUTH0, App, acting, code

serve = acting  # the fixture, where pytest finds it


def test_an_app_that_cannot_sign_is_called_by_an_issuers_user(serve: App) -> None:
    app = serve(
        RAMPART_JWT_KEYS=...,
        RAMPART_ISSUERS=[{**AUTH0, "roles_claim": "realm_access.roles", "scopes_claim": "scp", "typ": "at+jwt"}],
    )
    ada = client(app).as_user("ada", scopes="read write", roles="admin", fresh=True)
    found = ada.get("/").json
    assert (found["id"], found["issuer"]) == ("ada", AUTH0["issuer"])
    assert found["claims"]["realm_access"] == {"roles": ["admin"]} and found["claims"]["scp"] == "read write"
    assert code(ada.get("/scoped")) == "ok"
    # The next user is of the same issuer, and the first one's token still holds.
    assert client(app).as_user("bob").get("/").json["id"] == "bob" and ada.get("/").json["id"] == "ada"


def test_whose_place_is_taken_is_not_asked_either(serve: App) -> None:
    asked = {"client_id": "shop", "client_secret": "x" * 32, "tokens": "all"}
    app = serve(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=[{**AUTH0, "introspection": asked}])
    assert client(app).as_user("ada").get("/").json["id"] == "ada"


def test_what_a_stand_in_made_can_be_revoked(serve: App, clock: Clock) -> None:
    app = serve(RAMPART_ISSUERS=[AUTH0])
    ada, bob = (client(app).as_user(name, issuer=AUTH0["issuer"]) for name in ("ada", "bob"))
    assert code(ada.get("/")) == code(bob.get("/")) == "ok"
    clock.advance(1)
    with app.app_context():
        app.extensions["rampart"].services[Tokens].revoke_subject("ada", issuer=AUTH0["issuer"])
    assert (code(ada.get("/")), code(bob.get("/"))) == ("token.invalid", "ok")


def test_one_of_several_issuers_is_named(serve: App) -> None:
    other = {"issuer": "https://id.example", "audience": "b", "algorithms": ["EdDSA"]}
    app = serve(RAMPART_ISSUERS=[AUTH0, other], RAMPART_JWT_ISSUER="https://us.example")
    for name in (AUTH0["issuer"], "https://id.example"):
        assert client(app).as_user("ada", issuer=name).get("/").json["issuer"] == name
    assert client(app).as_user("ada").get("/").json["issuer"] == "https://us.example"
    with pytest.raises(ConfigError, match=r"has none that is 'https://no\.example'"):
        client(app).as_user("ada", issuer="https://no.example")


def test_only_the_issuer_whose_place_is_taken_changes(serve: App) -> None:
    app = serve(RAMPART_ISSUERS=[AUTH0, {"issuer": "https://id.example", "audience": "b"}])
    fake = FakeIssuer.in_place_of(app, "https://id.example")
    assert (fake.issuer, fake.audience) == ("https://id.example", "b")
    assert code(client(app).with_token(fake.token("ada")).get("/")) == "ok"
    lying = fake.token("ada", claims={"iss": AUTH0["issuer"], "aud": AUTH0["audience"]})
    stranger = FakeIssuer.in_place_of(app, AUTH0["issuer"])
    assert code(client(app).with_token(lying).get("/")) == "token.invalid"
    assert code(client(app).with_token(stranger.token("ada")).get("/")) == "ok"


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_fake_issuer_in_the_settings_is_an_issuer(serve: App, clock: Clock, algorithm: str) -> None:
    issuer = FakeIssuer(audience="https://api.example", algorithm=algorithm, clock=clock)
    app = serve(RAMPART_ISSUERS=[issuer.settings(leeway=0)])
    token = issuer.token("ada", scopes=["read", "write"], roles="admin", lifetime=60)
    assert code(client(app).with_token(token).get("/scoped")) == "ok"
    assert client(app).as_user("bob", issuer=issuer).get("/").json["issuer"] == "https://issuer.test"
    clock.advance(60)
    assert code(client(app).with_token(token).get("/")) == "token.expired"
    for wrong in (
        issuer.token("ada", audience="https://other.example"),
        issuer.token("ada", typ="JWT"),
        FakeIssuer(audience="https://api.example", algorithm=algorithm, clock=clock).token("ada"),
    ):
        assert code(client(app).with_token(wrong).get("/")) == "token.invalid"
    assert code(client(app).with_token(issuer.token(audience=["x", "https://api.example"])).get("/")) == "ok"


def test_a_fake_issuer_in_the_settings_mints_without_being_named(serve: App) -> None:
    older, issuer = FakeIssuer(), FakeIssuer()
    app = serve(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=[AUTH0, issuer.settings()])
    assert client(app).as_user("ada").get("/").json["issuer"] == "https://issuer.test"
    assert client(app).as_user("ada", issuer="https://issuer.test").get("/").json["id"] == "ada"
    assert code(client(app).with_token(older.token()).get("/")) == "token.invalid"


def test_rotation_reaches_the_app_in_which_it_has_taken_a_place(serve: App) -> None:
    app = serve(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=[AUTH0])
    fake = FakeIssuer.in_place_of(app)
    old = client(app).with_token(fake.token("ada"))
    fake.rotate()
    new = client(app).with_token(fake.token("ada"))
    assert code(old.get("/")) == code(new.get("/")) == "ok"
    fake.rotate(keep=False)
    assert code(old.get("/")) == code(new.get("/")) == "token.invalid"
    assert code(client(app).as_user("ada").get("/")) == "ok"


def test_an_issuer_that_is_served_is_discovered_and_its_rotation_noticed(serve: App, clock: Clock) -> None:
    issuer = FakeIssuer(clock=clock)
    with issuer.serve():
        app = serve(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=[issuer.settings()])
        assert issuer.fetches == {}
        ada = client(app).as_user("ada")
        assert ada.get("/").json["issuer"] == issuer.issuer != "https://issuer.test"
        assert ada.get("/").status_code == 200
        assert issuer.fetches == {"metadata": 1, "keys": 1}
        clock.advance(31)
        issuer.rotate()
        assert code(client(app).with_token(issuer.token("bob")).get("/")) == "ok"
        assert issuer.fetches["keys"] == 2
        issuer.available = False
        issuer.rotate()
        assert code(client(app).with_token(issuer.token("bob")).get("/")) != "ok"
        assert code(ada.get("/")) == "ok"
        with pytest.raises(RuntimeError, match="being served"), issuer.serve():
            pass
    assert issuer.issuer == "https://issuer.test" and "jwks" in issuer.settings()


def test_an_issuer_that_is_down_from_the_start_is_a_503(serve: App) -> None:
    issuer = FakeIssuer()
    issuer.available = False
    with issuer.serve():
        app = serve(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=[issuer.settings()])
        answer = client(app).as_user("ada").get("/")
        assert (answer.status_code, code(answer)) == (503, "auth.unavailable")
        assert issuer.fetches["keys"] == 0


def test_published_keys_are_public_alone() -> None:
    issuer = FakeIssuer()
    issuer.rotate()
    text = json.dumps(issuer.settings())
    assert '"d"' not in text and len(issuer.jwks()["keys"]) == 2
    assert FakeIssuer().jwks() != FakeIssuer().jwks()


def test_an_algorithm_that_no_issuer_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="not 'HS256'"):
        FakeIssuer(algorithm="HS256")
    with pytest.raises(ValueError, match="is not a scope"):
        FakeIssuer().token(scopes=["a b"])


def test_eddsa_needs_no_package_and_the_others_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert FakeIssuer().token("ada")
    with pytest.raises(ConfigError, match=r"flask-rampart\[testing\]"):
        FakeIssuer(algorithm="RS256")
