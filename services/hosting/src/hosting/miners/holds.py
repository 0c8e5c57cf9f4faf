"""Machines that a live curtailment plan holds down: nobody starts or removes those by hand.

Plans know machines, and machines may not know plans; so the plans' table is named here by what
this needs of it.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Text, Uuid, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Conflict
from hosting.domain.miner_status import MinerAction
from hosting.miners.models import Miner
from hosting.miners.schemas import BatchAction

HOLDS_ITS_MINER = "state = 'pending' OR (may_be_down AND state <> 'restore_failed')"
"""When a row of a plan keeps its machine from other plans: the condition of their unique index."""

_TARGET = table(
    "curtailment_target",
    column("miner_id", Uuid()),
    column("plan_id", Uuid()),
    column("desired_state", Text()),
    schema="hosting",
)


class HeldByPlan(Conflict):
    title: ClassVar[str] = "A live curtailment plan holds the machine"


async def plans_holding(session: AsyncSession, miner_ids: Sequence[UUID]) -> Mapping[UUID, UUID]:
    """Return, of those machines that a live plan wants down, which plan that is."""
    rows = await session.execute(
        select(_TARGET.c.miner_id, _TARGET.c.plan_id).where(
            _TARGET.c.miner_id.in_(miner_ids),
            _TARGET.c.desired_state == "curtailed",
            text(f"({HOLDS_ITS_MINER})"),
        )
    )
    return dict(rows.all())


def held(
    miner: Miner, action: BatchAction | MinerAction, plans: Mapping[UUID, UUID]
) -> HeldByPlan | None:
    """Return why a plan forbids this, if one does."""
    plan_id = plans.get(miner.id)
    if plan_id is None or action not in {"start", "delete"}:
        return None
    return HeldByPlan(
        f"{miner.serial_number} is held by curtailment plan {plan_id}; restore or cancel that.",
        plan_id=plan_id,
    )
