"""``flask rampart routes``: every route, and the guards that a request to it meets."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from ..coverage import coverage
from ..errors import ConfigError
from ..exchange import EXTENSION
from ..guards import unseen
from .telling import only_looks


@click.command("routes", help="List every route with its guards; mark what is open.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a route declares nothing or a guard is out of sight.")
@only_looks
@with_appcontext
def routes(strict: bool) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state = app.extensions.get(EXTENSION)
    if state is None:
        raise click.ClickException("this app has no Rampart(app)")
    try:
        covered = coverage(state)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    rows = [(row.path, ",".join(row.methods), "  ".join(row.guards), row.opened) for row in covered]
    deny = state.settings.default == "deny"
    nothing = "nothing declared: refused" if deny else "nothing declared: OPEN"
    width = max((len(row[0]) for row in rows), default=0)
    width_methods = max((len(row[1]) for row in rows), default=0)
    undeclared = 0
    for path, methods_text, text, declared in rows:
        undeclared += not declared
        mark = " " if declared else ("-" if deny else "!")
        shown = text if declared else "  ".join(filter(None, (text, nothing)))
        click.echo(f"{mark} {path:<{width}}  {methods_text:<{width_methods}}  {shown}")
    warnings = unseen(app)
    for warning in warnings:
        click.echo(f"! {warning}", err=True)
    click.echo(
        f"{len(rows)} routes, {undeclared} that declare neither require nor public, {len(warnings)} hidden guards"
    )
    if strict and (undeclared or warnings):
        raise SystemExit(1)
