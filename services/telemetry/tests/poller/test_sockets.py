"""The socket budget: commands first, a cap per subnet, nothing lost on cancellation."""

import asyncio
from ipaddress import ip_address
from typing import cast

import pytest

from telemetry.fleet.machine import Machine
from telemetry.poller.sockets import SocketBudget


class Place:
    """All that the budget looks at in a machine."""

    def __init__(self, address: str, *, simulated: bool = False) -> None:
        self.address = str(ip_address(address))
        self.simulated = simulated


def _machine(address: str, *, simulated: bool = False) -> Machine:
    return cast("Machine", Place(address, simulated=simulated))


async def _hold(
    budget: SocketBudget, machine: Machine, held: list[str], name: str, *, urgent: bool = False
) -> None:
    async with budget.socket(machine, urgent=urgent):
        held.append(name)
        await asyncio.sleep(0.01)


async def test_commands_go_first() -> None:
    budget, order = SocketBudget(1, per_subnet=9), list[str]()
    machine = _machine("10.0.0.1")
    async with asyncio.TaskGroup() as group:
        group.create_task(_hold(budget, machine, order, "first"))
        await asyncio.sleep(0)
        for name in ("poll 1", "poll 2"):
            group.create_task(_hold(budget, machine, order, name))
        await asyncio.sleep(0)
        group.create_task(_hold(budget, machine, order, "command", urgent=True))
    assert order == ["first", "command", "poll 1", "poll 2"]


async def test_a_subnet_has_its_cap_and_the_simulated_world_has_none() -> None:
    budget = SocketBudget(100, per_subnet=2)
    held: list[str] = []
    tasks = [
        asyncio.create_task(_hold(budget, _machine(f"10.0.0.{n}"), held, "real"))
        for n in range(1, 6)
    ]
    tasks += [
        asyncio.create_task(
            _hold(budget, _machine(f"127.64.0.{n}", simulated=True), held, "simulated")
        )
        for n in range(1, 6)
    ]
    await asyncio.sleep(0.005)
    assert sorted(held) == ["real"] * 2 + ["simulated"] * 5
    await asyncio.gather(*tasks)
    assert len(held) == 10


async def test_who_is_cancelled_while_waiting_takes_nothing_along() -> None:
    budget, held = SocketBudget(1, per_subnet=9), list[str]()
    machine = _machine("10.0.0.1")
    first = asyncio.create_task(_hold(budget, machine, held, "first"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(_hold(budget, machine, held, "waiting"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await first
    async with asyncio.timeout(1):
        await _hold(budget, machine, held, "last")
    assert held == ["first", "last"]
