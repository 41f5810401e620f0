"""The penalty box: who was refused too often is refused at once, for a while.

1. Each refusal by a limit that has ``ban=`` is a strike; so many within a time ban. While it is banned, nothing is
   counted.
2. A ban by address or network is asked at the edge, before Flask, for the whole application; one by key is asked by
   the limits of that view, before they count.
3. All workers of the host see it at the next request. Where counters are in a Redis, other hosts hear of it within
   about a second of the next limit that they ask there, outside of requests.
4. Nobody is banned whose address cannot be read (strangers share it). A proxy of ``RAMPART_TRUSTED_PROXIES``, and who
   is in ``RAMPART_BAN_EXEMPT``, is neither struck nor refused by any ban, also not by one of a neighbour's.

Addresses and names are kept as keyed hashes. A ban is refused with 429 ``limit.banned`` and ``Retry-After``.

It trusts ``REMOTE_ADDR``, as the edge has settled it: behind a proxy that nobody tells it of, everybody is the proxy.
See ``docs/bans.md``.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .._native import BanBook, client_key
from ..config import Settings
from ..errors import Denied
from ..signals import banned, emit
from . import keys
from .networks import Networks
from .penalties import LONGEST, Penalty
from .remote import Change, Hearing, Remote, RemoteAway

if TYPE_CHECKING:
    from ..exchange import Exchange

_logger = logging.getLogger("flask_rampart")
_Kind = Literal["address", "network", "key"]
#: Seconds by which a ban that comes back from the store may last longer for its way: not prolonged for that.
_ECHO = 1.0


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
        self._ipv6_prefix = settings.ipv6_prefix
        self._told_of_proxy = False
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
                remote.bans_changed = Hearing(remote, self._hear, remote.forget_reading).wake
        return self._book

    def reopen(self) -> None:
        """Takes the book that there is by now."""
        self._book = None
        self.book  # noqa: B018

    def refusal(self, seconds: float) -> Denied:
        """The refusal of who is banned for so long."""
        wait = max(1, math.ceil(seconds))
        return Denied.of("limit.banned", "banned", headers=(("Retry-After", str(wait)),))

    def exempts(self, exchange: Exchange) -> bool:
        """Whether a request is refused by no ban, whoever brought that about.

        Asked where a ban refuses, too: who is exempt may have neighbours that are not.
        """
        address = keys.address(exchange)
        if address in self._proxies:
            if not self._told_of_proxy:
                self._told_of_proxy = True
                _logger.warning(
                    "A request came from a proxy of RAMPART_TRUSTED_PROXIES itself, so it is not banned. If clients "
                    "come through it, let it say whose requests they are (RAMPART_FORWARDED)."
                )
            return True
        return address in self._exempt

    def is_exempt(self, address: str) -> bool:
        """Whether an address is refused by no ban."""
        return address in self._proxies or address in self._exempt

    def refused_key(self, exchange: Exchange, scope: str, by: Any, key: str) -> Denied | None:
        """The refusal of a limit's key, if that is banned.

        :param by: as the limit says.
        """
        text = self._key(exchange, scope, by, key)
        token = self.book.token("key", text) if text else None
        left = self.book.banned_token(token) if token else 0.0
        return self.refusal(left) if left and not self.exempts(exchange) else None

    def strike(
        self, exchange: Exchange, scope: str, penalty: Penalty, quota: str, by: Any = "address", key: str = ""
    ) -> float:
        """Counts a refusal by a limit of this *quota*; bans if it is one too many, and says for how many seconds."""
        if self.exempts(exchange):
            return 0.0
        text = self._key(exchange, scope, by, key) if penalty.by == "key" else keys.address(exchange)
        kind: _Kind = penalty.by  # type: ignore[assignment]
        token = self.book.token(kind, text) if text else None
        if token is None:
            return 0.0
        struck = self.book.strike(scope, token, penalty.after, penalty.within, penalty.length, penalty.longest)
        if struck is None:
            return 0.0
        seconds, level = struck
        _logger.warning(
            "Banned by %s for %d s (ban number %d, id %s): %s was exceeded too often, at last by request %s to %s.",
            penalty.by,
            seconds,
            level,
            token,
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
        return seconds

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

        :raises RemoteAway: if other hosts cannot be told. Here it has ended all the same.
        """
        token = self.id_of(kind, text)
        return False if token is None else self.lift_all([token])

    def id_of(self, kind: _Kind, text: str) -> str | None:
        """The id of a ban, as the log says it; None for what is no address."""
        return self.book.token(kind, text)

    def lift_all(self, tokens: Sequence[str]) -> bool:
        """Ends bans by their ids, whatever is banned. Says whether there was any.

        :raises ValueError: unless each is 32 hexadecimal digits.
        :raises RemoteAway: if other hosts cannot be told. Here they have ended all the same.
        """
        tokens = [token.lower() for token in tokens]
        were = [self.book.lift(token) for token in tokens]
        remote = self._remote()
        if remote is not None:
            for token in tokens:
                change, was = remote.lift(token)
                # Other workers of this host need not end it again: it may have begun anew meanwhile.
                self._is_new(change)
                were.append(was)
        return any(were)

    def left(self, kind: _Kind, text: str) -> float:
        """Seconds for which it is banned."""
        token = self.book.token(kind, text)
        return self.book.banned_token(token) if token else 0.0

    def _key(self, exchange: Exchange, scope: str, by: Any, key: str) -> str:
        """What bans a limit's key; empty if all share it whose address cannot be read, and nothing else is known."""
        parts = keys.parts(by)
        address = client_key(keys.address(exchange), self._ipv6_prefix)
        if parts == ("address",):
            # One client in all spellings, as the limit counts it.
            return key_text(scope, address) if address else ""
        if not address and all(_is_nobody(part, text) for part, text in zip(parts, _texts(parts, key), strict=True)):
            return ""
        return key_text(scope, key)

    def _tell(self, token: str, seconds: float) -> None:
        remote = self._remote()
        if remote is None:
            return
        try:
            remote.ban(token, seconds)
        except RemoteAway:
            # This host has it; the others will have their own reasons.
            return

    def _hear(self, changes: Sequence[Change]) -> None:
        for change in changes:
            # Whoever else writes there may have written anything.
            with contextlib.suppress(ValueError):
                if change.left < 0:
                    if self._is_new(change):
                        self.book.lift(change.token)
                elif change.left > self.book.banned_token(change.token) + _ECHO:
                    self.book.ban(change.token, min(change.left, LONGEST))

    def _is_new(self, end: Change) -> bool:
        """Whether this host has not heard of the end of a ban before."""
        mark = self.book.token("key", f"end {end.number} of {end.token}")
        if mark is None or self.book.banned_token(mark):
            return False
        self.book.ban(mark, min(-end.left, LONGEST))
        return True


def key_text(scope: str, key: str) -> str:
    """What is banned when a limit's key is: it, and at that limit alone."""
    return f"{len(scope)}:{scope}:{key}"


def _is_nobody(part: Any, text: str) -> bool:
    """Whether a part of a key says nothing of who it is, where the address cannot be read."""
    return part in ("address", "global") or text == "address:"


def _texts(parts: tuple[Any, ...], key: str) -> list[str]:
    """A key's parts, as ``keys.reader`` puts them together: each with its length."""
    if len(parts) == 1:
        return [key]
    found = []
    for _ in parts:
        length, _, rest = key.partition(":")
        found.append(rest[: int(length)])
        key = rest[int(length) :]
    return found
