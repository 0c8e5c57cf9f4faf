"""Request and response bodies of organisations."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]


class OrganisationOrder(BaseModel):
    """A new operator (Admin), or a new client of an operator."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    kind: Literal["operator", "client"] | None = None
    """By default an operator when the platform's Admin names no parent, else a client."""
    parent_id: UUID | None = None
    """The operator of a client; by default the caller's own organisation."""


class OrganisationView(BaseModel):
    """An organisation as its members see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    parent_id: UUID | None
    kind: str
    name: str
    active: bool
    version: int
    created_at: datetime


class Elevation(BaseModel):
    """Why the platform's Admin enters a tenant; the tenant reads it in its audit trail."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class ElevatedToken(BaseModel):
    """A short token with which an Admin acts inside one tenant."""

    access_token: str
    expires_in: int
    token_type: Literal["Bearer"]
