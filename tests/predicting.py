"""The example ``examples/predict_api`` for tests: an app with its key and two accounts, and those who call it."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.predict_api import forge
from examples.predict_api.accounts import new_account, save
from examples.predict_api.app import create_app
from flask_rampart.cli import commands

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
