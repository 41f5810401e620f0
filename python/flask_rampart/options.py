"""Who answers OPTIONS: the view, or something in its place. Flask does unless the view says it does so itself, and
``cross_origin`` of Flask-CORS, or of our face of it, answers browsers' preflights where it stands at the route.

Whoever answers in the place of a view shows nothing of it. What stands above ``cross_origin`` is not known to leave
OPTIONS to it, but for our own wrappers. It decides nothing.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from flask import Flask

from .declarations import asked_by, is_ours
from .layers import layers

if TYPE_CHECKING:
    from werkzeug.routing import Rule


def answers_itself(rule: Rule, method: str, app: Flask | None = None) -> bool:
    """Whether the view of a rule answers a method: to OPTIONS Flask may answer by itself.

    It goes by what Flask goes by: a rule that Flask did not make is not answered for.

    :param app: given, a view for which ``cross_origin`` answers does not either.
    """
    if method != "OPTIONS":
        return True
    if getattr(rule, "provide_automatic_options", False):
        return False
    return app is None or not is_answered_for(app, app.view_functions.get(rule.endpoint))


def is_answered_for(app: Flask, view: Any) -> bool:
    """Whether ``cross_origin`` answers OPTIONS in the place of a view that Flask does not answer for."""
    for layer in layers(view):
        if any(guard.answers_options(app) for guard in asked_by(layer)) or _is_flask_cors(layer, app):
            return True
        if not is_ours(layer):
            return False
    return False


def _is_flask_cors(layer: Any, app: Flask) -> bool:
    # By its globals: the name and module of a wrapper are those of the view that it wraps.
    if not inspect.isfunction(layer) or layer.__globals__.get("__name__") != "flask_cors.decorator":
        return False
    try:
        given = inspect.getclosurevars(layer).nonlocals.get("_options")
    except ValueError:  # a name that is not assigned yet
        return False
    default = app.config.get("CORS_AUTOMATIC_OPTIONS", True)
    return isinstance(given, dict) and bool(given.get("automatic_options", default))
