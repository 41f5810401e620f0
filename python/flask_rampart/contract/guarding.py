"""The guard of an operation: which ``validate`` a request meets.

1. It goes by the rule that matched: a view may have two routes, of which the document tells different things.
2. A body that may be absent and is, is not judged: ``validated.body`` is None, ``validated.form`` empty.
3. A body goes by its media type, the most specific key of the document first; none fits: 415.
4. Then ``validate`` checks parts and body, and what of the parts is JSON itself is read and judged.

What is wrong is told as ``validate`` tells it, in the words of ``rampart.messages``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from .._native import JsonRejected, Schema, SchemaRejected
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Stage
from ..validation import Bounds, Messages, Offered, Offering, validate
from ..validation.bodies import read_body
from .files import FileMember
from .parts import NOTHING, JsonMember, Wanted


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
        given = {part for body in self.bodies.values() if body is not None for part in body.given}
        absent: dict[str, Any] = {part: {} for part in ("form", "files") if part in given}
        is_needed = self.body_required

        def check(exchange: Exchange) -> Denied | None:
            request = exchange.request()
            if not is_needed and not _is_announced(exchange.environ) and not read_body(request, max_bytes):
                denied = plain(exchange)
                if denied is None and absent:
                    exchange.parts = {**absent, **exchange.parts}
                if denied is None and "body" in given:
                    exchange.body = None
                return denied
            chosen = _chosen(by_type, request.mimetype)
            if chosen is None:
                return Denied.of("body.media_type", reason="none of the document's")
            return chosen(exchange)

        return check

    def _check(self, state: AppState, body: Wanted) -> Check:
        members = _members([*self.parameters.json, *body.json], body.files, state.services[Bounds])
        guard = self._validate({**self.parameters.given, **body.given}, self.more)
        if guard is None:
            return _admits
        check = validate.bind([(guard, "")], state, self.label)
        has_no_fields = "files" in guard.given and "form" not in guard.given
        if not members and not has_no_fields:
            return check
        messages: Messages = state.services.setdefault(Messages, Messages())

        def check_all(exchange: Exchange) -> Denied | None:
            denied = check(exchange) or _judged(exchange, members, messages)
            if denied is None and has_no_fields:
                exchange.parts = {"form": {}, **exchange.parts}
            return denied

        return check_all

    def _validate(self, given: Mapping[str, Any], more: Mapping[str, Any]) -> validate | None:
        more = dict(more)
        if not given.keys() & _KNOWING:
            more.pop("unknown", None)
        return validate(**given, **more) if given or more.get("response") else None

    def offered(self) -> Offered:
        """What is checked, for who tells of it."""
        always = self._validate(_named(self.parameters), self.more)
        more = {word: value for word, value in self.more.items() if word == "unknown"}
        bodies = {
            kind: None if body is None else self._validate(_named(body), more) for kind, body in self.bodies.items()
        }
        return Offered(() if always is None else (always,), bodies, self.body_required)


class Contracted(Offering):
    """What documents say of a view and method. Made by a contract, never written."""

    stage = Stage.PAYLOAD
    name = "contract"

    def __init__(self, by_rule: Mapping[str, Served]) -> None:
        self.by_rule = by_rule

    def __repr__(self) -> str:
        return f"contract({', '.join(dict.fromkeys(served.label for served in self.by_rule.values()))})"

    def offered(self, rule: str) -> Offered | None:
        served = self.by_rule.get(rule)
        return None if served is None else served.offered()

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


def _named(wanted: Wanted) -> dict[str, Any]:
    """What of it has names to tell of."""
    return {part: given for part, given in wanted.given.items() if given is not NOTHING}


def _is_announced(environ: Mapping[str, Any]) -> bool:
    """Whether a body of a length is said to come: then it is there, or cut off, and need not be held to know."""
    declared: str = environ.get("CONTENT_LENGTH") or ""
    return declared.isascii() and declared.isdigit() and declared.strip("0") != ""


class _Member(NamedTuple):
    """What is judged of a part once ``validate`` has read it."""

    part: str
    name: str
    schema: Schema | None
    least: int = 0
    """If it is files: how many there are at least, if any."""


def _members(json_members: Sequence[JsonMember], files: Sequence[FileMember], bounds: Bounds) -> list[_Member]:
    found = [_Member("files", file.name, None, file.least) for file in files if file.least > 1]
    for one in json_members:
        try:
            found.append(_Member(one.part, one.name, Schema(json.dumps(one.schema), bounds.json)))
        except ValueError as error:
            raise ConfigError(f"{one.name!r}: {error}") from None
    return found


def _judged(exchange: Exchange, members: Sequence[_Member], messages: Messages) -> Denied | None:
    broken: list[tuple[str, str, str]] = []
    for part, name, schema, least in members:
        values = cast("dict[str, Any]", exchange.parts.get(part, {}))
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        if schema is None:
            broken += [(part, pointer, "minItems")] if 0 < len(values.get(name, ())) < least else []
            continue
        if name not in values:
            continue
        said = schema.judge(values[name].encode("utf-8", "surrogatepass"))
        if isinstance(said, JsonRejected):
            broken.append((part, pointer, "contentMediaType"))
        elif isinstance(said, SchemaRejected):
            broken += [(part, pointer + inner, rule) for inner, rule in said.errors] or [(part, pointer, "schema")]
        else:
            values[name] = said
    if not broken:
        return None
    # What a view may read is all of it, or nothing.
    exchange.parts, exchange.body = {}, NOT_CHECKED
    return messages.broken(broken[0][0], broken)


_KNOWING = frozenset(("body", "query", "path", "form", "files"))
"""The parts in which a name may be unknown."""
