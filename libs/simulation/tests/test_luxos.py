from collections.abc import Awaitable, Callable
from typing import Any

from simulation.firmware.luxos import LuxOS
from simulation.fleet import Fleet
from simulation.inventory import FleetSpec

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]
Settles = Callable[[Callable[[], bool]], Awaitable[None]]


async def session_id(ask: Ask, miner: object) -> str:
    return (await ask(miner, "logon"))["SESSION"][0]["SessionID"]


async def test_sleep_and_wakeup_really_change_power(
    new_fleet: NewFleet, ask: Ask, settles: Settles
) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    before_w = (await ask(miner, "power"))["POWER"][0]["Watts"]
    assert abs(before_w - miner.unit.power_w) < 40
    sid = await session_id(ask, miner)
    answer = await ask(miner, "curtail", f"{sid},sleep")
    assert answer["STATUS"][0]["Code"] == 335
    await settles(lambda: miner.state == "sleeping")
    power = (await ask(miner, "power"))["POWER"][0]
    assert 14 <= power["Watts"] <= 41
    assert power["PSU"] is True
    assert (await ask(miner, "summary"))["SUMMARY"][0]["GHS 5s"] == 0
    assert (await ask(miner, "config"))["CONFIG"][0]["CurtailMode"] == "Sleep"
    await ask(miner, "curtail", f"{sid},wakeup")
    await settles(lambda: miner.state == "hashing")
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    assert row["GHS 5s"] > 0.9e3 * miner.unit.hashrate_ths
    assert row["Elapsed"] < 60
    assert row["Accepted"] < 5
    assert (await ask(miner, "logoff", sid))["STATUS"][0]["STATUS"] == "S"


async def test_one_session_at_a_time(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    sid = await session_id(ask, miner)
    assert (await ask(miner, "logon"))["STATUS"][0]["STATUS"] == "E"
    assert (await ask(miner, "session"))["SESSION"][0]["SessionID"] == sid
    assert (await ask(miner, "curtail", "wrong,sleep"))["STATUS"][0]["STATUS"] == "E"
    assert (await ask(miner, "curtail", f"{sid},doze"))["STATUS"][0]["STATUS"] == "E"
    await ask(miner, "logoff", sid)
    assert (await ask(miner, "curtail", f"{sid},sleep"))["STATUS"][0]["STATUS"] == "E"
    assert await session_id(ask, miner) != sid


def test_a_session_ends_after_a_minute_of_silence() -> None:
    clock = [1_800_000_000.0]
    fleet = Fleet(FleetSpec(miners=1, mix={"luxos": 1}), clock=lambda: clock[0])
    firmware = fleet.miners[0].firmware
    assert isinstance(firmware, LuxOS)
    firmware.logon(clock[0])
    assert '"STATUS":"E"' in firmware.logon(clock[0] + 59)
    assert '"STATUS":"S"' in firmware.logon(clock[0] + 61)


async def test_reboot_takes_the_miner_away_and_resets_its_clock(
    new_fleet: NewFleet, ask: Ask, settles: Settles
) -> None:
    fleet = await new_fleet("luxos")
    miner = fleet.miners[0]
    sid = await session_id(ask, miner)
    await ask(miner, "curtail", f"{sid},sleep")
    assert (await ask(miner, "reboot", f"{sid},0"))["STATUS"][0]["STATUS"] == "E"
    assert (await ask(miner, "rebootdevice", sid))["STATUS"][0]["STATUS"] == "S"
    await settles(lambda: not miner.listening)
    await settles(lambda: miner.listening)
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Elapsed"] <= 2
    await settles(lambda: miner.state == "hashing")


async def test_reset_and_board_reboot(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    sid = await session_id(ask, miner)
    assert (await ask(miner, "reboot", f"{sid},9"))["STATUS"][0]["STATUS"] == "E"
    assert (await ask(miner, "reboot", f"{sid},1"))["STATUS"][0]["STATUS"] == "S"
    assert (await ask(miner, "resetminer", sid))["STATUS"][0]["STATUS"] == "S"
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Elapsed"] <= 1


async def test_reports_of_sensors(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("luxos")).miners[0]
    temps = await ask(miner, "temps")
    assert [row["Label"] for row in temps["METADATA"]] == ["Intake"] * 2 + ["Exhaust"] * 2
    assert all(20 < row["TopLeft"] < row["BottomRight"] < 90 for row in temps["TEMPS"])
    assert all(1500 < fan["RPM"] < 6500 for fan in (await ask(miner, "fans"))["FANS"])
    assert [row["ASC"] for row in (await ask(miner, "devs"))["DEVS"]] == [0, 2, 1]
    config = (await ask(miner, "config"))["CONFIG"][0]
    assert config["SerialNumber"] == miner.unit.serial_number
    assert config["MACAddr"].upper() == miner.unit.mac
