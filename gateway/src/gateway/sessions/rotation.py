"""The rotation of refresh tokens.

A refresh token is used once. Its successor is an HMAC of it, so that the same successor can be
given again to a browser's second tab without storing it. Using an older one ends the session.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Unauthenticated
from common.runtime import Runtime
from gateway.db import AuditEvent
from gateway.roles import SCOPES_OF
from gateway.security import Security
from gateway.sessions.models import LoginSession, RefreshToken
from gateway.users.models import User


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh pair of tokens."""

    access_token: str
    refresh_token: str
    access_s: int
    refresh_s: int


async def refresh(runtime: Runtime, security: Security, token: str, request_id: str) -> Issued:
    """Exchange a refresh token for a new pair.

    Raises:
        Unauthenticated: unknown, expired, of an ended session, or used before.
    """
    async with runtime.worker_session() as session:
        outcome, login_id = await _exchange(session, security, token, request_id)
    if isinstance(outcome, Issued):
        return outcome
    if outcome == "reused" and login_id is not None:
        await security.revoke(runtime, login_id)
    raise Unauthenticated("The refresh token is not valid; log in again.")


async def _exchange(
    session: AsyncSession, security: Security, token: str, request_id: str
) -> tuple[Issued | Literal["unknown", "reused"], UUID | None]:
    moment = now()
    digest = _digest(token)
    successor = _successor(security, token)
    claimed = await session.scalar(  # of fifty at once, one gets the row
        update(RefreshToken)
        .where(
            RefreshToken.digest == digest,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > moment,
        )
        .values(used_at=moment, successor=_digest(successor))
        .returning(RefreshToken.session_id)
    )
    known = await session.get(RefreshToken, digest)
    if known is None:
        return "unknown", None
    found = await _alive(session, known.session_id, moment)
    if found is None:
        return "unknown", None
    login, user = found
    if claimed is not None:
        stored = stored_token(security, login, successor, moment)
        session.add(stored)
        return issued(security, login, user, successor, stored.expires_at), login.id
    if known.used_at is None:
        return "unknown", None  # expired
    next_one = await _unused_successor(session, security, known, moment)
    if next_one is not None:
        return issued(security, login, user, successor, next_one.expires_at), login.id
    login.revoked_at, login.revoked_because = moment, "reuse"
    await audit_login(session, user, "session.revoke_on_reuse", login.id, request_id)
    return "reused", login.id


async def _unused_successor(
    session: AsyncSession, security: Security, known: RefreshToken, moment: datetime
) -> RefreshToken | None:
    """Return the successor if only it may be given again: just made, and not used itself.

    Time alone would revive any old token whose use is recent; one generation only is forgiven.
    """
    assert known.used_at is not None
    assert known.successor is not None
    if moment - known.used_at > timedelta(seconds=security.settings.refresh_grace_s):
        return None
    following = await session.get(RefreshToken, known.successor)
    return following if following is not None and following.used_at is None else None


async def log_out(
    runtime: Runtime, security: Security, login_id: UUID | None, token: str | None, request_id: str
) -> None:
    """End a session, by its access token or its refresh token. Ending twice is no fault."""
    async with runtime.worker_session() as session:
        if token is not None:
            known = await session.get(RefreshToken, _digest(token))
            login_id = known.session_id if known else login_id
        found = await _alive(session, login_id, now()) if login_id else None
        if found is None:
            return
        login, user = found
        login.revoked_at, login.revoked_because = now(), "logout"
        await audit_login(session, user, "session.logout", login.id, request_id)
    await security.revoke(runtime, login.id)


async def _alive(
    session: AsyncSession, login_id: UUID, moment: datetime
) -> tuple[LoginSession, User] | None:
    row = await session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(
            LoginSession.id == login_id,
            LoginSession.revoked_at.is_(None),
            LoginSession.expires_at > moment,
            User.active,
        )
    )
    found = row.one_or_none()
    return (found[0], found[1]) if found else None


def stored_token(
    security: Security, login: LoginSession, token: str, moment: datetime
) -> RefreshToken:
    """Return the row of a refresh token."""
    idle = moment + timedelta(seconds=security.settings.refresh_idle_s)
    return RefreshToken(
        digest=_digest(token),
        organisation_id=login.organisation_id,
        client_id=login.client_id,
        session_id=login.id,
        issued_at=moment,
        expires_at=min(idle, login.expires_at),
    )


def issued(
    security: Security, login: LoginSession, user: User, refresh_token: str, expires_at: datetime
) -> Issued:
    """Return a pair: a fresh access token beside a refresh token."""
    ttl_s = security.settings.access_token_s
    access = security.tokens.issue(
        user_id=user.id,
        session_id=login.id,
        organisation_id=user.organisation_id,
        client_id=user.client_id,
        role=user.role,
        epoch=user.epoch,
        ttl_s=ttl_s,
        strong=login.second_factor,
    )
    return Issued(access, refresh_token, ttl_s, int((expires_at - now()).total_seconds()))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _successor(security: Security, token: str) -> str:
    return urlsafe_b64encode(security.mac("refresh successor", token)).rstrip(b"=").decode()


async def audit_login(
    session: AsyncSession, user: User, action: str, object_id: UUID, request_id: str
) -> None:
    """Append a line about somebody's session to the audit trail."""
    actor = Principal(
        subject=user.id,
        kind="user",
        organisation_id=user.organisation_id,
        client_id=user.client_id,
        role=user.role,
        scopes=SCOPES_OF[user.role],
        request_id=request_id,
        expires_at=now(),
    )
    await audit(
        session, AuditEvent, actor, action=action, object_type="session", object_id=object_id
    )
