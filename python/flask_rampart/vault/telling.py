"""Tells an app that something sealed could not be opened: the signal ``integrity_failed``.

The sender is the app whose vault it is, or else the current one; outside of both, nobody is told. What is told is a
code and the place. The text of associated data is the place, as the caller wrote it; data that are no printable text
are told as hexadecimal digits. The value, sealed or not, is in nothing that is told.

It decides nothing: the error is raised in any case, after the receivers were called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app, has_app_context

from ..errors import IntegrityError
from ..signals import emit, integrity_failed

T = TypeVar("T")

# Associated data that an app has made of something long are cut.
MOST = 200


def told(error: IntegrityError, place: str | bytes, app: Flask | None = None) -> IntegrityError:
    """*error*, after those who listen were told of it. Once for each error."""
    if error.place is None:
        error.place = _text(place)
        if app is None and has_app_context():
            app = current_app._get_current_object()  # type: ignore[attr-defined]
        if app is not None and integrity_failed.receivers:
            emit(integrity_failed, app, code=error.code, place=error.place)
    return error


def telling(does: Callable[[], T], place: str | bytes, app: Flask | None) -> T:
    """What *does* returns; an integrity failure of it is told."""
    try:
        return does()
    except IntegrityError as error:
        told(error, place, app)
        raise


def _text(place: str | bytes) -> str:
    data = place.encode("utf-8", "replace") if isinstance(place, str) else place
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.hex()
    if not text.isprintable():
        text = data.hex()
    return text if len(text) <= MOST else text[:MOST] + "..."
