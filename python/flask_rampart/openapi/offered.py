"""What guards check that stand for ``validate``, as a contract's: told as if the view had declared it.

1. What they check whatever the body is are parts like any other.
2. A body is told for each of its media types, and required where they say so. One that passes as it is has no schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..guards import Guard
from ..validation import Offered, Offering, validate
from .keywords import Object
from .parts import Parts


def offered_by(guards: Iterable[Guard], rule: str) -> Offered:
    """What these guards check of a request that this rule matched, beside what ``validate`` declares."""
    found = [guard.offered(rule) for guard in guards if isinstance(guard, Offering)]
    said = [one for one in found if one is not None]
    return Offered(
        tuple(guard for one in said for guard in one.always),
        {kind: body for one in said for kind, body in one.bodies.items()},
        any(one.body_required for one in said),
    )


def declared(offered: Offered) -> frozenset[str]:
    """Which parts its bodies are."""
    return frozenset(part for body in offered.bodies.values() if body is not None for part in body.given)


def request_body(offered: Offered, parts_of: Callable[[validate], Parts]) -> Object | None:
    """The body that an operation takes; None if nothing is said of it.

    :param parts_of: the parts of one body.
    """
    content: Object = {}
    for kind, guard in offered.bodies.items():
        body = parts_of(guard).body() if guard is not None else None
        # Of forms, the same is said of both kinds.
        content[kind] = next(iter(body["content"].values())) if body is not None else {}
    if not content:
        return None
    return {**({"required": True} if offered.body_required else {}), "content": content}
