"""Bounds of a route's own, larger or smaller than the app's, before a byte of a body is read."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from flask.views import MethodView
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import (
    ConfigError,
    Rampart,
    bounds,
    limit,
    require,
    validate,
    validated,
)

from .conftest import bearer
from .test_bounds_head import ask, code
from .test_codings import send

App = Callable[..., Flask]


def post(
    app: Flask, path: str, data: bytes, content_type: str = "application/json", **more: Any
) -> tuple[int, Any, Any]:
    return send(app, data, None, path, content_type=content_type, **more)[:3]


def large(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app(RAMPART_MAX_BODY=1000, RAMPART_MAX_QUERY=100, RAMPART_REQUEST_CODINGS="gzip")

    app.post("/plain")(lambda: jsonify(len(request.get_json())))
    app.post("/large")(bounds(max_body=5000)(lambda: jsonify(len(request.get_json()))))
    app.post("/small")(bounds(max_body=100)(lambda: jsonify(len(request.get_json()))))
    app.post("/data")(bounds(max_body=5000)(lambda: jsonify(len(request.get_data()))))
    app.post("/form")(bounds(max_body=5000)(lambda: jsonify({k: len(v) for k, v in request.form.items()})))
    app.post("/checked")(
        bounds(max_body=5000)(validate(body={"maxLength": 9000})(lambda: jsonify(len(validated.body))))
    )
    app.post("/unread")(lambda: "not read")
    return app


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize(
    ("path", "bound"), [("/plain", 1000), ("/large", 5000), ("/small", 100), ("/data", 5000), ("/checked", 5000)]
)
def test_a_route_has_its_own_bound_on_bodies_larger_or_smaller(
    app: Flask, path: str, bound: int, chunked: bool
) -> None:
    assert post(app, path, large(bound), chunked=chunked)[0] == 200
    status, document, headers = post(app, path, large(bound + 1), chunked=chunked)
    assert (status, document["code"]) == (413, "body.too_large")
    assert document["request_id"] == headers["X-Request-Id"]
    # And so a body that came coded.
    coded = gzip.compress(large(bound))
    assert send(app, coded, "gzip", path, chunked=chunked)[0] == 200
    assert send(app, gzip.compress(large(bound + 1)), "gzip", path, chunked=chunked)[0] == 413


def test_a_form_has_the_bound_of_its_route(app: Flask) -> None:
    urlencoded = "application/x-www-form-urlencoded"
    for chunked in (False, True):
        assert post(app, "/form", b"a=" + b"b" * 4998, urlencoded, chunked=chunked)[1] == {"a": 4998}
        assert post(app, "/form", b"a=" + b"b" * 4999, urlencoded, chunked=chunked)[0] == 413


def test_a_declared_body_that_is_too_large_is_refused_with_not_a_byte_read(app: Flask) -> None:
    for path, size in (("/plain", 1001), ("/unread", 1001), ("/small", 101), ("/large", 5001), ("/no-such", 1001)):
        status, document, _, source = send(app, large(size), None, path)
        assert (status, document["code"], source.reads) == (413, "body.too_large", 0), path
    # Within the app's own bound, a path that is not there is not there.
    assert send(app, large(1000), None, "/no-such")[0] == 404


def test_the_first_request_of_all_already_meets_the_bounds_of_its_route(app: Flask) -> None:
    assert post(app, "/large", large(5000))[0] == 200


def test_who_reads_before_the_route_is_known_to_take_so_much_is_refused(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=1000)
    app.post("/large")(bounds(max_body=5000)(lambda: jsonify(len(request.get_data()))))
    app.post("/plain")(lambda: "plain")
    read: list[Any] = []
    app.url_value_preprocessor(lambda endpoint, values: read.append(len(request.get_data())))
    status, _, _, source = send(app, large(1001), None, "/plain")
    assert (status, source.reads, read) == (413, 0, [])


def test_a_body_shorter_than_its_large_declaration_is_incomplete(app: Flask) -> None:
    for path in ("/large", "/data", "/checked"):
        answer = post(app, path, large(2000), declared=2001)
        assert code(answer) == (400, "body.incomplete"), path


def test_a_smaller_bound_stands_before_credentials(make_app: App, token: Any) -> None:
    app = make_app()
    app.post("/")(require("jwt")(bounds(max_body=10, content_types="text/plain")(lambda: "ok")))
    assert code(post(app, "/", large(11))) == (413, "body.too_large")
    assert code(post(app, "/", b"{}")) == (415, "body.media_type")
    assert code(post(app, "/", b"{}", "text/plain")) == (401, "auth.missing")
    client = app.test_client()
    assert client.post("/", data="{}", content_type="text/plain", headers=bearer(token())).status_code == 200


def test_a_route_has_its_own_bounds_on_json(make_app: App) -> None:
    app = make_app(RAMPART_JSON_MAX_DEPTH=5, RAMPART_JSON_MAX_KEYS=5, RAMPART_JSON_MAX_DIGITS=5)
    own = bounds(json_max_depth=8, json_max_keys=3, json_max_digits=9)
    app.post("/own")(own(lambda: jsonify(request.get_json())))
    app.post("/silent")(own(lambda: jsonify(request.get_json(silent=True, force=True))))
    app.post("/checked")(own(validate(body={})(lambda: jsonify(validated.body))))
    twice = own(validate(body={})(lambda: jsonify(validated.body)))
    app.post("/twice")(validate(body={"type": "array"}, unknown="ignore")(twice))
    app.post("/plain")(lambda: jsonify(request.get_json()))
    app.post("/plain-checked")(validate(body={})(lambda: jsonify(validated.body)))

    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    for path in ("/own", "/silent", "/checked", "/twice"):
        assert post(app, path, nested(8))[0] == 200, path
        assert code(post(app, path, nested(9))) == (400, "json.too_deep"), path
        assert post(app, path, b"[" + b"9" * 9 + b"]")[0] == 200
        assert code(post(app, path, b"[" + b"9" * 10 + b"]")) == (400, "json.number_too_long")
        assert code(post(app, path, b'[{"a":1,"b":2,"c":3,"d":4}]')) == (400, "json.too_many_keys")
    for path in ("/plain", "/plain-checked"):
        assert post(app, path, nested(5))[0] == 200
        assert code(post(app, path, nested(6))) == (400, "json.too_deep")
        assert post(app, path, b'{"a":1,"b":2,"c":3,"d":4,"e":5}')[0] == 200


TYPES = [
    ("application/json", True),
    ("APPLICATION/JSON", True),
    ("application/json; charset=utf-8", True),
    ("application/json;charset=latin-1;x=y", True),
    (" application/json ;", True),
    ("image/png", True),
    ("image/svg+xml", True),
    ("", False),
    ("text/plain", False),
    ("application/jsonp", False),
    ("application/vnd.api+json", False),
    ("application/json, text/plain", False),
    ("text/plain, application/json", False),
    ("text/plain; x=application/json", False),
    ("image/*", False),
    ("*/*", False),
    ("image/", False),
    ("image/png, image/gif", False),
    ("image", False),
    ("application / json", False),
    ("imagex/png", False),
    ("image/p ng", False),
    ("\u212afoo/bar", False),
]


@pytest.mark.parametrize(("content_type", "taken"), TYPES, ids=lambda value: repr(value))
def test_a_body_is_of_a_type_that_the_route_takes(make_app: App, content_type: str, taken: bool) -> None:
    app = make_app()
    app.post("/")(bounds(content_types=("application/json", "image/*"))(lambda: "ok"))
    for chunked in (False, True):
        status, document, headers, source = send(app, b"{}", None, content_type=content_type, chunked=chunked)
        if taken:
            assert status == 200
        else:
            assert (status, document["code"], source.reads) == (415, "body.media_type", 0)
            # RFC 9110 section 15.5.16.
            assert headers.getlist("Accept") == ["application/json, image/*"]


def test_any_type_may_be_taken_that_is_stated_and_a_request_without_a_body_has_none(make_app: App) -> None:
    app = make_app()
    app.route("/", methods=["GET", "POST", "DELETE"])(bounds(content_types="*/*")(lambda: "ok"))
    assert post(app, "/", b"x", "anything/at-all")[0] == 200
    assert post(app, "/", b"x", "")[0] == 415
    assert post(app, "/", b"", "")[0] == 200
    for method in ("GET", "DELETE", "OPTIONS"):
        assert app.test_client().open("/", method=method).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize("coding", [None, "gzip"], ids=["plain", "coded"])
def test_a_request_that_says_no_length_has_no_body_and_so_no_type(
    make_app: App, method: str, coding: str | None
) -> None:
    # gunicorn says of every request that its input ends by itself, also of a GET.
    app = make_app(RAMPART_REQUEST_CODINGS="gzip")
    typed = bounds(content_types="application/json")(lambda: jsonify(len(request.get_data())))
    app.add_url_rule("/", "typed", typed, methods=["GET", "DELETE", "POST"])
    fields: dict[str, Any] = {"wsgi.input_terminated": True, "SERVER_PROTOCOL": "HTTP/1.1"}
    if coding:
        fields["HTTP_CONTENT_ENCODING"] = coding

    def sent(data: bytes, **more: Any) -> tuple[int, Any]:
        environ = EnvironBuilder(path="/", method=method).get_environ()
        environ.pop("CONTENT_LENGTH", None)
        environ.update({"wsgi.input": BytesIO(data), **fields, **more})
        body, status, _ = run_wsgi_app(app, environ, buffered=True)
        text = b"".join(body)
        return int(status[:3]), text and json.loads(text)

    for said in ({}, {"CONTENT_TYPE": "text/plain"}, {"CONTENT_TYPE": "application/json"}):
        assert sent(b"", **said)[0] == 200
        # None of a body that has no way to be there is read, of whatever type.
        assert sent(gzip.compress(b"sneaked in"), **said)[0] in (400, 413)
    # Of HTTP/2, which needs no field for a body, it is not known.
    assert sent(b"", SERVER_PROTOCOL="HTTP/2")[0] == 200
    assert sent(b"", SERVER_PROTOCOL="HTTP/2", CONTENT_TYPE="text/plain")[0] == 415
    assert sent(gzip.compress(b"2") if coding else b"2", SERVER_PROTOCOL="HTTP/2", CONTENT_TYPE="application/json") == (
        200,
        b"" if method == "HEAD" else 1,
    )


def test_what_was_read_before_the_route_was_known_counts_against_its_bound(app: Flask) -> None:
    read: list[bytes] = []
    app.url_value_preprocessor(lambda endpoint, values: read.append(request.stream.read(101)))
    app.add_url_rule("/kept", "kept", bounds(max_body=100)(lambda: jsonify(len(read.pop()))), methods=["POST"])
    assert code(post(app, "/kept", large(101), chunked=True)) == (413, "body.too_large")
    assert send(app, gzip.compress(large(101)), "gzip", "/kept", chunked=True)[0] == 413
    read.clear()
    assert post(app, "/kept", large(100), chunked=True)[:2] == (200, 100)


def test_a_route_has_its_own_bound_on_queries_larger_or_smaller(make_app: App) -> None:
    app = make_app(RAMPART_MAX_QUERY=100)
    app.get("/plain")(lambda: "ok")
    app.get("/large")(bounds(max_query=500)(lambda: request.args["q"]))
    app.get("/none")(bounds(max_query=0)(lambda: "ok"))
    for path, bound in (("/plain", 100), ("/large", 500)):
        assert ask(app, path, query="q=" + "x" * (bound - 2))[0] == 200
        assert code(ask(app, path, query="q=" + "x" * (bound - 1))) == (414, "query.too_long")
    assert ask(app, "/none")[0] == 200
    assert ask(app, "/none", query="q")[0] == 414
    assert ask(app, "/no-such", query="q" * 101)[0] == 414
    assert ask(app, "/no-such", query="q" * 100)[0] == 404
    assert ask(app, "/large", query="q" * 101, method="POST")[0] == 414  # a method that it does not have


def test_several_on_one_view_all_hold(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=1000)
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    rampart = Rampart()

    def add(name: str, *guards: bounds) -> None:
        def view() -> Any:
            return jsonify(len(request.get_data()))

        for guard in guards:
            view = guard(view)
        blueprint.add_url_rule(f"/{name}", name, view, methods=["POST"])

    add("same")
    add("larger", bounds(max_body=9000))
    add("smaller", bounds(max_body=50))
    add(
        "types",
        bounds(content_types=("image/png", "image/gif")),
        bounds(content_types=("image/gif", "text/plain")),
    )
    rampart.protect(blueprint, bounds(max_body=3000))
    app.register_blueprint(blueprint)
    # A blueprint's word is not taken back by one of its views, like that of other guards.
    for path, bound in (("/api/same", 3000), ("/api/larger", 3000), ("/api/smaller", 50)):
        assert post(app, path, large(bound))[0] == 200, path
        assert post(app, path, large(bound + 1))[0] == 413, path
    for content_type, status in (("image/gif", 200), ("image/png", 415), ("text/plain", 415)):
        assert post(app, "/api/types", b"GIF", content_type)[0] == status


def test_methods_of_a_view_class_have_bounds_of_their_own(make_app: App) -> None:
    class Item(MethodView):
        @bounds(max_body=5000)
        def put(self) -> Any:
            return jsonify(len(request.get_data()))

        def post(self) -> Any:
            return jsonify(len(request.get_data()))

    app = make_app(RAMPART_MAX_BODY=1000)
    app.add_url_rule("/", view_func=Item.as_view("item"))
    client = app.test_client()
    assert client.put("/", data=large(5000)).status_code == 200
    assert client.post("/", data=large(1001)).status_code == 413


def test_a_view_that_calls_a_view_is_held_to_the_bounds_of_both(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=1000)

    @bounds(max_body=100)
    def inner() -> Any:
        return jsonify(len(request.get_data()))

    @app.post("/outer")
    @bounds(max_body=5000)
    def outer() -> Any:
        return inner()

    @app.post("/first")
    @bounds(max_body=5000)
    def first() -> Any:
        request.get_data()
        return inner()

    for path in ("/outer", "/first"):
        assert post(app, path, large(100))[0] == 200
        assert post(app, path, large(101))[0] == 413
        assert post(app, path, large(101), chunked=True)[0] == 413


def test_a_bound_that_the_app_sets_on_a_request_holds_in_every_way_to_read_it(app: Flask) -> None:
    # Flask 3.1 lets an app say `request.max_content_length`; a larger one than ours does not count.
    def narrow() -> None:
        request.max_content_length = int(request.headers["X-Most"])

    app.before_request(narrow)

    def read(path: str, size: int, most: int, chunked: bool, coded: bool) -> int:
        environ = EnvironBuilder(path=path, method="POST", headers={"X-Most": str(most)}).get_environ()
        data = gzip.compress(large(size)) if coded else large(size)
        environ.update({"wsgi.input": BytesIO(data), "CONTENT_TYPE": "application/json"})
        if coded:
            environ["HTTP_CONTENT_ENCODING"] = "gzip"
        if chunked:
            environ.pop("CONTENT_LENGTH", None)
            environ.update({"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})
        else:
            environ["CONTENT_LENGTH"] = str(len(data))
        return int(run_wsgi_app(app, environ, buffered=True)[1][:3])

    for chunked in (False, True):
        for coded in (False, True):
            for path, own in (("/plain", 1000), ("/large", 5000), ("/data", 5000), ("/checked", 5000)):
                if path != "/checked":  # validated before the app says anything
                    assert read(path, 200, 200, chunked, coded) == 200, path
                    assert read(path, 201, 200, chunked, coded) == 413, (path, chunked, coded)
                assert read(path, own + 1, 9000, chunked, coded) == 413, path


def test_an_error_handler_words_the_refusal_of_a_body_that_the_edge_let_through(app: Flask) -> None:
    app.register_error_handler(413, lambda error: (f"own words: {error.problem.code}", 413))
    for path in ("/plain", "/small", "/no-such"):
        assert post(app, path, large(1001))[:2] == (413, "own words: body.too_large"), path


def test_a_mounted_app_never_reads_more_than_the_apps_own_bound(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=1000, rampart=False)
    inner = app.wsgi_app
    seen: list[int] = []

    def mounted(environ: Any, start: Any) -> Any:
        if environ["PATH_INFO"] != "/mounted":
            return inner(environ, start)
        seen.append(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start("200 OK", [])
        return [b""]

    app.wsgi_app = mounted  # type: ignore[method-assign]
    app.config.update(RAMPART_MAX_BODY=1000, RAMPART_ACCESS_LOG="off")
    Rampart(app)
    app.post("/large")(bounds(max_body=5000)(lambda: "ok"))
    assert post(app, "/large", large(5000))[0] == 200
    with pytest.raises(Exception, match="413"):
        post(app, "/mounted", large(1001))
    assert seen == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "bounds nothing"),
        ({"max_body": 0}, "from 1 to"),
        ({"max_body": 1024**3 + 1}, "from 1 to 1073741824"),
        ({"max_body": "1MB"}, "a whole number of bytes"),
        ({"max_body": True}, "a whole number"),
        ({"max_body": 1.5}, "a whole number"),
        ({"max_query": -1}, "from 0 to"),
        ({"json_max_depth": 256}, "from 1 to 255"),
        ({"json_max_keys": 0}, "from 1 to"),
        ({"json_max_digits": 4301}, "from 1 to 4300"),
        ({"content_types": ()}, "at least one"),
        ({"content_types": ""}, "no media type"),
        ({"content_types": "json"}, "no media type"),
        ({"content_types": ("application/json", 5)}, "no media type"),
        ({"content_types": "application/json; charset=utf-8"}, "Leave the parameters away"),
        ({"content_types": "*/json"}, "no media type"),
        ({"content_types": "application/*+json"}, "no media type"),
        ({"content_types": "application/json\n"}, "no media type"),
        ({"content_types": "application/json, text/plain"}, "no media type"),
        ({"content_types": {"application/json": 1}}, "at least one"),
    ],
    ids=str,
)
def test_bounds_that_cannot_be_meant_are_the_developers_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bounds(**given)


def test_a_schema_is_compiled_under_the_bounds_of_its_route_before_the_first_request(make_app: App) -> None:
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.post("/")(bounds(json_max_depth=3)(validate(body={"type": "strin"})(lambda: "ok")))
    app.get("/other")(lambda: "ok")
    with pytest.raises(ConfigError, match="type"):
        app.test_client().get("/other")


def test_of_guards_at_arrival_the_nearest_to_the_view_is_asked_first(make_app: App) -> None:
    app = make_app()
    app.post("/free")(limit("2/minute")(bounds(max_body=10)(lambda: "ok")))
    app.post("/counted")(bounds(max_body=10)(limit("2/minute")(lambda: "ok")))
    assert [post(app, "/free", large(11))[0] for _ in range(4)] == [413] * 4
    assert [post(app, "/counted", large(11))[0] for _ in range(4)] == [413, 413, 429, 429]


def test_threads_that_bind_and_read_at_once_are_held_to_the_same_bounds(app: Flask) -> None:
    found: list[int] = []
    barrier = threading.Barrier(8)

    def one(number: int) -> None:
        barrier.wait(10)
        for _ in range(20):
            path, size = [("/large", 5000), ("/large", 5001), ("/plain", 1001), ("/small", 101)][number % 4]
            found.append((path, size, post(app, path, large(size))[0]))  # type: ignore[arg-type]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {("/large", 5000, 200), ("/large", 5001, 413), ("/plain", 1001, 413), ("/small", 101, 413)}
