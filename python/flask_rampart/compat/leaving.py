"""Whether anything looks at an answer between a face's function after the request and the server.

Where nothing does, a face adds its fields when the answer leaves, which is cheaper: what an answer has before, werkzeug
copies one by one. Where something may, they are added in that function, as the incumbents add theirs. So what is not
known is taken to look: whatever Flask and werkzeug did not write themselves, in a class, on an instance, or put in the
place of theirs for the whole process.

A receiver of ``request_finished`` looks, too. It may come and go, so each answer asks: ``request_finished.receivers``.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from flask import Flask
from flask.wrappers import Response

_OF_APPS = ("process_response", "finalize_request", "full_dispatch_request", "ensure_sync")
_OF_ANSWERS = ("__call__", "get_wsgi_response", "get_wsgi_headers")


def is_unseen(app: Flask, after: Any) -> bool:
    """Whether no part of *app* looks at an answer after *after* had it. Known when all is registered, and not before.

    Whose answer it is, :func:`is_plain` says of each.

    :param after: a function of ``app.after_request``.
    """
    return (
        app.after_request_funcs[None][0] == after  # the last is called first
        and all(_is_theirs(getattr(app, name)) for name in _OF_APPS)
        and _is_theirs(type(app).wsgi_app)
        and _is_theirs(app.session_interface.save_session)
        and _is_written_by_them(app.response_class)
        and _is_written_by_them(Response)
    )


def is_plain(response: Any) -> bool:
    """Whether an answer does not look at itself when it leaves, as one of a class of the app's may."""
    kind = type(response)
    return kind is Response or _is_written_by_them(kind)


def _is_written_by_them(kind: type) -> bool:
    return all(_is_theirs(getattr(kind, name)) for name in _OF_ANSWERS)


def _is_theirs(function: Any) -> bool:
    """Whether Flask or werkzeug wrote a function: by where its code is, as names are copied by ``functools.wraps``."""
    function = getattr(function, "__func__", function)
    if type(function) is not FunctionType:
        return False
    return str(function.__globals__.get("__name__")).partition(".")[0] in ("flask", "werkzeug")
