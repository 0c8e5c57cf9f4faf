"""Great Britain's carbon intensity, by half-hours, of the system operator's public interface.

The country's answer holds a forecast and, once a half-hour is over, an actual figure; a region's
forecasts only. No key is needed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from common.party import Answer, NoAnswer, Party

SOURCE = "neso"
COUNTRY = "GB"
REGIONS = {f"GB-{number}": number for number in range(1, 18)}
"""Of the networks 1 to 14; 15 to 17 are England, Scotland and Wales."""
LONGEST = timedelta(days=13)
"""Of one question; more than 14 days are refused."""
_HALF_HOUR = timedelta(minutes=30)
_HIGHEST_G = 2000
"""Lignite is half of it: more is a mistake."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Grams of CO2 per kWh in a half-hour."""

    starts_at: datetime
    forecast_g: Decimal | None
    actual_g: Decimal | None


async def intensities(
    party: Party, region: str, first: datetime, last: datetime
) -> tuple[list[Intensity], bool]:
    """Return a region's half-hours between two instants in order, and whether they are simulated.

    Raises:
        NoAnswer: the party gave nothing that can be used.
    """
    span = f"{_written(first)}/{_written(last)}"
    if region == COUNTRY:
        answer = await party.get(f"/intensity/{span}")
        rows = answer.member("data")
    else:
        answer = await party.get(f"/regional/intensity/{span}/regionid/{REGIONS[region]}")
        rows = answer.member("data", "data")
    return _checked(answer, rows, first, last), answer.simulated


def _checked(answer: Answer, rows: Any, first: datetime, last: datetime) -> list[Intensity]:
    """Return rows as half-hours. A row of another time makes the whole answer worthless."""
    if not isinstance(rows, list):
        raise NoAnswer(f"{answer.party}: a list was expected")
    found: dict[datetime, Intensity] = {}
    for row in cast("list[Any]", rows):
        one = _row(answer, row)
        # The half-hour that holds the first instant may begin before it.
        if not first - _HALF_HOUR <= one.starts_at <= last:
            raise NoAnswer(f"{answer.party}: a row of {one.starts_at}, which nobody asked for")
        if found.setdefault(one.starts_at, one) != one:
            raise NoAnswer(f"{answer.party}: two figures for {one.starts_at}")
    return [found[at] for at in sorted(found)]


def _row(answer: Answer, row: Any) -> Intensity:
    try:
        starts_at = datetime.strptime(row["from"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        told = row["intensity"]
        forecast, actual = told["forecast"], told.get("actual")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"{answer.party}: a row that is no half-hour: {str(row)[:80]}") from error
    if starts_at.minute % 30 or starts_at.year < 2000:  # noqa: PLR2004  (the year is no time)
        raise NoAnswer(f"{answer.party}: {starts_at} begins no half-hour")
    return Intensity(starts_at, _grams(answer, forecast), _grams(answer, actual))


def _grams(answer: Answer, value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NoAnswer(f"{answer.party}: {str(value)[:40]} is no number")
    if not 0 <= value <= _HIGHEST_G:
        raise NoAnswer(f"{answer.party}: {value:.6g} g/kWh cannot be")
    return Decimal(value)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
