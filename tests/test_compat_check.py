"""What ``flask rampart check`` and ``routes`` know of the faces: limits, tokens, policies, and who gets in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from flask import Blueprint, Flask

from flask_rampart import Rampart, cors, csrf, headers, limit, public
from flask_rampart.check import Finding, Report, run
from flask_rampart.cli import commands
from flask_rampart.compat.cors import CORS, cross_origin
from flask_rampart.compat.jwt_extended import JWTManager, jwt_required
from flask_rampart.compat.limiter import Limiter
from flask_rampart.compat.limiter.util import get_remote_address
from flask_rampart.compat.talisman import Talisman
from flask_rampart.compat.wtf_csrf import CSRFProtect

from .checking import TODAY, Place
from .checking import place as place


def view() -> str:
    return "hello"


def made(app: Flask, *rules: tuple[str, Any], methods: Iterable[str] = ("POST",)) -> None:
    for path, function in rules:
        app.add_url_rule(path, path.strip("/") or "index", function, methods=list(methods))


def looked(app: Flask) -> Report:
    with app.app_context():
        return run(app, today=TODAY, deploy=True)


def found(app: Flask, *ids: str) -> list[tuple[str, str | None]]:
    """What is found of these rules: id and route."""
    return [(each.rule.id, each.place.route) for each in looked(app).findings if each.rule.id in ids]


def of(app: Flask, id: str) -> list[Finding]:
    return [each for each in looked(app).findings if each.rule.id == id]


def rows(app: Flask, column: str) -> dict[str, str]:
    return {row.path: str(row.as_dict()[column]) for row in looked(app).rows if row.kind == "app"}


# Who gets in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("default", ["deny", "open"])
def test_who_a_view_with_jwt_required_lets_in_is_known(place: Place, default: str) -> None:
    app = place.app(RAMPART_DEFAULT=default, JWT_SECRET_KEY="x" * 64)
    JWTManager(app)
    made(app, ("/in", jwt_required(fresh=True)(view)), ("/maybe", jwt_required(optional=True)(view)))
    made(app, ("/meant", public(jwt_required(optional=True)(lambda: "x"))), ("/none", lambda: "x"))
    made(app, ("/auth/token", jwt_required(refresh=True)(lambda: "x")))
    assert rows(app, "who") == {
        "/in": "jwt_required(fresh=True)",
        "/maybe": "OPTIONAL jwt_required(optional=True)",
        "/meant": "OPTIONAL jwt_required(optional=True)",
        "/none": "refused" if default == "deny" else "OPEN",
        "/auth/token": "jwt_required(refresh=True)",
    }
    open_ = [] if default == "deny" else [("RMP-401", "POST /none")]
    assert found(app, "RMP-401", "RMP-404") == [("RMP-401", "POST /maybe"), *open_]
    (told,) = [each for each in of(app, "RMP-401") if "credential" in each.message]
    assert "jwt_required(optional=True) closes nothing" in told.message


# Limits -------------------------------------------------------------------------------------------------------------


def limiter_of(app: Flask, *defaults: str, **given: Any) -> Limiter:
    return Limiter(get_remote_address, app=app, default_limits=list(defaults), storage_uri="memory://", **given)


@pytest.mark.parametrize("is_first", [True, False])
def test_limits_of_the_face_are_limits(place: Place, is_first: bool) -> None:
    app = place.app(RAMPART_LIMITS=..., rampart=not is_first)
    limiter = limiter_of(app, "200/day")
    if is_first:
        Rampart(app)
    own = limiter.limit("5/minute; 2 per 10 seconds")(public(lambda: "x"))
    some = limiter.limit("5/minute", exempt_when=lambda: True)(public(lambda: "x"))
    made(app, ("/login", own), ("/some", some), ("/other", public(lambda: "x")), ("/signin", public(lambda: "x")))
    made(app, ("/free", limiter.exempt(public(lambda: "x"))))
    assert rows(app, "limit") == {
        "/login": "5/minute; 2 per 10 seconds",
        "/some": "5/minute",
        "/other": "200/day",
        "/signin": "200/day",
        "/free": "-",
    }
    assert found(app, "RMP-402", "RMP-404") == [("RMP-402", "POST /free"), ("RMP-402", "POST /some")]
    shown = app.test_cli_runner().invoke(commands, ["routes"]).output
    assert "limiter.limit('5/minute; 2 per 10 seconds')" in shown and "200/day" not in shown


def test_limits_that_stop_nobody_are_none(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=...)
    limiter = limiter_of(app, "1000000/second")
    reading = limiter.limit("5/minute", methods=["GET"])(public(lambda: "x"))
    made(app, ("/login", public(lambda: "x")), ("/reads", reading), ("/asked", public(lambda: "x")))
    app.view_functions["asked"] = limiter.limit(lambda: "5/minute")(app.view_functions["asked"])
    assert found(app, "RMP-402", "RMP-404") == [("RMP-404", "POST /login"), ("RMP-402", "POST /reads")]
    limiter.enabled = False
    assert [route for _, route in found(app, "RMP-402")] == ["POST /asked", "POST /reads"]


def test_limits_of_blueprints_are_those_of_their_views(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=...)
    limiter = limiter_of(app)
    blueprint = Blueprint("b", __name__)
    limiter.limit("7/minute")(blueprint)
    blueprint.add_url_rule("/b", "b", public(lambda: "x"), methods=["POST"])
    app.register_blueprint(blueprint)
    assert rows(app, "limit") == {"/b": "7/minute"}


def test_limits_of_the_face_are_asked_by_the_face_alone(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=..., RAMPART_LIMIT_STORE="memory://")
    limiter = limiter_of(app)
    made(app, ("/", limiter.limit("1/day")(public(lambda: "x"))))
    app.testing = True
    client = app.test_client()
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "api.example.com"}
    assert [client.post("/", environ_overrides=environ).status_code for _ in range(2)] == [200, 429]


# What other sites' pages may ----------------------------------------------------------------------------------------


def test_a_token_of_the_face_is_as_good_as_asking_the_browser(place: Place) -> None:
    app = place.app(RAMPART_CSRF="off")
    made(app, ("/a", public(lambda: "x")), ("/free", public(lambda: "x")), ("/bare", public(lambda: "x")))
    assert found(app, "RMP-321") == [("RMP-321", None)]
    protect = CSRFProtect(app)
    protect.exempt(app.view_functions["free"])
    assert found(app, "RMP-321") == [("RMP-321", "POST /free")]
    app.config["WTF_CSRF_METHODS"] = ["PUT"]
    assert len(found(app, "RMP-321")) == 1 and found(app, "RMP-321")[0][1] is None
    app.config["WTF_CSRF_METHODS"] = ["POST"]
    app.config["WTF_CSRF_ENABLED"] = False
    assert found(app, "RMP-321") == [("RMP-321", None)]


def test_a_view_that_asks_for_the_faces_token_may_leave_ours_out(place: Place) -> None:
    app = place.app()
    made(app, ("/own", csrf("off")(public(lambda: "x"))), ("/none", csrf("off")(public(lambda: "x"))))
    CSRFProtect(app).exempt(app.view_functions["none"])
    assert found(app, "RMP-321") == [("RMP-321", "POST /none")]


def test_policies_of_the_faces_cors_are_judged_as_ours_are(place: Place) -> None:
    app = place.app()
    CORS(app, resources={"/api/*": {"origins": "*"}, "/own/*": {"origins": ["https://a.example"]}})
    made(app, *((f"/api/{name}", public(lambda: "x")) for name in "abcdef"), ("/own/a", public(lambda: "x")))
    made(app, ("/api/ours", cors(origins=["https://a.example"])(public(lambda: "x"))))
    many = cross_origin(origins=[r"https://.*\.example\.com"], supports_credentials=True)
    made(app, ("/many", many(public(lambda: "x"))), methods=["GET"])
    assert found(app, "RMP-311", "RMP-312") == [
        ("RMP-311", "POST /api/a, POST /api/b, POST /api/c, POST /api/d, and 2 more"),
        ("RMP-312", "GET /many"),
    ]


def test_where_ours_says_who_may_read_the_faces_cors_is_not_judged(place: Place) -> None:
    app = place.app(RAMPART_CORS_ORIGINS=["https://a.example"])
    CORS(app)
    made(app, ("/", public(lambda: "x")))
    assert found(app, "RMP-311") == []


def test_a_blueprints_cors_is_that_of_its_views(place: Place) -> None:
    app = place.app()
    blueprint = Blueprint("b", __name__)
    CORS(blueprint)
    blueprint.add_url_rule("/b", "b", public(lambda: "x"))
    app.register_blueprint(blueprint, url_prefix="/in")
    app.add_url_rule("/out", "out", public(lambda: "x"))
    assert found(app, "RMP-311") == [("RMP-311", "GET /in/b")]


def test_a_policy_that_could_not_be_meant_stops_the_start(place: Place) -> None:
    app = place.app()
    made(app, ("/", cross_origin(supports_credentials=True)(public(lambda: "x"))))
    (told,) = of(app, "RMP-001")
    assert "List the origins" in told.message


# What is sent -------------------------------------------------------------------------------------------------------


def test_the_policy_that_talisman_sends_is_the_one_that_is_judged(place: Place) -> None:
    app = place.app(RAMPART_PROFILE="html")
    talisman = Talisman(app, content_security_policy={"default-src": "'self'", "script-src": "'unsafe-inline'"})
    made(app, ("/a", public(lambda: "x")), ("/ours", headers(csp={"default-src": "'none'"})(public(lambda: "x"))))
    nonce = talisman(content_security_policy_nonce_in=["script-src"])(public(lambda: "x"))
    made(app, ("/nonce", nonce))
    assert [route for id, route in found(app, "RMP-301")] == ["POST /a, GET /static/<path:filename>"]
    app = place.app(RAMPART_PROFILE="html")
    Talisman(app)  # whose default gives way
    assert found(app, "RMP-301", "RMP-302", "RMP-303") == []


def test_of_two_policies_what_both_let_through_is_found(place: Place) -> None:
    app = place.app(RAMPART_PROFILE="html", RAMPART_CSP={"default-src": "'self'", "frame-ancestors": "'none'"})
    Talisman(app, content_security_policy={"script-src": "'unsafe-inline'"})
    made(app, ("/", public(limit("5/minute")(lambda: "x"))))
    found_ = [each for each in looked(app).findings if each.rule.id in ("RMP-301", "RMP-302")]
    assert [(each.rule.id, each.message.partition(",")[0]) for each in found_] == [
        ("RMP-302", "It has no base-uri and form-action")
    ]


@pytest.mark.parametrize("forces", [True, False])
def test_talisman_sends_on_to_https(place: Place, forces: bool) -> None:
    app = place.app(RAMPART_HTTPS="off")
    Talisman(app, force_https=forces)
    made(app, ("/", public(limit("5/minute")(lambda: "x"))))
    assert len(of(app, "RMP-231")) == (0 if forces else 1)
