"""``flask rampart limits``, ``ban``, ``unban``, ``reset``: on the counters that the workers use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Rampart, limit, require
from flask_rampart.cli import commands

from .conftest import KEYS, Named, bearer

App = Callable[..., Flask]


@pytest.fixture(name="app")
def an_app(make_app: App, tmp_path: Path) -> Flask:
    (tmp_path / "counters").mkdir(mode=0o700)
    app = make_app(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_LIMITS="1000/hour")
    app.post("/login")(limit("5/minute", count="failures", ban="15 minutes after 3")(lambda: ("no", 401)))
    app.get("/mine")(require()(limit("10/day fixed; 2/second", by="principal")(lambda: "ok")))
    app.get("/plans")(limit(lambda: "7/hour")(lambda: "ok"))
    app.get("/tried")(limit("3/hour", by="claim:tenant", mode="report")(lambda: "ok"))
    return app


def run(app: Flask, *words: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(commands, list(words))
    return done.exit_code, done.output


def test_all_limits_are_listed(app: Flask) -> None:
    code, said = run(app, "limits")
    assert code == 0
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "(all) 1000/hour address" in lines
    assert "/login POST 5/minute address 15 minutes after 3" in lines
    assert "/mine GET 10/day fixed; 2/second principal" in lines
    assert "/tried GET 3/hour claim:tenant report" in lines
    assert any(line.startswith("/plans GET") for line in lines)
    assert lines[-1].startswith("5 limits; counted in /")


def test_what_is_left_to_a_caller_is_told(app: Flask, token: Callable[..., str]) -> None:
    client = app.test_client()
    for _ in range(2):
        client.post("/login")
    client.get("/mine", headers=bearer(token(sub="ada")))
    told = json.loads(run(app, "limits", "--address", "127.0.0.1", "--json")[1])
    left: dict[str, Any] = {row["route"]: row["left"] for row in told["limits"]}
    assert left == {"(all)": 997, "/login": 3}
    said = run(app, "limits", "--principal", "ada")[1]
    assert "1 of 2" in said


def test_what_a_caller_has_spent_can_be_forgotten(app: Flask, token: Callable[..., str]) -> None:
    client = app.test_client()
    ada = bearer(token(sub="ada"))
    assert [client.get("/mine", headers=ada).status_code for _ in range(3)] == [200, 200, 429]
    assert run(app, "reset", "--principal", "ada") == (0, "1 limit reset.\n")
    assert client.get("/mine", headers=ada).status_code == 200
    code, said = run(app, "reset")
    assert code == 2
    assert "Say whose" in said


@pytest.fixture(name="spends")
def app_of_budgets(clock: Clock, tmp_path: Path) -> Flask:
    (tmp_path / "counters").mkdir(mode=0o700)
    app = Named("budgets")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_JWT_KEYS=KEYS)
    rampart = Rampart(app, clock=clock)

    @app.get("/<by>")
    @require(optional=True)
    def spend(by: str) -> str:
        named: Any = (lambda: "ada") if by == "function" else by
        return str(rampart.reserve("100/day fixed", cost=30, by=named, scope="chat").reserved)

    return app


BUDGETS = [
    ("address", ["--address", "127.0.0.1"]),
    ("address", ["--address", "::ffff:127.0.0.1"]),
    ("principal", ["--principal", "ada"]),
    ("function", ["--value", "ada"]),
    ("claim:tenant", ["--by", "claim:tenant", "--value", "Acme"]),
    ("global", ["--by", "global"]),
]


@pytest.mark.parametrize(("by", "who"), BUDGETS)
def test_a_budget_is_looked_up_and_forgotten_by_its_scope(
    spends: Flask, token: Callable[..., str], by: str, who: list[str]
) -> None:
    client = spends.test_client()
    headers = bearer(token(tenant="Acme"))
    budget = ["--reserved", "100/day fixed", "--scope", "chat", *who]
    assert [client.get(f"/{by}", headers=headers).status_code for _ in range(4)] == [200, 200, 200, 429]
    told = run(spends, "limits", *budget)[1].splitlines()
    assert "10 of 100" in told[1]
    assert told[-1].startswith("1 limit; counted in /")
    assert run(spends, "reset", *budget) == (0, "1 limit reset.\n")
    assert json.loads(run(spends, "limits", "--json", *budget)[1])["limits"][0]["left"] == 100
    assert client.get(f"/{by}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reserved", "9/hour", "--principal", "ada"], "--scope chat"),
        (["--scope", "chat", "--principal", "ada"], "of --reserved"),
        (["--by", "global", "--address", "192.0.2.1"], "of --reserved"),
        (["--reserved", "9/hour", "--scope", "chat"], "Say whose"),
        (["--reserved", "9/hour", "--scope", "chat", "--by", "claim:tenant", "--principal", "ada"], "--value"),
        (["--reserved", "9/hour", "--scope", "chat", "--by", "adress", "--value", "ada"], "Did you mean address"),
        (["--reserved", "9/our", "--scope", "chat", "--value", "ada"], "hour"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_a_sentence(spends: Flask, words: list[str], says: str) -> None:
    for command in ("limits", "reset"):
        code, said = run(spends, command, *words)
        assert code != 0
        assert says in said
        assert "Traceback" not in said


def test_a_tenant_is_looked_up_to_the_letter(app: Flask, token: Callable[..., str]) -> None:
    app.get("/tenant")(require()(limit("3/hour", by="claim:tenant")(lambda: "ok")))
    app.test_client().get("/tenant", headers=bearer(token(tenant="aB3", iss="us")))
    for value, left in (("aB3", 2), ("Ab3", 3)):
        told = json.loads(run(app, "limits", "--value", value, "--issuer", "us", "--json")[1])
        assert [row["left"] for row in told["limits"] if row["route"] == "/tenant"] == [left]


def test_an_address_is_banned_and_let_in_again_while_the_workers_run(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/nothing").status_code == 404
    code, said = run(app, "ban", "127.0.0.1", "--for", "1 hour")
    assert (code, said.partition(";")[0]) == (0, "127.0.0.1 is refused for 3600 s, from the next request on")
    refused = client.get("/nothing")
    assert (refused.json["code"], refused.headers["Retry-After"]) == ("limit.banned", "3600")
    assert "Banned for 3600 s." in run(app, "limits", "--address", "127.0.0.1")[1]
    assert [run(app, "unban", "127.0.0.1")[1].splitlines()[0].partition(" in /")[0] for _ in range(2)] == [
        "127.0.0.1 is banned no more.",
        "127.0.0.1 was not banned",
    ]
    assert client.get("/nothing").status_code == 404


def test_a_network_is_banned_in_one_size(app: Flask) -> None:
    assert run(app, "ban", "127.0.0.0/24", "--for", "5 minutes")[0] == 0
    assert app.test_client().get("/nothing").status_code == 429
    assert run(app, "unban", "127.0.0.0/24")[0] == 0
    code, said = run(app, "ban", "10.0.0.0/8", "--for", "1 hour")
    assert code == 1
    assert "/24 (IPv4) or /48 (IPv6)" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ban", "nobody", "--for", "1 hour"], "no address"),
        (["ban", "192.0.2.1", "--for", "1 our"], "Did you mean hour"),
        (["ban", "192.0.2.1"], "--for"),
        (["ban", "192.0.2.0/99", "--for", "1 hour"], "192.0.2.0/99"),
    ],
)
def test_what_is_wrong_is_a_sentence(app: Flask, words: list[str], says: str) -> None:
    code, said = run(app, *words)
    assert code != 0
    assert says in said
    assert "Traceback" not in said


def test_counters_of_one_process_cannot_be_reached(make_app: App) -> None:
    app = make_app(RAMPART_LIMIT_STORE="memory://")
    app.get("/")(limit("5/minute")(lambda: "ok"))
    for words in (["ban", "192.0.2.1", "--for", "1 hour"], ["unban", "192.0.2.1"], ["reset", "--address", "192.0.2.1"]):
        code, said = run(app, *words)
        assert code == 1
        assert "memory://" in said


def test_where_nothing_is_limited_nobody_would_ask(make_app: App, tmp_path: Path) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    app = make_app(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
    code, said = run(app, "ban", "192.0.2.1", "--for", "1 hour")
    assert code == 1
    assert "RAMPART_LIMITS" in said
