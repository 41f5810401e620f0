"""An identity provider, as small as it can be: it publishes its keys, and signs access tokens for other services.

It speaks as OpenID Connect Discovery and RFC 7517 say, over plain HTTP on this machine alone. It can be stopped,
started again at the same address, and given a new key: what befalls a real one at night.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from examples.predict_api.forge import base64url, es256

AUDIENCE = "https://predict.example/api"


class Issuer:
    """``issuer.start()`` publishes; ``issuer.token("somebody")`` is what a client of it would get."""

    def __init__(self) -> None:
        # Bound and never listening: it keeps the port ours while nobody answers there.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self._port: int = self._place.getsockname()[1]
        self._server: _Server | None = None
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.url = f"http://127.0.0.1:{self._port}"
        self.fetched: list[str] = []
        self.rotate()

    @property
    def settings(self) -> dict[str, Any]:
        """What the API's RAMPART_ISSUERS says of it. In earnest, only the first two, and https."""
        return {
            "issuer": self.url,
            "audience": AUDIENCE,
            "typ": "at+jwt",
            "algorithms": ["ES256"],
            # It is on this very host, where nobody stands on the way.
            "allow_private": True,
            "allow_http": True,
        }

    @property
    def newest(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """The key that signs, with its id."""
        return list(self._keys.items())[-1]

    def rotate(self) -> None:
        """A new key signs from now on; the old ones stay published, as their tokens are still about."""
        self._keys = {**self._keys, f"key-{len(self._keys) + 1}": ec.generate_private_key(ec.SECP256R1())}

    def claims(self, subject: str, scope: str = "predict", **others: Any) -> dict[str, Any]:
        """Claims as RFC 9068 section 2.2 wants them."""
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": subject,
            "scope": scope,
            "iat": now,
            "exp": now + 900,
            "jti": uuid4().hex,
            **others,
        }

    def token(self, subject: str, scope: str = "predict", **others: Any) -> str:
        """An access token by the newest key."""
        kid, key = self.newest
        return es256(key, kid, self.claims(subject, scope, **others))

    def start(self) -> None:
        """Answers, from now on."""
        self._server = _Server(self._port, self._document)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Answers nobody any more, until it is started again."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        """Ends for good."""
        self.stop()
        self._place.close()

    def _document(self, path: str) -> Mapping[str, Any] | None:
        self.fetched.append(path)
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}
        return None


class _Server(ThreadingHTTPServer):
    def __init__(self, port: int, documents: Any) -> None:
        self.documents = documents
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's own: it asks the name server for this host's name, which may take its time.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        document = self.server.documents(self.path)
        body = json.dumps(document or {}).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing: the demo's page is for the demo."""


def _jwk(kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig", "x": x, "y": y}
