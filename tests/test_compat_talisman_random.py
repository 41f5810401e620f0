"""Apps and requests made at random, asked of Flask-Talisman and of our face of it: each difference is told.

What the tables of docs/migrate/talisman.md have is not asked here: a field that a view set, what is no GET by plain
HTTP, hosts that nobody named.
"""

from __future__ import annotations

import random
import re
from types import ModuleType
from typing import Any

import flask_talisman
import pytest
from flask import Flask, Response, render_template_string, session

import flask_rampart.compat.talisman as face

SEEDS = 24
REQUESTS = 16
SOURCES = ["'self'", "https:", "data:", "*.example.com", "https://cdn.example:8443/js/", "*", "'unsafe-inline'"]
DIRECTIVES = ["default-src", "img-src", "script-src", "style-src", "font-src", "frame-ancestors", "connect-src"]


def policy_of(chance: random.Random) -> Any:
    """A Content-Security-Policy that browsers take as it is written."""
    policy: dict[str, Any] = {}
    for name in chance.sample(DIRECTIVES, chance.randint(1, 5)):
        sources = chance.sample(SOURCES[:-1] if name == "frame-ancestors" else SOURCES, chance.randint(1, 3))
        policy[name] = chance.choice([sources, " ".join(sources), tuple(sources)])
    policy["object-src"] = "'none'"
    as_text = chance.choice(["; ", ";", " ;  "]).join(
        f"{name} {value if isinstance(value, str) else ' '.join(value)}" for name, value in policy.items()
    )
    return chance.choice([policy, policy, as_text, None, ""])


def of_views(chance: random.Random, module: ModuleType) -> dict[str, Any]:
    found = {
        "feature_policy": chance.choice([..., "geolocation 'none'", {"camera": ["'self'", "https://a.example"]}]),
        "permissions_policy": chance.choice([..., "camera=()", {"camera": "()", "usb": "(self)"}, {}, None]),
        "document_policy": chance.choice([..., "oversized-images=2.0", {"a": "?0"}]),
        "force_https": chance.choice([..., ..., False]),
        "frame_options": chance.choice([..., module.DENY, module.ALLOW_FROM, None, ""]),
        "frame_options_allow_from": chance.choice([..., "https://partner.example"]),
        "content_security_policy": chance.choice([..., policy_of(chance)]),
        "content_security_policy_nonce_in": chance.choice([..., ["script-src"], ["script-src", "style-src"], []]),
    }
    return {name: value for name, value in found.items() if value is not ...}


def options_of(chance: random.Random, module: ModuleType) -> dict[str, Any]:
    found = of_views(chance, module) | {
        "force_https_permanent": chance.choice([..., True]),
        "force_file_save": chance.choice([..., True]),
        "strict_transport_security": chance.choice([..., ..., False]),
        "strict_transport_security_preload": chance.choice([..., True]),
        "strict_transport_security_max_age": chance.choice([..., 0, 300, "600"]),
        "strict_transport_security_include_subdomains": chance.choice([..., False]),
        "content_security_policy_report_uri": chance.choice([..., "/csp", "https://reports.example/csp"]),
        "referrer_policy": chance.choice([..., "no-referrer", "origin"]),
        "session_cookie_secure": chance.choice([..., False]),
        "session_cookie_http_only": chance.choice([..., False]),
        "session_cookie_samesite": chance.choice([..., "Strict", None]),
        "x_content_type_options": chance.choice([..., False]),
        "x_xss_protection": chance.choice([..., True]),
    }
    if found["content_security_policy_report_uri"] is not ... and chance.random() < 0.3:
        found["content_security_policy_report_only"] = True
    return {name: value for name, value in found.items() if value is not ...}


def app_of(module: ModuleType, seed: int) -> Flask:
    """The same app for both."""
    chance = random.Random(seed)
    app = Flask("faces")
    app.secret_key = "s" * 32
    app.debug = chance.random() < 0.15
    if chance.random() < 0.2:
        app.after_request(_mark)
    extension = module.Talisman(app, **options_of(chance, module))

    def page() -> str:
        return render_template_string("[{{ csp_nonce() }}]")

    def login() -> str:
        session["user"] = "ada"
        return ""

    app.add_url_rule("/", "page", page)
    app.add_url_rule("/login", "login", login)
    for number in range(3):
        app.add_url_rule(f"/own{number}", f"own{number}", extension(**of_views(chance, module))(_another(page)))
    app.add_url_rule("/fails", "fails", lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def _another(page: Any) -> Any:
    return lambda: page()


def _mark(response: Response) -> Response:
    response.headers["X-Seen"] = str(sorted(name for name, _ in response.headers))
    return response


def told(answer: Any) -> Any:
    """An answer, with one nonce for each."""
    nonce = re.search(r"\[(.+)\]", answer.text)
    found = sorted((name, value) for name, value in answer.headers if name != "Date")
    text = re.sub("session=[^;]+", "session=SIGNED", repr((answer.status_code, found, answer.text)))
    assert nonce is None or len(nonce[1]) == 32
    text = text.replace(nonce[1], "NONCE") if nonce else text
    return re.sub(r"nonce-[^' ]{32}", "nonce-ANY", text) if nonce is None else text


@pytest.mark.parametrize("seed", range(SEEDS))
def test_apps_and_requests_at_random_are_answered_alike(seed: int) -> None:
    apps = [app_of(module, seed) for module in (flask_talisman, face)]
    chance = random.Random(-seed - 1)
    for _ in range(REQUESTS):
        path = chance.choice(["/", "/login", "/own0", "/own1", "/own2", "/fails", "/nowhere", "/?a=%20%C3%A9&b"])
        base = chance.choice(["https://localhost", "https://localhost", "http://localhost", "http://localhost:8080"])
        method = chance.choice(["GET", "GET", "HEAD"] + (["POST", "OPTIONS"] if base.startswith("https") else []))
        theirs, ours = (told(app.test_client().open(path, method=method, base_url=base)) for app in apps)
        assert ours == theirs, (seed, method, base + path)
