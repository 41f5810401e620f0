"""Outbound: requests and httpx, over real sockets, to servers that must or must not be reached."""

from __future__ import annotations

import builtins
import gzip
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from flask_rampart import ConfigError
from flask_rampart.outbound import OutboundRefused, client, session

from .outgoing import Place, certified, place, say

MAKERS = pytest.mark.parametrize("make", [session, client], ids=["requests", "httpx"])
FAILED = (requests.RequestException, httpx.HTTPError, httpx.InvalidURL)


@pytest.fixture
def there() -> Iterator[Place]:
    with place() as found:
        yield found


def names(**known: str) -> Callable[[str, int], list[str]]:
    """A name server; ``a__example`` is ``a.example``."""
    found = {name.replace("__", "."): address for name, address in known.items()}
    return lambda host, port: [found[host]]


def open_to(*places: Place, **rules: Any) -> dict[str, Any]:
    """Rules under which these places may be called, by 127.0.0.1 alone."""
    return {
        "schemes": ("http", "https"),
        "ports": [each.port for each in places],
        "allow_networks": ["127.0.0.1/32"],
        "resolver": names(a__example="127.0.0.1", inside__example="127.0.0.2"),
        **rules,
    }


@MAKERS
def test_a_call_goes_to_the_judged_address_under_its_own_name(make: Any, there: Place) -> None:
    with make(**open_to(there)) as calling:
        answer = calling.get(f"http://A.example:{there.port}/x?y=1#z")
    assert (answer.status_code, answer.text) == (200, "hello")
    assert there.seen == [("/x?y=1", f"a.example:{there.port}")]


@MAKERS
def test_a_second_answer_of_the_name_server_leads_nowhere(make: Any, there: Place) -> None:
    # DNS rebinding: public when it is judged, this host when it is called.
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1" if len(asked) == 1 else "127.0.0.1"]

    rules = open_to(there, resolver=resolver, allow_networks=["192.0.2.0/24"], timeout=0.3)
    with make(**rules) as calling:
        with pytest.raises((*FAILED, OutboundRefused)):
            calling.get(f"http://a.example:{there.port}/")
        assert asked == ["a.example"]
        with pytest.raises(OutboundRefused, match="loopback"):
            calling.get(f"http://a.example:{there.port}/")
    assert there.opened == 0


@MAKERS
@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("http://127.0.0.2:{port}/", "address"),
        ("http://inside.example:{port}/", "address"),
        ("//127.0.0.2:{port}/", "address"),
        ("http://[::1]:{port}/", "address"),
        ("http://[::ffff:127.0.0.2]:{port}/", "address"),
        ("http://2130706434:{port}/", "url"),
        ("http://127.2:{port}/", "url"),
        ("http://a.example@127.0.0.2:{port}/", "url"),
        ("http://a.example:1/", "port"),
        ("http://169.254.169.254:{port}/latest/meta-data/", "address: metadata"),
        ("http://metadata.google.internal:{port}/", "host"),
    ],
)
def test_a_redirect_is_judged_as_its_own_call(make: Any, there: Place, location: str, rule: str) -> None:
    there.answer = lambda to: say(to, b"", 302, Location=location.format(port=there.port))
    with make(**open_to(there), max_redirects=3) as calling, pytest.raises(OutboundRefused) as caught:
        calling.get(f"http://a.example:{there.port}/")
    assert caught.value.rule.startswith(rule)
    assert len(there.seen) == 1


@MAKERS
@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "data:,x", "javascript:x"])
def test_a_redirect_to_another_kind_of_place_is_not_followed(make: Any, there: Place, location: str) -> None:
    there.answer = lambda to: say(to, b"", 302, Location=location)
    with make(**open_to(there), max_redirects=3) as calling, pytest.raises((OutboundRefused, *FAILED)):
        calling.get(f"http://a.example:{there.port}/")
    assert len(there.seen) == 1


