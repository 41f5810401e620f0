"""The app under test, and the refusal to touch any other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from flask import Flask

from ..errors import ConfigError
from ..exchange import EXTENSION
from ..guards import AppState

Words = str | Iterable[str]
Duration = float | timedelta


def under_test(app: Flask) -> AppState:
    """What *app* keeps of Rampart.

    :raises ConfigError: if it has none, or is in production: neither ``app.testing`` nor ``app.debug``.
    """
    state: AppState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigError(f"{app.name} has no Rampart: call Rampart(app) or init_app(app) first.")
    if not (app.testing or app.debug):
        raise ConfigError(
            f"flask_rampart.testing is not for production: set TESTING = True in the config of {app.name}, "
            "before Rampart(app)."
        )
    return state
