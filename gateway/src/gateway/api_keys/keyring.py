"""API keys: made, listed, revoked, and recognised."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Forbidden, Invalid, NotFound
from common.pages import PageRequest, paged
from common.runtime import Runtime
from gateway.api_keys.form import KeyParts, new_key
from gateway.api_keys.models import ApiKey
from gateway.api_keys.schemas import ApiKeyOrder, ApiKeyView, NewApiKey
from gateway.db import AuditEvent
from gateway.roles import SCOPES, scopes_within
from gateway.security import Security
from gateway.users.models import User

_USE_SAMPLED = timedelta(minutes=1)


class ScopeNotHeld(Forbidden):
    title: ClassVar[str] = "A key cannot have more rights than its creator"


class NoSuchScope(Invalid):
    title: ClassVar[str] = "There is no such permission"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that holds, with what it may do now."""

    id: UUID
    organisation_id: UUID
    client_id: UUID | None
    created_by: UUID
    role: str
    scopes: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]
    expires_at: datetime


async def create_key(
    session: AsyncSession, security: Security, principal: Principal, order: ApiKeyOrder
) -> NewApiKey:
    """Make a key with at most the caller's permissions."""
    unknown = sorted(set(order.scopes) - SCOPES)
    if unknown:
        raise NoSuchScope(f"There is no permission {', '.join(unknown)}.", field="scopes")
    excess = sorted(set(order.scopes) - principal.scopes)
    if excess:
        raise ScopeNotHeld(f"You do not hold: {', '.join(excess)}.", field="scopes")
    parts = new_key()
    key = ApiKey(
        organisation_id=principal.organisation_id,
        client_id=principal.client_id,
        prefix=parts.prefix,
        digest=security.mac("api key", parts.text),
        name=order.name,
        scopes=sorted(set(order.scopes)),
        cidrs=[str(network) for network in order.cidrs],
        created_by=principal.subject,
        created_at=now(),
        expires_at=now() + timedelta(days=order.expires_in_days),
    )
    session.add(key)
    await session.flush()  # its id, for the audit line
    await _audit(session, principal, "api_key.create", key)
    return NewApiKey(**ApiKeyView.model_validate(key).model_dump(), key=parts.text)


async def list_keys(session: AsyncSession, wanted: PageRequest) -> tuple[list[ApiKey], int]:
    """Return one page of the organisation's keys, newest first."""
    return await paged(session, select(ApiKey).order_by(ApiKey.id.desc()), wanted)


async def revoke_key(session: AsyncSession, principal: Principal, key_id: UUID) -> None:
    """End a key. Ending it twice is no fault."""
    key = await session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound("There is no such API key.")
    if key.revoked_at is None:
        key.revoked_at = now()
        await _audit(session, principal, "api_key.revoke", key)


async def recognise(runtime: Runtime, security: Security, parts: KeyParts) -> KnownKey | None:
    """Return the key if it holds: with the rights that its creator still has."""
    moment = now()
    async with runtime.worker_session() as session:
        row = await session.execute(
            select(ApiKey, User)
            .join(User, User.id == ApiKey.created_by)
            .where(
                ApiKey.prefix == parts.prefix,
                ApiKey.revoked_at.is_(None),
                ApiKey.expires_at > moment,
                User.active,
            )
        )
        found = row.one_or_none()
        if found is None:
            return None
        key, creator = found[0], found[1]
        if not hmac.compare_digest(key.digest, security.mac("api key", parts.text)):
            return None
        if key.last_used_at is None or moment - key.last_used_at > _USE_SAMPLED:
            await session.execute(
                update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=moment)
            )
    return KnownKey(
        id=key.id,
        organisation_id=key.organisation_id,
        client_id=key.client_id,
        created_by=key.created_by,
        role=creator.role,
        scopes=scopes_within(creator.role, key.organisation_id) & frozenset(key.scopes),
        networks=tuple(ip_network(cidr) for cidr in key.cidrs),
        expires_at=key.expires_at,
    )


async def _audit(session: AsyncSession, principal: Principal, action: str, key: ApiKey) -> None:
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="api_key",
        object_id=key.id,
        detail={"name": key.name, "scopes": key.scopes},
    )
