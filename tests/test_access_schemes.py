"""Schemes of the app's own, and the app's own users."""

from __future__ import annotations

import base64
import copy
import functools
import hmac
import math
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, request

from flask_rampart import (
    Clock,
    ConfigError,
    Denied,
    Identity,
    Principal,
    Rampart,
    current_principal,
    current_user,
    limit,
    require,
    user_or_none,
)
from flask_rampart.stores import StoreError

from .conftest import KEYS, NOW, Named, bearer

Sign = Callable[..., str]
Make = Callable[..., Flask]


@pytest.fixture
def rampart(clock: Clock) -> Rampart:
    return Rampart(clock=clock)


def make_of(rampart: Rampart, **config: Any) -> Flask:
    app = Named(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    app.config.update({"RAMPART_JWT_KEYS": KEYS} if config.pop("keys", True) else {}, **config)
    app.testing = True
    rampart.init_app(app)
    return app


@pytest.fixture
def make(rampart: Rampart) -> Make:
    return functools.partial(make_of, rampart)


def ask(app: Flask, path: str = "/", **headers: str) -> tuple[int, str]:
    # In the environ: werkzeug's client has cookies of its own, and takes the field away.
    cookie = {"HTTP_COOKIE": headers.pop("Cookie")} if "Cookie" in headers else {}
    answer = app.test_client(use_cookies=False).get(path, headers=headers, environ_overrides=cookie)
    return answer.status_code, answer.json["code"] if answer.is_json else answer.get_data(as_text=True)


def who() -> str:
    return f"{current_principal.kind} {current_principal.id}"


# Schemes


def test_a_scheme_with_a_header_admits_refuses_and_challenges(make: Make, rampart: Rampart) -> None:
    @rampart.scheme("signature", challenge="Signature", header="X-Signature")
    def signed(value: str) -> Identity | None:
        return Identity("partner", scopes="a", roles=["r"]) if value == "right" else None

    app = make(keys=False)
    app.get("/")(require("signature")(lambda: who()))
    app.get("/scope")(require(scopes="a", roles="r")(lambda: "ok"))
    app.get("/more")(require(scopes="b")(lambda: "ok"))
    assert ask(app, **{"X-Signature": " right "}) == (200, "signature partner")
    assert ask(app, "/scope", **{"X-Signature": "right"}) == (200, "ok")
    # There was a credential, and it is nobody's.
    assert ask(app, **{"X-Signature": "hunter2"}) == (401, "auth.invalid")
    assert ask(app) == (401, "auth.missing")
    answer = app.test_client().get("/", headers={"X-Signature": "hunter2"})
    assert answer.headers["WWW-Authenticate"] == 'Signature realm="api"'
    assert "hunter2" not in answer.get_data(as_text=True)
    answer = app.test_client().get("/more", headers={"X-Signature": "right"})
    assert answer.headers["WWW-Authenticate"] == 'Signature realm="api", error="insufficient_scope", scope="b"'


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_credential_never_reaches_the_app(make: Make, rampart: Rampart, empty: str) -> None:
    # CVE-2026-34531: an empty token reached the callback, and matched users that had none.
    called: list[Any] = []
    rampart.scheme("sig", header="X-Signature")(lambda value: called.append(value))
    rampart.scheme("basic", challenge="Basic", header="Authorization")(lambda value: called.append(value))
    app = make()
    app.get("/sig")(require("sig")(lambda: "ok"))
    app.get("/basic")(require("basic")(lambda: "ok"))
    assert ask(app, "/sig", **{"X-Signature": empty}) == (401, "auth.missing")
    for field in (empty, f"Basic{empty}", f"Basic {empty}", "Basic Og==", "basic  Og==", "Bearer x", "Basicx y"):
        assert ask(app, "/basic", Authorization=field)[0] == 401, field
    assert called == []


def test_a_scheme_of_authorization_gets_what_follows_its_word(make: Make, rampart: Rampart, token: Sign) -> None:
    @rampart.scheme("basic", challenge="Basic", header="authorization")
    def basic(value: str) -> Identity | None:
        name, _, password = base64.b64decode(value).decode().partition(":")
        return Identity(name) if password == "sesame" else None

    app = make()
    app.get("/")(require()(lambda: who()))
    right, wrong = (base64.b64encode(f"ada:{word}".encode()).decode() for word in ("sesame", "no"))
    assert ask(app, Authorization=f"bAsIc  {right}") == (200, "basic ada")
    assert ask(app, Authorization=f"Basic {wrong}") == (401, "auth.invalid")
    assert ask(app, Authorization="Basic A") == (500, "guard.failed")
    assert ask(app, **bearer(token())) == (200, "jwt ada")
    # All challenges, each once.
    assert app.test_client().get("/").headers.getlist("WWW-Authenticate") == [
        'Bearer realm="api"',
        'Basic realm="api"',
    ]


def test_two_credentials_are_ambiguous_and_none_falls_through(make: Make, rampart: Rampart, token: Sign) -> None:
    rampart.scheme("sig", header="X-Signature")(lambda value: Identity("partner") if value == "right" else None)
    app = make()
    app.get("/")(require()(lambda: who()))
    app.get("/jwt")(require("jwt")(lambda: who()))
    both = {**bearer(token()), "X-Signature": "right"}
    assert ask(app, **both) == ask(app, "/jwt", **both) == (400, "auth.ambiguous")
    assert ask(app, **{**bearer("x"), "X-Signature": "right"}) == (400, "auth.ambiguous")
    assert ask(app, **{"X-Signature": "wrong"}) == (401, "auth.invalid")
    assert ask(app, "/jwt", **{"X-Signature": "right"}) == (401, "auth.missing")


def test_a_credential_that_is_not_ascii_is_refused_before_the_function(make: Make, rampart: Rampart) -> None:
    # hmac.compare_digest raises TypeError for it: an error with its traceback for each request of a peer's.
    rampart.scheme("sig", header="X-Signature")(
        lambda value: Identity("partner") if hmac.compare_digest(value, "right") else None
    )
    rampart.scheme("auth", challenge="Auth", header="Authorization")(
        lambda value: Identity("other") if hmac.compare_digest(value, "right") else None
    )
    app = make()
    app.get("/")(require(optional=True)(lambda: who()))
    assert ask(app, **{"X-Signature": "right"}) == (200, "sig partner")
    assert ask(app, **{"X-Signature": "r\xefght"}) == (401, "auth.invalid")
    assert ask(app, Authorization="Auth right") == (200, "auth other")
    assert ask(app, Authorization="Auth r\xefght") == (401, "auth.invalid")


def test_a_scheme_that_reads_the_field_of_api_keys_is_refused_beside_them(make: Make, rampart: Rampart) -> None:
    rampart.scheme("keys", header="x-api-key")(lambda value: Identity("partner"))
    with pytest.raises(ConfigError, match="same credential as 'api_key'"):
        make(RAMPART_API_KEYS=True)
    app = make()
    app.get("/")(require()(lambda: who()))
    assert ask(app, **{"X-API-Key": "x"}) == (200, "keys partner")


def test_a_scheme_without_a_header_reads_the_request_and_is_asked_last(
    make: Make, rampart: Rampart, token: Sign
) -> None:
    asked: list[str] = []

    @rampart.scheme("mtls")
    def certificate() -> Identity | None:
        asked.append(request.path)
        subject = request.environ.get("SSL_CLIENT_S_DN")
        return Identity(subject) if subject else None

    rampart.scheme("sig", header="X-Signature")(lambda value: Identity("partner"))
    app = make()
    app.get("/")(require()(lambda: who()))
    app.get("/mtls")(require("mtls")(lambda: who()))
    client = app.test_client()
    present = {"SSL_CLIENT_S_DN": "CN=ada"}
    assert client.get("/", environ_overrides=present).text == "mtls CN=ada"
    assert client.get("/").json["code"] == "auth.missing"
    asked.clear()
    # It stands on every connection, so it does not make a token ambiguous; and is not even asked.
    assert client.get("/", environ_overrides=present, headers=bearer(token())).text == "jwt ada"
    assert client.get("/", environ_overrides=present, headers={"X-Signature": "x"}).text == "sig partner"
    assert client.get("/", environ_overrides=present, headers=bearer("x")).json["code"] == "token.invalid"
    assert asked == []
    # A view that takes it alone does not guess which of two was meant.
    assert client.get("/mtls", environ_overrides=present, headers=bearer(token())).json["code"] == "auth.ambiguous"


def test_a_scheme_may_be_async(make: Make, rampart: Rampart) -> None:
    @rampart.scheme("sig", header="X-Signature")
    async def signed(value: str) -> Identity | None:
        return Identity(value)

    app = make()

    @app.get("/async")
    @require("sig")
    async def asynchronous() -> str:
        return who()

    app.get("/")(require("sig")(lambda: who()))
    assert ask(app, **{"X-Signature": "x"}) == ask(app, "/async", **{"X-Signature": "x"}) == (200, "sig x")


def test_what_a_scheme_raises_refuses(make: Make, rampart: Rampart) -> None:
    @rampart.scheme("sig", challenge="Signature", header="X-Signature")
    def signed(value: str) -> Identity | None:
        if value == "denied":
            raise Denied.of("auth.invalid", "why")
        if value == "role":
            raise Denied.of("auth.role")
        if value == "abort":
            abort(418)
        raise LookupError("hunter2")

    app = make()
    app.get("/")(require(optional=True)(lambda: "ok"))
    answer = app.test_client().get("/", headers={"X-Signature": "denied"})
    assert answer.json["code"] == "auth.invalid"
    assert answer.headers["WWW-Authenticate"] == 'Signature realm="api"'
    assert ask(app, **{"X-Signature": "role"}) == (403, "auth.role")
    assert ask(app, **{"X-Signature": "abort"})[0] == 418
    assert ask(app, **{"X-Signature": "bug"}) == (500, "guard.failed")


class Duck:
    """A principal in all but one respect."""

    def __init__(self, **wrong: Any) -> None:
        self.__dict__.update(
            {"id": "duck", "kind": "sig", "scopes": frozenset(), "roles": frozenset(), "claims": {}, "issuer": None}
        )
        self.__dict__.update(wrong)


@pytest.mark.parametrize(
    "wrong",
    [True, False, 0, "ada", {}, [], object(), Duck(id=""), Duck(id=None), Duck(scopes="a b"), Duck(roles=["a"])],
)
def test_what_is_no_principal_refuses(make: Make, rampart: Rampart, wrong: Any) -> None:
    rampart.scheme("sig", header="X-Signature")(lambda value: wrong)
    rampart.scheme("ambient")(lambda: wrong)
    app = make()
    app.get("/sig")(require("sig")(lambda: "ok"))
    app.get("/ambient")(require("ambient")(lambda: "ok"))
    assert ask(app, "/sig", **{"X-Signature": "x"}) == ask(app, "/ambient") == (500, "guard.failed")


def test_a_principal_of_another_scheme_takes_the_name_of_the_one_that_found_it(
    make: Make, rampart: Rampart, token: Sign
) -> None:
    # Else a token from a place that `require("jwt")` does not read would pass for one.
    rampart.scheme("cookie")(lambda: rampart.tokens.verify(t) if (t := request.cookies.get("t")) else None)
    rampart.scheme("duck", header="X-Duck")(lambda value: Duck(kind="jwt", issuer="pond"))
    app = make()

    @require("jwt")
    def inner() -> str:
        return who()

    app.get("/inner")(require("cookie", "duck", "jwt")(lambda: inner()))
    app.get("/")(require("cookie", max_age=60, scopes="s")(lambda: repr(copy.copy(current_principal.claims))))
    app.get("/duck")(require("duck", issuer="pond")(lambda: who()))
    signed = token(scope="s", auth_time=NOW)
    status, text = ask(app, "/", Cookie=f"t={signed}")
    assert status == 200 and "ada" in text
    assert ask(app, "/", Cookie="t=x") == (401, "token.invalid")
    assert ask(app, "/duck", **{"X-Duck": "quack"}) == (200, "duck duck")
    assert ask(app, "/inner", Cookie=f"t={signed}")[0] == 401
    assert ask(app, "/inner", **bearer(signed)) == (200, "jwt ada")


def test_quotas_by_principal_go_by_an_identity(make: Make, rampart: Rampart) -> None:
    rampart.scheme("sig", header="X-Signature")(lambda value: Identity(value))
    app = make()
    app.get("/")(require("sig")(limit("1/minute", by="principal")(lambda: "ok")))
    assert [ask(app, **{"X-Signature": name})[0] for name in ("a", "a", "b")] == [200, 429, 200]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("jwt",), "Rampart's own"),
        (("api_key",), "Rampart's own"),
        (("",), "rampart.scheme"),
        (("a b",), "rampart.scheme"),
        ((len,), "rampart.scheme"),
        (("x", "Signature realm=1"), "one word"),
        (("x", "a\r\nb"), "one word"),
        (("x", ""), "one word"),
        (("x", "X", ""), "header field"),
        (("x", "X", "X-Sig: "), "header field"),
        # Every request of a browser has some cookie, and most are not a credential.
        (("x", "X", "cookie"), "leave header= out"),
        # WSGI has no HTTP_ of the first two, so that the scheme would never be met.
        (("x", "X", "Content-Type"), "about the message"),
        (("x", "X", "content-length"), "about the message"),
        (("x", "X", "Host"), "about the message"),
        # CVE-2025-64484: a server makes one name of both spellings.
        (("x", "X", "X_Sig"), "header field"),
    ],
)
def test_a_scheme_that_cannot_be_meant_is_refused(rampart: Rampart, words: tuple[Any, ...], says: str) -> None:
    name, challenge, header = (*words, None, None)[:3]
    with pytest.raises(ConfigError, match=says):
        rampart.scheme(name, challenge=challenge, header=header)


