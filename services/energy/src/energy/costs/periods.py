"""Energy, cost and hashes of half-hours by the tariff's periods."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from energy.costs.packing import UNRATED, Floats, Ints
from energy.costs.pricing import HALF_HOUR_S, Breakdowns, PeriodPart, Reign, period_parts, reign_of

UNRATED_NAME: Final = "No rate"
"""Half-hours for which no tariff was in force."""


@dataclass(slots=True)
class Use:
    """What was used in a period of the tariff, in one currency."""

    kwh: Decimal = Decimal(0)
    cost_by_day: dict[date, Decimal] = field(default_factory=dict[date, Decimal])
    """By local day: another currency is worth its day's reference rate."""
    th_h: dict[date, float] = field(default_factory=dict[date, float])
    """By local day: each is worth its day's quote."""

    @property
    def cost(self) -> Decimal:
        """Return the cost of all days."""
        return sum(self.cost_by_day.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Series:
    """Half-hours of something at one site."""

    starts_s: Ints
    kwh_e6: Ints
    cost_nano: Ints
    th_h: Floats


def by_period(
    series: Series, reigns: Sequence[Reign], breakdowns: Breakdowns, timezone: str
) -> dict[tuple[str, str | None], Use]:
    """Return the use by (period's name, currency). Energy and hashes are uniform in a half-hour.

    The cost of a half-hour that lies in two periods is spread as the site's is.
    """
    zone = ZoneInfo(timezone)
    found: dict[tuple[str, str | None], Use] = {}
    rated = series.cost_nano != UNRATED
    parts_of_rated = iter(
        period_parts(reigns, series.starts_s[rated], series.cost_nano[rated], breakdowns)
    )
    unrated = [PeriodPart(UNRATED_NAME, HALF_HOUR_S, Decimal(0))]
    for row, second in enumerate(series.starts_s.tolist()):
        reign = reign_of(reigns, second) if rated[row] else None
        currency = reign.rated.tariff.currency if reign else None
        day = datetime.fromtimestamp(second, zone).date()
        for part in next(parts_of_rated) if rated[row] else unrated:
            use = found.setdefault((part.name, currency), Use())
            use.kwh += Decimal(int(series.kwh_e6[row]) * part.seconds).scaleb(-6) / HALF_HOUR_S
            use.cost_by_day[day] = use.cost_by_day.get(day, Decimal(0)) + part.amount
            hashes = float(series.th_h[row]) * part.seconds / HALF_HOUR_S
            use.th_h[day] = use.th_h.get(day, 0.0) + hashes
    return found
