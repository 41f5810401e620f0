"""Hands the monitor what it needs of other rooms: bans, the audit log, how somebody proves who they are, whose pages
are trusted, and who judges URLs.

It decides one thing: a webhook over plain HTTP is for a network of one's own, that ``RAMPART_OUTBOUND_ALLOW`` names.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from ._native import Clock
from .access import Schemes, require
from .audit import OWASP, Audit
from .audit.facts import Facts
from .config import Settings
from .errors import ConfigError, Denied
from .exchange import Principal, origin_of
from .guards import AppState, Guard
from .limits import Limits
from .monitor import Declared, Heeds, Monitor, close_all
from .origins import trusted_origins
from .outbound import OutboundRefused, Target, check_url
from .weburl import NotReadable, read_url

if TYPE_CHECKING:
    from flask import Flask


def monitor_of(app: Flask, settings: Settings, clock: Clock, declared: Declared, log: Audit, limits: Limits) -> Monitor:
    """The app's monitor.

    :raises ConfigError: for a setting or a detector that cannot be used.
    """

    def record(event: str, plain: dict[str, Any], told: dict[str, Any]) -> None:
        log.write(event, Facts(plain, told))

    monitor = Monitor(
        app,
        settings,
        clock,
        detectors=declared,
        record=record if log.enabled else None,
        admit=_judge(settings),
        events=OWASP,
        trusted=trusted_origins(settings),
    )

    def ban(kind: str, address: str, seconds: float) -> bool:
        return not limits.bans.is_exempt(address) and limits.bans.ban(kind, address, seconds)  # type: ignore[arg-type]

    log.at_tampering = monitor.tampered
    monitor.responses.ban = ban
    monitor.responses.is_exempt = limits.bans.is_exempt
    return monitor


def install(monitor: Monitor, state: AppState) -> None:
    """Tells the monitor what carries credentials, and has what it put in force heeded wherever somebody is
    identified."""
    known: Schemes = state.services[Schemes]
    monitor.fields = known.fields
    if not monitor.enforces:
        return
    heeds = Heeds(monitor.responses)

    def stale(principal: Principal, age: int) -> Denied:
        scheme = known.get(principal.kind) or known.get(origin_of(principal))
        fields = () if scheme is None else scheme.challenge.fields("insufficient_user_authentication", max_age=str(age))
        return Denied.of("auth.stale", "monitor: must be proved anew", headers=fields)

    def source(endpoint: str, method: str) -> Iterable[Guard]:
        identified = any(isinstance(guard, require) for guard, _ in state.declared_for(endpoint, method))
        return (heeds,) if identified else ()

    monitor.responses.stale = stale
    state.sources.append(source)


def _judge(settings: Settings) -> Callable[[str], Target]:
    url, networks = settings.monitor_webhook, settings.outbound_allow
    if url is not None:
        try:
            found = read_url(url)
        except NotReadable as error:
            raise ConfigError(f"RAMPART_MONITOR_WEBHOOK: {error}.") from None
        if found.scheme not in ("http", "https"):
            raise ConfigError("RAMPART_MONITOR_WEBHOOK must be an https URL.")
        if found.scheme == "http" and not networks:
            raise ConfigError(
                "RAMPART_MONITOR_WEBHOOK is plain HTTP, which is for a network of your own: name that in "
                "RAMPART_OUTBOUND_ALLOW, or use https."
            )

    def admit(url: str) -> Target:
        found = read_url(url)
        target = check_url(url, schemes=("http", "https"), ports=(found.port,), allow_networks=networks)
        own = [ip_network(network) for network in networks]
        if target.scheme == "http" and not all(
            any(ip_address(address) in network for network in own) for address in target.addresses
        ):
            raise OutboundRefused("scheme", "plain HTTP is for networks of RAMPART_OUTBOUND_ALLOW")
        return target

    return admit


# What waits is counted, and told, before the audit log is closed: what was registered last is called first.
atexit.register(close_all)