def test_two_schemes_of_one_name_or_one_credential_are_refused(make: Make, rampart: Rampart) -> None:
    rampart.scheme("one", header="X-Signature")(lambda value: None)
    with pytest.raises(ConfigError, match="two schemes 'one'"):
        rampart.scheme("one")(lambda: None)
    app = make()
    assert app.extensions
    with pytest.raises(ConfigError, match="same credential as 'one'"):
        rampart.scheme("two", header="x-signature")(lambda value: None)
    with pytest.raises(ConfigError, match="same credential as 'jwt'"):
        rampart.scheme("three", challenge="bearer", header="Authorization")(lambda value: None)
    with pytest.raises(ConfigError, match="function"):
        rampart.scheme("four")(None)  # type: ignore[type-var]


def test_bearer_is_free_where_the_app_takes_no_tokens(make: Make, rampart: Rampart) -> None:
    rampart.scheme("opaque", challenge="Bearer", header="Authorization")(
        lambda value: Identity("ada") if value == "right" else None
    )
    app = make(keys=False)
    app.get("/")(require()(lambda: who()))
    assert ask(app, **bearer("right")) == (200, "opaque ada")
    assert ask(app, **bearer("wrong")) == (401, "auth.invalid")


def test_a_scheme_a_policy_and_a_loader_come_before_the_first_request(make: Make, rampart: Rampart) -> None:
    app = make()
    rampart.scheme("sig", header="X-Signature")(lambda value: Identity("late"))  # after init_app, still in time
    app.get("/")(require("sig")(lambda: who()))
    assert ask(app, **{"X-Signature": "x"}) == (200, "sig late")
    for declare in (rampart.scheme("x"), rampart.policy("x"), rampart.user_loader):
        with pytest.raises(ConfigError, match="too late"):
            declare(lambda *args: None)


