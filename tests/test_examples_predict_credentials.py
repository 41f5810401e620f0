"""The example ``examples/predict_api``: its logins, its API keys, and tokens of another issuer."""

# ruff: noqa: F401, F811 - fixtures

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.predict_api import forge
from examples.predict_api.app import create_app, rampart
from examples.predict_api.issuer import Issuer
from flask_rampart import Denied

from .predicting import (
    ADA,
    GRACE,
    KEY,
    QUIET,
    TICKET,
    app,
    bearer,
    by,
    client,
    files,
    got,
    login,
    models,
    new_key,
    on_the_command_line,
    pair,
    refresh,
)

# --- Logins ---


def test_a_login_gives_a_pair_that_nobody_stores(client: FlaskClient) -> None:
    answer = login(client, *ADA)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json is not None
    assert answer.json["scope"] == "predict"
    assert answer.json["access_token"] != answer.json["refresh_token"]


def test_neither_token_of_a_pair_is_taken_for_the_other(client: FlaskClient) -> None:
    access, renewal = pair(client, *ADA)
    assert models(client, renewal) == (401, "token.invalid")
    assert got(refresh(client, access)) == (401, "token.invalid")


def test_a_refresh_gives_the_next_pair_with_the_same_rights(client: FlaskClient) -> None:
    _, renewal = pair(client, *GRACE)
    document = refresh(client, renewal).json or {}
    assert document["refresh_token"] != renewal
    assert got(client.get("/admin/stats", headers=by(document["access_token"]))) == (200, "")


def test_a_lost_answer_is_given_again(client: FlaskClient) -> None:
    _, renewal = pair(client, *ADA)
    first, again = (refresh(client, renewal).json or {} for _ in range(2))
    assert first["refresh_token"] == again["refresh_token"]


def test_a_refresh_token_that_was_copied_ends_its_login_and_no_other(files: dict[str, str]) -> None:
    client = create_app({**files, **QUIET, "RAMPART_JWT_REFRESH_OVERLAP": 0}).test_client()
    access, renewal = pair(client, *ADA)
    other, _ = pair(client, *ADA)
    stolen = refresh(client, renewal).json or {}
    assert models(client, stolen["access_token"]) == (200, "")
    assert got(refresh(client, renewal)) == (401, "token.invalid")
    for token in (access, stolen["access_token"]):
        assert models(client, token) == (401, "token.invalid")
    assert got(refresh(client, stolen["refresh_token"])) == (401, "token.invalid")
    assert models(client, other) == (200, "")


def test_logging_out_ends_one_login(client: FlaskClient) -> None:
    access, renewal = pair(client, *ADA)
    other, _ = pair(client, *ADA)
    answer = client.post("/logout", headers=by(access))
    assert (answer.status_code, answer.data) == (204, b"")
    assert models(client, access) == (401, "token.invalid")
    assert got(refresh(client, renewal)) == (401, "token.invalid")
    assert models(client, other) == (200, "")


def test_logging_out_everywhere_ends_all_logins_and_the_next_is_valid_at_once(client: FlaskClient) -> None:
    phone, laptop = pair(client, *ADA), pair(client, *ADA)
    grace, _ = pair(client, *GRACE)
    assert client.post("/logout-everywhere", headers=by(phone[0])).status_code == 204
    for access, renewal in (phone, laptop):
        assert models(client, access) == (401, "token.invalid")
        assert got(refresh(client, renewal)) == (401, "token.invalid")
    assert models(client, grace) == (200, "")
    assert models(client, pair(client, *ADA)[0]) == (200, "")


def test_a_token_that_is_of_no_login_ends_alone(client: FlaskClient) -> None:
    token = bearer()
    assert client.post("/logout", headers=token).status_code == 204
    assert got(client.get("/models", headers=token)) == (401, "token.invalid")
    assert got(client.post("/logout")) == (401, "auth.missing")
    assert got(client.post("/logout-everywhere")) == (401, "auth.missing")


def test_the_sixty_first_refresh_of_a_minute_is_refused(client: FlaskClient) -> None:
    statuses = [client.post("/refresh", json={}).status_code for _ in range(61)]
    assert statuses == [422] * 60 + [429]


# --- API keys ---


