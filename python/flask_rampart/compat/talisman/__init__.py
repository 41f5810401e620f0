"""The face of Flask-Talisman: its names, arguments and header fields, checked at start-up and made once.

Write ``from flask_rampart.compat.talisman import ...`` where an app has ``from flask_talisman import ...``. Differences
stand in ``docs/migrate/talisman.md``.

What it promises: a policy that a browser would read otherwise than it is written stops the start-up; whether a request
came by HTTPS is the server's word, or a trusted proxy's; nobody is sent to a host that is not known. It works with or
without ``Rampart(app)``; with it, no field is sent twice, and the stricter of two is.
"""

from __future__ import annotations

from .talisman import ALLOW_FROM as ALLOW_FROM
from .talisman import DEFAULT_CSP_POLICY as DEFAULT_CSP_POLICY
from .talisman import DEFAULT_DOCUMENT_POLICY as DEFAULT_DOCUMENT_POLICY
from .talisman import DEFAULT_FEATURE_POLICY as DEFAULT_FEATURE_POLICY
from .talisman import DEFAULT_PERMISSIONS_POLICY as DEFAULT_PERMISSIONS_POLICY
from .talisman import DENY as DENY
from .talisman import GOOGLE_CSP_POLICY as GOOGLE_CSP_POLICY
from .talisman import NONCE_LENGTH as NONCE_LENGTH
from .talisman import SAMEORIGIN as SAMEORIGIN
from .talisman import Talisman as Talisman

__all__ = [
    "ALLOW_FROM",
    "DEFAULT_CSP_POLICY",
    "DEFAULT_DOCUMENT_POLICY",
    "DEFAULT_FEATURE_POLICY",
    "DEFAULT_PERMISSIONS_POLICY",
    "DENY",
    "GOOGLE_CSP_POLICY",
    "NONCE_LENGTH",
    "SAMEORIGIN",
    "Talisman",
]
