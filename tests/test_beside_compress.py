"""Beside Flask-Compress: answers are redacted and judged before they are compressed, in every coding that it has."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_compress import Compress

from flask_rampart import csrf_token, redact, require, validate
from flask_rampart.answering import decoded

from .beside import Secure
from .beside import secure as secure
from .conftest import bearer

MANY = ["ada@example.com"] * 60
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}


def app_of(secure: Secure, *, first: str, **config: Any) -> Flask:
    app = Flask(__name__)
    if first == "compress":
        Compress(app)
    secure(app, **config)
    if first != "compress":
        Compress(app)

    @app.get("/mails")
    @redact()
    def mails() -> Any:
        return {"mails": MANY}

    @app.get("/tagged")
    @redact()
    def tagged() -> Any:
        response = Response(json.dumps(MANY), mimetype="application/json")
        response.add_etag()
        return response.make_conditional(request)

    @app.get("/lines")
    @redact()
    def lines() -> Any:
        def pieces() -> Iterator[str]:
            for mail in MANY:
                yield from (mail[:5], mail[5:], "\n")

        return Response(pieces(), mimetype="text/plain")

    @app.get("/promised")
    @validate(response={"type": "object", "required": ["mails"]}, response_mode="enforce")
    def promised() -> Any:
        return {"mails" if request.args.get("keep") else "broken": MANY}

    @app.get("/form")
    def form() -> str:
        return f'<input name="csrf_token" value="{csrf_token()}">' + "x" * 600

    return app


def plain(answer: Any) -> bytes:
    body: bytes = answer.data
    coding = answer.headers.get("Content-Encoding", "")
    if coding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if coding == "deflate" else decoded(body, coding)


@pytest.fixture(params=["compress", "rampart"])
def app(request: pytest.FixtureRequest, secure: Secure) -> Flask:
    return app_of(secure, first=request.param)


@pytest.mark.parametrize("asked", ["gzip", "br", "deflate", "zstd", "gzip, deflate, br, zstd", "zstd, *;q=0.5", "*"])
def test_an_answer_is_redacted_before_it_is_compressed(app: Flask, asked: str) -> None:
    answer = app.test_client().get("/mails", headers={"Accept-Encoding": asked})
    assert answer.status_code == 200, answer.text
    assert json.loads(plain(answer)) == {"mails": ["[REDACTED:EMAIL_ADDRESS]"] * 60}
    assert answer.headers.get("Content-Encoding") != "zstd" and "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.data) < 200 or asked == "zstd"


def test_what_is_not_redacted_may_have_any_coding(app: Flask) -> None:
    app.get("/open")(lambda: {"mails": MANY})
    assert app.test_client().get("/open", headers=BROWSER).headers["Content-Encoding"] == "zstd"


def test_a_stream_is_redacted_as_it_runs_and_leaves_uncompressed(app: Flask) -> None:
    answer = app.test_client().get("/lines", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.text == "[REDACTED:EMAIL_ADDRESS]\n" * 60 and "Content-Encoding" not in answer.headers


def test_a_tag_is_of_the_redacted_answer_and_its_coding(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/tagged", headers=BROWSER)
    tag = first.headers["ETag"]
    assert first.headers["Content-Encoding"] in tag
    again = client.get("/tagged", headers={**BROWSER, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    raw = Response(json.dumps(MANY))
    raw.add_etag()
    guess = raw.headers["ETag"].strip('"')
    for coding in ("br", "gzip"):
        told = client.get("/tagged", headers={**BROWSER, "If-None-Match": f'"{guess}", "{guess}:{coding}"'})
        assert told.status_code == 200


@pytest.mark.parametrize("asked", ["gzip", "br", "zstd, br"])
def test_a_promise_is_judged_of_what_is_compressed(app: Flask, asked: str) -> None:
    client = app.test_client()
    assert client.get("/promised?keep=1", headers={"Accept-Encoding": asked}).status_code == 200
    broken = client.get("/promised", headers={"Accept-Encoding": asked})
    assert (broken.status_code, broken.json["code"]) == (500, "response.invalid")


def test_refusals_stay_readable_and_answers_of_one_reader_private(secure: Secure, token: Callable[..., str]) -> None:
    app = app_of(secure, first="rampart")
    app.get("/own")(require()(lambda: Response(json.dumps(MANY), headers={"Cache-Control": "public, max-age=60"})))
    client = app.test_client()
    assert client.get("/own", headers=BROWSER).json["code"] == "auth.missing"
    answer = client.get("/own", headers={**BROWSER, **bearer(token())})
    assert answer.status_code == 200 and "private" in answer.headers["Cache-Control"]


def test_a_token_in_a_page_is_another_in_each_answer(app: Flask) -> None:
    # BREACH measures how well a guess compresses beside a secret that stays the same.
    client = app.test_client()
    pages = {plain(client.get("/form", headers={"Accept-Encoding": "gzip"})) for _ in range(3)}
    assert len(pages) == 3
