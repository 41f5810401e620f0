"""The penalty box: who was refused too often is refused at once, by all workers, for a while that grows."""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import Clock, ConfigError, Rampart, limit, require, signals
from flask_rampart._native import BanBook, LimitStore
from flask_rampart.limits import Limits
from flask_rampart.limits.penalties import Penalty, duration

from .conftest import bearer

App = Callable[..., Flask]
MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.fixture(name="login")
def app_with_a_login(make_app: App) -> App:
    """``/login`` fails with any password but one, five times an hour; ``/`` is open."""

    def make(ban: str = "15 minutes after 3", **config: Any) -> Flask:
        app = make_app(**config)

        @app.post("/login")
        @limit("5/hour", count="failures", ban=ban)
        def login() -> tuple[str, int]:
            return ("ok", 200) if request.form.get("password") == "right" else ("no", 401)

        app.get("/")(lambda: "ok")
        return app

    return make


def knock(app: Flask, count: int, address: str = "192.0.2.1", path: str = "/login", **more: Any) -> list[Any]:
    client = app.test_client()
    return [client.post(path, environ_base={"REMOTE_ADDR": address}, **more) for _ in range(count)]


def look(app: Flask, address: str = "192.0.2.1", **more: Any) -> Any:
    return app.test_client().get("/", environ_base={"REMOTE_ADDR": address}, **more)


def test_three_refusals_ban_an_address_from_everything(login: App) -> None:
    app = login()
    answers = knock(app, 8)
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
    assert [answer.json["code"] for answer in answers[5:]] == ["limit.exceeded"] * 3
    banned = look(app)
    assert (banned.status_code, banned.json["code"], banned.headers["Retry-After"]) == (429, "limit.banned", "900")
    assert banned.json["type"].endswith("#abnormal-usage-detected")
    assert look(app, "192.0.2.2").status_code == 200


def test_people_behind_one_address_who_sign_in_at_once_are_not_banned(make_app: App) -> None:
    # What is under way holds its cost; being refused for that alone is no strike.
    app = make_app()
    all_came = threading.Event()

    @app.post("/login")
    @limit("5/minute", count="failures", ban="15 minutes after 3")
    def login() -> tuple[str, int]:
        all_came.wait(20)
        return ("ok", 200) if request.form["password"] == "right" else ("no", 401)

    def knock_at_once(password: str) -> list[int]:
        all_came.clear()
        with ThreadPoolExecutor(50) as pool:
            post = functools.partial(app.test_client().post, "/login", data={"password": password})
            running = [pool.submit(lambda: post().status_code) for _ in range(50)]
            answered = as_completed(running)
            refused = [next(answered).result() for _ in range(45)]
            all_came.set()
            return sorted(refused + [one.result() for one in answered])

    assert knock_at_once("right") == [200] * 5 + [429] * 45
    assert knock_at_once("right") == [200] * 5 + [429] * 45
    assert knock_at_once("wrong") == [401] * 5 + [429] * 45
    codes = [answer.json["code"] for answer in knock(app, 5, "127.0.0.1", data={"password": "right"})]
    assert codes == ["limit.exceeded"] * 3 + ["limit.banned"] * 2


def test_what_a_function_finds_to_count_strikes_and_what_it_does_not_find_does_not(make_app: App) -> None:
    app = make_app()
    counts = [False]
    app.post("/login")(limit("2/hour", count=lambda _: counts[0], ban="15 minutes after 2")(lambda: "ok"))
    with app.test_request_context("/login", method="POST", environ_base={"REMOTE_ADDR": "192.0.2.1"}):
        app.preprocess_request()
        with app.test_request_context("/login", method="POST", environ_base={"REMOTE_ADDR": "192.0.2.1"}):
            app.preprocess_request()
            assert [answer.json["code"] for answer in knock(app, 4)] == ["limit.exceeded"] * 4
    counts[0] = True
    app.test_client().post("/login", environ_base={"REMOTE_ADDR": "192.0.2.3"})
    knock(app, 1, "192.0.2.3")
    assert [answer.json["code"] for answer in knock(app, 4, "192.0.2.3")] == [
        "limit.exceeded",
        "limit.exceeded",
        "limit.banned",
        "limit.banned",
    ]


# Of the whole application.


def test_a_scanner_is_banned_before_flask(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_LIMITS="5/minute", RAMPART_LIMITS_BAN="15 minutes after 3")
    app.get("/")(lambda: "ok")
    seen: list[str] = []
    app.before_request(lambda: seen.append(request.path))
    codes = [
        (answer.json or {}).get("code", answer.status_code)
        for answer in (
            app.test_client().get(path, environ_base={"REMOTE_ADDR": "192.0.2.1"})
            for path in ("/.env", "/.git/config", "/wp-login.php", "/admin", "/x", "/y", "/z", "/.env", "/", "/")
        )
    ]
    assert codes == [404] * 5 + ["limit.exceeded"] * 3 + ["limit.banned"] * 2
    assert len(seen) == 5
    assert look(app, "192.0.2.2").status_code == 200
    clock.advance(900)
    assert look(app).status_code == 200


