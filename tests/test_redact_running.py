"""``@redact(response=...)`` on answers that are streamed: they are redacted as they run, and their first byte is early."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, stream_with_context

from flask_rampart import Redactor, answering, redact
from flask_rampart.redaction import Hash

MAIL = "ada@example.com"
MARK = "[REDACTED:EMAIL_ADDRESS]"

App = Callable[..., Flask]


@pytest.fixture
def app(make_app: App) -> Flask:
    return make_app()


def pieces(seen: list[str] | None = None) -> Iterator[str]:
    try:
        for piece in ("Hello, ", "write to ada@exam", "ple.com ", "today.\n"):
            if seen is not None:
                seen.append(piece)
            yield piece
    finally:
        if seen is not None:
            seen.append("closed")


def test_a_streamed_text_is_redacted_as_it_runs(app: Flask) -> None:
    seen: list[str] = []
    app.get("/")(redact()(lambda: Response(pieces(seen), mimetype="text/plain")))
    answer = app.test_client().get("/", buffered=False)
    running = answer.iter_encoded()
    assert next(iter(running)) == b"Hello,"
    assert seen == ["Hello, "], "the first byte leaves before the second piece is made"
    assert b"".join(running).decode() == f" write to {MARK} today.\n"
    answer.close()
    assert seen[-1] == "closed"
    assert answer.content_length is None


def test_a_reader_that_goes_away_closes_the_views_generator(app: Flask) -> None:
    seen: list[str] = []
    app.get("/")(redact()(lambda: Response(pieces(seen), mimetype="text/plain")))
    answer = app.test_client().get("/", buffered=False)
    next(iter(answer.iter_encoded()))
    answer.close()
    assert seen == ["Hello, ", "closed"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (lambda: pieces(), f"Hello, write to {MARK} today.\n"),
        (lambda: Response(stream_with_context(pieces())), f"Hello, write to {MARK} today.\n"),
        (lambda: Response(iter([MAIL.encode()[:5], MAIL.encode()[5:]]), mimetype="text/csv"), MARK),
        (lambda: Response(pieces(), headers={"Content-Length": "15000000000"}), f"Hello, write to {MARK} today.\n"),
        (lambda: Response(iter(["ü ada@exa", "mple.com"]), mimetype="application/xml"), f"ü {MARK}"),
    ],
    ids=["generator", "context", "bytes", "length", "xml"],
)
def test_what_a_view_may_stream_is_redacted(app: Flask, view: Any, expected: str) -> None:
    app.get("/")(redact()(view))
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.text) == (200, expected)


def test_a_view_with_a_context_still_has_its_request(app: Flask) -> None:
    @app.get("/")
    @redact()
    def view() -> Response:
        def body() -> Iterator[str]:
            yield request.args["mail"][:5]
            yield request.args["mail"][5:]

        return Response(stream_with_context(body()))

    assert app.test_client().get(f"/?mail={MAIL}").text == MARK


def test_a_text_in_another_charset_is_read_in_it(app: Flask) -> None:
    body = [f"é {MAIL}".encode("latin-1")[:7], f"é {MAIL}".encode("latin-1")[7:]]
    app.get("/")(redact()(lambda: Response(iter(body), content_type="text/plain; charset=latin-1")))
    assert app.test_client().get("/").data == f"é {MARK}".encode("latin-1")


def test_events_of_a_model_are_redacted_over_events(app: Flask) -> None:
    def body() -> Iterator[str]:
        for letter in f"mail {MAIL} ok":
            yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': letter}}]})}\n\n"
        yield "data: [DONE]\n\n"

    app.get("/")(redact()(lambda: Response(body(), mimetype="text/event-stream")))
    *frames, done = app.test_client().get("/").text.split("\n\n")[:-1]
    words = [json.loads(frame.removeprefix("data: "))["choices"][0]["delta"]["content"] for frame in frames]
    assert "".join(words) == f"mail {MARK} ok" and done == "data: [DONE]"
    assert words[5] == "mail "[4:] or "mail" in "".join(words[:6])


def test_lines_of_json_are_redacted_by_path_and_fields_that_were_said(app: Flask) -> None:
    def lines() -> Iterator[str]:
        for part in ("ada@exa", "mple.com "):
            yield json.dumps({"nick": "ada", "message": {"content": part}}) + "\n"

    rules = {"paths": {"/nick": "redact"}, "fields": ["message.content"]}
    app.get("/")(redact(response=rules)(lambda: Response(lines(), mimetype="application/x-ndjson")))
    found = [json.loads(line) for line in app.test_client().get("/").text.splitlines()]
    assert len(found) >= 2 and {line.get("nick", "") for line in found} == {""} == {found[0]["nick"]}
    assert "".join(line["message"]["content"] for line in found) == f"{MARK} "


def test_paths_in_a_streamed_page_of_text_are_refused(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(redact(response={"paths": {"/nick": "redact"}})(lambda: pieces()))
    assert app.test_client().get("/").get_json()["code"] == "response.invalid"
    assert "it is not JSON" in caplog.text


def test_a_head_request_runs_nothing_and_tells_no_hash(app: Flask) -> None:
    seen: list[str] = []

    @app.get("/")
    @redact()
    def view() -> Response:
        response = Response(pieces(seen), mimetype="text/plain")
        response.set_etag("of-the-clear-text")
        return response

    answer = app.test_client().head("/")
    assert (answer.status_code, answer.data, answer.headers.get("ETag")) == (200, b"", None)
    assert MAIL not in "".join(seen) and "Hello, " not in seen


def test_a_large_file_of_text_is_redacted_as_it_is_read(
    app: Flask, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    monkeypatch.setattr(answering, "MOST_READ", 1 << 20)
    path.write_text("clean line\n" * 200_000 + MAIL + "\n")
    app.get("/")(redact()(lambda: send_file(path, "text/plain")))
    answer = app.test_client().get("/", buffered=False)
    last = b""
    for piece in answer.iter_encoded():
        last = (last + piece)[-100:]
    answer.close()
    assert last.endswith(f"{MARK}\n".encode())
    assert "ETag" not in answer.headers and "Last-Modified" not in answer.headers


def test_an_after_request_function_that_wraps_a_stream_is_redacted_as_well(app: Flask) -> None:
    @app.after_request
    def more(response: Response) -> Response:
        inner = response.response

        def wrapped() -> Iterator[bytes]:
            yield b"password=hunter2 "
            yield from inner  # type: ignore[misc]

        response.response = wrapped()
        return response

    app.get("/")(redact()(lambda: pieces()))
    assert app.test_client().get("/").text == f"password=[REDACTED:PASSWORD] Hello, write to {MARK} today.\n"


def test_a_redaction_that_fails_cuts_the_answer_off_and_tells_no_value(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        def seal(self, data: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError(data.decode())

        open = seal

    seen: list[str] = []
    redactor = Redactor(operators={"EMAIL_ADDRESS": {"type": "encrypt", "vault": Away()}})
    app.get("/")(redact(response=redactor)(lambda: Response(pieces(seen), mimetype="text/plain")))
    answer = app.test_client().get("/", buffered=False)
    made = []
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="cut off") as told:
        made.extend(iter(lambda: next(answer.response), None))
    assert told.value.__context__ is None and told.value.__cause__ is None
    assert "failed with OSError" in caplog.text and MAIL not in caplog.text
    answer.close()
    assert seen[-1] == "closed"


@pytest.mark.parametrize("body", [[b"ab \xff", b"x"], [b"a\0d\0a\0"]], ids=["bytes", "zeros"])
def test_a_body_that_is_no_text_is_cut_off(app: Flask, body: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(redact()(lambda: Response(iter(body), content_type="text/plain; charset=utf-8")))
    with pytest.raises(RuntimeError, match="cut off"):
        _ = app.test_client().get("/").data
    assert "was cut off while it ran" in caplog.text


def test_a_view_that_fails_half_way_fails_as_it_would(app: Flask) -> None:
    def body() -> Iterator[str]:
        yield "to ada@exam"
        raise OSError("gone")

    app.get("/")(redact()(lambda: Response(body(), mimetype="text/plain")))
    with pytest.raises(OSError, match="gone"):
        _ = app.test_client().get("/").data


def test_two_declarations_are_two_redactions(app: Flask) -> None:
    names = Redactor(names=["shoe_size"])
    hashed = Redactor(entities=["EMAIL_ADDRESS"], operators={"EMAIL_ADDRESS": Hash(b"k" * 32)})
    app.get("/")(redact(response=names)(redact(response=hashed)(lambda: Response(iter(["shoe_si", "ze=42 ", MAIL])))))
    text = app.test_client().get("/").text
    assert text.startswith("shoe_size=[REDACTED:SECRET] ") and MAIL not in text


def test_an_async_view_may_stream(app: Flask) -> None:
    @app.get("/")
    @redact()
    async def view() -> Response:
        return Response(pieces(), mimetype="text/plain")

    assert app.test_client().get("/").text == f"Hello, write to {MARK} today.\n"


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
def test_events_that_are_there_at_once_are_read_as_events_too(app: Flask, kind: str) -> None:
    head, between = ("data: ", "\n\n") if kind == "text/event-stream" else ("", "\n")
    deltas = [
        json.dumps({"choices": [{"index": 0, "delta": {"content": part}}]}) for part in ("to ada@exam", "ple.com ")
    ]
    fields = ["choices[*].delta.content"]

    @app.get("/")
    @redact(response={"fields": fields, "keys": {"nick": "redact"}})
    def view() -> Response:
        return Response("".join(f"{head}{one}{between}" for one in [*deltas, '{"nick":"ada"}']), mimetype=kind)

    made = app.test_client().get("/")
    events = [json.loads(line.removeprefix(head)) for line in made.text.split("\n") if line]
    pieces = [event["choices"][0]["delta"]["content"] for event in events if "choices" in event]
    assert "".join(pieces) == "to [REDACTED:EMAIL_ADDRESS] "
    assert {"nick": ""} in events and made.content_length == len(made.data)


def test_records_of_a_json_sequence_are_read_as_json(app: Flask) -> None:
    @app.get("/")
    @redact()
    def view() -> Response:
        return Response('\x1e{"password": {"a": "Zq9"}}\n\x1e{"b":1}\n', mimetype="application/json-seq")

    assert app.test_client().get("/").text == '\x1e{"password":"[REDACTED:PASSWORD]"}\n\x1e{"b":1}\n'


_DELTA = (
    '{"type":"response.output_text.delta","item_id":"m%d","output_index":%d,"content_index":0,"delta":"hi ada@exa"}'
)
_CHOICES = json.dumps({"choices": [{"index": at, "delta": {"content": f"to {MAIL} "}} for at in range(300)]})
_WHOLE = {
    "a line of JSON": ("application/x-ndjson", json.dumps({"a": "x " * 600_000 + MAIL}) + "\n"),
    "a plain line": ("application/x-ndjson", "x " * 600_000 + MAIL + "\n"),
    "an event": ("text/event-stream", "data: " + "x " * 600_000 + MAIL + "\n\n"),
    "nodes": ("application/x-ndjson", json.dumps([1] * 200_000 + [MAIL], separators=(",", ":")) + "\n"),
    "names": ("text/event-stream", "".join(f"event: n{at}\ndata: {MAIL} {at}\n\n" for at in range(300))),
    "choices": ("text/event-stream", f"data: {_CHOICES}\n\n"),
    "items": (
        "text/event-stream",
        "".join(f"data: {_DELTA % (at, at)}\n\n" for at in range(300))
        + "".join(f"data: {(_DELTA % (at, at)).replace('hi ada@exa', 'mple.com')}\n\n" for at in range(300)),
    ),
}


@pytest.mark.parametrize("which", _WHOLE)
def test_what_is_whole_in_memory_already_has_no_bounds_of_a_stream(app: Flask, which: str) -> None:
    kind, body = _WHOLE[which]

    @app.get("/")
    @redact()
    def view() -> Response:
        return Response(body, mimetype=kind)

    made = app.test_client().get("/")
    assert made.status_code == 200
    assert MAIL not in made.text and "ada@" not in made.text
    expected = 300 if which in ("names", "choices", "items") else 1
    assert made.text.count("[REDACTED:EMAIL_ADDRESS]") == expected
    assert len(made.text) >= len(body) - 1000
