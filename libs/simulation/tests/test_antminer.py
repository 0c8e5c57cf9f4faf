import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulation.fleet import Fleet

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]


async def test_nothing_can_be_controlled(new_fleet: NewFleet, ask: Ask) -> None:
    miner = (await new_fleet("antminer")).miners[0]
    for command in ("restart", "quit", "ascset", "addpool", "config", "devdetails"):
        assert (await ask(miner, command))["STATUS"][0]["Code"] == 45
    assert (await ask(miner, "curtail", "x,sleep"))["STATUS"][0]["Code"] == 14
    assert (await ask(miner, "check", "summary"))["CHECK"][0] == {"Exists": "Y", "Access": "Y"}
    assert (await ask(miner, "check", "quit"))["CHECK"][0] == {"Exists": "Y", "Access": "N"}


async def test_stats_have_a_head_and_three_chains_and_no_watts(
    new_fleet: NewFleet, ask: Ask
) -> None:
    miner = (await new_fleet("antminer")).miners[0]
    answer = await ask(miner, "summary+stats+pools")
    head, chains = answer["stats"][0]["STATS"]
    assert head["Type"] == miner.unit.model.type_name
    rates = [float(chains[f"chain_rate{n}"]) for n in (1, 2, 3)]
    assert sum(rates) == pytest.approx(float(chains["GHS 5s"]), rel=1e-4)
    assert isinstance(answer["summary"][0]["SUMMARY"][0]["GHS 5s"], str)
    assert "watt" not in json.dumps(answer).lower()
    assert "Pool Stale%%" in answer["pools"][0]["POOLS"][0]


async def test_some_units_forget_a_comma(new_fleet: NewFleet, ask: Ask, ask_raw: Ask) -> None:
    miner = (await new_fleet("antminer", quirk_share=1.0)).miners[0]
    assert b"}{" in await ask_raw(miner, b'{"command":"stats"}')
    assert await ask(miner, "summary")


async def test_another_projects_client_reads_it(new_fleet: NewFleet) -> None:
    miner = (await new_fleet("antminer")).miners[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyasic.rpc.bmminer import BMMinerRPCAPI
    client: Any = BMMinerRPCAPI(miner.address, miner.port)
    answer = await client.multicommand("summary", "stats", "pools")
    assert answer["summary"][0]["SUMMARY"][0]["Elapsed"] > 0
    assert miner.traffic.connections == 1
    await miner.set_fault("refuse_join")
    answer = await client.multicommand("summary", "stats", "pools")
    assert answer["stats"][0]["STATS"][1]["fan_num"] == 4
    assert miner.traffic.connections == 5
