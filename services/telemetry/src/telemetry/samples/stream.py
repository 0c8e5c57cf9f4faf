"""Changes of the fleet as server-sent events, at most one a second."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from uuid import UUID

from common.auth import Principal
from common.clock import now
from common.runtime import Runtime
from telemetry.samples.readings import fleet

_EVERY_S = 1.0
_OVERLAP = timedelta(milliseconds=500)


async def changes(
    runtime: Runtime, principal: Principal, site_id: UUID | None, hold: timedelta
) -> AsyncGenerator[dict[str, str]]:
    """Yield the machines that changed, as compact columns; first of all every machine.

    Each look is a transaction of its own: the stream outlives the request's.
    """
    since: datetime | None = None
    while not runtime.stopping.is_set():
        looked_at = now() - _OVERLAP  # what commits late is sent in the next second
        async with runtime.tenant_session(
            principal.organisation_id, principal.client_id
        ) as session:
            found = await fleet(session, site_id, hold, since)
        if since is None or found.columns["miner_id"]:
            yield {"event": "fleet", "data": found.model_dump_json()}
        since = looked_at
        await asyncio.sleep(_EVERY_S)
