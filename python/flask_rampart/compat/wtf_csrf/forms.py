"""``FlaskFormCSRF``: what WTForms asks of a token, for the ``Meta`` of a form.

Flask-WTF's own ``FlaskForm`` needs nothing of this: its tokens are ours, and what ``CSRFProtect`` has checked it takes.
Where nothing was checked before, as in a view that is exempt, a form asks by its own class. To have ours asked there::

    class Meta(FlaskForm.Meta):
        csrf_class = FlaskFormCSRF
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, g, request

from .errors import ANOTHER, ValidationError, logger
from .face import face_of
from .tokens import generate_csrf, validate_csrf

if TYPE_CHECKING:
    CSRF = object
else:
    try:
        from wtforms.csrf.core import CSRF
    except ImportError:
        CSRF = object


class FlaskFormCSRF(CSRF):
    """The token of a form: what ``csrf_class`` in its ``Meta`` names.

    ``csrf_secret``, ``csrf_field_name`` and ``csrf_time_limit`` of the ``Meta`` count, as in Flask-WTF.
    """

    meta: Any

    def setup_form(self, form: Any) -> Any:
        """The form's hidden field."""
        self.meta = form.meta
        return super().setup_form(form)  # type: ignore[misc]

    def generate_csrf_token(self, csrf_token_field: Any) -> str:
        """The token of this request."""
        return generate_csrf(secret_key=self.meta.csrf_secret, token_key=self.meta.csrf_field_name)

    def validate_csrf_token(self, form: Any, field: Any) -> None:
        """Raises, unless the form was sent by a page of this app.

        :raises ValidationError: with the reason.
        """
        if g.get("csrf_valid", False):
            return  # by CSRFProtect
        try:
            if face_of(current_app._get_current_object()).page(request) == "other":  # type: ignore[attr-defined]
                raise ValidationError(ANOTHER)
            meta = self.meta
            limit = getattr(meta, "csrf_time_limit", None)
            validate_csrf(field.data, meta.csrf_secret, limit, meta.csrf_field_name)
        except ValidationError as error:
            logger.info(error.args[0])
            raise


_FlaskFormCSRF = FlaskFormCSRF
