"""Which addresses may be contacted at all.

A miner is contacted only inside the networks of its own site. Loopback, link-local, multicast and
other special ranges never, whatever a site allows, except the range of the simulated world, and
that only when it is switched on.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

SIMULATED = ip_network("127.64.0.0/10")
FIRST_PORT = 1024

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def networks(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks written in `cidrs`; what is no network allows nothing."""
    found: list[Network] = []
    for cidr in cidrs:
        try:
            found.append(ip_network(cidr, strict=False))
        except ValueError:
            continue
    return tuple(found)


def is_simulated(address: str) -> bool:
    """Return whether an address belongs to the simulated world."""
    try:
        return ip_address(address) in SIMULATED
    except ValueError:
        return False


def may_contact(
    address: str, port: int, allowed: Iterable[Network], *, simulated_allowed: bool
) -> bool:
    """Return whether a connection to this address and port is permitted."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if not FIRST_PORT <= port <= 65535:  # noqa: PLR2004  (the last TCP port)
        return False
    if not any(ip.version == network.version and ip in network for network in allowed):
        return False
    if ip in SIMULATED:
        return simulated_allowed
    return not _is_special(ip)


def _is_special(ip: Address) -> bool:
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return True  # would reach an IPv4 address past the checks for it
    return (
        ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved
    )
