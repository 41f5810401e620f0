"""Where an app's counters are, and what they are called.

The names are the same in every worker, whichever plan a guard is bound into; the store is opened when a first limit
needs it. Which counters a request is charged to is decided by who asks (``asking``).
"""

from __future__ import annotations

import functools
import hmac
import math
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._native import BanBook, Clock, LimitBatches, LimitSet, LimitStore, Quota, Verdict
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange, origin_of
from ..locks import Lock
from ..opening import opened
from ..readers import nearest, shown
from ..tables import is_changing, is_looking, place_of
from . import calendar, keys
from .bans import Bans
from .elsewhere import RemoteSet
from .leased import LeasedSet
from .penalties import Penalty
from .remote import SCHEMES, Remote
from .remote.address import without_lease
from .told import refused

if TYPE_CHECKING:
    from .decorator import limit

Entry = tuple[str, Sequence[Quota], str]
"""A scope, its quotas, and what the key is: ``"address"`` or ``"text"``."""
OWN_SCOPE = "api_key"
"""The scope of the quotas that API keys have of their own."""


class Settling(Protocol):
    """What an admitted request was charged."""

    def settle(self, actual: int, entry: int = 0) -> None:
        """Makes an entry's charge what it has really cost."""

    def end(self) -> None:
        """Ends what is in progress."""


