"""Requests and answers about letters and webhooks."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from common.outbound import LONGEST_URL

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Kind = Literal["cost_alert", "budget"]
"""What letters are about."""
Told = Literal["cost_alert", "budget", "signal"]
"""What endpoints are told."""
Url = Annotated[str, Field(max_length=LONGEST_URL, examples=["https://hooks.example.org/hashyard"])]


class MessageView(BaseModel):
    """A letter, as the send log knows it. Of its reader it holds the id only."""

    id: UUID
    user_id: UUID | None
    kind: str
    template: str
    state: Literal["queued", "sent", "bounced", "failed", "suppressed"]
    reason: str | None
    """Why it was not sent, or how the last attempt failed."""
    transport: Literal["smtp", "folder"] | None
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    sent_at: datetime | None


class KindPreference(BaseModel):
    """Whether letters of a kind are wanted."""

    kind: Kind
    about: str
    wanted: bool


class Preferences(BaseModel):
    """Which letters the caller gets."""

    kinds: list[KindPreference]
    bounced: bool
    """A letter came back: nothing more is sent until the caller says that the address works."""


class PreferenceChange(BaseModel):
    """What the caller wants from now on."""

    model_config = ConfigDict(extra="forbid")

    unwanted: list[Kind] | None = Field(default=None, max_length=10)
    """The kinds of letter that are not wanted; the others are."""
    bounced: Literal[False] | None = None
    """false: the address works again."""


class NewWebhook(BaseModel):
    """An endpoint to be told what happens."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    kinds: list[Told] = Field(default=[], max_length=10)
    """What to tell; empty: everything."""


class WebhookChange(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    url: Url | None = None
    kinds: list[Told] | None = Field(default=None, max_length=10)
    state: Literal["active", "paused"] | None = None


class WebhookView(BaseModel):
    """An endpoint."""

    id: UUID
    client_id: UUID | None
    name: str
    url: str
    kinds: list[str]
    state: Literal["active", "paused", "disabled"]
    failing_since: datetime | None
    created_at: datetime


class WebhookWithSecret(WebhookView):
    """An endpoint with its secret, which is shown this once."""

    secret: str
    previous_secret_until: datetime | None
    """Until then messages are signed with the secret before as well."""


class DeliveryView(BaseModel):
    """One message to an endpoint. What the endpoint answered is not kept."""

    id: UUID
    kind: str
    state: Literal["queued", "delivered", "failed", "discarded"]
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None
