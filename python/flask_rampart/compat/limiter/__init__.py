"""The face of Flask-Limiter: its names, settings and answers, on our counters.

Write ``from flask_rampart.compat.limiter import ...`` where an app has ``from flask_limiter import ...``. Differences,
each with the setting that says otherwise, stand in ``docs/migrate/limiter.md``.

What it promises: a quota holds for all workers of the host. It works with or without ``Rampart(app)``; with it,
refusals are in its logs and its audit.
"""

from __future__ import annotations

from .constants import ExemptionScope as ExemptionScope
from .constants import HeaderNames as HeaderNames
from .definitions import ApplicationLimit as ApplicationLimit
from .definitions import Limit as Limit
from .definitions import MetaLimit as MetaLimit
from .definitions import RouteLimit as RouteLimit
from .errors import RateLimitExceeded as RateLimitExceeded
from .extension import Limiter as Limiter
from .requests import RequestLimit as RequestLimit

__all__ = [
    "ApplicationLimit",
    "ExemptionScope",
    "HeaderNames",
    "Limit",
    "Limiter",
    "MetaLimit",
    "RateLimitExceeded",
    "RequestLimit",
    "RouteLimit",
]
