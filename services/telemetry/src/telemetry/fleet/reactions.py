"""Keeps the read model of sites, machines and models in step with their owners.

State events may arrive late or twice; the stored version decides, older ones change nothing.
"""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from telemetry.db import Base
from telemetry.domain.partition import partition_of
from telemetry.fleet.models import Miner, MinerModel, Site

reactions = Reactions()


class SiteChanged(BaseModel):
    site_id: UUID
    name: str
    timezone: str = "UTC"
    allowed_cidrs: list[str] = []
    credentials: dict[str, Any] = {}
    removed: bool = False


class MinerChanged(BaseModel):
    miner_id: UUID
    client_id: UUID | None = None
    site_id: UUID
    serial_number: str
    model: str
    firmware: str | None = None
    ip: str
    port: int
    status: str
    polled: bool
    nameplate_hashrate_ths: float | None = None
    nameplate_power_w: float | None = None
    removed: bool = False


class MinerModelChanged(BaseModel):
    model_id: UUID
    name: str
    aliases: list[str] = []
    hashrate_ths: float
    power_w: float
    removed: bool = False


@reactions.on("hosting.site.changed.v1")
async def site_changed(session: AsyncSession, event: Received[SiteChanged]) -> None:
    """Remember a site: which networks it allows, and its sealed credentials."""
    known = event.data.model_dump(exclude={"site_id"})
    sealed = event.data.credentials.items()
    known["credentials"] = {name: text for name, text in sealed if isinstance(text, str)}
    await _remember(session, Site, event.data.site_id, event, known)


@reactions.on_many("hosting.miner.registered.v1", "hosting.miner.changed.v1")
async def miners_changed(session: AsyncSession, events: list[Received[MinerChanged]]) -> None:
    """Remember machines; the worker that holds a partition takes its own up within a second.

    In bulk: a plan changes thousands of machines, and the whole fleet is replayed at a first start.
    """
    newest = {event.data.miner_id: event for event in sorted(events, key=_version)}
    rows = [
        {
            "id": miner_id,
            "organisation_id": event.organisation_id,
            "version": event.version,
            "partition": partition_of(miner_id),
            **event.data.model_dump(exclude={"miner_id"}),
        }
        for miner_id, event in newest.items()
    ]
    table = Miner.__table__
    statement = insert(Miner)
    kept = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={**kept, "changed_at": func.now()},
            where=table.c["version"] < statement.excluded["version"],
        ),
        rows,
    )


def _version(event: Received[MinerChanged]) -> int:
    return event.version


@reactions.on("calculator.miner-model.changed.v1")
async def miner_model_changed(session: AsyncSession, event: Received[MinerModelChanged]) -> None:
    """Remember a model's nameplate under all of its names."""
    model = event.data
    known = {
        "names": sorted({name.lower() for name in (model.name, *model.aliases)}),
        "hashrate_ths": model.hashrate_ths,
        "power_w": model.power_w,
        "removed": model.removed,
    }
    await _remember(session, MinerModel, model.model_id, event, known)


async def _remember(
    session: AsyncSession,
    table: type[Base],
    key: UUID,
    event: Received[Any],
    known: dict[str, Any],
) -> None:
    row = {"organisation_id": event.organisation_id, "version": event.version, **known}
    statement = insert(table).values(id=key, **row)
    newer = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={**row, "changed_at": func.now()},
        where=table.__table__.c["version"] < statement.excluded["version"],
    )
    await session.execute(newer)
