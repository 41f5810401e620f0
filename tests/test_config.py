"""Settings: read once, and wrong ones stop the start-up with the cure."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart, Settings

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"RAMPART_LIMTS": "5/minute"}, "RAMPART_LIMTS is not a setting. Did you mean RAMPART_LIMITS?"),
        ({"RAMPART_limits": "5/minute"}, "Did you mean RAMPART_LIMITS?"),
        ({"RAMPART_XYZZY": 1}, "RAMPART_XYZZY is not a setting."),
        ({"RAMPART_DEFAULT": "denny"}, "Did you mean deny?"),
        ({"RAMPART_DEFAULT": ""}, "must be one of 'open', 'deny'"),
        ({"RAMPART_DEFAULT": None}, "must be one of"),
        ({"RAMPART_MAX_BODY": "1MB"}, "a whole number of bytes"),
        ({"RAMPART_MAX_BODY": 0}, "a whole number of bytes"),
        ({"RAMPART_MAX_BODY": True}, "a whole number of bytes"),
        ({"RAMPART_JWT_REQUIRE_EXP": "false"}, "must be True or False"),
        ({"RAMPART_JWT_REQUIRE_EXP": 0}, "must be True or False"),
        ({"RAMPART_JWT_AUDIENCE": []}, "not empty"),
        ({"RAMPART_JWT_AUDIENCE": ["a", ""]}, "not empty"),
        ({"RAMPART_JWT_ISSUER": "  "}, "not empty"),
        ({"RAMPART_LIMITS": ""}, "not empty"),
        ({"RAMPART_LIMITS": "5/minuet"}, "5/minuet"),
        ({"RAMPART_CSP": "default-src 'none'"}, "must be a dict"),
        ({"RAMPART_IPV6_PREFIX": 129}, "from 32 to 128"),
        ({"RAMPART_JWT_LEEWAY": -1}, "from 0 to 600"),
        ({"RAMPART_PROFILE": "API"}, "Did you mean api?"),
        ({"RAMPART_LIMIT_STORE": "redis", "RAMPART_LIMITS": "5/minute"}, "RAMPART_LIMIT_STORE"),
        ({"RAMPART_ACCESS_LOG": "/no/such/folder/log"}, "RAMPART_ACCESS_LOG"),
        ({"RAMPART_JWT_KEYS": []}, "not empty"),
        ({"RAMPART_JWT_KEYS": ["secret"]}, "each key is"),
    ],
)
def test_a_wrong_setting_stops_the_start_up_with_the_cure(config: dict[str, Any], message: str) -> None:
    app = Flask(__name__)
    app.config.update(config)
    with pytest.raises(ConfigError) as caught:
        Rampart(app)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"alg": "HS256"}, "exactly one of"),
        ({"alg": "HS256", "secret": "s" * 32, "pem": "x"}, "exactly one of"),
        ({"alg": "none", "secret": "s" * 32}, "'alg' must be one of"),
        ({"secret": "s" * 32}, "'alg' must be one of"),
        ({"alg": "RS256", "secret": "hunter2" * 8}, "takes a pem"),
        ({"alg": "HS256", "pem": "hunter2" * 8}, "takes a secret"),
        ({"alg": "HS256", "secret": "hunter2"}, "32"),
        ({"alg": "HS256", "secret": ""}, "RAMPART_JWT_KEYS[0]"),
        ({"alg": "HS256", "secret": None}, "must be a text or bytes"),
        ({"alg": "HS256", "secrt": "hunter2"}, "Did you mean secret?"),
        ({"alg": "HS256", "secret": "s" * 32, "verify_only": "yes"}, "True or False"),
        ({"alg": "HS256", "secret": "s" * 32, "kid": ""}, "'kid'"),
        ({"alg": "RS256", "path": "no-such-file.pem"}, "cannot be read"),
        ({"alg": "RS256", "pem": "hunter2"}, "RAMPART_JWT_KEYS[0]"),
        ({"kty": "oct", "alg": "HS256", "k": "aHVudGVyMg"}, "RAMPART_JWT_KEYS[0]"),
    ],
)
def test_a_wrong_key_stops_the_start_up_and_is_never_quoted(key: dict[str, Any], message: str) -> None:
    app = Flask(__name__)
    app.config["RAMPART_JWT_KEYS"] = [key]
    with pytest.raises(ConfigError) as caught:
        Rampart(app)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


def test_settings_are_frozen_and_durations_are_taken() -> None:
    settings = Settings.read({"RAMPART_JWT_LIFETIME": timedelta(minutes=5), "OTHER": 1})
    assert settings.jwt_lifetime == 300
    with pytest.raises(FrozenInstanceError):
        settings.jwt_leeway = 10_000  # type: ignore[misc]


def test_every_setting_has_its_reason_in_the_docs() -> None:
    text = (DOCS / "defaults.md").read_text()
    for field in fields(Settings):
        assert f"`RAMPART_{field.name.upper()}`" in text, field.name


_URL = "redis://user:hunter2@host/0"


@pytest.mark.parametrize(
    "config",
    [
        {"RAMPART_ISSUERS": [["introspection", {"client_secret": "hunter2"}]]},
        {"RAMPART_ISSUERS": "hunter2"},
        *(
            {"RAMPART_ISSUERS": [{"issuer": url, "audience": "a"}]}
            for url in ("https://u:hunter2@id.example", b"hunter2")
        ),
        {
            "RAMPART_ISSUERS": [
                {"issuer": "https://id.example", "audience": "a", "jwks_uri": "http://u:hunter2@id.example"}
            ]
        },
        {
            "RAMPART_ISSUERS": [
                {
                    "issuer": "https://id.example",
                    "audience": "a",
                    "introspection": {
                        "client_id": "c",
                        "client_secret": "s",
                        "endpoint": "https://u:hunter2@id.example",
                    },
                }
            ]
        },
        {"RAMPART_STORE": {"url": _URL}},
        {"RAMPART_STORE": [_URL]},
        {"RAMPART_STORE": _URL.encode()},
        {"RAMPART_STORE": _URL.replace("redis", "reddis")},
        {"RAMPART_LIMIT_STORE": _URL, "RAMPART_LIMITS": "5/minute"},
        {"RAMPART_LIMIT_STORE": "redis://host?password=hunter2", "RAMPART_LIMITS": "5/minute"},
        {"RAMPART_RESOURCE": "https://u:hunter2@api.example"},
        {"RAMPART_RESOURCE": "https://api.example", "RAMPART_RESOURCE_METADATA": {"jwks_uri": "https://u:hunter2@a"}},
        {"RAMPART_TRUSTED_PROXIES": "http://u:hunter2@proxy"},
        {"RAMPART_JWT_KEYS": [["secret", "hunter2"]]},
        {"RAMPART_JWT_KEYS": "hunter2"},
        {"RAMPART_JWT_ISSUER": {"secret": "hunter2"}},
        {"RAMPART_JWT_AUDIENCE": [["hunter2"]]},
        {"RAMPART_DEFAULT": ["hunter2"]},
        {"RAMPART_CLIENT_CERT": b"hunter2"},
        {"RAMPART_API_KEYS": {"key": "hunter2"}},
        {"RAMPART_MAX_BODY": [b"hunter2"]},
        {"RAMPART_CSP": ["hunter2"]},
    ],
)
def test_no_error_quotes_what_may_be_a_secret(config: dict[str, Any]) -> None:
    app = Flask(__name__)
    app.config.update(config)
    with pytest.raises(ConfigError) as caught:
        Rampart(app)
    error: BaseException | None = caught.value
    assert "RAMPART_" in str(error)
    while error is not None and not error.__suppress_context__:
        assert "hunter2" not in str(error)
        error = error.__cause__ or error.__context__
    assert "hunter2" not in str(caught.value)


def test_settings_show_no_secret() -> None:
    shown = repr(
        Settings.read(
            {
                "RAMPART_JWT_KEYS": [{"alg": "HS256", "secret": "hunter2" * 5}],
                "RAMPART_STORE": _URL,
                "RAMPART_ISSUERS": [{"introspection": {"client_secret": "hunter2"}}],
            }
        )
    )
    assert "hunter2" not in shown and "jwt_leeway=30" in shown
