"""The face of Flask-JWT-Extended: its names, settings and answers, by our verifier.

Write ``from flask_rampart.compat.jwt_extended import ...`` where an app has ``from flask_jwt_extended import ...``.
Tokens and cookies that are out stay valid. Differences, each with the setting that says otherwise, stand in
``docs/migrate/jwt-extended.md``.

What it promises: a token is judged by the native verifier, and by nothing else. It works with or without
``Rampart(app)``; with it, limits, logs and audit know who is calling.
"""

from __future__ import annotations

from . import config as config
from . import exceptions as exceptions
from .jwt_manager import JWTManager as JWTManager
from .utils import create_access_token as create_access_token
from .utils import create_refresh_token as create_refresh_token
from .utils import current_user as current_user
from .utils import decode_token as decode_token
from .utils import get_csrf_token as get_csrf_token
from .utils import get_current_user as get_current_user
from .utils import get_jti as get_jti
from .utils import get_jwt as get_jwt
from .utils import get_jwt_header as get_jwt_header
from .utils import get_jwt_identity as get_jwt_identity
from .utils import get_jwt_request_location as get_jwt_request_location
from .utils import get_unverified_jwt_headers as get_unverified_jwt_headers
from .utils import set_access_cookies as set_access_cookies
from .utils import set_refresh_cookies as set_refresh_cookies
from .utils import unset_access_cookies as unset_access_cookies
from .utils import unset_jwt_cookies as unset_jwt_cookies
from .utils import unset_refresh_cookies as unset_refresh_cookies
from .view_decorators import jwt_required as jwt_required
from .view_decorators import verify_jwt_in_request as verify_jwt_in_request

__all__ = [
    "JWTManager",
    "config",
    "create_access_token",
    "create_refresh_token",
    "current_user",
    "decode_token",
    "exceptions",
    "get_csrf_token",
    "get_current_user",
    "get_jti",
    "get_jwt",
    "get_jwt_header",
    "get_jwt_identity",
    "get_jwt_request_location",
    "get_unverified_jwt_headers",
    "jwt_required",
    "set_access_cookies",
    "set_refresh_cookies",
    "unset_access_cookies",
    "unset_jwt_cookies",
    "unset_refresh_cookies",
    "verify_jwt_in_request",
]
