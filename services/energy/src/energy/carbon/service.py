"""What the routes of carbon intensity do."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Invalid, NotFound
from energy.carbon import footprint, reading
from energy.carbon.models import CarbonSetting
from energy.carbon.schemas import (
    FootprintAnswer,
    FootprintFigures,
    FootprintRow,
    Intensities,
    IntensityRow,
    NewCarbonSetting,
)
from energy.facts.models import Miner
from energy.facts.reading import site_of
from energy.tariffs.publishing import note
from energy.usage.half_hours import (
    HALF_HOUR_S,
    HalfHours,
    half_hours,
    machine_half_hours,
    span_of_days,
)

LONGEST_DAYS = {"day": 400, "half_hour": 31}


class SpanUnusable(Invalid):
    title: ClassVar[str] = "The span cannot be answered"


class MinerUnknown(NotFound):
    title: ClassVar[str] = "No such machine at this site"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose footprint, of which local days."""

    site_id: UUID
    client_id: UUID | None
    miner_id: UUID | None
    start_date: date
    end_date: date
    interval: Literal["day", "half_hour"]


async def put_setting(
    session: AsyncSession, caller: Principal, site_id: UUID, body: NewCarbonSetting
) -> CarbonSetting:
    """Say where a site's intensity comes from."""
    await site_of(session, site_id)
    setting = await session.merge(
        CarbonSetting(
            organisation_id=caller.organisation_id,
            site_id=site_id,
            region=body.region,
            stated_g_per_kwh=body.stated_g_per_kwh,
            stated_source=body.stated_source,
            updated_by=caller.subject,
            updated_at=now(),
        )
    )
    said = body.region or f"{body.stated_g_per_kwh} g/kWh"
    await note(session, caller, "carbon.set", site_id, object_type="site", said=said)
    return setting


async def show_intensities(
    session: AsyncSession, region: str, start: datetime, end: datetime
) -> Intensities:
    """Return a region's half-hours.

    Raises:
        SpanUnusable: the span is none, or longer than 31 days.
    """
    if not start < end <= start + timedelta(days=31):
        raise SpanUnusable("The end lies after the start, at most 31 days.", field="end")
    rows = await reading.intensities(session, region, start, end)
    first = -(-int(start.timestamp()) // HALF_HOUR_S)
    last = -(-int(end.timestamp()) // HALF_HOUR_S)
    return Intensities(
        region=region,
        items=[IntensityRow.model_validate(row, from_attributes=True) for row in rows],
        missing=last - first - len(rows),
    )


async def show_footprint(session: AsyncSession, asked: Asked) -> FootprintAnswer:
    """Return what was emitted for a site, a client or a machine.

    Raises:
        SpanUnusable: the span is none, or too long.
        SiteUnknown: there is no such site.
        MinerUnknown: there is no such machine there.
        NoCarbonSetting: nobody has said where the electricity comes from.
    """
    _check_span(asked)
    site = await site_of(session, asked.site_id)
    setting = await reading.setting_of(session, asked.site_id)
    start, end = span_of_days(asked.start_date, asked.end_date, site.timezone)
    used = await _used(session, asked, start, end)
    grams = await reading.grams_at(session, setting, used, start, end)
    until = min(end, now())
    passed = max(0, int((until - start).total_seconds()) // HALF_HOUR_S)
    return FootprintAnswer(
        site_id=asked.site_id,
        client_id=asked.client_id,
        miner_id=asked.miner_id,
        timezone=site.timezone,
        interval=asked.interval,
        region=setting.region,
        stated_source=setting.stated_source,
        total=FootprintFigures.model_validate(
            FootprintFigures.figures(footprint.total(used, grams))
        ),
        items=_rows(asked, used, grams, site.timezone),
        missing_half_hours=max(0, passed - len(used)),
    )


def _check_span(asked: Asked) -> None:
    longest = LONGEST_DAYS[asked.interval]
    days = (asked.end_date - asked.start_date).days + 1
    if not 1 <= days <= longest:
        raise SpanUnusable(
            f"end_date lies on or after start_date, at most {longest} days by {asked.interval}.",
            field="end_date",
            maximum_days=longest,
        )


async def _used(session: AsyncSession, asked: Asked, start: datetime, end: datetime) -> HalfHours:
    if asked.miner_id is None:
        return await half_hours(session, asked.site_id, start, end, client_id=asked.client_id)
    miner = await session.get(Miner, asked.miner_id)
    if miner is None or miner.site_id != asked.site_id:
        raise MinerUnknown("There is no machine of this id at the site.", field="miner_id")
    return await machine_half_hours(session, asked.site_id, asked.miner_id, start, end)


def _rows(
    asked: Asked, used: HalfHours, grams: dict[int, footprint.Grams], zone: str
) -> list[FootprintRow]:
    if asked.interval == "day":
        days = footprint.by_day(used, grams, zone)
        return [
            FootprintRow.model_validate(
                FootprintFigures.figures(made) | {"day": day, "starts_at": None}
            )
            for day, made in days
        ]
    return [
        FootprintRow.model_validate(FootprintFigures.figures(made) | {"day": None, "starts_at": at})
        for at, made in footprint.by_half_hour(used, grams)
    ]
