"""Requests and answers of the site routes."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

Firmware = Literal["luxos", "whatsminer", "antminer"]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        msg = f"{name!r} is not an IANA time zone such as Europe/Oslo"
        raise ValueError(msg)
    return name


def _one_line(text: str) -> str:
    folded = text.strip()
    if not folded or not folded.isprintable():
        msg = "must hold visible characters, on one line"
        raise ValueError(msg)
    return folded


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
Timezone = Annotated[
    str, Field(max_length=64, examples=["Europe/Oslo"]), AfterValidator(_known_zone)
]
Megawatts = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Cidrs = Annotated[
    list[Annotated[str, Field(max_length=43)]],
    Field(min_length=1, max_length=64, examples=[["10.20.0.0/16"]]),
]


class NewSite(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    location: Annotated[str, Field(max_length=200)] = ""
    timezone: Timezone
    capacity_mw: Megawatts
    power_limit_mw: Megawatts | None = None
    allowed_cidrs: Cidrs


class SiteChange(BaseModel):
    """What to change; a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    location: Annotated[str, Field(max_length=200)] = ""
    timezone: Timezone = ""
    capacity_mw: Megawatts = 0
    power_limit_mw: Megawatts | None = None
    allowed_cidrs: Cidrs = []

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            msg = "name at least one field to change"
            raise ValueError(msg)
        return self


class SiteView(BaseModel):
    """A site, with how many machines it holds."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    location: str
    timezone: str
    capacity_mw: float
    power_limit_mw: float | None
    allowed_cidrs: list[str]
    total_miners: int
    credentials: list[str]
    """Firmware families with a stored credential; the credential itself is never given out."""
    version: int
    created_at: datetime


class NewCredential(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(max_length=64)] | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)]


class CredentialView(BaseModel):
    """That a credential is stored, and since when."""

    model_config = ConfigDict(from_attributes=True)

    firmware: Firmware
    updated_at: datetime


class NewRack(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    rows: Annotated[int, Field(ge=1, le=200)]
    positions: Annotated[int, Field(ge=1, le=200, description="Places in each row")]


class RackView(BaseModel):
    """A rack; its places are numbered from 1 to rows times positions."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    site_id: UUID
    name: str
    rows: int
    positions: int
    created_at: datetime
