"""The gateway's schema, and which rows a caller of the identity routes reaches."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from common.auth import PLATFORM_ORGANISATION, Principal
from common.db import COLUMN_TYPES, platform_tables, service_metadata, session_scope
from common.runtime import Runtime


class Base(DeclarativeBase):
    metadata = service_metadata("gateway")
    type_annotation_map = COLUMN_TYPES


Outbox, Inbox, DeadLetter, AuditEvent, IdempotencyKey, Job = platform_tables(Base)


async def directory_scope(request: Request) -> AsyncGenerator[AsyncSession]:
    """Give the platform's Admin every tenant, and anybody else the own one."""
    principal: Principal = request.state.principal
    runtime: Runtime = request.state.runtime
    if principal.role == "Admin" and principal.organisation_id == PLATFORM_ORGANISATION:
        async with runtime.worker_session() as session:
            yield session
    else:
        async for session in session_scope(request):
            yield session


DirectorySession = Annotated[AsyncSession, Depends(directory_scope, scope="function")]
"""A transaction over the organisations that the caller may administer."""
