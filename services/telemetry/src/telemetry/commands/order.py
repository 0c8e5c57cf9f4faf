"""A command in the hands of the worker that carries it out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from telemetry.domain.proof import Action, Power


@dataclass(slots=True, eq=False)
class Order:
    """One command row that this worker has claimed."""

    id: UUID
    organisation_id: UUID
    client_id: UUID | None
    site_id: UUID
    miner_id: UUID
    plan_id: UUID | None
    action: Action
    deadline_at: datetime
    created_at: datetime
    attempts: int
    sent_at: datetime | None
    accepted_at: datetime | None
    uptime_before_s: int | None
    power_before_w: float | None
    power_after_w: float | None
    power_estimated: bool
    correlation_id: str
    """Of the request that asked for it; what becomes of the command is announced under it."""

    def was(self, before: Power, uptime_s: int | None) -> None:
        """Note the machine's state before the command; a repeat does not overwrite it."""
        if self.power_before_w is None:
            self.power_before_w = before.watts
            self.power_estimated = before.estimated
        if self.uptime_before_s is None:
            self.uptime_before_s = uptime_s

    def became(self, after: Power) -> None:
        """Note the machine's power after the command."""
        self.power_after_w = after.watts
        self.power_estimated = self.power_estimated or after.estimated


_COLUMNS = (
    "id, organisation_id, client_id, site_id, miner_id, plan_id, action, deadline_at, created_at, "
    "attempts, sent_at, accepted_at, uptime_before_s, power_before_w, power_after_w, "
    "power_estimated, correlation_id"
)
_CLAIM = text(
    "UPDATE telemetry.command SET state = 'sending', claimed_at = clock_timestamp(), "  # noqa: S608
    "claimed_by = :worker, attempts = attempts + 1 WHERE id IN ("
    "SELECT id FROM telemetry.command WHERE finished_at IS NULL "
    "AND partition = ANY(:partitions) AND id <> ALL(:mine) AND (state = 'pending' "
    "OR (state = 'sending' AND claimed_at < clock_timestamp() - "
    "CASE WHEN claimed_by = :worker THEN CAST(:lease AS float8) "
    "ELSE CAST(:foreign_lease AS float8) END * interval '1 second')) "
    "ORDER BY created_at, id LIMIT :limit FOR UPDATE SKIP LOCKED) "
    f"RETURNING {_COLUMNS}"
)
_UNPROVEN = text(
    f"SELECT {_COLUMNS} FROM telemetry.command WHERE finished_at IS NULL "  # noqa: S608
    "AND state IN ('sent', 'accepted') AND partition = ANY(:partitions) AND id <> ALL(:mine)"
)


async def claim(
    session: AsyncSession,
    *,
    worker: UUID,
    partitions: list[int],
    mine: list[UUID],
    lease_s: float,
    limit: int,
) -> list[Order]:
    """Take waiting commands, oldest first, and those that their worker has left behind."""
    rows = await session.execute(
        _CLAIM,
        {
            "worker": worker,
            "partitions": partitions,
            "mine": mine,
            "lease": lease_s,
            # Another worker's claim on a partition that is ours now: that worker is gone.
            "foreign_lease": lease_s / 3,
            "limit": limit,
        },
    )
    return sorted(
        (Order(**row) for row in rows.mappings()), key=lambda order: (order.created_at, order.id)
    )


async def unproven(
    session: AsyncSession, *, partitions: list[int], mine: list[UUID]
) -> list[Order]:
    """Return commands that were sent, by whatever worker, and wait for their proof."""
    rows = await session.execute(_UNPROVEN, {"partitions": partitions, "mine": mine})
    return [Order(**row) for row in rows.mappings()]
