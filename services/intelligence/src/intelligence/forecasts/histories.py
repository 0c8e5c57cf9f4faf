"""What is known of each series, as the forecasts need it: regular steps, oldest first."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Problem
from intelligence.domain.forecast import Numbers
from intelligence.domain.forecast_difficulty import LEAST as LEAST_EPOCHS
from intelligence.domain.forecast_load import HALF_HOUR, LEAST_DAYS, MOST_DAYS, PER_DAY
from intelligence.forecasts.keeping import DAY_S, Origin
from intelligence.forecasts.price import LEAST
from intelligence.insights.ledger import load_of
from intelligence.insights.models import Site
from intelligence.market.candles import daily_closes
from intelligence.market.quotes import epochs

_MOST_CLOSES: Final = 1500
_MOST_EPOCHS: Final = 300
_EPOCH_BLOCKS: Final = 2016
_YEAR: Final = 27  # epochs
_LONGEST_HOLE_DAYS: Final = 7
_MOST_UNKNOWN: Final = 0.02
"""The part of a site's machines whose energy may be unknown before the sum means nothing."""
_LEAST_KNOWN: Final = 0.9
_SETTLE: Final = timedelta(minutes=2)
"""A half-hour comes in several events; by then all of them are here."""


class TooFewPoints(Problem):
    status: ClassVar[int] = 422
    title: ClassVar[str] = "Too little history for a forecast"


@dataclass(frozen=True, slots=True)
class History:
    """A series in regular steps, and where its forecast starts."""

    origin: Origin
    values: Numbers
    notes: list[str]


def without_holes(days: list[int], values: list[float]) -> tuple[list[float], int]:
    """Return daily values with short holes filled by the value before, and how many were.

    What lies before a hole of more than a week is left out.
    """
    filled = [values[0]]
    added = 0
    for before, day, value in zip(days, days[1:], values[1:], strict=False):
        missing = day - before - 1
        if missing > _LONGEST_HOLE_DAYS:
            filled, added = [], 0
        else:
            filled.extend([filled[-1]] * missing)
            added += missing
        filled.append(value)
    return filled, added


async def price_history(session: AsyncSession) -> History:
    """Return the daily closes of bitcoin.

    Raises:
        TooFewPoints: there are fewer than 60.
    """
    series = await daily_closes(session, _MOST_CLOSES)
    days = [round(opened / DAY_S) for opened in series.time.tolist()]
    values, filled = without_holes(days, series.close.tolist()) if days else ([], 0)
    if len(values) < LEAST:
        raise TooFewPoints(
            f"The price forecast needs {LEAST} daily closes in a row; {len(values)} are stored.",
            points=len(values),
            least_points=LEAST,
        )
    notes = [f"{filled} missing days were filled with the close before."] if filled else []
    origin = Origin(
        series="btc-price",
        unit="USD",
        at=datetime.fromtimestamp((days[-1] + 1) * DAY_S, UTC),
        value=values[-1],
        step_s=DAY_S,
        points=len(values),
        simulated=series.simulated,
    )
    return History(origin, np.array(values), notes)


async def difficulty_history(session: AsyncSession) -> History:
    """Return the difficulty of the stored epochs; the last of them is running.

    Raises:
        TooFewPoints: there are too few in a row.
    """
    rows = await epochs(session, last=_MOST_EPOCHS)
    # Only what follows one upon the other: a change over a hole is not one retarget's.
    holes = [
        place
        for place in range(1, len(rows))
        if rows[place].height - rows[place - 1].height != _EPOCH_BLOCKS
    ]
    rows = rows[max(holes, default=0) :]
    if len(rows) < LEAST_EPOCHS:
        raise TooFewPoints(
            f"The difficulty forecast needs {LEAST_EPOCHS} epochs in a row; "
            f"{len(rows)} are stored.",
            points=len(rows),
            least_points=LEAST_EPOCHS,
        )
    year = rows[-_YEAR:]
    step = (year[-1].started_at - year[0].started_at) / (len(year) - 1)
    origin = Origin(
        series="difficulty",
        unit="difficulty",
        at=rows[-1].started_at,
        value=float(rows[-1].difficulty),
        step_s=round(step.total_seconds()),
        points=len(rows),
        simulated=any(row.simulated for row in rows),
    )
    return History(origin, np.array([float(row.difficulty) for row in rows]), [])


async def load_history(session: AsyncSession, site: Site) -> History:
    """Return the mean power of a site's half-hours in kW; NaN where it is not known.

    Raises:
        TooFewPoints: fewer than 14 days, or too much in them unknown.
    """
    until = now() - _SETTLE
    since = until - timedelta(days=MOST_DAYS)
    rows = [
        row
        for row in await load_of(session, site.id, since=since, before=until)
        if row.starts_at + HALF_HOUR <= until
    ]
    if not rows or rows[-1].starts_at - rows[0].starts_at + HALF_HOUR < timedelta(days=LEAST_DAYS):
        days = (rows[-1].starts_at - rows[0].starts_at + HALF_HOUR).days if rows else 0
        raise TooFewPoints(
            f"A load forecast needs {LEAST_DAYS} days of half-hours; of this site "
            f"{days} are known.",
            **_wanted(days),
        )
    start = rows[0].starts_at
    count = round((rows[-1].starts_at - start) / HALF_HOUR) + 1
    kilowatts = np.full(count, np.nan)
    for row in rows:
        if row.unknown <= _MOST_UNKNOWN * row.machines:
            kilowatts[round((row.starts_at - start) / HALF_HOUR)] = row.kwh * 2
    known = float(np.mean(~np.isnan(kilowatts[-LEAST_DAYS * PER_DAY :])))
    if known < _LEAST_KNOWN:
        raise TooFewPoints(
            f"In only {known:.0%} of the half-hours of the last {LEAST_DAYS} days did enough of "
            f"this site's machines report their energy; {_LEAST_KNOWN:.0%} are needed.",
            **_wanted(count // PER_DAY),
        )
    last = float(kilowatts[~np.isnan(kilowatts)][-1])
    origin = Origin(
        series="site-load",
        unit="kW",
        at=rows[-1].starts_at,
        value=last,
        step_s=round(HALF_HOUR.total_seconds()),
        points=count,
        simulated=any(row.simulated for row in rows),
        organisation_id=site.organisation_id,
        site_id=site.id,
    )
    return History(origin, kilowatts, [])


def _wanted(days: int) -> dict[str, Any]:
    return {"days": days, "least_days": LEAST_DAYS}


def zone_of(site: Site) -> ZoneInfo:
    """Return the site's zone (the read model keeps none that this machine does not know)."""
    return ZoneInfo(site.timezone)


async def sites(session: AsyncSession) -> list[Site]:
    """Return every site that this session sees."""
    query = select(Site).where(~Site.removed).order_by(Site.id)
    return list(await session.scalars(query))


async def find_site(session: AsyncSession, site_id: UUID) -> Site | None:
    """Return a site that this session sees."""
    query = select(Site).where(Site.id == site_id, ~Site.removed)
    return await session.scalar(query)
