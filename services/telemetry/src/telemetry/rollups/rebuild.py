"""Rebuilds the roll-ups of buckets that received rows, from what is stored: repeatable at will."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime

log = get_logger()
_EVERY_S = 10.0
_FIVE_MINUTES = timedelta(minutes=5)
_SETTLED = timedelta(seconds=15)

_TAKE = text(
    "DELETE FROM telemetry.rollup_dirty WHERE starts_at IN (SELECT starts_at "
    "FROM telemetry.rollup_dirty WHERE starts_at <= :before ORDER BY starts_at LIMIT 12 "
    "FOR UPDATE SKIP LOCKED) RETURNING starts_at"
)
_COLUMNS = (
    "samples", "up_samples", "powered_samples", "hashed_samples", "hashrate_ths_min",
    "hashrate_ths_avg", "hashrate_ths_max", "power_w_min", "power_w_avg", "power_w_max",
    "chip_temp_c_max", "board_temp_c_max", "inlet_temp_c_max", "fan_rpm_max", "accepted",
    "rejected", "stale", "hardware_errors",
)  # fmt: skip
_INTO = f"(miner_id, starts_at, {', '.join(_COLUMNS)})"
_REPLACE = (
    "ON CONFLICT (miner_id, starts_at) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
)  # fmt: skip
_FIVE = text(
    f"INSERT INTO telemetry.rollup_5m {_INTO} "  # noqa: S608  (our own column names)
    "SELECT miner_id, CAST(:start AS timestamptz), count(*), count(*) FILTER (WHERE up), "
    "count(power_w), count(rate), min(rate), avg(rate), max(rate), min(power_w), avg(power_w), "
    "max(power_w), max(chip_temp_max_c), max(board_temp_max_c), max(inlet_temp_c), "
    "max((SELECT max(rpm) FROM unnest(fans_rpm) AS rpm)), sum(accepted_delta), "
    "sum(rejected_delta), sum(stale_delta), sum(hardware_errors_delta) "
    "FROM (SELECT *, coalesce(hashrate_5s_ths, hashrate_avg_ths) AS rate FROM telemetry.sample "
    "WHERE slot >= :start AND slot < :end) s GROUP BY miner_id "
    f"{_REPLACE}"
)
_HOUR = text(
    f"INSERT INTO telemetry.rollup_1h {_INTO} "  # noqa: S608  (our own column names)
    "SELECT miner_id, CAST(:start AS timestamptz), sum(samples), sum(up_samples), "
    "sum(powered_samples), sum(hashed_samples), min(hashrate_ths_min), "
    "sum(hashrate_ths_avg * hashed_samples) / nullif(sum(hashed_samples), 0), "
    "max(hashrate_ths_max), min(power_w_min), "
    "sum(power_w_avg * powered_samples) / nullif(sum(powered_samples), 0), max(power_w_max), "
    "max(chip_temp_c_max), max(board_temp_c_max), max(inlet_temp_c_max), max(fan_rpm_max), "
    "sum(accepted), sum(rejected), sum(stale), sum(hardware_errors) "
    "FROM telemetry.rollup_5m WHERE starts_at >= :start AND starts_at < :end GROUP BY miner_id "
    f"{_REPLACE}"
)


async def roll_up(runtime: Runtime) -> None:
    """Rebuild what has changed, for ever: the background task."""
    while True:
        more = await rebuild_due(runtime, at=now())
        await asyncio.sleep(0 if more else _EVERY_S)


async def rebuild_due(runtime: Runtime, *, at: datetime) -> int:
    """Rebuild some of the dirty buckets that are complete at `at`; return how many."""
    before = at - _FIVE_MINUTES - _SETTLED
    async with runtime.worker_session() as session:
        buckets = (await session.scalars(_TAKE, {"before": before})).all()
        for start in buckets:
            await session.execute(_FIVE, {"start": start, "end": start + _FIVE_MINUTES})
        for hour in sorted({_hour(start) for start in buckets}):
            await session.execute(_HOUR, {"start": hour, "end": hour + timedelta(hours=1)})
    return len(buckets)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
