"""The epoch and the quote of each half-hour, from what has been heard."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from common.runtime import Runtime
from common.testing import TenantSessions
from energy.savings.market import market_at

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


async def test_the_last_quote_before_a_half_hour_counts(
    runtime: Runtime, tenant_session: TenantSessions
) -> None:
    async with runtime.worker_session() as session:
        dearer = "UPDATE energy.quote SET price_usd = 90000 WHERE at = :at"
        await session.execute(text(dearer), {"at": NOON})
    async with tenant_session() as session:
        found = await market_at(session, [NOON - HALF_HOUR, NOON, NOON + HALF_HOUR])
    prices = [quote and quote.price_usd for quote in found.quotes]
    assert prices == [Decimal(100_000), Decimal(90_000), Decimal(90_000)]
    assert {epoch and epoch.height for epoch in found.epochs} == {907_200}


async def test_where_quotes_end_an_epoch_counts_a_half_hour_longer_and_no_more(
    runtime: Runtime, tenant_session: TenantSessions, market: Any
) -> None:
    await market()
    async with runtime.worker_session() as session:
        gone = "DELETE FROM energy.quote WHERE at > :at"
        await session.execute(text(gone), {"at": NOON})
    instants = [NOON + n * HALF_HOUR for n in (-1, 0, 1, 2, 13)]
    async with tenant_session() as session:
        found = await market_at(session, instants)
    assert [epoch is not None for epoch in found.epochs] == [True, True, True, False, False]
    assert [quote is not None for quote in found.quotes] == [True, True, True, True, False]


async def test_of_no_instants_nothing_is_known(tenant_session: TenantSessions) -> None:
    async with tenant_session() as session:
        found = await market_at(session, [])
    assert found.provenance()["quotes"]["count"] == 0
    assert not found.simulated()
