"""JWTs about which their issuer is asked: what it may say of them, and what contradicts them."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_rampart import IntrospectedToken, current_principal, principal_client, require
from flask_rampart._native import Clock, Key
from flask_rampart.issuers import answers
from flask_rampart.issuers.settings import Entry

from .issuing import App, Net, active, asking, code, introspector, jwks, key, net, serve, token_of

JKT, X5T, OTHER_KEY = "A" * 43, "B" * 43, "C" * 43


@pytest.mark.parametrize(
    ("claims", "answer", "expected"),
    [
        ({"client_id": "c1", "jti": "j1"}, {"client_id": "c1", "jti": "j1"}, "ok"),
        ({"client_id": "c1", "jti": "j1"}, {}, "ok"),
        ({"client_id": "c1", "jti": "j1"}, {"client_id": None, "jti": None}, "ok"),
        ({"client_id": "c1", "jti": "j1"}, {"client_id": "c2", "jti": "j2"}, "token.invalid"),
        ({"client_id": "c1", "jti": "j1"}, {"client_id": "c2"}, "token.invalid"),
        ({"client_id": "c1", "jti": "j1"}, {"client_id": ""}, "token.invalid"),
        ({"client_id": "c1", "jti": "j1"}, {"jti": "j2"}, "token.invalid"),
        ({"client_id": "c1", "jti": "j1"}, {"jti": ""}, "token.invalid"),
        ({}, {"client_id": "c2", "jti": "j2"}, "ok"),
        ({}, {"sub": "eve"}, "token.invalid"),
        ({}, {"cnf": {"jkt": JKT}}, "token.invalid"),
        ({}, {"token_type": "DPoP"}, "token.invalid"),
    ],
)
def test_an_answer_that_contradicts_the_jwt_refuses_it(
    serve: App, net: Net, key: Key, claims: dict[str, Any], answer: dict[str, Any], expected: str
) -> None:
    token = token_of(key, **claims)
    net.tokens[token] = active(**answer)
    app = serve({**asking(tokens="all"), "jwks": jwks(key)})
    assert code(app, token) == code(app, token) == expected


@pytest.mark.parametrize(
    ("own", "said", "fits"),
    [
        ({"jkt": JKT}, {}, True),
        ({"jkt": JKT}, {"cnf": {"jkt": JKT}}, True),
        ({"jkt": JKT}, {"cnf": {"jkt": JKT}, "token_type": "DPoP"}, True),
        ({"jkt": JKT}, {"token_type": "DPoP"}, True),
        ({"jkt": JKT}, {"cnf": {}}, True),
        ({"jkt": JKT, "x5t#S256": X5T}, {"cnf": {"x5t#S256": X5T}}, True),
        ({"jkt": JKT}, {"cnf": {"jkt": OTHER_KEY}}, False),
        ({"x5t#S256": X5T}, {"cnf": {"x5t#S256": OTHER_KEY}}, False),
        ({"x5t#S256": X5T}, {"cnf": {"jkt": JKT}}, False),
        ({"x5t#S256": X5T}, {"token_type": "DPoP"}, False),
        ({"jkt": JKT}, {"cnf": {"jkt": JKT, "x5t#S256": X5T}}, False),
        ({"jkt": JKT}, {"cnf": {"jkt": JKT, "kid": "k"}}, False),
        ({"jkt": JKT}, {"cnf": {"jkt": [JKT]}}, False),
        ({"jkt": JKT}, {"cnf": None}, False),
    ],
)
def test_an_answer_names_no_other_key_than_the_jwt(
    serve: App, net: Net, clock: Clock, own: dict[str, Any], said: dict[str, Any], fits: bool
) -> None:
    # RFC 7800: the key that was shown is the JWT's; the issuer says that another one is right.
    class Jwt:
        id, scopes, roles = "ada", frozenset[str](), frozenset[str]()
        token_id = expires_at = issued_at = authenticated_at = None
        claims = {"sub": "ada", "cnf": own}  # noqa: RUF012 - nobody changes it

    entry: Entry = introspector(serve(asking(tokens="all")))._entry
    found = answers.read(entry, json.dumps(active(**said)).encode(), clock.now(), Jwt())  # type: ignore[arg-type]
    assert isinstance(found, IntrospectedToken) is fits
    if isinstance(found, IntrospectedToken):
        assert found.confirmation == own


PATHS = ["permissions", "a.b", "/c/d"]


@pytest.mark.parametrize(
    ("claims", "answer", "left"),
    [
        # What the issuer does not speak of stays.
        ({"permissions": ["read", "write"]}, {}, {"read", "write"}),
        ({"permissions": ["read", "write"]}, {"permissions": None}, {"read", "write"}),
        # What it took back is gone, and what it adds is not there.
        ({"permissions": ["read", "write"]}, {"permissions": ["read"]}, {"read"}),
        ({"permissions": ["read", "write"]}, {"permissions": []}, set()),
        ({"permissions": ["read"]}, {"permissions": ["read", "write", "admin"]}, {"read"}),
        ({}, {"permissions": ["read"]}, set()),
        ({"permissions": "read"}, {"permissions": "read"}, {"read"}),
        ({"permissions": "read"}, {"permissions": "write"}, set()),
        # A wrong type names nothing, and so takes all back.
        ({"permissions": ["read"]}, {"permissions": {"read": True}}, set()),
        ({"permissions": ["read"]}, {"permissions": ["read", 7]}, set()),
        # Each place by itself, however it is written.
        ({"a": {"b": ["read", "write"]}}, {"a": {"b": ["write"]}}, {"write"}),
        ({"a": {"b": ["read", "write"]}}, {"a.b": ["write"]}, {"write"}),
        ({"a.b": ["read"], "a": {"b": ["write"]}}, {"a": {"b": ["write"]}}, {"write"}),
        ({"a": {"b": ["read"]}}, {"a": {}}, {"read"}),
        ({"a": {"b": ["read"]}}, {"a": {"b": None}}, set()),
        ({"c": {"d": ["read"]}}, {"c": {"d": []}}, set()),
        ({"c": {"d": ["read"]}}, {"permissions": []}, {"read"}),
    ],
)
def test_permissions_that_the_issuer_took_back_are_gone(
    serve: App, net: Net, key: Key, claims: dict[str, Any], answer: dict[str, Any], left: set[str]
) -> None:
    token = token_of(key, **claims)
    net.tokens[token] = active(**answer)
    app = serve({**asking(tokens="all"), "jwks": jwks(key)}, RAMPART_JWT_PERMISSIONS_CLAIM=PATHS)
    for name in ("read", "write", "admin"):
        app.get(f"/{name}")(require(permissions=name)(lambda: "ok"))
    assert {name for name in ("read", "write", "admin") if code(app, token, f"/{name}") == "ok"} == left
    assert len(net.asked) == 1


def test_null_is_absent_where_it_decides_nothing(serve: App, net: Net) -> None:
    # RFC 7662 section 2.2: all but `active` is optional, and some servers write null for what they leave out.
    names = ("username", "client_id", "jti", "scope", "token_type", "token_use", "typ", "roles", "email")
    net.tokens["opaque"] = active(**dict.fromkeys(names))
    app = serve(asking())
    app.get("/client")(require()(lambda: {"client": principal_client(current_principal)}))
    assert app.test_client().get("/client", headers={"Authorization": "Bearer opaque"}).json == {"client": None}
    assert code(app, "opaque", "/scoped") == "auth.scope"


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "auth_time", "cnf"])
def test_null_is_not_absent_where_it_decides(serve: App, net: Net, name: str) -> None:
    net.tokens["opaque"] = active(**{name: None})
    app = serve(asking(require_audience=False, client_subject=True))
    assert code(app, "opaque") == "token.invalid"