def test_an_api_key_from_the_command_line_opens_predict_until_it_is_revoked(app: Flask, client: FlaskClient) -> None:
    key, key_id = new_key(app)
    answer = client.post("/predict", json=TICKET, headers={"X-API-Key": key})
    assert answer.json is not None
    assert answer.json["for"] == "u-nightly"
    on_the_command_line(app, "revoke", key_id)
    assert got(client.post("/predict", json=TICKET, headers={"X-API-Key": key})) == (401, "key.invalid")


def test_a_key_and_a_token_are_ambiguous_and_a_key_cannot_log_out(app: Flask, client: FlaskClient) -> None:
    key, _ = new_key(app)
    assert got(client.post("/predict", json=TICKET, headers={"X-API-Key": key, **bearer()})) == (400, "auth.ambiguous")
    assert got(client.post("/logout-everywhere", headers={"X-API-Key": key})) == (401, "auth.missing")


@pytest.mark.parametrize(("forge_key", "reason"), [(forge.mistyped, "checksum"), (forge.other_secret, "secret")])
def test_the_demos_forged_keys_fail_for_the_reason_that_it_tells(app: Flask, forge_key: Any, reason: str) -> None:
    forged = forge_key(new_key(app)[0])
    with app.app_context(), pytest.raises(Denied) as caught:
        rampart.api_keys.verify(forged)
    assert caught.value.reason == reason


# --- Another issuer ---


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.start()
    yield issuer
    issuer.close()


@pytest.fixture
def trusting(files: dict[str, str], issuer: Issuer) -> FlaskClient:
    return create_app({**files, **QUIET, "RAMPART_ISSUERS": [issuer.settings]}).test_client()


def test_a_token_of_the_issuer_counts_with_its_scopes(trusting: FlaskClient, issuer: Issuer) -> None:
    answer = trusting.post("/predict", json=TICKET, headers=by(issuer.token("crm")))
    assert answer.json is not None
    assert answer.json["for"] == "crm"
    assert got(trusting.post("/predict", json=TICKET, headers=by(issuer.token("crm", "read")))) == (403, "auth.scope")
    assert models(trusting, pair(trusting, *ADA)[0]) == (200, "")


def test_what_only_says_that_it_is_the_issuers_is_refused(trusting: FlaskClient, issuer: Issuer) -> None:
    assert models(trusting, issuer.token("crm")) == (200, "")
    fetched = len(issuer.fetched)
    kid, key = issuer.newest
    pem = forge.public_pem(key.public_key())
    for token in (
        issuer.token("crm", aud="https://payroll.example"),
        issuer.token("crm", iss=f"{issuer.url}/other"),
        forge.hs256_by_public_key(pem, issuer.claims("crm"), kid, "at+jwt"),
        forge.rs256(KEY, issuer.claims("crm"), kid, "at+jwt"),
        forge.es256(key, kid, forge.claims("u-ada")),
    ):
        assert models(trusting, token) == (401, "token.invalid")
    assert len(issuer.fetched) == fetched


def test_an_issuer_may_stop_and_come_back_with_another_key(trusting: FlaskClient, issuer: Issuer) -> None:
    known = issuer.token("crm")
    assert models(trusting, known) == (200, "")
    issuer.stop()
    assert models(trusting, known) == models(trusting, issuer.token("crm")) == (200, "")
    issuer.rotate()
    issuer.start()
    assert models(trusting, issuer.token("crm")) == models(trusting, known) == (200, "")


def test_a_namesake_at_the_issuer_logs_nobody_out(trusting: FlaskClient, issuer: Issuer) -> None:
    access, _ = pair(trusting, *ADA)
    # Whoever knows the name of a login could have it in a token of theirs.
    family = rampart_family(trusting.application, access)
    for path in ("/logout", "/logout-everywhere"):
        answer = trusting.post(path, headers=by(issuer.token("u-ada", sid=family)))
        assert got(answer) == (403, "auth.issuer")
    assert models(trusting, access) == (200, "")


def rampart_family(app: Flask, token: str) -> str:
    with app.app_context():
        family = rampart.tokens.verify(token).family  # type: ignore[attr-defined]
    assert family
    return str(family)


def test_the_environment_says_where_things_are(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"issuer": "https://id.example", "audience": "https://api.example"}
    given = {**files, **QUIET, "RAMPART_JWT_REFRESH_OVERLAP": "3", "RAMPART_ISSUERS": json.dumps([entry])}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    config = create_app().config
    assert (config["RAMPART_JWT_REFRESH_OVERLAP"], config["RAMPART_ISSUERS"]) == (3, [entry])
