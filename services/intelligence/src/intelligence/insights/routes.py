"""HTTP of the insights."""

from fastapi import APIRouter

from common.db import Session
from intelligence.auth import InsightsReader
from intelligence.insights import findings
from intelligence.insights.schemas import Insights

router = APIRouter(prefix="/api/intelligence", tags=["insights"])


@router.get("/insights")
async def list_insights(session: Session, _: InsightsReader) -> Insights:
    """List what is worth knowing about your sites: a sentence each, with numbers and period.

    A client is told of its own machines. `rule` says when something is a finding, and `waiting`
    which kinds cannot be made yet, for want of which events.
    """
    return await findings.insights(session)
