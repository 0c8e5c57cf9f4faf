"""Response bodies of the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class AuditLine(BaseModel):
    """Who did what, when."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor_id: UUID
    actor_kind: str
    actor_role: str
    action: str
    object_type: str
    object_id: str
    detail: dict[str, Any]
    request_id: str
    hash: str
