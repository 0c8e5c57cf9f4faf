"""What hosting says of plans, and telemetry of the machines that they stop."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from energy.savings.models import CurtailedMachine, CurtailmentPlan

reactions = Reactions(group="savings")
"""Consumed apart: thousands of commands must not hold up what machines cost."""
_OVER = frozenset({"completed", "cancelled"})
_WAKES = text(
    "UPDATE energy.curtailed_machine m SET ended_at = w.at FROM unnest(CAST(:plan_ids AS uuid[]), "
    "CAST(:miner_ids AS uuid[]), CAST(:ats AS timestamptz[])) AS w (plan_id, miner_id, at) "
    "WHERE m.plan_id = w.plan_id AND m.miner_id = w.miner_id AND m.ended_at IS NULL "
    "AND m.stopped_at <= w.at"
)


class PlanChanged(BaseModel):
    """hosting.curtailment.changed.v1, as far as a saving needs it."""

    plan_id: UUID
    site_id: UUID
    plan_type: str
    status: str
    cancelled_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    at: AwareDatetime


class Result(BaseModel):
    """How far one command has come."""

    command_id: UUID
    miner_id: UUID
    plan_id: UUID | None = None
    action: str
    state: str
    at: AwareDatetime
    power_before_w: float | None = None
    power_after_w: float | None = None
    power_estimated: bool = False


class Progressed(BaseModel):
    """telemetry.command.progressed.v1."""

    site_id: UUID
    results: list[Result]


@reactions.on("hosting.curtailment.changed.v1")
async def plan_changed(session: AsyncSession, event: Received[PlanChanged]) -> None:
    """Keep how a plan stands; what was heard before is older."""
    plan = event.data
    over_at = plan.completed_at or plan.cancelled_at or plan.at if plan.status in _OVER else None
    row = {
        "id": plan.plan_id,
        "organisation_id": event.organisation_id,
        "site_id": plan.site_id,
        "plan_type": plan.plan_type,
        "status": plan.status,
        "at": plan.at,
        "over_at": over_at,
        "due": True,
        "version": event.version,
    }
    statement = insert(CurtailmentPlan).values(row)
    said = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: said[name] for name in row if name not in ("id", "organisation_id")},
            where=CurtailmentPlan.version < said.version,
        )
    )


@reactions.on("telemetry.command.progressed.v1")
async def commands_progressed(session: AsyncSession, event: Received[Progressed]) -> None:
    """Keep since when machines sleep for a plan, and when they were woken.

    A machine that a person stops without a plan is no curtailment, and is not kept.
    """
    ours = [result for result in event.data.results if result.plan_id is not None]
    slept = [one for one in ours if (one.action, one.state) == ("sleep", "verified")]
    # A wake counts from when the machine took it: it draws power before it hashes.
    woken = [one for one in ours if one.action == "wake" and one.state in ("accepted", "verified")]
    if slept:
        await _know(session, event, slept)
        await session.execute(
            insert(CurtailedMachine)
            .values([_stop(event, one) for one in slept])
            .on_conflict_do_nothing(index_elements=["command_id"])
        )
    if woken:
        ended = {
            "plan_ids": [one.plan_id for one in woken],
            "miner_ids": [one.miner_id for one in woken],
            "ats": [one.at for one in woken],
        }
        await session.execute(_WAKES, ended)
    plans = {one.plan_id for one in (*slept, *woken)}
    if plans:
        await session.execute(
            update(CurtailmentPlan).where(CurtailmentPlan.id.in_(plans)).values(due=True)
        )


def _stop(event: Received[Progressed], one: Result) -> dict[str, Any]:
    return {
        "command_id": one.command_id,
        "plan_id": one.plan_id,
        "miner_id": one.miner_id,
        "organisation_id": event.organisation_id,
        "site_id": event.data.site_id,
        "stopped_at": one.at,
        "ended_at": None,
        "power_before_w": one.power_before_w,
        "power_after_w": one.power_after_w,
        "estimated": one.power_estimated,
    }


async def _know(
    session: AsyncSession, event: Received[Progressed], slept: Sequence[Result]
) -> None:
    """Keep that there is a plan, if hosting has not been heard of it yet."""
    firsts: dict[UUID, datetime] = {}
    for one in slept:
        if one.plan_id is not None:
            firsts.setdefault(one.plan_id, one.at)
    rows = [
        {
            "id": plan_id,
            "organisation_id": event.organisation_id,
            "site_id": event.data.site_id,
            "plan_type": None,
            "status": None,
            "at": at,
            "over_at": None,
            "due": True,
            "version": -1,
        }
        for plan_id, at in firsts.items()
    ]
    await session.execute(
        insert(CurtailmentPlan).values(rows).on_conflict_do_nothing(index_elements=["id"])
    )
