"""``flask rampart limits``, ``ban``, ``unban``, ``reset``: what is limited, and the state of one caller.

They work on the counters that the workers use, while these run. Nothing lists callers: counters do not know them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
from flask import current_app

from .._native import client_key
from ..errors import Denied
from ..exchange import EXTENSION
from ..guards import AppState
from ..limits import Counting, Limits, limit, quotas_of
from ..limits import duration as read_duration
from ..limits.asking import lifted_for
from ..limits.bans import key_text
from ..limits.keys import claimed, meant, parts, shown
from ..limits.remote import RemoteAway
from .telling import print_table, works_on

_NETWORKS = {4: 24, 6: 48}
_told = works_on(Limits, "this app has no Rampart(app)")


class Row(NamedTuple):
    """One limit of one route."""

    route: str
    methods: str
    guard: limit | None
    scope: str
    quota: str

    @property
    def by(self) -> str:
        return "address" if self.guard is None else shown(self.guard.by)


def _who(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--by", help="Of --reserved: its by=, such as claim:tenant, if not who is named."),
        click.option("--scope", help="Of --reserved: its scope."),
        click.option("--reserved", metavar="QUOTA", help="Of a budget of rampart.reserve: its quota, as it is there."),
        click.option("--value", help="Of a claim, a field or a function of the app's: what it says."),
        click.option("--issuer", default="", help="Who vouches for the principal; of a claim, too."),
        click.option("--principal", help="A principal's id, such as a token's subject."),
        click.option("--address", help="A client's address."),
    ):
        command = option(command)
    return command


@click.command("limits", help="List every route's limits; with a caller, what is left to it.")
@_who
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_told
def limits(
    service: Limits,
    address: str | None,
    principal: str | None,
    issuer: str,
    value: str | None,
    reserved: str | None,
    scope: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    named = _named(reserved, scope, by, address, principal, value)
    rows = list(_rows(service)) if named is None else [named]
    asked = named is not None or any(word is not None for word in (address, principal, value))
    away = _away(service) if asked else ""
    table: list[dict[str, Any]] = []
    for row in rows:
        told: dict[str, Any] = {"route": row.route, "methods": row.methods, "limit": row.quota, "by": row.by}
        if row.guard is not None and row.guard.mode == "report":
            told["mode"] = "report"
        if row.guard is not None and row.guard.penalty is not None:
            told["ban"] = row.guard.ban
        if asked:
            key = _key(row, address, principal, issuer, value)
            if key is None or not row.scope:
                continue
            told.update(_left(service, row, key))
        table.append(told)
    banned = service.bans.left("address", address) if address else 0.0
    banned = max(banned, service.bans.left("network", address) if address else 0.0)
    if as_json:
        store = (service.store.path or "memory://") if away else _store(service)
        click.echo(json.dumps({"store": store, "limits": table, "banned": round(banned)}, indent=2))
        return
    columns = ["route", "methods", "limit", "by", *(["left"] if asked else []), *(["ban"] if not asked else [])]
    lines = [[name.upper() for name in columns]]
    for told in table:
        left = f"{told['left']} of {told['of']}" if told.get("left") is not None else "unknown"
        left += f", in {told['retry_after']} s" if "retry_after" in told else ""
        words = {**told, "left": left, "ban": told.get("ban", "") or told.get("mode", "")}
        lines.append([str(words[name]) for name in columns])
    print_table(lines)
    if banned:
        click.echo(f"Banned for {round(banned)} s.")
    if away:
        click.echo(f"{_many(len(table))}; {away}: what this host has counted since.")
    else:
        click.echo(f"{_many(len(table))}; counted in {_store(service)}")


@click.command("ban", help="Refuse an address, or a network of /24 or /48, for a while, everywhere.")
@click.argument("address")
@click.option("--for", "length", required=True, metavar="DURATION", help="Such as '1 hour'.")
@_told
def ban(service: Limits, address: str, length: str) -> None:
    _reachable(service)
    if not any(_rows(service)):
        raise click.ClickException("this app limits nothing, so nothing would ask who is banned: set RAMPART_LIMITS.")
    seconds = read_duration(length)
    kind, text = _banned(address)
    if kind == "address" and service.bans.is_exempt(text):
        raise click.ClickException(f"no ban refuses {address}: it is of RAMPART_BAN_EXEMPT or RAMPART_TRUSTED_PROXIES.")
    try:
        if not service.bans.ban(kind, text, seconds):
            raise click.ClickException(f"{address!r} is no address, or there is no room to remember it.")
    except RemoteAway as away:
        raise click.ClickException(f"{away}; this host refuses {address}, others have not heard of it.") from None
    click.echo(f"{address} is refused for {seconds} s, from the next request on; kept in {_store(service)}")
    _warn_of_no_worker(service)


@click.command("unban", help="End bans: of an address or network, by the key that was banned, or by a ban's id.")
@click.argument("address", required=False)
@click.option("--principal", help="A principal's id, such as a token's subject.")
@click.option("--issuer", default="", help="Who vouches for the principal; of a claim, too.")
@click.option("--value", help="Of a claim, a field or a function of the app's: what it says.")
@click.option("--id", "ban_id", help="As the log says it: 32 hexadecimal digits.")
@_told
def unban(
    service: Limits,
    address: str | None,
    principal: str | None,
    issuer: str,
    value: str | None,
    ban_id: str | None,
) -> None:
    named = [word for word in (address, principal, value, ban_id) if word is not None]
    if len(named) != 1:
        raise click.UsageError("Say whose: an address or network, --principal, --value or --id.")
    _reachable(service)
    bans = service.bans
    kind: Literal["address", "network", "key"] = "key"
    text = ""
    if address is not None:
        kind, text = _banned(address)
    if kind == "address" and _network_of(text) is None:
        raise click.ClickException(f"{address!r} is no address.")
    ids: list[str | None] = [ban_id] if ban_id is not None else []
    if ban_id is None:
        found = _banned_keys(service, text if kind == "address" else "", principal, issuer, value)
        ids = [bans.id_of("key", key_text(scope, key)) for scope, key in found]
    if kind != "key":
        ids.append(bans.id_of(kind, text))
    if not ids:
        raise click.ClickException("no limit bans by such a key alone; if the log says the ban's id: --id.")
    try:
        was = bans.lift_all([one for one in ids if one is not None])
    except RemoteAway as away:
        raise click.ClickException(f"{away}; this host has ended it, others have not heard of it.") from None
    if was:
        click.echo(f"{named[0]} is banned no more.")
    else:
        click.echo(f"{named[0]} was not banned in {_store(service)}")
    network = _network_of(text) if kind == "address" else None
    left = bans.left("network", text) if network is not None else 0.0
    if left:
        click.echo(f"Its network is, for {round(left)} s: flask rampart unban {network}")
    _warn_of_no_worker(service)


@click.command("reset", help="Forget what a caller has spent.")
@_who
@_told
def reset(
    service: Limits,
    address: str | None,
    principal: str | None,
    issuer: str,
    value: str | None,
    reserved: str | None,
    scope: str | None,
    by: str | None,
) -> None:
    named = _named(reserved, scope, by, address, principal, value)
    if named is None and address is None and principal is None and value is None:
        raise click.UsageError("Say whose: --address, --principal or --value.")
    _reachable(service)
    count = 0
    for row in _rows(service) if named is None else [named]:
        key = _key(row, address, principal, issuer, value)
        if key is not None and row.scope:
            try:
                _set(service, row).clear((key,))
            except RemoteAway as away:
                were = "was" if count == 1 else "were"
                raise click.ClickException(f"{away}; {_many(count)} {were} reset.") from None
            count += 1
    click.echo(f"{_many(count)} reset.")


def _rows(service: Limits) -> Iterator[Row]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState = app.extensions[EXTENSION]
    state.seal()
    if state.settings.limits is not None:
        yield Row("(all)", "", None, "application", state.settings.limits)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint not in app.view_functions:
            continue  # a rule for url_for alone (build_only)
        found: dict[tuple[limit, str], list[str]] = {}
        for method in sorted(rule.methods or ()):
            for guard, place in state.guards_of(rule.endpoint, method):
                if not isinstance(guard, limit) or not _is_told(guard, method):
                    continue
                if method not in lifted_for(guard, state, rule.endpoint):
                    found.setdefault((guard, place), []).append(method)
        for (guard, place), methods in found.items():
            # A quota that a function says, or one for each method, is known only in a request.
            plain = isinstance(guard.quota, str) and not guard.per_method
            scope = service.scope(guard, rule.endpoint, place, 0, seated=True) if plain else ""
            yield Row(rule.rule, ",".join(methods), guard, scope, guard.text)


def _named(
    quota: str | None,
    scope: str | None,
    by: str | None,
    address: str | None,
    principal: str | None,
    value: str | None,
) -> Row | None:
    """The budget that was named. A budget is known only where it is reserved, so nothing lists them."""
    if quota is None:
        if scope is not None or by is not None:
            raise click.UsageError("--scope and --by are of --reserved.")
        return None
    if not scope:
        raise click.UsageError("A budget is found by its scope: rampart.reserve(..., scope='chat') and --scope chat.")
    who: Any = by
    if by is None:
        # A value alone is what a function of the app's returns.
        who = "address" if address is not None else "principal" if principal is not None else lambda: value
    row = Row("(reserved)", "", limit(quota, by=who, scope=scope), f"shared:{scope}", quota)
    if _key(row, address, principal, "", value) is None:
        raise click.UsageError(
            "Say whose: --address, --principal or --value; a claim's with --by claim:<name> --value."
        )
    return row


def _many(count: int) -> str:
    return f"{count} limit" if count == 1 else f"{count} limits"


def _is_told(guard: limit, method: str) -> bool:
    """Whether a method is listed: what Flask adds by itself only if it was named."""
    is_named = guard.methods is not None and method in guard.methods
    return is_named or (method not in ("HEAD", "OPTIONS") and guard.counted_as(method) is not None)


def _key(row: Row, address: str | None, principal: str | None, issuer: str, value: str | None) -> str | None:
    """The key of the caller that was named, if this limit counts by what was named."""
    by: Any = "address" if row.guard is None else row.guard.by
    if len(parts(by)) > 1:
        return None
    if by == "address":
        return address
    if by == "global":
        return "global"
    if by == "principal":
        return None if principal is None else f"principal:{len(issuer)}:{issuer}:{principal}"
    if value is None or by == "api_key":
        return None
    if callable(by):
        return f"key:{value}"
    if by.startswith("claim:"):
        return f"{by}:{claimed(issuer, value)}"
    return f"{by}:{meant(value)}"


def _set(service: Limits, row: Row) -> Counting:
    kind = "address" if row.by == "address" else "text"
    on_error = "local" if row.guard is None else row.guard.on_store_error
    return service.set_of([(row.scope, quotas_of(row.quota), kind)], [on_error])


def _left(service: Limits, row: Row, key: str) -> dict[str, int | None]:
    try:
        verdict = _set(service, row).peek((key,))
    except Denied:
        # `on_store_error="closed"`: nobody counts while the store is away.
        return {"left": None, "of": None}
    left: dict[str, int | None] = {"left": verdict.remaining, "of": verdict.limit}
    return left if verdict.admitted else {**left, "retry_after": verdict.retry_after}


def _banned(address: str) -> tuple[Literal["address", "network"], str]:
    if "/" not in address:
        return "address", address
    try:
        network = ip_network(address, strict=False)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if network.prefixlen != _NETWORKS[network.version]:
        raise click.ClickException(
            f"{address}: networks are banned as /{_NETWORKS[4]} (IPv4) or /{_NETWORKS[6]} (IPv6)."
        )
    return "network", str(network.network_address)


def _network_of(address: str) -> IPv4Network | IPv6Network | None:
    """The network that would be banned with an address; None if that cannot be read."""
    # As a limit reads it: a mapped IPv4 address is that IPv4 address.
    packed = bytes.fromhex(client_key(address, 128))
    if not packed:
        return None
    found = ip_address(packed)
    return ip_network((found, _NETWORKS[found.version]), strict=False)


def _banned_keys(
    service: Limits, address: str, principal: str | None, issuer: str, value: str | None
) -> list[tuple[str, str]]:
    """Of each limit that bans by such a key, the scope and the key."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState = app.extensions[EXTENSION]
    state.seal()
    client = client_key(address, state.settings.ipv6_prefix)
    found: dict[tuple[str, str], None] = {}
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()) if rule.endpoint in app.view_functions else ():
            for guard, place in state.guards_of(rule.endpoint, method):
                if not isinstance(guard, limit) or guard.penalty is None or guard.penalty.by != "key":
                    continue
                if client:
                    # Who has no such key has an address for it.
                    key: str | None = client if guard.by == "address" else f"address:{client}"
                else:
                    key = _key(Row("", "", guard, "", ""), None, principal, issuer, value)
                if key is not None and len(parts(guard.by)) == 1:
                    scope = service.scope(guard, rule.endpoint, place, 0, seated=True)
                    found[f"{scope}:{method}" if guard.per_method else scope, key] = None
    return list(found)


