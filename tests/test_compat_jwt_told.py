"""What the log says with the first request of ``jwt_required`` of the face: where it stands and opens nothing, and what answers
without it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask.views import MethodView
from flask_restful import Api, Resource
from werkzeug.local import LocalProxy

from flask_rampart import public
from flask_rampart.compat.jwt_extended import jwt_required

from .test_compat_jwt_classes import Maybe, Things, copied, in_init
from .test_compat_jwt_opening import GOOD, app_of, asked


class Instance:
    @jwt_required()
    def __call__(self) -> str:
        return "in"


class Overriding(Things):
    def get(self) -> str:
        return super().get()


class Partial(MethodView):
    def _read(self, unit: str) -> str:
        return "in"

    get = functools.partialmethod(jwt_required()(_read), unit="m")


class Own(Things):
    def dispatch_request(self, **given: Any) -> Any:
        return super().dispatch_request(**given)


def opaque(view: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **values: view(**values)


class Odd:
    """What cannot be looked into."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError(name)

    def __call__(self) -> str:
        return "in"


class Opaque(Things):
    decorators: ClassVar[list[Any]] = [opaque]


def told_of(app: Flask, caplog: pytest.LogCaptureFixture) -> list[str]:
    app.add_url_rule("/started", "started", public(lambda: "in"))
    assert asked(app, path="/started") == 200
    return [record.getMessage() for record in caplog.records if "is closed for" in record.getMessage()]


@pytest.mark.parametrize(
    "view",
    [
        lambda: functools.partial(jwt_required()(lambda: "in")),
        Instance,
        lambda: Overriding.as_view("view"),
        lambda: Partial.as_view("view"),
        lambda: Own.as_view("view"),
        lambda: Opaque.as_view("view"),
        lambda: opaque(jwt_required()(lambda: "in")),
        copied,
    ],
    ids=["partial", "instance", "override", "partialmethod", "own", "opaque", "opaque function", "copied"],
)
def test_a_view_that_is_closed_beside_it_is_told(view: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    app.add_url_rule("/", "view", view(), methods=["GET"])
    (told,) = told_of(app, caplog)
    assert told.startswith(
        '/ is closed for GET, HEAD (RAMPART_DEFAULT = "deny"), though jwt_required() is written near it'
    )
    assert "Put it on the view itself" in told
    assert asked(app, headers=GOOD) == 403


def test_an_assignment_that_closes_a_class_is_named(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    app.add_url_rule("/", "view", in_init("Helped"))
    (told,) = told_of(app, caplog)
    assert told.endswith("Helped.prepare sets .get, which may answer instead.")


def test_a_list_that_nobody_puts_around_is_told(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [Maybe()]

        def get(self) -> str:
            return "in"

    Api(app).add_resource(Read, "/")
    (told,) = told_of(app, caplog)
    assert "closed for GET, HEAD" in told


def test_a_method_for_which_it_is_not_asked_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    app.add_url_rule("/", "view", jwt_required()(lambda: "in"), methods=["GET", "OPTIONS"])
    (told,) = told_of(app, caplog)
    assert "closed for OPTIONS" in told and "not asked for that method" in told


def test_what_is_open_and_what_has_none_near_it_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of()
    app.add_url_rule("/guarded", "guarded", jwt_required()(lambda: "in"))
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.add_url_rule("/open", "open", public(functools.partial(jwt_required()(lambda: "in"))))
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.add_url_rule("/proxy", "proxy", opaque(LocalProxy(lambda: 1 / 0)))
    app.add_url_rule("/odd", "odd", opaque(Odd()))
    assert told_of(app, caplog) == []
    app, _ = app_of(RAMPART_DEFAULT="open")
    app.add_url_rule("/partial", "partial", functools.partial(jwt_required()(lambda: "in")))
    assert told_of(app, caplog) == []
