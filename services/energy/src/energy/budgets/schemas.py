"""Requests and answers about budgets."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from energy.tariffs.amounts import Amount, Currency, Number, Zone

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Month = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-11"])]
MonthlyAmount = Annotated[
    Decimal, Number, Field(gt=0, le=1_000_000_000_000, decimal_places=6, examples=["25000.00"])
]
Percent = Annotated[int, Number, Field(ge=1, le=1000)]


def _ascending(percents: list[int]) -> list[int]:
    if sorted(set(percents)) != percents:
        msg = "must ascend, each once"
        raise ValueError(msg)
    return percents


Thresholds = Annotated[list[Percent], Field(max_length=10), AfterValidator(_ascending)]
Recipients = Annotated[list[UUID], Field(max_length=20)]
Method = Literal["month_over", "weekly_pattern", "run_rate_7d", "unknown"]
_METHOD = (
    "weekly_pattern: what has been used so far, and each half-hour to come as the same one a week "
    "before, at the tariffs in force by then, with service charges and taxes; demand charges as "
    "they are so far. run_rate_7d: the mean cost of an hour of the last seven days for each hour "
    "left. month_over: nothing is left. unknown: nothing to reckon with"
)


class NewBudget(BaseModel):
    """What electricity may cost in each month."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    monthly_amount: MonthlyAmount
    currency: Currency = "USD"
    site_id: UUID | None = None
    """null: all sites."""
    client_id: UUID | None = None
    """Of one client's machines; null: of everything, with the sites' fixed charges."""
    timezone: Zone | None = None
    """In which months begin; null: the site's, or UTC."""
    thresholds: Thresholds = [50, 80, 100]
    """Percentages of the amount at which somebody is told, each once a month."""
    forecast_percent: Percent | None = 100
    """Somebody is told once a month when the forecast reaches this percentage; null: never."""
    first_month: Month | None = None
    """null: the present one."""
    last_month: Month | None = None
    recipients: Recipients = []
    """Users who get a letter; none: the Owners, or the people of the client."""
    mail: bool = True
    webhook: bool = True
    active: bool = True


class BudgetChange(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    monthly_amount: MonthlyAmount | None = None
    thresholds: Thresholds | None = None
    forecast_percent: Percent | None = None
    last_month: Month | None = None
    recipients: Recipients | None = None
    mail: bool | None = None
    webhook: bool | None = None
    active: bool | None = None


class NoticeView(BaseModel):
    """A threshold that was reached."""

    basis: Literal["actual", "forecast"]
    percent: int
    amount: Amount
    at: datetime


class BudgetStanding(BaseModel):
    """How a month stands."""

    month: Month
    as_of: datetime
    """Until when costs count."""
    actual: Amount | None
    """Cost so far; null: none is known, which is not 0."""
    used_percent: Amount | None
    forecast: Amount | None
    """Of the whole month."""
    forecast_percent: Amount | None
    method: Method = Field(description=_METHOD)
    kwh: Amount
    unrated_kwh: Amount
    """For which no tariff was in force: its cost is not in the figures."""
    coverage_percent: Amount | None
    other_currencies: list[str]
    """Costs in these could not be converted, and are not in the figures."""
    simulated: bool
    notices: list[NoticeView]


class BudgetView(BaseModel):
    """A budget."""

    id: UUID
    name: str
    monthly_amount: Amount
    currency: str
    site_id: UUID | None
    client_id: UUID | None
    timezone: str
    thresholds: list[int]
    forecast_percent: int | None
    first_month: Month
    last_month: Month | None
    recipients: list[UUID]
    mail: bool
    webhook: bool
    active: bool
    created_at: datetime
    version: int


class BudgetWithStanding(BudgetView):
    """A budget, and how the month asked for stands."""

    standing: BudgetStanding
