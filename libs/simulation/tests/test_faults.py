import asyncio
import errno
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulation.faults import TEXT_FAULTS, FaultKind
from simulation.fleet import Fleet, SimulatedMiner

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]
Settles = Callable[[Callable[[], bool]], Awaitable[None]]
REQUEST = b'{"command":"summary+pools"}'


@pytest.fixture
async def miner(new_fleet: NewFleet) -> SimulatedMiner:
    return (await new_fleet("antminer")).miners[0]


async def test_refuse_closes_the_port_and_opens_it_again(
    miner: SimulatedMiner, ask_raw: Ask, settles: Settles
) -> None:
    await miner.set_fault("refuse", duration_s=0.2)
    with pytest.raises(ConnectionRefusedError):
        await ask_raw(miner, REQUEST)
    await settles(lambda: miner.listening)
    assert await ask_raw(miner, REQUEST)


async def test_an_outage_swallows_connection_attempts(new_fleet: NewFleet, ask_raw: Ask) -> None:
    fleet = await new_fleet(miners=3)
    await fleet.outage()
    for miner in fleet.miners:
        with socket.socket() as attempt:
            attempt.setblocking(False)
            assert attempt.connect_ex((miner.address, miner.port)) == errno.EINPROGRESS
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(miner.address, miner.port), 0.2)
    await fleet.clear_faults()
    assert await ask_raw(fleet.miners[0], REQUEST)


@pytest.mark.parametrize("kind", ["silent", "slow", "nul_open"])
async def test_faults_that_never_end(miner: SimulatedMiner, kind: FaultKind) -> None:
    await miner.set_fault(kind)
    reader, writer = await asyncio.open_connection(miner.address, miner.port)
    writer.write(REQUEST)
    chunks: list[bytes] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_read_on(reader, chunks), 0.5)
    received = b"".join(chunks)
    writer.close()
    assert {
        "silent": received == b"",
        "slow": 1 <= len(received) <= 4,
        "nul_open": received.endswith(b"}\0"),
    }[kind]


async def _read_on(reader: asyncio.StreamReader, chunks: list[bytes]) -> None:
    while chunk := await reader.read(4096):
        chunks.append(chunk)


@pytest.mark.parametrize("kind", ["empty", "half_json", "no_nul", "banner"])
async def test_faults_that_end_wrongly(
    miner: SimulatedMiner, ask_raw: Ask, kind: FaultKind
) -> None:
    whole = await ask_raw(miner, REQUEST)
    await miner.set_fault(kind)
    answer: bytes = await ask_raw(miner, REQUEST)
    assert not answer.endswith(b"\0")
    assert {
        "empty": answer == b"",
        "half_json": len(answer) == pytest.approx(len(whole) / 2, abs=20),
        "no_nul": answer.endswith(b"}") and bool(json.loads(answer)),
        "banner": answer.startswith(b"SSH-"),
    }[kind]


async def test_reset_comes_in_mid_answer(miner: SimulatedMiner) -> None:
    await miner.set_fault("reset")
    reader, writer = await asyncio.open_connection(miner.address, miner.port)
    writer.write(REQUEST)
    assert len(await reader.read(100)) == 100
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_too_large_is_sent_only_as_fast_as_it_is_read(miner: SimulatedMiner) -> None:
    await miner.set_fault("too_large")
    reader, writer = await asyncio.open_connection(miner.address, miner.port)
    writer.write(REQUEST)
    size = 0
    while chunk := await reader.read(1 << 20):
        size += len(chunk)
    writer.close()
    assert size >= 26_000_000


@pytest.mark.parametrize("kind", sorted(set(TEXT_FAULTS) - {"implausible", "wrong_shape"}))
async def test_vendors_mistakes_are_not_json(
    miner: SimulatedMiner, ask_raw: Ask, kind: FaultKind
) -> None:
    await miner.set_fault(kind)
    answer: bytes = (await ask_raw(miner, b'{"command":"summary+stats+pools"}'))[:-1]
    with pytest.raises((ValueError, RecursionError)):
        json.loads(answer, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"Python reads {constant}, JSON does not.")


@pytest.mark.parametrize("family", ["luxos", "whatsminer", "antminer"])
async def test_mistaken_values_are_json(new_fleet: NewFleet, ask: Ask, family: str) -> None:
    miner = (await new_fleet(family)).miners[0]
    await miner.set_fault("implausible")
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert float(row.get("GHS 5s", row.get("MHS 5s"))) < 0
    await miner.clear_faults()
    await miner.set_fault("wrong_shape")
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Elapsed"] == [True]


async def test_another_machine_at_the_address(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    await miner.set_fault("identity")
    config = (await ask(miner, "config"))["CONFIG"][0]
    assert config["SerialNumber"] != miner.unit.serial_number
    assert config["SerialNumber"].startswith("SIM-")
    assert config["MACAddr"].upper() != miner.unit.mac


@pytest.mark.parametrize("family", ["luxos", "whatsminer"])
async def test_refused_control_changes_nothing(new_fleet: NewFleet, ask: Ask, family: str) -> None:
    miner = (await new_fleet(family)).miners[0]
    await miner.set_fault("refuse_control")
    if family == "luxos":
        sid = (await ask(miner, "logon"))["SESSION"][0]["SessionID"]
        answer = (await ask(miner, "curtail", f"{sid},sleep"))["STATUS"][0]
    else:
        answer = await _power_off(ask, miner)
        assert answer["Code"] == 132
    assert answer["STATUS"] == "E"
    assert not miner.machine.asleep


async def _power_off(ask: Ask, miner: SimulatedMiner) -> Any:
    from simulation.firmware.whatsminer_crypto import md5crypt_hash

    token = (await ask(miner, "get_token"))["Msg"]
    key = md5crypt_hash("simulated", token["salt"])
    sign = md5crypt_hash(key + token["time"], token["newsalt"])
    return await ask(miner, "power_off", token=sign, respbefore="true")


async def test_overheating_throttles(new_fleet: NewFleet) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    now = 1_800_000_000.0
    cool_ths, cool_c = miner.machine.hashrate_ths(now), miner.machine.chip_c(now)
    await miner.set_fault("overheat")
    assert miner.machine.hashrate_ths(now) == pytest.approx(0.8 * cool_ths)
    assert miner.machine.chip_c(now + 1) > cool_c + 30


async def test_a_share_is_drawn_by_the_seed(new_fleet: NewFleet) -> None:
    fleet = await new_fleet(miners=20)
    twin = Fleet(fleet.spec)
    drawn = [miner.unit.index for miner in fleet.select(share=0.25)]
    assert len(drawn) == 5
    assert drawn == [miner.unit.index for miner in twin.select(share=0.25)]
    assert len(fleet.select(number=3, family="luxos")) == 3
    assert [miner.unit.index for miner in fleet.select(miners=[4, 7])] == [4, 7]
    await fleet.set_fault("silent", fleet.select(number=2))
    assert fleet.totals()["faults"] == {"silent": 2}
