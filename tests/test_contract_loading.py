"""What of a document is read, and what is refused before anything of it counts."""

from __future__ import annotations

import importlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from flask import Flask, jsonify
from openapi_spec_validator import validate as validate_document

from flask_rampart import ConfigError, validated
from flask_rampart.contract import loading
from flask_rampart.contract.document import Document
from flask_rampart.contract.loading import read_json, read_yaml
from flask_rampart.contract.operations import Noted, operations

from .contracting import body, document, operation, query, rampart_of

Make = Callable[..., Flask]


def test_yaml_means_what_yaml_1_2_says_and_no_text_becomes_a_date() -> None:
    text = b"""
version: 1.0.0
day: 2026-01-01
at: 12:30
norway: [no, off, yes, y, NO]
flags: [true, FALSE, null, ~, ]
octal: 010
old: 0o10
hex: 0xff
text: "12"
number: 1_000
float: 1e3
plain: !!str 5
multi: |
  a
  b
"""
    assert read_yaml("x.yaml", text) == {
        "version": "1.0.0",
        "day": "2026-01-01",
        "at": "12:30",
        "norway": ["no", "off", "yes", "y", "NO"],
        "flags": [True, False, None, None],
        "octal": 10,
        "old": 8,
        "hex": 255,
        "text": "12",
        "number": "1_000",
        "float": 1000.0,
        "plain": "5",
        "multi": "a\nb\n",
    }


def test_a_status_may_be_a_number_among_responses_and_nowhere_else() -> None:
    assert read_yaml("x.yaml", b"responses: {200: {a: 1}, default: {}}") == {
        "responses": {"200": {"a": 1}, "default": {}}
    }
    with pytest.raises(ConfigError, match=r"x.yaml#/properties: the name 200 is int and no text"):
        read_yaml("x.yaml", b"properties: {200: {}}")
    with pytest.raises(ConfigError, match="no text"):
        read_yaml("x.yaml", b"responses: {true: {}}")
    with pytest.raises(ConfigError, match="#/responses/200 stands there twice"):
        read_yaml("x.yaml", b"responses: {200: {}, '200': {}}")


LAUGHS = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # CWE-776, "billion laughs".
        (LAUGHS, "is too much"),
        ("a: &a [*a]", r"x.yaml#/a/0: the alias \*a names nothing, or what it is in"),
        ("a: *b", r"the alias \*b names nothing"),
        ("[" * 200 + "]" * 200, "is too much"),
        ("[" * 100_000, "too much|exceeded maximum nesting depth"),
        ("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, "is too much"),
        ("a: 1\nb: 2\na: 3", "#/a stands there twice"),
        ("a: {b: [{c: 1, c: 2}]}", "#/a/b/0/c stands there twice"),
        ("b: &b {x: 1}\na:\n  <<: *b", "merge keys"),
        ("a: .inf", "#/a is no finite number"),
        ("a: -.Inf", "no finite number"),
        ("a: .nan", "no finite number"),
        ("a: 1e999", "no finite number"),
        ("a: " + "9" * 400, "a number of 400 digits"),
        ("a: !!python/object/apply:os.system ['id']", "the tag tag:yaml.org,2002:python/object/apply:os.system is not read"),
        ("a: !!timestamp 2026-01-01", "the tag .* is not read"),
        ("a: !!binary aGk=", "the tag .* is not read"),
        ("a: !mine {}", "the tag !mine is not read"),
        ("? [a]\n: b", "a name is a text"),
        ("a: 1\n---\nb: 2", "more than one YAML document"),
        ("", "is empty"),
        ("a: [", r"x.yaml cannot be read as YAML, line \d"),
        ("a: \x00", "cannot be read as YAML"),
        ("a: \xff".encode("latin-1"), "cannot be read as YAML"),
    ],
    ids=lambda given: ascii(given)[:24],
)  # fmt: skip
def test_yaml_that_is_too_much_or_means_two_things_is_refused_with_its_place(
    monkeypatch: pytest.MonkeyPatch, text: str | bytes, said: str
) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=said):
        read_yaml("x.yaml", text if isinstance(text, bytes) else text.encode())
    # The parser that is there without libyaml too.
    pure = {name: value for name, value in vars(yaml).items() if name != "CSafeLoader"}
    monkeypatch.setattr(loading, "import_module", lambda name: SimpleNamespace(**pure))
    with pytest.raises(ConfigError, match=said):
        read_yaml("x.yaml", text if isinstance(text, bytes) else text.encode())
    assert time.monotonic() - began < 30


