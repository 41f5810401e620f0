"""``generate_csrf`` and ``validate_csrf``: Flask-WTF's tokens, bit for bit.

The session holds a random text, for each browser another. A token is that text and the time, signed. So a token is of
one session, and of one key, and lives ``WTF_CSRF_TIME_LIMIT``.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any, cast

from flask import Flask, current_app, g, session
from itsdangerous import BadData, SignatureExpired
from markupsafe import Markup

from .errors import ValidationError
from .face import Face, face_of

SKEW = 60
"""Seconds by which the clock of the host that made a token may be ahead."""


def generate_csrf(secret_key: Any = None, token_key: str | None = None) -> str:
    """A token for the pages of this request: the same, however often it is asked for.

    :param secret_key: signs it. Default: ``WTF_CSRF_SECRET_KEY``, or ``SECRET_KEY``.
    :param token_key: where the session and ``g`` have it. Default: ``WTF_CSRF_FIELD_NAME``.
    :raises RuntimeError: without a key or a name.
    """
    face = _face()
    secret = face.secret(secret_key)
    name = _name(face, token_key)
    if name not in g:
        if not isinstance(session.get(name), str):  # bytes, in sessions of old
            session[name] = secrets.token_hex(20)
        token = face.serializer(secret).dumps(session[name])
        setattr(g, name, token)
    return cast(str, g.get(name))


def validate_csrf(
    data: Any, secret_key: Any = None, time_limit: float | None = None, token_key: str | None = None
) -> None:
    """Raises, unless *data* is a token of this session.

    :param data: what the request sends.
    :param secret_key: as of :func:`generate_csrf`.
    :param time_limit: seconds that a token lives. Default: ``WTF_CSRF_TIME_LIMIT``.
    :param token_key: as of :func:`generate_csrf`.
    :raises ValidationError: with the reason.
    :raises RuntimeError: without a key or a name.
    """
    face = _face()
    secret = face.secret(secret_key)
    name = _name(face, token_key)
    limit = face.rules().time_limit if time_limit is None else time_limit
    if not data:
        raise ValidationError("The CSRF token is missing.")
    if name not in session:
        raise ValidationError("The CSRF session token is missing.")
    token = _loaded(face, secret, data, limit)
    known = session[name]
    if not (
        isinstance(known, str)
        and isinstance(token, str)
        and hmac.compare_digest(known.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))
    ):
        raise ValidationError("The CSRF tokens do not match.")


def csrf_meta_tag(name: str | None = None, secret_key: Any = None, token_key: str | None = None) -> Markup:
    """A ``<meta>`` element with the token, which scripts send in ``X-CSRFToken``.

    :param name: of the element. Default: ``WTF_CSRF_META_NAME``.
    :param secret_key: as of :func:`generate_csrf`.
    :param token_key: as of :func:`generate_csrf`.
    """
    found = _face().rules().meta_name if name is None else name
    if found is None:
        raise RuntimeError("CSRF is not configured.")
    token = generate_csrf(secret_key=secret_key, token_key=token_key)
    return Markup('<meta name="{}" content="{}">').format(found, token)


def _loaded(face: Face, secret: Any, data: Any, limit: float | None) -> Any:
    # What JSON held may be of any type, and half of a character.
    if not isinstance(data, (str, bytes)):
        raise ValidationError("The CSRF token is invalid.")
    serializer = face.serializer(secret)
    try:
        try:
            return serializer.loads(data, max_age=cast(int, limit))
        except SignatureExpired as error:
            made = error.date_signed
            if made is None or not 0 < made.timestamp() - face.clock.now() <= SKEW:
                raise
            return serializer.loads(data)
    except SignatureExpired as error:
        raise ValidationError("The CSRF token has expired.") from error
    except (BadData, UnicodeError) as error:
        raise ValidationError("The CSRF token is invalid.") from error


def _face() -> Face:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return face_of(app)


def _name(face: Face, given: str | None) -> str:
    found = face.rules().field_name if given is None else given
    if found is None:
        raise RuntimeError("A field name is required to use CSRF.")
    return found
