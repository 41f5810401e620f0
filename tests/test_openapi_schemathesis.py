"""The document of ``examples/predict_api`` held against the app by schemathesis, with all its checks.

``python -m tests.generated --cases 10000`` does the same for longer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from schemathesis import GenerationMode

from flask_rampart import Rampart

from .documenting import parts
from .generated import Fleeting, Open, Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    # Generators warn of what they deprecate in each other.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Run(Fleeting(tmp_path_factory.mktemp("generated")))


def test_the_document_is_the_one_of_every_route(run: Run) -> None:
    assert len(run.operations()) == 10


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_the_app_keeps_what_its_document_promises(run: Run, mode: GenerationMode) -> None:
    run.failures.clear()
    run.tally.clear()
    for operation in run.operations():
        run.cases(operation, mode, 30)
    assert run.failures == {}
    statuses = {status for _, status in run.tally}
    # Requests got through to views, and past none of the guards.
    assert statuses >= ({200, 204} if mode is GenerationMode.POSITIVE else {400, 422})
    assert run.tally.total() >= 100


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_part_is_written_as_its_document_says(mode: GenerationMode) -> None:
    app = Flask("parts")
    app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app).serve_openapi()
    parts(app)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Run(Open(app))
        for operation in run.operations():
            run.cases(operation, mode, 20)
    assert run.failures == {}
    got = {status for _, status in run.tally}
    assert got == {200} if mode is GenerationMode.POSITIVE else got >= {404, 422}


@pytest.mark.parametrize(
    ("method", "path", "broken"),
    [
        ("post", "/login", lambda operation: operation["responses"].pop("401")),
        ("post", "/login", lambda operation: operation["x-rampart-codes"].pop("422")),
        ("get", "/models", lambda operation: operation["responses"].update({"200": {"description": "", "content": {"text/csv": {}}}})),
        ("post", "/predict", lambda operation: operation["requestBody"]["content"]["application/json"].update(schema={"type": "object"})),
    ],
    ids=["a status", "a code", "a media type", "a schema"],
)  # fmt: skip
def test_a_document_that_promises_something_else_is_caught(run: Run, method: str, path: str, broken: Any) -> None:
    document = run.target.app.test_client().get("/openapi.json").json
    assert document is not None
    broken(document["paths"][path][method])
    other = Run(run.target, document)
    (operation,) = (each for each in other.operations() if each.label == f"{method.upper()} {path}")
    for mode in GenerationMode:
        other.cases(operation, mode, 5)
    assert other.failures
