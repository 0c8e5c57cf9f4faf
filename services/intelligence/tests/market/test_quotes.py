from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from intelligence.market.quotes import daily_quotes, epochs, latest_quote, quotes_since

Deliver: TypeAlias = Callable[..., Awaitable[UUID]]
Sessions: TypeAlias = Callable[..., AbstractAsyncContextManager[AsyncSession]]
QUOTE = "calculator.quote.published.v1"
EPOCH = "calculator.network-epoch.changed.v1"


@pytest.fixture
def tell(deliver: Deliver) -> Deliver:
    return partial(deliver, organisation_id=PLATFORM_ORGANISATION)


def quote(price: str, at: str, **more: Any) -> dict[str, Any]:
    return {"pair": "BTC/USD", "price_usd": price, "at": at, "source": "coingecko", **more}


async def test_the_newest_quote_is_known_to_every_organisation(
    tell: Deliver, tenant_session: Sessions
) -> None:
    more: dict[str, Any] = {
        "difficulty": "155973032196071.9",
        "hashprice_usd_per_ths_day": "0.041",
        "warnings": [],
    }
    await tell(QUOTE, quote("97000", "2026-11-21T12:05:00Z", **more), version=8)
    await tell(QUOTE, quote("96000", "2026-11-21T12:00:00Z", stale=True), version=7)
    async with tenant_session() as session:
        newest = await latest_quote(session)
        since = await quotes_since(session, datetime(2026, 11, 21, tzinfo=UTC))
    assert newest is not None
    assert (newest.price_usd, newest.version, newest.stale) == (97000, 8, False)
    assert newest.difficulty == Decimal("155973032196071.9")
    assert [one.version for one in since] == [7, 8]


async def test_the_last_quote_of_each_day_is_its_quote(
    tell: Deliver, worker_session: Sessions
) -> None:
    times = ["2026-11-19T23:00:00Z", "2026-11-20T01:00:00Z", "2026-11-20T23:59:00Z"]
    for version, at in enumerate(times, start=1):
        await tell(QUOTE, quote(str(version), at), version=version)
    async with worker_session() as session:
        days = await daily_quotes(session, datetime(2026, 11, 1, tzinfo=UTC))
        none = await daily_quotes(session, datetime(2026, 12, 1, tzinfo=UTC))
    assert [one.version for one in days] == [1, 3]
    assert none == []


async def test_an_epoch_is_kept_by_version(tell: Deliver, tenant_session: Sessions) -> None:
    def epoch(height: int, difficulty: str) -> dict[str, Any]:
        return {
            "height": height,
            "started_at": "2026-11-20T00:00:00Z",
            "difficulty": difficulty,
            "bits": "17020e1d",
            "subsidy_btc": "3.125",
        }

    await tell(EPOCH, epoch(925344, "151"), version=2)
    await tell(EPOCH, epoch(925344, "150"), version=1)
    await tell(EPOCH, epoch(923328, "149") | {"bits": 386018333}, version=1)
    async with tenant_session() as session:
        known = await epochs(session, last=5)
        last = await epochs(session, last=1)
    assert [(one.height, one.difficulty) for one in known] == [(923328, 149), (925344, 151)]
    assert [one.bits for one in known] == ["386018333", "17020e1d"]
    assert [one.height for one in last] == [925344]


async def test_no_quote_is_none(worker_session: Sessions) -> None:
    async with worker_session() as session:
        assert await latest_quote(session) is None
        assert await epochs(session, last=3) == []
