"""Request and response bodies of users."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from gateway.roles import Role
from gateway.users.email import normalise

Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(normalise)]
NewPassword = Annotated[str, StringConstraints(min_length=12, max_length=128)]


class UserOrder(BaseModel):
    """A new member of an organisation."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    role: Role
    password: NewPassword | None = None
    """Left out: one is made and returned, once."""


class UserChange(BaseModel):
    """What may change about a member."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    active: bool | None = None


class UserView(BaseModel):
    """A member of an organisation."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    organisation_id: UUID
    client_id: UUID | None
    email: str
    role: str
    active: bool
    version: int
    created_at: datetime


class NewUser(UserView):
    """A member just made."""

    password: str | None
    """The generated password; null when the caller chose one."""


class Me(BaseModel):
    """Who the caller is, and what it may do."""

    id: UUID
    kind: str
    email: str | None
    role: str
    organisation_id: UUID
    organisation_name: str | None
    client_id: UUID | None
    scopes: list[str]
    expires_at: datetime
    elevated: bool
