"""What an app limits: ``Limit`` and its kinds, as they are declared, and as they are asked.

What can be known when a limit is declared is refused then: a text that cannot be read, a cost below one. A function
is asked in each request; what it says wrong refuses the request, and never takes the limit away. An empty text, of a
function or a setting, is no limit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from flask import Blueprint, current_app
from flask.wrappers import Response

from ...errors import ConfigError
from .items import RateLimitItem, parse_many

if TYPE_CHECKING:
    from .extension import Limiter
    from .requests import RequestLimit

Text = str | Callable[[], str]
OnBreach = Callable[["RequestLimit"], Response | None]
ScopeText = str | Callable[[str], str]
_MARK = "_rampart_limited_by"


@dataclass(unsafe_hash=True)
class RuntimeLimit:
    """One quota of a limit, as a request meets it."""

    limit: RateLimitItem
    key_func: Callable[[], str]
    scope: ScopeText | None
    per_method: bool = False
    methods: Sequence[str] | None = None
    error_message: Text | None = None
    exempt_when: Callable[[], bool] | None = None
    override_defaults: bool | None = False
    deduct_when: Callable[[Response], bool] | None = None
    on_breach: OnBreach | None = None
    cost: Callable[[], int] | int = 1
    shared: bool = False
    meta_limits: tuple[RuntimeLimit, ...] | None = None
    #: Which key function it is, among those of the extension; empty for the extension's own.
    counted_by: str = ""

    @property
    def is_exempt(self) -> bool:
        """Whether this request is not limited."""
        return bool(self.exempt_when and self.exempt_when())

    @property
    def deduction_amount(self) -> int:
        """What this request costs.

        :raises ValueError: if that is no whole number of at least 0: less would refill the quota.
        """
        cost = self.cost() if callable(self.cost) else self.cost
        if not isinstance(cost, int) or cost < 0:
            raise ValueError(f"The cost of {self.limit} is a whole number of at least 0, not {cost!r}.")
        return int(cost)

    def counted_as(self, method: str) -> str | None:
        """The method as which one is counted; None if it is not. ``HEAD`` runs the view of ``GET``, so it is one,
        unless it is named itself."""
        if self.methods is not None and method.lower() in self.methods:
            return method
        if method == "HEAD":
            method = "GET"
        return method if self.methods is None or method.lower() in self.methods else None

    def scope_for(self, endpoint: str, method: str, said: str | None) -> str:
        """What a request is counted as.

        :param said: the scope, where a function says it.
        """
        own = said if callable(self.scope) else self.scope
        scope = (own if self.shared else f"{endpoint}:{own}") if own else endpoint
        return f"{scope}:{method.upper()}" if self.per_method else scope


@dataclass(unsafe_hash=True)
class Limit:
    """A limit that is not put on any view: a default of the extension.

    The arguments are those of :meth:`Limiter.limit`, of which *limit_provider* is the first.
    """

    limit_provider: Text
    key_function: Callable[[], str] | None = None
    scope: ScopeText | None = None
    cost: Callable[[], int] | int | None = None
    shared: bool = False
    methods: Sequence[str] | None = None
    per_method: bool = False
    error_message: Text | None = None
    meta_limits: Iterable[Text | MetaLimit] | None = None
    exempt_when: Callable[[], bool] | None = None
    deduct_when: Callable[[Response], bool] | None = None
    on_breach: OnBreach | None = None
    override_defaults: bool | None = field(default=False, init=False)
    finalized: bool = True
    #: Which key function it has, as :meth:`.declared.Declared.name` notes it.
    counted_by: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._finish()

    def _finish(self) -> None:
        if isinstance(self.limit_provider, str):
            parse_many(self.limit_provider) if self.limit_provider else ()
        elif not callable(self.limit_provider):
            raise ConfigError(f"A limit is a text or a function that returns one, not {self.limit_provider!r}.")
        if self.cost is not None and not callable(self.cost):
            if not isinstance(self.cost, int):
                raise ConfigError(f"A cost is a whole number, or a function that returns one, not {self.cost!r}.")
            if self.cost < 0:
                raise ConfigError(f"The cost {self.cost} would refill the quota. Write 1 or more.")
        if self.methods:
            self.methods = tuple([method.lower() for method in self.methods])
        if self.meta_limits:
            self.meta_limits = tuple([_as_meta(meta, self.key_function) for meta in self.meta_limits])

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in each request."""
        metas: Iterable[Any] = self.meta_limits or ()
        return not callable(self.limit_provider) and all(meta.is_fixed for meta in metas)

    def expanded(self, key_func: Callable[[], str]) -> tuple[RuntimeLimit, ...]:
        """Its quotas, as they are for this request.

        :param key_func: the extension's, by which it counts if it has none of its own.
        """
        text = self.limit_provider() if callable(self.limit_provider) else self.limit_provider
        by = self.key_function or key_func
        metas: Iterable[Any] = self.meta_limits or ()
        above = tuple([quota for meta in metas for quota in meta.expanded(key_func)])
        return tuple(
            [
                RuntimeLimit(
                    item,
                    by,
                    self.scope,
                    self.per_method,
                    self.methods,
                    self.error_message,
                    self.exempt_when,
                    self.override_defaults,
                    self.deduct_when,
                    self.on_breach,
                    self.cost or 1,
                    self.shared,
                    above,
                    self.counted_by,
                )
                for item in (() if text == "" else parse_many(text))
            ]
        )


