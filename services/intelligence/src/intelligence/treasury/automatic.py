"""Rules that propose by themselves, on a schedule. People still approve, and sell elsewhere."""

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import Principal
from common.clock import now
from common.errors import Problem
from common.ids import new_id
from common.runtime import Runtime
from intelligence.domain.proposals import OPEN
from intelligence.settings import Settings
from intelligence.treasury.models import Proposal, SellRule
from intelligence.treasury.outlook import present_price
from intelligence.treasury.proposing import propose
from intelligence.treasury.selling_schemas import NewProposal

log = get_logger()
NOBODY = UUID(int=0)
"""Who has made a proposal that a rule made by itself."""


async def propose_on_schedule(runtime: Runtime) -> None:
    """Let automatic rules propose, until the process stops."""
    settings = runtime.settings
    assert isinstance(settings, Settings)
    while not runtime.stopping.is_set():
        await propose_due(runtime)
        await asyncio.sleep(settings.treasury_rules_seconds)


async def propose_due(runtime: Runtime) -> int:
    """Let every automatic rule propose what it advises now; return how many did."""
    query = select(SellRule.id, SellRule.organisation_id).where(
        SellRule.automatic, SellRule.enabled, ~SellRule.removed
    )
    async with runtime.worker_session() as session:
        rules = [(rule_id, owner) for rule_id, owner in await session.execute(query)]
    made = 0
    for rule_id, owner in rules:
        try:
            async with runtime.tenant_session(owner) as session:
                made += await _propose_one(session, owner, rule_id)
        except Problem as problem:
            # Most days a rule has nothing to say; the transaction is undone, the next one goes on.
            log.debug("treasury.nothing_proposed", rule_id=str(rule_id), reason=problem.detail)
    return made


async def _propose_one(session: AsyncSession, owner: UUID, rule_id: UUID) -> bool:
    moment = now()
    price = await present_price(session, moment)
    if price is None or price.stale:
        return False  # a person may act on an old price; a machine waits for a new one
    waiting = select(Proposal.id).where(
        Proposal.rule_id == rule_id,
        Proposal.status.in_(sorted(OPEN)),
        Proposal.expires_at > moment,
    )
    if await session.scalar(waiting.limit(1)) is not None:
        return False  # one at a time: people have not done with the last
    caller = Principal(
        subject=NOBODY,
        kind="service",
        organisation_id=owner,
        client_id=None,
        role="rule",
        scopes=frozenset(),
        request_id=str(new_id()),
        expires_at=moment + timedelta(seconds=30),
    )
    await propose(session, caller, NewProposal(rule_id=rule_id))
    return True
