"""A day by its hours and half-hours: what was curtailed, and what it would have mined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.domain.settlement import ZONE, Period, periods_of
from energy.domain.wind import BTC_PLACES
from energy.wind.models import CurtailmentRecord, SettlementPeriod, SystemPrice
from energy.wind.summary_models import BitcoinRate
from energy.wind_views.asking import NO_MODEL, Filter, chosen_model, require_known
from energy.wind_views.figures import percent, ratio, rounded
from energy.wind_views.pricing import current_market, worth
from energy.wind_views.schemas import (
    CurtailOrMine,
    DayCompared,
    HalfHourChoice,
    Hour,
    HourCompared,
    HourlyComparison,
    HourlyCurtailment,
    MonthlyComparison,
)
from energy.wind_views.spans import Span
from energy.wind_views.sums import NOTHING, Sum, sums_within, total, whole_of


@dataclass(frozen=True, slots=True)
class HalfHour:
    """A settlement period; `sum` is None where it was never taken in: that is no nothing."""

    period: Period
    sum: Sum | None
    btc_per_mwh: Decimal | None
    is_complete: bool
    """Taken in, and nothing went wrong when it was last asked for."""


async def half_hours_of(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> list[HalfHour]:
    """Return every settlement period of a day, in order."""
    states = await states_of(session, span.first)
    energy = await _energy(session, span, wanted)
    rates = await _rates(session, span, model)
    return [
        HalfHour(
            period,
            _mined(energy.get(period.number), rates.get(period.number))
            if period.number in states
            else None,
            rates.get(period.number),
            states.get(period.number, False),
        )
        for period in periods_of(span.first)
    ]


async def states_of(session: AsyncSession, day: date) -> dict[int, bool]:
    """Return the periods of a day that were taken in, and whether nothing went wrong since."""
    row = SettlementPeriod
    found = await session.execute(
        select(row.settlement_period, row.status == "complete").where(
            row.settlement_date == day,
            or_(row.status == "complete", row.fetched_at.is_not(None)),
        )
    )
    return dict(found.all())


async def _energy(
    session: AsyncSession, span: Span, wanted: Filter
) -> dict[int, tuple[Decimal, Decimal, int]]:
    """Return the energy, payments and rows of the periods in which there was something."""
    row = CurtailmentRecord
    found = await session.execute(
        select(row.settlement_period, func.sum(-row.volume), func.sum(row.payment), func.count())
        .where(row.settlement_date == span.first, *wanted.of_records())
        .group_by(row.settlement_period)
    )
    energy = {period: (mwh, paid, rows) for period, mwh, paid, rows in found}
    if not energy and not wanted.is_open:
        await require_known(session, wanted)
    return energy


async def _rates(session: AsyncSession, span: Span, model: str) -> dict[int, Decimal]:
    rate = BitcoinRate
    found = await session.execute(
        select(rate.settlement_period, rate.btc_per_mwh).where(
            rate.settlement_date == span.first, rate.miner_model == model
        )
    )
    return dict(found.all())


def _mined(found: tuple[Decimal, Decimal, int] | None, rate: Decimal | None) -> Sum:
    mwh, paid, rows = found or (NOTHING, NOTHING, 0)
    return Sum(mwh, paid, None if rate is None else rounded(mwh * rate, BTC_PLACES), rows)


async def hours_of_day(session: AsyncSession, span: Span, wanted: Filter) -> HourlyCurtailment:
    """Return a day's curtailment by the hour."""
    whole = await whole_of(session, span)
    half_hours = await half_hours_of(session, span, wanted, NO_MODEL)
    everything = _total(half_hours) or Sum(NOTHING, NOTHING, None)
    items = [
        Hour(
            hour=_clock(pair[0]),
            starts_at=pair[0].period.start,
            settlement_periods=[one.period.number for one in pair],
            curtailed_energy_mwh=found and found.energy_mwh,
            payment_gbp=found and found.payment_gbp,
            is_complete=all(one.is_complete for one in pair),
        )
        for pair, found in _hours(half_hours)
    ]
    return HourlyCurtailment(
        date=span.first,
        lead_party=wanted.lead_party,
        farm_id=wanted.farm_id,
        total_curtailed_energy_mwh=everything.energy_mwh,
        total_payment_gbp=everything.payment_gbp,
        is_complete=whole.is_complete,
        items=items,
    )


