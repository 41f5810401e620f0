"""What a DPoP proof uses up: each is good for one request, with a nonce if one is wanted (RFC 9449 sections 9, 11.1)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Rampart, require
from flask_rampart._native import LimitSet, LimitStore
from flask_rampart.bound import Binding
from flask_rampart.tokens import Tokens

from .conftest import KEYS, NOW
from .proving import App, Client, code, guarded


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


@pytest.fixture
def app(make_app: App) -> Flask:
    return guarded(make_app, RAMPART_DPOP="allowed")


def test_a_proof_counts_once_and_no_wrong_request_uses_it_up(app: Flask, client: Client) -> None:
    token = client.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": client.proof(token)}
    caller = app.test_client()
    assert caller.post("/", headers=headers).json["code"] == "proof.invalid"
    assert code(app, {**headers, "Authorization": f"DPoP {client.token(sub='b')}"}) == "proof.invalid"
    assert code(app, headers) == "ok"
    assert [code(app, headers) for _ in range(3)] == ["proof.invalid"] * 3


def test_a_jti_is_a_keys_own(app: Flask, client: Client) -> None:
    # inji-certify PR #1000: whoever sees a jti cannot use it up for its owner.
    other = Client()
    assert code(app, other.headers(jti="same")) == "ok"
    assert code(app, client.headers(jti="same")) == "ok"
    assert code(app, client.headers(jti="same")) == "proof.invalid"
    # Nor do key and jti together read as another pair.
    assert code(app, client.headers(jti="same" + "x")) == "ok"


def test_a_proof_is_remembered_for_as_long_as_it_could_be_used(app: Flask, client: Client, clock: Clock) -> None:
    token = client.token(exp=NOW + 9999)
    headers = {"Authorization": f"DPoP {token}", "DPoP": client.proof(token, iat=NOW + 60, jti="early")}
    assert code(app, headers) == "ok"
    clock.advance(119)
    assert code(app, headers) == "proof.invalid"
    assert code(app, client.headers(token, iat=NOW + 119, jti="early")) == "proof.invalid"
    clock.advance(1)
    assert code(app, headers) == "proof.invalid"
    clock.advance(60)
    assert code(app, client.headers(token, iat=NOW + 180, jti="early")) == "ok"


def test_one_proof_from_eight_threads_is_taken_once(app: Flask, client: Client) -> None:
    app.test_client().get("/")
    for _ in range(10):
        headers = client.headers()
        gate, seen = threading.Barrier(8), []

        def call(headers: dict[str, str] = headers, gate: Any = gate, seen: list[int] = seen) -> None:
            gate.wait()
            seen.append(app.test_client().get("/", headers=headers).status_code)

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seen) == [200] + [401] * 7


def test_one_proof_in_four_processes_is_taken_once(make_app: App, client: Client, tmp_path: Path) -> None:
    home = tmp_path / "tables"
    home.mkdir(mode=0o700)
    now = 1_900_000_000.0

    def worker(headers: dict[str, str], gate: int, answer: int) -> None:
        # Each its own app, as pre-forked workers that load it after the fork.
        app = Flask("racing")
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_LIMIT_STORE=f"shm://{home}",
            RAMPART_LIMIT_TABLE=65536,
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_DPOP="required",
            RAMPART_RESOURCE="https://api.example",
        )
        Rampart(app, clock=Clock.manual(now))
        app.get("/")(require()(lambda: "ok"))
        caller = app.test_client()
        caller.get("/")
        os.read(gate, 1)
        os.write(answer, b"1" if caller.get("/", headers=headers).status_code == 200 else b"0")

    token = client.token(exp=int(now) + 600)
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": client.proof(token, iat=int(now), htu="https://api.example/"),
    }
    gate_out, gate_in = os.pipe()
    answer_out, answer_in = os.pipe()
    children = [_fork(partial(worker, headers, gate_out, answer_in)) for _ in range(4)]
    os.write(gate_in, b"gogo")
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    answers = os.read(answer_out, 16)
    for end in (gate_out, gate_in, answer_out, answer_in):
        os.close(end)
    assert sorted(answers) == sorted(b"1000")


def _fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def small(app: Flask, monkeypatch: pytest.MonkeyPatch, clock: Clock, keys: int) -> None:
    """Gives the app a table of used proofs for *keys* counters."""
    monkeypatch.setattr("flask_rampart.limits.Limits.table", lambda self, purpose: LimitStore.local(clock, keys=keys))


def test_a_full_table_refuses_and_forgets_nothing(
    app: Flask, client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # CVE-2026-41707: Spring drops the oldest proof, so a flood lets it be used again.
    small(app, monkeypatch, clock, 16)
    first = client.headers()
    assert code(app, first) == "ok"
    others = [Client().headers() for _ in range(200)]
    assert [code(app, headers) for headers in others].count("ok") < 100
    # Not one that was taken is taken again.
    assert "ok" not in {code(app, headers) for headers in (first, *others)}
    clock.advance(181)
    assert code(app, client.headers(client.token(exp=NOW + 999), iat=NOW + 181)) == "ok"


def test_one_key_cannot_fill_the_table_for_others(
    app: Flask, client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(app, monkeypatch, clock, 16 * 5)
    caller = app.test_client()
    answers = [caller.get("/", headers=client.headers()) for _ in range(12)]
    assert [response.status_code for response in answers] == [200] * 5 + [429] * 7
    assert int(answers[-1].headers["Retry-After"]) == 36
    other = Client()
    assert code(app, other.headers(other.token(sub="bob"))) == "ok"


def test_one_principal_with_many_keys_cannot_fill_it_either(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keys are the sender's to choose, as many as an issuer binds.
    small(app, monkeypatch, clock, 16 * 5)
    caller = app.test_client()
    answers = [caller.get("/", headers=Client().headers()).status_code for _ in range(12)]
    assert answers == [200] * 5 + [429] * 7
    other = Client()
    assert code(app, other.headers(other.token(sub="bob"))) == "ok"


def test_a_table_that_fails_refuses(app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    app.test_client().get("/")

    class Broken:
        def check(self, keys: Any) -> Any:
            raise OSError("gone")

    tokens = app.extensions["rampart"].services[Tokens]
    assert isinstance(tokens._binding, Binding) and isinstance(tokens._binding._used, LimitSet)
    tokens._binding._used = Broken()
    assert code(app, client.headers()) == "guard.failed"


# Nonces.


@pytest.fixture
def nonced(make_app: App) -> Flask:
    return guarded(make_app, RAMPART_DPOP="allowed", RAMPART_DPOP_NONCE=True, SECRET_KEY="s" * 32)


def nonce_of(app: Flask, client: Client, token: str | None = None, **claims: Any) -> str:
    response = app.test_client().get("/", headers=client.headers(token, **claims))
    assert response.json["code"] == "proof.nonce"
    assert 'error="use_dpop_nonce"' in response.headers.getlist("WWW-Authenticate")[1]
    return str(response.headers["DPoP-Nonce"])


def test_a_proof_needs_a_nonce_of_ours(nonced: Flask, client: Client) -> None:
    nonce = nonce_of(nonced, client)
    response = nonced.test_client().get("/", headers=client.headers(nonce=nonce))
    assert response.status_code == 200 and "DPoP-Nonce" not in response.headers
    for wrong in (nonce[:-1], nonce[::-1], "1.2.3", "x", "1." + nonce, "\u00fc", "0" + nonce[1:]):
        assert nonce_of(nonced, client, nonce=wrong)
    # It does not replace the rest.
    assert code(nonced, client.headers(nonce=nonce, htm="PUT")) == "proof.invalid"


def test_a_proof_without_its_nonce_is_not_used_up(nonced: Flask, client: Client) -> None:
    nonce = nonce_of(nonced, client, jti="again")
    assert code(nonced, client.headers(nonce=nonce, jti="again")) == "ok"


def test_a_nonce_is_offered_before_the_last_one_ends(nonced: Flask, client: Client, clock: Clock) -> None:
    token = client.token(exp=NOW + 9999)
    nonce = nonce_of(nonced, client, token)

    def call(seconds: int) -> Any:
        return nonced.test_client().get("/", headers=client.headers(token, nonce=nonce, iat=NOW + seconds))

    clock.advance(150)
    assert "DPoP-Nonce" not in call(150).headers
    clock.advance(1)
    response = call(151)
    assert response.status_code == 200
    newer = response.headers["DPoP-Nonce"]
    clock.advance(149)
    assert call(300).status_code == 200
    clock.advance(1)
    assert call(301).json["code"] == "proof.nonce"
    assert code(nonced, client.headers(token, nonce=newer, iat=NOW + 301)) == "ok"


def test_a_nonce_of_one_worker_is_every_workers_and_survives_a_new_key(
    make_app: App, nonced: Flask, client: Client
) -> None:
    nonce = nonce_of(nonced, client)
    config = {"RAMPART_DPOP": "required", "RAMPART_DPOP_NONCE": True}
    assert code(guarded(make_app, SECRET_KEY="s" * 32, **config), client.headers(nonce=nonce)) == "ok"
    rotated = guarded(make_app, SECRET_KEY="t" * 32, SECRET_KEY_FALLBACKS=["s" * 32], **config)
    assert code(rotated, client.headers(nonce=nonce)) == "ok"
    assert code(guarded(make_app, SECRET_KEY="u" * 32, **config), client.headers(nonce=nonce)) == "proof.nonce"


def test_nonces_need_a_key_and_proofs(make_app: App) -> None:
    with pytest.raises(ConfigError, match="secret_key"):
        guarded(make_app, RAMPART_DPOP="allowed", RAMPART_DPOP_NONCE=True).test_client().get("/")
    with pytest.raises(ConfigError, match="no effect"):
        make_app(RAMPART_DPOP_NONCE=True)
