"""What every family does alike on the wire."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulation.fleet import Fleet

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]
FAMILIES = ["luxos", "whatsminer", "antminer"]


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_joined_request_answers_each_part(
    new_fleet: NewFleet, ask: Ask, family: str
) -> None:
    miner = (await new_fleet(family)).miners[0]
    answer = await ask(miner, "summary+stats++pools+summary+nonsense")
    assert set(answer) == {"summary", "stats", "pools", "nonsense", "id"}
    assert answer["summary"][0]["SUMMARY"][0]["Elapsed"] > 3600
    assert len(answer["pools"][0]["POOLS"]) == 3
    assert "E" in json.dumps(answer["nonsense"][0]["STATUS"])


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_report_is_json_and_says_that_it_is_simulated(
    new_fleet: NewFleet, ask: Ask, family: str
) -> None:
    miner = (await new_fleet(family)).miners[0]
    assert miner.unit.serial_number.startswith("SIM-")
    for name in miner.firmware.reports:
        assert "simulated" in json.dumps(await ask(miner, name)).lower()


@pytest.mark.parametrize("family", FAMILIES)
async def test_text_requests_get_text(new_fleet: NewFleet, ask_raw: Ask, family: str) -> None:
    miner = (await new_fleet(family)).miners[0]
    answer = (await ask_raw(miner, b"summary\n")).decode()
    assert answer.startswith("STATUS=S,When=")
    assert "|SUMMARY,Elapsed=" in answer
    assert answer.endswith("|\0")
    joined = (await ask_raw(miner, b"version+pools")).decode()
    assert "CMD=version|STATUS=S" in joined
    assert "CMD=pools|STATUS=S" in joined
    assert "|POOLS=2,POOL=" in joined


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b'{"command":', 23),
        (b'{"parameter":"x"}', 24),
        (b'{"command":{}}', 24),
        (b'{"command":"nonsense"}', 14),
        (b'{"command":""}', 14),
    ],
)
async def test_bad_requests_get_cgminers_codes(
    new_fleet: NewFleet, ask_raw: Ask, request_bytes: bytes, code: int
) -> None:
    miner = (await new_fleet("antminer")).miners[0]
    answer = json.loads((await ask_raw(miner, request_bytes))[:-1])
    assert answer["STATUS"][0]["STATUS"] == "E"
    assert answer["STATUS"][0]["Code"] == code


async def test_a_space_before_the_brace_makes_it_text(new_fleet: NewFleet, ask_raw: Ask) -> None:
    miner = (await new_fleet("antminer")).miners[0]
    assert b"Code=14" in await ask_raw(miner, b' {"command":"summary"}')


@pytest.mark.parametrize("family", FAMILIES)
async def test_rates_are_what_the_machine_does(new_fleet: NewFleet, ask: Ask, family: str) -> None:
    miner = (await new_fleet(family)).miners[0]
    row = (await ask(miner, "summary"))["SUMMARY"][0]
    rate_ths = float(row["GHS 5s"]) / 1e3 if "GHS 5s" in row else row["MHS 5s"] / 1e6
    average_ths = float(row["GHS av"]) / 1e3 if "GHS av" in row else row["MHS av"] / 1e6
    assert rate_ths == pytest.approx(miner.unit.hashrate_ths, rel=0.03)
    assert average_ths == pytest.approx(miner.unit.hashrate_ths, rel=0.01)
    assert row["Accepted"] > row["Rejected"] > 0


async def test_connections_are_counted(new_fleet: NewFleet, ask: Ask) -> None:
    fleet = await new_fleet("antminer", delay_s=0.05)
    import asyncio

    await asyncio.gather(*(ask(fleet.miners[0], "summary") for _ in range(3)))
    assert (fleet.traffic.connections, fleet.traffic.requests) == (3, 3)
    assert fleet.miners[0].traffic.most_open == 3
    fleet.reset_counters()
    assert fleet.totals()["most_open_on_one_miner"] == 0


async def test_two_thousand_listeners_start_and_answer(new_fleet: NewFleet, ask: Ask) -> None:
    fleet = await new_fleet(miners=2000)
    for miner in (fleet.miners[0], fleet.miners[999], fleet.miners[-1]):
        assert (await ask(miner, "summary"))["SUMMARY"]
    assert fleet.true_power_w() == pytest.approx(
        sum(miner.unit.power_w for miner in fleet.miners), rel=0.005
    )
