"""Limits in Redis by all the ways to it: a client of the app's own, Sentinel with a failover, a Cluster, TLS."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.backoff import NoBackoff
from redis.retry import Retry

from flask_rampart import ConfigError, Rampart, limit
from flask_rampart.limits.remote import Remote, RemoteAway
from flask_rampart.limits.remote.address import source

from .conftest import Named
from .listening import Listening
from .servers import Redis, redis_program

pytestmark = pytest.mark.servers

ONE = ["check", "g", "1", "57600000000", "5", "0", "0"]


def ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


@pytest.fixture(name="run")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts redis-server with these arguments, and waits until it answers."""
    started = []
    with tempfile.TemporaryDirectory(prefix="rp", ignore_cleanup_errors=True) as folder:

        def run(port: int, *arguments: str) -> subprocess.Popen[bytes]:
            place = Path(folder) / str(port)
            place.mkdir()
            words = [redis_program(), *arguments, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(place)]
            process = subprocess.Popen([*words, "--save", ""], stdout=subprocess.DEVNULL)

            def answers() -> bool:
                nonlocal process
                if process.poll() is not None:
                    # Somebody's connection had its port for a moment, or that of its cluster's bus.
                    process = subprocess.Popen([*words, "--save", ""], stdout=subprocess.DEVNULL)
                return bool(redis.Redis(port=port).ping())

            try:
                wait(answers)
            finally:
                started.append(process)
            return process

        yield run
        for process in started:
            process.kill()
            process.wait()


def wait(is_so: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except (redis.RedisError, RemoteAway):
            pass
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def admitted(remote: Remote, name: str, tries: int = 8) -> int:
    return sum(remote.ask([name * 32], ONE)[0] for _ in range(tries))


class Watched(NamedTuple):
    """A master and its heir, and the Sentinel that watches them; by their ports."""

    master: int
    heir: int
    sentinel: int
    process: subprocess.Popen[bytes]


def watched(run: Callable[..., Any], folder: Path, *options: str) -> Watched:
    master, heir, sentinel = ports(3)
    process = run(master)
    run(heir, "--replicaof", "127.0.0.1", str(master))
    config = folder / "sentinel.conf"
    lines = [f"monitor main 127.0.0.1 {master} 1", *options]
    config.write_text("".join(f"sentinel {line}\n" for line in lines))
    run(sentinel, str(config), "--sentinel")
    wait(lambda: redis.Redis(port=sentinel).sentinel_master("main")["num-slaves"] == 1)
    return Watched(master, heir, sentinel, process)


#: For a Sentinel that is to find out soon.
SOON = ("down-after-milliseconds main 300", "failover-timeout main 2000")


@pytest.mark.parametrize(
    "options", [{}, {"decode_responses": True}, {"protocol": 3}, {"protocol": 3, "decode_responses": True}]
)
def test_a_client_of_the_app_s_own_is_taken_whatever_it_decodes(redis_server: Redis, options: dict[str, Any]) -> None:
    redis.Redis.from_url(redis_server.url).flushall()
    with redis.Redis.from_url(redis_server.url, **options) as client:
        assert admitted(Remote(client, prefix="own"), "a") == 5


def test_an_app_takes_a_client_instead_of_an_address(redis_server: Redis) -> None:
    app = Named("own client")
    app.config.update(SECRET_KEY="k" * 32, RAMPART_ACCESS_LOG="off", TESTING=True)
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        Rampart(app, limit_store=client)
        app.get("/")(limit("2/hour")(lambda: "ok"))
        assert [app.test_client().get("/").status_code for _ in range(3)] == [200, 200, 429]
        assert [key for key in client.scan_iter() if key.startswith(b"{rampart:limits}:")]


def test_apps_with_one_secret_key_count_each_for_itself(redis_server: Redis) -> None:
    # One SECRET_KEY lets them read each other's sessions; an app that is flooded is no reason to refuse by the other.
    def statuses(name: str, count: int, **more: str) -> list[int]:
        app = Named(name)
        app.config.update(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=redis_server.url, RAMPART_LIMIT_STORE_TIMEOUT=2)
        app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True, RAMPART_LIMITS="2/hour", **more)
        Rampart(app)
        return [app.test_client().get("/").status_code for _ in range(count)]

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    assert statuses("shop", 2) == [404, 404]
    assert statuses("shop", 1) == [429]
    assert statuses("blog", 1) == [404]
    # Unless they are given one of their own for it.
    assert statuses("shop", 2, RAMPART_LIMIT_SECRET="s" * 32) == [404, 404]
    assert statuses("blog", 1, RAMPART_LIMIT_SECRET="s" * 32) == [429]


