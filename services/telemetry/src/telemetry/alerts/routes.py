"""Alerts over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from common.db import Session
from common.pages import Page, PageQuery
from telemetry.alerts import listing
from telemetry.alerts.schemas import Alert
from telemetry.auth import TelemetryReader

router = APIRouter(tags=["telemetry"])


@router.get("/api/telemetry/alerts")
async def list_alerts(
    session: Session,
    page: PageQuery,
    _: TelemetryReader,
    site_id: UUID | None = None,
    miner_id: UUID | None = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
) -> Page[Alert]:
    """List alerts, newest first; `open=true` lists those that are not cleared."""
    return await listing.alerts(session, page, site_id=site_id, miner_id=miner_id, is_open=is_open)
