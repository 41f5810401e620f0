"""What the tests share: apps with settings, a clock that is advanced, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings

from flask_rampart import Clock, Rampart
from flask_rampart._native import Key

from .servers import own_server as own_server
from .servers import place_of as place_of
from .servers import postgres_server as postgres_server
from .servers import redis_server as redis_server

SECRET = "0123456789abcdef0123456789abcdef"  # 32 bytes: the least that HS256 takes
KEYS = [{"kid": "test", "alg": "HS256", "secret": SECRET}]
NOW = 1_800_000_000

# The same examples each time, and how long one takes says how busy the machine is.
settings.register_profile(
    "rampart", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rampart")


class Named(Flask):
    """A Flask app that takes several lambdas as views: each gets an endpoint of its own."""

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, **options: Any) -> None:
        if endpoint is None and getattr(view_func, "__name__", "") == "<lambda>":
            endpoint = f"view-{len(self.view_functions)}"
        super().add_url_rule(rule, endpoint, view_func, **options)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock.manual(NOW)


@pytest.fixture
def make_app(clock: Clock, tmp_path: Path) -> Callable[..., Flask]:
    """Makes an app behind Rampart: ``make_app(RAMPART_DEFAULT="deny")``."""

    def make(*, rampart: bool = True, **config: Any) -> Flask:
        app = Named(__name__)
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_ACCESS_LOG_DELAY=0,  # tests read lines as soon as they were answered
            RAMPART_LIMIT_STORE="memory://",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
        )
        app.config.update(config)
        app.config = type(app.config)(app.root_path, {k: v for k, v in app.config.items() if v is not ...})
        if rampart:
            Rampart(app, clock=clock)
        else:
            for name in [name for name in app.config if name.startswith("RAMPART_")]:
                del app.config[name]
        return app

    return make


@pytest.fixture
def token() -> Callable[..., str]:
    """Signs claims as they are: ``token(scope="predict")``; ``sub`` and ``exp`` are there unless given."""

    def sign(**claims: Any) -> str:
        payload = {"sub": "ada", "exp": NOW + 60, **claims}
        key = Key.from_secret(SECRET.encode(), "HS256", "test")
        return key.sign(json.dumps({name: value for name, value in payload.items() if value is not ...}))

    return sign


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
