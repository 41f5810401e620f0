"""Access: who may call a view, by what the credential says and what the app makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Blueprint, Flask
from flask.cli import FlaskGroup
from flask.views import MethodView

from flask_rampart import (
    Clock,
    ConfigError,
    Rampart,
    current_principal,
    has_permission,
    has_role,
    has_scope,
    limit,
    principal_or_none,
    public,
    require,
)
from flask_rampart.access import RoleBook
from flask_rampart.config import Settings
from flask_rampart.exchange import EXTENSION

from .conftest import NOW, bearer

App = Callable[..., Flask]
Sign = Callable[..., str]

ROLES = {
    "reader": {"permissions": ["doc.read"]},
    "editor": {"includes": ["reader"], "permissions": ["doc.edit"]},
    "admin": {"includes": ["editor"], "permissions": ["doc.delete"]},
}


def ask(app: Flask, path: str = "/", token: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and code."""
    sent = {**(bearer(token) if token is not None else {}), **headers}
    answer = app.test_client().get(path, headers=sent)
    return answer.status_code, answer.json["code"] if answer.is_json else answer.get_data(as_text=True)


def refuses_to_start(app: Flask, *words: str) -> None:
    with pytest.raises(ConfigError) as error:
        app.extensions[EXTENSION].seal()
    for word in words:
        assert word in str(error.value)


# Roles and permissions


def test_a_role_has_all_that_it_includes(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES=ROLES)
    app.get("/reader")(require(roles="reader")(lambda: "ok"))
    app.get("/admin")(require(roles="admin")(lambda: "ok"))
    app.get("/any")(require(any_roles="owner editor")(lambda: "ok"))
    admin, editor, reader = (token(roles=[name]) for name in ("admin", "editor", "reader"))
    assert ask(app, "/reader", admin) == (200, "ok")
    assert ask(app, "/any", admin) == (200, "ok")
    assert ask(app, "/admin", editor) == (403, "auth.role")
    assert ask(app, "/any", reader) == (403, "auth.role")
    # A role that the hierarchy does not know stays what it is.
    assert ask(app, "/any", token(roles=["owner"])) == (200, "ok")
    assert ask(app, "/reader", token(roles=["owner"])) == (403, "auth.role")


def test_permissions_are_all_or_any_and_come_from_roles(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES=ROLES)
    app.get("/all")(require(permissions="doc.read doc.edit")(lambda: "ok"))
    app.get("/any")(require(any_permissions=["doc.delete", "doc.edit"])(lambda: "ok"))
    assert ask(app, "/all", token(roles=["editor"])) == (200, "ok")
    assert ask(app, "/all", token(roles=["reader"])) == (403, "auth.permission")
    assert ask(app, "/any", token(roles=["editor"])) == (200, "ok")
    assert ask(app, "/any", token(roles=["reader"])) == (403, "auth.permission")
    # What a credential says of permissions counts only where it was asked for.
    assert ask(app, "/any", token(permissions=["doc.edit"])) == (403, "auth.permission")
    assert ask(app, "/any", token(roles=[])) == (403, "auth.permission")


@pytest.mark.parametrize(
    ("place", "claims"),
    [
        ("permissions", {"permissions": ["a", "b"]}),
        ("app.permissions", {"app": {"permissions": ["a", "b"]}}),
        ("app.permissions", {"app.permissions": ["a", "b"]}),
        ("/resource_access/my.app/permissions", {"resource_access": {"my.app": {"permissions": ["a", "b"]}}}),
        ("/x~1y/z~0", {"x/y": {"z~": ["a", "b"]}}),
        (["first", "second"], {"first": "a", "second": ["b"]}),
    ],
)
def test_permissions_are_read_from_the_claims_that_are_configured(
    make_app: App, token: Sign, place: Any, claims: dict[str, Any]
) -> None:
    app = make_app(RAMPART_JWT_PERMISSIONS_CLAIM=place)
    app.get("/")(require(permissions="a b")(lambda: "ok"))
    assert ask(app, "/", token(**claims)) == (200, "ok")
    assert ask(app, "/", token()) == (403, "auth.permission")


@pytest.mark.parametrize("wrong", ["a b", ["a", 1], {"a": "b"}, 1, None, True, [["a"]], "", [""]])
def test_a_claim_of_another_type_states_no_permission(make_app: App, token: Sign, wrong: Any) -> None:
    # CVE-2026-25537, the other way round: what has the wrong type gives nothing, and is not read as words.
    app = make_app(RAMPART_JWT_PERMISSIONS_CLAIM="p")
    app.get("/")(require(permissions="a")(lambda: "ok"))
    assert ask(app, "/", token(p=wrong)) == (403, "auth.permission")


