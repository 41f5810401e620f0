"""Problems: every refusal is an RFC 9457 document with a stable code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from werkzeug.exceptions import Forbidden, HTTPException

from flask_rampart import Denied
from flask_rampart.errors import PROBLEMS

DOCS = Path(__file__).parent.parent / "docs"


def test_the_docs_list_every_code_with_its_status_and_nothing_else() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\d+) \|", (DOCS / "problems.md").read_text(), re.M)
    assert dict(rows) == {code: str(problem.status) for code, problem in PROBLEMS.items()}


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_document_has_the_members_of_rfc_9457(code: str) -> None:
    denied = Denied.of(code, reason="hunter2", headers=(("Retry-After", "3"),), members={"errors": []})
    response = denied.get_response()
    document = json.loads(response.data)
    assert document["status"] == response.status_code == PROBLEMS[code].status
    assert document["code"] == code
    assert {"type", "title", "detail"} <= set(document)
    assert response.content_type == "application/problem+json"
    assert response.headers["Retry-After"] == "3"
    # The reason is for the log.
    assert "hunter2" not in response.get_data(as_text=True)


def test_a_refusal_is_found_by_status_and_by_class() -> None:
    denied = Denied.of("auth.scope")
    assert isinstance(denied, Forbidden)
    assert isinstance(denied, HTTPException)
    assert str(denied) == "403 auth.scope"
