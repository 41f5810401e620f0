"""The face of Flask-Cors: its names, arguments, settings and header fields, read once.

Write ``from flask_rampart.compat.cors import ...`` where an app has ``from flask_cors import ...``. Differences
stand in ``docs/migrate/cors.md``.

What it promises: an origin is allowed when the whole of it is what was written; nobody's login is lent to every page of
the world; a misspelt option stops the start-up. It works with or without ``Rampart(app)``; where
``RAMPART_CORS_ORIGINS`` or ``@cors`` says who may read an answer, that alone is sent.
"""

from __future__ import annotations

from importlib.metadata import version

from .decorator import cross_origin as cross_origin
from .extension import CORS as CORS

__all__ = [
    "CORS",
    "__version__",
    "cross_origin",
]

__version__ = version("flask-rampart")
