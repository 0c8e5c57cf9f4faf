"""Orders to machines: rows and events of one transaction, thousands at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Float,
    Insert,
    Uuid,
    cast,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from hosting.curtailment.events import (
    COMMANDS_PER_EVENT,
    CurtailmentChanged,
    CurtailmentOrdered,
    MinerCommand,
)
from hosting.curtailment.models import ONE_PLAN_PER_MINER, CurtailmentPlan, CurtailmentTarget
from hosting.curtailment.selection import MinersInAnotherPlan
from hosting.curtailment.settings import curtailment_settings
from hosting.db import Outbox
from hosting.domain.curtailment import in_batches
from hosting.domain.curtailment_choice import Candidate

DeviceOrder = Literal["sleep", "wake"]
CommandColumn = Literal["stop_command_id", "restore_command_id"]
_REASONS = {"sleep": "curtailment", "wake": "recovery"}


async def take(
    session: AsyncSession,
    plan: CurtailmentPlan,
    chosen: Sequence[Candidate],
    *,
    ordered_at: datetime | None,
) -> None:
    """Insert the plan's targets: ordered off at once, or reserved while a plan awaits approval.

    Raises:
        MinersInAnotherPlan: another plan got hold of one of the machines first.
    """
    # One order of rows for everybody: two racing plans then wait for each other, not in a circle.
    chosen = sorted(chosen, key=lambda candidate: candidate.miner_id)
    command_ids = _commands([candidate.miner_id for candidate in chosen])
    try:
        await session.execute(_inserted(plan, chosen, list(command_ids.values()), ordered_at))
    except IntegrityError as error:
        if ONE_PLAN_PER_MINER in str(error.orig):
            raise MinersInAnotherPlan(
                "Another plan has just taken some of these machines. Preview again and retry."
            ) from error
        raise
    if ordered_at is not None:
        _publish_orders(session, plan, "sleep", command_ids, ordered_at + stop_patience())


def _inserted(
    plan: CurtailmentPlan,
    chosen: Sequence[Candidate],
    command_ids: Sequence[UUID],
    ordered_at: datetime | None,
) -> Insert:
    """Return the one statement that inserts all targets, from arrays."""
    ordered = ordered_at is not None
    rows = (
        func.unnest(
            literal([candidate.miner_id for candidate in chosen], ARRAY(Uuid)),
            literal(command_ids, ARRAY(Uuid)),
            literal([candidate.power_w for candidate in chosen], ARRAY(Float)),
            literal([candidate.hashrate_ths for candidate in chosen], ARRAY(Float)),
            literal([candidate.power_estimated for candidate in chosen], ARRAY(Boolean)),
        )
        .table_valued("miner_id", "command_id", "power_w", "hashrate_ths", "estimated", name="rows")
        .render_derived()
    )
    columns: dict[str, Any] = {
        "organisation_id": literal(plan.organisation_id),
        "plan_id": literal(plan.id),
        "state": literal("dispatching" if ordered else "pending"),
        "desired_state": literal("curtailed"),
        "may_be_down": literal(ordered),
        "stop_attempts": literal(int(ordered)),
        "restore_attempts": literal(0),
        "ordered_at": cast(literal(ordered_at), DateTime(timezone=True)),
        "stop_command_id": rows.c.command_id if ordered else cast(null(), Uuid()),
        "miner_id": rows.c.miner_id,
        "baseline_power_w": rows.c.power_w,
        "baseline_hashrate_ths": rows.c.hashrate_ths,
        "power_estimated": rows.c.estimated,
    }
    return insert(CurtailmentTarget).from_select(
        list(columns), select(*columns.values()), include_defaults=False
    )


async def order(
    session: AsyncSession,
    plan: CurtailmentPlan,
    action: DeviceOrder,
    miner_ids: Sequence[UUID],
    *,
    at: datetime,
) -> None:
    """Order the plan's machines to sleep or back to work: their rows, and the events saying so."""
    command_ids = _commands(miner_ids)
    column, values = (_stopped if action == "sleep" else _woken)(at)
    await _set_orders(session, plan.id, command_ids, column, {"reason": None, **values})
    patience = stop_patience() if action == "sleep" else wake_patience()
    _publish_orders(session, plan, action, command_ids, at + patience)


def _stopped(at: datetime) -> tuple[CommandColumn, dict[str, Any]]:
    return "stop_command_id", {
        "state": "dispatching",
        "may_be_down": True,
        "stop_attempts": CurtailmentTarget.stop_attempts + 1,
        "ordered_at": at,
        "accepted_at": None,
    }


def _woken(at: datetime) -> tuple[CommandColumn, dict[str, Any]]:
    return "restore_command_id", {
        "state": "dispatching",
        "desired_state": "active",
        "restore_attempts": CurtailmentTarget.restore_attempts + 1,
        "restore_ordered_at": at,
    }


def publish_change(session: AsyncSession, plan: CurtailmentPlan, at: datetime) -> None:
    """Announce the plan as it now stands, under its next version."""
    plan.version += 1
    session.add(
        Outbox.of(
            CurtailmentChanged(
                organisation_id=plan.organisation_id,
                version=plan.version,
                plan_id=plan.id,
                site_id=plan.site_id,
                plan_type=plan.plan_type,
                status=plan.status,
                target_power_reduction_mw=float(plan.target_power_reduction_mw),
                power_reduced_mw=float(plan.power_reduced_mw),
                power_reduced_estimated_mw=float(plan.power_reduced_estimated_mw),
                miners_affected=plan.miners_affected,
                restore_failed_count=plan.restore_failed_count,
                started_at=plan.started_at,
                executed_at=plan.executed_at,
                ends_at=plan.ends_at,
                cancelled_at=plan.cancelled_at,
                completed_at=plan.completed_at,
                at=at,
            )
        )
    )


def stop_patience() -> timedelta:
    """Return how long a stop may take to be proven."""
    return timedelta(seconds=curtailment_settings().stop_patience_s)


def wake_patience() -> timedelta:
    """Return how long a wake may take to be proven."""
    return timedelta(seconds=curtailment_settings().wake_patience_s)


def _commands(miner_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    return {miner_id: new_id() for miner_id in miner_ids}


async def _set_orders(
    session: AsyncSession,
    plan_id: UUID,
    command_ids: Mapping[UUID, UUID],
    column: CommandColumn,
    values: dict[str, Any],
) -> None:
    orders = (
        func.unnest(
            literal(list(command_ids), ARRAY(Uuid)),
            literal(list(command_ids.values()), ARRAY(Uuid)),
        )
        .table_valued("miner_id", "command_id", name="orders")
        .render_derived()
    )
    await session.execute(
        sql_update(CurtailmentTarget)
        .where(
            CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.miner_id == orders.c.miner_id
        )
        .values({**values, column: orders.c.command_id})
        .execution_options(synchronize_session=False)
    )


def _publish_orders(
    session: AsyncSession,
    plan: CurtailmentPlan,
    action: DeviceOrder,
    command_ids: Mapping[UUID, UUID],
    deadline_at: datetime,
) -> None:
    commands = [
        MinerCommand(command_id=command_id, miner_id=miner_id)
        for miner_id, command_id in command_ids.items()
    ]
    for batch in in_batches(commands, COMMANDS_PER_EVENT):
        session.add(
            Outbox.of(
                CurtailmentOrdered(
                    organisation_id=plan.organisation_id,
                    version=plan.version,
                    plan_id=plan.id,
                    site_id=plan.site_id,
                    action=action,
                    commands=list(batch),
                    reason=_REASONS[action],
                    deadline_at=deadline_at,
                )
            )
        )
