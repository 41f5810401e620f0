"""What is raised, and what it says.

``ValidationError`` is WTForms' own, so that ``except wtforms.ValidationError`` still catches it. WTForms need not be
installed: then it is a ``ValueError`` of ours, as WTForms' is too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from werkzeug.exceptions import BadRequest

if TYPE_CHECKING:

    class ValidationError(ValueError):
        """A token is not taken; says why."""

else:
    try:
        from wtforms import ValidationError
    except ImportError:

        class ValidationError(ValueError):
            """A token is not taken; says why."""


logger = logging.getLogger("flask_rampart.compat.wtf_csrf")
"""Told why a request was refused, at level INFO."""

ANOTHER = "The request is from a page of another site."


class CSRFError(BadRequest):
    """A request is not known to be from a page of this app. Its ``description`` says why.

    Answered with 400 and that text, unless the app has a handler for it, or ``RAMPART_ERROR_FORMAT`` is ``"problem"``.
    """

    description = "CSRF validation failed."
