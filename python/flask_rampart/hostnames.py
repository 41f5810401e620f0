"""Reads who a request is for: a host, and a port beside it, each written in one way only.

What a peer writes in ``Host`` and what a developer writes in a setting become the same :class:`Authority`, so that the
two can be compared letter by letter. Rules, in order:

1. at most 260 printable ASCII characters (RFC 1035 section 2.3.4, and a port); nothing that belongs to another part of
   a URL: no user, path, query, comma or blank;
2. the host is what ``weburl`` reads: a name, an IPv4 address of four decimal numbers, or an IPv6 address in brackets
   without a zone; case does not count, and one dot at its end is dropped (RFC 1034 section 3.1: the same name);
3. a port is 1 to 65535 without zeros before it; an empty one is none (RFC 3986 section 3.2.3);
4. in a setting alone, a name may have letters beyond ASCII, if IDNA 2003 and 2008 write it alike; where they differ
   (``ß``), or where something was dropped unseen, the A-label must be written: ``xn--...``.

It resolves nothing, and decides about nobody: ``network.hosts`` does.

Sources: RFC 9110 section 7.2, RFC 3986 section 3.2, RFC 5890, RFC 6761 section 6.3.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import ip_address
from typing import NamedTuple

from .weburl import PORTS, NotReadable, read_host

LONGEST = 260

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.\-]+)(?::(?P<port>[0-9]*))?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class Authority(NamedTuple):
    """A host in lower case, an IPv6 one without brackets, and a port if there was one."""

    host: str
    port: int | None = None

    def written(self, scheme: str | None = None) -> str:
        """As it stands in ``Host``: without the port where it is the scheme's own.

        >>> Authority("::1", 443).written("https"), Authority("example.com", 443).written("http")
        ('[::1]', 'example.com:443')
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port is None or (scheme is not None and self.port == PORTS.get(scheme)):
            return host
        return f"{host}:{self.port}"


def read_authority(text: str) -> Authority:
    """A host and perhaps a port, as a peer wrote them.

    :raises NotReadable: if it is none. The error quotes nothing of it.

    >>> read_authority("API.Example.com.:8443")
    Authority(host='api.example.com', port=8443)
    """
    found = _AUTHORITY.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise NotReadable("it is no host")
    port = found["port"]
    if port and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise NotReadable("its port is none")
    host = found["host"]
    return Authority(read_host(host.removesuffix(".")), int(port) if port else None)


def ascii_authority(text: str) -> Authority:
    """A host and perhaps a port, as a developer wrote them: with letters beyond ASCII, and IPv6 without brackets.

    :raises NotReadable: if it is none, or one that would be written in two ways.

    >>> ascii_authority("Bücher.example:8080"), ascii_authority("2001:db8::1")
    (Authority(host='xn--bcher-kva.example', port=8080), Authority(host='2001:db8::1', port=None))
    """
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    if text.isascii():
        return read_authority(text)
    name, colon, port = text.partition(":")
    return read_authority(".".join(_label(label) for label in name.split(".")) + colon + port)


def is_address(host: str) -> bool:
    """Whether a host that was read is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether a host that was read is this machine's own: ``localhost``, what is below it, or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return is_address(host) and ip_address(host).is_loopback


def _label(label: str) -> str:
    if label.isascii():
        return label
    plain = unicodedata.normalize("NFC", label.lower())
    try:
        written = plain.encode("idna").decode("ascii")
        same = written.encode("ascii").decode("idna") == plain
    except UnicodeError:
        same = False
    if not same:
        raise NotReadable("it has letters that are written in several ways; write the label as xn--...")
    return written