def _reachable(service: Limits) -> None:
    if service.remote is None and service.store.kind == "memory":
        raise click.ClickException(
            "RAMPART_LIMIT_STORE is memory://: each worker has counters of its own, which no command can reach."
        )


def _warn_of_no_worker(service: Limits) -> None:
    """Where nobody else has the counters open, nobody hears of it: workers may have theirs elsewhere."""
    path = service.store.path
    if service.remote is None and path is not None and not _is_open_elsewhere(Path(path)):
        click.echo(
            "Warning: no worker that can be seen from here has that table open. It holds for workers that start with "
            "it: of the same user, app and folder.",
            err=True,
        )


def _is_open_elsewhere(path: Path) -> bool:
    """Whether another process has a table open; True where a system does not tell."""
    if not Path("/proc/self/maps").exists():
        return True
    stat = path.stat()
    place = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x} {stat.st_ino} "
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if maps.parent.name == str(os.getpid()):
            continue
        try:
            text = maps.read_text(errors="replace")
        except OSError:
            continue  # another user's, or it has ended
        if place in text or f" {path}\n" in text:
            return True
    return False


def _away(service: Limits) -> str:
    """Why nothing is known of the counters that all hosts share; empty if they can be asked."""
    try:
        if service.remote is not None:
            service.remote.bans()
    except RemoteAway as away:
        return str(away)
    return ""


def _store(service: Limits) -> str:
    return service.remote.name if service.remote is not None else service.store.path or "memory://"
