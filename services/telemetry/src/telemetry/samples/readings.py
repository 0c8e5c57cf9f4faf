"""Reads the latest state and the history, behind the tenant wall."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid, NotFound
from telemetry.domain.addresses import is_simulated
from telemetry.samples.schemas import ApiLatest, Fleet, Latest, Metric, Series, Step

_EMPTY: dict[str, Any] = {
    **dict.fromkeys(Latest.model_fields),
    "power_estimated": False,
    "fans_rpm": [],
    "pools": [],
    "error_codes": [],
    "flags": [],
}
_LATEST = text(
    "SELECT m.id AS machine_id, m.ip, s.* FROM telemetry.miner m "
    "LEFT JOIN telemetry.visible_miner_state s ON s.miner_id = m.id "
    "WHERE m.id = :miner_id AND NOT m.removed"
)
_FLEET = text(
    "SELECT m.id, m.ip, coalesce(s.family, m.firmware) AS firmware, "
    "s.outcome, s.online, s.known_at, s.is_mining, "
    "s.chip_temp_max_c, s.board_temp_max_c, s.curtailed_since, s.updated_at, "
    "CASE WHEN s.known_at >= :fresh THEN s.known_hashrate_ths END AS hashrate_ths, "
    "CASE WHEN s.known_at >= :fresh THEN s.known_power_w END AS power_w, "
    "s.known_power_estimated FROM telemetry.miner m "
    "LEFT JOIN telemetry.visible_miner_state s ON s.miner_id = m.id "
    "WHERE NOT m.removed AND (CAST(:site_id AS uuid) IS NULL OR m.site_id = :site_id) "
    "AND (CAST(:since AS timestamptz) IS NULL OR s.updated_at > :since) ORDER BY m.id LIMIT 100000"
)
_VERSION = text(
    "SELECT count(*), max(m.changed_at), max(s.updated_at) FROM telemetry.miner m "
    "LEFT JOIN telemetry.visible_miner_state s ON s.miner_id = m.id "
    "WHERE NOT m.removed AND (CAST(:site_id AS uuid) IS NULL OR m.site_id = :site_id)"
)
# Before a freshly imported fleet's tables are analysed, the planner takes them for empty and would
# go through the view once for each of 6,000 machines, until the statement's time is over.
_HASH_JOINS = text("SET LOCAL enable_nestloop = off")
_HIGHEST_FAN = "(SELECT max(rpm) FROM unnest(fans_rpm) AS rpm)"
_RAW: dict[str, str] = {
    "hashrate_ths": "coalesce(hashrate_5s_ths, hashrate_avg_ths)",
    "efficiency_j_per_th": "power_w / nullif(coalesce(hashrate_5s_ths, hashrate_avg_ths), 0)",
    "fan_rpm": _HIGHEST_FAN,
    **{name: f"{name}_delta" for name in ("accepted", "rejected", "stale", "hardware_errors")},
}
_ROLLED: dict[str, tuple[str, str, str]] = {
    "hashrate_ths": ("hashrate_ths_avg", "hashrate_ths_min", "hashrate_ths_max"),
    "power_w": ("power_w_avg", "power_w_min", "power_w_max"),
    "efficiency_j_per_th": ("power_w_avg / nullif(hashrate_ths_avg, 0)", "NULL", "NULL"),
    "chip_temp_max_c": ("chip_temp_c_max", "NULL", "chip_temp_c_max"),
    "board_temp_max_c": ("board_temp_c_max", "NULL", "board_temp_c_max"),
    "inlet_temp_c": ("inlet_temp_c_max", "NULL", "inlet_temp_c_max"),
    "fan_rpm": ("fan_rpm_max", "NULL", "fan_rpm_max"),
}
_UNITS: dict[str, str] = {
    "hashrate_ths": "TH/s", "power_w": "W", "efficiency_j_per_th": "J/TH", "fan_rpm": "rpm",
    "chip_temp_max_c": "°C", "board_temp_max_c": "°C", "inlet_temp_c": "°C",
}  # fmt: skip
_MAX_POINTS = 5000
_RAW_SPAN = timedelta(hours=6)
_FINE_SPAN = timedelta(days=4)
_STEP_S = {"5m": 300, "1h": 3600}


class MachineUnknown(NotFound):
    title: ClassVar[str] = "No such machine"


class SpanTooLong(Invalid):
    title: ClassVar[str] = "The span holds too many points"


async def latest(session: AsyncSession, miner_id: UUID) -> Latest:
    """Return the latest answer of one machine of the caller's."""
    row = (await session.execute(_LATEST, {"miner_id": miner_id})).mappings().one_or_none()
    if row is None:
        raise MachineUnknown(f"There is no machine {miner_id}.")
    values = _EMPTY if row["miner_id"] is None else _EMPTY | dict(row)
    return Latest.model_validate(
        values
        | {
            "miner_id": miner_id,
            "efficiency_j_per_th": _efficiency(values["power_w"], _rate(values)),
            "last_answer_at": row["known_at"],
            "simulated": is_simulated(row["ip"]),
        }
    )


