"""What tests of the audit log share: an app with a log of its own, and what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_rampart import Clock, Rampart
from flask_rampart._native import audit_verify
from flask_rampart.audit import Audit
from flask_rampart.audit.reading import Log

from .conftest import KEYS, NOW, Named

App = Callable[..., Flask]


class Reading(FlaskClient):
    """A client that reads each answer to its end, as browsers do."""

    def open(self, *args: Any, buffered: bool = True, **given: Any) -> Any:
        return super().open(*args, buffered=buffered, **given)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[App]:
    """Makes apps with an audit log in ``tmp_path / "instance"``; closed at the end of the test."""
    made: list[Flask] = []

    def one(**config: Any) -> Flask:
        folder = tmp_path / "instance"
        folder.mkdir(mode=0o700, exist_ok=True)
        app = Named("shop", instance_path=str(folder))
        app.test_client_class = Reading
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
            **{"RAMPART_AUDIT_LOG": "audit", "RAMPART_LIMIT_STORE": "memory://", **config},
        )
        Rampart(app, clock=Clock.manual(NOW))
        made.append(app)
        return app

    yield one
    for app in made:
        log_of(app).close()


def log_of(app: Flask) -> Audit:
    """The app's audit log."""
    found: Audit = app.extensions["rampart"].services[Audit]
    return found


def records(app: Flask) -> list[dict[str, Any]]:
    """All records but the log's own. What waits is written first."""
    log = log_of(app)
    if log._ready is not None:
        log._ready.tend()
    if not log.directory.exists():
        return []
    return [one for one in Log(log.directory).records() if not one["event"].startswith("audit_")]


def is_sound(app: Flask) -> bool:
    """Whether verification finds nothing wrong."""
    log = log_of(app)
    return audit_verify(str(log.directory), log.key())["faults"] == []
