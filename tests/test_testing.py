"""``flask_rampart.testing``: what users test their own apps with, itself tested against the guards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from flask_rampart import Clock, ConfigError, Rampart, current_principal, require
from flask_rampart.testing import FakeIssuer, RampartClient, client, frozen, mint_token

from .acting import AUTH0, App, acting, code
from .conftest import KEYS, NOW, bearer

serve = acting  # the fixture, where pytest finds it


# --- Clients ---


def test_a_client_acts_as_a_user_and_the_guards_judge_what_it_carries(serve: App) -> None:
    ada = client(serve()).as_user("ada", scopes="read write", roles=["admin"], claims={"tenant": 7})
    found = ada.get("/").json
    assert (found["id"], found["kind"], found["claims"]["tenant"]) == ("ada", "jwt", 7)
    assert code(ada.get("/scoped")) == "ok"
    assert code(ada.as_user("bob", scopes="read", roles="admin").get("/scoped")) == "auth.scope"
    assert code(ada.as_user("bob", scopes=["read", "write"]).get("/scoped")) == "auth.role"


def test_each_client_is_somebody_of_their_own(serve: App) -> None:
    nobody = client(serve())
    ada, bob = nobody.as_user("ada"), nobody.as_user("bob")
    assert (ada.get("/").json["id"], bob.get("/").json["id"]) == ("ada", "bob")
    assert ada.get("/").json["id"] == "ada"
    assert code(nobody.get("/")) == code(ada.anonymous().get("/")) == "auth.missing"


def test_clients_share_no_cookies(serve: App) -> None:
    app = serve(SECRET_KEY="s" * 32)

    @app.get("/count")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    ada = client(app).as_user("ada")
    assert [ada.get("/count").text for _ in range(2)] == ["1", "2"]
    assert ada.as_user("ada").get("/count").text == ada.anonymous().get("/count").text == "1"


def test_a_header_that_is_given_wins(serve: App) -> None:
    app = serve()
    ada = client(app).as_user("ada")
    assert ada.get("/", headers=bearer(mint_token(app, "bob"))).json["id"] == "bob"
    assert code(ada.get("/", headers={"Authorization": "Bearer x"})) == "token.invalid"
    assert ada.get("/").json["id"] == "ada"


def test_every_way_of_making_a_request_carries_the_credential(serve: App) -> None:
    app = serve()
    ada = client(app).as_user("ada")
    built = EnvironBuilder(path="/")
    for answer in (
        ada.get("/"),
        ada.open(built),
        ada.open(EnvironBuilder(path="/").get_environ()),
        ada.open(EnvironBuilder(path="/").get_request()),
        ada.post("/", json={}),
    ):
        assert answer.json["id"] == "ada"
    with ada:
        ada.get("/")
        assert current_principal.id == "ada"


def test_it_works_as_the_apps_test_client_class(serve: App) -> None:
    app = serve()
    app.test_client_class = RampartClient
    made = app.test_client()
    assert isinstance(made, RampartClient) and type(client(app)) is RampartClient
    assert made.as_user("ada").get("/").json["id"] == "ada"


def test_a_client_class_of_the_apps_own_keeps_what_it_does(serve: App) -> None:
    class Mine(FlaskClient):
        def __init__(self, *args: Any, agent: str, **options: Any) -> None:
            super().__init__(*args, **options)
            self.agent = agent
            self.environ_base["HTTP_USER_AGENT"] = agent

        def hello(self) -> str:
            return self.get("/open").json["User-Agent"]

    app = serve()
    app.test_client_class = Mine
    ada = client(app, agent="tests").as_user("ada")
    assert isinstance(ada, Mine) and ada.hello() == "tests" and ada.agent == "tests"
    assert ada.get("/").json["id"] == "ada"


def test_what_a_client_sends_by_itself_stays_but_for_credentials(serve: App) -> None:
    one = client(serve(), use_cookies=False)
    one.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    ada = one.as_user("ada")
    assert ada.environ_base["REMOTE_ADDR"] == "192.0.2.7" and ada._cookies is None
    assert "HTTP_AUTHORIZATION" not in ada.anonymous().environ_base
    assert "HTTP_AUTHORIZATION" not in one.environ_base


def test_a_users_token_expires_as_the_clock_advances(serve: App, clock: Clock) -> None:
    ada = client(serve()).as_user("ada", lifetime=timedelta(minutes=1))
    clock.advance(89)
    assert code(ada.get("/")) == "ok"
    clock.advance(1)
    assert code(ada.get("/")) == "token.expired"


def test_fresh_tokens_say_when_the_user_proved_who_they_are(serve: App) -> None:
    app = serve()
    assert client(app).as_user(fresh=True).get("/").json["claims"]["auth_time"] == NOW
    assert "auth_time" not in client(app).as_user().get("/").json["claims"]


# --- API keys ---


def test_a_client_acts_by_api_key(serve: App, clock: Clock) -> None:
    app = serve(RAMPART_API_KEYS=True)
    robot = client(app).as_api_key("robot", owner="acme", scopes="read write", roles="admin", claims={"plan": "big"})
    found = robot.get("/").json
    assert (found["id"], found["kind"], found["claims"]) == ("acme", "api_key", {"plan": "big"})
    assert code(robot.get("/scoped")) == "ok"
    assert code(robot.as_api_key().get("/scoped")) == "auth.scope"
    assert robot.as_user("ada").get("/").json["id"] == "ada"  # in its place, not beside it
    assert code(robot.get("/", headers=bearer(mint_token(app)))) == "auth.ambiguous"
    clock.advance(3600)
    assert code(robot.get("/")) == "key.invalid"


def test_an_app_without_api_keys_says_how_to_have_them(serve: App) -> None:
    with pytest.raises(ConfigError, match="RAMPART_API_KEYS = True"):
        client(serve()).as_api_key()


# --- Cookies ---


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("server_name", [None, "shop.example:8443"])
def test_where_tokens_are_in_cookies_the_client_has_them_and_the_proof(
    serve: App, secure: bool, server_name: str | None
) -> None:
    app = serve(RAMPART_JWT_LOCATIONS="cookie", RAMPART_JWT_COOKIE_SECURE=secure, SERVER_NAME=server_name)
    ada = client(app).as_user("ada")
    assert "HTTP_AUTHORIZATION" not in ada.environ_base
    assert ada.get("/").json["id"] == "ada"
    assert ada.post("/").json["id"] == "ada"
    assert code(ada.post("/", headers={"X-CSRF-Token": "guessed"})) == "csrf.invalid"
    assert code(ada.anonymous().post("/")) == "auth.missing"


def test_a_wrong_token_goes_into_the_cookie_too(serve: App) -> None:
    app = serve(RAMPART_JWT_LOCATIONS="cookie")
    nobody = client(app)
    assert code(nobody.with_token(mint_token(app, expired=True)).get("/")) == "token.expired"
    assert code(nobody.with_token("nonsense").get("/")) == "token.invalid"


def test_where_there_is_neither_header_nor_cookie_it_says_so(serve: App) -> None:
    app = serve(RAMPART_JWT_LOCATIONS=["json", "query"])
    with pytest.raises(ConfigError, match="neither 'header' nor 'cookie'"):
        client(app).as_user("ada")
    assert client(app).post("/", json={"access_token": mint_token(app, "ada")}).json["id"] == "ada"


# --- Wrong tokens ---

WRONG: dict[str, dict[str, Any]] = {
    "expired": {"expired": True},
    "not_yet": {"not_yet": True},
    "algorithm_none": {"algorithm_none": True},
    "wrong_key": {"wrong_key": True},
    "tampered": {"tampered": True},
    "without exp": {"without": ("exp",)},
    "without sub": {"without": ["sub"]},
    "another audience": {"claims": {"aud": "https://other.example"}},
    "another issuer": {"claims": {"iss": "https://other.example"}},
    "another type": {"typ": "dpop+jwt"},
    "expired and forged": {"expired": True, "wrong_key": True},
}


@pytest.mark.parametrize("leeway", [0, 600])
@pytest.mark.parametrize("flaw", WRONG)
@pytest.mark.parametrize("by", ["own key", "issuer"])
def test_every_kind_of_wrong_token_is_refused(serve: App, by: str, flaw: str, leeway: int) -> None:
    own: dict[str, Any] = {"RAMPART_JWT_ISSUER": "https://us.example", "RAMPART_JWT_AUDIENCE": "https://api.example"}
    config = own if by == "own key" else {"RAMPART_JWT_KEYS": ..., "RAMPART_ISSUERS": [AUTH0]}
    app = serve(**config, RAMPART_JWT_LEEWAY=leeway)
    expected = "token.expired" if flaw == "expired" else "token.invalid"
    good, wrong = mint_token(app, "ada"), mint_token(app, "ada", **WRONG[flaw])
    assert code(client(app).with_token(good).get("/")) == "ok"
    assert code(client(app).with_token(wrong).get("/")) == expected


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "RS256", "PS384", "ES256", "ES384", "EdDSA"])
def test_tokens_are_right_and_wrong_with_every_kind_of_key(serve: App, alg: str) -> None:
    from flask_rampart.testing.keys import new_key  # the keys of an issuer; here, of the app

    key = new_key(alg, "k1")
    assert (key.alg, key.kid, key.can_sign) == (alg, "k1", True)
    app = serve(RAMPART_JWT_KEYS=[{"kid": "k1", "alg": alg, **_material(alg)}])
    assert client(app).as_user("ada").get("/").json["id"] == "ada"
    assert code(client(app).with_token(mint_token(app, wrong_key=True)).get("/")) == "token.invalid"
    assert code(client(app).with_token(mint_token(app, tampered=True)).get("/")) == "token.invalid"


def _material(alg: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if alg.startswith("HS"):
        return {"secret": "0123456789abcdef" * 4}
    private: Any
    if alg.startswith("ES"):
        private = ec.generate_private_key(ec.SECP384R1() if alg == "ES384" else ec.SECP256R1())
    elif alg == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pkcs8 = serialization.PrivateFormat.PKCS8
    return {"pem": private.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption())}


def test_what_contradicts_itself_is_an_error_and_makes_no_token(serve: App) -> None:
    app = serve()
    for contradiction in (
        {"expired": True, "not_yet": True},
        {"wrong_key": True, "tampered": True},
        {"algorithm_none": True, "wrong_key": True},
        {"subject": ""},
        {"scopes": 'a"b'},
        {"lifetime": 0},
    ):
        with pytest.raises(ValueError):
            mint_token(app, **{"subject": "ada", **contradiction})


def test_claims_are_taken_as_they_are(serve: App) -> None:
    found = client(serve()).as_user("ada", claims={"jti": "t1", "roles": ["x"], "a": {"b": [1.5, None]}}).get("/").json
    assert (found["claims"]["jti"], found["claims"]["roles"], found["claims"]["a"]) == ("t1", ["x"], {"b": [1.5, None]})


# --- Not in production ---


@pytest.mark.parametrize("debug", [True, False])
def test_nothing_of_it_works_for_an_app_in_production(serve: App, debug: bool) -> None:
    app = serve(TESTING=False, DEBUG=debug, RAMPART_API_KEYS=True, RAMPART_ISSUERS=[AUTH0])
    uses: list[Callable[[], Any]] = [
        lambda: client(app),
        lambda: mint_token(app, "ada"),
        lambda: RampartClient(app).as_user("ada"),
        lambda: RampartClient(app).as_api_key(),
        lambda: RampartClient(app).with_token("x"),
        lambda: FakeIssuer.in_place_of(app),
    ]
    for use in uses:
        if debug:
            use()
        else:
            with pytest.raises(ConfigError, match="not for production"):
                use()


@pytest.mark.parametrize("served", [True, False])
def test_an_app_in_production_does_not_start_with_a_fake_issuer(serve: App, served: bool) -> None:
    issuer = FakeIssuer()
    if served:
        with issuer.serve():
            entry = issuer.settings()
    else:
        entry = issuer.settings()
    app = serve(TESTING=False, RAMPART_ISSUERS=[AUTH0, entry])
    with pytest.raises(ConfigError, match=r"RAMPART_ISSUERS\[1\]: '.*' is 'testing_only'"):
        app.extensions["rampart"].seal()
    assert app.test_client().get("/open").status_code == 500


def test_the_mark_is_true_or_false(serve: App) -> None:
    with pytest.raises(ConfigError, match="'testing_only' must be True or False"):
        serve(RAMPART_ISSUERS=[FakeIssuer().settings(testing_only="no")])


def test_an_app_without_rampart_is_told_so() -> None:
    app = Flask(__name__)
    app.testing = True
    with pytest.raises(ConfigError, match="has no Rampart"):
        client(app)


def test_an_app_for_which_nobody_can_sign_is_told_what_to_do(serve: App) -> None:
    from flask_rampart.testing.keys import new_key

    public = json.loads(new_key("EdDSA", "k").public_jwk() or "")
    app = serve(RAMPART_JWT_KEYS=[public])
    with pytest.raises(ConfigError, match=r"nobody can sign .* secrets\.token_hex"):
        mint_token(app)
    with pytest.raises(ConfigError, match="RAMPART_ISSUERS has none"):
        FakeIssuer.in_place_of(app)


# --- Time ---


def test_apps_of_a_factory_have_the_frozen_clock_and_others_keep_theirs() -> None:
    rampart = Rampart()

    def create() -> Flask:
        app = Flask("shop")
        app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS)
        rampart.init_app(app)
        app.get("/")(require()(lambda: "ok"))
        return app

    real = create()
    with frozen(rampart, at=NOW) as clock:
        app = create()
    ada = client(app).as_user("ada", lifetime=60)
    clock.advance(91)
    assert code(ada.get("/")) == "token.expired"
    assert code(client(create()).with_token(mint_token(app)).get("/")) == "token.invalid"  # of the future
    assert code(client(real).as_user("ada").get("/")) == "ok"


def test_a_frozen_clock_stands_at_now_unless_told() -> None:
    with frozen(Rampart()) as clock:
        assert abs(clock.now() - Clock.system().now()) < 60 and clock.now() == int(clock.now())


def test_an_app_in_production_does_not_start_with_a_frozen_clock(tmp_path: Path) -> None:
    # By such a clock no token would ever end.
    rampart = Rampart()
    apps = [Flask("shop"), Flask("shop")]
    for app in apps:
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS, RAMPART_LIMIT_STORE="memory://")
        app.config["RAMPART_STORE"] = f"sqlite:///{tmp_path}/records.sqlite3"
    with frozen(rampart):
        rampart.init_app(apps[0])
    rampart.init_app(apps[1])
    with pytest.raises(ConfigError, match="not for production"):
        apps[0].extensions["rampart"].seal()
    apps[1].extensions["rampart"].seal()
