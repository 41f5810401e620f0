"""Apps, tokens and requests made at random, asked of Flask-JWT-Extended and of our face of it: each difference is told.

What the tables of docs/migrate/jwt-extended.md have is not asked here: tokens without an end, for other audiences, of other
types, and messages about what cannot be read, where the statuses are compared.
"""

from __future__ import annotations

import json
import random
import re
import time
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask, Response, jsonify, make_response, request

from .facing import JWT_FACES, SECRET, claims_of, jwt_app, token_of

LOCATIONS = ["headers", "cookies", "query_string", "json"]
SEEDS = 24
REQUESTS = 40
UNREADABLE = re.compile("Invalid (header|payload|crypto) |Not enough segments")
"""What theirs says of a token that cannot be read; ours says one of a few words."""
OUR_WORDS = {"Invalid header", "Invalid padding", "Not enough segments", "Signature verification failed"}


@cache
def pems(kind: str) -> tuple[str, str]:
    """A private key and its public half."""
    key: Any
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    elif kind == "ed":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1() if kind == "ES256" else ec.SECP384R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def config_of(chance: random.Random) -> dict[str, Any]:
    """Settings of an app, most of them as they are by default."""

    def perhaps(*values: Any) -> Any:
        return chance.choice((..., ..., *values))

    algorithm = chance.choice(["HS256"] * 4 + ["HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"])
    found = {
        "JWT_ALGORITHM": algorithm,
        "JWT_TOKEN_LOCATION": chance.choice(["headers", chance.sample(LOCATIONS, chance.randint(1, 4))]),
        "JWT_HEADER_NAME": perhaps("X-Token"),
        "JWT_HEADER_TYPE": perhaps("JWT", ""),
        "JWT_QUERY_STRING_NAME": perhaps("token"),
        "JWT_QUERY_STRING_VALUE_PREFIX": perhaps("Bearer "),
        "JWT_JSON_KEY": perhaps("token"),
        "JWT_REFRESH_JSON_KEY": perhaps("again"),
        "JWT_ACCESS_COOKIE_NAME": perhaps("access"),
        "JWT_REFRESH_COOKIE_PATH": perhaps("/refresh"),
        "JWT_COOKIE_CSRF_PROTECT": perhaps(False),
        "JWT_CSRF_IN_COOKIES": perhaps(False),
        "JWT_CSRF_CHECK_FORM": perhaps(True),
        "JWT_CSRF_METHODS": perhaps(["PUT"], ["GET", "POST"]),
        "JWT_ACCESS_CSRF_HEADER_NAME": perhaps("X-Proof"),
        "JWT_IDENTITY_CLAIM": perhaps("identity"),
        "JWT_ERROR_MESSAGE_KEY": perhaps("error"),
        "JWT_DECODE_LEEWAY": perhaps(100),
        "JWT_DECODE_AUDIENCE": perhaps("us", ["us", "we"]),
        "JWT_DECODE_ISSUER": perhaps("us", ["us", "we"]),
        "JWT_ENCODE_AUDIENCE": "us",
        "JWT_ENCODE_ISSUER": "us",
        "JWT_ENCODE_NBF": perhaps(False),
        "JWT_SESSION_COOKIE": perhaps(False),
        "JWT_ACCESS_TOKEN_EXPIRES": perhaps(60, False),
        "JWT_REFRESH_TOKEN_EXPIRES": perhaps(False),
    }
    if algorithm.startswith("HS"):
        found["JWT_DECODE_ALGORITHMS"] = perhaps(["HS256", "HS512"])
    else:
        kind = {"R": "rsa", "P": "rsa", "E": algorithm}[algorithm[0]]
        found["JWT_PRIVATE_KEY"], found["JWT_PUBLIC_KEY"] = pems("ed" if algorithm == "EdDSA" else kind)
    return {name: value for name, value in found.items() if value is not ...}


