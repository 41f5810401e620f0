"""Plain HTTP is sent on, refused or answered as configured; HSTS climbs; what cannot be right is said."""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from http.client import HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, jsonify, request
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import Clock, ConfigError, Rampart
from flask_rampart._native import HeaderPolicy
from flask_rampart.config import Settings
from flask_rampart.edge import EdgePolicy, RampartMiddleware
from flask_rampart.exchange import Exchange
from flask_rampart.network.hsts import Climb, Ramp
from flask_rampart.network.https import path_of, query_of
from flask_rampart.network.noticing import Notices
from flask_rampart.network.transport import embeds_lost

from .conftest import NOW
from .serving import serving

Make = Callable[..., Flask]

ROOT = Path(__file__).parent.parent
HOSTS = ["www.example.com", "example.com"]
HSTS = "Strict-Transport-Security"


@pytest.fixture
def make(make_app: Make) -> Make:
    def made(**config: Any) -> Flask:
        app = make_app(**config)
        app.add_url_rule("/", "index", lambda: "in clear", methods=["GET", "POST", "PUT", "DELETE"])
        app.add_url_rule("/health", "health", lambda: "well", methods=["GET", "POST"])
        app.add_url_rule("/<path:rest>", "rest", lambda rest: jsonify(rest, request.query_string.decode()))
        return app

    return made


def client_of(app: Flask, host: str = "example.com", scheme: str = "http") -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_HOST"] = host
    client.environ_base["wsgi.url_scheme"] = scheme
    return client


def ask(app: Any, host: str = "example.com", **environ: Any) -> tuple[int, dict[str, str], str]:
    """A request that is what *environ* says, and nothing that a client would make of it."""
    whole = EnvironBuilder(path="/").get_environ()
    whole.pop("REQUEST_URI"), whole.pop("RAW_URI")
    body, status, headers = run_wsgi_app(app, {**whole, "HTTP_HOST": host, **environ}, buffered=True)
    return int(status[:3]), dict(headers), b"".join(body).decode()


def code_of(answer: tuple[int, dict[str, str], str]) -> tuple[int, str]:
    return answer[0], json.loads(answer[2])["code"]


REFUSED = (403, "https.required")


# Sent on.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_only_reads_is_sent_on_to_the_same_place(make: Make, method: str) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS)
    status, headers, body = ask(app, REQUEST_METHOD=method, PATH_INFO="/a/b", QUERY_STRING="x=1&y=%2F%20z")
    assert (status, headers["Location"], body) == (308, "https://example.com/a/b?x=1&y=%2F%20z", "")
    # The rest of the policy is there; what has a meaning over TLS alone is not.
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert HSTS not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_request_that_may_carry_a_secret_is_refused_and_not_sent_on(make: Make, method: str) -> None:
    # Talisman redirects every method: the client sends the body once in clear, each time, and never learns of it.
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS, RAMPART_METHODS=["GET", method])
    answer = ask(app, REQUEST_METHOD=method)
    assert code_of(answer) == REFUSED
    assert "Location" not in answer[1]


def test_what_came_by_https_goes_on(make: Make) -> None:
    for mode in ("redirect", "refuse"):
        app = make(RAMPART_HTTPS=mode, RAMPART_TRUSTED_HOSTS=HOSTS)
        for method in ("GET", "POST"):
            assert client_of(app).open("/", method=method, base_url="https://example.com").text == "in clear"


def test_a_handshake_by_wss_came_by_https_and_one_by_ws_did_not(make: Make) -> None:
    for config in ({}, {"RAMPART_HSTS_SINCE": "2020-01-01"}):
        app = make(RAMPART_HTTPS="refuse", RAMPART_TRUSTED_HOSTS=HOSTS, **config)
        app.add_url_rule("/talk", "talk", lambda: "talking", websocket=True)
        answer = ask(app, PATH_INFO="/talk", **{"wsgi.url_scheme": "wss"})
        assert (answer[0], answer[2]) == (200, "talking") and HSTS in answer[1]
        assert code_of(ask(app, PATH_INFO="/talk", **{"wsgi.url_scheme": "ws"})) == REFUSED


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_refuse_refuses_whatever_the_method(make: Make, method: str) -> None:
    answer = ask(make(RAMPART_HTTPS="refuse"), REQUEST_METHOD=method)
    assert answer[0] == 403
    assert method == "HEAD" or code_of(answer) == REFUSED


