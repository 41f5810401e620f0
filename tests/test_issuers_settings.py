"""``RAMPART_ISSUERS``: what is wrong stops the start-up, with its place and the cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart

from .issuing import AUDIENCE, ISSUER

App = Callable[..., Flask]
OTHER = "https://other.example/tenant/"


def entry(**fields: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "audience": AUDIENCE, **fields}


@pytest.mark.parametrize(
    ("issuers", "message"),
    [
        ([], "RAMPART_ISSUERS must be a list of issuers, not empty"),
        ("https://id.example", "RAMPART_ISSUERS must be a list"),
        (["https://id.example"], "RAMPART_ISSUERS[0] must be a dict"),
        ([{"audience": "a"}], "RAMPART_ISSUERS[0] needs 'issuer'"),
        ([{"issuer": ISSUER}], "RAMPART_ISSUERS[0] needs 'audience'"),
        (
            [entry(), entry(issuer=OTHER, audiance="a")],
            "RAMPART_ISSUERS[1]: 'audiance' is not a field of an issuer. Did you mean audience?",
        ),
        ([entry(jwks_url="https://id.example/k")], "Did you mean jwks_uri?"),
        ([entry(issuer="http://id.example")], "it is not https"),
        ([entry(issuer="id.example")], "https URL"),
        ([entry(issuer="https://id.example?x")], "no query"),
        ([entry(issuer="https://id.example#x")], "fragment"),
        ([entry(issuer="https://u@id.example")], "user"),
        ([entry(issuer="https://id.example /")], "characters"),
        ([entry(issuer=7)], "'issuer' must be an https URL"),
        ([entry(audience=[])], "'audience' must be"),
        ([entry(audience=" ")], "'audience' must be"),
        ([entry(jwks_uri="ftp://id.example")], "'jwks_uri' must be an https URL"),
        ([entry(jwks_uri="https://a/", jwks={})], "both 'jwks' and 'jwks_uri'"),
        ([entry(jwks="hunter2")], "'jwks' must be a JWK set"),
        ([entry(jwks={"keys": []})], "no key of this JWK set can be used"),
        ([entry(jwks={"keys": [{"kty": "oct", "k": "hunter2"}]})], "secret material"),
        ([entry(algorithms="HS256")], "shared secret"),
        ([entry(algorithms=["RS256", "none"])], "'none' is not one of"),
        ([entry(algorithms="RS265")], "Did you mean RS256?"),
        ([entry(algorithms=[])], "'algorithms' must be"),
        ([entry(typ="")], "'typ' must be"),
        ([entry(leeway=601)], "from 0 to 600"),
        ([entry(leeway="5")], "from 0 to 600"),
        ([entry(allow_http="yes")], "True or False"),
        ([entry(allow_private=1)], "True or False"),
        ([entry(scopes_claim="exp")], "RAMPART_ISSUERS[0]: scopes_claims"),
        ([entry(), entry(audience="b")], "RAMPART_ISSUERS[1]: 'https://id.example' stands there twice"),
    ],
)
def test_a_wrong_issuer_stops_the_start_up_with_the_cure(issuers: Any, message: str) -> None:
    app = Flask(__name__)
    app.config["RAMPART_ISSUERS"] = issuers
    with pytest.raises(ConfigError) as caught:
        Rampart(app)
    assert message in str(caught.value)
    assert "RAMPART_ISSUERS" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_our_own_issuer_is_not_anothers_too() -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_ISSUERS=[entry()], RAMPART_JWT_ISSUER=ISSUER)
    with pytest.raises(ConfigError, match="RAMPART_JWT_ISSUER"):
        Rampart(app)


def test_http_is_for_development_and_for_this_host(make_app: App) -> None:
    def sealed(issuer: str, **flags: bool) -> None:
        app = make_app(RAMPART_ISSUERS=[entry(issuer=issuer, allow_http=True)])
        app.testing, app.debug = flags.get("testing", False), flags.get("debug", False)
        app.extensions["rampart"].seal()

    sealed("http://id.example", testing=True)
    sealed("http://id.example", debug=True)
    for host in ("localhost:8080", "127.0.0.1", "[::1]:9"):
        sealed(f"http://{host}/realms/x")
    for host in ("id.example", "10.0.0.1", "localhost.evil.example"):
        with pytest.raises(ConfigError, match=r"app\.debug and app\.testing"):
            sealed(f"http://{host}")


def examples() -> list[str]:
    page = (Path(__file__).parent.parent / "docs" / "issuers.md").read_text()
    return re.findall(r"```python\n(.*?)```", page, re.S)


@pytest.mark.parametrize("example", examples())
def test_each_example_of_the_page_starts(make_app: App, example: str) -> None:
    app = Flask(__name__)
    exec(example, {"app": app})
    given = {name: value for name, value in app.config.items() if name.startswith("RAMPART_")}
    make_app(**given).extensions["rampart"].seal()


def test_each_provider_has_an_example() -> None:
    issuers = " ".join(examples())
    for host in ("auth0.com", "okta.com", "microsoftonline.com", "/realms/", "amazonaws.com", "accounts.google.com"):
        assert host in issuers
