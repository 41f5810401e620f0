"""Outbound: which URLs are called for a peer, and to which addresses."""

from __future__ import annotations

import contextlib
import doctest
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_rampart import ConfigError, dialing
from flask_rampart.addresses import NEVER, is_allowed, kind_of
from flask_rampart.outbound import OutboundRefused, check_url
from flask_rampart.weburl import NotReadable, read_url

from .outgoing import certified, place

PUBLIC = "93.184.215.14"


def to(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(addresses)


def rule(url: str, **rules: Any) -> str:
    """The rule that refuses *url*, or ``"ok"``."""
    rules = {"schemes": ("https", "http"), "resolver": to(PUBLIC), **rules}
    try:
        check_url(url, **rules)
    except OutboundRefused as refused:
        return refused.rule
    return "ok"


# What a URL says


# Orange Tsai, "A New Era of SSRF" (2017); WHATWG URL; CVE-2019-9636, CVE-2021-29921, CVE-2023-24329.
SPELLINGS = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://127.0.0.0x1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://00.0.0.0/",
    "http://127.0.0.1./",
    "http://127.0.0.1%2e/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://١٢٧.0.0.1/",
    "http://127.0.0.1 /",
    "http://127.0.0.1\t/",
    "http://127.0.0.1\n/",
    " http://127.0.0.1/",
    "\x00http://127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "http:/\\127.0.0.1/",
    "http:///127.0.0.1/",
    "http:127.0.0.1/",
    "//127.0.0.1/",
    "http://public.example\\@127.0.0.1/",
    "http://public.example@127.0.0.1/",
    "http://public.example:80@127.0.0.1/",
    "http://127.0.0.1:80@public.example/",
    "http://public.example#@127.0.0.1/",
    "http://public.example?@127.0.0.1/",
    "http://127.0.0.1:80:80/",
    "http://127.0.0.1:/",
    "http://127.0.0.1:0080/",
    "http://127.0.0.1:+80/",
    "http://[::1]:80x/",
    "http://[::1",
    "http://[::1]x/",
    "http://[::1%25lo]/",
    "http://[::1%lo]/",
    "http://[fe80::1%25eth0]/",
    "http://[v1.127]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000::0001]/",
    "http://[::]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:FFFF:7F00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:0:0:0:0:80ff:fffe]/",
    "http://[2a00:1450::5efe:7f00:1]/",
    "http://127.0.0.1/",
    "http://127.255.255.254/",
    "http://LOCALHOST./",
    "http://local%68ost/",
    "http://loc\xadalhost/",
    "http://user:password@127.0.0.1/",
    "gopher://127.0.0.1:6379/_INFO",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "ftp://127.0.0.1/",
    "data:,x",
    "jar:http://127.0.0.1!/",
    "unix:///run/docker.sock",
    "url:http://127.0.0.1/",
    "",
    "x" * 3000,
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_of_this_host_is_called(url: str) -> None:
    assert rule(url) == "url" or rule(url).startswith("address: ")


def test_no_spelling_reaches_a_server_of_this_host() -> None:
    from flask_rampart.outbound import client, session

    with place() as inside:
        for url in SPELLINGS:
            aimed = url.replace("127.0.0.1/", f"127.0.0.1:{inside.port}/").replace("1]/", f"1]:{inside.port}/")
            rules: dict[str, Any] = {"schemes": ("https", "http"), "ports": (80, inside.port), "resolver": to(PUBLIC)}
            for make in (session, client):
                # Whatever it is refused as: by us, or by what the client makes of it before.
                with contextlib.suppress(Exception), make(timeout=0.2, **rules) as calling:
                    calling.get(aimed)
        assert inside.opened == 0


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://API.Example.COM:443/a/@b?c=[d]&e=%20#f", "https://api.example.com/a/@b?c=[d]&e=%20"),
        ("http://a_b.example:8080/", "http://a_b.example:8080/"),
        ("https://xn--bcher-kva.example?q", "https://xn--bcher-kva.example/?q"),
        ("https://[2A00:1450::0:1]/", "https://[2a00:1450::1]/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://1.2.3.example/", "https://1.2.3.example/"),
    ],
)
def test_a_plain_url_is_read_and_normalised(url: str, read: str) -> None:
    assert str(read_url(url)) == read
    assert str(read_url(read)) == read
    assert check_url(url, schemes=("https", "http"), ports=(443, 8080), resolver=to(PUBLIC)).url == read


