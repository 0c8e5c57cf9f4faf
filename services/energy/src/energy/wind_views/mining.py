"""What curtailed energy would have mined: by day, month and year, by farm and by lead party."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.domain.wind import WIND
from energy.wind.models import BmUnit
from energy.wind_views.asking import Filter, chosen_model, require_known
from energy.wind_views.figures import Currency, percent
from energy.wind_views.mining_schemas import (
    DailyPotential,
    DayPotential,
    FarmGroup,
    FarmPotential,
    FarmPotentials,
    FarmTables,
    LeadPartyPotential,
    LeadPartyPotentials,
    MonthlyPotential,
    MonthPotential,
    OneFarm,
    SpanPotential,
    YearlyPotential,
)
from energy.wind_views.pricing import MarketPrice, current_market, price_in, worth
from energy.wind_views.spans import Span
from energy.wind_views.sums import (
    NOTHING,
    FarmSum,
    Sum,
    Whole,
    sums_by_farm,
    sums_within,
    total,
    whole_of,
)


class Asked:
    """One question about mining, with what every answer to it needs."""

    def __init__(
        self, whole: Whole, wanted: Filter, model: str, currency: Currency, market: MarketPrice
    ) -> None:
        self.whole = whole
        self.wanted = wanted
        self.model = model
        self.currency: Currency = currency
        self.market = market
        self.price = price_in(market, currency)

    def figures(self, found: Sum) -> dict[str, Any]:
        """Return the figures of a sum."""
        return {
            "curtailed_energy_mwh": found.energy_mwh,
            "total_payment_gbp": found.payment_gbp,
            "bitcoin_mined": found.bitcoin,
            "value_at_current_price": worth(found.bitcoin, self.price),
        }

    def share(self, found: Sum) -> Decimal | None:
        """Return how many percent of the span's whole energy a sum is."""
        return percent(found.energy_mwh, self.whole.sum(self.wanted).energy_mwh)

    def head(self) -> dict[str, Any]:
        """Return what stands over every answer."""
        bitcoin = self.whole.bitcoin
        return {
            "miner_model": self.model,
            "bitcoin_reason": self.whole.bitcoin_reason,
            "is_complete": self.whole.is_complete,
            "simulated": self.whole.is_simulated,
            "current_price": self.price,
            "currency": self.currency,
            "market": self.market,
            "difficulty": bitcoin and bitcoin.average_difficulty,
        }

    def ranked(self) -> dict[str, Any]:
        """Return what stands over a list of farms or lead parties."""
        span = self.whole.span
        return self.head() | {"timeframe": span.timeframe, "value": span.value}

    def of_whom(self) -> dict[str, Any]:
        """Return whose energy is meant."""
        return {"lead_party": self.wanted.lead_party, "farm_id": self.wanted.farm_id}


async def asked(
    session: AsyncSession, span: Span, wanted: Filter, model: str, currency: Currency
) -> Asked:
    """Return a question with the span, the model and the market that it is about.

    Raises:
        NoWindData: no day of the span was ever taken in.
        UnknownMinerModel: nobody knows the model.
    """
    name = await chosen_model(session, model)
    whole = await whole_of(session, span, name)
    return Asked(whole, wanted, name, currency, await current_market(session))


async def daily_potential(session: AsyncSession, ask: Asked) -> DailyPotential:
    """Return what a day's curtailed energy would have mined."""
    _, found = await _summed(session, ask)
    return DailyPotential(
        date=ask.whole.span.first, **ask.figures(found), **ask.head(), **ask.of_whom()
    )


async def monthly_potential(session: AsyncSession, ask: Asked) -> MonthlyPotential:
    """Return what a month's curtailed energy would have mined, and each of its days'."""
    parts, found = await _summed(session, ask)
    days = [
        DayPotential(date=date.fromisoformat(day), **ask.figures(one)) for day, one in parts.items()
    ]
    head = ask.figures(found) | ask.head() | ask.of_whom()
    return MonthlyPotential(month=ask.whole.span.value, days=days, **head)


async def yearly_potential(session: AsyncSession, ask: Asked) -> YearlyPotential:
    """Return what a year's curtailed energy would have mined, and each of its months'."""
    parts, found = await _summed(session, ask)
    months = [MonthPotential(month=month, **ask.figures(one)) for month, one in parts.items()]
    head = ask.figures(found) | ask.head() | ask.of_whom()
    return YearlyPotential(year=ask.whole.span.first.year, months=months, **head)


