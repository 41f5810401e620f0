"""The limits of views, for those who look: ``flask rampart check`` and ``routes``, and ``flask limiter``.

They are those that a request would meet, as far as that is known without one. What a function says is told by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...guards import Guard, Stage
from ...limits import limit
from .constants import ExemptionScope
from .definitions import Limit
from .items import parse_many, quotas_of

if TYPE_CHECKING:
    from .face import Face


def limits_of(face: Face, endpoint: str, method: str) -> tuple[list[Limit], list[Limit]]:
    """The limits that a view and its blueprints have of their own, and those of the whole app."""
    view = face.app.view_functions.get(endpoint)
    path = endpoint.rpartition(".")[0] or None
    declared, rules = face.limiter.declared, face.rules
    flags = declared.exemption(face.app, view, path)
    own = declared.of_view(view, method)
    everywhere: list[Limit] = [] if flags & ExemptionScope.APPLICATION else list(rules.application)
    found: list[Limit] = [] if own is None else list(declared.of_function(own))
    if all(not limit.override_defaults for limit in found):
        found += declared.of_blueprints(face.app, path)
    if all(not limit.override_defaults for limit in found) and not flags & ExemptionScope.DEFAULT:
        everywhere += rules.defaults
    return found, everywhere


class Told(limit):
    """A limit of the face's, as a limit of ours is looked at. It is never asked."""

    asks_itself = True

    def __init__(self, found: Limit, face: Face, *, is_everywhere: bool) -> None:
        # None of what is checked above a view: it is no limit of ours, and has no counters.
        given = found.limit_provider
        self.quota = given
        self.text = given if isinstance(given, str) else getattr(given, "__qualname__", "function")
        items = parse_many(given) if isinstance(given, str) else ()
        self.quotas = [quota for item in items for quota in quotas_of(item, face.rules.strategy)]
        self.by = face.limiter.key_func if found.key_function is None else found.key_function
        self.methods = frozenset(method.upper() for method in found.methods) if found.methods else None
        self.unless = found.exempt_when or (face.limiter.filters[0] if face.limiter.filters else None)
        self.mode = "enforce"
        self.on_store_error = face.rules.on_store_error
        self.stage = Stage.ARRIVAL
        self.is_everywhere = is_everywhere

    def __repr__(self) -> str:
        return f"limiter.limit({self.text!r})"


def told(face: Face, endpoint: str, method: str) -> Iterator[Guard]:
    """The limits of a view, as guards."""
    if not face.limiter.enabled or face.is_of_files(endpoint):
        return
    for limits, is_everywhere in zip(limits_of(face, endpoint, method), (False, True), strict=True):
        for found in limits:
            if found.limit_provider == "":
                continue
            # The same object for the same limit: it tells one way of guarding a route from another.
            if (found, is_everywhere) not in face.told:
                face.told[found, is_everywhere] = Told(found, face, is_everywhere=is_everywhere)
            yield face.told[found, is_everywhere]
