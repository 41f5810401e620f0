"""What a view demands of who calls it: ``require``, and ``public``.

Here it is settled who calls; what they may do is asked in :mod:`.permission`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from flask import Flask

from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import SCOPE, Exchange, Principal
from ..guards import AppState, Guard, Stage
from ..readers import nearest
from ..refusals import Fields
from ..signals import emit, principal_authenticated
from .current import Users
from .freshness import AGELESS, seconds_of
from .meter import Meter
from .permission import Permission
from .schemes import Schemes

Words = str | Iterable[str]


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


def _flag(name: str, given: object) -> bool:
    # "false" would be true.
    if not isinstance(given, bool):
        raise ConfigError(f"require({name}=...) is True or False, not {given!r}.")
    return given


class require(Guard):  # noqa: N801 - read as a verb above a view
    """Lets only principals through that have what is demanded; without arguments, any principal.

    :param schemes: names of schemes, such as ``"jwt"``; all that the app has, if none is named.
    :param scopes: ALL of these, as ``"a b"`` or a list.
    :param any_scopes: at least ONE of these.
    :param roles: ALL of these; a role counts with all that it includes (``RAMPART_ROLES``).
    :param any_roles: at least ONE of these.
    :param permissions: ALL of these (``RAMPART_ROLES``, ``RAMPART_JWT_PERMISSIONS_CLAIM``).
    :param any_permissions: at least ONE of these.
    :param issuer: who must have made the credential: one, or a list of which it is one.
    :param audience: for whom it must have been made: the ``aud`` of the credential names it, or one of the list.
    :param fresh: whether the credential must say that it is fresh.
    :param max_age: how long ago at most somebody proved who they are (``auth_time``), in seconds or as a ``timedelta``.
    :param optional: whether a request without any credential is let through, as nobody's. What is there and wrong is
        refused all the same. Without further demands, which nobody could meet.
    :param policy: the name of a policy (``rampart.policy``), asked with the path's arguments.
    :raises ConfigError: at import, for an empty or malformed demand; at start-up, for a scheme, policy or permission
        that the app does not have.

    The client receives 401 without a good credential and 403 without enough of one, with
    ``WWW-Authenticate`` (RFC 6750 section 3); 401 with ``insufficient_user_authentication`` for one that is too old
    (RFC 9470 section 3).

    >>> sorted(require(scopes="orders:read orders:write").scopes)
    ['orders:read', 'orders:write']
    >>> require("jwt", roles="admin", max_age=300)
    require('jwt', roles='admin', max_age=300)
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
        permissions: Words | None = None,
        any_permissions: Words | None = None,
        issuer: Words | None = None,
        audience: Words | None = None,
        fresh: bool = False,
        max_age: float | timedelta | None = None,
        optional: bool = False,
        policy: str | None = None,
    ) -> None:
        if not all(isinstance(scheme, str) for scheme in schemes):
            raise ConfigError("Write @require(), with parentheses; scheme names are texts.")
        self.schemes = schemes
        self.scopes = _some("scopes", scopes)
        self.any_scopes = _some("any_scopes", any_scopes)
        self.roles = _some("roles", roles)
        self.any_roles = _some("any_roles", any_roles)
        self.permissions = _some("permissions", permissions)
        self.any_permissions = _some("any_permissions", any_permissions)
        # One text is one issuer or audience, whatever is in it.
        self.issuers = _some("issuer", [issuer] if isinstance(issuer, str) else issuer)
        self.audiences = _some("audience", [audience] if isinstance(audience, str) else audience)
        self.fresh = _flag("fresh", fresh)
        self.max_age = seconds_of(max_age)
        self.optional = _flag("optional", optional)
        if policy is not None and (not isinstance(policy, str) or not policy.strip()):
            raise ConfigError(f"require(policy=...) is the name of a policy, not {policy!r}.")
        self.policy = policy
        # Identity is settled before the quotas that go by it; permission is asked after them.
        self.companions = (Meter(self),)
        if self._demands():
            if optional:
                raise ConfigError(
                    f"{self!r}: a caller without a credential could not meet the rest. Leave optional=True out, or "
                    "ask in the view: has_scope(...), has_role(...), has_permission(...), rampart.may(...)."
                )
            self.companions += (Permission(self),)

    def _demands(self) -> dict[str, str]:
        """All that is demanded of a principal, each as it is written."""
        found = {
            name: repr(" ".join(sorted(words)) if not any(" " in word for word in words) else sorted(words))
            for name in ("scopes", "any_scopes", "roles", "any_roles", "permissions", "any_permissions")
            if (words := getattr(self, name))
        }
        for name, words in (("issuer", self.issuers), ("audience", self.audiences)):
            if words:
                found[name] = repr(sorted(words) if len(words) > 1 else next(iter(words)))
        if self.fresh:
            found["fresh"] = "True"
        if self.max_age is not None:
            found["max_age"] = str(self.max_age)
        if self.policy is not None:
            found["policy"] = repr(self.policy)
        return found

    def __repr__(self) -> str:
        parts = [repr(scheme) for scheme in self.schemes]
        parts += [f"{name}={text}" for name, text in self._demands().items()]
        if self.optional:
            parts.append("optional=True")
        return f"require({', '.join(parts)})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[require, str]], state: AppState, endpoint: str) -> Check:
        known: Schemes = state.services[Schemes]
        if not known:
            raise ConfigError(
                f"{endpoint} has {guards[0][0]!r}, but no credential can be checked: set RAMPART_JWT_KEYS, "
                "RAMPART_ISSUERS, or RAMPART_API_KEYS = True, or declare a scheme by @rampart.scheme."
            )
        demands = [guard for guard, _ in guards]
        names = _names(demands, known, endpoint)
        # One that is not optional makes it mandatory.
        anonymous = _anonymous(known, names) if all(demand.optional for demand in demands) else None
        alone = len(known) == 1 and not known.is_ambient(names[0])
        identify = (
            _identify_by_one(known, names[0], state, anonymous) if alone else _identify(known, names, state, anonymous)
        )
        return _eager(identify, state, endpoint)


