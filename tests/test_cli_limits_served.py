"""``flask rampart limits``, ``ban``, ``unban`` and ``reset`` beside running workers: what is typed, and what is answered."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis

from .servers import Redis
from .serving import Served, serving

pytestmark = pytest.mark.servers

VIEWS = """
    app.config["RAMPART_LIMITS"] = "1000/year fixed"
    Rampart(app)

    @app.post("/login")
    @limit("5/year fixed", count="failures", ban="15 minutes after 3")
    def login():
        return "no", 401

    @app.get("/data")
    @limit("3/year", by=lambda: request.args.get("tenant"))
    @limit("2 concurrent")
    def data():
        return "ok"

    @app.get("/plans")
    @limit(lambda: "7/year")
    def plans():
        return "ok"
"""


def run(folder: Path, words: str) -> str:
    """What a command says, and its exit code if that is not 0; white space between columns is one space."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "served", *shlex.split(words)[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()]
    text = re.sub("limits-[0-9a-f]{32}", "TABLE", "\n".join(lines).replace(str(folder), "FOLDER"))
    return text if done.returncode == 0 else f"{text}\n[{done.returncode}]"


def transcript(folder: Path, script: str) -> None:
    """Runs each line that begins with ``$``; what follows it is what it must say."""
    for part in textwrap.dedent(script).strip().split("$ ")[1:]:
        words, _, expected = part.partition("\n")
        assert run(folder, words) == expected.strip(), words


def knock(served: Served, count: int) -> list[int]:
    return [served.ask("POST", "/login")[0] for _ in range(count)]


def test_what_is_limited_is_listed_and_what_is_left_is_told(tmp_path: Path) -> None:
    # flask-limiter#441: of limits in memory its command sees nothing.
    with serving(tmp_path, VIEWS, "-w", "2") as served:
        assert knock(served, 2) == [401, 401]
        assert served.get("/data?tenant=blue")[0] == 200
        transcript(
            tmp_path,
            """
            $ flask rampart limits
            ROUTE METHODS LIMIT BY BAN
            (all) 1000/year fixed address
            /data GET 2 concurrent address
            /data GET 3/year <lambda>
            /login POST 5/year fixed address 15 minutes after 3
            /plans GET <lambda> address
            5 limits; counted in FOLDER/counters/TABLE

            $ flask rampart limits --address 127.0.0.1
            ROUTE METHODS LIMIT BY LEFT
            (all) 1000/year fixed address 996 of 1000
            /data GET 2 concurrent address 2 of 2
            /login POST 5/year fixed address 3 of 5
            3 limits; counted in FOLDER/counters/TABLE

            $ flask rampart limits --value blue
            ROUTE METHODS LIMIT BY LEFT
            /data GET 3/year <lambda> 2 of 3
            1 limit; counted in FOLDER/counters/TABLE
            """,
        )


def test_workers_obey_a_command_at_their_next_request(tmp_path: Path) -> None:
    with serving(tmp_path, VIEWS, "-w", "2") as served:
        assert knock(served, 6) == [401] * 5 + [429]
        transcript(
            tmp_path,
            """
            $ flask rampart reset --address 127.0.0.1
            3 limits reset.
            """,
        )
        assert knock(served, 2) == [401, 401]
        transcript(
            tmp_path,
            """
            $ flask rampart ban 127.0.0.1 --for "1 hour"
            127.0.0.1 is refused for 3600 s, from the next request on; kept in FOLDER/counters/TABLE
            """,
        )
        refused = [served.get("/data") for _ in range(6)]
        assert {(status, json.loads(body)["code"]) for status, _, body in refused} == {(429, "limit.banned")}
        assert "Banned for" in run(tmp_path, "flask rampart limits --address ::ffff:127.0.0.1")
        transcript(
            tmp_path,
            """
            $ flask rampart unban 127.0.0.1
            127.0.0.1 is banned no more.

            $ flask rampart unban 127.0.0.1
            127.0.0.1 was not banned in FOLDER/counters/TABLE
            """,
        )
        assert served.get("/data")[0] == 200


def test_of_a_server_that_is_away_it_says_what_is_not_known_and_fails(tmp_path: Path, own: Redis) -> None:
    # Time for a busy machine: what Redis is too late for is counted on this host.
    settings = {"RAMPART_LIMIT_STORE": own.url, "RAMPART_LIMIT_STORE_TIMEOUT": 10}
    with serving(tmp_path, VIEWS, "-w", "2", settings=settings) as served:
        assert knock(served, 2) == [401, 401]
        url = own.url
        transcript(
            tmp_path,
            f"""
            $ flask rampart limits --address 127.0.0.1
            ROUTE METHODS LIMIT BY LEFT
            (all) 1000/year fixed address 997 of 1000
            /data GET 2 concurrent address 2 of 2
            /login POST 5/year fixed address 3 of 5
            3 limits; counted in {url}

            $ flask rampart ban 127.0.0.1 --for "1 hour"
            127.0.0.1 is refused for 3600 s, from the next request on; kept in {url}
            """,
        )
        assert redis.Redis.from_url(url).zcard("{rampart:limits}:bans") == 1
        assert served.get("/ready")[0] == 429
        own.stop()
        for words, says in [
            ("ban 192.0.2.1 --for '1 hour'", "this host refuses 192.0.2.1, others have not heard of it"),
            ("unban 127.0.0.1", "this host has ended it, others have not heard of it"),
            ("reset --address 127.0.0.1", "0 limits were reset"),
        ]:
            said = run(tmp_path, f"flask rampart {words}")
            assert says in said
            assert said.endswith("[1]")
        # What this host knows is told as no more than that.
        said = run(tmp_path, "flask rampart limits --address 127.0.0.1")
        assert re.search(rf"3 limits; {re.escape(url)} .*: what this host has counted since\.", said)
        assert "counted in" not in said