def test_off_answers_and_says_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    app = make(RAMPART_HTTPS="off", RAMPART_TRUSTED_HOSTS=HOSTS)
    assert ask(app)[0] == 200
    assert caplog.records == []


def test_nobody_is_sent_to_a_host_of_the_clients_choice(make: Make) -> None:
    # Talisman 1.1 and flaskapi-guard 4.4: `Location: https://evil.test/` for `Host: evil.test`.
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS)
    for host in (
        "evil.test",
        "example.com.evil.test",
        "example.com@evil.test",
        "example.com:80@evil.test",
        "evil.test:80",
    ):
        status, headers, _ = ask(app, host, HTTP_X_FORWARDED_HOST="evil.test", HTTP_FORWARDED="host=evil.test")
        assert status in (400, 421), host
        assert "Location" not in headers
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="www.example.com")
    for host in ("evil.test", "example.com", "www.example.com:8080"):
        assert ask(app, host, HTTP_X_FORWARDED_HOST="evil.test")[1]["Location"] == "https://www.example.com/"


def test_a_stranger_who_says_that_it_was_https_is_not_believed(make: Make) -> None:
    # Talisman: `X-Forwarded-Proto: https` from anybody ends the redirect and brings HSTS over plain HTTP.
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS)
    for field, value in (("HTTP_X_FORWARDED_PROTO", "https"), ("HTTP_FORWARDED", "proto=https")):
        status, headers, _ = ask(app, **{field: value})
        assert status == 308
        assert HSTS not in headers


def test_the_canonical_host_comes_before_the_requests_own(make: Make) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS, RAMPART_CANONICAL_HOST="WWW.example.com")
    assert ask(app, PATH_INFO="/a")[1]["Location"] == "https://www.example.com/a"
    # By HTTPS, each trusted host answers for itself.
    assert ask(app, **{"wsgi.url_scheme": "https"})[0] == 200
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com:8443")
    assert ask(app)[1]["Location"] == "https://example.com:8443/"


def test_the_port_of_plain_http_is_not_taken_along(make: Make) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=[*HOSTS, "::1"])
    assert ask(app, "Example.com.:8080")[1]["Location"] == "https://example.com/"
    assert ask(app, "[0:0::1]:80")[1]["Location"] == "https://[::1]/"


def test_flasks_own_list_is_enough_to_know_the_host(make: Make) -> None:
    app = make(RAMPART_HTTPS="redirect", TRUSTED_HOSTS=[".example.com"])
    assert ask(app, "a.example.com")[1]["Location"] == "https://a.example.com/"
    assert code_of(ask(app, "evil.test")) == (421, "host.unknown")


_PLACES = [
    ("/a", "b#c", "/a?b%23c"),
    ("/a?b#c", "", "/a%3Fb%23c"),
    ("", "", "/"),
    ("/%", "%zz", "/%25?%zz"),
    ("/b\xc3\xbccher", "q=\xc3\xbc", "/b%C3%BCcher?q=%C3%BC"),
    ("/http://evil.test/", "", "/http://evil.test/"),
    ('/"<a>', '"<a>', "/%22%3Ca%3E?%22%3Ca%3E"),
]
# What is refused before anybody would be sent there (`hygiene`), and could not be broken out of either.
_NO_PLACES = [
    ("//evil.test/x", "", "//evil.test/x"),
    ("/\\evil.test", "", "/%5Cevil.test"),
    ("evil.test", "", "/evil.test"),
    ("@evil.test", "", "/@evil.test"),
    (":80@evil.test/", "", "/:80@evil.test/"),
    ("/a\r\nSet-Cookie: x=y", "", "/a%0D%0ASet-Cookie:%20x=y"),
    ("/a", "b\r\nSet-Cookie: x=y", "/a?b%0D%0ASet-Cookie:%20x=y"),
    ("/\x00", "\x00", "/%00?%00"),
]


