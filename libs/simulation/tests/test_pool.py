from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import pytest

from simulation.pool import PATH, SIMULATED_TOKEN, Pool, PoolFault, serve_pool

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def pool(**options: Any) -> Pool:
    return Pool(now=lambda: NOW, **options)


async def ask(served: Pool, token: str = SIMULATED_TOKEN, **query: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(served.url + PATH, headers={"Pool-Auth-Token": token}, params=query) as answer,
    ):
        assert answer.headers["X-Simulated"] == "true"
        return answer.status, await answer.json()


async def test_the_same_day_is_always_the_same_payout() -> None:
    async with serve_pool(pool(days=10)) as served:
        status, first = await ask(served)
        _, again = await ask(served)
    assert (status, first) == (200, again)
    entries = first["onchain"] + first["lightning"]
    assert len(entries) == 10
    assert len({one["tx_id"] for one in entries}) == 10
    assert all(one["amount_sats"] > 0 and one["status"] == "confirmed" for one in entries)
    assert pool(seed=8).payout(date(2026, 11, 20)) != pool(seed=7).payout(date(2026, 11, 20))


async def test_days_can_be_chosen() -> None:
    async with serve_pool(pool()) as served:
        _, some = await ask(served, **{"from": "2026-11-18", "to": "2026-11-19"})
        assert len(some["onchain"] + some["lightning"]) == 2
        assert (await ask(served, **{"from": "yesterday"}))[0] == 400


async def test_todays_payout_is_queued_until_an_hour_has_passed() -> None:
    early = Pool(now=lambda: datetime(2026, 11, 21, 6, 59, 59, tzinfo=UTC))
    assert early.payout(date(2026, 11, 21))["status"] == "queued"
    assert early.payout(date(2026, 11, 21))["tx_id"] is None


async def test_another_token_is_refused() -> None:
    async with serve_pool(pool()) as served:
        assert (await ask(served, token="other"))[0] == 401
        assert served.calls == 1


async def test_it_misbehaves_when_told_to() -> None:
    async with serve_pool(pool()) as served, aiohttp.ClientSession() as session:
        control = f"{served.url}/control/fault"
        async with session.post(control, json={"fault": "negative"}) as answer:
            assert answer.status == 200
        assert (await ask(served))[1]["onchain"][0]["amount_sats"] == -1
        async with session.post(control, json={"fault": "sulking"}) as answer:
            assert answer.status == 400
        async with session.post(control, json={"fault": None}) as answer:
            assert answer.status == 200
        assert served.fault is None
        for fault, status in ((PoolFault.STATUS_429, 429), (PoolFault.STATUS_500, 500)):
            served.fault = fault
            headers = {"Pool-Auth-Token": SIMULATED_TOKEN}
            async with session.get(served.url + PATH, headers=headers) as answer:
                assert answer.status == status


def test_a_pool_has_a_sensible_past() -> None:
    with pytest.raises(ValueError, match="days"):
        Pool(days=0)