def test_who_exceeds_the_applications_limits_is_told_to_who_listens(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="1/minute")
    app.get("/")(lambda: "ok")
    told: list[tuple[Any, Any, Any]] = []

    def listen(sender: Flask, **facts: Any) -> None:
        told.append((facts["quota"], facts["scope"], facts["enforced"]))

    with signals.limit_exceeded.connected_to(listen, sender=app):
        assert [look(app).status_code for _ in range(3)] == [200, 429, 429]
    assert told == [("1/minute", "application", True)] * 2


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"RAMPART_LIMITS_BAN": "15 minutes after 3"}, "RAMPART_LIMITS, which is not set"),
        ({"RAMPART_LIMITS": "1/minute", "RAMPART_LIMITS_BAN": "1 hour after 3 by key"}, "by address or by network"),
        ({"RAMPART_LIMITS": "1/minute", "RAMPART_LIMITS_BAN": "1 hour"}, "after"),
    ],
)
def test_a_ban_of_scanners_that_cannot_be_meant_stops_the_start(
    make_app: App, config: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        make_app(**config)


def test_retry_after_is_when_it_is_over_and_knocking_does_not_prolong_it(login: App, clock: Clock) -> None:
    app = login()
    knock(app, 8)
    clock.advance(600)
    knock(app, 50)
    left = int(look(app).headers["Retry-After"])
    assert left == 300
    clock.advance(left - 1)
    assert look(app).status_code == 429
    clock.advance(1)
    assert look(app).status_code == 200


def test_strikes_that_are_far_apart_ban_nobody(login: App, clock: Clock) -> None:
    app = login("1 hour after 3 in 10 minutes")
    knock(app, 7)
    clock.advance(600 + 10)  # strikes are kept in steps of 4.3 s
    knock(app, 2)
    assert look(app).status_code == 200


def test_a_ban_grows_while_the_last_one_is_remembered(login: App, clock: Clock) -> None:
    app = login("15 minutes after 1 growing to 1 hour")
    lengths = []
    for _ in range(4):
        knock(app, 6)
        lengths.append(int(look(app).headers["Retry-After"]))
        clock.advance(lengths[-1])
    assert lengths == [900, 1800, 3600, 3600]
    clock.advance(2 * DAY)
    knock(app, 6)
    assert int(look(app).headers["Retry-After"]) == 900


@pytest.mark.parametrize(
    ("banned", "same", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),  # a customer has a /64
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("::ffff:c000:201", "192.0.2.1", "192.0.2.3"),
    ],
)
def test_an_address_is_one_however_it_is_written(login: App, banned: str, same: str, other: str) -> None:
    app = login()
    knock(app, 8, banned)
    assert look(app, same).status_code == 429
    assert look(app, other).status_code == 200


@pytest.mark.parametrize(
    ("banned", "same", "other"),
    [("192.0.2.1", "192.0.2.200", "192.0.3.1"), ("2001:db8:1::1", "2001:db8:1:ffff::1", "2001:db8:2::1")],
)
def test_a_network_is_banned_and_not_its_neighbour(login: App, banned: str, same: str, other: str) -> None:
    app = login("15 minutes after 3 by network")
    knock(app, 8, banned)
    assert look(app, same).json["code"] == "limit.banned"
    assert look(app, other).status_code == 200


def test_a_key_is_banned_where_it_struck_wherever_it_comes_from(make_app: App, token: Callable[..., str]) -> None:
    app = make_app()
    app.post("/a")(require()(limit("1/hour", by="principal", ban="1 hour after 2 by key")(lambda: "ok")))
    app.get("/")(lambda: "ok")
    ada, eve = bearer(token(sub="ada")), bearer(token(sub="eve"))
    answers = knock(app, 4, path="/a", headers=ada)
    assert [answer.get_json(silent=True) and answer.json["code"] for answer in answers] == [
        None,
        "limit.exceeded",
        "limit.exceeded",
        "limit.banned",
    ]
    assert knock(app, 1, "198.51.100.7", "/a", headers=ada)[0].json["code"] == "limit.banned"
    assert knock(app, 1, path="/a", headers=eve)[0].status_code == 200
    assert look(app).status_code == 200


