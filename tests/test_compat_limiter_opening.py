"""The face of Flask-Limiter while others have the table of this host: who cannot be counted is refused, for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock
from flask_rampart.compat.limiter import Limiter
from flask_rampart.compat.limiter.util import get_remote_address
from flask_rampart.tables import place_of

from .test_opening import Other, now, waited  # noqa: F401 - fixtures


def own(limiter: Limiter) -> Callable[..., Any]:
    return limiter.limit("2/day")(lambda: "in")


def by_function(limiter: Limiter) -> Callable[..., Any]:
    return limiter.limit("2/day", key_func=lambda: "ada")(lambda: "in")


def within(limiter: Limiter) -> Callable[..., Any]:
    def view() -> str:
        with limiter.limit("2/day"):
            return "in"

    return view


@pytest.mark.parametrize("view", [own, by_function, within])
@pytest.mark.parametrize("purpose", ["limits", "bans"])
@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        ({"RATELIMIT_ON_STORE_ERROR": "open"}, {}),
        ({}, {"in_memory_fallback": ["9/day"], "storage_uri": "redis://127.0.0.1:1/0"}),
    ],
    ids=["local", "open", "fallback"],
)
def test_requests_are_refused_until_the_table_can_be_had(
    clock: Clock,
    waited: str,  # noqa: F811
    now: list[float],  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    view: Callable[[Limiter], Callable[..., Any]],
    purpose: str,
    settings: dict[str, Any],
    arguments: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_rampart.tables.private_directory", lambda: waited)
    app = Flask(__name__)
    app.config.update(PROPAGATE_EXCEPTIONS=False, SECRET_KEY="x" * 32, RAMPART_LIMIT_TABLE=65_536, **settings)
    limiter = Limiter(get_remote_address, app=app, clock=clock, **arguments)
    app.add_url_rule("/", "view", view(limiter))
    place = place_of(purpose, f"{app.import_name}\0{app.root_path}", None, testing=False)
    assert place is not None
    other = Other(place, clock)
    client = app.test_client()
    for nth in range(3):
        now[0] = float(nth)
        for _ in range(3):
            answer = client.get("/")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert waited not in answer.text
        # By one try in a second.
        assert caplog.text.count("cannot be had") == nth + 1
    other.end()
    now[0] += 1
    most = 9 if arguments else 2
    assert [client.get("/").status_code for _ in range(most + 1)] == [200] * most + [429]