def _names(demands: Sequence[require], known: Schemes, endpoint: str) -> list[str]:
    """The schemes that a view takes, in the order in which they are asked."""
    names = list(known)
    for demand in demands:
        for name in demand.schemes:
            if name not in known:
                raise ConfigError(f"{endpoint}: {name!r} is not a scheme of this app.{nearest(name, list(known))}")
        if demand.schemes:
            names = [name for name in names if name in demand.schemes]
    if not names:
        raise ConfigError(f"{endpoint}: its require() guards have no scheme in common; nobody could call it.")
    if AGELESS.issuperset(names) and any(demand.fresh or demand.max_age is not None for demand in demands):
        raise ConfigError(
            f"{endpoint} takes {' and '.join(map(repr, names))} alone, which cannot tell when somebody proved who they "
            "are; so fresh= and max_age= would refuse everybody."
        )
    return known.in_order(names)


def _challenges(known: Schemes, names: Sequence[str]) -> Fields:
    return tuple(dict.fromkeys(field for name in names for field in known[name].challenge.fields()))


def _refused(known: Schemes, names: Sequence[str], code: str, reason: str) -> Callable[[], Denied]:
    """Makes refusals of what is there, told by the challenges of all schemes that a view takes."""
    fields = [field for name in names for field in known[name].challenge.refused((code, reason)).extra_headers]
    headers = tuple(dict.fromkeys(fields))
    return lambda: Denied.of(code, reason, headers=headers)


def _identify_by_one(known: Schemes, kind: str, state: AppState, anonymous: Check | None) -> Check:
    """The usual case, where the app has one scheme, and it reads a field of its own."""
    authenticate = known[kind].authenticate
    is_elsewhere = _is_elsewhere(known[kind])
    challenges = _challenges(known, [kind])
    app = state.app

    def identify_by_one(exchange: Exchange) -> Denied | None:
        # What an app has put there itself is of no kind that the view takes, unless it says so.
        if exchange.principal is not None and exchange.principal.kind == kind:
            return None
        found = authenticate(exchange)
        if found is None:
            if anonymous is not None:
                return anonymous(exchange)
            return Denied.of("auth.missing", headers=challenges)
        if isinstance(found, Denied):
            return found
        if is_elsewhere:
            exchange.elsewhere = True
        _accept(exchange, found, app)
        return None

    return identify_by_one


