"""Answers of the batch. The rows themselves are written as JSON columns-wise, not one by one."""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from calculator.calculations.schemas import Figures, Input


class BatchRowResult(Figures):
    """A good row: what it was calculated with, and its figures."""

    hashrate_ths: float
    power_w: float
    count: float
    electricity_usd_per_kwh: float
    capex_usd: float | None


class BatchRowError(BaseModel):
    """Why a row could not be calculated."""

    field: str | None
    code: str
    detail: str


class BatchRow(BaseModel):
    """A row's result or its error."""

    index: int = Field(description="From 0, in the order sent.")
    line: int | None = Field(description="The line of the file, the headings being line 1.")
    label: str | None
    model: str | None
    result: BatchRowResult | None
    error: BatchRowError | None


class Downloads(BaseModel):
    """Where the rows can be fetched for a month; null without a login that has a history."""

    csv: str
    xlsx: str


class TariffUsed(BaseModel):
    """A tariff that rows were priced by, at its mean energy price over a week."""

    rate_id: UUID
    rate_version: int
    name: str
    usd_per_kwh: float
    source: Literal["tariff_mean"]
    at: AwareDatetime = Field(description="When the mean was published.")
    stale: bool = Field(description="Whether the week of the mean is over.")


class BatchSummary(BaseModel):
    """A batch without its rows."""

    batch_id: UUID | None
    state: Literal["queued", "running", "done"]
    rows: int
    succeeded: int
    failed: int
    totals: dict[str, float] = Field(description="Sums over the good rows.")
    ignored_columns: list[str]
    inputs: dict[str, Input] = Field(description="What the market said, where rows needed it.")
    tariffs: list[TariffUsed]
    warnings: list[str]
    downloads: Downloads | None


class BatchAnswer(BatchSummary):
    """A batch with its rows."""

    results: list[BatchRow]


class BatchRequest(BaseModel):
    """Machines as columns (a single value stands for all rows) or as rows; at most 10,000."""

    columns: dict[str, Any] | None = Field(
        default=None,
        examples=[{"model": ["S19 Pro", "S21"], "count": [100, 50], "electricity_cost": 0.05}],
    )
    rows: list[dict[str, Any]] | None = None
    defaults: dict[str, Any] | None = Field(
        default=None, description="Fields of rows that do not give their own."
    )


class BatchAccepted(BaseModel):
    """A batch on its way; `GET /api/calculator/jobs/{job_id}` shows how far it has come."""

    job_id: UUID
    batch_id: UUID
