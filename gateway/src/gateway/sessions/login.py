"""Logging in: a password, and a code where the person has a second factor."""

import secrets
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Unauthenticated
from common.runtime import Runtime
from gateway.second_factors.proof import Proof, confirmed_factor, prove
from gateway.security import Security
from gateway.sessions.models import LoginSession
from gateway.sessions.rotation import Issued, audit_login, issued, stored_token
from gateway.sessions.schemas import Credentials
from gateway.throttle import Throttle
from gateway.users.models import User

REFUSAL = "The e-mail address or the password is wrong."


class SecondFactorNeeded(Unauthenticated):
    title: ClassVar[str] = "A code of the second factor is needed"


class WrongSecondFactor(Unauthenticated):
    title: ClassVar[str] = "The code of the second factor is wrong, or was used before"


async def log_in(
    runtime: Runtime,
    security: Security,
    throttle: Throttle,
    credentials: Credentials,
    request_id: str,
) -> Issued:
    """Begin a session for somebody whose password fits, and whose code does.

    Raises:
        Unauthenticated: unknown, wrong or locked; the answer and its time do not say which.
        SecondFactorNeeded: the password fits, and a code is missing.
        WrongSecondFactor: the password fits, and the code does not.
    """
    async with runtime.worker_session() as session:
        user = await session.scalar(select(User).where(User.email == credentials.email))
        factor = await confirmed_factor(session, user.id) if user else None
    fits = await security.passwords.verify(
        credentials.password, user.password_hash if user else None
    )
    if user is None or not (fits and user.active):
        await _refuse(runtime, user, "login.refuse", request_id)
        raise Unauthenticated(REFUSAL)
    if factor is None:
        async with runtime.worker_session() as session:
            return await _begin(session, security, user, None, request_id)
    if credentials.code is None:
        raise SecondFactorNeeded("Log in again with `code`: of the device, or a recovery code.")
    async with throttle.code_try(user.id):
        return await _with_code(runtime, security, user, credentials.code, request_id)


async def _with_code(
    runtime: Runtime, security: Security, user: User, code: str, request_id: str
) -> Issued:
    async with runtime.worker_session() as session:
        factor = await confirmed_factor(session, user.id)  # again, in the transaction that uses it
        proof = await prove(session, security, factor, code) if factor else None
        if proof is not None:
            return await _begin(session, security, user, proof, request_id)
    await _refuse(runtime, user, "login.refuse_code", request_id)
    raise WrongSecondFactor("Send the code that the device shows now; each is taken once.")


async def _refuse(runtime: Runtime, user: User | None, action: str, request_id: str) -> None:
    async with runtime.worker_session() as session:  # one round trip for the unknown, too
        if user is not None:
            await audit_login(session, user, action, user.id, request_id)


async def _begin(
    session: AsyncSession, security: Security, user: User, proof: Proof | None, request_id: str
) -> Issued:
    begun = now()
    login = LoginSession(
        organisation_id=user.organisation_id,
        client_id=user.client_id,
        user_id=user.id,
        expires_at=begun + timedelta(seconds=security.settings.refresh_absolute_s),
        second_factor=proof is not None,
    )
    session.add(login)
    await session.flush()  # the session's id, and its row before the token that refers to it
    refresh = secrets.token_urlsafe(32)
    stored = stored_token(security, login, refresh, begun)
    session.add(stored)
    action = "login.accept_recovery_code" if proof == "recovery code" else "login.accept"
    await audit_login(session, user, action, login.id, request_id)
    return issued(security, login, user, refresh, stored.expires_at)