def test_aliases_within_the_bounds_are_what_they_name() -> None:
    assert read_yaml("x.yaml", b"a: &a {x: [1]}\nb: *a\nc: [*a]") == {
        "a": {"x": [1]},
        "b": {"x": [1]},
        "c": [{"x": [1]}],
    }


def test_the_bounds_of_levels_and_bytes_are_where_they_are_said_to_be() -> None:
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    read_yaml("x.yaml", nested(loading.MOST_DEPTH))
    with pytest.raises(ConfigError, match="too much"):
        read_yaml("x.yaml", nested(loading.MOST_DEPTH + 1))
    read_json("x.json", nested(loading.MOST_DEPTH))
    with pytest.raises(ConfigError):
        read_json("x.json", nested(loading.MOST_DEPTH + 1))
    with pytest.raises(ConfigError, match="too much"):
        read_yaml("x.yaml", b"#" * (loading.MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1, "a": 2}', "json.duplicate_key at byte"),
        (b"{", "json.malformed"),
        (b'{"a": NaN}', "json.non_finite"),
        (b"\xef\xbb\xbf{}", "json.encoding"),
    ],
    ids=["twice", "cut", "nan", "mark"],
)
def test_json_is_read_as_strictly_as_a_body(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=f"x.json cannot be read: .*{said}"):
        read_json("x.json", text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({1: 2}, "the name 1 is int"),
        ({"a": {"b": float("nan")}}, "#/a/b is no finite number"),
        ({"a": object()}, "#/a is object, which JSON does not have"),
        ({"a\ud800": 1}, "half of a surrogate pair"),
        ({"responses": {200: {}, "200": {}}}, "#/responses/200 stands there twice"),
    ],
    ids=["name", "nan", "object", "surrogate", "twice"],
)
def test_a_dict_is_checked_as_a_file_is(given: dict[Any, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Document(given, ".")


def test_a_dict_that_holds_itself_is_refused() -> None:
    given: dict[str, Any] = document({})
    given["components"] = given
    with pytest.raises(ConfigError, match="too much"):
        Document(given, ".")


def test_a_document_that_is_changed_afterwards_is_what_it_was() -> None:
    given = document({"/x": {"get": operation()}})
    read = Document(given, ".")
    given["paths"].clear()
    assert len(operations(read, Noted())) == 1


def test_without_pyyaml_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(loading, "import_module", missing)
    with pytest.raises(ConfigError, match=r'pip install "flask-rampart\[openapi\]"'):
        read_yaml("x.yaml", b"a: 1")
    assert importlib.import_module("yaml")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"swagger": "2.0", "paths": {}}, "Swagger 2 is not read"),
        ({"paths": {}}, 'Write "openapi: 3.1.0"'),
        (document({}, "3.2.0"), "#/openapi: '3.2.0' is not read"),
        (document({}, "2.0"), "is not read"),
        ({"openapi": 3.1, "paths": {}}, "as a text"),
        ({"openapi": "3.1.0", "path": {}}, "'path' is not known here. Did you mean paths"),
    ],
    ids=["swagger", "none", "later", "earlier", "number", "misspelt"],
)
def test_what_is_no_openapi_3_0_or_3_1_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Document(given, ".")


def pet_at(reference: str) -> dict[str, Any]:
    return document({"/pets": {"post": operation(requestBody=body({"$ref": reference}))}})


def serve(make_app: Make, given: Any) -> Any:
    app = make_app()
    app.post("/pets")(lambda: jsonify(validated.body))
    rampart_of(app, given)
    app.extensions["rampart"].seal()
    return app.test_client()


