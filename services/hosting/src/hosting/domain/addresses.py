"""Which addresses may hold a machine. Everything else is never contacted, whoever asks."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
SIMULATED = IPv4Network("127.64.0.0/10")
LOWEST_PORT = 1024


class UnusableAddress(ValueError):
    """The text names no network or address that may hold a machine; the message says why."""


def machine_network(
    text: str, *, allow_simulated: bool, forbidden: Iterable[Network] = ()
) -> Network:
    """Return the network that a CIDR names, if machines may live in it.

    Raises:
        UnusableAddress: it is malformed, not private, or reserved for something else.
    """
    try:
        network = ip_network(text)
    except ValueError as error:
        raise UnusableAddress(_malformed(text, error)) from error
    ranges = (*PRIVATE, SIMULATED) if allow_simulated else PRIVATE
    if not any(_within(network, allowed) for allowed in ranges):
        msg = f"{text} is not inside a private range ({', '.join(map(str, ranges))})"
        raise UnusableAddress(msg)
    for reserved in forbidden:
        if network.version == reserved.version and network.overlaps(reserved):
            msg = f"{text} overlaps {reserved}, which this installation keeps for itself"
            raise UnusableAddress(msg)
    return network


def machine_address(text: str, networks: Iterable[Network]) -> Address:
    """Return the address of a machine, given the networks of its site.

    Only a plain literal is an address here: no name, no zone, no shortened or numeric form.

    Raises:
        UnusableAddress: it is no plain address, or outside all of the networks.
    """
    try:
        address = ip_address(text)
    except ValueError as error:
        msg = f"{text!r} is not an IP address"
        raise UnusableAddress(msg) from error
    allowed = list(networks)
    if "%" in text or not any(address in network for network in allowed):
        ranges = ", ".join(map(str, allowed)) or "none"
        msg = f"{text} is outside the site's address ranges ({ranges})"
        raise UnusableAddress(msg)
    return address


def _within(network: Network, allowed: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(allowed, IPv4Network) and network.subnet_of(allowed)
    return isinstance(allowed, IPv6Network) and network.subnet_of(allowed)


def _malformed(text: str, error: ValueError) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is not a network in CIDR form: {error}"
    return f"{text} has bits set to the right of its mask; did you mean {meant}?"
