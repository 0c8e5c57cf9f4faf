"""Budgets as people keep them."""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, Invalid, NotFound
from common.ids import new_id
from common.pages import PageRequest, page_of, paged
from energy.budgets.models import Budget, BudgetNotice
from energy.budgets.schemas import (
    BudgetChange,
    BudgetStanding,
    BudgetView,
    BudgetWithStanding,
    NewBudget,
    NoticeView,
)
from energy.budgets.standing import Standing, month_of, standing_of
from energy.db import AuditEvent
from energy.domain.budgeting import used_percent
from energy.facts.models import Client
from energy.facts.reading import site_of
from energy.messages.post import check_recipients

MOST = 200


class BudgetUnknown(NotFound):
    title: ClassVar[str] = "No such budget"


class ClientUnknown(NotFound):
    title: ClassVar[str] = "No such client"


class TooManyBudgets(Conflict):
    title: ClassVar[str] = "There are too many budgets"


class OwnBudgetsOnly(Forbidden):
    title: ClassVar[str] = "A client keeps budgets of its own machines"


class MonthsReversed(Invalid):
    title: ClassVar[str] = "The last month is before the first"


class NotInBudget(NotFound):
    title: ClassVar[str] = "The budget does not hold in this month"


async def create(session: AsyncSession, caller: Principal, body: NewBudget) -> BudgetView:
    """Keep a new budget.

    Raises:
        OwnBudgetsOnly: a client's budget is about its own machines.
        TooManyBudgets: there are 200.
        MonthsReversed: it would never hold.
        SiteUnknown, ClientUnknown, UnknownRecipient: it names what is not there.
    """
    if caller.client_id not in (None, body.client_id):
        raise OwnBudgetsOnly("Name your own organisation as client_id.", field="client_id")
    if (await session.scalar(select(func.count()).select_from(Budget)) or 0) >= MOST:
        raise TooManyBudgets(f"At most {MOST} are kept; delete one first.")
    timezone = body.timezone or "UTC"
    if body.site_id is not None:
        site = await site_of(session, body.site_id)
        timezone = body.timezone or site.timezone
    if body.client_id is not None and await session.get(Client, body.client_id) is None:
        raise ClientUnknown("There is no client of this id; a new one is known a moment later.")
    await check_recipients(session, body.recipients, body.client_id)
    first = _day(body.first_month) or month_of(now(), timezone)
    budget = Budget(
        id=new_id(),
        organisation_id=caller.organisation_id,
        created_by=caller.subject,
        created_at=now(),
        version=1,
        **body.model_dump(exclude={"timezone", "first_month", "last_month", "recipients"}),
        timezone=timezone,
        first_month=first,
        last_month=_day(body.last_month),
        recipients=[str(one) for one in body.recipients],
    )
    _check_months(budget)
    session.add(budget)
    await session.flush()
    await _audit(session, caller, "budget.create", budget)
    return view_of(budget)


async def list_budgets(
    session: AsyncSession, page: PageRequest, site_id: UUID | None, client_id: UUID | None
) -> dict[str, Any]:
    """Return budgets, oldest first."""
    query = select(Budget).order_by(Budget.id)
    if site_id is not None:
        query = query.where(Budget.site_id == site_id)
    if client_id is not None:
        query = query.where(Budget.client_id == client_id)
    rows, total = await paged(session, query, page)
    return page_of([view_of(row) for row in rows], total, page)


async def find(session: AsyncSession, budget_id: UUID, *, lock: bool = False) -> Budget:
    """Return a budget.

    Raises:
        BudgetUnknown: there is none.
    """
    budget = await session.get(Budget, budget_id, with_for_update=lock or None)
    if budget is None:
        raise BudgetUnknown("There is no budget of this id.")
    return budget


