"""Finds what is worth telling about the caller's sites, from what is stored of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from intelligence.domain.findings import (
    EARLIER_DAYS,
    LEAST_DRIFT,
    LEAST_EARLIER,
    LEAST_LOAD_CHANGE,
    LEAST_RECENT,
    OVER_NAMEPLATE,
    RECENT_DAYS,
    Daily,
    Deviation,
    deviation,
    recent_of,
    severity_of,
)
from intelligence.insights.ledger import HALF_HOUR, SiteDay, days_of
from intelligence.insights.models import Site, SiteMiner
from intelligence.insights.schemas import Finding, Insights, Kind, Period, Waiting

RULE: Final = (
    f"The median of the last {RECENT_DAYS} whole local days against the up to {EARLIER_DAYS} days "
    f"before (at least {LEAST_EARLIER}): a finding outside 3 scaled median absolute deviations and "
    f"by at least {LEAST_DRIFT:.0%} (J/TH) or {LEAST_LOAD_CHANGE:.0%} (load); against the rating "
    f"by more than {OVER_NAMEPLATE:.0%}. Under 5 % info, under 10 % warning, else critical."
)
WAITING: Final = (
    Waiting(
        kind="cost-anomaly",
        waits_for=["energy.cost"],
        reason="What energy cost comes with the rated half-hours; power alone is no cost.",
    ),
    Waiting(
        kind="missed-curtailment-value",
        waits_for=["energy.signal", "hosting.curtailment.changed.v1"],
        reason="It is the price during hours that were mined at a loss: no price is known here.",
    ),
    Waiting(
        kind="churn-risk",
        waits_for=["crm.contract", "energy.cost"],
        reason="A customer whose break-even lies under the tariff: neither is known here.",
    ),
)
_GRAVEST_FIRST: Final = {"critical": 0, "warning": 1, "info": 2}
_MOST_UNKNOWN: Final = 0.02
_WHOLE: Final = 0.96
"""The part of a day's half-hours that must be there: two of 48 may be missing."""


@dataclass(frozen=True, slots=True)
class _SiteView:
    """What the rules look at."""

    site: Site
    today: date
    whole: Sequence[SiteDay]
    rated_j_per_th: float | None

    def link(self, first: date, last: date) -> str:
        """Return where the half-hours of these local days are listed."""
        zone = ZoneInfo(self.site.timezone)
        span = {"from": _midnight(first, zone), "to": _midnight(last + timedelta(days=1), zone)}
        times = "&".join(f"{name}={at:%Y-%m-%dT%H:%M:%SZ}" for name, at in span.items())
        return f"/api/telemetry/half-hours?site_id={self.site.id}&{times}"

    def efficiencies(self) -> list[Daily]:
        """Return J/TH of each day, over the machines that report both energy and hashes.

        1 kWh = 3.6 MJ, and a TH/s held for an hour is 3,600 TH.
        """
        return [
            Daily(day.day, 1000 * day.matched_kwh / day.matched_th_h)
            for day in self.whole
            if day.matched_th_h > 0 and day.matched_kwh > 0
        ]

    def loads(self) -> list[Daily]:
        """Return the mean power in kW of each day on which enough machines told of it."""
        return [
            Daily(day.day, 2 * day.kwh / day.half_hours)
            for day in self.whole
            if day.unknown <= _MOST_UNKNOWN * day.machine_half_hours
        ]


async def insights(session: AsyncSession) -> Insights:
    """Return the findings about every site that this session sees; a client's own machines only."""
    at = now()
    views = await _views(session, at)
    found = [finding for view in views for finding in _findings(view)]
    found.sort(key=lambda one: (_GRAVEST_FIRST[one.severity], -abs(one.change_percent)))
    old_enough = [view for view in views if len(view.whole) >= LEAST_RECENT + LEAST_EARLIER]
    return Insights(
        items=found,
        looked_at=len(old_enough),
        too_young=len(views) - len(old_enough),
        waiting=list(WAITING),
        rule=RULE,
        at=at,
    )


async def _views(session: AsyncSession, at: datetime) -> list[_SiteView]:
    days: defaultdict[object, list[SiteDay]] = defaultdict(list)
    since = at - timedelta(days=RECENT_DAYS + EARLIER_DAYS + 2)
    for day in await days_of(session, since):
        days[day.site_id].append(day)
    sites = await session.scalars(
        select(Site).where(Site.id.in_(list(days)), ~Site.removed).order_by(Site.name, Site.id)
    )
    ratings = await _ratings(session)
    views: list[_SiteView] = []
    for site in sites:
        zone = ZoneInfo(site.timezone)
        today = at.astimezone(zone).date()
        whole = [
            day
            for day in days[site.id]
            if day.day < today and day.half_hours >= _WHOLE * half_hours_of(day.day, zone)
        ]
        views.append(_SiteView(site, today, whole, ratings.get(site.id)))
    return views


