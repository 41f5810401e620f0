"""The example ``examples/predict_api``: its model, and each of its routes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples.predict_api import forge  # noqa: E402
from examples.predict_api.accounts import Accounts, new_account, save  # noqa: E402
from examples.predict_api.app import create_app, rampart  # noqa: E402
from examples.predict_api.attacks import SCRIPT  # noqa: E402
from examples.predict_api.classifier import MODEL, Classifier  # noqa: E402
from examples.predict_api.issuer import Issuer  # noqa: E402
from examples.predict_api.logs import leaks  # noqa: E402
from examples.predict_api.report import GOT, TRIED, WHY  # noqa: E402
from examples.predict_api.train import accuracy, read, render, train  # noqa: E402
from flask_rampart import Denied  # noqa: E402
from flask_rampart.cli import commands  # noqa: E402
from flask_rampart.errors import PROBLEMS  # noqa: E402

KEY = forge.new_key()
ADA = ("ada@mail.example", "correct horse battery")
GRACE = ("grace@mail.example", "staple of the navy")
TICKET = {"text": "I was charged twice for the invoice of May"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The key and the accounts that the app needs."""
    folder = tmp_path_factory.mktemp("predict")
    key, users = folder / "key.pem", folder / "users.json"
    key.write_bytes(forge.private_pem(KEY))
    people = [
        new_account("u-ada", *ADA, scopes=["predict"]),
        new_account("u-grace", *GRACE, scopes=["predict"], roles=["admin"]),
    ]
    save(users, people)
    return {"PREDICT_KEY_PEM": str(key), "PREDICT_USERS": str(users)}


QUIET = {"RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://", "RAMPART_STORE": "memory://"}


@pytest.fixture
def app(files: dict[str, str]) -> Flask:
    return create_app({**files, **QUIET})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def bearer(subject: str = "u-ada", **claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {forge.rs256(KEY, {**forge.claims(subject), **claims})}"}


def login(client: FlaskClient, email: str, password: str) -> TestResponse:
    return client.post("/login", json={"email": email, "password": password})


def pair(client: FlaskClient, email: str, password: str) -> tuple[str, str]:
    """The access and the refresh token of a sign-in."""
    document = login(client, email, password).json or {}
    return document["access_token"], document["refresh_token"]


def refresh(client: FlaskClient, token: str) -> TestResponse:
    return client.post("/refresh", json={"refresh_token": token})


def models(client: FlaskClient, token: str) -> tuple[int, str]:
    """What a token opens: a route that anybody may call who is somebody."""
    return got(client.get("/models", headers=by(token)))


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def got(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {}).get("code", "")


# --- The model ---


def test_training_gives_the_shipped_model_byte_for_byte() -> None:
    training, _ = read()
    assert render(train(training)).encode() == MODEL.read_bytes()


def test_the_classifier_is_right_on_nine_of_ten_held_out_lines() -> None:
    training, held_out = read()
    assert len(held_out) >= 50
    assert not {line["text"].lower() for line in training} & {line["text"].lower() for line in held_out}
    assert accuracy(Classifier.load(), held_out) >= 0.9


def test_the_model_is_small() -> None:
    assert MODEL.stat().st_size <= 200 * 1024


def test_probabilities_add_up_to_one_and_the_label_has_the_greatest() -> None:
    verdict = Classifier.load().classify("My parcel has not arrived and tracking is broken")
    assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=0.001)
    assert verdict.confidence == max(verdict.probabilities.values())


@pytest.mark.parametrize("text", ["", "???", "zzz qqq", "\ud800", "word " * 50_000])
def test_the_classifier_answers_whatever_it_is_asked(text: str) -> None:
    classifier = Classifier.load()
    assert classifier.classify(text).label in classifier.labels


# --- The accounts ---


def test_an_account_is_found_by_address_and_password_alone(files: dict[str, str]) -> None:
    accounts = Accounts.load(files["PREDICT_USERS"])
    found = accounts.check("Ada@Mail.example", ADA[1])
    assert found is not None
    assert found.id == "u-ada"
    assert accounts.check(ADA[0], "wrong") is None
    assert accounts.check("nobody@mail.example", ADA[1]) is None
    assert accounts.check("nobody@mail.example", "") is None


def test_passwords_are_stored_as_scrypt_hashes(files: dict[str, str]) -> None:
    text = Path(files["PREDICT_USERS"]).read_text()
    assert ADA[1] not in text
    assert all(entry["password_hash"].startswith("scrypt:") for entry in json.loads(text))


# --- The API ---


