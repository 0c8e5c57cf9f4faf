"""What a running service holds: engines, sessions, Redis; handed to routes and background tasks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from common.db import Sessions, make_engine
from common.settings import ServiceSettings


class Runtime:
    """The live parts of one process of one service."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        self.stopping = asyncio.Event()
        self.outbox_wake = asyncio.Event()
        """Set after every commit; the relay waits for it."""
        self.app_engine: AsyncEngine = make_engine(
            settings.database_url.get_secret_value(),
            name=name,
            pool_size=settings.database_pool_size,
            statement_timeout_s=15,
        )
        self.worker_engine: AsyncEngine = make_engine(
            settings.worker_database_url.get_secret_value(),
            name=f"{name}-worker",
            pool_size=settings.database_pool_size,
            statement_timeout_s=60,
        )
        self._sessions = Sessions(self.app_engine, self.worker_engine, self.outbox_wake.set)
        self.redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  (untyped kwargs)
            settings.redis_url,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 1),  # by default a lost server holds a caller for 30 s
        )
        self.ready: dict[str, str] = {}
        """Checks that keep this process from being ready, by name: the reason."""
        self.degraded: dict[str, str] = {}
        """What works less well at the moment, by name: the reason."""

    @asynccontextmanager
    async def tenant_session(
        self, organisation_id: UUID, client_id: UUID | None = None
    ) -> AsyncGenerator[AsyncSession]:
        """Open one transaction behind the wall of one organisation (and one client)."""
        async with self._sessions.tenant(organisation_id, client_id) as session, session.begin():
            yield session

    @asynccontextmanager
    async def worker_session(self) -> AsyncGenerator[AsyncSession]:
        """Open one transaction of the worker role, which sees every tenant."""
        async with self._sessions.worker() as session, session.begin():
            yield session

    async def close(self) -> None:
        """Give everything back."""
        await self.app_engine.dispose()
        await self.worker_engine.dispose()
        await self.redis.aclose()


async def _runtime(request: Request) -> Runtime:  # a plain function would cost a thread
    return cast("Runtime", request.state.runtime)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