def test_an_app_that_is_run_by_its_file_is_the_one_that_a_server_imports(redis_server: Redis, tmp_path: Path) -> None:
    program = """
        import os
        from flask import Flask
        from flask_rampart import Rampart, limit
        app = Flask(__name__)
        app.config.update(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=os.environ["URL"], RAMPART_ACCESS_LOG="off",
                          RAMPART_LIMIT_STORE_TIMEOUT=5, TESTING=True)
        Rampart(app)
        app.get("/")(limit("1/hour")(lambda: "ok"))
        print(app.test_client().get("/").status_code)
    """
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    (tmp_path / "shop.py").write_text(textwrap.dedent(program))
    (tmp_path / "blog.py").write_text(textwrap.dedent(program))
    said = []
    for words in (["shop.py"], ["-c", "import shop"], ["blog.py"]):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60,
            env={**os.environ, "URL": redis_server.url},
        )  # fmt: skip
        said.append(done.stdout.strip())
    assert said == ["200", "429", "200"]


def test_a_client_that_waits_long_and_tries_again_does_neither_for_us() -> None:
    # redis-py's own defaults: 5 s, and several tries.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = redis.Redis(port=silent.getsockname()[1])
        remote = Remote(client, prefix="t", timeout=0.05)
        before = time.monotonic()
        with pytest.raises(RemoteAway):
            remote.ask(["a" * 32], ONE)
        assert time.monotonic() - before < 1


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigError, match="not object"):
        Remote(object(), prefix="t")


def test_a_unix_socket_will_do(redis_server: Redis) -> None:
    redis.Redis.from_url(redis_server.url).flushall()
    assert admitted(Remote(redis_server.unix, prefix="unix"), "a") == 5


def test_a_sentinel_names_the_master_also_after_a_failover(run: Callable[..., Any], tmp_path: Path) -> None:
    trio = watched(run, tmp_path, *SOON)
    remote = Remote(f"redis+sentinel://127.0.0.1:{trio.sentinel}/main", prefix="t", timeout=0.5)
    replicated = redis.Redis(port=trio.heir)
    assert admitted(remote, "a", 3) == 3
    wait(lambda: replicated.keys("*"))
    trio.process.kill()
    wait(lambda: remote.ask(["b" * 32], ONE)[0])
    # What was replicated still counts.
    assert admitted(remote, "a") == 2
    assert replicated.role()[0] in ("master", b"master")


def test_while_a_master_falls_no_request_fails_and_the_next_one_is_used(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    trio = watched(run, tmp_path, *SOON)
    app = Named("failover")
    app.config.update(SECRET_KEY="k" * 32, RAMPART_ACCESS_LOG="off", TESTING=True, RAMPART_LIMIT_STORE_TIMEOUT=0.5)
    app.config["RAMPART_LIMIT_STORE"] = f"redis+sentinel://127.0.0.1:{trio.sentinel}/main"
    Rampart(app)
    app.get("/")(limit("5/year")(lambda: "ok"))
    app.get("/other")(limit("9000/year")(lambda: "ok"))
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(3)] == [200] * 3
    heir = redis.Redis(port=trio.heir)
    # Replication is asynchronous: until the heir has all that was charged.
    chief = redis.Redis(port=trio.master)
    chief.set("mark", 1)
    chief.delete("mark")
    assert chief.wait(1, 10_000) == 1
    trio.process.kill()
    seen = []

    def held() -> dict[bytes, bytes | None]:
        return {key: heir.dump(key) for key in heir.keys("*")}

    def is_used() -> bool:
        # What the fallen one was told last may have come here by replication: only what the heir itself is told counts.
        before = held()
        seen.append(client.get("/other").status_code)
        return heir.role()[0] in ("master", b"master") and held() != before

    wait(is_used)
    assert set(seen) == {200}
    # What was replicated still counts.
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]


