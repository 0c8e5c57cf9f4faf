"""Energy, cost and hashes of half-hours by the tariff's periods."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from energy.costs.packing import UNRATED, Floats, Ints
from energy.costs.pricing import HALF_HOUR_S, PeriodPart, Reign, period_parts, reign_at

UNRATED_NAME: Final = "No rate"
"""Half-hours for which no tariff was in force."""


@dataclass(slots=True)
class Use:
    """What was used in a period of the tariff, in one currency."""

    kwh: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    th_h: dict[date, float] = field(default_factory=dict[date, float])
    """By local day: each is worth its day's quote."""


@dataclass(frozen=True, slots=True)
class Series:
    """Half-hours of something at one site."""

    starts_s: Ints
    kwh_e6: Ints
    cost_nano: Ints
    th_h: Floats


def by_period(
    series: Series, reigns: Sequence[Reign], timezone: str
) -> dict[tuple[str, str | None], Use]:
    """Return the use by (period's name, currency). Energy and hashes are uniform in a half-hour.

    The cost of a half-hour that lies in two periods is spread by their prices and times.
    """
    zone = ZoneInfo(timezone)
    held = [
        reign_at(reigns, second) if cost != UNRATED else None
        for second, cost in zip(series.starts_s.tolist(), series.cost_nano.tolist(), strict=True)
    ]
    found: dict[tuple[str, str | None], Use] = {}
    for reign in {id(one): one for one in held}.values():
        rows = np.flatnonzero([one is reign for one in held])
        for row, parts in zip(rows.tolist(), _parts(reign, series, rows), strict=True):
            day = datetime.fromtimestamp(int(series.starts_s[row]), zone).date()
            currency = reign.rated.tariff.currency if reign else None
            for part in parts:
                use = found.setdefault((part.name, currency), Use())
                use.kwh += Decimal(int(series.kwh_e6[row]) * part.seconds).scaleb(-6) / HALF_HOUR_S
                use.cost += part.amount
                hashes = float(series.th_h[row]) * part.seconds / HALF_HOUR_S
                use.th_h[day] = use.th_h.get(day, 0.0) + hashes
    return found


def _parts(reign: Reign | None, series: Series, rows: Ints) -> list[list[PeriodPart]]:
    if reign is None:
        return [[PeriodPart(UNRATED_NAME, HALF_HOUR_S, Decimal(0))] for _ in rows]
    return period_parts(reign.rated.tariff, series.starts_s[rows], series.cost_nano[rows])
