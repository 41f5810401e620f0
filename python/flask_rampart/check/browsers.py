"""What browsers are told: Content-Security-Policy, the other headers, CORS, CSRF.

A policy is read as browsers read it (CSP Level 3): ``script-src`` falls back to ``default-src``; a nonce, a hash or
``'strict-dynamic'`` makes them ignore ``'unsafe-inline'``, and ``'strict-dynamic'`` lists of hosts as well. Each policy
is judged once, with the routes that have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._native import HeaderPolicy, new_nonce
from ..declarations import declared_around
from ..headers.declared import RoutePolicies, headers
from ..origins import cors, csrf
from .findings import Finding, Place, Severity
from .matrix import Row
from .subject import Subject, found, listed, settings_found

_PROVING = re.compile(r"'(?:nonce-|sha(?:256|384|512)-)", re.IGNORECASE)
_BROAD = ("*", "http:", "https:", "data:", "blob:", "filesystem:")
_SAFE = ("x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-opener-policy")
_FEW = 4


def check(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    """What pages may do that they should not."""
    if subject.failure is None:
        yield from _policies(subject, rows)
    yield from _cors(subject, rows)
    yield from _csrf(subject, rows)


def _policies(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    policies: RoutePolicies = subject.state.services[RoutePolicies]
    app_policy = policies.of_app(subject.state.app_guards)
    setting = "RAMPART_CSP" if subject.settings.csp is not None else "RAMPART_PROFILE"
    # One of another extension's is sent instead of the profile's.
    others = {row: _sent_instead(row) for row in rows}
    if not any(text is not None and is_everywhere for text, is_everywhere in others.values()):
        for id, message in csp_faults(app_policy.csp(new_nonce()), app_policy.profile):
            yield settings_found(id, message, setting)
    seen: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        own = [guard for guard in row.guards if isinstance(guard, headers)]
        if not own:
            for fault in _faults_of_all(others[row][0], app_policy.profile):
                seen.setdefault(fault, []).append(row)
            continue
        around = (*subject.state.app_guards, *declared_around(subject.app, row.endpoint))
        seat = {guard: at for at, guard in enumerate(around)}
        said = policies.merged(sorted(own, key=lambda guard: seat.get(guard, len(around))))
        made = policies.of(said)
        policy = made if isinstance(made, HeaderPolicy) else made.strict
        for id, message in csp_faults(policy.csp(new_nonce()), policy.profile):
            seen.setdefault((id, message), []).append(row)
        for name in _SAFE:
            if said.values.get(name) == (None,):
                seen.setdefault(("RMP-304", f"{said.names[name]} is not sent."), []).append(row)
    for (id, message), with_it in seen.items():
        yield found(id, message, _place_of(with_it))


def _faults_of_all(text: str | None, profile: str) -> Iterator[tuple[str, str]]:
    """What each policy in one field lets through, and what none of them says: a browser holds a page to all."""
    if text is None:
        return
    parts = text.split(",")
    first, *others = (list(csp_faults(part, profile)) for part in parts)
    yield from (fault for fault in first if fault[0] != "RMP-302" and all(fault in found for found in others))
    yield from (fault for fault in csp_faults(";".join(parts), profile) if fault[0] == "RMP-302")


def _sent_instead(row: Row) -> tuple[str | None, bool]:
    """The Content-Security-Policy of another extension's that a view's answers have, and whether all others have it."""
    for guard in row.guards:
        text: str | None = getattr(guard, "csp", None) if guard.name == "talisman" else None
        if text is not None:
            return text, guard.is_everywhere
    return None, False


def csp_faults(text: str, profile: str) -> Iterator[tuple[str, str]]:
    """What a Content-Security-Policy lets through, each with its rule.

    >>> [id for id, _ in csp_faults("default-src 'self'; script-src * 'unsafe-inline'", "html")]
    ['RMP-301', 'RMP-301', 'RMP-302']
    """
    if not text.strip():
        yield "RMP-303", "Nothing says what a page may load and run."
        return
    directives: Mapping[str, list[str]] = {
        words[0].lower(): [word.lower() for word in words[1:]]
        for directive in reversed(text.split(";"))
        if (words := directive.split())
    }
    default = directives.get("default-src")
    scripts = directives.get("script-src", default)
    if scripts is None:
        yield "RMP-301", "Scripts of every origin run: there is neither script-src nor default-src."
    else:
        proven = any(_PROVING.match(word) for word in scripts) or "'strict-dynamic'" in scripts
        if "'unsafe-inline'" in scripts and not proven:
            yield "RMP-301", "'unsafe-inline' runs whatever script somebody gets into a page."
        if "'unsafe-eval'" in scripts:
            yield "RMP-301", "'unsafe-eval' makes scripts of texts."
        broad = [word for word in scripts if word in _BROAD]
        if broad and "'strict-dynamic'" not in scripts:
            yield "RMP-301", f"Scripts come from {listed(broad)}: from anybody."
    missing = [name for name in ("base-uri", "frame-ancestors", "form-action") if name not in directives]
    if directives.get("object-src", default) is None:
        missing.append("object-src")
    if profile == "api":
        # An answer of data has no base and no form; who may frame it still counts.
        missing = [name for name in missing if name == "frame-ancestors"]
    if missing:
        yield "RMP-302", f"It has no {listed(missing)}, and default-src is not asked instead."


def _cors(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    settings = subject.settings
    for origin in settings.cors_origins or ():
        if origin == "*":
            yield settings_found(
                "RMP-311", "Every page in the world may read what a visitor gets.", "RAMPART_CORS_ORIGINS"
            )
        elif settings.cors_credentials and (not isinstance(origin, str) or "*" in origin):
            shown = origin if isinstance(origin, str) else origin.pattern
            yield settings_found("RMP-312", f"{shown} is many origins, with credentials.", "RAMPART_CORS_ORIGINS")
    if settings.cors_debug:
        yield settings_found("RMP-313", "X-Rampart-CORS says why a page is refused.", "RAMPART_CORS_DEBUG")
    by_others: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.kind == "rampart":
            continue
        own = [guard for guard in row.guards if isinstance(guard, cors)]
        for guard in own:
            for id, message in _cors_faults(guard.policy):
                yield found(id, message, row.place)
        # Where ours says who may read an answer, that alone is sent.
        for other in row.guards if not own and settings.cors_origins is None else ():
            if other.name == "cors":
                for fault in _cors_faults(getattr(other, "policy", None)):
                    by_others.setdefault(fault, []).append(row)
    for (id, message), with_it in by_others.items():
        yield found(id, message, _place_of(with_it))


def _cors_faults(policy: Any) -> Iterator[tuple[str, str]]:
    if policy is None:
        return
    if policy.any:
        yield "RMP-311", "Every page in the world may read what a visitor gets."
    elif policy.credentials and policy.unnamed:
        yield "RMP-312", f"{policy.unnamed[0]} is many origins, with credentials."


def _place_of(rows: list[Row]) -> Place:
    """Routes that have something in common."""
    routes = list(dict.fromkeys(row.label for row in rows))
    more = f", and {len(routes) - _FEW} more" if len(routes) > _FEW else ""
    return Place(route=", ".join(routes[:_FEW]) + more, file=rows[0].file, line=rows[0].line)


def _csrf(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    uses_cookies = bool(subject.config("SECRET_KEY")) or "cookie" in subject.settings.jwt_locations
    severity = Severity.WARNING if uses_cookies else Severity.NOTE
    changing = [row for row in rows if row.changes and row.kind == "app"]
    if subject.settings.csrf == "off":
        if not any(map(_asks_for_token, rows)):
            message = (
                "RAMPART_CSRF is off: a page of any site can make its visitors' browsers send what changes something."
            )
            finding = settings_found("RMP-321", message, "RAMPART_CSRF")
            yield finding if uses_cookies else Finding(finding.rule, message, finding.place, Severity.NOTE)
            return
        for row in changing:
            if not _asks_for_token(row):
                message = "RAMPART_CSRF is off, and no token is asked for: a page of any site can have this sent."
                yield found("RMP-321", message, row.place, severity)
        return
    for row in changing:
        own = [guard for guard in row.guards if isinstance(guard, csrf)]
        if any(guard.mode == "off" for guard in own) and not _asks_for_token(row):
            message = "csrf('off'): a page of any site can make its visitors' browsers send this."
            yield found("RMP-321", message, row.place, severity)


def _asks_for_token(row: Row) -> bool:
    """Whether another extension asks for a token there."""
    return any(guard.name == "csrf" and not isinstance(guard, csrf) for guard in row.guards)
