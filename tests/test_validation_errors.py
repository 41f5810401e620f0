"""What is told of a request that is not what it should be: all of it, in one form, in the app's words if it has some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from flask import Flask, request
from werkzeug.routing import BaseConverter

from flask_rampart import ConfigError, Rampart, validate, validated

Make = Callable[..., Flask]
SECRET = "hunter2"
NUMBER = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}


class Name(pydantic.BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def _is_short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError(name)
        return name


def errors(answer: Any) -> list[tuple[str, str, str]]:
    assert SECRET not in answer.text
    return [(error["in"], error["pointer"], error["rule"]) for error in answer.json["errors"]]


def test_an_error_of_a_body_alone_says_where_it_is_as_any_other_does(make_app: Make) -> None:
    app = make_app()
    app.post("/")(validate(body={"properties": {'{"pointer":': {"type": "integer"}}})(lambda: ""))
    answer = app.test_client().post("/", json={'{"pointer":': SECRET})
    # A name in which our own words stand is told as it is.
    assert answer.json["errors"] == [{"in": "body", "pointer": '/{"pointer":', "rule": "type"}]


def test_all_parts_are_told_at_once_whether_schemas_or_models_judge_them(make_app: Make) -> None:
    app = make_app()

    @app.post("/<n>")
    @validate(path={"properties": {"n": {"type": "integer"}}}, query=Name, body=Name)
    def view(n: str) -> str:
        raise AssertionError

    answer = app.test_client().post(f"/x?name={SECRET}", json={"name": SECRET})
    assert answer.json["code"] == "path.invalid"
    assert errors(answer) == [
        ("path", "/n", "type"),
        ("query", "/name", "value_error"),
        ("body", "/name", "value_error"),
    ]
    answer = app.test_client().post("/1?name=ada", json={"name": SECRET})
    assert answer.json["code"] == "body.invalid"
    assert errors(answer) == [("body", "/name", "value_error")]


def test_nothing_may_be_read_of_a_request_of_which_a_part_was_refused(make_app: Make) -> None:
    app = make_app()
    seen: list[str] = []

    @app.errorhandler(422)
    def handler(error: Any) -> Any:
        for part in ("query", "body"):
            try:
                getattr(validated, part)
            except RuntimeError as raised:
                seen.append(str(raised))
        return "", 422

    app.post("/")(validate(query=Name, body=Name)(lambda: ""))
    assert app.test_client().post(f"/?name={SECRET}", json={"name": "ada"}).status_code == 422
    assert len(seen) == 2


def test_twenty_errors_of_all_parts_together_are_told(make_app: Make) -> None:
    many = {"properties": {f"n{at:02}": {"type": "integer"} for at in range(15)}}
    app = make_app()
    app.post("/")(validate(query=many, body=many)(lambda: ""))
    query = "&".join(f"{name}=x" for name in many["properties"])
    answer = app.test_client().post(f"/?{query}", json=dict.fromkeys(many["properties"], "x"))
    found = errors(answer)
    assert len(found) == 20
    assert [part for part, _, _ in found] == ["query"] * 15 + ["body"] * 5


def test_half_of_a_surrogate_pair_is_malformed_in_every_part(make_app: Make) -> None:
    class Wild(BaseConverter):
        def to_python(self, value: str) -> str:
            return "\ud800"

    app = make_app()
    app.url_map.converters["wild"] = Wild
    text = {"properties": {"a": {"type": "string"}}}
    app.get("/path/<wild:a>", endpoint="path")(validate(path=text)(lambda a: ""))
    app.get("/head", endpoint="head")(validate(headers={"properties": {"X-A": {"type": "string"}}})(lambda: ""))
    app.get("/jar", endpoint="jar")(validate(cookies=text)(lambda: ""))
    client = app.test_client(use_cookies=False)
    for path, environ in (
        ("/path/x", {}),
        ("/head", {"HTTP_X_A": "\udcff"}),
        ("/jar", {"HTTP_COOKIE": "a=\udcff"}),
    ):
        answer = client.get(path, environ_overrides=environ)
        assert (answer.status_code, answer.json["code"]) == (400, "request.malformed"), path


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        # The edge drops a pair of such octets; an escape is text until it is read.
        ("a=\xff", 200),
        ('a="\\377"', 400),
        (" a =\xff", 200),
        ("a=\xc3\xa9", 200),
        ('a="\\303\\251"', 200),
        ("a=1; other=\xff", 200),
        ('a=1; other="\\377"', 200),
    ],
    ids=["octet", "escape", "blanks", "utf-8", "escaped-utf-8", "of-others", "escape-of-others"],
)
def test_a_cookie_that_is_no_utf_8_is_malformed_if_it_is_declared(make_app: Make, cookie: str, status: int) -> None:
    app = make_app()
    app.get("/")(validate(cookies={"properties": {"a": {"type": "string"}}})(lambda: ""))
    app.get("/free", endpoint="free")(lambda: "")
    client = app.test_client(use_cookies=False)
    answer = client.get("/", environ_overrides={"HTTP_COOKIE": cookie})
    assert answer.status_code == status
    if status == 400:
        assert answer.json["code"] == "request.malformed"
    assert client.get("/free", environ_overrides={"HTTP_COOKIE": cookie}).status_code == 200


@pytest.mark.parametrize("cookie", ["a=\xff", " a =\xff"], ids=["octet", "blanks"])
def test_a_declared_cookie_that_is_no_utf_8_is_malformed_where_no_edge_has_dropped_it(
    make_app: Make, cookie: str
) -> None:
    app = make_app()
    app.get("/")(validate(cookies={"properties": {"a": {"type": "string"}}})(lambda: ""))
    app.wsgi_app = app.wsgi_app.app  # type: ignore[method-assign, attr-defined]
    answer = app.test_client(use_cookies=False).get("/", environ_overrides={"HTTP_COOKIE": cookie})
    assert (answer.status_code, answer.json["code"]) == (400, "request.malformed")


def make_worded(make_app: Make, function: Any) -> Flask:
    app = make_app(rampart=False, RAMPART_ACCESS_LOG="off")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    rampart = Rampart()
    rampart.messages(function)
    rampart.init_app(app)
    app.post("/")(validate(body=NUMBER)(lambda: ""))
    app.post("/both", endpoint="both")(validate(query=NUMBER, body=Name)(lambda: ""))
    return app


def test_an_app_words_each_error_in_its_own_language(make_app: Make) -> None:
    words = {"en": {"required": "is missing"}, "de": {"required": "fehlt"}}

    def word(rule: str, pointer: str, part: str) -> str | None:
        text = words[request.headers["Accept-Language"]].get(rule)
        return text and f"{part}{pointer} {text}"

    app = make_worded(make_app, word)
    answer = app.test_client().post("/", json={"b": "x"}, headers={"Accept-Language": "de"})
    told = {error["rule"]: error.get("message") for error in answer.json["errors"]}
    assert told == {"required": "body/a fehlt", "type": None}
    answer = app.test_client().post("/both", json={}, headers={"Accept-Language": "en"})
    assert [(error["in"], error["message"]) for error in answer.json["errors"]] == [
        ("query", "query/a is missing"),
        ("body", "body/name is missing"),
    ]


def test_words_may_be_lazy_or_awaited(make_app: Make) -> None:
    class Lazy:
        def __str__(self) -> str:
            return "später"

    async def word(rule: str, pointer: str, part: str) -> Any:
        return Lazy()

    answer = make_worded(make_app, word).test_client().post("/", json={})
    assert answer.json["errors"] == [{"in": "body", "pointer": "/a", "rule": "required", "message": "später"}]


def test_words_that_fail_refuse_all_the_same(make_app: Make, caplog: pytest.LogCaptureFixture) -> None:
    def word(rule: str, pointer: str, part: str) -> str:
        raise KeyError(rule)

    answer = make_worded(make_app, word).test_client().post("/", json={"a": SECRET})
    assert (answer.status_code, errors(answer)) == (422, [("body", "/a", "type")])
    assert "rampart.messages" in caplog.text


def test_there_is_one_function_of_words_given_before_the_first_request(make_app: Make) -> None:
    rampart = Rampart()
    rampart.messages(lambda rule, pointer, part: None)
    with pytest.raises(ConfigError, match="second"):
        rampart.messages(lambda rule, pointer, part: None)
    with pytest.raises(ConfigError, match="function"):
        Rampart().messages("words")  # type: ignore[type-var]
    late = Rampart()
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    late.init_app(app)
    app.test_client().get("/")
    with pytest.raises(ConfigError, match="too late"):
        late.messages(lambda rule, pointer, part: None)