@pytest.mark.parametrize("by", ["address", ("address",)])
def test_a_key_that_is_an_address_is_banned_in_all_its_spellings(make_app: App, clock: Clock, by: Any) -> None:
    app = make_app()
    app.post("/login")(limit("2/second", by=by, ban="1 hour after 3 by key")(lambda: "ok"))
    knock(app, 6, "2001:db8::1")
    clock.advance(5)
    assert knock(app, 1, "2001:db8::2")[0].json["code"] == "limit.banned"
    assert knock(app, 1, "2001:db8:0:1::2")[0].status_code == 200


@pytest.mark.parametrize("quota", ["60/minute burst 1", lambda: "60/minute burst 1"])
def test_the_refusal_that_bans_says_how_long(make_app: App, quota: Any) -> None:
    app = make_app()
    app.post("/login")(limit(quota, ban="1 hour after 2")(lambda: "ok"))
    assert [answer.headers.get("Retry-After") for answer in knock(app, 4)] == [None, "1", "3600", "3600"]


def test_the_refusal_that_bans_a_scanner_says_how_long(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="60/minute burst 1", RAMPART_LIMITS_BAN="1 hour after 2")
    assert [answer.headers.get("Retry-After") for answer in knock(app, 4)] == [None, "1", "3600", "3600"]