@MAKERS
def test_a_redirect_from_https_to_http_is_refused_where_http_is_not_listed(
    make: Any, there: Place, tmp_path: Path
) -> None:
    pem, context = certified(tmp_path, "a.example")
    with place(context) as secure:
        secure.answer = lambda to: say(to, b"", 302, Location=f"http://a.example:{there.port}/")
        rules = open_to(there, secure, schemes=("https",), max_redirects=3)
        with trusting(make, pem, rules) as calling, pytest.raises(OutboundRefused) as caught:
            calling.get(f"https://a.example:{secure.port}/")
    assert caught.value.rule == "scheme" and there.opened == 0


@MAKERS
def test_redirects_are_followed_so_far_and_no_further(make: Any, there: Place) -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        left = int(to.path[1:])
        say(to, b"end", 302 if left else 200, **({"Location": f"/{left - 1}"} if left else {}))

    there.answer = answer
    with make(**open_to(there), max_redirects=2) as calling:
        assert calling.get(f"http://a.example:{there.port}/2").text == "end"
        with pytest.raises((requests.TooManyRedirects, httpx.TooManyRedirects)):
            calling.get(f"http://a.example:{there.port}/3")
    with make(**open_to(there), max_redirects=0) as calling:
        assert calling.get(f"http://a.example:{there.port}/1").status_code == 302


