"""What this API says about itself (RFC 9728), where, and to whom; and who acts for whom (RFC 8693)."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask, Response

from flask_rampart import (
    Actor,
    ConfigError,
    Denied,
    Rampart,
    current_principal,
    is_actor,
    limit,
    principal_actors,
    principal_client,
    public,
    require,
)
from flask_rampart.resource_metadata import ResourceMetadata

from .conftest import bearer

App = Callable[..., Flask]
RESOURCE = "https://api.example.com"
PLACE = "/.well-known/oauth-protected-resource"
ISSUERS = [
    {"issuer": "https://id.example", "audience": RESOURCE},
    {"issuer": "https://other.example/tenant/", "audience": RESOURCE},
]


def test_the_metadata_says_where_to_get_a_token(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE, RAMPART_ISSUERS=ISSUERS, RAMPART_DEFAULT="deny")
    app.get("/a")(require(scopes="orders:read")(lambda: "ok"))
    app.post("/a")(require(any_scopes="orders:write orders:admin", roles="staff")(lambda: "ok"))
    nested = Blueprint("nested", __name__)
    nested.get("/b")(public(lambda: "ok"))
    Rampart().protect(nested, require(scopes="nested"))
    app.register_blueprint(nested)
    answer = app.test_client().get(PLACE)
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert answer.json == {
        "resource": RESOURCE,
        "authorization_servers": ["https://id.example", "https://other.example/tenant/"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["nested", "orders:admin", "orders:read", "orders:write"],
    }
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_it_is_open_for_reading_alone_whatever_guards_the_app(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE, RAMPART_DEFAULT="deny")
    Rampart().protect(app, require(scopes="all"), limit("3/hour"), limit("1/hour", by="principal"))
    app.get("/")(lambda: "ok")
    client = app.test_client()
    assert client.get("/").status_code == 401
    assert client.get(PLACE, headers=bearer("nonsense")).status_code == 200
    head = client.head(PLACE)
    assert head.status_code == 200 and head.data == b"" and int(head.headers["Content-Length"]) > 50
    for method in ("post", "put", "delete", "patch"):
        assert getattr(client, method)(PLACE).status_code == 405
    # Limits by address hold here too.
    assert [client.get(PLACE).status_code for _ in range(2)] == [200, 429]


def test_an_app_without_a_resource_serves_and_names_nothing(make_app: App, token: Any) -> None:
    app = make_app()
    app.get("/")(require()(lambda: "ok"))
    assert app.test_client().get(PLACE).status_code == 404
    assert "resource_metadata" not in app.test_client().get("/").headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("resource", "url", "path"),
    [
        ("https://a.example", "https://a.example" + PLACE, PLACE),
        ("https://a.example/", "https://a.example" + PLACE, PLACE),
        ("https://a.example:8443/x/y", f"https://a.example:8443{PLACE}/x/y", PLACE + "/x/y"),
        ("https://a.example/x/", f"https://a.example{PLACE}/x/", PLACE + "/x/"),
        ("https://a.example/x%20y", f"https://a.example{PLACE}/x%20y", PLACE + "/x y"),
    ],
)
def test_it_is_at_the_place_of_section_3_1(make_app: App, resource: str, url: str, path: str) -> None:
    app = make_app(RAMPART_RESOURCE=resource)
    app.get("/")(require()(lambda: "ok"))
    answer = app.test_client().get(path)
    assert answer.status_code == 200 and answer.json["resource"] == resource
    challenge = app.test_client().get("/").headers["WWW-Authenticate"]
    assert challenge == f'Bearer realm="api", resource_metadata="{url}"'


def test_every_challenge_for_a_bearer_token_names_it(make_app: App, token: Any) -> None:
    # RFC 9728 section 5.1.
    app = make_app(RAMPART_RESOURCE=RESOURCE, RAMPART_ISSUERS=ISSUERS, RAMPART_API_KEYS=True, TESTING=True)
    app.get("/")(require(scopes="s", roles="r")(lambda: "ok"))
    named = f'resource_metadata="{RESOURCE}{PLACE}"'
    client = app.test_client()
    answers = {
        "auth.missing": client.get("/"),
        "token.invalid": client.get("/", headers=bearer("a.b.c")),
        "auth.ambiguous": client.get("/?access_token=x", headers=bearer("a.b.c")),
        "auth.scope": client.get("/", headers=bearer(token())),
        "auth.role": client.get("/", headers=bearer(token(scope="s"))),
        "token.expired": client.get("/", headers=bearer(token(exp=1))),
    }
    for code, answer in answers.items():
        assert answer.json["code"] == code
        for challenge in answer.headers.getlist("WWW-Authenticate"):
            assert (named in challenge) is challenge.startswith("Bearer"), code
        assert any(named in challenge for challenge in answer.headers.getlist("WWW-Authenticate")), code


def test_no_field_of_a_request_gets_into_it(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE)
    fields = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    answer = app.test_client().get(PLACE + "?resource=evil.example", headers=fields)
    assert answer.json["resource"] == RESOURCE and b"evil" not in answer.data


def test_what_is_said_beside_comes_from_the_settings(make_app: App) -> None:
    said = {
        "resource_name": "Orders",
        "resource_name#de": "Bestellungen",
        "resource_documentation": "https://docs.example.com/orders",
        "resource_policy_uri": "https://docs.example.com/policy",
        "resource_tos_uri": "https://docs.example.com/terms",
        "jwks_uri": "https://api.example.com/jwks",
        "authorization_servers": ["https://login.example.com"],
        "scopes_supported": "b a",
    }
    app = make_app(RAMPART_RESOURCE=RESOURCE, RAMPART_RESOURCE_METADATA=said, RAMPART_ISSUERS=ISSUERS)
    app.get("/a")(require(scopes="hidden")(lambda: "ok"))
    found = app.test_client().get(PLACE).json
    expected = {**said, "scopes_supported": ["a", "b"], "resource": RESOURCE, "bearer_methods_supported": ["header"]}
    assert found == expected


def test_what_has_no_elements_is_left_out(make_app: App) -> None:
    # RFC 9728 section 3.2.
    app = make_app(RAMPART_RESOURCE=RESOURCE, RAMPART_RESOURCE_METADATA={"scopes_supported": []})
    app.get("/a")(require(scopes="hidden")(lambda: "ok"))
    assert app.test_client().get(PLACE).json == {"resource": RESOURCE, "bearer_methods_supported": ["header"]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"RAMPART_RESOURCE_METADATA": {"resource_name": "x"}}, "needs RAMPART_RESOURCE"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {}}, "is empty"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": "x"}, "must be a dict"),
        (
            {"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"resource_nam": "x"}},
            "Did you mean resource_name?",
        ),
        (
            {"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"resource": "https://evil.example"}},
            "'resource'",
        ),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {7: "x"}}, "7 is not a member"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"resource_name#": "x"}}, "resource_name#"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"jwks_uri#de": "x"}}, "jwks_uri#de"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"resource_name": " "}}, "text that is not empty"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"jwks_uri": "http://a/"}}, "https URL"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"jwks_uri": "https://["}}, "https URL"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"resource_tos_uri": 7}}, "https URL"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"scopes_supported": ['a"b']}}, "list of scopes"),
        ({"RAMPART_RESOURCE": RESOURCE, "RAMPART_RESOURCE_METADATA": {"authorization_servers": []}}, "list of issuers"),
        ({"RAMPART_RESOURCE": "https://a.example/<x>"}, "where no route can be"),
        ({"RAMPART_RESOURCE": "https://a.example/%3Cx%3E"}, "where no route can be"),
        ({"RAMPART_RESOURCE": "https://a.example//x"}, "where no route can be"),
        ({"RAMPART_RESOURCE": "http://a.example"}, "https URL without query"),
        ({"RAMPART_RESOURCE": "https://["}, "https URL without query"),
        ({"RAMPART_RESOURCE": "https://a.example:x"}, "https URL without query"),
    ],
)
def test_what_cannot_be_said_stops_the_start_up(make_app: App, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_app(**config)
    assert message in str(caught.value)


@pytest.mark.parametrize("rule", [PLACE + "/x", PLACE + "/x/"])
def test_a_route_of_the_app_at_its_place_stops_the_start_up(make_app: App, rule: str) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE + "/x")
    app.get(rule)(lambda: "mine")
    with pytest.raises(ConfigError, match="serves this API's metadata"):
        app.extensions["rampart"].seal()


def test_a_route_that_takes_any_path_does_not_hide_it(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE + "/x")
    app.get("/<path:anything>")(lambda anything: "mine")
    assert app.test_client().get(PLACE + "/x").json["resource"] == RESOURCE + "/x"
    assert app.test_client().get(PLACE).data == b"mine"


def test_an_app_that_matches_hosts_serves_it_on_its_own(make_app: App) -> None:
    app = Flask(__name__, host_matching=True, static_host="static.example")
    app.config.update(RAMPART_RESOURCE=RESOURCE, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    assert app.test_client().get(PLACE, base_url=RESOURCE).status_code == 200
    assert app.test_client().get(PLACE, base_url="https://other.example").status_code == 404


def test_the_command_line_shows_the_route_as_open(make_app: App) -> None:
    app = make_app(RAMPART_RESOURCE=RESOURCE)
    Rampart().protect(app, require())
    from flask_rampart.cli.routes import routes

    found = app.test_cli_runner().invoke(routes)
    (line,) = [line for line in found.output.splitlines() if PLACE in line]
    assert "public" in line and "require" not in line


def test_the_url_is_known_without_an_app() -> None:
    metadata = ResourceMetadata(RESOURCE + "/v1")
    metadata.seal(Flask(__name__), ["b", "a"])
    assert json.loads(metadata.document)["scopes_supported"] == ["a", "b"]
    assert metadata.url == f"{RESOURCE}{PLACE}/v1"


# Delegation: RFC 8693.


def acting(act: Any = ..., issuer: str | None = "https://id.example", **claims: Any) -> Any:
    found = {"sub": "ada", **claims} if act is ... else {"sub": "ada", "act": act, **claims}
    return SimpleNamespace(id="ada", issuer=issuer, claims=found)


def nested(levels: int) -> dict[str, Any]:
    act: dict[str, Any] = {"sub": f"service{levels}"}
    for level in range(levels - 1, 0, -1):
        act = {"sub": f"service{level}", "act": act}
    return act


def test_the_current_actor_comes_first_and_those_before_follow() -> None:
    # The example of RFC 8693 section 4.1.
    ada = acting({"sub": "https://service16.example.com", "act": {"sub": "https://service77.example.com", "iss": "x"}})
    assert principal_actors(ada) == (
        Actor("https://service16.example.com", "https://id.example"),
        Actor("https://service77.example.com", "x"),
    )
    assert principal_actors(acting()) == ()
    assert principal_actors(acting({"sub": "a"}, issuer=None)) == (Actor("a", ""),)


@pytest.mark.parametrize(
    "act",
    [None, [], "gateway", 7, True, {}, {"sub": ""}, {"sub": None}, {"sub": ["gateway"]}, {"sub": "a", "iss": 7},
     {"sub": "a", "iss": None}, {"sub": "a", "act": None}, {"sub": "a", "act": [{"sub": "b"}]}, {"client_id": "gateway"}],
)  # fmt: skip
def test_a_malformed_actor_is_never_taken_for_none(act: Any) -> None:
    for ask in (principal_actors, lambda who: is_actor(who, "gateway")):
        with pytest.raises(Denied) as caught:
            ask(acting(act))
        assert (caught.value.problem.code, caught.value.reason) == ("token.invalid", "delegation")


def test_a_chain_of_actors_is_bounded() -> None:
    assert [actor.id for actor in principal_actors(acting(nested(8)))] == [f"service{n}" for n in range(1, 9)]
    with pytest.raises(Denied):
        principal_actors(acting(nested(9)))


def test_only_the_current_actor_counts() -> None:
    # RFC 8693 section 4.1: prior actors are history and decide nothing.
    ada = acting({"sub": "relay", "act": {"sub": "gateway"}})
    assert is_actor(ada, "relay") and is_actor(ada, "other", "relay")
    assert not is_actor(ada, "gateway") and not is_actor(acting(), "relay")
    # The same name, vouched for by somebody else, is somebody else.
    foreign = acting({"sub": "relay", "iss": "https://other.example"})
    assert not is_actor(foreign, "relay")
    assert is_actor(foreign, "relay", issuer="https://other.example")
    # An issuer that came out empty is not one that was left out.
    assert not is_actor(ada, "relay", issuer="") and not is_actor(foreign, "relay", issuer="")
    with pytest.raises(TypeError):
        is_actor(ada)


def test_the_client_of_a_token_is_named_by_either_claim() -> None:
    assert principal_client(acting()) is None
    assert principal_client(acting(client_id="shop")) == principal_client(acting(azp="shop")) == "shop"
    assert principal_client(acting(client_id="shop", azp="shop")) == "shop"
    for claims in ({"client_id": 7}, {"azp": ""}, {"client_id": None}, {"client_id": "shop", "azp": "other"}):
        with pytest.raises(Denied):
            principal_client(acting(**claims))


def test_a_view_demands_who_acts(make_app: App, token: Any) -> None:
    app = make_app()

    @app.get("/")
    @require()
    def view() -> Any:
        if not is_actor(current_principal, "relay"):
            raise Denied.of("auth.role", "actor")
        return {"for": current_principal.id, "by": principal_actors(current_principal)[0].id}

    client = app.test_client()
    assert client.get("/", headers=bearer(token(act={"sub": "relay"}))).json == {"for": "ada", "by": "relay"}
    assert client.get("/", headers=bearer(token())).status_code == 403
    refused = client.get("/", headers=bearer(token(act="relay")))
    assert refused.status_code == 401 and refused.json["code"] == "token.invalid"
    assert isinstance(refused, Response)