def foreign_token(chance: random.Random, config: dict[str, Any]) -> str:
    """A token that somebody made."""
    now = int(time.time())
    identity = config.get("JWT_IDENTITY_CLAIM", "sub")
    changes: dict[str, Any] = {
        identity: chance.choice(["ada", "ada", "bob", "eve"]),
        "type": chance.choice(["access", "access", "refresh", "other", ...]),
        "fresh": chance.choice([True, False, now + 500, now - 500.5, ...]),
        "jti": chance.choice(["j1", "j1", "gone", ...]),
        "csrf": chance.choice(["c5f1", "c5f1", ...]),
        "iss": "us",
        "aud": chance.choice(["us", ["us", "x"]]),
    }
    if chance.random() < 0.5:
        fault, value = chance.choice(
            [
                ("exp", now - 1000),
                ("exp", now - 50),
                ("nbf", now + 1000),
                ("nbf", now + 50),
                ("iat", now + 1000),
                ("iss", "them"),
                ("iss", ...),
                ("aud", "them" if "JWT_DECODE_AUDIENCE" in config else "us"),
                ("aud", ...),
                ("sub", 7),
                ("jti", 7),
                (identity, ...),
            ]
        )
        changes[fault] = value
    algorithm = config["JWT_ALGORITHM"]
    key = config.get("JWT_PRIVATE_KEY", SECRET)
    kind = chance.random()
    if kind < 0.06:
        algorithm, key = chance.choice([("HS256", SECRET), ("HS512", SECRET), ("ES256", pems("ES256")[0])])
    elif kind < 0.1 and algorithm.startswith("HS"):
        key = SECRET[::-1]
    token = token_of(claims_of(**changes), key, algorithm, **chance.choice([{}, {"kid": "k"}]))
    if kind > 0.95:
        head, body, signature = token.split(".")
        token = chance.choice(
            [
                "",
                "x",
                "a.b.c",
                f"{head}.{body}.",
                f"{head}.{body}",
                f".{body}.{signature}",
                f"{head}.{body}.{signature[::-1]}",
                f"{head}.{body[:-4]}.{signature}",
                f"{token}.{token}",
            ]
        )
    return token


def app_of(face: ModuleType, config: dict[str, Any]) -> Flask:
    """An app with one view of each kind, which says all that can be read of a token."""
    app, manager = jwt_app(face, **config)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] == "gone")
    manager.token_verification_loader(lambda header, claims: claims["type"] != "other")
    manager.user_lookup_loader(lambda header, claims: {"bob": None}.get(claims.get("sub"), {"user": True}))

    def tell() -> Response:
        if request.method == "OPTIONS":
            return jsonify(open=True)
        return jsonify(
            me=face.get_jwt_identity(),
            claims=face.get_jwt(),
            header=face.get_jwt_header(),
            where=face.get_jwt_request_location(),
            user=face.get_current_user(),
        )

    for path, arguments in {
        "access": {},
        "optional": {"optional": True},
        "refresh": {"refresh": True},
        "fresh": {"fresh": True},
        "any": {"verify_type": False},
        "kept": {"skip_revocation_check": True},
        "cookies": {"locations": "cookies"},
        "two": {"locations": ["query_string", "headers"], "optional": True},
    }.items():
        view = face.jwt_required(**arguments)(tell)
        app.add_url_rule(f"/{path}", path, view, methods=["GET", "POST", "PUT", "OPTIONS"])

    @app.route("/login")
    def login() -> Response:
        answer = make_response()
        face.set_access_cookies(answer, face.create_access_token("ada", fresh=True))
        face.set_refresh_cookies(answer, face.create_refresh_token("ada"))
        return answer

    return app


def request_of(chance: random.Random, config: dict[str, Any], token: str) -> dict[str, Any]:
    """A request with the token at one or two places, or nowhere."""
    headers: dict[str, str] = {}
    asked: dict[str, Any] = {
        "headers": headers,
        "method": chance.choice(["GET"] * 4 + ["POST"] * 4 + ["PUT", "OPTIONS"]),
    }
    cookies: dict[str, str] = {}
    looked_for = config["JWT_TOKEN_LOCATION"]
    known = LOCATIONS if chance.random() < 0.2 else [looked_for] if isinstance(looked_for, str) else looked_for
    for place in chance.sample(known, min(len(known), chance.choice([0, 1, 1, 1, 1, 1, 2]))):
        if place == "headers":
            word = config.get("JWT_HEADER_TYPE", "Bearer")
            form = chance.choice(["{} {}"] * 8 + ["Basic {0}", "{1}", "{} {}, x y", "{} {} z", "{0}"])
            headers[config.get("JWT_HEADER_NAME", "Authorization")] = form.format(word, token).strip()
        elif place == "query_string":
            prefix = chance.choice([config.get("JWT_QUERY_STRING_VALUE_PREFIX", "")] * 4 + ["no"])
            asked["query_string"] = {config.get("JWT_QUERY_STRING_NAME", "jwt"): prefix + token}
        elif place == "json" and asked["method"] != "GET":
            names = [config.get("JWT_JSON_KEY", "access_token"), config.get("JWT_REFRESH_JSON_KEY", "refresh_token")]
            asked["json"] = {chance.choice(names): token}
        elif place == "cookies":
            cookies[config.get("JWT_ACCESS_COOKIE_NAME", "access_token_cookie")] = token
            cookies["refresh_token_cookie"] = token
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        names = [config.get("JWT_ACCESS_CSRF_HEADER_NAME", "X-CSRF-TOKEN"), "X-CSRF-TOKEN"]
        proof = chance.choice(["c5f1", "c5f1", "no", ""])
        if proof and chance.random() < 0.7:
            headers[chance.choice(names)] = proof
        elif proof and "json" not in asked and asked["method"] == "POST":
            asked["data"] = {"csrf_token": proof}
    return asked


