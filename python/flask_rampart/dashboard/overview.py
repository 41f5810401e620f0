"""What the dashboard shows, as plain data.

It reads what others have counted and kept: the shared table of metrics, the bans, the audit log's own state, the
reports of browsers, the monitor's findings. What an app does not have is None or empty, and the rest is shown all the
same. Nothing here is slow: at most :data:`MOST_ASKED` addresses and networks are looked up among the bans, and the
audit log is never verified.

Of the routes at most 200 are told, the open ones first, and how many there are of each kind.
What this page and scrapers ask for is no part of the rates, the totals and the routes, unless it is refused.
Top addresses and principals are those of the last 2048 refusals: a flood shows itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..audit import Audit
from ..coverage import coverage
from ..guards import AppState
from ..limits import Limits
from ..metrics import Metrics
from ..metrics.serving import LOOKS
from ..monitor import Monitor
from ..reports import Reports
from ..stores import StoreError

MOST_ASKED = 64
_TOP = 10
_SHOWN = 50
_MOST_ROUTES = 200
_ORDER = ("open", "refused", "public", "guarded")
_STEP = 5


def overview(state: AppState, *, minutes: int = 15, whole: bool = True) -> dict[str, Any]:
    """What is going on, as what JSON can say.

    :param minutes: how much of the last hour the rates cover.
    :param whole: also what seldom changes: routes with their guards, reports of browsers.
    :raises ConfigError: if the table of metrics cannot be had.
    """
    metrics: Metrics = state.services[Metrics]
    samples = _without_looks(state, metrics.samples())
    recent = metrics.recent()
    findings = _findings(state)
    told: dict[str, Any] = {
        "app": state.app.name,
        "time": round(time.time(), 3),
        "since": metrics.table.since,
        "workers": metrics.table.workers(),
        "rates": [list(step) for step in metrics.timeline()[-minutes * 60 // _STEP :]],
        "step": _STEP,
        "totals": _totals(samples),
        "refusals": _by_label(samples, "rampart_refusals_total", "code"),
        "routes": _routes(samples),
        "recent": [
            {"time": at, "code": code, "address": address, "principal": principal, "method": method, "route": route}
            for at, code, address, principal, method, route in recent[:_SHOWN]
        ],
        "addresses": _top(one[2] for one in recent),
        "principals": _top(one[3] for one in recent),
        "bans": _bans(state, [*_found(findings), *(("address", one[2]) for one in recent)]),
        "findings": findings,
        "audit": _audit(state, samples),
    }
    if whole:
        rows = _coverage(state)
        told["coverage_counts"] = {"routes": len(rows), **Counter(row["state"] for row in rows)}
        told["coverage"] = rows[:_MOST_ROUTES]
        told["reports"] = _reports(state)
    return told


_Sample = tuple[str, dict[str, str], float]


def _without_looks(state: AppState, samples: Iterable[_Sample]) -> list[_Sample]:
    """All but what this page and scrapers were answered, unless that was a refusal or a failure."""
    views = state.app.view_functions
    looking = state.looking_endpoints | {name for name, view in views.items() if getattr(view, LOOKS, False)}
    routes = {rule.rule for name in looking if name in views for rule in state.app.url_map.iter_rules(name)}

    def is_look(name: str, labels: dict[str, str]) -> bool:
        if labels.get("route") not in routes:
            return False
        # How long they took is counted for all of a route together.
        return name.startswith("rampart_http_request_duration") or labels.get("status", "4") < "4"

    return [sample for sample in samples if not is_look(sample[0], sample[1])]


def _totals(samples: list[tuple[str, dict[str, str], float]]) -> dict[str, float]:
    wanted = {
        "rampart_http_requests_total": "requests",
        "rampart_refusals_total": "refusals",
        "rampart_auth_failures_total": "auth_failures",
        "rampart_validation_failures_total": "validation_failures",
        "rampart_bans_total": "bans",
        "rampart_monitor_findings_total": "findings",
        "rampart_tokens_total": "tokens",
    }
    totals = dict.fromkeys(wanted.values(), 0.0)
    for name, _, value in samples:
        if name in wanted:
            totals[wanted[name]] += value
    return totals


def _by_label(samples: list[tuple[str, dict[str, str], float]], name: str, label: str) -> list[list[Any]]:
    found = [(labels[label], value) for sample, labels, value in samples if sample == name and value]
    return [list(pair) for pair in sorted(found, key=lambda pair: (-pair[1], pair[0]))]


def _routes(samples: list[tuple[str, dict[str, str], float]]) -> list[dict[str, Any]]:
    """The busiest routes, with what they answered and how long they took on average."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for name, labels, value in samples:
        if name == "rampart_http_requests_total":
            one = found.setdefault((labels["route"], labels["method"]), Counter())
            one["requests"] += int(value)
            one[labels["status"][0] + "xx"] += int(value)
        elif name == "rampart_http_request_duration_seconds_sum":
            found.setdefault((labels["route"], labels["method"]), Counter())["micros"] += int(value * 1e6)
    rows = sorted(found.items(), key=lambda item: (-item[1]["requests"], item[0]))[: 2 * _TOP]
    return [
        {
            "route": route,
            "method": method,
            "requests": one["requests"],
            "refused": one["4xx"],
            "failed": one["5xx"],
            "milliseconds": round(one["micros"] / one["requests"] / 1000, 2)
            if one["requests"] and one["micros"]
            else None,
        }
        for (route, method), one in rows
    ]


