"""Which route has which protection: a row for each route and way of guarding it.

Routes are of four kinds. ``app``: the app's own. ``static``: files that Flask serves, open by nature. ``rampart``:
ours, such as published keys. ``other``: of another package, whose views the app cannot decorate; what it puts on their
blueprint, or on the whole app, counts.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from typing import Any

from flask import Flask

from ..access import public
from ..config import Settings
from ..errors import ConfigError
from ..guards import AppState, Guard, answers_itself, methods_of, settles_who, told_of
from ..hygiene import NEVER
from ..limits import limit
from ..validation import validate
from .findings import Place
from .subject import Subject, unwrapped

# The safe methods of IANA's registry, of those that anybody uses: every other may change something, PURGE too.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH"))
_BODIES = frozenset(("POST", "PUT", "PATCH", "QUERY"))


@dataclass(frozen=True, slots=True)
class Row:
    """A route, as some of its methods are guarded."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    kind: str
    guards: tuple[Guard, ...]
    who: str
    """``"require(...)"`` or its kin, ``"OPTIONAL require(...)"`` (who has no credential gets in), ``"public"``,
    ``"refused"`` (nothing declared, under ``"deny"``), or ``"OPEN"``."""
    limit: str
    schema: str
    audit: str
    module: str
    file: str | None
    line: int | None

    @property
    def label(self) -> str:
        return f"{','.join(self.methods)} {self.path}"

    @property
    def place(self) -> Place:
        return Place(route=self.label, file=self.file, line=self.line)

    @property
    def is_open(self) -> bool:
        """Whether anybody may call it, and nobody has said so."""
        return self.who == "OPEN"

    @property
    def is_optional(self) -> bool:
        """Whether who has no credential gets in, and nobody has said that this is meant."""
        return self.who.startswith("OPTIONAL") and not any(guard.opens and guard.only_opens for guard in self.guards)

    @property
    def changes(self) -> bool:
        return bool(changing(self.methods))

    @property
    def has_body(self) -> bool:
        return bool(_BODIES.intersection(self.methods))

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "path": self.path,
            "methods": list(self.methods),
            "endpoint": self.endpoint,
            "kind": self.kind,
            "who": self.who,
            "limit": self.limit,
            "schema": self.schema,
            "audit": self.audit,
            "guards": [repr(guard) for guard in self.guards if not guard.is_everywhere],
            "file": self.file,
            "line": self.line,
        }


def changing(methods: Iterable[str]) -> set[str]:
    """Those of the methods that may change something."""
    return set(methods) - _SAFE


def matrix(subject: Subject) -> list[Row]:
    """All routes, by path."""
    app, state = subject.app, subject.state
    rows: list[Row] = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
        view = app.view_functions.get(rule.endpoint)
        if view is None:
            continue  # for url_for alone
        ways: dict[tuple[Guard, ...], list[str]] = {}
        # A class view may guard each method in its own way.
        for method in methods_of(rule):
            if method in NEVER or not answers_itself(rule, method, app):
                continue  # no request gets there, or Flask answers it
            ways.setdefault(_guards(state, rule.endpoint, method), []).append(method)
        if not ways:
            ways[_guards(state, rule.endpoint, "OPTIONS")] = ["OPTIONS"]
        for guards, methods in ways.items():
            # HEAD goes with the GET that it is guarded as.
            told = tuple(method for method in methods if method != "HEAD" or "GET" not in methods)
            rows.append(_row(subject, rule.rule, told, rule.endpoint, view, guards))
    return rows