def test_permissions_of_roles_and_claims_add_up(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES=ROLES, RAMPART_JWT_PERMISSIONS_CLAIM="p")
    app.get("/")(require(permissions="doc.read extra")(lambda: "ok"))
    assert ask(app, "/", token(roles=["reader"], p=["extra"])) == (200, "ok")
    assert ask(app, "/", token(roles=["reader"])) == (403, "auth.permission")
    assert ask(app, "/", token(p=["extra"])) == (403, "auth.permission")


def test_views_may_ask_what_the_principal_has(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES=ROLES, RAMPART_JWT_PERMISSIONS_CLAIM="p")

    @app.get("/")
    @require(optional=True)
    def view() -> list[Any]:
        roles = sorted(current_principal.roles) if current_principal else None
        return [
            roles,
            *(has_scope(s) for s in ("s", "t")),
            *(has_role(r) for r in ("editor", "reader", "admin")),
            *(has_permission(p) for p in ("doc.read", "extra", "doc.delete")),
        ]

    get = app.test_client().get
    # `roles` stays what the credential says.
    signed = token(roles=["editor"], scope="s", p=["extra"])
    assert get("/", headers=bearer(signed)).json == [["editor"], True, False, True, True, False, True, True, False]
    assert get("/").json == [None] + [False] * 8


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"a": {"includes": ["b"]}, "b": {"includes": ["c"]}, "c": {"includes": ["a"]}}, ("circle", "a includes b")),
        ({"a": {"includes": ["a"]}}, ("circle", "a includes a")),
        ({"editor": {"includes": ["raeder"]}, "reader": {}}, ("raeder", "Did you mean reader?")),
        ({"a": {"permision": ["x"]}}, ("permision", "Did you mean permissions?")),
        ({"a": {"permissions": "x y"}}, ("list",)),
        ({"a": {"includes": "b"}, "b": {}}, ("list",)),
        ({"a": {"permissions": [""]}}, ("list of names",)),
        ({"a": ["x"]}, ("'includes' and 'permissions'",)),
        ({"": {}}, ("not empty",)),
        ({1: {}}, ("not empty",)),
        ({}, ("RAMPART_ROLES", "not empty")),
        (["admin"], ("RAMPART_ROLES", "dict")),
    ],
)
def test_roles_that_cannot_be_meant_stop_the_start(make_app: App, roles: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as error:
        make_app(RAMPART_ROLES=roles)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("wrong", ["", [], "aud", "sub.x", "/exp", ".".join("abcdefghi"), "x" * 300, ["p"] * 17])
def test_a_place_of_permissions_that_cannot_be_meant_stops_the_start(make_app: App, wrong: Any) -> None:
    with pytest.raises(ConfigError, match="RAMPART_JWT_PERMISSIONS_CLAIM"):
        make_app(RAMPART_JWT_PERMISSIONS_CLAIM=wrong)


def test_a_permission_that_nothing_gives_stops_the_start(make_app: App) -> None:
    app = make_app(RAMPART_ROLES=ROLES)
    app.get("/")(require(any_permissions="doc.read doc.edti")(lambda: "ok"))
    refuses_to_start(app, "doc.edti", "Did you mean doc.edit?")
    app = make_app()
    app.get("/")(require(permissions="doc.read")(lambda: "ok"))
    refuses_to_start(app, "RAMPART_ROLES", "RAMPART_JWT_PERMISSIONS_CLAIM")


def test_sets_of_roles_are_worked_out_once_and_in_bounded_memory() -> None:
    book = RoleBook(Settings.read({"RAMPART_ROLES": ROLES}))
    for number in range(10_000):
        book.expand(frozenset((str(number), "editor")))
    info = book.expand.cache_info()
    assert info.currsize <= 4096
    known = frozenset(("admin",))
    assert book.expand(known) is book.expand(frozenset(("admin",)))
    assert book.expand(known).roles == {"admin", "editor", "reader"}
    assert book.expand(known).permissions == {"doc.read", "doc.edit", "doc.delete"}


def test_a_long_chain_and_a_diamond_of_roles_are_no_circles() -> None:
    chain = {str(i): {"includes": [str(i + 1)]} for i in range(5000)} | {"5000": {"permissions": ["deep"]}}
    assert "deep" in RoleBook(Settings.read({"RAMPART_ROLES": chain})).expand(frozenset("0")).permissions
    wide = {"top": {"includes": ["l", "r"]}, "l": {"includes": ["b"]}, "r": {"includes": ["b"]}, "b": {}}
    assert RoleBook(Settings.read({"RAMPART_ROLES": wide})).expand(frozenset(("top",))).roles == set(wide)


# Issuer and audience


def test_an_issuer_is_demanded(make_app: App, token: Sign) -> None:
    app = make_app()
    app.get("/one")(require(issuer="https://a.example")(lambda: "ok"))
    app.get("/two")(require(issuer=["https://a.example", "https://b.example"])(lambda: "ok"))
    app.get("/both")(
        require(issuer=["https://a.example", "https://c.example"])(
            require(issuer=["https://a.example", "https://b.example"])(lambda: "ok")
        )
    )
    a, b, c = (token(iss=f"https://{name}.example") for name in "abc")
    assert [ask(app, "/one", t)[0] for t in (a, b)] == [200, 403]
    assert [ask(app, "/two", t)[0] for t in (a, b, c)] == [200, 200, 403]
    assert [ask(app, "/both", t)[0] for t in (a, b, c)] == [200, 403, 403]
    # Nobody vouches for it; and it is the whole issuer that counts, not a part (CVE-2024-53861).
    assert ask(app, "/one", token()) == (403, "auth.issuer")
    assert ask(app, "/one", token(iss="https://a.exampl")) == (403, "auth.issuer")
    assert ask(app, "/one", token(iss="https://a.example/")) == (403, "auth.issuer")


def test_an_audience_is_demanded(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_JWT_AUDIENCE=["api", "billing", "admin"])
    app.get("/")(require(audience="billing")(lambda: "ok"))
    app.get("/both")(require(audience=["admin", "x"])(require(audience="billing")(lambda: "ok")))
    assert ask(app, "/", token(aud="billing")) == (200, "ok")
    assert ask(app, "/", token(aud=["api", "billing"])) == (200, "ok")
    assert ask(app, "/", token(aud="api")) == (403, "auth.audience")
    assert ask(app, "/", token(aud=["api", "billing2"])) == (403, "auth.audience")
    assert ask(app, "/both", token(aud=["billing", "admin"])) == (200, "ok")
    assert ask(app, "/both", token(aud=["billing"])) == (403, "auth.audience")


def test_a_credential_without_audience_is_refused(make_app: App) -> None:
    app = make_app(RAMPART_API_KEYS=True)
    app.get("/")(require(audience="api")(lambda: "ok"))
    with app.app_context():
        key = Rampart().api_keys.create("k", owner="ada").key
    assert ask(app, "/", **{"X-API-Key": key}) == (403, "auth.audience")


def test_issuers_without_a_common_one_stop_the_start(make_app: App) -> None:
    app = make_app()
    app.get("/")(require(issuer="https://a.example")(require(issuer="https://b.example")(lambda: "ok")))
    refuses_to_start(app, "no issuer in common")


# Fresh and recent


def test_a_view_may_demand_a_fresh_credential(make_app: App, token: Sign, clock: Clock) -> None:
    app = make_app()
    app.get("/")(require(fresh=True)(lambda: "ok"))
    assert ask(app, "/", token(fresh=True)) == (200, "ok")
    for stale in (False, ..., None, "true", "True", 1 - 1, [True], {"fresh": True}):
        assert ask(app, "/", token(fresh=stale)) == (401, "auth.stale"), stale
    answer = app.test_client().get("/", headers=bearer(token()))
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api", error="insufficient_user_authentication"'
    # Flask-JWT-Extended writes until when it is fresh.
    assert ask(app, "/", token(fresh=NOW + 10)) == (200, "ok")
    clock.advance(9.5)
    assert ask(app, "/", token(fresh=NOW + 10)) == (200, "ok")
    clock.advance(0.5)
    assert ask(app, "/", token(fresh=NOW + 10)) == (401, "auth.stale")


def test_a_view_may_demand_a_recent_authentication(make_app: App, token: Sign, clock: Clock) -> None:
    app = make_app()
    app.get("/")(require(max_age=300)(lambda: "ok"))
    app.get("/delta")(require(max_age=timedelta(minutes=5))(lambda: "ok"))
    signed = token(auth_time=NOW, exp=NOW + 3600)
    clock.advance(300)
    assert ask(app, "/", signed) == ask(app, "/delta", signed) == (200, "ok")
    clock.advance(0.001)
    assert ask(app, "/", signed) == ask(app, "/delta", signed) == (401, "auth.stale")
    answer = app.test_client().get("/", headers=bearer(signed))
    # RFC 9470 section 3.
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="api", error="insufficient_user_authentication", max_age="300"'
    )
    # How long ago the token was made says nothing of it.
    assert ask(app, "/", token(iat=int(clock.now()), exp=NOW + 3600)) == (401, "auth.stale")