@given(
    st.lists(
        st.sampled_from([*"/\\@:?#.[]%\t a1é0xX-_", "http://", "https:", "127.0.0.1", "evil.example", "::1", "%40"]),
        max_size=10,
    ).map("".join)
)
@settings(max_examples=500, deadline=None)
def test_what_is_read_has_the_same_host_for_pythons_own_reader(tail: str) -> None:
    url = f"https://{tail}"
    try:
        found = read_url(url)
    except NotReadable:
        return
    parts = urlsplit(url)
    assert parts.hostname is not None
    named = parts.hostname
    with contextlib.suppress(ValueError):
        named = str(ip_address(named))
    assert (named, parts.port or 443) == (found.host, found.port)
    assert read_url(str(found)) == found


def test_schemes_ports_and_hosts_are_those_that_were_listed() -> None:
    assert rule("http://a.example/", schemes=("https",)) == "scheme"
    assert rule("https://a.example:22/") == rule("https://a.example:444/") == "port"
    assert rule("https://a.example:8443/", ports=[8443]) == "ok"
    assert rule("https://a.example/", ports=range(8000, 9000)) == "port"
    hosts = ["api.example.com", "*.example.org", "8.8.8.8", "2a00:1450::1"]
    for host in ("api.example.com", "a.example.org", "a.b.example.org", "API.example.com", "8.8.8.8", "[2a00:1450::1]"):
        assert rule(f"https://{host}/", hosts=hosts) == "ok", host
    for host in ("x.api.example.com", "example.org", "badexample.org", "api.example.com.evil.example", "8.8.4.4"):
        assert rule(f"https://{host}/", hosts=hosts) == "host", host


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA", "metadata.goog", "instance-data"])
def test_a_name_of_cloud_metadata_is_not_even_asked_for(host: str) -> None:
    asked: list[str] = []
    assert rule(f"http://{host}/", resolver=lambda name, port: asked.append(name) or [PUBLIC]) == "host"
    assert not asked


# What an address is


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (PUBLIC, "public"),
        ("2606:4700::1111", "public"),
        ("::ffff:8.8.8.8", "public"),
        ("64:ff9b::8.8.8.8", "public"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("192.168.0.1", "private"),
        ("fd12::1", "private"),
        ("fec0::1", "private"),
        ("64:ff9b:1::808:808", "private"),
        ("100.64.0.1", "shared"),
        ("100.128.0.0", "public"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("::ffff:169.254.1.1", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("0.1.2.3", "reserved"),
        ("192.0.0.8", "reserved"),
        ("240.0.0.1", "reserved"),
        ("4000::1", "reserved"),
        ("100::1", "reserved"),
        ("5f00::1", "reserved"),
        ("2001:20::1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("198.19.0.1", "benchmarking"),
        ("192.88.99.1", "tunnel"),
        ("2002:808:808::1", "tunnel"),
        ("2001:0:808:808::1", "tunnel"),
        ("::8.8.8.8", "reserved"),
        ("::ffff:0:8.8.8.8", "reserved"),
        ("2a00:1450::5efe:808:808", "tunnel"),
        ("2a00:1450::200:5efe:808:808", "tunnel"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd00:ec2::23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fd00:c1::a9fe:a9fe", "metadata"),
        ("::ffff:100.100.100.200", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b:1::a9fe:a9fe", "metadata"),
        ("64:ff9b:1:a9fe:a9:fe00::", "metadata"),
        ("2002:a9fe:a9fe::1", "metadata"),
        ("2001:0:a9fe:a9fe::1", "metadata"),
        ("2001:0:0808:0808:0:0:5601:5601", "metadata"),
        ("::169.254.169.254", "metadata"),
        ("::ffff:0:a9fe:a9fe", "metadata"),
        # A way through a tunnel to what is never called is never gone.
        ("2001::1", "unspecified"),
        ("2002:e000:1::1", "multicast"),
        ("::ffff:0:224.0.0.1", "multicast"),
        ("64:ff9b:1::e000:1", "multicast"),
        ("64:ff9b:1:e000:0:100::", "multicast"),
        ("2002:ffff:ffff::", "broadcast"),
        ("64:ff9b:1::10.0.0.1", "private"),
        ("64:ff9b:1:a00:0:100::", "private"),
        # Whoever connects looks this up as a name.
        ("8.8.8.8%eth0", "unreadable"),
        ("::ffff:8.8.8.8%eth0", "public"),
        ("1.2.3", "unreadable"),
        ("localhost", "unreadable"),
        ("", "unreadable"),
    ],
)
def test_an_address_is_what_the_registries_say(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@settings(max_examples=500, deadline=None)
def test_what_python_knows_to_be_special_is_never_public(ip: Any) -> None:
    if kind_of(str(ip)) == "public":
        carrier = ip.version == 6 and (ip.ipv4_mapped or ip in ip_network("64:ff9b::/96"))
        assert carrier or not (ip.is_private or ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], [PUBLIC, "::1"], ["::ffff:10.0.0.1", PUBLIC]]
)
def test_one_address_that_is_not_public_is_enough(addresses: list[str]) -> None:
    assert rule("https://a.example/", resolver=to(*addresses)).startswith("address: ")


def test_networks_that_are_allowed_open_nothing_but_themselves() -> None:
    inside = {"allow_networks": ["10.1.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7"]}
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd12::1", PUBLIC):
        assert rule("https://a.example/", resolver=to(address), **inside) == "ok", address
    for address in ("10.2.0.1", "::1", "192.168.0.1", "100.100.100.200", "fd00:ec2::254", "169.254.1.1", "x"):
        assert rule("https://a.example/", resolver=to(address), **inside).startswith("address: "), address
    for address in ("224.0.0.1", "0.0.0.0", "169.254.169.254", "x"):
        assert not is_allowed(address, [ip_network("0.0.0.0/0")]) and kind_of(address) in NEVER


# The name server


def test_a_target_has_all_addresses_and_the_name_is_asked_for_once() -> None:
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return [PUBLIC, "2606:4700::1111"] if len(asked) == 1 else ["127.0.0.1"]  # DNS rebinding

    target = check_url("https://A.example/x", resolver=resolver)
    assert target.addresses == (PUBLIC, "2606:4700::1111")
    assert asked == [("a.example", 443)]
    with pytest.raises(OutboundRefused, match="loopback"):
        check_url("https://a.example/x", resolver=resolver)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), OSError("x"), UnicodeError("label too long")], ids=type)
