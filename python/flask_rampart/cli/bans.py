"""``flask rampart ban`` and ``unban``: in the bans that the workers ask, while these run.

Nothing lists who is banned: only keyed hashes are kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

import click
from flask import current_app

from .._native import client_key
from ..exchange import EXTENSION
from ..guards import AppState, methods_of
from ..limits import Limits, limit
from ..limits import duration as read_duration
from ..limits.asking import scope_of
from ..limits.bans import key_text
from ..limits.remote import RemoteAway
from .callers import Caller, names_caller
from .limits import on_limits, reachable, rows, store_of

_NETWORKS = {4: 24, 6: 48}


@click.command(
    "ban",
    help="Refuse an address, or a network of /24 or /48, for a while, everywhere.",
    short_help="Refuse an address or a network everywhere, for a while.",
)
@click.argument("address")
@click.option("--for", "length", required=True, metavar="DURATION", help="Such as '1 hour'.")
@on_limits
def ban(service: Limits, address: str, length: str) -> None:
    reachable(service)
    if not any(rows(service)):
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
    click.echo(f"{address} is refused for {seconds} s, from the next request on; kept in {store_of(service)}")
    _warn_of_no_worker(service)


@click.command(
    "unban",
    help="End bans: of an address or network, by the key that was banned, or by a ban's id.",
    short_help="End bans of an address, a network, a key, or by their ids.",
)
@click.argument("address", required=False)
@click.option("--id", "ban_id", help="As the log says it: 32 hexadecimal digits.")
@on_limits
@names_caller
def unban(service: Limits, caller: Caller, ban_id: str | None) -> None:
    if bool(caller) == (ban_id is not None):
        raise click.UsageError("Say whose: an address or network, --principal, --value or --api-key; or --id.")
    reachable(service)
    bans = service.bans
    if ban_id is not None:
        _lift(service, [ban_id], ban_id)
        _warn_of_no_worker(service)
        return
    who = " with ".join(caller.said)
    kind: Literal["address", "network", "key"] = "key"
    text = ""
    if caller.address is not None:
        kind, text = _banned(caller.address)
        if kind == "address" and _network_of(text) is None:
            raise click.ClickException(f"{caller.address!r} is no address.")
        caller = replace(caller, address=text if kind == "address" else None)
    ids = [bans.id_of("key", key_text(scope, key)) for scope, key in _banned_keys(service, caller)]
    if kind != "key":
        ids.append(bans.id_of(kind, text))
    if not ids:
        raise click.ClickException(
            "no limit bans by such a key; name all parts of one by several. If the log says the ban's id: --id."
        )
    _lift(service, [one for one in ids if one is not None], who)
    network = _network_of(text) if kind == "address" else None
    left = bans.left("network", text) if network is not None else 0.0
    if left:
        click.echo(f"Its network is, for {round(left)} s: flask rampart unban {network}")
    _warn_of_no_worker(service)


def _lift(service: Limits, ids: Sequence[str], who: str) -> None:
    try:
        was = service.bans.lift_all(ids)
    except RemoteAway as away:
        raise click.ClickException(f"{away}; this host has ended it, others have not heard of it.") from None
    click.echo(f"{who} is banned no more." if was else f"{who} was not banned in {store_of(service)}")


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


def _banned_keys(service: Limits, caller: Caller) -> list[tuple[str, str]]:
    """Of each limit that bans by a key of who was named, the scope and the key."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState = app.extensions[EXTENSION]
    state.seal()
    address = caller.address
    # Whoever has one of the parts alone is met by what bans that, and who has none has an address for it.
    callers = [caller] if address is None else [caller, Caller(address=address)]
    found: dict[tuple[str, str], None] = {}
    for rule in app.url_map.iter_rules():
        for method in methods_of(rule) if rule.endpoint in app.view_functions else ():
            for guard, place in state.guards_of(rule.endpoint, method):
                if not isinstance(guard, limit) or guard.penalty is None or guard.penalty.by != "key":
                    continue
                counted = guard.counted_as(method)
                if counted is None:
                    continue
                for one in callers:
                    key = one.key(guard.by, address)
                    if key is not None and guard.by == "address":
                        key = client_key(key, state.settings.ipv6_prefix)
                    if key is not None:
                        scope = service.scope(guard, rule.endpoint, place, 0, seated=True)
                        found[scope_of(guard, scope, counted), key] = None
    return list(found)


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
