"""Refusing: refusals in the words of OpenAI's API, so that its clients raise what they raise there.

The status is ours, which decides what a client raises; header fields such as ``Retry-After`` and ``WWW-Authenticate``
are kept. What the edge refuses before Flask is entered (a body that is too large, ``RAMPART_LIMITS``, a ban) has the
same status, and a body as RFC 9457 says.

Source: OpenAI's API reference, "Error codes"; clients read ``error`` of the body.
"""

from __future__ import annotations

import json

from flask import Flask, Response

from ..errors import Denied

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def in_openais_words(app: Flask, denied: Denied) -> Response:
    """The refusal as an answer.

    >>> in_openais_words(Flask("x"), Denied.of("ai.model")).json["error"]["code"]
    'ai.model'
    """
    status = denied.problem.status
    error = {
        "message": denied.problem.detail,
        "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": "model" if denied.problem.code == "ai.model" else None,
        "code": denied.problem.code,
    }
    document: dict[str, object] = {"error": error}
    if denied.request_id:
        document["request_id"] = denied.request_id
    made: Response = app.response_class(
        json.dumps(document, separators=(",", ":")),
        status,
        list(denied.extra_headers),
        mimetype="application/json",
    )
    return made
