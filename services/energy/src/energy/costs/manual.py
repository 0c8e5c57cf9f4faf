"""Records by hand: what document 003 calls recording a cost. Each interval once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from energy.costs.keeping import money
from energy.costs.models import ElectricityCost
from energy.costs.records import record_of
from energy.costs.schemas import Recorded, RecordOrder
from energy.domain.billing import Bill, bill
from energy.domain.load import IndexPrices, Interval, Load, Unbillable
from energy.facts.models import Miner, Site
from energy.facts.reading import site_of
from energy.tariffs.asking import NoActiveRate
from energy.tariffs.reading import RatedTariff, index_prices, tariff_in_force

_LONGEST = timedelta(hours=25)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 5306))")


class RecordRefused(Invalid):
    title: ClassVar[str] = "This cannot be recorded"


class MinerUnknown(NotFound):
    title: ClassVar[str] = "No such machine"


class AlreadyRecorded(Conflict):
    title: ClassVar[str] = "The interval is recorded already"


async def record(session: AsyncSession, caller: Principal, wish: RecordOrder) -> Recorded:
    """Record an interval at the tariff in force at its start; the same again changes nothing.

    Raises:
        RecordRefused: the interval or what was used in it is not one.
        SiteUnknown: there is no such site.
        MinerUnknown: there is no such machine.
        NoActiveRate: no tariff is in force: nothing is recorded at a cost of 0.
        AlreadyRecorded: telemetry has told of the time, or another record of it is kept.
    """
    miner = await _miner(session, wish)
    site_id = wish.site_id or (miner.site_id if miner else None)
    site = await site_of(session, site_id) if site_id is not None else None
    start, end = _span(wish, ZoneInfo(site.timezone) if site else ZoneInfo("UTC"))
    place = {
        "site_id": site_id,
        "location": wish.location or (site.location or None if site else None),
        "miner_id": miner.id if miner else None,
        "miner_ip": wish.miner_ip or (miner.ip if miner else None),
    }
    lock = f"{caller.organisation_id}:{place}"
    await session.execute(_LOCK, {"place": lock})
    made = await _priced(session, wish, site, start, end)
    row = _row(caller, wish, place, (start, end), made)
    row.client_id = miner.client_id if miner else None
    kept = await _kept(session, row)
    if kept is not None:
        return Recorded(ok=True, created=False, cost=record_of(kept))
    session.add(row)
    await session.flush()  # its timestamp is the database's
    await session.refresh(row)
    return Recorded(ok=True, created=True, cost=record_of(row))


async def _miner(session: AsyncSession, wish: RecordOrder) -> Miner | None:
    if wish.miner_id is None:
        return None
    miner = await session.get(Miner, wish.miner_id)
    if miner is None or (wish.site_id is not None and miner.site_id != wish.site_id):
        raise MinerUnknown("There is no machine of this id there.", field="miner_id")
    return miner


def _span(wish: RecordOrder, zone: ZoneInfo) -> tuple[datetime, datetime]:
    hour = now().replace(minute=0, second=0, microsecond=0)
    if (wish.period_start is None) != (wish.period_end is None):
        raise RecordRefused("Give period_start and period_end, or neither.", field="period_start")
    given = (wish.period_start or hour - timedelta(hours=1), wish.period_end or hour)
    start, end = ((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC) for at in given)
    if (wish.power_w is None) == (wish.total_kwh is None):
        raise RecordRefused("Give power_w or total_kwh, one of them.", field="power_w")
    if end <= start:
        raise RecordRefused("The end must lie after the start.", field="period_end")
    if end - start > _LONGEST:
        raise RecordRefused("Record at most a day at once.", field="period_end",
                            maximum_hours=25)  # fmt: skip
    if end > now():
        raise RecordRefused("The interval is not over yet.", field="period_end")
    return start, end


async def _priced(
    session: AsyncSession, wish: RecordOrder, site: Site | None, start: datetime, end: datetime
) -> tuple[RatedTariff, Bill]:
    site_id = site.id if site else None
    rated = await tariff_in_force(session, site_id=site_id, location=wish.location, at=start)
    if rated is None:
        raise NoActiveRate("No rate is in force there: create one, or activate one.")
    index: IndexPrices | None = None
    if rated.index_series_id is not None:
        index = await index_prices(session, rated.index_series_id, start, end)
    try:
        load = Load.of_intervals([Interval(start, end, wish.total_kwh, wish.power_w)])
        return rated, bill(rated.tariff, load, index=index)
    except Unbillable as error:
        raise RecordRefused(str(error), field=error.field) from error


def _row(
    caller: Principal,
    wish: RecordOrder,
    place: dict[str, Any],
    span: tuple[datetime, datetime],
    made: tuple[RatedTariff, Bill],
) -> ElectricityCost:
    (start, end), (rated, billed) = span, made
    hours = Decimal(int((end - start).total_seconds())) / 3600
    of_a_machine = place["miner_id"] is not None or place["miner_ip"] is not None
    # A site's daily charge is the site's, and no machine's; demand is a matter of whole months.
    service = Decimal(0) if of_a_machine or place["site_id"] else billed.service_charge
    power = wish.power_w / 1000 if wish.power_w is not None else billed.total_kwh / hours
    return ElectricityCost(
        id=new_id(),
        organisation_id=caller.organisation_id,
        client_id=None,
        source="manual",
        **place,
        period_start=start,
        period_end=end,
        duration_hours=hours,
        total_kwh=billed.total_kwh,
        avg_power_kw=power,
        peak_power_kw=power,
        rate_id=rated.rate_id,
        rate_version=rated.version,
        rate_name=rated.name,
        currency=rated.tariff.currency,
        avg_rate_usd_per_kwh=billed.avg_energy_rate,
        energy_cost_usd=billed.energy_cost,
        demand_charge_usd=Decimal(0),
        service_charge_usd=service,
        total_cost_usd=billed.energy_cost + service,
        tou_breakdown_usd={name: money(part) for name, part in billed.breakdown.items()},
        split=billed.split_intervals > 0 and wish.power_w is None,
        machines=1 if of_a_machine else 0,
        unknown=0,
        th_h=0.0,
        simulated=False,
        superseded=False,
    )


async def _kept(session: AsyncSession, new: ElectricityCost) -> ElectricityCost | None:
    """Return the same record if it is kept.

    Raises:
        AlreadyRecorded: another one of the time is.
    """
    table = ElectricityCost
    overlapping = [
        table.organisation_id == new.organisation_id,
        table.site_id.is_not_distinct_from(new.site_id),
        table.period_start < new.period_end,
        table.period_end > new.period_start,
        ~table.superseded,
    ]
    if new.site_id is not None:
        told = select(table.id).where(*overlapping, table.source == "telemetry").limit(1)
        if await session.scalar(told) is not None:
            raise AlreadyRecorded("Telemetry has told of this time; its half-hours count.")
    rows = await session.scalars(
        select(table).where(
            *overlapping,
            table.source == "manual",
            table.location.is_not_distinct_from(new.location),
            table.miner_id.is_not_distinct_from(new.miner_id),
            table.miner_ip.is_not_distinct_from(new.miner_ip),
        )
    )
    for row in rows:
        same = (row.period_start, row.period_end) == (new.period_start, new.period_end)
        if same and row.total_kwh == new.total_kwh:
            return row
        raise AlreadyRecorded(
            f"From {row.period_start:%FT%TZ} to {row.period_end:%FT%TZ} another record is kept.",
            cost_id=str(row.id),
        )
    return None
