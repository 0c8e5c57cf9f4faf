from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.clock import now
from common.runtime import Runtime
from intelligence.treasury.automatic import NOBODY, propose_due

RULES, PROPOSALS = "/api/treasury/rules", "/api/treasury/proposals"


@pytest.fixture
async def rule(owner: httpx.AsyncClient, wallet: Any, lot: Any) -> dict[str, Any]:
    """A rule that sells 1,000 USD a week by itself, and 1 BTC to sell from."""
    await lot((await wallet())["id"])
    parameters = {"kind": "dca", "amount_usd": "1000"}
    body = {"name": "Weekly", "parameters": parameters, "automatic": True}
    return (await owner.post(RULES, json=body)).json()


async def test_a_rule_proposes_by_itself_and_a_person_approves(
    owner: httpx.AsyncClient, rule: dict[str, Any], quote: Any, runtime: Runtime, published: Any
) -> None:
    await quote("100000")
    await propose_due(runtime)
    await propose_due(runtime)  # its interval runs, and the first is still open
    [made] = (await owner.get(PROPOSALS)).json()["items"]
    assert (made["btc"], made["created_by"], made["status"]) == (
        "0.01000000", str(NOBODY), "proposed",
    )  # fmt: skip
    assert len(await published("intelligence.treasury.proposed.v1")) == 1
    approved = await owner.post(f"{PROPOSALS}/{made['id']}/approve")
    assert approved.json()["status"] == "approved"


async def test_it_waits_for_a_fresh_price(
    owner: httpx.AsyncClient, rule: dict[str, Any], quote: Any, runtime: Runtime
) -> None:
    await propose_due(runtime)
    await quote("100000", at=now() - timedelta(hours=1))
    await propose_due(runtime)
    assert (await owner.get(PROPOSALS)).json()["total"] == 0


@pytest.mark.parametrize("change", [{"automatic": False}, {"enabled": False}])
async def test_it_can_be_told_not_to(
    owner: httpx.AsyncClient, rule: dict[str, Any], quote: Any, runtime: Runtime,
    change: dict[str, bool],
) -> None:  # fmt: skip
    await quote("100000")
    await owner.patch(f"{RULES}/{rule['id']}", json=change)
    await propose_due(runtime)
    assert (await owner.get(PROPOSALS)).json()["total"] == 0


async def test_it_proposes_on_once_people_have_done_with_the_last(
    owner: httpx.AsyncClient, rule: dict[str, Any], quote: Any, runtime: Runtime
) -> None:
    await quote("100000")
    await propose_due(runtime)
    parameters = {"kind": "dca", "amount_usd": "2000"}
    await owner.patch(f"{RULES}/{rule['id']}", json={"parameters": parameters})
    await propose_due(runtime)
    [made] = (await owner.get(PROPOSALS)).json()["items"]
    await owner.post(f"{PROPOSALS}/{made['id']}/reject")
    await propose_due(runtime)
    assert (await owner.get(PROPOSALS)).json()["total"] == 2
