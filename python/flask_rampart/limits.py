"""Limits: how often.

``limit`` admits a request when every limit of its phase has room for it, all or nothing:

1. limits by address and global ones, at ``ARRIVAL``: before a credential is looked at, so that forged
   tokens are stopped before cryptography is spent on them;
2. limits by principal, by API key or by a function of the app's, at ``QUOTA``: after who it is, before whether
   they may;
3. the quota of its own that an API key may have, also at ``QUOTA``, wherever ``require`` admits it.

A request that is refused by one of a phase is charged nothing by the others of that phase; the quota that an API key
has of its own is charged apart. Quotas are GCRA (ITU-T I.371): ``"60/minute burst 20"`` refills one
each second and holds at most 20; without ``burst`` it holds the whole 60. The counters are shared by
all workers of the host (``RAMPART_LIMIT_STORE``).

A key that comes out empty falls back to the address, and without an address to one shared key: never
to "no limit".

Deployment: behind a proxy, ``REMOTE_ADDR`` is the proxy's. Use werkzeug's ``ProxyFix``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ._native import Clock, LimitSet, LimitStore, Quota, Verdict, client_key
from .config import Settings, nearest, shown
from .errors import ConfigError, Denied
from .exchange import BUILT_IN, Exchange, origin_of
from .guards import AppState, Check, Guard, Stage

KeyFunction = Callable[[], "str | None"]
_BY = ("address", "principal", "api_key", "global")


class limit(Guard):  # noqa: N801 - read as a verb above a view
    """Refuses requests beyond *quota*, counted per *by*, exactly, across all workers of the host.

    :param quota: such as ``"60/minute burst 20; 1000/day"``. Units are second, minute, hour, day,
        month (30 days) and year (360 days).
    :param by: ``"address"``, ``"principal"``, ``"api_key"`` (with those that it descends from by rotation),
        ``"global"``, or a function without arguments that returns a text. An empty key falls back to the address.
    :param scope: limits of one scope with one quota share their counters; without it, each view and each
        guard has its own.
    :raises ConfigError: at import, if *quota* cannot be read.

    The client receives 429 with ``Retry-After`` in whole seconds, rounded up, and ``RateLimit`` fields.

    >>> limit("60/minute burst 20").quotas[0].burst
    20
    """

    name = "limit"

    def __init__(self, quota: str, *, by: str | KeyFunction = "address", scope: str | None = None) -> None:
        if not isinstance(quota, str):
            raise ConfigError('Write @limit("60/minute"), with a quota in parentheses.')
        if not callable(by) and by not in _BY:
            raise ConfigError(f"limit(by={by!r}): by is one of {', '.join(_BY)}, or a function.{nearest(str(by), _BY)}")
        if scope is not None and not scope:
            raise ConfigError("limit(scope=...) is empty. Leave it out to count each view by itself.")
        self.text = quota
        self.quotas = _quotas(quota)
        self.by = by
        self.scope = scope
        self.stage = Stage.ARRIVAL if by in ("address", "global") else Stage.QUOTA

    def __repr__(self) -> str:
        by = self.by if isinstance(self.by, str) else getattr(self.by, "__qualname__", repr(self.by))
        return f"limit({self.text!r}, by={by!r})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[limit, str]], state: AppState, endpoint: str) -> Check:
        limits: Limits = state.services[Limits]
        entries, keys = [], []
        seated = endpoint in state.app.view_functions
        for nth, (guard, place) in enumerate(guards):
            by_address = guard.by == "address"
            entries.append(
                (
                    limits.scope(guard, endpoint, place, nth, seated=seated),
                    guard.quotas,
                    "address" if by_address else "text",
                )
            )
            keys.append(_key(guard.by, state.settings.ipv6_prefix, limits))
        try:
            limit_set = LimitSet(limits.store, entries, ipv6_prefix=state.settings.ipv6_prefix)
        except ValueError as error:
            raise ConfigError(f"{endpoint}: {error}") from None
        policy = limit_set.policy
        if len(keys) == 1 and guards[0][0].by == "address":
            # The usual case, without the tuple of calls.
            def check_address(exchange: Exchange) -> Denied | None:
                verdict = limit_set.check((exchange.environ.get("REMOTE_ADDR") or "",))
                exchange.limits += ((verdict, policy),)
                return None if verdict.admitted else refused(verdict)

            return check_address
        readers = tuple(keys)

        def check(exchange: Exchange) -> Denied | None:
            verdict = limit_set.check(tuple([read(exchange) for read in readers]))
            exchange.limits += ((verdict, policy),)
            return None if verdict.admitted else refused(verdict)

        return check


def refused(verdict: Verdict) -> Denied:
    """The refusal for a verdict that did not admit."""
    violated = verdict.violated or ""
    return Denied.of(
        "limit.exceeded", violated, headers=(("Retry-After", str(verdict.retry_after)),), members=_violated(violated)
    )


@functools.lru_cache(maxsize=1024)
def _violated(quota: str) -> str:
    """Members of the problem document. Quotas are the developer's, and few."""
    return f'"violated-policies":{json.dumps([quota])}'


