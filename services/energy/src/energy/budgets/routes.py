"""HTTP of the budgets."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from common.clock import now
from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from energy.auth import CostsReader, CostsWriter
from energy.budgets import keeping
from energy.budgets.keeping import (
    BudgetUnknown,
    ClientUnknown,
    MonthsReversed,
    NotInBudget,
    OwnBudgetsOnly,
    TooManyBudgets,
)
from energy.budgets.schemas import (
    BudgetChange,
    BudgetView,
    BudgetWithStanding,
    Month,
    NewBudget,
)
from energy.facts.reading import SiteUnknown
from energy.messages.post import UnknownRecipient

router = APIRouter(prefix="/api/electricity", tags=["budgets"])


@router.post(
    "/budgets",
    status_code=201,
    responses=problems(
        SiteUnknown, ClientUnknown, TooManyBudgets, OwnBudgetsOnly, MonthsReversed, UnknownRecipient
    ),
)
async def create_budget(body: NewBudget, session: Session, caller: CostsWriter) -> BudgetView:
    """Say what electricity may cost in a month, of everything, a site, a client, or both."""
    return await keeping.create(session, caller, body)


@router.get("/budgets", response_model=Page[BudgetView])
async def list_budgets(
    session: Session,
    _: CostsReader,
    page: PageQuery,
    site_id: UUID | None = None,
    client_id: UUID | None = None,
) -> object:
    """List the budgets."""
    return await keeping.list_budgets(session, page, site_id, client_id)


@router.get("/budgets/{budget_id}", responses=problems(BudgetUnknown, NotInBudget))
async def get_budget(
    budget_id: UUID,
    session: Session,
    _: CostsReader,
    month: Annotated[Month | None, Query(description="As 2026-11; the present one if none")] = None,
) -> BudgetWithStanding:
    """Return a budget, what a month has cost so far, and what it will have cost at its end."""
    return await keeping.with_standing(session, budget_id, month, now())


@router.patch(
    "/budgets/{budget_id}", responses=problems(BudgetUnknown, MonthsReversed, UnknownRecipient)
)
async def change_budget(
    budget_id: UUID, body: BudgetChange, session: Session, caller: CostsWriter
) -> BudgetView:
    """Change a budget."""
    return await keeping.change(session, caller, budget_id, body)


@router.delete("/budgets/{budget_id}", status_code=204, responses=problems(BudgetUnknown))
async def delete_budget(budget_id: UUID, session: Session, caller: CostsWriter) -> None:
    """Forget a budget."""
    await keeping.remove(session, caller, budget_id)
