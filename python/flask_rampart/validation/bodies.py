"""Bodies: what is read of one, and how JSON in it is bounded.

1. Nobody has read it before us: half a body is refused, never taken for an empty one.
2. It is well-formed, bounded JSON: UTF-8, no member twice, no NaN, no lone surrogate, within ``RAMPART_MAX_BODY`` and
   ``RAMPART_JSON_*``, or what ``@bounds`` says for the route.

``request.get_json()`` of any view gives the same bounded parse; ``request.form`` and ``request.files`` are read by
``uploads``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from flask import Flask, Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.formparser import FormDataParser
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream

from .._native import JsonBounds, JsonRejected, Schema, parse_json
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState
from ..uploads import FormBounds, FormParser, form_parser, load_form, open_file

if TYPE_CHECKING:
    from _typeshed import StrPath


class Bounds:
    """An app's bounds on what it reads, and the schemas that it compiled under them."""

    def __init__(self, settings: Settings, app: Flask) -> None:
        self.max_query = settings.max_query
        configured = app.config.get("MAX_CONTENT_LENGTH")
        self.max_bytes: int = settings.max_body if configured is None else min(settings.max_body, configured)
        self.json = JsonBounds(
            max_bytes=self.max_bytes,
            max_depth=settings.json_max_depth,
            max_keys=settings.json_max_keys,
            max_digits=settings.json_max_digits,
        )
        self.forms = FormBounds.of(settings, self.max_bytes)
        self._root = app.root_path
        self._compiled: dict[tuple[str, str], Schema] = {}
        #: What each was compiled from.
        self._sources: dict[Schema, tuple[str, Literal["reject", "ignore", "strip"]]] = {}
        self._under: dict[tuple[Schema, JsonBounds], Schema] = {}

    def under(self, schema: Schema, bounds: JsonBounds) -> Schema:
        """A schema of :meth:`schema`, compiled under other bounds; once.

        :raises ConfigError: as there.
        """
        made = self._under.get((schema, bounds))
        if made is None:
            text, unknown = self._sources[schema]
            try:
                made = self._under[schema, bounds] = Schema(text, bounds, unknown)
            except ValueError as error:
                raise ConfigError(f"validate(body=...), under the bounds of its route: {error}") from None
        return made

    def schema(
        self, given: Mapping[str, Any] | StrPath, unknown: Literal["reject", "ignore", "strip"] = "ignore"
    ) -> Schema:
        """A compiled schema; the same text is compiled once.

        :param unknown: what becomes of names that it does not know.

        :raises ConfigError: says what is wrong with it, and where.
        """
        where, text = self.text("body", given)
        if (text, unknown) not in self._compiled:
            try:
                self._compiled[text, unknown] = Schema(text, self.json, unknown)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
            self._sources[self._compiled[text, unknown]] = (text, unknown)
        return self._compiled[text, unknown]

    def text(self, part: str, given: Mapping[str, Any] | StrPath) -> tuple[str, str]:
        """Where a schema was given, and its text.

        :raises ConfigError: if it is in a file that cannot be read.
        """
        if isinstance(given, Mapping):
            return f"validate({part}={{...}})", json.dumps(given)
        path = Path(self._root) / given
        where = f"validate({part}={str(given)!r})"
        try:
            return where, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: {path} cannot be read: {error}.") from None


class Held(NamedTuple):
    """The bounds that a route has of its own; see ``bounded``."""

    max_body: int
    max_query: int
    json: JsonBounds
    content_types: tuple[tuple[str, ...], ...]
    """Of each guard, the types that it takes."""
    guards: frozenset[object]
    """Where they are from."""


def held(request: Request) -> Held | None:
    """The bounds of its own that a request's route has; None if it has the app's."""
    found: Held | None = request.__dict__.get(HELD)
    return found


HELD = "_rampart_held"
_CHOSEN = "_max_content_length"  # where Flask keeps what the app sets as `request.max_content_length`


