"""One action on many machines; every machine named gets its own result."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.errors import Forbidden, Problem
from hosting.domain.miner_status import MinerAction, may_become
from hosting.miners import commands, registry
from hosting.miners.holds import HeldByPlan, held, plans_holding
from hosting.miners.models import Miner
from hosting.miners.schemas import Batch, BatchAction, BatchItem, BatchResult, ItemError
from hosting.miners.statuses import StatusConflict, locked
from hosting.settings import Settings

_SCOPE: dict[BatchAction, str] = {
    "approve": "miners:approve",
    "start": "miners:command",
    "shutdown": "miners:command",
    "reboot": "miners:command",
    "delete": "miners:write",
}


async def run(
    session: AsyncSession, principal: Principal, settings: Settings, body: Batch
) -> BatchResult:
    """Do to each machine what can be done; say of each other one why not."""
    needed = _SCOPE[body.action]
    if needed not in principal.scopes:
        raise Forbidden(f"This needs the permission {needed}.", required_scopes=[needed])
    named = list(dict.fromkeys(body.miner_ids))
    miners = {miner.id: miner for miner in await locked(session, named)}
    plans = await plans_holding(session, named)
    refused = {
        miner_id: _refusal(miners.get(miner_id), miner_id, body.action, plans) for miner_id in named
    }
    willing = [miners[miner_id] for miner_id in named if refused[miner_id] is None]
    command_ids = await _carry_out(session, principal, settings, willing, body.action)
    return BatchResult(
        results=[
            BatchItem(
                miner_id=miner_id,
                command_id=command_ids.get(miner_id),
                error=_error(refused[miner_id]),
            )
            for miner_id in named
        ]
    )


async def _carry_out(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    miners: Sequence[Miner],
    action: BatchAction,
) -> dict[UUID, UUID]:
    if not miners:
        return {}
    books: dict[str, Callable[[AsyncSession, Principal, Sequence[Miner]], Awaitable[None]]] = {
        "approve": registry.approve,
        "delete": registry.remove,
    }
    if action in books:
        await books[action](session, principal, miners)
        return {}
    ordered = cast("MinerAction", action)
    return dict(await commands.order(session, principal, settings, miners, ordered))


def _refusal(
    miner: Miner | None, miner_id: UUID, action: BatchAction, plans: Mapping[UUID, UUID]
) -> Problem | None:
    if miner is None:
        return registry.not_found(miner_id)
    if action == "delete":
        return held(miner, action, plans)
    if action == "approve":
        if miner.status == "pending_approval" and may_become(miner.status, "active"):
            return None
        return StatusConflict(f"{miner.serial_number} is {miner.status}, not pending approval.")
    return commands.refusal(miner, action, plans)


def _error(problem: Problem | None) -> ItemError | None:
    if problem is None:
        return None
    plan_id = problem.extensions["plan_id"] if isinstance(problem, HeldByPlan) else None
    return ItemError(code=problem.code(), detail=problem.detail, plan_id=plan_id)
