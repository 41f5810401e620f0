"""Validation, through the whole stack: what a view may be given."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Request, Response, abort, jsonify, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, Rampart, validate, validated

App = Callable[..., Flask]
SCHEMA = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "maxLength": 100}, "count": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()

    @app.post("/")
    @validate(body=SCHEMA)
    def view() -> Any:
        assert request.get_json() is validated.body
        return jsonify(validated.body)

    @app.post("/plain")
    def plain() -> Any:
        return jsonify(request.get_json())

    @app.post("/silent")
    def silent() -> Any:
        return jsonify(request.get_json(silent=True))

    return app


def post(app: Flask, data: bytes | str, path: str = "/", content_type: str = "application/json") -> Any:
    return app.test_client().post(path, data=data, content_type=content_type)


def test_a_body_of_the_shape_reaches_the_view(app: Flask) -> None:
    assert post(app, '{"text": "\\u00e9\U0001f600", "count": 3}').json == {"text": "\u00e9\U0001f600", "count": 3}
    assert post(app, '{"text":"x"}', content_type="application/vnd.api+json; charset=utf-8").status_code == 200


def test_a_body_of_another_shape_is_answered_by_place_and_rule(app: Flask) -> None:
    response = post(app, '{"text": 7, "count": 0, "hunter2": "canary"}')
    assert response.status_code == 422
    assert response.json["code"] == "body.invalid"
    errors = {(error["pointer"], error["rule"]) for error in response.json["errors"]}
    assert errors == {("/text", "type"), ("/count", "minimum"), ("", "additionalProperties")}
    assert "hunter2" not in response.text
    assert "canary" not in response.text


# data.md: what stock Flask accepts or crashes on.
HOSTILE = [
    (b'{"text":"a","text":"b"}', 400, "json.duplicate_key"),
    (b'{"text":"a","\\u0074ext":"b"}', 400, "json.duplicate_key"),
    (b'{"text":NaN}', 400, "json.non_finite"),
    (b'{"text":Infinity}', 400, "json.non_finite"),
    (b'{"text":-Infinity}', 400, "json.non_finite"),
    (b'{"text":1e999}', 400, "json.non_finite"),
    (b'{"text":"\\ud800"}', 400, "json.surrogate"),
    ('{"text":"a"}'.encode("utf-16"), 400, "json.encoding"),
    ('{"text":"a"}'.encode("utf-32"), 400, "json.encoding"),
    (b'\xef\xbb\xbf{"text":"a"}', 400, "json.encoding"),
    (b'{"text":"\xff"}', 400, "json.encoding"),
    (b"[" * 100_000 + b"]" * 100_000, 400, "json.too_deep"),
    (b'{"a":' * 990 + b"1" + b"}" * 990, 400, "json.too_deep"),
    (b"[" * 100_000, 400, "json.too_deep"),
    (b'{"text":' + b"9" * 5000 + b"}", 400, "json.number_too_long"),
    (b"{" + b",".join(b'"%d":0' % i for i in range(10_001)) + b"}", 400, "json.too_many_keys"),
    (b"", 400, "json.malformed"),
    (b'{"text":"a"} x', 400, "json.malformed"),
    (b"{'text':'a'}", 400, "json.malformed"),
    (b'{"text":"a",}', 400, "json.malformed"),
    (b'{"text":01}', 400, "json.malformed"),
]


@pytest.mark.parametrize(("data", "status", "code"), HOSTILE, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("path", ["/", "/plain"])
def test_hostile_bodies_are_refused_in_guarded_and_untouched_views(
    app: Flask, path: str, data: bytes, status: int, code: str
) -> None:
    response = post(app, data, path)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert response.content_type == "application/problem+json"


def test_silent_silences_what_flask_would_and_nothing_hostile(app: Flask) -> None:
    assert post(app, b"{", "/silent").json is None
    assert post(app, b"{}", "/silent", "text/plain").json is None
    assert post(app, b'{"a":1,"a":2}', "/silent").status_code == 400
    assert post(app, b"[" * 100_000, "/silent").status_code == 400


def test_another_media_type_is_415(app: Flask) -> None:
    for path in ("/", "/plain"):
        response = post(app, b'{"text":"a"}', path, "text/plain")
        assert (response.status_code, response.json["code"]) == (415, "body.media_type")


def test_a_body_over_the_bound_is_refused_declared_or_not(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=100)
    app.post("/")(validate(body={})(lambda: "ok"))
    app.post("/plain")(lambda: jsonify(request.get_json()))
    app.post("/data")(lambda: str(len(request.get_data())))
    for path in ("/", "/plain", "/data"):
        assert post(app, json.dumps("x" * 98), path).status_code == 200, path
        response = post(app, json.dumps("x" * 99), path)
        assert (response.status_code, response.json["code"]) == (413, "body.too_large")
        chunked = chunks(app, json.dumps("x" * 99).encode(), path)
        assert chunked[1].startswith("413"), path
        assert chunks(app, json.dumps("x" * 98).encode(), path)[1].startswith("200")


def chunks(app: Flask, data: bytes, path: str) -> tuple[Any, str, Any]:
    """A request without a declared length, as gunicorn hands on a chunked one."""
    environ = EnvironBuilder(path=path, method="POST", content_type="application/json").get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ.update({"wsgi.input": BytesIO(data), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})
    return run_wsgi_app(app, environ, buffered=True)


@pytest.mark.parametrize("length", ["-1", "+5", "1_0", "\u0663", "5,5", "0x10", "9" * 30, " "])
def test_a_length_that_is_no_number_is_refused(app: Flask, length: str) -> None:
    environ = EnvironBuilder(path="/", method="POST", data=b"{}", content_type="application/json").get_environ()
    environ["CONTENT_LENGTH"] = length
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status.startswith(("400", "413"))


def test_a_body_shorter_than_declared_is_refused(app: Flask) -> None:
    environ = EnvironBuilder(
        path="/", method="POST", data=b'{"text":"a"}', content_type="application/json"
    ).get_environ()
    environ["CONTENT_LENGTH"] = "13"
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status.startswith("400")
    assert b"body.incomplete" in b"".join(body)


@pytest.mark.parametrize("how", ["get_data", "stream", "partly", "input"])
def test_a_body_that_somebody_read_is_refused_never_taken_for_empty(make_app: App, how: str) -> None:
    app = make_app()
    app.post("/")(validate(body={})(lambda: jsonify(validated.body)))
    app.url_value_preprocessor(lambda endpoint, values: _read(how))
    for send in (lambda data: post(app, data).status_code, lambda data: int(chunks(app, data, "/")[1][:3])):
        assert send(b'"a body of some length"') in (400, 500), how


def _read(how: str) -> None:
    if how == "get_data":
        request.get_data(cache=False)
    elif how == "stream":
        request.stream.read()
    elif how == "partly":
        request.stream.read(3)
    else:
        request.environ["wsgi.input"].read(2)


def test_a_form_that_was_read_is_refused(make_app: App) -> None:
    app = make_app()
    app.post("/")(validate(body={})(lambda: "ok"))
    app.url_value_preprocessor(lambda endpoint, values: request.form and None)
    assert post(app, b"a=1", content_type="application/x-www-form-urlencoded").status_code == 415
    # With a JSON media type, reading the form takes nothing: the body is still whole.
    assert post(app, b"{}").status_code == 200


def test_a_body_that_was_read_and_kept_is_used(make_app: App) -> None:
    app = make_app()
    app.post("/")(validate(body={"type": "object"})(lambda: jsonify(validated.body)))
    app.url_value_preprocessor(lambda endpoint, values: request.get_data() and None)
    assert post(app, b'{"a":1}').json == {"a": 1}
    assert post(app, b"[]").status_code == 422


def test_what_the_view_reads_afterwards_is_still_there(make_app: App) -> None:
    app = make_app()

    @app.post("/")
    @validate(body={})
    def view() -> Response:
        assert request.get_data() == b'{"a":1}'
        assert request.json == {"a": 1}
        assert request.get_json(force=True, cache=False) == {"a": 1}
        return Response("ok")

    assert post(app, b'{"a":1}').text == "ok"


def test_schemas_come_from_files_beside_the_app(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    app = make_app()
    app.post("/")(validate(body=path)(lambda: "ok"))
    assert post(app, b'{"text":"a"}').status_code == 200
    assert post(app, b"{}").status_code == 422


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("no-such-file.json", "cannot be read"),
        ({"type": "strin"}, "type"),
        ({"format": "emial"}, "emial"),
        ({"pattern": "(a+)+$(?=x)"}, "pattern"),
        ({"$ref": "http://127.0.0.1:9/schema"}, "127.0.0.1"),
        ({"$ref": "file:///etc/passwd"}, "passwd"),
        ({"$ref": "#/$defs/absent"}, "absent"),
        ({"$schema": "https://example.com/mine"}, "example.com"),
        ({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, "more than one way"),
    ],
)
def test_a_schema_that_cannot_be_used_stops_the_start_up(make_app: App, schema: Any, message: str) -> None:
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.post("/")(validate(body=schema)(lambda: "ok"))
    with pytest.raises(ConfigError) as caught:
        post(app, b"{}")
    assert message in str(caught.value)


def test_validated_is_only_there_where_something_was_validated(make_app: App) -> None:
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(lambda: str(validated.body))
    with pytest.raises(RuntimeError, match="validate"):
        app.test_client().get("/")


def test_sessions_and_answers_keep_flasks_own_json(make_app: App) -> None:
    # Hardening is on the request class: the JSON provider also reads sessions.
    app = make_app(SECRET_KEY="k" * 32)

    @app.get("/")
    def view() -> Any:
        from flask import session

        session["deep"] = json.loads("[" * 80 + "]" * 80)
        return jsonify({"a": session["deep"]})

    client = app.test_client()
    assert client.get("/").status_code == 200
    assert client.get("/").status_code == 200


def test_a_request_class_of_the_apps_own_stays_on_top(clock: Any) -> None:
    class Own(Request):
        def get_json(self, *args: Any, **kwargs: Any) -> Any:
            value = super().get_json(*args, **kwargs)
            if "evil" in value:
                abort(418)
            return value

    app = Flask(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off")
    app.request_class = Own
    Rampart(app)
    app.post("/")(lambda: jsonify(request.get_json()))
    assert post(app, b'{"evil": 1}').status_code == 418
    assert post(app, b'{"a": NaN}').status_code == 400
    assert post(app, b'{"a": 1}').json == {"a": 1}
    assert isinstance(app.test_request_context().request, Own)


def test_a_request_class_that_comes_late_is_an_error(make_app: App) -> None:
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(lambda: "ok")
    app.request_class = Request
    with pytest.raises(ConfigError, match="request_class"):
        app.test_client().get("/")


def test_an_overlong_chunked_body_is_refused_whoever_reads_it_with_id_and_code(make_app: App, tmp_path: Path) -> None:
    log = tmp_path / "log"
    app = make_app(RAMPART_MAX_BODY=100, RAMPART_ACCESS_LOG=str(log))
    app.post("/data")(lambda: str(len(request.get_data())))
    app.post("/form")(lambda: str(len(request.form)))
    app.post("/text")(lambda: TextIOWrapper(request.stream).read())

    def swallows() -> str:
        for _ in range(3):
            with contextlib.suppress(Exception):
                request.stream.read()
        return str(len(request.stream.read()))

    app.post("/swallow")(swallows)
    for path in ("/data", "/text", "/swallow"):
        body, status, headers = chunks(app, b"x" * 101, path)
        assert status.startswith("413"), path
        assert json.loads(b"".join(body))["request_id"] == headers["X-Request-Id"]
    assert [json.loads(line)["codes"] for line in log.read_text().splitlines()] == [["body.too_large"]] * 2 + [
        ["body.too_large"] * 4
    ]


def test_a_connection_that_ends_in_a_chunk_is_the_peers_fault(make_app: App) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("NoMoreData")  # as gunicorn's readers do

    app = make_app()
    app.post("/")(validate(body={})(lambda: "ok"))
    environ = EnvironBuilder(path="/", method="POST", content_type="application/json").get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ.update({"wsgi.input": Broken(), "wsgi.input_terminated": True})
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status.startswith("400")
    assert json.loads(b"".join(body))["code"] == "body.incomplete"
