"""What other services say of machines, models and clients."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from hosting.incidents import ledger
from hosting.miners.commands import Outcome, conclude
from hosting.miners.models import Miner, MinerModel, Organisation
from hosting.miners.statuses import fall_silent, locked, move

reactions = Reactions()


class MinerModelChanged(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    model_id: UUID
    name: str
    aliases: list[str] = []
    hashrate_ths: float
    power_w: float
    removed: bool = False


class OrganisationChanged(BaseModel):
    id: UUID
    parent_id: UUID | None = None
    kind: str
    name: str
    active: bool = True


class Reachability(BaseModel):
    miner_id: UUID
    site_id: UUID
    timestamp: datetime


class CommandResult(BaseModel):
    command_id: UUID
    plan_id: UUID | None = None
    state: str
    detail: str | None = None
    at: datetime


class CommandProgressed(BaseModel):
    results: list[CommandResult]


@reactions.on("calculator.miner-model.changed.v1")
async def miner_model_changed(session: AsyncSession, event: Received[MinerModelChanged]) -> None:
    """Keep the registry's model: new machines take their rating from it."""
    await _keep_newest(
        session,
        MinerModel,
        {
            "id": event.data.model_id,
            "organisation_id": event.organisation_id,
            "version": event.version,
            **event.data.model_dump(exclude={"model_id"}),
        },
    )


@reactions.on("identity.organisation.changed.v1")
async def organisation_changed(session: AsyncSession, event: Received[OrganisationChanged]) -> None:
    """Keep the operator and its clients: a machine may belong to one of these."""
    await _keep_newest(
        session,
        Organisation,
        {
            "organisation_id": event.organisation_id,
            "version": event.version,
            **event.data.model_dump(),
        },
    )


@reactions.on("telemetry.miner-state.went-offline.v1")
async def miner_went_offline(session: AsyncSession, event: Received[Reachability]) -> None:
    """Show a silent machine as offline, and put it into the site's incident."""
    miner = await _heard(session, event.data, reachable=False)
    if miner is None or miner.status != "active":
        return  # a machine that sleeps or is worked on may be silent
    await fall_silent(session, [miner], event.data.timestamp)


@reactions.on("telemetry.miner-state.came-online.v1")
async def miner_came_online(session: AsyncSession, event: Received[Reachability]) -> None:
    """Show a machine that answers again as active; its incident ends with the last one."""
    miner = await _heard(session, event.data, reachable=True)
    if miner is None:
        return
    if miner.status == "offline":
        await move(session, [miner], "active")
    await ledger.leave(session, [miner.id], event.data.timestamp, cause="host_fault")


@reactions.on("telemetry.command.progressed.v1")
async def command_progressed(session: AsyncSession, event: Received[CommandProgressed]) -> None:
    """Note how orders given by hand go. Those of a plan are the plan's own business."""
    outcomes = [
        Outcome(result.command_id, result.state, result.detail, result.at)
        for result in event.data.results
        if result.plan_id is None
    ]
    if outcomes:
        await conclude(session, outcomes)


async def _heard(session: AsyncSession, heard: Reachability, *, reachable: bool) -> Miner | None:
    """Note whether a machine answers; return it locked, or None if that is old news."""
    miner = next(iter(await locked(session, [heard.miner_id], site_id=heard.site_id)), None)
    if miner is None:
        return None
    if miner.reachable_since is not None and miner.reachable_since >= heard.timestamp:
        return None
    miner.reachable, miner.reachable_since = reachable, heard.timestamp
    return miner


async def _keep_newest(
    session: AsyncSession, table: type[MinerModel | Organisation], row: dict[str, Any]
) -> None:
    statement = insert(table).values(row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in row if name != "id"},
            where=table.version < statement.excluded.version,
        )
    )
