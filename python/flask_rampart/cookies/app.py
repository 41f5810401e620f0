"""The cookies of one Flask app: its policy, which settings of Flask's count, and the name of its session's cookie.

1. Whether this is production is known at the first request, so the policy is made then; what cannot be meant in any
   case is refused when it is set.
2. The session's cookie has its prefixed name from the start, for whatever looks at the configuration; under
   ``app.debug`` it has its plain name back by the first request.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._native import CookiePolicy
from ..config import Settings
from ..errors import ConfigError
from .making import OF_NO_SCRIPT, OF_ONE_HOST, PREFIXES, TOKEN
from .policy import Rules, cookie_policy
from .telling import Telling

if TYPE_CHECKING:
    from flask import Flask


class AppCookies:
    """The cookies of one Flask app: its policy, and the name of its session's.

    :param own: rules of rooms, for cookies of theirs.
    :raises ConfigError: for ``RAMPART_COOKIES`` and ``RAMPART_SESSION_PREFIX`` that cannot be meant.
    """

    def __init__(self, app: Flask, settings: Settings, own: Rules = MappingProxyType({})) -> None:
        self._app = app
        self._settings = settings
        self._own = own
        self._telling = Telling(app.logger)
        self._plain: dict[str, Any] = {}
        self._ours: dict[str, Any] = {}
        cookie_policy(settings, self._own)
        self.check(app)
        self.name_session()

    def policy(self) -> CookiePolicy:
        """What cookies go through. At the first request, when it is known whether this is production."""
        own = dict(self._own)
        name = self._app.config["SESSION_COOKIE_NAME"]
        if self._app.config["SESSION_COOKIE_HTTPONLY"] is False:
            promised = name.lower().startswith(tuple(PREFIXES[prefix].lower() for prefix in OF_NO_SCRIPT))
            if (self._app.debug or self._app.testing) and TOKEN.fullmatch(name) and not promised:
                own[name] = {"http_only": False}
            elif "HttpOnly" in (cookie_policy(self._settings, own).harden(f"{name}=", False) or ""):
                self._telling(name, "session_http_only")
        return cookie_policy(self._settings, own, self._telling)

    def name_session(self) -> None:
        """Gives the session's cookie its name, in production; takes it back under ``app.debug``. Again harmless."""
        prefix = self._settings.session_prefix
        if prefix is None:
            return
        config = self._app.config
        for key in ("SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_PATH"):
            # What is not as we left it, somebody else has set since.
            if key not in self._ours or config[key] != self._ours[key]:
                self._plain[key] = config[key]
        if self._app.debug:
            wanted = dict(self._plain)
        else:
            name = self._plain["SESSION_COOKIE_NAME"]
            start = PREFIXES[prefix]
            wanted = {
                "SESSION_COOKIE_NAME": name if name.startswith(start) else f"{start}{name}",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_PATH": "/" if prefix in OF_ONE_HOST else self._plain["SESSION_COOKIE_PATH"],
            }
        self._ours = wanted
        config.update(wanted)

    def check(self, app: Flask) -> None:
        """Refuses a session's cookie that its own name would make browsers drop. At the start, and once more before
        the first request.

        :raises ConfigError: if the cookie is for a domain, for another path, or for scripts.
        """
        prefix = self._settings.session_prefix
        if prefix in OF_NO_SCRIPT and app.config["SESSION_COOKIE_HTTPONLY"] is False:
            raise ConfigError(
                f"RAMPART_SESSION_PREFIX = {prefix!r} is for cookies that no script reads, and SESSION_COOKIE_HTTPONLY "
                'is False. Remove it, or choose "host" or "secure".'
            )
        if prefix not in OF_ONE_HOST:
            return
        if app.config["SESSION_COOKIE_DOMAIN"]:
            raise ConfigError(
                f"RAMPART_SESSION_PREFIX = {prefix!r} is for cookies of one host, and "
                "SESSION_COOKIE_DOMAIN names a domain, so browsers would drop it. Remove the domain, or choose "
                '"secure".'
            )
        if app.config["SESSION_COOKIE_PATH"] not in (None, "/"):
            raise ConfigError(
                f"RAMPART_SESSION_PREFIX = {prefix!r} needs the path /, and SESSION_COOKIE_PATH "
                'is another, so browsers would drop the cookie. Remove the path, or choose "secure".'
            )
