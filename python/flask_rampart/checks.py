"""Checks: how those of a request are asked, and how what they refuse is carried out.

A check is what guards were bound to: it is shown the exchange, and returns a refusal or None. Rules, in order:

1. checks are asked one after the other; the first refusal ends it;
2. a check that fails refuses: with 503 if records cannot be read, else with 500. A :class:`Denied` that is raised is
   as good as one that is returned; any other ``HTTPException`` goes its way, since it was raised on purpose;
3. a refusal before the view is raised where the app has an error handler for it, and returned where it has none;
4. a handler of a framework's that words every error alike, and would lose the code, is none of the app's: refusals are
   worded by us before it. The app takes them back by a handler of its own for :class:`Denied`;
5. one that is raised keeps its header fields, whoever words the answer.

Which checks a request meets, and when, is decided in ``guards``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask, after_this_request, current_app
from werkzeug.exceptions import HTTPException

from .errors import Denied
from .exchange import Exchange
from .refusals import response_to
from .stores import StoreError

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

Check = Callable[[Exchange], Denied | None]


def run(exchange: Exchange, checks: Iterable[Check]) -> Denied | None:
    """The first refusal of these checks, or None if all admit."""
    try:
        for check in checks:
            denied = check(exchange)
            if denied is not None:
                return denied
    except HTTPException as error:
        # Raised on purpose, by a callable of the app's or by reading a broken body.
        if isinstance(error, Denied):
            return error
        raise
    except StoreError as error:
        return unreadable(exchange, error)
    except Exception as error:
        current_app.logger.exception("A guard failed; the request is refused (request %s).", exchange.id)
        return Denied.of("guard.failed", reason=type(error).__name__)
    return None


def undeclared(exchange: Exchange) -> Denied | None:
    """The check of a view that declares nothing, under ``RAMPART_DEFAULT = "deny"``."""
    return Denied.of("route.undeclared", reason="declares neither require nor public")


def is_preflight(exchange: Exchange) -> bool:
    """Whether a request with the method OPTIONS is a browser's preflight."""
    # Fetch, "CORS-preflight request".
    environ = exchange.environ
    return "HTTP_ORIGIN" in environ and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def answer(app: Flask, denied: Denied, blueprints: list[str]) -> Response:
    """The response to a request that was refused before its view, in one of these blueprints.

    :raises Denied: where the app has an error handler for it.
    """
    if _wanted(app, denied, blueprints):
        raise raised(denied)
    # Raising costs more than most views: an answer that nobody wants to change is returned.
    if any(app.after_request_funcs.values()):
        return denied.to_response(app.response_class)
    return response_to(denied, app.response_class)


def raised(denied: Denied) -> Denied:
    """A refusal that is about to be raised: its headers are sent whoever words the answer.

    An error handler of the app's may give another body, and know nothing of ``Retry-After`` or ``WWW-Authenticate``.
    What it sets itself stays; if it gives another status, nothing is added.
    """
    if denied.extra_headers:

        def add(response: Response) -> Response:
            if response.status_code == denied.problem.status:
                missing = {name.lower() for name, _ in denied.extra_headers if name not in response.headers}
                for name, value in denied.extra_headers:
                    if name.lower() in missing:
                        response.headers.add(name, value)
            return response

        after_this_request(add)
    return denied


def unreadable(exchange: Exchange, error: StoreError) -> Denied:
    """The refusal of a request for which records were needed and could not be read. Logged."""
    # Its text names the store and the kind of failure; a traceback would show what was asked.
    current_app.logger.error("The request %s is refused, since records cannot be read: %s", exchange.id, error)
    return Denied.of("store.unavailable", reason="StoreError", headers=(("Retry-After", "1"),))


def keep_words(app: Flask) -> None:
    """Puts our words before those of a framework that has one handler for all errors. Once the app is complete."""
    handlers = app.error_handler_spec[None][None]
    handler = handlers.get(HTTPException)
    if Denied in handlers or not _is_of_framework(handler):
        return
    # Whoever has said how APIFlask words errors has said so of ours too.
    words: object = getattr(app, "error_callback", None)
    if words is None or _is_of_framework(words):
        handlers[Denied] = _in_our_words


def _is_of_framework(function: object) -> bool:
    # A method that the app overrides is of the app's module.
    return getattr(function, "__module__", None) in _FRAMEWORKS


def _in_our_words(denied: Denied) -> Response:
    return denied.to_response(current_app.response_class)


_FRAMEWORKS = ("apiflask.app", "flask_smorest.error_handler")


def _wanted(app: Flask, denied: Denied, blueprints: list[str]) -> bool:
    """Whether the app has an error handler of its own for this refusal."""
    for by_code in app.error_handler_spec.values():
        if any(by_code.values()):
            return app._find_error_handler(denied, blueprints) not in (None, _in_our_words)
    return False
