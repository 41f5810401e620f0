"""What is wrong with a cookie, for the app's log: never its value, once for each name and reason.

This file is not named after cookies, and neither is the session's: Flask's log lines begin with the name of the file,
and what follows ``cookies:`` is a secret to the redactor.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping


class Telling:
    """Logs what is wrong with a cookie, once for each name and reason, and at most so often in all: a name may come
    from a peer."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[tuple[str, str]] = set()

    def __call__(self, name: str, code: str) -> None:
        key = (name[:64], code)
        if key in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(key)
        level, text = _NOTES[code]
        self._logger.log(level, text, *(key[:1] if "%r" in text else ()))


_MOST_TOLD = 64
_NOTES: Mapping[str, tuple[int, str]] = {
    "joined": (
        logging.WARNING,
        "Set-Cookie of %r seems to hold a second cookie behind a comma, and browsers see one: send one line for each.",
    ),
    "nameless": (
        logging.ERROR,
        "A Set-Cookie without a name was not sent: browsers would send its value back as if it were another cookie.",
    ),
    "none_insecure": (
        logging.WARNING,
        "The cookie %r has SameSite=None over plain HTTP, without Secure: browsers drop it. If a proxy ends TLS in "
        "front of this app, name it in RAMPART_TRUSTED_PROXIES.",
    ),
    "oversized": (logging.WARNING, "The cookie %r is larger than 4096 bytes: browsers drop it."),
    "partitioned_insecure": (
        logging.WARNING,
        "The cookie %r is Partitioned over plain HTTP, without Secure: browsers drop it. If a proxy ends TLS in front "
        "of this app, name it in RAMPART_TRUSTED_PROXIES.",
    ),
    "prefix_domain": (
        logging.ERROR,
        "The cookie %r has a Domain, which its name forbids: browsers drop it. Set it without, or name it __Secure-.",
    ),
    "prefix_path": (
        logging.ERROR,
        "The cookie %r has another Path than /, which its name demands: browsers drop it. Set it with /, or name it "
        "__Secure-.",
    ),
    "repaired": (
        logging.ERROR,
        "The cookie %r was set without Secure or Path=/, which its name demands, or browsers drop it. It was sent with "
        "them; set it so.",
    ),
    "session_http_only": (
        logging.WARNING,
        "SESSION_COOKIE_HTTPONLY is False and has no effect: the cookie %r is HttpOnly. If scripts must read it, say "
        'so in RAMPART_COOKIES, with "http_only": False for that name.',
    ),
}
