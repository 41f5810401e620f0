"""Each setting of cookies and of limits, one by one: both faces answer the same requests alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, make_response, request

from flask_rampart import Clock
from flask_rampart.compat.jwt_extended.config import DEFAULTS
from flask_rampart.compat.limiter.constants import ConfigVars

from .facing import JWT_FACES, LIMITER_FACES, jwt_app, limiter_app, standing_clock

COOKIES: list[dict[str, Any]] = [
    {},
    {"JWT_ACCESS_COOKIE_NAME": "ac"},
    {"JWT_ACCESS_COOKIE_PATH": "/in"},
    {"JWT_ACCESS_CSRF_COOKIE_NAME": "acc"},
    {"JWT_ACCESS_CSRF_COOKIE_PATH": "/in"},
    {"JWT_ACCESS_CSRF_FIELD_NAME": "field", "JWT_CSRF_CHECK_FORM": True},
    {"JWT_ACCESS_CSRF_HEADER_NAME": "X-A"},
    {"JWT_REFRESH_COOKIE_NAME": "rc"},
    {"JWT_REFRESH_COOKIE_PATH": "/refresh"},
    {"JWT_REFRESH_CSRF_COOKIE_NAME": "rcc"},
    {"JWT_REFRESH_CSRF_COOKIE_PATH": "/refresh"},
    {"JWT_REFRESH_CSRF_FIELD_NAME": "field", "JWT_CSRF_CHECK_FORM": True},
    {"JWT_REFRESH_CSRF_HEADER_NAME": "X-A"},
    {"JWT_COOKIE_DOMAIN": "localhost"},
    {"JWT_COOKIE_SECURE": True},
    {"JWT_COOKIE_SAMESITE": "Strict"},
    {"JWT_COOKIE_CSRF_PROTECT": False},
    {"JWT_CSRF_IN_COOKIES": False},
    {"JWT_CSRF_METHODS": ["PUT"]},
    {"JWT_SESSION_COOKIE": False},
]


def is_wrong(response: Response) -> bool:
    return response.status_code == 400


def is_exempt() -> bool:
    return "X-Exempt" in request.headers


def by_word() -> str:
    return request.headers.get("X-Word", "none")


def refused_by(limit: Any) -> Response:
    return make_response(str(limit.limit), 418)


DEFAULT = {"RATELIMIT_DEFAULT": "3/day"}
HEADERS = {"RATELIMIT_DEFAULT": "3/day", "RATELIMIT_HEADERS_ENABLED": True}
LIMITS: list[dict[str, Any]] = [
    {"RATELIMIT_APPLICATION": "2/day"},
    {"RATELIMIT_APPLICATION": "4/day", "RATELIMIT_APPLICATION_COST": 2},
    {"RATELIMIT_APPLICATION": "1/day", "RATELIMIT_APPLICATION_DEDUCT_WHEN": is_wrong},
    {"RATELIMIT_APPLICATION": "1/day", "RATELIMIT_APPLICATION_EXEMPT_WHEN": is_exempt},
    {"RATELIMIT_APPLICATION": "1/day", "RATELIMIT_APPLICATION_PER_METHOD": True},
    # Two that are spent together: of what one refuses, only theirs charges the other, as the page says.
    {"RATELIMIT_DEFAULT": "1/day;1/hour", "RATELIMIT_FAIL_ON_FIRST_BREACH": False},
    {"RATELIMIT_DEFAULT": "1/day", "RATELIMIT_DEFAULTS_DEDUCT_WHEN": is_wrong},
    {"RATELIMIT_DEFAULT": "1/day", "RATELIMIT_DEFAULTS_EXEMPT_WHEN": is_exempt},
    {"RATELIMIT_DEFAULT": "1/day", "RATELIMIT_DEFAULTS_PER_METHOD": True},
    {"RATELIMIT_DEFAULT": "1/hour", "RATELIMIT_META": "2/day"},
    {
        "RATELIMIT_DEFAULT": "1/hour",
        "RATELIMIT_META": "2/day",
        "RATELIMIT_ON_META_BREACH_CALLBACK": refused_by,
    },
    DEFAULT,
    {**DEFAULT, "RATELIMIT_DEFAULTS_COST": 2},
    {**DEFAULT, "RATELIMIT_ENABLED": False},
    {**DEFAULT, "RATELIMIT_IN_MEMORY_FALLBACK": ["1/day"]},
    {**DEFAULT, "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True},
    {**DEFAULT, "RATELIMIT_KEY_FUNC": by_word},
    {**DEFAULT, "RATELIMIT_KEY_PREFIX": "mine"},
    {**DEFAULT, "RATELIMIT_ON_BREACH_CALLBACK": refused_by},
    {**DEFAULT, "RATELIMIT_REQUEST_IDENTIFIER": by_word},
    {**DEFAULT, "RATELIMIT_STORAGE_OPTIONS": {}},
    {**DEFAULT, "RATELIMIT_STORAGE_URI": "memory://"},
    {**DEFAULT, "RATELIMIT_STRATEGY": "moving-window"},
    {**DEFAULT, "RATELIMIT_SWALLOW_ERRORS": True},
    HEADERS,
    {**HEADERS, "RATELIMIT_HEADER_LIMIT": "X-L"},
    {**HEADERS, "RATELIMIT_HEADER_REMAINING": "X-L"},
    {**HEADERS, "RATELIMIT_HEADER_RESET": "X-L"},
    {**HEADERS, "RATELIMIT_HEADER_RETRY_AFTER": "X-L"},
    {**HEADERS, "RATELIMIT_HEADER_RETRY_AFTER_VALUE": "http-date"},
]


def named(case: dict[str, Any]) -> str:
    return ",".join(sorted(case)) or "none"


def by_cookies(module: ModuleType, config: dict[str, Any]) -> list[Any]:
    """What cookies are set and taken back, and what answers have who sends them with each proof, wherever it is."""
    app, _ = jwt_app(module, JWT_TOKEN_LOCATION=["cookies"], PROPAGATE_EXCEPTIONS=False, **config)

    @app.get("/login")
    def login() -> Response:
        response = Response()
        module.set_access_cookies(response, module.create_access_token("ada", fresh=True))
        module.set_refresh_cookies(response, module.create_refresh_token("ada"), max_age=77)
        return response

    @app.get("/logout")
    def logout() -> Response:
        response = Response()
        module.unset_jwt_cookies(response)
        return response

    app.add_url_rule("/in", "in", module.jwt_required()(lambda: "in"), methods=["POST", "PUT"])
    app.add_url_rule("/refresh", "refresh", module.jwt_required(refresh=True)(lambda: "anew"), methods=["POST"])
    client, seen = app.test_client(), []

    def lines(path: str) -> list[str]:
        found = client.get(path, base_url="https://localhost").headers.getlist("Set-Cookie")
        seen.append([re.sub(r"Expires=[^;]*|(?<==)[^;]{20,}(?=;)", "...", line) for line in found])
        return found

    cookies = dict(line.partition(";")[0].split("=", 1) for line in lines("/login"))
    proofs = [value for value in cookies.values() if len(value) < 60]
    assert len(proofs) == (
        0 if False in (config.get("JWT_COOKIE_CSRF_PROTECT"), config.get("JWT_CSRF_IN_COOKIES")) else 2
    )
    for method, path in (("POST", "/in"), ("PUT", "/in"), ("POST", "/refresh")):
        for proof in (*proofs, "wrong"):
            for sent in ({"headers": {"X-CSRF-TOKEN": proof}}, {"headers": {"X-A": proof}}):
                seen.append(client.open(path, method=method, base_url="https://localhost", **sent).status_code)
            for name in ("csrf_token", "field"):
                answer = client.open(path, method=method, base_url="https://localhost", data={name: proof})
                seen.append((answer.status_code, answer.text))
    lines("/logout")
    seen.append(client.post("/in", base_url="https://localhost").status_code)
    return seen


@pytest.mark.parametrize("config", COOKIES, ids=named)
def test_each_setting_of_cookies_does_the_same(config: dict[str, Any]) -> None:
    theirs, ours = (by_cookies(module, config) for module in JWT_FACES.values())
    assert ours == theirs


def by_limits(module: ModuleType, clock: Clock, config: dict[str, Any]) -> list[Any]:
    """The answers to five requests, with the fields that tell limits."""
    app: Flask = limiter_app(module, clock, lambda: "key", **config)[0]
    view: Callable[[], tuple[str, int]] = lambda: ("hello", int(request.headers.get("X-Status", "200")))  # noqa: E731
    app.add_url_rule("/", "index", view, methods=["GET", "POST"])
    client, seen = app.test_client(), []
    for nth, method in enumerate(("GET", "POST", "GET", "GET", "POST")):
        sent = {"X-Status": "400" if nth % 3 == 0 else "200", **({"X-Exempt": "1"} if nth == 3 else {})}
        answer = client.open("/", method=method, headers={**sent, "X-Word": str(nth % 2)})
        told = {name: value for name, value in answer.headers if name.startswith("X-")}
        if "X-L" in told or "RATELIMIT_HEADER_RETRY_AFTER_VALUE" in config:
            told["Retry-After"] = answer.headers.get("Retry-After", "")
        # A 429 of ours has `Retry-After` in any case, as the page says.
        if answer.status_code == 429 and not config.get("RATELIMIT_HEADERS_ENABLED"):
            told.pop("Retry-After", None)
        seen.append((answer.status_code, answer.text, told))
    return seen


@pytest.mark.parametrize("config", LIMITS, ids=named)
def test_each_setting_of_limits_does_the_same(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = standing_clock(monkeypatch)
    theirs, ours = (by_limits(module, clock, config) for module in LIMITER_FACES.values())
    assert ours == theirs


def test_no_setting_is_left_out() -> None:
    of_cookies = {name for name in DEFAULTS if "COOKIE" in name or "CSRF" in name}
    assert of_cookies == {name for case in COOKIES for name in case}
    of_limits = {value for name, value in vars(ConfigVars).items() if name.isupper()}
    assert of_limits == {name for case in LIMITS for name in case}
