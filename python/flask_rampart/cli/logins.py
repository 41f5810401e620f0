"""``flask rampart logins``: who is logged in where, and how to end it. And ``flask rampart jwks``: our public keys."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import click

from ..tokens import Tokens
from .layout import counted, print_table
from .telling import works_on

_NONE = "this app issues no tokens: set RAMPART_JWT_KEYS"
_told = works_on(Tokens, _NONE)
_told_of = works_on(Tokens, _NONE, looks=True)


@click.group("logins", help="Logins: list those of a subject, end one or all.")
def logins() -> None:
    pass


@logins.command("list", help="List the logins of SUBJECT that can still be refreshed.")
@click.argument("subject")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_told_of
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
    print_table(table)
    click.echo(counted(len(rows), "login"))


@logins.command("end", help="End LOGIN, for all workers from their next request on.", short_help="End LOGIN.")
@click.argument("login")
@_told
def end(tokens: Tokens, login: str) -> None:
    tokens.revoke_family(login)
    click.echo("ended: its refresh tokens, and its access tokens from the next request on")


@logins.command(
    "end-all",
    help="Take back all that SUBJECT has by now, for all workers from their next request on.",
    short_help="Take back all that SUBJECT has by now.",
)
@click.argument("subject")
@click.option("--issuer", help="Whose subject it is, where it is one of RAMPART_ISSUERS.")
@_told
def end_all(tokens: Tokens, subject: str, issuer: str | None) -> None:
    tokens.revoke_subject(subject, issuer=issuer)
    click.echo("taken back: all tokens and logins that were issued until now")


@click.command("jwks", help="Print the public keys as a JWK set.")
@_told_of
def jwks(tokens: Tokens) -> None:
    click.echo(json.dumps(tokens.public_keys(), indent=2))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