# CWE-918: connexion resolves with requests.get, jsonschema with urlopen.
@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:{port}/pet.json",
        "http://127.0.0.1:{port}/pet.json#/Pet",
        "//127.0.0.1:{port}/pet.json",
        "https://example.com/pet.json",
        "file:///etc/passwd",
        "ftp://127.0.0.1/pet.json",
        "/etc/passwd",
        "/etc/passwd#/x",
        "../secret.json",
        "schemas/../../secret.json",
        "schemas/%2e%2e/%2e%2e/secret.json",
        "..\\secret.json",
        "link.json",
        "linked/secret.json",
        "data:application/json,{{}}",
        "pet.json%00.yaml",
        "missing.json",
    ],
)
def test_nothing_is_fetched_and_nothing_read_outside_of_the_documents_folder(
    make_app: Make, tmp_path: Path, reference: str
) -> None:
    folder = tmp_path / "api"
    (folder / "schemas").mkdir(parents=True)
    (tmp_path / "secret.json").write_text('{"type": "object"}')
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    (folder / "linked").symlink_to(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        (folder / "openapi.json").write_text(json.dumps(pet_at(reference.format(port=listener.getsockname()[1]))))
        with pytest.raises(
            ConfigError, match=r"openapi\.json#/paths/~1pets/post/requestBody/content/application~1json/schema: "
        ):
            serve(make_app, folder / "openapi.json")
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_files_beside_the_document_are_followed_from_where_they_are(make_app: Make, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "openapi.json").write_text(json.dumps(pet_at("./schemas/pet.yaml#/Pet")))
    (tmp_path / "schemas" / "pet.yaml").write_text(
        "Pet:\n  type: object\n  properties:\n    tag: {$ref: 'tag.json'}\n    friend: {$ref: '#/Pet'}\n"
        "    back: {$ref: '../openapi.json#/paths/~1pets/post/requestBody/content/application~1json/schema'}\n"
    )
    (tmp_path / "schemas" / "tag.json").write_text('{"type": "string", "maxLength": 3}')
    client = serve(make_app, tmp_path / "openapi.json")
    assert client.post("/pets", json={"tag": "abc", "friend": {"tag": "a"}}).status_code == 200
    answer = client.post("/pets", json={"friend": {"back": {"tag": "long"}}})
    assert answer.json["errors"] == [{"in": "body", "pointer": "/friend/back/tag", "rule": "maxLength"}]


def test_a_path_is_relative_to_the_app_and_a_dict_has_no_files_beside_it(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    (tmp_path / "api.json").write_text(json.dumps(document({"/pets": {"post": operation()}})))
    app.root_path = str(tmp_path)
    app.post("/pets")(lambda: "made")
    rampart_of(app, "api.json")
    assert app.test_client().post("/pets").status_code == 200
    with pytest.raises(ConfigError, match="a document that is a dict has no files"):
        serve(make_app, pet_at("pet.json"))
    monkeypatch.chdir(os.sep)
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read: No such file"):
        rampart_of(make_app(), "absent.yaml")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("#/components/schemas/Pett", "leads nowhere: there is no 'Pett' in .*#/components/schemas. Did you mean Pet"),
        ("#/components/schemas/Pet/0", "there is no '0'"),
        ("#Pet", "anchors are not followed"),
        ("#/components/schemas/%ff", "leads nowhere"),
        ("", "refers to the whole document"),
        (7, r"\$ref is a text"),
        ("#/components/schemas/Loop", "the \\$ref refers to itself"),
    ],
    ids=["misspelt", "index", "anchor", "escape", "whole", "number", "loop"],
)
def test_a_reference_that_leads_nowhere_is_told_with_its_place(make_app: Make, reference: Any, said: str) -> None:
    given = pet_at(reference)
    given["components"] = {"schemas": {"Pet": {"type": "object"}, "Loop": {"$ref": "#/components/schemas/Loop"}}}
    with pytest.raises(ConfigError, match=said):
        serve(make_app, given)


def test_references_may_go_in_circles_where_values_end(make_app: Make) -> None:
    given = pet_at("#/components/schemas/A")
    given["components"] = {
        "schemas": {
            "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
            "B": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/components/schemas/A"}}},
        }
    }
    client = serve(make_app, given)
    assert client.post("/pets", json={"b": {"a": {"b": {"a": {}}}}}).status_code == 200
    assert client.post("/pets", json={"b": {"a": {"b": {}}}}).status_code == 422


