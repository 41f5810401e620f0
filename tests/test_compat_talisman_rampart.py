"""The face of Flask-Talisman beside ``Rampart(app)``: no field twice, and of two the stricter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string

from flask_rampart import Rampart, headers
from flask_rampart.compat.talisman import DENY, Talisman

HTTPS = "https://www.example.com"
Make = Callable[..., Any]


@pytest.fixture(params=["Rampart first", "Talisman first"])
def both(request: pytest.FixtureRequest) -> Make:
    """Gives an app with both, in either order."""

    def make(config: dict[str, Any] | None = None, **options: Any) -> Flask:
        app = Flask("both")
        app.testing = True
        app.config.update({"RAMPART_PROFILE": "html", **(config or {})})
        if request.param == "Rampart first":
            Rampart(app)
            Talisman(app, **options)
        else:
            Talisman(app, **options)
            Rampart(app)
        app.add_url_rule("/", "index", lambda: render_template_string("{{ csp_nonce() }}"), methods=["GET", "POST"])
        return app

    return make


def bare(config: dict[str, Any] | None = None) -> Any:
    app = Flask("bare")
    app.testing = True
    app.config.update({"RAMPART_PROFILE": "html", **(config or {})})
    Rampart(app)
    app.add_url_rule("/", "index", lambda: "")
    return fields(app)


def fields(app: Flask, path: str = "/", base: str = HTTPS) -> Any:
    found = app.test_client().get(path, base_url=base).headers
    names = [name.lower() for name, _ in found]
    assert len(names) == len(set(names)), names
    return found


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_defaults_give_way_to_what_is_stricter(both: Make, path: str) -> None:
    sent, alone = fields(both(), path), bare()
    assert sent["X-Frame-Options"] == alone["X-Frame-Options"] == "DENY"
    assert sent["Referrer-Policy"] == alone["Referrer-Policy"] == "no-referrer"
    assert sent["Strict-Transport-Security"] == alone["Strict-Transport-Security"]
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert set(alone["Permissions-Policy"].split(", ")) < set(sent["Permissions-Policy"].split(", "))
    assert "browsing-topics=()" in sent["Permissions-Policy"]
    if path == "/":
        assert "'strict-dynamic'" in sent["Content-Security-Policy"]


def test_what_is_stricter_in_talisman_is_sent(both: Make) -> None:
    config = {"RAMPART_HSTS": {"max_age": 86400, "subdomains": False}}
    sent = fields(both(config, frame_options=DENY, strict_transport_security_preload=True))
    assert sent["Strict-Transport-Security"] == "max-age=31556926; includeSubDomains; preload"
    sent = fields(both({"RAMPART_HSTS": False}))
    assert sent["Strict-Transport-Security"] == "max-age=31556926; includeSubDomains"


def test_a_feature_that_either_forbids_is_forbidden(both: Make) -> None:
    sent = fields(both(permissions_policy={"camera": "*", "made-up": "(self)"}))["Permissions-Policy"]
    assert "camera=()" in sent and "made-up=(self)" in sent and "camera=*" not in sent


def test_a_policy_that_was_written_for_talisman_is_sent_instead_of_a_profile_s(both: Make) -> None:
    policy = {"default-src": "'self'", "img-src": "https:"}
    sent = fields(both(content_security_policy=policy))
    assert sent["Content-Security-Policy"] == "default-src 'self'; img-src https:"


def test_two_policies_that_were_written_are_both_in_the_field(both: Make) -> None:
    config = {"RAMPART_CSP": {"default-src": "'self'", "script-src": ["'self'", "'nonce'"]}}
    app = both(
        config,
        content_security_policy={"script-src": "https:"},
        content_security_policy_nonce_in=["script-src"],
    )
    answer = app.test_client().get("/", base_url=HTTPS)
    mine, ours = answer.headers["Content-Security-Policy"].split(", ")
    assert mine == f"script-src https: 'nonce-{answer.text}'"
    assert f"'nonce-{answer.text}'" in ours and "default-src 'self'" in ours
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_view_with_headers_of_its_own_sends_those(both: Make) -> None:
    app = both(content_security_policy={"default-src": "https:"}, force_file_save=True)
    own = headers(csp={"default-src": "'none'"}, x_frame_options="SAMEORIGIN")
    app.add_url_rule("/own", "own", own(lambda: ""))
    sent = fields(app, "/own")
    assert sent["Content-Security-Policy"].startswith("default-src 'none'")
    assert sent["X-Frame-Options"] == "SAMEORIGIN" and "X-Download-Options" not in sent


def test_a_pin_that_climbs_climbs(both: Make) -> None:
    from datetime import datetime, timedelta, timezone

    today = datetime.now(timezone.utc).date() - timedelta(days=3)
    assert fields(both({"RAMPART_HSTS_SINCE": today.isoformat()}))["Strict-Transport-Security"].startswith(
        "max-age=604800"
    )


def test_plain_http_is_decided_once(both: Make) -> None:
    config = {
        "RAMPART_HTTPS": "redirect",
        "RAMPART_CANONICAL_HOST": "www.example.com",
        "RAMPART_HTTPS_EXEMPT": ["/health"],
    }
    app = both(config)
    app.add_url_rule("/health", "health", lambda: "well")
    client = app.test_client()
    assert client.get("/", base_url="http://www.example.com").status_code == 308
    assert client.get("/health", base_url="http://www.example.com").text == "well"


def test_plain_http_is_refused_by_the_face_where_rampart_leaves_it(both: Make) -> None:
    app = both({"RAMPART_HTTPS": "off", "RAMPART_TRUSTED_HOSTS": ["www.example.com"]})
    client = app.test_client()
    answer = client.get("/", base_url="http://www.example.com")
    assert (answer.status_code, answer.location) == (302, "https://www.example.com/")
    answer = client.post("/", base_url="http://www.example.com")
    assert answer.status_code == 403 and answer.get_json()["code"] == "https.required"


def test_no_view_sends_a_weaker_field_beside_both(both: Make) -> None:
    app = both({"RAMPART_PROFILE": "api"})
    weaker = {
        "Strict-Transport-Security": "max-age=0",
        "X-Frame-Options": "ALLOWALL",
        "Referrer-Policy": "unsafe-url",
        "Content-Security-Policy": "default-src *",
    }
    app.view_functions["index"] = lambda: ("", weaker)
    found, alone = app.test_client().get("/", base_url=HTTPS).headers, bare({"RAMPART_PROFILE": "api"})
    for name in ("Strict-Transport-Security", "X-Frame-Options", "Referrer-Policy"):
        assert found.getlist(name) == alone.getlist(name) != [weaker[name]]
    both_hold = {"default-src *", "default-src 'self'; object-src 'none'"}
    assert set(found.getlist("Content-Security-Policy")) == both_hold
