"""Whether a request is for this app: ``Host``, however it is written, and whoever shows another one."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, url_for
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, Rampart
from flask_rampart.config import Settings
from flask_rampart.edge import EdgePolicy, RampartMiddleware
from flask_rampart.hostnames import Authority, ascii_authority, is_local, read_authority
from flask_rampart.network.hosts import Pattern, Trusted
from flask_rampart.weburl import NotReadable

from .serving import serving

Make = Callable[..., Flask]

MALFORMED = (400, "request.malformed")
UNKNOWN = (421, "host.unknown")


@pytest.fixture
def make(make_app: Make) -> Make:
    def made(**config: Any) -> Flask:
        app = make_app(**config)
        app.add_url_rule("/", "index", lambda: url_for("index", _external=True))
        app.add_url_rule("/host", "host", lambda: request.host)
        return app

    return made


def ask(app: Flask, host: str | None, *, scheme: str = "http", path: str = "/", **more: Any) -> tuple[int, str]:
    """Status, and the text of the answer, or the code of its refusal."""
    environ = EnvironBuilder(path=path).get_environ()
    environ.pop("HTTP_HOST")
    environ["wsgi.url_scheme"] = scheme
    if host is not None:
        environ["HTTP_HOST"] = host
    environ.update(more)
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    text = b"".join(body).decode()
    if headers.get("Content-Type") == "application/problem+json":
        return int(status[:3]), json.loads(text)["code"]
    return int(status[:3]), text


# Who is admitted.


@pytest.mark.parametrize(
    "host",
    ["api.example.com", "API.Example.COM", "api.example.com.", "api.example.com:8080", "api.example.com:80"],
    ids=["plain", "case", "dot", "port", "default-port"],
)
def test_a_host_of_the_list_is_admitted_however_it_is_written(make: Make, host: str) -> None:
    # werkzeug 3.1.9 compares case and knows no dot at the end; Flask's own list agrees all the same.
    for setting in ("RAMPART_TRUSTED_HOSTS", "TRUSTED_HOSTS"):
        app = make(**{setting: ["api.example.com"]})
        status, text = ask(app, host)
        assert (status, text.removeprefix("http://").removesuffix("/")) == (
            200,
            "api.example.com:8080" if "8080" in host else "api.example.com",
        )


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api.example.com.evil.example",
        "evilapi.example.com",
        "example.com",
        "a.api.example.com",
        "api.example.co",
        "127.0.0.1",
        "localhost",
        "xn--api-example-com",
    ],
)
def test_another_host_is_misdirected(make: Make, host: str) -> None:
    # RFC 9110 section 15.5.20.
    app = make(RAMPART_TRUSTED_HOSTS=["api.example.com"])
    assert ask(app, host) == UNKNOWN
    assert ask(app, host) == UNKNOWN


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "api.example.com, evil.example",
        "api.example.com,api.example.com",
        "user@api.example.com",
        "user:secret@api.example.com",
        "api.example.com/evil",
        "api.example.com\\evil",
        "api.example.com?x",
        "api.example.com#x",
        "api.example.com:80:80",
        "api.example.com:0",
        "api.example.com:65536",
        "api.example.com:080",
        "api.example.com:8o",
        "api.example.com:+80",
        "api.example.com:\u0661",
        "api..example.com",
        ".api.example.com",
        "api.example.com..",
        "api.example.com\r\nX: y",
        "api.example.com\x00",
        "api example.com",
        "-api.example.com",
        "api%2eexample.com",
        "b\xc3\xbccher.example",
        "[::1",
        "[::1%25lo]",
        "[v1.x]",
        "::1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "127.0.0.01",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "a" * 8000,
    ],
)
def test_a_host_that_is_none_is_malformed_whatever_is_configured(make: Make, host: str) -> None:
    # J. Kettle, "Practical HTTP Host header attacks" (2013); RFC 9112 section 3.2: more than one, or none.
    for config in (
        {},
        {"RAMPART_TRUSTED_HOSTS": ["api.example.com", "*.example.com"]},
        {"TRUSTED_HOSTS": [".example"]},
    ):
        assert ask(make(**config), host) == MALFORMED


def test_a_refusal_does_not_repeat_the_host(make: Make) -> None:
    client = make(RAMPART_TRUSTED_HOSTS=["api.example.com"]).test_client()
    answer = client.get("/", base_url="http://evil.example")
    assert answer.status_code == 421
    assert "evil" not in answer.text + str(answer.headers)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("entry", [".example.com", "*.example.com"])
def test_what_is_below_a_name_is_below_it_at_any_depth_and_is_not_the_name(make: Make, entry: str) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=entry)
    assert ask(app, "a.example.com")[0] == ask(app, "A.b.Example.com.")[0] == 200
    for host in ("example.com", "evilexample.com", "a.example.com.evil.example"):
        assert ask(app, host) == UNKNOWN


def test_an_entry_with_a_port_is_that_port_alone(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["api.example.com:443", "*.example.org:8443"])
    # The scheme's own port is meant where none is written.
    assert ask(app, "api.example.com", scheme="https") == (200, "https://api.example.com/")
    assert ask(app, "api.example.com:443", scheme="https") == (200, "https://api.example.com/")
    assert ask(app, "a.example.org:8443")[0] == 200
    for host in ("api.example.com", "api.example.com:8443", "a.example.org", "a.example.org:844"):
        assert ask(app, host) == UNKNOWN


def test_the_stricter_of_both_lists_wins(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["*.example.com", "localhost"], TRUSTED_HOSTS=["a.example.com", "b.example.org"])
    assert ask(app, "a.example.com")[0] == 200
    for host in ("b.example.com", "b.example.org", "localhost"):
        assert ask(app, host) == UNKNOWN


def test_flasks_list_is_read_as_flask_reads_it(make: Make) -> None:
    # There, a name with a dot before it is the name too, and a port does not count.
    app = make(TRUSTED_HOSTS=[".Example.com", "Other.example:5000"])
    for host in ("example.com", "a.example.com", "other.example", "other.example:81"):
        assert ask(app, host)[0] == 200, host
    assert ask(app, "evil.example") == UNKNOWN


def test_flasks_list_may_come_after_the_extension(make: Make) -> None:
    app = make()
    app.config["TRUSTED_HOSTS"] = ["api.example.com"]
    assert ask(app, "API.example.com")[0] == 200
    assert ask(app, "evil.example") == UNKNOWN


def test_a_request_class_with_trusted_hosts_of_its_own_counts(make_app: Make) -> None:
    app = make_app(rampart=False)

    class Request(app.request_class):  # type: ignore[misc,name-defined]
        trusted_hosts = ["api.example.com"]  # noqa: RUF012

    app.request_class = Request
    app.add_url_rule("/", "index", lambda: request.host)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    assert ask(app, "api.example.com")[0] == 200
    assert ask(app, "evil.example") == UNKNOWN


def test_a_name_in_letters_and_its_a_label_are_one(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["Bücher.example", "*.xn--e1afmkfd.example"])
    assert ask(app, "xn--bcher-kva.example")[0] == ask(app, "XN--BCHER-KVA.example")[0] == 200
    assert ask(app, "shop.xn--e1afmkfd.example")[0] == 200
    assert ask(app, "bucher.example") == UNKNOWN


def test_addresses_are_compared_and_not_their_spellings(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["2001:DB8:0::1", "[::1]:5000", "192.0.2.7"])
    assert ask(app, "[2001:db8::1]", path="/host") == (200, "[2001:db8::1]")
    assert ask(app, "[2001:0db8:0:0::0001]:81", path="/host") == (200, "[2001:db8::1]:81")
    assert ask(app, "[::1]:5000")[0] == ask(app, "192.0.2.7:81")[0] == 200
    for host in ("[::1]", "[2001:db8::2]", "192.0.2.70", "[::ffff:192.0.2.7]"):
        assert ask(app, host) == UNKNOWN


def test_an_ipv4_address_within_ipv6_is_written_as_browsers_write_it(make: Make) -> None:
    # WHATWG URL, "IPv6 serializer". Python 3.13 writes its end with dots, and the page's own Origin would be another.
    assert ask(make(), "[::ffff:192.0.2.7]", path="/host") == (200, "[::ffff:c000:207]")


# What the app then sees.


def test_addresses_that_the_app_builds_cannot_be_poisoned(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["api.example.com"])
    client = app.test_client()
    answer = client.get("/", base_url="http://api.example.com", headers={"X-Forwarded-Host": "evil.example"})
    assert answer.text == "http://api.example.com/"
    for headers in ({"Host": "evil.example"}, {"Host": "api.example.com@evil.example"}):
        assert client.get("/", headers=headers).status_code in (400, 421)


def test_host_has_one_spelling_for_whoever_comes_after(make: Make) -> None:
    app = make()
    for scheme, host, seen in (
        ("http", "A.Example:80", "a.example"),
        ("http", "a.example:443", "a.example:443"),
        ("https", "a.example.:443", "a.example"),
        ("http", "a.example:", "a.example"),
        ("https", "[0:0::1]:80", "[::1]:80"),
    ):
        for _ in range(2):
            assert ask(app, host, scheme=scheme, path="/host") == (200, seen)


def test_without_a_list_any_host_that_is_one_is_answered(make: Make) -> None:
    app = make()
    for host in ("anything.example", "my_service", "[::1]:5000", "192.0.2.1"):
        assert ask(app, host)[0] == 200


# A target that names a host itself (RFC 9112 section 3.2.2). Which server shows it where, the last test here asks them.


@pytest.mark.parametrize(
    ("where", "code"),
    [("RAW_URI", "request.malformed"), ("REQUEST_URI", "request.malformed"), ("PATH_INFO", "path.malformed")],
)
def test_a_target_with_another_host_than_host_is_refused(make: Make, where: str, code: str) -> None:
    app = make(RAMPART_TRUSTED_HOSTS=["a.example", "b.example"])
    cleared = {"RAW_URI": "", "REQUEST_URI": "", "PATH_INFO": "/"}
    for target in (
        "http://b.example/",
        "HTTP://evil.example",
        "http://a.example:81/",
        "http://user@a.example/",
        "http://a.example@b.example/",
        "http:///",
        "https://a.example:80/",
        # The same host, written otherwise: a client has to write it twice alike (RFC 9112 section 3.2).
        "http://a.example.:80/",
    ):
        for _ in range(2):
            assert ask(app, "a.example", **{**cleared, where: target}) == (400, code), target
    assert ask(app, "a.example", **{**cleared, where: "/"})[0] != 400
    if where != "PATH_INFO":
        for target in ("http://a.example/", "HTTP://A.example/", "http://a.example?x"):
            assert ask(app, "a.example", **{**cleared, where: target})[0] == 200, target


def test_http_1_1_without_host_is_malformed(make: Make) -> None:
    # RFC 9112 section 3.2.
    app = make()
    assert ask(app, None, SERVER_PROTOCOL="HTTP/1.1") == MALFORMED


@pytest.mark.parametrize("host", [None, ""], ids=["absent", "empty"])
def test_http_1_0_without_host_is_for_the_servers_own_name(make: Make, host: str | None) -> None:
    assert ask(make(), host, SERVER_PROTOCOL="HTTP/1.0", SERVER_NAME="own.example")[0] == 200
    app = make(RAMPART_TRUSTED_HOSTS=["own.example"])
    assert ask(app, host, SERVER_PROTOCOL="HTTP/1.0", SERVER_NAME="own.example", SERVER_PORT="81") == (
        200,
        "http://own.example:81/",
    )
    assert ask(app, host, SERVER_PROTOCOL="HTTP/1.0", SERVER_NAME="127.0.0.1") == UNKNOWN
    # A Unix socket.
    assert ask(app, host, SERVER_PROTOCOL="HTTP/1.0", SERVER_NAME="/run/app.sock", SERVER_PORT="") == UNKNOWN


# Settings.


def test_an_empty_list_never_means_any(make: Make) -> None:
    # werkzeug: trusted_list=[] trusts every host.
    with pytest.raises(ConfigError, match="RAMPART_TRUSTED_HOSTS"):
        make(RAMPART_TRUSTED_HOSTS=[])
    for empty in ([], (), "", [""]):
        with pytest.raises(ConfigError, match="TRUSTED_HOSTS"):
            make(TRUSTED_HOSTS=empty)
        for mode in ({"TESTING": True}, {"DEBUG": True}):
            app = make(TRUSTED_HOSTS=empty, **mode)
            assert ask(app, "localhost:5000")[0] == ask(app, "127.0.0.1")[0] == 200
            assert ask(app, "evil.example")[0] == 421


def test_an_empty_list_that_comes_later_stops_the_first_request(make: Make) -> None:
    app = make()
    app.config["TRUSTED_HOSTS"] = []
    for _ in range(2):
        with pytest.raises(ConfigError, match="werkzeug takes that for: any host"):
            ask(app, "localhost")


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "*.",
        ".",
        "https://api.example.com",
        "api.example.com/",
        "user@api.example.com",
        "api.example.com:0",
        "api.*.com",
        "*api.example.com",
        "**.example.com",
        "*.127.0.0.1",
        ".::1",
        "10.0.0.0/8",
        "straße.example",
        "a\u200db.example",
        7,
        [b"api.example.com"],
        {"api.example.com": True},
    ],
)
def test_an_entry_that_cannot_be_meant_stops_the_start_up(value: Any) -> None:
    with pytest.raises(ConfigError, match="RAMPART_TRUSTED_HOSTS"):
        Settings.read({"RAMPART_TRUSTED_HOSTS": value})


def test_entries_are_read_into_one_spelling() -> None:
    given = ["API.example.com.", ".Example.com", "*.example.org:8443", "::1", "Bücher.example:81"]
    assert Settings.read({"RAMPART_TRUSTED_HOSTS": given}).trusted_hosts == (
        "api.example.com",
        "*.example.com",
        "*.example.org:8443",
        "[::1]",
        "xn--bcher-kva.example:81",
    )


def test_flasks_list_is_never_made_wider(make: Make) -> None:
    app = make(TRUSTED_HOSTS=["*", "https://x.example", "Good.example"])
    assert ask(app, "good.example")[0] == 200
    assert ask(app, "x.example") == UNKNOWN
    app = make(TRUSTED_HOSTS=["*"])
    assert ask(app, "good.example") == UNKNOWN
    assert app.config["TRUSTED_HOSTS"] == ["*"]


def test_that_any_host_is_answered_is_said_once_and_in_production_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> int:
        return sum("RAMPART_TRUSTED_HOSTS is not set" in record.getMessage() for record in caplog.records)

    app = make()
    ask(app, "localhost")
    assert said() == 0
    for host in ("a.example", "b.example", "a.example"):
        ask(app, host, scheme="https")
    assert said() == 1
    for mode in ({"TESTING": True}, {"DEBUG": True}, {"RAMPART_TRUSTED_HOSTS": "a.example"}):
        ask(make(**mode), "a.example")
    assert said() == 1


def test_a_list_for_flask_that_flask_cannot_use_is_said(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ask(make(TRUSTED_HOSTS=["a.example", "[::1]", "http://b.example"]), "a.example")
    assert "IPv6" in caplog.text
    assert "http://b.example" in caplog.text


def test_any_wsgi_app_is_held_to_it() -> None:
    def inner(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [environ["HTTP_HOST"].encode()]

    policy = EdgePolicy.of({"RAMPART_TRUSTED_HOSTS": "a.example", "RAMPART_ACCESS_LOG": "off"}, name="hosts")
    app: Any = RampartMiddleware(inner, policy)
    assert ask(app, "A.example") == (200, "a.example")
    assert ask(app, "b.example") == UNKNOWN
    with pytest.raises(ConfigError, match="TRUSTED_HOSTS is empty"):
        EdgePolicy.of({"TRUSTED_HOSTS": []}, name="hosts")


# Properties.

_TEXT = st.text(max_size=40) | st.from_regex(r"[a-zA-Z0-9.\-:\[\]@/_%]{0,30}", fullmatch=True)


@given(_TEXT)
def test_what_is_read_is_written_so_that_it_reads_the_same(text: str) -> None:
    try:
        authority = read_authority(text)
    except NotReadable:
        return
    written = authority.written()
    assert read_authority(written) == authority
    assert not set(written) & set("@/\\?#, \r\n\t%")
    assert written.isascii()
    assert written == written.lower()


@given(_TEXT)
def test_what_a_developer_may_write_is_what_a_peer_may_write(text: str) -> None:
    try:
        authority = ascii_authority(text)
    except NotReadable:
        return
    assert read_authority(authority.written()) == authority


@given(_TEXT)
def test_no_text_is_admitted_that_does_not_end_in_the_name(text: str) -> None:
    trusted = Trusted([[Pattern.read("*.example.com")]])
    try:
        authority = read_authority(text)
    except NotReadable:
        return
    assert trusted.admits(authority, "http") == authority.host.endswith(".example.com")


def test_nobody_is_admitted_by_a_list_of_nobody() -> None:
    assert not Trusted([()]).admits(Authority("localhost"), "http")
    assert Trusted(()).admits(Authority("localhost"), "http")


def test_this_machines_own_names_are_known() -> None:
    local = ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1")
    other = ("localhost.example", "10.0.0.1", "::2", "notlocalhost")
    assert [is_local(host) for host in (*local, *other)] == [True] * 5 + [False] * 4


def test_a_flood_of_hosts_takes_no_more_memory_than_a_few(make: Make) -> None:
    app = make(RAMPART_TRUSTED_HOSTS="*.example.com")
    for number in range(1500):
        assert ask(app, f"h{number}.example.com")[0] == 200
    hosts = app.wsgi_app.policy.steps[0]  # type: ignore[attr-defined]
    assert len(hosts._known["http"]) == 1024
    assert ask(app, "h1499.example.com")[0] == 200
    assert ask(app, "h1.example.org") == UNKNOWN


@pytest.mark.servers
def test_a_real_server_is_asked_for_other_hosts(tmp_path: Path) -> None:
    views = """
    from flask import url_for
    app.add_url_rule("/link", "link", lambda: url_for("link", _external=True))
    Rampart(app)
    """
    settings = {"RAMPART_TRUSTED_HOSTS": ["127.0.0.1", "api.example.com"]}
    with serving(tmp_path, views, settings=settings) as served:
        assert served.get("/link", Host="API.example.com.")[2] == "http://api.example.com/link"
        assert served.raw("GET /link HTTP/1.1", "Host: evil.example") == 421
        assert served.raw("GET http://evil.example/link HTTP/1.1", "Host: api.example.com") == 400
        assert served.raw("GET http://api.example.com/link HTTP/1.1", "Host: api.example.com") == 200
        assert served.raw("GET /link HTTP/1.1") == 400
        assert served.raw("GET /link HTTP/1.1", "Host:") == 400
        assert served.raw("GET /link HTTP/1.1", "Host: api.example.com", "Host: evil.example") == 400
        assert served.raw("GET /link HTTP/1.0") == 200


_SERVERS = {
    "waitress": "import waitress; waitress.serve(app, listen='127.0.0.1:{port}')",
    "gevent": "from gevent.pywsgi import WSGIServer; WSGIServer(('127.0.0.1', {port}), app, log=None).serve_forever()",
    "werkzeug": "from werkzeug.serving import run_simple; run_simple('127.0.0.1', {port}, app)",
    "granian": "from granian import Granian; Granian('others:app', '127.0.0.1', {port}, interface='wsgi').serve()",
    "uwsgi": "import pyuwsgi; pyuwsgi.run('--http-socket 127.0.0.1:{port} --module others:app --need-app'.split())",
}


@pytest.mark.servers
@pytest.mark.parametrize("server", _SERVERS)
def test_no_server_lets_a_target_or_a_host_of_another_name_through(tmp_path: Path, server: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "others.py").write_text(
        "from flask import Flask, url_for\n"
        "from flask_rampart import Rampart\n"
        "app = Flask('others')\n"
        "app.config.update(RAMPART_ACCESS_LOG='off', RAMPART_TRUSTED_HOSTS='good.example', TRUSTED_HOSTS=['Good.example'])\n"
        "app.add_url_rule('/link', 'link', lambda: url_for('link', _external=True))\n"
        "Rampart(app)\n"
    )
    start = f"from others import app\nif __name__ == '__main__':\n    {_SERVERS[server].format(port=port)}\n"
    (tmp_path / "start.py").write_text(start)

    def raw(*lines: str) -> tuple[int, str]:
        with socket.create_connection(("127.0.0.1", port), 30) as peer:
            peer.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            answer = b""
            while data := peer.recv(65536):
                answer += data
        return int(answer.split(b" ", 2)[1]), answer.decode("latin-1")

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "start.py"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                alive = process.poll() is None and time.monotonic() < end
                assert alive, (tmp_path / "log").read_text(errors="replace")
                time.sleep(0.05)
        status, text = raw("GET /link HTTP/1.1", "Host: GOOD.example.")
        assert (status, "http://good.example/link" in text) == (200, True), text
        assert raw("GET /link HTTP/1.1", "Host: evil.example")[0] == 421
        for lines in (["Host: good.example", "Host: evil.example"], ["Host: evil.example@good.example"], ["Host:"], []):
            assert raw("GET /link HTTP/1.1", *lines)[0] == 400, lines
        status, text = raw("GET http://evil.example/link HTTP/1.1", "Host: good.example")
        # RFC 9112 section 3.2.2 has a server replace Host by it: werkzeug does. granian drops it, and goes by Host.
        assert status == {"werkzeug": 421, "granian": 200}.get(server, 400)
        assert "evil" not in text
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
