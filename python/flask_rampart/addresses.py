"""Decides of an IP address what it is, and whether this host may call it for somebody else.

Rules, in order:

1. what cannot be read as an address is none (``unreadable``), and an IPv6 zone is not part of one;
2. where clouds answer a machine about itself is ``metadata``, whatever else it is;
3. an IPv4 address that an IPv6 one carries is judged first: mapped (RFC 4291), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC
   3056), Teredo (RFC 4380), compatible, translated (RFC 2765) and ISATAP (RFC 5214). Mapped and NAT64 ones *are* that
   IPv4 address; the others lead through a tunnel of a kind that is given up (``tunnel``), to a public address too;
4. what a registry of IANA reserves for a purpose has its name: ``private``, ``loopback``, ``link-local``, ...;
5. of IPv6 only 2000::/3 is ``public``.

The tables are written here: Python's own differ by its version (CVE-2024-4032).

It resolves no name. A public address may be this host's own: whoever has services on public addresses that trust who
calls from here must list the hosts that may be called.

Sources: the special-purpose registries of IANA (RFC 6890 and its successors); OWASP "Server Side Request Forgery
Prevention"; CWE-918; the clouds' own pages for the metadata addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: What is never called, by no setting: it is nobody's service.
NEVER = frozenset({"broadcast", "link-local", "metadata", "multicast", "unreadable", "unspecified"})
_WORST = ("metadata", *sorted(NEVER - {"metadata"}))


def kind_of(address: str) -> str:
    """What *address* is: ``"public"``, or why it is not.

    >>> [kind_of(each) for each in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "x")]
    ['public', 'private', 'loopback', 'metadata', 'unreadable']
    """
    ip = _read(address)
    return "unreadable" if ip is None else _kind(ip)


def is_permitted(address: str, *, allow_private: bool) -> bool:
    """Whether *address* may be called: a public one, or with *allow_private* any that is not :data:`NEVER`."""
    kind = kind_of(address)
    return kind == "public" or (allow_private and kind not in NEVER)


def is_allowed(address: str, networks: Iterable[Network]) -> bool:
    """Whether *address* may be called: a public one, or one of *networks* that is not :data:`NEVER`.

    >>> [is_allowed(each, [ip_network("128.0.0.0/1")]) for each in ("192.168.0.1", "10.0.0.1", "169.254.169.254")]
    [True, False, False]
    """
    kind = kind_of(address)
    if kind == "public" or kind in NEVER:
        return kind == "public"
    ip = _read(address)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return any(each in network for each in (ip, mapped) if each is not None for network in networks)


def _read(address: str) -> Address | None:
    try:
        # Only IPv6 has zones: what connects would look up an IPv4 address with one as a name.
        return ip_address(address.partition("%")[0] if ":" in address else address)
    except ValueError:
        return None


def _kind(ip: Address) -> str:
    if ip in _METADATA or any(ip in network for network in _METADATA_NETWORKS if network.version == ip.version):
        return "metadata"
    if isinstance(ip, IPv4Address):
        return _reserved(ip) or "public"
    if ip.ipv4_mapped is not None:
        return _kind(ip.ipv4_mapped)
    if ip in _NAT64:
        return _kind(_last(ip))
    special = _reserved(ip)
    if special in NEVER or special == "loopback":
        return special or ""
    carried = [_kind(each) for each in _carried(ip)]
    # Of several readings one is meant; the one that would do most harm counts.
    worst = next((kind for kind in _WORST if kind in carried), None)
    return worst or special or ("tunnel" if carried else "public")


def _reserved(ip: Address) -> str | None:
    for network, kind in _RESERVED:
        if network.version == ip.version and ip in network:
            return kind
    return None if isinstance(ip, IPv4Address) or ip in _UNICAST else "reserved"


def _carried(ip: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses to which a packet to *ip* may come."""
    found = [ip.sixtofour, *(ip.teredo or ())]
    if any(ip in network for network in _LAST) or (int(ip) >> 32) & 0xFCFFFFFF == 0x00005EFE:
        found.append(_last(ip))
    if ip in _LOCAL_NAT64:
        # Under a prefix of 48 bits the address stands around the octet of zeros (RFC 6052 section 2.2). Where one of
        # the two readings is nothing, the other is meant.
        bits = int(ip)
        around = IPv4Address(((bits >> 64) & 0xFFFF) << 16 | (bits >> 40) & 0xFFFF)
        found = [each for each in (*found, around) if each is not None and int(each)] or [around]
    return [each for each in found if each is not None]


def _last(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFFFFFF)


_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most of them
        "169.254.170.2",  # ECS tasks
        "169.254.170.23",  # EKS pods
        "100.100.100.200",  # Alibaba
        "100.88.222.5",  # Tencent
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle, at first
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fd00:42::42",  # Scaleway
        "fd20:ce::254",  # Google
    )
)
#: All of EC2's own services: ::254 metadata, ::23 credentials of pods, ::253 names, ::123 time.
_METADATA_NETWORKS: tuple[Network, ...] = (IPv6Network("fd00:ec2::/48"),)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
#: Compatible, translated, local NAT64 of 96 bits: an IPv4 address in the last 32.
_LAST = tuple(IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48"))
_RESERVED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "tunnel"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),
        ("2001::/32", "tunnel"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "tunnel"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "reserved"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
