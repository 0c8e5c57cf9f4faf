"""Bills and prices for those who ask; nothing is stored."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid
from energy.domain.billing import Bill, bill
from energy.domain.schedule import (
    IndexPrices,
    Interval,
    Load,
    PricedPeriod,
    Unbillable,
    coverage,
    period_at,
)
from energy.domain.schedule import Span as CoverageSpan
from energy.domain.zone import seconds_of
from energy.tariffs import asking
from energy.tariffs.asking import Asked
from energy.tariffs.bill_schemas import (
    BillView,
    Calculation,
    Compared,
    Comparison,
    ComparisonView,
    CoverageView,
    CurrentRate,
    LineView,
    Reading,
    SpanView,
    TierView,
    Use,
    readings_of,
)
from energy.tariffs.parts import read_part
from energy.tariffs.reading import index_prices
from energy.tariffs.schedules import clock_of

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=3660)
_MANY_READINGS = 500
MOST_SPANS = 1000
"""Of holes, and of overlaps, that an answer lists."""
_LONG = timedelta(days=400)
"""From here on a bill is made on another thread, so that others are answered meanwhile."""
_MOST_PERIODS = 256
_last_period: OrderedDict[tuple[UUID, int], PricedPeriod] = OrderedDict()
"""Of a version of a rate, which never changes."""
_FIELDS = {"start": "start_time", "end": "end_time"}
_PLACE = re.compile(r"intervals\[(\d+)\]")
_PARTS = re.compile(r"[^\[\].]+")


class LoadRefused(Invalid):
    title: ClassVar[str] = "This load cannot be priced"


@dataclass(frozen=True, slots=True)
class Billed:
    """A load's bill over a span."""

    start: datetime
    end: datetime
    bill: Bill


async def calculate(session: AsyncSession, wish: Calculation) -> BillView:
    """Return what a load would cost under a stored rate, one in force now, or one sent along."""
    given = await _read(wish)
    if wish.rate is not None:
        asked = await asking.sent_along(session, wish.rate)
    elif wish.rate_id is not None:
        asked = await asking.by_id(session, wish.rate_id)
    else:
        asked = await asking.in_force(session, site_id=wish.site_id, location=wish.location)
    billed = await _billed(session, asked, wish, given)
    return _view(asked, billed)


async def compare(session: AsyncSession, wish: Comparison) -> ComparisonView:
    """Return what a load would cost under each of some rates, the cheapest first."""
    given = await _read(wish)
    results: list[tuple[Asked, Billed | LoadRefused]] = []
    for asked in await asking.several(session, wish.rate_ids, wish.rates):
        try:
            results.append((asked, await _billed(session, asked, wish, given)))
        except LoadRefused as problem:
            if problem.extensions.get("code_of_cause") != "price_missing":
                raise
            results.append((asked, problem))
    if not results:
        raise asking.NoActiveRate("There is no rate to compare: create one.", field="rate_ids")
    billed = [found for _, found in results if isinstance(found, Billed)]
    if not billed and isinstance(results[0][1], LoadRefused):
        raise results[0][1]
    compared = _ranked(results)
    return ComparisonView(
        start_time=billed[0].start,
        end_time=billed[0].end,
        total_kwh=billed[0].bill.total_kwh,
        comparisons=compared,
        count=len(compared),
    )


async def price_now(
    session: AsyncSession, *, site_id: Any, location: str | None, timestamp: datetime | None
) -> CurrentRate:
    """Return what a kWh costs now, or at a time."""
    moment = timestamp or now()
    asked = await asking.in_force(session, site_id=site_id, location=location, at=moment)
    instant = asked.instant(moment, "timestamp")
    index = await _series(session, asked, instant - _DAY, instant + _DAY)
    period = _period(asked, instant, index)
    return CurrentRate(
        timestamp=instant,
        period=period.name,
        rate_usd_per_kwh=period.rate.normalize() + 0 if period.rate is not None else None,
        tiers=[TierView(up_to_kwh=tier.up_to_kwh, rate=tier.rate) for tier in period.tiers],
        currency=asked.terms.currency,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        rate=asked.used(),
    )


def _period(asked: Asked, instant: datetime, index: IndexPrices | None) -> PricedPeriod:
    """Return the period at an instant; the last one found of a version is kept while it lasts."""
    if asked.rate_id is None or asked.version is None or asked.terms.rate_type == "index":
        return period_at(asked.tariff, instant, index)
    key = asked.rate_id, asked.version
    known = _last_period.get(key)
    if known is None or not _lasts(known, instant):
        known = _last_period[key] = period_at(asked.tariff, instant)
    while len(_last_period) > _MOST_PERIODS:
        _last_period.popitem(last=False)
    return known


