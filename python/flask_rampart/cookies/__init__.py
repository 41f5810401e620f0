"""Cookies: with which attributes they leave, and names that browsers hold an app to.

1. Every ``Set-Cookie`` of every answer, whoever made it, goes through one native pass at the edge (``src/cookies``):
   ``Secure`` over TLS, ``HttpOnly`` and ``SameSite=Lax`` are added where they are absent. What stands there stays.
2. That a cookie has no ``HttpOnly`` cannot be written in a cookie, so who means it says it by name, in
   ``RAMPART_COOKIES``. Only the well-known cookies whose whole use is that a script copies them (:data:`READABLE`) need
   no such rule.
3. A ``SESSION_COOKIE_HTTPONLY = False`` of Flask's is taken at its word under ``app.debug`` and ``app.testing`` alone,
   or with a rule; otherwise a warning says that it has no effect.
4. ``RAMPART_SESSION_PREFIX`` renames the session's cookie, so that no neighbour's page can plant one
   (RFC 6265bis section 4.1.3). Under ``app.debug`` it keeps its plain name: over plain HTTP browsers drop the other.
5. What browsers will drop is logged, once for each cookie and reason.

It does not read the cookies of requests, and signs nothing. ``Secure`` needs to know of TLS: behind a proxy that was
not declared, answers look like plain HTTP.
"""

from __future__ import annotations

from .app import AppCookies as AppCookies
from .making import cookie_name as cookie_name
from .making import delete_cookie as delete_cookie
from .making import get_cookie as get_cookie
from .making import set_cookie as set_cookie
from .policy import READABLE as READABLE
from .policy import cookie_policy as cookie_policy
from .telling import Telling as Telling
