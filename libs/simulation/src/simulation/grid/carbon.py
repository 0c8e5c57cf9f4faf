"""Half-hours of carbon intensity, of the shape of Great Britain's.

Every figure follows from the seed, the region and the half-hour alone. A regional answer holds
forecasts only; a national one an actual figure too, once the half-hour is over.
"""

import hashlib
import math
from datetime import UTC, datetime, timedelta

from simulation.grid.faults import GridFault, mangled, spoiled

HALF_HOUR = timedelta(minutes=30)
LONGEST = timedelta(days=14)
REGIONS = range(1, 18)
_INDEX = ((50, "very low"), (120, "low"), (200, "moderate"), (280, "high"), (9999, "very high"))


class BadQuestion(Exception):
    """The provider refuses a question with 400 and this text."""


def forecast_g(seed: int, region: int, at: datetime) -> int:
    """Return the forecast of a half-hour, in grams per kWh; region 0 is the whole country."""
    hour = at.hour + at.minute / 60
    evening = 60 * math.exp(-(((hour - 18.5) / 2.5) ** 2))
    night = -35 * math.exp(-(((hour - 3) / 3) ** 2))
    wind = 90 * (_dice(seed, f"{region}:{at.date()}") - 0.5)
    return max(10, round(150 + 12 * (region - 9 if region else 0) + evening + night + wind))


def actual_g(seed: int, at: datetime) -> int:
    """Return what the country's figure turned out to be."""
    forecast = forecast_g(seed, 0, at)
    return max(5, round(forecast * (0.9 + 0.2 * _dice(seed, at.isoformat()))))


def _dice(seed: int, name: str) -> float:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def rows(
    seed: int, region: int, span: tuple[str, str], now: datetime, fault: GridFault | None
) -> list[dict[str, object]]:
    """Return the half-hours of a span, as far as they are known.

    Raises:
        BadQuestion: the span is no span, or too long.
    """
    first, last = (_moment(text) for text in span)
    if not first < last <= first + LONGEST:
        raise BadQuestion("400 Bad Request: at most 14 days, the first before the last")
    if fault is GridFault.OTHER_DAY:
        first, last = first - timedelta(days=40), last - timedelta(days=40)
    at = datetime.fromtimestamp(first.timestamp() // 1800 * 1800, UTC)
    known_until = min(last, now + timedelta(hours=48))
    found: list[dict[str, object]] = []
    while at < known_until:
        found.append(_row(seed, region, at, now, fault))
        at += HALF_HOUR
    return mangled(found, fault)


def _row(
    seed: int, region: int, at: datetime, now: datetime, fault: GridFault | None
) -> dict[str, object]:
    forecast = forecast_g(seed, region, at)
    intensity: dict[str, object] = {
        "forecast": spoiled(forecast, fault),
        "index": next(name for limit, name in _INDEX if forecast <= limit),
    }
    if not region:
        is_over = at + HALF_HOUR <= now
        intensity["actual"] = spoiled(actual_g(seed, at), fault) if is_over else None
    return {"from": _written(at), "to": _written(at + HALF_HOUR), "intensity": intensity}


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadQuestion("400 Bad Request: a time is written 2026-11-21T00:00Z") from error


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")
