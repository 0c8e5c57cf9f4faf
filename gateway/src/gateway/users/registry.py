"""Who belongs to which organisation, with which role."""

import secrets
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.errors import Conflict, Forbidden, Invalid, NotFound
from common.pages import PageRequest, paged
from common.runtime import Runtime
from gateway.db import AuditEvent, Outbox
from gateway.organisations.models import Organisation
from gateway.roles import Role, may_grant
from gateway.users.events import UserChanged, UserErased
from gateway.users.guessing import is_easy
from gateway.users.models import User
from gateway.users.schemas import Me, UserChange, UserOrder

_ROLES_IN: dict[str, frozenset[str]] = {
    "platform": frozenset({"Admin"}),
    "operator": frozenset({"Owner", "Host"}),
    "client": frozenset({"Client"}),
}


class EmailTaken(Conflict):
    title: ClassVar[str] = "The e-mail address is already in use"


class RoleDoesNotFit(Invalid):
    title: ClassVar[str] = "The organisation has no such role"


class WeakPassword(Invalid):
    title: ClassVar[str] = "The password is too easy to guess"


async def chosen_password(
    session: AsyncSession, organisation_id: UUID, order: UserOrder
) -> tuple[str, bool]:
    """Return the new member's password, and whether it was generated."""
    if order.password is None:
        return secrets.token_urlsafe(18), True
    organisation = await session.get(Organisation, organisation_id)
    check_password(order.password, order.email, organisation.name if organisation else "")
    return order.password, False


def check_password(
    password: str, email: str, organisation: str, *, field: str = "password"
) -> None:
    """Refuse what somebody who knows the person would try first.

    Raises:
        WeakPassword: too little of it is a surprise.
    """
    if is_easy(password, (email, organisation)):
        raise WeakPassword(
            "It is made of words, runs or names that are tried first: well-known words, rows of "
            "keys, years, repetition, the e-mail address or the organisation's name. Take several "
            "unrelated words.",
            field=field,
        )


async def add_user(
    session: AsyncSession,
    principal: Principal,
    organisation_id: UUID,
    order: UserOrder,
    password_hash: str,
) -> User:
    """Add a member to an organisation that the caller administers, and announce it."""
    organisation = await session.get(Organisation, organisation_id)
    if organisation is None:
        raise NotFound("There is no such organisation.")
    _check_role(principal, organisation, order.role)
    user = User(
        organisation_id=organisation.organisation_id,
        client_id=organisation.client_id,
        member_of=organisation.id,
        email=order.email,
        password_hash=password_hash,
        role=order.role,
    )
    session.add(user)
    try:
        await session.flush()  # the address is unique over all tenants: only the index knows
    except IntegrityError as error:
        raise EmailTaken("Somebody has this e-mail address already.", field="email") from error
    await _announce(session, principal, user, "user.create")
    return user


async def change_user(
    session: AsyncSession,
    principal: Principal,
    organisation_id: UUID,
    user_id: UUID,
    change: UserChange,
) -> User:
    """Change a member's role, or lock the member out; issued access tokens end."""
    user = await find_member(session, organisation_id, user_id)
    organisation = await session.get(Organisation, organisation_id)
    assert organisation is not None  # the member refers to it
    if change.role is not None:
        _check_role(principal, organisation, change.role)
        user.role = change.role
    if change.active is not None:
        if user.id == principal.subject:
            raise Forbidden("Nobody locks out himself.")
        user.active = change.active
    user.epoch += 1
    user.version += 1
    await session.flush()
    await _announce(session, principal, user, "user.change")
    return user


async def erase_user(
    session: AsyncSession, principal: Principal, organisation_id: UUID, user_id: UUID
) -> None:
    """Forget a person: the row stays for those that refer to it, with nothing personal in it."""
    user = await find_member(session, organisation_id, user_id)
    if user.id == principal.subject:
        raise Forbidden("Nobody erases himself.")
    user.email = f"{user.id}@erased.invalid"
    user.password_hash = ""
    user.active = False
    user.epoch += 1
    user.version += 1
    await session.flush()
    session.add(
        Outbox.of(
            UserErased(organisation_id=user.organisation_id, version=user.version, id=user.id)
        )
    )
    await _audit(session, principal, user, "user.erase")


async def list_users(
    session: AsyncSession, organisation_id: UUID, wanted: PageRequest
) -> tuple[list[User], int]:
    """Return one page of an organisation's members."""
    if await session.get(Organisation, organisation_id) is None:
        raise NotFound("There is no such organisation.")
    query = select(User).where(User.member_of == organisation_id).order_by(User.id)
    return await paged(session, query, wanted)


async def whoami(runtime: Runtime, principal: Principal, *, elevated: bool) -> Me:
    """Return what a caller may know about itself."""
    async with runtime.worker_session() as session:
        user = await session.get(User, principal.subject)
        organisation = await session.get(
            Organisation, principal.client_id or principal.organisation_id
        )
    return Me(
        id=principal.subject,
        kind=principal.kind,
        email=user.email if user else None,
        role=principal.role,
        organisation_id=principal.organisation_id,
        organisation_name=organisation.name if organisation else None,
        client_id=principal.client_id,
        scopes=sorted(principal.scopes),
        expires_at=principal.expires_at,
        elevated=elevated,
    )


async def find_member(session: AsyncSession, organisation_id: UUID, user_id: UUID) -> User:
    """Return a member, locked for a change.

    Raises:
        NotFound: the organisation has no such member.
    """
    user = await session.get(User, user_id, with_for_update=True)
    if user is None or user.member_of != organisation_id:
        raise NotFound("There is no such member.")
    return user


def _check_role(principal: Principal, organisation: Organisation, role: Role) -> None:
    if not may_grant(principal.role, role):
        raise Forbidden(f"A {principal.role} does not give the role {role}.")
    fitting = _ROLES_IN[organisation.kind]
    if role not in fitting:
        raise RoleDoesNotFit(
            f"A member of this organisation is one of: {', '.join(sorted(fitting))}.", field="role"
        )


async def _announce(session: AsyncSession, principal: Principal, user: User, action: str) -> None:
    session.add(Outbox.of(changed(user)))
    await _audit(session, principal, user, action)


async def _audit(session: AsyncSession, principal: Principal, user: User, action: str) -> None:
    await audit(
        session,
        AuditEvent,
        replace(principal, organisation_id=user.organisation_id),
        action=action,
        object_type="user",
        object_id=user.id,
        detail={"role": user.role, "active": user.active, "member_of": str(user.member_of)},
    )


def changed(user: User) -> UserChanged:
    """Return the event that tells a member's present state."""
    return UserChanged(
        organisation_id=user.organisation_id,
        version=user.version,
        id=user.id,
        client_id=user.client_id,
        role=user.role,
        email=user.email,
        active=user.active,
    )


def platform_admin(email: str, password_hash: str) -> User:
    """Return the installation's first Admin."""
    return User(
        organisation_id=PLATFORM_ORGANISATION,
        client_id=None,
        member_of=PLATFORM_ORGANISATION,
        email=email,
        password_hash=password_hash,
        role="Admin",
    )
