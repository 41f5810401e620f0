"""Access: who may call a view.

``require`` is met when, in this order:

1. the request carries one credential, of a scheme that the view takes, and that scheme accepts it; what
   is present and wrong refuses, and never falls through to another scheme; two are ambiguous;
2. the principal has all of ``scopes`` and ``roles``, and, where given, one of ``any_scopes`` and one
   of ``any_roles``.

Several ``require`` on one view, from its blueprint or from the app are all to be met. Answers carry
the challenge of RFC 6750 section 3.

It does not check credentials: a room that knows a kind of them offers it as a ``Scheme``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from werkzeug.local import LocalProxy

from .config import nearest
from .errors import ConfigError, Denied
from .exchange import SCOPE, Exchange, Principal, Scheme
from .guards import AppState, Check, Guard, Stage, current_exchange

Words = str | Iterable[str]


class Schemes(dict[str, Scheme]):
    """The kinds of credentials that an app takes, by name."""

    def __init__(self) -> None:
        super().__init__()
        #: What counts the use of credentials of a kind that may have a quota of their own. Handed over at start-up.
        self.meters: dict[str, Check] = {}


def _words(name: str, given: Words) -> frozenset[str]:
    words = given.split() if isinstance(given, str) else list(given)
    if not all(isinstance(word, str) and word and not word.isspace() for word in words):
        raise ConfigError(f"require({name}=...) takes a text of words or a list of texts, not {given!r}.")
    return frozenset(words)


def _some(name: str, given: Words | None) -> frozenset[str] | None:
    """The words, or None if not given. Given and empty is refused: it would demand nothing, or all."""
    if given is None:
        return None
    words = _words(name, given)
    if not words:
        raise ConfigError(f"require({name}=...) is empty. Leave it out to demand nothing.")
    if "scopes" in name and not all(SCOPE.fullmatch(word) for word in words):
        raise ConfigError(
            f"require({name}=...): a scope has no space, quote or control character (RFC 6749 section 3.3)."
        )
    return words


class require(Guard):  # noqa: N801 - read as a verb above a view
    """Lets only principals through that have what is demanded; without arguments, any principal.

    :param schemes: names of schemes, such as ``"jwt"``; all that the app has, if none is named.
    :param scopes: ALL of these, as ``"a b"`` or a list.
    :param any_scopes: at least ONE of these.
    :param roles: ALL of these.
    :param any_roles: at least ONE of these.
    :raises ConfigError: at import, for an empty or malformed demand; at start-up, for a scheme that the
        app does not have.

    The client receives 401 without a good credential and 403 without enough of one, with
    ``WWW-Authenticate`` (RFC 6750 section 3).

    >>> sorted(require(scopes="orders:read orders:write").scopes)
    ['orders:read', 'orders:write']
    """

    stage = Stage.IDENTITY
    name = "require"
    opens = True

    def __init__(
        self,
        *schemes: str,
        scopes: Words | None = None,
        any_scopes: Words | None = None,
        roles: Words | None = None,
        any_roles: Words | None = None,
    ) -> None:
        if not all(isinstance(scheme, str) for scheme in schemes):
            raise ConfigError("Write @require(), with parentheses; scheme names are texts.")
        self.schemes = schemes
        self.scopes = _some("scopes", scopes)
        self.any_scopes = _some("any_scopes", any_scopes)
        self.roles = _some("roles", roles)
        self.any_roles = _some("any_roles", any_roles)
        # Identity is settled before the quotas that go by it; permission is asked after them.
        self.companions = (_Meter(self),)
        if any((self.scopes, self.any_scopes, self.roles, self.any_roles)):
            self.companions += (_Permission(self),)

    def __repr__(self) -> str:
        parts = [repr(scheme) for scheme in self.schemes]
        for name in ("scopes", "any_scopes", "roles", "any_roles"):
            words = getattr(self, name)
            if words:
                parts.append(f"{name}={' '.join(sorted(words))!r}")
        return f"require({', '.join(parts)})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[require, str]], state: AppState, endpoint: str) -> Check:
        known: Schemes = state.services[Schemes]
        if not known:
            raise ConfigError(
                f"{endpoint} has {guards[0][0]!r}, but no credential can be checked: set RAMPART_JWT_KEYS, "
                "RAMPART_ISSUERS, or RAMPART_API_KEYS = True."
            )
        names = list(known)
        for guard, _ in guards:
            for name in guard.schemes:
                if name not in known:
                    raise ConfigError(f"{endpoint}: {name!r} is not a scheme of this app.{nearest(name, list(known))}")
            if guard.schemes:
                names = [name for name in names if name in guard.schemes]
        if not names:
            raise ConfigError(f"{endpoint}: its require() guards have no scheme in common; nobody could call it.")
        schemes = tuple(known[name] for name in names)
        challenges = tuple(dict.fromkeys(field for scheme in schemes for field in scheme.challenge.fields()))

        others = {name: tuple(other for key, other in known.items() if key != name) for name in names}

        if len(known) == 1:
            authenticate, kind = schemes[0].authenticate, names[0]

            def identify_by_one(exchange: Exchange) -> Denied | None:
                known = exchange.principal
                if known is not None and known.kind == kind:
                    return None
                found = authenticate(exchange)
                if found is None:
                    return Denied.of("auth.missing", headers=challenges)
                if isinstance(found, Denied):
                    return found
                exchange.principal = found
                return None

            return identify_by_one

        def identify(exchange: Exchange) -> Denied | None:
            if exchange.principal is not None and exchange.principal.kind in names:
                return None
            for name in names:
                found = known[name].authenticate(exchange)
                if found is None:
                    continue
                # Of any kind that the app knows, also of one that this view does not take.
                for other in others[name]:
                    if other.carries(exchange):
                        return Denied.of("auth.ambiguous", "two credentials", headers=challenges)
                if isinstance(found, Denied):
                    return found
                exchange.principal = found
                return None
            return Denied.of("auth.missing", headers=challenges)

        return identify


class _Meter(Guard):
    """Counts the use of a credential that has a quota of its own, between who it is and whether they may."""

    stage = Stage.QUOTA
    name = "require"
    # As the guard that it comes with; where no credential has a quota, there is nothing to do.
    opens = True

    def __init__(self, demand: require) -> None:
        self.demand = demand

    def __repr__(self) -> str:
        return repr(self.demand)

    @classmethod
    def bind(cls, guards: Sequence[tuple[_Meter, str]], state: AppState, endpoint: str) -> Check | None:
        schemes: Schemes = state.services[Schemes]
        meters = schemes.meters
        if not meters:
            return None

        def count(exchange: Exchange) -> Denied | None:
            # Once for a request, also where a view calls another that is guarded.
            if exchange.ran and any(type(guard) is _Meter for guard in exchange.ran):
                return None
            principal = exchange.principal
            meter = None if principal is None else meters.get(principal.kind)
            return None if meter is None else meter(exchange)

        return count


class _Permission(Guard):
    stage = Stage.PERMISSION
    name = "require"

    def __init__(self, demand: require) -> None:
        self.demand = demand

    def __repr__(self) -> str:
        return repr(self.demand)

    @classmethod
    def bind(cls, guards: Sequence[tuple[_Permission, str]], state: AppState, endpoint: str) -> Check:
        demands = [guard.demand for guard, _ in guards]
        scopes = frozenset().union(*(d.scopes or () for d in demands))
        roles = frozenset().union(*(d.roles or () for d in demands))
        any_scopes = tuple(d.any_scopes for d in demands if d.any_scopes)
        any_roles = tuple(d.any_roles for d in demands if d.any_roles)
        wanted = " ".join(sorted(scopes.union(*any_scopes)))
        known: Schemes = state.services[Schemes]
        by_scope, by_role = (
            {kind: scheme.challenge.fields("insufficient_scope", **more) for kind, scheme in known.items()}
            for more in ({"scope": wanted} if wanted else {}, {})
        )

        def permit(exchange: Exchange) -> Denied | None:
            principal = exchange.principal
            if principal is None:
                return Denied.of("auth.missing", reason="permission asked of nobody")
            if scopes or any_scopes:
                has = principal.scopes
                if not scopes <= has or (any_scopes and any(words.isdisjoint(has) for words in any_scopes)):
                    return Denied.of(
                        "auth.scope", reason="insufficient scope", headers=by_scope.get(principal.kind, ())
                    )
            if roles or any_roles:
                has = principal.roles
                if not roles <= has or (any_roles and any(words.isdisjoint(has) for words in any_roles)):
                    return Denied.of("auth.role", reason="insufficient role", headers=by_role.get(principal.kind, ()))
            return None

        return permit


class _Public(Guard):
    """Marks a view as open on purpose, under ``RAMPART_DEFAULT = "deny"``. It checks nothing.

    It speaks for its own view alone: a ``require`` of the blueprint or the app stays in force.

    >>> @public
    ... def health():
    ...     return "ok"
    """

    stage = Stage.ARRIVAL
    name = "public"
    opens = True
    only_opens = True

    def __repr__(self) -> str:
        return "public"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> None:
        return None


public = _Public()


def _current() -> Principal:
    principal = current_exchange().principal
    if principal is None:
        raise RuntimeError("There is no principal here: the view does not have @require(...).")
    return principal


current_principal: Principal = cast("Principal", LocalProxy(_current))
"""Who is calling, in a view that has ``@require(...)``.

:raises RuntimeError: when read outside a request, or where nothing demanded a credential.
"""

if TYPE_CHECKING:
    _: type[Guard] = require
