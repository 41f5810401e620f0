"""Tells what cannot be right in this deployment: once for each process, early, with the cure.

It is the one place where the network's room says something. What is said, and when:

1. before the first request, what the settings alone show (:mod:`~flask_rampart.network.transport`);
2. at the first request that shows it, what only traffic does: a host that nobody restricted, plain HTTP, no request by
   HTTPS at all (a proxy ends TLS and is not declared), a host that is never pinned;
3. what goes on happening, such as credentials that travel in clear, at most once in a minute, with how often since.

It refuses nothing, and quotes nothing of a peer. Under ``app.debug`` and ``app.testing`` only the third is said.

In deployment: each worker says it for itself, since workers share no memory here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

_APART = 60.0
"""Seconds between two notices of one kind that goes on."""


class Notices:
    """What was said already.

    :param is_production: asked each time, since an app may turn debug on after it was set up.
    :param now: seconds since 1970.
    """

    def __init__(self, logger: logging.Logger, is_production: Callable[[], bool], now: Callable[[], float]) -> None:
        self._logger = logger
        self._is_production = is_production
        self._now = now
        self._said: set[str] = set()
        self._repeated: dict[str, tuple[float, int]] = {}
        self._lock = Lock()

    def once(self, what: str) -> None:
        """Warns, in production, unless it did."""
        if what in self._said or not self._is_production():
            return
        with self._lock:
            if what in self._said:
                return
            self._said.add(what)
        self._logger.warning("%s", what)

    def again(self, what: str) -> None:
        """Warns now, or counts it for the next time."""
        now = self._now()
        with self._lock:
            last, unsaid = self._repeated.get(what, (None, 0))
            # A clock that was set back must not silence it for long.
            if last is not None and 0 <= now - last < _APART:
                self._repeated[what] = (last, unsaid + 1)
                return
            self._repeated[what] = (now, 0)
        self._logger.warning("%s%s", what, f" (and {unsaid} times before)" if unsaid else "")
