"""Request and response bodies of API keys."""

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class ApiKeyOrder(BaseModel):
    """A new API key."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    scopes: Annotated[list[str], Field(min_length=1, max_length=30)]
    expires_in_days: Annotated[int, Field(ge=1, le=365)] = 90
    cidrs: Annotated[list[IPv4Network | IPv6Network], Field(max_length=20)] = []
    """Networks from which the key may be used; everywhere when empty."""


class ApiKeyView(BaseModel):
    """An API key, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    prefix: str
    name: str
    scopes: list[str]
    cidrs: list[str]
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewApiKey(ApiKeyView):
    """An API key just made. `key` is shown in this answer only."""

    key: str
