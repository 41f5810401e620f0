"""``flask rampart routes``: every route, and the guards that a request to it meets."""

from __future__ import annotations

from collections.abc import Sequence

import click
from flask import current_app
from flask.cli import with_appcontext

from ..coverage import coverage
from ..errors import ConfigError
from ..exchange import EXTENSION
from ..guards import unseen
from .layout import counted, packed, room
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
    rows = [(row.path, ",".join(row.methods), row.guards, row.opened) for row in covered]
    deny = state.settings.default == "deny"
    nothing = "nothing declared: refused" if deny else "nothing declared: OPEN"
    width = max((len(row[0]) for row in rows), default=0)
    width_methods = max((len(row[1]) for row in rows), default=0)
    undeclared = 0
    for path, methods_text, guards, declared in rows:
        undeclared += not declared
        mark = " " if declared else ("-" if deny else "!")
        shown = guards if declared else (*guards, nothing)
        begin = f"{mark} {path:<{width}}  {methods_text:<{width_methods}}  "
        for line in _beside(begin, shown, room()):
            click.echo(line)
    warnings = unseen(app)
    for warning in warnings:
        click.echo(f"! {warning}", err=True)
    hidden = counted(len(warnings), "hidden guard")
    click.echo(f"{counted(len(rows), 'route')}, {undeclared} without require or public, {hidden}")
    if strict and (undeclared or warnings):
        raise SystemExit(1)


def _beside(begin: str, guards: Sequence[str], width: int) -> list[str]:
    """A route's lines: its guards beside it, or below it where there is no room for them.

    >>> _beside("  /draft  POST  ", ["require()", "limit('5/minute', by='address')"], 50)
    ['  /draft  POST  require()', "                limit('5/minute', by='address')"]
    >>> _beside("  /a-long-path/<int:number>  POST  ", ["require()"], 40)
    ['  /a-long-path/<int:number>  POST', '      require()']
    """
    whole = begin + "  ".join(guards)
    if not width or len(whole) <= width:
        return [whole.rstrip()]
    if width - len(begin) < _LEAST:
        return [begin.rstrip(), *(_BELOW + line for line in packed(guards, width - len(_BELOW)))]
    first, *more = packed(guards, width - len(begin))
    return [begin + first, *(" " * len(begin) + line for line in more)]


_LEAST = 24
_BELOW = " " * 6
