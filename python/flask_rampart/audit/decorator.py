"""``@audit``: that a view was called, by whom, for what, and how it ended.

1. It is the last guard to run (``Stage.RECORD``): what stands in the log as allowed was allowed by all the others.
2. Its record is with the system before the view runs, so before the first byte of any answer, streamed or not. If it
   cannot be written, the view does not run (503 ``audit.unavailable``), or does, by ``RAMPART_AUDIT_ON_FAILURE``.
3. A second record of the same name and request follows when the answer's body is exhausted or closed: status, bytes,
   duration, and whether all of it was sent. It may be lost with a killed process, within ``RAMPART_AUDIT_SYNC``.
4. *fields* are read of the checked input; what was not sent is left out.

Without the edge (a view that is called in ``test_request_context``) nobody sees an answer's end, and there is no
second record.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import request

from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Guard, Stage
from .events import check_name
from .facts import WINDOW, json_fields
from .log import Audit, unavailable

PARTS = ("body", "query", "path", "headers", "cookies", "form")
_MOST_FIELDS = 16
_MISSING = object()


class audit(Guard):  # noqa: N801 - read as a verb above a view
    """Records each call of a view that all its other guards have admitted, and how its answer ended.

    :param event: the name of its records, such as ``"model.predict"``, or one of the OWASP Logging Vocabulary.
    :param resource: what is acted on, with the route's arguments in braces: ``"model:{name}"``.
    :param fields: parts of the checked input that are recorded, redacted and cut, each as a path:
        ``["body.model", "query.limit"]``. They come from ``validate``; ``path.name`` from the route too.
    :raises ConfigError: for a name, a template or a path that cannot be meant; at start-up, for one that the route does
        not have.

    Where ``RAMPART_AUDIT_LOG`` is ``"off"`` it does nothing. See ``docs/audit.md``.

    >>> audit("model.predict", resource="model:{name}", fields=["body.model"])
    audit('model.predict')
    """

    stage = Stage.RECORD
    name = "audit"

    def __init__(self, event: str, *, resource: str | None = None, fields: Sequence[str] = ()) -> None:
        self.event = check_name(event, "audit()")
        self.resource = None if resource is None else _template(resource)
        self.fields = _paths(fields)

    def __repr__(self) -> str:
        return f"audit({self.event!r})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check | None:
        log: Audit = state.services[Audit]
        events = [guard.event for guard, _ in guards]
        doubled = {event for event in events if events.count(event) > 1}
        if doubled:
            raise ConfigError(f"audit({doubled.pop()!r}) stands twice on {endpoint!r}; once is enough.")
        # Empty for a view that is not on a route, but is called by one.
        rules = list(state.app.url_map.iter_rules(endpoint)) if endpoint in state.app.view_functions else []
        for guard, _ in guards:
            for rule in rules:
                _has_arguments(guard, rule.arguments, endpoint)
        if not log.enabled:
            return lambda exchange: None
        checks = [_check(guard, log) for guard, _ in guards]
        return checks[0] if len(checks) == 1 else _each(checks)


def _each(checks: Sequence[Check]) -> Check:
    def record(exchange: Exchange) -> Denied | None:
        for check in checks:
            denied = check(exchange)
            if denied is not None:
                return denied
        return None

    return record


def _check(guard: audit, log: Audit) -> Check:
    """What records the call of a view, and refuses it if that cannot be done and is to be."""
    event, admit = guard.event, log.admit
    if guard.resource is None and not guard.fields:
        # The usual one says nothing of its own.
        return lambda exchange: None if admit(event, exchange, None) or not log.refuses else unavailable()
    write = _writer(guard, log)
    return lambda exchange: None if write(exchange) or not log.refuses else unavailable()


def _writer(guard: audit, log: Audit) -> Callable[[Exchange], bool]:
    event, resource, fields = guard.event, guard.resource, guard.fields

    def write(exchange: Exchange) -> bool:
        told: dict[str, Any] | None = None
        if resource is not None:
            told = {"resource": _filled(resource, request.view_args or {})}
        if fields:
            told = {**(told or {}), "fields": _chosen(exchange, fields)}
        return log.admit(event, exchange, told)

    return write


def _template(resource: object) -> tuple[tuple[str, str | None], ...]:
    """Texts, each with the name of the argument that follows it."""
    if not isinstance(resource, str) or not 0 < len(resource) <= 200:
        raise ConfigError(f'audit(resource=) takes a text such as "model:{{name}}", not {resource!r}.')
    found = []
    try:
        for text, name, form, conversion in string.Formatter().parse(resource):
            # Nothing but names: a format may read attributes of what it is given.
            if name is not None and (not name.isidentifier() or form or conversion):
                raise ConfigError(
                    f"audit(resource={resource!r}): in braces stands the name of a route's argument and nothing else."
                )
            found.append((text, name))
    except ValueError as error:
        raise ConfigError(f"audit(resource={resource!r}): {error}.") from None
    return tuple(found)


def _filled(template: tuple[tuple[str, str | None], ...], arguments: Mapping[str, Any]) -> str:
    return "".join(
        text if name is None else f"{text}{str(arguments.get(name, ''))[:WINDOW]}" for text, name in template
    )


def _paths(fields: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if isinstance(fields, str) or not isinstance(fields, Sequence):
        raise ConfigError(f'audit(fields=) takes a list such as ["body.model"], not {fields!r}.')
    if len(fields) > _MOST_FIELDS:
        raise ConfigError(f"audit(fields=) takes at most {_MOST_FIELDS} paths.")
    found = []
    for path in fields:
        part, *names = path.split(".") if isinstance(path, str) else ("",)
        if part not in PARTS or not names or not all(names):
            raise ConfigError(
                f'audit(fields=[{path!r}]) is no path such as "body.model"; it begins with one of '
                f"{', '.join(PARTS)}, and a whole part is never recorded."
            )
        found.append((path, (part, *names)))
    return tuple(found)


def _has_arguments(guard: audit, arguments: set[str], endpoint: str) -> None:
    wanted = {name for _, name in guard.resource or () if name is not None}
    missing = sorted(wanted - arguments)
    if missing:
        there = ", ".join(sorted(arguments)) or "none"
        raise ConfigError(f"{guard!r} on {endpoint!r}: its resource names {missing[0]!r}; the route has {there}.")


def _chosen(exchange: Exchange, fields: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for path, (part, *names) in fields:
        value = _part(exchange, part)
        for name in names:
            value = _member(value, name)
        if value is not _MISSING:
            chosen[path] = value
    return json_fields(chosen)


def _part(exchange: Exchange, part: str) -> Any:
    value = exchange.parts.get(part, _MISSING)
    if value is not _MISSING:
        return value
    if part == "body" and exchange.body is not NOT_CHECKED:
        return exchange.body
    return (request.view_args or {}) if part == "path" else _MISSING


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, _MISSING)
    if isinstance(value, (list, tuple)):
        at = int(name) if name.isascii() and name.isdigit() and len(name) < 6 else len(value)
        return value[at] if at < len(value) else _MISSING
    # The instance of a model. What an attribute computes is not asked for.
    return getattr(value, "__dict__", {}).get(name, _slot(value, name))


def _slot(value: Any, name: str) -> Any:
    fields = getattr(type(value), "__struct_fields__", ()) or getattr(type(value), "__slots__", ())
    return getattr(value, name, _MISSING) if name in fields else _MISSING
