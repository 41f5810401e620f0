"""``headers(...)``: what a view, a blueprint or an app sends instead of the app's policy.

It is a guard that refuses nobody: it runs first, at arrival, and leaves the policy of its place in the exchange, where
the edge finds it when the answer leaves. So an answer that no route made (404, 405, a refusal at the edge) has the
app's policy, and so has every 500: what a view that failed would have allowed, its error page does not need.

Policies are made when the guards are bound, once for the same declarations. Where a function decides a value, it is
asked when the answer leaves, and what it gives is checked as at start-up. What fails is logged, and the profile's own
value is sent: a stricter one, never none, and never a 500.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from .._native import HeaderPolicy
from ..checks import Check
from ..config import Settings
from ..declarations import declared_around, is_known
from ..errors import ConfigError
from ..exchange import Exchange
from ..guards import AppState, Guard, Stage
from ..locks import Lock
from .policies import CACHE, CSP, CSP_REPORT_ONLY, HSTS, NOTHING, OWN, PERMISSIONS, UNSAID, Said, header_policy

T = TypeVar("T")
Directives = Mapping[str, "str | Sequence[str] | bool | None"]
Asked = Callable[[], Any]
_MOST = 1024
_MOST_FOUND = 128
_UNSET: Any = object()
#: Names whose spelling is not that of their words with a capital.
_SPELT = {"dns": "DNS", "xss": "XSS", "nel": "NEL"}


class headers(Guard):  # noqa: N801 - read as a word above a view
    """Sends other headers than the app's policy: of a view, of a blueprint or an app (``rampart.protect``).

    :param profile: ``"api"``, ``"html"`` or ``"mixed"``, instead of ``RAMPART_PROFILE``.
    :param csp: the Content-Security-Policy, as a dict of directives (see ``RAMPART_CSP``) or as text.
    :param csp_report_only: a policy that is sent beside, reported on and not enforced.
    :param permissions: features of the browser that are another way than in the profile: ``{"camera": "self"}``; a list
        of origins, ``[]`` for nobody, None to leave one out.
    :param cache: the ``Cache-Control``: its text, or whole seconds for which the reader's own browser may keep it.
    :param keep: names on the removal list that may pass, such as ``"SourceMap"``.
    :param overrides: any other header, by its name.
    :param named: any other header, written with underscores: ``x_frame_options="SAMEORIGIN"``.
    :raises ConfigError: at import, for what a browser would not understand.

    Any value may be None: no such header is sent. It may be a function without parameters too, which is called in the
    request, when the answer leaves; where it gives None, what was declared farther away holds. Header by header, the
    view's declaration wins over the blueprint's, and that over the app's; of two above one view, the upper one.

    >>> headers(csp={"default-src": "'none'", "img-src": "'self'"}, x_frame_options="SAMEORIGIN")
    headers(csp=..., x_frame_options='SAMEORIGIN')
    """

    stage = Stage.ARRIVAL
    name = "headers"

    def __init__(
        self,
        *,
        profile: Literal["api", "html", "mixed"] | None = None,
        csp: str | Directives | Asked | None = _UNSET,
        csp_report_only: str | Directives | Asked | None = _UNSET,
        permissions: str | Mapping[str, str | Sequence[str] | None] | Asked | None = _UNSET,
        cache: str | int | Asked | None = _UNSET,
        keep: str | Sequence[str] = (),
        overrides: Mapping[str, str | Asked | None] | None = None,
        **named: str | Asked | None,
    ) -> None:
        self.said = _read(profile, csp, csp_report_only, permissions, cache, keep, overrides, named)
        told: dict[str, Any] = {"profile": profile} if profile else {}
        told |= {
            name: ... for name, value in (("csp", csp), ("csp_report_only", csp_report_only)) if value is not _UNSET
        }
        told |= {"permissions": ...} if permissions is not _UNSET else {}
        told |= {"cache": cache} if cache is not _UNSET else {}
        told |= {"keep": keep} if keep else {}
        told |= {**(overrides or {}), **named}
        self._told = ", ".join(
            f"{name}={'...' if value is ... or callable(value) else repr(value)}" for name, value in told.items()
        )

    def __repr__(self) -> str:
        return f"headers({self._told})"

    def __call__(self, target: T) -> T:
        # A guard of its own for each place: one that stood on the app as well would count as the app's.
        mine = self if is_known(self, target) else copy.copy(self)
        return super(headers, mine).__call__(target)

    @classmethod
    def bind(cls, guards: Sequence[tuple[headers, str]], state: AppState, endpoint: str) -> Check:
        policies: RoutePolicies = state.services[RoutePolicies]
        around: tuple[Any, ...] = (*state.app_guards, *declared_around(state.app, endpoint))
        # A guard that stands on the app and on a blueprint counts as the blueprint's.
        seat = {guard: at for at, guard in enumerate(around)}
        ordered = sorted((guard for guard, _ in guards), key=lambda guard: seat.get(guard, len(around)))
        said = policies.merged(ordered)
        policy = policies.of(said)
        unpins = said.values.get(HSTS) == (None,)

        def choose(exchange: Exchange) -> None:
            before = exchange.headers
            exchange.headers = policy if before is None else policies.over(before, said)
            if unpins:
                _unpin(exchange)

        return choose


class Deciding:
    """A policy some of whose values are decided for each request."""

    def __init__(self, said: Said, make: Callable[[Said], HeaderPolicy], logger: logging.Logger) -> None:
        self._said = said
        self._make = make
        self._logger = logger
        self._asked = tuple((name, said.values[name]) for name in said.asked)
        #: With the profile's own values where functions decide.
        self.strict = make(said.settled({}))
        self._found: dict[Any, HeaderPolicy] = {}

    def __call__(self, exchange: Exchange) -> HeaderPolicy:
        """The policy of this request. Never raises."""
        try:
            found = {name: self._ask(exchange, name, candidates) for name, candidates in self._asked}
            key = tuple(_frozen(value) for value in found.values())
            policy = self._found.get(key)
            if policy is None:
                policy = self._made(exchange, found)
                if len(self._found) >= _MOST_FOUND:
                    self._found.clear()
                self._found[key] = policy
            if found.get(HSTS, OWN) is None:
                _unpin(exchange)
            return policy
        except Exception:
            self._logger.exception("headers(...) of %s: the profile's own values were sent.", exchange.route)
            return self.strict

    def _ask(self, exchange: Exchange, name: str, candidates: tuple[Any, ...]) -> Any:
        for value in candidates:
            if not callable(value):
                return value
            try:
                given = value()
                if given is not None:
                    if name == CACHE:
                        given = _cache(given)
                    _frozen(given)
                    return given
            except Exception:
                self._logger.exception(
                    "headers(...) of %s: the function for %s failed; the profile's own value was sent.",
                    exchange.route,
                    self._said.names[name],
                )
                return OWN
        return UNSAID

    def _made(self, exchange: Exchange, found: dict[str, Any]) -> HeaderPolicy:
        for name, value in found.items():
            try:
                self._make(self._said.settled({name: value}))
            except (ConfigError, TypeError, UnicodeError) as error:
                # Not what it is: a peer may have a part in it.
                self._logger.error(
                    "headers(...) of %s: what the function for %s gave is no value that a browser would keep; the "
                    "profile's own was sent.",
                    exchange.route,
                    self._said.names[name],
                )
                self._logger.debug("%s", error)
                found[name] = OWN
        return self._make(self._said.settled(found))


class RoutePolicies:
    """The policies of an app's parts, each made once."""

    def __init__(self, settings: Settings, logger: Callable[[], logging.Logger], reports: str | None = None) -> None:
        self._settings = settings
        #: Where browsers report to.
        self._reports = reports
        self._logger = logger
        self._said: dict[HeaderPolicy | Deciding, Said] = {}
        self._made: dict[tuple[Any, ...], HeaderPolicy | Deciding] = {}
        self._over: dict[tuple[Any, int], tuple[Said, HeaderPolicy | Deciding]] = {}
        self._lock = Lock(reentrant=True)
        self._of_app: tuple[Guard, ...] | None = None

    def merged(self, guards: Iterable[headers]) -> Said:
        """What these say together, the nearest to the view last."""
        said = NOTHING
        for guard in guards:
            said = said.under(guard.said, self._settings.profile)
        return said

    def of(self, said: Said) -> HeaderPolicy | Deciding:
        """The policy of what is said."""
        key = (said.profile, said.keep, tuple(said.names.items()), tuple(map(_key, said.values.items())))
        with self._lock:
            made = self._made.get(key)
            if made is None:
                made = Deciding(said, self._make, self._logger()) if said.asked else self._make(said)
                if len(self._made) < _MOST:
                    self._made[key] = made
                    self._said[made] = said
            return made

    def over(self, before: HeaderPolicy | Deciding, said: Said) -> HeaderPolicy | Deciding:
        """The policy where more is said after a policy was chosen: by a view that another one calls, or that the
        hook cannot see."""
        known = self._over.get((before, id(said)))
        if known is not None and known[0] is said:
            return known[1]
        policy = self.of(self._said.get(before, NOTHING).under(said, self._settings.profile))
        if len(self._over) < _MOST:
            self._over[before, id(said)] = (said, policy)
        return policy

    def of_app(self, guards: tuple[Guard, ...]) -> HeaderPolicy:
        """The policy of answers that no route made: of the app's declarations, what no function decides."""
        self._of_app = guards
        return self._make(self.merged(guard for guard in guards if isinstance(guard, headers)).settled({}))

    def unpins(self, guards: tuple[Guard, ...]) -> bool:
        """Whether the app's declarations say that nothing is pinned to HTTPS."""
        return self.merged(guard for guard in guards if isinstance(guard, headers)).values.get(HSTS) == (None,)

    def check(self, guards: tuple[Guard, ...]) -> None:
        """Before the first request that comes to the app.

        :raises ConfigError: if what is declared on the app came too late for answers that the edge gave before.
        """
        known = guards if self._of_app is None else self._of_app
        late = [guard for guard in guards if isinstance(guard, headers) and guard not in known]
        if late:
            raise ConfigError(
                f"rampart.protect(app, {late[0]!r}) comes too late: the edge has already answered. Declare it before "
                "the app is served."
            )

    def _make(self, said: Said) -> HeaderPolicy:
        return header_policy(self._settings, said, self._reports)


