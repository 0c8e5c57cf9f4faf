"""Addresses that strangers name: where this installation may call, and where it must not.

A URL is judged twice: when it is given, by its text; and before each call, by what its name
resolves to. The call then goes to that very address, so that a name cannot change its mind.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Resolve a name: its addresses, as text."""

PORTS = (443, 8443)
LONGEST_URL = 2000
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_LOWEST_LOOPBACK_PORT = 1024
_LONGEST_NAME = 253
_LOOKUP_S = 5
# Addresses that hold another one within: what they lead to cannot be judged from outside.
_TUNNELS = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"), ip_network("2002::/16"))


class Unsafe(ValueError):
    """An address that is not called; the text says why, to the one who gave it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """With its query."""
    literal: Address | None
    """The host, where it is an address and no name."""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """Return the URL by which this very address is called."""
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  (IPv6)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def target_of(url: str, *, loopback: bool) -> Target:
    """Return a URL as a target that may be called, as far as its text says.

    loopback: this machine may be called too, also without TLS (a simulated installation).

    Raises:
        Unsafe: it may not be.
    """
    if (
        len(url) > LONGEST_URL
        or not url.isascii()
        or not url.isprintable()
        or set(url) & set(" \\")
    ):
        msg = "write the URL in ASCII, without spaces, in at most 2,000 characters"
        raise Unsafe(msg)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        msg = "this is no URL"
        raise Unsafe(msg) from error
    if "@" in parts.netloc or parts.fragment or "#" in url:
        msg = "leave user names, passwords and fragments out of the URL"
        raise Unsafe(msg)
    literal = _literal(host)
    near = loopback and (host == "localhost" or (literal is not None and literal.is_loopback))
    if parts.scheme != "https" and not (near and parts.scheme == "http"):
        msg = "use https"
        raise Unsafe(msg)
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if port < _LOWEST_LOOPBACK_PORT if near else port not in PORTS:
        msg = "use port 443 or 8443"
        raise Unsafe(msg)
    if not near and (host == "localhost" or (literal is not None and not is_public(literal))):
        msg = "this address is not in the public Internet"
        raise Unsafe(msg)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, literal)


def _literal(host: str) -> Address | None:
    """Return a host as an address, or None for a proper name; nothing in between.

    Raises:
        Unsafe: it is neither, such as `127.1`, `0x7f.1` or `2130706433`.
    """
    try:
        if "%" not in host:
            return ip_address(host)
    except ValueError:
        labels = host.split(".")
        last = labels[-1]
        name = len(host) <= _LONGEST_NAME and all(_LABEL.match(label) for label in labels)
        numeric = last.isdigit() or last.startswith("0x")
        if name and not numeric and (len(labels) > 1 or host == "localhost"):
            return None
    msg = "the URL names no host"
    raise Unsafe(msg)


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public Internet, whatever it is written as."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.teredo is not None or any(address in network for network in _TUNNELS):
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


async def address_of(target: Target, *, loopback: bool, lookup: Lookup | None = None) -> Address:
    """Return the address to call; judged now, and to be called as it is.

    Raises:
        Unsafe: the name leads, or also leads, to where nobody may call.
        OSError: it leads nowhere.
    """
    if target.literal is not None:
        return target.literal
    async with asyncio.timeout(_LOOKUP_S):
        found = await (lookup or _resolve)(target.host, target.port)
    addresses = [ip_address(text.partition("%")[0]) for text in found]
    if not addresses:
        msg = "the name has no address"
        raise OSError(msg)
    near = loopback and target.host == "localhost"
    if not all(one.is_loopback if near else is_public(one) for one in addresses):
        msg = "the name leads to an address that is not in the public Internet"
        raise Unsafe(msg)
    return min(addresses, key=lambda one: one.version)


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]