def table(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """The rows for a terminal, titles first."""
    titles = ("METHODS", "ROUTE", "WHO", "LIMIT", "SCHEMA", "AUDIT")
    told = []
    for row in rows:
        who = row.who if row.kind in ("app", "rampart") else f"{row.who} ({row.kind})"
        told.append((",".join(row.methods), row.path, who, row.limit, row.schema, row.audit))
    return [titles, *told]


def _guards(state: AppState, endpoint: str, method: str) -> tuple[Guard, ...]:
    try:
        found = state.guards_of(endpoint, method)
    except ConfigError:  # a contract that cannot be used, which is why the app does not start
        found = state.declared_for(endpoint, method)
    return (*(guard for guard, _ in found), *told_of(state.app, endpoint, method))


def _row(
    subject: Subject, path: str, methods: tuple[str, ...], endpoint: str, view: Any, guards: tuple[Guard, ...]
) -> Row:
    file, line = subject.source_of(view)
    function = unwrapped(view)
    module = str(getattr(function, "__module__", "") or "")
    kind = _kind(subject, endpoint, function, module)
    return Row(
        path,
        methods,
        endpoint,
        kind,
        guards,
        _who(subject, endpoint, guards),
        _limit(subject, path, guards),
        _schema(guards),
        "yes" if any(guard.name == "audit" for guard in guards) else "-",
        module,
        file,
        line,
    )


def _kind(subject: Subject, endpoint: str, function: Any, module: str) -> str:
    state = subject.state
    if endpoint in state.own_endpoints | state.open_endpoints or module.partition(".")[0] == "flask_rampart":
        return "rampart"
    if endpoint.rpartition(".")[2] == "static" and _is_static(subject.app, endpoint, module, function):
        return "static"
    # An app may be installed as well, as a package of its own.
    is_own = module.partition(".")[0] == subject.app.import_name.partition(".")[0]
    is_others = not is_own and _is_installed(function) and not _is_of_a_folder(module.partition(".")[0])
    return "other" if is_others else "app"


def _is_static(app: Flask, endpoint: str, module: str, function: Any) -> bool:
    # Flask's own is a lambda in flask.app, a blueprint's the method send_static_file.
    return module.partition(".")[0] == "flask" and (
        getattr(function, "__name__", "") in ("<lambda>", "send_static_file")
    )


def _is_installed(function: Any) -> bool:
    """Whether a view is written in a package that was installed, or in Python itself."""
    code = getattr(function, "__code__", None)
    file = getattr(code, "co_filename", None) or getattr(
        sys.modules.get(getattr(function, "__module__", "")), "__file__", None
    )
    if not file:
        return False
    full = os.path.realpath(file)
    return any(full.startswith(folder + os.sep) for folder in _installed_folders())


@functools.cache
def _is_of_a_folder(module: str) -> bool:
    """Whether a module was installed from a folder or an address, as one's own packages are (PEP 610)."""
    for name in packages_distributions().get(module, ()):
        try:
            if distribution(name).read_text("direct_url.json"):
                return True
        except (PackageNotFoundError, OSError):
            continue
    return False


@functools.cache
def _installed_folders() -> set[str]:
    paths = sysconfig.get_paths()
    folders = [paths["purelib"], paths["platlib"], paths["stdlib"], site.getusersitepackages()]
    return {os.path.realpath(folder) for folder in folders}


def _who(subject: Subject, endpoint: str, guards: tuple[Guard, ...]) -> str:
    asked = [guard for guard in guards if settles_who(guard)]
    if asked:
        told = "  ".join(dict.fromkeys(map(repr, asked)))
        return f"OPTIONAL {told}" if all(getattr(guard, "optional", False) for guard in asked) else told
    if any(guard is public or guard.opens for guard in guards):
        return "public"
    return "refused" if subject.settings.default == "deny" else "OPEN"


def _limit(subject: Subject, path: str, guards: tuple[Guard, ...]) -> str:
    limits = [guard for guard in guards if isinstance(guard, limit)]
    told = [f"{each.text}{' (report)' if each.mode == 'report' else ''}" for each in limits]
    if told:
        return "  ".join(told)
    # Those of the whole app are asked at the edge, before there is a route.
    return "app" if is_counted_by_app(subject.settings, path) else "-"


def is_counted_by_app(settings: Settings, path: str) -> bool:
    """Whether the app's own limits count what is asked for here."""
    return settings.limits is not None and path not in settings.limits_exempt_paths


def _schema(guards: tuple[Guard, ...]) -> str:
    parts: dict[str, None] = {}
    for guard in guards:
        if isinstance(guard, validate):
            parts.update(dict.fromkeys(guard.given))
        elif guard.name == "contract":
            parts["contract"] = None
        elif type(guard).__module__.startswith("flask_rampart.ai."):
            # It reads the body by the shape of its endpoint, and refuses other members. Not imported for this alone.
            parts["body"] = None
    return ",".join(parts) or "-"
