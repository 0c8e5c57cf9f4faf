"""Poll: CPU per poll of ours, of pyasic's multicommand and of a bare protocol, on the same sockets.

    python bench/poll.py [--json FILE] [--miners 2000] [--rounds 5] [--family antminer]

The simulated miners run in a process of their own; only the client's CPU is counted. One poll is
request, answer, parse; ours also normalises and keeps what it learned. The clients take turns in
every round, and the published figure is the median over the rounds.
"""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import orjson
import uvloop

from telemetry.devices.device import Capabilities, Device
from telemetry.devices.polling import PLANS, poll
from telemetry.domain.reading import Family

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyasic.rpc.antminer import AntminerRPCAPI
    from pyasic.rpc.btminer import BTMinerRPCAPI
    from pyasic.rpc.luxminer import LUXMinerRPCAPI

START = "127.72.0.1"
PORT = 14028
CONTROL_PORT = 14999
SOCKETS_AT_ONCE = 500
SHARE_OF_PYASIC = 0.25
TIMES_BARE = 2.5
# The class that pyasic itself takes for each of them.
PEERS = {
    Family.ANTMINER: AntminerRPCAPI,
    Family.LUXOS: LUXMinerRPCAPI,
    Family.WHATSMINER: BTMinerRPCAPI,
}

Loop = Callable[[], asyncio.AbstractEventLoop]
PollOne = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True)
class Row:
    """What one client needed, over all rounds."""

    client: str
    cpu_us_per_poll: float
    polls_per_s: float
    whole_readings: float


class Bare(asyncio.Protocol):
    """The least that reads an answer: write, collect, stop at the NUL or at the end."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.chunks: list[bytes] = []
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's has other parents
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        if data.endswith(b"\0") and not self.done.done():
            self.done.set_result(b"".join(self.chunks)[:-1])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        if not self.done.done():
            self.done.set_result(b"".join(self.chunks))


class Clients:
    """The three ways to poll the same miners for the same reports."""

    def __init__(self, addresses: list[str], family: Family) -> None:
        self.commands = PLANS[family].every_time
        self.request = orjson.dumps({"command": "+".join(self.commands)})
        self.addresses = addresses
        self.devices = [Device(address, PORT, str(family)) for address in addresses]
        self.learned = [Capabilities() for _ in addresses]
        self.peers = [PEERS[family](address, PORT) for address in addresses]

    async def ours(self, index: int) -> bool:
        reading, self.learned[index] = await poll(self.devices[index], self.learned[index])
        return reading.outcome.has_values

    async def pyasic(self, index: int) -> bool:
        answers = cast("dict[str, object]", await self.peers[index].multicommand(*self.commands))  # pyright: ignore[reportUnknownMemberType]  # untyped
        return len(answers) > len(self.commands)

    async def bare(self, index: int) -> bool:
        protocol = Bare(self.request)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: protocol, self.addresses[index], PORT)
        body = await protocol.done
        assert protocol.transport is not None
        protocol.transport.close()
        return len(orjson.loads(body)) > len(self.commands)


@dataclass(frozen=True)
class Turn:
    """One client's polls of the whole fleet."""

    cpu_s: float
    wall_s: float
    whole: int


def take_turn(poll_one: PollOne, miners: int, new_loop: Loop) -> Turn:
    """Poll every miner once, a bounded number at a time, and count this process's CPU.

    A few tasks take one miner after another: what the harness itself costs is in every figure.
    """

    async def all_of_them() -> int:
        waiting = iter(range(miners))

        async def one_after_another() -> int:
            return sum([await poll_one(index) for index in waiting])

        return sum(await asyncio.gather(*(one_after_another() for _ in range(SOCKETS_AT_ONCE))))

    gc.collect()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        whole = runner.run(all_of_them())
    return Turn(time.process_time() - cpu_s, time.perf_counter() - wall_s, whole)


@asynccontextmanager
async def simulated_miners(miners: int, family: Family) -> AsyncGenerator[None]:
    """Serve the fleet from a process of its own."""
    command = [sys.executable, "-m", "simulation", "serve", "--miners", str(miners)]
    command += ["--start", START, "--port", str(PORT), "--mix", f"{family}=1"]
    command += ["--control-port", str(CONTROL_PORT)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), 60)
        if not ready:
            sys.exit("The simulated miners did not start.")
        yield
    finally:
        process.terminate()
        await process.wait()


