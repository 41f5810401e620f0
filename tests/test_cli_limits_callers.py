"""``flask rampart limits`` and ``reset``: limits by several parts, by method and by API key, and whom they reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import Clock, Rampart, limit, require
from flask_rampart.apikeys import ApiKeys
from flask_rampart.cli import commands

from .conftest import KEYS, Named, bearer

Sign = Callable[..., str]


def plan_of() -> str:
    return "pro"


@pytest.fixture(params=["shm", "redis"], name="app")
def an_app(make_app: Callable[..., Flask], request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    (tmp_path / "counters").mkdir(mode=0o700)
    url = f"shm://{tmp_path}/counters"
    if request.param != "shm":
        url = request.getfixturevalue("redis_server").url
        redis.Redis.from_url(url).flushall()
    return make_app(
        RAMPART_LIMIT_STORE=url,
        RAMPART_LIMIT_STORE_TIMEOUT=2,
        RAMPART_API_KEYS=True,
        SECRET_KEY="k" * 32,
        TESTING=True,
    )


def run(app: Flask, *words: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(commands, list(words))
    return done.exit_code, done.output


def left(app: Flask, *words: str) -> dict[str, int]:
    """What is left, by route and methods."""
    code, said = run(app, "limits", "--json", *words)
    assert code == 0, said
    return {f"{row['methods']} {row['route']}".strip(): row["left"] for row in json.loads(said)["limits"]}


# Several parts


BOTH: list[tuple[Any, list[str]]] = [
    (("address", "json:email"), ["--address", "127.0.0.1", "--value", "ADA@example.com "]),
    (("address", "json:email"), ["--address", "::ffff:127.0.0.1", "--value", "json:email=ada@example.com"]),
    (("json:email", "address"), ["--address", "127.0.0.1", "--value", "ada@example.com"]),
    (("principal", "claim:tenant"), ["--principal", "ada", "--issuer", "us", "--value", "Acme"]),
    (
        ("claim:tenant", "json:email"),
        ["--issuer", "us", "--value", "claim:tenant=Acme", "--value", "json:email=ada@example.com"],
    ),
    # One that does not say of what it is, is of what is left.
    (("claim:tenant", "json:email"), ["--issuer", "us", "--value", "json:email=ada@example.com", "--value", "Acme"]),
    ((plan_of, "json:email"), ["--value", "json:email=ada@example.com", "--value", "function:plan_of=pro"]),
    ((plan_of, "global", "address"), ["--address", "127.0.0.1", "--value", "pro"]),
]


@pytest.mark.parametrize(("by", "words"), BOTH)
def test_a_limit_by_several_parts_is_found_by_all_of_them(app: Flask, token: Sign, by: Any, words: list[str]) -> None:
    app.post("/")(require()(limit("2/year", by=by)(lambda: "ok")))
    client, headers = app.test_client(), bearer(token(iss="us", tenant="Acme"))

    def ask() -> int:
        return client.post("/", headers=headers, json={"email": "ada@example.com"}).status_code

    assert left(app, *words) == {"POST /": 2}
    assert [ask() for _ in range(3)] == [200, 200, 429]
    assert left(app, *words) == {"POST /": 0}
    assert run(app, "reset", *words) == (0, "1 limit reset.\n")
    assert left(app, *words) == {"POST /": 2}


@pytest.mark.parametrize(
    "words",
    [
        ["--address", "127.0.0.1"],
        ["--value", "ada@example.com"],
        # Of two, which?
        ["--address", "127.0.0.1", "--value", "Acme"],
        ["--address", "127.0.0.1", "--value", "json:email=ada@example.com", "--value", "json:mail=Acme"],
        ["--address", "127.0.0.1", "--value", "json:email=", "--value", "claim:tenant=Acme"],
    ],
)
def test_who_is_not_named_by_all_parts_is_not_looked_up(app: Flask, words: list[str]) -> None:
    app.post("/")(limit("2/year", by=("address", "claim:tenant", "json:email"))(lambda: "ok"))
    assert left(app, *words) == {}
    assert run(app, "reset", *words) == (0, "0 limits reset.\n")


def test_what_is_said_of_a_field_is_of_no_other(app: Flask) -> None:
    for name in ("email", "name"):
        app.post(f"/{name}")(limit("2/year", by=f"json:{name}")(lambda: "ok"))
    app.post("/both")(limit("2/year", by=("json:name", "json:email"))(lambda: "ok"))
    assert left(app, "--value", "ada") == {"POST /email": 2, "POST /name": 2}
    assert left(app, "--value", "json:name=ada") == {"POST /name": 2}
    both = ["--value", "json:name=ada", "--value", "json:email=ada@x"]
    app.test_client().post("/both", json={"name": "ada", "email": "ada@x"})
    assert left(app, *both) == {"POST /both": 1, "POST /email": 2, "POST /name": 2}


def test_values_that_do_not_say_of_what_they_are_is_a_sentence(app: Flask) -> None:
    for more in (["--value", "ada", "--value", "acme"], ["--value", "json:a=1", "--value", "json:a=2"]):
        for command in ("limits", "reset"):
            code, said = run(app, command, *more)
            assert code == 2
            assert "say of what each is, and once, such as --value claim:tenant=acme" in said


def test_a_function_that_is_called_as_a_part_is_none(app: Flask) -> None:
    def address() -> str:
        return "ada"

    address.__qualname__ = "address"
    app.post("/")(limit("2/year", by=address)(lambda: "ok"))
    app.test_client().post("/")
    assert left(app, "--value", "ada") == {"POST /": 1}
    assert left(app, "--address", "127.0.0.1") == {}


def test_a_budget_by_several_parts_is_found_by_its_parts_in_their_order(
    clock: Clock, token: Sign, tmp_path: Path
) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    app = Named("budgets")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_JWT_KEYS=KEYS)
    rampart = Rampart(app, clock=clock)
    by = ("principal", "claim:tenant")
    app.get("/")(require()(lambda: str(rampart.reserve("100/day fixed", cost=30, by=by, scope="chat").reserved)))
    app.test_client().get("/", headers=bearer(token(tenant="acme")))
    budget = ["--reserved", "100/day fixed", "--scope", "chat", "--principal", "ada", "--value", "acme"]
    parts = ["--by", "principal", "--by", "claim:tenant"]
    assert left(app, *budget, *parts) == {"(reserved)": 70}
    assert left(app, *budget, *parts[2:], *parts[:2]) == {"(reserved)": 100}
    assert run(app, "reset", *budget, *parts) == (0, "1 limit reset.\n")
    assert left(app, *budget, *parts) == {"(reserved)": 100}
    for words, says in [(budget, "say with --by which"), ([*budget[:-2], *parts], "all parts of a tuple")]:
        code, said = run(app, "limits", *words)
        assert code == 2
        assert says in " ".join(said.split())


# Methods


@pytest.mark.parametrize("methods", [None, ["GET", "POST"], ["HEAD", "GET", "POST"]])
def test_each_method_that_counts_by_itself_has_a_row(app: Flask, methods: list[str] | None) -> None:
    each = limit("3/year", per_method=True, methods=methods)
    app.route("/", methods=["GET", "POST"])(each(lambda: "ok"))
    client = app.test_client()
    for method in ("GET", "HEAD", "POST"):
        client.open("/", method=method)
    apart = methods is not None and "HEAD" in methods
    spent = {"GET /": 2, "HEAD /": 2, "POST /": 2} if apart else {"GET /": 1, "POST /": 2}
    assert left(app, "--address", "127.0.0.1") == spent
    # A quota for each, and not one for all.
    assert [client.post("/").status_code for _ in range(3)] == [200, 200, 429]
    assert left(app, "--address", "127.0.0.1") == {**spent, "POST /": 0}
    assert run(app, "reset", "--address", "127.0.0.1") == (0, f"{len(spent)} limits reset.\n")
    assert set(left(app, "--address", "127.0.0.1").values()) == {3}
    assert client.post("/").status_code == 200


def test_methods_of_one_quota_that_a_function_says_are_listed_each_and_not_looked_up(app: Flask) -> None:
    app.route("/", methods=["GET", "POST"])(limit(lambda: "3/year", per_method=True)(lambda: "ok"))
    assert set(left(app, "--address", "127.0.0.1")) == set()
    listed = json.loads(run(app, "limits", "--json")[1])["limits"]
    assert [row["methods"] for row in listed] == ["GET", "POST"]


# API keys


@pytest.fixture(name="api_keys")
def the_api_keys(app: Flask) -> ApiKeys:
    service: ApiKeys = app.extensions["rampart"].services[ApiKeys]
    return service


def ask(app: Flask, key: str, path: str = "/") -> int:
    return app.test_client().get(path, headers={"X-API-Key": key}).status_code


def test_what_is_left_to_an_api_key_of_its_own_quota_is_told_and_given_back(app: Flask, api_keys: ApiKeys) -> None:
    app.get("/")(require()(limit("9/year", by="api_key")(lambda: "ok")))
    app.get("/free")(require()(lambda: "ok"))
    with app.app_context():
        ours, others = (api_keys.create("ci", owner="ada", quota="3/year") for _ in range(2))
    assert [ask(app, ours.key), ask(app, ours.key, "/free"), ask(app, others.key)] == [200] * 3
    assert left(app, "--api-key", ours.id) == {"GET /": 8, "(the key's own)": 1}
    assert left(app, "--api-key", others.id) == {"GET /": 8, "(the key's own)": 2}
    assert [ask(app, ours.key, "/free") for _ in range(2)] == [200, 429]
    assert run(app, "reset", "--api-key", ours.id) == (0, "2 limits reset.\n")
    assert left(app, "--api-key", ours.id) == {"GET /": 9, "(the key's own)": 3}
    assert left(app, "--api-key", others.id) == {"GET /": 8, "(the key's own)": 2}
    assert ask(app, ours.key, "/free") == 200


def test_a_key_that_was_rotated_has_what_its_line_has_left(app: Flask, api_keys: ApiKeys) -> None:
    app.get("/")(require()(limit("9/year", by=("api_key", "address"))(lambda: "ok")))
    with app.app_context():
        old = api_keys.create("ci", quota="3/year")
        assert ask(app, old.key) == 200
        new = api_keys.rotate(old.id, overlap=60)
    assert ask(app, new.key) == 200
    for key in (old, new):
        assert left(app, "--api-key", key.id, "--address", "127.0.0.1") == {"GET /": 7, "(the key's own)": 1}


def test_a_key_that_speaks_for_nobody_is_its_own_principal(app: Flask, api_keys: ApiKeys, token: Sign) -> None:
    app.get("/")(require()(limit("9/year", by="principal")(lambda: "ok")))
    with app.app_context():
        nobodys, adas = api_keys.create("ci"), api_keys.create("ci", owner="ada")
    assert [ask(app, nobodys.key), ask(app, adas.key)] == [200, 200]
    assert left(app, "--api-key", nobodys.id) == {"GET /": 8}
    # Ada has other keys, and logs in.
    assert left(app, "--api-key", adas.id) == {}
    assert app.test_client().get("/", headers=bearer(token(sub="ada"))).status_code == 200
    assert left(app, "--principal", "ada") == {"GET /": 7}


def test_a_key_itself_is_no_id_and_is_not_repeated(app: Flask, api_keys: ApiKeys) -> None:
    with app.app_context():
        key = api_keys.create("ci", quota="3/year").key
    for command in ("limits", "reset", "unban"):
        code, said = run(app, command, "--api-key", key)
        assert code == 1
        assert "an id is the 12 characters that the list shows" in said
        assert key[-12:] not in said


def test_an_api_key_is_let_in_again_by_its_id(app: Flask, api_keys: ApiKeys) -> None:
    app.get("/")(require()(limit("1/year", by="api_key", ban="1 hour after 2")(lambda: "ok")))
    with app.app_context():
        new = api_keys.create("ci")

    def code() -> str:
        return str(app.test_client().get("/", headers={"X-API-Key": new.key}).json["code"])  # type: ignore[index]

    assert ask(app, new.key) == 200
    assert [code() for _ in range(3)] == ["limit.exceeded", "limit.exceeded", "limit.banned"]
    assert run(app, "unban", "--api-key", new.id)[1].startswith(f"{new.id} is banned no more.\n")
    assert code() == "limit.exceeded"
