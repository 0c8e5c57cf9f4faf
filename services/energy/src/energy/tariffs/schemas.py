"""Requests and answers of the rate routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool

from energy.tariffs.amounts import Moment
from energy.tariffs.schedules import Name, Part
from energy.tariffs.terms import RateInput, StoredTerms


class NewRate(RateInput):
    """A rate to be stored."""

    active: StrictBool | None = Field(
        default=None,
        description="Whether it is in force from now on; if left out, where the place has no other",
    )
    valid_from: Moment | None = Field(
        default=None, description="Since when it holds, not in the future; now if left out"
    )


class RateChange(RateInput):
    """What is to change of a rate. What is left out stays as it is."""

    name: Name = "unchanged"
    active: StrictBool | None = Field(default=None, description="Activate or deactivate as well")
    valid_from: Moment | None = Field(
        default=None,
        description="Since when the new version holds; now if left out. Alone it makes a version "
        "that says the same since then",
    )


class Activation(Part):
    """How a rate is put in force."""

    valid_from: Moment | None = Field(
        default=None, description="Since when it is in force, not in the future; now if left out"
    )


class RateView(StoredTerms):
    """A rate as it is shown. Money is in `currency`."""

    id: UUID
    active: bool
    version: int
    version_from: datetime
    """Since when this version holds."""
    removed: bool
    created_at: datetime
    updated_at: datetime


class RateAnswer(BaseModel):
    """One rate."""

    ok: Literal[True] = True
    rate: RateView


class RateList(BaseModel):
    """Rates."""

    ok: Literal[True] = True
    rates: list[RateView]
    count: int
    total: int
    """How many there are beside this page."""


class RateRemoved(BaseModel):
    """A rate that is no more; what was billed by it keeps its name."""

    ok: Literal[True] = True
    id: UUID


class VersionView(StoredTerms):
    """A version of a rate."""

    version: int
    version_from: datetime
    created_at: datetime
    created_by: UUID


class VersionList(BaseModel):
    """Versions of a rate, newest first."""

    ok: Literal[True] = True
    id: UUID
    versions: list[VersionView]
    count: int
    total: int
    """How many there are beside this page."""


class DefaultRates(BaseModel):
    """The rates to begin with."""

    ok: Literal[True] = True
    rates: list[RateView]
    count: int
    created: int
    """How many of them are new."""