def _top(texts: Iterable[str]) -> list[list[Any]]:
    return [list(pair) for pair in Counter(text for text in texts if text).most_common(_TOP)]


def _found(findings: list[dict[str, Any]] | None) -> Iterable[tuple[str, str]]:
    """The addresses and networks that detectors have found something about."""
    for finding in findings or ():
        if finding["subject_kind"] in ("address", "network"):
            yield finding["subject_kind"], finding["subject"].partition("/")[0]


def _bans(state: AppState, subjects: Iterable[tuple[str, str]]) -> list[dict[str, Any]] | None:
    """Who of those that were refused or found lately is banned; None where nothing bans."""
    limits: Limits = state.services[Limits]
    if limits.bans.ask is None:
        return None
    found: dict[tuple[str, str], float] = {}
    for of, address in list(dict.fromkeys(pair for pair in subjects if pair[1]))[:MOST_ASKED]:
        for kind in ("address", "network") if of == "address" else ("network",):
            left = limits.bans.left(kind, address)
            if left:
                found[kind, address] = left
    return [{"kind": kind, "address": address, "seconds": round(left)} for (kind, address), left in found.items()]


def _findings(state: AppState) -> list[dict[str, Any]] | None:
    """What detectors found, newest first; None where there is no monitor."""
    if state.settings.monitor == "off":
        return None
    monitor: Monitor = state.services[Monitor]
    fields = ("time", "rule", "severity", "subject_kind", "subject", "count", "threshold", "response", "route")
    return [{field: getattr(one, field) for field in fields} for one in monitor.recent(_SHOWN)]


def _audit(state: AppState, samples: list[_Sample]) -> dict[str, Any]:
    log: Audit = state.services[Audit]
    if not log.enabled:
        return {"enabled": False}
    counted = dict(_by_label(samples, "rampart_audit_records_total", "outcome"))
    # What this worker could not even count is known here.
    failures = max(int(counted.get("failed", 0)), log.failures)
    return {"enabled": True, "refuses": log.refuses, "failures": failures, "verified": log.verified()}


def _coverage(state: AppState) -> list[dict[str, Any]]:
    """All rows, those first that are nobody's: no bound may hide them behind others."""
    deny = state.settings.default == "deny"
    rows = [
        {
            "path": row.path,
            "methods": list(row.methods),
            "guards": list(row.guards),
            "state": "guarded" if row.asks else "public" if row.opened else "refused" if deny else "open",
        }
        for row in coverage(state)
    ]
    return sorted(rows, key=lambda row: _ORDER.index(row["state"]))


def _reports(state: AppState) -> list[dict[str, Any]] | None:
    """What browsers reported; None where nothing collects that, or it cannot be read."""
    reports: Reports | None = state.services.get(Reports)
    if reports is None:
        return None
    try:
        groups = reports.list()[:_TOP]
    except StoreError:
        return None
    return [
        {
            "type": group.type,
            "directive": group.directive,
            "blocked": group.blocked,
            "page": group.page,
            "clients": group.clients,
            "count": group.count,
            "hint": group.hint,
            "last": group.last_seen,
        }
        for group in groups
    ]
