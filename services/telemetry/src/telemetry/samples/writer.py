"""The way from polls to tables: a bounded queue, then one transaction per batch.

While the database is away polling goes on; the queue keeps the newest rows and counts what it has
to drop. After a commit whose answer was lost the batch is simply written again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from telemetry import metrics
from telemetry.domain.alarm import Rule
from telemetry.samples.record import SAMPLE_COLUMNS, STATE_COLUMNS, Record
from telemetry.samples.state import state_row
from telemetry.samples.verdicts import confirm, verdict, write_verdicts
from telemetry.settings import HALF_HOUR_S, Settings

log = get_logger()
_ROLLUP_S = 300
_SLOT = SAMPLE_COLUMNS.index("slot")
_SAMPLES = ", ".join(SAMPLE_COLUMNS)
_STATES = ", ".join(STATE_COLUMNS)
_NEW_STATE = ", ".join(f"{name} = excluded.{name}" for name in STATE_COLUMNS[1:])

_STAGE_SAMPLES = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_sample (LIKE telemetry.sample) ON COMMIT DELETE ROWS"
)
_STAGE_STATES = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_state "
    "(LIKE telemetry.miner_state INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
)
_INSERT_SAMPLES = text(
    f"INSERT INTO telemetry.sample ({_SAMPLES}) SELECT {_SAMPLES} FROM pg_temp.staged_sample "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_UPSERT_STATES = text(
    f"INSERT INTO telemetry.miner_state AS s ({_STATES}) "  # noqa: S608  (our own column names)
    f"SELECT {_STATES} FROM pg_temp.staged_state "
    f"ON CONFLICT (miner_id) DO UPDATE SET {_NEW_STATE}, updated_at = now() "
    f"WHERE s.sampled_at <= excluded.sampled_at"
)
_MARK_ROLLUPS = text(
    "INSERT INTO telemetry.rollup_dirty (starts_at) SELECT unnest(CAST(:buckets AS timestamptz[])) "
    "ON CONFLICT DO NOTHING"
)
_MARK_HALF_HOURS = text(
    "UPDATE telemetry.half_hour_close c SET dirty = true "
    "FROM (SELECT unnest(CAST(:sites AS uuid[])) AS site_id, "
    "unnest(CAST(:starts AS timestamptz[])) AS starts_at) t "
    "WHERE c.site_id = t.site_id AND c.starts_at = t.starts_at AND NOT c.dirty"
)
_ENSURE_DAY = text("SELECT telemetry.ensure_sample_day(:day)")
_PARK = text(
    "INSERT INTO telemetry.parked_row (miner_id, slot, error, row) "
    "VALUES (:miner_id, :slot, :error, :row)"
)


class Writer:
    """Takes records from polls and writes them in batches."""

    def __init__(self, runtime: Runtime, settings: Settings, rules: dict[str, Rule]) -> None:
        self._runtime = runtime
        self._settings = settings
        self._rules = rules
        self._queue: deque[Record] = deque(maxlen=settings.queue_rows)
        self._filled = asyncio.Event()
        self._days: set[datetime] = set()

    def put(self, record: Record) -> None:
        """Queue a record; when the queue is full the oldest one is dropped."""
        if len(self._queue) == self._queue.maxlen:
            metrics.dropped.inc()
        self._queue.append(record)
        if len(self._queue) >= self._settings.flush_rows:
            self._filled.set()

    async def run(self) -> None:
        """Write for ever, every second or when enough rows have gathered."""
        backoff_s = 0.0
        try:
            while True:
                await self._pause(backoff_s)
                try:
                    await self.flush()
                    backoff_s = 0.0
                except Exception as error:  # noqa: BLE001  (rows stay queued, whatever it was)
                    backoff_s = min(5.0, backoff_s * 2 or 0.25)
                    log.warning("writer.waiting", rows=len(self._queue), error=repr(error)[:300])
        finally:
            await asyncio.shield(self._last_flush())

    async def _pause(self, backoff_s: float) -> None:
        if backoff_s:
            await asyncio.sleep(backoff_s)
            return
        try:
            async with asyncio.timeout(self._settings.flush_seconds):
                await self._filled.wait()
        except TimeoutError:
            pass

    async def _last_flush(self) -> None:
        try:
            async with asyncio.timeout(3):
                await self.flush()
        except Exception as error:  # noqa: BLE001  (the process ends; the next worker catches up)
            log.warning("writer.rows_lost", rows=len(self._queue), error=repr(error)[:300])

    async def flush(self) -> None:
        """Write all that is queued."""
        while self._queue:
            size = min(len(self._queue), self._settings.flush_rows)
            batch = [self._queue.popleft() for _ in range(size)]
            self._filled.clear()
            metrics.queue_rows.set(len(self._queue))
            try:
                with metrics.flush.time():
                    await self._write(batch)
            except BaseException:
                self._put_back(batch)
                raise

    def _put_back(self, batch: list[Record]) -> None:
        room = self._settings.queue_rows - len(self._queue)
        metrics.dropped.inc(max(0, len(batch) - room))
        if room > 0:
            self._queue.extendleft(reversed(batch[-room:]))

    async def _write(self, batch: Sequence[Record]) -> None:
        """Write a batch; a row that the database refuses is found by halving, and parked."""
        try:
            await self._transaction(batch)
        except Exception as error:
            if not _is_bad_row(error):
                raise
            if len(batch) == 1:
                await self._park(batch[0], error)
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])

    async def _transaction(self, batch: Sequence[Record]) -> None:
        machines = list({record.machine.id: record.machine for record in batch}.values())
        verdicts = [verdict(machine, self._rules) for machine in machines]
        states = [state_row(machine) for machine in machines]
        samples = [record.row for record in batch if record.slot is not None]
        async with self._runtime.worker_session() as session:
            days = await self._ensure_days(session, samples)
            await _copy(session, _STAGE_SAMPLES, "staged_sample", SAMPLE_COLUMNS, samples)
            stored = await _affected(session, _INSERT_SAMPLES)
            await _copy(session, _STAGE_STATES, "staged_state", STATE_COLUMNS, states)
            await _affected(session, _UPSERT_STATES)
            await write_verdicts(session, verdicts, self._rules)
            await self._mark(session, batch)
        self._days = days
        confirm(verdicts)
        metrics.stored.inc(stored)
        metrics.repeated.inc(len(samples) - stored)

    async def _ensure_days(
        self, session: AsyncSession, rows: Sequence[tuple[Any, ...]]
    ) -> set[datetime]:
        """Make the partitions that these rows need; return the days that are known after it."""
        days = {row[_SLOT].replace(hour=0, minute=0, second=0, microsecond=0) for row in rows}
        for day in days - self._days:
            await session.execute(_ENSURE_DAY, {"day": day.date()})
        return self._days | days if len(self._days) < 100 else days  # noqa: PLR2004  (a bound)

    async def _mark(self, session: AsyncSession, batch: Sequence[Record]) -> None:
        """Note which roll-ups, and which closed half-hours, these rows change."""
        slots = {(r.machine.site.id, r.row[_SLOT]) for r in batch if r.slot is not None}
        buckets = {_floor(slot, _ROLLUP_S) for _, slot in slots}
        if buckets:
            await session.execute(_MARK_ROLLUPS, {"buckets": sorted(buckets)})
        closed = now() - timedelta(seconds=HALF_HOUR_S + self._settings.half_hour_grace_seconds)
        late = sorted({(site, _floor(slot, HALF_HOUR_S)) for site, slot in slots})
        late = [(site, start) for site, start in late if start <= closed]
        if late:
            sites, starts = zip(*late, strict=True)
            await session.execute(_MARK_HALF_HOURS, {"sites": sites, "starts": starts})

    async def _park(self, record: Record, error: Exception) -> None:
        metrics.parked.inc()
        log.error("writer.row_parked", miner_id=str(record.machine.id), error=repr(error)[:300])
        row = orjson.dumps(record.row, default=str).decode().replace("\\u0000", "")
        async with self._runtime.worker_session() as session:
            await session.execute(
                _PARK,
                {
                    "miner_id": record.machine.id,
                    "slot": record.row[_SLOT],
                    "error": str(error)[:1000].replace("\x00", ""),
                    "row": row[:20_000],
                },
            )


async def _copy(
    session: AsyncSession,
    stage: Any,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    # The first statement also opens the transaction: a bare COPY before it would commit alone.
    await session.execute(stage)
    raw = await (await session.connection()).get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(
        table, schema_name="pg_temp", records=rows, columns=list(columns)
    )


async def _affected(session: AsyncSession, statement: Any) -> int:
    result: Any = await session.execute(statement)
    return result.rowcount


def _floor(at: datetime, length_s: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // length_s * length_s, UTC)


def _is_bad_row(error: Exception) -> bool:
    """Return whether the row is to blame, and not the database's absence."""
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError):
        return True
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlstate", None) or ""
        return code[:2] in ("22", "23")
    return isinstance(error, ValueError | TypeError | OverflowError)
