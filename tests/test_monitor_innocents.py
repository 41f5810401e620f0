"""What people do who mean no harm, and looks like an attack all the same: it is none, and an attack beside it still is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import abort

from flask_rampart import Clock, Identity, Rampart

from .monitoring import App, at, rules
from .monitoring import watched as watched

OFFICE = "203.0.113.1"
POLL = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}

# --- A 401 of the app's own ---


def refusing(watched: App, clock: Clock) -> Any:
    """A client of an app that answers 401 itself, as Flask-Login does where there is no session."""
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(lambda value: Identity(value))
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.add_url_rule("/api/session", "session", lambda: abort(401), methods=["GET", "POST"])
    return app.test_client(use_cookies=False)


@pytest.mark.parametrize("sent", [{}, {"Cookie": "session=of-yesterday"}])
def test_tabs_that_poll_after_their_session_is_over_guess_nothing(
    watched: App, clock: Clock, sent: dict[str, str]
) -> None:
    client = refusing(watched, clock)
    for _ in range(150):
        assert client.get("/api/session?since=1", headers={**POLL, **sent}, **at(OFFICE)).status_code == 401
        clock.advance(4)
    assert rules(client.application) == []


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"Authorization": "Basic eDp4"}},
        {"headers": {"X-API-Key": "x"}},
        {"headers": {"X-Partner": "x"}},
        {"query_string": "access_token=x"},
        # It may be a login that nobody told of.
        {"method": "POST", "json": {"password": "x"}},
        {"method": "POST", "input_stream": None, "headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=str,
)
def test_what_the_app_refuses_of_what_was_sent_is_a_guess(watched: App, clock: Clock, sent: dict[str, Any]) -> None:
    client = refusing(watched, clock)
    statuses = [client.open("/api/session", **sent, **at(OFFICE)).status_code for _ in range(120)]
    assert rules(client.application) == ["credential_guessing"]
    assert statuses[-1] == 429
