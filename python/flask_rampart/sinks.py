"""Where records go beside their file: what one entry of ``RAMPART_AUDIT_SINKS`` means.

1. ``"stdout"`` and ``"otlp"`` are what they say.
2. ``"syslog://host"`` is by UDP (port 514, RFC 5426), ``"syslog+tcp://host"`` by TCP (601, RFC 6587 with octet
   counting), ``"syslog+tls://host"`` by TLS (6514, RFC 5425), ``"syslog+unix:///dev/log"`` by a datagram socket of this
   host.
3. ``?facility=local0`` names another facility than ``audit`` (13, RFC 5424 section 6.2.1).

It opens nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from .errors import ConfigError
from .readers import nearest, shown

FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
"""By number (RFC 5424 section 6.2.1)."""

_PORTS = {"syslog": 514, "syslog+tcp": 601, "syslog+tls": 6514}
_KNOWN = ("stdout", "otlp", "syslog://", "syslog+tcp://", "syslog+tls://", "syslog+unix://")
_MOST = 8


class SinkAddress(NamedTuple):
    """One sink."""

    name: str
    """As it was written, without its query."""
    kind: str
    """``"stdout"``, ``"otlp"``, ``"syslog"``, ``"syslog+tcp"``, ``"syslog+tls"`` or ``"syslog+unix"``."""
    host: str = ""
    """A name, an address, or the path of a socket."""
    port: int = 0
    facility: int = FACILITIES.index("audit")


def sinks(key: str, value: Any) -> tuple[SinkAddress, ...]:
    """The reader of a list of sinks.

    >>> sinks("RAMPART_AUDIT_SINKS", ["syslog+tcp://logs.example.com?facility=local0"])[0].port
    601
    """
    if isinstance(value, str) or not isinstance(value, (list, tuple)) or not 0 < len(value) <= _MOST:
        raise ConfigError(
            f'{key} takes a list of 1 to {_MOST} sinks, such as ["stdout", "syslog+tcp://logs.example.com"], not '
            f"{shown(value)}."
        )
    found = tuple(_sink(key, one) for one in value)
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{key} names {twice!r} twice.")
    return found


def _sink(key: str, value: object) -> SinkAddress:
    if value in ("stdout", "otlp"):
        return SinkAddress(str(value), str(value))
    if not isinstance(value, str) or "://" not in value:
        hint = nearest(value, _KNOWN) if isinstance(value, str) else ""
        raise ConfigError(f"{key} takes {', '.join(map(repr, _KNOWN))} with a host, not {shown(value)}.{hint}")
    try:
        parts = urlsplit(value)
        kind, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise _unreadable(key, value) from None
    if kind not in (*_PORTS, "syslog+unix"):
        raise ConfigError(f"{key}: {shown(value)} is no sink.{nearest(f'{kind}://', _KNOWN)}")
    is_unix = kind == "syslog+unix"
    is_right = bool(not host and parts.path.startswith("/") if is_unix else host and parts.path in ("", "/"))
    if not is_right or parts.fragment or "@" in parts.netloc or port == 0:
        raise _unreadable(key, value)
    facility = "audit"
    for name, given in parse_qsl(parts.query, keep_blank_values=True):
        if name != "facility" or given not in FACILITIES:
            hint = nearest(given, FACILITIES) if name == "facility" else nearest(name, ("facility",))
            raise ConfigError(f"{key}: a syslog sink takes ?facility= and one of {', '.join(FACILITIES)}.{hint}")
        facility = given
    return SinkAddress(
        value.partition("?")[0],
        kind,
        parts.path if is_unix else host,
        0 if is_unix else port or _PORTS[kind],
        FACILITIES.index(facility),
    )


def _unreadable(key: str, value: object) -> ConfigError:
    return ConfigError(
        f'{key}: {shown(value)} is no address such as "syslog+tcp://logs.example.com:601" or "syslog+unix:///dev/log".'
    )
