"""``CORS``: what pages of other origins may do with the paths of an app or a blueprint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Blueprint, Flask, Response, request
from flask.sansio.blueprints import BlueprintSetupState

from ...config import Settings
from ...errors import ConfigError
from ...guards import Guard
from ...guards import tell as let_know
from .core import Pattern, Policy, is_regex, merged, resolved, switch, tell
from .decorator import apply
from .told import Told


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
        if isinstance(app, Flask):
            Settings.read(app.config)  # none is the face's, and what could not be meant stops the start-up
            let_know(app, _teller(app, policies, ""))
        else:
            app.record(lambda state: _let_know_of(state, policies))
        decide = _decider(policies)
        app.after_request(decide)
        if switch(options, "intercept_exceptions") and isinstance(app, Flask):
            _intercept(app, decide)


def _let_know_of(state: BlueprintSetupState, policies: list[tuple[Pattern, Policy]]) -> None:
    app = cast(Flask, state.app)
    let_know(app, _teller(app, policies, f"{state.name}."))


def _teller(app: Flask, policies: list[tuple[Pattern, Policy]], within: str) -> Callable[[str, str], Iterable[Guard]]:
    """Which policy an endpoint has, as far as its rules say it: a variable in a path is taken as it is written."""
    told = [(pattern, Told(lambda app, policy=policy: policy, is_everywhere=True)) for pattern, policy in policies]  # type: ignore[misc]

    def policy_of(endpoint: str, method: str) -> Iterable[Guard]:
        if not endpoint.startswith(within):
            return
        paths = [rule.rule for rule in app.url_map.iter_rules(endpoint)]
        found = {first for path in paths if (first := next((guard for p, guard in told if _fits(p, path)), None))}
        yield from found

    return policy_of


def _fits(pattern: Pattern, path: str) -> bool:
    return path == pattern if isinstance(pattern, str) else pattern.match(path) is not None


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