def test_a_time_ahead_of_the_clock_is_taken_within_the_leeway(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_JWT_LEEWAY=30)
    app.get("/")(require(max_age=300)(lambda: "ok"))
    assert ask(app, "/", token(auth_time=NOW + 30)) == (200, "ok")
    assert ask(app, "/", token(auth_time=NOW + 31)) == (401, "auth.stale")


def test_an_api_key_never_tells_its_age_whatever_its_metadata_says(make_app: App) -> None:
    app = make_app(RAMPART_API_KEYS=True)
    app.get("/fresh")(require(fresh=True)(lambda: "ok"))
    app.get("/recent")(require(max_age=300)(lambda: "ok"))
    with app.app_context():
        key = Rampart().api_keys.create("k", claims={"fresh": True, "auth_time": NOW}).key
    assert ask(app, "/fresh", **{"X-API-Key": key}) == (401, "auth.stale")
    assert ask(app, "/recent", **{"X-API-Key": key}) == (401, "auth.stale")


def test_a_view_that_takes_only_what_has_no_age_cannot_demand_one(make_app: App) -> None:
    app = make_app(RAMPART_API_KEYS=True)
    app.get("/")(require("api_key", max_age=300)(lambda: "ok"))
    refuses_to_start(app, "api_key", "max_age")


