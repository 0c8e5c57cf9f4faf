"""What the energy service says of its rates; a newer version replaces an older one."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from hosting.tariffs.models import Tariff

reactions = Reactions(group="tariffs")
"""Apart from all else: tariffs are read from their beginning when the group first comes."""

Mean = Annotated[Decimal, Field(gt=-(10**6), lt=10**6, allow_inf_nan=False)]


class TariffChanged(BaseModel):
    """energy.tariff.changed.v1, as far as a fleet's costs need it."""

    rate_id: UUID
    rate_version: int = 1
    site_id: UUID | None = None
    location: str | None = None
    name: str = ""
    active: bool
    rate_type: str = "flat"
    currency: str = "USD"
    mean_usd_per_kwh: Mean | None = None
    """In `currency`, as the document's names have it."""
    changed_at: AwareDatetime
    removed: bool = False


@reactions.on("energy.tariff.changed.v1")
async def tariff_changed(session: AsyncSession, event: Received[TariffChanged]) -> None:
    """Keep the rate as it now is."""
    told = event.data.model_dump(exclude={"mean_usd_per_kwh"})
    row = told | {
        "organisation_id": event.organisation_id,
        "version": event.version,
        "mean_per_kwh": event.data.mean_usd_per_kwh,
    }
    statement = insert(Tariff).values(row)
    said = statement.excluded
    key = ("organisation_id", "rate_id")
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=key,
            set_={name: said[name] for name in row if name not in key},
            where=Tariff.version < said.version,
        )
    )
