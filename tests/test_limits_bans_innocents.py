"""Bans that would hit somebody who has done nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import limit
from flask_rampart.limits import Limits

App = Callable[..., Flask]


def knock(app: Flask, count: int = 1, address: str = "192.0.2.1", **more: Any) -> list[Any]:
    """Codes of refusals, and statuses of what was admitted."""
    client = app.test_client()
    answers = [client.post("/login", environ_base={"REMOTE_ADDR": address}, **more) for _ in range(count)]
    return [answer.json["code"] if answer.is_json else answer.status_code for answer in answers]


@pytest.mark.parametrize("setting", ["RAMPART_BAN_EXEMPT", "RAMPART_TRUSTED_PROXIES"])
@pytest.mark.parametrize(
    ("ban", "struck", "exempt"),
    [
        ("1 hour after 3 by network", "198.51.100.9", "198.51.100.5"),
        ("1 hour after 3 by address", "2001:db8::9", "2001:db8::5"),  # a /64 is one client
        ("1 hour after 3 by key", "2001:db8::9", "2001:db8::5"),
    ],
)
def test_who_is_exempt_is_not_banned_with_its_neighbours(
    make_app: App, setting: str, ban: str, struck: str, exempt: str
) -> None:
    app = make_app(**{setting: [exempt]})
    app.post("/login")(limit("2/hour", ban=ban)(lambda: "ok"))
    assert knock(app, 6, struck)[-1] == "limit.banned"
    assert knock(app, 1, exempt) in ([200], ["limit.exceeded"])


@pytest.mark.parametrize("banned", ["198.51.100.5", "198.51.100.0"])
def test_who_is_exempt_is_not_refused_by_a_ban_from_elsewhere(make_app: App, banned: str) -> None:
    # As the command line and other hosts ban: they need not have the same exemptions.
    app = make_app(RAMPART_BAN_EXEMPT=["198.51.100.5"])
    app.post("/login")(limit("9/hour")(lambda: "ok"))
    knock(app)
    bans = app.extensions["rampart"].services[Limits].bans
    assert bans.ban("address" if banned.endswith("5") else "network", banned, 600)
    assert knock(app, 1, "198.51.100.5") == [200]
    assert knock(app, 1, "198.51.100.6") == (["limit.banned"] if banned.endswith("0") else [200])


def test_who_is_exempt_strikes_no_key_either(make_app: App) -> None:
    app = make_app(RAMPART_BAN_EXEMPT=["198.51.100.5"])
    app.post("/login")(limit("2/hour", by="json:email", ban="1 hour after 3 by key")(lambda: "ok"))
    assert knock(app, 8, "198.51.100.5", json={"email": "ada@x"})[2:] == ["limit.exceeded"] * 6
    assert knock(app, 1, json={"email": "ada@x"}) == ["limit.exceeded"]
