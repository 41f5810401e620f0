"""``flask rampart keys``: make, list, rotate and revoke API keys."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from ..apikeys import ApiKeys, KeyInfo, NewKey
from .layout import counted, print_table
from .telling import works_on

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 90d, 12h, 30m or 45s", ctx, param)
    return timedelta(seconds=int(found[1]) * _UNITS[found[2] or "s"])


_NONE = "this app takes no API keys: set RAMPART_API_KEYS = True"
_told = works_on(ApiKeys, _NONE)


@click.group("keys", help="API keys: create, list, rotate, revoke.")
def keys() -> None:
    pass


@keys.command("create", help="Make a key, and print it once.")
@click.argument("name")
@click.option("--owner", help="Whom it speaks for.")
@click.option("--scopes", default="", help="What it may be used for: words.")
@click.option("--role", "roles", multiple=True, help="What its holder is; may be given several times.")
@click.option(
    "--lifetime", callback=_duration, metavar="DURATION", help="Such as 90d; without it, the key does not expire."
)
@click.option("--quota", help="How often it may be used, such as 1000/hour.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_told
def create(
    api_keys: ApiKeys,
    name: str,
    owner: str | None,
    scopes: str,
    roles: tuple[str, ...],
    lifetime: timedelta | None,
    quota: str | None,
    as_json: bool,
) -> None:
    new = api_keys.create(name, owner=owner, scopes=scopes, roles=roles, lifetime=lifetime, quota=quota)
    _print_new(new, as_json)


@keys.command("list", help="List the keys: never the secrets, which nobody has.")
@click.option("--owner", help="Only those of this owner.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@works_on(ApiKeys, _NONE, looks=True)
def list_(api_keys: ApiKeys, owner: str | None, as_json: bool) -> None:
    now = api_keys.now()
    found = api_keys.list(owner)
    if as_json:
        click.echo(json.dumps([_plain(info, now) for info in found], indent=2))
        return
    rows = [("ID", "STATE", "NAME", "OWNER", "SCOPES", "ROLES", "QUOTA", "CREATED", "EXPIRES", "LAST USED")]
    for info in found:
        rows.append(
            (
                info.id,
                info.state(now),
                info.name,
                info.owner or "-",
                " ".join(sorted(info.scopes)) or "-",
                " ".join(sorted(info.roles)) or "-",
                info.quota or "-",
                _time(info.created),
                _time(info.expires),
                _time(info.last_used),
            )
        )
    print_table(rows)
    click.echo(counted(len(found), "key"))


@keys.command(
    "rotate",
    help="Make a key with the same rights; the old one works until the overlap ends.",
    short_help="Make a key with the same rights, in place of an old one.",
)
@click.argument("key_id")
@click.option(
    "--overlap",
    callback=_duration,
    metavar="DURATION",
    required=True,
    help="How long the old key still works; 0 for not at all.",
)
@click.option(
    "--lifetime", callback=_duration, metavar="DURATION", help="Of the new key; the old one's own length without it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_told
def rotate(api_keys: ApiKeys, key_id: str, overlap: timedelta, lifetime: timedelta | None, as_json: bool) -> None:
    _print_new(api_keys.rotate(key_id, overlap=overlap, lifetime=lifetime), as_json)


@keys.command("revoke", help="Take a key back, for all workers from their next request on.")
@click.argument("key_id")
@_told
def revoke(api_keys: ApiKeys, key_id: str) -> None:
    click.echo(f"{key_id} is revoked." if api_keys.revoke(key_id) else f"{key_id} was revoked before.")


def _print_new(new: NewKey, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"key": new.key, **_plain(new.info, new.info.created)}, indent=2))
        return
    click.echo(new.key)
    click.echo(f"The key {new.id} is shown this once. Expires: {_time(new.info.expires)}.", err=True)


def _plain(info: KeyInfo, now: float) -> dict[str, Any]:
    return {
        "id": info.id,
        "state": info.state(now),
        "name": info.name,
        "owner": info.owner,
        "scopes": sorted(info.scopes),
        "roles": sorted(info.roles),
        "quota": info.quota,
        "claims": info.claims,
        "created": info.created,
        "expires": info.expires,
        "revoked": info.revoked,
        "line": info.line,
        "successor": info.successor,
        "last_used": info.last_used,
    }


def _time(unix: float | None) -> str:
    if unix is None:
        return "never"
    return datetime.fromtimestamp(unix, timezone.utc).strftime("%Y-%m-%d %H:%M")