@pytest.mark.parametrize(("path", "query", "location"), [*_PLACES, *_NO_PLACES])
def test_a_location_begins_with_our_host_and_cannot_be_broken_out_of(
    make: Make, path: str, query: str, location: str
) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com")
    environ = {"PATH_INFO": path, "QUERY_STRING": query}
    assert f"{path_of(environ)}{query_of(environ)}" == location
    status, headers, _ = ask(app, **environ)
    if (path, query, location) in _PLACES:
        assert (status, headers["Location"]) == (308, f"https://example.com{location}")
    else:
        assert status == 400
        assert "Location" not in headers


def test_a_path_is_kept_as_the_client_wrote_it_where_the_server_shows_that(make: Make) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com", RAMPART_ENCODED_SLASHES=True)
    for name in ("RAW_URI", "REQUEST_URI"):
        # `%2F` and `/` are not the same path; WSGI alone cannot tell.
        answer = ask(app, PATH_INFO="/a/b", QUERY_STRING="c", **{name: "/a%2fb?c"})
        assert answer[1]["Location"] == "https://example.com/a%2fb?c"
        # Another path, such as that before a proxy took off its prefix, is not taken.
        for raw in ("/other?c", "http://example.com/a/b?c"):
            answer = ask(app, PATH_INFO="/a/b", QUERY_STRING="c", **{name: raw})
            assert answer[1]["Location"] == "https://example.com/a/b?c", raw
        # Nor is what is no path, which goes no further, and would not be taken either.
        for raw in ("/a%2fb%0d%0a?c", "/a/b\r\nX: y?c", "//a/b?c", "/a/b#?c"):
            environ = {"PATH_INFO": "/a/b", "QUERY_STRING": "c", name: raw}
            assert path_of(environ) == "/a/b", raw
            assert ask(app, **environ)[0] == 400, raw


def test_a_mounted_app_keeps_its_prefix(make: Make) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com")
    assert ask(app, SCRIPT_NAME="/v1", PATH_INFO="/a")[1]["Location"] == "https://example.com/v1/a"


_BYTES = st.binary(max_size=30).map(lambda value: value.decode("latin-1"))


@given(_BYTES, _BYTES, _BYTES | st.none())
def test_whatever_the_path_and_query_are_the_host_is_ours(path: str, query: str, raw: str | None) -> None:
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "RAW_URI": raw}
    written = f"{path_of(environ)}{query_of(environ)}"
    assert written.startswith("/")
    assert written.isascii()
    assert written.isprintable()
    assert not set(written) & set(' \\"<>#')
    assert urlsplit(f"https://example.com{written}").netloc == "example.com"
    assert requests.Request("GET", f"https://example.com{written}").prepare().url.startswith("https://example.com/")  # type: ignore[union-attr]


# Exempt.


def test_a_probe_is_answered_by_plain_http_on_its_path_alone(make: Make) -> None:
    app = make(RAMPART_HTTPS="refuse", RAMPART_HTTPS_EXEMPT="/health")
    assert ask(app, PATH_INFO="/health")[2] == "well"
    assert ask(app, PATH_INFO="/health", REQUEST_METHOD="HEAD")[0] == 200
    for path in ("/", "/health/", "/health/x", "/Health", "/health;x", "/health%2F"):
        assert code_of(ask(app, PATH_INFO=path)) == REFUSED, path
    for path in ("//health", "/x/../health"):
        assert code_of(ask(app, PATH_INFO=path)) == (400, "path.malformed"), path
    assert code_of(ask(app, PATH_INFO="/health", REQUEST_METHOD="POST")) == REFUSED
    assert code_of(ask(app, SCRIPT_NAME="/v1", PATH_INFO="/health")) == REFUSED


@pytest.mark.parametrize("field", ["HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY"])
def test_a_probe_that_carries_a_credential_is_not_exempt(make: Make, field: str) -> None:
    app = make(RAMPART_HTTPS="refuse", RAMPART_HTTPS_EXEMPT="/health")
    assert code_of(ask(app, PATH_INFO="/health", **{field: "secret"})) == REFUSED


