"""Tokens for tests: right ones, and each kind of wrong one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask

from .._native import Clock, Key
from ..errors import ConfigError
from ..guards import AppState
from ..issuers import Issuers
from ..tokens import Tokens
from ..tokens.keys import read_keys
from .issuer import FakeIssuer, behind
from .keys import new_key
from .state import Duration, Words, under_test

_BEYOND_ANY_LEEWAY = 601


def mint_token(
    app: Flask,
    subject: str = "user",
    *,
    scopes: Words = (),
    roles: Words = (),
    claims: Mapping[str, Any] | None = None,
    fresh: bool = False,
    lifetime: Duration | None = None,
    typ: str | None = None,
    issuer: FakeIssuer | str | None = None,
    expired: bool = False,
    not_yet: bool = False,
    without: Iterable[str] = (),
    wrong_key: bool = False,
    tampered: bool = False,
    algorithm_none: bool = False,
) -> str:
    """An access token for *subject* that *app* takes; or one that it must refuse, if that is asked for.

    The app's own keys sign it, if one of them can; otherwise a :class:`FakeIssuer`: one that is in ``RAMPART_ISSUERS``,
    or one that takes the place of the first issuer there.

    :param scopes: as ``"a b"`` or a list.
    :param roles: as a list, or one.
    :param claims: further claims. Registered ones are taken as they are: ``claims={"aud": "https://other.example"}``.
    :param lifetime: seconds until it expires; that of the app if not given.
    :param typ: the header's ``typ``; one that the app takes, if not given.
    :param issuer: whose token; a fake issuer, or the name of one in ``RAMPART_ISSUERS``, whose place a fake one takes.
    :param expired: it was valid once: ``token.expired``.
    :param not_yet: it will be valid in an hour.
    :param without: names of claims that it lacks, such as ``("exp",)``.
    :param wrong_key: its signature is good, by a key that is not the app's.
    :param tampered: its claims were changed after it was signed.
    :param algorithm_none: it has no signature, and says so (``"alg": "none"``).
    :raises ConfigError: if the app is in production, or nobody could sign.
    :raises ValueError: for arguments that contradict each other, and claims of a type that nobody would sign.
    """
    state = under_test(app)
    if expired and not_yet:
        raise ValueError("a token is expired or not valid yet, not both")
    if wrong_key + tampered + algorithm_none > 1:
        raise ValueError("of wrong_key, tampered and algorithm_none, one at most")
    own = None if issuer is not None else _own_signer(app, state)
    now = state.services[Clock].now()
    if own is not None:
        key, default_typ = own, state.settings.jwt_types[0]
        with app.app_context():
            issued = state.services[Tokens].issue(subject, scopes=scopes, roles=roles, lifetime=lifetime, fresh=fresh)
        payload = payload_of(issued)
    else:
        fake = _issuer(app, state, issuer)
        key, default_typ = fake.key, fake.typ
        payload = fake.claims(subject, scopes=scopes, roles=roles, lifetime=lifetime, now=now)
        if fresh:
            payload["auth_time"] = payload["iat"]
    if expired:
        late = max(0.0, payload["exp"] - now) + _BEYOND_ANY_LEEWAY
        for name in ("iat", "nbf", "exp", "auth_time"):
            if name in payload:
                payload[name] = int(payload[name] - late)
    if not_yet:
        payload["nbf"] = int(now) + 3600
        payload["exp"] = payload["exp"] + 3600
    payload.update(claims or {})
    for name in without:
        payload.pop(name, None)
    return _signed(payload, key, typ or default_typ, wrong_key, tampered, algorithm_none)


def payload_of(token: str) -> dict[str, Any]:
    """What *token* says, whoever made it; nothing, if it cannot be read. It proves nothing."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _signed(
    payload: Mapping[str, Any], key: Key, typ: str, wrong_key: bool, tampered: bool, algorithm_none: bool
) -> str:
    text = json.dumps(payload, separators=(",", ":"))
    if algorithm_none:
        return f"{_part({'alg': 'none', 'typ': typ})}.{_part(payload)}."
    if wrong_key:
        key = new_key(key.alg, key.kid)
    token = key.sign(text, typ)
    if tampered:
        header, _, signature = token.split(".")
        return f"{header}.{_part({**payload, 'tampered': True})}.{signature}"
    return token


def _part(members: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _own_signer(app: Flask, state: AppState) -> Key | None:
    keys = read_keys(state.settings.jwt_keys, app.root_path)
    return next((key for key in keys if key.can_sign), None)


def _issuer(app: Flask, state: AppState, wanted: FakeIssuer | str | None) -> FakeIssuer:
    if isinstance(wanted, FakeIssuer):
        return wanted
    if Issuers not in state.services:
        raise ConfigError(
            "nobody can sign a token for this app: no key of RAMPART_JWT_KEYS can, and there are no RAMPART_ISSUERS. "
            'In tests, give it a key: RAMPART_JWT_KEYS = [{"alg": "HS256", "secret": secrets.token_hex(32)}].'
        )
    specs = [spec for spec in state.settings.issuers if wanted in (None, spec["issuer"])]
    for spec in specs:
        found = behind(app, spec)
        if found is not None:
            return found
    return FakeIssuer.in_place_of(app, wanted)