def half_hours_of(day: date, zone: ZoneInfo) -> int:
    """Return how many half-hours a local day has: 46 or 50 where the clock changes."""
    return round((_midnight(day + timedelta(days=1), zone) - _midnight(day, zone)) / HALF_HOUR)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a local day begins."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


async def _ratings(session: AsyncSession) -> dict[object, float]:
    """Return the rated J/TH of each site's machines together."""
    power, hashrate = SiteMiner.nameplate_power_w, SiteMiner.nameplate_hashrate_ths
    rows = await session.execute(
        select(SiteMiner.site_id, func.sum(power) / func.sum(hashrate))
        .where(~SiteMiner.removed, power > 0, hashrate > 0)
        .group_by(SiteMiner.site_id)
    )
    return {site_id: float(rated) for site_id, rated in rows}


def _findings(view: _SiteView) -> Iterator[Finding]:
    efficiencies, loads = view.efficiencies(), view.loads()
    drift = deviation(efficiencies, view.today, least_change=LEAST_DRIFT)
    if drift is not None:
        yield _drift(view, drift)
    if over := _over_nameplate(view, efficiencies):
        yield over
    change = deviation(loads, view.today, least_change=LEAST_LOAD_CHANGE)
    if change is not None:
        yield _load_change(view, change)


def _drift(view: _SiteView, found: Deviation) -> Finding:
    turn = "rose" if found.change > 0 else "fell"
    sentence = (
        f"At {view.site.name} the energy per terahash {turn} by {abs(found.change):.1%}: "
        f"{found.recent:.2f} J/TH from {found.first_day} to {found.last_day}, after "
        f"{found.usual:.2f} J/TH (usually {found.low:.2f} to {found.high:.2f}) since "
        f"{found.compared_from}."
    )
    severity = found.severity if found.change > 0 else "info"  # doing better is no alarm
    return _finding(view, found, "efficiency-drift", "J/TH", sentence).model_copy(
        update={"severity": severity}
    )


def _load_change(view: _SiteView, found: Deviation) -> Finding:
    turn = "rose" if found.change > 0 else "fell"
    sentence = (
        f"The load of {view.site.name} {turn} by {abs(found.change):.1%}: {found.recent:,.0f} kW "
        f"from {found.first_day} to {found.last_day}, after {found.usual:,.0f} kW (usually "
        f"{max(0.0, found.low):,.0f} to {found.high:,.0f}) since {found.compared_from}."
    )
    return _finding(view, found, "load-change", "kW", sentence)


def _finding(view: _SiteView, found: Deviation, kind: Kind, unit: str, sentence: str) -> Finding:
    return Finding(
        kind=kind,
        severity=found.severity,
        sentence=sentence,
        site_id=view.site.id,
        site_name=view.site.name,
        unit=unit,
        value=round(found.recent, 4),
        usual=round(found.usual, 4),
        low=round(max(0.0, found.low), 4),
        high=round(found.high, 4),
        change_percent=round(100 * found.change, 2),
        period=Period(first_day=found.first_day, last_day=found.last_day),
        compared_from=found.compared_from,
        link=view.link(found.first_day, found.last_day),
        simulated=any(day.simulated for day in view.whole),
    )


def _over_nameplate(view: _SiteView, efficiencies: Sequence[Daily]) -> Finding | None:
    recent = recent_of(efficiencies, view.today)
    rated = view.rated_j_per_th
    if rated is None or len(recent) < LEAST_RECENT:
        return None
    value = median(one.value for one in recent)
    over = value / rated - 1
    if over <= OVER_NAMEPLATE:
        return None
    first, last = recent[0].day, recent[-1].day
    return Finding(
        kind="efficiency-below-nameplate",
        severity=severity_of(over),
        sentence=(
            f"{view.site.name} used {value:.2f} J/TH from {first} to {last}, {over:.1%} more than "
            f"the {rated:.2f} J/TH that its machines are rated at."
        ),
        site_id=view.site.id,
        site_name=view.site.name,
        unit="J/TH",
        value=round(value, 4),
        usual=round(rated, 4),
        low=None,
        high=None,
        change_percent=round(100 * over, 2),
        period=Period(first_day=first, last_day=last),
        compared_from=None,
        link=view.link(first, last),
        simulated=any(day.simulated for day in view.whole),
    )
