"""What a new installation begins with: the platform itself, and its first Admin."""

import asyncio

from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime
from gateway.db import Outbox
from gateway.organisations import directory
from gateway.organisations.models import Organisation
from gateway.settings import Settings
from gateway.users import registry
from gateway.users.email import normalise
from gateway.users.guessing import is_easy
from gateway.users.models import User

log = get_logger()
_ONCE = 7_201_390
_MIN_PASSWORD = 8


async def seed(runtime: Runtime) -> None:
    """Make the platform's organisation and its first Admin, unless they exist."""
    settings = runtime.settings
    assert isinstance(settings, Settings)
    async with runtime.worker_session() as session:
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_ONCE})"))
        if await session.get(Organisation, PLATFORM_ORGANISATION) is None:
            await _add_platform(session)
        if settings.admin_email and settings.admin_password:
            await _add_admin(
                session, settings.admin_email, settings.admin_password.get_secret_value()
            )


async def _add_platform(session: AsyncSession) -> None:
    platform = Organisation(
        id=PLATFORM_ORGANISATION,
        organisation_id=PLATFORM_ORGANISATION,
        client_id=None,
        kind="platform",
        name="Platform",
    )
    session.add(platform)
    await session.flush()  # its members refer to it
    session.add(Outbox.of(directory.changed(platform)))


async def _add_admin(session: AsyncSession, email: str, password: str) -> None:
    if await session.scalar(select(User.id).where(User.role == "Admin").limit(1)) is not None:
        return
    if len(password) < _MIN_PASSWORD:
        msg = f"GATEWAY_ADMIN_PASSWORD must have at least {_MIN_PASSWORD} characters"
        raise ValueError(msg)
    if is_easy(password, (email,)):
        log.warning("identity.admin_password_is_easy", hint="set another before others do")
    hasher = Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
    admin = registry.platform_admin(
        normalise(email), await asyncio.to_thread(hasher.hash, password)
    )
    session.add(admin)
    await session.flush()  # the person first, the event after
    session.add(Outbox.of(registry.changed(admin)))
    log.info("identity.admin_made", user_id=str(admin.id))