def _read(
    profile: Any,
    csp: Any,
    csp_report_only: Any,
    permissions: Any,
    cache: Any,
    keep: Any,
    overrides: Any,
    named: Mapping[str, Any],
) -> Said:
    values: dict[str, tuple[Any, ...]] = {}
    names: dict[str, str] = {}

    def put(name: str, value: Any) -> None:
        lower = name.lower()
        if lower in values:
            raise ConfigError(f"headers(): {name} is given twice.")
        _must_be_sendable(name, value)
        values[lower], names[lower] = (value,), name

    for header, value in (
        ("Content-Security-Policy", csp),
        ("Content-Security-Policy-Report-Only", csp_report_only),
        ("Permissions-Policy", permissions),
        ("Cache-Control", _cache(cache)),
    ):
        if value is not _UNSET:
            put(header, value)
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ConfigError("headers(overrides=...) is a dict of names and values.")
    for header, value in (overrides or {}).items():
        if not isinstance(header, str):
            raise ConfigError(f"headers(overrides=...): {header!r} is not a header's name.")
        put(header, value)
    for word, value in named.items():
        put("-".join(_SPELT.get(part, part.capitalize()) for part in word.split("_")), value)
    kept = (keep,) if isinstance(keep, str) else tuple(keep)
    if profile is None and not values and not kept:
        raise ConfigError(
            'headers() says nothing. Give profile=, csp=, cache= or a header, e.g. referrer_policy="origin".'
        )
    said = Said(profile, values, names, kept)
    # Each by itself, now, so that what is wrong is told where it is written.
    # Where browsers report to is not known yet.
    header_policy(Settings(profile=profile or "mixed"), said.settled({}), "/reports")
    return said