class Limits:
    """An app's store of counters, and the names of its limits."""

    def __init__(
        self, settings: Settings, clock: Clock, name: str, testing: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._name = name
        self._testing = testing
        self._store: LimitStore | None = None
        self._scopes: dict[tuple[limit, str], str] = {}
        self._taken: set[str] = set()
        self._of_quota = functools.lru_cache(maxsize=1024)(self._set_of)
        #: Of an API key: what names its line, and its own quota. Handed over at start-up.
        self.terms: Callable[[str], tuple[str, str | None]] = lambda key_id: (key_id, None)

    @property
    def store(self) -> LimitStore:
        """The counters, opened when a first limit needs them."""
        if self._store is None:
            self._store = self._open()
        return self._store

    def scope(self, guard: limit, endpoint: str, place: str, nth: int, *, seated: bool) -> str:
        """The name of a guard's counters: the same in each worker, whichever plan it is bound into.

        :param nth: how many guards of the same kind came before it in its plan.
        :param seated: whether *endpoint* is one. If not, it is the place of the declaration, which all guards that
            are declared there share, even one that is made anew in each request.
        """
        by = guard.by if isinstance(guard.by, str) else getattr(guard.by, "__qualname__", "function")
        if guard.scope is not None:
            return f"shared:{guard.scope}"
        if not seated:
            return f"place:{endpoint}:{by}:{nth}"
        key = (guard, endpoint)
        if key not in self._scopes:
            name = f"view:{endpoint}:{place}:{by}"
            # Two guards alike on one view each count, so they need a name each.
            number = 0
            while f"{name}:{number}" in self._taken:
                number += 1
            self._taken.add(f"{name}:{number}")
            self._scopes[key] = f"{name}:{number}"
        return self._scopes[key]

    def table(self, purpose: str) -> LimitStore:
        """A table of its own for *purpose*, of the same kind and size as the one for limits."""
        return self._open(purpose)

    def meter(self, exchange: Exchange) -> Denied | None:
        """Charges a request to the quota that its API key has of its own, if it has one."""
        who = exchange.principal
        if who is None or origin_of(who) != "api_key" or who.token_id is None:
            return None
        line, quota = self.terms(who.token_id)
        if quota is None:
            return None
        limit_set = self._of_quota(quota)
        verdict = limit_set.check((line,))
        exchange.limits += ((verdict, limit_set.policy),)
        return None if verdict.admitted else refused(verdict)

    def _set_of(self, quota: str) -> LimitSet:
        return LimitSet(self.store, [("api_key", _quotas(quota), "text")], ipv6_prefix=self._settings.ipv6_prefix)

    def _open(self, purpose: str = "limits") -> LimitStore:
        url = self._settings.limit_store or ("memory://" if self._testing() else "shm://")
        if url == "memory://":
            return LimitStore.local(self._clock)
        if not url.startswith("shm://"):
            known = ("shm://", "shm:///directory", "memory://")
            raise ConfigError(
                f"RAMPART_LIMIT_STORE: {shown(url)} is not one of {', '.join(known)}.{nearest(url, known)}"
            )
        directory = url[len("shm://") :] or _private_directory()
        name = hashlib.sha256(self._name.encode()).hexdigest()[:32]
        try:
            return LimitStore.shared(directory, f"{purpose}-{name}", self._clock, bytes=self._settings.limit_table)
        except ValueError as error:
            raise ConfigError(f"RAMPART_LIMIT_STORE: {error}") from None


def application_limits(settings: Settings, limits: Limits) -> LimitSet | None:
    """The application-wide limits, per address, that the edge asks before Flask."""
    if settings.limits is None:
        return None
    quotas = _quotas(settings.limits)
    return LimitSet(limits.store, [("application", quotas, "address")], ipv6_prefix=settings.ipv6_prefix)


def _quotas(text: str) -> list[Quota]:
    try:
        return Quota.parse(text)
    except ValueError as error:
        raise ConfigError(f"The quota {text!r} cannot be read: {error}") from None


def _key(by: str | KeyFunction, ipv6_prefix: int, limits: Limits) -> Callable[[Exchange], str]:
    if by == "address":
        return _address
    if by == "global":
        return lambda exchange: "global"

    def fallback(exchange: Exchange) -> str:
        # By address, in a name space of its own, so that no key of a peer's making can pose as it.
        return f"address:{client_key(_address(exchange), ipv6_prefix)}"

    if by == "principal":

        def principal(exchange: Exchange) -> str:
            who = exchange.principal
            if who is None:
                return fallback(exchange)
            origin = origin_of(who)
            if origin == "api_key" and who.id.startswith("key:"):
                # It is nobody's: whoever is named so by a token does not share its quota.
                return f"api_key:{who.id}"
            issuer = who.issuer or ""
            # With its length, so that no issuer and id together read as another pair.
            # Whom a scheme of the app's names is not known to be whom a token names so.
            space = "principal" if origin in BUILT_IN else f"scheme:{origin}"
            return f"{space}:{len(issuer)}:{issuer}:{who.id}"

        return principal
    if by == "api_key":

        def api_key(exchange: Exchange) -> str:
            who = exchange.principal
            if who is None or origin_of(who) != "api_key" or not who.token_id:
                return fallback(exchange)
            return f"api_key:{limits.terms(who.token_id)[0]}"

        return api_key
    if not callable(by):  # the constructor has checked it
        raise ConfigError(f"limit(by={by!r}) is not a function.")
    function = by

    def key(exchange: Exchange) -> str:
        value = function()
        if value is not None and not isinstance(value, str):
            raise TypeError(f"limit(by=...) must return a text, not {type(value).__name__}")
        return f"key:{value}" if value and value.strip() else fallback(exchange)

    return key


def _address(exchange: Exchange) -> str:
    return exchange.environ.get("REMOTE_ADDR") or ""


def _private_directory() -> str:
    """A directory of this user's own, the same for all workers. The native store checks owner and mode."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return str(Path(runtime) / "flask-rampart")
    memory = Path("/dev/shm")  # noqa: S108 - the native store refuses what is not ours there
    base = memory if memory.is_dir() else Path(tempfile.gettempdir())
    return str(base / f"flask-rampart-{os.geteuid()}")