@MAKERS
def test_no_proxy_or_password_of_the_environment_is_used(
    make: Any, there: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    passwords = tmp_path / "netrc"
    passwords.write_text("machine a.example login ada password hunter2\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("NETRC", str(passwords))
    given: list[str | None] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        given.append(to.headers["Authorization"])
        say(to, b"hello")

    there.answer = answer
    with make(**open_to(there)) as calling:
        assert calling.get(f"http://a.example:{there.port}/").text == "hello"
    assert given == [None]


def test_a_proxy_and_unchecked_certificates_are_configuration_errors(there: Place) -> None:
    url = f"http://a.example:{there.port}/"
    with session(**open_to(there)) as calling:
        with pytest.raises(ConfigError, match="proxy"):
            calling.get(url, proxies={"http": "http://127.0.0.1:9"})
        with pytest.raises(ConfigError, match="certificates"):
            calling.get(url, verify=False)
    assert there.opened == 0


# Bounds


@MAKERS
def test_an_answer_that_is_too_large_is_not_read_to_its_end(make: Any, there: Place) -> None:
    sent: list[int] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Connection", "close")
        to.end_headers()
        to.close_connection = True
        for _ in range(2_000):
            to.wfile.write(b"x" * 16_384)
            sent.append(16_384)

    there.answer = answer
    with make(**open_to(there), max_bytes=100_000) as calling:
        with pytest.raises(OutboundRefused) as caught:
            _ = calling.get(f"http://a.example:{there.port}/").content
        assert caught.value.rule == "size"
    there.answer = lambda to: say(to, b"x" * 90_000)
    with make(**open_to(there), max_bytes=100_000) as calling:
        for _ in range(3):
            assert len(calling.get(f"http://a.example:{there.port}/").content) == 90_000
    assert sum(sent) < 2_000 * 16_384


@MAKERS
@pytest.mark.parametrize("where", ["head", "body", "nothing"])
def test_a_call_ends_at_its_deadline_however_slowly_the_answer_drips(make: Any, there: Place, where: str) -> None:
    stop = threading.Event()

    def answer(to: BaseHTTPRequestHandler) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n" + (b"\r\n" if where == "body" else b"X: ")
        for byte in b"" if where == "nothing" else head + b"y" * 4_000:
            to.wfile.write(bytes([byte]))
            if stop.wait(0.01):
                return
        stop.wait(10)

    there.answer = answer
    begun = time.monotonic()
    try:
        with make(**open_to(there), timeout=0.4) as calling, pytest.raises(FAILED):
            _ = calling.get(f"http://a.example:{there.port}/").content
    finally:
        stop.set()
    assert 0.3 < time.monotonic() - begun < 5


@MAKERS
def test_each_call_of_a_session_has_a_deadline_of_its_own(make: Any, there: Place) -> None:
    clock = time.monotonic

    with make(**open_to(there), timeout=60) as calling:
        assert calling.get(f"http://a.example:{there.port}/").text == "hello"
        # An hour later, over a connection that may have been kept.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flask_rampart.outbound.rules.time.monotonic", lambda: clock() + 3600)
            assert calling.get(f"http://a.example:{there.port}/").text == "hello"


@MAKERS
def test_a_compressed_answer_is_not_taken(make: Any, there: Place) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    asked: list[str | None] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        asked.append(to.headers["Accept-Encoding"])
        say(to, bomb, Content_Encoding="gzip")

    there.answer = answer
    with make(**open_to(there)) as calling, pytest.raises(OutboundRefused) as caught:
        calling.get(f"http://a.example:{there.port}/")
    assert caught.value.rule == "coding" and asked == ["identity"]


# Certificates


def trusting(make: Any, pem: Path, rules: dict[str, Any]) -> Any:
    if make is client:
        return client(**rules, cafile=str(pem))
    found = session(**rules)
    found.verify = str(pem)
    return found


@MAKERS
def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(make: Any, tmp_path: Path) -> None:
    pem, context = certified(tmp_path, "a.example", "127.0.0.2")
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    with place(context) as secure:
        rules = open_to(secure, resolver=names(a__example="127.0.0.1", b__example="127.0.0.1"))
        with trusting(make, pem, rules) as calling:
            assert calling.get(f"https://a.example:{secure.port}/").text == "hello"
            assert calling.get(f"https://a.example:{secure.port}/").text == "hello"
            with pytest.raises(FAILED, match=r"(?i)certificate"):
                calling.get(f"https://b.example:{secure.port}/")
        assert set(named) == {"a.example", "b.example"}
        assert secure.seen == [("/", f"a.example:{secure.port}")] * 2
        with make(**rules) as calling, pytest.raises(FAILED, match=r"(?i)certificate"):
            calling.get(f"https://a.example:{secure.port}/")


@MAKERS
def test_the_deadline_holds_for_the_handshake_too(make: Any, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        rules: dict[str, Any] = {
            "ports": [port],
            "allow_networks": ["127.0.0.1/32"],
            "resolver": names(a__example="127.0.0.1"),
        }
        with make(**rules, timeout=0.3) as calling, pytest.raises(FAILED):
            calling.get(f"https://a.example:{port}/")
        assert time.monotonic() - begun < 5


@MAKERS
def test_the_keys_of_a_connection_are_not_given_away(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, context = certified(tmp_path, "a.example")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    with place(context) as secure, trusting(make, pem, open_to(secure)) as calling:
        calling.get(f"https://a.example:{secure.port}/")
    assert not (tmp_path / "keys.log").exists()


# Without the libraries


@pytest.mark.parametrize(("make", "missing"), [(session, "requests"), (client, "httpx")])
def test_a_library_that_is_missing_is_a_configuration_error_with_the_cure(
    make: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(name=missing)
        return found(name, *rest)

    monkeypatch.delitem(sys.modules, f"flask_rampart.outbound.for_{missing}", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=f"pip install {missing}"):
        make()


@MAKERS
@pytest.mark.parametrize("wrong", [{"max_bytes": 0}, {"max_bytes": 1.5}, {"max_redirects": -1}, {"timeout": None}])
def test_bounds_cannot_be_left_out(make: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make(**wrong)


@MAKERS
def test_threads_may_share_one(make: Any, there: Place) -> None:
    found: list[str] = []
    with make(**open_to(there)) as calling:
        threads = [
            threading.Thread(target=lambda: found.append(calling.get(f"http://a.example:{there.port}/").text))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert found == ["hello"] * 8
