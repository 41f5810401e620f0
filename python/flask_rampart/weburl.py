"""Reads an http or https URL so strictly that no other reader can find another host in it.

What RFC 3986, the WHATWG URL standard and the parsers of today's clients read differently is refused, never repaired.
Rules, in order:

1. a text of at most 2,048 printable ASCII characters: a blank, a tab, a line end, a backslash or a letter beyond
   ASCII is read as something else, or dropped, by one reader or another (a host beyond ASCII is written ``xn--...``);
2. scheme, ``://`` and a host at once; no user or password, and no ``@`` before the first ``/`` of the path, where some
   readers look for the host behind it;
3. the host is a name of letters, digits, hyphens and underscores, nothing in it percent-encoded and no dot at its end;
   or an IPv4 address of four plain decimal numbers (a name that ends in a number is an address to browsers:
   ``127.1``, ``0x7f.1``, ``2130706433``, ``0177.0.0.1``); or an IPv6 address in brackets, without a zone;
4. the port, if there is one, is 1 to 65535, without zeros before it.

It resolves nothing and judges no address: ``addresses`` does.

Sources: RFC 3986; WHATWG URL; RFC 6874 (zones); "A New Era of SSRF" (O. Tsai, 2017); CVE-2019-9636, CVE-2023-24329,
CVE-2021-29921 (zeros before octets).
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

LONGEST = 2048
PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # printable ASCII without " < > \ ^ ` { | }
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class NotReadable(ValueError):
    """What is wrong with a URL. Its text quotes nothing of it."""


class WebUrl(NamedTuple):
    """A URL that was read. ``host`` is in lower case; an IPv6 one has no brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as they are written in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def read_url(url: str) -> WebUrl:
    """*url* without its fragment.

    :raises NotReadable: if it is none that all readers agree about.

    >>> read_url("HTTPS://API.example.com/v1?a=b#c")
    WebUrl(scheme='https', host='api.example.com', port=443, path='/v1?a=b')
    >>> read_url("http://127.1/")
    Traceback (most recent call last):
    flask_rampart.weburl.NotReadable: its host is an address that readers differ about
    """
    if len(url) > LONGEST:
        raise NotReadable(f"it is longer than {LONGEST} characters")
    if not url.isascii():
        raise NotReadable("it has characters beyond ASCII; a host's name is written as xn--..., a path percent-encoded")
    if not _PLAIN.fullmatch(url):
        raise NotReadable("it has characters that no URL has")
    found = _URL.fullmatch(url)
    if found is None:
        raise NotReadable("it is no absolute URL")
    scheme = found["scheme"].lower()
    if scheme not in PORTS:
        raise NotReadable("it is neither https nor http")
    path, query = found["path"] or "", found["query"] or ""
    if "@" in found["authority"]:
        raise NotReadable("it has a user or a password")
    if not path and "@" in query + (found["fragment"] or ""):
        raise NotReadable("it has an @ where readers differ about the host")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise NotReadable("it names no host")
    port = authority["port"]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise NotReadable("its port is none")
    return WebUrl(scheme, read_host(authority["host"]), int(port or PORTS[scheme]), (path or "/") + query)


def read_host(host: str) -> str:
    """A host in lower case, an IPv6 address without its brackets.

    :raises NotReadable: if it is none, or one that readers differ about.

    >>> read_host("API.Example.com"), read_host("[::1]")
    ('api.example.com', '::1')
    """
    if host.startswith("["):
        try:
            if "%" in host:
                raise NotReadable("its host has a zone")
            address = IPv6Address(host[1:-1])
            mapped = address.ipv4_mapped
            # Browsers write ::ffff:102:304, as Python did before 3.13.
            return str(address) if mapped is None else "::ffff:{:x}:{:x}".format(*divmod(int(mapped), 1 << 16))
        except AddressValueError:
            raise NotReadable("its host is no address") from None
    host = host.lower()
    labels = host.split(".")
    if not host or len(host) > 253:
        raise NotReadable("it names no host")
    if "%" in host:
        raise NotReadable("its host is percent-encoded")
    if not labels[-1]:
        raise NotReadable("its host ends with a dot")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise NotReadable("its host is no name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            # Four decimal numbers, none with a zero before it, on every Python that has the fix of CVE-2021-29921.
            return str(IPv4Address(host))
        except AddressValueError:
            raise NotReadable("its host is an address that readers differ about") from None
    return host
