"""What telemetry says of half-hours, and this service itself of tariffs."""

from typing import Annotated, NotRequired
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from common.consumer import Reactions, Received
from energy.costs import intake
from energy.costs.packing import MAX_KWH

reactions = Reactions(group="costs")
"""Consumed apart: a month of half-hours must not hold up what is known of sites and machines."""


class HalfHourRow(TypedDict):
    """A machine's half-hour: a plain dictionary, as there are millions of them."""

    miner_id: Annotated[str, Field(min_length=32, max_length=36)]
    client_id: NotRequired[UUID | None]
    kwh: NotRequired[Annotated[float, Field(ge=0, le=MAX_KWH, allow_inf_nan=False)] | None]
    th_h: NotRequired[Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None]


class HalfHourClosed(BaseModel):
    site_id: UUID
    starts_at: AwareDatetime
    revision: int = Field(ge=1, le=2_000_000_000)
    simulated: bool = False
    rows: list[HalfHourRow]


@reactions.on_many("telemetry.half-hour.closed.v1")
async def half_hours_closed(session: AsyncSession, events: list[Received[HalfHourClosed]]) -> None:
    """Keep the machines' half-hours; their days are rated a moment later."""
    told = [one for event in events for one in _by_client(event.data)]
    if told:
        await intake.take(session, events[0].organisation_id, told)


def _by_client(event: HalfHourClosed) -> list[intake.Told]:
    """Return an event's rows as columns, one set per client: each client sees its own only."""
    owners = [row.get("client_id") for row in event.rows]
    distinct = list(dict.fromkeys(owners))
    if len(distinct) == 1:
        return [_columns(event, distinct[0], event.rows)]
    mine: dict[UUID | None, list[HalfHourRow]] = {owner: [] for owner in distinct}
    for owner, row in zip(owners, event.rows, strict=True):
        mine[owner].append(row)
    return [_columns(event, owner, rows) for owner, rows in mine.items()]


def _columns(event: HalfHourClosed, owner: UUID | None, rows: list[HalfHourRow]) -> intake.Told:
    return intake.Told(
        site_id=event.site_id,
        client_id=owner,
        starts_at=event.starts_at,
        revision=event.revision,
        simulated=event.simulated,
        miner_ids=[row["miner_id"] for row in rows],
        kwh=[row.get("kwh") for row in rows],
        th_h=[row.get("th_h") for row in rows],
    )
