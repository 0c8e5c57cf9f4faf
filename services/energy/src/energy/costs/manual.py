"""Records by hand: what document 003 calls recording a cost. Each interval once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from energy.costs import intake
from energy.costs.adding import Priced, at_place, notes_on_missing, priced
from energy.costs.asking import machine_at
from energy.costs.counting import of_fleet, sites_at
from energy.costs.keeping import money
from energy.costs.models import ElectricityCost
from energy.costs.records import record_of
from energy.costs.schemas import CostRecord, Recorded, RecordOrder
from energy.domain.load import Interval, Load, Unbillable
from energy.facts.models import Miner, Site
from energy.facts.reading import site_of
from energy.tariffs.asking import NoActiveRate
from energy.tariffs.places import fold
from energy.tariffs.reading import RatedTariff, tariff_in_force

_LONGEST = timedelta(hours=25)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:organisation, 5306))")
_MICRO: Final = Decimal("1e-6")
_SECOND: Final = timedelta(seconds=1)


class RecordRefused(Invalid):
    title: ClassVar[str] = "This cannot be recorded"


class MinerUnknown(NotFound):
    title: ClassVar[str] = "No such machine"


class AlreadyRecorded(Conflict):
    title: ClassVar[str] = "The interval is recorded already"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose energy it is: of a site or a location, all of it or of one machine."""

    site: Site | None
    location: str | None
    miner: Miner | None
    miner_ip: str | None

    @property
    def site_id(self) -> UUID | None:
        """Return the site where it is known: then telemetry may tell of it too."""
        return self.site.id if self.site else None

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone of its days: UTC where no site is known, as where they are listed."""
        return ZoneInfo(self.site.timezone if self.site else "UTC")

    @property
    def whole_fleet(self) -> bool:
        """Return whether it is of all machines."""
        return self.miner is None and self.miner_ip is None

    def records(self) -> ColumnElement[bool]:
        """Return which records are of just this."""
        table = ElectricityCost
        if self.miner is not None:
            return table.miner_id == self.miner.id
        here = at_place(self.site_id, self.location)
        if self.miner_ip is None:
            return and_(here, of_fleet())
        return and_(here, table.miner_id.is_(None), table.miner_ip == self.miner_ip)


async def record(session: AsyncSession, caller: Principal, wish: RecordOrder) -> Recorded:
    """Record an interval at the tariff in force at its start; the same again changes nothing.

    A day of the place is recorded by itself: an interval over midnight becomes two records.

    Raises:
        RecordRefused: the interval or what was used in it is not one.
        SiteUnknown: there is no such site.
        MinerUnknown: there is no such machine.
        MinerUnclear: several machines have the address.
        NoActiveRate: no tariff is in force: nothing is recorded at a cost of 0.
        AlreadyRecorded: telemetry has told of the time, or another record of it is kept.
    """
    # One at a time: a record's price depends on those before it.
    await session.execute(_LOCK, {"organisation": str(caller.organisation_id)})
    place = await _place(session, wish)
    if place.site_id is not None:  # or telemetry's rating, going on beside, would not see it
        await intake.lock(session, place.site_id)
    readings = _by_day(wish, *_span(wish, place.zone), place.zone)
    found = [await _once(session, caller, place, one) for one in readings]
    costs = [record_of(row) for row, _ in found]
    tariffs = {(row.rate_id, row.rate_version, place.whole_fleet) for row, _ in found}
    return Recorded(
        ok=True, created=any(new for _, new in found), cost=_whole(costs), costs=costs,
        notes=await notes_on_missing(session, tariffs),
    )  # fmt: skip


async def _place(session: AsyncSession, wish: RecordOrder) -> Place:
    miner = await _miner(session, wish)
    site = await _site(session, wish, miner)
    return Place(
        site=site,
        location=(site.location or None) if site else wish.location,
        miner=miner,
        miner_ip=miner.ip if miner else wish.miner_ip,
    )


async def _miner(session: AsyncSession, wish: RecordOrder) -> Miner | None:
    if wish.miner_id is None:
        return await machine_at(session, wish.miner_ip, wish.site_id, wish.location)
    miner = await session.get(Miner, wish.miner_id)
    if miner is None or (wish.site_id is not None and miner.site_id != wish.site_id):
        raise MinerUnknown("There is no machine of this id there.", field="miner_id")
    return miner


async def _site(session: AsyncSession, wish: RecordOrder, miner: Miner | None) -> Site | None:
    """Return the site meant: as it is named, the machine's, or the one at the location."""
    site_id = wish.site_id or (miner.site_id if miner else None)
    if site_id is not None:
        site = await site_of(session, site_id)
        names = {fold(site.location), fold(site.name)}
        if wish.location is not None and fold(wish.location) not in names:
            raise RecordRefused("The site is at another location.", field="location")
        return site
    if wish.location is None:
        return None
    query = select(Site).where(Site.id.in_(sites_at(wish.location)), Site.removed.is_(False))
    sites = list(await session.scalars(query.limit(2)))
    if len(sites) > 1:
        raise RecordRefused("Several sites are there: name the one by site_id.", field="location")
    return sites[0] if sites else None


