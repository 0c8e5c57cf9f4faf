"""Looks at the budgets: tells of each threshold once a month, of several reached at once in one."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.runtime import Runtime
from energy.budgets.keeping import holds
from energy.budgets.models import Budget, BudgetNotice
from energy.budgets.standing import Foreseen, Standing, month_of, standing_of
from energy.domain.budgeting import reached, used_percent
from energy.messages.post import Audience, tell
from energy.settings import Settings
from energy.turns import each_organisation

_LOCK = 7_201_355


async def watch(runtime: Runtime) -> None:
    """Look at the budgets of every organisation, for ever."""
    settings = cast("Settings", runtime.settings)
    while not runtime.stopping.is_set():
        await look_at_all(runtime)
        await asyncio.sleep(settings.budgets_every_s)


async def look_at_all(runtime: Runtime, *, at: datetime | None = None) -> None:
    """Look at every organisation that has budgets."""

    async def turn(session: AsyncSession, organisation_id: UUID) -> None:
        await look(session, organisation_id, at or now())

    query = select(Budget.organisation_id).where(Budget.active).distinct()
    await each_organisation(runtime, query, _LOCK, turn)


async def look(session: AsyncSession, organisation_id: UUID, at: datetime) -> None:
    """Look at an organisation's budgets."""
    budgets = await session.scalars(
        select(Budget)
        .where(Budget.organisation_id == organisation_id, Budget.active)
        .order_by(Budget.id)
    )
    foreseen: Foreseen = {}
    for budget in list(budgets):
        month = month_of(at, budget.timezone)
        if holds(budget, month):
            found = await standing_of(session, budget, month, at, foreseen)
            await _judge(session, budget, found, at)


async def _judge(session: AsyncSession, budget: Budget, found: Standing, at: datetime) -> None:
    if found.actual is not None:
        percents = reached(found.actual, budget.monthly_amount, budget.thresholds)
        await _notice(session, budget, found, "actual", percents, at=at)
    if found.forecast is not None and budget.forecast_percent is not None:
        percents = reached(found.forecast, budget.monthly_amount, [budget.forecast_percent])
        await _notice(session, budget, found, "forecast", percents, at=at)


async def _notice(
    session: AsyncSession,
    budget: Budget,
    found: Standing,
    basis: str,
    percents: Sequence[int],
    *,
    at: datetime,
) -> None:
    """Write down which thresholds are reached; tell of the highest that was not yet."""
    amount = found.actual if basis == "actual" else found.forecast
    assert amount is not None
    if not percents:
        return
    rows = [
        {
            "budget_id": budget.id,
            "month": found.month,
            "basis": basis,
            "percent": percent,
            "organisation_id": budget.organisation_id,
            "client_id": budget.client_id,
            "amount": amount,
            "at": at,
        }
        for percent in percents
    ]
    statement = insert(BudgetNotice).values(rows).on_conflict_do_nothing()
    fresh = list(await session.scalars(statement.returning(BudgetNotice.percent)))
    if fresh:
        await _tell(session, budget, found, basis, percent=max(fresh), amount=amount)


async def _tell(
    session: AsyncSession,
    budget: Budget,
    found: Standing,
    basis: str,
    *,
    percent: int,
    amount: Decimal,
) -> None:
    facts: dict[str, Any] = {
        "event": f"{basis}_threshold_reached",
        "budget_id": str(budget.id),
        "budget": budget.name,
        "site_id": None if budget.site_id is None else str(budget.site_id),
        "month": f"{found.month:%Y-%m}",
        "basis": basis,
        "percent": percent,
        "amount": f"{amount:.2f}",
        "used_percent": f"{used_percent(amount, budget.monthly_amount):.1f}",
        "monthly_amount": f"{budget.monthly_amount:.2f}",
        "currency": budget.currency,
        "actual": None if found.actual is None else f"{found.actual:.2f}",
        "forecast": None if found.forecast is None else f"{found.forecast:.2f}",
        "method": found.method,
        "as_of": found.as_of.isoformat(timespec="minutes"),
    }
    audience = Audience(
        organisation_id=budget.organisation_id,
        client_id=budget.client_id,
        recipients=budget.recipients,
        mail=budget.mail,
        webhook=budget.webhook,
    )
    key = f"budget:{budget.id}:{found.month:%Y-%m}:{basis}:{percent}"
    await tell(session, audience, kind="budget", template="budget", facts=facts, dedupe_key=key)
