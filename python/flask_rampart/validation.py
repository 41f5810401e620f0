"""Validation: with what.

A body reaches a guarded view when, in this order:

1. nobody has read it before us: half a body is refused, never taken for an empty one;
2. its media type is JSON (RFC 6839 ``+json`` included), or the answer is 415;
3. it is well-formed, bounded JSON: UTF-8, no member twice, no NaN, no lone surrogate, within
   ``RAMPART_MAX_BODY`` and ``RAMPART_JSON_*``;
4. it has the shape of the JSON Schema, drafts 4 to 2020-12; formats are asserted, ``$ref`` never leaves
   the document, patterns are matched in linear time.

``request.get_json()`` of any view gives the same bounded parse. The errors name the place (a JSON Pointer,
RFC 6901) and the rule, never the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from flask import Flask, Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.utils import cached_property

from ._native import JsonBounds, JsonRejected, Schema, SchemaRejected, parse_json
from .checks import Check
from .config import Settings
from .errors import ConfigError, Denied
from .exchange import NOT_CHECKED, Exchange
from .guards import AppState, Guard, Stage, current_exchange

if TYPE_CHECKING:
    from _typeshed import StrPath


class validate(Guard):  # noqa: N801 - read as a verb above a view
    """Lets only bodies through that have the shape of a schema; the view reads ``validated.body``.

    :param body: a JSON Schema: a dict (or True), or the path of a file, relative to the app's folder.
    :raises ConfigError: at start-up, for a schema that cannot be used: unknown keywords' formats, remote
        references, patterns that need backtracking, recursion that branches.

    The client receives 400, 413, 415 or 422; a 422 lists ``errors``, each with ``pointer`` and ``rule``.

    >>> validate(body={"type": "object", "required": ["text"]})
    validate(body={...})
    """

    stage = Stage.PAYLOAD
    name = "validate"

    def __init__(self, *, body: Mapping[str, Any] | StrPath) -> None:
        if not isinstance(body, (Mapping, str, Path)):
            raise ConfigError(
                f"validate(body=...) takes a JSON Schema as a dict, or a path, not {type(body).__name__}."
            )
        self.body = body

    def __repr__(self) -> str:
        return f"validate(body={self.body!r})" if isinstance(self.body, (str, Path)) else "validate(body={...})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[validate, str]], state: AppState, endpoint: str) -> Check:
        bounds: Bounds = state.services[Bounds]
        first, *others = (bounds.schema(guard.body) for guard, _ in guards)
        max_bytes = bounds.max_bytes

        def check(exchange: Exchange) -> Denied | None:
            request = exchange.request()
            # The usual spelling needs no parsing.
            if exchange.environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
                return Denied.of("body.media_type", reason="not JSON")
            body = first.judge(read_body(request, max_bytes))
            if isinstance(body, _REJECTIONS):
                return _rejected(body) if isinstance(body, JsonRejected) else _misshapen(body)
            try:
                for schema in others:
                    schema.check_value(body)
            except JsonRejected as rejected:
                return _rejected(rejected)
            except SchemaRejected as rejected:
                return _misshapen(rejected)
            exchange.body = body
            return None

        return check


class Validated:
    """What was checked of the current request."""

    @property
    def body(self) -> Any:
        """The body, as Python objects.

        :raises RuntimeError: if the view has no ``@validate(body=...)``.
        """
        body = current_exchange().body
        if body is NOT_CHECKED:
            raise RuntimeError("validated.body: this view does not have @validate(body=...).")
        return body


validated = Validated()
"""The checked parts of the current request, such as ``validated.body``."""


class Bounds:
    """An app's bounds on JSON, and the schemas that it compiled under them."""

    def __init__(self, settings: Settings, app: Flask) -> None:
        configured = app.config.get("MAX_CONTENT_LENGTH")
        self.max_bytes: int = settings.max_body if configured is None else min(settings.max_body, configured)
        self.json = JsonBounds(
            max_bytes=self.max_bytes,
            max_depth=settings.json_max_depth,
            max_keys=settings.json_max_keys,
            max_digits=settings.json_max_digits,
        )
        self._root = app.root_path
        self._compiled: dict[str, Schema] = {}

    def schema(self, given: Mapping[str, Any] | StrPath) -> Schema:
        """A compiled schema; the same text is compiled once.

        :raises ConfigError: says what is wrong with it, and where.
        """
        if isinstance(given, Mapping):
            where, text = "validate(body={...})", json.dumps(given)
        else:
            path = Path(self._root) / given
            where = f"validate(body={str(given)!r})"
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{where}: {path} cannot be read: {error}.") from None
        if text not in self._compiled:
            try:
                self._compiled[text] = Schema(text, self.json)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
        return self._compiled[text]


def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, once, also for those who ask after us.

    :raises Denied: if it is too large, shorter than declared, or was read by somebody before.
    """
    state = request.__dict__
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


def _rejected(rejected: JsonRejected) -> Denied:
    return Denied.of(rejected.code, reason=f"at byte {rejected.offset}")


def _misshapen(rejected: SchemaRejected) -> Denied:
    first = rejected.errors[0] if rejected.errors else ("", "")
    return Denied.of("body.invalid", f"{first[1]} at {first[0]!r}", members=rejected.document)


_REJECTIONS = (JsonRejected, SchemaRejected)


def hardened(request_class: type[Request], bounds: Bounds, state: AppState) -> type[Request]:
    """*request_class* over a request whose ``get_json`` parses within *bounds*.

    What the app's own class overrides stays on top; what it calls by ``super()`` is ours.

    ``silent=True`` silences what it does in Flask: a wrong media type and text that is not JSON. What Flask
    would have accepted or crashed on (a member twice, a number that is not finite, nesting without end)
    is refused all the same: a view that says ``get_json(silent=True) or {}`` must not take it for nothing.
    """

    class HardenedRequest(Request):
        _cached_json: tuple[Any, Any]  # werkzeug's: what get_json gives, not silent and silent

        @cached_property
        def stream(self) -> Any:
            # werkzeug's own stream ends silently where the bound is reached, and half a body looks whole.
            # The edge's refuses there, whoever reads it: a form parser, get_data, the view.
            source = self.environ["wsgi.input"]
            return source if hasattr(source, "rampart_taken") else super().stream

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
                value = parse_json(read_body(self, bounds.max_bytes), bounds.json)
            except JsonRejected as rejected:
                if not (silent and rejected.syntax):
                    _refuse(exchange, _rejected(rejected))
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


def _refuse(exchange: Exchange, denied: Denied) -> NoReturn:
    raise exchange.refuse(denied)