@dataclass(unsafe_hash=True, kw_only=True)
class ApplicationLimit(Limit):
    """A limit that all views share."""

    scope: ScopeText | None = "global"
    shared: bool = field(init=False, default=True)


@dataclass(unsafe_hash=True, kw_only=True)
class MetaLimit(Limit):
    """A limit of how often other limits may refuse, after which everything is refused."""

    scope: ScopeText | None = "meta"
    meta_limits: Iterable[Text | MetaLimit] | None = field(init=False, default=None)
    shared: bool = field(init=False, default=True)
    deduct_when: Callable[[Response], bool] | None = field(init=False, default=None)
    key_function: Callable[[], str] | None = None


@dataclass(unsafe_hash=True, kw_only=True)
class RouteLimit(Limit):
    """A limit to put above a view or any function, on a blueprint, or round a part of a view (``with``)."""

    override_defaults: bool | None = False
    limiter: InitVar[Limiter]

    def __post_init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._finish()
        limiter.declared.name(self)

    @overload
    def __call__(self, obj: Blueprint) -> None: ...
    @overload
    def __call__(self, obj: Callable[..., Any]) -> Callable[..., Any]: ...
    def __call__(self, obj: Callable[..., Any] | Blueprint) -> Callable[..., Any] | None:
        """Limits a blueprint's views, or wraps a function."""
        limiter = self._limiter
        if isinstance(obj, Blueprint):
            limiter.declared.limit_blueprint(obj, self)
            return None
        function = limiter.declared.limit_function(obj, self)
        asking: tuple[Limiter, ...] = getattr(obj, _MARK, ())
        if limiter in asking:
            return obj  # it asks for all limits of its function
        is_async = inspect.iscoroutinefunction(obj)

        @wraps(obj)
        def limited(*args: Any, **kwargs: Any) -> Any:
            limiter.ask_for(function)
            return current_app.ensure_sync(obj)(*args, **kwargs) if is_async else obj(*args, **kwargs)

        setattr(limited, _MARK, (*asking, limiter))
        return limited

    def __enter__(self) -> None:
        self._limiter.ask_within(self)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """What was charged stays charged."""


def _as_meta(given: Text | MetaLimit, by: Callable[[], str] | None = None) -> MetaLimit:
    # One that is written as a text is counted by whom the limit below it counts; another says so itself.
    return given if isinstance(given, MetaLimit) else MetaLimit(given, key_function=by)


def as_metas(given: Any) -> list[MetaLimit]:
    """Meta limits, as an app writes them."""
    if not given:
        return []
    return [_as_meta(one) for one in (given if isinstance(given, (list, tuple)) else [given])]
