"""The example ``examples/predict_api``: its model, and each of its routes."""

# ruff: noqa: F401, F811 - fixtures

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import pickle
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.predict_api import forge
from examples.predict_api.accounts import Accounts
from examples.predict_api.app import create_app
from examples.predict_api.attacks import SCRIPT
from examples.predict_api.attacks.files import BOUNDARY, Runs, form, png, zipped
from examples.predict_api.attacks.requests import BOMB, CUT
from examples.predict_api.classifier import MODEL, Classifier, Verdict
from examples.predict_api.logs import leaks
from examples.predict_api.report import GOT, TRIED, WHY
from examples.predict_api.train import accuracy, read, render, train
from flask_rampart.errors import PROBLEMS

from .predicting import ADA, KEY, QUIET, TICKET, app, bearer, client, files, got, login, new_key, shared

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


def test_predict_wants_its_scope(client: FlaskClient) -> None:
    assert got(client.post("/predict", json=TICKET)) == (401, "auth.missing")
    assert got(client.post("/predict", json=TICKET, headers=bearer(scope="read"))) == (403, "auth.scope")


def test_predict_counts_callers_apart(client: FlaskClient) -> None:
    ada, bob = bearer("u-ada"), bearer("u-bob")
    # By the time of day: a slow machine gets some of it back meanwhile.
    answers = iter(lambda: client.post("/predict", json=TICKET, headers=ada).status_code, 429)
    statuses = list(itertools.islice(answers, 200))
    assert statuses == [200] * len(statuses) and 20 <= len(statuses) < 200
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


def test_predict_reads_gzip_and_is_not_blown_up(client: FlaskClient) -> None:
    head = {**bearer(), "Content-Encoding": "gzip"}
    for body, expected in (
        (gzip.compress(json.dumps(TICKET).encode()), (200, "")),
        (BOMB, (413, "body.too_large")),
        (CUT, (400, "body.undecodable")),
    ):
        assert got(client.post("/predict", data=body, content_type="application/json", headers=head)) == expected


def test_a_text_reaches_a_view_without_what_nobody_sees(client: FlaskClient) -> None:
    answer = tickets(client, form("My\u200b parcel\u202e\x1b[2J"))
    assert answer.json is not None
    assert answer.json["text"] == "My parcel"
    assert got(tickets(client, form("\u200b"))) == (422, "form.invalid")


def tickets(client: FlaskClient, body: bytes) -> TestResponse:
    return client.post(
        "/tickets", data=body, content_type=f"multipart/form-data; boundary={BOUNDARY}", headers=bearer()
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("screenshot", png(8, 8), None),
        ("screenshot", pickle.dumps(Runs()), "type"),
        ("screenshot", b"<!doctype html><script>", "type"),
        ("screenshot", zipped(10), "type"),
        ("screenshot", png(2001, 2000), "pixels"),
        ("screenshot", png(8, 8) + b"\0" * 128 * 1024, "maxBytes"),
        ("log", zipped(1000), None),
        ("log", b"one line\n", None),
        ("log", zipped(64 << 20), "archive"),
        ("log", png(8, 8), "type"),
    ],
    ids=["png", "pickle", "html", "zip for png", "pixels", "bytes", "zip", "text", "bomb", "png for log"],
)
def test_a_file_is_taken_by_what_is_in_it(client: FlaskClient, name: str, content: bytes, expected: str | None) -> None:
    answer = tickets(client, form(**{name: ("../../x.png", "image/png", content)}))
    assert answer.json is not None
    if expected is None:
        assert answer.json["files"][name]["name"] == "x.png"
        assert answer.json["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    else:
        assert answer.json["errors"] == [{"in": "files", "pointer": f"/{name}", "rule": expected}]


def test_tickets_want_a_scope_and_a_form(client: FlaskClient) -> None:
    assert got(client.post("/tickets", data={"text": "x"})) == (415, "body.media_type")
    assert got(client.post("/tickets", data=form(), content_type=f"multipart/form-data; boundary={BOUNDARY}"))[1] == (
        "auth.missing"
    )
    assert got(client.post("/tickets", json=TICKET, headers=bearer())) == (415, "body.media_type")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"billing": 2, "account": 1}),
        ("least=2", {"billing": 2}),
        ("label=account&label=shipping", {"account": 1}),
        ("least=x", None),
        ("least=1&least=2", None),
        ("laest=1", None),
        ("label=other", None),
    ],
    ids=["all", "least", "labels", "no number", "twice", "misspelt", "no label"],
)
def test_figures_are_asked_for_by_a_query_of_a_shape(
    client: FlaskClient, app: Flask, query: str, expected: object
) -> None:
    app.extensions["predict_api"].served.update(billing=2, account=1)
    answer = client.get(f"/admin/stats?{query}", headers=bearer("u-grace", roles=["admin"]))
    assert answer.json is not None
    if expected is None:
        assert got(answer) == (422, "query.invalid")
    else:
        assert answer.json["by_label"] == expected


def test_an_answer_that_is_not_what_was_promised_is_held_back(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Verdict, "confidence", 2)
    assert got(client.post("/predict", json=TICKET, headers=bearer())) == (500, "response.invalid")


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


# --- The demo ---


def test_the_demo_expects_only_codes_that_exist() -> None:
    codes = {attempt.code for act in SCRIPT for attempt in act.attempts} - {"", "login.failed"}
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
