"""Who somebody is, for schemes of the app's own to say."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exchange import SCOPE


@dataclass(frozen=True, init=False)
class Identity:
    """A caller, as a scheme of the app's own found them: a :class:`~flask_rampart.Principal`.

    :param id: names the caller; not empty. Quotas by principal go by it and the issuer.
    :param scopes: what the credential may be used for (RFC 6749 section 3.3), as ``"a b"`` or a list.
    :param roles: what the caller is, as a list; a text is one role, and has no space.
    :param claims: what else is known; copied, and each reader gets a copy.
    :param issuer: who vouches for it.
    :param token_id: names the credential.
    :param authenticated_at: when they last proved who they are, in seconds since 1970-01-01 UTC; for
        ``require(max_age=...)``.
    :raises ValueError: for what cannot be used.

    >>> Identity("ada", scopes="read write").scopes >= {"read"}
    True
    """

    id: str
    scopes: frozenset[str]
    roles: frozenset[str]
    issuer: str | None
    token_id: str | None
    authenticated_at: float | None
    kind: str
    """The name of the scheme, which sets it."""
    _claims: dict[str, Any] = field(repr=False, compare=False)

    def __init__(
        self,
        id: str,
        *,
        scopes: str | Iterable[str] = (),
        roles: str | Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        issuer: str | None = None,
        token_id: str | None = None,
        authenticated_at: float | None = None,
    ) -> None:
        if not isinstance(id, str) or not id.strip():
            raise ValueError("an identity has an id: a text that is not empty")
        words = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
        if not all(isinstance(word, str) and SCOPE.fullmatch(word) for word in words):
            raise ValueError("a scope is printable characters but space, quote and backslash (RFC 6749 section 3.3)")
        if isinstance(roles, str) and any(character.isspace() for character in roles):
            # It would be one role here, and two in `require(roles="ops lead")`.
            raise ValueError("roles with a space in them: pass a list, such as roles=['ops', 'lead']")
        names = frozenset((roles,) if isinstance(roles, str) else roles)
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("a role is a text that is not empty")
        for text, what in ((issuer, "issuer"), (token_id, "token_id")):
            if text is not None and not isinstance(text, str):
                raise ValueError(f"the {what} of an identity is a text or None")
        if authenticated_at is not None and not _is_time(authenticated_at):
            raise ValueError("authenticated_at is a number of seconds since 1970-01-01 UTC, or None")
        values = {
            "id": id,
            "scopes": words,
            "roles": names,
            "issuer": issuer,
            "token_id": token_id,
            "authenticated_at": authenticated_at,
            "kind": "",
            "_claims": copy.deepcopy(dict(claims or {})),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def claims(self) -> dict[str, Any]:
        """What else is known, a fresh copy each time."""
        return copy.deepcopy(self._claims)

    def of_kind(self, kind: str) -> Identity:
        """The same, as found by the scheme *kind*."""
        if kind == self.kind:
            return self
        other = copy.copy(self)
        object.__setattr__(other, "kind", kind)
        return other


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