async def hourly_comparison(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> HourlyComparison:
    """Return somebody's hours beside everybody's."""
    whole = await whole_of(session, span)
    name = await chosen_model(session, model)
    own = await half_hours_of(session, span, wanted, name)
    everybody = await half_hours_of(session, span, Filter(any_flag=wanted.any_flag), name)
    items = [
        HourCompared(
            hour=_clock(pair[0]),
            starts_at=pair[0].period.start,
            curtailed_energy_mwh=found and found.energy_mwh,
            payment_gbp=found and found.payment_gbp,
            bitcoin_mined=found and found.bitcoin,
            all_curtailed_energy_mwh=every and every.energy_mwh,
            share_percent=found and every and percent(found.energy_mwh, every.energy_mwh),
        )
        for (pair, found), (_, every) in zip(_hours(own), _hours(everybody), strict=True)
    ]
    return HourlyComparison(
        date=span.first,
        lead_party=wanted.lead_party,
        miner_model=name,
        is_complete=whole.is_complete,
        items=items,
    )


async def monthly_comparison(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> MonthlyComparison:
    """Return somebody's days of a month beside everybody's."""
    whole = await whole_of(session, span)
    name = await chosen_model(session, model)
    own = await sums_within(session, span, wanted, name)
    everybody = await sums_within(session, span, Filter(any_flag=wanted.any_flag), name)
    items = [
        DayCompared(
            date=date.fromisoformat(day),
            curtailed_energy_mwh=found.energy_mwh,
            payment_gbp=found.payment_gbp,
            bitcoin_mined=found.bitcoin,
            all_curtailed_energy_mwh=everybody[day].energy_mwh,
            share_percent=percent(found.energy_mwh, everybody[day].energy_mwh),
        )
        for day, found in own.items()
    ]
    return MonthlyComparison(
        month=span.value,
        lead_party=wanted.lead_party,
        miner_model=name,
        is_complete=whole.is_complete,
        items=items,
    )


async def choice_of_day(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> CurtailOrMine:
    """Return curtailing against mining, half-hour by half-hour."""
    whole = await whole_of(session, span)
    name = await chosen_model(session, model)
    market = await current_market(session)
    price = market.btc_price_gbp
    half_hours = await half_hours_of(session, span, wanted, name)
    prices = await _system_prices(session, span)
    everything = _total(half_hours) or Sum(NOTHING, NOTHING, None)
    value = worth(everything.bitcoin, price)
    curtailed = ratio(everything.payment_gbp, everything.energy_mwh)
    mined = ratio(value, _energy_calculated(half_hours))
    return CurtailOrMine(
        date=span.first,
        miner_model=name,
        lead_party=wanted.lead_party,
        farm_id=wanted.farm_id,
        total_curtailed_energy_mwh=everything.energy_mwh,
        total_payment_gbp=everything.payment_gbp,
        curtail_gbp_per_mwh=curtailed,
        total_bitcoin_mined=everything.bitcoin,
        mine_value_gbp=value,
        mine_gbp_per_mwh=mined,
        difference_gbp_per_mwh=_difference(mined, curtailed),
        is_complete=whole.is_complete,
        market=market,
        items=[_choice(one, price, prices.get(one.period.number)) for one in half_hours],
    )


def _choice(one: HalfHour, price: Decimal | None, system: Decimal | None) -> HalfHourChoice:
    found = one.sum
    curtailed = found and ratio(found.payment_gbp, found.energy_mwh)
    mined = worth(one.btc_per_mwh, price)
    difference = _difference(mined, curtailed)
    return HalfHourChoice(
        settlement_period=one.period.number,
        starts_at=one.period.start,
        curtailed_energy_mwh=found and found.energy_mwh,
        payment_gbp=found and found.payment_gbp,
        curtail_gbp_per_mwh=curtailed,
        btc_per_mwh=one.btc_per_mwh,
        bitcoin_mined=found and found.bitcoin,
        mine_gbp_per_mwh=mined,
        mine_value_gbp=worth(found and found.bitcoin, price),
        difference_gbp_per_mwh=difference,
        better=None if difference is None else "mine" if difference > 0 else "curtail",
        system_price_gbp_per_mwh=system,
    )


def _energy_calculated(half_hours: Iterable[HalfHour]) -> Decimal:
    """Return the energy of the half-hours whose bitcoin is known."""
    known = (one.sum for one in half_hours if one.sum is not None)
    return sum((one.energy_mwh for one in known if one.bitcoin is not None), NOTHING)


def _difference(mined: Decimal | None, curtailed: Decimal | None) -> Decimal | None:
    return None if mined is None or curtailed is None else mined - curtailed


async def _system_prices(session: AsyncSession, span: Span) -> Mapping[int, Decimal]:
    row = SystemPrice
    found = await session.execute(
        select(row.settlement_period, row.system_price).where(row.settlement_date == span.first)
    )
    return dict(found.all())


def _total(half_hours: Iterable[HalfHour]) -> Sum | None:
    known = [one.sum for one in half_hours if one.sum is not None]
    return total(known) if known else None


def _hours(half_hours: list[HalfHour]) -> list[tuple[list[HalfHour], Sum | None]]:
    """Return pairs of half-hours with the sum of what is known of each."""
    pairs = [half_hours[start : start + 2] for start in range(0, len(half_hours), 2)]
    return [(pair, _total(pair)) for pair in pairs]


def _clock(one: HalfHour) -> str:
    return f"{one.period.start.astimezone(ZONE):%H:%M}"