def test_a_master_that_has_become_a_replica_is_left_for_the_new_one(run: Callable[..., Any], tmp_path: Path) -> None:
    # It lives, and answers all that only reads.
    trio = watched(run, tmp_path, "failover-timeout main 5000")
    sentinel: Any = redis.Redis(port=trio.sentinel)
    remote = Remote(f"redis+sentinel://127.0.0.1:{trio.sentinel}/main", prefix="t", timeout=0.5)
    assert admitted(remote, "a", 3) == 3
    replicated: Any = redis.Redis(port=trio.heir)
    wait(lambda: replicated.keys("*"))
    wait(lambda: sentinel.execute_command("SENTINEL FAILOVER main"))
    wait(lambda: redis.Redis(port=trio.master).role()[0] in ("slave", b"slave"))
    wait(lambda: remote.ask(["b" * 32], ONE)[0])
    assert admitted(remote, "a") == 2
    assert replicated.role()[0] in ("master", b"master")


@pytest.fixture(name="cluster")
def cluster_of_six(run: Callable[..., Any]) -> tuple[list[int], dict[int, subprocess.Popen[bytes]]]:
    """Ports of three masters and of a replica for each, in order, and their processes."""
    found = [port for port in ports(20) if port < 55_000][:6]
    assert len(found) == 6, "a node's bus is at its port + 10000"
    running = {port: run(port, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000") for port in found}
    nodes = [redis.Redis(port=port) for port in found]
    for at, node in enumerate(nodes):
        if at < 3:
            node.execute_command("CLUSTER ADDSLOTS", *range(at * 5462, min(at * 5462 + 5462, 16384)))
        node.execute_command("CLUSTER SET-CONFIG-EPOCH", at + 1)
        node.execute_command("CLUSTER MEET", "127.0.0.1", found[0])
    wait(lambda: all(len(node.execute_command("CLUSTER NODES")) == 6 for node in nodes))
    for at, node in enumerate(nodes[3:]):
        node.execute_command("CLUSTER REPLICATE", nodes[at].execute_command("CLUSTER MYID"))
    wait(lambda: all(node.execute_command("CLUSTER INFO").get("cluster_state") == "ok" for node in nodes))
    wait(lambda: all(node.info("replication")["master_link_status"] == "up" for node in nodes[3:]))
    return found, running


def test_a_cluster_keeps_an_app_in_one_slot(cluster: tuple[list[int], Any]) -> None:
    found, _ = cluster
    nodes = [redis.Redis(port=port) for port in found[:3]]
    remote = Remote(f"redis+cluster://127.0.0.1:{found[0]},127.0.0.1:{found[1]}", prefix="t", timeout=0.5)
    reply = remote.ask(["a" * 32, "b" * 32, "c" * 32], [ONE[0], *ONE[1:] * 3])
    assert reply[0] == 1
    client = redis.RedisCluster(port=found[0], host="127.0.0.1", retry=Retry(NoBackoff(), 0))
    assert admitted(Remote(client, prefix="t", timeout=0.5), "a") == 4
    # A slot that moved is found again.
    slot = client.keyslot("{t}")
    ids = {port: redis.Redis(port=port).execute_command("CLUSTER MYID") for port in found}
    owner = slot // 5462
    for key in nodes[owner].keys("*"):
        nodes[owner].delete(key)
    for node in nodes:
        node.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[found[(owner + 1) % 3]])
    wait(lambda: remote.ask(["d" * 32], ONE)[0])
    client.close()


@pytest.mark.parametrize("own", [False, True])
def test_a_cluster_that_has_lost_a_node_is_used_again_when_its_replica_takes_over(
    cluster: tuple[list[int], dict[int, subprocess.Popen[bytes]]], own: bool
) -> None:
    # redis-py keeps a dead node in its map of slots until another one says MOVED, which a dead one does not.
    found, running = cluster
    asked = redis.RedisCluster(port=found[0], host="127.0.0.1", retry=Retry(NoBackoff(), 0))
    prefix = next(f"t{at}" for at in range(100) if asked.keyslot(f"{{t{at}}}") // 5462 == 0)
    url = f"redis+cluster://127.0.0.1:{found[0]}"
    remote = Remote(asked if own else url, prefix=prefix, timeout=0.5)
    assert admitted(remote, "a", 3) == 3
    replica = redis.Redis(port=found[3])
    wait(lambda: replica.keys("*"))
    running[found[0]].kill()
    slowest = 0.0

    def is_back() -> bool:
        nonlocal slowest
        before = time.monotonic()
        try:
            return bool(remote.ask(["b" * 32], ONE)[0])
        finally:
            slowest = max(slowest, time.monotonic() - before)

    wait(is_back)
    assert slowest < 0.5 + 0.3  # machines that run tests stumble
    # What was replicated still counts.
    assert admitted(remote, "a") == 2
    asked.close()


def test_a_process_that_begins_while_its_cluster_is_away_is_there_when_it_is_back(run: Callable[..., Any]) -> None:
    [port] = [port for port in ports(9) if port < 55_000][:1]
    remote = Remote(f"redis+cluster://127.0.0.1:{port}", prefix="t", timeout=0.5)
    for _ in range(4):
        with pytest.raises(RemoteAway):
            remote.ask(["a" * 32], ONE)
    run(port, "--cluster-enabled", "yes")
    redis.Redis(port=port).execute_command("CLUSTER ADDSLOTS", *range(16384))
    wait(lambda: remote.ask(["a" * 32], ONE)[0])


def test_tls_is_checked_by_the_authority_that_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    certified(key, certificate)
    inner, outer = ports(2)
    run(inner)
    front = Tls(outer, inner, key, certificate)
    try:
        url = f"rediss://127.0.0.1:{outer}/0"
        trusted = f"ssl_ca_certs={certificate}"
        # A certificate of somebody else's, from an authority that is trusted.
        other = url.replace("127.0.0.1", "localhost")
        for right in (f"{url}?{trusted}", f"{other}?{trusted}&ssl_check_hostname=false", f"{other}?ssl_cert_reqs=none"):
            with contextlib.closing(Remote(right, prefix="t", timeout=2)) as remote:
                assert remote.ask(["a" * 32], ONE)[0] == 1
        for wrong in (url, f"{other}?{trusted}"):
            with pytest.raises(RemoteAway, match="answer"):
                Remote(wrong, prefix="t", timeout=2).ask(["a" * 32], ONE)
    finally:
        front.close()


@pytest.mark.parametrize("url", ["rediss://h/0", "rediss+sentinel://h/main", "rediss+cluster://h:1"])
def test_the_name_of_a_server_is_checked_by_whatever_redis_py(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before redis-py 6, TLS took any certificate of an authority that is trusted, for any host.
    told = []

    class Connection(redis.SSLConnection):
        def __init__(self, **kwargs: Any) -> None:
            told.append(kwargs.get("ssl_check_hostname"))
            super().__init__(**kwargs)

    monkeypatch.setattr(redis.connection, "SSLConnection", Connection)
    monkeypatch.setattr(redis.sentinel, "SentinelManagedSSLConnection", type("S", (Connection,), {"__init__": managed}))
    made = source(url, "{t}", 0.1).make
    with contextlib.suppress(redis.ConnectionError):
        made()
    assert told
    assert set(told) == {True}


def managed(self: Any, *, connection_pool: Any, **kwargs: Any) -> None:
    super(type(self), self).__init__(**kwargs)


def certified(key_file: Path, certificate_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(names, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    certificate_file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


class Tls(Listening):
    """Ends TLS in front of a server that was built without it."""

    def __init__(self, port: int, behind: int, key: Path, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._behind = behind
        self._context = context
        super().__init__(self._pass_on, port)

    def _pass_on(self, peer: socket.socket) -> None:
        with (
            self._context.wrap_socket(peer, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", self._behind)) as server,
        ):
            secure.settimeout(5)
            while data := secure.recv(65536):
                server.sendall(data)
                secure.sendall(server.recv(65536))
