"""``flask rampart limits``, ``ban``, ``unban``, ``reset``: what is limited, and the state of one caller.

They work on the counters that the workers use, while these run. Nothing lists callers: counters do not know them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, Literal, NamedTuple

import click
from flask import current_app

from ..guards import EXTENSION, AppState
from ..limits import Counting, Limits, limit, quotas_of
from ..limits import duration as read_duration
from ..limits.keys import meant, parts, shown
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
    service: Limits, address: str | None, principal: str | None, issuer: str, value: str | None, as_json: bool
) -> None:
    rows = list(_rows(service))
    asked = any(word is not None for word in (address, principal, value))
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
            verdict = _set(service, row).peek((key,))
            told["left"], told["of"] = verdict.remaining, verdict.limit
            if not verdict.admitted:
                told["retry_after"] = verdict.retry_after
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
        left = f"{told.get('left')} of {told.get('of')}" + (
            f", in {told['retry_after']} s" if "retry_after" in told else ""
        )
        words = {**told, "left": left, "ban": told.get("ban", "") or told.get("mode", "")}
        lines.append([str(words[name]) for name in columns])
    print_table(lines)
    if banned:
        click.echo(f"Banned for {round(banned)} s.")
    if away:
        click.echo(f"{len(table)} limits; {away}: what this host has counted since.")
    else:
        click.echo(f"{len(table)} limits; counted in {_store(service)}")


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
    try:
        if not service.bans.ban(kind, text, seconds):
            raise click.ClickException(f"{address!r} is no address, or there is no room to remember it.")
    except RemoteAway as away:
        raise click.ClickException(f"{away}; this host refuses {address}, others have not heard of it.") from None
    click.echo(f"{address} is refused for {seconds} s, from the next request on.")


@click.command("unban", help="End the ban of an address or network.")
@click.argument("address")
@_told
def unban(service: Limits, address: str) -> None:
    _reachable(service)
    kind, text = _banned(address)
    try:
        was = service.bans.lift(kind, text)
    except RemoteAway as away:
        raise click.ClickException(f"{away}; this host has ended it, others have not heard of it.") from None
    click.echo(f"{address} is banned no more." if was else f"{address} was not banned.")


@click.command("reset", help="Forget what a caller has spent.")
@_who
@_told
def reset(service: Limits, address: str | None, principal: str | None, issuer: str, value: str | None) -> None:
    if address is None and principal is None and value is None:
        raise click.UsageError("Say whose: --address, --principal or --value.")
    _reachable(service)
    count = 0
    for row in _rows(service):
        key = _key(row, address, principal, issuer, value)
        if key is not None and row.scope:
            try:
                _set(service, row).clear((key,))
            except RemoteAway as away:
                raise click.ClickException(f"{away}; {count} limits were reset.") from None
            count += 1
    click.echo(f"{count} limits reset.")


def _rows(service: Limits) -> Iterator[Row]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState = app.extensions[EXTENSION]
    state.seal()
    if state.settings.limits is not None:
        yield Row("(all)", "", None, "application", state.settings.limits)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        found: dict[tuple[limit, str], list[str]] = {}
        for method in sorted(set(rule.methods or ()) - {"HEAD", "OPTIONS"}):
            for guard, place in state.guards_of(rule.endpoint, method):
                if isinstance(guard, limit) and (guard.methods is None or method in guard.methods):
                    found.setdefault((guard, place), []).append(method)
        for (guard, place), methods in found.items():
            # A quota that a function says, or one for each method, is known only in a request.
            plain = isinstance(guard.quota, str) and not guard.per_method
            scope = service.scope(guard, rule.endpoint, place, 0, seated=True) if plain else ""
            yield Row(rule.rule, ",".join(methods), guard, scope, guard.text)


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
        return f"{by}:{meant(f'{len(issuer)}:{issuer}:{meant(value)}')}"
    return f"{by}:{meant(value)}"


def _set(service: Limits, row: Row) -> Counting:
    kind = "address" if row.by == "address" else "text"
    return service.set_of([(row.scope, quotas_of(row.quota), kind)])


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


def _reachable(service: Limits) -> None:
    if service.remote is None and service.store.kind == "memory":
        raise click.ClickException(
            "RAMPART_LIMIT_STORE is memory://: each worker has counters of its own, which no command can reach."
        )


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
