"""Ended sessions are forgotten after a while; the audit trail remembers what matters."""

import asyncio
from datetime import timedelta

from sqlalchemy import delete, or_

from common.clock import now
from common.runtime import Runtime
from gateway.sessions.models import LoginSession, RefreshToken

_EVERY_S = 3600.0
_KEPT = timedelta(days=1)


async def clear_sessions(runtime: Runtime) -> None:
    """Delete what ended a day ago, every hour."""
    while True:
        await forget_ended(runtime)
        await asyncio.sleep(_EVERY_S)


async def forget_ended(runtime: Runtime) -> None:
    """Delete sessions and refresh tokens that ended more than a day ago."""
    before = now() - _KEPT
    async with runtime.worker_session() as session:
        await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))
        await session.execute(
            delete(LoginSession).where(
                or_(LoginSession.expires_at < before, LoginSession.revoked_at < before)
            )
        )
