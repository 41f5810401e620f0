"""What ties a token to its sender: DPoP (RFC 9449) and certificates of clients (RFC 8705 section 3).

A token with ``cnf`` (RFC 7800) is no bearer token. It is taken when, in this order:

1. the native verifier accepts the token, whoever made it (the rules of ``src/tokens``);
2. the request proves what the token is bound to: a DPoP proof of the key, for this token, method, URL and
   moment (``src/tokens/proof.rs``), the client's certificate, or both;
3. the certificate comes from the server itself, or in one header field from a proxy that is trusted by its
   address;
4. with ``RAMPART_DPOP_NONCE``, the proof has a nonce of ours that is not too old;
5. the proof was not used before, on this host: last of all, so that only who has the key and the token uses up
   anything.

Everything else refuses, and a bound token without these settings, too. A full table of used proofs refuses; it
never forgets one that could be used again.

It makes no bound tokens, and does not check proofs for them: that is an authorization server's work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from flask import Flask, Response, after_this_request
from itsdangerous import BadSignature, TimestampSigner, want_bytes

from ._native import BoundToken, Clock, LimitSet, LimitStore, Possession, Quota, VerifiedToken, Verifier, carries
from .config import Settings
from .errors import ConfigError, Denied
from .exchange import Exchange
from .refusals import Challenge

Verdict = VerifiedToken | BoundToken | tuple[str, str] | None

_HEADER = "header:"
UNIX = "unix"
"""In ``RAMPART_TRUSTED_PROXIES``: whoever connects by a Unix socket."""

SOCKET = "flask_rampart.socket"
"""In the environ: who is at the other end of the socket, where the edge has settled who the client is."""

_CLOCK_STEP = 60
"""Seconds that a proof is remembered beyond its time: the wall clock may be set back, the table's clock is not."""

_SHARE = 16
"""One key, and one principal, may use up this part of the table."""


