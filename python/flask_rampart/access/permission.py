"""What ``require`` demands of a principal that is known: asked at ``PERMISSION``, after the quotas.

Each kind of demand is a check of its own, made only where it is demanded, so that what a view does not demand costs
nothing. They are asked cheapest first, and the app's own code last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._native import Clock
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Principal, origin_of
from ..guards import AppState, Guard, Stage
from ..readers import nearest
from .freshness import Freshness
from .policies import Policies
from .roles import RoleBook
from .schemes import Schemes

if TYPE_CHECKING:
    from .demands import require

Fields = dict[str, tuple[tuple[str, str], ...]]
Demands = Sequence["require"]


class Permission(Guard):
    """The part of a ``require`` that asks what a principal may do; declared along with it."""

    stage = Stage.PERMISSION
    name = "require"

    def __init__(self, demand: require) -> None:
        self.demand = demand

    def __repr__(self) -> str:
        return repr(self.demand)

    @classmethod
    def bind(cls, guards: Sequence[tuple[Permission, str]], state: AppState, endpoint: str) -> Check:
        demands = [guard.demand for guard, _ in guards]
        checks: list[Check] = []
        for make in (_origin, _words, _permissions, _freshness, _policies):
            check = make(demands, state, endpoint)
            if check is not None:
                checks.append(check)
        if len(checks) == 1:
            return checks[0]
        asked = tuple(checks)

        def permit(exchange: Exchange) -> Denied | None:
            for check in asked:
                denied = check(exchange)
                if denied is not None:
                    return denied
            return None

        return permit


def _challenges(state: AppState, error: str = "insufficient_scope", **more: str) -> Fields:
    known: Schemes = state.services[Schemes]
    return {kind: scheme.challenge.fields(error, **more) for kind, scheme in known.items()}


def _nobody() -> Denied:
    return Denied.of("auth.missing", reason="permission asked of nobody")


def _origin(demands: Demands, state: AppState, endpoint: str) -> Check | None:
    """Whose credential it is, and for whom it was made."""
    of_issuers = [d.issuers for d in demands if d.issuers]
    audiences = tuple(d.audiences for d in demands if d.audiences)
    if not of_issuers and not audiences:
        return None
    issuers = frozenset.intersection(*of_issuers) if of_issuers else None
    if issuers is not None and not issuers:
        raise ConfigError(f"{endpoint}: its require() guards have no issuer in common; nobody could call it.")
    headers = _challenges(state)

    def check(exchange: Exchange) -> Denied | None:
        principal = exchange.principal
        if principal is None:
            return _nobody()
        if issuers is not None and principal.issuer not in issuers:
            return Denied.of("auth.issuer", reason="issuer", headers=headers.get(principal.kind, ()))
        if audiences:
            named = _audience(principal)
            if any(words.isdisjoint(named) for words in audiences):
                return Denied.of("auth.audience", reason="audience", headers=headers.get(principal.kind, ()))
        return None

    return check


def _audience(principal: Principal) -> list[str]:
    # Nobody makes an API key for an audience: its metadata is the app's, whatever it is called.
    if origin_of(principal) == "api_key":
        return []
    named = principal.claims.get("aud")
    names = [named] if isinstance(named, str) else named
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _words(demands: Demands, state: AppState, endpoint: str) -> Check | None:
    """Scopes and roles."""
    scopes = frozenset[str]().union(*(d.scopes or () for d in demands))
    roles = frozenset[str]().union(*(d.roles or () for d in demands))
    any_scopes = tuple(d.any_scopes for d in demands if d.any_scopes)
    any_roles = tuple(d.any_roles for d in demands if d.any_roles)
    if not (scopes or roles or any_scopes or any_roles):
        return None
    wanted = " ".join(sorted(scopes.union(*any_scopes)))
    by_scope = _challenges(state, scope=wanted) if wanted else _challenges(state)
    by_role = _challenges(state)
    book: RoleBook = state.services[RoleBook]
    expand = book.expand if book.knows_roles else None

    def check(exchange: Exchange) -> Denied | None:
        principal = exchange.principal
        if principal is None:
            return _nobody()
        if scopes or any_scopes:
            has = principal.scopes
            if not scopes <= has or (any_scopes and any(words.isdisjoint(has) for words in any_scopes)):
                return Denied.of("auth.scope", reason="insufficient scope", headers=by_scope.get(principal.kind, ()))
        if roles or any_roles:
            has = principal.roles if expand is None else expand(principal.roles).roles
            if not roles <= has or (any_roles and any(words.isdisjoint(has) for words in any_roles)):
                return Denied.of("auth.role", reason="insufficient role", headers=by_role.get(principal.kind, ()))
        return None

    return check


def _permissions(demands: Demands, state: AppState, endpoint: str) -> Check | None:
    wanted = frozenset[str]().union(*(d.permissions or () for d in demands))
    wanted_any = tuple(d.any_permissions for d in demands if d.any_permissions)
    if not wanted and not wanted_any:
        return None
    book: RoleBook = state.services[RoleBook]
    if not book.knows_roles and not book.reads_claims:
        raise ConfigError(
            f"{endpoint} demands permissions, but nothing gives any: set RAMPART_ROLES or "
            "RAMPART_JWT_PERMISSIONS_CLAIM."
        )
    if not book.reads_claims:
        for name in sorted(wanted.union(*wanted_any) - book.permissions):
            raise ConfigError(
                f"{endpoint} demands the permission {name!r}, which no role of RAMPART_ROLES gives."
                f"{nearest(name, sorted(book.permissions))}"
            )
    expand = book.expand if book.knows_roles else None
    reads = book.reads_claims
    headers = _challenges(state)

    def met(has: frozenset[str]) -> bool:
        return wanted <= has and not any(words.isdisjoint(has) for words in wanted_any)

    def check(exchange: Exchange) -> Denied | None:
        principal = exchange.principal
        if principal is None:
            return _nobody()
        has = frozenset[str]() if expand is None else expand(principal.roles).permissions
        # Reading claims makes Python objects of all of them: only where roles do not suffice.
        if met(has) or (reads and met(has | book.stated(principal))):
            return None
        return Denied.of("auth.permission", reason="insufficient permission", headers=headers.get(principal.kind, ()))

    return check


def _freshness(demands: Demands, state: AppState, endpoint: str) -> Check | None:
    ages = [d.max_age for d in demands if d.max_age is not None]
    fresh = any(d.fresh for d in demands)
    if not fresh and not ages:
        return None
    demand = Freshness(fresh, min(ages, default=None), state.services[Clock], state.settings.jwt_leeway)
    headers = _challenges(state, "insufficient_user_authentication", **demand.parameters())

    def check(exchange: Exchange) -> Denied | None:
        principal = exchange.principal
        if principal is None:
            return _nobody()
        if demand.met_by(principal):
            return None
        return Denied.of("auth.stale", reason="not recent", headers=headers.get(principal.kind, ()))

    return check


def _policies(demands: Demands, state: AppState, endpoint: str) -> Check | None:
    names = tuple(dict.fromkeys(d.policy for d in demands if d.policy is not None))
    if not names:
        return None
    policies: Policies = state.services[Policies]
    for name in names:
        policies.check(name)
        policies.check_arguments(name, state, endpoint)
    headers = _challenges(state)

    def check(exchange: Exchange) -> Denied | None:
        principal = exchange.principal
        if principal is None:
            return _nobody()
        arguments = exchange.request().view_args or {}
        for name in names:
            if not policies.admits(name, principal, (), arguments):
                return Denied.of("auth.policy", reason=name, headers=headers.get(principal.kind, ()))
        return None

    return check
