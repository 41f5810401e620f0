"""Outbound: what a stranger's server is given, leaves behind, or holds up; and how an app takes the guard away itself."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter

from flask_rampart import ConfigError
from flask_rampart.outbound import OutboundRefused, client, session

from .outgoing import Place, place, say

MAKERS = pytest.mark.parametrize("make", [session, client], ids=["requests", "httpx"])


@pytest.fixture
def there() -> Iterator[Place]:
    with place() as found:
        yield found


def open_to(*ports: int, **rules: Any) -> dict[str, Any]:
    """Rules under which these ports of this host may be called, under any name."""
    return {
        "schemes": ("http",),
        "ports": ports,
        "allow_networks": ["127.0.0.1/32"],
        "resolver": lambda host, port: ["127.0.0.1"],
        **rules,
    }


def recording(there: Place, answer: Callable[[BaseHTTPRequestHandler], None]) -> list[dict[str, str]]:
    """The fields of each request that comes, with lower-case names."""
    found: list[dict[str, str]] = []

    def both(to: BaseHTTPRequestHandler) -> None:
        found.append({name.lower(): value for name, value in to.headers.items()})
        answer(to)

    there.answer = both
    return found


# An adapter of one's own is the recipe for retries, and would quietly be all of the guard's end.
@pytest.mark.parametrize("prefix", ["https://", "http://", "http://a.example", ""])
def test_an_adapter_of_the_apps_own_cannot_be_mounted(there: Place, prefix: str) -> None:
    with session(**open_to(there.port)) as calling:
        with pytest.raises(ConfigError, match="max_retries"):
            calling.mount(prefix, HTTPAdapter(max_retries=3))
        calling.get_adapter("http://a.example/").max_retries = requests.adapters.Retry(2)  # type: ignore[attr-defined]
        assert calling.get(f"http://a.example:{there.port}/").text == "hello"
        with pytest.raises(OutboundRefused):
            calling.get(f"http://127.0.0.2:{there.port}/")


def test_a_stranger_does_not_say_how_long_to_sleep_before_another_try(there: Place) -> None:
    there.answer = lambda to: say(to, b"", 503, Retry_After="3600")
    begun = time.monotonic()
    with session(**open_to(there.port)) as calling:
        for retries in (2, requests.adapters.Retry(2)):
            calling.get_adapter("http://a.example/").max_retries = retries  # type: ignore[attr-defined]
            assert calling.get(f"http://a.example:{there.port}/").status_code == 503
    assert time.monotonic() - begun < 60


@MAKERS
def test_what_a_stranger_would_have_remembered_is_forgotten(make: Any, there: Place) -> None:
    seen = recording(there, lambda to: say(to, b"", Set_Cookie="who=you; Domain=a.example; Path=/"))
    with make(**open_to(there.port)) as calling:
        answer = calling.get(f"http://a.example:{there.port}/")
        assert answer.cookies["who"] == "you"
        calling.get(f"http://a.example:{there.port}/")
        assert not list(calling.cookies)
        calling.cookies.set("mine", "1", domain="a.example")
        calling.get(f"http://a.example:{there.port}/")
        calling.get(f"http://b.example:{there.port}/")
    assert [fields.get("cookie") for fields in seen] == [None, None, "mine=1", None]


def test_a_redirect_to_another_site_takes_no_secret_along(there: Place) -> None:
    # CVE-2018-18074 was Authorization; keys and signatures have names of their own.
    def answer(to: BaseHTTPRequestHandler) -> None:
        to_other = to.headers["Host"].startswith("a.example") and to.path == "/2"
        on = f"http://b.example:{there.port}/1" if to_other else {"/3": "/2", "/1": "/0"}.get(to.path)
        say(to, b"", 307 if on else 200, **({"Location": on} if on else {}))

    seen = recording(there, answer)
    secret = {"X-Api-Key": "hunter2", "X-Signature": "hunter2", "Authorization": "Bearer hunter2"}
    with session(**open_to(there.port)) as calling:
        calling.get(
            f"http://a.example:{there.port}/3",
            headers={**secret, "Accept": "image/png", "If-None-Match": '"x"'},
            cookies={"session": "hunter2"},
        )
    assert [("hunter2" in str(fields), len(fields)) for fields in seen[:2]] == [(True, len(seen[0]))] * 2
    assert len(seen) == 4 and not [fields for fields in seen[2:] if "hunter2" in str(fields)]
    assert {(fields["accept"], fields["if-none-match"], fields["accept-encoding"]) for fields in seen} == {
        ("image/png", '"x"', "identity")
    }


@MAKERS
def test_a_call_ends_at_its_deadline_however_slowly_it_is_listened_to(make: Any) -> None:
    stop = threading.Event()

    def listen(server: socket.socket) -> None:
        with server.accept()[0] as caller:
            while not stop.wait(0.01) and caller.recv(65_536):
                pass

    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        thread = threading.Thread(target=listen, args=(server,), daemon=True)
        thread.start()
        begun = time.monotonic()
        try:
            with make(**open_to(port), timeout=0.8) as calling:
                with pytest.raises((requests.RequestException, httpx.TransportError)):
                    given = {"data" if make is session else "content": b"x" * 64_000_000}
                    calling.post(f"http://a.example:{port}/", **given)
                assert time.monotonic() - begun < 5
        finally:
            stop.set()
            thread.join(10)


@MAKERS
@pytest.mark.parametrize("length", ["1001", "0" * 50 + "1001", "9" * 20, "9" * 5000], ids=len)
def test_an_answer_that_is_announced_too_large_is_not_begun(make: Any, there: Place, length: str) -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n")

    there.answer = answer
    with make(**open_to(there.port), max_bytes=1000) as calling:
        with pytest.raises((OutboundRefused, httpx.RemoteProtocolError)) as caught:
            calling.get(f"http://a.example:{there.port}/")
        # h11 itself takes no length of more than twenty digits.
        assert getattr(caught.value, "rule", "size") == "size" and (
            make is client or type(caught.value) is OutboundRefused
        )


@MAKERS
def test_an_answer_without_a_body_may_announce_any_length(make: Any, there: Place) -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")

    there.answer = answer
    with make(**open_to(there.port), max_bytes=1000) as calling:
        assert calling.head(f"http://a.example:{there.port}/").headers["Content-Length"] == "2000"


def test_a_refusal_comes_whole_from_another_process() -> None:
    refused = pickle.loads(pickle.dumps(OutboundRefused("address: loopback", "a.example has the address ::1")))
    assert (str(refused), refused.rule) == ("address: loopback: a.example has the address ::1", "address: loopback")


@MAKERS
def test_what_is_refused_takes_no_place_among_the_connections(make: Any, there: Place) -> None:
    there.answer = lambda to: say(to, b"x" * 900, **({"Content_Encoding": "gzip"} if to.path == "/gzip" else {}))
    with make(**open_to(there.port), timeout=2, max_bytes=1_000) as calling:
        for url in ("http://127.0.0.2:{}/", "http://a.example:{}/gzip", "http://a.example:{}/"):
            for _ in range(110):
                with pytest.raises(OutboundRefused):
                    calling.get(url.format(there.port))
        there.answer = lambda to: say(to, b"hello")
        assert calling.get(f"http://a.example:{there.port}/").text == "hello"
