"""Half-hours as they are imported and answered."""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from telemetry.domain.half_hour import State
from telemetry.settings import HALF_HOUR_S

MAX_MACHINES = 10_000
MAX_HALF_HOURS = 48
MAX_CELLS = 20_000
"""Machines times half-hours of one request: what one transaction stores in a second or two."""


def _starts_a_half_hour(at: datetime) -> datetime:
    if at.timestamp() % HALF_HOUR_S:
        msg = "must be the start of a UTC half-hour, such as 2026-03-29T01:30:00Z"
        raise ValueError(msg)
    return at


_HalfHourStart = Annotated[AwareDatetime, AfterValidator(_starts_a_half_hour)]
_Kwh = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_TeraHashHours = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
_Coverage = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ToldHalfHour(BaseModel):
    """One half-hour as columns, in the order of the request's `miner_ids`."""

    starts_at: _HalfHourStart
    kwh: list[_Kwh | None] = Field(max_length=MAX_MACHINES)
    th_h: list[_TeraHashHours | None] = Field(max_length=MAX_MACHINES)
    state: list[State] = Field(max_length=MAX_MACHINES)
    coverage: list[_Coverage] = Field(max_length=MAX_MACHINES)

    @model_validator(mode="after")
    def _says_what_is_unknown(self) -> Self:
        if any((k is None) != (c == 0) for k, c in zip(self.kwh, self.coverage, strict=False)):
            msg = "kwh is null where coverage is 0, and only there"
            raise ValueError(msg)
        return self


class History(BaseModel):
    """Some half-hours of a site's simulated machines: at most 20,000 rows."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    miner_ids: list[UUID] = Field(min_length=1, max_length=MAX_MACHINES)
    half_hours: list[ToldHalfHour] = Field(min_length=1, max_length=MAX_HALF_HOURS)

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        machines = len(self.miner_ids)
        if len(set(self.miner_ids)) != machines:
            msg = "miner_ids names a machine twice"
            raise ValueError(msg)
        if machines * len(self.half_hours) > MAX_CELLS:
            msg = f"at most {MAX_CELLS} rows (machines times half-hours) fit one request"
            raise ValueError(msg)
        starts = [one.starts_at for one in self.half_hours]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            msg = "half_hours must be in order, each once"
            raise ValueError(msg)
        for one in self.half_hours:
            if {len(one.kwh), len(one.th_h), len(one.state), len(one.coverage)} != {machines}:
                msg = f"the columns of {one.starts_at.isoformat()} do not hold {machines} values"
                raise ValueError(msg)
        return self


class HistoryStored(BaseModel):
    """What became of an import. Nothing that was there has been changed."""

    half_hours_stored: int
    half_hours_known: int
    """Imported before: every one of these rows was there."""
    half_hours_measured: int
    """Left alone, because telemetry itself saw the site then."""
    rows_stored: int


class HalfHour(BaseModel):
    """One machine's row in the ledger, newest revision. `kwh` is null where nothing is known."""

    model_config = ConfigDict(from_attributes=True)

    miner_id: UUID
    site_id: UUID
    client_id: UUID | None
    starts_at: datetime
    revision: int
    kwh: float | None
    th_h: float | None
    state: str
    cause: str | None
    coverage: float
    simulated: bool
