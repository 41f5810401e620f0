"""Inputs that crash stock Flask, or that two readers take in two ways: never a 5xx, and the same in every way to read.

Each body and each oddity of a request's head is sent to a view of each kind. Sources: what stock Flask 3.1.3 does with
them (duplicate keys, NaN and UTF-16 are accepted, depth is a 500), JSONTestSuite's `n_` and `i_` cases, RFC 8259,
CVE-2024-27454 (recursion), RFC 9112 section 6.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import Rampart, bounds, validate, validated

from .serving import serving

ROOM = 4 * 1024 * 1024


def _data_then_json() -> Any:
    request.data  # noqa: B018 - reads it
    return request.get_json()


def _text_then_json() -> Any:
    request.get_data(as_text=True)
    return request.get_json(cache=False)


def _form_then_json() -> Any:
    request.form.to_dict()
    request.files.to_dict()
    return request.json


READERS: dict[str, Callable[[], Any]] = {
    "get_json": lambda: request.get_json(),
    "force": lambda: request.get_json(force=True),
    "silent": lambda: request.get_json(silent=True),
    "silent-force": lambda: request.get_json(silent=True, force=True),
    "json": lambda: request.json,
    "data": _data_then_json,
    "text": _text_then_json,
    "form": _form_then_json,
}
GUARDED = {
    "validate": lambda: validated.body,
    "validate-then-json": lambda: request.get_json(),
    "bounds": lambda: request.get_json(),
}
WAYS = (*READERS, *GUARDED)


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_MAX_BODY=ROOM)
    Rampart(app)
    for name, read in {**READERS, **GUARDED}.items():

        def view(read: Callable[[], Any] = read) -> Any:
            return jsonify(got=read())

        if name.startswith("validate"):
            view = validate(body={})(view)
        if name == "bounds":
            view = bounds(max_body=ROOM + 1, json_max_depth=65)(view)
        app.add_url_rule(f"/{name}", name, view, methods=["POST"])
    return app


def ask(app: Flask, way: str, data: bytes, **environ: Any) -> tuple[int, Any]:
    """Status, and the problem's code or what the view has got. A member of *environ* that is None is left out."""
    made = EnvironBuilder(path=f"/{way}", method="POST").get_environ()
    made.update({"wsgi.input": BytesIO(data), "CONTENT_LENGTH": str(len(data)), "CONTENT_TYPE": "application/json"})
    made.update(environ)
    made = {name: value for name, value in made.items() if value is not None}
    body, status, headers = run_wsgi_app(app, made, buffered=True)
    document = json.loads(b"".join(body))
    if status[:3] != "200":
        assert headers["Content-Type"] == "application/problem+json"
        return int(status[:3]), document["code"]
    return 200, document["got"]


