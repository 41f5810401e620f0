"""What the tests beside other extensions share: an app of any class, secured, with the clock and keys of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Rampart

from .conftest import KEYS

PROBLEM = "application/problem+json"
CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
"""What a browser says of a request that another site's page made it send."""

Secure = Callable[..., Rampart]


@pytest.fixture
def secure(clock: Clock, tmp_path: Path) -> Iterator[Secure]:
    """Secures an app as a user would: ``secure(app, RAMPART_DEFAULT="deny")``. Closes its database, if it has one."""
    apps: list[Flask] = []

    def put(app: Flask, **config: Any) -> Rampart:
        app.config.update(
            SECRET_KEY="of this test alone, and long enough",
            RAMPART_ACCESS_LOG="off",
            RAMPART_ACCESS_LOG_DELAY=0,
            RAMPART_LIMIT_STORE="memory://",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
        )
        app.config.update(config)
        apps.append(app)
        return Rampart(app, clock=clock)

    yield put
    for app in apps:
        database = app.extensions.get("sqlalchemy")
        if database is not None:
            with app.app_context():
                database.session.remove()
                for engine in database.engines.values():
                    engine.dispose()


def codes(*answers: Any) -> list[Any]:
    """Statuses, and of refusals their codes."""
    return [answer.json["code"] if answer.mimetype == PROBLEM else answer.status_code for answer in answers]
