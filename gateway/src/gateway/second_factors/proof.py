"""Whether a code proves the second factor. Every code is taken once."""

import re
from typing import Literal
from uuid import UUID

from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from gateway.second_factors import totp
from gateway.second_factors.models import RecoveryCode, SecondFactor
from gateway.security import Security

Proof = Literal["code", "recovery code"]
_CODE = re.compile(rf"[0-9]{{{totp.DIGITS}}}")


async def confirmed_factor(session: AsyncSession, user_id: UUID) -> SecondFactor | None:
    """Return somebody's second factor, if there is one that counts."""
    factor = await session.get(SecondFactor, user_id)
    return factor if factor is not None and factor.confirmed_at is not None else None


async def prove(
    session: AsyncSession, security: Security, factor: SecondFactor, code: str
) -> Proof | None:
    """Take a code of the device, or a recovery code, and return which it was."""
    if _CODE.fullmatch(code):
        return "code" if await _take_step(session, security, factor, code) else None
    return "recovery code" if await _take_recovery(session, security, factor, code) else None


def seal(security: Security, user_id: UUID, secret: bytes) -> bytes:
    """Return a secret as it is stored; it opens for this person only."""
    return security.seal("second factor", secret, bound_to=user_id.bytes)


def recovery_digest(security: Security, user_id: UUID, code: str) -> bytes:
    """Return what is stored of a recovery code; people may type it with or without its dash."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return security.mac("recovery code", f"{user_id} {plain}")


async def _take_step(
    session: AsyncSession, security: Security, factor: SecondFactor, code: str
) -> bool:
    secret = security.unseal("second factor", factor.sealed_secret, bound_to=factor.user_id.bytes)
    step = totp.matching_step(secret, code, now())
    if step is None:
        return False
    taken = await session.scalar(  # of two logins with one code, one gets the row
        update(SecondFactor)
        .where(
            SecondFactor.user_id == factor.user_id,
            or_(SecondFactor.last_step.is_(None), SecondFactor.last_step < step),
        )
        .values(last_step=step)
        .returning(SecondFactor.user_id)
    )
    return taken is not None


async def _take_recovery(
    session: AsyncSession, security: Security, factor: SecondFactor, code: str
) -> bool:
    taken = await session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.digest == recovery_digest(security, factor.user_id, code),
            RecoveryCode.user_id == factor.user_id,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now())
        .returning(RecoveryCode.user_id)
    )
    return taken is not None