async def with_standing(
    session: AsyncSession, budget_id: UUID, month: str | None, at: datetime
) -> BudgetWithStanding:
    """Return a budget and how a month of it stands (the present one).

    Raises:
        BudgetUnknown: there is none.
        NotInBudget: the month lies outside it.
    """
    budget = await find(session, budget_id)
    day = _day(month) or month_of(at, budget.timezone)
    if not holds(budget, day):
        raise NotInBudget("Ask for a month between first_month and last_month.", field="month")
    standing = await standing_of(session, budget, day, at)
    notices = await session.scalars(
        select(BudgetNotice)
        .where(BudgetNotice.budget_id == budget_id, BudgetNotice.month == day)
        .order_by(BudgetNotice.at, BudgetNotice.basis, BudgetNotice.percent)
    )
    shown = [NoticeView.model_validate(one, from_attributes=True) for one in notices]
    return BudgetWithStanding(
        **view_of(budget).model_dump(), standing=_standing(budget, standing, shown)
    )


def _standing(budget: Budget, found: Standing, notices: list[NoticeView]) -> BudgetStanding:
    percents = [
        None if amount is None else round(used_percent(amount, budget.monthly_amount), 2)
        for amount in (found.actual, found.forecast)
    ]
    return BudgetStanding(
        month=f"{found.month:%Y-%m}",
        as_of=found.as_of,
        actual=None if found.actual is None else round(found.actual, 6),
        used_percent=percents[0],
        forecast=None if found.forecast is None else round(found.forecast, 6),
        forecast_percent=percents[1],
        method=found.method,
        kwh=found.kwh,
        unrated_kwh=found.unrated_kwh,
        coverage_percent=(
            None if found.coverage_percent is None else round(found.coverage_percent, 2)
        ),
        other_currencies=found.other_currencies,
        simulated=found.simulated,
        notices=notices,
    )


def holds(budget: Budget, month: date) -> bool:
    """Return whether a budget is about a month."""
    return budget.first_month <= month and (budget.last_month is None or month <= budget.last_month)


async def change(
    session: AsyncSession, caller: Principal, budget_id: UUID, body: BudgetChange
) -> BudgetView:
    """Change a budget. Of thresholds that were spoken of in a month nobody speaks again in it."""
    budget = await find(session, budget_id, lock=True)
    fields = body.model_dump(exclude_unset=True, exclude={"recipients", "last_month"})
    may_be_null = {"forecast_percent"}
    for name, value in fields.items():
        if value is not None or name in may_be_null:
            setattr(budget, name, value)
    if "last_month" in body.model_fields_set:
        budget.last_month = _day(body.last_month)
    if body.recipients is not None:
        await check_recipients(session, body.recipients, budget.client_id)
        budget.recipients = [str(one) for one in body.recipients]
    _check_months(budget)
    budget.version += 1
    await session.flush()
    await _audit(session, caller, "budget.change", budget)
    return view_of(budget)


async def remove(session: AsyncSession, caller: Principal, budget_id: UUID) -> None:
    """Forget a budget."""
    budget = await find(session, budget_id, lock=True)
    await session.execute(delete(BudgetNotice).where(BudgetNotice.budget_id == budget_id))
    await session.delete(budget)
    await session.flush()
    await _audit(session, caller, "budget.delete", budget)


def view_of(budget: Budget) -> BudgetView:
    """Return a budget as it is shown."""
    months = {"first_month", "last_month"}
    shown: dict[str, Any] = {
        name: getattr(budget, name) for name in BudgetView.model_fields if name not in months
    }
    last = None if budget.last_month is None else f"{budget.last_month:%Y-%m}"
    return BudgetView(**shown, first_month=f"{budget.first_month:%Y-%m}", last_month=last)


def _day(month: str | None) -> date | None:
    return None if month is None else date.fromisoformat(f"{month}-01")


def _check_months(budget: Budget) -> None:
    if budget.last_month is not None and budget.last_month < budget.first_month:
        raise MonthsReversed("Choose a last month not before the first.", field="last_month")


async def _audit(session: AsyncSession, caller: Principal, action: str, budget: Budget) -> None:
    await audit(
        session,
        AuditEvent,
        caller,
        action=action,
        object_type="budget",
        object_id=budget.id,
        detail={
            "name": budget.name,
            "monthly_amount": f"{budget.monthly_amount:f}",
            "currency": budget.currency,
        },
    )
