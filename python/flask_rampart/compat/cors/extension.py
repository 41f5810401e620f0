"""``CORS``: what pages of other origins may do with the paths of an app or a blueprint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, request

from ...errors import ConfigError
from .core import Pattern, Policy, is_regex, merged, resolved, switch, tell
from .decorator import apply


class CORS:
    """Lets pages of other origins read what *app* answers.

    :param app: a ``Flask`` or a ``Blueprint``; or call :meth:`init_app` later.
    :param resources: a path, a regular expression that a path begins with, a list of them, or a dict of them with the
        options that hold there. Paths that are written in full are looked at first, then what has more slashes.
    :param intercept_exceptions: whether answers to errors have the fields too.
    :raises ConfigError: for what could not be meant.

    The other arguments are those of :func:`~flask_rampart.compat.cors.cross_origin`.
    """

    def __init__(self, app: Flask | Blueprint | None = None, **kwargs: Any) -> None:
        self._options = kwargs
        if app is not None:
            self.init_app(app, **kwargs)

    def init_app(self, app: Flask | Blueprint, **kwargs: Any) -> None:
        """Puts the policies into *app*."""
        options = merged(app, self._options, kwargs)
        policies = [
            (pattern, Policy(merged(app, self._options, kwargs, own)))
            for pattern, own in _resources(options["resources"])
        ]
        tell(policy for _, policy in policies)
        decide = _decider(policies)
        app.after_request(decide)
        if switch(options, "intercept_exceptions") and isinstance(app, Flask):
            _intercept(app, decide)


def _decider(policies: list[tuple[Pattern, Policy]]) -> Callable[[Response], Response]:
    def decide(response: Response) -> Response:
        this = request._get_current_object()  # type: ignore[attr-defined]
        path = this.path
        for pattern, policy in policies:
            if path == pattern if isinstance(pattern, str) else pattern.match(path):
                apply(response, policy, this.environ)
                break
        return response

    return decide


def _intercept(app: Any, decide: Callable[[Response], Response]) -> None:
    """An answer to an error has the fields, also where an ``after_request`` of the app fails before it gets them."""

    def decided(handle: Callable[..., Any]) -> Callable[..., Response]:
        def answer(*args: Any, **kwargs: Any) -> Response:
            return decide(app.make_response(handle(*args, **kwargs)))

        return answer

    app.handle_exception = decided(app.handle_exception)
    app.handle_user_exception = decided(app.handle_user_exception)


def _resources(given: Any) -> list[tuple[Pattern, dict[str, Any]]]:
    pairs: list[tuple[Any, dict[str, Any]]]
    if isinstance(given, dict):
        pairs = sorted(((_fixed(pattern), own) for pattern, own in given.items()), key=lambda pair: _order(pair[0]))
    elif isinstance(given, (str, re.Pattern)):
        pairs = [(_fixed(given), {})]
    elif isinstance(given, Iterable):
        pairs = [(_fixed(pattern), {}) for pattern in given]
    else:
        raise ConfigError(f"CORS: resources is a path, a list or a dict of them, not {type(given).__name__}.")
    return [(resolved(pattern, ignore_case=False), own) for pattern, own in pairs]


def _fixed(pattern: Any) -> Any:
    return ".*" if pattern == "*" else pattern


def _order(pattern: Any) -> tuple[int, int, int, int]:
    """What is more particular comes first."""
    text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    rank = (1, 0) if isinstance(pattern, re.Pattern) else (1, 1) if is_regex(text) else (0, 0)
    return (*rank, -text.count("/"), -len(text))
