"""Classes of views under ``RAMPART_DEFAULT = "deny"``: ``jwt_required`` of the face opens what is known to ask it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from flask.views import MethodView
from flask_restful import Api, Resource

from flask_rampart.compat.jwt_extended import jwt_required

from .test_compat_jwt_opening import GOOD, app_of, asked


class Things(MethodView):
    @jwt_required()
    def get(self) -> str:
        return "in"

    def export(self) -> str:
        return "OPEN"


def copied() -> Any:
    def other() -> str:
        return "OPEN"

    other.__dict__.update(
        {name: value for name, value in vars(Things.as_view("view")).items() if name != "__wrapped__"}
    )
    return other


def own_view() -> Any:
    class Own(Things):
        @classmethod
        def as_view(cls, name: str, *args: Any, **given: Any) -> Any:
            def view(**values: Any) -> str:
                return cls().export()

            view.view_class = cls  # type: ignore[attr-defined]
            return view

    return Own.as_view("view")


def in_init(name: str) -> Callable[[], Any]:
    class Method(Things):
        def __init__(self) -> None:
            self.get = self.export  # type: ignore[method-assign]

    class Dispatch(Things):
        def __init__(self) -> None:
            self.dispatch_request = self.export  # type: ignore[assignment]

    class Helped(Things):
        def __init__(self) -> None:
            self.prepare()

        def prepare(self) -> None:
            self.get = self.export  # type: ignore[method-assign]

    class Kind(Things):
        def __init__(self) -> None:
            self.__class__ = Method  # type: ignore[assignment]

    return {each.__name__: each for each in (Method, Dispatch, Helped, Kind)}[name].as_view("view")  # type: ignore[return-value]


def looked_up() -> Any:
    class Other(Things):
        def __getattribute__(self, name: str) -> Any:
            return object.__getattribute__(self, "export" if name == "get" else name)

    return Other.as_view("view")


def made_otherwise() -> Any:
    class Other(Things):
        def __new__(cls) -> Any:
            made = object.__new__(cls)
            vars(made).update(get=made.export)
            return made

    return Other.as_view("view")


def made_once() -> Any:
    class Once(Things):
        init_every_request = False

        def __init__(self) -> None:
            vars(self).update(get=self.export)

    return Once.as_view("view")


@pytest.mark.parametrize(
    "view",
    [
        copied,
        own_view,
        *(functools.partial(in_init, name) for name in ("Method", "Dispatch", "Helped", "Kind")),
        looked_up,
        made_otherwise,
        made_once,
    ],
)
def test_a_class_that_may_answer_by_something_else_is_not_opened_by_what_stands_on_its_methods(
    view: Callable[[], Any],
) -> None:
    app, _ = app_of()
    app.add_url_rule("/", "view", view())
    assert [asked(app), asked(app, headers=GOOD)] == [403, 403]


def test_a_method_that_sets_what_is_called_so_on_something_else_is_opened() -> None:
    class Row:
        post: str

    class Comments(MethodView):
        @jwt_required()
        def post(self) -> str:
            row = Row()
            row.post = "in"
            return row.post

    app, _ = app_of()
    app.add_url_rule("/", view_func=Comments.as_view("view"))
    assert [asked(app, "POST"), asked(app, "POST", headers=GOOD)] == [401, 200]


class Giving(Things):
    def __getattr__(self, name: str) -> Any:
        if name == "head":
            return self.export
        raise AttributeError(name)


class Setting(Things):
    def __init__(self) -> None:
        self.head = self.export


class Having(Giving):
    @jwt_required()
    def head(self) -> str:
        return "in"


@pytest.mark.parametrize(("cls", "of_head"), [(Giving, [403, 403]), (Setting, [403, 403]), (Having, [401, 200])])
def test_a_class_whose_instances_may_have_a_head_is_not_opened_for_it_by_what_stands_on_its_get(
    cls: type[Things], of_head: list[int]
) -> None:
    app, _ = app_of()
    app.add_url_rule("/", view_func=cls.as_view("view"))
    assert [asked(app, "HEAD"), asked(app, "HEAD", headers=GOOD)] == of_head
    assert [asked(app), asked(app, headers=GOOD)] == [401, 200]


def test_a_class_that_gets_a_head_after_its_first_request_is_read_anew() -> None:
    class Late(Things):
        pass

    app, _ = app_of()
    app.add_url_rule("/", view_func=Late.as_view("view"))
    assert asked(app, "HEAD", headers=GOOD) == 200
    Late.head = Late.export  # type: ignore[attr-defined]
    assert [asked(app, "HEAD"), asked(app, headers=GOOD)] == [403, 200]


@pytest.mark.parametrize("once", [True, False])
def test_decorators_with_wraps_and_an_as_view_that_calls_that_of_flask_leave_it_open(once: bool) -> None:
    def passing(view: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(view)(lambda **values: view(**values))

    class Ordinary(Things):
        init_every_request = not once
        decorators: ClassVar[list[Any]] = [passing]

        def __init__(self, unit: str = "m") -> None:
            self.unit = unit
            self.target = self.get

        @classmethod
        def as_view(cls, name: str, *args: Any, **given: Any) -> Any:
            return passing(super().as_view(name, *args, **given))

    app, _ = app_of()
    app.add_url_rule("/", view_func=Ordinary.as_view("view", unit="km"))
    assert [asked(app), asked(app, headers=GOOD)] == [401, 200]


class Maybe(jwt_required):
    """A guard that is not always put where it is written."""

    def __call__(self, target: Any) -> Any:
        return target


class Named(jwt_required):
    """One that is."""


@pytest.mark.parametrize(("guard", "expected"), [(Maybe(), [403, 403]), (Named(), [401, 200])])
def test_of_a_list_of_decorators_those_are_believed_that_are_put_around_as_guards_are(
    guard: jwt_required, expected: list[int]
) -> None:
    app, _ = app_of()

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [guard]

        def get(self) -> str:
            return "in"

    Api(app).add_resource(Read, "/")
    assert [asked(app), asked(app, headers=GOOD)] == expected


def test_a_resource_that_sets_its_list_of_decorators_itself_is_not_opened_by_that_of_its_class() -> None:
    app, _ = app_of()

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def __init__(self) -> None:
            self.method_decorators: list[Any] = []  # type: ignore[misc]

        def get(self) -> str:
            return "OPEN"

    Api(app).add_resource(Read, "/")
    assert [asked(app), asked(app, headers=GOOD)] == [403, 403]


def test_a_class_that_changes_after_its_first_request_is_read_anew() -> None:
    app, _ = app_of()

    class Base(MethodView):
        @jwt_required()
        def get(self) -> str:
            return "in"

    class Changing(Base):
        pass

    class Read(Resource):  # type: ignore[misc]
        method_decorators: ClassVar[list[Any]] = [jwt_required()]

        def get(self) -> str:
            return "OPEN"

    view = Changing.as_view("changing")
    app.add_url_rule("/", view_func=view)
    Api(app).add_resource(Read, "/read")
    assert [asked(app), asked(app, path="/read")] == [401, 401]
    guarded, listed = Base.get, Read.method_decorators
    Base.get = lambda self: "OPEN"  # type: ignore[method-assign]
    Read.method_decorators = []
    assert [asked(app), asked(app, path="/read"), asked(app, headers=GOOD)] == [403, 403, 403]
    Base.get, Read.method_decorators = guarded, listed  # type: ignore[method-assign]
    assert [asked(app, path=path, headers=GOOD) for path in ("/", "/read")] == [200, 200]
    listed.clear()
    assert asked(app, path="/read") == 403
    Changing.dispatch_request = lambda self: "OPEN"  # type: ignore[assignment, method-assign]
    assert asked(app) == 403
    del Changing.dispatch_request
    assert asked(app) == 401
    view.view_class = Read  # type: ignore[attr-defined]
    assert asked(app) == 403
