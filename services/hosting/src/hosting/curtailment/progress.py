"""Answers from the field: targets move in bulk, and the plan with them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Float,
    Text,
    Uuid,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from hosting.curtailment import recovery
from hosting.curtailment.machines import show
from hosting.curtailment.models import CurtailmentPlan, CurtailmentTarget
from hosting.curtailment.orders import publish_change
from hosting.curtailment.settings import curtailment_settings
from hosting.domain.curtailment import (
    HOLDING,
    Progress,
    megawatts_to_watts,
    moved,
    outcome,
    watts_to_megawatts,
)
from hosting.domain.curtailment_target import (
    OUTSTANDING,
    CommandState,
    DesiredState,
    TargetState,
    miner_status,
    stop_answered,
    wake_answered,
)
from hosting.domain.miner_status import MinerStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """What telemetry says about one order."""

    command_id: UUID
    miner_id: UUID
    state: CommandState
    detail: str | None
    at: datetime
    power_before_w: float | None
    power_after_w: float | None
    power_estimated: bool


@dataclass(slots=True)
class Row:
    """A target while its answers are applied; the fields are the table's columns."""

    miner_id: UUID
    state: TargetState
    desired_state: DesiredState
    may_be_down: bool
    stop_command_id: UUID | None
    restore_command_id: UUID | None
    restore_attempts: int
    baseline_power_w: float
    observed_power_w: float | None
    power_estimated: bool
    reason: str | None
    accepted_at: datetime | None
    confirmed_at: datetime | None
    restored_at: datetime | None


_COLUMNS = tuple(Row.__slots__)
_WRITTEN: Mapping[str, TypeEngine[Any]] = {
    "state": Text(),
    "may_be_down": Boolean(),
    "restore_command_id": Uuid(),
    "baseline_power_w": Float(),
    "observed_power_w": Float(),
    "power_estimated": Boolean(),
    "reason": Text(),
    "accepted_at": DateTime(timezone=True),
    "confirmed_at": DateTime(timezone=True),
    "restored_at": DateTime(timezone=True),
}


async def apply(
    session: AsyncSession, plan_id: UUID, answers: Sequence[Answer], at: datetime
) -> None:
    """Bring a plan and its targets up to what the field says."""
    plan = await session.get(CurtailmentPlan, plan_id, with_for_update=True)
    if plan is None:
        return
    targets = await _rows(session, plan_id, {answer.miner_id for answer in answers})
    changed: dict[UUID, Row] = {}
    for answer in answers:
        target = targets.get(answer.miner_id)
        if target is not None and _apply(target, answer):
            changed[target.miner_id] = target
    if not changed:
        return
    await _write(session, plan_id, changed.values())
    await show(session, _statuses(changed.values()))
    await judge(session, plan, at)


async def judge(session: AsyncSession, plan: CurtailmentPlan, at: datetime) -> None:
    """Take the plan as far as its targets carry it, and announce it."""
    if plan.status == "restoring":
        await recovery.complete_if_done(session, plan, at)
        if plan.status == "restoring":
            publish_change(session, plan, at)
        return
    if plan.status not in HOLDING:
        return
    progress, down = await _progress(session, plan.id)
    plan.power_reduced_mw = watts_to_megawatts(progress.proven_w)
    plan.power_reduced_estimated_mw = watts_to_megawatts(progress.proven_estimated_w)
    plan.miners_affected = down
    if plan.status == "executing":
        reached = outcome(progress, megawatts_to_watts(plan.target_power_reduction_mw))
        if reached is not None:
            plan.status = moved(plan.status, reached)
            plan.executed_at = at if reached != "failed" else None
    publish_change(session, plan, at)


def _apply(target: Row, answer: Answer) -> bool:
    if answer.command_id == target.restore_command_id:
        return _woken(target, answer)
    # A stop that is answered after its wake was ordered says nothing new.
    if answer.command_id == target.stop_command_id and target.restore_command_id is None:
        return _stopped(target, answer)
    return False


def _stopped(target: Row, answer: Answer) -> bool:
    step = stop_answered(target.state, target.may_be_down, answer.state)
    if step is None:
        return False
    target.state, target.may_be_down = step.state, step.may_be_down
    target.reason = _reason(answer) if step.state == "unavailable" else None
    if step.state == "dispatched":
        target.accepted_at = answer.at
    elif step.state == "confirmed":
        target.confirmed_at = answer.at
        target.baseline_power_w = (
            target.baseline_power_w if answer.power_before_w is None else answer.power_before_w
        )
        target.observed_power_w = answer.power_after_w
        target.power_estimated = answer.power_estimated
    elif target.desired_state == "active" and not target.may_be_down:
        target.state = "released"  # called off meanwhile, and it never went down
    return True


def _woken(target: Row, answer: Answer) -> bool:
    tries_left = curtailment_settings().wake_tries - target.restore_attempts
    step = wake_answered(target.state, answer.state, tries_left)
    if step is None:
        return False
    target.state, target.may_be_down = step.state, step.may_be_down
    target.reason = None if answer.state in {"accepted", "verified"} else _reason(answer)
    if step.wake_again:
        target.restore_command_id = None
    elif step.state == "resolved":
        target.restored_at = answer.at
    return True


def _reason(answer: Answer) -> str:
    return f"{answer.state}: {answer.detail}"[:500] if answer.detail else answer.state


def _statuses(targets: Iterable[Row]) -> dict[UUID, MinerStatus]:
    shown: dict[UUID, MinerStatus] = {}
    for target in targets:
        status = miner_status(target.desired_state, target.state, may_be_down=target.may_be_down)
        if status is not None:
            shown[target.miner_id] = status
    return shown


async def _rows(session: AsyncSession, plan_id: UUID, miner_ids: set[UUID]) -> dict[UUID, Row]:
    columns = [getattr(CurtailmentTarget, name) for name in _COLUMNS]
    rows = await session.execute(
        select(*columns).where(
            CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.miner_id.in_(miner_ids)
        )
    )
    return {row.miner_id: Row(*row) for row in rows}


async def _write(session: AsyncSession, plan_id: UUID, targets: Collection[Row]) -> None:
    kinds: dict[str, TypeEngine[Any]] = {"miner_id": Uuid(), **_WRITTEN}
    columns = [[getattr(target, name) for target in targets] for name in kinds]
    changes = (
        func.unnest(
            *(
                literal(column, ARRAY(kind))
                for column, kind in zip(columns, kinds.values(), strict=True)
            )
        )
        .table_valued(*kinds, name="changes")
        .render_derived()
    )
    await session.execute(
        update(CurtailmentTarget)
        .where(
            CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.miner_id == changes.c.miner_id
        )
        .values({name: changes.c[name] for name in _WRITTEN})
        .execution_options(synchronize_session=False)
    )


async def _progress(session: AsyncSession, plan_id: UUID) -> tuple[Progress, int]:
    target = CurtailmentTarget
    shed = func.greatest(target.baseline_power_w - func.coalesce(target.observed_power_w, 0), 0)
    confirmed = target.state == "confirmed"
    row = (
        await session.execute(
            select(
                func.coalesce(func.sum(shed).filter(confirmed, ~target.power_estimated), 0),
                func.coalesce(func.sum(shed).filter(confirmed, target.power_estimated), 0),
                func.count().filter(confirmed),
                func.count().filter(target.state.in_(OUTSTANDING)),
                func.count().filter(target.may_be_down),
            ).where(target.plan_id == plan_id)
        )
    ).one()
    return Progress(float(row[0]), float(row[1]), row[2], row[3]), row[4]
