"""The face of Flask-WTF's CSRF protection: its names, settings, tokens and answers, asked of browsers first.

Write ``from flask_rampart.compat.wtf_csrf import ...`` where an app has ``from flask_wtf.csrf import ...``, or takes
``CSRFProtect`` from ``flask_wtf``. ``FlaskForm`` stays where it is. Differences stand in ``docs/migrate/wtf-csrf.md``.

What it promises: tokens and sessions that are out stay valid, after the change and back; a request that the browser
says is from another site's page is refused, whatever token it carries; nothing that a peer sends is a 500. It works
with or without ``Rampart(app)``.
"""

from __future__ import annotations

from .errors import CSRFError as CSRFError
from .errors import ValidationError as ValidationError
from .errors import logger as logger
from .forms import FlaskFormCSRF as FlaskFormCSRF
from .forms import _FlaskFormCSRF as _FlaskFormCSRF
from .protect import CSRFProtect as CSRFProtect
from .protect import same_origin as same_origin
from .tokens import csrf_meta_tag as csrf_meta_tag
from .tokens import generate_csrf as generate_csrf
from .tokens import validate_csrf as validate_csrf

__all__ = [
    "CSRFProtect",
    "csrf_meta_tag",
    "generate_csrf",
    "validate_csrf",
]
