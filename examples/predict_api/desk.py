"""What a help desk has beside the API: tickets to read one by one, queues that are the admins', an export, and an old
sign-in for several at once.

The served API has none of it. The monitor's part of the demo adds it to the same app (``stage``), because who reads
other people's objects, or all of them, needs objects to read.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, abort, jsonify

from examples.predict_api.app import problem, rampart
from flask_rampart import public, require, validate, validated

#: Tickets have the numbers from 1 to this.
TICKETS = 5000
#: An export has so many pieces, and each so many bytes.
PIECES, PIECE = 64, b" " * 1024 * 1024

SEVERAL = {"type": "array", "maxItems": 500, "items": {"type": "string", "maxLength": 254}}

desk = Blueprint("desk", __name__, url_prefix="/desk")


@desk.get("/tickets/<int:number>")
@require(scopes="predict")
def ticket(number: int) -> Response:
    """One ticket."""
    if not 1 <= number <= TICKETS:
        abort(404)
    return jsonify(number=number, text="My parcel has not arrived.")


@desk.get("/queues/<name>")
@require(roles="admin")
def queue(name: str) -> Response:
    """How many tickets wait in a queue."""
    return jsonify(name=name, waiting=0)


@desk.get("/export")
@require(scopes="predict")
def export() -> Response:
    """All tickets with what was attached to them, streamed."""

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE

    return Response(pieces(), mimetype="application/octet-stream")


@desk.post("/sign-ins")
@public
@validate(body=SEVERAL)
def sign_ins() -> Response:
    """Signs in several at once, as batches of GraphQL do. All of its accounts were closed, and it is still there."""
    for email in validated.body:
        rampart.monitor.login(email).failed()
    return problem(401, "login.failed", "These accounts were closed.")
