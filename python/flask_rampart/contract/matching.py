"""Which view an operation of a document is about.

1. By ``x-rampart-endpoint``, where the operation says it: an endpoint of the app.
2. By shape: the path of a server and the operation's path are those of a rule, with names at the same places, and the
   rule takes the method. The names are the same, but for ``-`` and ``.``, which a rule writes ``_``.
3. By ``operationId``, if it is an endpoint, or the name of one view function alone.

Converters do not matter, hosts and subdomains neither. HEAD is what GET is, unless the document says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from flask import Flask
from werkzeug.routing import Rule

from ..errors import ConfigError
from ..readers import nearest
from .operations import Noted, Operation

_CONVERTER = re.compile(r"<(?:[a-zA-Z_][a-zA-Z0-9_]*(?:\([^<>]*?\))?:)?([a-zA-Z_][a-zA-Z0-9_]*)>")
_TEMPLATE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Mismatch:
    """What of a document and an app does not agree.

    ``kind`` is ``"no view"``, ``"no operation"``, ``"names"``, ``"method"`` or ``"security"``.
    """

    kind: str
    subject: str
    """What it is about: ``GET /pets``."""
    message: str
    where: str = ""
    """The place in the document, if it has one."""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.subject}: {self.message}{place}"


@dataclass
class Matched:
    """An operation, the rules that it is about, and how they were found."""

    operation: Operation
    rules: list[Rule] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """What the rule calls a name of the template."""

    @property
    def endpoints(self) -> list[str]:
        """The endpoints of the rules, each once."""
        return list(dict.fromkeys(rule.endpoint for rule in self.rules))


def match(
    app: Flask,
    operations: Sequence[Operation],
    base: str | None,
    exclude: Sequence[str],
    own: Iterable[str],
    note: Noted,
) -> tuple[list[Matched], list[Mismatch]]:
    """Every operation with its rules, and what does not match.

    :param base: instead of the paths of the servers.
    :param exclude: endpoints that the document need not have, with ``*`` for any text.
    :param own: endpoints that it need not have either.
    :param note: told of what is taken for the same though its path is another.
    :raises ConfigError: if *exclude* names nothing.
    """
    finder = _Finder(app, base, note)
    for pattern in exclude:
        if not any(fnmatchcase(endpoint, pattern) for endpoint in app.view_functions):
            raise ConfigError(
                f"contract(exclude=...): {pattern!r} is no endpoint.{nearest(pattern, list(app.view_functions))}"
            )
    found = [finder.find(operation) for operation in operations]
    own = set(own)

    def is_excluded(endpoint: str) -> bool:
        return endpoint in own or any(fnmatchcase(endpoint, pattern) for pattern in exclude)

    return found, finder.wrong + finder.uncovered(found, is_excluded)


class _Finder:
    def __init__(self, app: Flask, base: str | None, note: Noted) -> None:
        self.base = base
        self.note = note
        self.wrong: list[Mismatch] = []
        self.bases: set[str] = set()
        self.views = app.view_functions
        self.rules = [
            rule
            for rule in app.url_map.iter_rules()
            if rule.endpoint in app.view_functions and not (rule.build_only or rule.redirect_to or rule.websocket)
        ]

    def find(self, operation: Operation) -> Matched:
        found = Matched(operation)
        bases = operation.bases if self.base is None else (self.base,)
        self.bases.update(bases)
        if operation.endpoint is not None:
            self._named(found, operation.endpoint)
            return found
        shaped = [
            rule for rule in self.rules for base in bases if _shape(base + operation.path) == _rule_shape(rule.rule)
        ]
        if not shaped and operation.operation_id is not None:
            endpoint = self._by_id(operation.operation_id)
            if endpoint is not None:
                self._named(found, endpoint)
                if found.rules:
                    routes = " and ".join(dict.fromkeys(rule.rule for rule in found.rules))
                    self.note(operation.node, f"no route has this path: by its operationId it is taken for {routes}")
                return found
        if not shaped:
            self._tell("no view", operation, self._nowhere(operation, bases))
            return found
        taken = [rule for rule in shaped if _takes(rule, operation.method)]
        if not taken:
            has = ", ".join(sorted({method for rule in shaped for method in rule.methods or ()} - _AUTOMATIC))
            self._tell("method", operation, f"the route {shaped[0].rule} takes {has}, not {operation.method}")
            return found
        agreeing = [rule for rule in taken if self._agree(operation, rule)]
        if not agreeing:
            self._tell(
                "names",
                operation,
                f"the route {taken[0].rule} has other names: {_listed(_CONVERTER.findall(taken[0].rule))} instead of "
                f"{_listed(_TEMPLATE.findall(operation.path))}",
            )
            return found
        self._take(found, agreeing)
        return found

    def uncovered(self, found: Sequence[Matched], is_excluded: Callable[[str], bool]) -> list[Mismatch]:
        """Views that the document does not have."""
        covered = {(rule.rule, rule.endpoint, one.operation.method) for one in found for rule in one.rules}
        # What was told of an operation is not told of its route once more.
        told = {wrong.subject for wrong in self.wrong}
        wrong: dict[str, Mismatch] = {}
        for rule in self.rules:
            under = [
                base for base in self.bases if not base or rule.rule.startswith((f"{base}/",)) or rule.rule == base
            ]
            if not under or is_excluded(rule.endpoint) or _is_static(rule):
                continue
            for method in _methods(rule):
                is_known = (rule.rule, rule.endpoint, method) in covered
                subject = f"{method} {rule.rule}"
                if not is_known and not any(self._is_told(told, base, rule, method) for base in under):
                    wrong[subject] = Mismatch("no operation", subject, f"the view {rule.endpoint} has no operation")
        return list(wrong.values())

    def _is_told(self, told: set[str], base: str, rule: Rule, method: str) -> bool:
        shape = _rule_shape(rule.rule.removeprefix(base))
        return any(_shape(subject.partition(" ")[2]) == shape and subject.startswith(f"{method} ") for subject in told)

    def _named(self, found: Matched, endpoint: str) -> None:
        operation = found.operation
        rules = [rule for rule in self.rules if rule.endpoint == endpoint]
        if not rules:
            hint = nearest(endpoint, list(self.views))
            self._tell("no view", operation, f"x-rampart-endpoint {endpoint!r} is no endpoint of the app.{hint}")
            return
        taken = [rule for rule in rules if _takes(rule, operation.method)]
        if not taken:
            self._tell("method", operation, f"the view {endpoint} does not take {operation.method}")
            return
        agreeing = [rule for rule in taken if self._agree(operation, rule, in_order=False)]
        if not agreeing:
            self._tell("names", operation, f"the route {taken[0].rule} of the view {endpoint} has other names")
            return
        self._take(found, agreeing)

    def _take(self, found: Matched, rules: list[Rule]) -> None:
        found.rules = rules
        arguments = {_plain(name): name for name in _CONVERTER.findall(rules[0].rule)}
        found.names = {name: arguments[_plain(name)] for name in _TEMPLATE.findall(found.operation.path)}

    def _agree(self, operation: Operation, rule: Rule, *, in_order: bool = True) -> bool:
        names = [_plain(name) for name in _TEMPLATE.findall(operation.path)]
        arguments = _CONVERTER.findall(rule.rule)
        return names == arguments if in_order else sorted(names) == sorted(arguments)

    def _by_id(self, operation_id: str) -> str | None:
        if operation_id in self.views:
            return operation_id
        named = {endpoint for endpoint, view in self.views.items() if getattr(view, "__name__", None) == operation_id}
        return named.pop() if len(named) == 1 else None

    def _nowhere(self, operation: Operation, bases: Sequence[str]) -> str:
        for base in bases:
            for rule in self.rules:
                if _rule_shape(rule.rule).rstrip("/") == _shape(base + operation.path).rstrip("/"):
                    return f"no view has this path; the route {rule.rule} differs by the slash at its end"
        under = f" under {' or '.join(map(repr, bases))} (see contract(base_path=...))" if any(bases) else ""
        return f"no view has this path{under}"

    def _tell(self, kind: str, operation: Operation, message: str) -> None:
        self.wrong.append(Mismatch(kind, operation.label, message, operation.node.where))


def _takes(rule: Rule, method: str) -> bool:
    return rule.methods is None or method in rule.methods


def _methods(rule: Rule) -> list[str]:
    """The methods that a document has of a rule; of one that takes any word as a method, ``*``."""
    if rule.methods is None:
        return ["*"]
    methods = set(rule.methods)
    if "GET" in methods:
        methods.discard("HEAD")
    if getattr(rule, "provide_automatic_options", False):
        methods.discard("OPTIONS")
    return sorted(methods)


def _is_static(rule: Rule) -> bool:
    """Whether it is a folder of files that Flask serves, and not only called so."""
    return rule.endpoint.split(".")[-1] == "static" and rule.arguments == {"filename"}


def _shape(template: str) -> str:
    return _TEMPLATE.sub("{}", template)


def _rule_shape(rule: str) -> str:
    return _CONVERTER.sub("{}", rule)


def _plain(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


_AUTOMATIC = {"HEAD", "OPTIONS"}