def _unpin(exchange: Exchange) -> None:
    """Takes out a pin that climbs (``RAMPART_HSTS_SINCE``), which the edge has put there already."""
    if exchange.sends:
        exchange.sends = tuple(field for field in exchange.sends if field[0].lower() != HSTS)


def _cache(value: Any) -> Any:
    """A ``Cache-Control``, also where it is given as seconds."""
    is_seconds = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return f"private, max-age={value}" if is_seconds else value


def _must_be_sendable(name: str, value: Any) -> None:
    if callable(value):
        if isinstance(value, type) or inspect.iscoroutinefunction(value):
            raise ConfigError(f"headers(): {name} is decided by a plain function, not by {value!r}.")
        return
    takes = (str, Mapping) if name.lower() in (CSP, CSP_REPORT_ONLY, PERMISSIONS) else (str,)
    if value is not None and not isinstance(value, takes):
        raise ConfigError(f"headers(): {name} is {value!r}, which is neither a text nor None nor a function.")


def _key(item: tuple[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    name, said = item
    # What is told apart by its id stays alive: it is in what the key leads to.
    return (name, *(id(value) if callable(value) else _frozen(value) for value in said))


def _frozen(value: Any) -> Any:
    """A value by which a policy is found again.

    :raises TypeError: if it is neither a text nor a dict of texts, lists of texts, flags and None.
    """
    if value is None or value is OWN or value is UNSAID or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return (dict, *((name, _frozen(item)) for name, item in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    raise TypeError(f"a header's value is a text or a dict, not {type(value).__name__}")
