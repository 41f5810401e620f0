"""WSGI layers around an app, and what is mounted beside it: what they answer meets nothing that was checked."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import public

from .checking import Place, checked, ids, of, place

__all__ = ["place"]


class Admin:
    """Answers ``/admin``, whatever the app's guards say."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/admin":
            start_response("200 OK", [])
            return [b"secrets"]
        return self.app(environ, start_response)


class Hidden:
    """In which the app is not found."""

    __slots__ = ("_hidden",)

    def __init__(self, wrapped: Any) -> None:
        self._hidden = wrapped

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._hidden(environ, start_response)


def function_around(app: Any) -> Any:
    def answers(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return answers


def test_an_app_that_is_mounted_beside_this_one_is_told(place: Place) -> None:
    app = place.app()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": Flask("other")})  # type: ignore[method-assign]
    assert [finding.message for finding in of(app, "RMP-009")] == [
        "the app 'other' that is mounted at /admin was not looked at: check it by itself."
    ]


def test_a_layer_that_cannot_be_looked_through_is_told(place: Place) -> None:
    app = place.app()
    app.wsgi_app = Hidden(app.wsgi_app)  # type: ignore[method-assign]
    (told,) = of(app, "RMP-009")
    assert told.message == "tests.test_check_layers.Hidden, a layer around the app, was not looked through."


@pytest.mark.parametrize(
    "around, name",
    [
        (Admin, "tests.test_check_layers.Admin"),
        (function_around, "tests.test_check_layers.function_around.<locals>.answers"),
    ],
)
def test_a_layer_that_may_answer_by_itself_is_told_until_somebody_has_looked(
    place: Place, around: Any, name: str
) -> None:
    app = place.app()
    app.wsgi_app = around(app.wsgi_app)
    (told,) = of(app, "RMP-009")
    assert told.message.startswith(f"{name}, a layer around the app, may answer by itself")
    assert told.place.setting == f"wsgi_app: {name}"
    left = checked(app, ignore=[f"RMP-009:wsgi_app: {name}"])
    assert left.findings == [] and left.ignored == 1


def test_our_own_layers_and_those_that_pass_all_on_are_no_finding(place: Place) -> None:
    app = place.app()
    app.add_url_rule("/", view_func=public(lambda: "x"))
    assert ids(app) == []
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert "RMP-009" not in ids(app)
