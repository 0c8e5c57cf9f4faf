"""Setting up a second factor, and taking it away."""

import secrets
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden
from common.runtime import Runtime
from gateway.db import AuditEvent
from gateway.enrolment.schemas import Enrolment, SecondFactorView
from gateway.second_factors import totp
from gateway.second_factors.models import RecoveryCode, SecondFactor
from gateway.second_factors.proof import confirmed_factor, prove, recovery_digest, seal
from gateway.security import Security
from gateway.sessions.models import LoginSession
from gateway.sessions.password import verified_user
from gateway.tokens import AccessClaims
from gateway.users.registry import find_member

_ISSUER = "Hashyard"
_RECOVERY_CODES = 10
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_HALF = 6


class WrongCode(Forbidden):
    title: ClassVar[str] = "The code is wrong, or was used before"


class AlreadyEnrolled(Conflict):
    title: ClassVar[str] = "There is a second factor already"


class NotEnrolled(Conflict):
    title: ClassVar[str] = "No second factor is being set up"


async def view(runtime: Runtime, security: Security, login: AccessClaims) -> SecondFactorView:
    """Return what the caller may know of the own second factor."""
    async with runtime.worker_session() as session:
        factor = await confirmed_factor(session, login.user_id)
        left = await session.scalar(
            select(func.count())
            .select_from(RecoveryCode)
            .where(RecoveryCode.user_id == login.user_id, RecoveryCode.used_at.is_(None))
        )
    return SecondFactorView(
        enabled=factor is not None,
        required=login.role in security.settings.second_factor_roles,
        confirmed_at=factor.confirmed_at if factor else None,
        recovery_codes_left=left or 0,
    )


async def enrol(
    runtime: Runtime, security: Security, login: AccessClaims, password: str
) -> Enrolment:
    """Begin with a device. It does not count until `confirm`; beginning again is no fault."""
    user, _ = await verified_user(runtime, security, login, password)
    secret = totp.new_secret()
    async with runtime.worker_session() as session:
        known = await session.get(SecondFactor, user.id, with_for_update=True)
        if known is not None and known.confirmed_at is not None:
            raise AlreadyEnrolled("Remove the present one first.")
        if known is None:
            known = SecondFactor(
                user_id=user.id, organisation_id=user.organisation_id, client_id=user.client_id
            )
            session.add(known)
        known.sealed_secret = seal(security, user.id, secret)
    return Enrolment(secret=totp.shown(secret), uri=totp.uri(secret, user.email, _ISSUER))


async def confirm(
    runtime: Runtime, security: Security, login: AccessClaims, principal: Principal, code: str
) -> list[str]:
    """Let the device count from now on, as a code of it was seen; return the recovery codes."""
    async with runtime.worker_session() as session:
        factor = await session.get(SecondFactor, login.user_id, with_for_update=True)
        if factor is None or factor.confirmed_at is not None:
            raise NotEnrolled("Begin with POST /api/me/second-factor.")
        if await prove(session, security, factor, code) != "code":
            raise WrongCode("Send the six digits that the device shows now.", field="code")
        factor.confirmed_at = now()
        codes = [_recovery_code() for _ in range(_RECOVERY_CODES)]
        await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == factor.user_id))
        session.add_all(
            RecoveryCode(
                digest=recovery_digest(security, factor.user_id, made),
                user_id=factor.user_id,
                organisation_id=factor.organisation_id,
                client_id=factor.client_id,
            )
            for made in codes
        )
        await session.execute(
            update(LoginSession)
            .where(LoginSession.id == login.session_id)
            .values(second_factor=True)
        )
        await _audit(session, principal, factor, "second_factor.enable")
    return codes


async def remove(
    runtime: Runtime, security: Security, login: AccessClaims, principal: Principal, code: str
) -> None:
    """Do without the second factor again; a code proves that it is the person who asks."""
    async with runtime.worker_session() as session:
        factor = await confirmed_factor(session, login.user_id)
        if factor is None:
            raise NotEnrolled("There is no second factor to remove.")
        if await prove(session, security, factor, code) is None:
            raise WrongCode("Send a present code of the device, or a recovery code.", field="code")
        await _forget(session, factor)
        await _audit(session, principal, factor, "second_factor.remove")
    await security.revoke(runtime, login.user_id)


async def reset(
    session: AsyncSession, principal: Principal, organisation_id: UUID, user_id: UUID
) -> None:
    """Take away a member's lost device, for an administrator of the organisation."""
    user = await find_member(session, organisation_id, user_id)
    if user.id == principal.subject:
        raise Forbidden("Nobody resets his own; remove it with a code or a recovery code.")
    factor = await session.get(SecondFactor, user_id)
    if factor is None:
        return
    user.epoch += 1  # access tokens say that the factor was proven
    await _forget(session, factor)
    await _audit(session, principal, factor, "second_factor.reset")


async def _forget(session: AsyncSession, factor: SecondFactor) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == factor.user_id))
    await session.execute(
        update(LoginSession)
        .where(LoginSession.user_id == factor.user_id)
        .values(second_factor=False)
    )
    await session.delete(factor)


def _recovery_code() -> str:
    """Return sixty bits that are read aloud without mistake."""
    halves = ("".join(secrets.choice(_LETTERS) for _ in range(_HALF)) for _ in range(2))
    return "-".join(halves)


async def _audit(
    session: AsyncSession, principal: Principal, factor: SecondFactor, action: str
) -> None:
    await audit(
        session,
        AuditEvent,
        replace(principal, organisation_id=factor.organisation_id),
        action=action,
        object_type="user",
        object_id=factor.user_id,
    )
