"""Which requests limits count: methods as Flask takes them, and what ``unlimited`` lifts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import Clock, ConfigError, Rampart, limit, unlimited
from flask_rampart.cli import commands

from .conftest import Named

App = Callable[..., Flask]


def ask(app: Flask, *methods: str, path: str = "/") -> list[int]:
    """As a server hands the method over, to what is behind the edge, which takes only methods that it knows, in
    capitals."""
    said = []
    for method in methods:
        environ = EnvironBuilder(path=path, method="POST").get_environ()
        environ["REQUEST_METHOD"] = method
        said.append(int(run_wsgi_app(app.wsgi_app.app, environ)[1][:3]))
    return said


def served(make_app: App, *, of: list[str] | None = None, **more: Any) -> Flask:
    app = make_app()
    app.add_url_rule("/", view_func=limit("2/hour", **more)(lambda: "ok"), methods=of or ["GET", "POST", "PUT"])
    return app


# Methods


def test_a_method_in_small_letters_is_counted_as_flask_takes_it(make_app: App) -> None:
    app = served(make_app, methods=["POST"])
    assert ask(app, "post", "pOST", "POST", "post") == [200, 200, 429, 429]
    # Of the other methods, none is counted.
    assert ask(app, "PUT", "put", "GET") == [200] * 3


def test_a_method_in_other_letters_has_no_counters_of_its_own(make_app: App) -> None:
    app = served(make_app, per_method=True)
    assert ask(app, "POST", "post", "Post", "pOST") == [200, 200, 429, 429]
    assert ask(app, "put", "PUT", "Put") == [200, 200, 429]


def test_head_runs_the_view_of_get_and_is_counted_with_it(make_app: App) -> None:
    app = served(make_app, methods=["GET"])
    assert ask(app, "HEAD", "get", "head", "GET") == [200, 200, 429, 429]
    assert ask(app, "POST") == [200]


def test_head_is_no_second_quota_of_get(make_app: App) -> None:
    app = served(make_app, per_method=True)
    assert ask(app, "GET", "HEAD", "HEAD", "GET") == [200, 200, 429, 429]


def test_head_may_be_counted_by_itself(make_app: App) -> None:
    app = served(make_app, methods=["HEAD"])
    assert ask(app, "HEAD", "HEAD", "HEAD", "GET") == [200, 200, 429, 200]
    app = served(make_app, methods=["GET", "HEAD"], per_method=True)
    assert ask(app, "GET", "GET", "GET", "HEAD", "HEAD", "HEAD") == [200, 200, 429] * 2


def test_words_that_nobody_named_share_one_counter(make_app: App) -> None:
    app = make_app()
    app.add_url_rule("/", "any", limit("2/hour", per_method=True)(lambda: "ok"))
    for rule in app.url_map.iter_rules("any"):
        rule.methods = None  # takes any word, as a rule of werkzeug's may
    assert ask(app, "FOO", "BAR", "BAZ", "foo") == [200, 200, 429, 429]
    assert ask(app, "GET") == [200]


def test_a_method_of_the_app_s_own_has_a_counter_of_its_own(make_app: App) -> None:
    app = served(make_app, of=["PURGE", "LINK"], per_method=True)
    assert ask(app, "PURGE", "purge", "PURGE") == [200, 200, 429]
    assert ask(app, "LINK", "LINK", "LINK") == [200, 200, 429]


def test_every_method_counts_where_nothing_is_said_of_them(make_app: App) -> None:
    app = served(make_app)
    assert ask(app, "get", "POST", "HEAD", "put") == [200, 200, 429, 429]


# Unlimited


class Halves(MethodView):
    @unlimited
    def get(self) -> str:
        return "ok"

    def post(self) -> str:
        return "ok"


@unlimited
class Parent(MethodView):
    def get(self) -> str:
        return "ok"

    def post(self) -> str:
        return "ok"


class Child(Parent):
    pass


class Overriding(Halves):
    def get(self) -> str:
        return "mine"


class Limited(MethodView):
    @unlimited
    def get(self) -> str:
        return "ok"

    @unlimited
    @limit("2/hour")
    def post(self) -> str:
        return "ok"


@pytest.fixture(name="protected")
def app_with_a_limit(clock: Clock, tmp_path: Path) -> Callable[[Any], Flask]:
    def make(view: Any) -> Flask:
        (tmp_path / "counters").mkdir(mode=0o700)
        app = Named("protected")
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
        Rampart(app, clock=clock).protect(app, limit("2/hour"))
        app.add_url_rule("/", view_func=view)
        return app

    return make


def test_a_method_that_is_unlimited_lifts_no_other(protected: Callable[[Any], Flask]) -> None:
    app = protected(Halves.as_view("view"))
    assert ask(app, "POST", "post", "POST") == [200, 200, 429]
    # HEAD is answered by the same method.
    assert ask(app, *["GET", "HEAD"] * 3) == [200] * 6


def test_a_class_that_is_unlimited_is_so_in_all_its_methods(protected: Callable[[Any], Flask]) -> None:
    app = protected(Parent.as_view("view"))
    assert ask(app, *["GET", "POST", "OPTIONS"] * 3) == [200] * 9


def test_what_is_derived_from_an_unlimited_class_is_limited(protected: Callable[[Any], Flask]) -> None:
    assert ask(protected(Child.as_view("view")), "POST", "POST", "POST") == [200, 200, 429]


def test_a_method_that_takes_the_place_of_an_unlimited_one_is_limited(protected: Callable[[Any], Flask]) -> None:
    assert ask(protected(Overriding.as_view("view")), "GET", "GET", "GET") == [200, 200, 429]


def test_a_limit_of_a_method_s_own_counts_also_where_the_outer_one_is_lifted(
    protected: Callable[[Any], Flask],
) -> None:
    app = protected(Limited.as_view("view"))
    assert ask(app, "POST", "POST", "POST", "GET", "GET", "GET") == [200, 200, 429, 200, 200, 200]
    # What Flask answers by itself goes with what the view answers.
    assert ask(app, *["OPTIONS"] * 3) == [200] * 3


def test_a_function_that_is_unlimited_is_so_whatever_the_method(protected: Callable[[Any], Flask]) -> None:
    app = protected(unlimited(lambda: "ok"))
    assert ask(app, *["GET", "HEAD", "OPTIONS"] * 3) == [200] * 9


def test_unlimited_on_a_blueprint_or_an_app_teaches_where_it_goes(make_app: App) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    rampart = Rampart(app)
    for target in (app, Blueprint("b", __name__)):
        with pytest.raises(ConfigError, match="above the view"):
            rampart.protect(target, unlimited())
        with pytest.raises(ConfigError, match="above the view"):
            rampart.protect(target, limit("2/hour"), unlimited())


@pytest.mark.parametrize(("view", "methods"), [(Halves, ["POST"]), (Parent, []), (Child, ["GET,POST"])])
def test_limits_that_are_lifted_are_not_listed(
    protected: Callable[[Any], Flask], view: type[MethodView], methods: list[str]
) -> None:
    app = protected(view.as_view("view"))
    told = json.loads(app.test_cli_runner().invoke(commands, ["limits", "--json"]).output)
    assert [row["methods"] for row in told["limits"] if row["route"] == "/"] == methods


def test_methods_that_are_named_are_listed(make_app: App) -> None:
    app = served(make_app, methods=["HEAD", "OPTIONS", "GET"])
    app.add_url_rule("/elsewhere", "elsewhere", build_only=True)
    done = app.test_cli_runner().invoke(commands, ["limits", "--json"])
    assert [row["methods"] for row in json.loads(done.output)["limits"]] == ["GET,HEAD,OPTIONS"]
