"""Notices at run time that limits cannot be right in this deployment, and says so once, with the cure.

It looks at the first thousand requests of a process:

1. several workers, and a store that each has for itself (``memory://``): a quota is multiplied by the number of
   workers;
2. a thousand requests, all of one address: behind a proxy that nobody is told of, all clients share its address.

It refuses nothing. What proxies say and nobody reads, ``network`` notices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_LOOKS = 1000


class Watch:
    """Looks at a process's first requests.

    :param is_own: asked whether the counters are this process's alone.
    :param limits_addresses: asked whether anything is limited by address.
    """

    def __init__(
        self, logger: logging.Logger, is_own: Callable[[], bool], limits_addresses: Callable[[], bool]
    ) -> None:
        self._logger = logger
        self._is_own = is_own
        self._limits_addresses = limits_addresses
        self._looks = 0
        self._only: str | None = None
        self._said: set[str] = set()
        self.is_over = False

    def look(self, environ: WSGIEnvironment) -> None:
        """Looks at a request."""
        self._looks += 1
        if environ.get("wsgi.multiprocess") and self._is_own():
            self._say(
                "RAMPART_LIMIT_STORE is memory:// and the server has several workers: each counts for itself, so every "
                "quota is multiplied by their number. Leave it unset, or name a Redis."
            )
        address = environ.get("REMOTE_ADDR") or ""
        if self._looks == 1:
            self._only = address
        elif address != self._only:
            self._only = None
        if self._looks >= _LOOKS:
            self.is_over = True
            if self._only is not None and self._limits_addresses():
                self._say(
                    f"The first {_LOOKS} requests all came from one address ({self._only or 'none'}). If this app is "
                    "behind a proxy, all its clients share one quota: set RAMPART_TRUSTED_PROXIES, or put werkzeug's "
                    "ProxyFix around it."
                )

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._logger.warning("%s", what)