def said(app: Flask, path: str, asked: dict[str, Any]) -> Any:
    answer = app.test_client(use_cookies=False).open(f"/{path}", **asked)
    body = answer.get_json(silent=True)
    return answer.status_code, body, answer.headers.get("WWW-Authenticate")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_say_the_same_to_the_same_requests(seed: int) -> None:
    chance = random.Random(seed)
    config = config_of(chance)
    theirs, ours = (app_of(face, config) for face in JWT_FACES.values())
    different = []
    # Without optimisation, RSA takes our verifier a long time.
    for _ in range(REQUESTS // 8 if config["JWT_ALGORITHM"] in ("RS256", "PS256") else REQUESTS):
        token = foreign_token(chance, config)
        path = chance.choice(["access", "access", "optional", "refresh", "fresh", "any", "kept", "cookies", "two"])
        asked = request_of(chance, config, token)
        found = [said(app, path, asked) for app in (theirs, ours)]
        key = config.get("JWT_ERROR_MESSAGE_KEY", "msg")
        if found[0][0] == 422 and UNREADABLE.match(found[0][1][key]) and found[1][1].get(key) in OUR_WORDS:
            found[1][1][key] = found[0][1][key]
        if found[0] != found[1] or found[1][0] == 500:
            different.append((path, asked, *found))
    assert not different, json.dumps([config, different[0]], indent=1, default=str)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_reads_what_the_other_makes(seed: int) -> None:
    config = config_of(random.Random(seed))
    apps = {name: app_of(face, config) for name, face in JWT_FACES.items()}
    shapes = []
    for maker, app in apps.items():
        lines = app.test_client(use_cookies=False).get("/login").headers.getlist("Set-Cookie")
        cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
        # Names and attributes, but for the moment at which they end, which is the test's.
        shapes.append(
            [[part.partition("=")[0] if "xpires" in part else part for part in line.split("; ")[1:]] for line in lines]
        )
        names = (config.get("JWT_ACCESS_COOKIE_NAME", "access_token_cookie"), "refresh_token_cookie")
        for name, path in zip(names, ("fresh", "refresh"), strict=True):
            found = []
            for reader, face in JWT_FACES.items():
                with apps[reader].app_context():
                    claims = face.decode_token(cookies[name])
                    header = face.get_unverified_jwt_headers(cookies[name])
                found.append((claims, header))
                assert claims[config.get("JWT_IDENTITY_CLAIM", "sub")] == "ada", (maker, reader)
                asked = {"headers": {"Cookie": f"{name}={cookies[name]}"}}
                if "GET" in config.get("JWT_CSRF_METHODS", []) and config.get("JWT_COOKIE_CSRF_PROTECT", True):
                    proof = config.get("JWT_ACCESS_CSRF_HEADER_NAME", "X-CSRF-TOKEN")
                    asked["headers"][proof if path == "fresh" else "X-CSRF-TOKEN"] = claims["csrf"]
                where = path if "cookies" in config["JWT_TOKEN_LOCATION"] else "any"
                answer = apps[reader].test_client(use_cookies=False).get(f"/{where}", **asked)
                assert (answer.status_code == 200) is ("cookies" in config["JWT_TOKEN_LOCATION"]), answer.text
            assert found[0] == found[1]
            shapes.append(sorted(found[0][0]))  # type: ignore[arg-type]
    assert shapes[: len(shapes) // 2] == shapes[len(shapes) // 2 :]
