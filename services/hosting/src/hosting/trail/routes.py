"""The audit trail of this service."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from common.audit import AuditLine
from common.db import Session
from common.pages import Page, PageQuery
from hosting.auth import AuditReader
from hosting.trail import listing

router = APIRouter(prefix="/api/hosting/audit", tags=["audit"])


class AuditCheck(BaseModel):
    """Whether the chain of hashes is whole."""

    whole: bool
    first_broken_id: int | None


Word = Annotated[str | None, Query(max_length=80)]


@router.get("", response_model=Page[AuditLine])
async def list_audit(
    session: Session,
    _: AuditReader,
    page: PageQuery,
    action: Word = None,
    object_id: Word = None,
) -> object:
    """List what was done here, newest first; by action or object if given."""
    return await listing.list_audit(session, page, action=action, object_id=object_id)


@router.get("/check")
async def check_audit(session: Session, principal: AuditReader) -> AuditCheck:
    """Recompute the chain of hashes and say whether it is whole."""
    broken = await listing.first_broken_line(session, principal.organisation_id)
    return AuditCheck(whole=broken is None, first_broken_id=broken)
