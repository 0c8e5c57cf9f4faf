"""Orders and reports of the ingestion of wind."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def read_day(value: object) -> object:
    """Refuse days that are not written as 2025-03-04: pydantic would read numbers as seconds."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        msg = "must be a day such as 2025-03-04"
        raise ValueError(msg)
    return value


Day = Annotated[date, BeforeValidator(read_day)]
TEXT = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: a name that the database could not even be asked for."""
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=TEXT)]


class Span(BaseModel):
    """One day, or the days from one to another; no day at all means yesterday, in UK time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    date: Day | None = Field(default=None, examples=["2025-03-04"])
    from_: Day | None = Field(default=None, alias="from")
    to: Day | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.date is not None and (self.from_ is not None or self.to is not None):
            msg = "give either `date`, or `from` and `to`"
            raise ValueError(msg)
        if self.to is not None and self.from_ is None:
            msg = "`to` needs `from`"
            raise ValueError(msg)
        return self


def days_of(span: Span, usual: date) -> tuple[date, date]:
    """Return the first and the last day that are meant; `from` alone goes until the usual day."""
    first = span.date or span.from_ or usual
    return first, span.to or (first if span.from_ is None else max(first, usual))


class CalculateAll(Span):
    """Days to calculate bitcoin for again, from the rows that are here."""

    models: list[Name] = Field(default=[], max_length=20)
    """Names or aliases of miner models; none means the usual ones."""


class Ingest(CalculateAll):
    """Days to take from Elexon, wholly or in part."""

    periods: str | None = Field(default=None, pattern=r"^\d{1,2}(-\d{1,2})?$", examples=["1-48"])
    missing_only: bool = False
    outputs: bool = True
    """Take physical notifications and metered output of the wind units as well."""


class Reconcile(Span):
    """Days to compare with Elexon again; without any, the last seven."""


class Backfill(CalculateAll):
    """History to fill in where it is missing, in the off-peak window."""

    at_once: bool = False
    """Do not wait for the window."""
    outputs: bool = True
    """Take physical notifications and metered output of the wind units as well."""


class JobAccepted(BaseModel):
    """A job that was queued, and where its progress stands."""

    job_id: UUID
    status_url: str
    stream_url: str


class DayState(BaseModel):
    """How complete a day is."""

    model_config = ConfigDict(from_attributes=True)

    settlement_date: date
    status: str
    periods_expected: int
    periods_complete: int
    missing_periods: list[int]
    bitcoin_status: str
    miner_models: list[str]
    records: int
    excluded: dict[str, int]
    run_stamp: datetime | None
    revision: int
    changed_at: datetime
    verified_at: datetime | None
    simulated: bool


class PeriodState(BaseModel):
    """What became of a settlement period."""

    model_config = ConfigDict(from_attributes=True)

    settlement_period: int
    starts_at: datetime
    status: str
    error: str | None
    attempts: int
    run_stamp: datetime | None
    fetched_at: datetime | None
    rows: int
    records: int
    records_any: int
    excluded: dict[str, Any]
    simulated: bool


class DayDetail(BaseModel):
    """A day and its periods; those that nobody asked for yet are `missing`."""

    settlement_date: date
    day: DayState | None
    periods: list[PeriodState]


class Run(BaseModel):
    """A run of a process, and its report."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    ordered_by: str
    first_date: date
    last_date: date
    started_at: datetime
    finished_at: datetime | None
    status: str
    report: dict[str, Any] | None
    error: str | None


class ProgressState(BaseModel):
    """How far a process has come."""

    model_config = ConfigDict(from_attributes=True)

    process: str
    last_processed_date: date | None
    status: str
    error_message: str | None
    updated_at: datetime


class ProgressList(BaseModel):
    """How far each process has come."""

    items: list[ProgressState]


class BmUnitState(BaseModel):
    """A BM unit, its farm and its lead party, and since when."""

    model_config = ConfigDict(from_attributes=True)

    bm_unit: str
    national_grid_bm_unit: str | None
    name: str
    farm_name: str
    farm_is_stated: bool
    lead_party_name: str
    fuel_type: str | None
    generation_capacity_mw: Decimal | None
    valid_from: date
    valid_to: date | None
    simulated: bool


class FarmStated(BaseModel):
    """The wind farm that a unit is a part of."""

    model_config = ConfigDict(extra="forbid")

    farm_name: str = Field(min_length=1, max_length=128, pattern=TEXT)


class RegisterState(BaseModel):
    """What the register of BM units was brought to."""

    units: int
    new: int
    changed: int


class Verification(BaseModel):
    """What is stored of some days, and what of it is wrong."""

    items: list[dict[str, Any]]
    wrong_summaries: list[str]
    complete: bool
