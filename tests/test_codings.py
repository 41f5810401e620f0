"""Content codings: what comes compressed is read as what it says, or refused, and never more than it may be."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any

import pytest
from flask import Flask, jsonify, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, EdgePolicy, Rampart, RampartMiddleware, validate, validated
from flask_rampart._native import BodyDecoder, CodingRejected

App = Callable[..., Flask]
PLAIN = b'{"text":"hello"}'
# By another implementation (Google's encoder, as Node.js has it).
BROTLI = bytes.fromhex("8b07807b2274657874223a2268656c6c6f227d03")
BROTLI_BOMB = bytes.fromhex("5fffff8f5f02241e0b0472ef1f00")  # a mebibyte of spaces
CODED = [("gzip", gzip.compress(PLAIN)), ("deflate", zlib.compress(PLAIN)), ("br", BROTLI)]
CODINGS = ("gzip", "deflate", "br")


class Source(BytesIO):
    """A body as a server hands it on: counts what was read of it, and fails on a byte more than there is to be had."""

    def __init__(self, data: bytes, declared: int | None) -> None:
        super().__init__(data)
        self.taken = 0
        self.reads = 0
        self._declared = declared

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and size >= 0, "read without an end"
        assert self._declared is None or self.taken + size <= self._declared, "a server would wait here for ever"
        data = super().read(size)
        self.taken += len(data)
        self.reads += 1
        return data


def send(
    app: Any,
    data: bytes,
    coding: str | None = "gzip",
    path: str = "/",
    *,
    content_type: str = "application/json",
    chunked: bool = False,
    declared: int | None = None,
) -> tuple[int, Any, Any, Source]:
    """Status, document, header fields, and what was read."""
    environ = EnvironBuilder(path=path, method="POST").get_environ()
    environ["CONTENT_TYPE"] = content_type
    length = len(data) if declared is None else declared
    source = Source(data, None if chunked else length)
    environ.update({"wsgi.input": source, "CONTENT_LENGTH": str(length)})
    if chunked:
        del environ["CONTENT_LENGTH"]
        environ.update({"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})
    if coding is not None:
        environ["HTTP_CONTENT_ENCODING"] = coding
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    text = b"".join(body)
    try:
        document = json.loads(text)
    except ValueError:
        document = text.decode()
    return int(status[:3]), document, headers, source


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS)
    fill(app)
    return app


def fill(app: Flask) -> None:
    app.post("/")(validate(body={"type": "object"})(lambda: jsonify(validated.body)))
    app.post("/json")(lambda: jsonify(request.get_json()))
    app.post("/silent")(lambda: jsonify(request.get_json(silent=True)))
    app.post("/data")(lambda: jsonify(request.get_data(as_text=True)))
    app.post("/form")(lambda: jsonify(request.form))
    app.post("/files")(lambda: jsonify({k: f.read().decode() for k, f in request.files.items()} | dict(request.form)))
    app.post("/lines")(lambda: jsonify([line.decode() for line in request.stream]))
    app.post("/length")(lambda: jsonify([request.content_length, request.content_encoding]))
    app.post("/unread")(lambda: jsonify("not read"))


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize(("coding", "coded"), CODED, ids=CODINGS)
def test_a_coded_body_is_read_as_what_it_says_by_whoever_reads_it(
    app: Flask, coding: str, coded: bytes, chunked: bool
) -> None:
    for path in ("/", "/json", "/silent"):
        assert send(app, coded, coding, path, chunked=chunked)[:2] == (200, {"text": "hello"}), path
    assert send(app, coded, coding, "/data", chunked=chunked)[1] == PLAIN.decode()
    # What the app sees has no coding, and nobody has said how long it is.
    assert send(app, coded, coding, "/length", chunked=chunked)[1] == [None, None]


def test_forms_files_and_lines_are_read_decoded(app: Flask) -> None:
    form = gzip.compress(b"a=1&b=%C3%A9")
    urlencoded = "application/x-www-form-urlencoded"
    assert send(app, form, path="/form", content_type=urlencoded)[1] == {"a": "1", "b": "\u00e9"}
    parts = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    parts += b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nhello\r\n--x--\r\n'
    multipart = "multipart/form-data; boundary=x"
    assert send(app, gzip.compress(parts), path="/files", content_type=multipart)[1] == {"a": "1", "f": "hello"}
    lines = b"one\n\ntwo\n" + Random(1).randbytes(100_000).hex().encode() + b"\nend"
    assert send(app, gzip.compress(lines), path="/lines")[1] == [
        line.decode() for line in lines.splitlines(keepends=True)
    ]


def test_many_short_lines_are_read_in_linear_time(app: Flask) -> None:
    lines = b"".join(b"%d\n" % byte for byte in Random(1).randbytes(200_000))
    assert len(send(app, gzip.compress(lines, 1), path="/lines")[1]) == 200_000


def test_no_coding_is_taken_unless_it_is_named(make_app: App) -> None:
    app = make_app()
    fill(app)
    for coding, coded in CODED:
        status, document, headers, source = send(app, coded, coding)
        assert (status, document["code"]) == (415, "body.coding")
        # RFC 9110 sections 12.5.3 and 15.5.16.
        assert headers.getlist("Accept-Encoding") == ["identity"]
        assert source.reads == 0
    assert send(app, PLAIN, None)[0] == 200


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "compress", "gzip;q=1", "*", "gzip, gzip", "gzip,deflate", "g zip", "\xff"]
)
def test_another_coding_is_415_with_those_that_are_taken(make_app: App, coding: str) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=("gzip", "deflate"))
    fill(app)
    status, document, headers, _ = send(app, gzip.compress(gzip.compress(PLAIN)), coding)
    assert (status, document["code"]) == (415, "body.coding")
    assert headers.getlist("Accept-Encoding") == ["gzip, deflate"]


def test_a_coding_with_a_control_character_is_no_field_at_all(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=("gzip", "deflate"))
    fill(app)
    status, document, _, source = send(app, gzip.compress(PLAIN), "gzip\x00")
    assert (status, document["code"], source.reads) == (400, "request.malformed", 0)


@pytest.mark.parametrize("coding", ["identity", "", ",", "Identity , identity", " "])
def test_identity_is_no_coding(make_app: App, coding: str) -> None:
    app = make_app()
    fill(app)
    assert send(app, PLAIN, coding)[:2] == (200, {"text": "hello"})


@pytest.mark.parametrize("coding", ["GZIP", "x-gzip", " gzip ", "identity, gzip", "gzip,"])
def test_a_coding_has_several_spellings(app: Flask, coding: str) -> None:
    assert send(app, gzip.compress(PLAIN), coding)[:2] == (200, {"text": "hello"})


def test_as_is_leaves_coded_bodies_to_the_view(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS="as-is")
    app.post("/")(lambda: jsonify([gzip.decompress(request.get_data()).decode(), request.content_encoding]))
    assert send(app, gzip.compress(PLAIN))[1] == [PLAIN.decode(), "gzip"]
    app = make_app(RAMPART_REQUEST_CODINGS="as-is")
    fill(app)
    assert send(app, gzip.compress(PLAIN))[1]["code"] == "json.encoding"


DAMAGED = [
    ("gzip", gzip.compress(PLAIN)[:-1], "cut"),
    ("gzip", gzip.compress(PLAIN)[:5], "cut in the header"),
    ("gzip", gzip.compress(PLAIN) + b"\0\0", "padded"),
    ("gzip", gzip.compress(PLAIN) + PLAIN, "garbage behind"),
    ("gzip", gzip.compress(PLAIN)[:-8] + b"\0" * 8, "checksum"),
    ("gzip", zlib.compress(PLAIN), "another coding"),
    ("gzip", PLAIN, "not coded"),
    ("deflate", zlib.compress(PLAIN)[:-1], "cut"),
    ("deflate", zlib.compress(PLAIN)[2:-4], "bare deflate"),
    ("deflate", zlib.compress(PLAIN) + zlib.compress(PLAIN), "twice"),
    ("br", BROTLI[:-1], "cut"),
    ("br", BROTLI + b"\0", "garbage behind"),
]


@pytest.mark.parametrize("path", ["/", "/json", "/silent", "/data"])
@pytest.mark.parametrize(("coding", "coded"), [d[:2] for d in DAMAGED], ids=[f"{d[0]} {d[2]}" for d in DAMAGED])
def test_a_damaged_body_is_refused_and_never_half_read(app: Flask, coding: str, coded: bytes, path: str) -> None:
    for chunked in (False, True):
        status, document, _, _ = send(app, coded, coding, path, chunked=chunked)
        assert (status, document["code"]) == (400, "body.undecodable")
        assert "hello" not in json.dumps(document)


def test_a_body_shorter_than_declared_is_incomplete(app: Flask) -> None:
    coded = gzip.compress(PLAIN)
    for path in ("/", "/data"):
        status, document, _, _ = send(app, coded, path=path, declared=len(coded) + 1)
        assert (status, document["code"]) == (400, "body.incomplete")


def test_no_bytes_are_no_content_in_any_coding(app: Flask) -> None:
    for chunked in (False, True):
        assert send(app, b"", path="/data", chunked=chunked)[:2] == (200, "")
        assert send(app, b"", path="/json", chunked=chunked)[1]["code"] == "json.malformed"
    # Nor is there anything to refuse.
    assert send(app, b"", "zstd", "/data")[:2] == (200, "")


@pytest.mark.parametrize("path", ["/", "/json", "/silent", "/data", "/lines"])
def test_the_bound_is_on_what_it_decodes_to(make_app: App, path: str) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_MAX_BODY=1000)
    fill(app)
    fits = json.dumps({"a": "x" * 991}).encode()
    assert len(fits) == 1000
    for chunked in (False, True):
        assert send(app, gzip.compress(fits), path=path, chunked=chunked)[0] == 200
        status, document, headers, _ = send(app, gzip.compress(fits + b" "), path=path, chunked=chunked)
        assert (status, document["code"]) == (413, "body.too_large")
        assert document["request_id"] == headers["X-Request-Id"]


def test_the_bound_is_on_what_comes_as_well(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_MAX_BODY=1000)
    fill(app)
    # 60 empty members: 1200 bytes that say nothing.
    endless = gzip.compress(b"") * 60 + gzip.compress(PLAIN)
    assert len(endless) > 1000
    for chunked in (False, True):
        assert send(app, endless, chunked=chunked)[1]["code"] == "body.too_large"


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [("gzip", gzip.compress(b" " * (8 << 20))), ("deflate", zlib.compress(b" " * (8 << 20))), ("br", BROTLI_BOMB)],
    ids=CODINGS,
)
def test_a_bomb_is_refused_by_its_density_where_there_is_room_for_it(make_app: App, coding: str, bomb: bytes) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_MAX_BODY=1 << 30)
    fill(app)
    for path in ("/", "/json", "/silent", "/data", "/form", "/lines"):
        status, document, _, _ = send(app, bomb, coding, path, content_type="application/json")
        if path == "/form":  # not a form, so that nobody reads it
            assert status == 200
        else:
            assert (status, document["code"]) == (413, "body.too_large"), path


def test_the_ratio_is_a_setting_and_small_bodies_are_not_held_to_it(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_CODING_RATIO=10)
    fill(app)
    assert send(app, gzip.compress(b'"' + b" " * 65_000 + b'"'), path="/json")[0] == 200
    assert send(app, gzip.compress(b'"' + b" " * 66_000 + b'"'), path="/json")[0] == 413
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_CODING_RATIO=1000)
    fill(app)
    assert send(app, gzip.compress(b'"' + b" " * 66_000 + b'"'), path="/json")[0] == 200


def test_what_nobody_reads_is_not_decoded_and_not_even_fetched(app: Flask) -> None:
    status, document, _, source = send(app, b"\x1f\x8b no gzip at all", path="/unread")
    assert (status, document, source.reads) == (200, "not read", 0)


def test_a_bomb_is_fetched_no_further_than_it_is_decoded(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_MAX_BODY=1 << 20)
    fill(app)
    bomb = gzip.compress(b" " * (1 << 20)) * 500
    status, _, _, source = send(app, bomb, path="/data")
    assert status == 413
    assert source.taken <= 32 * 1024 < len(bomb)


class Dribble(Source):
    """A server that hands on what has arrived, however little."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 100))