def test_of_several_ages_the_shortest_counts(make_app: App, token: Sign, clock: Clock) -> None:
    app = make_app()
    app.get("/")(require(max_age=300)(require(max_age=60)(lambda: "ok")))
    clock.advance(61)
    signed = token(auth_time=NOW, exp=NOW + 3600)
    answer = app.test_client().get("/", headers=bearer(signed))
    assert 'max_age="60"' in answer.headers["WWW-Authenticate"]


# Optional


def test_optional_lets_a_request_without_a_credential_through(make_app: App, token: Sign) -> None:
    app = make_app()

    @app.get("/")
    @require(optional=True)
    def view() -> dict[str, Any]:
        known = principal_or_none()
        return {"bool": bool(current_principal), "id": known.id if known else None}

    get = app.test_client().get
    assert get("/").json == {"bool": False, "id": None}
    assert get("/", headers=bearer(token())).json == {"bool": True, "id": "ada"}
    # What is empty is nothing.
    for empty in ("", " ", "Bearer", "bearer", "Bearer ", "BEARER   "):
        assert get("/", headers={"Authorization": empty}).json == {"bool": False, "id": None}, repr(empty)


def test_optional_refuses_a_wrong_credential(make_app: App, token: Sign) -> None:
    # Flask-HTTPAuth lets what is wrong through as nobody; Flask-JWT-Extended what it cannot read.
    app = make_app()
    app.get("/")(require(optional=True)(lambda: "ok"))
    assert ask(app, "/", token(exp=NOW - 60)) == (401, "token.expired")
    assert ask(app, "/", token()[:-2]) == (401, "token.invalid")
    assert ask(app, "/", "x") == (401, "token.invalid")
    for stray in ("Basic YWRhOng=", "Basic Og==", token(), "Token abc", "Bearerx y", "Negotiate"):
        assert ask(app, "/", Authorization=stray) == (401, "auth.invalid"), stray
    answer = app.test_client().get("/", headers={"Authorization": "Basic YWRhOng="})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert "YWRhOng" not in answer.get_data(as_text=True)


def test_optional_refuses_a_credential_of_a_kind_that_the_view_does_not_take(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_API_KEYS=True)
    app.get("/")(require("jwt", optional=True)(lambda: "ok"))
    with app.app_context():
        key = Rampart().api_keys.create("k").key
    assert ask(app, "/") == (200, "ok")
    assert ask(app, "/", token()) == (200, "ok")
    assert ask(app, "/", **{"X-API-Key": key}) == (401, "auth.invalid")
    assert ask(app, "/", **{"X-API-Key": "rk_live_no"}) == (401, "auth.invalid")
    assert ask(app, "/", Authorization=f"ApiKey {key}") == (401, "auth.invalid")
    assert ask(app, "/", **{"X-API-Key": " "}) == (200, "ok")
    assert ask(app, "/", token(), **{"X-API-Key": key}) == (400, "auth.ambiguous")


