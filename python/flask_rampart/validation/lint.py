"""Lint: what a schema lets be as large as the whole request, where strangers may send it.

1. A view is open to anybody where some method of it demands nobody's identity: ``public``, no ``require``, or one that
   is optional. A view that ``RAMPART_DEFAULT = "deny"`` refuses is not.
2. Of each schema of what such a view reads, the native core lists the places that bound nothing: a string without
   ``maxLength``, an array without ``maxItems``, an object of any names (``src/validation/lint/unbounded.rs``).
3. ``RAMPART_SCHEMA_LINT`` says what becomes of that: a warning in the app's log, once for each schema; an error at
   start-up; or nothing.

It refuses no request: ``RAMPART_MAX_BODY`` bounds all of a body in any case, and a server its own lines. What a schema
would silently not check, a misspelt keyword, is an error whatever the setting: see the native core.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._native import Parts, Schema
from ..errors import ConfigError
from ..guards import AppState, Guard, Stage, answers_itself, methods_of
from .bodies import Bounds
from .parts import Place, Unknown


class SchemaLint:
    """What an app was told of its schemas."""

    def __init__(self) -> None:
        self._told: set[object] = set()

    @staticmethod
    def of(state: AppState) -> SchemaLint:
        lint: SchemaLint = state.services.setdefault(SchemaLint, SchemaLint())
        return lint

    def bodies(self, schemas: Iterable[Schema], guards: Iterable[Guard], state: AppState, endpoint: str) -> None:
        """Looks at the schemas of a view's body.

        :raises ConfigError: under ``RAMPART_SCHEMA_LINT = "error"``.
        """
        if state.settings.schema_lint == "off":
            return
        for schema in schemas:
            if schema not in self._told and schema.unbounded and is_open(guards, state, endpoint):
                self._told.add(schema)
                _tell("body", schema.unbounded, state, endpoint)

    def texts(
        self, place: Place, text: str, unknown: Unknown | None, guard: Guard, state: AppState, endpoint: str
    ) -> None:
        """Looks at the schema of a part that is text.

        :raises ConfigError: under ``RAMPART_SCHEMA_LINT = "error"``.
        """
        key = (place, text, unknown)
        if state.settings.schema_lint == "off" or key in self._told or not is_open([guard], state, endpoint):
            return
        self._told.add(key)
        bounds: Bounds = state.services[Bounds]
        read: Unknown = "strip" if place in ("headers", "cookies") else unknown or "reject"
        unbounded = Parts(text, bounds.json, place, read).unbounded
        if unbounded:
            _tell(place, unbounded, state, endpoint)


def is_open(guards: Iterable[Guard], state: AppState, endpoint: str) -> bool:
    """Whether some method of a view meets all of these guards, and none that asks who it is."""
    guards = set(guards)
    app = state.app
    if endpoint not in app.view_functions:
        # Called from elsewhere: what it is called from says who may.
        return False
    methods = {
        method
        for rule in app.url_map.iter_rules(endpoint)
        for method in methods_of(rule)
        if answers_itself(rule, method)
    }
    for method in methods:
        met = [guard for guard, _ in state.guards_of(endpoint, method)]
        refused = state.settings.default == "deny" and not any(guard.opens for guard in met)
        if guards <= set(met) and not refused and not any(map(_asks_who, met)):
            return True
    return False


def _asks_who(guard: Guard) -> bool:
    # `require(optional=True)` lets in who is nobody, and what asks by itself is asked when the body was read.
    return guard.stage is Stage.IDENTITY and not guard.asks_itself and not getattr(guard, "optional", False)


def _tell(part: str, unbounded: Sequence[str], state: AppState, endpoint: str) -> None:
    places = ", ".join(f'"{pointer}"' for pointer in unbounded)
    more = " and perhaps more" if len(unbounded) >= _MOST else ""
    message = (
        f"{endpoint} is open to anybody, and its validate({part}=...) bounds nothing at {places}{more} (JSON Pointers "
        "into the schema). Say maxLength, maxItems, or additionalProperties or maxProperties there, or "
        'RAMPART_SCHEMA_LINT = "off".'
    )
    if state.settings.schema_lint == "error":
        raise ConfigError(message)
    state.app.logger.warning("%s", message)


_MOST = 20