def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, once, also for those who ask after us.

    :param max_bytes: unless the route has a bound of its own.
    :raises Denied: if it is too large, shorter than declared, or was read by somebody before.
    """
    state = request.__dict__
    own: Held | None = state.get(HELD)
    if own is not None:
        max_bytes = own.max_body
    chosen: int | None = state.get(_CHOSEN)
    if chosen is not None and chosen < max_bytes:
        max_bytes = chosen
    cached: bytes | None = state.get("_cached_data")
    environ = request.environ
    declared = environ.get("CONTENT_LENGTH")
    if cached is None:
        if declared and "stream" not in state:
            length = int(declared) if declared.isdigit() and declared.isascii() else _length(declared)
            if length > max_bytes:
                raise Denied.of("body.too_large", reason="declared length")
            try:
                cached = environ["wsgi.input"].read(length)
                while len(cached) < length and (more := environ["wsgi.input"].read(length - len(cached))):
                    cached += more
            except OSError:
                raise Denied.of("body.incomplete", reason="the connection ended") from None
            if len(cached) != length:
                raise Denied.of("body.incomplete", reason="shorter than Content-Length")
            state["_cached_data"] = cached
            return cached
        # Somebody made the stream: they may have read from it, or not.
        try:
            cached = request.get_data(cache=True)
        except (OSError, ClientDisconnected):
            # Servers raise of their own where a chunk is cut off.
            raise Denied.of("body.incomplete", reason="the connection ended") from None
    if len(cached) > max_bytes:
        raise Denied.of("body.too_large", reason="length")
    taken = getattr(environ.get("wsgi.input"), "rampart_taken", None)
    whole = _length(declared) if declared else taken
    if whole is not None and len(cached) != whole:
        raise Denied.of("body.consumed", reason="the body was read before it could be checked")
    return cached


def _length(declared: str) -> int:
    # Digits and nothing else (RFC 9110 section 8.6): int() would also take "+1", "1_0" and other scripts' digits.
    if not (declared.isascii() and declared.isdigit()):
        raise Denied.of("request.malformed", reason="Content-Length")
    return int(declared)


def rejected_json(rejected: JsonRejected) -> Denied:
    """The refusal of a body that is no JSON, or beyond a bound."""
    return Denied.of(rejected.code, reason=f"at byte {rejected.offset}")


def hardened(request_class: type[Request], bounds: Bounds, state: AppState) -> type[Request]:
    """*request_class* over a request whose ``get_json`` parses within *bounds*.

    What the app's own class overrides stays on top; what it calls by ``super()`` is ours.

    ``silent=True`` silences what it does in Flask: a wrong media type and text that is not JSON. What Flask
    would have accepted or crashed on (a member twice, a number that is not finite, nesting without end)
    is refused all the same: a view that says ``get_json(silent=True) or {}`` must not take it for nothing.
    """

    class HardenedRequest(Request):
        _cached_json: tuple[Any, Any]  # werkzeug's: what get_json gives, not silent and silent
        form_data_parser_class = form_parser(bounds.forms)

        @cached_property
        def stream(self) -> Any:
            # werkzeug's own stream ends silently where the bound is reached, and half a body looks whole.
            # The edge's refuses there, whoever reads it: a form parser, get_data, the view.
            source = self.environ["wsgi.input"]
            if hasattr(source, "rampart_taken"):
                chosen: int | None = self.__dict__.get(_CHOSEN)
                if chosen is not None and chosen < source.rampart_bound:
                    source.rampart_hold(chosen)
                return source
            found = super().stream
            if isinstance(found, LimitedStream):
                _tell_cuts(found, state.exchange(self))
            return found

        def make_form_data_parser(self) -> FormDataParser:
            parser = super().make_form_data_parser()
            if isinstance(parser, FormParser):
                parser.content_type = self.environ.get("CONTENT_TYPE")
            return parser

        def _get_file_stream(
            self,
            total_content_length: int | None,
            content_type: str | None,
            filename: str | None = None,
            content_length: int | None = None,
        ) -> IO[bytes]:
            return open_file(self, bounds.forms)

        def _load_form_data(self) -> None:
            load_form(self, super()._load_form_data, lambda: state.exchange(self))

        def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
            if cache and self._cached_json[silent] is not Ellipsis:
                return self._cached_json[silent]
            if not (force or self.is_json):
                return None if silent else self.on_json_loading_failed(None)
            exchange = state.exchange(self)
            if exchange.body is not NOT_CHECKED:
                # One parse: what was validated is what the view sees.
                self._cached_json = (exchange.body, exchange.body)
                return exchange.body
            try:
                own = held(self)
                value = parse_json(read_body(self, bounds.max_bytes), bounds.json if own is None else own.json)
            except JsonRejected as rejected:
                if not (silent and rejected.syntax):
                    _refuse(exchange, rejected_json(rejected))
                if cache:
                    self._cached_json = (self._cached_json[0], None)
                return None
            except Denied as denied:
                _refuse(exchange, denied)
            if cache:
                self._cached_json = (value, value)
            return value

        def on_json_loading_failed(self, e: ValueError | None) -> Any:
            if e is None:
                _refuse(state.exchange(self), Denied.of("body.media_type", reason="not JSON"))
            return super().on_json_loading_failed(e)

    if request_class is Request:
        return HardenedRequest
    try:
        return type(request_class.__name__, (request_class, HardenedRequest), {"__module__": request_class.__module__})
    except TypeError as error:
        raise ConfigError(f"{request_class.__qualname__} cannot be app.request_class: {error}.") from None


def _tell_cuts(stream: LimitedStream, exchange: Exchange) -> None:
    """Makes werkzeug's stream say in our words that a body ended early."""
    noticed = stream.on_disconnect

    def told(error: Exception | None = None) -> None:
        try:
            noticed(error)
        except ClientDisconnected:
            _refuse(exchange, Denied.of("body.incomplete", reason="the connection ended"))

    stream.on_disconnect = told  # type: ignore[method-assign]


def _refuse(exchange: Exchange, denied: Denied) -> NoReturn:
    raise exchange.refuse(denied)
