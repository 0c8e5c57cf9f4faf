"""The ledger's lines: how they are written, and what they have in common."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from energy.costs.pricing import Reign, month_matters
from energy.currencies.reading import CurrencyUnknown, RateUnavailable, conversion
from energy.savings.models import Saving

LATE = timedelta(days=3)
"""Half-hours are corrected for so long."""


def month_after(at: datetime, zone: str) -> datetime:
    """Return when the local month of an instant is over."""
    local = at.astimezone(ZoneInfo(zone))
    year, month = local.year + local.month // 12, local.month % 12 + 1
    return datetime(year, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def months_long(reign: Reign) -> bool:
    """Return whether a month's bill depends on more than the energy's price."""
    tariff = reign.rated.tariff
    return month_matters(tariff) or tariff.charges_demand() or tariff.has_minimum()


def tariffs_view(reigns: Sequence[Reign]) -> list[dict[str, Any]]:
    """Return which versions of which rates were used."""
    return [
        {
            "rate_id": str(reign.rated.rate_id),
            "rate_version": reign.rated.version,
            "rate_name": reign.rated.name,
            "currency": reign.rated.tariff.currency,
        }
        for reign in reigns
    ]


async def in_dollars(
    session: AsyncSession, currency: str | None, amount: Decimal | None, on: datetime
) -> tuple[Decimal | None, dict[str, Any] | None, tuple[str, ...]]:
    """Return an amount in dollars with the rate used, or why it is not known."""
    if currency is None or amount is None:
        return None, None, ()
    try:
        made = await conversion(session, currency, "USD", min(on, now()).date())
    except (CurrencyUnknown, RateUnavailable):
        return None, None, ("no_reference_rate",)
    view = {
        "rate": f"{round(made.rate, 10):f}",
        "rate_date": made.day.isoformat() if made.day else None,
        "rate_source": made.source,
        "simulated": made.simulated,
    }
    return made.of(amount), view, ()


async def keep(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Write lines of the ledger in place of those that were there before."""
    key = ("source_id", "scope", "client_id")
    for row in rows:
        statement = insert(Saving).values(row | {"id": new_id()})
        said = statement.excluded
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=key, set_={name: said[name] for name in row if name not in key}
            )
        )
