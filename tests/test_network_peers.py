"""Who the peer is: whom a chain of proxies speaks for, what is removed of what others wrote, what is refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import ConfigError, limit
from flask_rampart._native import PeerRule
from flask_rampart.edge import EdgePolicy, RampartMiddleware

App = Callable[..., Flask]
PROXY, CLIENT, OTHER = "10.0.0.1", "192.0.2.1", "203.0.113.9"
FORWARDING = (
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Ssl",
    "X-Forwarded-User", "X-Forwarded-Client-Cert", "Forwarded", "X-Real-IP", "X-Original-URL", "X-Rewrite-URL",
    "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-ARR-SSL", "Front-End-Https",
    "X-Url-Scheme", "Fastly-Client-IP", "X-Original-Host", "Client-IP", "Proxy",
    # What other frameworks, snippets and networks of caches read or write.
    "WL-Proxy-Client-IP", "WL-Proxy-SSL", "Proxy-Client-IP", "X-True-Client-IP", "X-HTTP-Host-Override", "X-Script-Name",
    "X-Forward-For", "X-Forward-Proto", "X-Original-Prefix", "X-Original-Remote-Addr", "Remote-Addr", "DO-Connecting-IP",
    "EO-Connecting-IP", "EO-Client-IP", "Ali-CDN-Real-IP", "CDN-Src-IP", "CloudFront-Viewer-Address", "Incap-Client-IP",
    "CloudFront-Forwarded-Proto", "X-MS-Forwarded-Client-IP", "X-NF-Client-Connection-IP", "X-Sucuri-ClientIP",
    "X-Vercel-Forwarded-For",
)  # fmt: skip


@pytest.fixture(name="shown")
def app_that_shows(make_app: App) -> App:
    def make(**config: Any) -> Flask:
        app = make_app(**config)

        @app.get("/")
        @app.get("/sub/")
        def show() -> dict[str, Any]:
            return {
                "peer": request.remote_addr,
                "url": request.base_url,
                "root": request.root_path,
                "route": list(request.access_route),
                "fields": sorted(name for name, _ in request.headers),
                "server": [request.environ["SERVER_NAME"], request.environ["SERVER_PORT"]],
            }

        return app

    return make


def ask(app: Flask, peer: str | None = PROXY, environ: dict[str, Any] | None = None, **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    overrides = {"REMOTE_ADDR": peer, **(environ or {})}
    return app.test_client().get("/", headers=fields, environ_overrides=overrides)


def peer_of(networks: Any, peer: str, listed: str, hops: int | None = None) -> str:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": listed, "wsgi.url_scheme": "http"}
    PeerRule(networks, hops, ["for", "proto"]).settle(environ)
    return environ["REMOTE_ADDR"]


# Whom nobody listed.


@pytest.mark.parametrize("config", [{}, {"RAMPART_TRUSTED_PROXIES": ["10.0.0.0/8"]}], ids=["no proxies", "a stranger"])
def test_what_a_stranger_forwards_changes_nothing_and_no_app_sees_it(shown: App, config: dict[str, Any]) -> None:
    app = shown(**config)
    headers = {name.replace("-", "_"): "203.0.113.9" for name in FORWARDING}
    found = ask(app, CLIENT, **headers, Accept="*/*", X_Request_Id="1").json
    assert found["peer"] == CLIENT
    assert found["url"] == "http://localhost/"
    assert found["fields"] == ["Accept", "Host", "User-Agent", "X-Request-Id"]


def test_a_view_that_reads_the_access_route_gets_no_clients_word(shown: App) -> None:
    # Flask's request.access_route is the list of X-Forwarded-For, whoever wrote it.
    assert ask(shown(), CLIENT, X_Forwarded_For=OTHER).json["route"] == [CLIENT]
    trusted = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    assert ask(trusted, PROXY, X_Forwarded_For=f"{OTHER}, {CLIENT}").json["route"] == [CLIENT]


@pytest.mark.parametrize("value", ["https", "https, http", "HTTPS"])
def test_a_stranger_cannot_say_that_it_came_by_https(shown: App, value: str) -> None:
    # Flask-Talisman 1.1.0 takes X-Forwarded-Proto from anybody; ASP.NET Core did until 8.0.17 and 9.0.6.
    for config in ({}, {"RAMPART_TRUSTED_PROXIES": "10.0.0.0/8"}):
        response = ask(shown(**config), CLIENT, X_Forwarded_Proto=value, X_Forwarded_Host="evil.test")
        assert response.json["url"] == "http://localhost/"
        assert "Strict-Transport-Security" not in response.headers


def test_the_server_is_believed_of_its_own_tls_and_not_of_what_a_header_told_it(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")

    class Tls:
        def getpeercert(self) -> None: ...

    secure = {"wsgi.url_scheme": "https"}
    for environ, scheme in [
        (secure, "https"),
        ({**secure, "gunicorn.socket": Tls()}, "https"),
        ({**secure, "gunicorn.socket": object()}, "http"),  # it believes its own list of peers
        ({**secure, "uwsgi.version": b"2"}, "http"),  # it believes anybody
        ({**secure, "uwsgi.version": b"2", "HTTPS": "on"}, "https"),
        ({**secure, "uwsgi.version": b"2", "UWSGI_SCHEME": "https"}, "https"),
    ]:
        assert ask(app, CLIENT, environ, X_Forwarded_Proto="https").json["url"] == f"{scheme}://localhost/", environ
    # Of uWSGI, which believes anybody, nothing is believed without proxies either.
    plain = shown()
    assert ask(plain, CLIENT, {**secure, "uwsgi.version": b"2"}, X_Forwarded_Proto="https").json["url"][:5] == "http:"
    assert ask(plain, CLIENT, secure).json["url"] == "https://localhost/"
    # Nor is its word for the same of a WebSocket.
    websocket = {**secure, "wsgi.url_scheme": "wss", "uwsgi.version": b"2"}
    for one in (app, plain):
        assert ask(one, CLIENT, websocket, X_Forwarded_Proto="wss").json["url"][:5] == "http:"


# Whom a listed proxy speaks for.


@pytest.mark.parametrize(
    "peer, listed, found",
    [
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{CLIENT}:4711", CLIENT),
        (PROXY, f"[::ffff:{CLIENT}]:4711", CLIENT),
        (PROXY, "2001:DB8::1%eth0", "2001:db8::1"),
        # CVE-2026-30827: in IPv6 clothes it is the same peer, and the same proxy.
        (PROXY, "::ffff:c000:201", CLIENT),
        (f"::ffff:{PROXY}", CLIENT, CLIENT),
        # CVE-2025-46814, tower_governor's SmartIpKeyExtractor: the client's own word is on the left.
        (PROXY, f"{OTHER}, {CLIENT}", CLIENT),
        (PROXY, f"{OTHER},{CLIENT},10.9.9.9", CLIENT),
        (PROXY, f"10.0.0.9, {CLIENT}", CLIENT),
        (PROXY, f"unknown, {CLIENT}", CLIENT),
        # A proxy that asks for itself.
        (PROXY, "10.0.0.9", "10.0.0.9"),
        # What names nobody ends it at the last proxy.
        (PROXY, "", PROXY),
        (PROXY, "unknown", PROXY),
        (PROXY, "_hidden", PROXY),
        (PROXY, f"{CLIENT},", PROXY),
        (PROXY, f"{CLIENT}, ,10.9.9.9", "10.9.9.9"),
        (PROXY, f"{CLIENT}, evil, 10.9.9.9", "10.9.9.9"),
        (PROXY, f"{CLIENT}; DROP TABLE", PROXY),
        (PROXY, "192.0.2.01", PROXY),
        (PROXY, "192.0.2.1\u00e9", PROXY),
        # A stranger names nobody.
        (CLIENT, OTHER, CLIENT),
        ("", OTHER, ""),
        ("nonsense", OTHER, "nonsense"),
    ],
)
def test_a_chain_is_walked_from_the_right(peer: str, listed: str, found: str) -> None:
    assert peer_of(["10.0.0.0/8"], peer, listed) == found


def test_a_list_of_several_lines_is_one_list(shown: App) -> None:
    # GHSA-8xvm-856x-7hwp: only the first line was read. A proxy that adds a line of its own writes the last one.
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    for joined in (f"{OTHER},{CLIENT}", f"{OTHER}, 198.51.100.1 ,{CLIENT}"):
        assert ask(app, X_Forwarded_For=joined).json["peer"] == CLIENT


@pytest.mark.parametrize("hops", [1, 2, 64])
def test_a_depth_that_is_too_high_reaches_nothing_that_a_client_wrote(hops: int) -> None:
    # GHSA-8xvm-856x-7hwp: a count of proxies beyond the chain took the client's own entry.
    assert peer_of(["10.0.0.0/8"], PROXY, f"{OTHER}, {OTHER}, {CLIENT}", hops) == CLIENT


def test_no_more_proxies_are_walked_than_there_are() -> None:
    listed = f"{CLIENT}, 10.0.0.3, 10.0.0.2"
    assert [peer_of(["10.0.0.0/8"], PROXY, listed, hops) for hops in (1, 2, 3)] == ["10.0.0.2", "10.0.0.3", CLIENT]
    # Somebody inside of the listed network names another.
    assert peer_of(["10.0.0.0/8"], PROXY, f"{OTHER}, 10.0.0.77", 1) == "10.0.0.77"


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "unix:"},
        {"REMOTE_ADDR": "localhost", "SERVER_PORT": "/run/app.sock"},  # waitress
        {"REMOTE_ADDR": "0.0.0.0", "uwsgi.version": b"2.0"},
    ],
    ids=["gunicorn, granian", "nginx' uwsgi_params", "waitress", "uWSGI"],
)
def test_a_unix_socket_is_trusted_where_it_is_listed_and_only_there(environ: dict[str, Any]) -> None:
    # GHSA-634g-4wr8-xwxv: who has no address was let past everything.
    def settled(networks: list[str]) -> str:
        given = {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_FOR": CLIENT, **environ}
        PeerRule(networks, None, ["for"]).settle(given)
        assert "HTTP_X_FORWARDED_FOR" not in given
        return str(given["REMOTE_ADDR"])

    assert settled(["unix"]) == CLIENT
    assert settled(["10.0.0.0/8"]) in ("", "unix:")


def test_a_name_that_is_no_unix_socket_is_none() -> None:
    for environ in ({"REMOTE_ADDR": "localhost", "SERVER_PORT": "80"}, {"REMOTE_ADDR": "0.0.0.0"}, {}):
        given = {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_FOR": CLIENT, **environ}
        PeerRule(["unix"], None, ["for"]).settle(given)
        assert given.get("REMOTE_ADDR") == environ.get("REMOTE_ADDR")


def test_the_port_of_the_proxy_is_not_the_clients() -> None:
    environ = {"REMOTE_ADDR": PROXY, "REMOTE_PORT": "4711", "REMOTE_HOST": "proxy", "HTTP_X_FORWARDED_FOR": CLIENT}
    PeerRule(["10.0.0.0/8"], None, ["for"]).settle(environ)
    assert environ == {"REMOTE_ADDR": CLIENT, "flask_rampart.socket": PROXY}


# Scheme, host, port, prefix.

ALL = ("for", "proto", "host", "port", "prefix")


def test_by_default_the_scheme_is_read_and_the_host_is_not(shown: App) -> None:
    # Many proxies set the first two and pass on the rest as the client wrote it.
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    headers = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "evil.test",
        "X_Forwarded_Port": "1",
        "X_Forwarded_Prefix": "/x",
    }
    found = ask(app, X_Forwarded_For=CLIENT, **headers).json
    assert (found["peer"], found["url"], found["root"]) == (CLIENT, "https://localhost/", "")


@pytest.mark.parametrize(
    "listed, proto, scheme",
    [
        (CLIENT, "https", "https"),
        (CLIENT, "HTTPS", "https"),
        # The client wrote the first, the proxy the second.
        (CLIENT, "https, http", "http"),
        (f"{OTHER}, {CLIENT}", "https, http", "http"),
        (f"{CLIENT}, 10.0.0.2", "https, http", "https"),
        (f"{CLIENT}, 10.0.0.2", "https", "https"),
        (f"{CLIENT}, 10.0.0.2", "http,https,http", "https"),
        # Fewer than proxies, and more than one: nobody knows whose.
        (f"{CLIENT}, 10.0.0.3, 10.0.0.2", "https, https", "http"),
        # Of a handshake of WebSockets some proxies say it so.
        (CLIENT, "wss", "https"),
        (CLIENT, "ws", "http"),
        (CLIENT, "wss:", "http"),
        (CLIENT, "", "http"),
        (CLIENT, "https,", "http"),
        # Where nobody knows who it was, nothing is read.
        ("unknown", "https", "http"),
        (f"{CLIENT}, evil, 10.0.0.2", "https", "http"),
    ],
)
def test_the_scheme_is_that_of_the_hop_that_was_walked_to(shown: App, listed: str, proto: str, scheme: str) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    assert ask(app, X_Forwarded_For=listed, X_Forwarded_Proto=proto).json["url"] == f"{scheme}://localhost/"


def test_a_proxy_that_asks_for_itself_says_its_scheme(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    assert ask(app, X_Forwarded_Proto="https").json["url"] == "https://localhost/"


def test_host_port_and_prefix_follow_where_the_setting_says_so(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_FORWARDED=ALL)
    said = {"X_Forwarded_For": CLIENT, "X_Forwarded_Proto": "https", "X_Forwarded_Host": "api.example"}
    assert ask(app, **said).json["url"] == "https://api.example/"
    assert ask(app, **said, X_Forwarded_Port="443").json["url"] == "https://api.example/"
    assert ask(app, X_Forwarded_For=CLIENT, X_Forwarded_Port="443").json["url"] == "http://localhost:443/"
    found = ask(app, **said, X_Forwarded_Port="8443", X_Forwarded_Prefix="/v1/").json
    assert (found["url"], found["root"], found["server"]) == (
        "https://api.example:8443/v1/",
        "/v1",
        ["api.example", "8443"],
    )
    said["X_Forwarded_Host"] = "[2001:db8::1]:8000"
    assert ask(app, **said).json["url"] == "https://[2001:db8::1]:8000/"
    assert (
        ask(app, X_Forwarded_For=CLIENT, X_Forwarded_Host="evil.test, api.example").json["url"] == "http://api.example/"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_Host": "a b"},
        {"X_Forwarded_Host": ""},
        {"X_Forwarded_Host": "user@evil.test"},
        {"X_Forwarded_Host": "evil.test/path"},
        {"X_Forwarded_Host": "a, b", "X_Forwarded_For": f"{CLIENT}, 10.0.0.3, 10.0.0.2"},
        {"X_Forwarded_Port": "0"},
        {"X_Forwarded_Port": "80a"},
        {"X_Forwarded_Prefix": "//evil.test"},
        {"X_Forwarded_Prefix": "v1"},
        {"X_Forwarded_Prefix": "/a/../b"},
    ],
)
def test_a_host_port_or_prefix_that_cannot_be_meant_is_refused(shown: App, headers: dict[str, str]) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_FORWARDED=ALL)
    response = ask(app, **{"X_Forwarded_For": CLIENT, **headers})
    assert (response.status_code, response.json["code"]) == (400, "request.malformed")
    assert not any(value in response.text for value in headers.values() if len(value) > 3)
    # Of a stranger it is removed, and nothing is wrong with the rest.
    assert ask(app, CLIENT, **headers).status_code == 200


def test_what_else_a_listed_proxy_says_reaches_the_app(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    headers = {name.replace("-", "_"): CLIENT for name in FORWARDING}
    fields = ask(app, **headers).json["fields"]
    assert [name for name in fields if "Forwarded" in name] == ["X-Forwarded-Client-Cert", "X-Forwarded-User"]
    assert not {"X-Real-Ip", "Cf-Connecting-Ip", "X-Original-Url", "Proxy"} & set(fields)


# RFC 7239.


@pytest.mark.parametrize(
    "field, peer, url",
    [
        (f"for={CLIENT};proto=https;host=api.example", CLIENT, "https://api.example/"),
        (f'FOR="{CLIENT}:4711";Proto="https"', CLIENT, "https://localhost/"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17", "http://localhost/"),
        (f"for={OTHER};proto=https, for={CLIENT};proto=http", CLIENT, "http://localhost/"),
        (f"for={CLIENT};proto=https, for=10.0.0.2;proto=http", CLIENT, "https://localhost/"),
        # What a client left open swallows nothing.
        (f'for="{OTHER}, for={CLIENT};proto=http', CLIENT, "http://localhost/"),
        (f'for={OTHER};host=", for={CLIENT}', CLIENT, "http://localhost/"),
        ("for=unknown;proto=https", PROXY, "http://localhost/"),
        ("for=_hidden", PROXY, "http://localhost/"),
        (f"for={CLIENT};for={OTHER};proto=https", PROXY, "http://localhost/"),
        ("proto=https", PROXY, "http://localhost/"),
        (f"for={CLIENT}, ;;", PROXY, "http://localhost/"),
        ("", PROXY, "http://localhost/"),
    ],
)
def test_forwarded_is_read_on_request(shown: App, field: str, peer: str, url: str) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_FORWARDED="forwarded")
    found = ask(
        app, Forwarded=field, X_Forwarded_For=OTHER, X_Forwarded_Proto="https", X_Forwarded_Host="evil.test"
    ).json
    assert (found["peer"], found["url"]) == (peer, url)


def test_one_kind_is_read_and_never_both(shown: App) -> None:
    # A proxy that writes the one passes on what a client wrote into the other.
    found = ask(shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8"), Forwarded=f"for={OTHER};proto=https").json
    assert (found["peer"], found["url"]) == (PROXY, "http://localhost/")
    with pytest.raises(ConfigError, match="stands alone"):
        shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_FORWARDED=["forwarded", "for"])


# Said twice.


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": "a.example,b.example"},
        {"HTTP_HOST": "a.example, a.example"},
        {"HTTP_CONTENT_LENGTH": "7"},
        {"HTTP_CONTENT_LENGTH": "7", "CONTENT_LENGTH": "0"},
        {"HTTP_CONTENT_TYPE": "text/html", "CONTENT_TYPE": "application/json"},
        # gunicorn#2650: a header named SCRIPT_NAME moves the app below a path of the client's choice.
        {"HTTP_SCRIPT_NAME": "/admin", "SCRIPT_NAME": "/admin", "gunicorn.socket": object()},
    ],
    ids=["two hosts", "one host twice", "a length", "two lengths", "two types", "a path"],
)
@pytest.mark.parametrize("config", [{}, {"RAMPART_TRUSTED_PROXIES": "10.0.0.0/8"}], ids=["alone", "with proxies"])
def test_what_says_one_thing_twice_is_refused(shown: App, config: dict[str, Any], environ: dict[str, Any]) -> None:
    app = shown(**config)
    for peer in (PROXY, CLIENT):
        response = ask(app, peer, environ)
        assert (response.status_code, response.json["code"]) == (400, "request.malformed")


def test_a_server_that_says_a_length_twice_alike_is_understood(shown: App) -> None:
    assert ask(shown(), CLIENT, {"HTTP_CONTENT_LENGTH": "0", "CONTENT_LENGTH": "0"}).status_code == 200


def test_a_path_that_a_server_did_not_take_is_only_removed(shown: App) -> None:
    found = ask(shown(), CLIENT, {"HTTP_SCRIPT_NAME": "/admin", "HTTP_PATH_INFO": "/admin"}).json
    assert (found["root"], found["fields"]) == ("", ["Host", "User-Agent"])


def test_a_listed_proxy_may_tell_gunicorn_the_prefix_where_that_is_read(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_FORWARDED=ALL)
    taken = {"HTTP_SCRIPT_NAME": "/v1", "SCRIPT_NAME": "/v1", "gunicorn.socket": object()}
    assert ask(app, PROXY, taken).json["root"] == "/v1"
    assert ask(app, CLIENT, taken).status_code == 400


# ProxyFix.


def test_proxyfix_alone_goes_on_working(shown: App, caplog: pytest.LogCaptureFixture) -> None:
    app = shown(RAMPART_LIMITS="1000/hour", RAMPART_TRUSTED_HOSTS="a.example")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    said = {
        "X_Forwarded_For": CLIENT,
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "a.example",
        "X_Forwarded_Prefix": "/v1",
    }
    found = ask(app, **said).json
    assert (found["peer"], found["url"]) == (CLIENT, "https://a.example/v1/")
    assert caplog.records == []


@pytest.mark.parametrize("late", [False, True], ids=["before Rampart", "after Rampart"])
def test_proxyfix_and_listed_proxies_find_the_same_client(
    shown: App, caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8") if late else None
    if app is None:
        from flask_rampart import Rampart

        app = shown(rampart=False)
        app.config.update(
            RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off"
        )
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        Rampart(app)
    else:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    for listed in (CLIENT, f"{OTHER}, {CLIENT}"):
        found = ask(app, X_Forwarded_For=listed, X_Forwarded_Proto="https, https").json
        assert (found["peer"], found["url"]) == (CLIENT, "https://localhost/")
    assert "do not agree" not in caplog.text


def test_where_they_disagree_the_list_counts_and_that_is_said_once(
    shown: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=2, x_host=1)  # type: ignore[method-assign]
    for _ in range(3):
        # One proxy, and two are counted: the client's own entry.
        found = ask(app, X_Forwarded_For=f"{OTHER}, {CLIENT}", X_Forwarded_Host="a.example").json
        # What is not read here, ProxyFix was told to read.
        assert (found["peer"], found["url"]) == (CLIENT, "http://a.example/")
    assert caplog.text.count("Remove ProxyFix") == 1
    # Whom nobody listed is believed in nothing, also where ProxyFix has believed it.
    found = ask(app, OTHER, X_Forwarded_For=f"{PROXY}, 9.9.9.9", X_Forwarded_Proto="https", X_Forwarded_Host="x").json
    assert (found["peer"], found["url"]) == (OTHER, "http://localhost/")


def test_a_unix_socket_is_known_beneath_proxyfix(shown: App) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="unix")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    for environ in ({"SERVER_PORT": "/run/app.sock"}, {"SERVER_PORT": "80"}):
        found = ask(app, "localhost", environ, X_Forwarded_For=f"{OTHER}, {CLIENT}").json
        assert found["peer"] == (CLIENT if environ["SERVER_PORT"] != "80" else "localhost")


def test_an_app_within_an_app_does_not_count_a_proxy_twice(shown: App) -> None:
    # express-rate-limit's ERR_ERL_DOUBLE_COUNT, of proxies.
    app = shown(RAMPART_TRUSTED_PROXIES=["10.0.0.0/8", "192.0.2.0/24"], RAMPART_PROXY_HOPS=1)
    inner = EdgePolicy.of({"RAMPART_TRUSTED_PROXIES": ["192.0.2.0/24"], "RAMPART_ACCESS_LOG": "off"}, name="inner")
    app.wsgi_app.app = RampartMiddleware(app.wsgi_app.app, inner)  # type: ignore[attr-defined]
    assert ask(app, X_Forwarded_For=f"{OTHER}, {CLIENT}").json["peer"] == CLIENT


def test_an_app_within_an_app_keeps_what_the_outer_ones_proxy_says(shown: App) -> None:
    # An authenticating proxy's word, which the outer app has found to be that of a listed one.
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    inner = EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="inner")
    app.wsgi_app.app = RampartMiddleware(app.wsgi_app.app, inner)  # type: ignore[attr-defined]
    said = {"X_Forwarded_For": CLIENT, "X_Forwarded_User": "ann"}
    assert "X-Forwarded-User" in ask(app, **said).json["fields"]
    found = ask(app, OTHER, **said).json
    assert (found["peer"], "X-Forwarded-User" in found["fields"]) == (OTHER, False)


def test_a_field_that_is_taken_from_the_app_is_told_of_also_where_nothing_is_limited(
    shown: App, caplog: pytest.LogCaptureFixture
) -> None:
    # An app may have read it itself until now.
    app = shown()
    for _ in range(2):
        assert "X-Real-Ip" not in ask(app, X_Real_IP=CLIENT).json["fields"]
    assert caplog.text.count("came with X-Real-Ip") == 1


# What goes by it.


def test_limits_and_bans_go_by_the_client_and_not_by_the_proxy(make_app: App) -> None:
    app = make_app(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    app.get("/")(limit("2/hour", ban="1 hour after 1")(lambda: "ok"))
    codes = [ask(app, X_Forwarded_For=f"203.0.113.{n}, {CLIENT}").status_code for n in range(5)]
    assert codes == [200, 200, 429, 429, 429]
    assert ask(app, X_Forwarded_For=OTHER).status_code == 200
    # Banned by address, however it comes.
    assert ask(app, f"::ffff:{CLIENT}").status_code == 429


def test_a_stranger_buys_no_freedom_from_bans_by_forwarding(make_app: App) -> None:
    app = make_app(RAMPART_TRUSTED_PROXIES="10.0.0.0/8")
    app.get("/")(limit("2/hour", ban="1 hour after 1")(lambda: "ok"))
    for n in range(6):
        response = ask(app, CLIENT, X_Forwarded_For=f"203.0.113.{n}, {PROXY}")
    assert response.json["code"] == "limit.banned"


# Told once.


def test_what_cannot_be_right_is_said_once_without_an_address(shown: App, caplog: pytest.LogCaptureFixture) -> None:
    app = shown(RAMPART_TRUSTED_PROXIES="10.0.0.0/8", RAMPART_PROXY_HOPS=2)
    for _ in range(3):
        ask(app, CLIENT, X_Forwarded_For=OTHER)
        ask(app, PROXY, X_Forwarded_For="unknown")
        ask(app, PROXY, X_Forwarded_For=CLIENT)
        ask(app, PROXY, X_Forwarded_For=f"{CLIENT}, 10.0.0.2")
        ask(app, PROXY, {"HTTP_HOST": "evil.test,b"})
    for words in (
        "that is not in RAMPART_TRUSTED_PROXIES, so it was removed",
        "the proxy itself counts as the peer",
        "through fewer proxies than RAMPART_PROXY_HOPS",
        "A request was refused, since it says two things in Host",
    ):
        assert caplog.text.count(words) == 1, words
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 4
    assert not any(text in caplog.text for text in (CLIENT, OTHER, PROXY, "evil.test"))


def test_a_name_of_the_peers_own_is_not_in_the_log(shown: App, caplog: pytest.LogCaptureFixture) -> None:
    app = shown(RAMPART_LIMITS="1000/hour")
    ask(app, CLIENT, X_Forwarded_Secretname="1")
    assert "came with X-Forwarded-*" in caplog.text
    assert "ecretname" not in caplog.text


# At the start.


@pytest.mark.parametrize(
    "config, text",
    [
        ({"RAMPART_PROXY_HOPS": 1}, "RAMPART_PROXY_HOPS needs RAMPART_TRUSTED_PROXIES"),
        ({"RAMPART_FORWARDED": "forwarded"}, "RAMPART_FORWARDED needs RAMPART_TRUSTED_PROXIES"),
        ({"RAMPART_TRUSTED_PROXIES": "unix", "RAMPART_PROXY_HOPS": 0}, "from 1 to 64"),
        ({"RAMPART_TRUSTED_PROXIES": "unix", "RAMPART_PROXY_HOPS": True}, "a whole number"),
        ({"RAMPART_TRUSTED_PROXIES": "unix", "RAMPART_FORWARDED": "protocol"}, "Did you mean proto"),
        ({"RAMPART_TRUSTED_PROXIES": "unix", "RAMPART_FORWARDED": []}, "not empty"),
        # express-rate-limit's ERR_ERL_PERMISSIVE_TRUST_PROXY, and its two halves.
        ({"RAMPART_TRUSTED_PROXIES": "0.0.0.0/0"}, "is everybody"),
        ({"RAMPART_TRUSTED_PROXIES": ["0.0.0.0/1", "128.0.0.0/1"]}, "together are everybody"),
        ({"RAMPART_TRUSTED_PROXIES": ["::/1", "unix", "8000::/2", "c000::/2"]}, "together are everybody"),
        ({"RAMPART_TRUSTED_PROXIES": "10.0.0.1/8"}, "host bits set"),
        ({"RAMPART_TRUSTED_PROXIES": "loopback"}, "is no network"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(make_app: App, config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_app(**config)


def test_a_network_that_is_wider_than_any_of_ours_is_said(make_app: App, caplog: pytest.LogCaptureFixture) -> None:
    make_app(RAMPART_TRUSTED_PROXIES=["10.0.0.0/8", "fd00::/20"])
    assert caplog.records == []
    make_app(RAMPART_TRUSTED_PROXIES="128.0.0.0/1")
    assert "more than any one network of yours" in caplog.text


def test_the_example_of_the_docs_runs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "proxies.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {"__name__": "proxies"}
    exec(compile(code, "proxies.md", "exec"), names)
    said = {"X_Forwarded_For": f"{OTHER}, {CLIENT}", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "api.example"}
    assert ask(names["app"], "10.0.0.1", **said).text == f"{CLIENT} came by https to api.example"
    assert ask(names["app"], "10.0.0.99", **said).text == "10.0.0.99 came by http to localhost"


# Whatever comes.

ENTRY = st.sampled_from(
    ["10.0.0.7", CLIENT, OTHER, "unknown", "", "::1", "[", '"', "x" * 99, "\u00e9", "fd00::1%\u00fc"]
)


@given(st.lists(ENTRY, max_size=8), st.sampled_from([PROXY, CLIENT, ""]), st.sampled_from(["for", "forwarded"]))
def test_whatever_comes_the_peer_is_the_socket_or_vouched_for_by_a_listed_proxy(
    entries: list[str], peer: str, kind: str
) -> None:
    text = ",".join(f"for={entry}" if kind == "forwarded" else entry for entry in entries)
    name = "HTTP_FORWARDED" if kind == "forwarded" else "HTTP_X_FORWARDED_FOR"
    environ = {"REMOTE_ADDR": peer, name: text, "wsgi.url_scheme": "http"}
    PeerRule(["10.0.0.0/8"], None, [kind]).settle(environ)
    found = environ["REMOTE_ADDR"]
    assert name not in environ
    if peer != PROXY or found == PROXY:
        assert found == peer
    else:
        # All to the right of it are listed.
        at = len(entries) - 1 - entries[::-1].index(found)
        assert all(entry.startswith("10.") for entry in entries[at + 1 :])
