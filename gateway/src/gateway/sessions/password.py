"""A person's new password; whoever else was logged in with the old one is not any more."""

from typing import ClassVar

from sqlalchemy import update

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Forbidden
from common.runtime import Runtime
from gateway.db import AuditEvent
from gateway.organisations.models import Organisation
from gateway.security import Security
from gateway.sessions.models import LoginSession
from gateway.sessions.schemas import PasswordChange
from gateway.tokens import AccessClaims
from gateway.users.models import User
from gateway.users.registry import check_password


class WrongPassword(Forbidden):
    title: ClassVar[str] = "The password is wrong"


async def verified_user(
    runtime: Runtime, security: Security, login: AccessClaims, password: str
) -> tuple[User, str]:
    """Return who is logged in, and the organisation's name, if this is the person's password.

    Raises:
        WrongPassword: it is not.
    """
    async with runtime.worker_session() as session:
        user = await session.get_one(User, login.user_id)
        organisation = await session.get_one(Organisation, user.member_of)
    if not await security.passwords.verify(password, user.password_hash):
        raise WrongPassword("Send the password of the account.", field="password")
    return user, organisation.name


async def change_password(
    runtime: Runtime,
    security: Security,
    login: AccessClaims,
    principal: Principal,
    change: PasswordChange,
) -> None:
    """Take a new password; the caller's own session goes on with its refresh token.

    Raises:
        WrongPassword: the present one is not right.
        WeakPassword: the new one is tried first.
    """
    user, organisation = await verified_user(runtime, security, login, change.password)
    check_password(change.new_password, user.email, organisation, field="new_password")
    hashed = await security.passwords.hash(change.new_password)
    async with runtime.worker_session() as session:
        user = await session.get_one(User, login.user_id, with_for_update=True)
        user.password_hash = hashed
        user.epoch += 1
        await session.execute(
            update(LoginSession)
            .where(
                LoginSession.user_id == user.id,
                LoginSession.id != login.session_id,
                LoginSession.revoked_at.is_(None),
            )
            .values(revoked_at=now(), revoked_because="password")
        )
        await audit(
            session,
            AuditEvent,
            principal,
            action="user.change_password",
            object_type="user",
            object_id=user.id,
        )
    await security.revoke(runtime, login.user_id)
