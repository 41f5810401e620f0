"""Delegation: who acts for whom, and through which client (RFC 8693 section 4, RFC 9068 section 2.2).

A token that was exchanged speaks for its ``sub``, and its ``act`` names who uses it, such as a gateway. An
``act`` inside it names who used the token before that. Only the current actor may decide about access; those before it
are history (RFC 8693 section 4.1).

Rules: ``act`` is an object whose ``sub`` is a text that is not empty; its ``iss``, if present, is a text; at most
:data:`MOST_ACTORS` are nested. What is otherwise refuses, and is never taken for "nobody acts". What else stands in
``act`` says nothing here: times and audiences have no meaning in it.

It decides nothing, and reads claims that were verified before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .errors import Denied
from .exchange import Principal
from .refusals import Challenge

MOST_ACTORS = 8
"""Levels of ``act``."""


class Actor(NamedTuple):
    """Who acts for somebody else."""

    id: str
    """``sub`` of the ``act`` claim."""
    issuer: str
    """``iss`` of the ``act`` claim, or that of the token; ``""`` if neither says."""


def principal_actors(principal: Principal) -> tuple[Actor, ...]:
    """Who acts for *principal*, the current actor first; empty if nobody does.

    :raises Denied: ``token.invalid``, if the ``act`` claim is not what RFC 8693 section 4.1 says, or has more than 8
        levels. In a view or a policy, this refuses the request.

    >>> from types import SimpleNamespace
    >>> ada = SimpleNamespace(issuer="https://id.example", claims={"sub": "ada", "act": {"sub": "gateway"}})
    >>> principal_actors(ada)
    (Actor(id='gateway', issuer='https://id.example'),)
    >>> is_actor(ada, "gateway", "scheduler")
    True
    """
    claims: Any = principal.claims
    found: list[Actor] = []
    while "act" in claims:
        claims = claims["act"]
        if not isinstance(claims, dict) or len(found) == MOST_ACTORS:
            raise _malformed()
        name, issuer = claims.get("sub"), claims.get("iss", principal.issuer or "")
        if not isinstance(name, str) or not name or not isinstance(issuer, str):
            raise _malformed()
        found.append(Actor(name, issuer))
    return tuple(found)


def is_actor(principal: Principal, *actors: str, issuer: str | None = None) -> bool:
    """Whether one of *actors* is who acts for *principal* now. Those that acted before do not count.

    :param issuer: who must have named the actor; the token's issuer if not given.
    :raises Denied: as :func:`principal_actors`.
    :raises TypeError: without *actors*.
    """
    if not actors:
        raise TypeError("is_actor(principal, ...) takes one actor or more")
    chain = principal_actors(principal)
    return (
        bool(chain)
        and chain[0].id in actors
        and chain[0].issuer == (principal.issuer or "" if issuer is None else issuer)
    )


def principal_client(principal: Principal) -> str | None:
    """The OAuth client that brought the token: ``client_id`` (RFC 9068), else ``azp`` (OpenID Connect); None if neither
    is there.

    :raises Denied: ``token.invalid``, if the claim is no text, or both are there and differ.
    """
    claims = principal.claims
    found = [claims[name] for name in ("client_id", "azp") if name in claims]
    if not all(isinstance(name, str) and name for name in found) or len(set(found)) > 1:
        raise _malformed()
    return str(found[0]) if found else None


def _malformed() -> Denied:
    return Challenge("Bearer").refused(("token.invalid", "delegation"))
