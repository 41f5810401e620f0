"""A refusal is a response of the app's, whatever the app does with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response

from flask_rampart import require
from flask_rampart.errors import PROBLEMS, Denied
from flask_rampart.refusals import Refusal, response_to

App = Callable[..., Flask]


def guarded(make_app: App, after: Callable[[Response], Response] | None = None, **config: Any) -> Flask:
    app = make_app(**config)
    app.get("/")(require()(lambda: "secret"))
    if after is not None:
        app.after_request(after)
    return app


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_it_is_what_werkzeugs_constructor_would_have_made(code: str) -> None:
    headers = (("WWW-Authenticate", "Bearer"), ("Retry-After", "3"))
    denied = Denied.of(code, headers=headers, members={"errors": [{"pointer": "/a", "rule": "type"}]})
    denied.request_id = "7"
    ours, theirs = response_to(denied, Response), denied.to_response(Response)
    assert isinstance(ours, Refusal)
    assert ours.status == theirs.status
    assert ours.status_code == theirs.status_code
    assert sorted(ours.headers) == sorted(theirs.headers)
    assert ours.get_data() == theirs.get_data()
    assert ours.json == theirs.json
    assert ours.mimetype == theirs.mimetype == "application/problem+json"
    assert ours.content_length == theirs.content_length
    assert ours.is_sequence and not ours.is_streamed


def test_what_was_not_touched_leaves_as_it_is(make_app: App) -> None:
    response = guarded(make_app).test_client().get("/")
    assert response.status == "401 UNAUTHORIZED"
    assert response.content_type == "application/problem+json"
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert response.json["request_id"] == response.headers["X-Request-Id"]
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def changed(change: Callable[[Response], Any]) -> Callable[[Response], Response]:
    def after(response: Response) -> Response:
        change(response)
        return response

    return after


def test_a_header_that_the_app_adds_is_sent(make_app: App) -> None:
    app = guarded(make_app, changed(lambda response: response.headers.add("X-App", "1")))
    response = app.test_client().get("/")
    assert response.headers["X-App"] == "1"
    assert response.json["code"] == "auth.missing"


def test_a_status_that_the_app_changes_is_sent(make_app: App) -> None:
    app = guarded(make_app, changed(lambda response: setattr(response, "status_code", 404)))
    assert app.test_client().get("/").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda response: response.set_data(b"hidden"),
        lambda response: setattr(response, "data", b"hidden"),
        lambda response: setattr(response, "response", [b"hid", b"den"]),
        lambda response: setattr(response, "response", iter([b"hidden"])),
        lambda response: (response.response.__setitem__(0, b"hidden"), response.headers.pop("Content-Length", None)),
    ],
)
def test_a_body_that_the_app_replaces_is_sent(make_app: App, change: Callable[[Response], Any]) -> None:
    def after(response: Response) -> Response:
        response.headers.pop("Content-Length", None)
        change(response)
        return response

    assert guarded(make_app, after).test_client().get("/").data == b"hidden"


def test_another_response_in_its_place_is_sent(make_app: App) -> None:
    app = guarded(make_app, lambda response: Response("other", 418))
    response = app.test_client().get("/")
    assert (response.status_code, response.data) == (418, b"other")


def test_what_is_to_be_called_on_close_is_called(make_app: App) -> None:
    closed: list[int] = []
    app = guarded(make_app, changed(lambda response: response.call_on_close(lambda: closed.append(1))))
    app.test_client().get("/").close()
    assert closed == [1]


def test_head_has_headers_and_no_body(make_app: App) -> None:
    response = guarded(make_app).test_client().head("/")
    assert (response.status_code, response.data) == (401, b"")
    assert int(response.headers["Content-Length"]) > 0


def test_an_apps_own_class_of_response_is_kept(make_app: App) -> None:
    class Own(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Own"] = "1"

    app = guarded(make_app)
    app.response_class = Own
    response = app.test_client().get("/")
    assert response.headers["X-Own"] == "1"
    assert response.json["code"] == "auth.missing"


def test_one_answer_leaves_nothing_in_the_next(make_app: App) -> None:
    seen: list[Response] = []

    def after(response: Response) -> Response:
        if not seen:
            response.headers["X-First"] = "1"
            response.call_on_close(lambda: None)
            response.response.append(b" ")  # type: ignore[union-attr]
        seen.append(response)
        return response

    client = guarded(make_app, after).test_client()
    first, second = client.get("/"), client.get("/")
    assert "X-First" in first.headers
    assert "X-First" not in second.headers
    assert json.loads(second.data)["code"] == "auth.missing"
    assert not second.data.endswith(b" ")


def test_members_can_be_read_whichever_way_they_were_given() -> None:
    assert Denied.of("body.invalid", members='"errors":[{"pointer":"/a"}]').members == {"errors": [{"pointer": "/a"}]}
    assert Denied.of("body.invalid", members={"errors": []}).members == {"errors": []}
    assert Denied.of("body.invalid").members == {}


def test_a_response_may_be_forced_into_a_class_of_the_apps(make_app: App) -> None:
    class Mine(Response):
        pass

    response = guarded(make_app, lambda response: Mine.force_type(response)).test_client().get("/")
    assert (response.status_code, response.json["code"]) == (401, "auth.missing")
