"""Whether what an access token says still holds: asked when a gateway first sees the token."""

from sqlalchemy import select

from common.clock import now
from common.runtime import Runtime
from gateway.sessions.models import LoginSession
from gateway.tokens import AccessClaims
from gateway.users.models import User


async def session_holds(runtime: Runtime, claims: AccessClaims) -> bool:
    """Return whether the login has not ended and the person is as the token says."""
    async with runtime.worker_session() as session:
        found = await session.scalar(
            select(User.id)
            .join(LoginSession, LoginSession.user_id == User.id)
            .where(
                LoginSession.id == claims.session_id,
                LoginSession.revoked_at.is_(None),
                LoginSession.expires_at > now(),
                User.id == claims.user_id,
                User.epoch == claims.epoch,
                User.active,
            )
        )
    return found is not None
