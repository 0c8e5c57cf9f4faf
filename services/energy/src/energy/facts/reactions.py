"""What hosting, identity and the calculator say; a newer version replaces an older one."""

from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, Field, field_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.consumer import Reactions, Received
from energy.db import Base
from energy.facts.models import Client, Miner, MinerModel, NetworkEpoch, Quote, Site

reactions = Reactions()


class SiteChanged(BaseModel):
    site_id: UUID
    name: str
    location: str = ""
    timezone: str = "UTC"
    removed: bool = False

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        """Take a zone that this machine does not know for UTC, rather than lose the site."""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return "UTC"
        return name


class MinerChanged(BaseModel):
    miner_id: UUID
    client_id: UUID | None = None
    site_id: UUID
    serial_number: str
    model: str = ""
    ip: str = ""
    status: str
    nameplate_hashrate_ths: float | None = None
    nameplate_power_w: float | None = None
    removed: bool = False


class MinerModelChanged(BaseModel):
    model_id: UUID
    name: str
    manufacturer: str = ""
    aliases: list[str] = []
    hashrate_ths: float = Field(gt=0)
    power_w: float = Field(gt=0)
    removed: bool = False


class OrganisationChanged(BaseModel):
    id: UUID
    parent_id: UUID | None = None
    name: str
    active: bool = True


class QuotePublished(BaseModel):
    pair: str = Field(max_length=20)
    price_usd: Decimal = Field(gt=0)
    at: AwareDatetime
    source: str
    stale: bool = False
    simulated: bool = False
    difficulty: Decimal | None = None
    subsidy_btc: Decimal | None = None
    hashprice_usd_per_ths_day: Decimal | None = None
    hashprice_btc_per_ths_day: Decimal | None = None


class EpochChanged(BaseModel):
    height: int = Field(ge=0, le=2_000_000_000)
    next_height: int = Field(ge=0, le=2_000_000_000)
    started_at: AwareDatetime
    difficulty: Decimal = Field(gt=0)
    subsidy_btc: Decimal = Field(ge=0)
    simulated: bool = False


@reactions.on("hosting.site.changed.v1")
async def site_known(session: AsyncSession, event: Received[SiteChanged]) -> None:
    """Keep a site's name, place and zone."""
    await _keep_newest(session, Site, [_row(event, "site_id")])


@reactions.on_many("hosting.miner.registered.v1", "hosting.miner.changed.v1")
async def machines_known(session: AsyncSession, events: list[Received[MinerChanged]]) -> None:
    """Keep the machines, in bulk: the whole fleet is replayed at a first start."""
    await _keep_newest(session, Miner, _newest(events, "miner_id"))


@reactions.on_many("calculator.miner-model.changed.v1")
async def models_known(session: AsyncSession, events: list[Received[MinerModelChanged]]) -> None:
    """Keep the miner models."""
    await _keep_newest(session, MinerModel, _newest(events, "model_id"))


@reactions.on("identity.organisation.changed.v1")
async def client_known(session: AsyncSession, event: Received[OrganisationChanged]) -> None:
    """Keep the name of an operator's client."""
    if event.data.parent_id is not None:
        row = _row(event, "id")
        row.pop("parent_id")
        await _keep_newest(session, Client, [row])


@reactions.on("calculator.quote.published.v1")
async def quote_published(session: AsyncSession, event: Received[QuotePublished]) -> None:
    """Keep the quote."""
    row = {
        "organisation_id": PLATFORM_ORGANISATION,
        "version": event.version,
        **event.data.model_dump(),
    }
    await session.execute(
        insert(Quote).values(row).on_conflict_do_nothing(index_elements=["pair", "version"])
    )


@reactions.on_many("calculator.network-epoch.changed.v1")
async def epochs_changed(session: AsyncSession, events: list[Received[EpochChanged]]) -> None:
    """Keep the epochs as their newest versions say."""
    newest = {event.data.height: event for event in sorted(events, key=lambda event: event.version)}
    rows = [
        {
            "organisation_id": PLATFORM_ORGANISATION,
            "version": event.version,
            **event.data.model_dump(),
        }
        for _, event in sorted(newest.items())
    ]
    await _keep_newest(session, NetworkEpoch, rows, key="height")


def _row(event: Received[Any], key: str) -> dict[str, Any]:
    """Return an event as a row: its aggregate's id is the row's."""
    values = event.data.model_dump()
    return {
        "id": values.pop(key),
        "organisation_id": event.organisation_id,
        "version": event.version,
        **values,
    }


def _newest(events: list[Received[Any]], key: str) -> list[dict[str, Any]]:
    """Return one row per aggregate, in the order of their ids: bulk writers then never deadlock."""
    rows = {
        getattr(event.data, key): _row(event, key)
        for event in sorted(events, key=lambda event: event.version)
    }
    return [rows[one] for one in sorted(rows)]


async def _keep_newest(
    session: AsyncSession, table: type[Base], rows: list[dict[str, Any]], *, key: str = "id"
) -> None:
    """Write state rows; what is older than what is stored changes nothing."""
    columns: Any = table.__table__.c
    for start in range(0, len(rows), 1000):
        statement = insert(table).values(rows[start : start + 1000])
        changed = {name: statement.excluded[name] for name in rows[0] if name != key}
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[key],
                set_=changed,
                where=columns.version < statement.excluded.version,
            )
        )