@pytest.mark.parametrize(
    "addresses", [[f"2001:db8::{n}" for n in range(1, 6)], ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1:9"] * 2]
)
def test_a_key_that_is_an_address_is_banned_however_it_is_written(make_app: App, addresses: list[str]) -> None:
    app = make_app()
    app.post("/a")(limit("1/hour", ban="1 hour after 2 by key")(lambda: "ok"))
    codes = [knock(app, 1, address, "/a")[0].get_json(silent=True) for address in addresses]
    assert [code and code["code"] for code in codes][:4] == [None, *["limit.exceeded"] * 2, "limit.banned"]


def test_strangers_without_an_address_are_not_banned_together_by_key_either(make_app: App) -> None:
    app = make_app()
    app.post("/a")(limit("1/hour", ban="1 hour after 2 by key")(lambda: "ok"))
    answers = [knock(app, 1, address, "/a")[0] for address in ("", "unix:", "unknown", "", "")]
    assert {answer.json["code"] for answer in answers[1:]} == {"limit.exceeded"}


def test_a_header_that_anybody_can_write_bans_nobody_else(login: App) -> None:
    # fastapi-guard (CVE-2025-46814): a forged X-Forwarded-For banned, or freed, whom it named.
    app = login()
    knock(app, 8, headers={"X-Forwarded-For": "203.0.113.9"})
    assert look(app, "203.0.113.9").status_code == 200
    assert look(app, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 429


@pytest.mark.parametrize("address", ["", "unix:", "not an address"])
def test_whoever_has_no_address_is_not_banned_with_all_others_like_it(login: App, address: str) -> None:
    app = login()
    assert [answer.status_code for answer in knock(app, 12, address)][5:] == [429] * 7
    assert look(app, address).status_code == 200


def test_a_proxy_of_ours_and_an_exempt_network_are_never_banned(login: App, caplog: pytest.LogCaptureFixture) -> None:
    app = login(RAMPART_TRUSTED_PROXIES=["10.0.0.0/8"], RAMPART_BAN_EXEMPT=["198.51.100.0/24"])
    knock(app, 9, "10.1.2.3")
    knock(app, 9, "198.51.100.9")
    assert look(app, "10.1.2.3").status_code == 200
    assert look(app, "198.51.100.9").status_code == 200
    assert "let it say whose requests they are" in caplog.text


def test_a_flood_of_strikers_bans_no_stranger_and_lifts_no_ban(clock: Clock) -> None:
    book = BanBook(LimitStore.local(clock, keys=1000))

    def token(text: str) -> str:
        found = book.token("address", text)
        assert found is not None
        return found

    assert book.ban(token("192.0.2.1"), 900.0)
    for number in range(20_000):
        address = f"2001:db8:{number >> 8:x}:{number & 255:x}::1"
        book.strike("login", token(address), 2, 60.0, 900.0, 900.0)
    assert book.banned("192.0.2.1") == 900.0
    assert not any(book.banned(f"198.51.100.{host}") for host in range(256))


def test_strikes_of_many_processes_are_counted_exactly(tmp_path: Path) -> None:
    program = """
        import sys
        from flask_rampart._native import BanBook, Clock, LimitStore
        book = BanBook(LimitStore.shared(sys.argv[1], "t", Clock.system()))
        print(sum(book.strike("login", "0" * 32, 4001, 600.0, 900.0, 900.0) is not None for _ in range(1000)))
    """
    words = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "shared")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    bans = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(bans) == 0
    book = BanBook(LimitStore.shared(str(tmp_path / "shared"), "t", Clock.system()))
    assert book.strike("login", "0" * 32, 4001, 600.0, 900.0, 900.0) == (900.0, 1)


def test_all_workers_see_a_ban_and_its_end_at_once(tmp_path: Path, clock: Clock) -> None:
    one, other = (BanBook(LimitStore.shared(str(tmp_path / "shared"), "t", clock)) for _ in range(2))
    token = one.token("address", "192.0.2.1")
    assert token == other.token("address", "192.0.2.1")
    assert token is not None
    assert one.ban(token, 60.0)
    assert other.banned("192.0.2.1") == 60.0
    assert other.lift(token)
    assert one.banned("192.0.2.1") == 0.0
    assert not one.lift(token)


def test_a_ban_is_told_to_the_log_and_to_who_listens_and_names_nobody(
    login: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = login()
    told: list[dict[str, Any]] = []

    def listen(sender: Flask, **facts: Any) -> None:
        told.append(facts)

    with signals.banned.connected_to(listen, sender=app), caplog.at_level(logging.WARNING):
        knock(app, 12)
    assert [(facts["by"], facts["seconds"], facts["level"]) for facts in told] == [("address", 900.0, 1)]
    assert caplog.text.count("Banned by address for 900 s") == 1
    assert "192.0.2.1" not in caplog.text


@pytest.mark.parametrize(
    ("text", "penalty"),
    [
        ("15 minutes after 3", Penalty(900, 3, 900, 900, "address")),
        ("1 Hour AFTER 10 in 10 minutes growing to 7 days by network", Penalty(HOUR, 10, 600, 7 * DAY, "network")),
        ("1 week after 1 growing by key", Penalty(7 * DAY, 1, 7 * DAY, 30 * DAY, "key")),
    ],
)
def test_a_penalty_says_what_it_means(text: str, penalty: Penalty) -> None:
    assert Penalty.read(text) == penalty


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "number"),
        ("15 minuts after 3", "Did you mean minute"),
        ("15 minutes", "'after' is missing"),
        ("0 minutes after 3", "at least 1"),
        ("15 minutes after 0", "at least 1"),
        ("15 minutes after 3 groving", "Did you mean growing"),
        ("15 minutes after 3 growing to 1 minute", "less than it begins"),
        ("15 minutes after 3 by adress", "Did you mean address"),
        (
            "99 weeks after 3 by key by key",
            "'by' is left over where it stands: the order is after, in, growing, to, by",
        ),
        ("1 hour after 3 by key growing", "'growing' is left over where it stands: the order is after, in"),
        ("9999 weeks after 3", "ten years"),
    ],
)
def test_a_penalty_that_cannot_be_meant_stops_the_import(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        limit("5/minute", ban=text)


def test_what_refuses_nobody_bans_nobody() -> None:
    with pytest.raises(ConfigError, match="report"):
        limit("5/minute", mode="report", ban="15 minutes after 3")
    with pytest.raises(ConfigError, match="text such as"):
        limit("5/minute", ban=900)  # type: ignore[arg-type]
    assert duration("2 hours") == 2 * HOUR


@pytest.mark.parametrize("protect", [False, True])
def test_a_worker_that_has_just_begun_refuses_who_is_banned(clock: Clock, tmp_path: Path, protect: bool) -> None:
    def worker() -> Flask:
        app = Flask("worker")
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/shared")
        rampart = Rampart(app, clock=clock)
        app.get("/")(limit("100/hour")(lambda: "ok") if not protect else lambda: "ok")
        if protect:
            rampart.protect(app, limit("100/hour"))
        return app

    first = worker()
    assert look(first).status_code == 200
    assert first.extensions["rampart"].services[Limits].bans.ban("address", "192.0.2.1", 600)
    second = worker()
    assert look(second).status_code == 429
    assert look(second, "192.0.2.2").status_code == 200


def test_an_app_without_limits_opens_no_table_of_them(clock: Clock, tmp_path: Path) -> None:
    app = Flask("worker")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/shared")
    Rampart(app, clock=clock)
    app.get("/")(lambda: "ok")
    assert look(app).status_code == 200
    # The monitor's own is there, which counts in any app.
    assert [path.name.partition("-")[0] for path in (tmp_path / "shared").iterdir()] == ["monitor5"]


def test_a_key_that_is_no_unicode_is_banned_like_any_other(make_app: App) -> None:
    # Such a text is half of a character, as some servers and file names make them.
    app = make_app()
    app.post("/")(limit("1/hour", by=lambda: "\ud800", ban="1 hour after 1")(lambda: "ok"))
    app.post("/other")(limit("1/hour", by=lambda: "\ud801", ban="1 hour after 1")(lambda: "ok"))
    client = app.test_client()
    assert [client.post("/").status_code for _ in range(3)] == [200, 429, 429]
    assert client.post("/").json["code"] == "limit.banned"
    assert client.post("/other").status_code == 200
