"""``flask rampart check``: what is open in this app, and what to do about it.

Exit codes: 0, nothing at or above ``--fail-level``; 1, something is; 2, the check could not be made, which is never
told as if nothing had been found: the app cannot be imported, has no ``Rampart(app)``, or a source of advisories does
not answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from flask import Flask
from flask.cli import ScriptInfo

from ..check import Finding, Place, Report, Severity, run
from ..check.installed import old
from ..check.matrix import table
from ..check.running import add, known_rules, of_advisories, of_notes, read_ignored
from ..check.sarif import sarif
from ..dependencies import Cache, CannotCheck, Index, Outcome, Service, SourceFailed, audit, installed
from ..dependencies.service import DEFAULT_URL
from ..exchange import EXTENSION
from .audit import safe
from .layout import print_table, print_text
from .telling import only_looks

_LEVELS = {each.word: each for each in Severity}
_NONE = "none"
_INDEX = "index+"
_COULD_NOT = 2
_WIDE = 46
Decorate = Callable[[Callable[..., None]], Callable[..., None]]


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """What ``check`` and ``dependencies`` have alike."""
    for option in reversed(
        (
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--sarif", "as_sarif", is_flag=True, help="Print SARIF 2.1.0, for code scanners."),
            click.option(
                "--fail-level",
                type=click.Choice([*_LEVELS, _NONE]),
                default="warning",
                show_default=True,
                help="Exit with 1 if something matters so much.",
            ),
            click.option("--ignore", multiple=True, metavar="ID[:PLACE]", help="Leave this out; may be repeated."),
            click.option(
                "--advisories",
                type=click.Path(exists=True, path_type=Path),
                help="A file, folder or zip of advisories in OSV's format, instead of a service.",
            ),
            click.option(
                "--source",
                metavar="URL",
                envvar="RAMPART_ADVISORIES_URL",
                help=f"Whom to ask: a service of OSV's API, or index+URL of a package index. Not given: {DEFAULT_URL}.",
            ),
            click.option("--timeout", type=click.FloatRange(0.1, 600), default=60.0, help="Seconds for all questions."),
            click.option("--no-cache", is_flag=True, help="Ask the service anew."),
        )
    ):
        function = option(function)
    return function


@click.command("check", help="Tell what is open in this app, and what to do about it.")
@click.option("--deploy", is_flag=True, help="Look for what matters in production alone, too.")
@click.option("--dependencies", is_flag=True, help="Compare the installed packages with advisories, too.")
@click.option("--no-routes", is_flag=True, help="Leave out the table of routes.")
@_options
@only_looks
@click.pass_context
def check(context: click.Context, /, deploy: bool, dependencies: bool, no_routes: bool, **given: Any) -> None:
    app = _load(context)
    # A source of the environment is no wish to ask it.
    named = context.get_parameter_source("source") is ParameterSource.COMMANDLINE
    dependencies = dependencies or given["advisories"] is not None or named
    _one_source(context, given)
    if EXTENSION not in app.extensions:
        _could_not("this app has no Rampart(app)")
    patterns = _ignored(given["ignore"])
    with _or_not_checked():
        with app.app_context(), redirect_stdout(sys.stderr):
            report = run(app, deploy=deploy, ignore=given["ignore"])
        if dependencies:
            _compare(report, patterns, None, given)
        _tell(report, given, app_file=_file_of(app), routes=not no_routes)


@click.command(
    "dependencies",
    help="Tell which installed packages have known advisories, or are too old. Needs no app.",
    short_help="Tell which installed packages have known advisories.",
)
@click.option("--path", multiple=True, metavar="FOLDER", help="Where packages are installed; may be repeated.")
@_options
def dependencies(path: tuple[str, ...], **given: Any) -> None:
    report = Report([])
    _one_source(click.get_current_context(), given)
    patterns = _ignored(given["ignore"])
    with _or_not_checked():
        if not path:
            # Of this process's own Python and packages; what is elsewhere runs on another, perhaps.
            add(report, old(date.today(), report.notes), patterns)
            add(report, of_notes(report.notes), patterns)
        _compare(report, patterns, list(path) or None, given)
        _tell(report, given, app_file="requirements.txt", routes=False)


class _Told(SystemExit):
    """The end of a check that was made, or was not, and says so."""


@contextmanager
def _or_not_checked() -> Iterator[None]:
    """What fails in here was not checked: Python's own exit code would be 1, which is that of findings."""
    try:
        yield
    except CannotCheck as error:
        _could_not(str(error))
    except (Exception, SystemExit) as error:
        if isinstance(error, _Told):
            raise
        traceback.print_exc()
        _could_not(f"{type(error).__name__}: {error}")


