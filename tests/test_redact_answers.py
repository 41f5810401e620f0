"""``@redact(response=...)``: what views answer leaves redacted, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    jsonify,
    make_response,
    request,
    send_file,
    stream_with_context,
)
from flask.views import MethodView

from flask_rampart import ConfigError, Rampart, Redactor, redact, require, validate
from flask_rampart.redaction import Custom, Hash, Keep, Mask, Redact

MAIL = "ada@example.com"
CARD = 4111111111111111
MARK = "[REDACTED:EMAIL_ADDRESS]"
DATA = {"user": {"email": MAIL, "nick": "ada"}, "cards": [CARD], "note": f"to {MAIL}", "n": 1.5}
CLEAN = {"user": {"email": MARK, "nick": "ada"}, "cards": ["[REDACTED:CREDIT_CARD]"], "note": f"to {MARK}", "n": 1.5}

App = Callable[..., Flask]


@pytest.fixture
def app(make_app: App) -> Flask:
    return make_app()


def refused(answer: Any, caplog: pytest.LogCaptureFixture, word: str) -> None:
    """500 as a problem, nothing of the view's answer in body or head, and a line in the log that says what to do."""
    assert answer.status_code == 500
    assert answer.get_json()["code"] == "response.invalid"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    told = answer.get_data(as_text=True) + str(answer.headers) + caplog.text
    # A request's number is of random hexadecimal digits, and now and then has her name in it.
    told = re.sub("[0-9a-f]{32}", "", told)
    assert MAIL not in told and "ada" not in told.replace("adata", "")
    assert word in caplog.text


@pytest.mark.parametrize(
    "view",
    [
        lambda: DATA,
        lambda: (DATA, 201),
        lambda: (DATA, 200, {"X-More": "1"}),
        lambda: jsonify(DATA),
        lambda: make_response(jsonify(DATA)),
        lambda: Response(json.dumps(DATA), mimetype="application/vnd.api+json"),
        lambda: Response(json.dumps(DATA).encode("utf-16"), mimetype="application/json"),
        lambda: Response([json.dumps(DATA).encode()], content_type="application/json"),
        lambda: Response(json.dumps(DATA).replace("@", "\\u0040"), mimetype="application/json"),
        lambda: (DATA, 418),
    ],
)
def test_json_is_redacted_by_value_whatever_the_view_returns(app: Flask, view: Any) -> None:
    app.get("/")(redact()(view))
    answer = app.test_client().get("/")
    assert answer.get_json() == CLEAN
    assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_lists_async_views_classes_and_blueprints_too(app: Flask) -> None:
    async def later() -> Any:
        return [MAIL]

    class Users(MethodView):
        decorators = [redact(response=True)]  # noqa: RUF012

        def get(self) -> Any:
            return [MAIL]

    below = Blueprint("below", __name__)
    below.get("/below")(lambda: [MAIL])
    Rampart().protect(below, redact())
    app.register_blueprint(below)
    app.get("/async")(redact()(later))
    app.add_url_rule("/class", view_func=Users.as_view("class"))
    client = app.test_client()
    for path in ("/async", "/class", "/below"):
        assert client.get(path).get_json() == [MARK], path


def test_text_is_redacted_as_text(app: Flask) -> None:
    kinds = ["text/html", "text/plain; charset=utf-16", "text/csv; charset=latin-1", "application/xml", "text/markdown"]

    @app.get("/<int:at>")
    @redact()
    def view(at: int) -> Response:
        kind = kinds[at]
        charset = kind.partition("charset=")[2] or "utf-8"
        return Response(f"café {MAIL}".encode(charset), content_type=kind)

    for at, kind in enumerate(kinds):
        answer = app.test_client().get(f"/{at}")
        assert answer.data.decode(kind.partition("charset=")[2] or "utf-8") == f"café {MARK}"
        assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_a_clean_answer_is_left_byte_for_byte(app: Flask) -> None:
    text = '{"b" : 1.10,\n "a": [1e2, "\\u00e9"] }'
    app.get("/")(redact()(lambda: Response(text, mimetype="application/json", headers={"ETag": '"x"'})))
    answer = app.test_client().get("/")
    assert answer.get_data(as_text=True) == text
    assert answer.headers["ETag"] == '"x"'


