"""``flask rampart ban`` and ``unban``: whom they reach, and that they say so when they reach nobody."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import limit, require, tables
from flask_rampart.cli import commands

from .conftest import NOW, bearer

App = Callable[..., Flask]
WARNING = "no worker that can be seen from here has that table open"


@pytest.fixture(name="app")
def an_app(make_app: App, tmp_path: Path) -> Flask:
    app = make_app(
        RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters",
        RAMPART_LIMITS="1000/hour",
        RAMPART_BAN_EXEMPT=["198.51.100.0/24"],
    )
    app.get("/mine")(require(optional=True)(limit("1/hour", by="principal", ban="1 hour after 2")(lambda: "ok")))
    app.post("/login")(limit("1/hour", by="json:email", per_method=True, ban="1 hour after 2")(lambda: "ok"))
    app.get("/here")(limit(lambda: "1/hour", ban="1 hour after 2 by key")(lambda: "ok"))
    both = limit("1/hour", by=("principal", "json:email"), ban="1 hour after 2")
    app.post("/both")(require(optional=True)(both(lambda: "ok")))
    return app


def run(app: Flask, *words: str) -> tuple[int, str, str]:
    done = app.test_cli_runner().invoke(commands, list(words))
    return done.exit_code, done.stdout, done.stderr


def code_of(app: Flask, method: str, path: str, count: int = 1, **more: Any) -> str:
    """What is told at last, of as many requests."""
    client = app.test_client()
    answers = [
        client.open(path, method=method, environ_base={"REMOTE_ADDR": "192.0.2.1"}, **more) for _ in range(count)
    ]
    return answers[-1].json["code"] if answers[-1].is_json else str(answers[-1].status_code)


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (("--principal", "ada"), "GET", "/mine", None),
        (("--value", "ADA@example.com"), "POST", "/login", {"email": "ada@example.com"}),
        (("192.0.2.1",), "GET", "/here", None),
        (("::ffff:192.0.2.1",), "POST", "/login", None),  # no email: its address stands for it
    ],
)
def test_what_is_banned_by_key_is_let_in_again_by_who_it_is(
    app: Flask, token: Callable[..., str], words: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    headers = bearer(token(sub="ada")) if "--principal" in words else {}
    assert code_of(app, method, path, 4, json=body, headers=headers) == "limit.banned"
    code, said, _ = run(app, "unban", *words)
    assert (code, said) == (0, f"{words[-1]} is banned no more.\n")
    assert code_of(app, method, path, json=body, headers=headers) == "limit.exceeded"
    assert run(app, "unban", *words)[1].startswith(f"{words[-1]} was not banned in /")


def test_whatever_is_banned_is_let_in_again_by_the_id_that_the_log_says(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert code_of(app, "POST", "/both", 4, json={"email": "ada@x"}) == "limit.banned"
    found = re.search(r"id ([0-9a-f]{32})\)", caplog.text)
    assert found is not None
    assert run(app, "unban", "--id", found[1].upper())[1].endswith("is banned no more.\n")
    assert code_of(app, "POST", "/both", json={"email": "ada@x"}) == "limit.exceeded"


def test_what_is_banned_by_several_parts_is_let_in_again_by_all_of_them(app: Flask, token: Callable[..., str]) -> None:
    body, headers = {"email": "ada@x"}, bearer(token(sub="ada"))
    assert code_of(app, "POST", "/both", 4, json=body, headers=headers) == "limit.banned"
    for words in (["--principal", "ada"], ["--value", "ada@x"], ["--principal", "bob", "--value", "ada@x"]):
        assert "was not banned in" in run(app, "unban", *words)[1]
    assert code_of(app, "POST", "/both", json=body, headers=headers) == "limit.banned"
    code, said, _ = run(app, "unban", "--principal", "ada", "--value", "json:email=ADA@x ")
    assert (code, said) == (0, "ada with json:email=ADA@x  is banned no more.\n")
    assert code_of(app, "POST", "/both", json=body, headers=headers) == "limit.exceeded"


@pytest.mark.parametrize(("body", "words"), [({"email": "ada@x"}, ["--value", "ada@x"]), (None, [])])
def test_whose_address_stands_for_a_part_that_is_missing_is_let_in_again_by_it(
    app: Flask, body: Any, words: list[str]
) -> None:
    # Nobody is logged in: the address stands for the principal, and without an email for that too.
    app.post("/all")(
        limit("1/hour", by=("address", "principal", "json:email"), ban="1 hour after 2 by key")(lambda: "ok")
    )
    assert code_of(app, "POST", "/all", 4, json=body) == "limit.banned"
    assert "was not banned" in run(app, "unban", "192.0.2.2", *words)[1]
    assert "is banned no more" in run(app, "unban", "::ffff:192.0.2.1", *words)[1]
    assert code_of(app, "POST", "/all", json=body) == "limit.exceeded"


def test_who_is_named_in_two_ways_is_let_in_again_by_each(app: Flask, token: Callable[..., str]) -> None:
    headers = bearer(token(sub="ada"))
    assert code_of(app, "GET", "/here", 4) == "limit.banned"
    assert code_of(app, "GET", "/mine", 4) == "limit.banned"  # nobody: by the address
    assert code_of(app, "GET", "/mine", 4, headers=headers) == "limit.banned"
    assert run(app, "ban", "192.0.2.1", "--for", "1 hour")[0] == 0
    assert run(app, "unban", "192.0.2.1", "--principal", "ada")[1] == "192.0.2.1 with ada is banned no more.\n"
    said = [
        code_of(app, "GET", path, headers=more) for path, more in (("/here", {}), ("/mine", {}), ("/mine", headers))
    ]
    assert said == ["limit.exceeded"] * 3


def test_whose_network_is_banned_is_told(app: Flask) -> None:
    run(app, "ban", "192.0.2.0/24", "--for", "10 minutes")
    code, said, _ = run(app, "unban", "::ffff:192.0.2.1")
    assert code == 0
    first, second = said.splitlines()
    assert first.startswith("::ffff:192.0.2.1 was not banned in ")
    assert second == "Its network is, for 600 s: flask rampart unban 192.0.2.0/24"
    assert run(app, *second.split()[-3:][1:])[1] == "192.0.2.0/24 is banned no more.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["unban"], "Say whose"),
        (["unban", "192.0.2.1", "--id", "0" * 32], "Say whose"),
        (["unban", "--value", "ada@x", "--value", "acme"], "say of what each is"),
        (["unban", "--api-key", "nobody"], "this app takes no API keys"),
        (["unban", "nobody"], "'nobody' is no address"),
        (["unban", "--id", "nobody"], "32 hexadecimal digits"),
        (["ban", "198.51.100.7", "--for", "1 hour"], "no ban refuses 198.51.100.7"),
    ],
)
def test_what_would_do_nothing_is_a_failure(app: Flask, words: list[str], says: str) -> None:
    code, _, said = run(app, *words)
    assert code != 0
    assert says in said


def test_where_no_limit_bans_by_such_a_key_that_is_told(make_app: App, tmp_path: Path) -> None:
    app = make_app(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_LIMITS="9/hour")
    code, _, said = run(app, "unban", "--principal", "ada")
    assert code == 1
    assert "no limit bans by such a key; name all parts" in said


@contextmanager
def worker(path: Path) -> Iterator[None]:
    """A process that has the app's table open."""
    program = """
        import sys
        from flask_rampart._native import Clock, LimitStore
        store = LimitStore.shared(sys.argv[1], sys.argv[2], Clock.manual(float(sys.argv[3])))
        print("open", flush=True)
        sys.stdin.read()
    """
    words = [sys.executable, "-c", textwrap.dedent(program), str(path.parent), path.name, str(NOW)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate(timeout=30)


def test_a_ban_says_where_it_is_and_whether_any_worker_is_there(app: Flask, tmp_path: Path) -> None:
    _, said, warned = run(app, "ban", "192.0.2.1", "--for", "1 hour")
    path = Path(said.strip().rpartition("kept in ")[2])
    assert path.parent == tmp_path / "counters"
    assert WARNING in warned
    assert WARNING in run(app, "unban", "192.0.2.1")[2]
    with worker(path):
        assert run(app, "ban", "192.0.2.1", "--for", "1 hour")[2] == ""
    # A table of the same app in another place is another one.
    (tmp_path / "other").mkdir(mode=0o700)
    with worker(tmp_path / "other" / path.name):
        assert WARNING in run(app, "ban", "192.0.2.1", "--for", "1 hour")[2]


def test_a_command_in_a_login_shell_finds_the_table_of_a_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = []
    for folder in (tmp_path, tmp_path / "missing", None):
        for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
            if folder is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(folder))
        places.append(tables.private_directory())
    assert len(set(places)) == 1


def test_of_a_server_that_is_away_only_what_this_host_knows_is_told(
    make_app: App,
) -> None:
    app = make_app(
        SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE="redis://127.0.0.1:1/0", RAMPART_LIMITS="9/hour", TESTING=True
    )
    app.get("/")(limit("5/hour", on_store_error="closed")(lambda: "ok"))
    code, said, why = run(app, "ban", "192.0.2.1", "--for", "1 hour")
    assert (code, said) == (1, "")
    assert "this host refuses 192.0.2.1, others have not heard of it" in why
    assert app.test_client().get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 429
    code, said, why = run(app, "unban", "192.0.2.1")
    assert (code, said) == (1, "")
    assert "this host has ended it, others have not heard of it" in why
    assert app.test_client().get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 503
    code, said, _ = run(app, "limits", "--address", "192.0.2.2")
    assert code == 0
    assert "counted in redis" not in said
    assert "what this host has counted since" in said
    assert "unknown" in said
    told = json.loads(run(app, "limits", "--address", "192.0.2.2", "--json")[1])
    assert told["store"] == "memory://"
    assert [row["left"] for row in told["limits"]] == [9, None]