def _one_source(context: click.Context, given: dict[str, Any]) -> None:
    if given["advisories"] is not None and context.get_parameter_source("source") is ParameterSource.COMMANDLINE:
        _could_not("--advisories and --source are two sources: name one of them.")


def _ignored(given: tuple[str, ...]) -> list[tuple[str, str]]:
    try:
        return read_ignored(given)
    except ValueError as error:
        _could_not(str(error))


def _compare(report: Report, patterns: list[tuple[str, str]], path: list[str] | None, given: dict[str, Any]) -> None:
    source = given["advisories"] or _source(given["source"] or DEFAULT_URL, given["timeout"])
    cache = None if given["no_cache"] else Cache()
    try:
        report.outcome = audit(installed(path), source, cache, now=time.time())
    except SourceFailed as error:
        if given["advisories"] is not None:
            raise
        raise SourceFailed(f"{error} Without a network, name a file of advisories: --advisories FILE.") from None
    add(report, of_advisories(report.outcome), patterns)


def _source(url: str, seconds: float) -> Service | Index:
    # As package managers write addresses of version control: what is spoken, and where.
    if url.startswith(_INDEX):
        return Index(url[len(_INDEX) :], seconds=seconds)
    return Service(url, seconds=seconds)


def _load(context: click.Context) -> Flask:
    try:
        # What an app prints while it is made would stand in the middle of the JSON.
        with redirect_stdout(sys.stderr):
            return context.ensure_object(ScriptInfo).load_app()
    except click.ClickException as error:
        _could_not(error.format_message())
    except (Exception, SystemExit) as error:  # whatever the app raises when it is made
        frames = traceback.extract_tb(error.__traceback__)
        last = next((frame for frame in reversed(frames) if "flask_rampart" not in frame.filename), None)
        where = f" ({last.filename}, line {last.lineno})" if last is not None else ""
        _could_not(f"the app cannot be made: {type(error).__name__}: {error}{where}")


def _could_not(why: str) -> NoReturn:
    click.echo(f"Not checked: {safe(why)}", err=True)
    raise _Told(_COULD_NOT)


def _tell(report: Report, given: dict[str, Any], *, app_file: str, routes: bool) -> None:
    if given["as_sarif"]:
        log = sarif(report.findings, known_rules(), version=_version(), app_file=app_file)
        click.echo(json.dumps(log, indent=2))
    elif given["as_json"]:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report, routes=routes)
    level = given["fail_level"]
    if level != _NONE and report.at_least(_LEVELS[level]):
        raise _Told(1)


def _version() -> str:
    try:
        return version("flask-rampart")
    except PackageNotFoundError:
        return "0"  # run from its source


def _print(report: Report, *, routes: bool) -> None:
    if routes and report.rows:
        print_table([[_cut(safe(cell)) for cell in row] for row in table(report.rows)], about=2)
        click.echo()
    by_rule: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault((finding.weight, finding.rule.id), []).append(finding)
    for (severity, id), findings in by_rule.items():
        rule = findings[0].rule
        click.echo(f"{click.style(severity.word, fg=_COLOURS[severity], bold=True)} {id}: {safe(rule.title)}")
        for message, places in _by_message(findings).items():
            print_text(safe(message), "    ")
            for place in places:
                click.echo(f"      {safe(place)}")
        print_text(f"-> {safe(rule.cure)}", "    ")
        click.echo()
    if report.outcome is not None:
        click.echo(_told_of(report.outcome))
    if not report.deploy and report.outcome is None:
        click.echo("What matters in production alone was not looked for: --deploy does.")
    ignored = f"; {report.ignored} ignored" if report.ignored else ""
    counted = f" in {len(report.rows)} routes" if report.rows else ""
    print_text(f"{report.counted()}{counted}{ignored}. Each id is explained in docs/check-rules.md.")


def _by_message(findings: Iterable[Finding]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        places = found.setdefault(finding.message, [])
        # A package is named in the message.
        if str(finding.place) and finding.place != Place(package=finding.place.package):
            places.append(str(finding.place))
    return found


def _told_of(outcome: Outcome) -> str:
    packages = f"{outcome.checked} package{'' if outcome.checked == 1 else 's'}"
    told = f"{packages} compared with {outcome.source}"
    if outcome.is_from_file:
        return f"{told} ({outcome.advisories} advisories)."
    age = "asked now" if outcome.age is None else f"answers kept for {int(outcome.age // 60)} minutes"
    return f"{told} ({age})."


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


def _file_of(app: Flask) -> str:
    """Where the app is made, for what is in no file."""
    module = sys.modules.get(app.import_name)
    file = getattr(module, "__file__", None) or os.path.join(app.root_path, "app.py")
    path, here = Path(file).absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