def test_paths_and_keys_say_what_becomes_of_a_member(app: Flask) -> None:
    rules = {"paths": {"/user/email": Mask(keep_last=4), "$.cards[*]": Redact()}, "keys": {"nick": "redact"}}
    app.get("/")(redact(response=rules)(lambda: DATA))
    assert app.test_client().get("/").get_json() == {
        "user": {"email": "***********.com", "nick": ""},
        "cards": [""],
        "note": f"to {MARK}",
        "n": 1.5,
    }


def test_a_redactor_of_ones_own_or_the_apps(make_app: App) -> None:
    app = make_app(RAMPART_REDACT={"operators": {"EMAIL_ADDRESS": {"type": "mask"}}})
    app.get("/app")(redact()(lambda: MAIL))
    app.get("/own")(redact(response=Redactor(operators={"DEFAULT": Redact()}))(lambda: MAIL))
    app.get("/both", endpoint="both")(
        redact(response={"redactor": Redactor(operators={"DEFAULT": Redact()}), "keys": {"a": Keep()}})(
            lambda: {"a": MAIL, "b": MAIL}
        )
    )
    client = app.test_client()
    assert client.get("/app").text == "*" * 15
    assert client.get("/own").text == ""
    assert client.get("/both").get_json() == {"a": MAIL, "b": ""}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (False, "is True"),
        (None, "is True"),
        ({}, "is True"),
        ("paths", "is True"),
        (1, "is True"),
        ({"path": {}}, "Did you mean paths?"),
        ({"paths": {"email": Redact()}}, "begins with /"),
        ({"keys": {"email": "hide"}}, "no operator"),
        ({"redactor": True}, "takes a Redactor"),
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_meant_is_refused_at_import(given: Any, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        redact(response=given)
    assert says in str(told.value)


def pieces() -> Iterator[str]:
    yield "ada@exam"
    yield "ple.com"


@pytest.mark.parametrize(
    ("view", "word"),
    [
        (lambda: Response(pieces(), mimetype="application/json"), "stream"),
        (lambda: Response(pieces(), mimetype="image/png"), "stream"),
        (lambda: Response(stream_with_context(pieces()), headers={"Content-Encoding": "gzip"}), "content coding"),
        (lambda: Response(pieces(), content_type="text/event-stream; charset=latin-1"), "charset"),
        (lambda: Response(pieces(), content_type="text/plain; charset=x-none"), "LookupError"),
        (lambda: Response(MAIL, mimetype="image/png"), "neither JSON nor text"),
        (lambda: Response(MAIL, mimetype="application/octet-stream"), "neither JSON nor text"),
        (lambda: Response(MAIL, content_type=""), "neither JSON nor text"),
        (lambda: Response(f'{{"a": "{MAIL}"', mimetype="application/json"), "says that it is JSON"),
        (lambda: Response("[" * 100_000, mimetype="application/json"), "says that it is JSON"),
        (lambda: Response(MAIL, headers={"Content-Encoding": "zstd"}), "content coding"),
        (lambda: Response(MAIL, headers={"Content-Encoding": "gzip"}), "content coding"),
        (lambda: Response(MAIL, headers={"Content-Encoding": "br"}), "content coding"),
        (lambda: Response(MAIL, headers={"Content-Encoding": "gzip, gzip"}), "content coding"),
        (lambda: Response(MAIL, content_type="text/plain; charset=x-none"), "charset"),
        (lambda: Response(b"\xff" + MAIL.encode(), content_type="text/plain; charset=utf-8"), "charset"),
        (lambda: Response("ada@example.com".encode("utf-16-le"), content_type="text/plain"), "charset"),
        # A range over half of a secret, and then one over the other half.
        (lambda: Response("ada@exam", 206, {"Content-Range": "bytes 0-7/15"}), "piece of a whole"),
        (lambda: send_file(io.BytesIO(b"\x89PNG" + MAIL.encode()), "image/png"), "neither JSON nor text"),
    ],
)
def test_what_cannot_be_redacted_does_not_leave(
    app: Flask, view: Any, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(redact()(view))
    refused(app.test_client().get("/", headers={"Range": "bytes=0-7"}), caplog, word)


def test_paths_hold_only_in_json_so_that_a_page_of_text_is_no_way_round_them(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(redact(response={"paths": {"/nick": "redact"}})(lambda: '{"nick": "ada"}'))
    app.get("/gone", endpoint="gone")(redact(response={"paths": {"/nick": "redact"}})(lambda: abort(410, MAIL)))
    refused(app.test_client().get("/"), caplog, "it is not JSON")
    # What goes wrong, and where it leads, has pages of its own.
    answer = app.test_client().get("/gone")
    assert answer.status_code == 410
    assert MAIL not in answer.text and "REDACTED" in answer.text


def test_what_fails_is_not_passed(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError(plaintext.decode())

        open = seal

    redactor = Redactor(operators={"DEFAULT": {"type": "encrypt", "vault": Away()}})
    app.get("/json")(redact(response=redactor)(lambda: {"a": MAIL}))
    app.get("/text", endpoint="text")(redact(response=redactor)(lambda: MAIL))
    for path in ("/json", "/text"):
        refused(app.test_client().get(path), caplog, "failed with OSError")


def test_an_apps_own_words_for_a_refusal_are_redacted_as_well(app: Flask) -> None:
    @app.errorhandler(500)
    def told(error: Any) -> Any:
        return Response(pieces(), 500) if request.args.get("stream") else (f"{error.code} for {MAIL}", 500)

    @app.after_request
    def more(response: Response) -> Response:
        if request.args.get("late"):
            response.response = pieces()
            response.headers.pop("Content-Length", None)
        return response

    app.get("/")(redact()(lambda: Response(pieces(), mimetype="application/json")))
    client = app.test_client()
    assert client.get("/").text == f"500 for {MARK}"
    for query in ("?stream=1", "?late=1", "?stream=1&late=1"):
        answer = client.get(f"/{query}")
        assert (answer.status_code, answer.text) == (500, MARK), query


def test_a_view_and_its_blueprint_that_say_the_same_are_one(app: Flask) -> None:
    redactor = Redactor(operators={"PASSWORD": Hash(b"k" * 32)})
    below = Blueprint("below", __name__)
    below.get("/")(
        redact(response=redactor)(
            redact(response={"redactor": redactor, "keys": {"x": "redact"}})(
                lambda: {"password": "hunter2secret", "x": "y"}
            )
        )
    )
    Rampart().protect(below, redact(response=redactor))
    app.register_blueprint(below)
    made = app.test_client().get("/").get_json()
    assert made == {"password": Hash(b"k" * 32).apply("hunter2secret", "PASSWORD"), "x": ""}


def test_it_is_told_once_a_minute_of_each_endpoint(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(redact()(lambda: Response("x", mimetype="image/png")))
    client = app.test_client()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert client.get("/").status_code == 500
    assert len([record for record in caplog.records if "held back" in record.getMessage()]) == 1


def test_no_member_hides_behind_another_of_its_name(app: Flask) -> None:
    # Of a name that is there twice, a parser sees the last; another one the first.
    app.get("/")(redact()(lambda: Response(f'{{"a": "{MAIL}", "a": "x"}}', mimetype="application/json")))
    answer = app.test_client().get("/")
    assert MAIL not in answer.text
    assert answer.get_json() == {"a": "x"}


def test_a_file_of_text_is_read_whole_and_closed(app: Flask) -> None:
    files: list[io.BytesIO] = []

    @app.get("/")
    @redact()
    def view() -> Response:
        files.append(io.BytesIO(f"to {MAIL}".encode()))
        return send_file(files[-1], "text/plain", conditional=False)

    answer = app.test_client().get("/")
    assert answer.text == f"to {MARK}"
    answer.close()
    assert files[0].closed


def test_compressed_answers_are_read(app: Flask) -> None:
    text = json.dumps(DATA).encode()

    @app.get("/<coding>")
    @redact()
    def view(coding: str) -> Response:
        data = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
        return Response(data, mimetype="application/json", headers={"Content-Encoding": coding})

    for coding in ("gzip", "deflate"):
        answer = app.test_client().get(f"/{coding}")
        assert answer.get_json() == CLEAN
        assert "Content-Encoding" not in answer.headers
        assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_what_after_request_functions_compress_and_tag_is_the_redacted_one(app: Flask) -> None:
    @app.after_request
    def compress(response: Response) -> Response:
        response.add_etag()
        response.set_data(gzip.compress(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
        return response

    operators = {"DEFAULT": Hash(b"k" * 32)}  # twice would be another value than once
    redactor = Redactor(operators=operators)
    app.get("/")(redact(response=redactor)(lambda: DATA))
    answer = app.test_client().get("/")
    assert answer.headers["Content-Encoding"] == "gzip"
    body = gzip.decompress(answer.data)
    assert json.loads(body) == redactor.redact(DATA)
    assert answer.headers["ETag"] == f'"{hashlib.sha1(body).hexdigest()}"'


def test_what_after_request_functions_put_in_is_redacted_as_well(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @app.after_request
    def more(response: Response) -> Response:
        how = request.args.get("how")
        if how == "data":
            response.set_data(json.dumps({"mail": MAIL}))
        elif how == "new":
            return Response(json.dumps([MAIL]), mimetype="application/json")
        elif how == "stream":
            response.response = iter([MAIL.encode()])
            response.headers.pop("Content-Length", None)
        elif how == "zstd":
            response.headers["Content-Encoding"] = "zstd"
            response.set_data(b"\x28\xb5\x2f\xfd" + MAIL.encode())
        return response

    app.get("/")(redact()(lambda: {"a": 1}))
    client = app.test_client()
    assert client.get("/").get_json() == {"a": 1}
    assert client.get("/?how=data").get_json() == {"mail": MARK}
    assert client.get("/?how=new").get_json() == [MARK]
    refused(client.get("/?how=stream"), caplog, "stream")
    refused(client.get("/?how=zstd"), caplog, "content coding")


def test_no_digest_of_what_was_hidden_leaves(app: Flask) -> None:
    @app.get("/")
    @redact()
    def view() -> Response:
        response = jsonify(pin=1234)
        response.add_etag()
        response.headers["Content-MD5"] = response.headers["Repr-Digest"] = response.headers["ETag"]
        return response

    answer = app.test_client().get("/")
    assert not {"Content-MD5", "Repr-Digest"} & {*answer.headers.keys()}
    assert answer.headers["ETag"] == f'"{hashlib.sha1(answer.data).hexdigest()}"'


def test_a_guess_of_what_was_hidden_is_not_confirmed_by_a_304(app: Flask) -> None:
    @app.get("/")
    @redact()
    def view() -> Any:
        response = make_response('{"pin":1234}')
        response.mimetype = "application/json"
        response.add_etag()
        return response.make_conditional(request)

    client = app.test_client()
    guesses = [hashlib.sha1(f'{{"pin":{pin}}}'.encode()).hexdigest() for pin in (1233, 1234)]
    answers = [client.get("/", headers={"If-None-Match": f'"{guess}"'}) for guess in guesses]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["ETag"] == answers[1].headers["ETag"]
    known = client.get("/", headers={"If-None-Match": answers[0].headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    for field in ("If-Match", "If-Range"):
        told = [
            (answer.status_code, answer.data)
            for guess in guesses
            for answer in [client.get("/", headers={field: f'"{guess}"', "Range": "bytes=0-3"})]
        ]
        assert told[0] == told[1] and told[0][0] in (200, 412), field
    assert client.get("/", headers={"If-Match": answers[0].headers["ETag"]}).status_code == 200


def test_a_view_that_answers_304_by_itself_is_not_asked(app: Flask) -> None:
    @app.get("/")
    @redact()
    def view() -> Any:
        tag = hashlib.sha1(MAIL.encode()).hexdigest()
        if tag in request.if_none_match:
            return "", 304
        return MAIL, 200, {"ETag": f'"{tag}"'}

    guess = hashlib.sha1(MAIL.encode()).hexdigest()
    assert app.test_client().get("/", headers={"If-None-Match": f'"{guess}"'}).text == MARK


def test_what_others_ask_is_left_alone(app: Flask) -> None:
    app.put("/")(redact()(lambda: str(request.if_match)))
    app.get("/open", endpoint="open")(lambda: f"{request.if_none_match} {request.range}")
    client = app.test_client()
    assert client.put("/", headers={"If-Match": '"x"'}).text == '"x"'
    assert client.get("/open", headers={"If-None-Match": '"x"', "Range": "bytes=0-7"}).text == '"x" bytes=0-7'


def test_a_file_of_text_is_the_whole_whatever_piece_is_asked_for(app: Flask) -> None:
    app.get("/")(redact()(lambda: send_file(io.BytesIO(MAIL.encode()), "text/plain", etag="x")))
    answer = app.test_client().get("/", headers={"Range": "bytes=0-7"})
    assert (answer.status_code, answer.text) == (200, MARK)
    assert "Content-Range" not in answer.headers and "Accept-Ranges" not in answer.headers


def test_head_says_what_get_says(app: Flask) -> None:
    app.get("/")(redact()(lambda: DATA))
    client = app.test_client()
    head, get = client.head("/"), client.get("/")
    assert head.data == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.data))


def test_answers_without_a_body_pass(app: Flask) -> None:
    app.get("/")(redact()(lambda: ("", 204)))
    app.get("/not", endpoint="not")(redact(response={"keys": {"a": "redact"}})(lambda: ("", 304)))
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/", "/not")] == [204, 304]
    assert client.options("/").status_code == 200


def test_refusals_of_ours_pass_as_they_are(app: Flask) -> None:
    app.post("/")(redact(response={"keys": {"detail": "redact"}})(require()(lambda: "x")))
    app.post("/body", endpoint="body")(
        redact(response={"keys": {"code": "redact"}})(validate(body={"type": "object"})(lambda: "x"))
    )
    client = app.test_client()
    answer = client.post("/")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "auth.missing")
    assert answer.get_json()["detail"] == "This resource needs a credential."
    assert client.post("/body", json=[]).get_json()["code"] == "body.invalid"


def test_what_the_apps_own_error_handlers_say_is_redacted(app: Flask) -> None:
    @app.errorhandler(ValueError)
    def told(error: ValueError) -> Any:
        return {"error": str(error)}, 400

    @app.get("/")
    @redact()
    def view() -> Any:
        raise ValueError(f"no such user: {MAIL}")

    assert app.test_client().get("/").get_json() == {"error": f"no such user: {MARK}"}


def test_an_error_page_is_not_sent_in_clear_where_its_own_after_request_fails(make_app: App) -> None:
    # Flask then sends what it had before it called them.
    app = make_app(PROPAGATE_EXCEPTIONS=False, TESTING=False)

    @app.errorhandler(500)
    def told(error: Any) -> Any:
        if request.args.get("stream"):
            return Response(pieces(), 500)
        return f"for {MAIL}: {error.original_exception}", 500

    @app.after_request
    def broken(response: Response) -> Response:
        raise RuntimeError("broken")

    @app.get("/")
    @redact()
    def view() -> Any:
        raise ValueError(MAIL)

    for path in ("/", "/?stream=1"):
        answer = app.test_client().get(path)
        assert answer.status_code == 500
        assert MAIL not in answer.text


def test_a_view_that_calls_a_redacted_view_answers_redacted(app: Flask) -> None:
    @redact()
    def inner() -> Any:
        return {"mail": MAIL}

    app.get("/")(lambda: {"of": inner(), "more": MAIL})
    app.get("/open", endpoint="open")(lambda: MAIL)
    assert app.test_client().get("/").get_json() == {"of": {"mail": MARK}, "more": MARK}
    assert app.test_client().get("/open").text == MAIL


def test_a_promised_shape_is_judged_as_the_answer_leaves(app: Flask) -> None:
    shape = {"type": "object", "properties": {"mail": {"type": "string"}}, "required": ["mail"]}
    app.get("/")(redact()(validate(response=shape, response_mode="enforce")(lambda: {"mail": MAIL})))
    app.get("/bad", endpoint="bad")(redact()(validate(response=shape, response_mode="enforce")(lambda: {"m": MAIL})))
    client = app.test_client()
    assert client.get("/").get_json() == {"mail": MARK}
    assert client.get("/bad").get_json()["code"] == "response.invalid"


def test_an_app_without_rampart_answers_nothing() -> None:
    app = Flask(__name__)
    app.get("/")(redact()(lambda: MAIL))
    answer = app.test_client().get("/")
    assert answer.status_code == 503 and MAIL not in answer.text


def test_an_operator_is_applied_once(app: Flask) -> None:
    seen: list[str] = []

    def note(value: str) -> str:
        seen.append(value)
        return "-"

    app.get("/")(redact(response=Redactor(operators={"DEFAULT": Custom(note)}))(lambda: make_response({"a": MAIL})))
    assert app.test_client().get("/").get_json() == {"a": "-"}
    assert seen == [MAIL]


def test_what_a_failing_after_request_function_left_of_an_errors_answer_does_not_leave(app: Flask) -> None:
    # Flask sends the answer to an error even where it failed to process it: with what was done to it before.
    @app.get("/")
    @redact()
    def view() -> Any:
        @after_this_request
        def leak(response: Response) -> Response:
            response.set_data(f"leak {MAIL}")
            response.set_etag(hashlib.sha256(MAIL.encode()).hexdigest())
            return response

        @after_this_request
        def fail(response: Response) -> Response:
            raise LookupError("no")

        return str(1 / 0)

    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert MAIL not in answer.get_data(as_text=True)
    assert "ETag" not in answer.headers


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_without_body_tells_no_hash_and_no_length_of_one(app: Flask, method: str) -> None:
    @app.route("/", methods=["GET", "HEAD"], provide_automatic_options=False)
    @redact()
    def view() -> Any:
        response = Response("", mimetype="text/plain")
        response.set_etag(hashlib.sha256(MAIL.encode()).hexdigest())
        response.headers["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT"
        response.headers["Content-MD5"] = "abc"
        response.headers["Content-Length"] = "1234" if request.method == "HEAD" else "0"
        return response

    answer = app.test_client().open("/", method=method)
    assert answer.status_code == 200
    assert not {"ETag", "Last-Modified", "Content-MD5"} & set(answer.headers.keys())
    assert answer.headers.get("Content-Length", "0") == "0"


def test_a_query_learns_from_no_304_that_a_guess_was_right(app: Flask) -> None:
    @app.route("/", methods=["QUERY"])
    @redact()
    def view() -> Any:
        assert "If-None-Match" not in request.headers
        response = jsonify(DATA)
        response.add_etag()
        return response.make_conditional(request)

    tag = Response(json.dumps(DATA))
    tag.add_etag()
    answer = app.test_client().open("/", method="QUERY", headers={"If-None-Match": tag.headers["ETag"]})
    assert answer.status_code == 200
    assert answer.get_json() == CLEAN


@pytest.mark.parametrize("kind", ["Application/JSON", "TEXT/PLAIN", "Application/Problem+JSON", "Text/Event-Stream"])
def test_a_media_type_is_the_same_in_any_case(app: Flask, kind: str) -> None:
    """RFC 9110 section 8.3.1."""
    said = json.dumps(DATA) if "json" in kind.lower() else f"data: {MAIL}\n\n"
    app.get("/")(redact()(lambda: Response(said, content_type=kind)))
    answer = app.test_client().get("/")
    assert answer.status_code == 200 and MAIL not in answer.text and MARK in answer.text


def test_an_answer_that_views_share_is_not_emptied_for_the_others(app: Flask) -> None:
    shared = Response(b"\x89PNG", mimetype="image/png")

    @app.get("/redacted")
    @redact()
    def redacted() -> Any:
        return shared

    @app.get("/plain")
    def plain() -> Any:
        return shared

    client = app.test_client()
    assert client.get("/redacted").status_code == 500
    answer = client.get("/plain")
    assert (answer.status_code, answer.data) == (200, b"\x89PNG")
