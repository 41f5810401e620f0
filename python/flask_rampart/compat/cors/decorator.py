"""``cross_origin``: what pages of other origins may do with one view."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast
from weakref import WeakSet

from flask import Flask, Response, current_app, make_response, request, request_started
from werkzeug.datastructures import Headers

from ...declarations import declared_on
from ...guards import methods_of
from .core import ALLOW_ORIGIN, Policy, known, merged, tell
from .told import Told

F = TypeVar("F", bound=Callable[..., Any])

_EXTENSION = "rampart-cors"
_BEGUN = "rampart-cors-begun"
DECIDED = "_rampart_cors_decided"
"""Marks an answer of which a view has decided, so that the extension does not."""


def cross_origin(*args: Any, **kwargs: Any) -> Callable[[F], F]:
    """Lets pages of other origins read what a view answers; stands below its route.

    :param origins: an origin, a regular expression that matches the whole of it, or a list of them; ``"*"`` for all.
    :param methods: that pages may send.
    :param expose_headers: fields of the answer that pages may read.
    :param allow_headers: fields that pages may send; texts or regular expressions.
    :param supports_credentials: whether pages act as whoever is logged in.
    :param max_age: for how long a preflight is remembered: seconds, or a ``timedelta``.
    :param send_wildcard: whether ``*`` is sent instead of the origin, where every origin is meant.
    :param vary_header: whether ``Vary: Origin`` is sent where the answer depends on it.
    :param automatic_options: whether OPTIONS is answered without the view.
    :param always_send: whether the fields are sent with requests that name no origin, too.
    :param allow_private_network: whether pages of public sites may reach into a private network.
    :raises ConfigError: for an option that is none, and for what could not be meant; before the app's first request, if
        the settings have a part in it.

    What is left out is taken from the ``CORS_*`` settings.
    """
    known(kwargs)
    if "origins" in kwargs:
        Policy(merged(None, kwargs))  # what is wrong by itself stops the start-up

    def decorate(view: F) -> F:
        target: Any = view
        if kwargs.get("automatic_options", True):
            target.required_methods = {*getattr(view, "required_methods", ()), "OPTIONS"}
            target.provide_automatic_options = False
        told = Told(lambda app: _policy_of(app, told, kwargs), is_everywhere=False)
        if not _DECIDING.issubset(kwargs):
            # Whether that could be meant, only the settings of its app say: before its first request, of any view.
            _open.add(told)
            request_started.connect(_begin)

        def wrapped(*args: Any, **values: Any) -> Response:
            app = current_app._get_current_object()  # type: ignore[attr-defined]
            policy = _policy_of(app, told, kwargs)
            this = request._get_current_object()  # type: ignore[attr-defined]
            if policy.automatic_options and this.method == "OPTIONS":
                response: Response = app.make_default_options_response()
            else:
                response = make_response(app.ensure_sync(view)(*args, **values))
            apply(response, policy, this.environ)
            setattr(response, DECIDED, True)
            return response

        return cast(F, told.stands_on(update_wrapper(wrapped, view)))

    return decorate


def _policy_of(app: Flask, told: Told, options: dict[str, Any]) -> Policy:
    """What the options of one decorator come to in one app."""
    policies: dict[Told, Policy] = app.extensions.setdefault(_EXTENSION, {})
    policy = policies.get(told)
    if policy is None:
        policy = policies[told] = Policy(merged(app, options))
        tell((policy,))
    return policy


def _begin(app: Flask, **_: Any) -> None:
    """Stops an app before its first request, as long as a policy of one of its views could not be meant."""
    if _BEGUN in app.extensions:
        return
    views = app.view_functions
    met = {
        guard
        for rule in app.url_map.iter_rules()
        if rule.endpoint in views
        for method in methods_of(rule)
        for guard, _ in declared_on(views[rule.endpoint], method)
        if isinstance(guard, Told)
    }
    for guard in met:
        guard.ready(app)
    app.extensions[_BEGUN] = True
    _open.difference_update(met)
    if not _open:
        request_started.disconnect(_begin)  # each request would pay for it


_DECIDING = frozenset(("origins", "supports_credentials", "allow_private_network"))
_open: WeakSet[Told] = WeakSet()
"""What no app has begun with yet."""


def apply(response: Response, policy: Policy, environ: Any) -> None:
    """Adds the fields, unless who made the answer, or a policy nearer to it, has said who may read it."""
    fields = policy.fields(environ)
    if not fields or hasattr(response, DECIDED):
        return
    headers = response.headers
    if not isinstance(headers, Headers):
        # OAuthlib leaves a dict of its own.
        headers = response.headers = Headers(headers)
    # Not by `in`, which raises where there is none, and is caught: that costs more than all the rest.
    if _NAME not in [name.lower() for name, _ in headers]:
        headers[len(headers) :] = fields


_NAME = ALLOW_ORIGIN.lower()
