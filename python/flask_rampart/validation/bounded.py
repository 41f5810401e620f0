"""Bounds of a route's own: how much, and of what type, before anybody reads it.

The settings bound every request; ``@bounds`` says for a view where it needs more or less:

1. the query and the declared body are within the route's bounds, a body of undeclared length is cut off at them;
2. a body is of one of the media types that the view takes: 415 ``body.media_type``, with ``Accept``;
3. ``request.get_json()`` and ``validate(body=...)`` of the view parse within its bounds on JSON.

It stands at arrival: before identity, and before a byte of the body was read. The edge, which knows no routes, lets
the largest of all routes' bounds through; a route without bounds of its own, and a path that no route has, are then
held to the app's.

Several on one view, from the app, its blueprints and itself, all hold, like guards of other kinds: the strictest
bound of each kind, and a type that each of them takes. So none takes back another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .. import declarations
from .._native import JsonBounds
from ..checks import Check
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange, has_no_body
from ..guards import AppState, Guard, Stage, methods_of
from .bodies import HELD, Bounds, Held
from .declared import validate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_KNOWN = {
    "max_body": (1, 1024**3, "bytes"),
    "json_max_depth": (1, 255, "levels"),
    "json_max_keys": (1, 100_000_000, "members"),
    "json_max_digits": (1, 4300, "characters"),
    "max_query": (0, 1024**2, "bytes"),
}
_WORD = r"[!#$%&'+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2, without the star of a range
_RANGE = re.compile(rf"{_WORD}/(?:{_WORD}|\*)|\*/\*")
_TYPE = re.compile(rf"{_WORD}/{_WORD}")


class bounds(Guard):  # noqa: N801 - read as a word above a view
    """Gives a view bounds of its own on what it is sent, larger or smaller than the app's.

    :param max_body: bytes of a body, decoded and as it came; instead of ``RAMPART_MAX_BODY``.
    :param content_types: media types of which a body may be: ``"application/json"``, ``"image/*"``, or ``"*/*"`` for
        any that is stated. Parameters such as ``charset`` are not looked at. A request without a body is of no type.
    :param json_max_depth: levels of nesting in JSON; instead of ``RAMPART_JSON_MAX_DEPTH``.
    :param json_max_keys: members in JSON; instead of ``RAMPART_JSON_MAX_KEYS``.
    :param json_max_digits: characters of a number in JSON; instead of ``RAMPART_JSON_MAX_DIGITS``.
    :param max_query: bytes of the query; instead of ``RAMPART_MAX_QUERY``.
    :raises ConfigError: without any, and for what is out of range or no media type.

    The client receives 413, 414 or 415, before its credential is looked at. Several on one view all hold.

    >>> bounds(max_body=8 * 1024 * 1024, content_types=("image/png", "image/jpeg"))
    bounds(max_body=8388608, content_types=('image/png', 'image/jpeg'))
    """

    stage = Stage.ARRIVAL
    name = "bounds"

    def __init__(
        self,
        *,
        max_body: int | None = None,
        content_types: str | Sequence[str] | None = None,
        json_max_depth: int | None = None,
        json_max_keys: int | None = None,
        json_max_digits: int | None = None,
        max_query: int | None = None,
    ) -> None:
        given = {
            "max_body": max_body,
            "json_max_depth": json_max_depth,
            "json_max_keys": json_max_keys,
            "json_max_digits": json_max_digits,
            "max_query": max_query,
        }
        self.given: dict[str, int] = {name: value for name, value in given.items() if value is not None}
        for name, value in self.given.items():
            low, high, unit = _KNOWN[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"bounds({name}={value!r}): a whole number of {unit} from {low} to {high}.")
        self.content_types = None if content_types is None else _ranges(content_types)
        if not self.given and self.content_types is None:
            raise ConfigError("bounds() bounds nothing. Give max_body=, content_types=, json_max_depth= and so on.")

    def __repr__(self) -> str:
        told = [f"{name}={value}" for name, value in self.given.items()]
        if self.content_types is not None:
            told.append(f"content_types={self.content_types!r}")
        return f"bounds({', '.join(told)})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[bounds, str]], state: AppState, endpoint: str) -> Check:
        own: RouteBounds = state.services[RouteBounds]
        found = own.of(guard for guard, _ in guards)

        def check(exchange: Exchange) -> Denied | None:
            return own.hold(exchange, found)

        return check


def _ranges(given: Any) -> tuple[str, ...]:
    ranges = (given,) if isinstance(given, str) else given
    if not isinstance(ranges, (list, tuple)) or not ranges:
        raise ConfigError("bounds(content_types=...) takes media types, at least one, such as ('application/json',).")
    for text in ranges:
        if not isinstance(text, str) or not _RANGE.fullmatch(text):
            hint = " Leave the parameters away." if isinstance(text, str) and ";" in text else ""
            raise ConfigError(
                f"bounds(content_types=...): {text!r} is no media type. Write 'application/json', 'image/*' or '*/*'."
                f"{hint}"
            )
    return tuple(dict.fromkeys(text.lower() for text in ranges))


class RouteBounds:
    """The bounds that the routes of an app have of their own."""

    def __init__(self, app_bounds: Bounds, settings: Settings, state: AppState) -> None:
        self._app = app_bounds
        self._state = state
        self._defaults = {
            "max_body": app_bounds.max_bytes,
            "json_max_depth": settings.json_max_depth,
            "json_max_keys": settings.json_max_keys,
            "json_max_digits": settings.json_max_digits,
            "max_query": app_bounds.max_query,
        }
        self._made: dict[frozenset[object], Held] = {}
        self._json: dict[tuple[int, ...], JsonBounds] = {}
        self._none = self._make(frozenset())
        self._surveyed = -1
        self._most_body = app_bounds.max_bytes
        self._most_query = app_bounds.max_query

    @property
    def most_body(self) -> int:
        """Bytes of the largest body that any route takes."""
        self.survey()
        return self._most_body

    @property
    def most_query(self) -> int:
        """Bytes of the longest query that any route takes."""
        self.survey()
        return self._most_query

    def survey(self) -> None:
        """Finds out what is the largest. Again only after a guard was declared, which no peer can do."""
        epoch = declarations.epoch()
        if self._surveyed == epoch:
            return
        try:
            for guards, _ in self._routes():
                if guards:
                    own = self.of(guards)
                    self._most_body = max(self._most_body, own.max_body)
                    self._most_query = max(self._most_query, own.max_query)
        except ConfigError:
            # Of a contract that does not match, say. The first request's hook meets it again, where Flask answers 500;
            # here, it would be nobody's.
            return
        self._surveyed = epoch

    def prepare(self) -> None:
        """Compiles the schemas of views that have bounds of their own. Before the first request.

        :raises ConfigError: for a schema that cannot be used.
        """
        for guards, others in self._routes():
            for guard in others if guards else ():
                if isinstance(guard, validate) and guard.body is not None:
                    self._app.under(guard.body_schema(self._app), self.of(guards).json)

    def _routes(self) -> Iterable[tuple[list[bounds], list[Guard]]]:
        views = self._state.app.view_functions
        for rule in self._state.app.url_map.iter_rules():
            for method in methods_of(rule) if rule.endpoint in views else ():
                guards = [guard for guard, _ in self._state.guards_of(rule.endpoint, method)]
                yield [guard for guard in guards if isinstance(guard, bounds)], guards

    def of(self, guards: Iterable[bounds]) -> Held:
        """What several say together: the strictest of each, and where none says anything, the app's."""
        key: frozenset[object] = frozenset(guards)
        made = self._made.get(key)
        if made is None:
            made = self._make(key)
            if len(self._made) < _MOST_MADE:  # guards that are declared anew in each request end here
                self._made[key] = made
        return made

    def _make(self, key: frozenset[object]) -> Held:
        guards = [guard for guard in key if isinstance(guard, bounds)]
        said = {
            name: min((guard.given[name] for guard in guards if name in guard.given), default=default)
            for name, default in self._defaults.items()
        }
        json = JsonBounds(
            max_bytes=said["max_body"],
            max_depth=said["json_max_depth"],
            max_keys=said["json_max_keys"],
            max_digits=said["json_max_digits"],
        )
        # The same for the same, since schemas are compiled for each.
        json = self._json.setdefault((json.max_bytes, json.max_depth, json.max_keys, json.max_digits), json)
        types = tuple(guard.content_types for guard in guards if guard.content_types is not None)
        return Held(said["max_body"], said["max_query"], json, types, key)

    def settle(self, exchange: Exchange, guards: Iterable[object]) -> Denied | None:
        """The edge's question about a request that is over the app's bounds, once it is known what guards it meets."""
        own = [guard for guard in guards if isinstance(guard, bounds)]
        return self._measure(exchange, self.of(own) if own else self._none)

    def hold(self, exchange: Exchange, own: Held) -> Denied | None:
        """Holds a request to bounds, and to those that it is held to already."""
        request = exchange.request()
        before: Held | None = request.__dict__.get(HELD)
        if before is not None and before is not own:
            own = self.of(guard for guard in before.guards | own.guards if isinstance(guard, bounds))
        denied = self._measure(exchange, own)
        if denied is not None:
            return denied
        request.__dict__[HELD] = own
        # What werkzeug reads by itself.
        request.max_content_length = own.max_body
        return None

    def _measure(self, exchange: Exchange, own: Held) -> Denied | None:
        environ = exchange.environ
        if len(environ.get("QUERY_STRING") or "") > own.max_query:
            return Denied.of("query.too_long", reason="the route's bound")
        source = environ.get("wsgi.input")
        length = getattr(source, "rampart_declared", None)
        declared = environ.get("CONTENT_LENGTH")
        if length is None and declared:
            if not (declared.isascii() and declared.isdigit()):
                return Denied.of("request.malformed", reason="Content-Length")
            length = int(declared) if len(declared) <= 18 else 10**18
        if length is None and (not environ.get("wsgi.input_terminated") or has_no_body(environ)):
            length = 0
        if length is not None and length > own.max_body:
            return Denied.of("body.too_large", reason="declared length")
        cached = exchange.request().__dict__.get("_cached_data")
        if cached is not None and len(cached) > own.max_body:
            return Denied.of("body.too_large", reason="length")
        # Somebody may have read of it before the route was known, such as a receiver of `request_started`.
        if getattr(source, "rampart_taken", 0) > own.max_body:
            return Denied.of("body.too_large", reason="length")
        hold = getattr(source, "rampart_hold", None)
        if hold is not None:
            hold(own.max_body)
            if length is None and own.content_types and _says_no_body(environ):
                # Should one come all the same, of whatever type, none of it is read.
                hold(0)
                length = 0
        for ranges in own.content_types if length != 0 else ():
            if not _is_of(environ.get("CONTENT_TYPE") or "", ranges):
                told = (("Accept", ", ".join(ranges)),)
                return Denied.of("body.media_type", reason="not of the route's types", headers=told)
        return None


def _says_no_body(environ: WSGIEnvironment) -> bool:
    """Whether a request that says no length has no body, for all that it says (RFC 9112 section 6.3)."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return False
    # Later versions of HTTP need neither field for a body.
    return environ.get("SERVER_PROTOCOL") in ("HTTP/1.1", "HTTP/1.0") or not environ.get("CONTENT_TYPE")


def _is_of(field: str, ranges: tuple[str, ...]) -> bool:
    """Whether a ``Content-Type`` is one media type, and within one of these ranges."""
    stated = field.partition(";")[0].strip(" \t").lower()
    if not _TYPE.fullmatch(stated):
        return False
    return stated in ranges or f"{stated.partition('/')[0]}/*" in ranges or "*/*" in ranges


_MOST_MADE = 4096
