"""The telemetry service, as hosting sees it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from structlog import get_logger

from common.auth import Principal
from common.errors import Unavailable
from common.http import ServiceClient

log = get_logger()
_PATH = "/api/telemetry/fleet"
# The first of these columns that an answer carries is the hashrate of its machines.
_HASHRATES = ("hashrate_ths", "hashrate_5s_ths", "hashrate_avg_ths")
_times = TypeAdapter(list[AwareDatetime | None])
_ids = TypeAdapter(list[UUID])


class FleetUnknown(Unavailable):
    title: ClassVar[str] = "The fleet's readings are not available"


class FleetAnswer(BaseModel):
    """Columns of equal length, one place per machine."""

    columns: dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """The latest that telemetry knows of one machine."""

    hashrate_ths: float | None
    power_w: float | None
    power_estimated: bool
    sampled_at: datetime | None
    firmware: str | None
    is_mining: bool | None

    @property
    def hashes(self) -> bool:
        """Whether the machine was seen at work."""
        return bool(self.hashrate_ths) and self.is_mining is not False


async def fleet(
    client: ServiceClient, principal: Principal, site_id: UUID
) -> Mapping[UUID, Reading]:
    """Return the latest reading of every machine of a site.

    Raises:
        FleetUnknown: telemetry answered something that is no fleet.
        Unavailable: telemetry is away.
    """
    try:
        answer = await client.get(principal, _PATH, params={"site_id": str(site_id)})
        return readings(FleetAnswer.model_validate(answer).columns)
    except (ValidationError, ValueError, orjson.JSONDecodeError) as error:
        log.warning("telemetry.bad_fleet", error=str(error)[:300])
        raise FleetUnknown(
            "The telemetry service gave an answer that cannot be read; try again.", retry_after_s=5
        ) from error


def readings(columns: Mapping[str, list[Any]]) -> dict[UUID, Reading]:
    """Turn compact columns into readings.

    Raises:
        ValueError: a column is missing, of another length or of another kind.
    """
    miner_ids = _ids.validate_python(columns.get("miner_id", []))
    height = len(miner_ids)
    hashrates = next((columns[name] for name in _HASHRATES if name in columns), None)
    table = (
        miner_ids,
        _column(hashrates, height),
        _column(columns.get("power_w"), height),
        _column(columns.get("power_estimated"), height),
        _sampled(_column(columns.get("sampled_at"), height)),
        _column(columns.get("firmware"), height),
        _column(columns.get("is_mining"), height),
    )
    return {
        miner_id: Reading(
            hashrate_ths=_figure(hashrate),
            power_w=_figure(power),
            power_estimated=bool(estimated),
            sampled_at=sampled_at,
            firmware=firmware,
            is_mining=is_mining,
        )
        for miner_id, hashrate, power, estimated, sampled_at, firmware, is_mining in zip(
            *table, strict=True
        )
    }


def _column(column: list[Any] | None, height: int) -> list[Any]:
    return [None] * height if column is None else column


def _figure(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


def _sampled(column: list[Any]) -> list[datetime | None]:
    """Read the times: RFC 3339, or Unix time in seconds or milliseconds."""
    return [
        None if time is None else time.astimezone(UTC) for time in _times.validate_python(column)
    ]