def test_a_long_chain_of_references_needs_no_stack(make_app: Make) -> None:
    given = pet_at("#/components/schemas/S0")
    schemas: dict[str, Any] = {
        f"S{n}": {"type": "object", "properties": {"next": {"$ref": f"#/components/schemas/S{n + 1}"}}}
        for n in range(1500)
    }
    given["components"] = {"schemas": {**schemas, "S1500": {"type": "string"}}}
    assert serve(make_app, given).post("/pets", json={"next": {"next": 1}}).status_code == 422


def with_operation(**more: Any) -> dict[str, Any]:
    return document({"/pets/{id}": {"get": {**operation(parameters=[ID]), **more}}}, "3.0.3")


ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
AT = r"#/paths/~1pets~1\{id\}/get"


# What another validator refuses, of what a contract reads.
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (with_operation(parameters=[]), f"{AT}: .* no parameter with \"in: path\" declares it"),
        (with_operation(parameters=[{**ID, "required": False}]), f"{AT}/parameters/0: .* required: true"),
        (with_operation(parameters=[{**ID, "required": "yes"}]), f"{AT}/parameters/0/required: this is true or false"),
        (with_operation(parameters=[ID, ID]), f"{AT}/parameters/1: there are two parameters 'id'"),
        (with_operation(parameters=[{**ID, "name": 1}]), f"{AT}/parameters/0/name: this is a text"),
        (with_operation(parameters=[{**ID, "in": "body"}]), f'{AT}/parameters/0: "in" is one of'),
        (with_operation(parameters=[{"name": "id", "in": "path", "required": True}]), 'either "schema" or "content"'),
        (with_operation(parameters=[{**ID, "content": {"a/b": {}}}]), 'either "schema" or "content"'),
        (with_operation(parameters=[ID, query("q", {}, requird=True)]), "'requird' is not known here. Did you mean required"),
        (with_operation(parameters={}), f"{AT}/parameters: this is a list"),
        (with_operation(requestbody={}), f"{AT}/requestbody: .* Did you mean requestBody"),
        (with_operation(responses=[]), f"{AT}/responses: this is an object"),
        (with_operation(responses={"2000": {"description": ""}}), f"{AT}/responses/2000: '2000' is no status"),
        (with_operation(security=[{"nobody": []}]), f"{AT}/security/0: the security scheme 'nobody' is not in components"),
        (with_operation(operationId=7), f"{AT}/operationId: this is a text"),
        (document({"pets": {}}), "#/paths/pets: a path begins with a slash"),
        (document({"/a/{x}": {}, "/a/{y}": {}}), r"#/paths/~1a~1\{y\}: .*#/paths/~1a~1\{x\} is the same path"),
        (document({"/a": {"gett": {}}}), "#/paths/~1a/gett: 'gett' is not known here. Did you mean get"),
        (document({"/a": {"get": operation(operationId="a"), "put": operation(operationId="a")}}), "operationId 'a' is that of"),
        (document({"/a": {"post": operation(requestBody={})}}), '/post/requestBody: a body has "content"'),
        (document({"/a": {"post": operation(requestBody={"content": {}})}}), "nothing could be sent"),
        (document({"/a": []}), "#/paths/~1a: this is an object"),
        (document({}), "#/paths: there is no operation"),
        ({"openapi": "3.1.0"}, 'it has no "paths"'),
        (document({"/a": {"get": operation()}}, servers=[{"url": "/{v}"}]), r"#/servers/0: the variable \{v\}"),
    ],
    ids=range(25),
)  # fmt: skip
def test_what_of_a_document_is_read_and_wrong_is_told_with_a_pointer(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        operations(Document(given, "."), Noted())


@pytest.mark.parametrize(
    "given",
    [
        with_operation(parameters=[]),
        with_operation(parameters=[{**ID, "required": False}]),
        with_operation(parameters=[ID, ID]),
        with_operation(parameters=[{**ID, "in": "body"}]),
        with_operation(requestbody={}),
        document({"pets": {}}),
        document({"/a": {"get": operation(operationId="a"), "put": operation(operationId="a")}}),
    ],
    ids=range(7),
)
def test_another_validator_refuses_these_too(given: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"."):
        validate_document(given)
    with pytest.raises(ConfigError):
        operations(Document(given, "."), Noted())
