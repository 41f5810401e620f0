"""Tells of answers that a view would have shared, and that were closed to caches (``src/headers/caching.rs``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exchange import Exchange

_MOST = 1024
_WHY = {
    "nonce": (
        "the answer of %s has a nonce of csp_nonce(), and would have been cached for others, who would share it. It "
        "was sent with Cache-Control: private, no-store. Do not set Cache-Control where a page has a nonce, or use "
        "hashes instead (flask rampart csp-hash)."
    ),
    "personal": (
        "the answer of %s would have been cached for others, and its request was authenticated, or it sets or depends "
        "on a cookie. It was sent with Cache-Control: private. Say so in the view, or serve what is for everybody "
        "without credentials."
    ),
}


class Closings:
    """Warns once for each route and reason."""

    def __init__(self) -> None:
        self._told: set[tuple[str | None, str]] = set()

    def __call__(self, exchange: Exchange, why: str) -> None:
        told = (exchange.route, why)
        if told in self._told or len(self._told) >= _MOST:
            return
        self._told.add(told)
        app = getattr(exchange.owner, "app", None)
        logger = getattr(app, "logger", None) or logging.getLogger("flask_rampart")
        logger.warning(_WHY[why], exchange.route or "a path without a route")
