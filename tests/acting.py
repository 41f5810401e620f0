"""An app under test, for the tests of ``flask_rampart.testing``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import current_principal, require

App = Callable[..., Flask]
AUTH0 = {"issuer": "https://tenant.auth0.example/", "audience": "https://api.example"}


@pytest.fixture(name="serve")
def acting(make_app: App) -> App:
    """An app under test: who is calling at ``/``; ``/scoped`` wants a scope and a role."""

    def make(**config: Any) -> Flask:
        app = make_app(**{"TESTING": True, "RAMPART_STORE": "memory://", **config})

        @app.route("/", methods=["GET", "POST"])
        @require()
        def who() -> dict[str, Any]:
            return {
                "id": current_principal.id,
                "kind": current_principal.kind,
                "issuer": current_principal.issuer,
                "claims": current_principal.claims,
            }

        app.get("/scoped")(require(scopes="read write", roles="admin")(lambda: "ok"))
        app.get("/open")(lambda: dict(request.headers))
        return app

    return make


def code(answer: Any) -> str:
    return "ok" if answer.status_code == 200 else answer.json["code"]
