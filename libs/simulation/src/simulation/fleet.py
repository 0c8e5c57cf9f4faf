"""The fleet: every miner on its own address, in one process, under one clock.

async with Fleet(FleetSpec(miners=20, start="127.64.9.1", ramp_s=0.5)) as fleet:
    await fleet.miners[3].set_fault("silent", duration_s=10)
"""

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from simulation.faults import (
    FAULT_KINDS,
    PORT_FAULTS,
    TEXT_FAULTS,
    FaultKind,
    encoded,
    stranger,
)
from simulation.firmware.antminer import Antminer
from simulation.firmware.base import Firmware
from simulation.firmware.luxos import LuxOS
from simulation.firmware.whatsminer import WhatsMiner
from simulation.inventory import BadSpec, FleetSpec, Unit, units
from simulation.models import Family
from simulation.physics import Machine, State
from simulation.port import Port, PortState
from simulation.wire import Connection

FIRMWARE: dict[Family, type[Firmware]] = {
    "luxos": LuxOS,
    "whatsminer": WhatsMiner,
    "antminer": Antminer,
}
MACHINE_FAULTS: frozenset[FaultKind] = frozenset(
    {"overheat", "identity", "refuse_control", "refuse_join"}
)
WIRE_FAULTS = frozenset(FAULT_KINDS) - PORT_FAULTS - MACHINE_FAULTS - frozenset(TEXT_FAULTS)
SPARE_FILES = 512


@dataclass(slots=True)
class Traffic:
    """What clients have done: one per miner, and one for the whole fleet."""

    connections: int = 0
    requests: int = 0
    open_now: int = 0
    most_open: int = 0

    def opened(self) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)


