"""``flask rampart logins``: who is logged in where, and how to end it. And ``flask rampart jwks``: our public keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..errors import RampartError
from ..guards import EXTENSION, AppState
from ..tokens import Tokens


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """What is wrong becomes a sentence and exit code 1."""

    @wraps(command)
    def told(**given: Any) -> None:
        state: AppState | None = current_app.extensions.get(EXTENSION)
        tokens = state.services.get(Tokens) if state else None
        if state is None or tokens is None:
            raise click.ClickException("this app issues no tokens: set RAMPART_JWT_KEYS")
        try:
            command(tokens, **given)
        except (RampartError, LookupError, ValueError) as error:
            raise click.ClickException(str(error.args[0] if error.args else error)) from None

    return told


@click.group("logins", help="Logins: list those of a subject, end one or all.")
def logins() -> None:
    pass


@logins.command("list", help="List the logins of SUBJECT that can still be refreshed.")
@click.argument("subject")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
@_told
def list_(tokens: Tokens, subject: str, as_json: bool) -> None:
    found = sorted(tokens.logins(subject), key=lambda login: (login.began, login.family))
    rows = [
        {
            "login": login.family,
            "began": _time(login.began),
            "refreshed": _time(login.refreshed),
            "ends": _time(login.ends),
            "scopes": " ".join(sorted(login.scopes)),
            "roles": " ".join(sorted(login.roles)),
        }
        for login in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    titles = ["login", "began", "refreshed", "ends", "scopes", "roles"]
    table = [[title.upper() for title in titles], *([row[title] or "-" for title in titles] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(titles))]
    for line in table:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
    click.echo(f"{len(rows)} logins")


@logins.command("end", help="End LOGIN, for all workers from their next request on.")
@click.argument("login")
@with_appcontext
@_told
def end(tokens: Tokens, login: str) -> None:
    tokens.revoke_family(login)
    click.echo("ended: its refresh tokens, and its access tokens from the next request on")


@logins.command("end-all", help="Take back all that SUBJECT has by now, for all workers from their next request on.")
@click.argument("subject")
@click.option("--issuer", help="Whose subject it is, where it is one of RAMPART_ISSUERS.")
@with_appcontext
@_told
def end_all(tokens: Tokens, subject: str, issuer: str | None) -> None:
    tokens.revoke_subject(subject, issuer=issuer)
    click.echo("taken back: all tokens and logins that were issued until now")


@click.command("jwks", help="Print the public keys as a JWK set.")
@with_appcontext
@_told
def jwks(tokens: Tokens) -> None:
    click.echo(json.dumps(tokens.public_keys(), indent=2))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
