"""Limits, through the whole stack: how often, by whom, and what a client is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import Clock, ConfigError, limit, require
from flask_rampart.limits import Limits, counters

from .conftest import bearer

App = Callable[..., Flask]
Sign = Callable[..., str]


def statuses(app: Flask, count: int, path: str = "/", **kwargs: Any) -> list[int]:
    client = app.test_client()
    return [client.get(path, **kwargs).status_code for _ in range(count)]


def test_a_quota_admits_its_burst_and_then_refills(make_app: App, clock: Clock) -> None:
    app = make_app()
    app.get("/")(limit("60/minute burst 2")(lambda: "ok"))
    assert statuses(app, 3) == [200, 200, 429]
    clock.advance(0.999)
    assert statuses(app, 1) == [429]
    clock.advance(0.001)
    assert statuses(app, 2) == [200, 429]


def test_retry_after_is_when_the_next_request_passes(make_app: App, clock: Clock) -> None:
    app = make_app()
    app.get("/")(limit("2/hour")(lambda: "ok"))
    assert statuses(app, 2) == [200, 200]
    response = app.test_client().get("/")
    assert response.json["code"] == "limit.exceeded"
    assert response.json["violated-policies"] == ["2/hour"]
    wait = int(response.headers["Retry-After"])
    assert wait == 1800
    clock.advance(wait - 1)
    assert statuses(app, 1) == [429]
    clock.advance(1)
    assert statuses(app, 1) == [200]


def test_the_fields_tell_what_is_left(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("60/minute burst 20")(lambda: "ok"))
    response = app.test_client().get("/")
    assert response.headers["RateLimit-Policy"] == '"60/minute burst 20";q=20;w=20'
    assert response.headers["RateLimit"].startswith('"60/minute burst 20";r=19')


def test_several_limits_are_charged_together_or_not_at_all(make_app: App, clock: Clock) -> None:
    # `limits` burns the hour's quota on requests that the day's refuses.
    app = make_app()
    app.get("/")(limit("4/hour")(limit("2/minute burst 2")(lambda: "ok")))
    assert statuses(app, 10) == [200, 200] + [429] * 8
    clock.advance(60)
    assert statuses(app, 3) == [200, 200, 429]


def test_views_and_guards_count_by_themselves_unless_they_share_a_scope(make_app: App) -> None:
    app = make_app()
    one = limit("1/hour")
    app.add_url_rule("/a", "a", one(lambda: "a"))
    app.add_url_rule("/b", "b", one(lambda: "b"))
    app.add_url_rule("/c", "c", limit("1/hour", scope="s")(lambda: "c"))
    app.add_url_rule("/d", "d", limit("1/hour", scope="s")(lambda: "d"))
    assert [statuses(app, 1, path)[0] for path in ["/a", "/b", "/c", "/d", "/a"]] == [200, 200, 200, 429, 429]


def test_the_application_wide_limit_counts_404_and_405(make_app: App) -> None:
    # Flask-Limiter sees neither.
    app = make_app(RAMPART_LIMITS="3/hour")
    app.get("/")(lambda: "ok")
    client = app.test_client()
    assert client.get("/absent").status_code == 404
    assert client.post("/").status_code == 405
    assert client.get("/").status_code == 200
    response = client.get("/absent")
    assert response.status_code == 429
    assert response.json["code"] == "limit.exceeded"
    assert int(response.headers["Retry-After"]) == 1200
    assert client.get("/", environ_base={"REMOTE_ADDR": "192.0.2.9"}).status_code == 200


def test_an_endpoint_called_static_is_limited_like_any_other(make_app: App) -> None:
    # Flask-Limiter exempts it.
    app = make_app()
    del app.view_functions["static"]
    app.add_url_rule("/x", "static", limit("1/hour")(lambda **_: "ok"))
    assert statuses(app, 2, "/x") == [200, 429]


ONE_CLIENT = [
    ["198.51.100.7", "::ffff:198.51.100.7", "::ffff:c633:6407", "64:ff9b::198.51.100.7"],
    ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:0db8:0001:0002::3", "2001:db8:1:2::1%eth0"],
    ["", "", "not an address"],
]


@pytest.mark.parametrize("addresses", ONE_CLIENT)
def test_one_client_has_one_quota_however_its_address_is_written(make_app: App, addresses: list[str]) -> None:
    app = make_app()
    app.get("/")(limit("1/hour")(lambda: "ok"))
    got = [statuses(app, 1, environ_base={"REMOTE_ADDR": address})[0] for address in addresses]
    assert got == [200] + [429] * (len(addresses) - 1)


def test_two_clients_have_two(make_app: App) -> None:
    # CVE-2026-30827: /56 applied to mapped addresses put all of IPv4 into one bucket.
    app = make_app()
    app.get("/")(limit("1/hour")(lambda: "ok"))
    for address in ("::ffff:198.51.100.7", "::ffff:198.51.100.8", "2001:db8:1:2::1", "2001:db8:1:3::1"):
        assert statuses(app, 1, environ_base={"REMOTE_ADDR": address}) == [200], address


def test_the_prefix_of_ipv6_can_be_set(make_app: App) -> None:
    app = make_app(RAMPART_IPV6_PREFIX=56)
    app.get("/")(limit("1/hour")(lambda: "ok"))
    got = [statuses(app, 1, environ_base={"REMOTE_ADDR": f"2001:db8:1:2{i}::1"})[0] for i in range(2)]
    assert got == [200, 429]


def test_a_limit_by_principal_follows_the_person_not_the_address(make_app: App, token: Sign) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", by="principal")(require()(lambda: "ok")))
    ada, bob = bearer(token()), bearer(token(sub="bob"))
    assert statuses(app, 2, headers=ada) == [200, 429]
    assert statuses(app, 1, headers=bob) == [200]
    assert statuses(app, 1, headers=ada, environ_base={"REMOTE_ADDR": "192.0.2.9"}) == [429]


def test_a_limit_by_principal_without_one_falls_back_to_the_address(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", by="principal")(lambda: "ok"))
    assert statuses(app, 2) == [200, 429]


def test_limits_by_address_stop_forged_tokens_before_they_are_looked_at(make_app: App) -> None:
    app = make_app()
    app.get("/")(require()(limit("2/hour")(lambda: "ok")))
    assert statuses(app, 3, headers=bearer("forged")) == [401, 401, 429]


def test_a_refused_credential_is_not_charged_to_the_person(make_app: App, token: Sign) -> None:
    app = make_app()
    app.get("/")(require()(limit("1/hour", by="principal")(lambda: "ok")))
    assert statuses(app, 2, headers=bearer("forged")) == [401, 401]
    assert statuses(app, 1, headers=bearer(token())) == [200]


@pytest.mark.parametrize("empty", [None, "", "   "])
def test_an_empty_key_is_never_no_limit(make_app: App, empty: str | None) -> None:
    # Flask-Limiter skips the limit.
    app = make_app()
    app.get("/")(limit("1/hour", by=lambda: empty)(lambda: "ok"))
    assert statuses(app, 2) == [200, 429]
    assert statuses(app, 1, environ_base={"REMOTE_ADDR": "192.0.2.9"}) == [200]


def test_a_key_of_the_peers_making_cannot_pose_as_another(make_app: App) -> None:
    # `limits` joins by a slash: ('a/b', 'c') is ('a', 'b/c').
    app = make_app()
    app.get("/")(limit("1/hour", by=lambda: request.args.get("user"))(lambda: "ok"))
    assert statuses(app, 1) == [200]
    assert statuses(app, 1, "/?user=address:127.0.0.1") == [200]
    assert statuses(app, 1, "/?user=a/b") == [200]


def test_a_key_function_that_fails_refuses(make_app: App) -> None:
    app = make_app()
    app.get("/raises")(limit("1/hour", by=lambda: str(1 // 0))(lambda: "ok"))
    app.get("/wrong")(limit("1/hour", by=lambda: 7)(lambda: "ok"))  # type: ignore[arg-type, return-value]
    assert statuses(app, 1, "/raises") == [500]
    assert statuses(app, 1, "/wrong") == [500]


def test_global_limits_count_everybody(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", by="global")(lambda: "ok"))
    assert statuses(app, 1) == [200]
    assert statuses(app, 1, environ_base={"REMOTE_ADDR": "192.0.2.9"}) == [429]


@pytest.mark.parametrize("quota", ["", "5", "0/minute", "5/fortnight", "-1/minute", "5/minute burst 0", "5/minute x"])
def test_a_quota_that_cannot_be_read_stops_the_import(quota: str) -> None:
    with pytest.raises(ConfigError, match="quota"):
        limit(quota)


def test_other_arguments_are_checked_at_import() -> None:
    with pytest.raises(ConfigError, match="Did you mean address"):
        limit("5/minute", by="adress")
    with pytest.raises(ConfigError, match="parentheses"):
        limit(60)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="parentheses"):
        Flask("app").get("/")(limit(lambda: "view"))
    with pytest.raises(ConfigError, match="empty"):
        limit("5/minute", scope="")


def test_fifty_threads_share_one_quota(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("20/hour")(lambda: "ok"))
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: statuses(app, 1)[0], range(200)))
    assert got.count(200) == 20


def test_the_fallback_to_the_address_is_as_strict_as_a_limit_by_address(make_app: App) -> None:
    app = make_app()
    app.get("/principal")(limit("1/hour", by="principal")(lambda: "ok"))
    app.get("/function")(limit("1/hour", by=lambda: None)(lambda: "ok"))
    addresses = ["2001:db8:1:2::1", "2001:db8:1:2::2", "[2001:db8:1:2::3]:443"]
    for path in ("/principal", "/function"):
        got = [statuses(app, 1, path, environ_base={"REMOTE_ADDR": address})[0] for address in addresses]
        assert got == [200, 429, 429], path


def test_no_issuer_and_subject_together_read_as_another_pair(make_app: App, token: Sign) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", by="principal")(require()(lambda: "ok")))
    assert statuses(app, 1, headers=bearer(token(iss="a", sub="b\0c"))) == [200]
    assert statuses(app, 1, headers=bearer(token(iss="a\0b", sub="c"))) == [200]


def test_a_guard_on_several_methods_is_named_alike_in_every_worker(tmp_path: Path) -> None:
    # The methods of a rule are a set, whose order changes with the seed of each process.
    (tmp_path / "served.py").write_text(
        textwrap.dedent("""
            from flask import Flask
            from flask.views import MethodView
            from flask_rampart import Rampart, limit

            app = Flask("served")
            app.config.update(RAMPART_LIMIT_STORE="shm://table", RAMPART_ACCESS_LOG="off")
            Rampart(app)
            login = limit("3/year")

            class View(MethodView):
                @login
                def get(self): return "ok"
                @login
                def post(self): return "ok"

            app.add_url_rule("/", view_func=View.as_view("view"))
            print(*(app.test_client().get("/").status_code for _ in range(2)))
        """).replace("shm://table", f"shm://{tmp_path}/table")
    )
    said = []
    for seed in range(4):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "served.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        said += done.stdout.split()
    assert said == ["200"] * 3 + ["429"] * 5


def test_a_guard_declared_anew_in_each_request_still_limits(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    def view() -> str:
        @limit("2/hour")
        def inner() -> str:
            return "ok"

        return inner()

    assert statuses(app, 5) == [200, 200, 429, 429, 429]


def test_another_plan_begins_afresh_and_the_old_one_is_found_as_it_was(make_app: App) -> None:
    app = make_app()
    plans = ["1/hour"]
    app.get("/")(limit(lambda: plans[0])(lambda: "ok"))
    assert statuses(app, 2) == [200, 429]
    plans[0] = "2/hour"
    assert statuses(app, 3) == [200, 200, 429]
    plans[0] = "1/hour"
    assert statuses(app, 1) == [429]


@pytest.mark.parametrize("what", ["store", "remote", "bans", "names"])
def test_first_requests_at_once_have_one_place_to_count_in(
    make_app: App, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    # Each of two would count by itself, or ban by itself, and the one that was made first be forgotten.
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE="redis://127.0.0.1:1/0", TESTING=True)
    limits = app.extensions["rampart"].services[Limits]
    places: dict[str, Callable[[], Any]] = {
        "store": lambda: limits.store,
        "remote": lambda: limits.remote,
        "bans": lambda: limits.bans.book,
        "names": limits._names,
    }

    def slowly(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **more: Any) -> Any:
            time.sleep(0.05)
            return make(*args, **more)

        return made

    for name in ("LimitStore", "BanBook", "Remote"):
        kind = getattr(counters, name)
        double = slowly(kind)
        for factory in ("local", "shared"):
            if hasattr(kind, factory):
                setattr(double, factory, slowly(getattr(kind, factory)))
        monkeypatch.setattr(counters, name, double)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: places[what](), range(4)))
    assert len({id(each) for each in found}) == 1


def test_one_quota_in_two_spellings_is_a_mistake(make_app: App) -> None:
    # Each request would be charged twice to one counter.
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(limit("60/minute; 60 per 60 seconds")(lambda: "ok"))
    with pytest.raises((ConfigError, ValueError), match="twice"):
        app.test_client().get("/")


WORKER_APP = """
    from flask import Flask
    from flask_rampart import Rampart, limit
    import os
    import time

    app = Flask("workers")
    app.config.update(RAMPART_LIMIT_STORE="shm://{table}", RAMPART_ACCESS_LOG="{log}", RAMPART_LIMITS="100000/hour")
    Rampart(app)

    @app.get("/")
    @limit("100/year")
    def view():
        return str(os.getpid())

    @app.get("/health")
    def health():
        time.sleep(0.05)  # long enough that another worker takes the next one
        return str(os.getpid())
