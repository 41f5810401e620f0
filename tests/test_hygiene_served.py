"""Heads that are written to real servers as they stand: what each of them shows, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .heading import MAKES, answer_of, request_of, standing, status_of, statuses_of

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=MAKES, name="server")
def running_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """The make of a server, and its port."""
    with standing(tmp_path_factory.mktemp("heads"), request.param) as port:
        yield request.param, port


NOT_SEEN = {
    # It shows no target. `docs/hygiene.md` says so; when this fails, that it does can be said.
    "granian": {"encoded slash", "fragment", "other host"},
    # It reads bytes as Latin-1, and goes by the host of the target, as RFC 9112 section 3.2.2 has it.
    "werkzeug": {"byte", "other host"},
    # It takes every `chunked` off before anybody sees it, and the field with it.
    "waitress": {"twice chunked"},
}
BAD = {
    "encoded slash": request_of("/a%2fb"),
    "encoded backslash": request_of("/a%5cb"),
    "encoded NUL": request_of("/a%00b"),
    "encoded line": request_of("/a%0d%0aX:%20y"),
    "parent": request_of("/public/../secret"),
    "encoded parent": request_of("/public/%2e%2e/secret"),
    "overlong": request_of("/%c0%ae%c0%ae/secret"),
    "backslash": request_of("/a\\b"),
    "control": request_of("/a\x01b"),
    "NUL": request_of("/a\0b"),
    "byte": request_of("/\xff"),
    "other host": request_of("http://evil.example/secret"),
    "fragment": request_of("/a#b"),
    "space": request_of("/a b"),
    "trace": request_of("/", "TRACE"),
    "track": request_of("/", "TRACK"),
    "connect": request_of("x:443", "CONNECT"),
    "lower": request_of("/", "get"),
    "unknown": request_of("/", "PROPFIND"),
    "long": request_of("/", "A" * 40),
    "expect": request_of("/", "GET", "Expect: 200-ok"),
    "list of lengths": request_of("/", "POST", "Content-Length: 5, 5", body=b"hello"),
    "signed length": request_of("/", "POST", "Content-Length: +5", body=b"hello"),
    "length in hex": request_of("/", "POST", "Content-Length: 0x5", body=b"hello"),
    "two lengths": request_of("/", "POST", "Content-Length: 5", "Content-Length: 6", body=b"hello"),
    "identity": request_of("/", "POST", "Transfer-Encoding: identity", body=b"hello"),
    "xchunked": request_of("/", "POST", "Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "twice chunked": request_of("/", "POST", "Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_head_that_is_read_in_two_ways_reaches_no_view(server: tuple[str, int], what: str) -> None:
    make, port = server
    answer = answer_of(port, BAD[what])
    if what in NOT_SEEN.get(make, ()):
        assert status_of(answer) == 200
        return
    # Some servers refuse it themselves, or hang up.
    assert status_of(answer) in (0, 400, 417, 501)
    assert b"marker" not in answer
    assert len(statuses_of(answer)) <= 1


@pytest.mark.parametrize("target", ["admin", "example.com:443", "//evil.example/x"])
def test_a_target_of_no_form_is_no_other_path(server: tuple[str, int], target: str) -> None:
    make, port = server
    answer = answer_of(port, request_of(target))
    if make == "granian" and not target.startswith("/"):
        # The path of such a target is empty there, which Flask sends on to the root.
        assert status_of(answer) == 308
        assert b"marker" not in answer
    elif make == "werkzeug" and target.startswith("/"):
        # It takes off all but one slash of both, before anybody sees them.
        assert b"marker:GET:evil.example/x:" in answer
    else:
        assert status_of(answer) == 400
        assert b"marker" not in answer


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (request_of("/a/b?q=%2f%00..%5c"), b"marker:GET:a/b:"),
        (request_of("/a%20b"), b"marker:GET:a b:"),
        (request_of("/%252e%252e/x"), b"marker:GET:%2e%2e/x:"),
        (request_of("/caf%c3%a9"), "marker:GET:caf\u00e9:".encode()),
        (request_of("/", "POST", "Content-Length: 5", body=b"hello"), b"marker:POST::hello:"),
        (request_of("/", "GET", "Content-Length: 5", body=b"hello"), b"marker:GET::hello:"),
        (request_of("/", "POST", "X-HTTP-Method-Override: DELETE", "Content-Length: 0"), b"marker:POST:::"),
        (request_of("/", "GET", "Proxy: http://evil.example"), b"marker:GET:::;"),
    ],
    ids=["query", "space", "twice encoded", "UTF-8", "body", "body of a GET", "override", "proxy"],
)
def test_a_head_of_one_meaning_is_answered(server: tuple[str, int], data: bytes, shown: bytes) -> None:
    _, port = server
    answer = answer_of(port, data)
    assert status_of(answer) == 200
    assert shown in answer


INNER = request_of("/smuggled", close=False)
CHUNKED = b"0\r\n\r\n" + INNER
SMUGGLING = {
    # CVE-2024-1135 (gunicorn before 22): several codings, the last of which is not chunked, or several fields.
    "chunked, identity": (("Transfer-Encoding: chunked, identity",), CHUNKED),
    "two fields": (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), CHUNKED),
    "both": (("Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}"), CHUNKED),
    "short length": (("Content-Length: 5", "Transfer-Encoding: chunked"), CHUNKED),
    # CVE-2024-6827 (gunicorn before 23): a value of Transfer-Encoding that is not checked, so that the length counts.
    "xchunked": (("Transfer-Encoding: xchunked", "Content-Length: 0"), INNER),
    "vertical tab": (("Transfer-Encoding: \x0bchunked", "Content-Length: 0"), INNER),
    "quoted": (('Transfer-Encoding: "chunked"', "Content-Length: 0"), INNER),
    "space before the colon": (("Transfer-Encoding : chunked", "Content-Length: 0"), INNER),
    "empty coding": (("Transfer-Encoding:", "Content-Length: 0x0"), INNER),
    "two lengths": (("Content-Length: 0", f"Content-Length: {len(INNER)}"), INNER),
    "list of lengths": ((f"Content-Length: 0, {len(INNER)}",), INNER),
    "signed length": ((f"Content-Length: +{len(INNER)}",), INNER),
}


@pytest.mark.parametrize("what", SMUGGLING)
def test_what_is_smuggled_in_a_body_is_no_request(server: tuple[str, int], what: str) -> None:
    # CWE-444. A proxy that reads the other framing has sent one request, and must get one answer.
    make, port = server
    fields, body = SMUGGLING[what]
    answer = answer_of(port, request_of("/", "POST", *fields, body=body, close=False))
    if make == "waitress" and what in ("both", "short length"):
        # It goes by the coding, takes it off, and keeps the connection: only a proxy can refuse this in front of it.
        assert statuses_of(answer) == [200, 200]
        return
    assert b"marker:GET:smuggled" not in answer
    assert len(statuses_of(answer)) <= 1
