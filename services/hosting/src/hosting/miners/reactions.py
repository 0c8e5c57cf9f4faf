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


@reactions.on_many("telemetry.miner-state.went-offline.v1")
async def miners_went_offline(session: AsyncSession, events: list[Received[Reachability]]) -> None:
    """Show silent machines as offline, and put them into their sites' incidents."""
    for heard in _by_site_and_time(events):
        silent = await _heard(session, heard, reachable=False)
        # A machine that sleeps or is worked on may be silent.
        active = [miner for miner in silent if miner.status == "active"]
        if active:
            await fall_silent(session, active, heard[0].timestamp)


@reactions.on_many("telemetry.miner-state.came-online.v1")
async def miners_came_online(session: AsyncSession, events: list[Received[Reachability]]) -> None:
    """Show machines that answer again as active; an incident ends with its last one."""
    for heard in _by_site_and_time(events):
        back = await _heard(session, heard, reachable=True)
        offline = [miner for miner in back if miner.status == "offline"]
        if offline:
            await move(session, offline, "active")
        if back:
            ids = [miner.id for miner in back]
            await ledger.leave(session, ids, heard[0].timestamp, cause="host_fault")


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


def _by_site_and_time(events: list[Received[Reachability]]) -> list[list[Reachability]]:
    """Return what was heard, the newest of each machine, in runs of one site and moment."""
    newest = {event.data.miner_id: event.data for event in events}
    runs: dict[tuple[UUID, datetime], list[Reachability]] = {}
    for heard in newest.values():
        runs.setdefault((heard.site_id, heard.timestamp), []).append(heard)
    return [runs[place] for place in sorted(runs, key=lambda place: place[1])]


async def _heard(
    session: AsyncSession, heard: list[Reachability], *, reachable: bool
) -> list[Miner]:
    """Note whether machines of a site answer; return them locked, without those of old news."""
    moment = heard[0].timestamp
    found = await locked(session, [one.miner_id for one in heard], site_id=heard[0].site_id)
    news = [m for m in found if m.reachable_since is None or m.reachable_since < moment]
    for miner in news:
        miner.reachable, miner.reachable_since = reachable, moment
    return news


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