def _span(wish: RecordOrder, zone: ZoneInfo) -> tuple[datetime, datetime]:
    # The place's own hour, which no midnight of its cuts; hours elapse in UTC.
    hour = now().astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
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


def _by_day(wish: RecordOrder, start: datetime, end: datetime, zone: ZoneInfo) -> list[Interval]:
    """Return the interval's parts by local day; its energy is uniform in it."""
    edges = [start]
    while edges[-1] < end:
        day = edges[-1].astimezone(zone).date() + timedelta(days=1)
        edges.append(min(end, datetime.combine(day, time(), zone).astimezone(UTC)))
    parts: list[Interval] = []
    done = Decimal(0)
    for first, last in pairwise(edges):
        kwh = wish.total_kwh
        if kwh is not None:
            share = Decimal((last - start) // _SECOND) / ((end - start) // _SECOND or 1)
            upto = kwh if last == end else (kwh * share).quantize(_MICRO, ROUND_HALF_UP)
            kwh, done = upto - done, upto
        parts.append(Interval(first, last, kwh, wish.power_w))
    return parts


async def _once(
    session: AsyncSession, caller: Principal, place: Place, one: Interval
) -> tuple[ElectricityCost, bool]:
    """Return the record of an interval, and whether it is new."""
    try:
        load = Load.of_intervals([one])
    except Unbillable as error:
        raise RecordRefused(str(error), field=error.field) from error
    kwh = Decimal(int(load.energy_mwh_e6[0])).scaleb(-6)
    kept = await _kept(session, place, one, kwh)
    if kept is not None:
        return kept, False
    rated = await tariff_in_force(
        session, site_id=place.site_id, location=place.location, at=one.start
    )
    if rated is None:
        raise NoActiveRate("No rate is in force there: create one, or activate one.")
    try:
        made = await priced(
            session, rated, load, place.zone, at=at_place(place.site_id, place.location),
            whole_fleet=place.whole_fleet,
        )  # fmt: skip
    except Unbillable as error:
        raise RecordRefused(str(error), field=error.field) from error
    row = _row(caller, place, one, kwh, (rated, made))
    session.add(row)
    await session.flush()  # its timestamp is the database's, and the next part's price is on top
    await session.refresh(row)
    return row, True


def _row(
    caller: Principal,
    place: Place,
    one: Interval,
    kwh: Decimal,
    priced_at: tuple[RatedTariff, Priced],
) -> ElectricityCost:
    rated, made = priced_at
    hours = Decimal((one.end - one.start) // _SECOND) / 3600
    # A site's daily charge is the site's, and no machine's; demand is a matter of whole months.
    service = made.daily_service if place.whole_fleet else Decimal(0)
    power = one.power_w / 1000 if one.power_w is not None else kwh / hours
    return ElectricityCost(
        id=new_id(),
        organisation_id=caller.organisation_id,
        client_id=place.miner.client_id if place.miner else None,
        source="manual",
        site_id=place.site_id,
        location=place.location,
        miner_id=place.miner.id if place.miner else None,
        miner_ip=place.miner_ip,
        period_start=one.start,
        period_end=one.end,
        duration_hours=hours,
        total_kwh=kwh,
        avg_power_kw=power,
        peak_power_kw=power,
        rate_id=rated.rate_id,
        rate_version=rated.version,
        rate_name=rated.name,
        currency=rated.tariff.currency,
        avg_rate_usd_per_kwh=made.energy_cost / kwh if kwh else None,
        energy_cost_usd=made.energy_cost,
        demand_charge_usd=Decimal(0),
        service_charge_usd=service,
        total_cost_usd=made.energy_cost + service,
        tou_breakdown_usd={name: money(part) for name, part in made.breakdown.items()},
        split=made.split and one.power_w is None,
        machines=0 if place.whole_fleet else 1,
        unknown=0,
        th_h=0.0,
        simulated=False,
        superseded=False,
    )


async def _kept(
    session: AsyncSession, place: Place, one: Interval, kwh: Decimal
) -> ElectricityCost | None:
    """Return the same record if it is kept.

    Raises:
        AlreadyRecorded: another one of the time is.
    """
    table = ElectricityCost
    same_time = (table.period_start < one.end, table.period_end > one.start, ~table.superseded)
    if place.site_id is not None:
        told = select(table.id).where(
            *same_time, table.site_id == place.site_id, table.source == "telemetry"
        )
        if await session.scalar(told.limit(1)) is not None:
            raise AlreadyRecorded("Telemetry has told of this time; its half-hours count.")
    mine = select(table).where(*same_time, table.source == "manual", place.records())
    for row in await session.scalars(mine):
        if (row.period_start, row.period_end, row.total_kwh) == (one.start, one.end, kwh):
            return row
        raise AlreadyRecorded(
            f"From {row.period_start:%FT%TZ} to {row.period_end:%FT%TZ} another record is kept.",
            cost_id=str(row.id),
        )
    return None


def _whole(parts: Sequence[CostRecord]) -> CostRecord:
    """Return the records of an interval's days as one."""
    first, last = parts[0], parts[-1]
    if first is last:
        return first
    alike = first.currency == last.currency
    same = (first.rate_id, first.rate_version) == (last.rate_id, last.rate_version)

    def added(name: str) -> Decimal:
        return sum((getattr(one, name) for one in parts), Decimal(0))

    kwh, hours, energy = (added(one) for one in ("total_kwh", "duration_hours", "energy_cost_usd"))
    amounts = ("energy_cost_usd", "service_charge_usd", "demand_charge_usd", "total_cost_usd")
    breakdown: dict[str, Decimal] = {}
    for one in parts:
        for name, part in (one.tou_breakdown_usd or {}).items():
            breakdown[name] = breakdown.get(name, Decimal(0)) + Decimal(part)
    return first.model_copy(
        update={
            "id": None,
            "period_end": last.period_end,
            "duration_hours": hours,
            "total_kwh": kwh,
            "avg_power_kw": kwh / hours,
            "peak_power_kw": max(one.peak_power_kw or Decimal(0) for one in parts),
            "avg_rate_usd_per_kwh": energy / kwh if kwh and alike else None,
            "tou_breakdown_usd": {name: money(part) for name, part in breakdown.items()},
            "energy_taken_as_uniform": any(one.energy_taken_as_uniform for one in parts),
        }
        | {name: added(name) if alike else None for name in amounts}
        | ({} if alike else {"currency": None})
        | ({} if same else {"rate_id": None, "rate_version": None, "rate_name": None})
    )
