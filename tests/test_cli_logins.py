"""``flask rampart logins`` and ``jwks``: what another process ends is ended for the app."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from flask_rampart import current_principal, require
from flask_rampart.cli import commands
from flask_rampart.tokens import Tokens

from .conftest import NOW, bearer
from .living import pem

App = Callable[..., Flask]


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(commands, list(words))


def tokens_of(app: Flask) -> Tokens:
    found: Tokens = app.extensions["rampart"].services[Tokens]
    return found


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()
    app.get("/me")(require()(lambda: current_principal.id))
    return app


def test_logins_are_listed_and_none_of_their_tokens(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada", scopes="read", roles=["staff"])
    tokens_of(app).issue_pair("bob")
    told = run(app, "logins", "list", "ada")
    assert told.exit_code == 0
    title, line, count = told.output.splitlines()
    assert title.split() == ["LOGIN", "BEGAN", "REFRESHED", "ENDS", "SCOPES", "ROLES"]
    assert line.startswith(pair.family)
    assert line.endswith("read    staff")
    assert count == "1 login"
    (found,) = json.loads(run(app, "logins", "list", "ada", "--json").output)
    assert (found["login"], found["began"]) == (pair.family, "2027-01-15 08:00:00Z")
    assert NOW == 1_800_000_000
    assert pair.access not in told.output
    assert pair.refresh not in told.output


def test_what_another_process_ends_is_ended(make_app: App, app: Flask) -> None:
    other = make_app()
    one, two = tokens_of(app).issue_pair("ada"), tokens_of(app).issue_pair("ada")
    client = app.test_client()
    assert run(other, "logins", "end", one.family).exit_code == 0
    assert client.get("/me", headers=bearer(one.access)).status_code == 401
    assert client.get("/me", headers=bearer(two.access)).status_code == 200
    assert run(other, "logins", "end-all", "ada").exit_code == 0
    assert client.get("/me", headers=bearer(two.access)).status_code == 401


def test_what_cannot_be_done_is_said_with_exit_code_1(make_app: App, app: Flask) -> None:
    for words in (("logins", "end", "0" * 32), ("logins", "end-all", "")):
        told = run(app, *words)
        assert (told.exit_code, told.output.startswith("Error: ")) == (1, True)
    told = run(make_app(RAMPART_JWT_KEYS=...), "logins", "list", "ada")
    assert (told.exit_code, told.output) == (1, "Error: this app issues no tokens: set RAMPART_JWT_KEYS\n")
    told = run(make_app(RAMPART_JWT_REVOCATION=False), "logins", "list", "ada")
    assert (told.exit_code, "RAMPART_JWT_REVOCATION" in told.output) == (1, True)


def test_public_keys_are_printed_and_nothing_secret(make_app: App, app: Flask) -> None:
    assert json.loads(run(app, "jwks").output) == {"keys": []}
    with_key = make_app(RAMPART_JWT_KEYS=[{"kid": "k", "alg": "ES256", "pem": pem()}])
    (key,) = json.loads(run(with_key, "jwks").output)["keys"]
    assert (key["kid"], "d" in key) == ("k", False)
