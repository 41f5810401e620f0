"""What a view declares of its input, and reads of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._native import JsonRejected, Schema, SchemaRejected
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Guard, Stage, current_exchange
from .bodies import Bounds, read_body, rejected_json
from .parts import PLACES, Place, Read, Unknown, reader

if TYPE_CHECKING:
    from _typeshed import StrPath

_UNKNOWN = ("reject", "ignore", "strip")
_MOST = 20


class validate(Guard):  # noqa: N801 - read as a verb above a view
    """Lets only requests through whose parts have the shape of a schema; the view reads ``validated.query`` and so on.

    Each part takes a JSON Schema: a dict, or the path of a file, relative to the app's folder.

    :param body: of a JSON body; also True.
    :param query: an object of what stands behind the question mark. Texts become the types that it names, as OpenAPI
        3.1 writes them (section 4.8.12.3); ``x-style`` and ``x-explode`` beside a type say how lists are written.
    :param path: of what the route takes out of the path.
    :param headers: of header fields, in any spelling of capitals.
    :param cookies: of cookies.
    :param form: of the fields of a form; instead of *body*.
    :param unknown: what becomes of names that the schema does not know, in body, query, path and form: ``"reject"``
        (the default; of a path, ``"ignore"``), ``"ignore"`` (they pass, in the parts that are text as text) or
        ``"strip"``. In a body this is about objects whose schema lists ``properties`` and says nothing of others.
    :raises ConfigError: at start-up, for a schema that cannot be used: unknown keywords' formats, remote
        references, patterns that need backtracking, recursion that branches.

    The client receives 400, 413, 415 or 422; a 422 lists ``errors``, each with ``pointer`` and ``rule``, and with
    ``in``, the part, unless it is the body alone.

    >>> validate(body={"type": "object", "required": ["text"]})
    validate(body={...})
    >>> validate(query={"properties": {"page": {"type": "integer", "default": 1}}}, path="path.json")
    validate(path='path.json', query={...})
    """

    stage = Stage.PAYLOAD
    name = "validate"

    def __init__(
        self,
        *,
        body: Mapping[str, Any] | StrPath | None = None,
        query: Mapping[str, Any] | StrPath | None = None,
        path: Mapping[str, Any] | StrPath | None = None,
        headers: Mapping[str, Any] | StrPath | None = None,
        cookies: Mapping[str, Any] | StrPath | None = None,
        form: Mapping[str, Any] | StrPath | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        given = {"path": path, "query": query, "headers": headers, "cookies": cookies, "form": form, "body": body}
        self.given = {part: schema for part, schema in given.items() if schema is not None}
        for part, schema in self.given.items():
            if not isinstance(schema, (Mapping, str, Path)):
                raise ConfigError(
                    f"validate({part}=...) takes a JSON Schema as a dict, or a path, not {type(schema).__name__}."
                )
        if not self.given:
            raise ConfigError("validate() without a schema would check nothing. Give body=, query=, path= and so on.")
        if body is not None and form is not None:
            raise ConfigError("validate(body=..., form=...): a body is one of both.")
        if unknown is not None and not self.given.keys() & {"body", "query", "path", "form"}:
            raise ConfigError("validate(unknown=...) is about body=, query=, path= and form=; none of these is given.")
        if unknown is not None and unknown not in _UNKNOWN:
            raise ConfigError(f"validate(unknown=...) is one of {', '.join(map(repr, _UNKNOWN))}, not {unknown!r}.")
        self.body = body
        self.unknown = unknown

    def __repr__(self) -> str:
        told = [
            f"{part}={schema!r}" if isinstance(schema, (str, Path)) else f"{part}={{...}}"
            for part, schema in self.given.items()
        ]
        return f"validate({', '.join(told)})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[validate, str]], state: AppState, endpoint: str) -> Check:
        bounds: Bounds = state.services[Bounds]
        bodies = _bodies([guard for guard, _ in guards if guard.body is not None], bounds, endpoint)
        parts = _parts([guard for guard, _ in guards], bounds, state, endpoint)
        if bodies and any(place == "form" for place, _ in parts):
            raise ConfigError(f"{endpoint}: validate(body=...) and validate(form=...): a body is one of both.")
        read = _body(bodies[0], bodies[1:], bounds.max_bytes) if bodies else None
        return _all_parts(parts, read) if parts or read is None else _alone(read)


def _know(names: Sequence[str], state: AppState, endpoint: str) -> None:
    """Every name is one that the route takes out of the path: one that is never there would never be checked.

    :raises ValueError: if one is not.
    """
    for rule in state.app.url_map.iter_rules(endpoint) if endpoint in state.app.view_functions else ():
        missing = sorted(set(names) - rule.arguments)
        if missing:
            has = ", ".join(map(repr, sorted(rule.arguments))) or "no such"
            raise ValueError(f"the route {rule.rule} takes {has} out of the path, not {missing[0]!r}.")


def _parts(guards: Sequence[validate], bounds: Bounds, state: AppState, endpoint: str) -> list[tuple[Place, Read]]:
    found: list[tuple[Place, Read]] = []
    for place in PLACES:
        declared = [guard for guard in guards if place in guard.given]
        if len(declared) > 1:
            raise ConfigError(
                f"{endpoint}: validate({place}=...) stands there twice, and each would refuse what the other knows. "
                "Make one schema of both, with allOf."
            )
        for guard in declared:
            where, text = bounds.text(place, guard.given[place])
            try:
                made, names = reader(place, text, bounds, guard.unknown)
                if place == "path":
                    _know(names, state, endpoint)
                found.append((place, made))
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
    return found


def _bodies(guards: Sequence[validate], bounds: Bounds, endpoint: str) -> list[Schema]:
    """The schemas of a body; the one that does not ignore the unknown comes last, so that the others see all of it."""
    if sum(guard.unknown != "ignore" for guard in guards) > 1:
        raise ConfigError(
            f"{endpoint}: validate(body=...) stands there twice, and each would refuse what the other knows. "
            'Make one schema of both, with allOf, or say unknown="ignore" for all but one.'
        )
    ordered = sorted(guards, key=lambda guard: guard.unknown != "ignore")
    return [bounds.schema(guard.given["body"], guard.unknown or "reject") for guard in ordered]


ReadBody = Callable[[Exchange], "Denied | SchemaRejected | None"]


def _body(first: Schema, others: Sequence[Schema], max_bytes: int) -> ReadBody:
    """Reads a body into the exchange, or gives its refusal, or what is wrong with its shape."""

    def read(exchange: Exchange) -> Denied | SchemaRejected | None:
        request = exchange.request()
        # The usual spelling needs no parsing.
        if exchange.environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
            return Denied.of("body.media_type", reason="not JSON")
        body = first.judge(read_body(request, max_bytes))
        if isinstance(body, JsonRejected):
            return rejected_json(body)
        if isinstance(body, SchemaRejected):
            return body
        try:
            for schema in others:
                body = schema.check_value(body)
        except JsonRejected as rejected:
            return rejected_json(rejected)
        except SchemaRejected as rejected:
            return rejected
        exchange.body = body
        return None

    return read


def _alone(read: ReadBody) -> Check:
    def check(exchange: Exchange) -> Denied | None:
        said = read(exchange)
        return _misshapen(said) if isinstance(said, SchemaRejected) else said

    return check


def _all_parts(parts: Sequence[tuple[Place, Read]], read_a_body: ReadBody | None) -> Check:
    def check(exchange: Exchange) -> Denied | None:
        request = exchange.request()
        found: dict[str, Any] = {}
        broken: list[tuple[str, str, str]] = []
        failed: str = ""
        for place, read in parts:
            try:
                said = read(exchange, request)
            except JsonRejected as rejected:
                # A number that this process does not read.
                return rejected_json(rejected)
            if isinstance(said, dict):
                found[place] = said
            else:
                # By what it is and not by how much is told of it: that may be nothing.
                failed = failed or place
                broken += [(place, pointer, rule) for pointer, rule in said]
        if read_a_body is not None:
            refused = read_a_body(exchange)
            if isinstance(refused, Denied):
                return refused
            if refused is not None:
                if not failed:
                    return _misshapen(refused)
                broken += [("body", pointer, rule) for pointer, rule in refused.errors]
        if failed:
            # What a view may read is all of it, or nothing.
            exchange.body = NOT_CHECKED
            return _broken(failed, broken)
        exchange.parts = found
        return None

    return check


def _misshapen(rejected: SchemaRejected) -> Denied:
    first = rejected.errors[0] if rejected.errors else ("", "")
    return Denied.of("body.invalid", f"{first[1]} at {first[0]!r}", members=rejected.document)


def _broken(failed: str, broken: Sequence[tuple[str, str, str]]) -> Denied:
    told = [{"in": place, "pointer": pointer, "rule": rule} for place, pointer, rule in broken[:_MOST]]
    document = f'"errors":{json.dumps(told, separators=(",", ":"))}'
    _, pointer, rule = broken[0] if broken else ("", "", "")
    return Denied.of(f"{failed}.invalid", f"{rule} at {pointer!r}", members=document)


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

    @property
    def query(self) -> dict[str, Any]:
        """What stood behind the question mark, by name.

        :raises RuntimeError: if the view has no ``@validate(query=...)``; so with the other parts.
        """
        return self._part("query")

    @property
    def path(self) -> dict[str, Any]:
        """What the route took out of the path."""
        return self._part("path")

    @property
    def headers(self) -> dict[str, Any]:
        """The header fields that the schema names, as it writes them."""
        return self._part("headers")

    @property
    def cookies(self) -> dict[str, Any]:
        """The cookies that the schema names."""
        return self._part("cookies")

    @property
    def form(self) -> dict[str, Any]:
        """The fields of the form."""
        return self._part("form")

    def _part(self, place: str) -> dict[str, Any]:
        parts = current_exchange().parts
        if place not in parts:
            raise RuntimeError(f"validated.{place}: this view does not have @validate({place}=...).")
        part: dict[str, Any] = parts[place]
        return part


validated = Validated()
"""The checked parts of the current request, such as ``validated.body``."""