def _lasts(period: PricedPeriod, instant: datetime) -> bool:
    """Return whether an instant lies between both known ends of a period."""
    starts, ends = period.starts_at, period.ends_at
    return starts is not None and ends is not None and starts <= instant < ends


async def covered(asked: Asked, year: int) -> CoverageView:
    """Return the hours of a year that a schedule leaves out or names twice."""
    # A second's work for hundreds of rows: others are answered meanwhile.
    found = await asyncio.to_thread(coverage, asked.tariff, year)
    return CoverageView(
        year=year,
        complete=not (found.holes or found.overlaps),
        has_fallback=asked.tariff.has_fallback(),
        holes=[_span_view(span) for span in found.holes[:MOST_SPANS]],
        holes_total=len(found.holes),
        overlaps=[_span_view(span) for span in found.overlaps[:MOST_SPANS]],
        overlaps_total=len(found.overlaps),
        rate=asked.used(),
    )


def _span_view(span: CoverageSpan) -> SpanView:
    return SpanView(
        month=span.month,
        day=span.day,
        start=clock_of(span.start_minute),
        end=clock_of(span.end_minute),
        names=list(span.names),
    )


async def _billed(
    session: AsyncSession, asked: Asked, use: Use, given: Sequence[Reading]
) -> Billed:
    """Return the bill of a load, whose readings have been read.

    Raises:
        LoadRefused: it cannot be priced.
    """
    if (use.power_w is None) == (use.intervals is None):
        raise LoadRefused("Give either power_w or intervals.", field="power_w")
    many = len(given) >= _MANY_READINGS
    order = await asyncio.to_thread(_in_order, given, asked) if many else _in_order(given, asked)
    readings = [reading for _, reading in order]
    start, end = _span(asked, use, readings)
    index = await _series(session, asked, start, end)

    def run() -> Bill:
        try:
            load = _load(use, readings, start, end)
            prices = IndexPrices.of_intervals(readings) if readings else None
            span_s = (seconds_of(start), seconds_of(end))
            return bill(asked.tariff, load, index=prices or index, span_s=span_s)
        except Unbillable as error:
            raise _refusal(error, [place for place, _ in order]) from error

    is_long = many or end - start > _LONG
    return Billed(start, end, await asyncio.to_thread(run) if is_long else run())


async def _read(use: Use) -> list[Reading]:
    """Return the readings of a request, none where a power is given.

    Raises:
        Problem: they are no readings (422, with the field named).
    """
    if use.intervals is None:
        return []
    given = cast("Any", use.intervals)  # as it was sent: nobody has looked at it
    read = partial(read_part, readings_of, given, "intervals")
    many = isinstance(given, list) and len(use.intervals) >= _MANY_READINGS
    return await asyncio.to_thread(read) if many else read()


def _in_order(given: Sequence[Reading], asked: Asked) -> list[tuple[int, Interval]]:
    """Return the readings by time, each with its place in the request."""
    found = [
        (
            place,
            Interval(
                asked.instant(one.start, f"intervals[{place}].start"),
                asked.instant(one.end, f"intervals[{place}].end"),
                one.kwh,
                one.power_w,
                one.price_usd_per_mwh,
            ),
        )
        for place, one in enumerate(given)
    ]
    return sorted(found, key=lambda pair: pair[1].start)


def _span(asked: Asked, use: Use, readings: Sequence[Interval]) -> tuple[datetime, datetime]:
    """Return what is billed: from start to end, or all the readings."""
    start = _edge(asked, use.start_time, "start_time", min, [one.start for one in readings])
    end = _edge(asked, use.end_time, "end_time", max, [one.end for one in readings])
    stated = use.start_time is not None or use.end_time is not None
    if end <= start and stated:
        raise LoadRefused("end_time must lie after start_time.", field="end_time")
    if end - start > _LONGEST:
        raise LoadRefused("A load spans at most ten years.", field="end_time")
    return start, end


def _edge(
    asked: Asked,
    stated: datetime | None,
    field: str,
    choose: Callable[[list[datetime]], datetime],
    of_readings: list[datetime],
) -> datetime:
    if stated is None and not of_readings:
        raise LoadRefused(f"{field} is missing.", field=field)
    found = asked.instant(stated, field) if stated is not None else choose(of_readings)
    if found.microsecond:
        raise LoadRefused("Times are whole seconds.", field=field)
    return found