async def latest_for_api(session: AsyncSession, miner_id: UUID) -> ApiLatest:
    """Return the latest answer, with the names of the published document beside ours."""
    found = await latest(session, miner_id)
    temperatures = [t for t in (found.chip_temp_max_c, found.board_temp_max_c) if t is not None]
    return ApiLatest(
        **found.model_dump(),
        hashrate=_rate(found.model_dump()),
        temperature=max(temperatures, default=None),
        power_consumption=found.power_w,
        fan_speed=max(found.fans_rpm, default=None),
        recorded_at=found.sampled_at,
    )


def _rate(values: dict[str, Any]) -> float | None:
    """Return the hashrate of the last seconds, or the average where there is no other."""
    rate = values["hashrate_5s_ths"]
    return values["hashrate_avg_ths"] if rate is None else rate


def _efficiency(power_w: float | None, rate_ths: float | None) -> float | None:
    return power_w / rate_ths if power_w is not None and rate_ths else None


async def fleet_tag(session: AsyncSession, site_id: UUID | None, hold: timedelta) -> str:
    """Return a tag that changes whenever the fleet's answer does."""
    await session.execute(_HASH_JOINS)
    count, changed_at, updated_at = (await session.execute(_VERSION, {"site_id": site_id})).one()
    # With no new rows the held values still age, so the tag has a pulse of its own.
    pulse = int(now().timestamp() // max(1.0, hold.total_seconds()))
    parts = (count, changed_at and changed_at.timestamp(), updated_at and updated_at.timestamp())
    return f'W/"{"-".join(str(part) for part in (*parts, pulse))}"'


async def fleet(
    session: AsyncSession, site_id: UUID | None, hold: timedelta, since: datetime | None = None
) -> Fleet:
    """Return the latest of every machine; with `since` only of those that changed after it."""
    at = now()
    if since is None:
        await session.execute(_HASH_JOINS)
    parameters = {"site_id": site_id, "fresh": at - hold, "since": since}
    rows = list((await session.execute(_FLEET, parameters)).mappings())
    return Fleet(site_id=site_id, as_of=at, columns=_columns(rows))


def _columns(rows: list[RowMapping]) -> dict[str, list[Any]]:
    return {
        "miner_id": [str(row["id"]) for row in rows],
        "sampled_at": [row["known_at"] for row in rows],
        "outcome": [row["outcome"] for row in rows],
        "online": [row["online"] for row in rows],
        "is_mining": [row["is_mining"] for row in rows],
        "hashrate_ths": [row["hashrate_ths"] for row in rows],
        "power_w": [row["power_w"] for row in rows],
        "power_estimated": [bool(row["known_power_estimated"]) for row in rows],
        "efficiency_j_per_th": [_efficiency(row["power_w"], row["hashrate_ths"]) for row in rows],
        "chip_temp_max_c": [row["chip_temp_max_c"] for row in rows],
        "board_temp_max_c": [row["board_temp_max_c"] for row in rows],
        "firmware": [row["firmware"] for row in rows],
        "curtailed": [row["curtailed_since"] is not None for row in rows],
        "simulated": [is_simulated(row["ip"]) for row in rows],
    }


async def series(
    session: AsyncSession,
    miner_id: UUID,
    metric: Metric,
    *,
    start: datetime,
    end: datetime,
    step: Step,
    slot_seconds: int,
) -> Series:
    """Return a metric of one machine over time, from samples or roll-ups."""
    if start >= end:
        raise Invalid("`from` must be before `to`.", field="from")
    chosen = step if step != "auto" else _fitting(end - start)
    length_s = _STEP_S.get(chosen, slot_seconds)
    if (end - start).total_seconds() / length_s > _MAX_POINTS:
        raise SpanTooLong(
            f"At most {_MAX_POINTS} points fit one answer; take a larger step or a shorter span.",
            field="step",
        )
    await latest(session, miner_id)  # a foreign machine is not there
    query = text(_raw_query(metric) if chosen == "raw" else _rolled_query(metric, chosen))
    rows = (await session.execute(query, {"id": miner_id, "start": start, "end": end})).all()
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Series(
        miner_id=miner_id,
        metric=metric,
        unit=_UNITS.get(metric, "1"),
        step=chosen,
        from_=start,
        to=end,
        at=list(columns[0]),
        value=list(columns[1]),
        min=list(columns[2]),
        max=list(columns[3]),
    )


def _fitting(span: timedelta) -> Any:
    if span <= _RAW_SPAN:
        return "raw"
    return "5m" if span <= _FINE_SPAN else "1h"


def _raw_query(metric: str) -> str:
    value = _RAW.get(metric, metric)
    return (
        f"SELECT slot, v, v, v FROM (SELECT slot, {value} AS v "  # noqa: S608  (our own names)
        "FROM telemetry.visible_sample WHERE miner_id = :id AND slot >= :start AND slot < :end) t "
        "WHERE v IS NOT NULL ORDER BY slot"
    )


def _rolled_query(metric: str, step: str) -> str:
    value, low, high = _ROLLED.get(metric, (metric, "NULL", "NULL"))
    return (
        f"SELECT starts_at, v, low, high FROM (SELECT starts_at, {value} AS v, {low} AS low, "  # noqa: S608
        f"{high} AS high FROM telemetry.visible_rollup_{step} WHERE miner_id = :id "
        "AND starts_at >= :start AND starts_at < :end) t WHERE v IS NOT NULL ORDER BY starts_at"
    )
