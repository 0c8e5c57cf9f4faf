"""The control port, in the same process as the fleet it tells about."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from simulation.client import ControlClient, ControlRefused
from simulation.control import control_port
from simulation.fleet import Fleet, raise_file_limit
from simulation.inventory import BadSpec

NewFleet = Callable[..., Awaitable[Fleet]]
Settles = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
async def fleet(new_fleet: NewFleet) -> Fleet:
    return await new_fleet(miners=10)


@pytest.fixture
async def client(fleet: Fleet, unused_tcp_port: int) -> AsyncIterator[ControlClient]:
    async with control_port(fleet, unused_tcp_port):
        yield ControlClient(unused_tcp_port)


async def call(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    return await asyncio.to_thread(function, *arguments, **more)


async def test_it_tells_the_truth(fleet: Fleet, client: ControlClient) -> None:
    fleet.miners[2].machine.sleep(fleet.clock() - 60)
    totals = await call(client.status)
    assert totals["states"] == {"hashing": 9, "sleeping": 1}
    assert totals["families"] == {"luxos": 5, "whatsminer": 3, "antminer": 2}
    assert totals["power_w"] == pytest.approx(fleet.true_power_w(), rel=0.01)
    rows = await call(client.miners)
    assert [row["index"] for row in rows] == list(range(10))
    assert rows[2]["state"] == "sleeping"
    assert rows[2]["power_w"] < 41 < rows[2]["full_power_w"]
    by_serial = await call(client.miner, fleet.miners[3].unit.serial_number)
    assert by_serial["address"] == fleet.miners[3].address
    asleep = await call(client.call, "GET", "/miners?state=sleeping")
    assert [row["index"] for row in asleep["miners"]] == [2]


async def test_faults_come_and_go(fleet: Fleet, client: ControlClient, settles: Settles) -> None:
    answer = await call(client.set_fault, "refuse", share=0.2, family="luxos", duration_s=0.2)
    assert answer["affected"] == 1
    assert sum(miner.listening for miner in fleet.miners) == 9
    await settles(lambda: all(miner.listening for miner in fleet.miners))
    assert (await call(client.outage))["affected"] == 10
    await call(client.set_fault, "silent", miners=[1])
    assert (await call(client.call, "DELETE", "/faults?kind=drop"))["faults"] == {"silent": 1}
    assert (await call(client.clear_faults))["faults"] == {}
    await call(client.reset_counters)


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", "/faults", {}, "Unknown fault"),
        ("POST", "/faults", [], "must be an object"),
        ("POST", "/faults", {"kind": "silent", "miners": 3}, "list of indices"),
        ("POST", "/faults", {"kind": "silent", "miners": ["a"]}, "list of indices"),
        ("POST", "/faults", {"kind": "silent", "family": "toaster"}, "Unknown family"),
        ("POST", "/faults", {"kind": "silent", "number": True}, "number must be"),
        ("DELETE", "/faults?kind=nonsense", None, "Unknown fault"),
        ("GET", "/miners/99", None, "No miner"),
        ("GET", "/nowhere", None, "Not Found"),
    ],
)
async def test_bad_orders_are_explained(
    client: ControlClient, method: str, path: str, body: object, reason: str
) -> None:
    with pytest.raises(ControlRefused, match=reason):
        await call(client.call, method, path, body)


def test_more_files_than_the_system_has_is_a_clear_message() -> None:
    with pytest.raises(BadSpec, match="simulate fewer miners"):
        raise_file_limit(1 << 40)