class Counting(Protocol):
    """Limits that are checked in one call: all admit and are charged, or none is charged."""

    @property
    def policy(self) -> str:
        """The value of the ``RateLimit-Policy`` field."""

    @property
    def has_places(self) -> bool:
        """Whether any limit is about what is in progress: then it is reserved, and ends."""

    def check(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """Charges *cost* under every limit, if all have it."""

    def peek(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """What :meth:`check` would say."""

    def clear(self, keys: tuple[str, ...]) -> None:
        """Forgets what these keys have spent."""

    def reserve(
        self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1, *, capped: bool = False
    ) -> tuple[Verdict, Settling | None]:
        """As :meth:`check`, to be settled."""


class Limits:
    """An app's stores of counters, and the names of its limits."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        name: str,
        testing: Callable[[], bool] = lambda: False,
        secret: Callable[[], str | bytes | None] = lambda: None,
        server: Any = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._name = name
        self._testing = testing
        self._secret = secret
        self._server = server
        if settings.limit_lease is not None and not self._is_elsewhere():
            raise ConfigError(
                "RAMPART_LIMIT_LEASE is for counters that hosts share: name a Redis in RAMPART_LIMIT_STORE, or leave "
                "it out."
            )
        # What is opened is opened once: two stores in memory would each admit the quota.
        self._lock = Lock(reentrant=True)
        self._store: LimitStore | None = None
        self._ban_book: BanBook | None = None
        self._tables: dict[str, LimitStore] = {}
        self._remote: Remote | None = None
        self._naming: LimitStore | None = None
        self._scopes: dict[tuple[limit, str], str] = {}
        self._taken: set[str] = set()
        self._by_address = False
        self._of_quota = functools.lru_cache(maxsize=1024)(self._set_of_key)
        self._of_scope = functools.lru_cache(maxsize=1024)(self._set_of_scope)
        #: Who is refused at once.
        self.bans = Bans(settings, self._book, lambda: self.remote)
        #: Of an API key: what names its line, and its own quota. Handed over at start-up.
        self.terms: Callable[[str], tuple[str, str | None]] = _no_terms

    @property
    def store(self) -> LimitStore:
        """This host's counters, opened when a first limit needs them."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    self._store = self._open()
        return self._store

    @property
    def place(self) -> str | None:
        """Where the table is or would be that the workers of this host share; None where each process has its own."""
        url = None if self._is_elsewhere() else self._settings.limit_store
        place = place_of("limits", self._name, url, testing=self._testing())
        return None if place is None else str(place)

    def _apart(self, purpose: str) -> LimitStore:
        """A table of its own, opened once: a flood of callers may fill the store."""
        with self._lock:
            if purpose not in self._tables:
                self._tables[purpose] = self.table(purpose)
                _stores.add(self)
            return self._tables[purpose]

    def look_again(self) -> None:
        """For who only looks: had nobody made a table of bans, it is asked again whether there is one."""
        with self._lock:
            if "bans" in self._tables and self._tables["bans"].path is None:
                del self._tables["bans"]
                self._ban_book = None
                self.bans.reopen()

    def forget_parent(self) -> None:
        """To be called in a forked child."""
        for table in list(self._tables.values()):
            table.forget_parent()

    @property
    def remote(self) -> Remote | None:
        """The counters that all hosts share, if they do."""
        if self._remote is None and self._is_elsewhere():
            with self._lock:
                if self._remote is None:
                    self._remote = self._connect()
        return self._remote

    def _connect(self) -> Remote:
        server, lease = self._server, self._settings.limit_lease
        if server is None:
            server, written = without_lease(self._settings.limit_store or "")
            lease = lease if written is None else _lease(written)
        prefix = f"{self._settings.store_prefix}:limits"
        return Remote(server, prefix=prefix, timeout=self._settings.limit_store_timeout, lease=lease)

    def is_own(self) -> bool:
        """Whether counters are this process's alone, and others have theirs."""
        return not self._testing() and self._store is not None and self._store.kind == "memory"

    def has_addresses(self) -> bool:
        """Whether anything is limited by address."""
        return self._by_address

    def scope(self, guard: limit, endpoint: str, place: str, nth: int, *, seated: bool) -> str:
        """The name of a guard's counters: the same in each worker, whichever plan it is bound into.

        :param nth: how many guards of the same kind came before it in its plan.
        :param seated: whether *endpoint* is one. If not, it is the place of the declaration, which all guards that
            are declared there share, even one that is made anew in each request.
        """
        by = keys.shown(guard.by)
        # What only reports takes nothing from what enforces.
        mode = "" if guard.mode == "enforce" else f"{guard.mode}:"
        if guard.scope is not None:
            return f"{mode}shared:{guard.scope}"
        if not seated:
            return f"{mode}place:{endpoint}:{by}:{nth}"
        key = (guard, endpoint)
        with self._lock:
            if key not in self._scopes:
                name = f"{mode}view:{endpoint}:{place}:{by}"
                # Two guards alike on one view each count, so they need a name each.
                number = 0
                while f"{name}:{number}" in self._taken:
                    number += 1
                self._taken.add(f"{name}:{number}")
                self._scopes[key] = f"{name}:{number}"
            return self._scopes[key]

    @property
    def has_terms(self) -> bool:
        """Whether there are API keys, which may have quotas of their own."""
        return self.terms is not _no_terms

    def table(self, purpose: str) -> LimitStore:
        """A table of its own for *purpose*, of the same kind and size as the one for limits."""
        return self._open(purpose)

    def own_quota(self, exchange: Exchange) -> tuple[str, str] | None:
        """The line of the caller's API key and the quota that it has of its own; None if it has none, or if this
        request was charged to it."""
        who = exchange.principal
        if who is None or exchange.metered or origin_of(who) != "api_key" or who.token_id is None:
            return None
        line, quota = self.terms(who.token_id)
        return None if quota is None else (line, quota)

    def meter(self, exchange: Exchange) -> Denied | None:
        """Charges a request to the quota that its API key has of its own, if no limit of the view has."""
        own = self.own_quota(exchange)
        if own is None:
            return None
        line, quota = own
        limit_set = self._of_quota(quota)
        verdict = limit_set.check((line,))
        exchange.limits += ((verdict, limit_set.policy),)
        if not verdict.admitted:
            return refused(verdict)
        exchange.metered = True
        return None

    def set_of(self, entries: Sequence[Entry], on_error: Sequence[str] = ()) -> Counting:
        """Limits that are checked in one call.

        :param on_error: for each entry, its ``on_store_error``; ``"local"``, if not given.

        :raises ConfigError: if something in them cannot be meant.
        """
        # Who limits can ban, and be asked to: see `flask rampart ban`.
        self.bans.book  # noqa: B018
        self._by_address = self._by_address or any(kind == "address" for _, _, kind in entries)
        for _, quotas, _ in entries:
            for quota in quotas:
                if quota.zone is not None:
                    calendar.zone_of(quota.zone)
        remote = self.remote
        if remote is None:
            return self._native(self.store, entries)
        on_error = tuple(on_error or ("local",) * len(entries))
        if "closed" not in on_error:
            # Also what is "open" is asked for at no cost there. Opened now, and not in an outage.
            self._native(self.store, entries)
        local = functools.partial(self._local, tuple(entries))
        naming = self._native(self._names(), entries)
        shared = RemoteSet(remote, naming, local, on_error)
        if remote.lease is None or naming.has_places:
            return shared
        return LeasedSet(remote, shared, LimitBatches(naming, self.store, remote.lease))

    def _local(self, entries: Sequence[Entry]) -> Counting:
        return self._native(self.store, entries)

    def _native(self, store: LimitStore, entries: Sequence[Entry]) -> LimitSet:
        has_places = any(quota.rule == "concurrent" for _, quotas, _ in entries for quota in quotas)
        places = self._apart("places") if has_places and store is self._store else None
        prefix = self._settings.ipv6_prefix
        try:
            return LimitSet(store, list(entries), ipv6_prefix=prefix, windows=calendar.window, places=places)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _book(self) -> BanBook:
        with self._lock:
            if self._ban_book is None:
                seed = None if self.remote is None else self._seed()
                self._ban_book = BanBook(self._apart("bans"), ipv6_prefix=self._settings.ipv6_prefix, seed=seed)
            return self._ban_book

    def _names(self) -> LimitStore:
        """What names counters for other hosts too. Nothing is counted in it."""
        if self._naming is None:
            with self._lock:
                if self._naming is None:
                    self._naming = LimitStore.local(self._clock, keys=1, seed=self._seed())
        return self._naming

    def _seed(self) -> bytes:
        """What callers are hashed with on all hosts."""
        secret = self._settings.limit_secret or self._secret()
        if not secret:
            raise ConfigError(
                "RAMPART_LIMIT_STORE is shared by hosts, and callers are hashed before they get there: set "
                "SECRET_KEY or RAMPART_LIMIT_SECRET, the same on all hosts."
            )
        key = secret.encode() if isinstance(secret, str) else secret
        # Apps may have a SECRET_KEY in common, and each counts for itself. Who gives them one RAMPART_LIMIT_SECRET has
        # them count together.
        name = "" if self._settings.limit_secret else f" of {_same_on_all_hosts(self._name)}"
        return hmac.digest(key, f"flask-rampart limits{name}".encode(), "sha256")[:16]

    def _is_elsewhere(self) -> bool:
        url = self._settings.limit_store
        return self._server is not None or (url is not None and url.startswith(SCHEMES))

    def reserving(self, scope: str, quota: str, kind: str) -> Counting:
        """The set of one quota that is reserved in a view."""
        return self._of_scope(scope, quota, kind)

    def _set_of_scope(self, scope: str, quota: str, kind: str) -> Counting:
        return self.set_of([(scope, quotas_of(quota), kind)])

    def _set_of_key(self, quota: str) -> Counting:
        return self.set_of([(OWN_SCOPE, quotas_of(quota), "text")])

    def _open(self, purpose: str = "limits") -> LimitStore:
        url = None if self._is_elsewhere() else self._settings.limit_store
        if url is not None and url != "memory://" and not url.startswith("shm://"):
            known = ("shm://", "shm:///directory", "memory://", *SCHEMES)
            raise ConfigError(
                f"RAMPART_LIMIT_STORE: {shown(url)} is not one of {', '.join(known)}.{nearest(url, known)}"
            )
        place = place_of(purpose, self._name, url, testing=self._testing())
        if place is None:
            return LimitStore.local(self._clock)
        (directory, name), size = place, self._settings.limit_table

        def join() -> LimitStore | None:
            return LimitStore.existing(directory, name, self._clock)

        def make() -> LimitStore:
            found = join() if is_looking() or is_changing() else None
            if found is None and is_looking():
                return LimitStore.local(self._clock)
            return found or LimitStore.shared(directory, name, self._clock, bytes=size)

        return opened(place, "RAMPART_LIMIT_STORE", make=make, join=make if is_looking() else join)


def application_limits(settings: Settings, limits: Limits) -> Counting | None:
    """The application-wide limits, per address, that the edge asks before Flask.

    :raises ConfigError: if they cannot be meant.
    """
    if settings.limits is None:
        return None
    quotas = quotas_of(settings.limits)
    for quota in quotas:
        if quota.rule == "concurrent":
            raise ConfigError(
                f"RAMPART_LIMITS: {quota.text!r} is about what is in progress, which is counted above a view: "
                f"@limit({quota.text!r}), or for all of them rampart.protect(app, limit({quota.text!r}))."
            )
    return limits.set_of([("application", quotas, "address")])


def application_penalty(settings: Settings) -> Penalty | None:
    """When refusals by the application-wide limits ban.

    :raises ConfigError: if it cannot be meant.
    """
    if settings.limits_ban is None:
        return None
    if settings.limits is None:
        raise ConfigError("RAMPART_LIMITS_BAN is for who exceeds RAMPART_LIMITS, which is not set.")
    penalty = Penalty.read(settings.limits_ban)
    if penalty.by == "key":
        raise ConfigError("RAMPART_LIMITS_BAN: RAMPART_LIMITS counts addresses; ban by address or by network.")
    return penalty


def quotas_of(text: str) -> list[Quota]:
    """The quotas in a text.

    :raises ConfigError: if it cannot be read.
    """
    try:
        return Quota.parse(text)
    except ValueError as error:
        # It begins with "the quota", as it was given.
        raise ConfigError(f"{str(error)[:1].upper()}{str(error)[1:]}") from None


def _no_terms(key_id: str) -> tuple[str, str | None]:
    return key_id, None


def _lease(text: str) -> float:
    """Seconds, as ``lease=`` says."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 60:
        raise ConfigError(f"RAMPART_LIMIT_STORE: lease={text[:20]!r} is seconds, 0.1 to 60, such as lease=1.")
    return seconds


def _same_on_all_hosts(name: str) -> str:
    """An app's name without its place; that of its file where it is run by it, as Flask names it too."""
    imported = name.partition("\0")[0]
    if imported == "__main__":
        return Path(getattr(sys.modules["__main__"], "__file__", None) or imported).stem
    return imported


def _renew() -> None:
    for limits in list(_stores):
        limits.forget_parent()


_stores: weakref.WeakSet[Limits] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
