"""``flask rampart csp-report``: what browsers reported, grouped, and what to change."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import click

from ..reports import ReportGroup, Reports
from .layout import counted, print_table
from .telling import works_on

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_TITLES = ("COUNT", "CLIENTS", "DIRECTIVE", "BLOCKED", "PAGE", "LAST SEEN", "HINT")


@click.command(
    "csp-report",
    help="What browsers reported, grouped, and what to change in the policy.",
    short_help="Tell what browsers reported, and what to change.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--since", metavar="DURATION", help="Only what was reported since, such as 7d, 12h, 30m, 2w.")
@click.option("--clear", is_flag=True, help="Forget all groups, after they were printed.")
@works_on(Reports, 'this app collects no reports: set RAMPART_REPORTS = "/reports"', looks=True)
def csp_report(reports: Reports, as_json: bool, since: str | None, clear: bool) -> None:
    groups = reports.list(since=None if since is None else reports.now() - _seconds(since))
    apart = reports.apart()
    if as_json:
        found = [_members(group) for group in groups]
        click.echo(json.dumps({"groups": found, "apart": apart}, indent=2))
    else:
        print_table([_TITLES, *map(_row, groups)], about=4)
        click.echo(counted(len(groups), "group"))
        if apart:
            click.echo("not kept: " + ", ".join(f"{count} {name}" for name, count in apart.items()))
    if clear:
        reports.clear()
        if not as_json:
            click.echo("forgotten: all groups")


def _members(group: ReportGroup) -> dict[str, Any]:
    seen = {"first_seen": _time(group.first_seen), "last_seen": _time(group.last_seen)}
    return {**vars(group), **seen, "sample": dict(group.sample)}


def _row(group: ReportGroup) -> list[str]:
    name = group.directive if group.type == "csp-violation" else f"{group.type}: {group.directive}".rstrip(": ")
    # Nothing is broken yet where a policy is only reported on.
    shown = f"{name} (report-only)" if group.disposition == "report" else name
    clients = f"{group.clients}+" if group.clients >= 200 else str(group.clients)
    return [
        str(group.count),
        clients,
        shown,
        group.blocked or "-",
        group.page,
        _time(group.last_seen),
        group.hint,
    ]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text.strip(), re.ASCII)
    if found is None:
        raise click.UsageError("--since takes a number and m, h, d or w, such as 7d.")
    return int(found[1]) * _UNITS[found[2]]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