def addresses_of(miners: int) -> list[str]:
    """Return the addresses that the simulator serves."""
    command = [sys.executable, "-m", "simulation", "inventory", "--miners", str(miners)]
    command += ["--start", START, "--port", str(PORT), "--format", "json"]
    sheet = subprocess.run(command, capture_output=True, check=True)
    return [row["cgminer_ip"] for row in orjson.loads(sheet.stdout)]


def measure(clients: Clients, miners: int, rounds: int) -> dict[str, list[Turn]]:
    """Let the clients take turns; the first round only warms up, and learns each miner's name."""
    turns: dict[str, tuple[PollOne, Loop]] = {
        "ours (uvloop)": (clients.ours, uvloop.new_event_loop),
        "bare protocol + orjson (uvloop)": (clients.bare, uvloop.new_event_loop),
        "pyasic multicommand (asyncio)": (clients.pyasic, asyncio.new_event_loop),
        "pyasic multicommand (uvloop)": (clients.pyasic, uvloop.new_event_loop),
    }
    gc.collect()
    gc.freeze()  # what is imported by now would be walked again and again, by whoever has the turn
    for poll_one, new_loop in turns.values():
        take_turn(poll_one, min(miners, 200), new_loop)
    take_turn(clients.ours, miners, uvloop.new_event_loop)
    found: dict[str, list[Turn]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, (poll_one, new_loop) in turns.items():
            found[name].append(take_turn(poll_one, miners, new_loop))
    return found


def row(name: str, turns: list[Turn], miners: int) -> Row:
    """Return the medians of one client."""
    return Row(
        client=name,
        cpu_us_per_poll=round(statistics.median(t.cpu_s for t in turns) / miners * 1e6, 1),
        polls_per_s=round(statistics.median(miners / t.wall_s for t in turns)),
        whole_readings=min(t.whole for t in turns) / miners,
    )


def ratio(found: dict[str, list[Turn]], ours: str, peer: str) -> float:
    """Return the median over the rounds of our CPU over the peer's in the same round."""
    pairs = zip(found[ours], found[peer], strict=True)
    return round(statistics.median(mine.cpu_s / theirs.cpu_s for mine, theirs in pairs), 3)


def report(found: dict[str, list[Turn]], miners: int) -> dict[str, object]:
    """Print the table and return what it says."""
    rows = [row(name, turns, miners) for name, turns in found.items()]
    ours, bare, pyasic, pyasic_uvloop = found
    print(f"{'client':34} {'CPU µs/poll':>12} {'polls/s':>9} {'whole':>7}")
    for line in rows:
        print(
            f"{line.client:34} {line.cpu_us_per_poll:12.1f} {line.polls_per_s:9.0f}"
            f" {line.whole_readings:7.1%}"
        )
    figures = {
        "of_pyasic": ratio(found, ours, pyasic),
        "of_pyasic_on_uvloop": ratio(found, ours, pyasic_uvloop),
        "times_bare": ratio(found, ours, bare),
    }
    met = figures["of_pyasic"] <= SHARE_OF_PYASIC and figures["times_bare"] <= TIMES_BARE
    print(
        f"ours / pyasic {figures['of_pyasic']:.3f} (target {SHARE_OF_PYASIC}),"
        f" on uvloop {figures['of_pyasic_on_uvloop']:.3f};"
        f" ours / bare {figures['times_bare']:.2f} (target {TIMES_BARE}):"
        f" {'met' if met else 'MISSED'}"
    )
    return {"miners": miners, "rows": [asdict(line) for line in rows], **figures, "met": met}


async def run(miners: int, rounds: int, family: Family) -> dict[str, object]:
    """Serve, measure in a thread that owns its loops, report."""
    clients = Clients(addresses_of(miners), family)
    async with simulated_miners(miners, family):
        found = await asyncio.to_thread(measure, clients, miners, rounds)
    return report(found, miners)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--miners", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--family", type=Family, choices=list(PEERS), default=Family.ANTMINER)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = asyncio.run(run(options.miners, options.rounds, options.family))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if result["met"] else 1)


if __name__ == "__main__":
    main()
