"""An app as the resource server of a real OpenID provider, npm's ``oidc-provider``: nothing between them is made up.

Time is the app's manual clock, begun at the real time, which the provider goes by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, current_principal, require

from .conftest import bearer
from .providing import AUDIENCE, Bound, Provider, private_keys, provider

__all__ = ["provider"]

DISCOVERY, KEYS, INTROSPECTION = "/.well-known/openid-configuration", "/jwks", "/token/introspection"
App = Callable[..., Flask]


@pytest.fixture
def clock() -> Clock:
    return Clock.manual(time.time())


@pytest.fixture
def serve(make_app: App, provider: Provider) -> App:
    """An app that trusts the provider, for all its kinds of access tokens unless *fields* say otherwise."""

    def make(**fields: Any) -> Flask:
        entry = {
            "issuer": provider.issuer,
            "audience": [AUDIENCE + "rs256", AUDIENCE + "es256"],
            "typ": "at+jwt",
            "allow_http": True,
            "allow_private": True,
            **fields,
        }
        app = make_app(
            RAMPART_JWT_KEYS=...,
            RAMPART_ISSUERS=[entry],
            RAMPART_DPOP="allowed",
            RAMPART_RESOURCE="https://api.example",
        )

        def who() -> dict[str, Any]:
            who = current_principal
            return {"id": who.id, "issuer": who.issuer, "scopes": sorted(who.scopes)}

        app.get("/")(require()(who))
        app.get("/write")(require(scopes="write")(lambda: "ok"))
        return app

    return make


def ask(app: Flask, token: str, path: str = "/") -> Any:
    """What the app answers: its JSON, or the code of its refusal."""
    response = app.test_client().get(path, headers=bearer(token))
    return response.json if response.status_code == 200 else f"{response.status_code} {response.json['code']}"


@pytest.mark.parametrize("kind", ["rs256", "es256"])
def test_a_client_is_known_by_its_access_token_and_by_keys_that_discovery_found(
    kind: str, provider: Provider, serve: App
) -> None:
    app = serve(audience=AUDIENCE + kind)
    for _ in range(3):
        assert ask(app, provider.client_token(kind)) == {
            "id": "machine",
            "issuer": provider.issuer,
            "scopes": ["read"],
        }
    assert (provider.seen(DISCOVERY), provider.seen(KEYS)) == (1, 1)
    assert ask(app, provider.client_token(kind), "/write") == "403 auth.scope"
    assert ask(app, provider.client_token(kind, "read write"), "/write") is None


def test_a_token_for_another_api_of_the_same_issuer_is_refused(provider: Provider, serve: App) -> None:
    # RFC 8725 section 3.9: same issuer, same key, another audience.
    app = serve(audience=AUDIENCE + "rs256")
    assert ask(app, provider.client_token("es256")) == "401 token.invalid"
    head, _, rest = provider.client_token("rs256").partition(".")
    assert ask(app, f"{provider.client_token('es256').partition('.')[0]}.{rest}") == "401 token.invalid"
    assert ask(app, f"{head}.{rest}")["id"] == "machine"


def test_a_person_signs_in_by_code_and_pkce_and_is_known_by_the_access_token_alone(
    provider: Provider, serve: App
) -> None:
    app = serve()
    answer = provider.sign_in("ada", "es256", "read write")
    assert answer["token_type"] == "Bearer"
    found = ask(app, answer["access_token"])
    assert found == {"id": "ada", "issuer": provider.issuer, "scopes": ["read", "write"]}
    # The ID token is for the client, not for its APIs; also where somebody configured the client as audience.
    assert ask(app, answer["id_token"]) == "401 token.invalid"
    assert ask(serve(audience="phone"), answer["id_token"]) == "401 token.invalid"


def test_keys_rotate_while_requests_run_and_no_good_token_is_refused(
    provider: Provider, serve: App, clock: Clock
) -> None:
    app = serve()
    good = [provider.client_token("rs256"), provider.client_token("es256")]
    answers: list[Any] = [ask(app, token) for token in good]
    done = threading.Event()

    def go_on() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            answers.append(ask(app, good[-1 - turn % len(good)]))

    threads = [threading.Thread(target=go_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        published = provider.jwks["keys"]
        for name in ("second", "third", "fourth"):
            # The new key signs from now on; the others stay published while tokens of theirs are about.
            published = [*private_keys(name)["keys"], *published]
            provider.rotate({"keys": published})
            good += [provider.client_token("rs256"), provider.client_token("es256")]
            before = len(answers)
            end = time.monotonic() + 20
            while len(answers) < before + 40 and time.monotonic() < end:
                time.sleep(0.01)
            assert len(answers) >= before + 40
            # Beyond the time in which unknown keys are worth no other fetch.
            clock.advance(31)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert {str(answer) for answer in answers} == {
        str({"id": "machine", "issuer": provider.issuer, "scopes": ["read"]})
    }
    assert provider.seen(KEYS) == 4
    # Withdrawn keys end with the next fetch, and not before.
    provider.rotate(private_keys("fifth"))
    assert ask(app, good[0])["id"] == "machine"
    assert ask(app, provider.client_token("es256"))["id"] == "machine"
    assert ask(app, good[0]) == "401 token.invalid"


def test_an_opaque_token_is_asked_about_and_ends_when_its_issuer_takes_it_back(
    provider: Provider, serve: App, clock: Clock
) -> None:
    # RFC 7662, and RFC 7009 at the issuer.
    asks = {"client_id": "api", "client_secret": "api-secret", "cache": 30, "client_subject": True}
    app = serve(audience=[AUDIENCE + "opaque", AUDIENCE + "rs256"], introspection=asks)
    machine, ada = provider.client_token("opaque"), provider.sign_in("ada", "opaque", "read write")["access_token"]
    for _ in range(3):
        assert ask(app, ada) == {"id": "ada", "issuer": provider.issuer, "scopes": ["read", "write"]}
        assert ask(app, machine)["id"] == "machine"
    assert ask(app, machine, "/write") == "403 auth.scope"
    assert ask(app, "x" + machine[1:]) == "401 token.invalid"
    # Beside them a JWT, about which nobody is asked.
    assert ask(app, provider.client_token("rs256"))["id"] == "machine"
    assert provider.seen(INTROSPECTION) == 3
    provider.revoke(machine)
    clock.advance(29)
    assert ask(app, machine)["id"] == "machine"
    clock.advance(1)
    assert ask(app, machine) == "401 token.invalid"
    assert ask(app, ada)["id"] == "ada"
    # An outage is no answer, and prolongs none.
    provider.kill()
    assert ask(app, ada)["id"] == "ada"
    clock.advance(31)
    assert ask(app, ada) == "503 auth.unavailable"
    # The provider kept its tokens in memory: after the restart it has not made this one.
    provider.start(provider.jwks)
    clock.advance(90)
    assert ask(app, ada) == "401 token.invalid"
    assert ask(app, provider.client_token("opaque"))["id"] == "machine"


def test_a_token_that_is_bound_to_a_key_is_worthless_without_it(provider: Provider, serve: App) -> None:
    # RFC 9449.
    app = serve()
    holder, thief = Bound(), Bound()
    token = provider.client_token("es256", bound_to=holder)

    def show(scheme: str, proof: str | None) -> str:
        headers = {"Authorization": f"{scheme} {token}", **({"DPoP": proof} if proof else {})}
        response = app.test_client().get("/", headers=headers)
        return str(response.json["id"] if response.status_code == 200 else response.json["code"])

    url = "https://api.example/"
    proof = holder.proof("GET", url, token)
    assert show("DPoP", proof) == "machine"
    assert show("DPoP", proof) == "proof.invalid", "a proof is good for one request"
    assert show("DPoP", holder.proof("GET", url, token)) == "machine"
    assert show("DPoP", holder.proof("POST", url, token)) == "proof.invalid"
    assert show("DPoP", holder.proof("GET", "https://other.example/", token)) == "proof.invalid"
    assert show("DPoP", holder.proof("GET", url, "another")) == "proof.invalid"
    assert show("DPoP", thief.proof("GET", url, token)) != "machine"
    assert show("DPoP", None) != "machine"
    # No downgrade: with a proof or without one, it is no bearer token.
    assert show("Bearer", None) == show("Bearer", holder.proof("GET", url, token)) == "token.invalid"


def test_an_opaque_token_that_its_issuer_calls_bound_is_no_bearer_token(provider: Provider, serve: App) -> None:
    asks = {"client_id": "api", "client_secret": "api-secret", "client_subject": True}
    app = serve(audience=AUDIENCE + "opaque", introspection=asks)
    assert ask(app, provider.client_token("opaque"))["id"] == "machine"
    assert ask(app, provider.client_token("opaque", bound_to=Bound())) == "401 token.invalid"


def test_a_killed_provider_refuses_no_known_token_and_is_believed_again_when_it_is_back(
    provider: Provider, serve: App, clock: Clock
) -> None:
    app, begun_in_the_outage = serve(), serve()
    known = [provider.client_token("rs256"), provider.client_token("es256")]
    assert [ask(app, token)["id"] for token in known] == ["machine"] * 2
    provider.rotate({"keys": [*private_keys("second")["keys"], *provider.jwks["keys"]]})
    unseen = provider.client_token("es256")
    provider.kill()
    # The keys' own time is 10 minutes.
    for seconds in (0, 1, 60, 600, 600, 600):
        clock.advance(seconds)
        assert [ask(app, token)["id"] for token in known] == ["machine"] * 2
        # Nobody can say that this one is wrong.
        response = app.test_client().get("/", headers=bearer(unseen))
        assert (response.status_code, response.json["code"]) == (503, "auth.unavailable")
        assert 1 <= int(response.headers["Retry-After"]) <= 75
        assert ask(begun_in_the_outage, known[0]) == "503 auth.unavailable"
    provider.start(provider.jwks)
    clock.advance(90)
    for each in (app, begun_in_the_outage):
        assert [ask(each, token)["id"] for token in (unseen, *known)] == ["machine"] * 3
