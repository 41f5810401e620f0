"""Bans that would hit somebody who has done nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, limit
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


@pytest.mark.parametrize("by", ["global", ("global",)])
def test_a_limit_that_others_exhaust_bans_nobody(by: Any) -> None:
    with pytest.raises(ConfigError, match="whoever comes last"):
        limit("10/hour", by=by, ban="1 hour after 3")
    assert limit("10/hour", by=("global", "address"), ban="1 hour after 3").penalty is not None


@pytest.mark.parametrize(
    ("by", "ban", "banned"),
    [
        ("address", "1 hour after 3", "address"),
        (("address", "json:email"), "1 hour after 3", "address"),
        ("json:email", "1 hour after 3", "key"),
        ("principal", "1 hour after 3", "key"),
        ("json:email", "1 hour after 3 by address", "address"),
        (("principal", "json:email"), "1 hour after 3 by network", "network"),
    ],
)
def test_where_others_can_spend_what_a_key_has_its_address_is_banned_only_if_that_is_said(
    by: Any, ban: str, banned: str
) -> None:
    penalty = limit("10/hour", by=by, ban=ban).penalty
    assert penalty is not None
    assert penalty.by == banned


def test_who_spends_what_another_has_does_not_ban_the_others_address(make_app: App) -> None:
    app = make_app()
    app.post("/login")(limit("2/hour", by="json:email", ban="1 hour after 2")(lambda: "ok"))
    app.get("/")(lambda: "ok")
    knock(app, 3, "203.0.113.66", json={"email": "ada@x"})
    knock(app, 3, json={"email": "ada@x"})
    assert app.test_client().get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
    assert knock(app, 1, json={"email": "eve@x"}) == [200]


@pytest.mark.parametrize("address", ["", "unix:", "not an address"])
@pytest.mark.parametrize("by", ["address", "principal", ("address", "principal"), ("principal", "json:email")])
def test_whoever_has_no_address_is_not_banned_by_key_either(make_app: App, by: Any, address: str) -> None:
    app = make_app()
    app.post("/login")(limit("2/hour", by=by, ban="1 hour after 3 by key")(lambda: "ok"))
    assert knock(app, 8, address) == [200, 200, *["limit.exceeded"] * 6]


def test_a_key_that_is_known_is_banned_though_its_address_is_not(make_app: App) -> None:
    app = make_app()
    by = ("principal", "json:email")
    app.post("/login")(limit("2/hour", by=by, ban="1 hour after 3 by key")(lambda: "ok"))
    # What a peer writes poses as no part of a key.
    assert knock(app, 6, "", json={"email": "8:address:8:address:"})[-1] == "limit.banned"
    assert knock(app, 1, "") == [200]
