"""Policies: a function of the app's decides per object, and fails closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, request
from flask.views import MethodView

from flask_rampart import Clock, ConfigError, Denied, Principal, Rampart, require
from flask_rampart.exchange import EXTENSION

from .conftest import KEYS, Named, bearer

Sign = Callable[..., str]


@pytest.fixture
def rampart(clock: Clock) -> Rampart:
    return Rampart(clock=clock)


@pytest.fixture
def app(rampart: Rampart) -> Flask:
    app = Named(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS)
    rampart.init_app(app)
    return app


def ask(app: Flask, path: str, token: str | None = None) -> tuple[int, str]:
    answer = app.test_client().get(path, headers=bearer(token) if token else {})
    return answer.status_code, answer.json["code"] if answer.is_json else answer.get_data(as_text=True)


def test_a_policy_is_asked_with_the_arguments_of_the_path(app: Flask, rampart: Rampart, token: Sign) -> None:
    seen: list[tuple[str, str, int]] = []

    @rampart.policy("doc.edit")
    def can_edit(principal: Principal, doc: str, page: int) -> bool:
        seen.append((principal.id, doc, page))
        return doc == principal.id

    @app.get("/docs/<doc>/<int:page>")
    @require(policy="doc.edit")
    def view(doc: str, page: int) -> str:
        return doc

    assert ask(app, "/docs/ada/7", token()) == (200, "ada")
    assert ask(app, "/docs/eve/7", token()) == (403, "auth.policy")
    assert seen == [("ada", "ada", 7), ("ada", "eve", 7)]
    # Nobody is asked about who has said nothing.
    assert ask(app, "/docs/ada/7") == (401, "auth.missing")
    assert len(seen) == 2
    answer = app.test_client().get("/docs/eve/7", headers=bearer(token()))
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api", error="insufficient_scope"'
    assert "doc.edit" not in answer.get_data(as_text=True) and "eve" not in answer.get_data(as_text=True)


def test_a_policy_is_asked_last(app: Flask, rampart: Rampart, token: Sign) -> None:
    asked: list[str] = []

    @rampart.policy("p")
    def policy(principal: Principal) -> bool:
        asked.append(principal.id)
        return True

    app.get("/")(require(scopes="s", roles="r", max_age=60, policy="p")(lambda: "ok"))
    for short in ({}, {"scope": "s"}, {"scope": "s", "roles": ["r"]}):
        assert ask(app, "/", token(**short))[0] in (401, 403)
    assert not asked


def test_all_policies_of_a_view_are_to_be_met(app: Flask, rampart: Rampart, token: Sign) -> None:
    rampart.policy("yes")(lambda principal: True)
    rampart.policy("no")(lambda principal: False)
    app.get("/one")(require(policy="yes")(require(policy="no")(lambda: "ok")))
    app.get("/two")(require(policy="yes")(require(policy="yes")(lambda: "ok")))
    assert ask(app, "/one", token()) == (403, "auth.policy")
    assert ask(app, "/two", token()) == (200, "ok")


@pytest.mark.parametrize("answer", [None, 1, 0, "yes", "", "False", [], object(), NotImplemented])
def test_a_policy_that_says_neither_true_nor_false_refuses(
    app: Flask, rampart: Rampart, token: Sign, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rampart.policy("p")(lambda principal: answer)
    app.get("/")(require(policy="p")(lambda: "ok"))

    @app.get("/in")
    @require()
    def view() -> str:
        rampart.authorize("p")
        return "ok"

    @app.get("/may")
    @require()
    def asks() -> str:
        return str(rampart.may("p"))

    for path in ("/", "/in", "/may"):
        assert ask(app, path, token()) == (500, "guard.failed")
    assert "must return True or False" in caplog.text


def test_a_policy_that_raises_refuses(app: Flask, rampart: Rampart, token: Sign) -> None:
    @rampart.policy("p")
    def policy(principal: Principal) -> bool:
        raise LookupError("hunter2")

    app.get("/")(require(policy="p")(lambda: "ok"))
    app.get("/may")(require()(lambda: str(rampart.may("p"))))
    assert ask(app, "/", token()) == ask(app, "/may", token()) == (500, "guard.failed")
    assert "hunter2" not in app.test_client().get("/", headers=bearer(token())).get_data(as_text=True)


def test_a_policy_may_give_an_answer_of_its_own(app: Flask, rampart: Rampart, token: Sign) -> None:
    rampart.policy("hidden")(lambda principal: abort(404))

    @rampart.policy("stale")
    def stale(principal: Principal) -> bool:
        raise Denied.of("auth.stale")

    app.get("/hidden")(require(policy="hidden")(lambda: "ok"))
    app.get("/stale")(require(policy="stale")(lambda: "ok"))
    assert ask(app, "/hidden", token())[0] == 404
    assert ask(app, "/stale", token()) == (401, "auth.stale")


def test_a_view_asks_about_an_object(app: Flask, rampart: Rampart, token: Sign) -> None:
    @rampart.policy("doc.edit")
    def can_edit(principal: Principal, document: dict[str, str], *, strict: bool = False) -> bool:
        return document["owner"] == principal.id and not strict

    @app.get("/<owner>")
    @require(optional=True)
    def view(owner: str) -> dict[str, Any]:
        document = {"owner": owner}
        shown = {"may": rampart.may("doc.edit", document), "strict": rampart.may("doc.edit", document, strict=True)}
        if "ask" in request.args:
            rampart.authorize("doc.edit", document)
        return shown

    get = app.test_client().get
    assert get("/ada", headers=bearer(token())).json == {"may": True, "strict": False}
    assert get("/eve", headers=bearer(token())).json == {"may": False, "strict": False}
    assert get("/ada").json == {"may": False, "strict": False}
    assert get("/ada?ask", headers=bearer(token())).json == {"may": True, "strict": False}
    assert get("/eve?ask", headers=bearer(token())).json["code"] == "auth.policy"
    # Nobody in particular: they could do better by saying who they are.
    answer = get("/ada?ask")
    assert (answer.status_code, answer.json["code"]) == (401, "auth.missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_a_policy_may_be_async_in_every_kind_of_view(app: Flask, rampart: Rampart, token: Sign) -> None:
    threads: list[int] = []

    @rampart.policy("async")
    async def policy(principal: Principal, doc: str) -> bool:
        threads.append(threading.get_ident())
        assert request.view_args == {"doc": doc}
        return principal.id == doc

    @app.get("/sync/<doc>")
    @require(policy="async")
    def sync(doc: str) -> str:
        return str(rampart.may("async", doc))

    @app.get("/async/<doc>")
    @require(policy="async")
    async def asynchronous(doc: str) -> str:
        # The loop of this view is running: the policy runs beside it.
        rampart.authorize("async", doc)
        return str(rampart.may("async", doc))

    class Doc(MethodView):
        @require(policy="async")
        async def get(self, doc: str) -> str:
            return str(rampart.may("async", doc))

    app.add_url_rule("/class/<doc>", view_func=Doc.as_view("class"))

    @app.get("/inner/<doc>")
    async def calls(doc: str) -> str:
        result: str = await asynchronous(doc)
        return result

    for kind in ("sync", "async", "class", "inner"):
        assert ask(app, f"/{kind}/ada", token()) == (200, "True"), kind
        assert ask(app, f"/{kind}/eve", token()) == (403, "auth.policy"), kind
    assert threads


def test_a_lambda_over_an_async_function_is_waited_for_and_never_taken_for_true(
    app: Flask, rampart: Rampart, token: Sign
) -> None:
    async def no(principal: Principal) -> bool:
        return False

    class Policy:
        async def __call__(self, principal: Principal) -> bool:
            return False

    rampart.policy("lambda")(lambda principal: no(principal))
    rampart.policy("object")(Policy())
    app.get("/lambda")(require(policy="lambda")(lambda: "ok"))
    app.get("/object")(require(policy="object")(lambda: "ok"))
    assert ask(app, "/lambda", token()) == ask(app, "/object", token()) == (403, "auth.policy")


def test_a_policy_that_nobody_declared_stops_the_start(app: Flask, rampart: Rampart) -> None:
    rampart.policy("doc.edit")(lambda principal: True)
    app.get("/")(require(policy="doc.edti")(lambda: "ok"))
    with pytest.raises(ConfigError, match=r"doc\.edti.*Did you mean doc\.edit\?"):
        app.extensions[EXTENSION].seal()


def test_a_view_that_asks_for_an_unknown_policy_is_a_mistake(app: Flask, rampart: Rampart) -> None:
    rampart.policy("doc.edit")(lambda principal: True)
    with app.test_request_context():
        for ask_for in (rampart.may, rampart.authorize):
            with pytest.raises(ConfigError, match=r"Did you mean doc\.edit\?"):
                ask_for("doc.edti")


def test_two_policies_of_one_name_and_what_is_no_policy_are_refused(app: Flask, rampart: Rampart) -> None:
    rampart.policy("p")(lambda principal: True)
    with pytest.raises(ConfigError, match="two policies 'p'"):
        rampart.policy("p")(lambda principal: False)
    for wrong in ("", " ", None, len):
        with pytest.raises(ConfigError, match=r"rampart\.policy"):
            rampart.policy(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="function"):
        rampart.policy("q")("text")  # type: ignore[type-var]


def test_a_policy_that_cannot_take_the_paths_arguments_stops_the_start(app: Flask, rampart: Rampart) -> None:
    rampart.policy("p")(lambda principal, document: True)
    app.get("/docs/<doc>")(require(policy="p")(lambda doc: "ok"))
    with pytest.raises(ConfigError, match=r"doc=.*/docs/<doc>.*\*\*_"):
        app.extensions[EXTENSION].seal()


def test_a_path_argument_never_takes_the_place_of_the_principal(app: Flask, rampart: Rampart) -> None:
    rampart.policy("p")(lambda principal: True)
    app.get("/docs/<principal>")(require(policy="p")(lambda principal: "ok"))
    with pytest.raises(ConfigError, match="multiple values"):
        app.extensions[EXTENSION].seal()


def test_arguments_that_a_preprocessor_takes_away_are_not_demanded(app: Flask, rampart: Rampart, token: Sign) -> None:
    @app.url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values is not None:
            values.pop("lang", None)

    rampart.policy("p")(lambda principal, doc: doc == principal.id)
    app.get("/<lang>/<doc>")(require(policy="p")(lambda doc: doc))
    assert ask(app, "/en/ada", token()) == (200, "ada")
    assert ask(app, "/en/eve", token()) == (403, "auth.policy")


def test_a_policy_declared_before_the_app_or_for_two_apps_holds_in_each(rampart: Rampart, token: Sign) -> None:
    rampart.policy("p")(lambda principal: principal.id == "ada")
    for name in ("one", "two"):
        app = Named(name)
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS)
        rampart.init_app(app)
        app.get("/")(require(policy="p")(lambda: "ok"))
        assert ask(app, "/", token()) == (200, "ok")
        assert ask(app, "/", token(sub="eve")) == (403, "auth.policy")
    with pytest.raises(ConfigError, match="too late"):
        rampart.policy("q")(lambda principal: True)


def test_a_policy_is_asked_where_only_the_wrapper_sees_the_guard(app: Flask, rampart: Rampart, token: Sign) -> None:
    rampart.policy("p")(lambda principal, doc: doc == principal.id)

    @require(policy="p")
    def guarded(doc: str) -> str:
        return doc

    def opaque(doc: str) -> str:
        return guarded(doc)

    app.get("/<doc>")(opaque)
    assert ask(app, "/ada", token()) == (200, "ada")
    assert ask(app, "/eve", token()) == (403, "auth.policy")
