"""Requests and answers of the miner-model routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from calculator.domain.naming import Cooling


def _one_line(text: str) -> str:
    folded = " ".join(text.split())
    if not folded or not folded.isprintable():
        msg = "must hold visible characters, on one line"
        raise ValueError(msg)
    return folded


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
TerahashesPerSecond = Annotated[
    float, Field(ge=0.001, le=100_000, allow_inf_nan=False, description="At the nameplate.")
]
Watts = Annotated[
    float, Field(ge=0.001, le=100_000, allow_inf_nan=False, description="At the nameplate.")
]
Aliases = Annotated[list[Name], Field(max_length=50, description="Other names it is found by.")]
ReferencePrice = Annotated[
    Decimal,
    Field(
        ge=0,
        le=10_000_000,
        decimal_places=2,
        allow_inf_nan=False,
        description="What one machine costs, where a calculation does not say.",
    ),
]
Year = Annotated[int, Field(ge=2009, le=2100)]


class NewMinerModel(BaseModel):
    """A model to register. It belongs to the caller's organisation."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(examples=["Antminer S19j Pro 104T"])
    manufacturer: Name = Field(examples=["Bitmain"])
    aliases: Aliases = []
    hashrate_ths: TerahashesPerSecond
    power_w: Watts
    cooling: Cooling = "air"
    released_year: Year | None = None
    reference_price_usd: ReferencePrice | None = None


class MinerModelChange(BaseModel):
    """What to change; a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    manufacturer: Name = ""
    aliases: Aliases = []
    hashrate_ths: TerahashesPerSecond = 0
    power_w: Watts = 0
    cooling: Cooling = "air"
    released_year: Year | None = None
    reference_price_usd: ReferencePrice | None = None


class MinerModelView(BaseModel):
    """A model in one hashrate bin."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    shared: bool = Field(description="Known to every organisation; only the platform changes it.")
    name: str
    manufacturer: str
    aliases: list[str]
    hashrate_ths: float
    power_w: float
    efficiency_j_per_th: float = Field(description="power_w / hashrate_ths.")
    cooling: Cooling
    released_year: int | None
    reference_price_usd: Decimal | None
    version: int
    created_at: datetime
