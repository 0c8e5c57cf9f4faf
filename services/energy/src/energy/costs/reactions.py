"""What telemetry says of half-hours, and this service itself of tariffs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NotRequired
from uuid import UUID

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, field_validator
from pydantic_core import CoreSchema, core_schema
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from common.consumer import Reactions, Received
from energy.costs import intake
from energy.costs.packing import MAX_KWH, Floats
from energy.costs.pricing import HALF_HOUR_S

reactions = Reactions(group="costs")
"""Consumed apart: a month of half-hours must not hold up what is known of sites and machines."""


_Id = Annotated[str, Field(min_length=32, max_length=36)]


class HalfHourRow(TypedDict):
    """A machine's half-hour: a plain dictionary, as there are millions of them."""

    miner_id: _Id
    client_id: NotRequired[_Id | None]
    kwh: NotRequired[Annotated[float, Field(ge=0, le=MAX_KWH, allow_inf_nan=False)] | None]
    th_h: NotRequired[Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None]


@dataclass(frozen=True, slots=True)
class Machines:
    """The rows of one client as columns."""

    client_id: UUID | None
    miner_ids: list[str]
    kwh: Floats
    th_h: Floats


def _by_client(rows: list[HalfHourRow]) -> list[Machines]:
    """Return rows as columns, one set per client: each client sees its own only.

    This happens while an event is read: a batch of events as dictionaries would keep the garbage
    collector busier than all the rest.
    """
    owners = [row.get("client_id") for row in rows]
    distinct = list(dict.fromkeys(owners))
    if len(distinct) == 1:
        return [_columns(distinct[0], rows)]
    mine: dict[str | None, list[HalfHourRow]] = {owner: [] for owner in distinct}
    for owner, row in zip(owners, rows, strict=True):
        mine[owner].append(row)
    return [_columns(owner, found) for owner, found in mine.items()]


def _columns(owner: str | None, rows: list[HalfHourRow]) -> Machines:
    return Machines(
        client_id=None if owner is None else UUID(owner),
        miner_ids=[row["miner_id"] for row in rows],
        kwh=np.array([row.get("kwh") for row in rows], dtype=np.float64),
        th_h=np.array([row.get("th_h") for row in rows], dtype=np.float64),
    )


_ROWS = TypeAdapter(list[HalfHourRow])


class Rows(list[Machines]):
    """The machines of an event, by client."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, __: object) -> CoreSchema:
        """Read rows as telemetry writes them."""
        return core_schema.no_info_after_validator_function(cls._of, _ROWS.core_schema)

    @classmethod
    def _of(cls, rows: list[HalfHourRow]) -> "Rows":
        return cls(_by_client(rows))


class HalfHourClosed(BaseModel):
    site_id: UUID
    starts_at: AwareDatetime
    revision: int = Field(ge=1, le=2_000_000_000)
    simulated: bool = False
    rows: Rows

    @field_validator("starts_at")
    @classmethod
    def _on_the_half_hour(cls, starts_at: datetime) -> datetime:
        if starts_at.timestamp() % HALF_HOUR_S:
            raise ValueError("a half-hour starts on the hour or half past")
        return starts_at


@reactions.on_many("telemetry.half-hour.closed.v1")
async def half_hours_closed(session: AsyncSession, events: list[Received[HalfHourClosed]]) -> None:
    """Keep the machines' half-hours; their days are rated a moment later."""
    told = [
        intake.Told(
            site_id=event.data.site_id,
            client_id=machines.client_id,
            starts_at=event.data.starts_at,
            revision=event.data.revision,
            simulated=event.data.simulated,
            miner_ids=machines.miner_ids,
            kwh=machines.kwh,
            th_h=machines.th_h,
        )
        for event in events
        for machines in event.data.rows
    ]
    if told:
        await intake.take(session, events[0].organisation_id, told)
