"""``flask rampart monitor``: the detectors, what they found, what they would have found, and an end to responses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from ..audit import Audit
from ..audit.reading import Log, wanted
from ..monitor import Detectors, Finding, Monitor, access_lines, read_file, replay, sights_of, stamp
from .layout import counted, print_table
from .telling import works_on

_OFF = "this app has no monitor"


@click.group("monitor", help="What attacks look like, and what was found.")
def monitor() -> None:
    pass


@monitor.command("rules", help="List the detectors that are on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@works_on(Monitor, _OFF, looks=True)
def rules(monitor: Monitor, as_json: bool) -> None:
    detectors = monitor.detectors
    if as_json:
        found = [
            {**detector.native(), "response": detector.response, "point": detector.point} for detector in detectors
        ]
        click.echo(json.dumps({"mode": monitor.mode, "rules": found}, indent=2))
        return
    rows = [
        [
            each.name,
            each.measure,
            each.by,
            str(each.threshold),
            f"{each.window} s",
            each.response,
            each.point,
            each.about,
        ]
        for each in detectors
    ]
    print_table([["RULE", "MEASURE", "BY", "THRESHOLD", "WINDOW", "RESPONSE", "APPSENSOR", "WHAT"], *rows])
    click.echo(f"{counted(len(detectors), 'rule')}; mode: {monitor.mode}")


@monitor.command("recent", help="Show the last findings of this host.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@works_on(Monitor, _OFF, looks=True)
def recent(monitor: Monitor, as_json: bool, limit: int) -> None:
    _is_here(monitor)
    _tell(monitor.recent(limit), as_json)
    if not as_json and monitor.place is not None and monitor.native.path is None:
        click.echo(f"No worker has made its table yet: {monitor.place}")


@monitor.command(
    "lift",
    help="End what the monitor has put in force on a subject: throttles and step-ups.",
    short_help="End throttles and step-ups of a subject.",
)
@click.argument("kind", type=click.Choice(["account", "address", "host", "network", "principal", "token"]))
@click.argument("subject")
@click.option("--issuer", help="Of a principal: who vouches for it; not needed of your own tokens.")
@works_on(Monitor, _OFF)
def lift(monitor: Monitor, kind: str, subject: str, issuer: str | None) -> None:
    _is_here(monitor)
    if not monitor.lift(kind, subject, issuer=issuer):
        more = "; a principal of another issuer needs --issuer" if kind == "principal" and issuer is None else ""
        if subject.endswith("..."):
            more += "; this name is cut: give it in full, as the audit log has it"
        raise LookupError(f"nothing is in force on this {kind}{more}")
    click.echo("lifted")


@monitor.command(
    "replay",
    help="Run recorded traffic through the detectors: which would have found what.",
    short_help="Run recorded traffic through the detectors.",
)
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file of rules, beside those of the package; instead of the app's own.",
)
@click.option("--since", metavar="TIME", help="Records since: 2026-11-29, 2026-11-29T10:00:00Z, or how long ago: 2h.")
@click.option("--until", metavar="TIME", help="Records before.")
@click.option(
    "--access-log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The access log of the same time: it has the requests that the audit log does not.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each.")
@works_on(Monitor, _OFF, looks=True)
def replay_command(
    monitor: Monitor,
    rules_file: Path | None,
    since: str | None,
    until: str | None,
    access_log: Path | None,
    as_json: bool,
) -> None:
    detectors = monitor.detectors
    if rules_file is not None:
        chosen = Detectors()
        read_file(rules_file, chosen, "--rules")
        detectors = chosen.enabled()
    is_wanted = wanted(since=since, until=until, own=True)
    log = _audit_log()
    if log is None and access_log is None:
        raise LookupError("there is nothing to replay: RAMPART_AUDIT_LOG is off; name a file with --access-log")
    records = (record for record in log.records() if is_wanted(record)) if log is not None else iter(())
    lines = None
    if access_log is not None:
        lines = (line for line in access_lines(access_log) if is_wanted({"event": "", **line}))
    found = list(replay(detectors, sights_of(records, lines)))
    _tell(found, as_json)
    if not as_json:
        _by_rule(found)


def _is_here(monitor: Monitor) -> None:
    """That nothing was found means something only where the workers' findings can be seen."""
    why = monitor.apart()
    if why:
        raise LookupError(why)


def _shown(text: str) -> str:
    """What a peer has written, such as an account's name, as a terminal may get it: without its controls (CWE-150), and
    without what changes the direction of the text (CVE-2021-42574)."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )


def _audit_log() -> Log | None:
    from flask import current_app

    from ..exchange import EXTENSION

    audit: Audit = current_app.extensions[EXTENSION].services[Audit]
    return Log(audit.directory) if audit.enabled else None


def _tell(found: list[Finding], as_json: bool) -> None:
    if as_json:
        for finding in found:
            click.echo(json.dumps(finding.as_dict()))
        return
    rows = [
        [
            stamp(each.time),
            each.severity,
            each.rule,
            _shown(f"{each.subject_kind} {each.subject}"),
            f"{each.count}/{each.threshold}",
            each.response if each.enforced else f"({each.response})",
            _shown(each.route) or "-",
        ]
        for each in found
    ]
    print_table([["TIME", "SEVERITY", "RULE", "SUBJECT", "COUNT", "RESPONSE", "ROUTE"], *rows], about=3)
    click.echo(counted(len(found), "finding"))


def _by_rule(found: list[Finding]) -> None:
    if not found:
        return
    counts = Counter(finding.rule for finding in found)
    subjects = {rule: len({(f.subject_kind, f.subject) for f in found if f.rule == rule}) for rule in counts}
    click.echo("")
    print_table(
        [
            ["RULE", "FINDINGS", "SUBJECTS"],
            *([rule, str(count), str(subjects[rule])] for rule, count in counts.most_common()),
        ]
    )