@pytest.mark.parametrize("kind", [Source, Dribble])
def test_how_a_body_arrives_does_not_decide_whether_it_is_too_dense(
    make_app: App, monkeypatch: pytest.MonkeyPatch, kind: type[Source]
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "Source", kind)
    # A beginning of spaces, and then so much else that the whole is six times what came, and no more.
    plain = b" " * (1 << 20) + Random(1).randbytes(250_000).hex().encode()
    coded = gzip.compress(plain)
    assert 5 * len(coded) < len(plain) < 6 * len(coded)
    for ratio, expected in ((6, 200), (5, 413)):
        app = make_app(RAMPART_REQUEST_CODINGS=CODINGS, RAMPART_CODING_RATIO=ratio, RAMPART_MAX_BODY=4 << 20)
        fill(app)
        for chunked in (False, True):
            assert send(app, coded, path="/data", chunked=chunked)[0] == expected


def test_who_swallows_a_refusal_gets_it_again(app: Flask) -> None:
    said = []

    @app.post("/swallow")
    def swallow() -> str:
        for _ in range(3):
            try:
                request.stream.read(10)
            except Exception as error:
                said.append(error)
        return "swallowed"

    assert send(app, b"no gzip", path="/swallow")[0] == 200
    assert [getattr(error, "problem", None) and error.problem.code for error in said] == ["body.undecodable"] * 3


