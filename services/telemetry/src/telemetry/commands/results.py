"""Writes what became of commands, and announces it: in batches, never one transaction each."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.runtime import Runtime
from common.trace import correlation_id
from telemetry import metrics
from telemetry.commands.events import MAX_RESULTS, CommandProgressed, CommandResult, Progress
from telemetry.commands.order import Order
from telemetry.db import Outbox

log = get_logger()
_GATHER_S = 0.1
_PER_EVENT = 300
"""So many results fit an event with the longest details."""
_MAX_DETAIL = 300

State = Progress | Literal["sent"]
"""`sent`: it left us and the answer was lost; not announced, telemetry will tell."""
_OPEN: frozenset[State] = frozenset({"sent", "accepted"})

_UPDATE = text(
    "UPDATE telemetry.command c SET state = t.state, detail = t.detail, sent_at = t.sent_at, "
    "accepted_at = t.accepted_at, finished_at = t.finished_at, power_before_w = t.before_w, "
    "power_after_w = t.after_w, power_estimated = t.estimated, uptime_before_s = t.uptime_s "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:details AS text[]), "
    "CAST(:sent AS timestamptz[]), CAST(:accepted AS timestamptz[]), "
    "CAST(:finished AS timestamptz[]), CAST(:before_w AS float8[]), CAST(:after_w AS float8[]), "
    "CAST(:estimated AS bool[]), CAST(:uptimes AS bigint[])) "
    "AS t (id, state, detail, sent_at, accepted_at, finished_at, before_w, after_w, estimated, "
    "uptime_s) WHERE c.id = t.id AND c.finished_at IS NULL AND c.state <> t.state RETURNING c.id"
)
_FELL_ASLEEP = text(
    "INSERT INTO telemetry.curtailment_interval (command_id, miner_id, starts_at) "
    "SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:miners AS uuid[]), "
    "CAST(:times AS timestamptz[])) ON CONFLICT DO NOTHING"
)
_WOKE = text(
    "UPDATE telemetry.curtailment_interval i SET ends_at = t.at "
    "FROM unnest(CAST(:miners AS uuid[]), CAST(:times AS timestamptz[])) AS t (miner_id, at) "
    "WHERE i.miner_id = t.miner_id AND i.ends_at IS NULL"
)
_MARK = text(
    "UPDATE telemetry.miner_state s SET curtailed_since = t.since "
    "FROM unnest(CAST(:miners AS uuid[]), CAST(:since AS timestamptz[])) AS t (miner_id, since) "
    "WHERE s.miner_id = t.miner_id"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one command at one moment."""

    order: Order
    state: State
    detail: str | None
    at: datetime

    @property
    def is_final(self) -> bool:
        """Return whether nothing more will come."""
        return self.state not in _OPEN


class Results:
    """Gathers results for a tenth of a second and writes them together."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue: list[Result] = []
        self._filled = asyncio.Event()
        self.mine: set[UUID] = set()
        """Commands in this worker's hands, from the claim until their end is stored."""
        self.unsent = 0
        """How many of them have not had their turn at the socket yet."""

    def put(self, order: Order, state: State, detail: str | None, at: datetime) -> None:
        """Queue a result."""
        self._queue.append(Result(order, state, detail and detail[:_MAX_DETAIL], at))
        self._filled.set()

    async def run(self) -> None:
        """Write for ever; while the database is away results wait."""
        try:
            while True:
                await self._filled.wait()
                await asyncio.sleep(_GATHER_S)
                try:
                    await self.flush()
                except Exception as error:  # noqa: BLE001  (they stay queued, whatever it was)
                    log.warning("results.waiting", count=len(self._queue), error=repr(error)[:300])
                    self._filled.set()  # perhaps no further result comes that would
                    await asyncio.sleep(0.5)
        finally:
            await asyncio.shield(self._last_flush())

    async def _last_flush(self) -> None:
        try:
            async with asyncio.timeout(3):
                await self.flush()
        except Exception as error:  # noqa: BLE001  (the next worker proves them again)
            log.warning("results.lost", count=len(self._queue), error=repr(error)[:300])

    async def flush(self) -> None:
        """Write all that is queued, in order."""
        self._filled.clear()
        while batch := self._next_batch():
            async with self._runtime.worker_session() as session:
                await _write(session, batch)
            del self._queue[: len(batch)]
            self.mine -= {result.order.id for result in batch if result.is_final}
            for result in batch:
                metrics.commands.labels(result.order.action, result.state).inc()

    def _next_batch(self) -> list[Result]:
        """Return the longest start of the queue that names no command twice."""
        seen: set[UUID] = set()
        for result in self._queue[: 4 * MAX_RESULTS]:
            if result.order.id in seen:
                break
            seen.add(result.order.id)
        return self._queue[: len(seen)]


async def _write(session: AsyncSession, batch: Sequence[Result]) -> None:
    orders = [result.order for result in batch]
    parameters: dict[str, list[Any]] = {
        "ids": [order.id for order in orders],
        "states": [result.state for result in batch],
        "details": [result.detail for result in batch],
        "sent": [order.sent_at for order in orders],
        "accepted": [order.accepted_at for order in orders],
        "finished": [result.at if result.is_final else None for result in batch],
        "before_w": [order.power_before_w for order in orders],
        "after_w": [order.power_after_w for order in orders],
        "estimated": [order.power_estimated for order in orders],
        "uptimes": [order.uptime_before_s for order in orders],
    }
    written = set((await session.execute(_UPDATE, parameters)).scalars())
    news = [result for result in batch if result.order.id in written]
    await _note_curtailment(session, news)
    _announce(session, news)


async def _note_curtailment(session: AsyncSession, news: Sequence[Result]) -> None:
    """Keep when machines slept by our order: the cause of their missing work."""
    took = [result for result in news if result.state in ("sent", "accepted", "verified")]
    asleep = [result for result in took if result.order.action == "sleep"]
    awake = [result for result in took if result.order.action == "wake"]
    if asleep:
        miners = [result.order.miner_id for result in asleep]
        times = [result.order.sent_at or result.at for result in asleep]
        ids = [result.order.id for result in asleep]
        await session.execute(_FELL_ASLEEP, {"ids": ids, "miners": miners, "times": times})
        await session.execute(_MARK, {"miners": miners, "since": times})
    if awake:
        miners = [result.order.miner_id for result in awake]
        times = [result.order.sent_at or result.at for result in awake]
        await session.execute(_WOKE, {"miners": miners, "times": times})
        await session.execute(_MARK, {"miners": miners, "since": [None for _ in awake]})


def _announce(session: AsyncSession, news: Sequence[Result]) -> None:
    """Publish results by site, and by the request in which each command began."""
    groups: defaultdict[tuple[UUID, UUID, str], list[CommandResult]] = defaultdict(list)
    for result in news:
        order = result.order
        if result.state == "sent":
            continue
        groups[order.organisation_id, order.site_id, order.correlation_id].append(
            CommandResult(
                command_id=order.id,
                miner_id=order.miner_id,
                plan_id=order.plan_id,
                action=order.action,
                state=result.state,
                detail=result.detail,
                at=result.at,
                power_before_w=order.power_before_w,
                power_after_w=order.power_after_w,
                power_estimated=order.power_estimated,
            )
        )
    for (organisation_id, site_id, correlation), results in groups.items():
        token = correlation_id.set(correlation)
        for start in range(0, len(results), _PER_EVENT):
            event = CommandProgressed(
                organisation_id=organisation_id,
                site_id=site_id,
                results=results[start : start + _PER_EVENT],
            )
            session.add(Outbox.of(event))
        correlation_id.reset(token)
