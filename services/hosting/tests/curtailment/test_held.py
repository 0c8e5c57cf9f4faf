"""A machine that a live plan holds down is neither started nor removed by hand."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

URL = "/api/hosting/curtailment"
MINERS = "/api/hosting/miners"
BATCH = "/api/hosting/host/devices/batch"
Dict = dict[str, Any]
NewMiner = Callable[..., Awaitable[UUID]]
Wanted = Callable[..., Dict]
Answering = Callable[..., Awaitable[None]]
Published = Callable[..., Awaitable[list[Dict]]]


@pytest.mark.parametrize("states", [(), ("accepted",), ("accepted", "verified")])
async def test_a_held_machine_is_neither_started_nor_removed(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Published,
    states: tuple[str, ...],
) -> None:
    held = await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    await answer(*states)
    for refused in (
        await client.post(f"{MINERS}/{held}/start"),
        await client.delete(f"{MINERS}/{held}"),
    ):
        assert refused.status_code == 409, refused.text
        assert refused.json()["code"] == "held_by_plan"
        assert refused.json()["plan_id"] == plan["id"]
    assert await published("hosting.command.ordered.v1") == []
    assert (await client.get(f"{MINERS}/{held}")).status_code == 200


async def test_a_batch_leaves_out_the_machines_that_a_plan_holds(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, answer: Answering
) -> None:
    held = await new_miner(hashrate_ths=95)
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    await answer("accepted", "verified")
    free = await new_miner(status="curtailed")
    for action in ("start", "delete"):
        done = await client.post(
            BATCH, json={"action": action, "miner_ids": [str(held), str(free)]}
        )
        kept, carried_out = done.json()["results"]
        assert kept["command_id"] is None
        assert kept["error"]["code"] == "held_by_plan"
        assert kept["error"]["plan_id"] == plan["id"]
        assert carried_out["error"] is None


async def test_a_machine_that_its_plan_let_go_is_ours_again(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, answer: Answering
) -> None:
    miner = await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    await answer("accepted", "verified")
    assert (await client.post(f"{URL}/{plan['id']}/restore")).status_code == 200
    await answer("accepted", "verified", after_w=3500)
    assert (await client.post(f"{MINERS}/{miner}/shutdown")).status_code == 202
    assert (await client.post(f"{MINERS}/{miner}/start")).status_code == 202
    assert (await client.delete(f"{MINERS}/{miner}")).status_code == 204