# Identity


def test_an_identity_is_a_principal_that_nobody_can_change() -> None:
    claims = {"team": ["red"]}
    identity = Identity("ada", scopes="a b", roles=["admin staff"], claims=claims, issuer="https://a.example")
    principal: Principal = identity
    assert principal.scopes == {"a", "b"} and principal.roles == {"admin staff"}
    claims["team"].append("blue")
    principal.claims["team"].append("green")
    assert principal.claims == {"team": ["red"]}
    with pytest.raises(AttributeError):
        identity.id = "eve"  # type: ignore[misc]
    assert "red" not in repr(identity)
    assert identity == Identity("ada", scopes=["b", "a"], roles=["admin staff"], issuer="https://a.example")
    assert len({identity, identity.of_kind("x"), identity.of_kind("x")}) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": " "},
        {"id": None},
        {"id": 7},
        {"scopes": ["a b"]},
        {"scopes": [1]},
        {"roles": [""]},
        {"roles": "ops lead"},
        {"roles": "ops\tlead"},
        {"issuer": 7},
        {"issuer": ["a"]},
        {"token_id": 7},
        {"token_id": b"x"},
        {"authenticated_at": "1"},
        {"authenticated_at": True},
        {"authenticated_at": math.nan},
        {"authenticated_at": math.inf},
    ],
)
def test_an_identity_that_cannot_be_used_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Identity(**{"id": "ada", **wrong})


