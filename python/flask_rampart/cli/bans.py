"""``flask rampart ban`` and ``unban``: in the bans that the workers ask, while these run.

Nothing lists who is banned: only keyed hashes are kept.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

import click
from flask import current_app

from .._native import client_key
from ..guards import EXTENSION, AppState
from ..limits import Limits, limit
from ..limits import duration as read_duration
from ..limits.bans import key_text
from ..limits.keys import parts
from ..limits.remote import RemoteAway
from .callers import key_of
from .limits import on_limits, reachable, rows, store_of

_NETWORKS = {4: 24, 6: 48}


@click.command("ban", help="Refuse an address, or a network of /24 or /48, for a while, everywhere.")
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


@click.command("unban", help="End bans: of an address or network, by the key that was banned, or by a ban's id.")
@click.argument("address", required=False)
@click.option("--principal", help="A principal's id, such as a token's subject.")
@click.option("--issuer", default="", help="Who vouches for the principal; of a claim, too.")
@click.option("--value", help="Of a claim, a field or a function of the app's: what it says.")
@click.option("--id", "ban_id", help="As the log says it: 32 hexadecimal digits.")
@on_limits
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
    reachable(service)
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
        click.echo(f"{named[0]} was not banned in {store_of(service)}")
    network = _network_of(text) if kind == "address" else None
    left = bans.left("network", text) if network is not None else 0.0
    if left:
        click.echo(f"Its network is, for {round(left)} s: flask rampart unban {network}")
    _warn_of_no_worker(service)


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
                    key = key_of(guard.by, None, principal, issuer, value)
                if key is not None and len(parts(guard.by)) == 1:
                    scope = service.scope(guard, rule.endpoint, place, 0, seated=True)
                    found[f"{scope}:{method}" if guard.per_method else scope, key] = None
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
