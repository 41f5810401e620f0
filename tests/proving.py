"""A client for tests that holds a key: bound tokens and DPoP proofs, the proofs by joserfc and PyJWT, not by what is tested."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_rampart import current_principal, require
from flask_rampart._native import Key

from .conftest import NOW, SECRET

App = Callable[..., Flask]
_numbers = count()
URL = "http://localhost/"


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


class Client:
    """A key, the tokens that are bound to it, and proofs that it is held."""

    def __init__(self, alg: str = "ES256") -> None:
        self.alg = alg
        if alg.startswith("ES"):
            self.key: Any = ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[alg])
        elif alg == "EdDSA":
            self.key = OKPKey.generate_key("Ed25519")
        else:
            self.key = RSAKey.generate_key(2048)

    @property
    def jwk(self) -> dict[str, Any]:
        members: dict[str, Any] = self.key.as_dict(private=False)
        return {name: members[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in members}

    @property
    def jkt(self) -> str:
        found: str = self.key.thumbprint()
        return found

    def token(self, cnf: Any = ..., **claims: Any) -> str:
        """An access token of the app's own, bound to this key unless *cnf* says otherwise."""
        payload = {"sub": "ada", "exp": NOW + 600, "cnf": {"jkt": self.jkt} if cnf is ... else cnf, **claims}
        key = Key.from_secret(SECRET.encode(), "HS256", "test")
        return key.sign(json.dumps({name: value for name, value in payload.items() if value is not None}))

    def proof(self, token: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A proof for ``GET /`` with *token*; None leaves a member out."""
        full = {
            "jti": f"proof-{next(_numbers)}",
            "htm": "GET",
            "htu": URL,
            "iat": NOW,
            "ath": b64(hashlib.sha256(token.encode()).digest()),
            **claims,
        }
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk, **(header or {})}
        return self.sign(
            {k: v for k, v in head.items() if v is not None}, {k: v for k, v in full.items() if v is not None}
        )

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        if self.alg == "EdDSA":
            # PyJWT: to joserfc this name is deprecated.
            return jwt.encode(claims, self.key.private_key, self.alg, headers=header)
        if any(name not in ("typ", "alg", "jwk") for name in header) or header.get("alg") != self.alg:
            return self.sign_text(json.dumps(header), json.dumps(claims))
        if header.get("typ") != "dpop+jwt" or not isinstance(header.get("jwk"), dict):
            return self.sign_text(json.dumps(header), json.dumps(claims))
        registry = jws.JWSRegistry(algorithms=[self.alg], strict_check_header=False)
        return jws.serialize_compact(header, json.dumps(claims), self.key, registry=registry)

    def sign_text(self, header: str, claims: str) -> str:
        """A true ES256 signature over whatever header and claims."""
        signed = f"{b64(header)}.{b64(claims)}"
        private = self.key.private_key
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def headers(self, token: str | None = None, **claims: Any) -> dict[str, str]:
        """What a good request sends."""
        token = token or self.token()
        return {"Authorization": f"DPoP {token}", "DPoP": self.proof(token, **claims)}


def guarded(make_app: App, **config: Any) -> Flask:
    app = make_app(**config)
    app.testing = True
    app.get("/")(require()(lambda: {"id": current_principal.id}))
    app.post("/")(require()(lambda: "posted"))
    app.get("/a/<path:rest>")(require()(lambda rest: rest))
    app.get("/scoped")(require(scopes="write")(lambda: "ok"))
    return app


def code(app: Flask, headers: Any, path: str = "/", **more: Any) -> str:
    response = app.test_client().get(path, headers=headers, **more)
    return "ok" if response.status_code == 200 else response.json["code"]