def test_an_identity_may_tell_when_somebody_proved_it(make: Make, rampart: Rampart, clock: Clock) -> None:
    rampart.scheme("sig", header="X-Signature")(
        lambda value: Identity("ada", authenticated_at=NOW if value == "known" else None)
    )
    app = make()
    app.get("/")(require("sig", max_age=60)(lambda: "ok"))
    clock.advance(60)
    assert ask(app, **{"X-Signature": "known"}) == (200, "ok")
    assert ask(app, **{"X-Signature": "unknown"}) == (401, "auth.stale")
    clock.advance(1)
    assert ask(app, **{"X-Signature": "known"}) == (401, "auth.stale")
    challenge = app.test_client().get("/", headers={"X-Signature": "known"}).headers["WWW-Authenticate"]
    assert challenge == 'sig realm="api", error="insufficient_user_authentication", max_age="60"'


# Users


class User:
    def __init__(self, name: str) -> None:
        self.name = name


def test_the_user_is_loaded_when_it_is_first_read_and_once(make: Make, rampart: Rampart, token: Sign) -> None:
    loaded: list[str] = []

    @rampart.user_loader
    def load(principal: Principal) -> User | None:
        loaded.append(principal.id)
        return User(principal.id.upper()) if principal.id != "gone" else None

    app = make()
    app.get("/unread")(require()(lambda: "ok"))
    app.get("/")(require(optional=True)(lambda: current_user.name + current_user.name if current_user else "nobody"))
    app.get("/or")(require(optional=True)(lambda: str(user_or_none())))
    assert ask(app, "/unread", **bearer(token(sub="gone"))) == (200, "ok")
    assert loaded == []
    assert ask(app, "/", **bearer(token())) == (200, "ADAADA")
    assert loaded == ["ada"]
    assert ask(app, "/") == (200, "nobody")
    assert ask(app, "/or") == (200, "None")
    # The credential is good and its user is gone: never nobody in particular.
    for path in ("/", "/or"):
        answer = app.test_client().get(path, headers=bearer(token(sub="gone")))
        assert (answer.status_code, answer.json["code"]) == (401, "auth.invalid")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'


