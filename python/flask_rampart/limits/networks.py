"""Whether an address is in one of several networks, in whichever of its spellings it comes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from .._native import client_key


class Networks:
    """Networks that are not limited.

    >>> "::ffff:10.1.2.3" in Networks(["10.0.0.0/8"]), "" in Networks(["10.0.0.0/8"])
    (True, False)
    """

    def __init__(self, networks: Iterable[str | IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def __contains__(self, address: str) -> bool:
        # As a limit counts it: a mapped or translated IPv4 address is that IPv4 address.
        packed = bytes.fromhex(client_key(address, 128))
        if not packed:
            return False
        found = ip_address(packed)
        return any(found in network for network in self._networks)
