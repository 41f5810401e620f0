"""What the tests of reports share: an app that collects them, and what browsers send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from werkzeug.test import TestResponse

from flask_rampart import ReportGroup
from flask_rampart.cli import commands
from flask_rampart.reports import Reports

App = Callable[..., Flask]

HOST = "http://localhost"


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_PROFILE="html", RAMPART_JWT_KEYS=...)
    app.testing = True
    app.get("/")(lambda: "home")
    app.get("/users/<int:number>", endpoint="user")(lambda number: "user")
    app.post("/pay", endpoint="pay")(lambda: "paid")
    app.get("/list/", endpoint="slashed")(lambda: "list")
    return app


def reports_of(app: Flask) -> Reports:
    found: Reports = app.extensions["rampart"].services[Reports]
    return found


def groups(app: Flask) -> list[ReportGroup]:
    return reports_of(app).list()


def old(app: Flask, address: str = "192.0.2.1", /, **members: Any) -> TestResponse:
    """What browsers send to ``report-uri``."""
    body = {
        "document-uri": f"{HOST}/",
        "violated-directive": "img-src",
        "effective-directive": "img-src",
        "blocked-uri": "https://cdn.example.com/a.png",
        "disposition": "enforce",
        **{name.replace("_", "-"): value for name, value in members.items()},
    }
    return send(app, {"csp-report": body}, "application/csp-report", address)


def report(kind: str = "csp-violation", url: str = f"{HOST}/", /, **body: Any) -> dict[str, Any]:
    """One report of the Reporting API."""
    if kind == "csp-violation":
        told = {"documentURL": url, "effectiveDirective": "img-src", "blockedURL": "https://cdn.example.com/a.png"}
        body = {**told, "disposition": "enforce", **body}
    return {"type": kind, "age": 10, "url": url, "user_agent": "x", "body": body}


def send(
    app: Flask,
    document: Any,
    kind: str = "application/reports+json",
    address: str = "192.0.2.1",
    path: str = "/reports",
) -> TestResponse:
    data = document if isinstance(document, (bytes, str)) else json.dumps(document)
    return app.test_client().post(path, data=data, content_type=kind, environ_base={"REMOTE_ADDR": address})


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(commands, ["csp-report", *words])