def test_a_token_in_the_query_is_a_credential_too(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    # RFC 6750 section 2.3
    app = make(RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com", RAMPART_HTTPS_EXEMPT="/health")
    assert ask(app, PATH_INFO="/health", QUERY_STRING="access_token=secret")[0] == 308
    assert "carried a credential" in caplog.text
    assert "secret" not in caplog.text


# Development, tests, and what is said.


def test_debug_answers_plain_http_and_testing_does_as_configured(make: Make) -> None:
    for mode, status in (({"DEBUG": True}, 200), ({"TESTING": True}, 403), ({"DEBUG": True, "TESTING": True}, 403)):
        assert ask(make(RAMPART_HTTPS="refuse", **mode))[0] == status


def test_credentials_in_clear_are_told_at_most_once_a_minute_and_never_shown(
    make: Make, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    app = make(RAMPART_HTTPS="redirect", RAMPART_TRUSTED_HOSTS=HOSTS)

    def said() -> list[str]:
        return [r.getMessage() for r in caplog.records if "carried a credential" in r.getMessage()]

    ask(app)
    ask(app, REQUEST_METHOD="POST")
    assert said() == []
    assert ask(app, HTTP_COOKIE="session=hunter2")[0] == 308
    assert len(said()) == 1
    for _ in range(3):
        assert ask(app, HTTP_AUTHORIZATION="Bearer hunter2", REQUEST_METHOD="POST")[0] == 403
    assert len(said()) == 1
    clock.advance(61)
    ask(app, HTTP_COOKIE="session=hunter2")
    assert "3 times before" in said()[1]
    assert "hunter2" not in caplog.text


def test_plain_http_in_production_is_said_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def said() -> int:
        return sum("answered by plain HTTP" in record.getMessage() for record in caplog.records)

    for host in ("localhost", "127.0.0.1", "[::1]:5000", "app.localhost"):
        assert ask(make(), host)[0] == 200
    for mode in ({"DEBUG": True}, {"TESTING": True}):
        ask(make(**mode))
    app = make()
    ask(app, **{"wsgi.url_scheme": "https"})
    assert said() == 0
    for _ in range(2):
        assert ask(app)[0] == 200
    assert said() == 1


def test_a_redirect_that_leads_nobody_to_https_is_said_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    # A proxy ends TLS and is not declared: flask-talisman#46, flask#5301.
    def said() -> int:
        return sum("all came by plain HTTP" in record.getMessage() for record in caplog.records)

    config = {"RAMPART_HTTPS": "redirect", "RAMPART_TRUSTED_HOSTS": HOSTS}
    app = make(**config)
    for _ in range(19):
        ask(app)
    assert said() == 0
    ask(app)
    assert said() == 1
    for _ in range(40):
        ask(app)
    assert said() == 1
    app = make(**config)
    ask(app, **{"wsgi.url_scheme": "https"})
    for _ in range(40):
        ask(app)
    assert said() == 1


def test_a_notice_is_said_again_after_a_clock_was_set_back(caplog: pytest.LogCaptureFixture) -> None:
    times = [1000.0, 1059.0, 500.0]
    notices = Notices(logging.getLogger("notices"), lambda: True, lambda: times.pop(0))
    for _ in range(3):
        notices.again("x")
    assert [record.getMessage() for record in caplog.records] == ["x", "x (and 1 times before)"]


@pytest.mark.parametrize(
    ("profile", "csp", "lost"),
    [
        ("api", {"default-src": "'none'", "img-src": "'self' data: https://cdn.example"}, [("img-src", "https://cdn.example")]),
        ("api", {"default-src": "https:"}, [("default-src", "https:")]),
        ("api", {"default-src": "'none'", "connect-src": "https://api.example"}, []),
        ("api", None, []),
        ("html", {"default-src": "'self'", "frame-src": "https://video.example"}, []),
    ],
    ids=["image", "scheme", "fetch", "nothing", "no-policy"],
)  # fmt: skip
def test_an_embed_that_an_embedder_policy_would_break_is_found(
    profile: str, csp: Any, lost: list[tuple[str, str]]
) -> None:
    assert embeds_lost(HeaderPolicy(profile, csp=csp)) == lost
    override = {"Cross-Origin-Embedder-Policy": "require-corp"}
    if profile == "html":
        assert embeds_lost(HeaderPolicy(profile, csp=csp, overrides=override)) == [
            ("frame-src", "https://video.example")
        ]


def test_a_broken_embed_is_said_before_the_first_request(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    ask(make(RAMPART_CSP={"default-src": "'none'", "img-src": "https://cdn.example"}), "localhost")
    assert "https://cdn.example (img-src)" in caplog.text


# HSTS.


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (..., "max-age=63072000; includeSubDomains"),
        ({"max_age": 86400, "subdomains": False}, "max-age=86400"),
        ({"max_age": timedelta(days=365), "preload": True}, "max-age=31536000; includeSubDomains; preload"),
        ({"max_age": 0, "subdomains": False}, "max-age=0"),
        ({}, "max-age=63072000; includeSubDomains"),
        (False, None),
    ],
    ids=["default", "short", "preload", "forget", "empty", "none"],
)
def test_hsts_is_what_the_setting_says(make: Make, setting: Any, value: str | None) -> None:
    app = make(RAMPART_HSTS=setting, RAMPART_TRUSTED_HOSTS=HOSTS)
    assert ask(app, **{"wsgi.url_scheme": "https"})[1].get(HSTS) == value
    assert HSTS not in ask(app)[1]


_LOCAL = ["localhost", "LOCALHOST.:8443", "app.localhost", "127.0.0.1", "192.0.2.1:8443", "[::1]", "[2001:db8::1]:8443"]


@pytest.mark.parametrize("host", _LOCAL)
def test_localhost_and_addresses_are_never_pinned(make: Make, host: str) -> None:
    # A pin for localhost is every other project's on the same machine, too.
    tls = {"wsgi.url_scheme": "https"}
    for config in ({}, {"RAMPART_HSTS": {"max_age": 300}}, {"RAMPART_HSTS_SINCE": "2020-01-01"}):
        app = make(**config)
        app.add_url_rule("/own", "own", lambda: ("", 200, {"strict-transport-security": "max-age=1"}))
        assert ask(app, host, **tls)[0] == 200
        for environ in ({}, {"PATH_INFO": "/own"}, {"PATH_INFO": "/" + "a" * 9000}, {"REQUEST_METHOD": "PATCH"}):
            headers = {name.lower() for name in ask(app, host, **tls, **environ)[1]}
            assert HSTS.lower() not in headers
            assert "x-content-type-options" in headers


def test_a_pin_that_has_no_effect_is_said(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    app = make(RAMPART_HSTS={"max_age": 300})
    ask(app, "127.0.0.1", **{"wsgi.url_scheme": "https"})
    assert "carries no Strict-Transport-Security" in caplog.text
    caplog.clear()
    ask(make(RAMPART_HSTS={"max_age": 300}, RAMPART_CANONICAL_HOST="localhost"), "localhost")
    assert "no effect for RAMPART_CANONICAL_HOST = 'localhost'" in caplog.text


TODAY = datetime.fromtimestamp(NOW, timezone.utc).date()


def test_hsts_climbs_by_days_in_a_worker_that_is_not_restarted(make: Make, clock: Clock) -> None:
    app = make(RAMPART_HSTS_SINCE=TODAY + timedelta(days=1), RAMPART_HSTS={"preload": True})
    tls = {"wsgi.url_scheme": "https"}
    assert HSTS not in ask(app, **tls)[1]
    clock.advance(86400 - NOW % 86400 - 1)
    assert HSTS not in ask(app, **tls)[1]
    seen = []
    clock.advance(1)
    for _ in range(40):
        seen.append(ask(app, **tls)[1][HSTS])
        assert HSTS not in ask(app)[1]
        clock.advance(86400)
    assert seen == (
        ["max-age=300; includeSubDomains"]
        + ["max-age=604800; includeSubDomains"] * 7
        + ["max-age=2592000; includeSubDomains"] * 30
        + ["max-age=63072000; includeSubDomains; preload"] * 2
    )


def test_hsts_goes_back_with_a_clock_that_was_wrong() -> None:
    begin = datetime(2026, 11, 29, tzinfo=timezone.utc).timestamp()
    times = [begin + 100 * 86400, begin + 3600]
    climb = Climb(Ramp("max-age=63072000", date(2026, 11, 29)), lambda: times.pop(0))
    for value in ("max-age=63072000", "max-age=300"):
        exchange = Exchange(None, {"wsgi.url_scheme": "https"})
        climb(exchange.environ, exchange)
        assert exchange.sends == ((HSTS, value),)


def test_what_a_view_says_of_hsts_stays_while_it_climbs(make: Make) -> None:
    app = make(RAMPART_HSTS_SINCE=TODAY)
    app.add_url_rule("/own", "own", lambda: ("", 200, {HSTS: "max-age=1"}))
    answer = app.test_client().get("/own", base_url="https://example.com")
    assert answer.headers.getlist(HSTS) == ["max-age=1"]


@given(st.integers(301, 10 * 366 * 86400), st.integers(-5, 60), st.integers(0, 86399))
def test_no_step_is_longer_than_the_last_and_none_is_shorter_than_the_one_before(
    age: int, day: int, second: int
) -> None:
    ramp = Ramp(f"max-age={age}; includeSubDomains", date(2026, 11, 29))
    now = datetime(2026, 11, 29, tzinfo=timezone.utc).timestamp() + day * 86400 + second
    begin, end = ramp.span(now)
    assert begin <= now < end
    ages = [0 if not value else int(value.split(";")[0][8:]) for value in (ramp.at(begin), ramp.at(now), ramp.at(end))]
    assert ages[0] == ages[1] <= ages[2] <= age
    assert (ages[1] == 0) == (day < 0)


# Settings.


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"RAMPART_HTTPS": "redirect"}, "RAMPART_CANONICAL_HOST, or RAMPART_TRUSTED_HOSTS"),
        ({"RAMPART_HTTPS": True}, "RAMPART_HTTPS must be one of"),
        ({"RAMPART_HTTPS": "redirct"}, "Did you mean redirect"),
        ({"RAMPART_HTTPS": ""}, "RAMPART_HTTPS must be one of"),
        ({"RAMPART_CANONICAL_HOST": "https://example.com"}, "without scheme and path"),
        ({"RAMPART_CANONICAL_HOST": "*.example.com"}, "RAMPART_CANONICAL_HOST takes hosts"),
        ({"RAMPART_CANONICAL_HOST": "a.example", "RAMPART_TRUSTED_HOSTS": "b.example"}, "not among the trusted"),
        ({"RAMPART_CANONICAL_HOST": "a.example", "TRUSTED_HOSTS": ["b.example"]}, "not among the trusted"),
        ({"RAMPART_HTTPS_EXEMPT": "/health"}, "RAMPART_HTTPS_EXEMPT names paths"),
        ({"RAMPART_HTTPS_EXEMPT": "/health", "RAMPART_HTTPS": "off"}, "RAMPART_HTTPS_EXEMPT names paths"),
        ({"RAMPART_HTTPS_EXEMPT": "health", "RAMPART_HTTPS": "refuse"}, "a path that begins with /"),
        ({"RAMPART_HSTS": True}, "RAMPART_HSTS must be False, or a dict"),
        ({"RAMPART_HSTS": "max-age=1"}, "RAMPART_HSTS must be False, or a dict"),
        ({"RAMPART_HSTS": {"max-age": 1}}, "'max-age' is no part of it. Did you mean max_age"),
        ({"RAMPART_HSTS": {"max_age": -1}}, "from 0 to"),
        ({"RAMPART_HSTS": {"max_age": "1"}}, "a whole number of seconds"),
        ({"RAMPART_HSTS": {"subdomains": 1}}, "True or False"),
        ({"RAMPART_HSTS": {"preload": True, "max_age": 86400}}, "no 'preload' without subdomains"),
        ({"RAMPART_HSTS": {"preload": True, "subdomains": False}}, "no 'preload' without subdomains"),
        ({"RAMPART_HSTS_SINCE": "29.11.2026"}, "a day such as '2026-11-29'"),
        ({"RAMPART_HSTS_SINCE": "2026-02-30"}, "a day such as '2026-11-29'"),
        ({"RAMPART_HSTS_SINCE": datetime(2026, 11, 29)}, "a day such as '2026-11-29'"),
        ({"RAMPART_HSTS_SINCE": "2026-11-29", "RAMPART_HSTS": False}, "and that is False"),
        ({"RAMPART_HSTS_SINCE": "2026-11-29", "RAMPART_HSTS": {"max_age": 300}}, "which is not longer"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start_up(config: dict[str, Any], says: str) -> None:
    app = Flask("x")
    app.config.update(config)
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        Rampart(app)


def test_a_day_is_read_as_a_text_and_as_a_date() -> None:
    for value in ("2026-11-29", date(2026, 11, 29)):
        assert Settings.read({"RAMPART_HSTS_SINCE": value}).hsts_since == date(2026, 11, 29)


def test_any_wsgi_app_is_held_to_it() -> None:
    def inner(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"in clear"]

    config = {"RAMPART_HTTPS": "redirect", "RAMPART_CANONICAL_HOST": "example.com", "RAMPART_ACCESS_LOG": "off"}
    app: Any = RampartMiddleware(inner, EdgePolicy.of(config, name="https"))
    assert ask(app, "other.example")[1]["Location"] == "https://example.com/"
    assert code_of(ask(app, REQUEST_METHOD="POST")) == REFUSED
    assert ask(app, **{"wsgi.url_scheme": "https"})[1][HSTS].startswith("max-age=63072000")


def test_the_guides_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "https.md").read_text(), re.S)
    exec(compile(code, "docs/https.md", "exec"), {"__name__": "guide"})