def test_eager_loading_refuses_before_the_view(make: Make, rampart: Rampart, token: Sign) -> None:
    @rampart.user_loader
    async def load(principal: Principal) -> User | None:
        return User("x") if principal.id == "ada" else None

    app = make(RAMPART_USER_LOADING="eager")
    app.get("/")(require(optional=True)(lambda: "ok"))
    assert ask(app, **bearer(token())) == (200, "ok")
    assert ask(app, **bearer(token(sub="gone"))) == (401, "auth.invalid")
    assert ask(app) == (200, "ok")


def test_eager_loading_without_a_loader_stops_the_start(make: Make) -> None:
    app = make(RAMPART_USER_LOADING="eager")
    app.get("/")(require()(lambda: "ok"))
    with pytest.raises(ConfigError, match="user_loader"):
        app.test_client().get("/")


@pytest.mark.parametrize("error", [RuntimeError, LookupError, AttributeError])
def test_a_loader_that_fails_refuses_and_never_reads_as_nobody(
    make: Make, rampart: Rampart, token: Sign, error: type[Exception]
) -> None:
    # werkzeug's LocalProxy takes a RuntimeError for "unbound", which is false.
    @rampart.user_loader
    def load(principal: Principal) -> User:
        raise error("hunter2")

    app = make()
    app.get("/")(require()(lambda: "user" if current_user else "nobody"))
    assert ask(app, **bearer(token())) == (500, "guard.failed")