async def _summed(session: AsyncSession, ask: Asked) -> tuple[dict[str, Sum], Sum]:
    parts = await sums_within(session, ask.whole.span, ask.wanted, ask.model)
    is_open = ask.wanted.is_open
    return parts, ask.whole.sum(ask.wanted) if is_open else total(list(parts.values()))


async def farm_potentials(
    session: AsyncSession, ask: Asked, limit: int | None = None
) -> FarmPotentials:
    """Return the farms that would have mined most, most first."""
    farms = await _potentials(session, ask, (await _farms(session, ask))[:limit])
    return FarmPotentials(items=farms, lead_party=ask.wanted.lead_party, **ask.ranked())


async def lead_party_potentials(session: AsyncSession, ask: Asked) -> LeadPartyPotentials:
    """Return the lead parties, most bitcoin first."""
    items = [
        LeadPartyPotential(
            lead_party=party,
            farms=len({one.farm_id for one in farms}),
            share_percent=ask.share(found),
            **ask.figures(found),
        )
        for party, found, farms in _by_party(await _farms(session, ask))
    ]
    return LeadPartyPotentials(items=items, **ask.ranked())


async def farm_tables(session: AsyncSession, ask: Asked) -> FarmTables:
    """Return the farms grouped by lead party, with the totals of each group and of all."""
    rows = await _farms(session, ask)
    farms: dict[str, list[FarmPotential]] = {}
    for farm in await _potentials(session, ask, rows):
        farms.setdefault(farm.lead_party, []).append(farm)
    items = [
        FarmGroup(
            lead_party=party,
            share_percent=ask.share(found),
            farms=farms[party],
            **ask.figures(found),
        )
        for party, found, _ in _by_party(rows)
    ]
    everything = total([one.sum for one in rows])
    return FarmTables(items=items, **ask.figures(everything), **ask.ranked())


async def one_farm(session: AsyncSession, ask: Asked) -> OneFarm:
    """Return one farm's potential, by the days of a month or the months of a year.

    Raises:
        UnknownFarm: there is no such unit.
    """
    farm_id = ask.wanted.farm_id
    assert farm_id is not None
    await require_known(session, ask.wanted)
    span = ask.whole.span
    parts, found = await _summed(session, ask)
    unit = (await _units(session, [farm_id], span.last)).get(farm_id)
    return OneFarm(
        timeframe=span.timeframe,
        value=span.value,
        farm_id=farm_id,
        farm_name=unit and unit.farm_name,
        lead_party=unit and unit.lead_party_name,
        generation_capacity_mw=unit and unit.generation_capacity_mw,
        items=[SpanPotential(value=name, **ask.figures(one)) for name, one in parts.items()],
        **ask.figures(found),
        **ask.head(),
    )


async def _farms(session: AsyncSession, ask: Asked) -> list[FarmSum]:
    rows = await sums_by_farm(session, ask.whole.span, ask.wanted, ask.model)
    if not rows:
        await require_known(session, ask.wanted)
    return rows


async def _potentials(
    session: AsyncSession, ask: Asked, rows: Sequence[FarmSum]
) -> list[FarmPotential]:
    units = await _units(session, [row.farm_id for row in rows], ask.whole.span.last)
    return [
        FarmPotential(
            farm_id=row.farm_id,
            farm_name=units[row.farm_id].farm_name if row.farm_id in units else None,
            lead_party=row.lead_party,
            periods=row.periods,
            share_percent=ask.share(row.sum),
            **ask.figures(row.sum),
        )
        for row in rows
    ]


def _by_party(rows: Sequence[FarmSum]) -> list[tuple[str, Sum, list[FarmSum]]]:
    """Return lead parties, their sums and their farms, ordered as the farms are."""
    farms: dict[str, list[FarmSum]] = {}
    for row in rows:
        farms.setdefault(row.lead_party, []).append(row)
    groups = [(party, total([one.sum for one in own]), own) for party, own in farms.items()]
    return sorted(groups, key=lambda group: (*_most_first(group[1]), group[0]))


def _most_first(found: Sum) -> tuple[bool, Decimal, Decimal]:
    """Return what sums are sorted by: bitcoin, where it is known, and then energy."""
    return found.bitcoin is None, -(found.bitcoin or NOTHING), -found.energy_mwh


async def _units(session: AsyncSession, ids: list[str], day: date) -> dict[str, BmUnit]:
    """Return units as they were on a day, or as they are known where that was later."""
    found = await session.scalars(
        select(BmUnit)
        .where(BmUnit.bm_unit.in_(ids), BmUnit.fuel_type == WIND)
        .order_by(BmUnit.valid_from <= day, BmUnit.valid_from)
    )
    return {unit.bm_unit: unit for unit in found}
