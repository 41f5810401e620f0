"""Passwords and codes that are tried by reading, and limits of the whole app that stop nobody."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from flask.views import MethodView

from flask_rampart import limit, public, require, validate
from flask_rampart.check import Severity

from .checking import Place, checked, of, place
from .test_check_routes import KEYS, TEXT, add

__all__ = ["place"]


def get(app: Flask, path: str, function: Any, *guards: Any, methods: tuple[str, ...] = ("GET",)) -> None:
    for guard in (*reversed(guards), public):
        function = guard(function)
    app.add_url_rule(path, "view", function, methods=list(methods))


def by_index() -> str:
    return request.args["password"]


def by_get() -> str:
    return str(request.values.get("otp"))


def next_page() -> str:
    return str(request.args.get("next", "password"))


def returned() -> str:
    return str(request.args.get("code")) + str(request.args.get("state"))


def country() -> str:
    return str(request.args.get("country_code")) + str(request.args.getlist("page_token"))


def anything(**arguments: Any) -> str:
    return "x"


@pytest.mark.parametrize(
    "path, view, guards",
    [
        ("/login", by_index, ()),
        ("/enter-here", by_get, ()),
        ("/otp/<code>", anything, ()),
        ("/verify/<int:code>", anything, ()),
        ("/api/v1/confirm-email/<string(length=6):verification_code>", anything, ()),
        ("/search", anything, (validate(query={"type": "object", "properties": {"password": {"type": "string"}}}),)),
        ("/unlock/<pin>", anything, (limit("5/minute", methods=["POST"]),)),
        ("/otp/<code>", anything, (limit("1000000/minute"),)),
    ],
)
def test_a_password_or_a_code_in_an_address_is_tried_by_reading(
    place: Place, path: str, view: Any, guards: tuple[Any, ...]
) -> None:
    app = place.app(RAMPART_LIMITS=...)
    get(app, path, view, *guards)
    (finding,) = of(app, "RMP-404")
    assert finding.weight is Severity.ERROR
    limited = place.app()
    get(limited, path, view, *guards, limit("5/minute"))
    assert of(limited, "RMP-404") == []
    closed = place.app(**KEYS)
    get(closed, path, view, *guards, require("jwt"))
    assert of(closed, "RMP-404") == []


def test_who_guesses_a_code_has_many_addresses(place: Place) -> None:
    app = place.app()
    get(app, "/otp/<code>", anything)
    (finding,) = of(app, "RMP-404")
    assert finding.weight is Severity.WARNING and "RAMPART_LIMITS" in finding.message


def test_a_token_may_be_too_long_to_be_guessed(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=...)
    get(app, "/reset-password/<token>", anything)
    (finding,) = of(app, "RMP-404")
    assert finding.weight is Severity.WARNING and "'token'" in finding.message
    bounded = place.app()
    get(bounded, "/reset-password/<token>", anything)
    assert of(bounded, "RMP-404") == []


@pytest.mark.parametrize(
    "path, view",
    [
        ("/login", next_page),
        ("/login", anything),
        ("/login/<provider>", anything),
        ("/auth/callback", returned),
        ("/login/github/authorized", returned),
        ("/reset-password/<uuid:token>", anything),
        ("/register/<country_code>", anything),
        ("/verify/address", country),
        ("/orders/<code>", anything),
        ("/tokens/<token>", anything),
        ("/api/v1/tokens/<key>", anything),
        ("/logout/<token>", anything),
    ],
)
def test_what_is_merely_read_is_not_taken_for_a_guess(place: Place, path: str, view: Any) -> None:
    app = place.app(RAMPART_LIMITS=...)
    get(app, path, view)
    assert checked(app).findings == []


def test_each_method_of_a_class_is_looked_at_for_itself(place: Place) -> None:
    class Checks(MethodView):
        @public
        def get(self) -> str:
            return request.args["password"]

        @public
        @limit("5/minute")
        def post(self) -> str:
            return request.args["otp"]

    app = place.app(RAMPART_LIMITS=...)
    app.add_url_rule("/checks", view_func=Checks.as_view("checks"))
    (finding,) = of(app, "RMP-404")
    assert (finding.place.route, "'password'" in finding.message) == ("GET /checks", True)


def test_one_place_is_told_of_once(place: Place) -> None:
    app = place.app(RAMPART_LIMITS=..., RAMPART_CSRF="off")  # else GET and POST are guarded in two ways
    get(app, "/login", by_index, methods=("GET", "POST"))
    (finding,) = of(app, "RMP-404")
    assert finding.place.route == "GET,POST /login"


def test_a_limit_of_an_open_store_is_an_error_where_codes_are_tried_by_reading(place: Place) -> None:
    app = place.app()
    get(app, "/otp/<code>", anything, limit("5/minute", on_store_error="open"))
    (finding,) = of(app, "RMP-407")
    assert finding.weight is Severity.ERROR


@pytest.mark.parametrize(
    "limits, stops", [("1000000000/second", False), ("1000000000/second; 1000/hour", True), ("1001/second", False)]
)
def test_a_limit_of_the_whole_app_that_stops_nobody_is_none(place: Place, limits: str, stops: bool) -> None:
    app = place.app(RAMPART_LIMITS=limits)
    add(app, "/orders", public, validate(body=TEXT))
    found = of(app, "RMP-402")
    assert [finding.message for finding in found] == (
        [] if stops else [f"RAMPART_LIMITS = {limits!r} does not stop it: it allows too much."]
    )
    app = place.app(RAMPART_LIMITS=limits)
    add(app, "/login", public, validate(body=TEXT))
    (finding,) = of(app, "RMP-404")
    assert finding.weight is (Severity.WARNING if stops else Severity.ERROR)