@pytest.mark.parametrize("eager", [False, True])
def test_a_loader_that_says_false_refuses(make: Make, rampart: Rampart, token: Sign, eager: bool) -> None:
    rampart.user_loader(lambda principal: principal.id == "zero" and 0)
    app = make(RAMPART_USER_LOADING="eager" if eager else "lazy")
    app.get("/")(require()(lambda: str(user_or_none())))
    assert ask(app, **bearer(token())) == (401, "auth.invalid")
    # Only None and False say that there is nobody: what is empty may be somebody.
    rampart = Rampart(clock=Clock.manual(NOW))
    other = make_of(rampart)
    rampart.user_loader(lambda principal: {})
    other.get("/")(require()(lambda: str(user_or_none())))
    assert ask(other, **bearer(token())) == (200, "{}")


def test_records_that_cannot_be_read_refuse_for_now_wherever_they_are_asked(
    make: Make, rampart: Rampart, token: Sign
) -> None:
    @rampart.user_loader
    def load(principal: Principal) -> None:
        raise StoreError("the records are away")

    rampart.policy("p")(load)
    app = make()
    app.get("/user")(require()(lambda: str(current_user)))
    app.get("/authorize")(require()(lambda: str(rampart.authorize("p"))))
    app.get("/may")(require()(lambda: str(rampart.may("p"))))
    app.get("/policy")(require(policy="p")(lambda: "ok"))
    for path in ("/user", "/authorize", "/may", "/policy"):
        answer = app.test_client().get(path, headers=bearer(token()))
        assert (answer.status_code, answer.json["code"]) == (503, "store.unavailable"), path
        assert answer.headers["Retry-After"] == "1"
        assert "away" not in answer.text


def test_a_loader_may_be_async_in_every_kind_of_view(make: Make, rampart: Rampart, token: Sign) -> None:
    @rampart.user_loader
    async def load(principal: Principal) -> User:
        return User(principal.id)

    app = make()
    app.get("/")(require()(lambda: current_user.name))

    @app.get("/async")
    @require()
    async def view() -> str:
        return str(current_user.name)

    assert ask(app, **bearer(token())) == ask(app, "/async", **bearer(token())) == (200, "ada")


def test_a_user_belongs_to_its_principal(make: Make, rampart: Rampart) -> None:
    """A view that calls another, which takes another scheme, has that one's user."""
    rampart.scheme("a", header="X-A")(lambda value: Identity(f"a-{value}"))
    rampart.scheme("b")(lambda: Identity("b"))
    rampart.user_loader(lambda principal: User(principal.id))
    app = make()

    @require("b")
    def inner() -> str:
        return str(current_user.name)

    app.get("/")(require("a")(lambda: f"{current_user.name} {inner()}"))
    # `b` is asked by its own view, and finds another credential there: it does not guess.
    assert ask(app, **{"X-A": "1"}) == (400, "auth.ambiguous")


def test_what_is_no_loader_or_a_second_one_is_refused(make: Make, rampart: Rampart, token: Sign) -> None:
    app = make()
    app.get("/")(require()(lambda: str(bool(current_user))))
    with pytest.raises(ConfigError, match="user_loader"):
        app.test_client().get("/", headers=bearer(token()))
    other = Rampart()
    with pytest.raises(ConfigError, match="parentheses"):
        other.user_loader("text")  # type: ignore[type-var]
    other.user_loader(lambda principal: None)
    with pytest.raises(ConfigError, match="two user loaders"):
        other.user_loader(lambda principal: None)
