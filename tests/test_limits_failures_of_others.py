"""What today's limiters do wrong, each failure as a test: by the number of its issue, or where it was seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Blueprint, Flask, g, request

from flask_rampart import Clock, ConfigError, Rampart, current_principal, limit, require
from flask_rampart._native import LimitSet, LimitStore, Quota
from flask_rampart.limits import Limits

from .conftest import bearer
from .flooding import flood

App = Callable[..., Flask]
Sign = Callable[..., str]


def statuses(app: Flask, count: int, path: str = "/", method: str = "GET", **more: Any) -> list[int]:
    client = app.test_client()
    return [client.open(path, method=method, buffered=True, **more).status_code for _ in range(count)]


# What is not there, and what is static


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/absent", 404),
        ("POST", "/absent", 404),
        ("DELETE", "/", 405),
        ("GET", "//absent/../%2e%2e/etc", 400),
        ("GET", "/redirects", 308),
        ("OPTIONS", "/absent", 404),
        ("HEAD", "/absent", 404),
        ("GET", "/static/absent.js", 404),
    ],
)
def test_whatever_a_scanner_asks_for_is_counted(make_app: App, method: str, path: str, expected: int) -> None:
    # flask-limiter#109, #201, #291, #431: application limits see no request that matches no route.
    app = make_app(RAMPART_LIMITS="2/hour")
    app.get("/")(lambda: "ok")
    app.get("/redirects/")(lambda: "ok")
    assert statuses(app, 4, path, method) == [expected, expected, 429, 429]


def test_static_files_are_limited_where_limits_are_put_on_all(make_app: App, tmp_path: Any) -> None:
    # Flask-Limiter exempts whatever endpoint is called static, also a blueprint's.
    (tmp_path / "file.txt").write_text("text")
    app = make_app(rampart=False)
    app.config["RAMPART_LIMIT_STORE"] = "memory://"
    app.config["RAMPART_ACCESS_LOG"] = "off"
    app.static_folder = str(tmp_path)
    rampart = Rampart(app)
    blueprint = Blueprint("shop", __name__, static_folder=str(tmp_path), static_url_path="/files", url_prefix="/shop")
    rampart.protect(blueprint, limit("2/hour", scope="shop"))
    app.register_blueprint(blueprint)
    rampart.protect(app, limit("3/hour", scope="all"))
    assert statuses(app, 4, "/shop/files/file.txt") == [200, 200, 429, 429]
    # All or nothing: what the blueprint's refused has cost the app's nothing.
    assert statuses(app, 3, "/static/file.txt") == [200, 429, 429]


# Keys


@pytest.mark.parametrize("empty", [None, "", " ", "\t\r\n", "\u00a0", "\u3000"])
@pytest.mark.parametrize("kind", ["function", "json", "form", "claim", "tuple"])
def test_a_key_that_names_nobody_counts_by_address(make_app: App, empty: str | None, kind: str) -> None:
    # Flask-Limiter: an empty key, and there is no limit.
    app = make_app()
    by: Any = {
        "function": lambda: empty,
        "json": "json:email",
        "form": "form:email",
        "claim": "claim:tenant",
        "tuple": (lambda: empty, "json:email"),
    }[kind]
    app.post("/")(limit("2/hour", by=by)(lambda: "ok"))
    carried = {"data": {"email": empty or ""}} if kind == "form" else {"json": {"email": empty}}
    assert statuses(app, 4, method="POST", **carried) == [200, 200, 429, 429]
    assert statuses(app, 1, method="POST", environ_base={"REMOTE_ADDR": "192.0.2.9"}, **carried) == [200]


@pytest.mark.parametrize("value", [None, "", " ", [], ["blue"], {"a": 1}, True])
def test_a_claim_that_names_nobody_counts_by_address_and_not_all_together(
    make_app: App, token: Sign, value: Any
) -> None:
    app = make_app()
    app.get("/")(require()(limit("2/hour", by="claim:tenant")(lambda: "ok")))
    who = bearer(token(iss="https://issuer.example", tenant=value))
    assert statuses(app, 3, headers=who) == [200, 200, 429]
    assert statuses(app, 1, headers=who, environ_base={"REMOTE_ADDR": "192.0.2.9"}) == [200]


@pytest.mark.parametrize("value", [[], {}, ["a"], True, 1.5, {"a": 1}])
def test_a_field_of_another_type_is_no_way_round(make_app: App, value: Any) -> None:
    app = make_app()
    app.post("/")(limit("2/hour", by="json:email")(lambda: "ok"))
    assert statuses(app, 4, method="POST", json={"email": value}) == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a/b", "c"), ("a", "b/c")),
        (("a:b", "c"), ("a", "b:c")),
        (("a", ""), ("", "a")),
        (("1:a", "b"), ("", "1:ab")),
        (("a\0b", "c"), ("a", "b\0c")),
        (("a", "b1:c"), ("a1:b", "c")),
    ],
)
def test_no_two_parts_of_a_key_together_read_as_two_others(
    make_app: App, one: tuple[str, str], other: tuple[str, str]
) -> None:
    # Flask-Limiter joins by slashes: LIMITER/a/b/c/5/1/minute is both ('a/b', 'c') and ('a', 'b/c').
    app = make_app()
    by = (lambda: request.args["a"], lambda: request.args["b"])
    app.get("/")(limit("1/hour", by=by)(lambda: "ok"))
    for a, b in (one, other):
        assert statuses(app, 2, query_string={"a": a, "b": b}) == [200, 429], (a, b)


def test_scope_and_key_do_not_run_into_each_other(make_app: App) -> None:
    app = make_app()
    app.get("/a")(limit("1/hour", by=lambda: "b:c", scope="a")(lambda: "ok"))
    app.get("/b")(limit("1/hour", by=lambda: "c", scope="a:b")(lambda: "ok"))
    assert statuses(app, 1, "/a") + statuses(app, 1, "/b") == [200, 200]


def test_writing_a_name_otherwise_makes_no_new_quota(make_app: App) -> None:
    app = make_app()
    app.post("/")(limit("1/hour", by="json:email")(lambda: "ok"))
    names = ["ada@example.com", "ADA@example.com", " ada@example.com\n", "\uff41da@example.com", "ada@EXAMPLE.COM"]
    assert [statuses(app, 1, method="POST", json={"email": name})[0] for name in names] == [200, 429, 429, 429, 429]


ROTATING = [
    [f"2001:db8:1:2::{n:x}" for n in range(1, 7)],
    ["2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:DB8:1:2::1%eth0", "[2001:db8:1:2::7]:443", "2001:0db8:0001:0002::"],
    ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201", "0:0:0:0:0:ffff:c000:0201", "64:ff9b::192.0.2.1"],
    ["192.0.2.1", "192.0.2.1:4711", "[::ffff:192.0.2.1]:4711", " 192.0.2.1 ", "::ffff:192.0.2.1%2"],
    ["", "unknown", "unix:", "_hidden", "192.0.2.1, 192.0.2.2", "192.0.2.01"],
]


@pytest.mark.parametrize("addresses", ROTATING, ids=lambda addresses: addresses[-1])
@pytest.mark.parametrize(
    "by", ["address", ("address",), ("address", "json:email"), ("json:email", "address"), "principal"]
)
def test_one_client_is_one_in_every_key_that_has_its_address(make_app: App, addresses: list[str], by: Any) -> None:
    # express-rate-limit#502, #667; actix-governor#47; AspNetCoreRateLimit#32; caddy-ext#4; Rapid-MLX#589; better-auth#7300.
    app = make_app()
    rampart = Rampart()

    @app.post("/reserved")
    def reserved() -> str:
        rampart.reserve("3/hour", cost=1, by=by)
        return "ok"

    app.post("/")(limit("3/hour", by=by)(lambda: "ok"))
    for path in ("/", "/reserved"):
        got = [
            statuses(app, 1, path, "POST", json={"email": "ada"}, environ_base={"REMOTE_ADDR": address})[0]
            for address in addresses
        ]
        assert got == [200] * 3 + [429] * (len(addresses) - 3), path
    # And another is another.
    assert statuses(app, 1, method="POST", json={"email": "ada"}, environ_base={"REMOTE_ADDR": "2001:db8:1:3::1"}) == [
        200
    ]


# When it is asked


def test_a_limit_by_user_is_asked_after_who_it_is_in_whichever_order_they_stand(make_app: App, token: Sign) -> None:
    # flask-limiter#67, #348: the key function runs before the user is known, so all count as nobody.
    app = make_app()
    app.get("/above")(limit("1/hour", by=lambda: current_principal.id)(require()(lambda: "ok")))
    app.get("/below")(require()(limit("1/hour", by=lambda: current_principal.id)(lambda: "ok")))
    for path in ("/above", "/below"):
        for name in ("ada", "bob"):
            assert statuses(app, 2, path, headers=bearer(token(sub=name))) == [200, 429], (path, name)
        # Who shows nothing is told so, and has spent nobody's quota.
        assert statuses(app, 3, path) == [401] * 3


def test_a_key_from_a_hook_of_the_app_that_has_not_run_is_never_no_limit(make_app: App) -> None:
    # flask-limiter#67: limits come first, the app's own `before_request` after them. It is loud, or counts by address.
    app = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.before_request
    def load() -> None:
        g.user = request.headers.get("X-User")

    app.get("/loud")(limit("1/hour", by=lambda: g.user)(lambda: "ok"))
    app.get("/quiet")(limit("1/hour", by=lambda: g.get("user"))(lambda: "ok"))
    assert statuses(app, 2, "/loud", headers={"X-User": "ada"}) == [500, 500]
    assert statuses(app, 2, "/quiet", headers={"X-User": "ada"}) == [200, 429]


PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


def test_a_browser_s_preflights_do_not_spend_the_user_s_quota(make_app: App) -> None:
    # Flask-Limiter counts them: whoever comes from another origin has half of the quota.
    app = make_app()
    app.post("/")(limit("2/hour")(lambda: "ok"))
    assert statuses(app, 5, method="OPTIONS", headers=PREFLIGHT) == [200] * 5
    assert statuses(app, 3, method="POST") == [200, 200, 429]
    assert statuses(app, 2, method="OPTIONS", headers=PREFLIGHT) == [200, 200]


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://app.example"}, {"Access-Control-Request-Method": "POST"}])
def test_what_is_no_preflight_is_counted(make_app: App, headers: dict[str, str]) -> None:
    app = make_app()
    app.post("/")(limit("2/hour")(lambda: "ok"))
    assert statuses(app, 3, method="OPTIONS", headers=headers) == [200, 200, 429]


def test_a_view_that_answers_preflights_itself_is_limited_and_so_is_the_application(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="5/hour")
    app.route("/own", methods=["OPTIONS", "POST"])(limit("2/hour")(lambda: "ok"))
    app.post("/asked")(limit("1/hour", methods=["OPTIONS"])(limit("1/day", methods=["POST"])(lambda: "ok")))
    assert statuses(app, 3, "/own", "OPTIONS", headers=PREFLIGHT) == [200, 200, 429]
    # One that is meant for OPTIONS counts them, and not the other that stands beside it.
    assert statuses(app, 1, "/asked", "OPTIONS", headers=PREFLIGHT) == [200]
    assert statuses(app, 1, "/asked", "OPTIONS", headers=PREFLIGHT) == [429]
    assert statuses(app, 1, "/asked", "POST") == [429], "the application's own is used up"


# Counting


def test_what_strikes_for_one_limit_does_not_strike_for_another(make_app: App) -> None:
    # rack-attack#144: two filters shared one counter.
    app = make_app()
    app.get("/a")(limit("1/hour", ban="1 hour after 3 by key")(lambda: "ok"))
    app.get("/b")(limit("1/hour", ban="1 hour after 3 by key")(lambda: "ok"))
    codes = [
        (app.test_client().get(path).get_json(silent=True) or {}).get("code")
        for path in ("/a", "/a", "/a", "/b", "/b", "/b", "/b", "/b", "/a", "/a")
    ]
    exceeded, banned = "limit.exceeded", "limit.banned"
    assert codes == [None, exceeded, exceeded, None, exceeded, exceeded, exceeded, banned, exceeded, banned]


def test_two_apps_of_a_host_share_no_quota_and_two_workers_of_one_do(tmp_path: Any) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    got = []
    for name in ("shop", "shop", "bank"):
        app = Flask(name, root_path=str(tmp_path))
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
        Rampart(app)
        app.add_url_rule("/", "view", limit("1/year")(lambda: "ok"))
        got += statuses(app, 1)
    assert got == [200, 429, 200]


def test_what_the_day_refuses_costs_the_hour_nothing_and_the_other_way_round(make_app: App, clock: Clock) -> None:
    # Flask-Limiter: "100/hour;2/day", and four requests that the day refused cost four of the hour.
    app = make_app()
    app.get("/")(limit("6/hour fixed; 2/second; 9/day fixed")(lambda: "ok"))
    assert statuses(app, 20) == [200, 200] + [429] * 18
    clock.advance(1)
    assert statuses(app, 20) == [200, 200] + [429] * 18
    clock.advance(1)
    assert statuses(app, 20) == [200, 200] + [429] * 18
    clock.advance(3600)
    assert statuses(app, 3) == [200, 200, 429]
    clock.advance(1)
    assert statuses(app, 3) == [200, 429, 429]
    assert '"violated-policies":["9/day fixed"]' in app.test_client().get("/").text


@pytest.mark.parametrize("quota", ["10/hour", "10/hour fixed", "10/hour sliding"])
def test_costs_of_several_sizes_sum_up(make_app: App, quota: str) -> None:
    # limits#112: a moving window looked at its entries as if each had cost the same.
    app = make_app()
    app.get("/")(limit(quota, cost=lambda: int(request.args["cost"]))(lambda: "ok"))
    got = [statuses(app, 1, f"/?cost={cost}")[0] for cost in (1, 5, 5, 3, 2, 1, 1)]
    assert got == [200, 200, 429, 200, 429, 200, 429]


@pytest.mark.parametrize("quota", ["3/second", "3/second fixed", "3/second sliding"])
def test_threads_that_meet_at_the_end_of_a_window_admit_no_more_than_there_are(clock: Clock, quota: str) -> None:
    # limits#277: a key of the memory storage that expired between two steps was counted for nothing, or raised.
    limits = LimitSet(LimitStore.local(clock), [("s", Quota.parse(quota), "text")], windows=_utc)
    rounds, workers = 200, 8
    meet = threading.Barrier(workers + 1)
    admitted: list[list[bool]] = [[] for _ in range(workers)]

    def work(row: int) -> None:
        for _ in range(rounds):
            meet.wait(30)
            admitted[row] += [bool(limits.check(("a",))) for _ in range(5)]
            meet.wait(30)

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(work, row) for row in range(workers)]
        for _ in range(rounds):
            meet.wait(30)
            meet.wait(30)
            # A sliding window still sees the last one, so two of them are let go by.
            clock.advance(2)
        for one in running:
            one.result(30)
    for at in range(rounds):
        assert sum(sum(row[at * 5 : at * 5 + 5]) for row in admitted) == 3, at


def _utc(zone: str, unit: str, every: int, unix: int) -> tuple[int, int, int]:
    return unix, unix + 1, unix + 2


def test_a_flood_of_addresses_frees_nobody_and_takes_no_more_room(make_app: App, tmp_path: Any) -> None:
    # GHSA-g53w-gmp9-9ch3: maps without a bound; then a bound that let a flood push out whoever was refused.
    (tmp_path / "counters").mkdir(mode=0o700)
    app = make_app(
        RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_LIMIT_TABLE=1 << 16, RAMPART_LIMITS="3/year"
    )
    app.get("/")(lambda: "ok")
    victim = {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    assert statuses(app, 4, **victim) == [200] * 3 + [429]
    size = sum(file.stat().st_size for file in (tmp_path / "counters").iterdir())
    store = app.extensions["rampart"].services[Limits].store
    addresses = (f"2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::1" for n in range(3 * store.capacity))
    admitted = list(flood(app, addresses)).count(200)
    assert sum(file.stat().st_size for file in (tmp_path / "counters").iterdir()) == size
    assert store.used() <= store.capacity
    assert statuses(app, 2, **victim) == [429, 429]
    # Each that found a slot, and then so many as 64 shared counters of three have room for.
    assert admitted <= store.capacity + 64 * 3


def test_a_fixed_cost_of_nothing_is_a_mistake_and_no_limit_that_is_off() -> None:
    for count in ("all", "failures"):
        with pytest.raises(ConfigError, match="would limit nothing"):
            limit("5/minute", cost=0, count=count)


def test_a_cost_that_is_known_afterwards_is_refused_when_all_is_spent(make_app: App) -> None:
    # litellm#35422: an increment of zero before the call, and the limit was not looked at.
    app = make_app()
    app.get("/")(limit("10/hour", cost=0, count=lambda response: int(request.args["cost"]))(lambda: "ok"))
    assert [statuses(app, 1, f"/?cost={cost}")[0] for cost in (0, 9, 0, 25, 0, 0)] == [200, 200, 200, 200, 429, 429]


def test_apps_under_test_begin_with_nothing_spent(make_app: App) -> None:
    # flask-limiter#21, #50, #75, #147: what one test has spent, the next one lacks.
    for _ in range(2):
        app = make_app(TESTING=True, RAMPART_LIMIT_STORE=...)
        app.get("/")(limit("1/hour")(lambda: "ok"))
        assert statuses(app, 2) == [200, 429]


# What a client is told of others


@pytest.mark.parametrize("by", ["global", "json:email", "form:email", ("global", "json:email")])
def test_nobody_is_told_how_often_others_have_come(make_app: App, by: Any) -> None:
    # Of an account's name, anybody may write it: what is left of it says what its owner does.
    app = make_app()
    app.post("/")(limit("2/hour", by=by)(lambda: "ok"))
    answers = [app.test_client().post("/", json={"email": "ada@example.com"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert not any("RateLimit" in answer.headers for answer in answers[:2])
    assert int(answers[2].headers["Retry-After"]) > 0


def test_what_is_one_s_own_is_told(make_app: App) -> None:
    app = make_app()
    app.post("/")(limit("2/hour", by=("address", "json:email"))(lambda: "ok"))
    assert app.test_client().post("/", json={"email": "a"}).headers["RateLimit"] == '"2/hour";r=1;t=1800'