def test_a_name_without_addresses_is_refused(error: Exception) -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise error

    assert rule("https://a.example/", resolver=resolver) == "resolve"
    assert rule("https://a.example/", resolver=to()) == "resolve"
    assert rule("https://a.example/", resolver=to(*[PUBLIC] * 65)) == "resolve"


def test_a_name_server_that_hangs_is_waited_for_until_the_deadline_and_holds_a_bounded_number() -> None:
    gate = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        gate.wait(20)
        return [PUBLIC]

    try:
        begun = time.monotonic()
        assert rule("https://a.example/", resolver=resolver, timeout=0.05) == "resolve"
        assert time.monotonic() - begun < 5
        for _ in range(dialing.MOST_QUESTIONS):
            rule("https://a.example/", resolver=resolver, timeout=0.001)
        assert len(dialing._pending) == dialing.MOST_QUESTIONS
        with pytest.raises(OutboundRefused, match="too many names"):
            check_url("https://a.example/", resolver=to(PUBLIC))
    finally:
        gate.set()
    until = time.monotonic() + 10
    while dialing._pending and time.monotonic() < until:
        time.sleep(0.002)
    assert rule("https://a.example/") == "ok"


def test_a_resolver_that_leaves_its_thread_refuses_as_an_error_does() -> None:
    class Left(BaseException):
        pass

    def resolver(host: str, port: int) -> list[str]:
        raise Left

    with pytest.raises(Left):
        check_url("https://a.example/", resolver=resolver)
    assert not dialing._pending


_FORKED = """
import os, threading
from flask_rampart import dialing, outbound
gate, asked = threading.Event(), threading.Event()
def hangs(host, port):
    asked.set()
    gate.wait(20)
    return []
def ask():
    try:
        outbound.check_url("https://a.example/", resolver=hangs, timeout=20)
    except outbound.OutboundRefused:
        pass
thread = threading.Thread(target=ask)
thread.start()
asked.wait(20)
child = os.fork()
if not child:
    os._exit(len(dialing._pending))
_, status = os.waitpid(child, 0)
gate.set()
thread.join()
assert os.waitstatus_to_exitcode(status) == 0, status
"""


def test_a_question_that_is_under_way_at_a_fork_holds_no_place_in_the_child() -> None:
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKED], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_a_system_name_of_this_host_is_refused() -> None:
    assert rule("https://localhost/", resolver=None) == "address: loopback"


# Settings, misuse, and what a peer learns


