"""An app behind nginx with TLS: who the peer is, what is redirected, and what nobody may say in the proxy's place."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .fronts import FORWARDING, Certificate, Nginx
from .serving import Served, serving

pytestmark = pytest.mark.servers

HOST = "app.example"
PROXY, OUTER = "127.0.0.9", "127.0.0.8"
VIEWS = """
Rampart(app)
@app.get("/who")
def who():
    from flask import url_for
    told = sorted(name for name in request.headers.keys() if "forward" in name.lower() or "real" in name.lower())
    return {
        "address": request.remote_addr, "scheme": request.scheme, "host": request.host, "told": told,
        "link": url_for("who", _external=True), "environ": request.environ["REMOTE_ADDR"],
    }
@app.post("/who")
def post():
    return {}
"""


class Behind:
    """The app, and nginx in front of it."""

    def __init__(self, served: Served, nginx: Nginx, certificate: Certificate) -> None:
        self.served, self.nginx = served, nginx
        self._context = ssl.create_default_context(cafile=str(certificate.authority))

    def ask(
        self, path: str = "/who", method: str = "GET", *, tls: bool = True, host: str = HOST, **headers: str
    ) -> httpx.Response:
        """As a browser does; over TLS by HTTP/2."""
        fields = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = f"https://127.0.0.1:{self.nginx.tls}{path}" if tls else f"http://127.0.0.1:{self.nginx.plain}{path}"
        with httpx.Client(http2=True, verify=self._context) as client:
            return client.request(method, url, headers=fields, extensions={"sni_hostname": HOST})


Make = Callable[..., Behind]


@pytest.fixture(scope="module", params=["tcp", "unix"])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("behind")
    is_unix = request.param == "unix"
    settings = {
        "RAMPART_TRUSTED_PROXIES": ["unix" if is_unix else PROXY],
        "RAMPART_TRUSTED_HOSTS": [HOST],
        "RAMPART_CANONICAL_HOST": HOST,
        "RAMPART_HTTPS": "redirect",
        "RAMPART_HTTPS_EXEMPT": ["/ready"],
    }
    with _app(folder, settings, is_unix) as served:
        certificate = Certificate(folder, HOST)
        upstream = f"unix:{folder}/app.sock" if is_unix else f"127.0.0.1:{served.port}"
        nginx = Nginx(folder, upstream, certificate, address=PROXY)
        try:
            yield Behind(served, nginx, certificate)
        finally:
            nginx.stop()


def _app(folder: Path, settings: dict[str, Any], is_unix: bool) -> Any:
    # /ready is asked by its own name.
    settings = {**settings, "RAMPART_TRUSTED_HOSTS": [*settings["RAMPART_TRUSTED_HOSTS"], "127.0.0.1", "localhost"]}
    return serving(folder, VIEWS, bind=f"unix:{folder}/app.sock" if is_unix else "127.0.0.1:0", settings=settings)


def test_the_app_knows_its_client_and_that_it_came_by_tls(behind: Behind) -> None:
    answer = behind.ask()
    assert answer.http_version == "HTTP/2"
    assert answer.json() == {
        "address": "127.0.0.1",
        "environ": "127.0.0.1",
        "scheme": "https",
        "host": HOST,
        "link": f"https://{HOST}/who",
        "told": answer.json()["told"],
    }


def test_every_header_is_sent_once_and_hsts_by_tls_alone(behind: Behind) -> None:
    secure = behind.ask()
    names = [name for name, _ in secure.headers.multi_items()]
    assert len(names) == len(set(names))
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert "Strict-Transport-Security" not in behind.ask(tls=False).headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_comes_without_tls_is_sent_to_the_same_place_with_it(behind: Behind, method: str) -> None:
    answer = behind.ask("/who?a=%2F&b=c%0d%0aX:y", method, tls=False)
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{HOST}/who?a=%2F&b=c%0d%0aX:y"


def test_what_is_sent_without_tls_is_refused_and_not_redirected(behind: Behind) -> None:
    answer = behind.ask(method="POST", tls=False)
    assert answer.json()["code"] == "https.required" and "Location" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", f"{HOST}.evil.example", "127.0.0.2"])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_another_name_gets_nothing(behind: Behind, host: str, tls: bool) -> None:
    # Flask-Talisman and flaskapi-guard redirect to whatever Host says.
    answer = behind.ask(host=host, tls=tls)
    assert answer.json()["code"] == "host.unknown" and "Location" not in answer.headers


@pytest.mark.parametrize("host", [HOST.upper(), f"{HOST}.", f"{HOST}:443"])
def test_another_spelling_of_the_name_is_the_same(behind: Behind, host: str) -> None:
    assert behind.ask(host=host).json()["scheme"] == "https"


SPOOFED = {
    "X_Forwarded_For": "192.0.2.1",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Port": "8443",
    "X_Forwarded_Prefix": "/evil",
    "X_Real_IP": "192.0.2.1",
    "Forwarded": "for=192.0.2.1;proto=https;host=evil.example",
}


def test_what_a_client_says_in_the_proxys_place_is_not_believed(behind: Behind) -> None:
    # nginx appends to X-Forwarded-For, overwrites two others, and hands the rest on as it came.
    found = behind.ask(**SPOOFED).json()
    assert (found["address"], found["scheme"], found["host"]) == ("127.0.0.1", "https", HOST)
    assert found["link"] == f"https://{HOST}/who"
    assert not {"Forwarded", "X-Real-Ip", "X-Forwarded-Prefix", "X-Forwarded-Port"} & set(found["told"])
    # Talisman: X-Forwarded-Proto from anybody turns the redirect off, and HSTS on.
    plain = behind.ask(tls=False, **SPOOFED)
    assert plain.status_code == 308 and plain.headers["Location"] == f"https://{HOST}/who"


def test_who_reaches_the_app_beside_the_proxy_is_nobodys_client(behind: Behind) -> None:
    if not behind.served.port:
        # At a socket in the file system there is no way beside it.
        return
    status, headers, body = behind.served.get("/who", Host=HOST, **SPOOFED)
    assert status == 308 and headers["Location"] == f"https://{HOST}/who", body


def test_a_chain_of_two_proxies_is_walked_to_the_client(tmp_path: Path) -> None:
    settings = {
        "RAMPART_TRUSTED_PROXIES": ["unix", OUTER],
        "RAMPART_TRUSTED_HOSTS": [HOST],
        "RAMPART_PROXY_HOPS": 2,
    }
    with _app(tmp_path, settings, True):
        certificate = Certificate(tmp_path, HOST)
        (tmp_path / "inner").mkdir()
        (tmp_path / "outer").mkdir()
        # The inner one hands on what the outer one says of the scheme.
        handed = {**FORWARDING, "X-Forwarded-Proto": "$http_x_forwarded_proto"}
        inner = Nginx(tmp_path / "inner", f"unix:{tmp_path}/app.sock", certificate, fields=handed)
        try:
            outer = Nginx(tmp_path / "outer", f"127.0.0.1:{inner.plain}", certificate, address=OUTER)
            try:
                with httpx.Client(
                    http2=True, verify=ssl.create_default_context(cafile=str(certificate.authority))
                ) as client:
                    answer = client.get(
                        f"https://127.0.0.1:{outer.tls}/who",
                        headers={"Host": HOST, "X-Forwarded-For": "192.0.2.1, 192.0.2.2"},
                        extensions={"sni_hostname": HOST},
                    )
            finally:
                outer.stop()
        finally:
            inner.stop()
    found = answer.json()
    assert (found["address"], found["scheme"]) == ("127.0.0.1", "https")