@pytest.mark.parametrize("missing", ["PREDICT_KEY_PEM", "PREDICT_USERS"])
def test_the_app_does_not_start_without_its_key_or_accounts(
    files: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(RuntimeError, match=missing):
        create_app({name: path for name, path in files.items() if name != missing})


def test_health_is_open(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "ok", "model": Classifier.load().version}


def test_a_token_from_login_opens_predict(client: FlaskClient) -> None:
    token = (login(client, *ADA).json or {})["access_token"]
    answer = client.post("/predict", json=TICKET, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["label"] == "billing"
    assert answer.json["for"] == "u-ada"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client: FlaskClient) -> None:
    wrong, unknown = login(client, ADA[0], "wrong"), login(client, "nobody@mail.example", "wrong")
    assert got(wrong) == (401, "login.failed")
    assert wrong.data == unknown.data
    assert wrong.headers["WWW-Authenticate"]


def test_the_eleventh_login_of_a_minute_is_refused(client: FlaskClient) -> None:
    # Bodies that are refused cost no password hash, and count all the same.
    statuses = [client.post("/login", json={}).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


def test_predict_wants_its_scope(client: FlaskClient) -> None:
    assert got(client.post("/predict", json=TICKET)) == (401, "auth.missing")
    assert got(client.post("/predict", json=TICKET, headers=bearer(scope="read"))) == (403, "auth.scope")


def test_predict_counts_callers_apart(client: FlaskClient) -> None:
    ada, bob = bearer("u-ada"), bearer("u-bob")
    statuses = [client.post("/predict", json=TICKET, headers=ada).status_code for _ in range(25)]
    assert statuses[:20] == [200] * 20
    assert statuses[-1] == 429
    assert client.post("/predict", json=TICKET, headers=bob).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "json.malformed")),
        (b'{"text": "a", "text": "b"}', (400, "json.duplicate_key")),
        (b'{"text": 1}', (422, "body.invalid")),
        (b'{"text": ""}', (422, "body.invalid")),
        (b'{"text": "a", "more": 1}', (422, "body.invalid")),
        (json.dumps({"text": "a" * 2000}).encode(), (200, "")),
        (json.dumps({"text": "a" * 2001}).encode(), (422, "body.invalid")),
        (b" " * (256 * 1024 + 1), (413, "body.too_large")),
    ],
)
def test_predict_wants_a_body_of_its_shape(client: FlaskClient, body: bytes, expected: tuple[int, str]) -> None:
    answer = client.post("/predict", data=body, content_type="application/json", headers=bearer())
    assert got(answer) == expected


def test_figures_want_the_role_admin(client: FlaskClient) -> None:
    client.post("/predict", json=TICKET, headers=bearer())
    assert got(client.get("/admin/stats", headers=bearer())) == (403, "auth.role")
    answer = client.get("/admin/stats", headers=bearer("u-grace", roles=["admin"]))
    assert answer.json is not None
    assert answer.json["by_label"] == {"billing": 1}


def test_the_guard_above_the_route_guards(client: FlaskClient) -> None:
    assert got(client.get("/models")) == (401, "auth.missing")
    answer = client.get("/models", headers=bearer())
    assert answer.json is not None
    assert answer.json["models"][0]["labels"] == ["account", "billing", "shipping", "technical"]


def test_two_apps_count_apart(app: Flask, files: dict[str, str]) -> None:
    other = create_app({**files, **QUIET})
    app.test_client().post("/predict", json=TICKET, headers=bearer())
    answer = other.test_client().get("/admin/stats", headers=bearer("u-grace", roles=["admin"]))
    assert answer.json is not None
    assert answer.json["served"] == 0


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


def test_a_token_that_is_of_no_login_cannot_log_out(client: FlaskClient) -> None:
    assert got(client.post("/logout", headers=bearer())) == (403, "login.elsewhere")
    assert got(client.post("/logout")) == (401, "auth.missing")
    assert got(client.post("/logout-everywhere")) == (401, "auth.missing")


def test_the_sixty_first_refresh_of_a_minute_is_refused(client: FlaskClient) -> None:
    statuses = [client.post("/refresh", json={}).status_code for _ in range(61)]
    assert statuses == [422] * 60 + [429]


# --- API keys ---


def on_the_command_line(app: Flask, *arguments: str) -> str:
    done = app.test_cli_runner().invoke(commands, ["keys", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def new_key(app: Flask) -> tuple[str, str]:
    """A key with its id."""
    made = json.loads(
        on_the_command_line(app, "create", "nightly", "--owner", "u-nightly", "--scopes", "predict", "--json")
    )
    return made["key"], made["id"]


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
        assert got(answer) == (403, "login.elsewhere")
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


# --- The demo ---


def test_the_demo_expects_only_codes_that_exist() -> None:
    codes = {attempt.code for act in SCRIPT for attempt in act.attempts} - {"", "login.failed", "login.elsewhere"}
    assert codes <= PROBLEMS.keys()
    assert all(PROBLEMS[a.code].status == a.status for act in SCRIPT for a in act.attempts if a.code in PROBLEMS)


@pytest.mark.parametrize("written", ["kim.lee@mail.example", "kim.lee%40mail.example"])
def test_the_demo_sees_a_secret_in_a_log(tmp_path: Path, written: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"sent to {written} today")
    assert leaks({"log": log}, {"an e-mail": "kim.lee@mail.example"}) == ["an e-mail is in the log"]


def test_the_demo_sees_half_a_token_in_a_log(tmp_path: Path) -> None:
    log, token = tmp_path / "log", forge.rs256(KEY, forge.claims("u-ada"))
    log.write_text(f"signature {token.split('.')[2]}")
    assert leaks({"log": log}, {"a token": token}) == ["a token is in the log"]


def test_the_demo_sees_the_secret_of_an_api_key_and_leaves_its_id_alone(app: Flask, tmp_path: Path) -> None:
    log, (key, key_id) = tmp_path / "log", new_key(app)
    assert key.startswith(f"rk_live_{key_id}")
    log.write_text(f"key {key_id} was made")
    assert leaks({"log": log}, {"a key": key}) == []
    log.write_text(f"key ...{key.removeprefix(f'rk_live_{key_id}')} was made")
    assert leaks({"log": log}, {"a key": key}) == ["a key is in the log"]


def test_the_demos_rows_fit_their_columns() -> None:
    for attempt in (attempt for act in SCRIPT for attempt in act.attempts):
        assert len(attempt.what) <= TRIED, attempt.what
        assert len(attempt.why) <= WHY, attempt.why
        assert len(f"{attempt.status} {attempt.code}") <= GOT, attempt.code