def test_settings_of_the_app_are_the_default_and_hosts_bind_all(make_app: Callable[..., Flask]) -> None:
    app = make_app(RAMPART_OUTBOUND_ALLOW=["10.1.0.0/16"], RAMPART_OUTBOUND_HOSTS=["*.example.com"])
    url, inside = "https://a.example.com/", to("10.1.0.1")
    assert rule(url, resolver=inside) == "address: private"
    with app.app_context():
        assert rule(url, resolver=inside) == "ok"
        assert rule(url, resolver=inside, allow_networks=[]) == "address: private"
        assert rule("https://a.example.org/") == "host"
        assert rule("https://a.example.org/", hosts=["a.example.org"]) == "host"
        assert rule(url, hosts=["b.example.com"]) == "host"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAMPART_OUTBOUND_ALLOW", ["169.254.0.0/16"]),
        ("RAMPART_OUTBOUND_ALLOW", "169.254.169.254"),
        ("RAMPART_OUTBOUND_ALLOW", ["0.0.0.0/0"]),
        ("RAMPART_OUTBOUND_ALLOW", ["10.0.0.0/8", "128.0.0.0/1"]),
        ("RAMPART_OUTBOUND_ALLOW", ["0.0.0.0/7"]),
        ("RAMPART_OUTBOUND_ALLOW", ["::/1"]),
        ("RAMPART_OUTBOUND_ALLOW", ["fc00::/6"]),
        ("RAMPART_OUTBOUND_ALLOW", "unix"),
        ("RAMPART_OUTBOUND_ALLOW", []),
        ("RAMPART_OUTBOUND_ALLOW", ["10.0.0.1/8"]),
        ("RAMPART_OUTBOUND_HOSTS", []),
        ("RAMPART_OUTBOUND_HOSTS", ["*"]),
        ("RAMPART_OUTBOUND_HOSTS", ["https://a.example"]),
        ("RAMPART_OUTBOUND_HOSTS", ["a.example:443"]),
        ("RAMPART_OUTBOUND_HOSTS", ["a.*.example"]),
        ("RAMPART_OUTBOUND_HOSTS", ["*.8.8.8.8"]),
        ("RAMPART_OUTBOUND_HOSTS", ["127.1"]),
        ("RAMPART_OUTBOUND_HOST", ["a.example"]),
    ],
    ids=str,
)
def test_a_setting_that_would_open_more_than_it_says_stops_the_start_up(
    make_app: Callable[..., Flask], name: str, value: Any
) -> None:
    with pytest.raises(ConfigError, match=name):
        make_app(**{name: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"schemes": ("ftp",)},
        {"schemes": "https"},
        {"schemes": ()},
        {"ports": ()},
        {"ports": (0,)},
        {"ports": ("443",)},
        {"ports": (True,)},
        {"hosts": "a.example"},
        {"hosts": ["*"]},
        {"hosts": [None]},
        {"hosts": []},
        {"allow_networks": "10.0.0.0/8"},
        {"allow_networks": ["169.254.169.254/32"]},
        {"allow_networks": ["10.0.0.0/33"]},
        {"timeout": 0},
        {"timeout": None},
        {"timeout": float("nan")},
        {"timeout": True},
    ],
    ids=str,
)
def test_what_cannot_be_a_rule_is_a_configuration_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        check_url("https://a.example/", **wrong)


def test_what_is_no_text_is_a_type_error() -> None:
    for value in (None, b"https://a.example/", 1):
        with pytest.raises(TypeError):
            check_url(value)  # type: ignore[arg-type]


def test_a_peer_learns_one_code_for_all_rules(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    known = {"inside.example": ["10.0.0.1"], "outside.example": [PUBLIC]}

    @app.get("/<path:url>")
    def fetch(url: str) -> dict[str, str]:
        try:
            return {"host": check_url(url, resolver=lambda host, port: known.get(host, [])).host}
        except OutboundRefused as refused:
            raise refused.denied() from None

    def ask(url: str) -> tuple[int, dict[str, Any]]:
        answer = app.test_client().get(f"/{url}")
        document = {name: value for name, value in answer.json.items() if name != "request_id"}
        return answer.status_code, document

    assert ask("https://outside.example/") == (200, {"host": "outside.example"})
    refused = [ask(f"https://{host}/") for host in ("inside.example", "nowhere.example", "127.0.0.1", "127.1", "a:22")]
    assert all(each == refused[0] for each in refused)
    assert refused[0][0] == 422 and refused[0][1]["code"] == "url.refused"
    assert "inside" not in str(refused)


def test_the_text_of_a_refusal_has_no_path_and_no_control() -> None:
    for url in ("https://a.example:1/secret?token=hunter2", "https://u:hunter2@a.example/", "https://a\r\nx/hunter2"):
        with pytest.raises(OutboundRefused) as caught:
            check_url(url, resolver=to(PUBLIC))
        assert "hunter2" not in str(caught.value) and str(caught.value).isprintable()


# A target's own connection


def test_a_target_connects_to_what_was_judged_and_checks_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, context = certified(tmp_path, "id.example")
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with place(context) as there:
        rules: dict[str, Any] = {"ports": [there.port], "allow_networks": ["127.0.0.0/8"], "resolver": to("127.0.0.1")}
        target = check_url(f"https://id.example:{there.port}/", **rules)
        with target.connect(5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(ssl.SSLCertVerificationError):
            check_url(f"https://other.example:{there.port}/", **rules).connect(5)
        assert named == ["id.example", "other.example"]
    with pytest.raises(OSError):
        target.connect(1)


def test_the_examples_of_the_page_run() -> None:
    page = Path(__file__).parent.parent / "docs" / "outbound.md"
    failed, ran = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8")
    assert ran > 5 and failed == 0