def test_half_a_body_that_somebody_read_is_never_taken_for_a_whole_one(make_app: App) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=CODINGS)
    fill(app)
    app.url_value_preprocessor(lambda endpoint, values: request.stream.read(3) and None)
    assert send(app, gzip.compress(PLAIN))[1]["code"] == "body.consumed"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("zstd", "'gzip', 'deflate', 'br'"),
        ((), "not empty"),
        (("gzip", "as-is"), "stands alone"),
        ("gzp", "Did you mean gzip?"),
        (None, "not empty"),
        (True, "not empty"),
    ],
    ids=str,
)
def test_a_coding_that_is_unknown_stops_the_start_up(value: Any, message: str) -> None:
    app = Flask(__name__)
    app.config["RAMPART_REQUEST_CODINGS"] = value
    with pytest.raises(ConfigError, match=message):
        Rampart(app)


def test_a_wsgi_app_of_another_kind_reads_decoded_too() -> None:
    def echo(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [environ["wsgi.input"].read()]

    config = {"RAMPART_REQUEST_CODINGS": "gzip", "RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://"}
    app = RampartMiddleware(echo, EdgePolicy.of(config, name="echo"))
    assert send(app, gzip.compress(PLAIN))[:2] == (200, {"text": "hello"})
    assert send(app, BROTLI, "br")[0] == 415


def test_the_native_decoder_says_when_it_wants_more_and_holds_to_another_bound() -> None:
    decoder = BodyDecoder("gzip", max_bytes=1000)
    assert decoder.pull(10) is None
    decoder.feed(gzip.compress(b"x" * 100))
    assert decoder.pull(10) == b"x" * 10
    decoder.hold(20)
    with pytest.raises(CodingRejected) as caught:
        decoder.pull(50)
    assert caught.value.args == ("body.too_large", "decoded length")
    for wrong in ({"coding": "zstd", "max_bytes": 1}, {"coding": "gzip", "max_bytes": 0}):
        with pytest.raises(ValueError, match=r"coding|max_bytes"):
            BodyDecoder(**wrong)  # type: ignore[arg-type]
