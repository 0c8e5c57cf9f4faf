"""What is shown of a tariff, and why there may be no price."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from hosting.amounts import Usd

NoPrice = Literal["no_tariff", "tariff_varies", "tariff_not_in_usd"]
"""No rate is in force at the site; it depends on an index or on use; it is in another currency."""


class TariffView(BaseModel):
    """The tariff that a cost was reckoned with."""

    rate_id: UUID
    rate_version: int
    name: str
    mean_usd_per_kwh: Usd = Field(
        description="Mean energy price of the week after `at`; without service and demand charges."
    )
    at: datetime = Field(description="When the energy service published the mean.")
    stale: bool = Field(description="The week is over, and the price is not flat.")
