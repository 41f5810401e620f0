"""What the tests of a token's life share: an app that renews tokens, and what becomes of a call."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from flask_rampart import Denied, current_principal, public, require
from flask_rampart.tokens import Tokens

from .conftest import bearer

App = Callable[..., Flask]


def pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def tokens_of(app: Flask) -> Tokens:
    found: Tokens = app.extensions["rampart"].services[Tokens]
    return found


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()

    @app.get("/me")
    @require()
    def me() -> dict[str, Any]:
        return {"id": current_principal.id, "claims": current_principal.claims}

    @app.post("/refresh")
    @public
    def refresh() -> Any:
        return tokens_of(app).refresh().response()

    return app


def get(app: Flask, token: str) -> int:
    return app.test_client().get("/me", headers=bearer(token)).status_code


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(Denied) as caught:
        call()
    return caught.value.problem.code, caught.value.reason
