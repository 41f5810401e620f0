"""Tokens and API keys as four real gunicorn workers see them, of each class that is common, on the default store.

What one worker was told, all of them must know at their next request: so each of them is asked, before and after.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flask_rampart.stores import SqliteStore

from .issuing import jwks, new_key
from .workers import ROOT, WORKERS, Answer, Server, codes

pytestmark = pytest.mark.servers

CLASSES = {
    "sync": ("--worker-class", "sync"),
    "gthread": ("--worker-class", "gthread", "--threads", "16"),
    "gevent": ("--worker-class", "gevent"),
    # The app is loaded before the workers are forked, and before gevent changes what a thread is.
    "sync, loaded first": ("--worker-class", "sync", "--preload"),
    "gevent, loaded first": ("--worker-class", "gevent", "--preload"),
}


@pytest.fixture(scope="module", params=CLASSES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("served"), *CLASSES[request.param])
    try:
        yield found
    finally:
        found.stop()


def login(server: Server, subject: str) -> tuple[str, str]:
    """The access token and the refresh token of a new login."""
    document = server.post("/login", subject=subject)
    return document["access_token"], document["refresh_token"]


def by_all(server: Server, *tokens: str) -> list[set[str]]:
    """What all workers answer to each of *tokens*."""

    def asks(token: str) -> Any:
        return lambda hold: server.ask("/", token, hold=hold)

    return [codes(answers) for answers in server.by_all(*map(asks, tokens))]


@pytest.mark.parametrize("what", ["token", "login", "subject"])
def test_what_one_worker_takes_back_is_refused_by_all_at_their_next_request(server: Server, what: str) -> None:
    first, refresh = login(server, f"ada, by {what}")
    renewed = server.post("/refresh", refresh_token=refresh)
    of_same_login = renewed["access_token"]
    of_same_subject, other_refresh = login(server, f"ada, by {what}")
    of_another, _ = login(server, f"bob, beside {what}")
    assert by_all(server, first, of_same_login, of_same_subject, of_another) == [{"ok"}] * 4
    server.post(f"/revoke/{what}", first)
    reaches = {"token": 1, "login": 2, "subject": 3}[what]
    ended, left = [{"token.invalid"}] * reaches, [{"ok"}] * (4 - reaches)
    found = by_all(server, first, of_same_login, of_same_subject, of_another)
    assert found == ended + left, server.failed(f"after the revocation of one {what}")
    # And so it stays with what each login could be renewed by.
    for number, token in enumerate((renewed["refresh_token"], other_refresh), 2):
        answers = server.by_all(
            lambda hold, token=token: server.ask("/refresh", method="POST", body={"refresh_token": token}, hold=hold)
        )
        assert codes(answers[0]) == ({"token.invalid"} if reaches >= number else {"ok"})


def test_two_hundred_simultaneous_refreshes_make_one_new_member_and_no_false_reuse(server: Server) -> None:
    _, refresh = login(server, "eve")
    answers = server.at_once(200, lambda _: server.ask("/refresh", method="POST", body={"refresh_token": refresh}))
    assert codes(answers) == {"ok"}, server.failed("simultaneous refreshes")
    assert len(answers) == 200 and len({answer.worker for answer in answers}) > 1
    # HS256 signs the same words the same way.
    (member,) = {answer.document["refresh_token"] for answer in answers}
    assert member != refresh
    # One step, and the login goes on from there.
    records = [json.loads(value) for value in _values(server, "token_family") if b'"eve"' in value]
    assert [len(record["recent"]) for record in records] == [1]
    following = server.post("/refresh", refresh_token=member)
    assert by_all(server, following["access_token"]) == [{"ok"}]


def test_an_api_key_that_one_worker_revokes_is_refused_by_all_at_their_next_request(server: Server) -> None:
    made, other = server.post("/keys"), server.post("/keys")

    def by_key(key: str) -> Any:
        return lambda hold: server.ask("/by-key", hold=hold, X_API_Key=key)

    def found() -> list[set[str]]:
        return [codes(answers) for answers in server.by_all(by_key(made["key"]), by_key(other["key"]))]

    assert found() == [{"ok"}, {"ok"}]
    answer = server.ask(f"/keys/{made['id']}", method="DELETE")
    assert answer.document == {"revoked": True}
    assert found() == [{"key.invalid"}, {"ok"}]
    # The command line is a process that the workers know nothing of.
    run = subprocess.run(
        [
            *(sys.executable, "-m", "flask", "--app", "tests.worker_app:create_app()"),
            *("rampart", "keys", "revoke", other["id"]),
        ],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stdout) == (0, f"{other['id']} is revoked.\n"), run.stderr
    assert found() == [{"key.invalid"}, {"key.invalid"}]


def test_killed_workers_leave_every_confirmed_revocation_and_every_login_as_it_was(server: Server) -> None:
    ended: list[str] = []
    alive: list[tuple[str, str]] = []
    odd: list[Answer] = []
    seen: set[int] = set()
    done = threading.Event()

    def until_answered(path: str, token: str | None = None, **body: Any) -> Answer:
        """A request, sent again while its worker was killed over it."""
        while True:
            answer = server.ask(path, token, method="POST", body=body)
            seen.add(answer.worker)
            if answer.is_good or answer.status:
                return answer

    def client(number: int) -> None:
        for turn in itertools.count():
            if done.is_set():
                return
            what = ("token", "login", "subject", None)[(turn + number) % 4]
            answer = until_answered("/login", subject=f"{number}-{turn}")
            tokens = [answer]
            for _ in range(2):
                if answer.is_good:
                    # The answer to a refresh may be lost, the refresh done or not: asked again, it is no reuse.
                    answer = until_answered("/refresh", refresh_token=answer.document["refresh_token"])
                    tokens.append(answer)
            if not answer.is_good:
                odd.append(answer)
                continue
            access = answer.document["access_token"]
            if what is None:
                alive.append((access, answer.document["refresh_token"]))
                continue
            revoked = server.ask(f"/revoke/{what}", access, method="POST", body={})
            if revoked.is_good:
                # A login ends with its earlier tokens, a token alone.
                ended.extend(each.document["access_token"] for each in (tokens[-1:] if what == "token" else tokens))
            elif revoked.status:
                odd.append(revoked)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    killed: set[int] = set()
    try:
        draw, end = random.Random(7), time.monotonic() + 30
        while (len(killed) < 5 or len(ended) < 20 or len(alive) < 4) and time.monotonic() < end:
            # At some moment of the work.
            time.sleep(0.3 + 0.2 * draw.random())
            living = sorted(seen - killed - {0})
            if living and len(killed) < 5:
                victim = draw.choice(living)
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(killed) == 5 and len(ended) >= 20 and len(alive) >= 4, server.failed(f"{len(ended)} {len(alive)}")
    assert odd == [], server.failed("answers under load")
    both = [*ended, *(access for access, _ in alive)]
    answers = server.by_all(lambda hold: server.ask("/judge", method="POST", body=both, hold=hold))[0]
    assert not {answer.worker for answer in answers} & killed
    wanted = ["token.invalid"] * len(ended) + ["ok"] * len(alive)
    assert all(answer.document == wanted for answer in answers), server.failed("after the kills")
    for _, refresh in alive:
        assert server.ask("/refresh", method="POST", body={"refresh_token": refresh}).is_good
    path = Path(server.environment["TEST_INSTANCE"]) / "rampart.sqlite3"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _values(server: Server, kind: str) -> list[bytes]:
    """What the workers' store has of a kind."""
    store = SqliteStore(Path(server.environment["TEST_INSTANCE"]) / "rampart.sqlite3")
    try:
        return [found.value for found in store.scan(kind, limit=10_000)]
    finally:
        store.close()


