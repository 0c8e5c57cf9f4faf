"""Request and response bodies of second factors."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from gateway.sessions.schemas import Code


class EnrolmentOrder(BaseModel):
    """Who enrols a device knows the password, too."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Enrolment(BaseModel):
    """What the authenticator application needs, shown in this answer only."""

    secret: str
    """Base32, to be typed."""
    uri: str
    """`otpauth://`, to be shown as a QR code."""


class CodeOrder(BaseModel):
    """A code of the device (or, to remove it, a recovery code)."""

    model_config = ConfigDict(extra="forbid")

    code: Code


class RecoveryCodes(BaseModel):
    """Codes that stand in for a lost device, each once. Shown in this answer only."""

    recovery_codes: list[str]


class SecondFactorView(BaseModel):
    """The caller's second factor."""

    enabled: bool
    required: bool
    """Whether the role cannot do without: then only setting it up is open until it is."""
    confirmed_at: datetime | None
    recovery_codes_left: int