def _identify(known: Schemes, names: Sequence[str], state: AppState, anonymous: Check | None) -> Check:
    challenges = _challenges(known, names)
    ambiguous = _refused(known, names, "auth.ambiguous", "two credentials")
    others = {name: tuple(other for key, other in known.items() if key != name) for name in names}
    bare = _bare(known)
    elsewhere = frozenset(name for name in names if _is_elsewhere(known[name]))
    # What an ambient scheme may have read itself, by the word of its challenge.
    own = {name: known[name].challenge.scheme.lower() for name in names if known.is_ambient(name)}
    app = state.app

    def identify(exchange: Exchange) -> Denied | None:
        before = exchange.principal
        if before is not None and before.kind in names:
            return None
        for name in names:
            found = known[name].authenticate(exchange)
            if found is None:
                continue
            # A view that calls another one: nobody is two, and whoever the outer view knows stays who they are.
            if before is not None:
                return ambiguous()
            # Of any kind that the app knows, also of one that this view does not take.
            for other in others[name]:
                if other.carries(exchange):
                    return ambiguous()
            if name in own and (word := _stray(exchange, bare)) and word != own[name]:
                return ambiguous()
            if isinstance(found, Denied):
                return found
            if name in elsewhere:
                exchange.elsewhere = True
            _accept(exchange, found, app)
            return None
        if anonymous is not None:
            return anonymous(exchange)
        return Denied.of("auth.missing", headers=challenges)

    return identify


def _accept(exchange: Exchange, found: Principal, app: Flask) -> None:
    exchange.principal = found
    if principal_authenticated.receivers:
        emit(principal_authenticated, app, exchange=exchange, principal=found)
        exchange.principal = found  # whatever a receiver made of it


def _is_elsewhere(scheme: object) -> bool:
    """Whether it reads no ``Authorization``. One that reads what it likes is not known to."""
    return not getattr(scheme, "in_authorization", True)


def _bare(known: Schemes) -> frozenset[str]:
    return frozenset(scheme.challenge.scheme.lower() for scheme in known.values())


def _stray(exchange: Exchange, bare: frozenset[str]) -> str:
    """The first word of an ``Authorization`` that says something, in lower case. The word of a scheme and nothing more
    says nothing."""
    field: str = exchange.environ.get("HTTP_AUTHORIZATION", "").strip().lower()
    return "" if field in bare else field.partition(" ")[0]


def _anonymous(known: Schemes, names: Sequence[str]) -> Callable[[Exchange], Denied | None]:
    """Lets a request through that carries no credential at all: what is there and not taken was meant for somebody,
    and is refused, so that a client with a mistake in its credential is never served as nobody in silence."""
    challenges = _challenges(known, names)
    bare = _bare(known)
    schemes = tuple(known.values())

    def anonymous(exchange: Exchange) -> Denied | None:
        # A principal that is here is of another kind, and the view would take it for one of its own.
        known = exchange.principal is not None or _stray(exchange, bare)
        if known or any(scheme.carries(exchange) for scheme in schemes):
            return Denied.of("auth.invalid", reason="a credential that is not taken here", headers=challenges)
        return None

    return anonymous


def _eager(identify: Check, state: AppState, endpoint: str) -> Check:
    """Loads the app's user along, if the settings say so."""
    if state.settings.user_loading != "eager":
        return identify
    users: Users = state.services[Users]
    schemes: Schemes = state.services[Schemes]
    if not users.declared:
        raise ConfigError(
            f"{endpoint}: RAMPART_USER_LOADING is 'eager', and there is no user loader: declare one by "
            "@rampart.user_loader."
        )

    def identify_and_load(exchange: Exchange) -> Denied | None:
        return identify(exchange) or users.load(exchange, schemes)

    return identify_and_load


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