# An issuer's keys


class Counting(ThreadingHTTPServer):
    """An issuer on this host: slow, and counted."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, key: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Documents)
        self.documents: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()
        for name in ("strict", "patient"):
            uri = f"{self.issuer(name)}/keys"
            self.documents[f"/{name}/.well-known/openid-configuration"] = json.dumps(
                {"issuer": self.issuer(name), "jwks_uri": uri}
            ).encode()
            self.documents[f"/{name}/keys"] = json.dumps(jwks(key)).encode()

    def issuer(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def fetched(self, name: str, expected: int) -> list[int]:
        """How often its metadata and its keys were fetched, when the fetches that are expected have ended."""
        end = time.monotonic() + 10
        paths = [f"/{name}/.well-known/openid-configuration", f"/{name}/keys"]
        while True:
            counts = [self.counts.get(path, 0) for path in paths]
            if all(count >= expected for count in counts) or time.monotonic() > end:
                return counts
            time.sleep(0.01)


class _Documents(BaseHTTPRequestHandler):
    server: Counting

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.counts[self.path] = self.server.counts.get(self.path, 0) + 1
        # So that many requests come while it is on its way.
        time.sleep(0.3)
        body = self.server.documents[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "gevent, loaded first"])
def test_five_hundred_requests_at_the_end_of_an_issuers_keys_make_one_fetch_for_each_worker(
    kind: str, tmp_path: Path
) -> None:
    key = new_key("one")
    issuer = Counting(key)
    thread = threading.Thread(target=issuer.serve_forever)
    thread.start()
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    # The strict one's keys are not used beyond their time: every request has to wait. The patient one's are.
    entries = [
        {
            "issuer": issuer.issuer(name),
            "audience": "api",
            "allow_http": True,
            "allow_private": True,
            "max_stale": seconds,
        }
        for name, seconds in (("strict", 0), ("patient", 86400))
    ]
    server = None
    try:
        server = Server(tmp_path, *CLASSES[kind], TEST_AHEAD=str(ahead), TEST_ISSUERS=json.dumps(entries))
        for name, before, after in (("strict", 0, 601), ("patient", 602, 1203)):
            claims = {"iss": issuer.issuer(name), "aud": "api", "sub": "ada", "exp": time.time() + 86400}
            token = key.sign(json.dumps(claims), "JWT")
            ahead.write_text(str(before))
            assert by_all(server, token) == [{"ok"}], server.failed(name)
            assert issuer.fetched(name, WORKERS) == [WORKERS, WORKERS]
            # Ten minutes is their time.
            ahead.write_text(str(after))
            answers = server.at_once(500, lambda _, token=token: server.ask("/", token))
            assert codes(answers) == {"ok"} and len(answers) == 500, server.failed(f"500 at once, {name}")
            assert by_all(server, token) == [{"ok"}]
            assert issuer.fetched(name, 2 * WORKERS) == [2 * WORKERS, 2 * WORKERS], server.failed(name)
    finally:
        if server is not None:
            server.stop()
        issuer.shutdown()
        issuer.server_close()
        thread.join()