DEEP = 1_000_000
REFUSED: list[tuple[str, bytes, str]] = [
    ("a key twice", b'{"a":1,"a":2}', "json.duplicate_key"),
    ("a key twice, once escaped", b'{"a":1,"\\u0061":2}', "json.duplicate_key"),
    ("a key twice, inside", b'[{"b":{"a":1,"a":1}}]', "json.duplicate_key"),
    ("NaN", b"[NaN]", "json.non_finite"),
    ("Infinity", b"Infinity", "json.non_finite"),
    ("-Infinity", b'{"a":-Infinity}', "json.non_finite"),
    ("1e999", b"1e999", "json.non_finite"),
    ("-1e999", b"[-1e999]", "json.non_finite"),
    ("a huge exponent", b"1e" + b"9" * 300, "json.non_finite"),
    ("a lone surrogate, escaped", b'"\\ud800"', "json.surrogate"),
    ("surrogates in the wrong order", b'"\\udc00\\ud800"', "json.surrogate"),
    ("a lone surrogate as a key", b'{"\\udfff":1}', "json.surrogate"),
    ("a lone surrogate, encoded", b'"\xed\xa0\x80"', "json.surrogate"),
    ("surrogates, each encoded (CESU-8)", b'"\xed\xa0\xbd\xed\xb8\x80"', "json.surrogate"),
    ("UTF-8 with a mark", b'\xef\xbb\xbf{"a":1}', "json.encoding"),
    *((f"{name} with a mark", '{"a":1}'.encode(name), "json.encoding") for name in ("utf-16", "utf-32")),
    *(
        (f"{name} without a mark", '{"a":1}'.encode(name), "json.encoding")
        for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    ),
    ("Latin-1", b'"\xe9"', "json.encoding"),
    ("overlong UTF-8", b'"\xc0\xaf"', "json.encoding"),
    ("overlong NUL", b'"\xc0\x80"', "json.encoding"),
    ("UTF-8 that is cut", b'"\xf0\x9f\x98"', "json.encoding"),
    ("beyond Unicode", b'"\xf4\x90\x80\x80"', "json.encoding"),
    ("990 objects deep", b'{"a":' * 990 + b"1" + b"}" * 990, "json.too_deep"),
    ("990 arrays deep", b"[" * 990 + b"]" * 990, "json.too_deep"),
    ("100,000 arrays deep", b"[" * 100_000 + b"]" * 100_000, "json.too_deep"),
    ("100,000 objects deep", b'{"":' * 100_000 + b"1" + b"}" * 100_000, "json.too_deep"),
    ("a million arrays deep", b"[" * DEEP + b"]" * DEEP, "json.too_deep"),
    ("a million arrays, never closed", b"[" * DEEP, "json.too_deep"),
    ("a million arrays and objects", b'[{"":' * (DEEP // 2), "json.too_deep"),
    ("5,000 digits", b"9" * 5000, "json.number_too_long"),
    ("-5,000 digits", b"[-" + b"1" * 5000 + b"]", "json.number_too_long"),
    ("5,000 decimals", b"0." + b"1" * 5000, "json.number_too_long"),
    ("an exponent of 5,000 digits", b"1e-" + b"9" * 5000, "json.number_too_long"),
    ("10,001 members", json.dumps(dict.fromkeys(map(str, range(10_001)))).encode(), "json.too_many_keys"),
    ("nothing", b"", "json.malformed"),
    ("white space", b" \t\r\n", "json.malformed"),
    ("other white space", b"\x0c[]", "json.malformed"),
    ("a NUL byte", b"\0", "json.encoding"),  # as UTF-16 would begin
    ("NUL bytes behind", b'{"a":1}\0\0', "json.malformed"),
    ("a NUL in a text", b'"a\0b"', "json.malformed"),
    ("two documents", b'{"a":1}{"a":1}', "json.malformed"),
    ("lines of documents", b'{"a":1}\n{"a":2}', "json.malformed"),
    ("a comma too many", b"[1,]", "json.malformed"),
    ("a comment", b"[1] // x", "json.malformed"),
    ("single quotes", b"{'a':1}", "json.malformed"),
    ("a leading zero", b"[01]", "json.malformed"),
    ("a plus", b"[+1]", "json.malformed"),
    ("no digit behind the point", b"[1.]", "json.malformed"),
    ("hexadecimal", b"[0x1]", "json.malformed"),
    ("another script's digits", "[\u0661]".encode(), "json.malformed"),
    ("an unknown escape", b'"\\x41"', "json.malformed"),
    ("True", b"[True]", "json.malformed"),
    ("not closed", b'{"a":', "json.malformed"),
    ("too large", b'"' + b"x" * (ROOM - 1) + b'"', "body.too_large"),
]


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_crashes_or_confuses_is_refused_in_every_way_to_read(app: Flask, data: bytes, code: str) -> None:
    for way in WAYS:
        found = ask(app, way, data)
        if way.startswith("silent") and code == "json.malformed":
            # As in stock Flask: what is no JSON is None. What it takes for something else is refused all the same.
            assert found == (200, None), way
        elif way.startswith("silent") and code == "json.encoding":
            assert found in ((200, None), (400, code)), way
        elif way == "bounds" and code == "body.too_large":
            assert found[0] == 200, way
        else:
            assert found == (413 if code == "body.too_large" else 400, code), way
        if code != "body.too_large":
            # Sent in chunks, and what was put off until its end, all the same.
            assert ask(app, way, data, CONTENT_LENGTH=None, **{"wsgi.input_terminated": True}) == found, way


@pytest.mark.parametrize(
    "value",
    [
        {"__proto__": {"admin": True}, "constructor": {"prototype": 1}},
        {"": {"\0": "\0"}},
        {"a": "\U0001f600\ufffe\u202e", "\u00e9": "e\u0301"},
        10**308,
        -(10**308),
        [1e308, -1e-308, 5e-324, 0.1],
        None,
        False,
        0,
        "",
        [],
        "x" * 100_000,
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_odd_and_right_is_read_as_it_is_in_every_way(app: Flask, value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        for way in WAYS:
            assert ask(app, way, text.encode()) == (200, value), way


def test_nesting_up_to_the_bound_is_read(app: Flask) -> None:
    for way in WAYS:
        for open_, close, depth in ((b"[", b"]", 64), (b'{"a":', b"}", 63)):
            assert ask(app, way, open_ * depth + b"1" + close * depth)[0] == 200, way


# Whether a view that asks for JSON takes it; it is UTF-8 whatever is said (RFC 8259 section 11 has no charset).
TYPES = [
    ("application/json", True),
    ("APPLICATION/JSON", True),
    ("application/json; charset=utf-8", True),
    ("application/json; charset=utf-16", True),
    ("application/json; charset=no-such-thing", True),
    ("application/json; charset=utf-8; charset=utf-16", True),
    ("application/json; charset = utf-8", True),
    ("application/json; charset=", True),
    ('application/json; charset="utf-8', True),
    ("application/json; charset*=utf-8''%ff", True),
    ("application/json; charset*0=ut; charset*1=f-8", True),
    ("application/json;;;;=;", True),
    ("application/json; boundary=x", True),
    ("application/vnd.api+json", True),
    ("application/json" + ";a=b" * 2000, True),
    ("text/json", False),
    ("text/plain", False),
    ("application/jsonp", False),
    ("application/json, text/plain", False),
    ("application/json,application/json", False),
    ("multipart/form-data", False),
    ("multipart/form-data; boundary=", False),
    ("multipart/form-data; boundary=\xff", False),
    ("multipart/form-data; boundary=x", False),
    ("application/x-www-form-urlencoded", False),
    ("", False),
    (";", False),
    ("/", False),
    ("application/\xff", False),
    ("x" * 10_000, False),
]


@pytest.mark.parametrize(("content_type", "taken"), TYPES, ids=lambda value: ascii(value)[:60])
def test_odd_content_types_are_taken_or_415_and_never_an_error(app: Flask, content_type: str, taken: bool) -> None:
    for way in WAYS:
        status, got = ask(app, way, b'{"a":"\xc3\xa9"}', CONTENT_TYPE=content_type)
        if taken or way in ("force", "silent-force"):
            assert (status, got) == (200, {"a": "\u00e9"}), way
        elif way == "silent":
            assert (status, got) == (200, None)
        elif way in ("data", "form") and content_type.startswith("multipart/form-data"):
            # These read the form first, and it is none.
            assert (status, got) == (400, "request.malformed"), way
        else:
            assert status == 415 and got == "body.media_type", way


def test_a_content_type_with_a_control_character_is_refused_by_the_edge(app: Flask) -> None:
    for way in WAYS:
        assert ask(app, way, b'{"a":1}', CONTENT_TYPE="application/json\0") == (400, "request.malformed"), way


class Broken(BytesIO):
    """A connection that ends in the middle of a chunk, as gunicorn's readers tell it."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("NoMoreData")


CHUNKED = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
FRAMES: list[tuple[str, dict[str, Any], tuple[int, Any]]] = [
    ("a length too long", {"CONTENT_LENGTH": "8"}, (400, "body.incomplete")),
    ("a length much too long", {"CONTENT_LENGTH": "100000"}, (400, "body.incomplete")),
    ("a length too short", {"CONTENT_LENGTH": "6"}, (400, "json.malformed")),
    ("a length of nothing", {"CONTENT_LENGTH": "0"}, (400, "json.malformed")),
    ("an empty length", {"CONTENT_LENGTH": ""}, (400, "json.malformed")),
    ("no length and no end", {"CONTENT_LENGTH": None}, (400, "json.malformed")),
    ("a length of 007", {"CONTENT_LENGTH": "007"}, (200, {"a": 1})),
    ("a length of -1", {"CONTENT_LENGTH": "-1"}, (400, "request.malformed")),
    ("a length of +7", {"CONTENT_LENGTH": "+7"}, (400, "request.malformed")),
    ("a length of 7_0", {"CONTENT_LENGTH": "7_0"}, (400, "request.malformed")),
    ("two lengths", {"CONTENT_LENGTH": "7, 7"}, (400, "request.malformed")),
    ("a length in other digits", {"CONTENT_LENGTH": "\u0667"}, (400, "request.malformed")),
    ("a length in superscript", {"CONTENT_LENGTH": "\xb2"}, (400, "request.malformed")),
    ("a length beyond all bounds", {"CONTENT_LENGTH": "9" * 5000}, (413, "body.too_large")),
    ("chunked", CHUNKED, (200, {"a": 1})),
    ("chunked, with trailers", {**CHUNKED, "HTTP_TRAILER": "Expires", "HTTP_EXPIRES": "0"}, (200, {"a": 1})),
    ("chunked, and an empty length", {**CHUNKED, "CONTENT_LENGTH": ""}, (200, {"a": 1})),
    ("chunked, and a length", {**CHUNKED, "CONTENT_LENGTH": "7"}, (400, "request.malformed")),
    ("chunked, and a length too short", {**CHUNKED, "CONTENT_LENGTH": "6"}, (400, "request.malformed")),
    ("chunked, and a length too long", {**CHUNKED, "CONTENT_LENGTH": "8"}, (400, "request.malformed")),
    ("another coding of transfer", {"HTTP_TRANSFER_ENCODING": "xchunked"}, (400, "request.malformed")),
    ("chunked, cut off", {**CHUNKED, "wsgi.input": Broken()}, (400, "body.incomplete")),
    ("cut off", {"wsgi.input": Broken()}, (400, "body.incomplete")),
]


@pytest.mark.parametrize(("environ", "expected"), [frame[1:] for frame in FRAMES], ids=[frame[0] for frame in FRAMES])
def test_lengths_and_chunks_as_servers_show_them_are_never_an_error(
    app: Flask, environ: dict[str, Any], expected: tuple[int, Any]
) -> None:
    for way in WAYS:
        status, got = ask(app, way, b'{"a":1}', **environ)
        if expected[1] == "json.malformed" and way.startswith("silent"):
            assert (status, got) == (200, None), way
        else:
            assert (status, got) == expected, way


def test_a_real_server_answers_none_of_them_with_an_error(tmp_path: Path) -> None:
    views = """
    from flask_rampart import validate
    app.config.update(RAMPART_MAX_BODY=4 * 1024 * 1024)
    Rampart(app)
    app.add_url_rule("/json", "json", lambda: repr(request.get_json()), methods=["POST"])
    app.add_url_rule("/silent", "silent", lambda: repr(request.get_json(silent=True)), methods=["POST"])
    app.add_url_rule("/validate", "validate", validate(body={})(lambda: "ok"), methods=["POST"])
    """
    handful = ("a key twice", "1e999", "utf-16 with a mark", "a million arrays deep", "5,000 digits", "nothing")
    with serving(tmp_path, views) as served:
        for name, data, code in REFUSED:
            if name not in handful:
                continue
            for path in ("/json", "/validate"):
                for body in (data, iter([data])):  # with a length, and in chunks
                    status, _, text = served.ask("POST", path, body, **{"Content-Type": "application/json"})
                    assert (status, json.loads(text)["code"]) == (400, code), (name, path)
            assert served.ask("POST", "/silent", data, **{"Content-Type": "application/json"})[0] in (200, 400)
        # RFC 9112 section 6.3: a length and chunks at once.
        both = ("Content-Length: 7", "Transfer-Encoding: chunked", "Content-Type: application/json")
        assert served.raw("POST /json HTTP/1.1", "Host: x", *both) in range(400, 500)
