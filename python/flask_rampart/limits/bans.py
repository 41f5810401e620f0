"""The penalty box: who was refused too often is refused at once, for a while.

1. Each refusal by a limit that has ``ban=`` is a strike; so many within a time ban. While it is banned, nothing is
   counted.
2. A ban by address or network is asked at the edge, before Flask, for the whole application; one by key is asked by
   the limits
   of that view, before they count.
3. All workers of the host see it at the next request. Where counters are in a Redis, other hosts see it with the next
   limit that
   they ask there.
4. Nobody is banned whose address cannot be read (strangers share it), nor a proxy of ``RAMPART_TRUSTED_PROXIES``, nor
   who is in
   ``RAMPART_BAN_EXEMPT``.

Addresses and names are kept as keyed hashes. A ban is refused with 429 ``limit.banned`` and ``Retry-After``.

It trusts ``REMOTE_ADDR``: behind a proxy that nobody tells it of, everybody is the proxy. See ``docs/bans.md``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from .._native import BanBook
from ..config import Settings
from ..errors import Denied
from ..signals import banned, emit
from . import keys
from .networks import Networks
from .penalties import Penalty
from .remote import Remote, RemoteAway

if TYPE_CHECKING:
    from ..exchange import Exchange

_logger = logging.getLogger("flask_rampart")
_Kind = Literal["address", "network", "key"]


class Bans:
    """Who is banned from an app.

    :param open_book: makes the book, when the counters are open.
    :param remote: the counters that all hosts share, if they do.
    """

    def __init__(
        self, settings: Settings, open_book: Callable[[], BanBook], remote: Callable[[], Remote | None]
    ) -> None:
        self._open_book = open_book
        self._remote = remote
        self._exempt = Networks(settings.ban_exempt)
        self._proxies = Networks(network for network in settings.trusted_proxies if network != "unix")
        self._told_of_proxy = False
        self._told_of_room = False
        #: Seconds for which an address is banned. None until there are counters: then nobody can be.
        self.ask: Callable[[str], float] | None = None
        self._book: BanBook | None = None

    @property
    def book(self) -> BanBook:
        """The bans, opened when somebody needs them."""
        if self._book is None:
            self._book = self._open_book()
            self.ask = self._book.banned
            remote = self._remote()
            if remote is not None:
                remote.bans_changed = self._sync
        return self._book

    def refusal(self, seconds: float) -> Denied:
        """The refusal of who is banned for so long."""
        wait = max(1, math.ceil(seconds))
        return Denied.of("limit.banned", "banned", headers=(("Retry-After", str(wait)),))

    def refused_key(self, scope: str, key: str) -> Denied | None:
        """The refusal of a limit's key, if that is banned."""
        token = self.book.token("key", f"{len(scope)}:{scope}:{key}")
        left = self.book.banned_token(token) if token else 0.0
        return self.refusal(left) if left else None

    def strike(self, exchange: Exchange, scope: str, penalty: Penalty, key: str, quota: str) -> None:
        """Counts a refusal by a limit of this *quota*; bans if it is one too many."""
        address = keys.address(exchange)
        if penalty.by != "key" and not self._may_be_banned(address):
            return
        text = f"{len(scope)}:{scope}:{key}" if penalty.by == "key" else address
        kind: _Kind = penalty.by  # type: ignore[assignment]
        token = self.book.token(kind, text)
        if token is None:
            return
        struck = self.book.strike(scope, token, penalty.after, penalty.within, penalty.length, penalty.longest)
        if struck is None:
            return
        seconds, level = struck
        _logger.warning(
            "Banned by %s for %d s (ban number %d): %s was exceeded too often, at last by request %s to %s.",
            penalty.by,
            seconds,
            level,
            quota,
            exchange.id,
            exchange.route or "no route",
        )
        app = getattr(exchange.owner, "app", None)
        if app is not None and banned.receivers:
            emit(
                banned,
                app,
                exchange=exchange,
                principal=exchange.principal,
                scope=scope,
                by=penalty.by,
                seconds=seconds,
                level=level,
            )
        self._tell(token, seconds)

    def ban(self, kind: _Kind, text: str, seconds: float) -> bool:
        """Bans by hand. False if there is no room, or *text* is no address.

        :raises RemoteAway: if other hosts cannot be told. This one has it all the same.
        """
        token = self.book.token(kind, text)
        if token is None or not self.book.ban(token, seconds):
            return False
        remote = self._remote()
        if remote is not None:
            remote.ban(token, seconds)
        return True

    def lift(self, kind: _Kind, text: str) -> bool:
        """Ends a ban. Says whether there was one.

        :raises RemoteAway: if other hosts cannot be told.
        """
        token = self.book.token(kind, text)
        if token is None:
            return False
        was = self.book.lift(token)
        remote = self._remote()
        if remote is not None:
            was = remote.lift(token) or was
        return was

    def left(self, kind: _Kind, text: str) -> float:
        """Seconds for which it is banned."""
        token = self.book.token(kind, text)
        return self.book.banned_token(token) if token else 0.0

    def _tell(self, token: str, seconds: float) -> None:
        remote = self._remote()
        if remote is None:
            return
        try:
            remote.ban(token, seconds)
        except RemoteAway:
            # This host has it; the others will have their own reasons.
            return

    def _sync(self) -> None:
        remote = self._remote()
        if remote is None:
            return
        try:
            theirs = remote.bans()
        except RemoteAway:
            remote.bans_seen = -1
            return
        for token, seconds in theirs.items():
            if seconds > 0:
                self.book.ban(token, seconds)
            else:
                self.book.lift(token)

    def _may_be_banned(self, address: str) -> bool:
        if address in self._proxies:
            if not self._told_of_proxy:
                self._told_of_proxy = True
                _logger.warning(
                    "A request came from a proxy of RAMPART_TRUSTED_PROXIES itself, so it is not banned. If clients "
                    "come through it, put werkzeug's ProxyFix around the app."
                )
            return False
        return address not in self._exempt
