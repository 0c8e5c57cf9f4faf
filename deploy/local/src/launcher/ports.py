"""Which loopback ports are free, and who holds one that is not."""

import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

# Below the range from which Linux hands out ports for outgoing connections, so that none is lost
# between the choice and the start of the program that will listen there.
_FIRST, _LAST = 20_000, 32_000


class PortTakenError(Exception):
    """A program that must listen on a fixed port cannot."""


def is_free(port: int) -> bool:
    """Whether a program could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, but: Iterable[int] = ()) -> list[int]:
    """Return `count` different free loopback ports, none of those in `but`."""
    avoided, chosen = set(but), list[int]()
    dice = random.SystemRandom()
    while len(chosen) < count:
        port = dice.randint(_FIRST, _LAST)
        if port not in avoided and is_free(port):
            chosen.append(port)
            avoided.add(port)
    return chosen


def require_free(ports: Mapping[str, int]) -> None:
    """Refuse, naming each taken port, its would-be user and, where visible, its holder."""
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    if not taken:
        return
    sentences = [
        f"Port {port} is taken{_by(port)}; {name} needs it." for name, port in taken.items()
    ]
    raise PortTakenError(" ".join(sentences) + " Stop that program and try again.")


def _by(port: int) -> str:
    holder = _holder(port)
    return f" by {holder}" if holder else ""


def _holder(port: int) -> str | None:
    """Find the process that listens on a port; only one's own (or, for root, any) is visible."""
    inodes = _listening_inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(descriptor.readlink()) in inodes:
                pid = descriptor.parts[2]
                return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    listening, found = "0A", set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == listening and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found