def test_one_require_that_is_not_optional_makes_it_mandatory(make_app: App, token: Sign) -> None:
    app = make_app()
    Rampart().protect(app, require(optional=True))
    app.get("/mandatory")(require(scopes="a")(lambda: "ok"))
    app.get("/twice")(require(optional=True)(require()(lambda: "ok")))
    app.get("/optional")(lambda: "ok")
    assert ask(app, "/mandatory") == ask(app, "/twice") == (401, "auth.missing")
    assert ask(app, "/mandatory", token(scope="a")) == (200, "ok")
    assert ask(app, "/optional") == (200, "ok")
    assert ask(app, "/optional", "x") == (401, "token.invalid")


def test_optional_opens_a_view_under_deny(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")
    app.get("/")(require(optional=True)(lambda: "ok"))
    app.get("/undeclared")(lambda: "ok")
    assert ask(app, "/") == (200, "ok")
    assert ask(app, "/undeclared") == (403, "route.undeclared")


def test_a_limit_by_principal_counts_nobody_by_address(make_app: App, token: Sign) -> None:
    app = make_app()
    app.get("/")(require(optional=True)(limit("1/minute", by="principal")(lambda: "ok")))
    assert [ask(app, "/")[0] for _ in range(2)] == [200, 429]
    assert [ask(app, "/", token())[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "demand",
    [
        {"scopes": "a"},
        {"any_roles": "a"},
        {"permissions": "a"},
        {"issuer": "a"},
        {"audience": "a"},
        {"fresh": True},
        {"max_age": 5},
        {"policy": "p"},
    ],
)
def test_optional_with_a_demand_is_a_mistake(demand: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="optional"):
        require(optional=True, **demand)


@pytest.mark.parametrize(
    "wrong",
    [
        {"permissions": ""},
        {"any_permissions": []},
        {"permissions": [1]},
        {"issuer": ""},
        {"issuer": []},
        {"issuer": [""]},
        {"audience": 7 * [""]},
        {"audience": " "},
        {"fresh": "false"},
        {"fresh": 1},
        {"fresh": None},
        {"optional": "no"},
        {"optional": 0},
        {"max_age": 0},
        {"max_age": -5},
        {"max_age": True},
        {"max_age": "300"},
        {"max_age": math.nan},
        {"max_age": math.inf},
        {"max_age": timedelta(milliseconds=5)},
        {"policy": ""},
        {"policy": " "},
        {"policy": ["a"]},
        {"policy": len},
    ],
)
def test_a_demand_that_cannot_be_meant_is_refused_at_import(wrong: dict[str, Any]) -> None:
    # CVE-2026-59822: an empty demand must not become no demand.
    with pytest.raises(ConfigError, match="require"):
        require(**wrong)


# Everywhere that a guard may stand


def test_inherited_methods_keep_the_demands_of_their_class(make_app: App, token: Sign) -> None:
    # CVE-2025-41248, CVE-2025-41249: guards on a parent were lost for methods that a subclass inherits or overrides.
    app = make_app(RAMPART_ROLES=ROLES)

    @require(permissions="doc.read")
    class Base(MethodView):
        def get(self) -> str:
            return "base"

        @require(permissions="doc.edit")
        def post(self) -> str:
            return "base"

    class Inherits(Base):
        pass

    class Overrides(Base):
        def get(self) -> str:
            return "mine"

    app.add_url_rule("/inherits", view_func=Inherits.as_view("inherits"))
    app.add_url_rule("/overrides", view_func=Overrides.as_view("overrides"))
    reader, editor, nobody = (bearer(token(roles=[name])) for name in ("reader", "editor", "x"))
    client = app.test_client()
    for path in ("/inherits", "/overrides"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=nobody).status_code == 403
        assert client.get(path, headers=reader).status_code == 200
        assert client.post(path, headers=reader).json["code"] == "auth.permission"
        assert client.post(path, headers=editor).status_code == 200


def test_async_views_blueprints_and_apps_are_met_by_every_demand(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES=ROLES)
    rampart = Rampart()
    blueprint = Blueprint("b", __name__, url_prefix="/b")

    @blueprint.get("/")
    @require(max_age=60)
    async def view() -> str:
        return current_principal.id

    rampart.protect(blueprint, require(permissions="doc.read"))
    app.register_blueprint(blueprint)
    rampart.protect(app, require(issuer="https://a.example"))
    good = {"iss": "https://a.example", "roles": ["reader"], "auth_time": NOW}
    assert ask(app, "/b/", token(**good)) == (200, "ada")
    assert ask(app, "/b/", token(**{**good, "iss": "https://b.example"})) == (403, "auth.issuer")
    assert ask(app, "/b/", token(**{**good, "roles": []})) == (403, "auth.permission")
    assert ask(app, "/b/", token(**{**good, "auth_time": NOW - 61})) == (401, "auth.stale")
    assert ask(app, "/b/") == (401, "auth.missing")


def test_a_view_called_by_another_is_met_by_its_own_demands(make_app: App, token: Sign) -> None:
    app = make_app()

    @require(fresh=True)
    def inner() -> str:
        return "inner"

    app.get("/")(require(optional=True)(lambda: inner()))
    assert ask(app, "/", token(fresh=True)) == (200, "inner")
    assert ask(app, "/", token()) == (401, "auth.stale")
    assert ask(app, "/") == (401, "auth.missing")


def test_refusals_say_nothing_of_what_was_sent_or_demanded(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_ROLES={"r": {"permissions": ["hunter2"]}}, RAMPART_JWT_AUDIENCE=["sesame"])
    app.get("/p")(require(permissions="hunter2")(lambda: "ok"))
    app.get("/i")(require(issuer="hunter2")(lambda: "ok"))
    app.get("/a")(require(audience="hunter2")(lambda: "ok"))
    for path in "pia":
        answer = app.test_client().get(f"/{path}", headers=bearer(token(iss="sesame", aud="sesame", roles=["sesame"])))
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api", error="insufficient_scope"'
        text = answer.get_data(as_text=True) + str(answer.headers)
        assert "hunter2" not in text and "sesame" not in text


def test_a_demand_that_is_not_given_is_not_asked(make_app: App) -> None:
    # Cost: a view that demands scopes has one check at PERMISSION, and it is the one for scopes and roles.
    app = make_app(RAMPART_ROLES=ROLES)
    app.get("/")(require(scopes="a")(lambda: "ok"))
    app.get("/more")(require(scopes="a", fresh=True)(lambda: "ok"))
    app.test_client().get("/")
    state = app.extensions[EXTENSION]
    plain, more = (
        state.plan(next(rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == path), "GET").checks[-1]
        for path in ("/", "/more")
    )
    assert plain.__qualname__.startswith("_words.")
    assert not more.__qualname__.startswith("_words.")


# The command line


def test_routes_show_every_demand_and_strict_refuses_what_declares_nothing(make_app: App) -> None:
    def run(app: Flask, *words: str) -> Result:
        return CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["rampart", "routes", *words])

    app = make_app(RAMPART_ROLES=ROLES)
    app.view_functions["static"] = public(app.view_functions["static"])
    app.get("/a")(
        require(
            "jwt",
            scopes="a b",
            permissions="doc.read",
            issuer="https://a.example",
            audience=["x", "y"],
            fresh=True,
            max_age=timedelta(minutes=5),
        )(lambda: "ok")
    )
    app.get("/b")(require(optional=True)(lambda: "ok"))
    shown = run(app, "--strict")
    assert shown.exit_code == 0, shown.output
    assert (
        "require('jwt', scopes='a b', permissions='doc.read', issuer='https://a.example', audience=['x', 'y'], "
        "fresh=True, max_age=300)"
    ) in shown.output
    assert "require(optional=True)" in shown.output
    app = make_app()
    app.get("/open")(lambda: "ok")
    assert run(app).exit_code == 0
    strict = run(app, "--strict")
    assert strict.exit_code == 1
    assert "nothing declared: OPEN" in strict.output


def test_a_demand_is_shown_as_it_is_written() -> None:
    assert repr(require(roles=["Domain Users", "x"])) == "require(roles=['Domain Users', 'x'])"
    assert repr(require("jwt", "api_key", any_permissions="b a")) == "require('jwt', 'api_key', any_permissions='a b')"
    assert repr(require(policy="doc.edit")) == "require(policy='doc.edit')"
