"""Bounds on a real gunicorn: what it shows of heads, bodies and codings, and what it does with bodies that nobody read."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path

import pytest

from .serving import serving
from .test_bounds import large


def test_a_real_server_shows_heads_bodies_and_codings_as_the_edge_reads_them(tmp_path: Path) -> None:
    views = """
    from flask_rampart import bounds
    app.config.update(RAMPART_MAX_BODY=1000, RAMPART_MAX_HEADERS=20, RAMPART_REQUEST_CODINGS="gzip")
    Rampart(app)
    app.add_url_rule("/plain", "plain", lambda: str(len(request.get_data())), methods=["POST"])
    large = bounds(max_body=5000)(lambda: str(len(request.get_data())))
    app.add_url_rule("/large", "large", large, methods=["POST"])
    app.add_url_rule("/json", "json", lambda: str(request.get_json()), methods=["POST"])
    """
    with serving(tmp_path, views) as served:
        coded = gzip.compress(large(1000))
        for path, body, fields, status in [
            ("/plain", large(1000), {}, 200),
            ("/plain", large(1001), {}, 413),
            ("/large", large(5000), {}, 200),
            ("/large", large(5001), {}, 413),
            ("/plain", coded, {"Content-Encoding": "gzip"}, 200),
            ("/plain", gzip.compress(large(1001)), {"Content-Encoding": "gzip"}, 413),
            ("/plain", coded[:-1], {"Content-Encoding": "gzip"}, 400),
            ("/plain", coded, {"Content-Encoding": "br"}, 415),
            ("/json", b"[" * 900, {"Content-Type": "application/json"}, 400),
            ("/json", b'{"a":1,"a":2}', {"Content-Type": "application/json"}, 400),
        ]:
            assert served.ask("POST", path, body=body, **fields)[0] == status, (path, fields)
        many = [f"X-{number}: y" for number in range(30)]
        assert served.raw("GET /ready HTTP/1.1", "Host: x", *many) == 431
        assert served.raw("GET /ready HTTP/1.1", "Host: x", *many[:10]) == 200
        # Sent in chunks, with a trailer; what follows the coded body in a chunk of its own is noticed.
        chunk = b"%x\r\n%b\r\n"
        for parts, trailer, status in [
            ([coded[:9], coded[9:]], b"X-Trailer: y\r\n", 200),
            ([coded, b"more"], b"", 400),
            ([coded[:9]], b"", 400),
        ]:
            data = b"".join(chunk % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"
            lines = ["POST /plain HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Content-Encoding: gzip"]
            assert raw(served.port, lines, data) == status


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_what_is_refused_or_not_read_is_never_taken_for_the_next_request(tmp_path: Path, worker: str) -> None:
    # CWE-444: what is left unread of a body must not be the next request of its connection.
    views = """
    from flask_rampart import bounds
    app.config.update(RAMPART_MAX_BODY=1000, RAMPART_REQUEST_CODINGS="gzip")
    Rampart(app)
    app.add_url_rule("/plain", "plain", lambda: str(len(request.get_data())), methods=["POST"])
    app.add_url_rule("/unread", "unread", lambda: "unread", methods=["POST"])
    large = bounds(max_body=5000)(lambda: "large")
    app.add_url_rule("/large", "large", large, methods=["POST"])
    typed = bounds(content_types="application/json")(lambda: "typed")
    app.add_url_rule("/typed", "typed", typed, methods=["GET", "POST"])
    app.add_url_rule("/smuggled", "smuggled", lambda: "smuggled")
    """
    inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    last = "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    threads = ("--threads", "2") if worker == "gthread" else ()
    with serving(tmp_path, views, "--keep-alive", "5", "--worker-class", worker, *threads) as served:
        assert served.ask("GET", "/typed")[0] == 200
        assert served.ask("GET", "/typed", **{"Content-Type": "text/plain"})[0] == 200
        for path, size, fields, with_length, in_chunks in [
            ("/plain", 2000, "", 413, 413),  # by the route
            ("/plain", 6000, "", 413, 413),  # by the edge
            ("/no-such", 2000, "", 413, 404),
            ("/unread", 100, "", 200, 200),
            ("/large", 4000, "", 200, 200),
            ("/typed", 100, "Content-Type: text/plain\r\n", 415, 415),
            ("/plain", 100, "Content-Encoding: br\r\n", 415, 415),
            ("/plain", 100, "Content-Encoding: gzip\r\n", 400, 400),
        ]:
            body = inner.ljust(size, "A")
            chunks = f"{size:x}\r\n{body}\r\n0\r\nX-Trailer: y\r\n\r\n"
            for framed, status in (
                (f"Content-Length: {size}\r\n{fields}\r\n{body}", with_length),
                (f"Transfer-Encoding: chunked\r\n{fields}\r\n{chunks}", in_chunks),
            ):
                answers = exchange(served.port, f"POST {path} HTTP/1.1\r\nHost: x\r\n{framed}{last}".encode())
                # A worker of one request for a connection hangs up after the first.
                found = [int(line.split()[1]) for line in answers.splitlines() if line.startswith(b"HTTP/1.1 ")]
                assert found[0] == status, (path, size, answers)
                assert found[1:] in ([200], []), (path, size, answers)
                assert b"smuggled" not in answers
        # Nobody waits for a body that is refused for its length.
        waiting = b"POST /plain HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", served.port), 30) as peer:
            peer.sendall(waiting)
            answer = b""
            while b"\r\n\r\n{" not in answer:
                answer += peer.recv(65536)
            assert b"HTTP/1.1 413 " in answer


def exchange(port: int, data: bytes) -> bytes:
    """All that a server answers on one connection."""
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall(data)
        answer = b""
        try:
            while some := peer.recv(65536):
                answer += some
        except ConnectionResetError:
            pass  # it hung up on what it had not read
        return answer


def raw(port: int, lines: list[str], data: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + data)
        answer = b""
        while some := peer.recv(65536):
            answer += some
    return int(answer.split(b" ", 2)[1])
