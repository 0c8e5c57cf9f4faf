"""Ended sessions are forgotten after a while; the audit trail remembers what matters."""

import asyncio
from datetime import timedelta

from sqlalchemy import delete, or_, select

from common.clock import now
from common.runtime import Runtime
from gateway.second_factors.models import RecoveryCode, SecondFactor
from gateway.sessions.models import LoginSession, RefreshToken
from gateway.users.models import User

_EVERY_S = 3600.0
_KEPT = timedelta(days=1)


async def clear_sessions(runtime: Runtime) -> None:
    """Delete what ended a day ago, every hour."""
    while True:
        await forget_ended(runtime)
        await asyncio.sleep(_EVERY_S)


async def forget_ended(runtime: Runtime) -> None:
    """Delete sessions and refresh tokens that ended a day ago, and the erased's second factors."""
    before = now() - _KEPT
    async with runtime.worker_session() as session:
        await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))
        await session.execute(
            delete(LoginSession).where(
                or_(LoginSession.expires_at < before, LoginSession.revoked_at < before)
            )
        )
        erased = select(User.id).where(User.password_hash == "")
        for table in (RecoveryCode, SecondFactor):
            await session.execute(delete(table).where(table.user_id.in_(erased)))