class Binding:
    """An app's demands on senders of tokens. Made where ``RAMPART_DPOP`` or ``RAMPART_CLIENT_CERT`` is not ``"off"``.

    :param table: opens the table of used proofs.
    :param named: what every challenge says, such as ``resource_metadata``.
    """

    def __init__(
        self, settings: Settings, clock: Clock, table: Callable[[], LimitStore], named: Mapping[str, str] | None = None
    ) -> None:
        self._dpop = settings.dpop
        self._resource = settings.resource
        self._clock = clock
        self._table = table
        self._max_age = settings.dpop_max_age
        self._wants_nonce = settings.dpop_nonce
        self._source = settings.client_cert
        self._peers = Peers(settings.trusted_proxies)
        self._field = ""
        if self._source.startswith(_HEADER):
            self._field = "HTTP_" + self._source[len(_HEADER) :].upper().replace("-", "_")
            if not settings.trusted_proxies:
                raise ConfigError(
                    f"RAMPART_CLIENT_CERT = {self._source!r} needs RAMPART_TRUSTED_PROXIES: the addresses of the "
                    "proxies that set this header field. From anybody else it proves nothing."
                )
        try:
            self._possession = Possession(
                clock,
                dpop=self._dpop,
                certificates=self._source != "off",
                max_age=self._max_age,
                origin=self._resource,
            )
        except ValueError as error:
            raise ConfigError(f"RAMPART_RESOURCE: {error}") from None
        named = named or {}
        proofs = Challenge("DPoP", {"algs": " ".join(self._possession.algorithms), **named})
        if self._dpop == "required":
            self.challenge = proofs
        elif self._dpop == "allowed":
            self.challenge = Challenge("Bearer", named, beside=proofs)
        else:
            self.challenge = Challenge("Bearer", named)
        self._used: LimitSet | None = None
        self._nonces: Nonces | None = None

    def open(self, app: Flask) -> None:
        """Opens what proofs need. Before the first request.

        :raises ConfigError: if they could not be checked safely.
        """
        if self._dpop == "off":
            return
        if self._resource is None and not (app.debug or app.testing):
            # TRUSTED_HOSTS is not enough: it leaves the port to the sender, and another service may listen there.
            raise ConfigError(
                "RAMPART_DPOP needs RAMPART_RESOURCE, such as 'https://api.example.com': a proof names the URL that it "
                "is for, and otherwise each sender says in Host what ours is."
            )
        if self._wants_nonce:
            if not app.secret_key:
                raise ConfigError("RAMPART_DPOP_NONCE needs app.secret_key, the same for all workers and hosts.")
            older = app.config.get("SECRET_KEY_FALLBACKS") or []
            self._nonces = Nonces([want_bytes(key) for key in (*older, app.secret_key)], self._clock)
        store = self._table()
        window = 2 * self._max_age + _CLOCK_STEP
        most = max(1, store.capacity // _SHARE)
        entries = [
            ("proof", Quota.parse(f"1/{window} seconds"), "text"),
            ("proofs of a key", Quota.parse(f"{most}/{window} seconds"), "text"),
            # Who is free to choose keys, as many as an issuer binds, is held to the same share.
            ("proofs of a principal", Quota.parse(f"{most}/{window} seconds"), "text"),
        ]
        self._used = LimitSet(store, entries)

    @property
    def takes_plain(self) -> bool:
        """Whether tokens that are not bound are taken as well."""
        return self._dpop != "required"

    def judge(self, verifier: Verifier, environ: dict[str, Any]) -> Verdict:
        """What *verifier* says of the request's token. Nothing is used up by asking: see :meth:`settle`."""
        return self._possession.authenticate(verifier, environ)

    def issuer(self, environ: dict[str, Any]) -> str | tuple[str, str] | None:
        """Which issuer the request's token says it is from."""
        return self._possession.issuer(environ)

    def carries(self, environ: dict[str, Any]) -> bool:
        """Whether the request has a token, right or wrong."""
        return carries(environ, "bearer") or (self._dpop != "off" and carries(environ, "dpop"))

    def settle(self, found: Verdict, exchange: Exchange) -> VerifiedToken | Denied | None:
        """Makes a verdict final: once for each request, since a proof is good for one."""
        if found is None or type(found) is VerifiedToken:
            return found
        if isinstance(found, BoundToken):
            return self._admit(found, exchange.environ)
        assert isinstance(found, tuple)  # noqa: S101 - there is no other verdict
        return self.refused(found, exchange.environ)

    def refused(self, verdict: tuple[str, str], environ: dict[str, Any]) -> Denied:
        """A refusal, told to the scheme that the request used."""
        proven = self._dpop != "off" and carries(environ, "dpop")
        return self.challenge.refused(verdict, by="DPoP" if proven else "Bearer")

    def _admit(self, found: BoundToken, environ: dict[str, Any]) -> VerifiedToken | Denied:
        token = found.admit(**(self._certificate(environ) if found.needs_certificate else {}))
        if isinstance(token, tuple):
            return self.refused(token, environ)
        if found.proof is None:
            return token
        age = 0.0
        if self._nonces is not None:
            known = self._nonces.age(found.nonce)
            if known is None:
                return self.challenge.refused(
                    ("proof.nonce", "nonce"), by="DPoP", more=(("DPoP-Nonce", self._nonces.new()),)
                )
            age = known
        if self._used is None:
            raise RuntimeError("the table of used proofs is not open")
        issuer = token.issuer or ""
        verdict = self._used.check((*found.proof, f"{len(issuer)}:{issuer}:{token.id}"))
        if not verdict.admitted:
            if verdict.scope == "proof":
                return self.refused(("proof.invalid", "proof used before, or no room to remember it"), environ)
            wait = (("Retry-After", str(verdict.retry_after)),)
            return Denied.of("limit.exceeded", "proofs of one sender", headers=wait)
        if self._nonces is not None and age > Nonces.LIFE / 2:
            _offer(self._nonces.new())
        return token

    def _certificate(self, environ: dict[str, Any]) -> dict[str, Any]:
        """The client's certificate, in the form that it came in; empty if there is none to be believed."""
        if self._field:
            field = environ.get(self._field)
            return {"field": field} if field and self._peers.trust(environ) else {}
        pem = environ.get("SSL_CLIENT_CERT")
        if pem:
            return {"pem": pem}
        ask = getattr(environ.get("gunicorn.socket"), "getpeercert", None)
        der = ask(binary_form=True) if ask is not None else None
        return {"der": der} if der else {}


class Peers:
    """Who connects to the server, and which of them are trusted proxies."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._unix = UNIX in networks
        self._networks = [ip_network(text) for text in networks if text != UNIX]

    def trust(self, environ: dict[str, Any]) -> bool:
        """Whether the other end of the connection is one of them: the socket's, not what a header says."""
        peer = environ.get(SOCKET)
        if peer is None:
            peer = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR")
        if not isinstance(peer, str):
            return False
        if not peer:
            return self._unix
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class Nonces:
    """Nonces that every worker and host knows for ours, and keeps nothing of (RFC 9449 section 9)."""

    LIFE = 300.0
    """Seconds for which one is taken; from half of that, a newer one is offered."""

    _SKEW = 30.0

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        self._clock = clock
        self._signer = _Signer(clock, keys)

    def new(self) -> str:
        """A nonce of this second."""
        return self._signer.sign(b"1").decode()

    def age(self, nonce: str | None) -> float | None:
        """Seconds since it was made; None if it is not ours or too old."""
        if not nonce:
            return None
        try:
            value, made = self._signer.unsign(nonce, return_timestamp=True)
        except BadSignature:
            return None
        age = self._clock.now() - made.timestamp()
        return age if value == b"1" and -self._SKEW <= age <= self.LIFE else None


class _Signer(TimestampSigner):
    def __init__(self, clock: Clock, keys: Sequence[bytes]) -> None:
        super().__init__(keys, salt="flask_rampart.dpop.nonce", key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now())


def _offer(nonce: str) -> None:
    @after_this_request
    def add(response: Response) -> Response:
        response.headers["DPoP-Nonce"] = nonce
        return response
