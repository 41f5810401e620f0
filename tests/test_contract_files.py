"""Files of a form are what an OpenAPI document says of them: real forms, sent by the test client."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, validated
from flask_rampart.contract import Contracts

from .contracting import document, operation, png, rampart_of, told

Make = Callable[..., Flask]
BINARY = {"type": "string", "format": "binary"}


def upload(
    make_app: Make, properties: Any, *, version: str = "3.0.3", encoding: Any = None, view: Any = told, **more: Any
) -> Flask:
    """An app with one view, which takes a form."""
    how = {"unknown": more.pop("unknown")} if "unknown" in more else {}
    body_required = more.pop("body_required", True)
    schema = {"type": "object", "properties": properties, **more}
    media = {"schema": schema, **({"encoding": encoding} if encoding else {})}
    requested = {"required": body_required, "content": {"multipart/form-data": media}}
    app = make_app()
    app.post("/x")(view)
    return rampart_of(app, document({"/x": {"post": operation(requestBody=requested)}}, version), **how)


def sent(app: Flask, **form: Any) -> Any:
    return app.test_client().post("/x", data=form, content_type="multipart/form-data")


def wrong(answer: Any) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422, answer.get_data()
    return [(error["in"], error["pointer"], error["rule"]) for error in answer.json["errors"]]


def notes(app: Flask) -> list[str]:
    (report,) = app.extensions["rampart"].services[Contracts].reports()
    return [note.partition(": ")[2] for note in report.notes]


def some(data: bytes, name: str = "a.bin") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def test_a_file_is_of_the_type_that_its_encoding_says_whatever_it_is_called(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY}, encoding={"a": {"contentType": "image/png, application/pdf"}})
    assert sent(app, a=png()).json == {"files": {"a": "image/png"}}
    assert sent(app, a=some(b"%PDF-1.7\n")).json == {"files": {"a": "application/pdf"}}
    assert wrong(sent(app, a=some(b"<script>alert(1)</script>", "a.png"))) == [("files", "/a", "type")]
    assert notes(app) == []


def test_a_file_of_3_1_is_of_the_type_that_its_schema_says(make_app: Make) -> None:
    app = upload(make_app, {"a": {"contentMediaType": "image/png"}}, version="3.1.0")
    assert sent(app, a=png()).json == {"files": {"a": "image/png"}}
    assert wrong(sent(app, a=some(b"text"))) == [("files", "/a", "type")]
    # What the encoding says counts before it (OpenAPI 3.1 section 4.8.15.1).
    media = {"a": {"contentType": "text/plain"}}
    app = upload(make_app, {"a": {"contentMediaType": "image/png"}}, version="3.1.0", encoding=media)
    assert sent(app, a=some(b"text")).json == {"files": {"a": "text/plain"}}


def test_a_range_of_types_is_those_of_it_that_are_told_apart(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY}, encoding={"a": {"contentType": "image/*"}})
    assert sent(app, a=png()).json == {"files": {"a": "image/png"}}
    assert wrong(sent(app, a=some(b"text"))) == [("files", "/a", "type")]


@pytest.mark.parametrize("content", [None, "application/octet-stream", "image/png, application/x-own"])
def test_a_file_of_which_no_type_is_known_may_be_anything_but_a_pickle(make_app: Make, content: Any) -> None:
    app = upload(make_app, {"a": BINARY}, encoding={"a": {"contentType": content}} if content else None)
    assert sent(app, a=some(b"\x00\xff\x07own")).json == {"files": {"a": "application/octet-stream"}}
    assert sent(app, a=png()).json == {"files": {"a": "image/png"}}
    # CWE-502: whoever loads it runs it.
    assert wrong(sent(app, a=some(pickle.dumps(ValueError("x"))))) == [("files", "/a", "type")]
    told_apart = [note for note in notes(app) if "application/x-own is not told apart" in note]
    assert len(told_apart) == (content is not None and "own" in content)


def test_an_archive_that_is_a_bomb_is_refused_also_where_any_file_may_come(make_app: Make) -> None:
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(8 << 20))
    app = upload(make_app, {"a": BINARY})
    assert wrong(sent(app, a=some(made.getvalue()))) == [("files", "/a", "archive")]


def test_a_pickle_that_a_document_wants_stops_the_start_up(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY}, encoding={"a": {"contentType": "application/x-pickle"}})
    with pytest.raises(ConfigError, match="properties/a: application/x-pickle: a pickle runs"):
        app.extensions["rampart"].seal()


def test_a_file_has_as_many_bytes_as_the_document_says(make_app: Make) -> None:
    app = upload(make_app, {"a": {**BINARY, "maxLength": 4, "minLength": 2, "pattern": "x"}})
    assert sent(app, a=some(b"1234")).status_code == 200
    assert wrong(sent(app, a=some(b"12345"))) == [("files", "/a", "maxBytes")]
    assert sorted(notes(app)) == ["'minLength' is not checked of a file", "'pattern' is not checked of a file"]
    app = upload(make_app, {"a": {**BINARY, "maxLength": 10**9}})
    with pytest.raises(ConfigError, match="raise RAMPART_MAX_FILE"):
        app.extensions["rampart"].seal()


def test_a_file_that_is_required_is_there_and_another_need_not_be(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY, "b": BINARY}, required=["a"])
    assert sent(app, a=png()).json == {"files": {"a": "image/png"}}
    assert wrong(sent(app, b=png())) == [("files", "/a", "required")]
    # A text is no file, and a file that the document does not have is not let through.
    assert ("files", "/a", "type") in wrong(sent(app, a="text"))
    assert ("files", "", "additionalProperties") in wrong(sent(app, a=png(), c=png()))
    assert ("form", "", "additionalProperties") in wrong(sent(app, a=png(), d="text"))


def test_a_list_of_files_is_as_long_as_the_document_says(make_app: Make) -> None:
    several = {"type": "array", "items": BINARY, "minItems": 2, "maxItems": 3}
    app = upload(make_app, {"a": several})
    assert sent(app, a=[png(), png()]).json == {"files": {"a": ["image/png", "image/png"]}}
    assert wrong(sent(app, a=[png()])) == [("files", "/a", "minItems")]
    assert wrong(sent(app, a=[png() for _ in range(4)])) == [("files", "/a", "maxCount")]
    # Not required: none is no list that is too short.
    assert sent(app).status_code == 200
    app = upload(make_app, {"a": {"type": "array", "items": BINARY}}, required=["a"])
    assert sent(app, a=[png(), png()]).json == {"files": {"a": ["image/png", "image/png"]}}
    assert sent(app, a=png()).json == {"files": {"a": ["image/png"]}}
    assert wrong(sent(app)) == [("files", "/a", "required")]


def test_a_list_of_files_that_can_never_be_stops_the_start_up(make_app: Make) -> None:
    app = upload(make_app, {"a": {"type": "array", "items": BINARY, "minItems": 3, "maxItems": 2}})
    with pytest.raises(ConfigError, match="maxItems lets no file through"):
        app.extensions["rampart"].seal()


def test_fields_beside_files_are_judged_and_files_are_not_their_business(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY, "title": {"type": "string", "minLength": 2}}, required=["a", "title"])
    assert sent(app, a=png(), title="ok").json == {"files": {"a": "image/png"}, "form": {"title": "ok"}}
    assert wrong(sent(app, title="o")) == [("form", "/title", "minLength"), ("files", "/a", "required")]
    # One file does not stand where a text belongs.
    assert ("form", "/title", "type") in wrong(sent(app, a=png(), title=png()))


@pytest.mark.parametrize("unknown", ["ignore", "strip"])
def test_a_text_never_stands_for_a_file(make_app: Make, unknown: Any) -> None:
    app = upload(
        make_app, {"a": BINARY}, unknown=unknown, view=lambda: jsonify([sorted(validated.files), validated.form])
    )
    assert wrong(sent(app, a="text")) == [("files", "/a", "type")]
    assert sent(app, a=png(), b=png(), c="text").json == [["a"], {"c": "text"} if unknown == "ignore" else {}]


def test_fields_that_the_document_only_has_a_schema_for_pass_beside_files(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY}, additionalProperties={"type": "string", "maxLength": 2})
    assert sent(app, a=png(), b="ok").json == {"files": {"a": "image/png"}, "form": {"b": "ok"}}
    assert wrong(sent(app, a=png(), b="not")) == [("form", "", "maxLength")]


@pytest.mark.parametrize(
    "more",
    [
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"anyOf": [{"properties": {"a": {"maxLength": 3}}}, {}]},
        {"not": {"required": ["a"]}},
    ],
    ids=["required-in-one-of", "named-in-any-of", "not"],
)
def test_a_file_that_depends_on_something_stops_the_start_up(make_app: Make, more: Any) -> None:
    app = upload(make_app, {"a": BINARY, "b": {"type": "string"}}, **more)
    with pytest.raises(ConfigError, match=r"not read in (alternatives|a form with files)"):
        app.extensions["rampart"].seal()


def test_a_form_that_may_be_absent_and_is_has_no_files(make_app: Make) -> None:
    app = upload(make_app, {"a": BINARY}, body_required=False, view=lambda: jsonify(sorted(validated.files)))
    assert app.test_client().post("/x").json == []
    assert sent(app, a=png()).json == ["a"]
    assert app.test_client().post("/x", data=b"", content_type="multipart/form-data").json == []


def test_a_form_of_no_stated_length_is_not_absent(make_app: Make) -> None:
    app = upload(make_app, {"a": {"type": "string", "minLength": 3}}, body_required=False)
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    environ = EnvironBuilder("/x", method="POST").get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ["CONTENT_TYPE"] = "multipart/form-data; boundary=x"
    # Chunked, as servers hand it on.
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer, status, _ = run_wsgi_app(app, environ)
    assert status.startswith("422")
    assert [error["pointer"] for error in json.loads(b"".join(answer))["errors"]] == ["/a"]


def test_lists_of_lists_are_no_files(make_app: Make) -> None:
    # One that holds itself has no end.
    schema = {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/List"}, "b": {"type": "string"}}}
    lists = {"List": {"type": "array", "items": {"$ref": "#/components/schemas/List"}}}
    requested = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    app = make_app()
    app.post("/x")(told)
    rampart_of(app, document({"/x": {"post": operation(requestBody=requested)}}, components={"schemas": lists}))
    assert sent(app, b="x").json == {"form": {"b": "x"}}
    assert ("form", "/a", "type") in wrong(sent(app, a=png()))
