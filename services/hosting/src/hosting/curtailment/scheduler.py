"""The scheduler: starts plans that are due, ends those that are over, brings machines back.

It holds nothing in memory. One process leads by a session-level advisory lock; a lost connection
loses the lock with it, and every chore looks at the locked plan again before it acts.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from structlog import get_logger

from common.auth import Principal
from common.clock import now
from common.errors import Problem
from common.ids import new_id
from common.runtime import Runtime
from common.trace import correlation_id
from hosting.curtailment import plans, recovery, watch
from hosting.curtailment.models import CurtailmentPlan
from hosting.curtailment.selection import Wish, best_of, survey
from hosting.curtailment.settings import curtailment_settings
from hosting.domain.curtailment import Chore, Standing, chore
from hosting.parties import Parties, itself, parties_of

log = get_logger()
_TRY_TO_LEAD = text("SELECT pg_try_advisory_lock(7201401)")
_STANDING = tuple(Standing.__slots__)


async def run(runtime: Runtime) -> None:
    """Do what is due, for ever. One process of the service leads, the others wait."""
    async with runtime.worker_engine.connect() as pooled:
        # No transaction stays open between two looks.
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        try:
            leading = False
            while True:
                leading = leading or bool(await connection.scalar(_TRY_TO_LEAD))
                if leading:
                    await tick(runtime, connection)
                await asyncio.sleep(curtailment_settings().tick_s)
        finally:
            # The lock belongs to the connection: it must not go back to the pool with it.
            with suppress(Exception):
                await connection.invalidate()


async def tick(runtime: Runtime, connection: AsyncConnection) -> None:
    """Do every chore that is due now. A plan that fails keeps no other plan waiting."""
    for organisation_id, plan_id in await _due(connection):
        token = correlation_id.set(str(new_id()))
        try:
            await attend(runtime, organisation_id, plan_id)
        except Problem as problem:
            log.warning("curtailment.postponed", plan_id=str(plan_id), reason=problem.detail)
        except Exception:
            log.exception("curtailment.chore_failed", plan_id=str(plan_id))
        finally:
            correlation_id.reset(token)


async def attend(runtime: Runtime, organisation_id: UUID, plan_id: UUID) -> None:
    """Do what is due for one plan, in one transaction."""
    async with runtime.tenant_session(organisation_id) as session:
        plan = await session.get(CurtailmentPlan, plan_id)
        due = None if plan is None else _due_now(plan)
        if plan is not None and due is not None:
            await _CHORES[due](session, parties_of(runtime), plan)


async def _start(session: AsyncSession, parties: Parties, plan: CurtailmentPlan) -> None:
    """Choose machines as they are now, and order them off; as much of the target as there is."""
    principal = _itself(plan)
    wish = _wish(plan)
    try:
        screening = await survey(session, parties, principal, plan.site_id)
        selection = await best_of(parties, principal, wish, screening)
    except Problem as problem:
        late = timedelta(seconds=curtailment_settings().late_start_s)
        if plan.scheduled_time + late > now() or not await _still_due(session, plan, "start"):
            raise
        plan.decision_snapshot = plan.decision_snapshot | {"missed": problem.detail}
        await plans.call_off(session, principal, plan)
        return
    if await _still_due(session, plan, "start"):
        plan.decision_snapshot = plan.decision_snapshot | selection.snapshot(wish)
        await plans.start(session, plan, selection, at=now())
        await plans.audited(session, principal, plan, "start")


async def _restore(session: AsyncSession, _: Parties, plan: CurtailmentPlan) -> None:
    if await _still_due(session, plan, "restore"):
        await recovery.begin(session, plan, now())
        await plans.audited(session, _itself(plan), plan, "restore")


async def _wake(session: AsyncSession, _: Parties, plan: CurtailmentPlan) -> None:
    if await _still_due(session, plan, "wake"):
        await recovery.step(session, plan, now())


async def _watch(session: AsyncSession, parties: Parties, plan: CurtailmentPlan) -> None:
    hashing = await watch.hashing(parties, _itself(plan), plan.site_id)
    if await _still_due(session, plan, "watch"):
        await watch.look_over(session, plan, hashing, now())


_CHORES: Mapping[
    Chore, Callable[[AsyncSession, Parties, CurtailmentPlan], Coroutine[Any, Any, None]]
] = {"start": _start, "restore": _restore, "wake": _wake, "watch": _watch}


async def _due(connection: AsyncConnection) -> list[tuple[UUID, UUID]]:
    columns = [getattr(CurtailmentPlan, name) for name in ("organisation_id", "id", *_STANDING)]
    rows = await connection.execute(
        select(*columns)
        .where(CurtailmentPlan.status.not_in(["pending", "completed", "cancelled"]))
        .order_by(CurtailmentPlan.id)
    )
    return [(row.organisation_id, row.id) for row in rows if _due_now(row) is not None]


def _due_now(plan: CurtailmentPlan | Row[*tuple[Any, ...]]) -> Chore | None:
    standing = Standing(**{name: getattr(plan, name) for name in _STANDING})
    watch_every = timedelta(seconds=curtailment_settings().watch_interval_s)
    return chore(standing, now(), watch_every)


async def _still_due(session: AsyncSession, plan: CurtailmentPlan, wanted: Chore) -> bool:
    """Lock the plan, and look again: others may have dealt with it while we asked around."""
    await session.refresh(plan, with_for_update=True)
    return _due_now(plan) == wanted


def _itself(plan: CurtailmentPlan) -> Principal:
    return itself(plan.organisation_id, correlation_id.get())


def _wish(plan: CurtailmentPlan) -> Wish:
    def price(name: str) -> Decimal | None:
        value = plan.decision_snapshot.get(name)
        return None if value is None else Decimal(str(value))

    return Wish(
        site_id=plan.site_id,
        target_mw=plan.target_power_reduction_mw,
        strategy=plan.strategy,
        objective=plan.objective,
        hashprice_usd_per_ths_day=price("hashprice_usd_per_ths_day"),
        usd_per_kwh=price("usd_per_kwh"),
    )