def _load(use: Use, readings: Sequence[Interval], start: datetime, end: datetime) -> Load:
    if use.power_w is not None:
        return Load.of_power(start, end, use.power_w)
    return Load.of_intervals(readings)


def _refusal(error: Unbillable, places: Sequence[int]) -> LoadRefused:
    """Return what is wrong with a load, in the words and places of the request."""

    def asked_at(found: re.Match[str]) -> str:
        return f"intervals[{places[int(found[1])]}]"

    field = _PLACE.sub(asked_at, _FIELDS.get(error.field, error.field))
    parts = _PARTS.findall(field)
    names = [part for part in parts if not part.isdecimal()]
    name = names[-1] if names else field
    pointer = "/body/" + "/".join(parts)
    return LoadRefused(
        str(error),
        field=name,
        errors=[{"pointer": pointer, "detail": str(error), "code": error.code}],
        code_of_cause=error.code,
    )


async def _series(
    session: AsyncSession, asked: Asked, start: datetime, end: datetime
) -> IndexPrices | None:
    """Return the prices of the rate's index, where it has one."""
    series_id = asked.terms.index_series_id
    if asked.terms.rate_type != "index" or series_id is None or end <= start:
        return None
    return await index_prices(session, series_id, start, end)


def _view(asked: Asked, billed: Billed) -> BillView:
    found = billed.bill
    hours = Decimal(seconds_of(billed.end) - seconds_of(billed.start)) / 3600
    return BillView(
        currency=found.currency,
        start_time=billed.start,
        end_time=billed.end,
        duration_hours=round(hours, 6),
        total_kwh=found.total_kwh,
        exported_kwh=found.exported_kwh,
        energy_cost_usd=found.energy_cost,
        service_charge_usd=found.service_charge,
        demand_charge_usd=found.demand_charge,
        coincident_charge_usd=found.coincident_charge,
        minimum_top_up_usd=found.minimum_top_up,
        credits_usd=found.credits,
        taxes_usd=found.taxes,
        export_credit_usd=found.export_credit,
        total_cost_usd=found.total_cost,
        avg_rate_usd_per_kwh=found.avg_rate,
        avg_energy_rate_usd_per_kwh=found.avg_energy_rate,
        tou_breakdown_usd=found.breakdown,
        peaks_kw={str(month): peak for month, peak in found.peaks_kw.items()},
        lines=[
            LineView(
                kind=line.kind,
                name=line.name,
                month=str(line.month),
                quantity=line.quantity,
                unit=line.unit,
                rate=line.rate,
                amount_usd=line.amount,
                note=line.note,
            )
            for line in found.lines
        ],
        split_intervals=found.split_intervals,
        notes=list(found.notes),
        rate_used=asked.used(),
    )


def _ranked(results: Sequence[tuple[Asked, Billed | LoadRefused]]) -> list[Compared]:
    """Return the bills, cheapest first; only those in one currency can be ranked together."""
    totals: dict[str, list[Decimal]] = {}
    for asked, found in results:
        if isinstance(found, Billed):
            totals.setdefault(asked.terms.currency, []).append(found.bill.total_cost)
    ranks = {currency: sorted(set(found)) for currency, found in totals.items()}
    compared = [
        _compared(asked, found, ranks.get(asked.terms.currency, [])) for asked, found in results
    ]
    return sorted(
        compared, key=lambda one: (one.rate_used.currency, one.rank is None, one.rank or 0)
    )


def _compared(asked: Asked, found: Billed | LoadRefused, ranks: Sequence[Decimal]) -> Compared:
    made = found.bill if isinstance(found, Billed) else None
    return Compared(
        rate_used=asked.used(),
        rank=ranks.index(made.total_cost) + 1 if made else None,
        total_cost_usd=made.total_cost if made else None,
        more_than_cheapest_usd=made.total_cost - ranks[0] if made else None,
        avg_rate_usd_per_kwh=made.avg_rate if made else None,
        energy_cost_usd=made.energy_cost if made else None,
        service_charge_usd=made.service_charge if made else None,
        demand_charge_usd=made.demand_charge if made else None,
        tou_breakdown_usd=made.breakdown if made else {},
        problem=found.detail if isinstance(found, LoadRefused) else None,
    )