class SimulatedMiner:
    """One miner on its socket, with the truth about it at hand."""

    def __init__(self, fleet: "Fleet", unit: Unit, machine: Machine, firmware: Firmware) -> None:
        self.unit = unit
        self.machine = machine
        self.firmware = firmware
        self.traffic = Traffic()
        self.delay_s = fleet.spec.delay_s
        self._fleet = fleet
        self._faults: dict[FaultKind, float] = {}
        self._port = Port(unit.address, unit.port, lambda: Connection(self))

    @property
    def address(self) -> str:
        return self.unit.address

    @property
    def port(self) -> int:
        return self.unit.port

    @property
    def listening(self) -> bool:
        return self._port.state == "open"

    @property
    def state(self) -> State:
        return self.machine.state(self._fleet.clock())

    @property
    def faults(self) -> list[FaultKind]:
        return sorted(self._faults)

    def true_power_w(self, now: float | None = None) -> float:
        """Return the watts at the wall, whatever the firmware reports."""
        return self.machine.power_w(self._fleet.clock() if now is None else now)

    def truth(self, now: float) -> dict[str, object]:
        """Return everything that a test may want to hold the platform's view against."""
        unit, machine = self.unit, self.machine
        return {
            "index": unit.index,
            "address": unit.address,
            "port": unit.port,
            "family": unit.family,
            "model": unit.model.name,
            "serial_number": unit.serial_number,
            "state": machine.state(now),
            "power_w": machine.power_w(now),
            "hashrate_ths": machine.hashrate_ths(now),
            "full_power_w": unit.power_w,
            "elapsed_s": machine.elapsed_s(now),
            "changed_at": machine.changed_at,
            "faults": self.faults,
            "listening": self.listening,
            **asdict(self.traffic),
        }

    # Faults

    async def set_fault(self, kind: FaultKind, *, duration_s: float | None = None) -> None:
        """Make one thing go wrong, for good or for some seconds; others stay as they are."""
        loop = asyncio.get_running_loop()
        ends_at = float("inf") if duration_s is None else loop.time() + duration_s
        self._faults[kind] = ends_at
        if duration_s is not None:
            loop.call_later(duration_s + 0.001, self._fleet.spawn_refresh, self)
        await self.refresh()

    async def clear_faults(self, kind: FaultKind | None = None) -> None:
        if kind is None:
            self._faults.clear()
        else:
            self._faults.pop(kind, None)
        await self.refresh()

    async def refresh(self) -> None:
        """Bring port and machine into line with the faults that still hold."""
        loop_time = asyncio.get_running_loop().time()
        self._faults = {kind: ends for kind, ends in self._faults.items() if ends > loop_time}
        firmware = self.firmware
        self.machine.overheating = "overheat" in self._faults
        firmware.refuses_control = "refuse_control" in self._faults
        firmware.refuses_joins = "refuse_join" in self._faults
        firmware.unit = stranger(self.unit) if "identity" in self._faults else self.unit
        if self._fleet.running:
            await self._port.become(self._wanted_port_state())

    def wire_fault(self) -> FaultKind | None:
        if not self._faults:
            return None
        return next((kind for kind in self._faults if kind in WIRE_FAULTS), None)

    # Called by connections

    def opened(self, connection: Connection) -> None:
        self.traffic.opened()
        self._fleet.traffic.opened()
        self._fleet.connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self.traffic.open_now -= 1
        self._fleet.traffic.open_now -= 1
        self._fleet.connections.discard(connection)

    def answer(self, raw: bytes, connection: Connection) -> bytes:
        self.traffic.requests += 1
        self._fleet.traffic.requests += 1
        now, firmware = self._fleet.clock(), self.firmware
        text = firmware.answer(raw, now, connection.client if firmware.knows_clients else "")
        if self.machine.unreachable_until > now:
            self._go_away(self.machine.unreachable_until - now)
        for kind in self._faults:
            if kind in TEXT_FAULTS:
                text = TEXT_FAULTS[kind](text)
        return encoded(text)

    def shut(self) -> None:
        self._port.close()

    def _go_away(self, away_s: float) -> None:
        """Close the port once this answer is out, and open it again after the reboot."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self._fleet.spawn_refresh, self)
        loop.call_later(away_s + 0.001, self._fleet.spawn_refresh, self)

    def _wanted_port_state(self) -> PortState:
        if "drop" in self._faults:
            return "dropping"
        rebooting = self._fleet.clock() < self.machine.unreachable_until
        return "closed" if rebooting or "refuse" in self._faults else "open"


class Fleet:
    """All miners of a specification, listening from `async with` until its end."""

    def __init__(self, spec: FleetSpec, *, clock: Callable[[], float] = time.time) -> None:
        self.spec = spec
        self.clock = clock
        self.traffic = Traffic()
        self.connections: set[Connection] = set()
        self.running = False
        self._refreshes: set[asyncio.Task[None]] = set()
        self._fault_draws = 0
        now = clock()
        self.miners = [self._miner(unit, now) for unit in units(spec)]

    async def __aenter__(self) -> Self:
        raise_file_limit(2 * len(self.miners) + SPARE_FILES)
        self.running = True
        try:
            for miner in self.miners:
                await miner.refresh()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.running = False
        for miner in self.miners:
            miner.shut()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.gather(*self._refreshes)
        await asyncio.sleep(0)  # the loop takes its leave of the sockets one turn later

    def select(
        self,
        *,
        share: float | None = None,
        number: int | None = None,
        miners: Sequence[int] | None = None,
        family: Family | None = None,
    ) -> list[SimulatedMiner]:
        """Choose miners by index, or by share or number drawn with the fleet's seed."""
        pool = [miner for miner in self.miners if family in (None, miner.unit.family)]
        if miners is not None:
            wanted = set(miners)
            return [miner for miner in pool if miner.unit.index in wanted]
        if number is None:
            number = len(pool) if share is None else round(share * len(pool))
        self._fault_draws += 1
        dice = random.Random(f"{self.spec.seed}/faults/{self._fault_draws}")
        return dice.sample(pool, min(max(number, 0), len(pool)))

    async def set_fault(
        self,
        kind: FaultKind,
        chosen: Sequence[SimulatedMiner] | None = None,
        *,
        duration_s: float | None = None,
    ) -> None:
        """Set a fault on the chosen miners, or on all."""
        for miner in self.miners if chosen is None else chosen:
            await miner.set_fault(kind, duration_s=duration_s)
            await asyncio.sleep(0)  # the others keep answering meanwhile

    async def outage(self, *, duration_s: float | None = None) -> None:
        """Cut the network: every connection attempt is swallowed, open ones are lost."""
        await self.set_fault("drop", duration_s=duration_s)
        for connection in list(self.connections):
            connection.transport.abort()

    async def clear_faults(self, kind: FaultKind | None = None) -> None:
        for miner in self.miners:
            await miner.clear_faults(kind)
            await asyncio.sleep(0)

    def true_power_w(self, now: float | None = None) -> float:
        """Return the watts of the whole fleet at the wall."""
        moment = self.clock() if now is None else now
        return sum(miner.machine.power_w(moment) for miner in self.miners)

    def totals(self) -> dict[str, object]:
        """Return the fleet's truth in one object."""
        now = self.clock()
        return {
            "now": now,
            "miners": len(self.miners),
            "power_w": self.true_power_w(now),
            "hashrate_ths": sum(miner.machine.hashrate_ths(now) for miner in self.miners),
            "states": dict(Counter(miner.machine.state(now) for miner in self.miners)),
            "families": dict(Counter(miner.unit.family for miner in self.miners)),
            "faults": dict(Counter(kind for miner in self.miners for kind in miner.faults)),
            "most_open_on_one_miner": max(miner.traffic.most_open for miner in self.miners),
            **asdict(self.traffic),
        }

    def reset_counters(self) -> None:
        """Begin counting connections anew; what is open stays counted as open."""
        for traffic in (self.traffic, *(miner.traffic for miner in self.miners)):
            traffic.connections = traffic.requests = 0
            traffic.most_open = traffic.open_now

    def spawn_refresh(self, miner: SimulatedMiner) -> None:
        if self.running:
            task = asyncio.get_running_loop().create_task(miner.refresh())
            self._refreshes.add(task)
            task.add_done_callback(self._refreshes.discard)

    def _miner(self, unit: Unit, now: float) -> SimulatedMiner:
        machine = Machine(unit, now, self.spec.ramp_s)
        firmware = FIRMWARE[unit.family](unit, machine)
        if isinstance(firmware, WhatsMiner):
            firmware.password = self.spec.whatsminer_password
        return SimulatedMiner(self, unit, machine, firmware)


def raise_file_limit(files: int) -> None:
    """Allow this process as many open files as the fleet needs.

    Raises:
        BadSpec: the system allows fewer, and this process may not change that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files or soft == resource.RLIM_INFINITY:
        return
    ceiling = hard if hard == resource.RLIM_INFINITY else max(hard, files)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, ceiling))
    except (ValueError, OSError) as error:
        raise BadSpec(
            f"This fleet needs {files} open files and the limit is {hard}; raise it "
            "(ulimit -n) or simulate fewer miners."
        ) from error
