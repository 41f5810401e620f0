"""Roles and permissions: what a role includes, and what it may do.

``RAMPART_ROLES`` gives each role the roles that it includes and its permissions. Whoever has a role has all that it
includes, transitively. A role that the setting does not know stays what it is.

Permissions come from there, and from the claims of tokens that ``RAMPART_JWT_PERMISSIONS_CLAIM`` names; from nowhere
else. An API key, or whom a scheme of the app's finds, has those of its roles.

What a set of roles comes to is worked out once and remembered, so that a request costs one look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ..config import Settings
from ..errors import ConfigError
from ..exchange import Principal, origin_of
from ..readers import nearest

_FIELDS = ("includes", "permissions")
_REMEMBERED = 4096
_MOST_PATHS = 16
_MOST_STEPS = 8
# As `src/tokens/paths.rs` has them: claims that mean what they are registered for.
_REGISTERED = frozenset(("aud", "auth_time", "exp", "iat", "iss", "jti", "nbf", "sub"))


class Expanded(NamedTuple):
    """What a set of roles comes to."""

    roles: frozenset[str]
    permissions: frozenset[str]


class RoleBook:
    """Which roles and permissions somebody has. One for each app.

    :raises ConfigError: for a circle, an unknown role, a misspelt field.
    """

    def __init__(self, settings: Settings) -> None:
        self._roles = _read(settings.roles) if settings.roles is not None else {}
        self._paths = _paths(settings.jwt_permissions_claim)
        #: All permissions that some role gives.
        self.permissions = frozenset(name for _, permissions in self._roles.values() for name in permissions)
        #: Whether a credential may state permissions by itself.
        self.reads_claims = bool(self._paths)
        #: Whether roles include others, or give permissions.
        self.knows_roles = bool(self._roles)
        self.expand = lru_cache(maxsize=_REMEMBERED)(self._expand)

    def roles_of(self, principal: Principal) -> frozenset[str]:
        """The principal's roles, with all that they include."""
        return self.expand(principal.roles).roles if self._roles else principal.roles

    def permissions_of(self, principal: Principal) -> frozenset[str]:
        """What the principal's roles give, and what the credential states."""
        given = self.expand(principal.roles).permissions if self._roles else frozenset[str]()
        return given | self.stated(principal) if self._paths else given

    def stated(self, principal: Principal) -> frozenset[str]:
        """What a token itself states; an API key's metadata and an identity's claims were written by others, for other
        ends. A claim of another type than a text or a list of texts states nothing."""
        if origin_of(principal) != "jwt":
            return frozenset()
        claims = principal.claims
        return frozenset(name for path in self._paths for name in path.names(claims))

    def _expand(self, roles: frozenset[str]) -> Expanded:
        found: set[str] = set()
        permissions: set[str] = set()
        queue = list(roles)
        while queue:
            role = queue.pop()
            if role in found:
                continue
            found.add(role)
            includes, gives = self._roles.get(role, ((), ()))
            queue.extend(includes)
            permissions.update(gives)
        return Expanded(frozenset(found), frozenset(permissions))


Entry = tuple[tuple[str, ...], tuple[str, ...]]


def _read(given: Mapping[str, Any]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for role, entry in given.items():
        if not isinstance(role, str) or not role.strip():
            raise ConfigError(f"RAMPART_ROLES: a role is a text that is not empty, not {role!r}.")
        where = f"RAMPART_ROLES[{role!r}]"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where} must be a dict with 'includes' and 'permissions', not {entry!r}.")
        for name in entry:
            if name not in _FIELDS:
                raise ConfigError(f"{where}: {name!r} is not a field of a role.{nearest(str(name), _FIELDS)}")
        found[role] = (_names(where, "includes", entry), _names(where, "permissions", entry))
    for role, (includes, _) in found.items():
        for other in includes:
            if other not in found:
                raise ConfigError(
                    f"RAMPART_ROLES[{role!r}] includes {other!r}, which is not a role there."
                    f"{nearest(other, list(found))}"
                )
    _refuse_circles(found)
    return found


def _names(where: str, name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    values = entry.get(name, ())
    # Not a text: "a b" would be one name here and two in require().
    if not isinstance(values, (list, tuple, set, frozenset)) or not all(
        isinstance(value, str) and value.strip() for value in values
    ):
        raise ConfigError(f"{where}: {name!r} must be a list of names, not {values!r}.")
    return tuple(values)


def _refuse_circles(roles: Mapping[str, Entry]) -> None:
    done: set[str] = set()
    for start in roles:
        way: dict[str, None] = {}  # the roles from `start` to here, in order
        stack = [(start, iter(roles[start][0]))]
        way[start] = None
        while stack:
            role, rest = stack[-1]
            following = next((other for other in rest if other not in done), None)
            if following is None:
                stack.pop()
                done.add(role)
                del way[role]
            elif following in way:
                circle = [*way][list(way).index(following) :]
                raise ConfigError(f"RAMPART_ROLES goes in a circle: {' includes '.join([*circle, following])}.")
            else:
                way[following] = None
                stack.append((following, iter(roles[following][0])))


class _Path:
    """A place in the claims: the claim of that name, a dotted path, or a JSON Pointer (RFC 6901)."""

    def __init__(self, text: str) -> None:
        pointer = text.startswith("/")
        self._whole = None if pointer else text
        self._steps = (
            [step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/")] if pointer else text.split(".")
        )
        where = f"RAMPART_JWT_PERMISSIONS_CLAIM: {text!r}"
        if len(text) > 256 or len(self._steps) > _MOST_STEPS:
            raise ConfigError(f"{where} has more than {_MOST_STEPS} steps or 256 characters.")
        if self._steps[0] in _REGISTERED:
            raise ConfigError(f"{where} is a registered claim with a meaning of its own.")

    def names(self, claims: Mapping[str, Any]) -> list[str]:
        found = _texts(claims.get(self._whole)) if self._whole is not None else []
        if self._whole is not None and len(self._steps) == 1:
            return found
        value: Any = claims
        for step in self._steps:
            if not isinstance(value, Mapping):
                return found
            value = value.get(step)
        return found + _texts(value)


def _texts(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return []
    # An empty name says nothing, and must not meet a demand that came out empty.
    return [item for item in values if item]


def _paths(texts: tuple[str, ...]) -> tuple[_Path, ...]:
    if len(texts) > _MOST_PATHS:
        raise ConfigError(f"RAMPART_JWT_PERMISSIONS_CLAIM has more than {_MOST_PATHS} entries.")
    return tuple(_Path(text) for text in texts)
