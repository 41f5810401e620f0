"""The guard of an operation: which ``validate`` a request meets.

1. It goes by the rule that matched: a view may have two routes, of which the document tells different things.
2. A body that may be absent and is, is not judged: ``validated.body`` is None, ``validated.form`` empty.
3. A body goes by its media type, the most specific key of the document first; none fits: 415.
4. Then ``validate`` checks parts and body, and what of the parts is JSON itself is read and judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .._native import JsonRejected, Schema, SchemaRejected
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Guard, Stage
from ..validation import Bounds, validate
from ..validation.bodies import read_body
from .parts import JsonMember, Wanted


@dataclass
class Served:
    """What is checked of an operation, in one app."""

    label: str
    where: str
    parameters: Wanted
    bodies: Mapping[str, Wanted | None]
    body_required: bool
    more: Mapping[str, Any] = field(default_factory=dict)
    """More that ``validate`` takes, such as ``unknown``."""
    _made: Check | None = None

    def bind(self, state: AppState) -> Check:
        """:raises ConfigError: with the operation's place, if a schema cannot be used."""
        # GET and HEAD share it, and all routes of an operation.
        if self._made is None:
            try:
                self._made = self._bind(state)
            except ConfigError as error:
                raise ConfigError(f"{self.where} ({self.label}): {error}") from None
        return self._made

    def _bind(self, state: AppState) -> Check:
        is_read = self.body_required and None not in self.bodies.values()
        plain = _admits if self.bodies and is_read else self._check(state, Wanted())
        if not self.bodies:
            return plain
        by_type = {kind: plain if body is None else self._check(state, body) for kind, body in self.bodies.items()}
        max_bytes = state.services[Bounds].max_bytes
        has_json = any(body is not None and "body" in body.given for body in self.bodies.values())
        has_form = any(body is not None and "form" in body.given for body in self.bodies.values())
        is_needed = self.body_required

        def check(exchange: Exchange) -> Denied | None:
            request = exchange.request()
            if not is_needed and not read_body(request, max_bytes):
                denied = plain(exchange)
                if denied is None and has_form:
                    exchange.parts = {"form": {}, **exchange.parts}
                if denied is None and has_json:
                    exchange.body = None
                return denied
            chosen = _chosen(by_type, request.mimetype)
            if chosen is None:
                return Denied.of("body.media_type", reason="none of the document's")
            return chosen(exchange)

        return check

    def _check(self, state: AppState, body: Wanted) -> Check:
        given = {**self.parameters.given, **body.given}
        members = _json_members([*self.parameters.json, *body.json], state.services[Bounds])
        if not given and not self.more.get("response"):
            return _admits
        more = dict(self.more)
        if not given.keys() & {"query", "path", "form"}:
            more.pop("unknown", None)
        check = validate.bind([(validate(**given, **more), "")], state, self.label)
        if not members:
            return check

        def check_all(exchange: Exchange) -> Denied | None:
            return check(exchange) or _judged(exchange, members)

        return check_all


class Contracted(Guard):
    """What documents say of a view and method. Made by a contract, never written."""

    stage = Stage.PAYLOAD
    name = "contract"

    def __init__(self, by_rule: Mapping[str, Served]) -> None:
        self.by_rule = by_rule

    def __repr__(self) -> str:
        return f"contract({', '.join(dict.fromkeys(served.label for served in self.by_rule.values()))})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Contracted, str]], state: AppState, endpoint: str) -> Check:
        checks = {rule: served.bind(state) for guard, _ in guards for rule, served in guard.by_rule.items()}

        def check(exchange: Exchange) -> Denied | None:
            rule = exchange.request().url_rule
            chosen = checks.get(rule.rule) if rule is not None else None
            # Of another route of this view the document says nothing.
            return None if chosen is None else chosen(exchange)

        return check


def _admits(exchange: Exchange) -> Denied | None:
    return None


def _chosen(by_type: Mapping[str, Check], media_type: str) -> Check | None:
    if media_type in by_type:
        return by_type[media_type]
    for key in (f"{media_type.partition('/')[0]}/*", "*/*"):
        # What stands behind a range is JSON, or anything.
        if media_type and key in by_type:
            return by_type[key]
    return None


def _json_members(members: Sequence[JsonMember], bounds: Bounds) -> list[tuple[str, str, Schema]]:
    found = []
    for one in members:
        try:
            found.append((one.part, one.name, Schema(json.dumps(one.schema), bounds.json)))
        except ValueError as error:
            raise ConfigError(f"{one.name!r}: {error}") from None
    return found


def _judged(exchange: Exchange, members: Sequence[tuple[str, str, Schema]]) -> Denied | None:
    broken: list[tuple[str, str, str]] = []
    for part, name, schema in members:
        values = cast("dict[str, Any]", exchange.parts.get(part, {}))
        if name not in values:
            continue
        said = schema.judge(values[name].encode("utf-8", "surrogatepass"))
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        if isinstance(said, JsonRejected):
            broken.append((part, pointer, "contentMediaType"))
        elif isinstance(said, SchemaRejected):
            broken += [(part, pointer + inner, rule) for inner, rule in said.errors] or [(part, pointer, "schema")]
        else:
            values[name] = said
    if not broken:
        return None
    told = [{"in": part, "pointer": pointer, "rule": rule} for part, pointer, rule in broken[:_MOST]]
    # What a view may read is all of it, or nothing.
    exchange.parts, exchange.body = {}, NOT_CHECKED
    document = f'"errors":{json.dumps(told, separators=(",", ":"))}'
    return Denied.of(f"{broken[0][0]}.invalid", f"{broken[0][2]} at {broken[0][1]!r}", members=document)


_MOST = 20
