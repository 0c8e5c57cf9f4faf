"""What hosting and telemetry say of sites."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, field_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from intelligence.insights import ledger
from intelligence.insights.models import Site, SiteMiner

reactions = Reactions(group="sites")
"""Consumed apart: a month of half-hours must not hold up the market's events."""


class SiteChanged(BaseModel):
    site_id: UUID
    name: str
    timezone: str = "UTC"
    removed: bool = False

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        """Take a zone that this machine does not know for UTC, rather than lose the site."""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return "UTC"
        return name


class MinerChanged(BaseModel):
    miner_id: UUID
    client_id: UUID | None = None
    site_id: UUID
    nameplate_hashrate_ths: float | None = None
    nameplate_power_w: float | None = None
    removed: bool = False


class HalfHourRow(BaseModel):
    miner_id: UUID
    client_id: UUID | None = None
    kwh: float | None = None
    th_h: float | None = None


class HalfHourClosed(BaseModel):
    site_id: UUID
    starts_at: datetime
    revision: int
    simulated: bool = False
    rows: list[HalfHourRow]


@reactions.on("hosting.site.changed.v1")
async def site_known(session: AsyncSession, event: Received[SiteChanged]) -> None:
    """Keep a site's name and zone."""
    row = {
        "id": event.data.site_id,
        "organisation_id": event.organisation_id,
        "version": event.version,
        **event.data.model_dump(exclude={"site_id"}),
    }
    await _keep_newest(session, Site, [row])


@reactions.on_many("hosting.miner.registered.v1", "hosting.miner.changed.v1")
async def ratings_known(session: AsyncSession, events: list[Received[MinerChanged]]) -> None:
    """Keep what machines are rated at, in bulk: the whole fleet is replayed at a first start."""
    newest = {
        event.data.miner_id: event for event in sorted(events, key=lambda event: event.version)
    }
    rows = [
        {
            "id": miner_id,
            "organisation_id": event.organisation_id,
            "version": event.version,
            **event.data.model_dump(exclude={"miner_id"}),
        }
        for miner_id, event in sorted(newest.items())
    ]
    await _keep_newest(session, SiteMiner, rows)


@reactions.on_many("telemetry.half-hour.closed.v1")
async def half_hours_closed(session: AsyncSession, events: list[Received[HalfHourClosed]]) -> None:
    """Add the machines' half-hours up by site and client."""
    await ledger.take(
        session,
        [
            ledger.Part(
                organisation_id=event.organisation_id,
                site_id=event.data.site_id,
                starts_at=event.data.starts_at,
                revision=event.data.revision,
                simulated=event.data.simulated,
                miner_ids=[row.miner_id for row in event.data.rows],
                client_ids=[row.client_id for row in event.data.rows],
                kwh=[row.kwh for row in event.data.rows],
                th_h=[row.th_h for row in event.data.rows],
            )
            for event in events
        ],
    )


async def _keep_newest(
    session: AsyncSession, table: type[Site | SiteMiner], rows: list[dict[str, Any]]
) -> None:
    """Write state rows; what is older than what is stored changes nothing."""
    for start in range(0, len(rows), 1000):
        statement = insert(table).values(rows[start : start + 1000])
        changed = {name: statement.excluded[name] for name in rows[0] if name != "id"}
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["id"],
                set_=changed,
                where=table.version < statement.excluded.version,
            )
        )