# A real server with a certificate.


def certificate(folder: Path) -> ssl.SSLContext:
    """An authority of our own, and what it signs for this machine's server; the context that trusts it alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.now(timezone.utc)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def builder(subject: str, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name("authority"), name(subject), public, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )

    root = (
        builder("authority", root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(*(use in (5, 6) for use in range(9))), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.DNSName("example.com"), x509.IPAddress(ip_address("127.0.0.1"))]
    leaf = (
        builder("server", key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.public_bytes(pem))
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@pytest.mark.servers
def test_a_real_client_is_sent_from_http_to_https_and_pinned_there(tmp_path: Path) -> None:
    context = certificate(tmp_path)
    secure, plain = tmp_path / "secure", tmp_path / "plain"
    secure.mkdir(), plain.mkdir()
    views = """
    app.add_url_rule("/a/<path:rest>", "a", lambda rest: f"{request.scheme} {rest} {request.query_string.decode()}")
    Rampart(app)
    """
    hosts = {
        "RAMPART_TRUSTED_HOSTS": ["localhost", "127.0.0.1", "example.com"],
        "RAMPART_HSTS_SINCE": "2020-01-01",
        "RAMPART_ENCODED_SLASHES": True,
    }
    files = ("--certfile", str(tmp_path / "server.pem"), "--keyfile", str(tmp_path / "server.key"))
    with serving(secure, views, *files, settings=hosts, tls=context) as tls:
        status, headers, text = tls.get("/a/b", Host="example.com")
        assert (status, text) == (200, "https b ")
        assert headers[HSTS] == "max-age=63072000; includeSubDomains"
        for host in ("127.0.0.1", f"localhost:{tls.port}"):
            status, headers, _ = tls.get("/a/b", Host=host)
            assert status == 200
            assert HSTS not in headers
        assert tls.get("/a/b", Host="evil.test")[0] == 421
        with pytest.raises(ssl.SSLCertVerificationError):
            HTTPSConnection("127.0.0.1", tls.port, context=ssl.create_default_context()).connect()
        settings = {
            **hosts,
            "RAMPART_HTTPS": "redirect",
            "RAMPART_HTTPS_EXEMPT": "/ready",
            "RAMPART_CANONICAL_HOST": f"localhost:{tls.port}",
        }
        with serving(plain, views, settings=settings) as clear:
            status, headers, _ = clear.get("/a/b%2Fc?d=%20&e", Host="example.com")
            assert (status, headers["Location"]) == (308, f"https://localhost:{tls.port}/a/b%2Fc?d=%20&e")
            assert HSTS not in headers
            address = f"http://127.0.0.1:{clear.port}/a/b%2Fc?d=%20&e"
            followed = requests.get(address, verify=str(tmp_path / "ca.pem"), timeout=30)
            assert followed.text == "https b/c d=%20&e"
            assert [answer.status_code for answer in followed.history] == [308]
            assert clear.ask("POST", "/a/b", b"secret")[0] == 403
            assert clear.get("/ready")[0] == 200
            assert clear.get("/ready", Cookie="a=b")[0] == 308
            assert "carried a credential" in clear.said()
