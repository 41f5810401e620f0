"""Who the peer is on real servers: what each shows of repeated lines, underscores, Unix sockets and schemes.

The table of docs/proxies.md is what these tests find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .fronting import SERVERS, fronting

CLIENT, OTHER = "192.0.2.1", "203.0.113.9"
pytestmark = pytest.mark.servers
Fronted = Callable[..., Any]
BEHIND = {"RAMPART_TRUSTED_PROXIES": ["127.0.0.0/8"], "RAMPART_PROXY_HOPS": 1}


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    """A server of this kind with these settings; the same one for all who ask for it."""
    with ExitStack() as running:
        found: dict[str, Any] = {}

        def give(name: str, *, unix: bool = False, **settings: Any) -> Any:
            asked = f"{name} {unix} {settings}"
            if asked not in found:
                folder = tmp_path_factory.mktemp("fronted")
                found[asked] = running.enter_context(fronting(folder, name, unix=unix, **settings))
            return found[asked]

        yield give


@pytest.mark.parametrize("name", SERVERS)
def test_behind_a_listed_proxy_the_peer_is_whom_it_names(fronted: Fronted, name: str) -> None:
    server = fronted(name, **BEHIND)
    for lines, peer in [
        ([f"X-Forwarded-For: {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {OTHER}, {CLIENT}"], CLIENT),
        # GHSA-8xvm-856x-7hwp: a proxy that adds a line of its own, after the client's.
        ([f"X-Forwarded-For: {OTHER}", f"x-forwarded-for: {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {OTHER}", "X-Other: x", f"X-Forwarded-For: 9.9.9.9,  {CLIENT}:80"], CLIENT),
        ([f"X-Forwarded-For: {OTHER}", "X-Forwarded-For: unknown"], "127.0.0.1"),
        ([f"X-Forwarded-For: {OTHER}", "X-Forwarded-For:"], "127.0.0.1"),
        ([], "127.0.0.1"),
    ]:
        status, shown = server.ask(*lines)
        assert (status, shown["REMOTE_ADDR"], shown["HTTP_X_FORWARDED_FOR"]) == (200, peer, None), lines
    for lines, scheme in [
        (["X-Forwarded-Proto: https"], "https"),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], "http"),
        (["X-Forwarded-Proto: https, http"], "http"),
        ([], "http"),
    ]:
        status, shown = server.ask(f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Host: evil.test", *lines)
        if name == "gunicorn" and len(lines) == 2:
            assert status == 400  # it refuses two lines that do not agree
            continue
        assert shown["url"] == f"{scheme}://localhost/", lines


@pytest.mark.parametrize("name", SERVERS)
def test_whom_nobody_listed_is_believed_in_nothing(fronted: Fronted, name: str) -> None:
    # gunicorn believes 127.0.0.1 of the scheme by itself, and uWSGI anybody.
    server = fronted(name, RAMPART_TRUSTED_PROXIES=["10.0.0.0/8"])
    forged = [f"X-Forwarded-For: {OTHER}", "X-Forwarded-Host: evil.test", f"X-Real-IP: {OTHER}"]
    for lines in (forged, [*forged, "X-Forwarded-Proto: https"], [*forged, "X-Forwarded-Ssl: on"]):
        status, shown = server.ask(*lines)
        if status == 400:
            assert name == "gunicorn"  # two fields of the scheme that do not agree
            continue
        assert (shown["REMOTE_ADDR"], shown["url"]) == ("127.0.0.1", "http://localhost/"), lines
        assert shown["HTTP_X_FORWARDED_FOR"] is None


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("listed", ["unix", "127.0.0.1"])
def test_a_unix_socket_is_a_proxy_where_it_is_listed(fronted: Fronted, name: str, listed: str) -> None:
    # GHSA-634g-4wr8-xwxv: each server calls a Unix socket otherwise, and none of them gives an address.
    server = fronted(name, unix=True, RAMPART_TRUSTED_PROXIES=[listed])
    status, shown = server.ask(f"X-Forwarded-For: {OTHER}, {CLIENT}", "X-Forwarded-Proto: https")
    expected = (CLIENT, "https://localhost/") if listed == "unix" else ("", "http://localhost/")
    assert (status, shown["REMOTE_ADDR"], shown["url"]) == (200, *expected)
    assert server.ask()[1]["REMOTE_ADDR"] == ""


@pytest.mark.parametrize(
    "name, alone, after, before",
    [
        # What of `X_Forwarded_For: OTHER` is seen: alone, after a proxy's own line, and before it.
        ("gunicorn", "127.0.0.1", CLIENT, CLIENT),
        ("waitress", "127.0.0.1", CLIENT, CLIENT),
        ("uwsgi", OTHER, OTHER, CLIENT),
        ("granian", OTHER, OTHER, CLIENT),
    ],
)
def test_names_with_underscores_are_told_apart_by_some_servers_alone(
    fronted: Fronted, name: str, alone: str, after: str, before: str
) -> None:
    # CVE-2025-64484. Behind uWSGI and granian nobody can tell them apart: the proxy has to drop them (docs/proxies.md).
    # Should one of them learn it, this says so.
    server = fronted(name, **BEHIND)
    forged, true_one = f"X_Forwarded_For: {OTHER}", f"X-Forwarded-For: {CLIENT}"
    found = [server.ask(*lines)[1]["REMOTE_ADDR"] for lines in ([forged], [true_one, forged], [forged, true_one])]
    assert found == [alone, after, before]


@pytest.mark.parametrize("name", SERVERS)
def test_what_says_one_thing_twice_is_refused_by_the_server_or_by_us(fronted: Fronted, name: str) -> None:
    server = fronted(name)
    post = "POST / HTTP/1.1"
    for first, host, lines in [
        ("GET / HTTP/1.1", "a.example", ["Host: b.example"]),
        ("GET / HTTP/1.1", "a.example", ["Host: a.example"]),
        ("GET / HTTP/1.1", "a.example,b.example", []),
        (post, "a.example", ["Content-Length: 0", "Content-Length: 7"]),
    ]:
        assert server.ask(*lines, first=first, host=host)[0] == 400, (first, host, lines)
    # One that looks like it: dropped by gunicorn and waitress, refused by us behind the others.
    status, shown = server.ask("Content-Length: 0", "Content_Length: 7", first=post)
    assert status == 400 or shown["CONTENT_LENGTH"] == "0"
    # Two credentials are never taken for one that is good.
    status, shown = server.ask("Authorization: Bearer a", "Authorization: Bearer b")
    assert status == 400 or shown["HTTP_AUTHORIZATION"].replace(" ", "") == "Bearera,Bearerb"


@pytest.mark.parametrize("name", SERVERS)
def test_a_header_does_not_move_the_app_below_another_path(fronted: Fronted, name: str) -> None:
    # gunicorn#2650: SCRIPT_NAME of a peer that gunicorn believes, whatever we believe of it.
    server = fronted(name)
    status, shown = server.ask("SCRIPT_NAME: /admin", first="GET /admin/x HTTP/1.1")
    if name == "gunicorn":
        assert (status, shown["code"]) == (400, "request.malformed")
    else:
        assert (shown["SCRIPT_NAME"], shown["PATH_INFO"]) == ("", "/admin/x")
