"""The settings ``RATELIMIT_*`` of an app and the arguments of its extension, and what they come to.

An argument goes before a setting. They are read when the extension meets the app, and each app has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask

from ...errors import ConfigError
from ...limits.remote import SCHEMES
from ...readers import nearest, shown
from .constants import ON_STORE_ERROR, ConfigVars, HeaderNames
from .definitions import ApplicationLimit, Limit, MetaLimit, as_metas
from .items import STRATEGIES
from .util import get_remote_address

if TYPE_CHECKING:
    from .extension import Limiter

_HEADER_SETTINGS = {
    HeaderNames.RESET: ConfigVars.HEADER_RESET,
    HeaderNames.REMAINING: ConfigVars.HEADER_REMAINING,
    HeaderNames.LIMIT: ConfigVars.HEADER_LIMIT,
    HeaderNames.RETRY_AFTER: ConfigVars.HEADER_RETRY_AFTER,
}
_ON_STORE_ERROR = ("local", "open", "closed")
_SPELT = {"valkey://": "redis://", "valkeys://": "rediss://", "redis+unix://": "unix://", "valkey+unix://": "unix://"}
_LIKE_REDIS = {"valkey+sentinel://": "redis+sentinel://", "valkey+cluster://": "redis+cluster://"}


class Rules:
    """What holds for one extension in one app."""

    def __init__(self, limiter: Limiter, config: Mapping[str, Any]) -> None:
        given = limiter.arguments

        def either(name: str, key: str, otherwise: Any = None) -> Any:
            return given[name] or config.get(key, otherwise)

        def flag(name: str, key: str, otherwise: bool) -> bool:
            said = given[name]
            return bool(config.get(key, otherwise) if said is None else said)

        self.prefix: str = either("key_prefix", ConfigVars.KEY_PREFIX, "")
        self.strategy: str = either("strategy", ConfigVars.STRATEGY, "fixed-window")
        if self.strategy not in STRATEGIES:
            raise ConfigError(
                f"RATELIMIT_STRATEGY: {self.strategy!r} is not one of {', '.join(STRATEGIES)}."
                f"{nearest(str(self.strategy), STRATEGIES)}"
            )
        self.identify: Callable[[], str] | None = either("request_identifier", ConfigVars.REQUEST_IDENTIFIER)
        self.swallow_errors = flag("swallow_errors", ConfigVars.SWALLOW_ERRORS, False)
        self.fail_on_first_breach = flag("fail_on_first_breach", ConfigVars.FAIL_ON_FIRST_BREACH, True)
        self.headers_enabled = flag("headers_enabled", ConfigVars.HEADERS_ENABLED, False)
        mapping = given["header_name_mapping"] or {}
        #: What the headers are called.
        self.header_names: dict[HeaderNames, str] = {
            header: mapping.get(header, config.get(key, header.value)) for header, key in _HEADER_SETTINGS.items()
        }
        #: The same, in the order in which they are added.
        self.header_fields = (
            self.header_names[HeaderNames.LIMIT],
            self.header_names[HeaderNames.REMAINING],
            self.header_names[HeaderNames.RESET],
            self.header_names[HeaderNames.RETRY_AFTER],
        )
        self.is_retry_date = either("retry_after", ConfigVars.HEADER_RETRY_AFTER_VALUE) == "http-date"
        self.on_breach: Callable[..., Any] | None = either("on_breach", ConfigVars.ON_BREACH)
        self.on_meta_breach: Callable[..., Any] | None = either("on_meta_breach", ConfigVars.ON_META_BREACH)
        self.application = self._own(
            ApplicationLimit,
            either("application_limits", ConfigVars.APPLICATION_LIMITS),
            per_method=flag("application_limits_per_method", ConfigVars.APPLICATION_LIMITS_PER_METHOD, False),
            exempt_when=either("application_limits_exempt_when", ConfigVars.APPLICATION_LIMITS_EXEMPT_WHEN),
            deduct_when=either("application_limits_deduct_when", ConfigVars.APPLICATION_LIMITS_DEDUCT_WHEN),
            cost=either("application_limits_cost", ConfigVars.APPLICATION_LIMITS_COST, 1),
        )
        self.defaults = self._own(
            Limit,
            either("default_limits", ConfigVars.DEFAULT_LIMITS),
            per_method=flag("default_limits_per_method", ConfigVars.DEFAULT_LIMITS_PER_METHOD, False),
            exempt_when=either("default_limits_exempt_when", ConfigVars.DEFAULT_LIMITS_EXEMPT_WHEN),
            deduct_when=either("default_limits_deduct_when", ConfigVars.DEFAULT_LIMITS_DEDUCT_WHEN),
            cost=either("default_limits_cost", ConfigVars.DEFAULT_LIMITS_COST, 1),
        )
        self.metas: list[MetaLimit] = as_metas(either("meta_limits", ConfigVars.META_LIMITS))
        self.fallback = self._own(Limit, either("in_memory_fallback", ConfigVars.IN_MEMORY_FALLBACK))
        self.on_store_error: str = config.get(ON_STORE_ERROR, "local")
        if self.on_store_error not in _ON_STORE_ERROR:
            raise ConfigError(
                f"{ON_STORE_ERROR}: {self.on_store_error!r} is not one of {', '.join(_ON_STORE_ERROR)}."
                f"{nearest(str(self.on_store_error), _ON_STORE_ERROR)}"
            )
        #: Where the counters are; None where ``RAMPART_LIMIT_STORE`` says it.
        self.store: str | None = None
        #: A client of the app's own.
        self.server: Any = None
        options = {**(given["storage_options"] or {}), **config.get(ConfigVars.STORAGE_OPTIONS, {})}
        self._place(either("storage_uri", ConfigVars.STORAGE_URI), options)
        self._is_by_address = limiter.key_func is get_remote_address
        url = str(self.store or config.get("RAMPART_LIMIT_STORE") or "")
        is_elsewhere = self.server is not None or url.startswith(SCHEMES)
        if is_elsewhere and not (config.get("SECRET_KEY") or config.get("RAMPART_LIMIT_SECRET")):
            raise ConfigError(
                "RATELIMIT_STORAGE_URI is shared by hosts, and callers are hashed before they get there: set "
                "SECRET_KEY or RAMPART_LIMIT_SECRET, the same on all hosts, before the Limiter meets the app."
            )

    @staticmethod
    def _own(kind: type[Limit], given: Any, **how: Any) -> list[Any]:
        """Limits of the app's, as it writes them. A :class:`Limit` says itself how it is counted."""
        texts = given if isinstance(given, (list, tuple)) else [given] if given else []
        return [one if isinstance(one, Limit) else kind(one, **how) for one in texts]

    def _place(self, uri: str | None, options: dict[str, Any]) -> None:
        if not uri or uri.startswith("memory://"):
            return
        for spelt, ours in (*_SPELT.items(), *_LIKE_REDIS.items()):
            if uri.startswith(spelt):
                uri = ours + uri[len(spelt) :]
        if uri.startswith("shm://"):
            self.store = uri
            return
        if not uri.startswith(SCHEMES):
            # A word alone may be a password that was put in the wrong place.
            said = shown(uri) if "://" in uri else "a text without ://"
            raise ConfigError(
                f"RATELIMIT_STORAGE_URI: {said} is not one of memory://, shm://, valkey://, "
                f"{', '.join(SCHEMES)}. "
                "memory:// is exact for all workers of a host here."
            )
        pool = options.pop("connection_pool", None)
        if options:
            raise ConfigError(
                f"RATELIMIT_STORAGE_OPTIONS: write {', '.join(sorted(map(str, options)))} into RATELIMIT_STORAGE_URI "
                "as redis-py takes it (redis://host/0?ssl_ca_certs=...); the timeout is RAMPART_LIMIT_STORE_TIMEOUT."
            )
        if pool is not None:
            import redis

            self.server = redis.Redis(connection_pool=pool)
        else:
            self.store = uri

    def tell(self, app: Flask) -> None:
        """Tells the log once where we count otherwise than the app asks for, with the setting that says otherwise."""
        stricter, otherwise = [], []
        if self.server is None and self.store is None and "RAMPART_LIMIT_STORE" not in app.config and not app.testing:
            stricter.append(
                "memory:// counts for all workers of this host, and all apps of this name (RAMPART_LIMIT_STORE = 'memory://')"
            )
        if self._is_by_address and "RAMPART_IPV6_PREFIX" not in app.config:
            stricter.append("an IPv6 /64 counts as one address (RAMPART_IPV6_PREFIX = 128)")
        if self.defaults:
            stricter.append(
                "the defaults hold beside a limit within a view (@limiter.exempt(flags=ExemptionScope.DEFAULT))"
            )
        if self.swallow_errors:
            stricter.append(
                f"an error of a store or a function takes no limit away "
                f"({ON_STORE_ERROR} = 'open' while a store is away)"
            )
        if self.strategy == "moving-window":
            otherwise.append("moving-window counts about so many, and admits below twice as many in a period at worst")
        if self.strategy == "fixed-window":
            otherwise.append("windows are the calendar's in UTC: 1/day admits one before midnight and one after it")
        for how, told in (
            ("stricter than Flask-Limiter, each with the setting that says otherwise", stricter),
            ("otherwise than Flask-Limiter, which no setting changes", otherwise),
        ):
            if told:
                app.logger.warning(
                    "flask_rampart.compat.limiter: %s: %s; see docs/migrate/limiter.md.", how, "; ".join(told)
                )


def is_enabled(config: Any, otherwise: bool) -> bool:
    """Whether an app's limits are on.

    :raises ConfigError: if ``RATELIMIT_ENABLED`` is no truth value: a setting that is empty turns nothing off.
    """
    enabled = config.setdefault(ConfigVars.ENABLED, otherwise)
    if not isinstance(enabled, bool):
        raise ConfigError(f"{ConfigVars.ENABLED} is True or False, not {enabled!r}.")
    return enabled