"""


@pytest.fixture
def workers(tmp_path: Path) -> Any:
    """A real gunicorn with four workers; yields its port and its folder."""
    (tmp_path / "served.py").write_text(
        textwrap.dedent(WORKER_APP.format(table=tmp_path / "table", log=tmp_path / "access.log"))
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-w",
        "4",
        "-b",
        f"127.0.0.1:{port}",
        "--log-level",
        "warning",
        "served:app",
    ]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            try:
                if get(port, "/health")[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        else:
            raise AssertionError(f"gunicorn did not start: {server.stderr.read() if server.poll() else ''}")
        yield port, tmp_path
    finally:
        server.terminate()
        server.wait(20)
        if server.stderr:
            server.stderr.close()


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_four_workers_share_one_quota_also_when_one_is_killed(workers: tuple[int, Path]) -> None:
    # Flask-Limiter's memory storage admits the quota once for each worker.
    port, folder = workers
    with ThreadPoolExecutor(16) as pool:
        pids = {int(body) for _, body in pool.map(lambda _: get(port, "/health"), range(32))}
        first = list(pool.map(lambda _: get(port, "/"), range(60)))
    assert len(pids) > 1
    os.kill(next(iter(pids)), 9)
    time.sleep(0.2)  # a connection may be lost with the worker; the quota may not

    def tolerant(_: int) -> int:
        try:
            return get(port, "/")[0]
        except OSError:
            return 0

    with ThreadPoolExecutor(16) as pool:
        second = list(pool.map(tolerant, range(240)))
    assert [status for status, _ in first].count(200) == 60
    assert second.count(200) == 40
    assert second.count(429) >= 190
    # The line follows the answer's last byte, so the last one may be a moment late.
    for _ in range(100):
        lines = (folder / "access.log").read_text().splitlines()
        if (noted := sum('"limit.exceeded"' in line for line in lines)) == second.count(429):
            break
        time.sleep(0.02)
    assert noted == second.count(429)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7/7 minutes fixed", "7 minutes do not divide an hour, so"),
        ("7/7 hours fixed", "7 hours do not divide a day, so"),
        ("5/fortnight", '"fortnight" is not a unit'),
    ],
)
def test_a_quota_that_cannot_be_read_is_said_so_once(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        limit(text)
    assert str(told.value).startswith(f'The quota "{text}" cannot be read: {says}')


def test_a_quota_that_is_no_text_to_be_read_is_not_quoted_whole() -> None:
    with pytest.raises(ConfigError) as told:
        limit("x" * 2000)
    assert len(str(told.value)) < 200
